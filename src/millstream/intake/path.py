"""The one validated path: every door's records become communications here, or are held with a reason.

They are composed here and not when they leave, so that the content hash covers what leaves (docs/decisions/0005).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from millstream.communication.model import Communication, Hold, Recipient
from millstream.intake.documents import attachments_of, composed, composer_of, password_of
from millstream.intake.errors import Unfit
from millstream.intake.files import HTML_PLACE, HandedIn
from millstream.intake.ports import Gate, Head, Terms
from millstream.intake.record import Record
from millstream.mime import Attachment, BadAddress, Letter, Mailbox, MimeError, encoded_size
from millstream.mime.address import wire_address
from millstream.mime.body import attachment_head, base64_size
from millstream.mime.people import lower
from millstream.mime.plain import decoded_html, plain

_FORGERY = re.compile(r"[\r\n\x00]")
_LONGEST_ADDRESS = 320
_LONGEST_KEPT = 100_000
# Stands for the lane's mailbox, which is not chosen yet; longer than a real one, so that sizes err on the safe side.
_SENDER = Mailbox("x" * 60, f"{'x' * 64}@{'x' * 60}.example")
_TOKEN = "0" * 20
_DATE = datetime(2000, 12, 20, 20, 20, 20, tzinfo=UTC)
_MOST_BYTES_A_CHARACTER = 13
_HEADERS = 20_000
_BOUNDARY = 200
_AGAIN = "Submit it again under a new key."


@dataclass(frozen=True, slots=True)
class Made:
    """A communication, and the documents that are to be put into the store before it is added."""

    communication: Communication
    head: Head
    """As what it came in."""
    attachments: tuple[Attachment, ...] = ()
    papers: tuple[bytes, ...] = ()
    """What reviewers see instead of attachments under a password; for the store as well."""


@dataclass(frozen=True, slots=True)
class _Body:
    subject: str
    text: str
    html: str | None


def slow(record: Record, terms: Terms) -> bool:
    """Whether making it costs milliseconds and more: composing it, or putting its PDFs under a password."""
    protects = record.password is not None or terms.password is not None
    return record.template is not None or any(protects or entry.compose is not None for entry in record.documents or ())


def make(handed: HandedIn, terms: Terms) -> Made:
    """Make the communication of a record; what is wrong with the record becomes the communication's hold.

    CPU-bound where it composes or protects: call it in a thread.

    Raises:
        ComposerFailed: it is to be composed, and there is no composer, or the template is broken.
    """
    record = handed.arrival.record
    try:
        _check_written(record)
        recipient = _recipient(record)
        copies = _copies(record, recipient)
        body = _body(handed, terms)
        attachments = tuple(attachments_of(handed, terms))
        if record.template is not None or not _surely_fits(body, attachments, terms.most_bytes):
            _check_message(_letter(record, recipient, body, attachments, terms.unsubscribe), terms.most_bytes)
    except Unfit as unfit:
        detail = f"Customer {record.customer.id}: {str(unfit).rstrip('.')}. {_AGAIN}"
        return Made(_held(handed, Hold(unfit.reason, _storable(detail))), handed.head)
    made = Made(_communication(handed, recipient, body, copies=copies), handed.head, attachments)
    return made if terms.gate is None else _gated(made, handed, terms, terms.gate)


def _gated(made: Made, handed: HandedIn, terms: Terms, gate: Gate) -> Made:
    """The same with whom it needs; the gate sees it as it leaves."""
    password = password_of(handed.arrival.record, terms) if made.attachments else None
    asked = gate.look(handed, made, run=terms.run, password=password)
    if not asked.needs:
        return made
    return replace(made, communication=replace(made.communication, needs=asked.needs), papers=asked.copies)


def _check_written(record: Record) -> None:
    """See that nothing that was handed in forges a header, and that mail can carry it."""
    named = {"customer.name": record.customer.name, "recipient.name": record.recipient.name, "subject": record.subject}
    for place, copy in enumerate(record.cc):
        named[f"cc[{place}].name"] = copy.name
    for place, entry in enumerate(record.documents or ()):
        field = f"documents[{place}].name"
        named[field] = entry.name
        if entry.name is not None and ("/" in entry.name or "\\" in entry.name):
            raise Unfit("bad_content", f"{field} is a path; give the bare file name")
    for field, value in named.items():
        if value is not None and _FORGERY.search(value):
            raise Unfit(
                "bad_content", f"{field} holds a line break or NUL, which would forge further headers; remove it"
            )
    for field, value in (("text", record.text), ("html", record.html)):
        if value is not None and "\x00" in value:
            raise Unfit("bad_content", f"{field} holds a NUL character, which no mail can carry; remove it")


def _recipient(record: Record) -> Recipient:
    return Recipient(_address(record.recipient.address), record.recipient.name or record.customer.name or "")


def _copies(record: Record, recipient: Recipient) -> tuple[Recipient, ...]:
    """Who else gets it, each once."""
    found = {lower(recipient.address): recipient}
    for each in record.cc:
        address = _address(each.address)
        found.setdefault(lower(address), Recipient(address, each.name or ""))
    return tuple(found.values())[1:]


def _address(written: str) -> str:
    try:
        return wire_address(written.strip(" "))
    except BadAddress as error:
        shown = _shown(error.address)
        raise Unfit(
            "bad_recipient", f"{shown!r} is not an address that mail can go to: {error.why.rstrip('.')}; correct it"
        ) from None


def _body(handed: HandedIn, terms: Terms) -> _Body:
    record = handed.arrival.record
    if record.html_path is not None:
        html = _html_of(handed, record.html_path)
        return _Body(record.subject or "", record.text or plain(html), html)
    if record.template is None:
        return _Body(
            record.subject or "", record.text or ("" if record.html is None else plain(record.html)), record.html
        )
    render = composer_of(terms).render_mail
    mail = composed(render, record, record.template)
    return _Body(mail.subject, mail.text, mail.html)


def _html_of(handed: HandedIn, path: str) -> str:
    found = handed.files[HTML_PLACE]
    if isinstance(found, Unfit):
        raise Unfit(found.reason, f"html_path: {found}")
    html = decoded_html(found)
    if "\x00" in html:
        raise Unfit("bad_content", f"{path!r} holds a NUL character, which no mail can carry; make it again")
    return html


def _surely_fits(body: _Body, attachments: tuple[Attachment, ...], most_bytes: int) -> bool:
    """Whether a mail needs no exact look.

    It holds nothing but what `_check_written` and the record's own patterns let pass, which every header can carry
    (a property test builds such letters); a character takes at most 12 bytes in quoted-printable and less in base64.
    A hundred thousand small communications come in a third faster for it. What stands before a document is written
    here as it will be, because its name may come from a file.
    """
    size = (len(body.text) + len(body.html or "")) * _MOST_BYTES_A_CHARACTER + _HEADERS
    try:
        for each in attachments:
            size += len(attachment_head(each)) + base64_size(len(each.content)) + _BOUNDARY
    except MimeError:
        return False  # the exact look says why
    return size < most_bytes


def _letter(
    record: Record, recipient: Recipient, body: _Body, attachments: tuple[Attachment, ...], unsubscribe: str | None
) -> Letter:
    """The letter as a lane will write it, but for its sender and token."""
    return Letter(
        sender=_SENDER,
        recipient=Mailbox(recipient.name, recipient.address),
        subject=body.subject,
        date=_DATE,
        delivery_token=_TOKEN,
        text=body.text,
        html=body.html,
        attachments=attachments,
        reply_to=_SENDER,
        stream=record.stream or record.type,
        locale=record.locale,
        unsubscribe=unsubscribe,
    )


def _check_message(letter: Letter, most_bytes: int) -> None:
    """See that the message can be written, and is no larger than the limit."""
    try:
        size = encoded_size(letter)
    except MimeError as error:
        raise Unfit("bad_content", str(error)) from error
    if size <= most_bytes:
        return
    largest = max(letter.attachments, key=lambda each: len(each.content), default=None)
    most = f" (largest document: {largest.name!r} with {len(largest.content):,})" if largest else ""
    raise Unfit(
        "too_large", f"the encoded message has {size:,} bytes{most}, and {most_bytes:,} may be sent; make it smaller"
    )


def _communication(
    handed: HandedIn,
    recipient: Recipient,
    body: _Body,
    *,
    copies: tuple[Recipient, ...] = (),
    hold: Hold | None = None,
) -> Communication:
    record = handed.arrival.record
    return Communication(
        key=record.key,
        type=record.type,
        customer=record.customer.id,
        recipient=recipient,
        subject=body.subject,
        text=body.text,
        html=body.html,
        locale=record.locale,
        stream=record.stream or record.type,
        sensitivity=record.sensitivity,
        consignment=handed.arrival.consignment,
        source_hash=handed.source_hash,
        template=record.template,
        version=handed.versions.get(record.template or ""),
        source=record.source,
        hold=hold,
        copies=copies,
        replaces=record.replaces,
    )


def _held(handed: HandedIn, hold: Hold) -> Communication:
    """As much of it as the ledger can hold, for the person who looks at it; it cannot leave, so no documents."""
    record = handed.arrival.record
    recipient = Recipient(_storable(_shown(record.recipient.address)), _storable(record.recipient.name or ""))
    html = None if record.html is None else _storable(record.html)
    body = _Body(_storable(record.subject or ""), _storable(record.text or ""), html)
    return _communication(handed, recipient, body, hold=hold)


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST_ADDRESS else f"{text[:_LONGEST_ADDRESS]}…"


def _storable(text: str) -> str:
    """Postgres stores no NUL; and a body that was too large to send is too large to keep."""
    return text[:_LONGEST_KEPT].replace("\x00", "\N{REPLACEMENT CHARACTER}")
