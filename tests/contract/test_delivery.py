"""What happens to a letter on its way, as a sender and a recipient see it through Google's own client."""

import base64
from email import message_from_bytes
from email.policy import default

import pytest
from letters import compose, header, headers, letter, raw_field, token, upload


def send(service, content, **fields):
    return service.users().messages().send(userId="me", body=fields, media_body=upload(content)).execute()


def read(service, message_id, form="full"):
    return service.users().messages().get(userId="me", id=message_id, format=form).execute()


def arrived(service, subject):
    """Ids of the letters with `subject` in the inbox."""
    query = f"in:inbox subject:{subject}"
    return [
        message["id"] for message in service.users().messages().list(userId="me", q=query).execute().get("messages", [])
    ]


def test_the_message_id_of_an_api_send_is_replaced(gmail_service, sender, recipient):
    content = letter(sender, recipient, token(), headers={"Message-ID": "<mine@bank.example>"})
    found = headers(read(gmail_service, send(gmail_service, content)["id"]), "Message-ID")
    assert len(found) == 1
    assert found[0] != "<mine@bank.example>"
    assert found[0].endswith("@mail.gmail.com>")


def test_the_message_id_of_a_sent_draft_is_replaced(gmail_service, sender, recipient):
    drafts = gmail_service.users().drafts()
    content = letter(sender, recipient, token(), headers={"Message-ID": "<mine@bank.example>"})
    made = drafts.create(userId="me", media_body=upload(content)).execute()
    sent = drafts.send(userId="me", body={"id": made["id"]}).execute()
    assert header(read(gmail_service, sent["id"]), "Message-ID").endswith("@mail.gmail.com>")


def test_our_own_headers_survive_in_sent(gmail_service, sender, recipient):
    own = {"X-Millstream-Delivery": token(), "Feedback-ID": "a:b:c:bank", "Auto-Submitted": "auto-generated"}
    sent = read(gmail_service, send(gmail_service, letter(sender, recipient, token(), headers=own))["id"], "metadata")
    assert {name: header(sent, name) for name in own} == own


def test_a_foreign_from_is_rewritten_to_the_mailbox(gmail_service, sender, recipient):
    content = letter("The Chief <chief@elsewhere.example>", recipient, token())
    sent = read(gmail_service, send(gmail_service, content)["id"])
    assert sender in header(sent, "From")
    assert "chief@elsewhere.example" not in header(sent, "From")


@pytest.mark.sandbox_only
def test_a_verified_send_as_address_may_stand_in_from(gmail_service, sender, recipient, control):
    alias = f"service-{token()}@bank.example"
    control.mailbox(sender, send_as={alias: "accepted"})
    listed = gmail_service.users().settings().sendAs().list(userId="me").execute()["sendAs"]
    sent = read(gmail_service, send(gmail_service, letter(alias, recipient, token()))["id"])
    assert alias in [entry["sendAsEmail"] for entry in listed if entry.get("verificationStatus") == "accepted"]
    assert alias in header(sent, "From")


@pytest.mark.sandbox_only
def test_a_send_as_address_awaiting_its_verification_is_rewritten(gmail_service, sender, recipient, control):
    alias = f"pending-{token()}@bank.example"
    control.mailbox(sender, send_as={alias: "pending"})
    sent = read(gmail_service, send(gmail_service, letter(alias, recipient, token()))["id"])
    assert sender in header(sent, "From")


def test_a_letter_reaches_another_mailbox_with_its_evidence_on_top(
    gmail_service, sender, colleague, open_service, wait_for
):
    subject, key = token(), token()
    content = letter(sender, colleague, subject, headers={"X-Millstream-Delivery": key})
    sent = send(gmail_service, content)
    theirs = open_service(colleague)
    (one,) = wait_for(lambda: arrived(theirs, subject))
    received = read(theirs, one)
    names = [entry["name"].lower() for entry in received["payload"]["headers"]]
    assert {"INBOX", "UNREAD"} <= set(received["labelIds"])
    assert header(received, "X-Millstream-Delivery") == key
    assert header(received, "Message-ID") == header(read(gmail_service, sent["id"]), "Message-ID")
    assert header(received, "Authentication-Results").startswith("mx.google.com;")
    assert names.index("authentication-results") < names.index("from")
    assert names.index("received") < names.index("from")
    assert header(received, "Delivered-To") == colleague


