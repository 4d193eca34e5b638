"""A record's documents: decoded, read or composed, checked, and protected where a password is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import pybase64

from millstream import lazy
from millstream.composer import CompositionFailed, MailTooLarge, TemplateError, UnreadablePdf, check_pdf, protect
from millstream.intake.errors import ComposerFailed, NoPassword, Unfit
from millstream.intake.files import HandedIn
from millstream.intake.password import usable
from millstream.intake.ports import Composing, Terms
from millstream.intake.record import DocumentEntry, Record
from millstream.mime import Attachment

PDF = "application/pdf"
Composed_co = TypeVar("Composed_co", covariant=True)


class _Compose(Protocol[Composed_co]):
    def __call__(self, template: str, data: dict[str, object], locale: str, *, customer: str | None) -> Composed_co: ...


def attachments_of(handed: HandedIn, terms: Terms) -> Iterator[Attachment]:
    """The documents of a record in order, ready to be attached.

    Raises:
        Unfit: one of them is missing, unreadable, not composable, or without the password that it needs.
        ComposerFailed: it is to be composed, and there is no composer, or the template is broken.
    """
    record = handed.arrival.record
    for place, entry in enumerate(record.entries()):
        if entry.compose is not None:
            name, content = _compose(record, entry, entry.compose, terms)
        elif entry.path is not None:
            name, content = _from_file(handed.files[place], entry, entry.path, place)
        else:
            name, content = entry.name or "", _decoded(entry.content or "", place)
        yield Attachment(name, entry.media_type, _secured(record, entry, name, content, terms))


def composer_of(terms: Terms) -> Composing:
    """The composer.

    Raises:
        ComposerFailed: the submit was given none.
    """
    if terms.composer is None:
        raise ComposerFailed("communications are to be composed, and this submit was given no composer")
    return terms.composer


def composed(compose: _Compose[Composed_co], record: Record, template: str) -> Composed_co:
    """What a call of the composer makes of the record's data.

    Raises:
        Unfit: the data miss a field or hold a wrong one, or the mail would be cut off by Gmail.
        ComposerFailed: the template is broken for everyone.
    """
    customer = record.customer.id
    try:
        return compose(template, record.data, record.locale, customer=customer)
    except CompositionFailed as error:
        reason = "too_large" if isinstance(error, MailTooLarge) else "bad_data"
        raise Unfit(reason, str(error).removeprefix(f"customer {customer}: ")) from error
    except TemplateError as error:
        raise ComposerFailed(f"cannot compose for customer {customer}: {error}") from error


def _compose(record: Record, entry: DocumentEntry, template: str, terms: Terms) -> tuple[str, bytes]:
    composer = composer_of(terms)
    name = entry.name or composed(composer.document_name, record, template)
    return name, composed(composer.compose_document, record, template)


def _from_file(found: bytes | Unfit, entry: DocumentEntry, path: str, place: int) -> tuple[str, bytes]:
    if isinstance(found, Unfit):
        raise Unfit(found.reason, f"documents[{place}].path: {found}")
    return entry.name or path.rpartition("/")[2], found


def _decoded(content: str, place: int) -> bytes:
    """Base64 with or without line breaks; one without costs 3 us for 20 KB, and looking for breaks 400."""
    for joined in (False, True):
        form = "".join(content.split()) if joined else content
        try:
            found = bytes(pybase64.b64decode(form, validate=True))
        except ValueError:  # also for characters beyond ASCII
            continue
        if found:
            return found
    raise Unfit("unreadable_document", f"documents[{place}].content is empty or no base64; encode the document again")


def _secured(record: Record, entry: DocumentEntry, name: str, content: bytes, terms: Terms) -> bytes:
    """A PDF checked, and under its password; any other document as it is."""
    if entry.media_type != PDF and not content.startswith(b"%PDF-"):
        return content
    try:
        password = _wanted_password(record, terms)
        if password is not None:
            return protect(content, password)
        if entry.compose is None:
            check_pdf(content)
    except NoPassword as error:
        raise Unfit("bad_data", f"{name!r} is to be protected, but {error}; correct that") from error
    except UnreadablePdf as error:
        # A document that came under a password keeps it: whoever made it knows whom it is for.
        if not isinstance(error.__cause__, lazy.load("pikepdf").PasswordError):
            raise Unfit("unreadable_document", f"{name!r} cannot be read: {error}; make it again") from error
    return content


def password_of(record: Record, terms: Terms) -> str | None:
    """The password under which the record's PDFs leave, where it has one."""
    try:
        return _wanted_password(record, terms)
    except NoPassword:
        return None


def _wanted_password(record: Record, terms: Terms) -> str | None:
    if record.password is not None:
        return usable(record.password, "the record's password")
    return terms.password.password(record) if terms.password else None
