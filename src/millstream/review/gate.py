"""The gate at intake: which policies must let a communication leave, and what rules find in it.

It is asked in the thread, or the process, that makes the communication, and never raises: what cannot be checked is
held, and says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol

from millstream.communication.model import Communication, Document, Finding, Need
from millstream.composer import UnreadablePdf
from millstream.composer.unprotect import unprotect
from millstream.log import get_logger
from millstream.mime.plain import plain
from millstream.review import sampling
from millstream.review.limits import named_values
from millstream.review.model import SubjectKind
from millstream.review.policy import Policy, PolicyBook
from millstream.review.rules.check import Found, check
from millstream.review.rules.looked import MAIL, Looked
from millstream.review.rules.looked import Document as Read
from millstream.review.rules.pack import Packs

log = get_logger(__name__)

MAIL_HTML: Final = "mail HTML"
_PDF: Final = "application/pdf"
_ASKED: Final = (SubjectKind.COMMUNICATION, SubjectKind.RUN)
_MAY_HOLD: Final = (*_ASKED, SubjectKind.CASE)
_PLAIN: Final = ("key", "type", "locale", "template", "data", "source", "replaces")
_PARTS: Final = ("customer", "recipient")
_MOST_FINDINGS = 100
_REMEMBERED = 10_000
_LONGEST = 300


Sort = tuple[str, str, str, str | None]
"""Run, type, stream and template: what policies name."""


class Attached(Protocol):
    """A document as it leaves."""

    @property
    def name(self) -> str: ...  # noqa: D102  named by the class

    @property
    def media_type(self) -> str: ...  # noqa: D102  named by the class

    @property
    def content(self) -> Any: ...  # noqa: D102  bytes, or what gives them


class Made(Protocol):
    """A communication with its documents (`intake.path.Made`)."""

    @property
    def communication(self) -> Communication: ...  # noqa: D102  named by the class

    @property
    def attachments(self) -> Sequence[Attached]: ...  # noqa: D102  named by the class


class Came(Protocol):
    """A record as a door handed it in (`intake.ports.Arrival`)."""

    @property
    def record(self) -> Any: ...  # noqa: D102  named by the class


class Handed(Protocol):
    """A record with its files (`intake.files.HandedIn`)."""

    @property
    def arrival(self) -> Came: ...  # noqa: D102  named by the class

    @property
    def versions(self) -> Mapping[str, str]: ...  # noqa: D102  of its templates


@dataclass(frozen=True, slots=True)
class Letter:
    """What came in, as far as policies and rules look at it."""

    run: str
    record: Mapping[str, Any]
    """By its fields: key, type, locale, stream, template, data, source, customer, recipient, replaces."""
    version: str | None = None
    """Of its template."""
    password: str | None = None
    """Under which its PDFs leave."""

    @classmethod
    def of(cls, handed: Handed, *, run: str, password: str | None) -> Letter:
        """What a door handed in."""
        record = handed.arrival.record
        fields = {name: getattr(record, name) for name in _PLAIN}
        fields["stream"] = record.stream or record.type
        for name in _PARTS:
            part = getattr(record, name)
            fields[name] = {each: getattr(part, each) for each in type(part).model_fields}
        return cls(run, fields, handed.versions.get(record.template or ""), password)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who must let it leave."""

    needs: tuple[Need, ...] = ()
    copies: tuple[bytes, ...] = ()
    """What the needs' papers hold and the documents do not: to be put into the store with them."""


NOBODY: Final = Asked()


