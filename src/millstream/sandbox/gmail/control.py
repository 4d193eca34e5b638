"""The control API under `/sandbox/v1/`: for tests, the demo and curious people; it needs no token.

Read: state, faults, clock, mailboxes, messages, counts, ledger. Change: faults, clock, mailbox, reset, outage; what
writes mail and what concerns Pub/Sub stands in `control_mail`, the relay in `control_relay`. Every document is JSON; a
document that does not fit is answered 400 with what is wrong.
"""

from itertools import islice
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from millstream.sandbox.gmail import counts
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.control_documents import (
    ClockDocument,
    CountsDocument,
    MailboxDocument,
    OutageDocument,
    ResetDocument,
)
from millstream.sandbox.gmail.control_mail import ControlMail
from millstream.sandbox.gmail.control_relay import ControlRelay
from millstream.sandbox.gmail.control_wire import Handler, checked, json_answer, read_document
from millstream.sandbox.gmail.faults import FaultRule
from millstream.sandbox.gmail.front import Front
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.oauth import OAuth
from millstream.sandbox.gmail.smtp_relay import Relay
from millstream.sandbox.gmail.token_pages import DEFAULT_ACCOUNT
from millstream.sandbox.gmail.watch import Notifier
from millstream.sandbox.pubsub.broker import Broker

_RULES = TypeAdapter(list[FaultRule] | FaultRule)
_SHOWN_HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-ID")


class Control:
    """Serves the control API."""

    def __init__(self, front: Front, oauth: OAuth, broker: Broker, notifier: Notifier, relay: Relay) -> None:
        self._front = front
        self._mail = ControlMail(front.room, broker)
        self._relay = relay
        self._broker = broker
        self._notifier = notifier
        self._oauth = oauth
        self._room = front.room
        self._world = front.room.world

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every path."""
        table = [*self._table(), *self._mail.table(), *ControlRelay(self._relay).table()]
        return [web.RouteDef(verb, f"/sandbox/v1/{path}", checked(handler), {}) for verb, path, handler in table]

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
            ("POST", "reset", self.reset),
            ("POST", "outage", self.outage),
            ("GET", "service-account", self.service_account),
        ]

    async def state(self, _request: web.Request) -> web.StreamResponse:
        """What there is: clock, mailboxes, messages, rules."""
        mailboxes = self._world.mailboxes()
        return json_answer(
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
                "notifications": {"sent": self._notifier.sent, "dropped": self._notifier.dropped},
                "due_later": len(self._world.agenda),
                "faults": self._room.faults.rules(),
            }
        )

    # Faults

    async def faults(self, _request: web.Request) -> web.StreamResponse:
        """The rules in force and what they struck."""
        return json_answer({"faults": self._room.faults.rules()})

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
        return json_answer(self._clock())

    async def move_clock(self, request: web.Request) -> web.StreamResponse:
        """Re-rate, set or advance the clock, in this order where several are given."""
        wanted = await read_document(request, ClockDocument)
        if wanted.rate is not None:
            self._world.clock.run(wanted.rate)
        if wanted.set is not None:
            self._world.clock.set(wanted.set)
        if wanted.advance is not None:
            self._world.clock.advance(wanted.advance)
        self._world.agenda.catch_up()
        return json_answer(self._clock())

    # Mailboxes

    async def mailboxes(self, _request: web.Request) -> web.StreamResponse:
        """Every mailbox with its number of messages."""
        return json_answer({"mailboxes": [_summary(account) for account in self._world.mailboxes()]})

    async def mailbox(self, request: web.Request) -> web.StreamResponse:
        """One mailbox."""
        return json_answer(_details(self._named(request)))

    async def change_mailbox(self, request: web.Request) -> web.StreamResponse:
        """Change what is special about a mailbox; one that is not there is opened."""
        wanted = await read_document(request, MailboxDocument)
        account = self._world.create(wanted.address)
        wanted.apply(account, self._world.clock.seconds())
        return json_answer(_details(account))

    async def delete_mailbox(self, request: web.Request) -> web.StreamResponse:
        """Close a mailbox; mail for a local address without one bounces."""
        self._world.delete(self._named(request).address)
        return json_answer({})

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """The messages of a mailbox, newest first, with readable headers; `label` narrows, `limit` cuts."""
        account = self._named(request)
        label = request.query.get("label")
        limit = request.query.get("limit", "")
        shelf = account.shelf((label,) if label else ())
        found = islice(shelf.newest_first(), int(limit) if limit.isdecimal() else None)
        return json_answer({"address": account.address, "messages": [_shown(message) for message in found]})

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
        return json_answer(tally.summary(with_values=request.query.get("values") == "1"))

    async def compare(self, request: web.Request) -> web.StreamResponse:
        """What arrived against what should have: missing, duplicate, misdirected, unexpected."""
        wanted = await read_document(request, CountsDocument)
        return json_answer(counts.tally(self._world, wanted.header).against(wanted.expected))

    async def ledger(self, _request: web.Request) -> web.StreamResponse:
        """Calls, units and refusals so far."""
        return json_answer(self._room.quota.ledger() | {"relay": self._relay.limits.ledger()})

    # The rest

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Back to the beginning, or parts of it."""
        wanted = await read_document(request, ResetDocument)
        if wanted.messages:
            self._world.clear()
            self._front.sessions.clear()
            self._notifier.clear()
            self._broker.clear()
        if wanted.ledger:
            self._room.quota.clear()
            self._relay.clear()
        if wanted.faults:
            self._room.faults.clear()
        if wanted.tokens:
            self._front.tokens.clear()
            self._oauth.clear()
        return await self.state(request)

    async def outage(self, request: web.Request) -> web.StreamResponse:
        """Shut the port for some real seconds: connections are refused, this API's as well."""
        wanted = await read_document(request, OutageDocument)
        self._front.shut_port(wanted.seconds)
        return json_answer({})

    async def service_account(self, request: web.Request) -> web.StreamResponse:
        """A service account file for this sandbox, as the Cloud console would give it."""
        origin = str(request.url.origin())
        return json_answer(
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
        "language": condition.language,
        "delays": _dumped(condition.delays),
        "foreign_bounce": _dumped(condition.foreign_bounce),
        "auto_reply": _dumped(condition.auto_reply),
        "forwards_to": condition.forwards_to,
        "unread": account.unread,
        "watch": _watch(account),
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


def _dumped(rule: BaseModel | None) -> dict[str, Any] | None:
    return None if rule is None else rule.model_dump()


def _watch(account: Account) -> dict[str, Any] | None:
    watch = account.watch
    if watch is None:
        return None
    return {"topic": watch.topic, "expires": watch.expires, "labels": sorted(watch.labels), "excludes": watch.excludes}
