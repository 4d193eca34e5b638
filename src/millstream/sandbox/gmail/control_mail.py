"""The part of the control API that writes mail, and the part that concerns Pub/Sub."""

import re
from typing import Any

from aiohttp import web

from millstream.sandbox.gmail import answers
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.api import Room
from millstream.sandbox.gmail.control_documents import (
    AuthenticationByDomain,
    DeliverDocument,
    FillDocument,
    WrittenDocument,
    verdict_of,
)
from millstream.sandbox.gmail.control_wire import Handler, json_answer, read_document
from millstream.sandbox.gmail.filling import Filling, fill, template
from millstream.sandbox.gmail.headers import find, split
from millstream.sandbox.gmail.labels import checked_labels
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.transit import INBOX_LABELS, SPAM_LABELS
from millstream.sandbox.pubsub.broker import Broker
from millstream.sandbox.pubsub.settings import SubscriptionSettings, TopicSettings
from millstream.sandbox.pubsub.subscription import Subscription

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


class ControlMail:
    """Handlers for `control.Control`."""

    def __init__(self, room: Room, broker: Broker) -> None:
        self._room = room
        self._world = room.world
        self._broker = broker

    def table(self) -> list[tuple[str, str, Handler]]:
        """Verbs and paths below `/sandbox/v1/`."""
        return [
            ("POST", "deliver", self.deliver),
            ("POST", "mailboxes/{address}/fill", self.fill),
            ("POST", "mailboxes/{address}/compose", self.compose),
            ("POST", "mailboxes/{address}/messages/{id}/reply", self.reply),
            ("GET", "authentication", self.authentication),
            ("POST", "authentication", self.set_authentication),
            ("GET", "pubsub", self.pubsub),
            ("POST", "topics", self.topic),
            ("POST", "subscriptions", self.subscription),
        ]

    # Mail

    async def deliver(self, request: web.Request) -> web.StreamResponse:
        """Let a message arrive from outside, as if its sender's server had brought it."""
        wanted = await read_document(request, DeliverDocument)
        raw = wanted.message()
        if find(split(raw)[0], "Message-ID") is None:
            # As Gmail's own servers do for mail that comes without one.
            raw = f"Message-ID: <{self._world.new_id()}.SMTPIN_ADDED_MISSING@mx.google.com>\r\n".encode() + raw
        account = self._world.account(wanted.sender) if wanted.sender else None
        if account is not None and account.is_local:
            self._room.quota.charge_send(account, len(wanted.recipients), grace=False)
        found = self._room.transit.relay(
            wanted.sender,
            tuple(map(str.lower, wanted.recipients)),
            raw,
            verdict=verdict_of(wanted.authentication),
            labels=SPAM_LABELS if wanted.spam else INBOX_LABELS,
        )
        return json_answer({"delivered": [_named(message) for message in found]})

    async def fill(self, request: web.Request) -> web.StreamResponse:
        """Put many received messages into a mailbox at once."""
        wanted, address = await read_document(request, FillDocument), request.match_info["address"]
        if not _ADDRESS.fullmatch(address):
            raise web.HTTPBadRequest(text=f"{address} is no address")
        account = self._world.create(address)
        raw = template(wanted.sender, account.address, wanted.subject, wanted.text, wanted.size)
        if wanted.raw is not None:
            raw = wanted.raw.encode()
        labels = checked_labels(account, wanted.labels)
        first, last = await fill(self._world, account, Filling(raw, wanted.count, labels, wanted.spread_seconds))
        return json_answer({"address": account.address, "count": wanted.count, "first": first, "last": last})

    async def compose(self, request: web.Request) -> web.StreamResponse:
        """Write a new mail in a mailbox, as its owner."""
        wanted, account = await read_document(request, WrittenDocument), self._account(request)
        return json_answer(_sent(answers.compose(self._world, self._room.transit, account, wanted.written())))

    async def reply(self, request: web.Request) -> web.StreamResponse:
        """Answer a message, as the owner of the mailbox it lies in."""
        wanted, account = await read_document(request, WrittenDocument), self._account(request)
        message = account.message(request.match_info["id"])
        if message is None:
            raise web.HTTPNotFound(text="no such message")
        sent = answers.answer(
            self._world, self._room.transit, account, message, wanted.written(), everybody=wanted.everybody
        )
        return json_answer(_sent(sent))

    def _account(self, request: web.Request) -> Account:
        account = self._world.account(request.match_info["address"])
        if account is None:
            raise web.HTTPNotFound(text=f"no mailbox {request.match_info['address']}")
        return account

    # Who is believed

    async def authentication(self, _request: web.Request) -> web.StreamResponse:
        """The verdicts by sender domain."""
        found = self._world.verdicts.domains()
        return json_answer(
            {
                "domains": {
                    domain: {"spf": one.spf, "dkim": one.dkim, "dmarc": one.dmarc, "signer": one.signer,
                             "shown": one.shown}
                    for domain, one in found.items()
                }
            }
        )  # fmt: skip

    async def set_authentication(self, request: web.Request) -> web.StreamResponse:
        """Give a sender domain a verdict, or take it back."""
        wanted = await read_document(request, AuthenticationByDomain)
        self._world.verdicts.set(wanted.domain, verdict_of(wanted.verdict))
        return await self.authentication(request)

    # Pub/Sub

    async def pubsub(self, _request: web.Request) -> web.StreamResponse:
        """Topics and subscriptions with their counts."""
        topics = self._broker.topics.values()
        return json_answer(
            {
                "topics": [{"name": one.name, "published": one.published, "policy": one.policy} for one in topics],
                "subscriptions": [_subscription(one) for one in self._broker.subscriptions.values()],
            }
        )

    async def topic(self, request: web.Request) -> web.StreamResponse:
        """Make a topic, or give or take Gmail's right to publish to it."""
        topic = self._broker.open_topic(await read_document(request, TopicSettings))
        return json_answer({"name": topic.name, "policy": topic.policy})

    async def subscription(self, request: web.Request) -> web.StreamResponse:
        """Make a subscription, or change it; its topic is made with it."""
        return json_answer(
            _subscription(self._broker.open_subscription(await read_document(request, SubscriptionSettings)))
        )


def _named(message: Message) -> dict[str, Any]:
    return {"id": message.id, "thread_id": message.thread_id, "address": message.header("Delivered-To")}


def _sent(message: Message) -> dict[str, Any]:
    return {"id": message.id, "thread_id": message.thread_id, "message_id": message.header("Message-ID")}


def _subscription(subscription: Subscription) -> dict[str, Any]:
    return subscription.settings.model_dump() | {
        "backlog": subscription.backlog,
        "acknowledged": subscription.acknowledged,
        "redelivered": subscription.redelivered,
    }
