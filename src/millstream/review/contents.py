"""What people are shown of what waits for them: of a communication, of a run, and of something that went wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from millstream.review.limits import LARGEST
from millstream.review.model import Content, Paper, Subject, SubjectKind
from millstream.review.policy import Policy

MOST_SHOWN: Final = 10
"""Communications of a run that people see."""
EVENT_REF: Final = "event:"
"""Before the number, where a case is an event: a communication's reference is a number as well."""

_MOST_PAPERS = 50
_MOST_FINDINGS = 50
_MOST_TYPES = 5
_LONGEST_TEXT = 100_000
_LONGEST_FACT = 300
_MAKERS = ("author", "created_by", "modified_by")
"""In a record's `source`: who made it, and so does not review it."""

Row = Mapping[str, Any]


def of_communication(row: Row, policy: Policy) -> tuple[Subject, Content]:
    """A communication that waits, as a question."""
    kind = SubjectKind.CASE if policy.concerns == "case" else SubjectKind.COMMUNICATION
    facts = {"run": row["run"], "key": row["key"], "customer": row["customer"], "type": row["type"]}
    subject = Subject(kind, str(row["communication"]), name=f"{row['type']} {row['key']}", facts=facts)
    return subject, content_of(row)


def content_of(row: Row) -> Content:
    """What is shown of a communication, bound to the hash of all that leaves."""
    recipient = row["recipient"]
    template = " ".join(filter(None, (row["template"], row["version"])))
    facts = {
        "customer": row["customer"],
        "type": row["type"],
        "recipient": _person(recipient),
        "copies": ", ".join(map(_person, row["copies"])),
        "subject": row["subject"],
        "language": row["locale"],
        "template": template,
        "run": row["run"],
        "key": row["key"],
        "replaces": row["replaces"] or "",
    }
    return Content(
        hash=row["content_hash"],
        papers=papers_of(row["papers"] or row["documents"]),
        facts={**row["facts"], **_filled(facts)},
        text=row["body_text"][:_LONGEST_TEXT],
        findings=tuple(row["findings"]),
    )


def makers_of(source: Mapping[str, Any]) -> tuple[str, ...]:
    """Whose own work it is, by the names that a record's `source` gives."""
    return tuple(value for name in _MAKERS if isinstance(value := source.get(name), str) and value)


def of_run(run: Row, totals: Row, sample: Sequence[Row], *, limited: str | None = None) -> tuple[Subject, Content]:
    """What of a run waits, as one question; `limited` is the field whose largest number it is to name."""
    subject = Subject(SubjectKind.RUN, run["key"], name=f"run {run['key']}", facts={"run": run["key"]})
    types = sorted(totals["types"])
    more = f" and {len(types) - _MOST_TYPES} more" if len(types) > _MOST_TYPES else ""
    facts = {
        "run": run["key"],
        "communications": f"{totals['communications']:,}",
        "customers": f"{totals['customers']:,}",
        "type": ", ".join(types[:_MOST_TYPES]) + more,
        "shown": ", ".join(row["key"] for row in sample),
        "source": run["source"],
        "with findings": f"{totals['found']:,}" if totals["found"] else "",
    }
    if limited is not None and totals["largest"] is not None and not totals["unread"]:
        facts[f"{LARGEST}{limited}"] = f"{totals['largest']:f}"
    papers = [
        Paper(f"{_file_name(row['key'])} {paper.name}", paper.media_type, paper.size, paper.sha256)
        for row in sample
        for paper in papers_of(row["papers"] or row["documents"])
    ]
    findings = [
        {**finding, "place": f"{row['key']}: {finding['place']}"} for row in sample for finding in row["findings"]
    ]
    text = sample[0]["body_text"] if sample else ""
    return subject, Content(
        hash=totals["hash"],
        papers=tuple(papers[:_MOST_PAPERS]),
        facts=_filled(facts),
        text=text[:_LONGEST_TEXT],
        findings=tuple(findings[:_MOST_FINDINGS]),
    )


def of_event(number: int, kind: str, about: str, payload: Mapping[str, Any]) -> tuple[Subject, Content]:
    """Something that went wrong, as a question: go on, or stop."""
    told = {name: _said(value) for name, value in payload.items()}
    facts = _filled({"what": kind, "about": about, **told})
    content_hash = hashlib.sha256(orjson.dumps([kind, about, payload], option=orjson.OPT_SORT_KEYS)).hexdigest()
    subject = Subject(
        SubjectKind.CASE,
        f"{EVENT_REF}{number}",
        domain=told.get("domain", ""),
        name=f"{kind} {about}",
        facts={"event": str(number), "kind": kind, "subject": about, **told},
    )
    return subject, Content(hash=content_hash, facts=facts, text=told.get("error", ""))


def papers_of(documents: Sequence[Mapping[str, Any]]) -> tuple[Paper, ...]:
    """Stored documents as papers."""
    return tuple(
        Paper(each["name"], each["media_type"], int(each["size"]), each["sha256"]) for each in documents[:_MOST_PAPERS]
    )


def _person(recipient: Mapping[str, Any]) -> str:
    name, address = recipient.get("name") or "", recipient.get("address") or ""
    return f"{name} <{address}>" if name else address


def _file_name(key: str) -> str:
    return "".join("-" if character in '/\\:*?"<>|' else character for character in key)[:100]


def _said(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _filled(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_LONGEST_FACT] for name, value in facts.items() if value}
