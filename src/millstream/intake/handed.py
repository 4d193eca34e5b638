"""The one place where a customer of Exstream becomes a record, like any other that comes in."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from millstream.communication.entries import Reject
from millstream.intake.customer import CustomerOutputs, OutputFile
from millstream.intake.errors import NotYet, RecordProblem, Unfit
from millstream.intake.files import open_inside, read_open
from millstream.intake.inside import Inside
from millstream.intake.keys import Facts, KeyNames, Named, attachments
from millstream.intake.outputs import Arranged, OutputRules, Seen, arrange, media_of, named_paths
from millstream.intake.ports import Arrival, put_aside
from millstream.intake.record import digest_of, validated
from millstream.mime.plain import decoded_html

_MOST_FACTS: Final = 45
_LONGEST_FACT: Final = 500
_LONGEST_NAME: Final = 98
_PDF_END: Final = b"%%EOF"
_PDF_TAIL: Final = 2048
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{1,8})*")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingOptions:
    """How customers become records."""

    keys: KeyNames = field(default_factory=KeyNames)
    rules: OutputRules = field(default_factory=OutputRules)
    subject: str = "${CustomerName}"
    text: str = ""
    type: str = "document"
    locale: str = "en-GB"
    stream: str | None = None
    most_bytes: int = 36_700_160
    """Of one file: no message could carry a larger one."""
    settle: float = 2.0
    """Seconds for which a file must not have changed to be whole."""


@dataclass(slots=True)
class Reader:
    """Looks at a customer's files, once: what is read here is what leaves."""

    inside: Inside
    options: HandingOptions
    patient: bool
    """Whether what is missing or half written may still come."""
    place: Callable[[str], str | Unfit] = lambda path: path
    """From a path as the data write it to one inside the folder."""
    clock: Callable[[], float] = time.time

    def look(self, file: OutputFile, files: dict[str, bytes | Unfit]) -> Seen:
        """What a file is; what stands in it, or why it cannot be had, goes into `files`.

        Raises:
            NotYet: it is missing or half written, and may still come.
        """
        placed = self.place(file.path)
        if isinstance(placed, Unfit):
            files[file.path] = placed
            return Seen(file, file.media_type or "")
        file = replace(file, path=placed) if placed != file.path else file
        found = files[placed] = self._read(placed)
        if isinstance(found, Unfit):
            if self.patient and found.reason == "missing_document":
                raise NotYet(str(found))
            return Seen(file, file.media_type or "")
        return Seen(file, media_of(file, found), empty=not found)

    def _read(self, path: str) -> bytes | Unfit:
        descriptor = open_inside(self.inside, path)
        if isinstance(descriptor, Unfit):
            return descriptor
        try:
            found = read_open(descriptor, path, most_bytes=self.options.most_bytes)
            if self.patient and isinstance(found, bytes):
                self._wait_for_whole(path, found, self.clock() - os.fstat(descriptor).st_mtime)
        finally:
            os.close(descriptor)
        return found

    def _wait_for_whole(self, path: str, content: bytes, age: float) -> None:
        if content.startswith(b"%PDF-") and _PDF_END not in content[-_PDF_TAIL:]:
            raise NotYet(f"the PDF {path!r} has no end yet")
        if 0 <= age < self.options.settle:
            raise NotYet(f"{path!r} was written {age:.1f} s ago and may not be whole yet")


def handed(customer: CustomerOutputs, reader: Reader, *, consignment: int | None = None) -> Arrival | Reject:
    """A customer's record with its files, or why there can be none.

    Raises:
        NotYet: a file is missing or half written and may still come; the text names customer, line and file.
    """
    options = reader.options
    facts = Facts(customer.facts)
    who = facts.first(options.keys.customer) or str(customer.number)
    kind = _word(facts.first(options.keys.type)) or options.type
    key = (facts.first(options.keys.key) or who)[:200]
    files: dict[str, bytes | Unfit] = {}
    names = attachments(facts.first(options.keys.attachments))
    try:
        seen = [reader.look(file, files) for file in _all_files(customer.files, names)]
        arranged = arrange(_fit(seen, files), options.rules, names, facts)
        record = _record(facts, arranged, files, options)
        record |= {"key": key, "type": kind, "customer": _customer(who, facts, options.keys)}
        # Where it stands in the run and what else is said of it is no part of what it is: the same customer twice
        # with the same content is one.
        digest = digest_of(record)
        checked = validated(record | {"source": _source(customer, facts, options.keys)})
    except NotYet as error:
        raise NotYet(f"customer {who}, line {customer.line}: {error}") from error
    except RecordProblem as problem:
        rejected = put_aside(
            customer.line,
            problem.key or key,
            f"customer {who}: {problem}",
            hashlib.sha256(repr((sorted(customer.facts.items()), customer.files)).encode()).hexdigest(),
        )
        return replace(rejected, consignment=consignment, customer=who, type=kind)
    size = sum(len(value) for value in customer.facts.values()) + 500
    named = [checked.html_path, *(entry.path for entry in checked.documents or ())]
    used = {path: files[path] for path in named if path in files}
    return Arrival(customer.line, checked, digest, size, consignment, used)


