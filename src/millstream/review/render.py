"""What a mail of a review says: its values in the reader's language, for `composer.notice` to put into form.

No line of it may read as an answer by itself: people quote our words back at us, and a quoted word must not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from millstream import harmless
from millstream.communication.model import ANSWER_LINK
from millstream.composer.errors import MailTooLarge
from millstream.composer.mail import RenderedMail
from millstream.composer.notice import Notices, Words, review_notices
from millstream.review import amp, markup
from millstream.review.asked import Case, Mail, Outcome, Sitter, outcome_of
from millstream.review.marked import marked
from millstream.review.model import How, SeatState, Verdict
from millstream.review.policy import understood_in
from millstream.review.showing import Line, Shown, fact_label

ASKING: Final = frozenset({"ask", "remind", "climb", "bundle"})
_COLOURS: Final = {"climb": "#9c2a10", "question": "#7a5a00", "tell": "#44546a"}
_COLOUR: Final = "#0b5563"
_BUTTONS: Final = {Verdict.APPROVE: "#1b7a3d", Verdict.REJECT: "#b3261e", Verdict.CHANGE: "#8a5a00"}
_FOR_POLICIES: Final = "data."
"""Before names of values that a policy goes by; they are nobody's to read."""
_MASKED: Final = frozenset({"customer", "name", "recipient", "address", "email", "account", "subject", "amount"})
_HASH: Final = 12

Zones = Callable[[str], tzinfo]
"""A calendar's name to its time zone."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What answers this installation takes."""

    pages: bool
    """Mails offer the answer page."""
    languages: tuple[str, ...]
    """In which answers are understood, where a policy names none."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a mail may carry besides; neither is needed to answer it."""

    markup: Mapping[str, Any] | None = None
    """schema.org's one-click approval."""
    amp: str | None = None


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How much of everything is shown; the next ones are tried where the mail would be cut off."""

    text: int
    long: int
    facts: int
    findings: int
    changes: int
    people: int
    notes: bool = True


_FULL = _Bounds(text=4_000, long=300, facts=20, findings=20, changes=40, people=20)
_SHORT = _Bounds(text=600, long=160, facts=6, findings=3, changes=6, people=6)
_BARE = _Bounds(text=0, long=80, facts=3, findings=1, changes=0, people=0)
_LEAST = _Bounds(text=0, long=60, facts=0, findings=1, changes=0, people=0, notes=False)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the top of a mail says."""

    paragraphs: tuple[str, ...]
    quote: str = ""
    quote_label: str = ""
    answerable: bool = False
    headline: str = ""


def write(
    mail: Mail,
    shown: Sequence[Shown],
    *,
    offer: Offer,
    zones: Zones,
    subject: str | None = None,
    notices: Notices | None = None,
) -> RenderedMail:
    """The mail; `shown` goes with `mail.cases`, `subject` is that of its conversation where there is one.

    Raises:
        CompositionFailed: it cannot be written, or is too large for Gmail however little it shows.
    """
    notices = notices or review_notices()
    words = notices.words(mail.locale)
    subject = subject or _subject(mail, words)
    writer = _Writer(mail, words, offer, zones)
    for bounds in (_FULL, _SHORT, _BARE):
        try:
            return notices.render(subject, writer.values(shown, bounds), words, to=mail.address)
        except MailTooLarge:
            continue
    return notices.render(subject, writer.values(shown, _LEAST), words, to=mail.address)


def extras(mail: Mail, *, offer: Offer, zones: Zones) -> Extras:
    """The optional parts of a mail that asks about one case whose policy allows one click; else none."""
    words, case = words_for(mail), mail.cases[0]
    simple = mail.kind in ASKING and len(mail.cases) == 1 and offer.pages and not case.sensitive
    if not (simple and case.policy.rules.one_click and not case.needs_sign_in):
        return Extras()
    values = _Writer(mail, words, offer, zones).values([Shown()], _SHORT)
    name = words.say("button.approve")
    return Extras(
        markup.document(name, f"{values['title']} {name_of(case, words)}"),
        amp.part(
            values["title"],
            values["paragraphs"],
            values["cases"][0]["facts"],
            words,
            seen=amp.Seen(case.round, case.content.hash),
        ),
    )


def words_for(mail: Mail) -> Words:
    """The words of a mail's reader."""
    return review_notices().words(mail.locale)


