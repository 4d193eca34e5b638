"""Messages through Google's own client: sent in every way, read in every format, found, labelled, deleted."""

import base64
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from letters import header, letter, raw_field, token, upload, with_document
from official_client import reason_of

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 300


def send(service: Any, content: bytes, way: str = "raw", *, thread: str | None = None) -> dict[str, Any]:
    messages = service.users().messages()
    message = {"threadId": thread} if thread else {}
    if way == "raw":
        return messages.send(userId="me", body=message | raw_field(content)).execute()
    body = None if way == "media" else message
    return messages.send(userId="me", body=body, media_body=upload(content, resumable=way == "resumable")).execute()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)


@pytest.mark.parametrize("way", ["raw", "media", "multipart", "resumable"])
def test_a_letter_sent_in_any_way_lies_in_sent(gmail_service, sender, recipient, way):
    subject = token()
    sent = send(gmail_service, letter(sender, recipient, subject), way)
    read = gmail_service.users().messages().get(userId="me", id=sent["id"]).execute()
    assert sent["threadId"]
    assert "SENT" in sent["labelIds"]
    assert header(read, "Subject") == subject
    assert decoded(read["payload"]["body"]["data"]).decode().startswith(f"Your statement {subject}")


def test_each_format_answers_its_own_fields(gmail_service, sender, recipient):
    messages = gmail_service.users().messages()
    sent = send(gmail_service, with_document(sender, recipient, token(), PDF))
    common = {"id", "threadId", "labelIds", "snippet", "historyId", "internalDate", "sizeEstimate"}
    found = {
        form: set(messages.get(userId="me", id=sent["id"], format=form).execute())
        for form in ("minimal", "metadata", "full", "raw")
    }
    assert found == {
        "minimal": common,
        "metadata": common | {"payload"},
        "full": common | {"payload"},
        "raw": common | {"raw"},
    }


def test_the_raw_format_is_the_letter_as_the_standard_library_reads_it(gmail_service, sender, recipient):
    subject = token()
    sent = send(gmail_service, with_document(sender, recipient, subject, PDF), "media")
    raw = gmail_service.users().messages().get(userId="me", id=sent["id"], format="raw").execute()["raw"]
    message = message_from_bytes(decoded(raw), policy=default)
    (document,) = message.iter_attachments()
    assert message["Subject"] == subject
    assert document.get_content() == PDF
    assert document.get_filename() == "Kontoauszug März.pdf"


def test_metadata_answers_only_the_headers_asked_for_and_no_body(gmail_service, sender, recipient):
    content = letter(sender, recipient, token(), headers={"X-Millstream-Delivery": "d-1"})
    sent = send(gmail_service, content)
    wanted = ["X-Millstream-Delivery", "Subject"]
    read = (
        gmail_service.users()
        .messages()
        .get(userId="me", id=sent["id"], format="metadata", metadataHeaders=wanted)
        .execute()
    )
    assert {entry["name"] for entry in read["payload"]["headers"]} == set(wanted)
    assert "data" not in read["payload"].get("body", {})
    assert "parts" not in read["payload"]


def test_the_full_format_shows_the_tree_of_parts_and_the_attachment_by_id(gmail_service, sender, recipient):
    messages = gmail_service.users().messages()
    sent = send(gmail_service, with_document(sender, recipient, token(), PDF))
    payload = messages.get(userId="me", id=sent["id"]).execute()["payload"]
    alternative, document = payload["parts"]
    assert payload["mimeType"] == "multipart/mixed"
    assert [part["mimeType"] for part in alternative["parts"]] == ["text/plain", "text/html"]
    assert [part["partId"] for part in alternative["parts"]] == ["0.0", "0.1"]
    assert (document["filename"], document["mimeType"]) == ("Kontoauszug März.pdf", "application/pdf")
    assert document["body"]["size"] == len(PDF)
    assert "data" not in document["body"]
    body = messages.attachments().get(userId="me", messageId=sent["id"], id=document["body"]["attachmentId"]).execute()
    assert body["size"] == len(PDF)
    assert decoded(body["data"]) == PDF


