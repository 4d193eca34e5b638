"""What a built message says, as a mail program would read it."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from millstream.mime import (
    Attachment,
    BadAddress,
    BadHeader,
    HeaderInjection,
    Mailbox,
    UnencodableText,
    build,
    encoded_size,
)

PDF = Attachment("statement.pdf", "application/pdf", b"%PDF-1.7\n" + bytes(range(256)) * 40)


def read(wire: bytes) -> EmailMessage:
    return message_from_bytes(wire, policy=policy.SMTP)  # type: ignore[return-value]  # the policy decides the class


def shape(message: EmailMessage) -> object:
    if message.is_multipart():
        return message.get_content_type(), [shape(part) for part in message.iter_parts()]
    return message.get_content_type()


def test_a_plain_letter_is_one_part_with_every_machine_header(letter):
    message = read(build(letter(stream="statements", locale="en_GB")))
    assert shape(message) == "text/plain"
    assert message.get_content() == "Dear customer,\r\nyour statement is attached.\r\n"
    assert message["From"] == "Bank of Example <statements@bank.example>"
    assert message["To"] == "Ada Moor <ada.moor@example.com>"
    assert message["Date"].datetime == datetime(2026, 10, 31, 9, 30, tzinfo=UTC)
    assert message["MIME-Version"] == "1.0"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Millstream-Delivery"] == "01JB2S5Z"
    assert message["Feedback-ID"] == "statements:bank.example:transactional:millstream"
    assert message["Content-Language"] == "en-GB"
    assert message["Message-ID"] is None
    assert message["List-Unsubscribe"] is None


def test_parts_nest_only_as_deep_as_the_letter_needs(letter):
    alternative = ("multipart/alternative", ["text/plain", "text/html"])
    assert shape(read(build(letter(html="<p>hi</p>")))) == alternative
    assert shape(read(build(letter(text="", html="<p>hi</p>")))) == "text/html"
    assert shape(read(build(letter(text="")))) == "text/plain"
    assert shape(read(build(letter(attachments=(PDF,))))) == ("multipart/mixed", ["text/plain", "application/pdf"])
    both = read(build(letter(html="<p>hi</p>", attachments=(PDF, PDF))))
    assert shape(both) == ("multipart/mixed", [alternative, "application/pdf", "application/pdf"])


def test_attachments_arrive_byte_for_byte_under_their_names(letter):
    names = [
        "statement.pdf",
        "Kontoauszug März 2026.pdf",
        "明細書.pdf",
        "कथन.pdf",
        "a  b\t.pdf",
        'quo"te\\.pdf',
        "🎉.pdf",
    ]
    given = tuple(Attachment(name, "application/pdf", name.encode() * 999) for name in names)
    parts = list(read(build(letter(attachments=given))).iter_attachments())
    assert [part.get_filename() for part in parts] == names
    assert [part.get_payload(decode=True) for part in parts] == [attachment.content for attachment in given]
    assert {part.get_content_disposition() for part in parts} == {"attachment"}


def test_a_foreign_file_name_has_an_ascii_stand_in_after_the_exact_one(letter):
    wire = build(letter(attachments=(Attachment("Übersicht März.pdf", "application/pdf", b"x"),)))
    assert b"filename*=utf-8''%C3%9Cbersicht%20M%C3%A4rz.pdf;\r\n filename=\"Ubersicht Marz.pdf\"" in wire
    assert b'filename="document.pdf"' in build(letter(attachments=(Attachment("明細.pdf", "application/pdf", b"x"),)))


def test_text_attachments_keep_their_line_ends_and_type_parameters(letter):
    csv = Attachment("a.csv", "text/csv; charset=utf-8; header=present", "a;b\nß;ü\r".encode())
    part = next(read(build(letter(attachments=(csv,)))).iter_attachments())
    assert part.get_payload(decode=True) == csv.content
    assert part["Content-Type"].params == {"charset": "utf-8", "header": "present"}


def test_a_view_of_a_larger_buffer_is_attached_like_bytes(letter):
    whole = memoryview(b"0123456789" * 5000)[7:40_000]
    view = letter(attachments=(Attachment("a.bin", "application/octet-stream", whole),))
    assert build(view) == build(letter(attachments=(Attachment("a.bin", "application/octet-stream", bytes(whole)),)))
    assert encoded_size(view) == len(build(view))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain words\n", "7bit"),
        ("<p>" + "word " * 150 + "</p>", "7bit"),
        ("word " * 400, "quoted-printable"),
        ("Grüße aus Köln, und sonst nur ASCII\n", "quoted-printable"),
        ("こんにちは世界\n" * 9, "base64"),
        ("blank at the end \nof a line\n", "quoted-printable"),
        ("From here on an mbox would stumble\n", "base64"),
        ("a form\x0cfeed\n", "quoted-printable"),
        ("--=_5f1e02bfc58cf31b8e61a18f_m\n", "quoted-printable"),
        (".\n", "7bit"),
    ],
)
def test_a_body_travels_in_the_plainest_encoding_that_keeps_it(letter, text, encoding):
    message = read(build(letter(text=text)))
    assert message["Content-Transfer-Encoding"] == encoding
    expected = text.replace("\n", "\r\n")
    assert message.get_content() == (expected if expected.endswith("\r\n") else expected + "\r\n")


def test_a_body_that_imitates_our_boundary_stays_inside_its_part(letter):
    first = build(letter(html="<p>x</p>", attachments=(PDF,)))
    boundaries = [line.decode() for line in set(re.findall(rb"--=_\w+", first))]
    hostile = "\n".join(f"{line}\n{line}--\nContent-Type: text/html\n\nforged" for line in boundaries) + "\n"
    message = read(build(letter(text=hostile, html=hostile, attachments=(PDF,))))
    assert shape(message) == (
        "multipart/mixed",
        [("multipart/alternative", ["text/plain", "text/html"]), "application/pdf"],
    )
    assert message.get_body(("plain",)).get_content() == hostile.replace("\n", "\r\n")


def test_the_same_letter_makes_the_same_bytes(letter):
    one = letter(html="<p>ü</p>", attachments=(PDF,))
    assert build(one) == build(letter(html="<p>ü</p>", attachments=(PDF,)))
    assert build(one) != build(letter(html="<p>ü</p>", attachments=(PDF,), delivery_token="other"))


def test_names_with_commas_quotes_and_emoji_reach_the_reader(letter):
    for name in [
        "Moor, Ada",
        'Ada "the first" Moor',
        "O'Neill \\ Sons (Ltd.)",
        "Żółć Ąę",
        "田中 さくら",
        "Ada 🎉",
        "=?utf-8?q?x?=",
    ]:
        message = read(build(letter(recipient=Mailbox(name, "a@example.com"))))
        assert [(one.display_name, one.addr_spec) for one in message["To"].addresses] == [(name, "a@example.com")]


def test_a_nameless_mailbox_is_its_address_alone(letter):
    assert b"To: a@example.com\r\n" in build(letter(recipient=Mailbox("", "a@example.com")))
    assert b"To: a@example.com\r\n" in build(letter(recipient=Mailbox(" \t ", "a@example.com")))


def test_an_international_domain_travels_as_its_a_label(letter):
    assert b"<a@xn--bcher-kva.example>" in build(letter(recipient=Mailbox("A", "a@bücher.example")))


def test_an_international_local_part_needs_smtputf8(letter):
    foreign = letter(recipient=Mailbox("用户", "用户@例子.example"))
    with pytest.raises(BadAddress, match="用户"):
        build(foreign)
    wire = build(foreign, smtputf8=True)
    assert "<用户@xn--fsqu00a.example>".encode() in wire
    assert encoded_size(foreign, smtputf8=True) == len(wire)


def test_reply_to_unsubscribe_and_message_id_appear_where_asked(letter):
    wire = build(
        letter(
            reply_to=Mailbox("", "statements+01JB2S5Z@bank.example"),
            unsubscribe="https://bank.example/u/01JB2S5Z",
            message_id="<01JB2S5Z@relay.bank.example>",
        )
    )
    message = read(wire)
    assert message["Reply-To"] == "statements+01JB2S5Z@bank.example"
    assert message["List-Unsubscribe"] == "<https://bank.example/u/01JB2S5Z>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Message-ID"] == "<01JB2S5Z@relay.bank.example>"
    mailto = read(build(letter(unsubscribe="mailto:leave@bank.example")))
    assert mailto["List-Unsubscribe-Post"] is None


def test_further_headers_are_carried(letter):
    ids = " ".join(f"<{number:040}@mail.example>" for number in range(40))
    message = read(build(letter(headers=(("References", ids), ("X-Trace", "Grüße")))))
    assert message["References"] == ids
    assert message["X-Trace"] == "Grüße"


@pytest.mark.parametrize(
    ("header", "otherwise"),
    [
        ("Subject", {"subject": "a\r\nBcc: thief@example.com"}),
        ("Subject", {"subject": "a\nb"}),
        ("Subject", {"subject": "a\x00b"}),
        ("To", {"recipient": Mailbox("A\r\nBcc: b@example.com", "a@example.com")}),
        ("To", {"recipient": Mailbox("A", "a@example.com\r\nBcc: b@example.com")}),
        ("From", {"sender": Mailbox("A", "a@example.com\n")}),
        ("Reply-To", {"reply_to": Mailbox("A\n", "a@example.com")}),
        ("X-Millstream-Delivery", {"delivery_token": "t\r\nX: y"}),
        ("Feedback-ID", {"stream": "s\n"}),
        ("Content-Language", {"locale": "en\r\n"}),
        ("List-Unsubscribe", {"unsubscribe": "https://a.example/\r\nX: y"}),
        ("Message-ID", {"message_id": "<a@b>\r\n"}),
        ("X-Other", {"headers": (("X-Other", "a\rb"),)}),
        ("X-Ot\nher", {"headers": (("X-Ot\nher", "a"),)}),
        ("Content-Disposition", {"attachments": (Attachment("a\r\n.pdf", "application/pdf", b""),)}),
        ("Content-Type", {"attachments": (Attachment("a.pdf", "application/pdf\r\nX: y", b""),)}),
    ],
)
def test_a_line_break_anywhere_in_a_header_is_refused_by_its_name(letter, header, otherwise):
    for make in (build, encoded_size):
        with pytest.raises(HeaderInjection, match="forge") as refusal:
            make(letter(**otherwise))
        assert refusal.value.header == header


@pytest.mark.parametrize(
    ("header", "otherwise"),
    [
        ("X-Millstream-Delivery", {"delivery_token": "a b"}),
        ("X-Millstream-Delivery", {"delivery_token": ""}),
        ("Message-ID", {"message_id": "no brackets"}),
        ("Content-Language", {"locale": "the king's"}),
        ("List-Unsubscribe", {"unsubscribe": "http://bank.example/"}),
        ("List-Unsubscribe", {"unsubscribe": "https://bank.example/" + "a" * 2000}),
        ("Bcc", {"headers": (("Bcc", "thief@example.com"),)}),
        ("subject", {"headers": (("subject", "another"),)}),
        ("Content-Type", {"headers": (("Content-Type", "text/html"),)}),
        ("X Y", {"headers": (("X Y", "a"),)}),
        ("Content-Type", {"attachments": (Attachment("a", "pdf", b""),)}),
        ("Content-Type", {"attachments": (Attachment("a", "message/rfc822", b""),)}),
        ("Content-Disposition", {"attachments": (Attachment(" ", "application/pdf", b""),)}),
        ("Date", {"date": datetime(2026, 1, 1)}),  # noqa: DTZ001  the naive date is what is refused
    ],
)
def test_what_a_header_cannot_carry_is_refused_by_its_name(letter, header, otherwise):
    with pytest.raises(BadHeader) as refusal:
        build(letter(**otherwise))
    assert refusal.value.header == header


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@", "@b.example", "a b@example.com", "a@b@example.com", "A <a@example.com>", "a@localhost"],
)
def test_a_bad_address_is_refused_with_its_reason(letter, address):
    with pytest.raises(BadAddress, match="is not an email address"):
        build(letter(recipient=Mailbox("A", address)))


@pytest.mark.parametrize(
    "otherwise", [{"subject": "a\ud800"}, {"text": "a\udfff"}, {"recipient": Mailbox("\ud83d", "a@example.com")}]
)
def test_half_a_surrogate_pair_is_refused_with_its_place(letter, otherwise):
    with pytest.raises(UnencodableText, match="surrogate"):
        build(letter(**otherwise))


def test_a_zone_with_seconds_is_written_in_utc(letter):
    odd = timezone(timedelta(minutes=19, seconds=32))
    message = read(build(letter(date=datetime(2026, 1, 1, 12, 0, tzinfo=odd))))
    assert message["Date"].datetime == datetime(2026, 1, 1, 12, 0, tzinfo=odd).replace(microsecond=0)
