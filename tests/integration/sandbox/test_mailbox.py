"""Reading and keeping a mailbox: formats, lists, history, labels, search, partial answers."""

import base64
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 4


def with_attachment() -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = SENDER, "anna@example.org", "Auszug für März"
    message.set_content("Plain text with an ümlaut.\n")
    message.add_alternative("<p>HTML</p>", subtype="html")
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="Auszug März.pdf")
    return message.as_bytes()


async def test_the_full_format_is_a_tree_of_decoded_parts(desk: Desk) -> None:
    sent = (await desk.send(with_attachment())).json["id"]
    payload = (await desk.call("GET", f"messages/{sent}")).json["payload"]
    assert {"name": "Subject", "value": "Auszug für März"} in payload["headers"]
    body, attachment = payload["parts"]
    assert [part["partId"] for part in body["parts"]] == ["0.0", "0.1"]
    text = base64.urlsafe_b64decode(body["parts"][0]["body"]["data"]).decode()
    assert text == "Plain text with an ümlaut.\r\n"
    assert (attachment["filename"], attachment["body"]["size"]) == ("Auszug März.pdf", len(PDF))
    assert "data" not in attachment["body"]
    content = await desk.call("GET", f"messages/{sent}/attachments/{attachment['body']['attachmentId']}")
    assert base64.urlsafe_b64decode(content.json["data"]) == PDF
    assert (await desk.call("GET", f"messages/{sent}/attachments/ANGjdJnonsense!")).status == 400


async def test_the_other_formats_show_what_they_should(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter())).json["id"]
    raw = (await desk.call("GET", f"messages/{sent}?format=raw")).json
    assert len(raw["raw"]) % 4 == 0
    assert base64.urlsafe_b64decode(raw["raw"]).endswith(b"\r\n\r\nThe body.\r\n")
    assert raw["sizeEstimate"] == len(base64.urlsafe_b64decode(raw["raw"]))
    minimal = (await desk.call("GET", f"messages/{sent}?format=minimal")).json
    assert "payload" not in minimal
    assert minimal["snippet"] == "The body."
    wanted = "metadataHeaders=x-millstream-delivery&metadataHeaders=Subject"
    metadata = (await desk.call("GET", f"messages/{sent}?format=METADATA&{wanted}")).json["payload"]
    assert [header["name"] for header in metadata["headers"]] == ["X-Millstream-Delivery", "Subject"]
    assert (await desk.call("GET", f"messages/{sent}?format=huge")).status == 400


async def test_lists_are_newest_first_and_pages_hold_still_when_mail_arrives(desk: Desk, letter: Letter) -> None:
    ids = [(await desk.send(letter(f"c{number}@example.org"))).json["id"] for number in range(5)]
    first = (await desk.call("GET", "messages?maxResults=2&labelIds=SENT")).json
    await desk.send(letter())
    token = first["nextPageToken"]
    second = (await desk.call("GET", f"messages?maxResults=2&labelIds=SENT&pageToken={token}")).json
    got = [entry["id"] for entry in first["messages"] + second["messages"]]
    assert got == ids[:0:-1]
    assert (await desk.call("GET", "messages?pageToken=nonsense")).error["message"] == "Invalid pageToken"
    assert (await desk.call("GET", "messages?maxResults=many")).status == 400


async def test_an_empty_list_has_no_list_key(desk: Desk) -> None:
    assert (await desk.call("GET", "messages")).json == {"resultSizeEstimate": 0}
    assert (await desk.call("GET", "drafts")).json == {"resultSizeEstimate": 0}


async def test_history_tells_what_happened_since(desk: Desk, letter: Letter) -> None:
    start = (await desk.call("GET", "profile")).json["historyId"]
    draft = (await desk.upload("drafts", letter())).json
    sent = (await desk.call("POST", "drafts/send", json={"id": draft["id"]})).json
    records = (await desk.call("GET", f"history?startHistoryId={start}")).json
    kinds = [sorted(record.keys() - {"id", "messages"}) for record in records["history"]]
    assert kinds == [["messagesAdded"], ["messagesAdded"], ["messagesDeleted"]]
    assert all(isinstance(record["id"], str) for record in records["history"])
    wanted = f"history?startHistoryId={start}&historyTypes=messageAdded&labelId=SENT"
    only = (await desk.call("GET", wanted)).json["history"]
    assert [entry["messagesAdded"][0]["message"] for entry in only] == [sent]
    assert (await desk.call("GET", f"history?startHistoryId={records['historyId']}")).json == {
        "historyId": records["historyId"]
    }


