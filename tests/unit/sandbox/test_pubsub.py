"""Subscriptions without a wire: at least once, deadlines, and who waits."""

import asyncio

import pytest

from millstream.sandbox.pubsub.broker import Broker
from millstream.sandbox.pubsub.errors import InvalidArgument, NotAllowed, NotThere
from millstream.sandbox.pubsub.settings import SubscriptionSettings, TopicSettings
from millstream.sandbox.pubsub.subscription import Given

TOPIC, NAME = "projects/p/topics/t", "projects/p/subscriptions/s"


@pytest.fixture
def broker():
    return Broker((), (SubscriptionSettings(name=NAME, topic=TOPIC),))


async def test_a_lease_that_ends_brings_the_message_again(broker):
    subscription = broker.subscription(NAME)
    broker.publish(TOPIC, b"x")
    (first,) = await subscription.pull(10, wait=0, deadline=0.2)
    assert await subscription.pull(10, wait=0) == []
    (second,) = await subscription.pull(10, wait=5)
    assert (first.message, first.attempt, second.attempt) == (second.message, 1, 2)
    subscription.acknowledge([first.ack_id])  # too late: it is passed over
    assert subscription.backlog == 1
    subscription.acknowledge([second.ack_id, "unknown"])
    assert (subscription.backlog, subscription.acknowledged, subscription.redelivered) == (0, 1, 1)


async def test_a_deadline_is_moved_on_or_given_up(broker):
    subscription = broker.subscription(NAME)
    broker.publish(TOPIC, b"x")
    (first,) = await subscription.pull(1, wait=0, deadline=0.02)
    subscription.extend([first.ack_id], 60)
    assert await subscription.pull(1, wait=0.05) == []
    subscription.extend([first.ack_id], 0)
    assert [one.message.data for one in await subscription.pull(1, wait=0)] == [b"x"]


async def test_who_waits_gets_what_comes_and_no_two_get_the_same(broker):
    subscription = broker.subscription(NAME)

    async def publish() -> list[Given]:
        for data in (b"a", b"b", b"c"):
            broker.publish(TOPIC, data)
        return []

    async with asyncio.timeout(30):  # who is told of nothing looks again after a minute
        pulled = await asyncio.gather(*(subscription.pull(1, wait=60) for _ in range(3)), publish())
    assert sorted(given.message.data for one in pulled for given in one) == [b"a", b"b", b"c"]
    assert [len(one) for one in pulled] == [1, 1, 1, 0]


async def test_who_waits_for_a_subscription_that_goes_away_is_told(broker):
    async def delete() -> None:
        broker.delete_subscription(NAME)

    async with asyncio.timeout(30):  # half as long as who is not told would wait
        pulled, _ = await asyncio.gather(broker.subscription(NAME).pull(1, wait=60), delete())
    assert pulled == []
    with pytest.raises(NotThere):
        broker.subscription(NAME)


async def test_an_answer_holds_no_more_than_was_asked_for(broker):
    for _ in range(5):
        broker.publish(TOPIC, b"x")
    subscription = broker.subscription(NAME)
    assert [len(await subscription.pull(2, wait=0)) for _ in range(4)] == [2, 2, 1, 0]


def test_every_subscription_of_a_topic_gets_a_copy_from_its_beginning_on(broker):
    broker.publish(TOPIC, b"before")
    later = broker.open_subscription(SubscriptionSettings(name=f"{NAME}2", topic=TOPIC))
    broker.publish(TOPIC, b"after")
    assert (broker.subscription(NAME).backlog, later.backlog) == (2, 1)


def test_gmail_publishes_only_where_it_was_let(broker):
    broker.publish_as_gmail(TOPIC, b"x")
    broker.open_topic(TopicSettings(name=TOPIC, granted=False))
    with pytest.raises(NotAllowed):
        broker.publish_as_gmail(TOPIC, b"x")
    with pytest.raises(NotThere):
        broker.publish_as_gmail(f"{TOPIC}2", b"x")
    broker.topic(TOPIC).policy["roles/pubsub.publisher"] = ["allUsers"]
    assert broker.publish_as_gmail(TOPIC, b"x")


def test_a_reset_keeps_what_was_configured_and_no_more(broker):
    broker.publish(TOPIC, b"x")
    broker.create_topic(f"{TOPIC}2")
    broker.clear()
    assert list(broker.topics) == [TOPIC]
    assert broker.subscription(NAME).backlog == 0


@pytest.mark.parametrize("name", ["t", "projects/p/topics/", "projects/p/subscriptions/t", "projects/p/topics/a/b"])
def test_a_name_that_no_topic_has_is_refused(broker, name):
    with pytest.raises(InvalidArgument):
        broker.create_topic(name)
