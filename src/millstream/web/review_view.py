"""Answer pages as HTML: every value is escaped by the template, and no page holds a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from millstream.review.marked import marked
from millstream.review.model import How, Seat, SeatState, Verdict
from millstream.review.pages import MOST_WORDS
from millstream.review.sheet import Posted, Sheet, shows_papers
from millstream.web.review_words import facts_of, language_of, moment, words_of

_MOST_TEXT = 50_000
_MOST_VALUE = 2_000
_MOST_ROWS = 200

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)


@dataclass(frozen=True, slots=True)
class PaperShown:
    """A document on a page."""

    n: int
    name: str
    size: str
    pages: int = 0
    shown: Sequence[int] = ()
    missing: bool = False
    picture: bool = False
    """It is one itself."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of two rounds."""

    place: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the round before."""

    list: Sequence[Change] = ()
    more: int = 0
    pictures: Sequence[str] = ()
    """Places of pictures, side by side, under the page's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a page shows beside its sheet."""

    several: bool = False
    papers: Sequence[PaperShown] = ()
    changes: Changes | None = None
    chosen: str = ""
    fault: str = ""
    """`verdict`, `reason` or `long`."""
    written: str = ""
    used: bool = False
    """A form did not count."""


@dataclass(frozen=True, slots=True)
class _Told:
    label: str
    text: str


@dataclass(slots=True)
class _Standing:
    notes: list[str] = field(default_factory=list)
    said: list[_Told] = field(default_factory=list)


def page(sheet: Sheet, extras: Extras) -> str:
    """The page of one case."""
    seat, review = sheet.seat, sheet.review
    words = words_of(language_of(seat.locale))
    stands = _standing(sheet, words, used=extras.used)
    query = f"?case={sheet.number}" if extras.several else ""
    return _templates.get_template("review.html").render(
        words=words,
        lang=language_of(seat.locale),
        up="",
        here=sheet.link,
        query=query,
        several=extras.several,
        number=review.id,
        name=_cut(sheet.name),
        kind=words[f"kind_{review.subject.kind}"],
        round=seat.round,
        person=_named(seat),
        signed=sheet.signed.email if sheet.signed else "",
        stranger=sheet.stranger.email if sheet.stranger else "",
        open=sheet.standing in {"open", "answered"},
        until=moment(review.deadline, seat.locale, sheet.case.time_zone) if review.deadline else "",
        overdue=review.overdue,
        notes=stands.notes,
        said=stands.said,
        locked=sheet.locked,
        facts=[(_cut(name), _cut(value)) for name, value in facts_of(sheet.content, seat.locale)[:_MOST_ROWS]],
        findings=[_finding(each) for each in sheet.content.findings[:_MOST_ROWS]],
        changes=extras.changes,
        papers=extras.papers if shows_papers(sheet) else (),
        text=sheet.content.text[:_MOST_TEXT] if shows_papers(sheet) else "",
        hash=sheet.content.hash,
        form=_hidden(sheet),
        **_fields(extras, words, reason=sheet.case.policy.rules.reason_required),
        peers=[(_named(peer), _peer(peer, words)) for peer in sheet.peers],
    )


def several(sheets: Sequence[Sheet], word: str, extras: Extras) -> str:
    """The list of the cases of a mail, with a form for all that can be answered."""
    locale = sheets[0].seat.locale
    words = words_of(language_of(locale))
    return _templates.get_template("several.html").render(
        words=words,
        lang=language_of(locale),
        up="",
        here=sheets[0].link,
        rows=[(sheet.number, _cut(sheet.name), _row_state(sheet, words)) for sheet in sheets],
        open=sum(sheet.form is not None for sheet in sheets),
        joint=f"&choose={extras.chosen}" if extras.chosen else "",
        form={"word": word} if word else None,
        used=extras.used,
        **_fields(extras, words, reason=any(sheet.case.policy.rules.reason_required for sheet in sheets)),
    )


def message(name: str, language: str, *, again: str = "", up: str = "") -> str:
    """A page that says one thing: `name` is that of its sentences."""
    words = words_of(language)
    told = {"title": words[f"{name}_title"], "said": words[name]}
    return _templates.get_template("message.html").render(words=words, lang=language, up=up, again=again, **told)


def written(posted: Posted | None) -> Mapping[str, str]:
    """What a person had put into a form that comes back to them."""
    if posted is None:
        return {}
    return {"chosen": posted.verdict if posted.verdict in set(Verdict) else "", "written": posted.text}


