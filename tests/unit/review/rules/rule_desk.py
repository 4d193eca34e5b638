"""A rule pack written down, and a letter for it to look at."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from millstream.communication.model import Finding
from millstream.review.rules.check import check
from millstream.review.rules.looked import MAIL, Document, Looked
from millstream.review.rules.pack import load_packs

TODAY = date(2026, 11, 25)
PACK = '[pack]\nname = "letters"\npolicy = "compliance"\n'


class Bench:
    """Writes a pack and has it look at letters."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def written(self, rules: str, head: str = "") -> Path:
        path = self._folder / "rules.toml"
        path.write_text(f"{PACK}{head}\n{rules}", encoding="utf-8")
        return path

    def found(self, rule: str, head: str = "", **letter: Any) -> list[Finding]:
        """What one rule finds; `rule` is its TOML without the table's name."""
        packs = load_packs([self.written(f'[[rule]]\nname = "the rule"\n{rule}', head)])
        return [each for found in check(packs, look_at(**letter)) for each in found.findings]

    def texts(self, rule: str, head: str = "", **letter: Any) -> list[tuple[str, str]]:
        """Place and text of what one rule finds."""
        return [(each.place, each.text) for each in self.found(rule, head, **letter)]


def look_at(
    *,
    mail: str | Sequence[tuple[str, str]] = "",
    pages: Sequence[str] | None = None,
    documents: Sequence[Document] | None = None,
    locale: str = "en-GB",
    **record: Any,
) -> Looked:
    """A letter."""
    forms = ([(MAIL, mail)] if mail else []) if isinstance(mail, str) else list(mail)
    given: Mapping[str, Any] = {"type": "regulatory_letter", "locale": locale, "data": {}, "source": {}, **record}
    attached = list(documents or ()) + ([Document("letter.pdf", tuple(pages))] if pages is not None else [])
    return Looked(given, forms, lambda: attached, TODAY)