@dataclass
class Gate:
    """Rules and policies in front of a run. Can be pickled, for a process that makes.

    Args:
        book: the policies.
        packs: the rules.
        texts: reads a PDF's pages (`composer.apart.PdfReader.texts`).
        since: template and version to the day since when that is in use; one that is not there is new.
        today: what day it is.
    """

    book: PolicyBook
    packs: Packs
    texts: Callable[[bytes, str | None], list[str]]
    since: Mapping[tuple[str, str], date] = field(default_factory=dict)
    today: Callable[[], date] = field(default_factory=lambda: _today)
    _concerned: dict[Sort, tuple[Policy, ...]] = field(default_factory=dict)

    def look(self, handed: Handed, made: Made, *, run: str, password: str | None) -> Asked:
        """Who must let a communication leave; nobody, for most."""
        record = handed.arrival.record
        try:
            sort = (run, record.type, record.stream or record.type, record.template)
            concerned = self._concerned.get(sort)
            seen = concerned or self.packs.for_type(record.type) or record.replaces
            if concerned is not None and not seen:
                return NOBODY
            letter = Letter.of(handed, run=run, password=password)
            if concerned is None:
                concerned = self._concerning(sort, letter)
            return self._look(letter, made, concerned)
        except Exception as problem:
            log.exception("gate.failed", run=run, key=record.key)
            return self._closed(record.type, problem)

    def _look(self, letter: Letter, made: Made, concerned: Sequence[Policy]) -> Asked:
        needs = {each.policy: each for each in self._of_rules(letter, made)}
        sampled = set()
        for policy in concerned:
            takes = sampling.sampled(policy, self._looked(letter, SubjectKind(policy.concerns)))
            if takes:
                sampled.add(policy.name)
            if takes or policy.concerns == "run":  # a run is held whole, and seen by its samples
                need = needs.get(policy.name, Need(policy.name, policy.gate))
                needs[policy.name] = replace(need, inherited=False)
        if letter.record["replaces"]:
            # Who held the one before sees this one too, whatever it is called now. Who that is the ledger knows.
            for policy in self.book.policies.values():
                if policy.concerns in _MAY_HOLD:
                    needs.setdefault(policy.name, Need(policy.name, policy.gate, inherited=True))
        return self._shown(tuple(needs.values()), sampled, letter, made) if needs else NOBODY

    def _concerning(self, sort: Sort, letter: Letter) -> tuple[Policy, ...]:
        """The policies that are about such letters; looked up once for each sort of them."""
        looked = [self._looked(letter, kind) for kind in _ASKED]
        every = self.book.policies.values()
        found = tuple(policy for policy in every if any(sampling.concerns(policy, each) for each in looked))
        if len(self._concerned) < _REMEMBERED:  # types come from data
            self._concerned[sort] = found
        return found

    def _looked(self, letter: Letter, kind: SubjectKind) -> sampling.Looked:
        record = letter.record
        template = record["template"]
        return sampling.Looked(
            kind,
            record["key"],
            place=letter.run,
            fields={**record, "run": letter.run},
            template_since=self.since.get((template, letter.version or "")) if template else None,
            today=self.today(),
        )

    def _of_rules(self, letter: Letter, made: Made) -> Iterator[Need]:
        record = letter.record
        chosen = self.packs.for_type(record["type"])
        if not chosen:
            return
        found = check(self.packs, self._seen(letter, made))
        findings: dict[str, list[Finding]] = {}
        for each in found:
            if each.holds:
                findings.setdefault(each.policy, []).extend(each.findings)
        if findings:
            _add_warnings(findings, found)
        for policy, listed in findings.items():
            yield Need(policy, "compliance", tuple(listed[:_MOST_FINDINGS]))
        if not record["replaces"]:
            return
        for policy in {some.pack.policy for some in chosen} - set(findings):
            warned = [one for each in found if each.policy == policy for one in each.findings]
            yield Need(policy, "compliance", tuple(warned[:_MOST_FINDINGS]), inherited=True)

    def _seen(self, letter: Letter, made: Made) -> Looked:
        communication = made.communication
        mail = [(MAIL, f"{communication.subject}\n{communication.text}")]
        if communication.html is not None:
            mail.append((MAIL_HTML, f"{communication.subject}\n{plain(communication.html)}"))
        return Looked(
            letter.record,
            mail,
            lambda: [self._read(each, letter.password) for each in made.attachments],
            self.today(),
        )

    def _read(self, attached: Attached, password: str | None) -> Read:
        content = bytes(attached.content)
        if attached.media_type.startswith("text/"):
            try:
                text = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                return Read(attached.name, problem="it is text, and not in UTF-8")
            return Read(attached.name, (plain(text) if attached.media_type == "text/html" else text,))
        if not _is_pdf(attached, content):
            return Read(attached.name, problem=f"it is {attached.media_type}, and neither PDF nor text")
        try:
            pages = tuple(self.texts(content, password))
        except UnreadablePdf as error:
            return Read(attached.name, problem=str(error))
        if not any(page.strip() for page in pages):
            return Read(attached.name, problem="no text stands in it; it may be a picture of some")
        return Read(attached.name, pages)

    def _shown(self, needs: tuple[Need, ...], sampled: set[str], letter: Letter, made: Made) -> Asked:
        """What people see: documents under a password by their copies; of a run that is sampled, the samples'."""
        papers: list[Document] = []
        copies: list[bytes] = []
        for each in made.attachments:
            content = bytes(each.content)
            copy = _copy(each, content, letter.password)
            if copy is not None:
                copies.append(copy)
            shown = content if copy is None else copy
            papers.append(Document(each.name, each.media_type, len(shown), hashlib.sha256(shown).hexdigest()))
        listed = tuple(papers)
        done = []
        for need in needs:
            policy = self.book.policies.get(need.policy)
            of_run = policy is not None and policy.concerns == "run" and policy.sampling is not None
            shows = need.policy in sampled if of_run else bool(copies)
            facts = named_values(policy, letter.record) if policy is not None else {}
            done.append(replace(need, papers=listed if shows else (), facts=facts))
        return Asked(tuple(done), tuple(copies) if any(need.papers for need in done) else ())

    def _closed(self, kind: str, problem: Exception) -> Asked:
        """Held for whoever would see it, or for all who see anything, with what went wrong."""
        names = [chosen.pack.policy for chosen in self.packs.for_type(kind)]
        names = names or [file.pack.policy for file in self.packs.files]
        names = names or [name for name, each in self.book.policies.items() if each.concerns in _ASKED]
        said = f"it could not be checked, and so it waits: {type(problem).__name__}: {problem}"
        finding = Finding("gate", "gate", "communication", " ".join(said.replace("\x00", "").split())[:_LONGEST])
        return Asked(tuple(Need(name, self._gate_of(name), (finding,)) for name in dict.fromkeys(names)))

    def _gate_of(self, name: str) -> Any:
        policy = self.book.policies.get(name)
        return policy.gate if policy is not None else "compliance"


def _add_warnings(findings: dict[str, list[Finding]], found: Sequence[Found]) -> None:
    """What holds nothing alone is shown to those who look anyway."""
    first = next(iter(findings))
    for each in found:
        if not each.holds:
            shown = findings.get(each.policy, findings[first])
            shown += [one for one in each.findings if one not in shown]


def _copy(attached: Attached, content: bytes, password: str | None) -> bytes | None:
    if password is None or not _is_pdf(attached, content):
        return None
    try:
        return unprotect(content, password)
    except UnreadablePdf:
        return None  # under a password of its own: people see that it is there, and rules said that they cannot read it


def _is_pdf(attached: Attached, content: bytes) -> bool:
    return attached.media_type == _PDF or content.startswith(b"%PDF-")


def _today() -> date:
    return datetime.now(UTC).date()
