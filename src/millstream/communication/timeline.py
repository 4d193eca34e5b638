"""One delivery's story: what was tried, what mailboxes told, and the audit trail, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

_TELLING: Final = 160


def timeline(
    attempts: Iterable[Mapping[str, Any]], sightings: Iterable[Mapping[str, Any]], audit: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Lines for people, in order: at, what, who, told. What happened at one time keeps the order of the arguments."""
    lines = [*map(_attempt, attempts), *map(_sighting, sightings), *map(_entry, audit)]
    return sorted(lines, key=lambda line: line["at"])


def _attempt(row: Mapping[str, Any]) -> dict[str, Any]:
    cost = ", ".join(f"{row[name]:,} {name}" for name in ("units", "bytes") if row[name])
    told = "; ".join(part for part in (f"effect {row['effect']}", cost, _short(row["evidence"])) if part)
    return {"at": row["at"], "what": f"{row['kind']}: {row['outcome']}", "who": row["mailbox"], "told": told}


def _sighting(row: Mapping[str, Any]) -> dict[str, Any]:
    words = _short(row["reply"]) if row["reply"] else _short(_reported(row["report"]) or row["title"])
    received = row["received_at"]
    parts = (
        words,
        f"received {received:%Y-%m-%d %H:%M:%S}" if received else "",
        f"by {row['mapped_by']}" if row["mapped_by"] else "",
        "proven" if row["proven"] else "not proven",
        f"message {row['message_id']}",
    )
    told = "; ".join(part for part in parts if part)
    return {"at": row["at"], "what": f"sighted: {row['kind']}", "who": row["mailbox"], "told": told}


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    at = row["at"]
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return {"at": when, "what": row["kind"], "who": row["actor"], "told": _short(str(row["payload"]))}


def _reported(report: object) -> str:
    """The first status with its words, wherever the report has them: it is kept as the mail server gave it."""
    if isinstance(report, list):
        return next((words for each in report if (words := _reported(each))), "")
    if not isinstance(report, Mapping):
        return ""
    words = " ".join(str(report[name]) for name in ("status", "diagnostic") if report.get(name))
    return words or next((found for each in report.values() if (found := _reported(each))), "")


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _TELLING else f"{line[: _TELLING - 1]}…"
