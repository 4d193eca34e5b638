"""How a session comes about: aiosmtplib connects, begins TLS, says EHLO and logs in; then the line is ours.

In clear nothing is ever written but EHLO, STARTTLS and QUIT, and without a verified certificate nothing else follows.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import aiosmtplib

from millstream import harmless
from millstream.gmail.errors import Call, GmailError
from millstream.gmail.relay import errors, translate
from millstream.gmail.relay.line import Line
from millstream.gmail.relay.options import Login, RelayOptions
from millstream.gmail.relay.ports import Facts
from millstream.gmail.relay.translate import Stage


class Connector:
    """Makes sessions; the authorities it trusts are read once."""

    def __init__(self, options: RelayOptions) -> None:
        self._options = options
        self._trust: ssl.SSLContext | None = None

    async def connect(self, call: Call, *, gone: Callable[[Line], None]) -> Line:
        """A session that stands; `gone` is told when its connection is.

        Raises:
            RelayNotReached, or another RelayError with which the relay answers to a session.
        """
        trust = self._trust or await self._trusted(call)
        dialogue = _Dialogue(call, self._options, trust)
        try:
            return await dialogue.run(gone)
        except errors.RelayError:
            raise
        except (aiosmtplib.SMTPException, OSError, ValueError, GmailError) as exc:
            raise translate.unreached(call, dialogue.stage, exc) from exc
        finally:
            dialogue.tear()

    async def _trusted(self, call: Call) -> ssl.SSLContext:
        """In a thread, as reading the system's authorities takes tens of milliseconds."""
        path = self._options.certificates
        context = await asyncio.to_thread(ssl.create_default_context)
        if path is not None:
            try:
                await asyncio.to_thread(context.load_verify_locations, path)
            except OSError as exc:  # ssl.SSLError is one
                raise errors.CertificateRefused(call, text=f"{path} cannot be read: {exc}") from exc
        self._trust = context
        return context


class _Dialogue:
    """One session in the making, and where it is."""

    def __init__(self, call: Call, options: RelayOptions, trust: ssl.SSLContext) -> None:
        self.stage = Stage.EHLO  # whose name is looked at first
        self._call = call
        self._options = options
        self._trust = trust
        self._smtp: aiosmtplib.SMTP | None = None

    async def run(self, gone: Callable[[Line], None]) -> Line:
        options = self._options
        smtp = self._smtp = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            local_hostname=options.helo.encode("ascii").decode(),
            timeout=options.connect_seconds,
            use_tls=options.implicit_tls,
            start_tls=False,
            tls_context=self._trust,
        )
        self.stage = Stage.GREETING
        banner = (await smtp.connect()).message
        if not options.implicit_tls:
            await self._begin_tls(smtp)
        self.stage = Stage.EHLO
        await smtp.ehlo()
        if smtp.get_transport_info("sslcontext") is None:
            raise errors.TlsMissing(self._call)
        if options.login is not None:
            self.stage = Stage.AUTH
            await self._log_in(smtp, options.login)
        return self._taken_over(smtp, banner, gone)

    def tear(self) -> None:
        """End the connection, unless it was taken over."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        if smtp.transport is not None:
            cast("asyncio.Transport", smtp.transport).abort()
        smtp.close()

    async def _begin_tls(self, smtp: aiosmtplib.SMTP) -> None:
        self.stage = Stage.EHLO
        await smtp.ehlo()
        self.stage = Stage.STARTTLS
        if not smtp.supports_extension("starttls"):
            offered = ", ".join(sorted(smtp.esmtp_extensions)).upper()
            raise errors.TlsMissing(self._call, text=f"it offers {offered or 'nothing'}")
        await smtp.starttls()

    async def _log_in(self, smtp: aiosmtplib.SMTP, login: Login) -> None:
        offered = smtp.server_auth_methods
        if login.token is not None:
            if "xoauth2" not in offered:
                raise self._not_offered("XOAUTH2", offered)
            await smtp.auth_xoauth2(login.user, await login.token())
        elif "plain" in offered:
            await smtp.auth_plain(login.user, login.password or "")
        elif "login" in offered:
            await smtp.auth_login(login.user, login.password or "")
        else:
            raise self._not_offered("PLAIN or LOGIN", offered)

    def _not_offered(self, wanted: str, offered: list[str]) -> errors.LoginRefused:
        text = f"we log in with {wanted}, and it offers {', '.join(offered).upper() or 'no login'}"
        return errors.LoginRefused(self._call, text=harmless.line(text))

    def _taken_over(self, smtp: aiosmtplib.SMTP, banner: str, gone: Callable[[Line], None]) -> Line:
        transport = cast("asyncio.Transport", smtp.transport)
        if transport is None or transport.is_closing():
            raise errors.RelayAway(self._call, text="it ended the connection as soon as the session stood")
        line = Line(transport, _facts(smtp, banner), gone=gone)
        self._smtp = None
        return line


def _facts(smtp: aiosmtplib.SMTP, banner: str) -> Facts:
    size = smtp.esmtp_extensions.get("size", "").strip()
    certificate: dict[str, Any] = smtp.get_transport_info("peercert")
    until = ssl.cert_time_to_seconds(certificate["notAfter"])
    return Facts(
        extensions=frozenset(keyword.upper() for keyword in smtp.esmtp_extensions),
        size=int(size[:18]) or None if size.isascii() and size.isdigit() else None,
        tls=smtp.get_transport_info("ssl_object").version() or "",
        certificate_until=datetime.fromtimestamp(until, UTC),
        banner=harmless.line(banner),
    )
