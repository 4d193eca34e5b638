"""Rule packs as people write them: TOML with `[pack]` and `[[rule]]`.

docs/reference/rules.md is made from these models.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from millstream.review.errors import BadRulePack, Fault
from millstream.review.policy import Policy
from millstream.review.rules.text import BadPattern, pattern, phrases, squashed

_LONGEST_FILE = 5_000_000
_REMEMBERED = 10_000
_ROOTS = ("customer", "data", "key", "recipient", "source", "type", "locale", "stream", "template")

Globs = tuple[str, ...]
Severity = Literal["error", "warning"]


def _path(text: str) -> str:
    steps = text.split(".")
    if steps[0] not in _ROOTS or not all(steps):
        raise ValueError(f"{text!r} is no field of a record; write for example data.balance_cents")
    return text


def _regex(text: str) -> str:
    pattern(text)
    return text


FieldPath = Annotated[str, AfterValidator(_path)]
Regex = Annotated[str, AfterValidator(_regex)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Rule(_Part):
    name: str = Field(min_length=1, max_length=100, description="By which findings name it; once in its pack.")
    types: Globs = Field(default=(), description="Document types it is for; else the pack's. `*` stands for anything.")
    jurisdictions: Globs = Field(default=(), description="For which law, as `DE`, `US-CA`; else the pack's.")
    languages: Globs = Field(default=(), description="For letters in these languages alone, as `de`.")
    severity: Severity = Field(
        default="error", description="error: what is found holds the letter. warning: it is shown where others hold it."
    )


class _TextRule(_Rule):
    where: Literal["documents", "mail", "all"] = Field(
        default="all", description="documents: the attachments. mail: subject and text. all: both."
    )


class Clause(_TextRule):
    """Something must stand there."""

    kind: Literal["clause"]
    text: tuple[str, ...] | dict[str, tuple[str, ...]] = Field(
        default=(),
        description="One of these must stand there; by language where written as `text.de = […]`. How lines are broken "
        "and words are spaced does not count, nor does case.",
    )
    regex: Regex | None = Field(default=None, description="Instead: a regular expression of RE2 that must fit.")

    @field_validator("text", mode="before")
    @classmethod
    def _one_or_several(cls, given: object) -> object:
        if isinstance(given, Mapping):
            return {name: [each] if isinstance(each, str) else each for name, each in given.items()}
        return [given] if isinstance(given, str) else given

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if bool(self.text) == (self.regex is not None):
            raise ValueError("needs either text or regex")
        wordings = self.text.values() if isinstance(self.text, Mapping) else [self.text]
        if any(not squashed(each) for wording in wordings for each in wording) or (not all(wordings) and self.text):
            raise ValueError("text holds a wording without a word")
        return self


class Forbidden(_TextRule):
    """Something must not stand there."""

    kind: Literal["forbidden"]
    words: tuple[str, ...] = Field(
        default=(), description="Whole words and phrases; `*` at a word's end stands for any ending, as `guarant*`."
    )
    regex: tuple[Regex, ...] = Field(default=(), description="Regular expressions of RE2, beside the words.")
    except_: tuple[str, ...] = Field(
        default=(), alias="except", description="Phrases in which the words may stand, as `not guaranteed`."
    )

    @model_validator(mode="after")
    def _forbids_something(self) -> Self:
        if not self.words and not self.regex:
            raise ValueError("needs words or regex")
        for each in (self.words, self.except_):
            if each:
                phrases(each)
        return self


class Amounts(_TextRule):
    """Amounts agree with the data."""

    kind: Literal["amounts"]
    fields: tuple[FieldPath, ...] = Field(
        min_length=1,
        description="Each value must stand in the text as the locale writes it. A path through a list means all of it.",
    )
    minor: bool = Field(default=True, description="The data give cents, and not euros.")
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$", description="By ISO 4217.")
    currency_field: FieldPath | None = Field(default=None, description="Where the data name it instead.")
    signed: bool = Field(default=False, description="Whether the sign counts; a credit is often written without one.")
    only: Literal[True, False, "all"] = Field(
        default=False,
        description="true: no other amount may stand beside the currency. all: nor any other number that has as many "
        "decimals as the currency.",
    )
    also: tuple[FieldPath, ...] = Field(default=(), description="Values that may stand there, and need not.")
    optional: bool = Field(default=False, description="A field may be missing in the data.")


class Dates(_TextRule):
    """Dates agree with the data."""

    kind: Literal["dates"]
    fields: tuple[FieldPath, ...] = Field(
        min_length=1, description="Each date (`YYYY-MM-DD`) must stand in the text as the locale writes it."
    )
    only: bool = Field(default=False, description="No other date may stand there.")
    also: tuple[FieldPath, ...] = Field(default=(), description="Dates that may stand there, and need not.")
    optional: bool = Field(default=False, description="A field may be missing in the data.")


class Age(_TextRule):
    """A disclaimer, or whatever has a date, is not too old."""

    kind: Literal["age"]
    text: str | None = Field(
        default=None, description="A regular expression of RE2 with one group, the date: `Stand: (\\S+)`."
    )
    field: FieldPath | None = Field(default=None, description="Instead: the field of the data that holds the date.")
    most_days: int = Field(ge=1, description="How old it may be.")
    optional: bool = Field(default=False, description="It may be missing.")

    @model_validator(mode="after")
    def _has_a_date(self) -> Self:
        if (self.text is None) == (self.field is None):
            raise ValueError("needs either text or field")
        if self.text is not None:
            try:
                pattern(self.text, groups=1)
            except BadPattern as error:
                raise ValueError(f"text {error}") from None
        return self


class Consent(_Rule):
    """The recipient has agreed to get it this way."""

    kind: Literal["consent"]
    field: FieldPath = Field(description="Where the data say so.")
    accepted: tuple[bool | str | int, ...] = Field(default=(True,), description="The values that mean yes.")
    until: FieldPath | None = Field(default=None, description="Where the data say how long; it must not be over.")


class Language(_TextRule):
    """It is written in the language of the record's locale."""

    kind: Literal["language"]


