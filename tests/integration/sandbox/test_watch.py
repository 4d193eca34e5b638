"""Watches and what they tell: labels, a second between two, seven days of life, and notifications that go astray."""

import base64
import json
from typing import Any

import pytest
from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

TOPIC = "projects/p/topics/gmail"
SUBSCRIPTION = "projects/p/subscriptions/reader"
TOKEN = {"Authorization": f"Bearer sandbox:{SENDER}"}


async def watched(open_desk: Open, **settings: Any) -> Desk:
    subscription = {"name": SUBSCRIPTION, "topic": TOPIC}
    defaults: dict[str, Any] = {"clock_rate": 0.0, "subscriptions": (subscription,)}
    return await open_desk(**defaults | settings)


async def watch(desk: Desk, **fields: Any) -> Any:
    answer = await desk.call("POST", "watch", json={"topicName": TOPIC} | fields)
    assert answer.status == 200, answer.text
    return answer.json


async def told(desk: Desk) -> list[dict[str, Any]]:
    """What waits in the subscription; it is acknowledged."""
    wanted = {"maxMessages": 100, "returnImmediately": True}
    answer = await desk.http("POST", f"/v1/{SUBSCRIPTION}:pull", json=wanted, headers=TOKEN)
    received = answer.json.get("receivedMessages", [])
    if received:
        ids = {"ackIds": [one["ackId"] for one in received]}
        assert (await desk.http("POST", f"/v1/{SUBSCRIPTION}:acknowledge", json=ids, headers=TOKEN)).status == 200
    return [json.loads(base64.b64decode(one["message"]["data"])) for one in received]


async def wait(desk: Desk, seconds: float) -> None:
    await desk.control("POST", "clock", {"advance": seconds})


async def test_a_watch_tells_at_once_and_then_of_every_change(open_desk: Open, letter: Letter) -> None:
    desk = await watched(open_desk)
    begun = await watch(desk)
    assert await told(desk) == [{"emailAddress": SENDER, "historyId": int(begun["historyId"])}]
    await wait(desk, 1)
    await desk.send(letter())
    (one,) = await told(desk)
    assert one["historyId"] == int((await desk.call("GET", "profile")).json["historyId"])


async def test_one_notification_a_second_goes_out_and_the_rest_is_lost(open_desk: Open, letter: Letter) -> None:
    desk = await watched(open_desk)
    await watch(desk)
    await told(desk)
    await wait(desk, 1)
    for _ in range(5):
        await desk.send(letter())
    assert len(await told(desk)) == 1
    assert (await desk.control("GET", "state"))["notifications"] == {"sent": 2, "dropped": 4}
    await wait(desk, 1)
    await desk.send(letter())
    assert len(await told(desk)) == 1


async def test_a_watch_lives_seven_days_and_is_renewed(open_desk: Open, letter: Letter) -> None:
    desk = await watched(open_desk)
    now = desk.running.world.clock.seconds()
    assert int((await watch(desk))["expiration"]) == int((now + 7 * 86_400) * 1000)
    await wait(desk, 6 * 86_400)
    await watch(desk)
    await wait(desk, 6 * 86_400)
    await told(desk)
    await desk.send(letter())
    assert len(await told(desk)) == 1
    await wait(desk, 1 * 86_400 + 1)
    await desk.send(letter())
    assert await told(desk) == []
    assert (await desk.control("GET", f"mailboxes/{SENDER}"))["watch"] is None


async def test_a_stop_ends_it_and_to_stop_twice_is_no_error(open_desk: Open, letter: Letter) -> None:
    desk = await watched(open_desk)
    await watch(desk)
    await told(desk)
    for _ in range(2):
        assert (await desk.call("POST", "stop")).status == 204
    await wait(desk, 1)
    await desk.send(letter())
    assert await told(desk) == []


async def test_labels_include_or_exclude_what_is_told(open_desk: Open, letter: Letter) -> None:
    for fields, expected in (
        ({"labelIds": ["INBOX"], "labelFilterBehavior": "include"}, [False, True]),
        ({"labelIds": ["INBOX"], "labelFilterBehavior": "exclude"}, [True, False]),
        ({"labelIds": ["INBOX"], "labelFilterAction": "exclude"}, [True, False]),
        ({"labelIds": ["INBOX"]}, [False, True]),
        ({}, [True, True]),
    ):
        desk = await watched(open_desk)
        await watch(desk, **fields)
        await told(desk)
        await wait(desk, 1)
        await desk.send(letter())
        of_sent = bool(await told(desk))
        await wait(desk, 1)
        await desk.send(letter(SENDER, sender=COLLEAGUE), user=COLLEAGUE)
        assert [of_sent, bool(await told(desk))] == expected, fields


async def test_what_makes_no_sense_is_refused(open_desk: Open) -> None:
    desk = await watched(open_desk, project="millstream", topics=({"name": "projects/millstream/topics/t"},))
    foreign = await desk.call("POST", "watch", json={"topicName": TOPIC})
    assert foreign.error["message"] == "Invalid topicName does not match projects/millstream/topics/*"
    own = {"topicName": "projects/millstream/topics/t"}
    assert (await desk.call("POST", "watch", json=own | {"labelFilterBehavior": "maybe"})).status == 400
    for labels in (["Label_77"], "INBOX", 5, [5], {"a": 1}):
        assert (await desk.call("POST", "watch", json=own | {"labelIds": labels})).status == 400
    assert (await desk.call("POST", "watch", json=own)).status == 200


