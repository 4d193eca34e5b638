"""Resumable and multipart uploads, and batches."""

import re

import orjson
from sandbox_desk import SENDER, Answer, Desk, Letter, Open

AUTHORIZED = {"Authorization": f"Bearer sandbox:{SENDER}"}
CHUNK = 262_144


async def begin(desk: Desk, path: str = "messages/send", document: object = None) -> str:
    answer = await desk.http(
        "POST",
        f"/resumable/upload/gmail/v1/users/me/{path}?uploadType=resumable",
        json=document or {},
        headers=AUTHORIZED | {"X-Upload-Content-Type": "message/rfc822"},
    )
    assert answer.status == 200
    return answer.headers["Location"].removeprefix(desk.running.url)


async def put(desk: Desk, session: str, chunk: bytes, span: str) -> Answer:
    return await desk.http("PUT", session, data=chunk, headers=AUTHORIZED | {"Content-Range": f"bytes {span}"})


async def test_a_message_in_chunks_is_sent_with_the_last_one(desk: Desk, letter: Letter) -> None:
    raw = letter() + b"x" * (CHUNK + 100)
    session = await begin(desk)
    first = await put(desk, session, raw[:CHUNK], f"0-{CHUNK - 1}/{len(raw)}")
    assert (first.status, first.headers["Range"]) == (308, f"bytes=0-{CHUNK - 1}")
    assert await desk.delivered() == 0
    last = await put(desk, session, raw[CHUNK:], f"{CHUNK}-{len(raw) - 1}/{len(raw)}")
    assert (last.status, last.json["labelIds"]) == (200, ["SENT"])
    assert await desk.delivered() == 1
    sent = desk.running.world.account(SENDER).message(last.json["id"])
    assert sent.body.endswith(b"x" * (CHUNK + 100))


async def test_an_interrupted_upload_says_how_far_it_came(desk: Desk, letter: Letter) -> None:
    raw = letter() + b"x" * CHUNK
    session = await begin(desk)
    asked = await put(desk, session, b"", f"*/{len(raw)}")
    assert (asked.status, "Range" in asked.headers) == (308, False)
    await put(desk, session, raw[:CHUNK], f"0-{CHUNK - 1}/{len(raw)}")
    asked = await put(desk, session, b"", f"*/{len(raw)}")
    assert (asked.status, asked.headers["Range"]) == (308, f"bytes=0-{CHUNK - 1}")


async def test_a_finished_upload_answers_again_and_sends_once(desk: Desk, letter: Letter) -> None:
    raw = letter()
    session = await begin(desk)
    first = await put(desk, session, raw, f"0-{len(raw) - 1}/{len(raw)}")
    again = await put(desk, session, b"", f"*/{len(raw)}")
    assert again.json == first.json
    assert await desk.delivered() == 1


async def test_a_resumable_draft_keeps_its_metadata_and_can_be_cancelled(desk: Desk, letter: Letter) -> None:
    thread = (await desk.send(letter())).json["threadId"]
    raw = letter()
    session = await begin(desk, "drafts", {"message": {"threadId": thread}})
    draft = await put(desk, session, raw, f"0-{len(raw) - 1}/{len(raw)}")
    assert draft.json["message"]["threadId"] == thread
    other = await begin(desk, "drafts")
    assert (await desk.http("DELETE", other, headers=AUTHORIZED)).status == 499
    assert (await put(desk, other, raw, f"0-{len(raw) - 1}/{len(raw)}")).status == 404


async def test_chunks_that_do_not_fit_are_refused(desk: Desk) -> None:
    session = await begin(desk)
    assert (await put(desk, session, b"x" * 100, "0-99/1000")).status == 400
    assert (await put(desk, session, b"x" * 100, "500-599/600")).status == 400
    assert (await put(desk, session, b"x" * 100, "nonsense")).status == 400


async def test_an_announced_upload_that_is_too_large_never_begins(open_desk: Open) -> None:
    desk = await open_desk()
    answer = await desk.http(
        "POST",
        "/upload/gmail/v1/users/me/drafts?uploadType=resumable",
        headers=AUTHORIZED | {"X-Upload-Content-Length": "36700161"},
    )
    assert answer.status == 413


