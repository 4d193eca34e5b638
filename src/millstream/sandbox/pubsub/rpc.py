"""Pub/Sub over gRPC: the door for Google's own client, without TLS and without a token, as its emulator is.

Imported only where the door is opened: gRPC and the message types cost memory and half a second.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf import empty_pb2
from google.pubsub_v1 import types
from pydantic import ValidationError

from millstream.sandbox.pubsub.broker import Broker, Topic
from millstream.sandbox.pubsub.errors import InvalidArgument, PubSubRefusal
from millstream.sandbox.pubsub.rest import LONGEST_WAIT
from millstream.sandbox.pubsub.settings import SubscriptionSettings
from millstream.sandbox.pubsub.subscription import Given, Subscription, with_endpoint

HOST: Final = "127.0.0.1"
STREAM_WAIT: Final = 5.0
AT_ONCE: Final = 100
STOP_SECONDS: Final = 0.2

Context = Any
"""`grpc.aio.ServicerContext`: gRPC ships no types."""

Empty: Any = getattr(empty_pb2, "Empty")  # noqa: B009  made when the module is loaded, so no checker sees it
Unary = Callable[[Any], Awaitable[Any]]


_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a taken port must be told
    ("grpc.max_receive_message_length", -1),
    # Google's subscriber pings an idle stream every 30 s; a server with gRPC's defaults hangs up on it.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


class Door:
    """The listening door; `port` is the one it was given, or the free one that was found."""

    def __init__(self, server: grpc.aio.Server, port: int) -> None:
        self._server = server
        self.port = port

    async def close(self) -> None:
        """Stop listening; open streams end."""
        await self._server.stop(STOP_SECONDS)


async def open_door(broker: Broker, port: int) -> Door:
    """Listen on 127.0.0.1; raises `OSError` where the port is taken."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers(tuple(_handlers(broker)))
    try:
        found = server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError as error:
        raise OSError(f"the Pub/Sub port {port} is taken") from error
    await server.start()
    return Door(server, found)


def _handlers(broker: Broker) -> list[grpc.GenericRpcHandler]:
    subscriber, publisher, policies = _Subscriber(broker), _Publisher(broker), _Policies(broker)
    of_subscriber = {
        "CreateSubscription": _unary(subscriber.create, types.Subscription, types.Subscription),
        "GetSubscription": _unary(subscriber.get, types.GetSubscriptionRequest, types.Subscription),
        "ListSubscriptions": _unary(
            subscriber.list, types.ListSubscriptionsRequest, types.ListSubscriptionsResponse
        ),
        "DeleteSubscription": _unary(subscriber.delete, types.DeleteSubscriptionRequest, Empty),
        "Pull": _unary(subscriber.pull, types.PullRequest, types.PullResponse),
        "Acknowledge": _unary(subscriber.acknowledge, types.AcknowledgeRequest, Empty),
        "ModifyAckDeadline": _unary(subscriber.modify_deadline, types.ModifyAckDeadlineRequest, Empty),
        "ModifyPushConfig": _unary(subscriber.modify_push, types.ModifyPushConfigRequest, Empty),
        "StreamingPull": grpc.stream_stream_rpc_method_handler(
            subscriber.stream,
            request_deserializer=types.StreamingPullRequest.deserialize,
            response_serializer=types.StreamingPullResponse.serialize,
        ),
    }  # fmt: skip
    of_publisher = {
        "CreateTopic": _unary(publisher.create, types.Topic, types.Topic),
        "GetTopic": _unary(publisher.get, types.GetTopicRequest, types.Topic),
        "ListTopics": _unary(publisher.list, types.ListTopicsRequest, types.ListTopicsResponse),
        "DeleteTopic": _unary(publisher.delete, types.DeleteTopicRequest, Empty),
        "Publish": _unary(publisher.publish, types.PublishRequest, types.PublishResponse),
    }
    of_policies = {
        "GetIamPolicy": _unary(policies.get, iam_policy_pb2.GetIamPolicyRequest, policy_pb2.Policy),
        "SetIamPolicy": _unary(policies.set, iam_policy_pb2.SetIamPolicyRequest, policy_pb2.Policy),
    }
    return [
        grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", of_subscriber),
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", of_publisher),
        grpc.method_handlers_generic_handler("google.iam.v1.IAMPolicy", of_policies),
    ]


