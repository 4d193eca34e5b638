"""What answer pages say, in the six languages that reviewers write in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

from millstream.composer.notice import review_notices
from millstream.review.model import Content

LANGUAGES = ("en", "de", "fr", "es", "it", "nl")
_FOLDER = Path(__file__).with_name("templates") / "words"
_LONGEST = 200


@cache
def words_of(language: str) -> Mapping[str, str]:
    """Every sentence by its name."""
    return tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))


def language_of(locale: str) -> str:
    """The language of a locale as `de-AT`; English where we have none."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else "en"


def language_asked(header: str) -> str:
    """The first of a browser's languages that we have, as it names the best one first in practice."""
    for each in header[:_LONGEST].split(","):
        language = each.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"


def moment(at: datetime, locale: str, time_zone: str) -> str:
    """A time as people of a place read it, with its zone."""
    try:
        zone: tzinfo = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    try:
        spoken = Locale.parse(locale.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        spoken = Locale("en")
    local = at.astimezone(zone)
    day, clock = format_date(local, "medium", locale=spoken), format_time(local, "short", locale=spoken)
    return f"{day}, {clock} {local.tzname() or time_zone}"


def facts_of(content: Content, locale: str) -> list[tuple[str, str]]:
    """Facts by their names in a language: those that mails have words for first, in the same order."""
    names = review_notices().words(locale).texts["fact"]
    known = [(str(label), str(content.facts[name])) for name, label in names.items() if name in content.facts]
    return known + [(name, str(value)) for name, value in content.facts.items() if name not in names]
