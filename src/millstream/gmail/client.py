"""The Gmail client: one method per verb we use, typed in and out.

A call passes through: token → meter → one HTTP exchange → answer or error. The only second try is the one
after a 401, with a fresh token, because a request without a valid token was not executed. When to try
again after anything else is the caller's decision.
"""

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import orjson
from yarl import URL

from millstream.closing import Closing
from millstream.gmail import decode, translate
from millstream.gmail.answer import read_answer
from millstream.gmail.errors import Call
from millstream.gmail.meter import Meter, NoMeter
from millstream.gmail.model import (
    Draft,
    HistoryPage,
    Label,
    Message,
    MessageFormat,
    MessageRef,
    Page,
    Profile,
    SendAs,
    Watch,
    WatchBehavior,
)
from millstream.gmail.options import GmailOptions
from millstream.gmail.tokens import TokenSource
from millstream.gmail.transport import Reply, Transport, utc_now

_JSON = "application/json"
_MAIL = "message/rfc822"
_UNAUTHORIZED = 401
_SUCCESS = range(200, 300)
_SHOWN = 65_536
"""Bytes of an answer that an error may quote from; a slice of a shorter one is no copy."""

_Result = TypeVar("_Result")


class _Verb(NamedTuple):
    http: str
    write: bool = False
    content_type: str | None = None


_VERBS = {
    "drafts.create": _Verb("POST", write=True, content_type=_MAIL),
    "drafts.send": _Verb("POST", write=True, content_type=_JSON),
    "drafts.delete": _Verb("DELETE", write=True),
    "drafts.get": _Verb("GET"),
    "drafts.list": _Verb("GET"),
    "messages.send": _Verb("POST", write=True, content_type=_MAIL),
    "messages.get": _Verb("GET"),
    "messages.list": _Verb("GET"),
    "history.list": _Verb("GET"),
    "labels.list": _Verb("GET"),
    "getProfile": _Verb("GET"),
    "settings.sendAs.list": _Verb("GET"),
    # Not told as writes: whether one happened matters to nobody, as it may always be repeated.
    "watch": _Verb("POST", content_type=_JSON),
    "stop": _Verb("POST"),
}

METHODS = frozenset(_VERBS)
"""The method names a meter is asked with; the keys of the limits file."""


class Gmail(Closing):
    """The door to Google: shared connections and the source of tokens."""

    def __init__(self, options: GmailOptions, tokens: TokenSource) -> None:
        self._options = options
        self._tokens = tokens
        self._transport = Transport(options)

    async def close(self) -> None:
        """End all connections, those of the token source too."""
        await self._transport.close()
        await self._tokens.close()

    def mailbox(self, address: str, meter: Meter | None = None) -> "MailboxClient":
        """A client that acts as this mailbox; the meter is asked before each of its calls."""
        return MailboxClient(address, self._options.endpoint, self._transport, self._tokens, meter or NoMeter())


