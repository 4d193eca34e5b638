"""Whatever text people bring: the standard library reads back what was built, and the wire stays clean."""

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from millstream.mime import Attachment, Letter, Mailbox, MimeError, build, encoded_size, read_headers

# A busy machine is no reason to fail.
unhurried = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Every character that has a UTF-8 form and forges nothing.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0")
line = st.text(characters, max_size=90)
body = st.lists(line, max_size=6).map("\n".join)
token = st.from_regex(r"[A-Za-z0-9._~-]{1,128}", fullmatch=True)
local = st.from_regex(r"[a-z0-9]{1,12}([.+_-][a-z0-9]{1,12}){0,3}", fullmatch=True)
label = st.from_regex(r"[a-z]([a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
domain = st.builds("{}.{}".format, label, st.sampled_from(["example", "test", "example.com", "example.org"]))
address = st.builds("{}@{}".format, local, domain)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))])
moments = st.builds(datetime.fromtimestamp, st.integers(0, 7_000_000_000), zones)
attachments = st.lists(
    st.builds(
        Attachment,
        st.text(characters, min_size=1, max_size=100).filter(str.strip),
        st.sampled_from(["application/pdf", "image/png", "text/plain", "application/octet-stream"]),
        st.binary(max_size=300),
    ),
    max_size=2,
).map(tuple)
letters = st.builds(
    Letter,
    sender=st.builds(Mailbox, line, address),
    recipient=st.builds(Mailbox, line, address),
    subject=line,
    date=moments,
    delivery_token=token,
    text=body,
    html=st.none() | body,
    attachments=attachments,
    reply_to=st.none() | st.builds(Mailbox, line, address),
    stream=st.none() | line,
    headers=st.lists(st.tuples(st.sampled_from(["X-One", "X-Two"]), line), max_size=2).map(tuple),
)


def read(wire: bytes) -> EmailMessage:
    return message_from_bytes(wire, policy=policy.SMTP)  # type: ignore[return-value]  # the policy decides the class


def as_lines(text: str) -> str:
    """Text as a mail program keeps it: CRLF at the end of every line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return (lines if lines.endswith("\n") or not lines else lines + "\n").replace("\n", "\r\n")


def phrase(name: str) -> str:
    """A name with its runs of blanks closed, as a display name keeps it."""
    return " ".join(part for part in name.replace("\t", " ").split(" ") if part)


def read_mailbox(message: EmailMessage, field: str) -> Mailbox:
    """The mailbox by the standard library's exact reader: that of policy.default parts encoded words by a blank."""
    raw = dict(message.raw_items())[field].replace("\r\n", "")
    if raw.startswith("=?"):
        words, _, rest = raw.rpartition("<")
        return Mailbox(str(make_header(decode_header(words.strip()))), rest.strip("<>"))
    return Mailbox(*parseaddr(raw))


@unhurried
@given(letters)
def test_what_is_built_is_read_back_the_same(letter):
    message = read(build(letter))
    assert message["Subject"] == letter.subject
    assert read_mailbox(message, "From") == Mailbox(phrase(letter.sender.name), letter.sender.address)
    assert read_mailbox(message, "To") == Mailbox(phrase(letter.recipient.name), letter.recipient.address)
    assert message["Date"].datetime == letter.date.replace(microsecond=0)
    assert message["X-Millstream-Delivery"] == letter.delivery_token
    for name in ("X-One", "X-Two"):
        assert message.get_all(name, []) == [value for field, value in letter.headers if field == name]
    bodies = [part for part in message.walk() if not part.is_multipart() and part.get_content_disposition() is None]
    expected = [("text/plain", letter.text)] if letter.text or letter.html is None else []
    expected += [("text/html", letter.html)] if letter.html is not None else []
    assert [(part.get_content_type(), part.get_content()) for part in bodies] == [
        (kind, as_lines(text)) for kind, text in expected
    ]
    found = [part for part in message.walk() if part.get_content_disposition() == "attachment"]
    assert [
        # get_filename would strip blanks, quotes and angle brackets from the name
        Attachment(
            part["Content-Disposition"].params["filename"], part.get_content_type(), part.get_payload(decode=True)
        )
        for part in found
    ] == list(letter.attachments)
    assert all(part.defects == [] for part in message.walk())


@unhurried
@given(letters)
def test_the_wire_is_seven_bit_with_crlf_and_short_lines_and_its_size_is_known(letter):
    wire = build(letter)
    assert encoded_size(letter) == len(wire)
    assert wire.isascii()
    assert b"\0" not in wire
    lines = wire.split(b"\r\n")
    assert not any(b"\n" in one or b"\r" in one for one in lines)
    assert max(map(len, lines)) <= 998
    head = lines[: lines.index(b"")]
    assert max(map(len, (one for one in head if one.startswith((b"Subject: =?", b" =?")))), default=0) <= 76
    headers = read_headers(wire)
    assert headers.text("Subject") == letter.subject


@unhurried
@given(st.text(characters, max_size=45))
@example("Moor, Ada")
@example("=?utf-8?q?x?=")
@example('"')
def test_a_name_that_fits_one_encoded_word_is_read_by_the_newest_policy_too(name):
    letter = Letter(
        sender=Mailbox("", "a@bank.example"),
        recipient=Mailbox(name, "b@example.com"),
        subject="",
        date=datetime(2026, 1, 1, tzinfo=UTC),
        delivery_token="t",
    )
    wire = build(letter)
    if wire.partition(b"\r\nSubject:")[0].count(b"=?utf-8?") <= 1:
        shown = read(wire)["To"].addresses[0].display_name
        assert "".join(shown.split()) == "".join(name.split())  # the policy closes up other blanks than the space


anything = st.text(max_size=40)


@unhurried
@given(
    st.builds(
        Letter,
        sender=st.builds(Mailbox, anything, anything | address),
        recipient=st.builds(Mailbox, anything, anything | address),
        subject=anything,
        date=moments,
        delivery_token=anything | token,
        reply_to=st.none() | st.builds(Mailbox, anything, anything),
        stream=st.none() | anything,
        locale=st.none() | anything,
        unsubscribe=st.none() | anything,
        message_id=st.none() | anything,
        headers=st.lists(st.tuples(anything, anything), max_size=2).map(tuple),
        attachments=st.lists(st.builds(Attachment, anything, anything, st.just(b"x")), max_size=1).map(tuple),
    ),
    st.booleans(),
)
def test_whatever_is_given_either_builds_our_fields_alone_or_is_refused(letter, smtputf8):
    try:
        wire = build(letter, smtputf8=smtputf8)
    except MimeError:
        return
    names = [name.lower() for name, _ in read_headers(wire).fields]
    given_names = [name.lower() for name, _ in letter.headers]
    assert names.count("to") == names.count("from") == names.count("subject") == 1
    assert "bcc" not in names
    assert all(names.count(name) == given_names.count(name) for name in given_names)
