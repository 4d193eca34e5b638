"""What cannot leave is held with a reason a person can act on; what is not held can be written as a message."""

import base64
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.composer import DataError, MailTooLarge, TemplateError
from millstream.intake.errors import ComposerFailed, RecordProblem
from millstream.intake.files import gather
from millstream.intake.password import PasswordRule
from millstream.intake.path import make
from millstream.intake.ports import Arrival, Terms
from millstream.intake.record import read_record
from millstream.mime import Letter, Mailbox, build

MOST = 100_000


class Composer:
    """Composes what its two fields say; raises what it is given."""

    def __init__(self, *, subject="Composed", error=None, document=b"%PDF-1.7 composed"):
        self.subject = subject
        self.error = error
        self.document = document

    def version(self, *_):
        return "1"

    def render_mail(self, _template, _data, locale, *, customer):
        if self.error:
            raise self.error
        return SimpleNamespace(subject=self.subject, text=f"{customer} in {locale}", html="<p>")

    def compose_document(self, *_, **__):
        return self.document

    def document_name(self, *_, **__):
        return "Auszug.pdf"


def inline(content, **more):
    return {"name": "a.pdf", "content": base64.b64encode(content).decode(), **more}


def opened(content, password=""):
    return pikepdf.open(BytesIO(content), password=password)


def to_compose(**changes):
    return {"subject": None, "text": None, "template": "statement", "data": {}, **changes}


def test_a_good_record_becomes_a_communication(made):
    result = made(html="<p>Hi</p>", locale="de-AT", source={"job": "J1"}, stream="s")
    whole = result.communication
    assert whole.hold is None
    assert (whole.recipient.address, whole.recipient.name, whole.customer) == ("ada@example.com", "Ada Byron", "C-17")
    assert (whole.subject, whole.text, whole.html) == ("Your statement", "Dear Ada Byron,\n", "<p>Hi</p>")
    assert (whole.locale, whole.stream, dict(whole.source)) == ("de-AT", "s", {"job": "J1"})


def test_the_type_is_the_stream_where_none_is_given(made):
    assert made().communication.stream == "statement"


def test_an_international_domain_is_kept_in_the_form_that_travels(made):
    assert made(recipient={"address": " ada@bücher.example "}).communication.recipient.address == (
        "ada@xn--bcher-kva.example"
    )


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b@c.example",
        "Ada <ada@example.com>",
        "a@example.com\r\nBcc: b@example.com",
        "a\x00@example.com",
    ],
)
def test_an_invalid_address_is_held_with_customer_address_and_reason(made, address):
    whole = made(recipient={"address": address}).communication
    assert whole.hold.reason == "bad_recipient"
    assert whole.hold.detail.startswith("Customer C-17: ")
    assert "is not an address that mail can go to: " in whole.hold.detail
    assert whole.recipient.address == address.replace("\x00", "\ufffd")


def test_an_endless_address_is_held_and_cut(made):
    whole = made(recipient={"address": "a" * 2000}).communication
    assert whole.hold.reason == "bad_recipient"
    assert len(whole.recipient.address) < 400


@pytest.mark.parametrize("evil", ["x\r\nBcc: a@example.com", "x\ny", "x\ry", "x\x00y"])
@pytest.mark.parametrize("field", ["subject", "recipient.name", "customer.name", "documents[0].name"])
def test_a_line_break_that_would_forge_a_header_is_held_and_its_field_named(made, field, evil):
    changes = {
        "subject": {"subject": evil},
        "recipient.name": {"recipient": {"address": "a@example.com", "name": evil}},
        "customer.name": {"customer": {"id": "1", "name": evil}},
        "documents[0].name": {"documents": [{"name": evil, "content": ""}]},
    }[field]
    whole = made(**changes).communication
    assert whole.hold.reason == "bad_content"
    assert field in whole.hold.detail
    assert "\x00" not in whole.subject + whole.recipient.name


def test_a_nul_in_a_body_is_held(made):
    whole = made(text="a\x00b").communication
    assert whole.hold.reason == "bad_content"
    assert "\x00" not in whole.text


def test_a_document_name_that_is_a_path_is_held(made, pdf):
    assert made(documents=[inline(pdf, name="../a.pdf")]).communication.hold.reason == "bad_content"