def _unary(work: Unary, request: Any, response: Any) -> grpc.RpcMethodHandler:
    """A method with one request and one answer; proto-plus types and plain messages name their codec differently."""

    async def serve(asked: Any, context: Context) -> Any:
        try:
            return await work(asked)
        except PubSubRefusal as refusal:
            return await _abort(context, refusal)

    return grpc.unary_unary_rpc_method_handler(
        serve,
        request_deserializer=getattr(request, "deserialize", None) or request.FromString,
        response_serializer=getattr(response, "serialize", None) or response.SerializeToString,
    )


async def _abort(context: Context, refusal: PubSubRefusal) -> Any:
    await context.abort(grpc.StatusCode[refusal.status], refusal.message)


class _Subscriber:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def create(self, asked: types.Subscription) -> types.Subscription:
        fields = {
            "name": asked.name,
            "topic": asked.topic,
            "ack_deadline": asked.ack_deadline_seconds or 10,
            **_push_fields(asked.push_config),
        }
        try:
            settings = SubscriptionSettings.model_validate(fields)
        except ValidationError as error:
            raise InvalidArgument(str(error.errors()[0]["loc"])) from None
        return _subscription(self._broker.create_subscription(settings))

    async def get(self, asked: types.GetSubscriptionRequest) -> types.Subscription:
        return _subscription(self._broker.subscription(asked.subscription))

    async def list(self, asked: types.ListSubscriptionsRequest) -> types.ListSubscriptionsResponse:
        found = [one for one in self._broker.subscriptions.values() if one.name.startswith(f"{asked.project}/")]
        return types.ListSubscriptionsResponse(subscriptions=[_subscription(one) for one in found])

    async def delete(self, asked: types.DeleteSubscriptionRequest) -> Any:
        self._broker.delete_subscription(asked.subscription)
        return Empty()

    async def pull(self, asked: types.PullRequest) -> types.PullResponse:
        subscription = self._broker.subscription(asked.subscription)
        if asked.max_messages < 1:
            raise InvalidArgument("max_messages")
        given = await subscription.pull(asked.max_messages, wait=0.0 if asked.return_immediately else LONGEST_WAIT)
        return types.PullResponse(received_messages=[_received(one) for one in given])

    async def acknowledge(self, asked: types.AcknowledgeRequest) -> Any:
        self._broker.subscription(asked.subscription).acknowledge(asked.ack_ids)
        return Empty()

    async def modify_deadline(self, asked: types.ModifyAckDeadlineRequest) -> Any:
        self._broker.subscription(asked.subscription).extend(asked.ack_ids, asked.ack_deadline_seconds)
        return Empty()

    async def modify_push(self, asked: types.ModifyPushConfigRequest) -> Any:
        subscription, push = self._broker.subscription(asked.subscription), _push_fields(asked.push_config)
        try:
            changed = with_endpoint(
                subscription.settings, push["push_endpoint"], push["push_account"], push["push_audience"]
            )
        except ValidationError:
            raise InvalidArgument("push_config") from None
        subscription.reset(changed)
        self._broker.on_push(subscription)
        return Empty()

    async def stream(
        self, requests: AsyncIterator[types.StreamingPullRequest], context: Context
    ) -> AsyncIterator[types.StreamingPullResponse]:
        """Streaming pull: the first request names the subscription, later ones acknowledge and extend."""
        first = await anext(requests, None)
        if first is None:
            return
        try:
            subscription = self._broker.subscription(first.subscription)
        except PubSubRefusal as refusal:
            await _abort(context, refusal)
            return
        stream = _Stream(subscription, first)
        listening = asyncio.create_task(stream.listen(requests))
        try:
            while not listening.done() and not subscription.is_closed:
                given = await stream.next()
                if given:
                    yield types.StreamingPullResponse(received_messages=[_received(one) for one in given])
            if subscription.is_closed:
                await context.abort(grpc.StatusCode.NOT_FOUND, "The subscription was deleted.")
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
                await listening


