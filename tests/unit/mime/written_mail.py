"""The written messages of tests/corpus, each with what a reading of it has to say."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millstream.mime import Reading, read

FOLDER = Path(__file__).parents[2] / "corpus"
NAMES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.eml"))


@dataclass(frozen=True)
class Written:
    """One message and its expected reading."""

    message: bytes
    expected: dict[str, Any]

    @classmethod
    def of(cls, name: str) -> "Written":
        expected = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
        return cls((FOLDER / f"{name}.eml").read_bytes(), expected)

    def read(self) -> Reading:
        settings = {name: self.expected[name] for name in ("authserv_ids", "own_lists") if name in self.expected}
        return read(self.message, **settings)


def said(reading: Reading) -> dict[str, Any]:
    """A reading in the words of the expectation files."""
    statuses = reading.report.statuses if reading.report else ()
    return {
        "kind": str(reading.kind),
        "severity": str(reading.severity or ""),
        "sender": reading.sender,
        "subject": reading.subject,
        "statuses": [
            {
                "recipient": one.recipient,
                "action": one.action,
                "code": one.code,
                "address_is_bad": one.address_is_bad,
            }
            for one in statuses
        ],
        "recipients": list(reading.clues.recipients),
        "returned_token": reading.clues.returned_token or "",
        "reply_token": reading.clues.reply_token or "",
        "original": next(iter(reading.clues.original_message_ids), ""),
        "proven_daemon": reading.proven_daemon,
        "passed": reading.verdict.passed,
        "text": reading.reply.text if reading.reply else "",
        "attachments": [[one.name, one.media_type, one.size] for one in reading.attachments],
        "evidence": reading.evidence,
    }
