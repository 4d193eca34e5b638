"""The SMTP door, put together: whom it lets in, under which certificate, and what stands behind it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network

from millstream.app.house import House
from millstream.app.intake import reception
from millstream.communication.model import Mode
from millstream.config import ConfigError, Settings
from millstream.config.errors import Problem
from millstream.intake.smtp import EnvelopeRule, MailMap, SmtpDoor, SmtpOptions
from millstream.intake.smtp.mapping import check_run_pattern


@asynccontextmanager
async def smtp_door(house: House, *, host: str | None = None, port: int | None = None) -> AsyncIterator[SmtpDoor]:
    """The door, open for a block; messages that came whole are answered before it closes.

    Raises:
        ConfigError: the settings do not go together.
        OSError: the address cannot be had.
    """
    door = SmtpDoor(smtp_options(house.settings, host=host, port=port), reception(house))
    await door.open()
    try:
        yield door
    finally:
        await door.close()


def smtp_options(settings: Settings, *, host: str | None = None, port: int | None = None) -> SmtpOptions:
    """How the door behaves.

    Raises:
        ConfigError: the settings do not go together, or the certificate cannot be used.
    """
    smtp = settings.intake_smtp
    context = _tls(settings)
    networks = tuple(_network(settings, each) for each in smtp.networks)
    if smtp.users and context is None:
        raise _wrong(settings, "users", "can log in under TLS alone", "Set intake_smtp.certificate, and tls not to off")
    if not smtp.users and not networks:
        raise _wrong(settings, "networks", "and users are both empty: nobody could hand in", "Set one of them")
    if wrong := check_run_pattern(smtp.run):
        raise _wrong(settings, "run", f"cannot be used: {wrong}", "Correct the pattern")
    return SmtpOptions(
        host=host or smtp.host,
        port=smtp.port if port is None else port,
        tls=context,
        tls_required=smtp.tls == "required",
        users={name: secret.get_secret_value() for name, secret in smtp.users.items()},
        networks=networks,
        senders=smtp.senders,
        most_bytes=smtp.most_bytes,
        recipients=smtp.recipients,
        connections=smtp.connections,
        connections_per_address=smtp.connections_per_address,
        messages_per_connection=smtp.messages_per_connection,
        idle_seconds=smtp.idle_seconds,
        slowest_bytes_per_second=smtp.slowest_bytes_per_second,
        slow_for_seconds=smtp.slow_for_seconds,
        map=_map(settings),
    )


def _map(settings: Settings) -> MailMap:
    smtp, intake = settings.intake_smtp, settings.intake
    return MailMap(
        run=smtp.run,
        stream_header=smtp.stream_header,
        customer_header=smtp.customer_header,
        type_header=smtp.type_header,
        plus_as_customer=smtp.plus_as_customer,
        envelopes=tuple(EnvelopeRule(**each.model_dump()) for each in smtp.envelopes),
        type=intake.type,
        stream=intake.stream,
        locale=intake.locale,
        pool=intake.pool,
        mode=Mode(settings.delivery.mode),
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    smtp = settings.intake_smtp
    if smtp.tls == "off" or smtp.certificate is None:
        if smtp.tls == "required":
            raise _wrong(settings, "tls", "is required, and there is no certificate", "Set intake_smtp.certificate")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(smtp.certificate, smtp.key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = f"and its key cannot be used: {error}"
        raise _wrong(settings, "certificate", why, "Both are PEM files, and belong together") from error
    return context


def _network(settings: Settings, text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise _wrong(settings, "networks", f"holds no network: {error}", "Write for example 10.1.0.0/16") from error


def _wrong(settings: Settings, name: str, wrong: str, advice: str) -> ConfigError:
    key = f"intake_smtp.{name}"
    return ConfigError([Problem(settings.origins.get(key, "the settings"), key, wrong, advice)])
