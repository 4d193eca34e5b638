"""Pub/Sub through Google's own clients: the high-level one, the asynchronous one, and REST as its document says."""

import json
from importlib import resources
from queue import Queue
from uuid import uuid4

import google.auth.credentials
import grpc
import pytest
from discovery_schemas import DiscoverySchemas, relocated
from google.api_core.exceptions import AlreadyExists, InvalidArgument, NotFound
from google.cloud import pubsub_v1
from google.iam.v1 import policy_pb2
from google.oauth2.credentials import Credentials
from google.pubsub_v1 import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from letters import letter, raw_field, token
from official_client import WatchedHttp, watched_requests

pytestmark = pytest.mark.sandbox_only

PROJECT = "projects/millstream"
TOPIC = f"{PROJECT}/topics/gmail"
GMAIL = "serviceAccount:gmail-api-push@system.gserviceaccount.com"


def new_name(kind):
    return f"{PROJECT}/{kind}/s{uuid4().hex}"


@pytest.fixture
def emulator(sandbox, monkeypatch):
    """The one setting by which Google's client takes another server than Google's."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{sandbox.pubsub_port}")


@pytest.fixture
def subscriber(emulator):
    with pubsub_v1.SubscriberClient() as client:
        yield client


@pytest.fixture
def publisher(emulator):
    return pubsub_v1.PublisherClient()


@pytest.fixture
def subscription(subscriber):
    name = new_name("subscriptions")
    subscriber.create_subscription(name=name, topic=TOPIC)
    yield name
    subscriber.delete_subscription(subscription=name)


@pytest.fixture
def watched(gmail_service, subscription):
    """The sender's mailbox, watched; the notification that a watch sends at once is put aside by the tests."""
    return gmail_service.users().watch(userId="me", body={"topicName": TOPIC}).execute()


def of(messages, address):
    """What notifications say of one mailbox; the topic is shared by the whole run."""
    told = [json.loads(message.data) for message in messages]
    return [one for one in told if one["emailAddress"] == address]


def test_a_watch_tells_at_once_and_the_client_pulls_and_acknowledges_it(
    subscriber, subscription, watched, sender, control
):
    pulled = subscriber.pull(subscription=subscription, max_messages=10).received_messages
    (told,) = of([one.message for one in pulled], sender)
    assert told == {"emailAddress": sender, "historyId": int(watched["historyId"])}
    subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in pulled])
    (known,) = [one for one in control.call("GET", "pubsub")["subscriptions"] if one["name"] == subscription]
    assert (known["backlog"], known["acknowledged"]) == (0, len(pulled))


def test_the_streaming_client_gets_what_is_published_and_acknowledges_it(subscriber, publisher, subscription, control):
    got = Queue()

    def take(message):
        got.put(message.data)
        message.ack()

    streaming = subscriber.subscribe(subscription, callback=take)
    sent = {f"{token()}".encode() for _ in range(50)}
    for data in sent:
        publisher.publish(TOPIC, data).result(timeout=20)
    seen = set()
    while not sent <= seen:
        seen.add(got.get(timeout=20))
    streaming.cancel()
    streaming.result(timeout=20)
    (known,) = [one for one in control.call("GET", "pubsub")["subscriptions"] if one["name"] == subscription]
    assert known["redelivered"] == 0


def test_a_message_given_back_comes_again(subscriber, publisher, subscription):
    publisher.publish(TOPIC, b"again", kind="test").result(timeout=20)
    first = _one(subscriber, subscription, b"again")
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    second = _one(subscriber, subscription, b"again")
    assert second.message.message_id == first.message.message_id
    assert second.ack_id != first.ack_id
    assert dict(second.message.attributes) == {"kind": "test"}
    subscriber.acknowledge(subscription=subscription, ack_ids=[second.ack_id])


def _one(subscriber, subscription, data):
    """The next message that says this; others of the shared topic are acknowledged."""
    while True:
        for one in subscriber.pull(subscription=subscription, max_messages=1).received_messages:
            if one.message.data == data:
                return one
            subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id])