def size(octets: int) -> str:
    """A document's size for people."""
    for unit, most in (("B", 1e3), ("KB", 1e6)):
        if octets < most:
            return f"{octets / most * 1e3:,.0f} {unit}"
    return f"{octets / 1e6:,.1f} MB"


def _standing(sheet: Sheet, words: Mapping[str, str], *, used: bool) -> _Standing:
    stands = _Standing([words["used"]] if used else [])
    if (mine := sheet.seat.answered) is not None and not sheet.locked:
        told = {"verdict": words[f"verdict_{mine.verdict}"], "time": _moment(sheet, mine.at)}
        stands.notes.append(words["answered"].format(**told))
        if mine.text:
            stands.said.append(_Told(words["mine"], _cut(mine.text, MOST_WORDS)))
    if sheet.standing == "decided":
        _decided(sheet, words, stands)
    else:
        stands.notes += _stands(sheet, words)
    return stands


def _stands(sheet: Sheet, words: Mapping[str, str]) -> list[str]:
    match sheet.standing:
        case "superseded":
            told = [words["superseded"].format(round=sheet.seat.round)]
            return [*told, words["asked_again"]] if sheet.asked_again else told
        case "handed_on":
            told = [words["handed_on"]]
            return [*told, words["handed_to"].format(person=sheet.handed_to)] if sheet.handed_to else told
        case "answered":
            return [words["waits"]]
        case "closed" | "cancelled":
            return [words[sheet.standing]]
        case _:
            return []


def _decided(sheet: Sheet, words: Mapping[str, str], stands: _Standing) -> None:
    decision = sheet.review.decision
    if decision is None:
        return
    told = {"verdict": words[f"verdict_{decision.verdict}"], "time": _moment(sheet, decision.at)}
    if decision.how is How.POLICY:
        stands.notes.append(words["decided_policy"].format(**told))
    else:
        person = next((_named(seat) for seat in sheet.review.seats if seat.address == decision.by), decision.by)
        stands.notes.append(words["decided"].format(person=person, how=words[f"how_{decision.how}"], **told))
    if decision.late:
        stands.notes.append(words["late_note"])
    if decision.text and decision.by != sheet.seat.address and not sheet.locked:
        stands.said.append(_Told(words["their_words"], _cut(decision.text, MOST_WORDS)))


def _hidden(sheet: Sheet) -> dict[str, Any] | None:
    """The hidden fields of a form."""
    form = sheet.form
    if form is None:
        return None
    return {"word": form.word, "version": form.version, "round": form.round, "hash": form.hash}


def _fields(extras: Extras, words: Mapping[str, str], *, reason: bool) -> dict[str, Any]:
    """What a form's visible part shows."""
    return {
        "fault": words[f"fault_{extras.fault}"].format(most=MOST_WORDS) if extras.fault else "",
        "chosen": extras.chosen,
        "written": extras.written[:_MOST_TEXT],
        "hint": words["words_hint" if reason else "words_optional"],
        "most": MOST_WORDS,
    }


def _row_state(sheet: Sheet, words: Mapping[str, str]) -> str:
    review, mine = sheet.review, sheet.seat.answered
    if sheet.standing == "decided" and review.decision is not None:
        return words[f"verdict_{review.decision.verdict}"]
    if mine is not None:
        return words[f"verdict_{mine.verdict}"]
    return words["state_waiting" if sheet.standing == "open" else "state_closed"]


def _peer(seat: Seat, words: Mapping[str, str]) -> str:
    if seat.answered is not None:
        return words[f"said_{seat.answered.verdict}"]
    known = {SeatState.WAITING, SeatState.ANSWERED, SeatState.CLOSED, SeatState.UNREACHABLE}
    return words[f"state_{seat.state if seat.state in known else SeatState.CLOSED}"]


def _named(seat: Seat) -> str:
    return f"{_cut(seat.name, 200)} ({seat.address})" if seat.name else seat.address


def _moment(sheet: Sheet, at: Any) -> str:
    return moment(at, sheet.seat.locale, sheet.case.time_zone)


def _finding(found: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: _cut(str(found.get(name, ""))) for name in ("rule", "place", "severity")}
    return {**told, "text": marked(str(found.get("text", "")), _MOST_VALUE)}


def _cut(text: str, most: int = _MOST_VALUE) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