def test_a_document_by_path_is_attached_under_its_own_name_or_the_one_given(made, pdf, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.pdf").write_bytes(pdf)
    result = made(documents=[{"path": "sub/x.pdf"}, {"path": "sub/x.pdf", "name": "Kontoauszug März.pdf"}])
    assert [each.name for each in result.attachments] == ["x.pdf", "Kontoauszug März.pdf"]
    assert result.attachments[0].content == pdf


def test_a_document_outside_the_folder_is_held(made):
    whole = made(documents=[{"path": "../x.pdf"}]).communication
    assert whole.hold.reason == "bad_content"
    assert "documents[0].path" in whole.hold.detail


def test_a_missing_document_is_held(made):
    assert made(documents=[{"path": "x.pdf"}]).communication.hold.reason == "missing_document"


def test_base64_in_lines_is_read(made, pdf):
    content = base64.encodebytes(pdf).decode()
    assert made(documents=[{"name": "a.pdf", "content": content}]).attachments[0].content == pdf


@pytest.mark.parametrize("content", ["", "%%%", "abc", "data:application/pdf;base64,AAAA", "ü"])
def test_base64_that_is_none_is_held(made, content):
    whole = made(documents=[{"name": "a.pdf", "content": content}]).communication
    assert whole.hold.reason == "unreadable_document"


@pytest.mark.parametrize("content", [b"hello", b"%PDF-1.7\nbroken"])
def test_a_broken_pdf_is_held_with_its_name(made, content):
    whole = made(documents=[inline(content)]).communication
    assert whole.hold.reason == "unreadable_document"
    assert "'a.pdf'" in whole.hold.detail


def test_another_kind_of_document_is_taken_as_it_is(made):
    result = made(documents=[inline(b"a;b\n", name="a.csv", media_type="text/csv")])
    assert result.communication.hold is None
    assert result.attachments[0].content == b"a;b\n"


def test_a_message_inside_the_message_is_held(made):
    whole = made(documents=[inline(b"x", name="a.eml", media_type="message/rfc822")]).communication
    assert whole.hold.reason == "bad_content"


def test_a_message_beyond_the_limit_is_held_with_both_figures_and_its_largest_document(made):
    document = inline(b"x" * 90_000, name="big.bin", media_type="application/octet-stream")
    whole = made(documents=[document]).communication
    assert whole.hold.reason == "too_large"
    assert "100,000" in whole.hold.detail
    assert "'big.bin' with 90,000" in whole.hold.detail


def test_a_body_beyond_the_limit_is_held_and_not_kept_whole(made):
    whole = made(text="y" * 500_000).communication
    assert whole.hold.reason == "too_large"
    assert len(whole.text) == 100_000


def test_a_mail_and_its_document_are_composed_in_the_locale(made):
    terms = Terms(most_bytes=MOST, composer=Composer())
    result = made(terms=terms, **to_compose(locale="de-DE"))
    assert (result.communication.subject, result.communication.text) == ("Composed", "C-17 in de-DE")
    assert [(each.name, each.content) for each in result.attachments] == [("Auszug.pdf", b"%PDF-1.7 composed")]


def test_a_composed_subject_with_a_line_break_is_held(made):
    terms = Terms(most_bytes=MOST, composer=Composer(subject="a\nb"))
    assert made(terms=terms, **to_compose()).communication.hold.reason == "bad_content"


def test_wrong_data_are_held_with_customer_field_and_template(made):
    error = DataError(customer="C-17", field="balance", template="statement", problem="is missing")
    whole = made(terms=Terms(most_bytes=MOST, composer=Composer(error=error)), **to_compose()).communication
    assert whole.hold.reason == "bad_data"
    assert whole.hold.detail.startswith("Customer C-17: field balance: is missing (template statement)")


def test_a_mail_larger_than_gmail_shows_is_held(made):
    error = MailTooLarge(customer="C-17", template="statement", problem="its HTML has 120,000 bytes")
    whole = made(terms=Terms(most_bytes=MOST, composer=Composer(error=error)), **to_compose()).communication
    assert whole.hold.reason == "too_large"


def test_a_broken_template_stops_the_submit(made):
    terms = Terms(most_bytes=MOST, composer=Composer(error=TemplateError("statement", "document.typ is missing")))
    with pytest.raises(ComposerFailed, match=r"document\.typ is missing"):
        made(terms=terms, **to_compose())


def test_the_rule_of_the_run_protects_pdfs_and_nothing_else(made, pdf):
    terms = Terms(most_bytes=MOST, password=PasswordRule.parse("{customer.birth_date:%d%m%Y}"))
    documents = [inline(pdf), inline(b"text", name="a.txt", media_type="text/plain")]
    result = made(terms=terms, customer={"id": "1", "birth_date": "1980-03-09"}, documents=documents)
    with pytest.raises(pikepdf.PasswordError):
        opened(result.attachments[0].content)
    with opened(result.attachments[0].content, "09031980") as document:
        assert len(document.pages) == 1
    assert result.attachments[1].content == b"text"


def test_a_pdf_under_another_media_type_is_protected_too(made, pdf):
    document = inline(pdf, media_type="application/octet-stream")
    result = made(password="a password", documents=[document])
    with pytest.raises(pikepdf.PasswordError):
        opened(result.attachments[0].content)


def test_a_password_of_the_record_goes_before_the_rule(made, pdf):
    terms = Terms(most_bytes=MOST, password=PasswordRule.parse("{customer.id}-password"))
    result = made(terms=terms, password="of the record", documents=[inline(pdf)])
    with opened(result.attachments[0].content, "of the record") as document:
        assert document.is_encrypted


@pytest.mark.parametrize("changes", [{"customer": {"id": "1"}}, {"password": "12345"}])
def test_a_pdf_that_gets_no_password_is_held_and_not_sent_open(made, pdf, changes):
    terms = Terms(most_bytes=MOST, password=PasswordRule.parse("{customer.birth_date:%d%m%Y}"))
    result = made(terms=terms, documents=[inline(pdf)], **changes)
    assert result.communication.hold.reason == "bad_data"
    assert result.attachments == ()


def test_a_pdf_that_comes_under_a_password_keeps_it(made, pdf):
    locked = BytesIO()
    with opened(pdf) as document:
        document.save(locked, encryption=pikepdf.Encryption(user="theirs", owner="theirs"))
    terms = Terms(most_bytes=MOST, password=PasswordRule.parse("{customer.id}-password"))
    assert made(terms=terms, documents=[inline(locked.getvalue())]).attachments[0].content == locked.getvalue()


def test_neither_password_nor_birth_date_is_kept(made):
    whole = made(password="the password", customer={"id": "1", "birth_date": "1980-03-09"}).communication
    assert "the password" not in repr(whole)
    assert "1980" not in repr(whole)


TEXT = st.text(max_size=80)
RECORDS = st.fixed_dictionaries(
    {
        "key": TEXT,
        "type": st.from_regex(r"[a-z]{1,5}", fullmatch=True),
        "customer": st.fixed_dictionaries({"id": TEXT, "name": st.none() | TEXT}),
        "recipient": st.fixed_dictionaries(
            {"address": st.emails() | TEXT | st.just("ada@example.com"), "name": st.none() | TEXT}
        ),
        "locale": st.sampled_from(["en-GB", "de", "sr-Latn-RS", "pt_BR"]),
        "subject": TEXT | st.text(min_size=500, max_size=900),
        "text": TEXT,
        "html": st.none() | TEXT,
    },
    optional={
        "documents": st.lists(
            st.fixed_dictionaries(
                {
                    "name": TEXT,
                    "media_type": st.sampled_from(["text/plain", "application/x-a+b", "multipart/mixed", "a/b"]),
                    "content": st.binary(max_size=50).map(lambda content: base64.b64encode(content).decode()),
                }
            ),
            max_size=2,
        )
    },
)


@given(RECORDS)
def test_whatever_is_not_held_can_be_written_as_a_message_and_kept_by_postgres(record):
    try:
        read = read_record(record)
    except RecordProblem:
        return
    result = make(gather(Arrival(1, read.record, read.digest, 1), None, {}, most_bytes=MOST), Terms(most_bytes=MOST))
    whole = result.communication
    kept = [whole.key, whole.customer, whole.recipient.address, whole.recipient.name, whole.subject, whole.text]
    assert "\x00" not in "".join([*kept, whole.html or "", whole.hold.detail if whole.hold else ""])
    if whole.hold is None:
        message = build(
            Letter(
                sender=Mailbox("The Bank", "statements@bank.example"),
                recipient=Mailbox(whole.recipient.name, whole.recipient.address),
                subject=whole.subject,
                date=datetime(2025, 11, 3, tzinfo=UTC),
                delivery_token="0123456789",
                text=whole.text,
                html=whole.html,
                attachments=result.attachments,
                stream=whole.stream,
                locale=whole.locale,
            )
        )
        assert len(message) <= MOST