async def test_the_asynchronous_client_pulls_streams_and_acknowledges(sandbox, publisher, subscription):
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{sandbox.pubsub_port}")
    client = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel))
    publisher.publish(TOPIC, b"one").result(timeout=20)
    pulled = await client.pull(subscription=subscription, max_messages=5)
    assert b"one" in [one.message.data for one in pulled.received_messages]
    await client.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in pulled.received_messages])
    publisher.publish(TOPIC, b"two").result(timeout=20)

    async def asks():
        yield pubsub_v1.types.StreamingPullRequest(subscription=subscription, stream_ack_deadline_seconds=10)

    async for answer in await client.streaming_pull(requests=asks()):
        if b"two" in [one.message.data for one in answer.received_messages]:
            break
    await channel.close()


def test_topics_and_subscriptions_come_and_go_in_googles_words(subscriber, publisher):
    topic, name = new_name("topics"), new_name("subscriptions")
    with pytest.raises(NotFound, match="Resource not found"):
        subscriber.create_subscription(name=name, topic=topic)
    publisher.create_topic(name=topic)
    made = subscriber.create_subscription(name=name, topic=topic)
    assert (made.topic, made.ack_deadline_seconds) == (topic, 10)
    with pytest.raises(AlreadyExists):
        publisher.create_topic(name=topic)
    with pytest.raises(InvalidArgument):
        subscriber.pull(subscription=name, max_messages=0)
    publisher.delete_topic(topic=topic)
    assert subscriber.get_subscription(subscription=name).topic == "_deleted-topic_"
    subscriber.delete_subscription(subscription=name)
    with pytest.raises(NotFound):
        subscriber.pull(subscription=name, max_messages=1)


def test_a_topic_of_ones_own_needs_a_grant_before_gmail_can_publish(gmail_service, publisher):
    topic = new_name("topics")
    with pytest.raises(HttpError) as missing:
        gmail_service.users().watch(userId="me", body={"topicName": topic}).execute()
    publisher.create_topic(name=topic)
    with pytest.raises(HttpError) as refused:
        gmail_service.users().watch(userId="me", body={"topicName": topic}).execute()
    policy = policy_pb2.Policy(bindings=[policy_pb2.Binding(role="roles/pubsub.publisher", members=[GMAIL])])
    publisher.set_iam_policy(request={"resource": topic, "policy": policy})
    assert gmail_service.users().watch(userId="me", body={"topicName": topic}).execute()["expiration"]
    assert missing.value.status_code == 404
    assert missing.value.reason.startswith(f"Error sending test message to Cloud PubSub {topic} : Resource not found")
    assert refused.value.status_code == 403
    assert refused.value.reason == (
        f"Error sending test message to Cloud PubSub {topic} : User not authorized to perform this action."
    )


def test_a_second_topic_waits_for_a_stop(gmail_service, watched, control):
    other = new_name("topics")
    control.call("POST", "topics", {"name": other})
    with pytest.raises(HttpError) as refused:
        gmail_service.users().watch(userId="me", body={"topicName": other}).execute()
    gmail_service.users().stop(userId="me").execute()
    gmail_service.users().watch(userId="me", body={"topicName": other}).execute()
    assert refused.value.status_code == 400
    assert "Only one user push notification client allowed" in refused.value.reason


@pytest.mark.parametrize("topic", ["gmail", "projects/millstream/subscriptions/x", "projects//topics/x", ""])
def test_a_name_that_no_topic_has_is_refused(gmail_service, topic):
    with pytest.raises(HttpError) as refused:
        gmail_service.users().watch(userId="me", body={"topicName": topic}).execute()
    assert refused.value.status_code == 400
    assert refused.value.reason.startswith("Invalid topicName")


@pytest.fixture
def rest(sandbox, sender):
    """Pub/Sub's REST API through Google's client, each answer held against Google's own description."""
    place = resources.files("googleapiclient.discovery_cache.documents") / "pubsub.v1.json"
    document = json.loads(place.read_text("utf-8"))
    http = WatchedHttp()
    credentials: google.auth.credentials.Credentials = Credentials(f"sandbox:{sender}")
    yield build_from_document(
        relocated(document, sandbox.url),
        http=AuthorizedHttp(credentials, http=http),
        requestBuilder=watched_requests(DiscoverySchemas(document), set()),
    ).projects()
    http.close()


