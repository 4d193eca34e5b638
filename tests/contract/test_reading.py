"""The reading half through Google's own client: history in pages, imports, reports, answers, big letters."""

import base64
from email import message_from_bytes
from email.policy import default

import pytest
from googleapiclient.errors import HttpError
from letters import header, letter, raw_field, token, upload, with_document

pytestmark = pytest.mark.sandbox_only

PAST = "Mon, 02 Mar 2020 10:00:00 +0100"


@pytest.fixture
def users(gmail_service):
    return gmail_service.users()


def pages(method, following, **query):
    """Every page of a list, as Google's client goes from one to the next."""
    request = method(userId="me", **query)
    while request is not None:
        page = request.execute()
        yield page
        request = following(request, page)


def test_history_goes_from_page_to_page_and_tells_every_kind_of_change(users, control, sender):
    start = users.getProfile(userId="me").execute()["historyId"]
    control.call("POST", f"mailboxes/{sender}/fill", {"count": 7})
    one, *rest = [entry["id"] for entry in users.messages().list(userId="me").execute()["messages"]]
    users.messages().modify(userId="me", id=one, body={"addLabelIds": ["STARRED"]}).execute()
    users.messages().batchModify(userId="me", body={"ids": rest, "removeLabelIds": ["UNREAD"]}).execute()
    users.messages().trash(userId="me", id=one).execute()
    users.messages().delete(userId="me", id=rest[0]).execute()
    history = users.history()
    seen = list(pages(history.list, history.list_next, startHistoryId=start, maxResults=3))
    records = [record for page in seen for record in page.get("history", ())]
    assert len(seen) > 3
    assert [int(record["id"]) for record in records] == sorted({int(record["id"]) for record in records})
    counted = {
        kind: sum(len(record.get(kind, ())) for record in records)
        for kind in ("messagesAdded", "labelsAdded", "labelsRemoved", "messagesDeleted")
    }
    assert counted == {"messagesAdded": 7, "labelsAdded": 2, "labelsRemoved": 7, "messagesDeleted": 1}
    assert seen[-1]["historyId"] == users.getProfile(userId="me").execute()["historyId"]


def test_every_letter_of_a_full_mailbox_is_listed_once(users, control, sender):
    control.call("POST", f"mailboxes/{sender}/fill", {"count": 1_050})
    for resource, key in ((users.messages(), "messages"), (users.threads(), "threads")):
        found = [
            one["id"] for page in pages(resource.list, resource.list_next, maxResults=500) for one in page.get(key, ())
        ]
        assert len(found) == len(set(found)) == 1_050


def test_an_import_keeps_the_letter_as_it_is_and_its_date(users, sender, recipient):
    content = letter(recipient, sender, token(), headers={"Date": PAST, "Message-ID": f"<{token()}@mail.example>"})
    made = users.messages().import_(userId="me", body=raw_field(content) | {"labelIds": ["INBOX", "UNREAD"]}).execute()
    read = users.messages().get(userId="me", id=made["id"], format="raw").execute()
    assert base64.urlsafe_b64decode(read["raw"]) == content
    assert int(read["internalDate"]) == 1_583_139_600_000
    assert set(read["labelIds"]) == {"INBOX", "UNREAD"}
    inserted = (
        users.messages().insert(userId="me", body=raw_field(content), internalDateSource="receivedTime").execute()
    )
    dated = users.messages().get(userId="me", id=inserted["id"], format="minimal").execute()
    assert int(dated["internalDate"]) > 1_583_139_600_000


def test_a_letter_of_thirty_megabytes_is_uploaded_in_chunks_and_read_whole(users, sender, recipient):
    content = with_document(sender, recipient, token(), bytes(range(256)) * 86_000)
    media = upload(content, resumable=True)
    made = users.messages().insert(userId="me", body={"labelIds": ["INBOX"]}, media_body=media).execute()
    raw = users.messages().get(userId="me", id=made["id"], format="raw").execute()["raw"]
    assert base64.urlsafe_b64decode(raw) == content


def test_a_report_is_read_with_the_letter_it_returns(users, control, sender):
    lost, key = f"anna-{token()}@mail.example", token()
    control.mailbox(lost, rejects="5.2.2")
    control.mailbox(sender, language="de")
    content = letter(sender, lost, token(), headers={"X-Millstream-Delivery": key})
    sent = users.messages().send(userId="me", body=raw_field(content)).execute()
    _, bounce = users.threads().get(userId="me", id=sent["threadId"]).execute()["messages"]
    raw = users.messages().get(userId="me", id=bounce["id"], format="raw").execute()["raw"]
    message = message_from_bytes(base64.urlsafe_b64decode(raw), policy=default)
    assert header(bounce, "Authentication-Results").startswith("mx.google.com;")
    assert "Postfach des Empfängers voll" in message.get_body(("plain",)).get_content()
    (report,) = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
    assert report.get_payload()[1]["Status"] == "5.2.2"
    assert bounce["payload"]["parts"][1]["mimeType"] == "message/delivery-status"
    inner = bounce["payload"]["parts"][2]["parts"][0]
    assert key in [one["value"] for one in inner["headers"]]


def test_a_customers_answer_is_found_in_the_thread_by_search_and_by_label(users, control, sender, recipient):
    subject = token()
    sent = users.messages().send(userId="me", body=raw_field(letter(sender, recipient, subject))).execute()
    (arrived,) = control.messages(recipient)
    control.call("POST", f"mailboxes/{recipient}/messages/{arrived['id']}/reply", {"text": "Thank you."})
    for query in (f"subject:{subject} in:inbox", f"from:{recipient} newer_than:1d", "is:unread to:me"):
        (found,) = users.messages().list(userId="me", q=query).execute()["messages"]
        assert found["threadId"] == sent["threadId"]
    answer = users.messages().get(userId="me", id=found["id"]).execute()
    assert answer["snippet"].startswith("Thank you. On ")
    assert header(answer, "Subject") == f"Re: {subject}"


def test_a_page_of_history_without_history_leads_on(users, control, sender):
    start = users.getProfile(userId="me").execute()["historyId"]
    control.call("POST", f"mailboxes/{sender}/fill", {"count": 2})
    rule = {"point": "odd", "kind": "empty_page", "method": "history.list", "mailbox": sender, "times": 1}
    control.faults(rule)
    history = users.history()
    first, second = pages(history.list, history.list_next, startHistoryId=start)
    assert "history" not in first
    assert len(second["history"]) == 2


def test_a_history_id_can_expire_in_the_middle_of_a_sync(users, control, sender):
    start = users.getProfile(userId="me").execute()["historyId"]
    control.call("POST", f"mailboxes/{sender}/fill", {"count": 4})
    control.faults(
        {"point": "odd", "kind": "expired_history", "method": "history.list", "mailbox": sender, "positions": [2]}
    )
    first = users.history().list(userId="me", startHistoryId=start, maxResults=2)
    following = users.history().list_next(first, first.execute())
    with pytest.raises(HttpError) as expired:
        following.execute()
    assert expired.value.status_code == 404
