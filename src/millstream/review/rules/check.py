"""All rules that are for a letter, and what they find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from millstream.communication.model import Finding
from millstream.log import get_logger
from millstream.review.rules.kinds import Seen, look
from millstream.review.rules.looked import Looked
from millstream.review.rules.pack import Chosen, Clause, Consent, PackHead, Packs, Rule, Severity, fits

log = get_logger(__name__)

_MOST_OF_A_RULE = 20
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Found:
    """What rules of one pack found, and whom it is put to."""

    policy: str
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether there is more than warnings."""
        return any(each.severity == "error" for each in self.findings)


def check(packs: Packs, looked: Looked) -> tuple[Found, ...]:
    """What the rules for this letter find; by pack, and nothing of packs that find nothing."""
    found = []
    for chosen in packs.for_type(looked.type):
        findings = tuple(_of_pack(chosen, looked))
        if findings:
            found.append(Found(chosen.pack.policy, findings))
    return tuple(found)


def _of_pack(chosen: Chosen, looked: Looked) -> Iterator[Finding]:
    pack = chosen.pack
    rules = [rule for rule in chosen.rules if fits(rule.languages, looked.language)]
    lawful = [rule for rule in rules if rule.jurisdictions or pack.jurisdictions]
    jurisdiction = looked.jurisdiction(pack.jurisdiction)
    if lawful and not jurisdiction:
        said = f"says not under which law it falls, and nor does the locale: {len(lawful)} rules cannot be checked"
        yield _finding(pack, lawful[0].name, Seen(pack.jurisdiction, said))
        rules = [rule for rule in rules if rule not in lawful]
    rules = [rule for rule in rules if _concerns(rule.jurisdictions or pack.jurisdictions, jurisdiction)]
    if any(_reads_documents(rule) for rule in rules):
        severity: Severity = "error" if pack.unreadable == "hold" else "warning"
        for document in looked.read:
            if document.problem:
                seen = Seen(document.place, f"rules cannot read it: {document.problem}")
                yield _finding(pack, "readable documents", seen, severity)
    for rule in rules:
        yield from _of_rule(pack, rule, looked)


def _of_rule(pack: PackHead, rule: Rule, looked: Looked) -> Iterator[Finding]:
    try:
        seen = list(islice(look(rule, looked), _MOST_OF_A_RULE + 1))
    except Exception as problem:
        log.warning("rule.failed", pack=pack.name, rule=rule.name, exc_info=problem)
        said = f"the rule could not be checked: {type(problem).__name__}: {problem}"
        yield _finding(pack, rule.name, Seen("rule", said))
        return
    for each in dict.fromkeys(seen[:_MOST_OF_A_RULE]):
        yield _finding(pack, rule.name, each, rule.severity)
    if len(seen) > _MOST_OF_A_RULE:
        yield _finding(pack, rule.name, Seen(seen[-1].place, "and more of the same"), rule.severity)


def _finding(pack: PackHead, rule: str, seen: Seen, severity: Severity = "error") -> Finding:
    # Postgres stores no NUL, and a finding is one line.
    place, text = (" ".join(each.replace("\x00", "").split()) for each in (seen.place, seen.text))
    return Finding(rule, pack.name, place[:_LONGEST], text[:_LONGEST], severity)


def _concerns(jurisdictions: tuple[str, ...], jurisdiction: str) -> bool:
    """Whether a law is among those named; `US` means its parts as well."""
    country = jurisdiction.split("-", maxsplit=1)[0]
    return fits(jurisdictions, jurisdiction) or fits(jurisdictions, country)


def _reads_documents(rule: Rule) -> bool:
    if isinstance(rule, Consent):
        return False
    return rule.where != "mail" and (isinstance(rule, Clause) or getattr(rule, "field", None) is None)
