"""Pub/Sub over HTTP, as its discovery document (pubsub.v1) describes it."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import ValidationError

from millstream.sandbox.pubsub.broker import Broker, Topic
from millstream.sandbox.pubsub.errors import InvalidArgument, PubSubRefusal
from millstream.sandbox.pubsub.push import message_document
from millstream.sandbox.pubsub.settings import SubscriptionSettings
from millstream.sandbox.pubsub.subscription import Subscription, with_endpoint

LONGEST_WAIT: Final = 20.0
"""Real seconds that a pull waits for a message. Google's is not on record; it says "a bounded amount of time"."""

Document = dict[str, Any]
Handler = Callable[[str, Document], Awaitable[Document]]
Admit = Callable[[web.Request], web.Response | None]
_STATE: Final = "ACTIVE"
_RETENTION: Final = "604800s"


class Rest:
    """Serves `/v1/projects/{project}/topics/…` and `…/subscriptions/…`; `admit` says who may not."""

    def __init__(self, broker: Broker, admit: Admit) -> None:
        self._broker = broker
        self._admit = admit

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every path."""
        topic = "/v1/{name:projects/[^/]+/topics/[^/:]+}"
        subscription = "/v1/{name:projects/[^/]+/subscriptions/[^/:]+}"
        table: list[tuple[str, str, Handler]] = [
            ("PUT", topic, self.create_topic),
            ("GET", topic, self.get_topic),
            ("DELETE", topic, self.delete_topic),
            ("GET", f"{topic}/subscriptions", self.subscriptions_of),
            ("POST", f"{topic}:publish", self.publish),
            ("GET", f"{topic}:getIamPolicy", self.get_policy),
            ("POST", f"{topic}:setIamPolicy", self.set_policy),
            ("POST", f"{topic}:testIamPermissions", self.test_permissions),
            ("GET", "/v1/{name:projects/[^/]+}/topics", self.list_topics),
            ("PUT", subscription, self.create_subscription),
            ("GET", subscription, self.get_subscription),
            ("DELETE", subscription, self.delete_subscription),
            ("POST", f"{subscription}:pull", self.pull),
            ("POST", f"{subscription}:acknowledge", self.acknowledge),
            ("POST", f"{subscription}:modifyAckDeadline", self.modify_deadline),
            ("POST", f"{subscription}:modifyPushConfig", self.modify_push),
            ("GET", "/v1/{name:projects/[^/]+}/subscriptions", self.list_subscriptions),
        ]
        return [web.RouteDef(verb, path, self._served(handler), {}) for verb, path, handler in table]

    def _served(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            refused = self._admit(request)
            if refused is not None:
                return refused
            try:
                document = _document(await request.read())
                return web.json_response(await handler(request.match_info["name"], document))
            except PubSubRefusal as refusal:
                return _refused(refusal)
            except (AttributeError, TypeError):
                return _refused(InvalidArgument("body"))  # a document in another shape than the API's

        return serve

    # Topics

    async def create_topic(self, name: str, _document: Document) -> Document:
        """topics.create."""
        return _topic(self._broker.create_topic(name))

    async def get_topic(self, name: str, _document: Document) -> Document:
        """topics.get."""
        return _topic(self._broker.topic(name))

    async def list_topics(self, name: str, _document: Document) -> Document:
        """topics.list, all on one page."""
        found = [_topic(one) for one in self._broker.topics.values() if one.name.startswith(f"{name}/")]
        return {"topics": found} if found else {}

    async def delete_topic(self, name: str, _document: Document) -> Document:
        """topics.delete."""
        self._broker.delete_topic(name)
        return {}

    async def subscriptions_of(self, name: str, _document: Document) -> Document:
        """topics.subscriptions.list: names alone."""
        topic = self._broker.topic(name).name
        found = [one.name for one in self._broker.subscriptions.values() if one.settings.topic == topic]
        return {"subscriptions": found} if found else {}

    async def publish(self, name: str, document: Document) -> Document:
        """topics.publish."""
        messages = document.get("messages") or []
        if not messages:
            raise InvalidArgument("messages")
        contents = [(_bytes(one.get("data", "")), one.get("attributes")) for one in messages]
        return {"messageIds": [self._broker.publish(name, data, attributes) for data, attributes in contents]}

    async def get_policy(self, name: str, _document: Document) -> Document:
        """topics.getIamPolicy."""
        return _policy(self._broker.topic(name))

    async def set_policy(self, name: str, document: Document) -> Document:
        """topics.setIamPolicy: takes the place of the whole policy."""
        topic = self._broker.topic(name)
        bindings = (document.get("policy") or {}).get("bindings") or []
        topic.policy = {str(one.get("role")): list(map(str, one.get("members") or ())) for one in bindings}
        return _policy(topic)

    async def test_permissions(self, name: str, document: Document) -> Document:
        """topics.testIamPermissions: who may call at all owns the project here."""
        self._broker.topic(name)
        return {"permissions": document.get("permissions") or []}

    # Subscriptions

    async def create_subscription(self, name: str, document: Document) -> Document:
        """subscriptions.create."""
        push = document.get("pushConfig") or {}
        fields = {
            "name": name,
            "topic": document.get("topic"),
            "ack_deadline": document.get("ackDeadlineSeconds") or 10,
            **_push_fields(push),
        }
        return _subscription(self._broker.create_subscription(_settings(fields)))

    async def get_subscription(self, name: str, _document: Document) -> Document:
        """subscriptions.get."""
        return _subscription(self._broker.subscription(name))

    async def list_subscriptions(self, name: str, _document: Document) -> Document:
        """subscriptions.list, all on one page."""
        found = [_subscription(one) for one in self._broker.subscriptions.values() if one.name.startswith(f"{name}/")]
        return {"subscriptions": found} if found else {}

    async def delete_subscription(self, name: str, _document: Document) -> Document:
        """subscriptions.delete."""
        self._broker.delete_subscription(name)
        return {}

    async def pull(self, name: str, document: Document) -> Document:
        """subscriptions.pull."""
        subscription = self._broker.subscription(name)
        most = document.get("maxMessages")
        if not isinstance(most, int) or most < 1:
            raise InvalidArgument("max_messages")
        wait = 0.0 if document.get("returnImmediately") else LONGEST_WAIT
        given = await subscription.pull(most, wait=wait)
        received = [{"ackId": one.ack_id, "message": message_document(one)} for one in given]
        return {"receivedMessages": received} if received else {}

    async def acknowledge(self, name: str, document: Document) -> Document:
        """subscriptions.acknowledge."""
        self._broker.subscription(name).acknowledge(_ack_ids(document))
        return {}

    async def modify_deadline(self, name: str, document: Document) -> Document:
        """subscriptions.modifyAckDeadline."""
        subscription, seconds = self._broker.subscription(name), document.get("ackDeadlineSeconds", 0)
        if not isinstance(seconds, int) or not 0 <= seconds <= 600:  # noqa: PLR2004  Pub/Sub's own bounds
            raise InvalidArgument("ack_deadline_seconds")
        subscription.extend(_ack_ids(document), seconds)
        return {}

    async def modify_push(self, name: str, document: Document) -> Document:
        """subscriptions.modifyPushConfig; an empty one makes it a pull subscription."""
        subscription = self._broker.subscription(name)
        push = _push_fields(document.get("pushConfig") or {})
        try:
            changed = with_endpoint(
                subscription.settings, push["push_endpoint"], push["push_account"], push["push_audience"]
            )
        except ValidationError:
            raise InvalidArgument("push_config") from None
        subscription.reset(changed)
        self._broker.on_push(subscription)
        return {}


def _refused(refusal: PubSubRefusal) -> web.Response:
    error = {"code": refusal.code, "message": refusal.message, "status": refusal.status}
    return web.json_response({"error": error}, status=refusal.code)


def _document(body: bytes) -> Document:
    try:
        document = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError:
        raise InvalidArgument("body") from None
    if not isinstance(document, dict):
        raise InvalidArgument("body")
    return document


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument("data") from None


def _ack_ids(document: Document) -> list[str]:
    ids = document.get("ackIds")
    if not ids or not isinstance(ids, list):
        raise InvalidArgument("ack_ids")
    return [str(one) for one in ids]


def _settings(fields: Document) -> SubscriptionSettings:
    try:
        return SubscriptionSettings.model_validate(fields)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        raise InvalidArgument(str(place[0]) if place else "push_config") from None


def _push_fields(push: Document) -> dict[str, str]:
    """A push configuration without a token's account sends none, as with Google."""
    token = push.get("oidcToken") or {}
    return {
        "push_endpoint": str(push.get("pushEndpoint") or ""),
        "push_account": str(token.get("serviceAccountEmail") or ""),
        "push_audience": str(token.get("audience") or ""),
    }


def _topic(topic: Topic) -> Document:
    return {"name": topic.name, "state": _STATE}


def _policy(topic: Topic) -> Document:
    bindings = [{"role": role, "members": members} for role, members in topic.policy.items() if members]
    return {"version": 1, "etag": "ACAB"} | ({"bindings": bindings} if bindings else {})


def _subscription(subscription: Subscription) -> Document:
    settings = subscription.settings
    push: Document = {}
    if settings.push_endpoint:
        push["pushEndpoint"] = settings.push_endpoint
        if settings.push_account:
            push["oidcToken"] = {"serviceAccountEmail": settings.push_account, "audience": settings.push_audience}
    return {
        "name": subscription.name,
        "topic": settings.topic,
        "pushConfig": push,
        "ackDeadlineSeconds": settings.ack_deadline,
        "messageRetentionDuration": _RETENTION,
        "state": _STATE,
    }
