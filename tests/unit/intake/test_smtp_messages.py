"""Messages of connectors as records: what becomes body, what becomes attachment, whatever the message looks like."""

import base64
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.communication.entries import Reject
from millstream.intake.consignment import Consignment
from millstream.intake.errors import RecordProblem
from millstream.intake.files import gather
from millstream.intake.path import make
from millstream.intake.ports import Terms
from millstream.intake.record import read_record
from millstream.intake.smtp.data import Cut, Incoming
from millstream.intake.smtp.mapping import Envelope, check_run_pattern, offers, run_key, word
from millstream.intake.smtp.messages import arrival, record_of, unreadable
from millstream.intake.smtp.options import EnvelopeRule, MailMap
from millstream.mime import read_headers

NOW = datetime(2026, 11, 25, tzinfo=UTC)
FACTS = {
    "recipient": "c@example.com",
    "name": "",
    "customer": "C-1",
    "type": "statement",
    "stream": "bank",
    "locale": "de-AT",
}
CORPUS = Path(__file__).parents[2] / "corpus"


def offer_of(content: bytes, *recipients: str, rules: MailMap | None = None, sender: str = "e@bank.example"):
    envelope = Envelope(sender=sender, recipients=recipients or ("c@example.com",), client="exstream")
    return offers(envelope, read_headers(content), content, rules or MailMap(), NOW)


def made(content: bytes | EmailMessage, **stand_ins: str):
    raw = content if isinstance(content, bytes) else content.as_bytes()
    [offered] = offer_of(raw)
    found = arrival(Consignment(7, offered, 0), raw, **stand_ins)
    assert not isinstance(found, Reject), found.problem
    assert found.consignment == 7
    return found.record


def test_text_page_and_file_each_have_their_place() -> None:
    letter = EmailMessage()
    letter["Subject"], letter["From"] = "Ihr Kontoauszug für März", "Bank <e@bank.example>"
    letter.set_content("Grüß Gott\n")
    letter.add_alternative("<p>Grüß Gott</p>", subtype="html")
    letter.add_attachment(b"%PDF-1.7 x", maintype="application", subtype="octet-stream", filename="Auszug März.pdf")
    record = made(letter)
    assert (record.subject, record.text, record.html) == (
        "Ihr Kontoauszug für März", "Grüß Gott\n", "<p>Grüß Gott</p>\n")  # fmt: skip
    [document] = record.documents
    assert (document.name, document.media_type) == ("Auszug März.pdf", "application/pdf")
    assert base64.b64decode(document.content) == b"%PDF-1.7 x"
    assert record.source["from"] == "Bank <e@bank.example>"
    assert record.recipient.address == "c@example.com"


def test_a_page_alone_needs_no_text() -> None:
    record = made(b"Content-Type: text/html; charset=iso-8859-1\r\n\r\n<p>Gr\xfc\xdfe</p>\r\n")
    assert (record.html, record.text) == ("<p>Grüße</p>\n", None)


def test_a_page_is_read_in_the_character_set_that_it_names() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body>Łódź</body></html>'.encode("iso-8859-2")
    assert "Łódź" in made(b"Content-Type: text/html\r\n\r\n" + page).html


def test_a_message_of_one_pdf_has_a_text_of_the_settings() -> None:
    record = made(
        b'Content-Type: application/pdf; name="=?utf-8?b?w7wucGRm?="\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + base64.b64encode(b"%PDF-1.7"),
        subject="For ${CustomerId}",
        text="See ${DocumentType}, ${nothing}.",
    )
    assert (record.subject, record.text) == ("For c@example.com", "See document, .")
    assert [document.name for document in record.documents] == ["ü.pdf"]


