"""What mail servers say to a sender, judged by structure: every notice here is in a language of its own."""

import pytest

from millstream.mime import Attachment, DaemonKind, DeliveryStatus, build, read_daemon

HEAD = [
    "Return-Path: <>",
    "From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
    "To: statements@bank.example",
    "Auto-Submitted: auto-replied",
    "References: <CAxyz@mail.gmail.com>",
]
NOTICE = "\r\n".join(
    [*HEAD, "Subject: Zustellung", "Content-Type: text/plain", "", "Sie haben ein Limit erreicht."]
).encode()


def report(status: str, *, action: str = "failed", head: tuple[str, ...] = (), fields: tuple[str, ...] = ()) -> bytes:
    return "\r\n".join(
        [
            *HEAD,
            *head,
            'Content-Type: multipart/report; boundary="b1"; report-type=delivery-status',
            "",
            "--b1",
            "Content-Type: multipart/related; boundary=b2",
            "",
            "--b2",
            "Content-Type: text/plain; charset=utf-8",
            "",
            "Endereço não encontrado. You have reached a limit for sending mail.",
            "--b2--",
            "",
            "--b1",
            "Content-Type: message/delivery-status",
            "",
            "Reporting-MTA: dns; googlemail.com",
            "Arrival-Date: Sat, 31 Oct 2026 02:30:00 -0700 (PDT)",
            "X-Original-Message-ID: <CAxyz@mail.gmail.com>",
            "",
            "Final-Recipient: rfc822; ada@example.com",
            f"Action: {action}",
            f"Status: {status}",
            *fields,
            "Diagnostic-Code: smtp; 550-5.1.1 The email account",
            " does not exist",
            "",
            "--b1",
            "Content-Type: message/rfc822",
            "",
            "X-Millstream-Delivery: 01JB2S5Z",
            "Subject: Your statement",
            "",
            "body",
            "--b1--",
            "",
        ]
    ).encode()


def test_gmails_limit_notice_is_one_whatever_its_words():
    assert read_daemon(NOTICE).kind is DaemonKind.LIMIT_NOTICE
    assert read_daemon(NOTICE.replace(b"\r\n", b"\n")).kind is DaemonKind.LIMIT_NOTICE
    assert read_daemon(NOTICE.partition(b"\r\n\r\n")[0]).kind is DaemonKind.LIMIT_NOTICE


@pytest.mark.parametrize("status", ["5.4.5", "4.7.0", "4.7.28"])
def test_a_report_of_a_sending_limit_is_a_limit_notice(status):
    assert read_daemon(report(status)).kind is DaemonKind.LIMIT_NOTICE
    assert not read_daemon(report(status)).statuses[0].permanent


@pytest.mark.parametrize("status", ["5.1.1", "5.2.2", "5.4.50", "5.7.1", "4.4.1", ""])
def test_a_report_about_a_recipient_is_a_bounce_even_if_it_speaks_of_limits(status):
    assert read_daemon(report(status)).kind is DaemonKind.BOUNCE


def test_a_failed_recipient_makes_it_a_bounce():
    named = NOTICE.replace(
        b"Auto-Submitted", b"X-Failed-Recipients: ada@example.com, eve@example.com\r\nAuto-Submitted"
    )
    assert read_daemon(named).kind is DaemonKind.BOUNCE
    assert read_daemon(named).failed_recipients == ("ada@example.com", "eve@example.com")


def test_a_delayed_message_is_still_under_way_and_no_limit_notice():
    assert read_daemon(report("4.7.28", action="delayed")).kind is DaemonKind.BOUNCE
    assert not read_daemon(report("5.0.0", action="delayed")).statuses[0].permanent


def test_a_remote_servers_rate_limit_is_not_ours():
    assert read_daemon(report("4.7.28", fields=("Remote-MTA: dns; mx.example.com",))).kind is DaemonKind.BOUNCE


def test_people_programs_and_forwarded_bounces_are_something_else(letter):
    person = NOTICE.replace(b"mailer-daemon@googlemail.com", b"ada@example.com").replace(b"<>", b"<ada@example.com>")
    assert read_daemon(person).kind is DaemonKind.OTHER
    assert read_daemon(NOTICE.replace(b"Return-Path: <>", b"Return-Path: <eve@example.com>")).kind is DaemonKind.OTHER
    assert read_daemon(NOTICE.replace(b"auto-replied", b"no")).kind is DaemonKind.OTHER
    forwarded = build(letter(attachments=(Attachment("bounce.eml", "application/octet-stream", report("5.1.1")),)))
    assert read_daemon(forwarded).kind is DaemonKind.OTHER
    assert read_daemon(b"").kind is DaemonKind.OTHER


def test_a_bounce_from_another_server_is_known_by_its_form():
    foreign = report("5.1.1").replace(b"mailer-daemon@googlemail.com", b"exchange7@corp.example")
    assert read_daemon(foreign).kind is DaemonKind.BOUNCE
    assert read_daemon(foreign.replace(b"Auto-Submitted: auto-replied\r\n", b"")).kind is DaemonKind.BOUNCE


def test_a_report_tells_recipient_status_origin_and_our_delivery():
    found = read_daemon(report("5.1.1 (bad destination)", fields=("Remote-MTA: dns; mx.example.com",)))
    assert found.statuses == (
        DeliveryStatus(
            recipient="ada@example.com",
            action="failed",
            status="5.1.1",
            remote_mta="mx.example.com",
            diagnostic="550-5.1.1 The email account does not exist",
        ),
    )
    assert found.statuses[0].permanent
    assert found.original_message_id == "<CAxyz@mail.gmail.com>"
    assert found.delivery_token == "01JB2S5Z"


def test_an_encoded_report_is_read_too():
    plain = report("5.1.1")
    encoded = plain.replace(
        b"Content-Type: message/delivery-status\r\n",
        b"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: quoted-printable\r\n",
    ).replace(b"Status: 5.1.1", b"Status: 5=2E1=2E1")
    assert read_daemon(encoded).statuses == read_daemon(plain).statuses
