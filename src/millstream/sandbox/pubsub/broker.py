"""Topics and their subscriptions."""

import itertools
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from millstream.sandbox.pubsub.errors import AlreadyThere, InvalidArgument, NotAllowed, NotThere
from millstream.sandbox.pubsub.settings import SUBSCRIPTION, TOPIC, SubscriptionSettings, TopicSettings
from millstream.sandbox.pubsub.subscription import Published, Subscription

GMAIL_PUBLISHER: Final = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
PUBLISHER_ROLE: Final = "roles/pubsub.publisher"
DELETED_TOPIC: Final = "_deleted-topic_"

_TOPIC = re.compile(TOPIC)
_SUBSCRIPTION = re.compile(SUBSCRIPTION)


@dataclass(slots=True)
class Topic:
    """A topic with its IAM policy: members by role."""

    name: str
    policy: dict[str, list[str]] = field(default_factory=dict)
    published: int = 0

    def lets_publish(self, member: str) -> bool:
        """Whether a member may publish: itself, or everybody."""
        allowed = {one for role in (PUBLISHER_ROLE, "roles/pubsub.admin", "roles/pubsub.editor", "roles/editor")
                   for one in self.policy.get(role, ())}  # fmt: skip
        return not allowed.isdisjoint({member, "allUsers", "allAuthenticatedUsers"})


class Broker:
    """Everything of Pub/Sub in one sandbox. `on_push` is told of every subscription made or changed."""

    def __init__(self, topics: Iterable[TopicSettings], subscriptions: Iterable[SubscriptionSettings]) -> None:
        self._start = (tuple(topics), tuple(subscriptions))
        self._number = itertools.count(8_000_000_000_000_001)
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.on_push: Callable[[Subscription], None] = lambda _subscription: None
        self.clear()

    def clear(self) -> None:
        """Back to the configured topics and empty subscriptions."""
        for subscription in self.subscriptions.values():
            subscription.close()
        self.topics.clear()
        self.subscriptions.clear()
        topics, subscriptions = self._start
        for topic in topics:
            self.open_topic(topic)
        for settings in subscriptions:
            self.open_subscription(settings)

    # Made on demand

    def open_topic(self, settings: TopicSettings) -> Topic:
        """Make a topic, or find it, and give or take Gmail's right to publish."""
        topic = self.topics.setdefault(settings.name, Topic(settings.name))
        members = [one for one in topic.policy.get(PUBLISHER_ROLE, ()) if one != GMAIL_PUBLISHER]
        topic.policy[PUBLISHER_ROLE] = [*members, GMAIL_PUBLISHER] if settings.granted else members
        return topic

    def open_subscription(self, settings: SubscriptionSettings) -> Subscription:
        """Make a subscription, or change it; a topic that is not there is made, with Gmail's right to publish."""
        if settings.topic not in self.topics:
            self.open_topic(TopicSettings(name=settings.topic))
        known = self.subscriptions.get(settings.name)
        if known is None:
            return self.create_subscription(settings)
        known.reset(settings)
        self.on_push(known)
        return known

    # As the API does it

    def create_topic(self, name: str) -> Topic:
        """Make a topic that only its project may publish to."""
        _check(_TOPIC, name)
        if name in self.topics:
            raise AlreadyThere(name)
        self.topics[name] = Topic(name)
        return self.topics[name]

    def topic(self, name: str) -> Topic:
        """A topic; raises `NotThere`."""
        _check(_TOPIC, name)
        if name not in self.topics:
            raise NotThere(name)
        return self.topics[name]

    def delete_topic(self, name: str) -> None:
        """Remove a topic; its subscriptions stay and get nothing more."""
        del self.topics[self.topic(name).name]
        for subscription in self.subscriptions.values():
            if subscription.settings.topic == name:
                subscription.settings = subscription.settings.model_copy(update={"topic": DELETED_TOPIC})

    def create_subscription(self, settings: SubscriptionSettings) -> Subscription:
        """Make a subscription; it gets what is published from now on."""
        self.topic(settings.topic)
        if settings.name in self.subscriptions:
            raise AlreadyThere(settings.name)
        subscription = self.subscriptions[settings.name] = Subscription(settings)
        self.on_push(subscription)
        return subscription

    def subscription(self, name: str) -> Subscription:
        """A subscription; raises `NotThere`."""
        _check(_SUBSCRIPTION, name)
        if name not in self.subscriptions:
            raise NotThere(name)
        return self.subscriptions[name]

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription with all it holds."""
        self.subscription(name).close()
        del self.subscriptions[name]

    def publish(self, name: str, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Publish to a topic; gives the message's id. Raises `NotThere`."""
        topic = self.topic(name)
        message = Published(str(next(self._number)), data, time.time(), dict(attributes or {}))
        topic.published += 1
        for subscription in self.subscriptions.values():
            if subscription.settings.topic == name:
                subscription.put(message)
        return message.id

    def publish_as_gmail(self, name: str, data: bytes) -> str:
        """Publish as Gmail does; raises `NotThere` and `NotAllowed`."""
        if not self.topic(name).lets_publish(GMAIL_PUBLISHER):
            raise NotAllowed
        return self.publish(name, data)


def _check(pattern: re.Pattern[str], name: str) -> None:
    if not pattern.fullmatch(name):
        raise InvalidArgument(name)