def test_pages_of_messages_name_each_once_newest_first(gmail_service, sender, recipient):
    messages, subject = gmail_service.users().messages(), token()
    sent = [send(gmail_service, letter(sender, recipient, f"{subject} {n}"))["id"] for n in range(5)]
    listed, request = [], messages.list(userId="me", labelIds=["SENT"], maxResults=2)
    while request is not None and len(listed) < 100:
        page = request.execute()
        assert page["resultSizeEstimate"] >= 1
        listed += [message["id"] for message in page.get("messages", [])]
        request = messages.list_next(request, page)
    assert [message for message in listed if message in sent] == sent[::-1]
    assert len(listed) == len(set(listed))


@pytest.mark.sandbox_only
@pytest.mark.parametrize(
    "query",
    [
        "{subject}",
        "subject:{subject}",
        "subject:{subject} in:sent",
        "from:me subject:{subject}",
        "to:{recipient} {subject}",
        "rfc822msgid:{message_id}",
        "{subject} -in:chats",
        "has:attachment {subject}",
        "{subject} after:2001/01/01",
    ],
)
def test_a_query_finds_the_letter_and_no_other(gmail_service, sender, recipient, query):
    messages, subject = gmail_service.users().messages(), token()
    sent = send(gmail_service, with_document(sender, recipient, subject, PDF))
    send(gmail_service, letter(sender, recipient, token()))
    message_id = header(messages.get(userId="me", id=sent["id"]).execute(), "Message-ID").strip("<>")
    asked = query.format(subject=subject, recipient=recipient, message_id=message_id)
    found = messages.list(userId="me", q=asked).execute()
    assert [message["id"] for message in found["messages"]] == [sent["id"]]


def test_a_list_without_a_match_has_no_messages_and_counts_none(gmail_service):
    found = gmail_service.users().messages().list(userId="me", q=f"subject:{token()}").execute()
    assert "messages" not in found
    assert found["resultSizeEstimate"] == 0


def test_labels_narrow_a_list_to_messages_that_carry_all_of_them(gmail_service, sender, recipient):
    messages = gmail_service.users().messages()
    plain, starred = (send(gmail_service, letter(sender, recipient, token()))["id"] for _ in range(2))
    changed = messages.modify(userId="me", id=starred, body={"addLabelIds": ["STARRED"]}).execute()
    listed = messages.list(userId="me", labelIds=["SENT", "STARRED"]).execute()["messages"]
    assert {"SENT", "STARRED"} <= set(changed["labelIds"])
    assert starred in [message["id"] for message in listed]
    assert plain not in [message["id"] for message in listed]


def test_a_trashed_message_leaves_the_lists_until_it_is_untrashed(gmail_service, sender, recipient):
    messages, subject = gmail_service.users().messages(), token()
    sent = send(gmail_service, letter(sender, recipient, subject))["id"]
    assert "TRASH" in messages.trash(userId="me", id=sent).execute()["labelIds"]
    visible = messages.list(userId="me", labelIds=["SENT"]).execute().get("messages", [])
    everywhere = messages.list(userId="me", labelIds=["TRASH"], includeSpamTrash=True).execute()["messages"]
    assert sent not in [message["id"] for message in visible]
    assert sent in [message["id"] for message in everywhere]
    assert "TRASH" not in messages.untrash(userId="me", id=sent).execute()["labelIds"]


def test_a_deleted_message_is_not_found(gmail_service, sender, recipient):
    messages = gmail_service.users().messages()
    sent = send(gmail_service, letter(sender, recipient, token()))["id"]
    messages.delete(userId="me", id=sent).execute()
    with pytest.raises(HttpError) as refused:
        messages.get(userId="me", id=sent).execute()
    assert refused.value.status_code == 404
    assert reason_of(refused.value) == "notFound"


def test_a_batch_of_messages_is_labelled_and_deleted_in_one_call(gmail_service, sender, recipient):
    messages = gmail_service.users().messages()
    sent = [send(gmail_service, letter(sender, recipient, token()))["id"] for _ in range(3)]
    messages.batchModify(userId="me", body={"ids": sent, "addLabelIds": ["IMPORTANT"]}).execute()
    marked = [messages.get(userId="me", id=one, format="minimal").execute()["labelIds"] for one in sent]
    assert all("IMPORTANT" in labels for labels in marked)
    messages.batchDelete(userId="me", body={"ids": sent}).execute()
    for one in sent:
        with pytest.raises(HttpError) as refused:
            messages.get(userId="me", id=one).execute()
        assert refused.value.status_code == 404