async def test_history_comes_in_pages(desk: Desk, letter: Letter) -> None:
    start = (await desk.call("GET", "profile")).json["historyId"]
    for _ in range(5):
        await desk.send(letter())
    seen, token = [], ""
    while True:
        page = (await desk.call("GET", f"history?startHistoryId={start}&maxResults=2&pageToken={token}")).json
        seen += [record["id"] for record in page["history"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert len(seen) == len(set(seen)) == 5


async def test_old_and_unknown_history_ids_are_not_found(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0, history_days=7)
    start = (await desk.call("GET", "profile")).json["historyId"]
    await desk.send(letter())
    assert (await desk.call("GET", f"history?startHistoryId={start}")).status == 200
    await desk.control("POST", "clock", {"advance": 8 * 86_400})
    assert (await desk.call("GET", f"history?startHistoryId={start}")).status == 404
    now = (await desk.call("GET", "profile")).json["historyId"]
    assert (await desk.call("GET", f"history?startHistoryId={now}")).status == 200
    assert (await desk.call("GET", "history?startHistoryId=1")).status == 404
    assert (await desk.call("GET", "history")).status == 400


async def test_labels_are_made_renamed_counted_and_removed(desk: Desk, letter: Letter) -> None:
    label = (await desk.call("POST", "labels", json={"name": "Reviewed"})).json
    assert (label["type"], label["id"]) == ("user", "Label_1")
    assert (await desk.call("POST", "labels", json={"name": "reviewed"})).status == 409
    sent = (await desk.send(letter())).json["id"]
    changed = await desk.call("POST", f"messages/{sent}/modify", json={"addLabelIds": [label["id"]]})
    assert changed.json["labelIds"] == ["Label_1", "SENT"]
    renamed = await desk.call("PATCH", "labels/Label_1", json={"name": "Done"})
    assert renamed.json["name"] == "Done"
    counted = (await desk.call("GET", "labels/Label_1")).json
    assert (counted["messagesTotal"], counted["threadsTotal"], counted["messagesUnread"]) == (1, 1, 0)
    names = [entry["name"] for entry in (await desk.call("GET", "labels")).json["labels"]]
    assert {"INBOX", "SENT", "DRAFT", "Done"} <= set(names)
    assert (await desk.call("DELETE", "labels/Label_1")).status == 204
    assert (await desk.call("GET", f"messages/{sent}")).json["labelIds"] == ["SENT"]
    assert (await desk.call("DELETE", "labels/INBOX")).status == 400


async def test_gmails_own_labels_cannot_be_put_on_by_hand(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter())).json["id"]
    for label in ("SENT", "DRAFT", "Label_99"):
        answer = await desk.call("POST", f"messages/{sent}/modify", json={"addLabelIds": [label]})
        assert (answer.status, answer.error["message"]) == (400, f"Invalid label: {label}")


async def test_trash_hides_and_untrash_brings_back(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter())).json["id"]
    assert "TRASH" in (await desk.call("POST", f"messages/{sent}/trash")).json["labelIds"]
    assert "messages" not in (await desk.call("GET", "messages")).json
    assert len((await desk.call("GET", "messages?includeSpamTrash=true")).json["messages"]) == 1
    await desk.call("POST", f"messages/{sent}/untrash")
    assert len((await desk.call("GET", "messages")).json["messages"]) == 1
    assert (await desk.call("DELETE", f"messages/{sent}")).status == 204
    assert (await desk.call("GET", f"messages/{sent}")).status == 404


async def test_many_messages_change_at_once(desk: Desk, letter: Letter) -> None:
    ids = [(await desk.send(letter())).json["id"] for _ in range(3)]
    document = {"ids": [*ids, "18c0000000000000"], "addLabelIds": ["STARRED"]}
    assert (await desk.call("POST", "messages/batchModify", json=document)).status == 204
    assert len((await desk.call("GET", "messages?q=is:starred")).json["messages"]) == 3
    assert (await desk.call("POST", "messages/batchDelete", json={"ids": ids[:2]})).status == 204
    assert len((await desk.call("GET", "messages")).json["messages"]) == 1


async def test_deleting_a_drafts_message_deletes_the_draft(desk: Desk, letter: Letter) -> None:
    draft = (await desk.upload("drafts", letter())).json
    await desk.call("DELETE", f"messages/{draft['message']['id']}")
    assert (await desk.call("GET", f"drafts/{draft['id']}")).status == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("from:statements", 2),
        ("from:me to:anna@example.org", 1),
        ("subject:(second thing)", 1),
        ('subject:"second thing"', 1),
        ("-subject:second", 1),
        ("in:sent", 2),
        ("in:inbox", 0),
        ("is:unread", 0),
        ("-in:chats", 2),
        ("label:starred", 0),
        ("body", 2),
        ("has:attachment", 0),
        ("after:2026/11/22 before:2026/11/24", 2),
        ("after:2026/11/24", 0),
        ("rfc822msgid:{id}", 1),
    ],
)
async def test_the_search_knows_gmails_words(open_desk: Open, letter: Letter, query: str, found: int) -> None:
    desk = await open_desk(clock_start="2026-11-23T09:00:00+00:00", clock_rate=0.0)
    await desk.send(letter())
    other = (await desk.send(letter("bert@example.org", Subject="A second thing"))).json["id"]
    message_id = desk.running.world.account(SENDER).message(other).header("message-id")
    answer = await desk.call("GET", "messages", params={"q": query.format(id=message_id)})
    assert len(answer.json.get("messages", ())) == found


