"""Policies as people write them: who is asked about what, how many must agree, until when, and what happens otherwise.

A policy file is TOML: `[people.NAME]`, `[groups]`, `[calendars.NAME]`, `[[delegations]]` and `[policy.NAME]`. Several
files make one book. docs/reference/policies.md is made from these models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from millstream.communication.model import Gate
from millstream.mime import MimeError, parse_address

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Unit = Literal["s", "m", "h", "d"]
ALWAYS = "always"
"""A calendar that is always there: every hour of every day, in UTC."""

_SPAN = re.compile(r"(?P<sign>-?)(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>[smhd])")
_HOURS = re.compile(r"(?P<from>\d{1,2}:\d{2})\s*-\s*(?P<to>\d{1,2}:\d{2})")
_NEED = re.compile(r"(?P<needed>\d+)(?:\s+of\s+(?P<of>\d+))?")
_SIZE = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>B|KB|MB)")


@dataclass(frozen=True, slots=True)
class Span:
    """A length of the calendar's open time: seconds, minutes, hours or days. Negative: before the deadline."""

    amount: float
    unit: Unit

    @classmethod
    def parse(cls, text: object) -> Span:
        """Read `8h`, `30m`, `2d`, `-1h`.

        Raises:
            ValueError: it is none.
        """
        if isinstance(text, Span):
            return text
        found = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None:
            raise ValueError(f"{text!r} is no length of time; write for example 30m, 8h, 2d or -1h")
        amount = float(found["amount"]) * (-1 if found["sign"] else 1)
        units: dict[str, Unit] = {"s": "s", "m": "m", "h": "h", "d": "d"}
        return cls(amount, units[found["unit"]])

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}"


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many of a stage must approve."""

    kind: Literal["any", "all", "some"]
    needed: int = 1
    of: int | None = None
    """How many there must be to ask, where the policy says so."""

    @classmethod
    def parse(cls, given: object) -> Quorum:
        """Read `any`, `all`, `2` or `2 of 3`.

        Raises:
            ValueError: it is none.
        """
        if isinstance(given, Quorum):
            return given
        text = str(given).strip().lower()
        if text in {"any", "all"}:
            return cls("any" if text == "any" else "all")
        found = _NEED.fullmatch(text)
        if found is None or int(found["needed"]) < 1:
            raise ValueError(f"{given!r} says not how many; write any, all, 2, or 2 of 3")
        of = int(found["of"]) if found["of"] else None
        if of is not None and of < int(found["needed"]):
            raise ValueError(f"{given!r} asks for more than there are")
        return cls("some", int(found["needed"]), of)

    def __str__(self) -> str:
        if self.kind != "some":
            return self.kind
        return f"{self.needed} of {self.of}" if self.of else str(self.needed)


def _hours(text: object) -> str:
    found = _HOURS.fullmatch(text.strip()) if isinstance(text, str) else None
    try:
        opens, closes = (time.fromisoformat(found[name].zfill(5)) for name in ("from", "to")) if found else (None, None)
    except ValueError:
        opens = closes = None
    if opens is None or closes is None or opens >= closes:
        raise ValueError(f"{text!r} are no hours; write for example 09:00-17:30")
    return f"{opens:%H:%M}-{closes:%H:%M}"


def _size(text: object) -> int:
    if isinstance(text, int):
        return text
    found = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no size; write for example 5 MB")
    return int(float(found["amount"]) * {"B": 1, "KB": 1_000, "MB": 1_000_000}[found["unit"]])


def _address(text: str) -> str:
    try:
        return parse_address(text).address.lower()
    except MimeError as error:
        raise ValueError(str(error).removesuffix(" Correct it in the customer's record.")) from error


Length = Annotated[Span, BeforeValidator(Span.parse), PlainSerializer(str)]
Needed = Annotated[Quorum, BeforeValidator(Quorum.parse), PlainSerializer(str)]
Hours = Annotated[str, BeforeValidator(_hours)]
Size = Annotated[int, BeforeValidator(_size)]
Address = Annotated[str, AfterValidator(_address)]
Globs = tuple[str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, arbitrary_types_allowed=True)


class Person(_Part):
    """Somebody who can be asked."""

    address: Address = Field(description="Where questions go, and from where answers come.")
    name: str = Field(default="", description="As shown to others.")
    locale: str = Field(default="en", description="The language of the mails to them.")
    aliases: tuple[Address, ...] = Field(default=(), description="Further addresses from which answers count.")
    exstream: tuple[str, ...] = Field(default=(), description="Their names in Exstream: own work, approval roles.")


class Calendar(_Part):
    """When people work."""

    time_zone: str = Field(description="As `Europe/Berlin`.")
    hours: Hours | dict[Day, Hours] = Field(default="09:00-17:00", description="For all days, or day by day.")
    days: tuple[Day, ...] = Field(default=("mon", "tue", "wed", "thu", "fri"), description="The working days.")
    holidays: str = Field(default="", description="A country or its part by ISO 3166: `DE-HE`, `US`. Empty: none.")
    closed: tuple[date, ...] = Field(default=(), description="Further days on which nobody works.")

    def hours_of(self, day: Day) -> str | None:
        """`HH:MM-HH:MM`, or None where nobody works."""
        if isinstance(self.hours, dict):
            return self.hours.get(day)
        return self.hours if day in self.days else None


class Delegation(_Part):
    """Somebody answers for somebody else for a while."""

    from_: str = Field(alias="from", description="A person's name in this file, or an address.")
    to: str = Field(description="The same, of who answers instead.")
    since: date = Field(description="The first day, in the policy's calendar.")
    until: date | None = Field(default=None, description="The last day; without it until it is taken out.")
    policy: str | None = Field(default=None, description="For this policy alone.")


class Condition(_Part):
    """A test of one field; all that is given must hold."""

    field: str | None = Field(default=None, description="A path as `data.amount_cents`, `type`, `locale`, `stream`.")
    above: float | None = Field(default=None, description="The value is a number above it.")
    below: float | None = Field(default=None, description="The value is a number below it.")
    equals: str | float | bool | None = Field(default=None, description="The value is this.")
    in_: tuple[str | float, ...] | None = Field(default=None, alias="in", description="The value is one of these.")
    template_younger_days: int | None = Field(
        default=None, ge=1, description="The template's version came into use fewer days ago."
    )

    @model_validator(mode="after")
    def _tests_something(self) -> Self:
        tests = [self.above, self.below, self.equals, self.in_]
        if (self.field is None) != all(test is None for test in tests):
            raise ValueError("a condition needs a field and one of above, below, equals, in")
        if self.field is None and self.template_younger_days is None:
            raise ValueError("a condition needs a field, or template_younger_days")
        return self


class Sampling(_Part):
    """Which of those a policy concerns are really asked about: any test that fits takes it."""

    every: int | None = Field(default=None, ge=1, description="One in so many, the same ones after a restart.")
    when: tuple[Condition, ...] = Field(default=(), description="And each of which one of these holds.")

    @model_validator(mode="after")
    def _samples_something(self) -> Self:
        if self.every is None and not self.when:
            raise ValueError("sampling needs every or when; leave the table out to ask about all")
        return self


class Stage(_Part):
    """People asked at the same time; the next stage comes when this one has approved."""

    ask: tuple[str, ...] = Field(default=(), description="People and groups of this file, and addresses.")
    exstream: bool = Field(default=False, description="Also the approval roles of the resource's domain.")
    need: Needed = Field(default=Quorum("any"), description="any, all, a number, or `2 of 3`.")

    @model_validator(mode="after")
    def _asks_somebody(self) -> Self:
        if not self.ask and not self.exstream:
            raise ValueError("a stage asks nobody; name people, groups or addresses in ask, or set exstream = true")
        return self


class AmountAbove(_Part):
    """A field whose value is a number above a limit."""

    field: str = Field(description="A path as in conditions.")
    value: float = Field(description="The limit.")


class SignIn(_Part):
    """Where signing in is needed only for some."""

    above: AmountAbove = Field(
        description="Needed where this number is passed, of a run by its largest, and where it is not known."
    )


class Rules(_Part):
    """What counts."""

    own_work: bool = Field(default=False, description="Whether people may review what they made themselves.")
    four_eyes: bool = Field(default=False, description="At least two different people approve, over all stages.")
    veto: bool = Field(default=True, description="One rejection or wish for changes decides at once.")
    reason_required: bool = Field(default=True, description="Rejecting and asking for changes needs words.")
    sign_in: bool | SignIn = Field(
        default=False, description="Answers need a sign-in; by mail they are then not taken."
    )
    by_mail: bool = Field(default=True, description="Whether an answer by mail counts.")
    one_click: bool = Field(default=False, description="Whether Gmail's one-click approval is offered.")


class Times(_Part):
    """Until when."""

    calendar: str = Field(default=ALWAYS, description="The calendar in which lengths of time run.")
    deadline: Length = Field(description="How long there is to answer.")
    reminders: tuple[Length, ...] = Field(default=(), description="After the question, or before the deadline: `-1h`.")
    at_expiry: Literal["hold", "reject", "release"] = Field(
        default="hold", description="What the deadline does. hold: it stays open, and overdue."
    )


class Rung(_Part):
    """A step of the ladder that an unanswered question climbs."""

    after: Length = Field(description="After the question.")
    ask: tuple[str, ...] = Field(min_length=1, description="Who is asked then, beside those before.")
    takes_over: bool = Field(default=False, description="Those asked before can answer no more.")


class Rights(_Part):
    """Who may do more than answer."""

    may_overrule: tuple[str, ...] = Field(default=(), description="May decide alone.")
    may_reassign: tuple[str, ...] = Field(default=(), description="May hand anybody's question to somebody else.")
    delegate: bool = Field(default=True, description="Whether people may hand on their own.")


class Sensitive(_Part):
    """Documents that are shown more carefully."""

    types: Globs = Field(min_length=1, description="Of which types.")
    documents: Literal["attach", "link", "none"] = Field(default="link", description="How they come.")
    picture: bool = Field(default=False, description="Whether the mail shows the first page.")


class Bundle(_Part):
    """Several cases in one mail."""

    most: int = Field(default=25, ge=2, le=100, description="Cases in one mail at most.")
    within: Length = Field(default=Span(10, "m"), description="How long a case waits for others, by the clock.")


class MailStyle(_Part):
    """How questions look."""

    languages: tuple[str, ...] = Field(default=(), description="In which answers are understood; else the setting's.")
    documents: Literal["attach", "link", "none"] = Field(default="attach", description="How documents come.")
    attach_below: Size = Field(default=5_000_000, description="Larger ones come as a link.")
    sensitive: Sensitive | None = Field(default=None, description="Documents that are shown more carefully.")
    bundle: Bundle | None = Field(default=None, description="Several cases in one mail.")


class StepAsked(_Part):
    """What Exstream is asked for instead of the usual."""

    verb: Literal["trigger", "generate", "reprocess", "stop_flow", "stop_job", "stop_step", "drop_file"] = Field(
        description="As in `millstream step`."
    )
    target: str = Field(default="", description="The channel or file; else what the subject names.")
    arguments: dict[str, Any] = Field(default={}, description="Further arguments of the verb.")


class Steps(_Part):
    """What follows, where the usual does not fit."""

    on_approve: StepAsked | None = Field(default=None, description="Beside the release.")
    on_reject: StepAsked | None = Field(default=None, description="Instead of stopping the flow step.")
    on_change: StepAsked | None = Field(default=None, description="A correction job that gets the wish.")
    change_state: Literal["DRAFT", "REJECTED"] = Field(
        default="DRAFT", description="The state of a resource for which changes are asked."
    )


class Policy(_Part):
    """Who is asked about what, and what their answers mean."""

    name: str = Field(default="", description="Given by the table's name.")
    gate: Gate = Field(default="approval", description="approval, or compliance.")
    concerns: Literal["communication", "run", "flow_step", "resource", "case"] = Field(
        description="What a review is about. case: what rules find, and exceptions."
    )
    types: Globs = Field(default=(), description="Document types; empty: all. `*` stands for anything.")
    streams: Globs = Field(default=(), description="Streams.")
    templates: Globs = Field(default=(), description="Templates.")
    runs: Globs = Field(default=(), description="Keys of runs.")
    domains: Globs = Field(default=(), description="Exstream's domains.")
    channels: Globs = Field(default=(), description="Exstream's channels, of held flow steps.")
    resource_types: Globs = Field(default=(), description="Exstream's kinds of resources.")
    events: Globs = Field(default=(), description="case: kinds of events that are put to people, as exstream.*.")
    sampling: Sampling | None = Field(default=None, description="Which of them; without it all.")
    stages: tuple[Stage, ...] = Field(min_length=1, description="In order.")
    rules: Rules = Field(default=Rules(), description="What counts.")
    time: Times = Field(description="Until when.")
    ladder: tuple[Rung, ...] = Field(default=(), description="Who is asked when nobody answers.")
    people: Rights = Field(default=Rights(), description="Who may do more.")
    mail: MailStyle = Field(default=MailStyle(), description="How questions look.")
    steps: Steps = Field(default=Steps(), description="What follows.")

    def fits(self, globs: Globs, value: str | None) -> bool:
        """Whether a value is among those named; where none is named, any is."""
        return not globs or any(fnmatchcase(value or "", glob) for glob in globs)


class PolicyFile(_Part):
    """One file."""

    people: dict[str, Person] = Field(default={}, description="Each named once, over all files.")
    groups: dict[str, tuple[str, ...]] = Field(default={}, description="Names of people, groups, and addresses.")
    calendars: dict[str, Calendar] = Field(default={}, description="Named by policies.")
    delegations: tuple[Delegation, ...] = Field(default=(), description="Also made by `millstream review delegate`.")
    policy: dict[str, Policy] = Field(default={}, description="The policies.")


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """All policy files together, checked."""

    people: Mapping[str, Person]
    groups: Mapping[str, tuple[str, ...]]
    calendars: Mapping[str, Calendar]
    delegations: tuple[Delegation, ...]
    policies: Mapping[str, Policy]


EMPTY = PolicyBook({}, {}, {}, (), {})


def understood_in(policies: Iterable[Policy], default: Sequence[str]) -> tuple[str, ...]:
    """The languages in which an answer to all of these is read; `default` where a policy names none."""
    return tuple(dict.fromkeys(language for each in policies for language in each.mail.languages or default))


@dataclass(frozen=True, slots=True)
class Site:
    """What the settings give to policies, so that one that needs more is refused when it is loaded."""

    pages: bool
    """There is a public address of answer pages."""
    sign_in: bool
    markup: bool
    languages: tuple[str, ...]
    """Those with words for answers."""