Rule = Annotated[Clause | Forbidden | Amounts | Dates | Age | Consent | Language, Field(discriminator="kind")]


class PackHead(_Part):
    """What all rules of a file share."""

    name: str = Field(min_length=1, max_length=100, description="By which findings name the pack.")
    policy: str = Field(min_length=1, description="The policy whose people see what is found.")
    types: Globs = Field(default=(), description="Document types its rules are for; empty: all.")
    jurisdictions: Globs = Field(default=(), description="For which law its rules are; empty: any.")
    jurisdiction: FieldPath = Field(
        default="source.jurisdiction",
        description="Where a record says under which law it falls. Else it is the region of its locale.",
    )
    unreadable: Literal["hold", "ignore"] = Field(
        default="hold",
        description="What about a document that rules cannot read: a scan, a picture, one under an unknown password.",
    )


class PackFile(_Part):
    """One file."""

    pack: PackHead = Field(description="Its head.")
    rule: tuple[Rule, ...] = Field(min_length=1, description="The rules; each is of one of the kinds below.")

    @model_validator(mode="after")
    def _names_rules_once(self) -> Self:
        names = [rule.name for rule in self.rule]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"has two rules named {twice[0]!r}")
        return self


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rules of one pack that are for a document type."""

    pack: PackHead
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Packs:
    """All packs, by document type."""

    files: tuple[PackFile, ...] = ()
    _by_type: dict[str, tuple[Chosen, ...]] = field(default_factory=dict)

    def for_type(self, kind: str) -> tuple[Chosen, ...]:
        """The rules that are for a document type; looked up once for each type."""
        found = self._by_type.get(kind)
        if found is None:
            chosen = [_chosen(file, kind) for file in self.files]
            found = tuple(each for each in chosen if each.rules)
            if len(self._by_type) < _REMEMBERED:  # types come from data
                self._by_type[kind] = found
        return found


def fits(globs: Globs, value: str) -> bool:
    """Whether a value is among those named; where none is named, any is."""
    return not globs or any(fnmatchcase(value.casefold(), glob.casefold()) for glob in globs)


def _chosen(file: PackFile, kind: str) -> Chosen:
    return Chosen(file.pack, tuple(rule for rule in file.rule if fits(rule.types or file.pack.types, kind)))


def load_packs(paths: Sequence[Path], policies: Mapping[str, Policy] | None = None) -> Packs:
    """Read rule packs; with `policies` their names are checked too.

    Raises:
        BadRulePack: with everything that is wrong in any of them.
    """
    faults: list[Fault] = []
    files: list[PackFile] = []
    names: dict[str, str] = {}
    for path in paths:
        file = _read(path, faults)
        if file is None:
            continue
        faults += _at_home(file, str(path), names, policies)
        names.setdefault(file.pack.name, str(path))
        files.append(file)
    if faults:
        raise BadRulePack(faults)
    return Packs(tuple(files))


def _at_home(file: PackFile, path: str, names: Mapping[str, str], policies: Mapping[str, Policy] | None) -> list[Fault]:
    faults = []
    if file.pack.name in names:
        faults.append(Fault(path, "pack.name", f"{file.pack.name!r} is the name of {names[file.pack.name]} too"))
    if policies is None:
        return faults
    named = policies.get(file.pack.policy)
    if named is None:
        known = ", ".join(sorted(policies)) or "none is there"
        faults.append(Fault(path, "pack.policy", f"names {file.pack.policy!r}, which no policy file has ({known})"))
    elif named.concerns not in {"communication", "case", "run"} or named.gate != "compliance":
        wrong = f"names {file.pack.policy!r}, which has gate {named.gate} and concerns {named.concerns}"
        needed = "rules need one with gate compliance that concerns case, communication or run"
        faults.append(Fault(path, "pack.policy", f"{wrong}; {needed}"))
    return faults


def _read(path: Path, faults: list[Fault]) -> PackFile | None:
    name = str(path)
    try:
        raw = path.read_bytes()
        if len(raw) > _LONGEST_FILE:
            faults.append(Fault(name, "", f"has {len(raw):,} bytes; a rule pack has {_LONGEST_FILE:,} at most"))
            return None
        given = tomllib.loads(raw.decode())
    except OSError as error:
        faults.append(Fault(name, "", f"cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError as error:
        faults.append(Fault(name, "", f"is not written in UTF-8 (byte {error.start + 1})"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        faults.append(Fault(name, "", f"is no TOML: {error}"))
    else:
        return _checked(given, name, faults)
    return None


def _checked(given: dict[str, Any], name: str, faults: list[Fault]) -> PackFile | None:
    try:
        return PackFile.model_validate(given)
    except ValidationError as error:
        found = error.errors()
        # Of a list in which something is wrong pydantic says as well that it is too short.
        told = [each for each in found if each["type"] != "too_short" or not _deeper(each["loc"], found)]
        faults += dict.fromkeys(_fault(name, given, each["loc"], each["type"], each["msg"]) for each in told)
    except RecursionError:
        faults.append(Fault(name, "", "is nested too deeply"))
    return None


def _deeper(loc: tuple[int | str, ...], found: Sequence[Any]) -> bool:
    return any(len(each["loc"]) > len(loc) and each["loc"][: len(loc)] == loc for each in found)


def _fault(file: str, given: Mapping[str, Any], loc: Sequence[int | str], kind: str, said: str) -> Fault:
    steps = [str(step) for step in loc if not isinstance(step, int)]
    place = ".".join(steps)
    if steps[:1] == ["rule"] and len(loc) > 1 and isinstance(loc[1], int):
        inside = steps[2:] if steps[1:2] and steps[1] in _KINDS else steps[1:]  # pydantic names the kind first
        place = ".".join([f"rule[{loc[1] + 1}]{_called(given, loc[1])}", *inside])
    return Fault(file, place, _SAID.get(kind) or said.removeprefix("Value error, "))


def _called(given: Mapping[str, Any], number: int) -> str:
    try:
        return f" {given['rule'][number]['name']!r}"
    except (KeyError, TypeError, IndexError):
        return ""


_KINDS = frozenset({"clause", "forbidden", "amounts", "dates", "age", "consent", "language"})
_SAID = {
    "missing": "is missing",
    "extra_forbidden": "is no setting there; see docs/reference/rules.md",
    "union_tag_invalid": f"has a kind that is none of {', '.join(sorted(_KINDS))}",
    "union_tag_not_found": f"lacks kind: one of {', '.join(sorted(_KINDS))}",
}
