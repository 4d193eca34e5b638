"""Checks the way from Exstream: its tokens, services and rights, and the doors by which communications come in."""

from __future__ import annotations

import asyncio
import os
import ssl
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from millstream.app.exstream import engine_service, exstream, token_source
from millstream.app.finding import Finding
from millstream.config import Settings
from millstream.exstream import Exstream
from millstream.exstream.errors import ExstreamError


async def examine_exstream(settings: Settings) -> AsyncIterator[Finding]:
    """What of Exstream is configured; nothing where it is not."""
    if settings.exstream.mode in {"cloud", "local"}:
        async for finding in _services(settings):
            yield finding
    if settings.exstream.ews_url:
        yield await _engine(settings)
    if settings.exstream.drop_folder is not None:
        yield await asyncio.to_thread(_writable, "drop folder", settings.exstream.drop_folder)


async def examine_doors(settings: Settings) -> AsyncIterator[Finding]:
    """The doors that are open."""
    folder = settings.intake_folder
    if folder.path is not None:
        yield await asyncio.to_thread(_folder, folder.path, moves=not folder.leave)
    if settings.intake_smtp.certificate is not None or settings.intake_smtp.tls == "required":
        yield await asyncio.to_thread(_certificate, settings)
    if settings.intake_pull.on and settings.exstream.mode not in {"cloud", "local"}:
        detail = (
            "jobs are to be fetched, but exstream.mode is neither cloud nor local; set it, or intake_pull.on = false"
        )
        yield Finding("intake pull", ok=False, detail=detail)


async def _services(settings: Settings) -> AsyncIterator[Finding]:
    try:
        tokens = token_source(settings)
    except ExstreamError as error:
        yield Finding("exstream credentials", ok=False, detail=str(error))
        return
    for who in ("orchestration", "design"):
        try:
            await tokens.token(who)
            yield Finding(f"exstream token {who}", ok=True, detail="OTDS gives one")
        except ExstreamError as error:
            yield Finding(f"exstream token {who}", ok=False, detail=str(error))
    await tokens.close()
    async with exstream(settings) as client:
        yield await _orchestration(client, settings)
        yield await _design(client)
        if settings.intake_pull.on:
            yield await _jobs(client)


async def _orchestration(client: Exstream, settings: Settings) -> Finding:
    check = "exstream orchestration"
    try:
        version, config = await client.version(), await client.config()
    except ExstreamError as error:
        return Finding(check, ok=False, detail=str(error))
    if config.base_subscription and settings.intake_pull.on:
        detail = (
            f"version {version.text}; a base subscription shows no jobs, so nothing can be fetched: use another door"
        )
        return Finding(check, ok=False, detail=detail)
    return Finding(check, ok=True, detail=f"version {version.text}")


async def _design(client: Exstream) -> Finding:
    check = "exstream design"
    try:
        design = client.design()
        version, user = await design.version(), await design.current_user()
    except ExstreamError as error:
        return Finding(check, ok=False, detail=str(error))
    return Finding(check, ok=True, detail=f"version {version.text}, known as {user.name}")


async def _jobs(client: Exstream) -> Finding:
    """The right to see jobs (MONITOR)."""
    try:
        async for _ in client.runtime().jobs():
            break
    except ExstreamError as error:
        return Finding("exstream jobs", ok=False, detail=str(error))
    return Finding("exstream jobs", ok=True, detail=f"domain {client.options.domain} shows its jobs")


async def _engine(settings: Settings) -> Finding:
    try:
        async with engine_service(settings) as engine:
            size = await engine.wsdl()
    except ExstreamError as error:
        return Finding("exstream engine", ok=False, detail=str(error))
    return Finding("exstream engine", ok=True, detail=f"{settings.exstream.ews_url} describes itself in {size:,} bytes")


def _folder(path: Path, *, moves: bool) -> Finding:
    if not path.is_dir():
        return Finding("intake folder", ok=False, detail=f"{path} is no folder; make it, or correct intake_folder.path")
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding("intake folder", ok=False, detail=f"{path} may not be read by this user; give it the right")
    if moves:
        return _writable("intake folder", path)
    return Finding("intake folder", ok=True, detail=f"{path} can be read")


def _writable(check: str, path: Path) -> Finding:
    """Put a file there, rename it, and remove it."""
    probe = path / f".millstream-doctor-{uuid.uuid4().hex}"
    renamed = probe.with_suffix(".renamed")
    try:
        probe.write_bytes(b"millstream doctor: this file may be removed")
        probe.rename(renamed)
        renamed.unlink()
    except OSError as error:
        detail = f"{path} takes no files from this user: {error.strerror or error}; mend its rights or its disk"
        return Finding(check, ok=False, detail=detail)
    return Finding(check, ok=True, detail=f"{path} takes files")


def _certificate(settings: Settings) -> Finding:
    smtp = settings.intake_smtp
    if smtp.certificate is None or smtp.key is None:
        detail = (
            "TLS is required, but there is no certificate with a key; set intake_smtp.certificate and intake_smtp.key"
        )
        return Finding("intake smtp", ok=False, detail=detail)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(smtp.certificate, smtp.key)
    except (OSError, ssl.SSLError) as error:
        detail = f"{smtp.certificate} and {smtp.key} cannot be used: {error}; they must be PEM and belong together"
        return Finding("intake smtp", ok=False, detail=detail)
    return Finding("intake smtp", ok=True, detail=f"{smtp.certificate} and its key belong together")
