"""A review as a document for people: what its PDF record says, made of `review.json` and the entries of the chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from millstream.composer import Composer

TEMPLATE: Final = "review_record"
README: Final = """This is the evidence of one review by Millstream.

record.pdf      the review for people: question, content, people, answers, decision, what followed
review.json     the same with everything that is known, for programs
documents/      what was shown, by round
mails/          what was sent and what was answered, as Gmail has it
audit.json      the review's entries of the audit chain, with what proves them
manifest.json   every file with its SHA-256, and what proves it

To check it, without the system it came from:

    millstream audit verify FILE.zip

That proves that nothing here was changed and that it all belongs to one history of events in one order. That this
is the history of the house it says, only a hash proves that was kept elsewhere: `millstream audit verify` prints
one every time it is called there, and

    millstream audit verify FILE.zip --head HASH

looks for it here.
"""

_MOST_ROWS = 400
_MOST_LINES = 60
_LONGEST_LINE = 1_000
_LONGEST_NAME = 200
_VERDICTS = {"approve": "Approved", "reject": "Rejected", "change": "Changes asked for"}
_STATES = {
    "open": "Open",
    "approved": "Approved",
    "rejected": "Rejected",
    "changes": "Changes asked for",
    "superseded": "Superseded",
    "cancelled": "Cancelled",
}
_HOW = {
    "mail": "by mail",
    "page": "by page",
    "command": "by command",
    "one_click": "by one click",
    "policy": "by policy",
    "exstream": "in Exstream",
}
_SUBJECTS = {
    "communication": "Communication",
    "run": "Run",
    "flow_step": "Flow step",
    "resource": "Resource",
    "case": "Case",
}
_KINDS = {"ask": "question", "tell": "news", "remind": "reminder", "climb": "escalation", "question": "question back"}
_TOLD = ("verdict", "how", "what", "people", "address", "to", "by", "why", "error", "policy", "round", "rung", "sha256")
"""What of an entry is shown, in this order."""
_NAMED = frozenset({"to", "by", "policy", "round", "rung"})
"""Of that, what does not tell by itself what it is."""

Row = Mapping[str, Any]


def composing() -> Callable[[Row], bytes]:
    """What makes the PDF of a record; characters that its fonts lack are shown as a sign, `review.json` has them."""
    composer = Composer()

    def compose(data: Row) -> bytes:
        return composer.compose_document(TEMPLATE, drawn(data, composer.drawable(TEMPLATE)), "en-GB")

    return compose


def drawn(value: Any, drawable: frozenset[str]) -> Any:
    """Data with a sign for every character that cannot be drawn."""
    match value:
        case str():
            return "".join(character if character in drawable else "\N{WHITE SQUARE}" for character in value)
        case Mapping():
            return {name: drawn(inner, drawable) for name, inner in value.items()}
        case list() | tuple():
            return [drawn(inner, drawable) for inner in value]
        case _:
            return value


def record(told: Row, entries: Sequence[Row]) -> dict[str, Any]:
    """The data of the record: `review.json`, and the review's entries up to its last event."""
    review = told["review"]
    letters = {(each["kind"], each["mailbox"], each["message_id"]): each["path"] for each in told["letters"]}
    names = {each["address"]: each["name"] for each in told["seats"] if each["name"]}
    own = [each for each in entries if not each["subject"].startswith("delivery:")]
    last = entries[-1] if entries else None
    return {
        "review": {
            "number": str(review["id"]),
            "date": _day(last["at"] if last else review["opened_at"]),
            "title": _short(review["name"] or review["ref"]) or "without a name",
            "state": str(review["state"]),
            "state_words": _STATES[review["state"]],
        },
        "currency": "EUR",
        "facts": _facts(told),
        "decisions": [_decision(each, names) for each in told["decisions"]],
        "rounds": [_round(each, told) for each in told["rounds"]],
        "people": [_person(each, told) for each in told["seats"][:_MOST_ROWS]],
        "answers": [_answer(each, letters, names) for each in told["answers"][:_MOST_ROWS]],
        "follows": [*map(_step, told["steps"]), *map(_order, told["orders"])][:_MOST_ROWS],
        "mails": [_mail(each) for each in told["letters"][:_MOST_ROWS]],
        "missing": [
            {"what": _short(each["what"]), "why": _short(each["why"])} for each in told["missing"][:_MOST_ROWS]
        ],
        "timeline": [_event(each) for each in own[:_MOST_ROWS]],
        "left_out": max(0, len(own) - _MOST_ROWS) + len(entries) - len(own),
        "proof": {"seq": str(last["seq"]) if last else "", "hash": last["hash"].hex() if last else ""},
    }


def _facts(told: Row) -> list[list[str]]:
    review = told["review"]
    held = told["held"]["deliveries"]
    facts = {
        "Subject": f"{_SUBJECTS[review['kind']]} {review['ref']}",
        "Domain": review["domain"],
        "Policy": review["policy"],
        "Opened": _time(review["opened_at"]),
        "Opened by": review["origin"],
        "Made by": ", ".join(review["author"]),
        "Deadline": _time(review["deadline"]),
        "Overdue": "yes" if review["overdue"] else "",
        "Decided": _time(review["decided_at"]),
        "Rounds": str(len(told["rounds"])),
        "Deliveries held": f"{held:,}" if held else "",
    }
    return [[name, _short(value)] for name, value in facts.items() if value]