async def test_a_topic_without_the_grant_is_refused_in_googles_words(open_desk: Open) -> None:
    desk = await watched(open_desk)
    await desk.control("POST", "topics", {"name": TOPIC, "granted": False})
    answer = await desk.call("POST", "watch", json={"topicName": TOPIC})
    assert (answer.status, answer.error["errors"][0]["reason"]) == (403, "forbidden")
    assert answer.error["message"] == (
        f"Error sending test message to Cloud PubSub {TOPIC} : User not authorized to perform this action."
    )
    assert (await desk.control("GET", f"mailboxes/{SENDER}"))["watch"] is None


async def test_a_lost_push_leaves_its_trace_in_history_alone(open_desk: Open, letter: Letter) -> None:
    desk = await watched(open_desk)
    start = (await watch(desk))["historyId"]
    await told(desk)
    await wait(desk, 1)
    rule = {"point": "odd", "kind": "lost_push", "method": "push.notify", "positions": [1]}
    await desk.control("POST", "faults", rule)
    await desk.send(letter())
    assert await told(desk) == []
    assert len((await desk.call("GET", f"history?startHistoryId={start}")).json["history"]) == 1
    await wait(desk, 1)
    await desk.send(letter())
    assert len(await told(desk)) == 1
    assert (await desk.control("GET", "ledger"))["faults"] == {"odd-lost_push": 1}


async def test_a_push_can_come_twice_and_late(open_desk: Open, letter: Letter, eventually: Any) -> None:
    desk = await watched(open_desk)
    await watch(desk)
    await told(desk)
    await wait(desk, 1)
    await desk.control("POST", "faults", {"point": "odd", "kind": "duplicate_push", "method": "push.*"})
    await desk.send(letter())
    first, second = await told(desk)
    assert first == second
    await desk.control("DELETE", "faults")
    late = {"point": "odd", "kind": "slow", "method": "push.notify", "delay": 0.05}
    await desk.control("POST", "faults", late)
    await wait(desk, 1)
    await desk.send(letter())
    notified = desk.running.world
    await eventually(lambda: not notified._timers)
    assert len(await told(desk)) == 1


async def test_a_push_comes_before_history_shows_what_it_tells(open_desk: Open, letter: Letter) -> None:
    desk = await watched(open_desk)
    start = (await watch(desk))["historyId"]
    await told(desk)
    await wait(desk, 2)
    await desk.control("POST", "faults", {"point": "odd", "kind": "lag", "method": "history.list", "delay": 3})
    await desk.send(letter())
    (one,) = await told(desk)
    early = (await desk.call("GET", f"history?startHistoryId={start}")).json
    assert early == {"historyId": start}
    assert one["historyId"] > int(start)
    await wait(desk, 3)
    later = (await desk.call("GET", f"history?startHistoryId={early['historyId']}")).json
    assert len(later["history"]) == 1
    assert int(later["historyId"]) == one["historyId"]


async def test_the_history_id_of_a_lagging_index_never_runs_ahead(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0, label_lag_seconds=5)
    begun = (await desk.call("GET", "profile")).json["historyId"]
    await desk.send(letter())
    assert (await desk.call("GET", "profile")).json["historyId"] == begun
    await wait(desk, 3)
    await desk.send(letter())
    await wait(desk, 3)
    middle = (await desk.call("GET", f"history?startHistoryId={begun}")).json
    assert len(middle["history"]) == 1
    await wait(desk, 3)
    assert len((await desk.call("GET", f"history?startHistoryId={middle['historyId']}")).json["history"]) == 1


async def test_a_page_token_expires_in_the_middle_of_a_sync(desk: Desk, letter: Letter) -> None:
    start = (await desk.call("GET", "profile")).json["historyId"]
    for _ in range(4):
        await desk.send(letter())
    await desk.control("POST", "faults", {"point": "odd", "kind": "expired_page", "times": 2})
    page = (await desk.call("GET", f"history?startHistoryId={start}&maxResults=2")).json
    following = f"history?startHistoryId={start}&maxResults=2&pageToken={page['nextPageToken']}"
    assert (await desk.call("GET", following)).error["message"] == "Invalid pageToken"
    assert len((await desk.call("GET", following)).json["history"]) == 2


@pytest.mark.parametrize(
    ("verb", "path", "document"),
    [
        ("POST", f"{TOPIC}:publish", {"messages": ["x"]}),
        ("POST", f"{TOPIC}:publish", {"messages": [{"data": "%"}]}),
        ("POST", f"{TOPIC}:publish", {"messages": 5}),
        ("POST", f"{TOPIC}:publish", []),
        ("POST", f"{TOPIC}:setIamPolicy", {"policy": {"bindings": ["x"]}}),
        ("POST", f"{SUBSCRIPTION}:pull", {"maxMessages": "many"}),
        ("POST", f"{SUBSCRIPTION}:pull", {}),
        ("POST", f"{SUBSCRIPTION}:acknowledge", {"ackIds": "x"}),
        ("POST", f"{SUBSCRIPTION}:modifyAckDeadline", {"ackIds": ["x"], "ackDeadlineSeconds": 6000}),
        ("POST", f"{SUBSCRIPTION}:modifyPushConfig", {"pushConfig": "x"}),
        ("PUT", f"{SUBSCRIPTION}2", {"topic": TOPIC, "pushConfig": {"pushEndpoint": "no address"}}),
        ("PUT", f"{SUBSCRIPTION}2", {}),
    ],
)
async def test_pubsub_refuses_what_makes_no_sense(open_desk: Open, verb: str, path: str, document: Any) -> None:
    desk = await watched(open_desk)
    answer = await desk.http(verb, f"/v1/{path}", json=document, headers=TOKEN)
    assert (answer.status, answer.error["status"]) == (400, "INVALID_ARGUMENT")