def _subject(mail: Mail, words: Words) -> str:
    first = mail.cases[0]
    if mail.kind == "bundle":
        return words.say("subject.many", count=len(mail.cases), name=first.policy.name)
    return words.say("subject.one", id=first.id, name=_cut(name_of(first, words), 120))


def name_of(case: Case, words: Words) -> str:
    """What a case is called; of a sensitive one no more than its type."""
    if case.sensitive:
        return case.type or words.say(f"asked.{case.subject.kind}")
    return case.subject.name or case.type or case.subject.ref


class _Writer:
    """Makes the values of one mail."""

    def __init__(self, mail: Mail, words: Words, offer: Offer, zones: Zones) -> None:
        self._mail = mail
        self._words = words
        self._offer = offer
        self._first = mail.cases[0]
        self._zone = zones(self._first.policy.time.calendar)
        self._zones = zones

    def values(self, shown: Sequence[Shown], bounds: _Bounds) -> dict[str, Any]:
        """What the files of the mail are filled with."""
        mail, words, first = self._mail, self._words, self._first
        told = self._told(bounds)
        many = mail.kind == "bundle"
        answerable = told.answerable
        title = words.say("asked.many", count=len(mail.cases)) if many else words.say(f"asked.{first.subject.kind}")
        if mail.kind not in ASKING:
            title = _cut(name_of(first, words), bounds.long)
        ids = ", ".join(str(case.id) for case in mail.cases)
        return {
            "headline": told.headline,
            "title": title,
            "preview": _cut(told.paragraphs[0] if told.paragraphs else title, 140),
            "colour": _COLOURS.get(mail.kind, _COLOUR),
            "paragraphs": told.paragraphs,
            "quote": _block(told.quote, bounds.text or bounds.long),
            "quote_label": told.quote_label,
            "choices": self._choices() if answerable else [],
            "answering": self._answering() if answerable else [],
            "cases": [self._case(*pair, bounds) for pair in zip(mail.cases, shown, strict=True)],
            "foot": words.say("foot.many", ids=ids) if many else words.say("foot.one", id=first.id),
        }

    # The top

    def _told(self, bounds: _Bounds) -> _Told:
        match self._mail.kind:
            case "tell":
                return self._tell(bounds)
            case "question":
                return self._question(bounds)
            case kind:
                return _Told(tuple(self._asking(kind)), answerable=True, headline=self._words.say(f"headline.{kind}"))

    def _asking(self, kind: str) -> list[str]:
        say, case, mail = self._words.say, self._first, self._mail
        lines = []
        if kind != "bundle":
            lines.append(_cut(name_of(case, self._words), 200))
        if kind == "remind" and case.seat is not None:
            lines.append(say("ask.remind", at=self._moment(case.seat.asked_at)))
        if kind == "climb" or (case.seat is not None and case.seat.rung > 0):
            lines.append(say("ask.rung"))
        instead_of = case.seat.instead_of if case.seat is not None else mail.facts.get("instead_of")
        if instead_of:
            lines.append(say("ask.stead", address=instead_of))
        if case.before is not None and kind != "bundle":
            lines.append(say("ask.round", round=case.round, before=case.before[0]))
        case = min(mail.cases, key=lambda each: each.deadline or datetime.max.replace(tzinfo=UTC))
        if case.deadline is not None:
            lines.append(say("ask.late" if case.overdue else "ask.until", deadline=self._deadline(case)))
            if not case.overdue:
                lines.append(say(f"ask.{case.policy.time.at_expiry}"))
        lines.append(say("ask.by", policy=case.policy.name))
        return lines

    def _tell(self, bounds: _Bounds) -> _Told:
        say, case, facts = self._words.say, self._first, self._mail.facts
        what = str(facts.get("what"))
        headline = say(f"headline.{what if self._words.has(f'headline.{what}') else 'question'}")
        if what == "unclear":
            headline = say("headline.refused")
        quote, label = "", ""
        match what:
            case "decided":
                outcome = case.outcome or outcome_of(facts)
                lines = [*self._outcome(outcome), say("decided.over")] if outcome else [say("tell.other")]
                quote, label = (outcome.words, say("label.said")) if outcome else ("", "")
            case "superseded":
                lines = [say("tell.superseded", round=facts.get("round", case.round)), say("tell.superseded_next")]
            case "cancelled":
                by = str(facts.get("by") or "")
                lines = [say("tell.cancelled", by=by) if "@" in by else say("tell.cancelled_nobody")]
                quote, label = str(facts.get("why") or ""), say("fact.reason") + ":"
            case "handed_on":
                lines = [say("tell.handed_on", to=facts.get("name") or facts.get("to") or "")]
            case "overdue":
                lines = [say("tell.overdue", deadline=self._deadline(case))]
            case "refused" | "unclear":
                lines = [say(f"tell.{what}"), *([str(facts["action"])] if facts.get("action") else [])]
                if what == "refused" and facts.get("step"):
                    lines.append(say("tell.refused_next", step=facts["step"]))
                quote, label = str(facts.get("error") or ""), say("label.exstream")
            case "withdrawn" | "done":
                lines = [say(f"tell.{what}")]
            case _:
                lines = [say("tell.other")]
        shown = tuple(_cut(line, 4 * bounds.long) for line in lines)
        return _Told(
            shown,
            quote,
            label if quote else "",
            answerable=what == "overdue" and case.waits_for_reader,
            headline=headline,
        )

    def _question(self, bounds: _Bounds) -> _Told:
        say, case, facts = self._words.say, self._first, self._mail.facts
        why = str(facts.get("why") or "unclear")
        told = facts.get("told") if isinstance(facts.get("told"), Mapping) else {}
        why = why if self._words.has(f"question.{why}") else "unclear"
        needs = str((told or {}).get("needs") or facts.get("needs") or "")
        needs = say(f"needs.{needs}") if needs and self._words.has(f"needs.{needs}") else needs
        given = {"from": facts.get("from") or "", "needs": needs}
        lines = [_cut(say(f"question.{why}", **given), 4 * bounds.long)]
        if why in {"decided", "old_round", "closed", "other_stage"}:
            outcome = outcome_of(told) or outcome_of(facts) or case.outcome
            lines += self._outcome(outcome) if outcome else []
        words = str(facts.get("words") or facts.get("quote") or "")
        return _Told(
            tuple(lines),
            words,
            say("label.wrote") if words else "",
            answerable=case.waits_for_reader and why != "stranger",
            headline=say("headline.question"),
        )

    def _outcome(self, outcome: Outcome) -> list[str]:
        say = self._words.say
        at = self._moment(outcome.at) if outcome.at else ""
        if outcome.how == How.POLICY:
            lines = [say(f"decided.{outcome.verdict}_policy", policy=self._first.policy.name, at=at)]
        else:
            how = say(f"decided.how.{outcome.how}") if self._words.has(f"decided.how.{outcome.how}") else outcome.how
            lines = [say(f"decided.{outcome.verdict}", by=outcome.by, at=at, how=how)]
        return [*lines, say("decided.late")] if outcome.late else lines

    # How to answer

    def _by_mail(self) -> bool:
        return all(case.policy.rules.by_mail and not case.needs_sign_in for case in self._mail.cases)

    def _choices(self) -> list[dict[str, str]]:
        say = self._words.say
        if not self._offer.pages:
            return []
        if self._mail.kind == "bundle":
            return [{"label": say("button.view"), "url": ANSWER_LINK, "colour": _COLOUR}]
        return [
            {"label": say(f"button.{choice}"), "url": f"{ANSWER_LINK}?choose={choice}", "colour": colour}
            for choice, colour in _BUTTONS.items()
        ]

    def _answering(self) -> list[dict[str, str]]:
        say = self._words.say
        lines: list[tuple[str, str]] = []
        if self._by_mail():
            lines.append(
                (say("answer.many" if self._mail.kind == "bundle" else "answer.mail", **self._answer_words()), "")
            )
            if self._offer.pages:
                lines.append((say("answer.page", link=""), ANSWER_LINK))
        elif self._offer.pages:
            lines.append((say("answer.page_only", link=""), ANSWER_LINK))
            if any(case.needs_sign_in for case in self._mail.cases):
                lines.append((say("answer.sign_in"), ""))
        else:
            lines.append((say("answer.no_way"), ""))
        return [{"before": before, "link": link} for before, link in lines]

    def _answer_words(self) -> Mapping[str, str]:
        """The words that count: in the reader's language where it is understood, else in one that is."""
        understood = understood_in((case.policy for case in self._mail.cases), self._offer.languages)
        own = self._words.language
        language = own if own in understood or not understood else understood[0]
        texts = review_notices().words(language).texts
        return {name: str(word) for name, word in texts["answer"]["words"].items()}

    # The cases

    def _case(self, case: Case, shown: Shown, bounds: _Bounds) -> dict[str, Any]:
        mail, words = self._mail, self._words
        asking = mail.kind in ASKING
        changes = list(shown.changes[: bounds.changes])
        if len(shown.changes) > len(changes) and bounds.changes:
            changes.append(Line(note=words.say("change.more", count=len(shown.changes) - len(changes))))
        people = self._people(case, bounds) if asking or mail.facts.get("what") == "overdue" else []
        before = case.before[0] if case.before else case.round
        return {
            "title": self._title(case, bounds),
            "facts": self._facts(case, bounds) if asking else [],
            "findings": self._findings(case, bounds) if asking else [],
            "changes": [self._line(change, bounds) for change in changes] if asking else [],
            "changes_label": words.say("label.changes", round=before),
            "text": _block(case.content.text, bounds.text) if asking and bounds.text and not case.sensitive else "",
            "notes": [_cut(note, _FULL.text) for note in shown.notes] if asking and bounds.notes else [],
            "pictures": [
                {"label": each.label, "cid": each.inlined.cid, "width": each.width} for each in shown.pictures
            ],
            "people": people,
            "hash": words.say("label.hash", hash=case.content.hash[:_HASH]) if asking else "",
        }

    def _title(self, case: Case, bounds: _Bounds) -> str:
        if self._mail.kind != "bundle":
            return ""
        title = self._words.say("label.case", number=case.number)
        until = f" ({self._moment(case.deadline)})" if case.deadline else ""
        return f"{title}: {_cut(name_of(case, self._words), bounds.long)}{until}"

    def _facts(self, case: Case, bounds: _Bounds) -> list[dict[str, str]]:
        facts = list(case.content.facts.items())[: bounds.facts]
        return [
            {
                "label": _cut(fact_label(name, self._words), 60),
                "value": masked(value) if case.sensitive and name in _MASKED else _cut(str(value), bounds.long),
            }
            for name, value in facts
            if value and not name.startswith(_FOR_POLICIES)
        ]

    def _findings(self, case: Case, bounds: _Bounds) -> list[dict[str, Any]]:
        found = []
        for finding in case.content.findings[: bounds.findings]:
            mild = finding.get("severity") == "warning"
            text = "" if case.sensitive else harmless.line(str(finding.get("text", ""))).strip()
            parts = marked(text, bounds.long)
            found.append(
                {
                    "rule": _cut(str(finding.get("rule", "")), 120),
                    "place": _cut(str(finding.get("place", "")), 120),
                    "text": str(parts),
                    "parts": asdict(parts),
                    "mild": mild,
                    "colour": "#fff6e0" if mild else "#fdecea",
                }
            )
        if (rest := len(case.content.findings) - len(found)) > 0:
            note = self._words.say("person.more", count=rest)
            found.append({"rule": note, "place": "", "text": "", "parts": {}, "mild": False, "colour": "#fdecea"})
        return found

    @staticmethod
    def _line(change: Line, bounds: _Bounds) -> dict[str, str]:
        return {name: _cut(text, bounds.long) for name, text in asdict(change).items()}

    def _people(self, case: Case, bounds: _Bounds) -> list[str]:
        others = [sitter for sitter in case.sitters if sitter.address != self._mail.address]
        lines = [self._person(sitter) for sitter in others[: bounds.people]]
        if bounds.people and len(others) > len(lines):
            lines.append(self._words.say("person.more", count=len(others) - len(lines)))
        return lines

    def _person(self, sitter: Sitter) -> str:
        say, name = self._words.say, sitter.name or sitter.address
        if sitter.state is SeatState.ANSWERED and sitter.verdict and sitter.at:
            return say(f"person.{sitter.verdict}", name=name, at=self._moment(sitter.at))
        return say(f"person.{sitter.state}", name=name)

    def _moment(self, at: datetime) -> str:
        return self._words.short_moment(at, self._zone)

    def _deadline(self, case: Case) -> str:
        if case.deadline is None:
            return ""
        return self._words.moment(case.deadline, self._zones(case.policy.time.calendar))


def masked(value: str) -> str:
    """A value of which the last two characters are to be seen."""
    text = str(value)
    shown = text[-2:] if len(text) > 4 else ""  # noqa: PLR2004  of a shorter one nothing is shown
    return "•••" + shown


def _cut(words: str, most: int) -> str:
    """On one line: what others wrote begins no line of ours."""
    return _shortened(harmless.line(words), most)


def _block(words: str, most: int) -> str:
    """With its lines, each of which the files of the mail mark as somebody's words."""
    return _shortened(harmless.text(words), most)


def _shortened(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else text[: max(most - 1, 0)].rstrip() + "…"