def test_a_message_without_a_subject_is_called_by_its_type() -> None:
    assert made(b"X: y\r\n\r\nx").subject == "document"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename*=utf-8''Brief%20f%C3%BCr%20M%C3%A4rz.csv", "Brief für März.csv"),
        ("attachment; filename*0*=utf-8''Brief%20; filename*1*=f%C3%BCr; filename*2=.csv", "Brief für.csv"),
        ('attachment; filename="=?utf-8?q?M=C3=A4rz.csv?="', "März.csv"),
        ('attachment; filename="..\\\\..\\\\etc/passwd"', "passwd"),
        ('attachment; filename="a\u202egpj.csv"', "agpj.csv"),
        ("attachment", "attachment-1.csv"),
        ('attachment; filename=""', "attachment-1.csv"),
    ],
)
def test_names_of_attachments_in_any_spelling(disposition, name) -> None:
    content = (
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHello\r\n'
        f"--b\r\nContent-Type: text/csv\r\nContent-Disposition: {disposition}\r\n\r\na;b\r\n--b--\r\n"
    ).encode()
    assert [document.name for document in made(content).documents] == [name]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", "%PDF-1.7 that nobody encoded"),
        ("base64", "JVBERi0x!!!!LjcgeA=="),
        ("base64", "JVBER"),
        ("base64", "JVBERi0x=LjcgeA"),
        ("base64", "=?!"),
        ("x-uuencode", "begin 644 x.pdf"),
    ],
)
@pytest.mark.parametrize("kind", ["application/pdf; name=x.pdf", "text/html"])
def test_a_part_that_cannot_be_decoded_holds_the_communication_and_is_named(
    encoding: str, body: str, kind: str
) -> None:
    raw = (
        'Subject: x\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHello\r\n--b\r\n'
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n--b--\r\n"
    ).encode()
    [offered] = offer_of(raw)
    found = arrival(Consignment(7, offered, 0), raw)
    assert not isinstance(found, Reject), found.problem
    made = make(gather(found, None, {}, most_bytes=10**6), Terms(most_bytes=10**6))
    hold = made.communication.hold
    assert hold is not None
    assert hold.reason == "unreadable_document"
    assert f"Customer {found.record.customer.id}" in hold.detail
    assert f"part 2, {'x.pdf' if 'pdf' in kind else 'text/html'}" in hold.detail
    assert made.attachments == ()


@pytest.mark.parametrize("body", ["JVBERi0xLjcgeA==", "JVBERi0xLjcgeA", "JVBE\r\nRi0x\r\n LjcgeA==\r\n\r\n"])
def test_base64_is_read_in_any_lines_and_with_or_without_its_padding(body: str) -> None:
    raw = ("Subject: x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" + body).encode()
    [document] = made(raw).documents
    assert base64.b64decode(document.content) == b"%PDF-1.7 x"


def test_nested_parts_inline_pictures_messages_and_winmail_are_attached() -> None:
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("inner text\n")
    letter = EmailMessage()
    letter.set_content("outer\n")
    letter.add_alternative('<img src="cid:logo">', subtype="html")
    letter.get_payload()[1].add_related(b"\x89PNG", maintype="image", subtype="png", cid="<logo>", filename="logo.png")
    letter.add_attachment(inner)
    letter.add_attachment(b"\x78\x9f\x3e\x22", maintype="application", subtype="ms-tnef", filename="winmail.dat")
    letter.add_attachment(b"", maintype="application", subtype="pdf", filename="empty.pdf")
    letter.add_attachment(b"same", maintype="text", subtype="csv", filename="winmail.dat")
    letter.add_attachment(b"sig", maintype="application", subtype="pkcs7-signature", filename="smime.p7s")
    record = made(letter)
    assert record.text == "outer\n"
    assert "cid:logo" in record.html
    assert [(document.name, document.media_type) for document in record.documents] == [
        ("logo.png", "image/png"),
        ("attachment-2.eml", "application/octet-stream"),
        ("winmail.dat", "application/ms-tnef"),
        ("4-winmail.dat", "text/csv"),
    ]


def test_bare_line_feeds_long_lines_and_bytes_of_no_character_set_are_read() -> None:
    long = b"y" * 70_000
    record = made(b"Subject: Gr\xfc\xdfe\nContent-Type: text/plain\n\nbare\n" + long + b"\n\xe4\x00\n")
    assert record.subject == "Grüße"
    assert record.text == f"bare\n{long.decode()}\nä\n"


def test_a_recipient_is_called_as_the_header_calls_it() -> None:
    [offered] = offer_of(b"To: =?utf-8?q?J=C3=BCrgen?= <C@Example.com>, other@example.com\r\n\r\n", "c@example.com")
    assert offered.facts["name"] == "Jürgen"


def test_the_same_message_for_the_same_recipient_always_has_the_same_key() -> None:
    content = b"Message-ID: <1@x.example>\r\n\r\nx"
    [one] = offer_of(content, "A@EXAMPLE.com")
    [again] = offer_of(content, "A@example.COM")
    [other] = offer_of(content + b"y", "A@example.com")
    [neighbour] = offer_of(content, "b@example.com")
    assert one.key == again.key == f"1@x.example@{one.digest[:16]}#a@example.com"
    assert len({one.key, other.key, neighbour.key}) == 3