def _decision(made: Row, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "round": str(made["round"]),
        "verdict": made["verdict"],
        "verdict_words": _VERDICTS[made["verdict"]],
        "by": _short(_person_name(names.get(made["by"], ""), made["by"])),
        "how": _HOW.get(made["how"], made["how"]),
        "at": _time(made["at"]),
        "late": bool(made["late"]),
        "words": _lines(made["words"]),
        "votes": [_short(each) for each in made["votes"]],
        "hash": made["hash"],
    }


def _round(each: Row, told: Row) -> dict[str, Any]:
    content = each["content"]
    paths = {(one["round"], one["sha256"]): one["path"] for one in told["documents"]}
    papers = [
        {
            "name": _short(paper["name"]),
            "size": f"{paper['size']:,} bytes",
            "sha256": paper["sha256"],
            "path": paths.get((each["number"], paper["sha256"]), "missing"),
        }
        for paper in content.get("papers", ())[:_MOST_ROWS]
    ]
    findings = [
        f"{found.get('severity', 'error')}: {found.get('rule')} at {found.get('place')}: {found.get('text')}"
        for found in content.get("findings", ())[:_MOST_ROWS]
    ]
    ended = f"{_time(each['ended_at'])}: {each['ended_by']}" if each["ended_at"] else ""
    return {
        "number": str(each["number"]),
        "hash": each["hash"],
        "began": _time(each["began_at"]),
        "ended": _short(ended),
        "facts": [[_short(name), _short(value)] for name, value in content.get("facts", {}).items()],
        "papers": papers,
        "findings": [_short(found) for found in findings],
        "text": _lines(content.get("text", ""), most=25),
    }


def _person(seat: Row, told: Row) -> dict[str, str]:
    given = next((each for each in told["answers"] if each["counted"] and each["seat_id"] == seat["id"]), None)
    asked = f"stage {seat['stage'] + 1}" + (f", rung {seat['rung']}" if seat["rung"] else "")
    instead = f", for {seat['instead_of']}" if seat["instead_of"] else ""
    return {
        "who": _short(_person_name(seat["name"], seat["address"]) + instead),
        "round": str(seat["round"]),
        "asked": asked,
        "state": _VERDICTS[given["verdict"]] if given else seat["state"],
        "at": _time(given["at"]) if given else "",
    }


def _answer(said: Row, letters: Mapping[tuple[str, Any, Any], str], names: Mapping[str, str]) -> dict[str, Any]:
    evidence = said["evidence"]
    proof = letters.get(("answer", evidence.get("mailbox"), evidence.get("message_id")))
    shown = ", ".join(f"{name} {value}" for name, value in sorted(evidence.items()) if value)
    return {
        "who": _short(_person_name(names.get(said["address"], ""), said["address"])),
        "round": str(said["round"]),
        "at": _time(said["at"]),
        "how": _HOW.get(said["how"], said["how"]),
        "verdict": said["verdict"] or "",
        "verdict_words": _VERDICTS.get(said["verdict"], "Not clear"),
        "counted": bool(said["counted"]),
        "why": _short(said["why"].replace("_", " ")),
        "words": _lines(said["words"]),
        "proof": _short(proof or shown),
    }


def _step(step: Row) -> dict[str, str]:
    return {
        "what": _short(f"{step['verb'].replace('_', ' ')} {step['target']}"),
        "state": step["state"],
        "at": _time(step["changed_at"]),
        "detail": _short(step["reason"] or f"{step['tries']} tries, for {step['actor']}"),
    }


def _order(order: Row) -> dict[str, str]:
    return {
        "what": f"{order['action']} held deliveries",
        "state": "done" if order["done_at"] else "due",
        "at": _time(order["done_at"]),
        "detail": _short(f"{order['moved']:,} moved, for {order['actor']}"),
    }


def _mail(letter: Row) -> dict[str, str]:
    return {
        "at": _time(letter["at"]),
        "kind": _KINDS.get(letter["kind"], letter["kind"]),
        "address": _short(letter["address"]),
        "path": letter["path"],
        "sha256": letter["sha256"],
    }


def _event(entry: Row) -> dict[str, str]:
    payload = orjson.loads(entry["payload"])
    told = [_said(name, payload[name]) for name in _TOLD if payload.get(name) not in (None, "", [], entry["actor"])]
    return {
        "seq": str(entry["seq"]),
        "at": _time(entry["at"]),
        "what": entry["kind"].removeprefix("review.").replace(".", ": ").replace("_", " "),
        "who": _short(entry["actor"]),
        "detail": _short(", ".join(told)),
    }


def _said(name: str, value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    words = str(value)
    if name in {"verdict", "how"}:
        return (_VERDICTS if name == "verdict" else _HOW).get(words, words)
    return f"{name} {words}" if name in _NAMED else words.replace("_", " ")


def _person_name(name: str, address: str) -> str:
    return f"{name} <{address}>" if name else address


def _lines(words: str, *, most: int = _MOST_LINES) -> list[str]:
    lines = [line[:_LONGEST_LINE] for line in words.strip().splitlines()]
    return lines if len(lines) <= most else [*lines[:most], f"(and {len(lines) - most} more lines: review.json)"]


def _short(text: str) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST_NAME else f"{line[:_LONGEST_NAME]}…"


def _time(at: str | datetime | None) -> str:
    if at is None:
        return ""
    moment = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _day(at: str | datetime) -> str:
    return _time(at)[:10]
