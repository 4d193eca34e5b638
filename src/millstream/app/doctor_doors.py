"""Checks the way from Exstream: its tokens, services and rights, and the doors by which communications come in."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from millstream.app.exstream import engine_service, exstream, token_source
from millstream.app.finding import Finding
from millstream.app.smtp import smtp_options
from millstream.config import ConfigError, Settings
from millstream.exstream import Exstream
from millstream.exstream.errors import ExstreamError


async def examine_exstream(settings: Settings) -> AsyncIterator[Finding]:
    """What of Exstream is configured; nothing where it is not."""
    if settings.exstream.mode in {"cloud", "local"}:
        async for finding in _services(settings):
            yield finding
    if settings.exstream.ews_url:
        yield await _engine(settings)
    drop, done = settings.exstream.drop_folder, settings.exstream.drop_done_folder
    if drop is not None:
        yield await asyncio.to_thread(_writable, "drop folder", drop)
    elif settings.exstream.mode == "files" and settings.intake_folder.path is None:
        detail = "exstream.mode is files, and no folder is set; set exstream.drop_folder, intake_folder.path, or both"
        yield Finding("drop folder", ok=False, detail=detail)
    if done is not None:
        yield await asyncio.to_thread(_listable, "drop done folder", done, "exstream.drop_done_folder")
    if settings.email_events.file is not None:
        yield await asyncio.to_thread(_writable, "email events", settings.email_events.file.absolute().parent)


async def examine_doors(settings: Settings) -> AsyncIterator[Finding]:
    """The doors that are open."""
    yield Finding("doors", ok=True, detail=_open_doors(settings))
    folder = settings.intake_folder
    if folder.path is not None:
        yield await asyncio.to_thread(_folder, folder.path, moves=not folder.leave)
    if settings.intake_smtp != type(settings.intake_smtp)():
        yield await asyncio.to_thread(_smtp, settings)
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
    known = set()
    for who in ("orchestration", "design"):
        try:
            await tokens.token(who)
            known.add(who)
            yield Finding(f"exstream token {who}", ok=True, detail="there is one")
        except ExstreamError as error:
            yield Finding(f"exstream token {who}", ok=False, detail=str(error))
    await tokens.close()
    # A service that there is no token for would only say the same again.
    async with exstream(settings) as client:
        if "orchestration" in known:
            yield await _orchestration(client, settings)
        if "design" in known:
            yield await _design(client)
        if "orchestration" in known and settings.intake_pull.on:
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
    found = _listable("intake folder", path, "intake_folder.path")
    return _writable("intake folder", path) if found.ok and moves else found


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


def _listable(check: str, path: Path, setting: str) -> Finding:
    if not path.is_dir():
        return Finding(check, ok=False, detail=f"{path} is no folder; make it, or correct {setting}")
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding(check, ok=False, detail=f"{path} may not be read by this user; give it the right")
    return Finding(check, ok=True, detail=f"{path} can be read")


def _open_doors(settings: Settings) -> str:
    """Which doors are open by these settings, and by which command each is served."""
    smtp, callers = settings.intake_smtp, ", ".join(sorted(settings.intake_http.tokens))
    doors = ["driver (`millstream run submit`)"]
    if settings.intake_folder.path is not None:
        doors.append(f"folder {settings.intake_folder.path} (`millstream worker`)")
    if callers:
        doors.append(f"HTTP for {callers} (`millstream web`)")
    if settings.intake_pull.on:
        doors.append("pull (`millstream worker`)")
    doors.append(f"SMTP at {smtp.host}:{smtp.port} where `millstream smtp` runs")
    return "; ".join(doors)


def _smtp(settings: Settings) -> Finding:
    try:
        options = smtp_options(settings)
    except ConfigError as error:
        return Finding("intake smtp", ok=False, detail=str(error))
    tls = "TLS is required" if options.tls_required else "TLS is offered" if options.tls else "without TLS"
    networks = ", ".join(str(each) for each in options.networks) or "nobody without a login"
    users = ", ".join(sorted(options.users)) or "nobody by login"
    return Finding("intake smtp", ok=True, detail=f"{tls}; takes mail from {networks}; and from {users}")