def _all_files(files: tuple[OutputFile, ...], names: tuple[Named, ...]) -> list[OutputFile]:
    known = {file.path: file for file in files}
    return [*files, *named_paths(names, known)]


def _fit(seen: list[Seen], files: dict[str, bytes | Unfit]) -> list[Seen]:
    """A file that cannot be had is attached as what it would be, so that the communication is held and says why."""
    return [
        replace(each, media=each.media or _guessed(each.file.path))
        if isinstance(files.get(each.file.path), Unfit)
        else each
        for each in seen
    ]


def _guessed(path: str) -> str:
    return "text/html" if path.lower().endswith((".html", ".htm", ".xhtml")) else "application/pdf"


def _record(
    facts: Facts, arranged: Arranged, files: dict[str, bytes | Unfit], options: HandingOptions
) -> dict[str, Any]:
    keys = options.keys
    if arranged.html is None and arranged.text is None and not arranged.documents:
        raise RecordProblem("none of its output files becomes a mail; see [outputs]")
    record: dict[str, Any] = {
        "recipient": _addressee(facts.first(keys.recipient), facts.first(keys.name)),
        "locale": _locale(facts.first(keys.locale)) or options.locale,
        "subject": " ".join((facts.first(keys.subject) or facts.filled(options.subject)).split())[:900]
        or facts.first(keys.type)
        or options.type,
    }
    if copies := facts.first(keys.cc):
        record["cc"] = [_addressee(each.strip(), "") for each in re.split(r"[,;]", copies) if each.strip()]
    if stream := _word(facts.first(keys.stream)) or options.stream:
        record["stream"] = stream
    if arranged.html is not None:
        record["html_path"] = arranged.html
    text = files.get(arranged.text or "")
    if isinstance(text, bytes):
        record["text"] = decoded_html(text).replace("\x00", "")
    elif arranged.html is None:
        record["text"] = facts.filled(options.text)
    if arranged.documents:
        record["documents"] = arranged.documents
    return record


def _addressee(written: str, name: str) -> dict[str, str]:
    """An address; also where the data write `Ada Byron <ada@example.com>`."""
    before, angle, rest = written.partition("<")
    if angle and rest.rstrip().endswith(">"):
        written, name = rest.rstrip()[:-1].strip(), name or before.strip().strip('"')
    found = {"address": written[:2000]}
    return found | {"name": " ".join(name.split())[:200]} if name else found


def _customer(who: str, facts: Facts, keys: KeyNames) -> dict[str, str]:
    customer = {"id": " ".join(who.split())[:200]}
    if name := facts.first(keys.name):
        customer["name"] = " ".join(name.split())[:200]
    born = facts.first(keys.birth_date)
    if _DATE.fullmatch(born):
        customer["birth_date"] = born
    return customer


def _source(customer: CustomerOutputs, facts: Facts, keys: KeyNames) -> dict[str, str | int]:
    """What is kept for people and for Exstream's own events: the data's keys as they were, but for the birth date."""
    private = {name.casefold() for name in keys.birth_date}
    kept: dict[str, str | int] = {"system": "exstream", "customer_in_run": customer.number}
    for name, value in facts.given.items():
        if len(kept) >= _MOST_FACTS:
            break
        if name.casefold() not in private:
            kept[f"x.{name[:_LONGEST_NAME]}"] = value[:_LONGEST_FACT].replace("\x00", "")
    return kept


def _word(text: str) -> str:
    """What goes into headers and metrics: other characters become hyphens."""
    return _NO_WORD.sub("-", text).strip("-._")[:64]


def _locale(text: str) -> str:
    return text if len(text) <= 35 and _LOCALE.fullmatch(text) else ""  # noqa: PLR2004  the record's own bound