class _Stream:
    """One streaming pull: what it holds unacknowledged, and how much it may."""

    def __init__(self, subscription: Subscription, first: types.StreamingPullRequest) -> None:
        self._subscription = subscription
        self._most = first.max_outstanding_messages or 0
        self._deadline = float(first.stream_ack_deadline_seconds or subscription.settings.ack_deadline)
        self._held: set[str] = set()
        self._room = asyncio.Event()

    async def listen(self, requests: AsyncIterator[types.StreamingPullRequest]) -> None:
        """Do what the client says until it hangs up."""
        async for asked in requests:
            self._subscription.acknowledge(asked.ack_ids)
            self._held.difference_update(asked.ack_ids)
            for ack_id, seconds in zip(asked.modify_deadline_ack_ids, asked.modify_deadline_seconds, strict=False):
                self._subscription.extend((ack_id,), seconds)
                if not seconds:
                    self._held.discard(ack_id)
            if asked.stream_ack_deadline_seconds:
                self._deadline = float(asked.stream_ack_deadline_seconds)
            self._room.set()

    async def next(self) -> list[Given]:
        """The next messages; none after some seconds, or while the client holds as many as it wants."""
        most = AT_ONCE if self._most <= 0 else min(AT_ONCE, self._most - len(self._subscription.still_held(self._held)))
        if most <= 0:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._room.wait()
            return []
        given = await self._subscription.pull(most, wait=STREAM_WAIT, deadline=self._deadline)
        self._held.update(one.ack_id for one in given)
        return given


class _Publisher:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def create(self, asked: types.Topic) -> types.Topic:
        return types.Topic(name=self._broker.create_topic(asked.name).name)

    async def get(self, asked: types.GetTopicRequest) -> types.Topic:
        return types.Topic(name=self._broker.topic(asked.topic).name)

    async def list(self, asked: types.ListTopicsRequest) -> types.ListTopicsResponse:
        found = [name for name in self._broker.topics if name.startswith(f"{asked.project}/")]
        return types.ListTopicsResponse(topics=[types.Topic(name=name) for name in found])

    async def delete(self, asked: types.DeleteTopicRequest) -> Any:
        self._broker.delete_topic(asked.topic)
        return Empty()

    async def publish(self, asked: types.PublishRequest) -> types.PublishResponse:
        if not asked.messages:
            raise InvalidArgument("messages")
        ids = [self._broker.publish(asked.topic, one.data, dict(one.attributes)) for one in asked.messages]
        return types.PublishResponse(message_ids=ids)


class _Policies:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def get(self, asked: iam_policy_pb2.GetIamPolicyRequest) -> policy_pb2.Policy:
        return _policy(self._broker.topic(asked.resource))

    async def set(self, asked: iam_policy_pb2.SetIamPolicyRequest) -> policy_pb2.Policy:
        topic = self._broker.topic(asked.resource)
        topic.policy = {binding.role: list(binding.members) for binding in asked.policy.bindings}
        return _policy(topic)


def _policy(topic: Topic) -> policy_pb2.Policy:
    bindings = [policy_pb2.Binding(role=role, members=members) for role, members in topic.policy.items() if members]
    return policy_pb2.Policy(version=1, etag=b"sandbox", bindings=bindings)


def _push_fields(push: types.PushConfig) -> dict[str, str]:
    return {
        "push_endpoint": push.push_endpoint,
        "push_account": push.oidc_token.service_account_email,
        "push_audience": push.oidc_token.audience,
    }


def _subscription(subscription: Subscription) -> types.Subscription:
    settings = subscription.settings
    push = types.PushConfig(push_endpoint=settings.push_endpoint)
    if settings.push_endpoint and settings.push_account:
        push.oidc_token = types.PushConfig.OidcToken(
            service_account_email=settings.push_account, audience=settings.push_audience
        )
    return types.Subscription(
        name=subscription.name,
        topic=settings.topic,
        push_config=push,
        ack_deadline_seconds=settings.ack_deadline,
        state=types.Subscription.State.ACTIVE,
    )


def _received(given: Given) -> types.ReceivedMessage:
    message = given.message
    return types.ReceivedMessage(
        ack_id=given.ack_id,
        message=types.PubsubMessage(
            data=message.data,
            attributes=dict(message.attributes),
            message_id=message.id,
            publish_time=datetime.fromtimestamp(message.published, UTC),
        ),
    )