async def test_a_multipart_upload_brings_metadata_and_message(desk: Desk, letter: Letter) -> None:
    thread = (await desk.send(letter())).json["threadId"]
    body = (
        b'--cut\r\nContent-Type: application/json\r\n\r\n{"threadId": "' + thread.encode() + b'"}\r\n'
        b"--cut\r\nContent-Type: message/rfc822\r\n\r\n" + letter() + b"\r\n--cut--\r\n"
    )
    answer = await desk.http(
        "POST",
        "/upload/gmail/v1/users/me/messages/send?uploadType=multipart",
        data=body,
        headers=AUTHORIZED | {"Content-Type": "multipart/related; boundary=cut"},
    )
    assert answer.json["threadId"] == thread
    sent = desk.running.world.account(SENDER).message(answer.json["id"])
    assert sent.body == b"The body.\r\n"


async def test_only_messages_may_be_uploaded(desk: Desk) -> None:
    headers = AUTHORIZED | {"Content-Type": "image/png"}
    answer = await desk.http("POST", "/upload/gmail/v1/users/me/drafts?uploadType=media", data=b"x", headers=headers)
    assert (answer.status, "image/png" in answer.error["message"]) == (400, True)


async def batch(desk: Desk, *calls: str, path: str = "/batch/gmail/v1") -> list[tuple[str, int, object]]:
    parts = [
        f"--b\r\nContent-Type: application/http\r\nContent-ID: <item{number}>\r\n\r\n{call}\r\n"
        for number, call in enumerate(calls)
    ]
    headers = AUTHORIZED | {"Content-Type": "multipart/mixed; boundary=b"}
    answer = await desk.http("POST", path, data="".join(parts) + "--b--\r\n", headers=headers)
    assert answer.status == 200, answer.text
    return [_part(text) for text in answer.text.split("--batch_")[1:-1]]


def _part(text: str) -> tuple[str, int, object]:
    outer, inner, body = text.split("\r\n\r\n", 2)
    name = re.search(r"Content-ID: <response-(\w+)>", outer)[1]
    is_json = "application/json" in inner and body.strip()
    return name, int(inner.split()[1]), orjson.loads(body) if is_json else None


async def test_each_call_of_a_batch_has_its_own_answer(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter())).json["id"]
    draft = await desk.draft(letter())
    answers = await batch(
        desk,
        f"GET /gmail/v1/users/me/messages/{sent}?format=minimal HTTP/1.1\r\n\r\n",
        "GET /gmail/v1/users/me/messages/18c0000000000000\r\n\r\n",
        f"DELETE /gmail/v1/users/me/drafts/{draft}\r\n\r\n",
        'POST /gmail/v1/users/me/labels\r\nContent-Type: application/json\r\n\r\n{"name": "Done"}',
        "POST /upload/gmail/v1/users/me/drafts\r\n\r\n",
        "GET /gmail/v1/users/me/profile\r\nAuthorization: Bearer sandbox:colleague@bank.example\r\n\r\n",
    )
    assert [(name, status) for name, status, _ in answers] == [
        ("item0", 200),
        ("item1", 404),
        ("item2", 204),
        ("item3", 200),
        ("item4", 404),
        ("item5", 200),
    ]
    assert answers[0][2]["id"] == sent
    assert answers[1][2]["error"]["status"] == "NOT_FOUND"
    assert answers[5][2]["emailAddress"] == "colleague@bank.example"


async def test_a_batch_costs_what_its_calls_cost(open_desk: Open) -> None:
    desk = await open_desk(limits="google-2026", limit_overrides={"units_per_minute_user": "3/min"}, clock_rate=0.0)
    answers = await batch(desk, *["GET /gmail/v1/users/me/profile\r\n\r\n"] * 5, path="/batch")
    assert [status for _, status, _ in answers] == [200, 200, 200, 403, 403]


async def test_a_batch_of_more_than_a_hundred_calls_is_refused(desk: Desk) -> None:
    assert len(await batch(desk, *["GET /gmail/v1/users/me/profile\r\n\r\n"] * 100)) == 100
    body = "".join("--b\r\nContent-Type: application/http\r\n\r\nGET /gmail/v1/x\r\n\r\n" for _ in range(101))
    headers = AUTHORIZED | {"Content-Type": "multipart/mixed; boundary=b"}
    assert (await desk.http("POST", "/batch", data=body + "--b--", headers=headers)).status == 400
    assert (await desk.http("POST", "/batch", data=b"x", headers=AUTHORIZED)).status == 400


async def test_faults_strike_the_parts_of_a_batch(desk: Desk) -> None:
    await desk.control("POST", "faults", {"point": "before", "kind": "reset", "positions": [2]})
    answers = await batch(desk, *["GET /gmail/v1/users/me/profile\r\n\r\n"] * 3)
    assert [status for _, status, _ in answers] == [200, 503, 200]
