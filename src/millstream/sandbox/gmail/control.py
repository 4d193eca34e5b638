"""The control API under `/sandbox/v1/`: for tests, the demo and curious people; it needs no token.

Read: state, faults, clock, mailboxes, messages, counts, ledger. Change: faults, clock, mailbox, deliver, reset,
outage. Every document is JSON; a document that does not fit is answered 400 with what is wrong.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from millstream.sandbox.gmail import counts
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.control_documents import (
    ClockDocument,
    CountsDocument,
    DeliverDocument,
    MailboxDocument,
    OutageDocument,
    ResetDocument,
)
from millstream.sandbox.gmail.faults import FaultRule
from millstream.sandbox.gmail.front import Front, reply
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.oauth import OAuth
from millstream.sandbox.gmail.token_pages import DEFAULT_ACCOUNT

Document = TypeVar("Document", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_RULES = TypeAdapter(list[FaultRule] | FaultRule)
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
_SHOWN_HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-ID")


class Control:
    """Serves the control API."""

    def __init__(self, front: Front, oauth: OAuth) -> None:
        self._front = front
        self._oauth = oauth
        self._room = front.room
        self._world = front.room.world

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every path."""
        return [
            web.RouteDef(verb, f"/sandbox/v1/{path}", _checked(handler), {}) for verb, path, handler in self._table()
        ]

    def _table(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "state", self.state),
            ("GET", "faults", self.faults),
            ("POST", "faults", self.add_faults),
            ("DELETE", "faults", self.clear_faults),
            ("GET", "clock", self.clock),
            ("POST", "clock", self.move_clock),
            ("GET", "mailboxes", self.mailboxes),
            ("POST", "mailbox", self.change_mailbox),
            ("POST", "mailboxes", self.change_mailbox),
            ("GET", "mailboxes/{address}", self.mailbox),
            ("DELETE", "mailboxes/{address}", self.delete_mailbox),
            ("GET", "mailboxes/{address}/messages", self.messages),
            ("GET", "mailboxes/{address}/messages/{id}/raw", self.raw),
            ("GET", "counts", self.counts),
            ("POST", "counts", self.compare),
            ("GET", "ledger", self.ledger),
            ("POST", "deliver", self.deliver),
            ("POST", "reset", self.reset),
            ("POST", "outage", self.outage),
            ("GET", "service-account", self.service_account),
        ]

    async def state(self, _request: web.Request) -> web.StreamResponse:
        """What there is: clock, mailboxes, messages, rules."""
        mailboxes = self._world.mailboxes()
        return _json(
            {
                "clock": self._clock(),
                "domains": sorted(self._world.domains),
                "limits": self._world.config.limits,
                "mailboxes": {
                    "local": sum(account.is_local for account in mailboxes),
                    "outside": sum(not account.is_local for account in mailboxes),
                },
                "messages": sum(len(account.store) for account in mailboxes),
                "drafts": sum(len(account.drafts) for account in mailboxes),
                "faults": self._room.faults.rules(),
            }
        )

    # Faults

    async def faults(self, _request: web.Request) -> web.StreamResponse:
        """The rules in force and what they struck."""
        return _json({"faults": self._room.faults.rules()})

    async def add_faults(self, request: web.Request) -> web.StreamResponse:
        """Switch rules on: one rule, a list, or `{"rules": [...]}`; they add to those in force."""
        document = orjson.loads(await request.read())
        rules = _RULES.validate_python(document.get("rules", document) if isinstance(document, dict) else document)
        self._room.faults.add(rules if isinstance(rules, list) else [rules])
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        """Switch all rules off."""
        self._room.faults.clear()
        return await self.faults(request)

    # Clock

    def _clock(self) -> dict[str, Any]:
        return {"now": self._world.clock.now().isoformat(), "rate": self._world.clock.rate}

    async def clock(self, _request: web.Request) -> web.StreamResponse:
        """The time in the sandbox."""
        return _json(self._clock())

    async def move_clock(self, request: web.Request) -> web.StreamResponse:
        """Re-rate, set or advance the clock, in this order where several are given."""
        wanted = await _read(request, ClockDocument)
        if wanted.rate is not None:
            self._world.clock.run(wanted.rate)
        if wanted.set is not None:
            self._world.clock.set(wanted.set)
        if wanted.advance is not None:
            self._world.clock.advance(wanted.advance)
        return _json(self._clock())

    # Mailboxes

    async def mailboxes(self, _request: web.Request) -> web.StreamResponse:
        """Every mailbox with its number of messages."""
        return _json({"mailboxes": [_summary(account) for account in self._world.mailboxes()]})

    async def mailbox(self, request: web.Request) -> web.StreamResponse:
        """One mailbox."""
        return _json(_details(self._named(request)))

    async def change_mailbox(self, request: web.Request) -> web.StreamResponse:
        """Change what is special about a mailbox; one that is not there is opened."""
        wanted = await _read(request, MailboxDocument)
        account = self._world.create(wanted.address)
        wanted.apply(account, self._world.clock.seconds())
        return _json(_details(account))

    async def delete_mailbox(self, request: web.Request) -> web.StreamResponse:
        """Close a mailbox; mail for a local address without one bounces."""
        self._world.delete(self._named(request).address)
        return _json({})

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """The messages of a mailbox, newest first, with readable headers; `label` narrows."""
        account = self._named(request)
        label = request.query.get("label")
        found = [message for message in account.messages() if label is None or label in message.labels]
        return _json({"address": account.address, "messages": [_shown(message) for message in found]})

    async def raw(self, request: web.Request) -> web.StreamResponse:
        """The bytes of one message."""
        message = self._named(request).message(request.match_info["id"])
        if message is None:
            raise web.HTTPNotFound(text="no such message")
        return web.Response(body=message.raw, content_type="message/rfc822")

    def _named(self, request: web.Request) -> Account:
        account = self._world.account(request.match_info["address"])
        if account is None:
            raise web.HTTPNotFound(text=f"no mailbox {request.match_info['address']}")
        return account

    # Evidence

    async def counts(self, request: web.Request) -> web.StreamResponse:
        """What arrived, counted by a header's value; `values=1` adds every value with its recipients."""
        tally = counts.tally(self._world, request.query.get("header", counts.DEFAULT_HEADER))
        return _json(tally.summary(with_values=request.query.get("values") == "1"))

    async def compare(self, request: web.Request) -> web.StreamResponse:
        """What arrived against what should have: missing, duplicate, misdirected, unexpected."""
        wanted = await _read(request, CountsDocument)
        return _json(counts.tally(self._world, wanted.header).against(wanted.expected))

    async def ledger(self, _request: web.Request) -> web.StreamResponse:
        """Calls, units and refusals so far."""
        return _json(self._room.quota.ledger())

    # The rest

    async def deliver(self, request: web.Request) -> web.StreamResponse:
        """Let a message arrive from outside, as if its sender's server had brought it."""
        wanted = await _read(request, DeliverDocument)
        self._room.transit.relay(wanted.sender, wanted.recipients, wanted.message())
        return _json({})

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Back to the beginning, or parts of it."""
        wanted = await _read(request, ResetDocument)
        if wanted.messages:
            self._world.clear()
            self._front.sessions.clear()
        if wanted.ledger:
            self._room.quota.clear()
        if wanted.faults:
            self._room.faults.clear()
        if wanted.tokens:
            self._front.tokens.clear()
            self._oauth.clear()
        return await self.state(request)

    async def outage(self, request: web.Request) -> web.StreamResponse:
        """Shut the port for some real seconds: connections are refused, this API's as well."""
        wanted = await _read(request, OutageDocument)
        self._front.shut_port(wanted.seconds)
        return _json({})

    async def service_account(self, request: web.Request) -> web.StreamResponse:
        """A service account file for this sandbox, as the Cloud console would give it."""
        origin = str(request.url.origin())
        return _json(
            {
                "type": "service_account",
                "project_id": "millstream-sandbox",
                "private_key_id": "sandbox-key-1",
                "private_key": self._oauth.key.private_pem,
                "client_email": DEFAULT_ACCOUNT,
                "client_id": "100000000000000000001",
                "token_uri": f"{origin}/token",
                "universe_domain": "googleapis.com",
            }
        )