def test_the_same_letter_has_its_own_id_and_thread_in_each_mailbox(
    gmail_service, sender, colleague, open_service, wait_for
):
    subject = token()
    sent = send(gmail_service, letter(sender, colleague, subject))
    theirs = open_service(colleague)
    (one,) = wait_for(lambda: arrived(theirs, subject))
    assert one != sent["id"]


def test_an_answer_lands_in_the_thread_of_the_letter(gmail_service, sender, colleague, open_service, wait_for):
    subject = token()
    sent = send(gmail_service, letter(sender, colleague, subject))
    theirs = open_service(colleague)
    (one,) = wait_for(lambda: arrived(theirs, subject))
    origin = header(read(theirs, one), "Message-ID")
    links = {"In-Reply-To": origin, "References": origin}
    send(theirs, letter(colleague, sender, f"Re: {subject}", headers=links), threadId=read(theirs, one)["threadId"])
    (answer,) = wait_for(lambda: arrived(gmail_service, subject))
    assert read(gmail_service, answer)["threadId"] == sent["threadId"]


@pytest.mark.sandbox_only
def test_a_blind_copy_arrives_and_stands_in_no_header(gmail_service, sender, recipient, colleague, open_service):
    subject = token()
    message = compose(sender, recipient, subject)
    message["Bcc"] = colleague
    send(gmail_service, message.as_bytes())
    theirs = open_service(colleague)
    (one,) = arrived(theirs, subject)
    with pytest.raises(KeyError):
        header(read(theirs, one), "Bcc")


@pytest.mark.sandbox_only
def test_a_letter_to_the_outside_world_stays_visible_once(gmail_service, sender, recipient, control):
    key = token()
    send(gmail_service, letter(sender, recipient, token(), headers={"X-Millstream-Delivery": key}))
    found = control.messages(recipient)
    assert [message["headers"]["X-Millstream-Delivery"] for message in found] == [key]


@pytest.mark.sandbox_only
def test_an_unknown_local_address_bounces_into_the_thread(gmail_service, sender):
    lost, key = f"nobody-{token()}@bank.example", token()
    sent = send(gmail_service, letter(sender, lost, token(), headers={"X-Millstream-Delivery": key}))
    thread = gmail_service.users().threads().get(userId="me", id=sent["threadId"]).execute()
    _, bounce = thread["messages"]
    raw = read(gmail_service, bounce["id"], "raw")["raw"]
    message = message_from_bytes(base64.urlsafe_b64decode(raw), policy=default)
    report = {part.get_content_type(): part for part in message.walk()}
    status = report["message/delivery-status"].as_string()
    assert "INBOX" in bounce["labelIds"]
    assert message.get_content_type() == "multipart/report"
    assert "mailer-daemon@googlemail.com" in message["From"]
    assert message["X-Failed-Recipients"] == lost
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["References"] == header(read(gmail_service, sent["id"]), "Message-ID")
    assert "Action: failed" in status
    assert "Status: 5.1.1" in status
    assert lost in status
    assert key in message.as_string()


@pytest.mark.sandbox_only
def test_a_letter_with_one_lost_recipient_still_reaches_the_others(gmail_service, sender, colleague, open_service):
    subject = token()
    content = letter(sender, f"{colleague}, nobody-{token()}@bank.example", subject)
    sent = gmail_service.users().messages().send(userId="me", body=raw_field(content)).execute()
    thread = gmail_service.users().threads().get(userId="me", id=sent["threadId"]).execute()
    assert len(arrived(open_service(colleague), subject)) == 1
    assert len(thread["messages"]) == 2
