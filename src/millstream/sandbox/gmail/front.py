"""The HTTP front of the Gmail API: who calls, what is spoiled, what is allowed, what is done, what is answered.

The order is the promise of the sandbox: everything that can refuse a call comes before its effect, and what fails
after the effect never says that nothing happened.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from millstream.log import get_logger
from millstream.sandbox.gmail import errors
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.api import Call, Method, Methods, Room
from millstream.sandbox.gmail.errors import FrontEnd, Refusal
from millstream.sandbox.gmail.faults import FaultRule, Kind, Point
from millstream.sandbox.gmail.fields import narrowed
from millstream.sandbox.gmail.strikes import Cut, cut, make_odd, odd_page, pause, spoil, strike
from millstream.sandbox.gmail.tokens import Access, Tokens
from millstream.sandbox.gmail.uploads import IMPORT_BYTES, Session, Sessions, check_media_type, split_related

_log = get_logger(__name__)

JSON_TYPE = "application/json; charset=UTF-8"
_RESUME_INCOMPLETE = 308
_CANCELLED = 499


class Front:
    """Serves `/gmail/v1/users/…`, `/upload/…` and `/resumable/upload/…`."""

    def __init__(self, room: Room, tokens: Tokens, methods: Methods) -> None:
        self.room = room
        self.tokens = tokens
        self.methods = methods
        self.sessions = Sessions(room.world)
        self.stopping = asyncio.Event()
        self.shut_port: Callable[[float], None] = lambda _seconds: None

    # Ways in

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A plain call with a JSON body, or none."""
        return await self._guarded(request, self._plain)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """A call that brings a message along."""
        return await self._guarded(request, self._upload)

    async def unknown(self, request: web.Request) -> web.StreamResponse:
        """A path that no method has."""
        return refused(request, FrontEnd(404))

    async def _guarded(
        self, request: web.Request, work: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await work(request)
        except Refusal as refusal:
            return refused(request, refusal)
        except Cut as event:
            if event.shut_port:
                self.shut_port(event.shut_port)
            return await cut(request, event, self.stopping)

    async def _plain(self, request: web.Request) -> web.StreamResponse:
        verb = request.headers.get("X-HTTP-Method-Override", request.method).upper()
        method, path = self.methods.find(verb, request.match_info["tail"])
        access, account = self._admit(request, method)

        async def read() -> Call:
            body = await self._read(request, self.room.world.config.json_body_bytes)
            if verb != request.method:
                # Google's Python client sends a GET with a long query as a POST with a form.
                return Call(method.name, account, access, path, parse_qs(body.decode("latin-1")))
            return Call(method.name, account, access, path, _query(request), body)

        return await self._run(method, account, read)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        upload_id = request.query.get("upload_id")
        if upload_id is not None:
            return await self._resume(request, self.sessions.find(upload_id))
        method, path = self.methods.find(request.method, request.match_info["tail"])
        if not method.uploads:
            raise FrontEnd(404)
        access, account = self._admit(request, method)
        way = request.query.get("uploadType", "media")
        if way == "resumable":
            return await self._begin(request, method, access, account, path)

        async def read() -> Call:
            content_type = request.headers.get("Content-Type", "")
            content = await self._read(request, self._largest(method))
            if way == "multipart":
                document, media = split_related(content_type, content)
            else:
                check_media_type(content_type)
                document, media = b"", content
            return Call(method.name, account, access, path, _query(request), document, media)

        return await self._run(method, account, read)

    # Resumable uploads

    async def _begin(
        self, request: web.Request, method: Method, access: Access, account: Account, path: dict[str, str]
    ) -> web.Response:
        declared = request.headers.get("X-Upload-Content-Length", "0")
        if declared.isdecimal() and int(declared) > self._largest(method):
            raise FrontEnd(413)
        check_media_type(request.headers.get("X-Upload-Content-Type", ""))
        document = await self._read(request, self.room.world.config.json_body_bytes)
        session = self.sessions.begin(method, account, access, path=path, query=_query(request), document=document)
        location = request.url.update_query(upload_id=session.id)
        return web.Response(headers={"Location": str(location), "X-GUploader-UploadID": session.id})

    async def _resume(self, request: web.Request, session: Session) -> web.StreamResponse:
        if request.method == "DELETE":
            self.sessions.drop(session)
            return web.Response(status=_CANCELLED)
        if session.answer is not None:
            return web.Response(body=session.answer, content_type="application/json", charset="UTF-8")
        chunk = await self._read(request, self._largest(session.method))
        if not session.take(request.headers.get("Content-Range"), chunk):
            held = {"Range": session.held} if session.held else {}
            return web.Response(status=_RESUME_INCOMPLETE, headers=held)
        if len(session.content) > self._largest(session.method):
            raise FrontEnd(413)

        async def read() -> Call:
            return Call(
                session.method.name,
                session.account,
                session.access,
                session.path,
                session.query,
                session.document,
                bytes(session.content),
            )

        return await self._run(session.method, session.account, read, session)

    # The middle

    def _admit(self, request: web.Request, method: Method) -> tuple[Access, Account]:
        access = self.tokens.check(request.headers.get("Authorization"), request.query.get("access_token"))
        return access, self.admit(access, request.match_info["user"], method)

    def admit(self, access: Access, user: str, method: Method) -> Account:
        """The mailbox a call may act on, or the refusal why not, written into that mailbox's ledger."""
        account = self.room.world.account(access.subject)
        try:
            if account is None:
                raise errors.NoMailbox
            if user != "me" and self.room.world.account(user) is not account:
                raise errors.DelegationDenied(access.subject)
            if account.condition.delegation_denied and access.is_delegated:
                raise errors.DelegationDenied(access.subject)
            if account.condition.suspended:
                raise errors.MailServiceOff
            if not access.allows(method.scopes):
                raise errors.ScopeInsufficient(method.name)
        except Refusal as refusal:
            self.room.quota.note_refusal(access.subject, refusal)
            raise
        return account

    async def _run(
        self,
        method: Method,
        account: Account,
        read: Callable[[], Awaitable[Call]],
        session: Session | None = None,
    ) -> web.StreamResponse:
        quota, address = self.room.quota, account.address
        try:
            use = quota.enter(address)
        except Refusal as refusal:
            quota.note_refusal(address, refusal)
            raise
        try:
            spoil(self.room, strike(self.room, Point.BEFORE, method.name, address), method.name, address)
            call = await read()
            odd = strike(self.room, Point.ODD, method.name, address)
            result = self.perform(method, call, odd)
            answer = b"" if result is None else orjson.dumps(narrowed(result, call.one("fields")))
            if session is not None:
                session.answer = answer
            if odd is not None and odd.kind is Kind.SLOW:
                await pause(odd.delay, self.stopping)
            spoil(self.room, strike(self.room, Point.AFTER, method.name, address), method.name, address)
        except Refusal as refusal:
            quota.note_refusal(address, refusal)
            raise
        finally:
            use.in_flight -= 1
        return reply(answer)

    def perform(self, method: Method, call: Call, odd: FaultRule | None) -> dict[str, Any] | None:
        """Charge a call and do it, in one go: nothing else happens between the charge and the effect."""
        room = self.room
        room.quota.charge(call.account, method.name)
        if call.media is not None:
            room.quota.charge_upload(call.account, len(call.media))
        lag = make_odd(room, odd, call)
        if lag:
            call = Call(call.method, call.account, call.access, call.path, call.query, call.body, call.media, lag)
        result = method.handler(room, call)
        return result if result is None or odd is None else odd_page(odd, call, result)

    # Bodies

    def _largest(self, method: Method) -> int:
        imports = method.name in ("messages.insert", "messages.import")
        return IMPORT_BYTES if imports else self.room.quota.limits.max_upload_bytes

    async def _read(self, request: web.Request, most: int) -> bytes:
        if (request.content_length or 0) > most:
            raise FrontEnd(413)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise FrontEnd(413) from None
        if len(body) > most:
            raise FrontEnd(413)
        return body


def _query(request: web.Request) -> dict[str, list[str]]:
    if not request.query_string:
        return {}
    return {name: request.query.getall(name) for name in request.query}


def reply(answer: bytes) -> web.Response:
    """A JSON answer; nothing to say is 204."""
    if not answer:
        return web.Response(status=204)
    return web.Response(body=answer, headers={"Content-Type": JSON_TYPE})


def refused(request: web.Request, refusal: Refusal) -> web.Response:
    """A refusal as an answer: JSON, or the front end's HTML page, after which the connection ends."""
    _log.debug("gmail_refusal", path=request.path, code=refusal.code, reason=refusal.reason)
    if isinstance(refusal, FrontEnd):
        response = web.Response(status=refusal.code, text=refusal.page(), content_type="text/html", charset="UTF-8")
        response.force_close()
        return response
    headers = {"Content-Type": JSON_TYPE, "Vary": "Origin, X-Origin, Referer"}
    if refusal.code == 401:  # noqa: PLR2004  an HTTP status
        headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    return web.Response(status=refusal.code, body=orjson.dumps(refusal.body()), headers=headers)
