"""Reading a large or odd mailbox: filled in one call, big bodies by id, dates of imports, other people's mailboxes."""

import base64
import time
from typing import Any

from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

BIG = 3_000_000


async def test_a_mailbox_is_filled_in_one_call_and_listed_whole(open_desk: Open) -> None:
    desk = await open_desk(clock_start="2026-11-23T09:00:00+00:00", clock_rate=0.0)
    document = {"count": 1_203, "size": 5_000, "spread_seconds": 60}
    filled = await desk.control("POST", f"mailboxes/{SENDER}/fill", document)
    listed, token = [], ""
    while True:
        page = (await desk.call("GET", f"messages?maxResults=500&labelIds=INBOX&pageToken={token}")).json
        listed += [one["id"] for one in page["messages"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert len(listed) == len(set(listed)) == 1_203
    assert (listed[0], listed[-1]) == (filled["last"], filled["first"])
    first = (await desk.call("GET", f"messages/{filled['first']}?format=metadata")).json
    headers = {one["name"]: one["value"] for one in first["payload"]["headers"]}
    assert (headers["Subject"], headers["From"]) == ("Message 1", "Customer 1 <customer-1@mail.example>")
    assert "dmarc=pass" in headers["Authentication-Results"]
    assert 4_000 < first["sizeEstimate"] < 7_000
    last = (await desk.call("GET", f"messages/{filled['last']}?format=minimal")).json
    assert int(last["internalDate"]) - int(first["internalDate"]) == 1_202 * 60 * 1000
    inbox = (await desk.call("GET", "labels/INBOX")).json
    assert (inbox["messagesTotal"], inbox["messagesUnread"], inbox["threadsUnread"]) == (1_203, 1_203, 1_203)
    assert len(set(map(id, bodies(desk)))) == 1


def bodies(desk: Desk) -> list[bytes]:
    return [message.body for message in desk.running.world.account(SENDER).messages()]


async def test_a_filling_may_be_any_letter_and_carry_any_label(desk: Desk) -> None:
    raw = "From: a{n}@mail.example\r\nSubject: S{n}\r\nMessage-ID: <m{n}@mail.example>\r\n\r\nBody {n}\r\n"
    document = {"count": 3, "raw": raw, "labels": ["SPAM"]}
    await desk.control("POST", f"mailboxes/{SENDER}/fill", document)
    found = (await desk.call("GET", "messages", params={"q": "in:spam rfc822msgid:m2@mail.example"})).json
    assert len(found["messages"]) == 1
    read = (await desk.call("GET", f"messages/{found['messages'][0]['id']}")).json
    assert base64.urlsafe_b64decode(read["payload"]["body"]["data"]) == b"Body 2\r\n"
    wrong = document | {"labels": ["Label_9"]}
    assert (await desk.http("POST", f"/sandbox/v1/mailboxes/{SENDER}/fill", json=wrong)).status == 400


async def test_ten_thousand_mails_at_once_are_all_in_the_history(desk: Desk) -> None:
    start = (await desk.call("GET", "profile")).json["historyId"]
    await desk.control("POST", f"mailboxes/{SENDER}/fill", {"count": 10_000})
    seen: set[str] = set()
    token, pages, begun = "", 0, time.monotonic()
    while True:
        page = (await desk.call("GET", f"history?startHistoryId={start}&maxResults=500&pageToken={token}")).json
        seen |= {one["message"]["id"] for record in page["history"] for one in record["messagesAdded"]}
        token, pages = page.get("nextPageToken", ""), pages + 1
        if not token:
            break
    assert (len(seen), pages) == (10_000, 20)
    assert time.monotonic() - begun < 20  # measured: 0.2 s; each page once cost as much as the whole history


async def test_a_thirty_megabyte_message_is_kept_and_read_raw(desk: Desk) -> None:
    line = base64.b64encode(bytes(57)) + b"\r\n"
    head = b"From: a@mail.example\r\nSubject: big\r\nContent-Type: application/zip; name=a.zip\r\n"
    raw = head + b"Content-Transfer-Encoding: base64\r\n\r\n" + line * (30_000_000 // len(line))
    for method in ("messages", "messages/import"):
        made = (await desk.upload(method, raw)).json
        answer = await desk.call("GET", f"messages/{made['id']}?format=raw")
        assert base64.urlsafe_b64decode(answer.json["raw"]) == raw
        small = (await desk.call("GET", f"messages/{made['id']}?format=metadata")).json
        assert small["sizeEstimate"] == len(raw)


async def test_a_big_text_is_handed_out_by_attachment_id(desk: Desk) -> None:
    text = b"A line of text.\r\n" * (BIG // 17)
    raw = b"From: a@mail.example\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nshort\r\n--b\r\n"
    made = (await desk.upload("messages", raw + b"Content-Type: text/html\r\n\r\n" + text + b"\r\n--b--\r\n")).json
    short, long = (await desk.call("GET", f"messages/{made['id']}")).json["payload"]["parts"]
    assert base64.urlsafe_b64decode(short["body"]["data"]) == b"short"
    assert "data" not in long["body"]
    assert long["body"]["size"] == len(text)
    part = await desk.call("GET", f"messages/{made['id']}/attachments/{long['body']['attachmentId']}")
    assert base64.urlsafe_b64decode(part.json["data"]) == text


async def test_a_report_is_one_attachment_and_the_returned_letter_shows_its_parts(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter("nobody@bank.example"))).json
    _, bounce = (await desk.call("GET", f"threads/{sent['threadId']}")).json["messages"]
    related, report, returned = bounce["payload"]["parts"]
    assert [part["mimeType"] for part in related["parts"]] == ["multipart/alternative", "image/png"]
    assert (report["mimeType"], report.get("parts")) == ("message/delivery-status", None)
    content = await desk.call("GET", f"messages/{bounce['id']}/attachments/{report['body']['attachmentId']}")
    assert b"Status: 5.1.1" in base64.urlsafe_b64decode(content.json["data"])
    (inner,) = returned["parts"]
    assert {"name": "X-Millstream-Delivery", "value": "d-1"} in inner["headers"]


async def test_an_import_takes_its_date_from_the_letter_and_an_insert_from_the_clock(open_desk: Open) -> None:
    desk = await open_desk(clock_start="2026-11-23T09:00:00+00:00", clock_rate=0.0)
    raw = b"From: a@mail.example\r\nMessage-ID: <kept@mail.example>\r\nDate: Mon, 02 Mar 2020 10:00:00 +0100\r\n\r\nx"
    nonsense = b"From: a@mail.example\r\nDate: Mon, 99 Foo 99999 99:99:99\r\n\r\nx"

    async def year(path: str, letter: bytes) -> str:
        answer = await desk.http(
            "POST",
            f"/upload/gmail/v1/users/me/{path}",
            data=letter,
            headers={"Authorization": f"Bearer sandbox:{SENDER}", "Content-Type": "message/rfc822"},
        )
        read = (await desk.call("GET", f"messages/{answer.json['id']}?format=minimal")).json
        return time.strftime("%Y", time.gmtime(int(read["internalDate"]) / 1000))

    assert await year("messages/import?uploadType=media", raw) == "2020"
    assert await year("messages?uploadType=media", raw) == "2026"
    assert await year("messages?uploadType=media&internalDateSource=dateHeader", raw) == "2020"
    assert await year("messages/import?uploadType=media&internalDateSource=receivedTime", raw) == "2026"
    assert await year("messages/import?uploadType=media", nonsense) == "2026"
    body = {"raw": base64.urlsafe_b64encode(raw).decode(), "labelIds": ["INBOX"]}
    assert (await desk.call("POST", "messages?internalDateSource=moon", json=body)).status == 400
    before = (await desk.call("GET", "profile")).json["messagesTotal"]
    gone = (await desk.call("POST", "messages/import?deleted=true", json=body)).json
    assert gone["labelIds"] == ["INBOX"]
    assert (await desk.call("GET", f"messages/{gone['id']}")).status == 404
    assert (await desk.call("GET", "profile")).json["messagesTotal"] == before


async def test_old_mail_that_comes_in_now_is_new_to_the_history_and_to_a_lagging_index(open_desk: Open) -> None:
    desk = await open_desk(clock_rate=0.0, label_lag_seconds=10)
    raw = b"From: a@mail.example\r\nDate: Mon, 02 Mar 2020 10:00:00 +0100\r\n\r\nx"
    await desk.upload("messages/import", raw)
    assert "messages" not in (await desk.call("GET", "messages")).json
    await desk.control("POST", "clock", {"advance": 11})
    assert len((await desk.call("GET", "messages")).json["messages"]) == 1


async def test_labels_that_come_and_go_stand_in_the_history(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter())).json["id"]
    start = (await desk.call("GET", "profile")).json["historyId"]
    for change in ({"addLabelIds": ["STARRED"]}, {"removeLabelIds": ["STARRED"], "addLabelIds": ["IMPORTANT"]}):
        await desk.call("POST", f"messages/{sent}/modify", json=change)
    await desk.call("DELETE", f"messages/{sent}")

    async def told(**query: Any) -> list[tuple[str, list[str]]]:
        answer = await desk.call("GET", "history", params={"startHistoryId": start} | query)
        return [
            (kind, entry.get("labelIds", []))
            for record in answer.json.get("history", ())
            for kind in ("messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved")
            for entry in record.get(kind, ())
        ]

    assert await told() == [
        ("labelsAdded", ["STARRED"]), ("labelsRemoved", ["STARRED"]), ("labelsAdded", ["IMPORTANT"]),
        ("messagesDeleted", []),
    ]  # fmt: skip
    assert await told(historyTypes="labelRemoved") == [("labelsRemoved", ["STARRED"])]
    assert await told(labelId="STARRED") == [("labelsAdded", ["STARRED"]), ("labelsRemoved", ["STARRED"])]


async def test_a_delegates_own_token_does_not_open_the_shared_mailbox(desk: Desk) -> None:
    headers = {"Authorization": f"Bearer sandbox:{COLLEAGUE}"}
    for path in ("messages", "history?startHistoryId=1", "profile", "labels"):
        answer = await desk.http("GET", f"/gmail/v1/users/{SENDER}/{path}", headers=headers)
        assert (answer.status, answer.error["message"]) == (403, f"Delegation denied for {COLLEAGUE}")
    watch = {"topicName": "projects/p/topics/t"}
    assert (await desk.http("POST", f"/gmail/v1/users/{SENDER}/watch", headers=headers, json=watch)).status == 403


async def test_a_trashed_letter_is_out_of_its_labels_list_until_it_is_asked_for(desk: Desk, letter: Letter) -> None:
    await desk.send(letter(COLLEAGUE))
    (one,) = (await desk.call("GET", "messages?labelIds=UNREAD", user=COLLEAGUE)).json["messages"]
    await desk.call("POST", f"messages/{one['id']}/trash", user=COLLEAGUE)
    for query, count in (("labelIds=UNREAD", 0), ("labelIds=UNREAD&includeSpamTrash=true", 1), ("labelIds=TRASH", 1)):
        listed = (await desk.call("GET", f"messages?{query}", user=COLLEAGUE)).json
        assert len(listed.get("messages", ())) == count, query
    threads = (await desk.call("GET", "threads?labelIds=TRASH", user=COLLEAGUE)).json["threads"]
    assert len(threads) == 1


async def test_a_page_of_threads_holds_still_while_an_answer_moves_one_up(desk: Desk, letter: Letter) -> None:
    for number in range(4):
        document = {"sender": "a@mail.example", "recipients": [SENDER], "subject": f"S{number}"}
        await desk.control("POST", "deliver", document)
    first = (await desk.call("GET", "threads?maxResults=2")).json
    second = (await desk.call("GET", f"threads?maxResults=2&pageToken={first['nextPageToken']}")).json
    names = [one["id"] for one in first["threads"] + second["threads"]]
    assert len(set(names)) == 4
    oldest = names[-1]
    await desk.control("POST", f"mailboxes/{SENDER}/messages/{oldest}/reply", {"text": "x"})
    assert (await desk.call("GET", "threads?maxResults=1")).json["threads"][0]["id"] == oldest