def _json(document: Any) -> web.Response:
    return reply(orjson.dumps(document))


async def _read(request: web.Request, model: type[Document]) -> Document:
    return model.model_validate(orjson.loads(await request.read() or b"{}"))


def _checked(handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Sec-Fetch-Site") == "cross-site" or request.url.host not in _HERE:
            # No token guards these paths, so a page from elsewhere must not reach them through a browser.
            raise web.HTTPForbidden(text="the control API answers this machine only")
        try:
            return await handler(request)
        except ValidationError as error:
            body = orjson.loads(error.json(include_url=False, include_context=False))
            return web.Response(status=400, body=orjson.dumps({"errors": body}), content_type="application/json")
        except orjson.JSONDecodeError as error:
            return web.json_response({"errors": [{"msg": f"not JSON: {error}"}]}, status=400)

    return checked


def _summary(account: Account) -> dict[str, Any]:
    return {
        "address": account.address,
        "local": account.is_local,
        "messages": len(account.store),
        "received": sum(message.received for message in account.store.values()),
        "drafts": len(account.drafts),
    }


def _details(account: Account) -> dict[str, Any]:
    condition = account.condition
    return _summary(account) | {
        "name": account.name,
        "daily_limit": condition.daily_limit,
        "mail_sending_until": condition.sending_parked_until,
        "token_dead": condition.token_dead,
        "suspended": condition.suspended,
        "delegation_denied": condition.delegation_denied,
        "rejects": condition.rejects,
        "send_as": {address: entry["verificationStatus"] for address, entry in account.send_as.items()},
        "history_id": account.history.last,
    }


def _shown(message: Message) -> dict[str, Any]:
    everything = message.headers()
    wanted = {name.lower() for name in _SHOWN_HEADERS}
    headers = {name: value for name, value in everything if name.lower() in wanted or name.lower().startswith("x-")}
    return {
        "id": message.id,
        "thread_id": message.thread_id,
        "labels": sorted(message.labels),
        "internal_date": message.internal_date,
        "size": message.size,
        "received": message.received,
        "headers": headers,
    }
