"""What Exstream's output files become: HTML the body and PDFs attachments, unless a rule says otherwise."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from millstream.intake.customer import OutputFile
from millstream.intake.errors import RecordProblem
from millstream.intake.keys import Facts, Named

Use = Literal["body", "attach", "ignore"]

PDF: Final = "application/pdf"
HTML: Final = "text/html"
_TEXT: Final = "text/plain"
_ANYTHING: Final = "application/octet-stream"
_LOOK: Final = 1024
_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
# Files of an output queue often have no extension (reference, 2.3), so the first bytes speak.
_HEADS: Final = (
    (b"%PDF-", PDF),
    (b"PK\x03\x04", "application/zip"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%!PS", "application/postscript"),
    (b"{\\rtf", "application/rtf"),
    (b"<?xml", "application/xml"),
)
_HTML_STARTS: Final = (b"<!doctype html", b"<html", b"<head", b"<body")
_ENDINGS: Final = {PDF: ".pdf", HTML: ".html", _TEXT: ".txt", "application/xml": ".xml", "application/zip": ".zip"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the files of a queue and a media type, both patterns."""

    use: Use
    queue: str = "*"
    media: str = "*"
    name: str = ""
    """Of the attachment; `${Key}` is filled in from the customer's facts."""


@dataclass(frozen=True, slots=True)
class OutputRules:
    """The first rule that fits a file counts."""

    rules: tuple[Rule, ...] = ()
    others: Literal["attach", "ignore"] = "ignore"
    """What becomes of a file that no rule names and that is neither HTML nor PDF."""

    def for_file(self, queue: str, media: str) -> Rule:
        """The rule for a file."""
        for rule in self.rules:
            if fnmatchcase(queue, rule.queue) and fnmatchcase(media, rule.media):
                return rule
        if media == HTML:
            return Rule("body")
        return Rule("attach") if media == PDF else Rule(self.others)


@dataclass(frozen=True, slots=True)
class Seen:
    """A customer's file that was looked at: what it is, and whether anything stands in it."""

    file: OutputFile
    media: str
    empty: bool = False


@dataclass(slots=True)
class Arranged:
    """Which file becomes what."""

    html: str | None = None
    """The path of the body."""
    text: str | None = None
    documents: list[dict[str, str]] = field(default_factory=list)
    """As a record's documents."""


def sniff(content: bytes) -> str:
    """The media type by the first bytes; text where they are readable, else anything."""
    head = content[:_LOOK]
    for mark in _MARKS:
        head = head.removeprefix(mark)
    if content[:2] in _MARKS:  # UTF-16: every other byte of markup is zero
        head = head.replace(b"\x00", b"")
    for start, media in _HEADS:
        if head.startswith(start):
            # XHTML begins like any XML.
            return HTML if media == "application/xml" and b"<html" in head.lower() else media
    begun = head.lstrip().lower()
    if begun.startswith(_HTML_STARTS) or (begun.startswith(b"<!--") and b"<html" in begun):
        return HTML
    return _ANYTHING if b"\x00" in head else _TEXT


def media_of(file: OutputFile, content: bytes) -> str:
    """What a file is: as its data say, else by its first bytes, else by its extension where those say only text."""
    if file.media_type:
        return file.media_type.strip().lower()
    found = sniff(content)
    if found in (_TEXT, _ANYTHING, "application/zip"):
        return mimetypes.guess_type(file.path, strict=False)[0] or found
    return found


def arrange(files: Sequence[Seen], rules: OutputRules, names: Sequence[Named], facts: Facts) -> Arranged:
    """Decide for each file of a customer. Empty ones are nothing: the engine opens every queue's file for everyone.

    Raises:
        RecordProblem: two files would be the body.
    """
    found = Arranged()
    queues: dict[str, str] = {each.queue.casefold(): each.name for each in names if each.queue}
    paths: dict[str, str] = {each.path: each.name for each in names if each.path}
    taken: set[str] = set()
    for seen in files:
        if seen.empty:
            continue
        file, rule = seen.file, rules.for_file(seen.file.queue, seen.media)
        if rule.use == "attach":
            name = file.name or paths.get(file.path) or queues.get(file.queue.casefold()) or facts.filled(rule.name)
            name = _once(_with_ending(name or file.path.rpartition("/")[2], seen.media), taken)
            found.documents.append({"name": name, "media_type": seen.media, "path": file.path})
        elif rule.use == "body" and seen.media == _TEXT and found.text is None:
            found.text = file.path
        elif rule.use == "body":
            if found.html is not None:
                raise RecordProblem(
                    f"{found.html!r} and {file.path!r} would both be the mail's body; name the one that is not by a "
                    "rule in [outputs]"
                )
            found.html = file.path
    return found


def named_paths(names: Sequence[Named], known: Mapping[str, object]) -> list[OutputFile]:
    """Files that only the names of attachments name, such as `/global/terms.pdf`."""
    return [OutputFile(each.path, name=each.name) for each in names if each.path and each.path not in known]


def _with_ending(name: str, media: str) -> str:
    name = name.replace("/", "-").replace("\\", "-")[:180]
    ending = _ENDINGS.get(media) or mimetypes.guess_extension(media, strict=False) or ""
    if not ending or name.lower().endswith(ending):
        return name
    same = mimetypes.guess_type(name, strict=False)[0]
    return name if same == media else name + ending


def _once(name: str, taken: set[str]) -> str:
    """A name that no other attachment of the mail has."""
    stem, dot, ending = name.rpartition(".")
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{stem} ({number}).{ending}" if dot else f"{name} ({number})"
    taken.add(made)
    return made