def test_rest_makes_publishes_pulls_acknowledges_and_removes(rest):
    topic, name = new_name("topics"), new_name("subscriptions")
    rest.topics().create(name=topic, body={}).execute()
    rest.subscriptions().create(name=name, body={"topic": topic, "ackDeadlineSeconds": 20}).execute()
    assert name in rest.topics().subscriptions().list(topic=topic).execute()["subscriptions"]
    policy = {"policy": {"bindings": [{"role": "roles/pubsub.publisher", "members": [GMAIL]}]}}
    rest.topics().setIamPolicy(resource=topic, body=policy).execute()
    assert rest.topics().getIamPolicy(resource=topic).execute()["bindings"][0]["members"] == [GMAIL]
    message = {"data": "aGk=", "attributes": {"a": "b"}}
    ids = rest.topics().publish(topic=topic, body={"messages": [message, message]}).execute()["messageIds"]
    (one,) = rest.subscriptions().pull(subscription=name, body={"maxMessages": 1}).execute()["receivedMessages"]
    assert one["message"]["data"] == "aGk="
    assert one["message"]["attributes"] == {"a": "b"}
    rest.subscriptions().acknowledge(subscription=name, body={"ackIds": [one["ackId"]]}).execute()
    wanted = {"maxMessages": 10, "returnImmediately": True}
    (other,) = rest.subscriptions().pull(subscription=name, body=wanted).execute()["receivedMessages"]
    assert {one["message"]["messageId"], other["message"]["messageId"]} == set(ids)
    assert rest.subscriptions().pull(subscription=name, body=wanted).execute() == {}
    back = {"ackIds": [other["ackId"]], "ackDeadlineSeconds": 0}
    rest.subscriptions().modifyAckDeadline(subscription=name, body=back).execute()
    assert len(rest.subscriptions().pull(subscription=name, body=wanted).execute()["receivedMessages"]) == 1
    rest.subscriptions().delete(subscription=name).execute()
    rest.topics().delete(topic=topic).execute()
    with pytest.raises(HttpError) as gone:
        rest.topics().get(topic=topic).execute()
    assert gone.value.status_code == 404


def test_rest_refuses_who_has_no_token_and_what_makes_no_sense(rest, wire, sandbox):
    topic = new_name("topics")
    refused, _ = wire.request(f"{sandbox.url}/v1/{topic}", "PUT", body="{}")
    assert refused.status == 401
    rest.topics().create(name=topic, body={}).execute()
    with pytest.raises(HttpError) as taken:
        rest.topics().create(name=topic, body={}).execute()
    assert taken.value.status_code == 409
    for body in ({"topic": "nonsense"}, {"topic": topic, "ackDeadlineSeconds": 5}):
        with pytest.raises(HttpError) as wrong:
            rest.subscriptions().create(name=new_name("subscriptions"), body=body).execute()
        assert wrong.value.status_code == 400


def test_a_letter_to_a_watched_mailbox_is_told_and_history_leads_to_it(
    subscriber, subscription, watched, gmail_service, sender, control
):
    start = watched["historyId"]
    control.advance(seconds=2)
    subject = token()
    control.call("POST", "deliver", {"sender": "a@mail.example", "recipients": [sender], "subject": subject})
    told = []
    while len(told) < 2:
        pulled = subscriber.pull(subscription=subscription, max_messages=10).received_messages
        subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in pulled])
        told += of([one.message for one in pulled], sender)
    records = gmail_service.users().history().list(userId="me", startHistoryId=start).execute()["history"]
    (added,) = [one["message"] for record in records for one in record.get("messagesAdded", ())]
    assert told[-1]["historyId"] >= int(records[-1]["id"])
    found = gmail_service.users().messages().list(userId="me", q=f"subject:{subject}").execute()["messages"]
    assert [one["id"] for one in found] == [added["id"]]


def test_the_sent_copy_of_a_watched_mailbox_is_told_too(
    subscriber, subscription, watched, gmail_service, sender, control
):
    control.advance(seconds=2)
    gmail_service.users().messages().send(userId="me", body=raw_field(letter(sender, "b@mail.example", "x"))).execute()
    told = []
    while len(told) < 2:
        pulled = subscriber.pull(subscription=subscription, max_messages=10).received_messages
        subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in pulled])
        told += of([one.message for one in pulled], sender)
    assert told[1]["historyId"] > told[0]["historyId"]
