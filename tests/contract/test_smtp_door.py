"""The sandbox's SMTP door through the standard library's client, as the relay would be used."""

import smtplib
from collections.abc import Iterator

import pytest
from letters import compose, header, headers, letter, token

pytestmark = pytest.mark.sandbox_only


@pytest.fixture
def door(sandbox) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=30) as client:
        yield client


def only(service, subject):
    """The one message with `subject`, full."""
    messages = service.users().messages()
    (found,) = messages.list(userId="me", q=f"subject:{subject}").execute()["messages"]
    return messages.get(userId="me", id=found["id"]).execute()


def test_a_relayed_letter_keeps_its_message_id_and_headers(door, sender, colleague, open_service):
    subject, message_id = token(), f"<{token()}@bank.example>"
    own = {"Message-ID": message_id, "X-Millstream-Delivery": subject}
    door.sendmail(sender, [colleague], letter(sender, colleague, subject, headers=own))
    received = only(open_service(colleague), subject)
    assert headers(received, "Message-ID") == [message_id]
    assert header(received, "X-Millstream-Delivery") == subject
    assert header(received, "Return-Path") == f"<{sender}>"
    assert "INBOX" in received["labelIds"]


def test_a_malformed_message_id_is_replaced_and_kept_beside(door, sender, colleague, open_service):
    subject, malformed = token(), "<two@at@signs.example>"
    content = compose(sender, colleague, subject).as_bytes()
    door.sendmail(sender, [colleague], f"Message-ID: {malformed}\r\n".encode() + content)
    received = only(open_service(colleague), subject)
    assert header(received, "Message-ID").endswith("@mx.google.com>")
    assert header(received, "X-Google-Original-Message-ID") == malformed


def test_a_letter_for_the_outside_world_is_accepted(door, sender, recipient, control):
    subject = token()
    assert door.sendmail(sender, [recipient], letter(sender, recipient, subject)) == {}
    assert [message["headers"]["Subject"] for message in control.messages(recipient)] == [subject]


def test_several_recipients_get_one_copy_each(door, sender, recipient, control):
    others = [recipient, f"second-{recipient}"]
    door.sendmail(sender, others, letter(sender, ", ".join(others), token()))
    assert [len(control.messages(address)) for address in others] == [1, 1]


def test_several_letters_go_through_one_connection(door, sender, recipient, control):
    for _ in range(3):
        door.sendmail(sender, [recipient], letter(sender, recipient, token()))
    assert len(control.messages(recipient)) == 3


def test_a_lost_recipient_bounces_to_the_envelope_sender(door, sender, open_service):
    lost, subject = f"nobody-{token()}@bank.example", token()
    try:
        door.sendmail(sender, [lost], letter(sender, lost, subject))
    except smtplib.SMTPRecipientsRefused as refused:
        ((code, text),) = refused.recipients.values()
        assert code == 550
        assert b"5.1.1" in text
    else:
        messages = open_service(sender).users().messages()
        (bounce,) = messages.list(userId="me", labelIds=["INBOX"]).execute()["messages"]
        assert header(messages.get(userId="me", id=bounce["id"]).execute(), "X-Failed-Recipients") == lost
