"""Drafts through Google's own client: every way in, every way out, and the draft as a token that is spent once."""

from typing import Any

import pytest
from googleapiclient.errors import HttpError
from letters import header, letter, raw_field, token, upload

WAYS = ("raw", "media", "multipart", "resumable")


def create(drafts: Any, content: bytes, way: str = "raw", *, thread: str | None = None) -> dict[str, Any]:
    message = {"threadId": thread} if thread else {}
    if way == "raw":
        return drafts.create(userId="me", body={"message": message | raw_field(content)}).execute()
    body = None if way == "media" else {"message": message}
    return drafts.create(userId="me", body=body, media_body=upload(content, resumable=way == "resumable")).execute()


@pytest.mark.parametrize("way", WAYS)
def test_a_draft_created_in_any_way_holds_the_letter(gmail_service, sender, recipient, way):
    drafts, subject = gmail_service.users().drafts(), token()
    made = create(drafts, letter(sender, recipient, subject), way)
    read = drafts.get(userId="me", id=made["id"], format="full").execute()
    assert made["message"]["labelIds"] == ["DRAFT"]
    assert read["message"]["id"] == made["message"]["id"]
    assert header(read["message"], "Subject") == subject
    assert header(read["message"], "To") == recipient


def test_a_resumable_draft_of_several_chunks_arrives_whole(gmail_service, sender, recipient):
    drafts, subject = gmail_service.users().drafts(), token()
    content = letter(sender, recipient, subject) + b"x" * 70 + b"\r\n"
    content += (b"0123456789" * 7 + b"\r\n") * 10_000
    made = create(drafts, content, "resumable")
    read = drafts.get(userId="me", id=made["id"], format="metadata").execute()
    assert read["message"]["sizeEstimate"] >= len(content) * 0.9


def test_a_draft_is_answered_in_each_format(gmail_service, sender, recipient):
    drafts = gmail_service.users().drafts()
    made = create(drafts, letter(sender, recipient, token()))
    shapes = {form: drafts.get(userId="me", id=made["id"], format=form).execute() for form in ("minimal", "raw")}
    assert "payload" not in shapes["minimal"]["message"]
    assert "raw" not in shapes["minimal"]["message"]
    assert "payload" not in shapes["raw"]["message"]
    assert shapes["raw"]["message"]["raw"]


def test_the_list_of_drafts_names_each_draft_once_over_all_pages(gmail_service, sender, recipient):
    drafts = gmail_service.users().drafts()
    made = {create(drafts, letter(sender, recipient, token()))["id"] for _ in range(5)}
    listed, request = [], drafts.list(userId="me", maxResults=2)
    while request is not None:
        page = request.execute()
        listed += [draft["id"] for draft in page.get("drafts", [])]
        request = drafts.list_next(request, page)
    assert made <= set(listed)
    assert len(listed) == len(set(listed))


def test_drafts_are_found_by_a_query(gmail_service, sender, recipient, wait_for):
    drafts, subject = gmail_service.users().drafts(), token()
    made = create(drafts, letter(sender, recipient, subject))
    create(drafts, letter(sender, recipient, token()))
    query = drafts.list(userId="me", q=f"subject:{subject}")
    found = wait_for(lambda: query.execute().get("drafts"))
    assert [draft["id"] for draft in found] == [made["id"]]


@pytest.mark.parametrize("way", WAYS)
def test_an_updated_draft_keeps_its_id_and_changes_its_content(gmail_service, sender, recipient, way):
    drafts, subject = gmail_service.users().drafts(), token()
    made = create(drafts, letter(sender, recipient, token()))
    content = letter(sender, recipient, subject)
    if way == "raw":
        request = drafts.update(userId="me", id=made["id"], body={"message": raw_field(content)})
    else:
        body = None if way == "media" else {"message": {}}
        request = drafts.update(userId="me", id=made["id"], body=body, media_body=upload(content))
    changed = request.execute()
    read = drafts.get(userId="me", id=made["id"]).execute()
    assert changed["id"] == made["id"]
    assert changed["message"]["id"] != made["message"]["id"]
    assert header(read["message"], "Subject") == subject


def test_sending_a_draft_spends_it_and_gives_a_new_message_in_its_thread(gmail_service, sender, recipient):
    drafts, messages = gmail_service.users().drafts(), gmail_service.users().messages()
    made = create(drafts, letter(sender, recipient, token()), "media")
    sent = drafts.send(userId="me", body={"id": made["id"]}).execute()
    assert sent["id"] != made["message"]["id"]
    assert sent["threadId"] == made["message"]["threadId"]
    assert "SENT" in sent["labelIds"]
    assert "DRAFT" not in sent["labelIds"]
    for request in (
        drafts.get(userId="me", id=made["id"]),
        drafts.send(userId="me", body={"id": made["id"]}),
        messages.get(userId="me", id=made["message"]["id"]),
    ):
        with pytest.raises(HttpError) as refused:
            request.execute()
        assert refused.value.status_code == 404
        assert refused.value.reason == "Requested entity was not found."


@pytest.mark.parametrize("way", ["raw", "multipart"])
def test_content_given_with_the_send_replaces_the_drafts(gmail_service, sender, recipient, way):
    drafts, messages, subject = gmail_service.users().drafts(), gmail_service.users().messages(), token()
    made, content = create(drafts, letter(sender, recipient, token())), letter(sender, recipient, subject)
    if way == "raw":
        request = drafts.send(userId="me", body={"id": made["id"], "message": raw_field(content)})
    else:
        request = drafts.send(userId="me", body={"id": made["id"]}, media_body=upload(content))
    sent = request.execute()
    assert header(messages.get(userId="me", id=sent["id"]).execute(), "Subject") == subject
    with pytest.raises(HttpError) as refused:
        drafts.get(userId="me", id=made["id"]).execute()
    assert refused.value.status_code == 404


def test_a_deleted_draft_is_gone(gmail_service, sender, recipient):
    drafts = gmail_service.users().drafts()
    made = create(drafts, letter(sender, recipient, token()))
    assert drafts.delete(userId="me", id=made["id"]).execute() in {"", None}
    for request in (drafts.get(userId="me", id=made["id"]), drafts.delete(userId="me", id=made["id"])):
        with pytest.raises(HttpError) as refused:
            request.execute()
        assert refused.value.status_code == 404


def test_a_draft_without_a_recipient_is_kept_but_not_sent(gmail_service, sender):
    drafts = gmail_service.users().drafts()
    made = create(drafts, f"From: {sender}\r\nSubject: {token()}\r\n\r\nNobody yet.\r\n".encode())
    with pytest.raises(HttpError) as refused:
        drafts.send(userId="me", body={"id": made["id"]}).execute()
    assert refused.value.status_code == 400
    assert refused.value.reason == "Recipient address required"
    assert drafts.get(userId="me", id=made["id"]).execute()["id"] == made["id"]


def test_a_draft_joins_the_thread_it_names(gmail_service, sender, recipient):
    drafts, messages, subject = gmail_service.users().drafts(), gmail_service.users().messages(), token()
    first = messages.send(userId="me", body=raw_field(letter(sender, recipient, subject))).execute()
    origin = header(messages.get(userId="me", id=first["id"]).execute(), "Message-ID")
    reply = letter(sender, recipient, f"Re: {subject}", headers={"In-Reply-To": origin, "References": origin})
    made = create(drafts, reply, "multipart", thread=first["threadId"])
    assert made["message"]["threadId"] == first["threadId"]