async def test_threads_list_get_and_change_together(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter("nobody@bank.example"))).json
    await desk.send(letter())
    listed = (await desk.call("GET", "threads")).json["threads"]
    assert len(listed) == 2
    assert listed[1]["id"] == sent["threadId"]
    trashed = (await desk.call("POST", f"threads/{sent['threadId']}/trash")).json
    assert all("TRASH" in message["labelIds"] for message in trashed["messages"])
    assert len((await desk.call("GET", "threads")).json["threads"]) == 1
    changed = {"addLabelIds": ["STARRED"]}
    assert (await desk.call("POST", f"threads/{sent['threadId']}/modify", json=changed)).status == 200
    assert (await desk.call("DELETE", f"threads/{sent['threadId']}")).status == 204
    assert (await desk.call("GET", f"threads/{sent['threadId']}")).status == 404


async def test_an_updated_draft_keeps_its_id_and_changes_its_message(desk: Desk, letter: Letter) -> None:
    draft = (await desk.upload("drafts", letter())).json
    raw = base64.urlsafe_b64encode(letter("bert@example.org")).decode()
    updated = (await desk.call("PUT", f"drafts/{draft['id']}", json={"message": {"raw": raw}})).json
    assert updated["id"] == draft["id"]
    assert updated["message"]["id"] != draft["message"]["id"]
    assert updated["message"]["threadId"] == draft["message"]["threadId"]
    await desk.call("POST", "drafts/send", json={"id": draft["id"]})
    assert (await desk.control("GET", "counts"))["by_recipient"] == {"bert@example.org": 1}


async def test_a_send_as_of_the_own_domain_is_accepted_at_once(desk: Desk) -> None:
    own = (await desk.call("POST", "settings/sendAs", json={"sendAsEmail": "news@bank.example"})).json
    foreign = (await desk.call("POST", "settings/sendAs", json={"sendAsEmail": "me@example.net"})).json
    assert (own["verificationStatus"], foreign["verificationStatus"]) == ("accepted", "pending")
    listed = (await desk.call("GET", "settings/sendAs")).json["sendAs"]
    assert [entry["sendAsEmail"] for entry in listed] == [SENDER, "news@bank.example", "me@example.net"]
    assert listed[0]["isPrimary"]
    assert (await desk.call("DELETE", "settings/sendAs/news@bank.example")).status == 204
    assert (await desk.call("GET", "settings/sendAs/news@bank.example")).status == 404


async def test_an_inserted_message_stays_as_it_is(desk: Desk, letter: Letter) -> None:
    raw = letter(Message_ID="<kept@example.net>", Date="Mon, 02 Nov 2026 10:00:00 +0000")
    document = {"raw": base64.urlsafe_b64encode(raw).decode(), "labelIds": ["INBOX", "UNREAD"]}
    made = await desk.call("POST", "messages/import", json=document)
    got = (await desk.call("GET", f"messages/{made.json['id']}?format=raw")).json
    assert base64.urlsafe_b64decode(got["raw"]) == raw
    assert got["internalDate"] == "1793613600000"
    assert await desk.delivered() == 0


async def test_partial_answers_hold_only_the_fields_asked_for(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter())).json["id"]
    answer = await desk.call("GET", f"messages/{sent}", params={"fields": "id,payload(mimeType,headers/name)"})
    assert answer.json.keys() == {"id", "payload"}
    assert answer.json["payload"].keys() == {"mimeType", "headers"}
    assert all(header.keys() == {"name"} for header in answer.json["payload"]["headers"])
    assert (await desk.call("GET", "profile", params={"fields": "a(b"})).status == 400


async def test_a_get_may_come_as_a_post_with_a_form(desk: Desk, letter: Letter) -> None:
    await desk.send(letter())
    answer = await desk.call(
        "POST", "messages", data={"q": "subject:statement"}, headers={"X-HTTP-Method-Override": "GET"}
    )
    assert len(answer.json["messages"]) == 1


async def test_paths_the_api_does_not_have_get_the_front_ends_page(desk: Desk) -> None:
    for verb, path in (("GET", "nothing"), ("POST", "profile"), ("GET", "messages/1/2/3")):
        answer = await desk.call(verb, path)
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (404, "text/html")


async def test_a_customer_reads_what_arrived(desk: Desk, letter: Letter) -> None:
    await desk.send(letter(COLLEAGUE))
    await desk.send(letter())
    for address in (COLLEAGUE, "anna@example.org"):
        listed = (await desk.call("GET", "messages?q=is:unread", user=address)).json["messages"]
        read = await desk.call(
            "POST", f"messages/{listed[0]['id']}/modify", user=address, json={"removeLabelIds": ["UNREAD"]}
        )
        assert read.json["labelIds"] == ["INBOX"]
