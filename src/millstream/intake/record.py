"""One line of a driver: the record from which a communication is made."""

from __future__ import annotations

import difflib
import hashlib
import re
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from millstream.intake.errors import RecordProblem

_NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"
_WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_CONTROL)]
"""Names a thing in ledgers and logs: one line of 1 to 200 characters."""
Word = Annotated[str, Field(max_length=64, pattern=_WORD)]
"""Goes into headers, file names or metrics: letters, digits, dot, underscore, hyphen; at most 64."""
SourceValue = Annotated[str, Field(max_length=500)] | int | bool | None

_MOST_PROBLEMS = 3


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Customer(_Part):
    """Whom the communication is about."""

    id: Name = Field(description="The customer's number or name in your systems; every report and error names it.")
    name: str | None = Field(
        default=None,
        max_length=200,
        description="The customer's name; the recipient's name where that is not given.",
    )
    birth_date: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="`YYYY-MM-DD`. Read by the run's password rule alone, and not kept.",
    )


class Addressee(_Part):
    """To whom it goes."""

    address: str = Field(max_length=2000, description="The mail address, without a name around it.")
    name: str | None = Field(default=None, max_length=200, description="The name to show beside the address.")


class DocumentEntry(_Part):
    """One attachment: exactly one of `content`, `path` and `compose`."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The file name that the recipient sees, in any language. Needed with `content`; else the name of "
        "the file, or of the composed document.",
    )
    media_type: str = Field(
        default="application/pdf",
        max_length=127,
        pattern=r"^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$",
        description="What it is, for example `text/csv`.",
    )
    content: str | None = Field(default=None, description="The document itself, in base64.")
    path: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="A file inside the driver's folder, relative to it. A path that leads out of it, also by a "
        "symbolic link, is held.",
    )
    compose: Word | None = Field(
        default=None, description="A template: the document is composed from the record's `data`."
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.content is not None) + (self.path is not None) + (self.compose is not None) != 1:
            raise PydanticCustomError("origin", "needs exactly one of content, path and compose")
        if self.content is not None and self.name is None:
            raise PydanticCustomError("origin", "needs a name, because content has none of its own")
        if self.compose is not None and self.media_type != "application/pdf":
            raise PydanticCustomError("origin", "is composed, and so its media_type can only be application/pdf")
        return self


class Record(_Part):
    """One communication for one customer."""

    key: Name = Field(description="Names the communication within its run, for example `2025-10/0001`.")
    type: Word = Field(description="What kind of document it is, for example `statement`.")
    customer: Customer = Field(description="Whom it is about.")
    recipient: Addressee = Field(description="To whom it goes.")
    cc: list[Addressee] = Field(
        default_factory=list,
        max_length=10,
        description="Who else gets it: each a copy of their own, which no other recipient sees.",
    )
    locale: str = Field(
        default="en-GB",
        max_length=35,
        pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{1,8})*$",
        description="Language and region of texts, dates and amounts, for example `de-AT`.",
    )
    stream: Word | None = Field(
        default=None, description="The name under which Gmail counts complaints (Feedback-ID); else the type."
    )
    sensitivity: Literal["normal", "confidential"] = Field(
        default="normal",
        description="`normal` or `confidential`; rules of roads may go by it (`relay.rules`).",
    )
    template: Word | None = Field(
        default=None,
        description="The template from which mail and document are composed. Without it, `subject` is needed, and one "
        "of `text`, `html` and `html_path`.",
    )
    data: dict[str, Any] = Field(
        default_factory=dict, description="What the template shows; its fields are those of the template's schema."
    )
    subject: str | None = Field(default=None, min_length=1, max_length=900, description="The mail's subject.")
    text: str | None = Field(default=None, description="The mail's text; else it is made of the HTML.")
    html: str | None = Field(default=None, description="The mail as HTML, beside `text` or alone.")
    html_path: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The same as a file inside the driver's folder, instead of `html`.",
    )
    documents: list[DocumentEntry] | None = Field(
        default=None,
        max_length=50,
        description="The attachments, in order. With `template` and without this field, the template's document.",
    )
    source: dict[Annotated[str, Field(max_length=100)], SourceValue] = Field(
        default_factory=dict,
        max_length=50,
        description="Where it came from, for people: system, job, queue. Kept, and not looked into.",
    )
    replaces: Name | None = Field(
        default=None,
        description="The key, in the same run, of a communication of the same customer that waits for a review: this "
        "one takes its place, and its reviewers see what is different.",
    )
    password: str | None = Field(
        default=None,
        description="Protects this communication's PDF documents (AES-256), instead of the run's password rule. "
        "6 to 127 bytes. Not kept.",
    )

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        written = [name for name in ("subject", "text", "html", "html_path") if getattr(self, name) is not None]
        if self.template is not None and written:
            raise PydanticCustomError(
                "body",
                "has both template and {written}; the template makes them, so leave them out or leave out the template",
                {"written": ", ".join(written)},
            )
        missing = ["subject"] if self.subject is None else []
        if self.text is None and self.html is None and self.html_path is None:
            missing.append("text")
        if self.html is not None and self.html_path is not None:
            raise PydanticCustomError("body", "has both html and html_path; leave one of them out")
        if self.template is None and missing:
            raise PydanticCustomError(
                "body", "lacks {missing}; add it, or name a template", {"missing": " and ".join(missing)}
            )
        return self

    def entries(self) -> tuple[DocumentEntry, ...]:
        """The attachments, also the one that comes with the template."""
        if self.documents is None and self.template is not None:
            return (DocumentEntry(compose=self.template),)
        return tuple(self.documents or ())

    def templates(self) -> tuple[str, ...]:
        """The templates it is composed with, each once, in order."""
        named = [self.template, *(entry.compose for entry in self.documents or ())]
        return tuple(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True, slots=True)
class Read:
    """A record and the digest of everything that stands in it."""

    record: Record
    digest: bytes
    """SHA-256 of the record with its fields sorted: spaces and order of fields do not count."""


def read_record(handed_in: object) -> Read:
    """Check what a door hands in, as JSON gives it.

    Raises:
        RecordProblem: it is no object, or a field is missing, unknown or wrong.
    """
    record = validated(handed_in)
    return Read(record, digest_of(handed_in, record.key))


def validated(handed_in: object) -> Record:
    """The record that a door hands in, without its digest.

    Raises:
        RecordProblem: as `read_record`.
    """
    if not isinstance(handed_in, dict):
        raise RecordProblem(
            f"the record is {_KINDS.get(type(handed_in), 'no object')}; a driver holds one JSON object on each line"
        )
    try:
        return Record.model_validate(handed_in)
    except ValidationError as error:
        key = handed_in.get("key")
        raise RecordProblem(_sentence(error), key[:200] if isinstance(key, str) else None) from None


def digest_of(handed_in: object, key: str | None = None) -> bytes:
    """SHA-256 of a record with its fields sorted.

    Raises:
        RecordProblem: it is nested too deeply, or holds half a character.
    """
    try:
        canonical = orjson.dumps(handed_in, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # it reads 1,024 levels and writes 254
        raise RecordProblem(f"data cannot be kept: {error}; nest it less deeply", key) from None
    return hashlib.sha256(canonical).digest()


_KINDS: dict[type, str] = {
    list: "a JSON list",
    str: "a JSON string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}

_SUBJECT = re.compile(r"^\w+ should")
_NEEDS = {
    "missing": "is missing",
    "string_type": "must be text, in double quotes",
    "dict_type": "must be an object: {…}",
    "model_type": "must be an object: {…}",
    "list_type": "must be a list: […]",
    "literal_error": "must be one of the words that the reference names",
}


def _sentence(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    said = list(dict.fromkeys(_one(each) for each in found))
    more = len(said) - _MOST_PROBLEMS
    return "; ".join(said[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _one(found: ErrorDetails) -> str:
    # pydantic's places name the branch of a union after the field: source.system.constrained-str
    place = [step for step in found["loc"] if isinstance(step, str)]
    if len(place) > 1 and place[0] == "source":
        return f"source.{place[1]} must be text of at most 500 characters, a number, true, false or null"
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in found["loc"])
    where = where.lstrip(".") or "the record"
    kind = found["type"]
    if kind == "extra_forbidden":
        return f"{where} is not a field of a driver{_nearest(place)}"
    if kind == "string_pattern_mismatch":
        return f"{where} {_PATTERNS.get(place[-1], 'has characters that may not stand there')}"
    if kind in ("origin", "body"):
        return f"{where} {found['msg']}"
    said = _NEEDS.get(kind) or _SUBJECT.sub("should", found["msg"])
    return f"{where} {said}"


_PATTERNS = {
    "birth_date": "must be a date as YYYY-MM-DD",
    "locale": "must be a language tag such as en-GB",
    "media_type": "must be a media type in lower case, such as application/pdf",
    "key": "must stand on one line: it holds a control character",
    "id": "must stand on one line: it holds a control character",
    **dict.fromkeys(
        ("type", "stream", "template", "compose"),
        "may hold letters, digits, dots, underscores and hyphens, and starts with a letter or digit",
    ),
}


def _nearest(place: list[str]) -> str:
    """The known field that was probably meant, in this part of the record or in another."""
    inside = ".".join(place[:-1])
    known = [field for field, _ in fields()]
    here = [field for field in known if field.rpartition(".")[0] == inside]
    wrong = f"{inside}.{place[-1]}".lstrip(".")
    close = difflib.get_close_matches(wrong, here, n=1) or [
        field for field in known if field.rpartition(".")[2] == place[-1]
    ]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; the fields there are {', '.join(field.rpartition('.')[2] for field in here)}"


def fields() -> list[tuple[str, Any]]:
    """Every field of a driver with its pydantic description, parts as `customer.id`, in the schema's order."""
    return list(_fields_of(Record, ""))


def _fields_of(model: type[BaseModel], prefix: str) -> typing.Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        yield prefix + name, info
        for part in _parts(info.annotation):
            yield from _fields_of(part, f"{prefix}{name}.")


def _parts(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [part for argument in typing.get_args(annotation) for part in _parts(argument)]