class MailboxClient:
    """Gmail as one mailbox sees it. Every method raises a :class:`~millstream.gmail.errors.GmailError`.

    The address itself stands in the request's path, not ``me``: a token of another mailbox is then
    refused ("Delegation denied for …") in place of sending from the wrong one.
    """

    def __init__(self, address: str, endpoint: str, transport: Transport, tokens: TokenSource, meter: Meter) -> None:
        self.address = address
        self._transport = transport
        self._tokens = tokens
        self._meter = meter
        path = f"/gmail/v1/users/{quote(address, safe='')}"
        root = endpoint.rstrip("/")
        self._base = root + path
        self._create_url = URL(f"{root}/upload{path}/drafts?uploadType=media", encoded=True)
        self._create_in_url = self._create_url.with_query(uploadType="multipart")
        self._send_url = URL(f"{root}/upload{path}/messages/send?uploadType=media", encoded=True)
        self._send_in_url = self._send_url.with_query(uploadType="multipart")
        self._send_draft_url = self._url("/drafts/send")
        self._calls = {name: Call(name, address, verb.write) for name, verb in _VERBS.items()}
        self._headers_for = ""
        self._headers: dict[str | None, dict[str, str]] = {}

    async def create_draft(self, raw: bytes, *, thread_id: str | None = None) -> Draft:
        """Store an RFC 5322 message (at most 35 MiB) as a draft: drafts.create by media upload.

        With a thread it is a multipart upload, as only that names one. Gmail keeps the message there if it also answers
        one of the thread (References) and has its subject (threads guide, read 2026-11). Raises NotFound where there is
        no such thread.
        """
        if thread_id is None:
            return await self._call("drafts.create", self._create_url, decode.draft, raw)
        kind, body = _related({"message": {"threadId": thread_id}}, raw)
        return await self._call("drafts.create", self._create_in_url, decode.draft, body, kind)

    async def get_draft(self, draft_id: str) -> Draft:
        """The draft, if it still exists; then it was not sent. Raises NotFound when it is gone."""
        return await self._call("drafts.get", self._url(f"/drafts/{_part(draft_id)}", format="minimal"), decode.draft)

    async def list_drafts(self, page_token: str | None = None, *, page_size: int = 500) -> Page[Draft]:
        """Drafts of the mailbox, newest first, at most 500 a page."""
        url = self._url("/drafts", maxResults=page_size, pageToken=page_token)
        return await self._call("drafts.list", url, lambda answer: decode.page(answer, "drafts", decode.draft))

    async def send_draft(self, draft_id: str) -> Message:
        """Send a draft; it is gone afterwards and the message has a new id. At most once for each draft."""
        return await self._call("drafts.send", self._send_draft_url, decode.message, orjson.dumps({"id": draft_id}))

    async def delete_draft(self, draft_id: str) -> None:
        """Remove a draft for good. Raises NotFound when it is gone already."""
        await self._answered("drafts.delete", self._url(f"/drafts/{_part(draft_id)}"))

    async def send_message(self, raw: bytes, *, thread_id: str | None = None) -> Message:
        """Send an RFC 5322 message (at most 35 MiB) at once: messages.send; the thread as in `create_draft`."""
        if thread_id is None:
            return await self._call("messages.send", self._send_url, decode.message, raw)
        kind, body = _related({"threadId": thread_id}, raw)
        return await self._call("messages.send", self._send_in_url, decode.message, body, kind)

    async def get_message(
        self,
        message_id: str,
        format: MessageFormat = "metadata",  # noqa: A002  Gmail's own word for it
        headers: tuple[str, ...] = (),
    ) -> Message:
        """A message; ``headers`` names those wanted of format ``metadata`` (none named: all of them)."""
        url = self._url(f"/messages/{_part(message_id)}", format=format, metadataHeaders=headers)
        return await self._call("messages.get", url, decode.message)

    async def list_messages(
        self,
        label_ids: tuple[str, ...] = (),
        query: str | None = None,
        page_token: str | None = None,
        *,
        page_size: int = 500,
        include_spam_trash: bool = False,
    ) -> Page[MessageRef]:
        """Messages that carry all the labels, newest first. Labels are current at once, a query lags behind.

        Raises PageTokenInvalid when there is no such page any more.
        """
        url = self._url(
            "/messages",
            labelIds=label_ids,
            q=query,
            maxResults=page_size,
            pageToken=page_token,
            includeSpamTrash="true" if include_spam_trash else None,
        )
        return await self._call(
            "messages.list", url, lambda answer: decode.page(answer, "messages", decode.message_ref)
        )

    async def list_history(
        self, start: int, label_id: str | None = None, page_token: str | None = None, *, page_size: int = 500
    ) -> HistoryPage:
        """Messages added after a history id, a page of at most 500 records.

        A page may be empty and still have a next one. Raises HistoryExpired when Gmail no longer keeps the id, and
        PageTokenInvalid when the page is gone: then ask again for the first one.
        """
        url = self._url(
            "/history",
            startHistoryId=start,
            historyTypes="messageAdded",
            labelId=label_id,
            maxResults=page_size,
            pageToken=page_token,
        )
        return await self._call("history.list", url, decode.history)

    async def list_labels(self) -> tuple[Label, ...]:
        """All labels of the mailbox, Gmail's own and the user's."""
        return await self._call("labels.list", self._url("/labels"), decode.labels)

    async def profile(self) -> Profile:
        """Whose mailbox the token opens, and its present history id."""
        return await self._call("getProfile", self._url("/profile"), decode.profile)

    async def list_send_as(self) -> tuple[SendAs, ...]:
        """The addresses the mailbox may write as."""
        return await self._call("settings.sendAs.list", self._url("/settings/sendAs"), decode.send_as)

    async def watch(self, topic: str, label_ids: tuple[str, ...] = (), behavior: WatchBehavior = "include") -> Watch:
        """Have Gmail tell a Pub/Sub topic (``projects/P/topics/T``) that this mailbox has news, for a week at most.

        ``behavior`` says whether changes with these labels alone are told, or all the others. A new watch takes the
        place of the one before. Labels leak (google-api-nodejs-client issue 2301): look into the history, always.
        """
        asked: dict[str, object] = {"topicName": topic}
        if label_ids:
            asked |= {"labelIds": label_ids, "labelFilterBehavior": behavior}
        return await self._call("watch", self._url("/watch"), decode.watch, orjson.dumps(asked))

    async def stop_watch(self) -> None:
        """Have Gmail tell no topic any more; without a watch it does nothing."""
        await self._answered("stop", self._url("/stop"))

    def _url(self, path: str, **query: Any) -> URL:
        given = {name: value for name, value in query.items() if value is not None and value != ()}
        tail = f"?{urlencode(given, doseq=True)}" if given else ""
        return URL(f"{self._base}{path}{tail}", encoded=True)

    async def _call(
        self, method: str, url: URL, read: Callable[[Any], _Result], body: bytes | None = None, kind: str | None = None
    ) -> _Result:
        reply = await self._answered(method, url, body, kind)
        status, content = reply.status, reply.body
        del reply  # a large answer, its text and what is decoded from it shall not all be held at once
        head = content[:_SHOWN]
        try:
            document = orjson.loads(content)
            del content
            return read(document)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise translate.unreadable(self._calls[method], status, head, exc) from exc

    async def _answered(self, method: str, url: URL, body: bytes | None = None, kind: str | None = None) -> Reply:
        """A success, after at most one renewal of the token."""
        call = self._calls[method]
        token = await self._tokens.token(self.address)
        reply = await self._exchange(call, url, token, body, kind)
        if reply.status == _UNAUTHORIZED:
            self._tokens.invalidate(self.address, token)
            token = await self._tokens.token(self.address)
            reply = await self._exchange(call, url, token, body, kind)
        if reply.status in _SUCCESS:
            return reply
        now = utc_now()
        raise translate.refusal(call, read_answer(reply.status, reply.headers, reply.body, now), now)

    async def _exchange(self, call: Call, url: URL, token: str, body: bytes | None, kind: str | None) -> Reply:
        verb = _VERBS[call.method]
        headers = self._headers_with(token, verb.content_type)
        if kind is not None:
            headers = {**headers, "Content-Type": kind}
        ticket = await self._meter.acquire(call.method)
        try:
            return await self._transport.exchange(call, verb.http, url, headers=headers, body=body)
        finally:
            self._meter.release(ticket)

    def _headers_with(self, token: str, content_type: str | None) -> dict[str, str]:
        """Headers are made once for each token: a lane makes thousands of calls with one."""
        if token is not self._headers_for and token != self._headers_for:
            bearer = {"Authorization": f"Bearer {token}"}
            self._headers = {None: bearer}
            self._headers |= {kind: {**bearer, "Content-Type": kind} for kind in (_JSON, _MAIL)}
            self._headers_for = token
        return self._headers[content_type]


def _related(document: Any, raw: bytes) -> tuple[str, bytes]:
    """What goes up with a message (RFC 2387): its JSON and then itself; with the media type of both."""
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: {_JSON}\r\n\r\n".encode() + orjson.dumps(document)
    head += f"\r\n--{boundary}\r\nContent-Type: {_MAIL}\r\n\r\n".encode()
    return f"multipart/related; boundary={boundary}", b"".join((head, raw, f"\r\n--{boundary}--\r\n".encode()))


def _part(identifier: str) -> str:
    return quote(identifier, safe="")