def test_a_recipient_in_other_letters_is_the_same_recipient_and_is_written_to_as_it_was_named_first() -> None:
    raw = b"Subject: x\r\nMessage-ID: <1@bank.example>\r\n\r\nHello"
    both = offer_of(raw, "Ada@Example.com", "ada@example.com", "bob@example.com")
    assert [each.facts["recipient"] for each in both] == ["Ada@example.com", "bob@example.com"]
    [again] = offer_of(raw, "ADA@example.COM")
    assert again.key == both[0].key


def test_a_message_id_that_is_too_long_is_left_out_of_the_key() -> None:
    [offered] = offer_of(b"Message-ID: <" + b"x" * 900 + b"@x.example>\r\n\r\n")
    assert offered.key.startswith("-@")


@pytest.mark.parametrize(
    ("told", "made_of_it"),
    [("statement", "statement"), (" Konto/Auszug ", "Konto-Auszug"), ("../x", "x"), ("ÄÖ", ""), ("x" * 90, "x" * 64)],
)
def test_words_of_headers_become_words_of_records(told, made_of_it) -> None:
    assert word(told) == made_of_it


def test_the_envelope_tells_stream_and_type_where_no_header_does() -> None:
    rules = MailMap(
        envelopes=(
            EnvelopeRule(recipient="*@board.example", type="minutes"),
            EnvelopeRule(sender="Billing@*", stream="invoices", type="invoice"),
        ),
        type="letter",
    )

    def told(content: bytes, sender: str = "billing@bank.example") -> list[tuple[str, str, str]]:
        found = offer_of(content, "a@b.example", "c@board.example", rules=rules, sender=sender)
        return [(each.facts["type"], each.facts["stream"], each.run_key.split("/")[1]) for each in found]

    plain = b"Subject: x\r\n\r\nHello"
    assert told(plain) == [("invoice", "invoices", "invoices"), ("minutes", "minutes", "minutes")]
    assert told(plain, "other@bank.example")[0] == ("letter", "letter", "letter")
    named = b"X-Exstream-Document: notice\r\n" + plain
    assert told(named)[0] == ("notice", "invoices", "invoices")


def test_run_keys_are_filled_in() -> None:
    facts = {"stream": "s", "type": "t", "sender": "a@b.example", "date": "2026-11-25"}
    assert run_key("smtp/{stream}/{date}", **facts) == "smtp/s/2026-11-25"
    assert run_key("{unknown}", **facts) == "{unknown}"
    assert check_run_pattern("{stream}{type}{sender}{date}") is None
    assert "{day}" in (check_run_pattern("{day}") or "")
    assert check_run_pattern("{") is not None


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.eml")), ids=lambda path: path.stem)
def test_whatever_the_corpus_holds_becomes_a_record_or_is_refused(path) -> None:
    content = path.read_bytes()
    if unreadable(content, read_headers(content)) is None:
        made(content)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_no_bytes_break_the_reader(rubbish) -> None:
    for content in (rubbish, b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + rubbish):
        if unreadable(content, read_headers(content)) is None:
            try:
                read_record({"key": "k", **record_of(content, FACTS)})
            except RecordProblem as problem:
                pytest.fail(str(problem))


def stuffed(content: bytes) -> bytes:
    """As a client sends it."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


@given(st.lists(st.sampled_from([b"a", b".", b"..", b"\r\n", b"\n", b"\r", b"x" * 50]), max_size=12), st.integers(1, 9))
@settings(max_examples=400)
def test_a_message_comes_out_as_it_went_in_however_it_is_cut(pieces, step) -> None:
    content = b"".join(pieces) + b"\r\n"
    wire = stuffed(content) + b"QUIT\r\n"
    incoming = Incoming(10_000)
    rest = None
    position = 0
    while rest is None:
        rest = incoming.feed(wire[position : position + step])
        position += step
    assert rest + wire[position:] == b"QUIT\r\n"
    assert incoming.cut is None
    assert incoming.content() == content


def test_an_empty_message_ends_at_once() -> None:
    incoming = Incoming(100)
    assert incoming.feed(b".\r\n") == b""
    assert incoming.content() == b""


def test_what_is_too_large_is_read_on_and_not_kept() -> None:
    incoming = Incoming(100)
    assert incoming.feed(b"x" * 150) is None
    assert incoming.cut is Cut.TOO_LARGE
    assert incoming.feed(b"\r\n.\r\n") == b""
    assert incoming.content() == b""
    assert incoming.feed(b"x" * 100) is None
    assert incoming.cut is Cut.TOO_MUCH
