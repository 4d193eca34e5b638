"""Filters of lists, in both spellings: `filter=key:value;key:v1,v2` and `filter.key=value`, repeated for a list."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from millstream.sandbox.exstream.errors import BadRequest

Filter = dict[str, list[str]]

_ESCAPES: Final = {"/colon/": ":", "/semi/": ";", "/bsol/": "\\"}
_DAY: Final = 10


def read(query: Mapping[str, list[str]], known: frozenset[str]) -> Filter:
    """The filter of a query; raises `BadRequest` for a key that the list does not have."""
    found: Filter = {}
    for text in query.get("filter", []):
        for part in filter(None, text.split(";")):
            key, colon, values = part.partition(":")
            if not colon:
                raise BadRequest(f"Filter {part[:60]!r} is no key:value")
            found.setdefault(key.strip(), []).extend(_unescaped(value) for value in values.split(",") if value)
    for name in query:
        if name.startswith("filter."):
            given = [part for value in query[name] for part in value.split(",") if part]
            found.setdefault(name.removeprefix("filter."), []).extend(given)
    return checked(found, known)


def of_document(document: Any, known: frozenset[str]) -> Filter:
    """The filter of a body: an object of texts and lists of them."""
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadRequest("filter is no object")
    given = {key: value if isinstance(value, list) else [value] for key, value in document.items() if value is not None}
    return checked({key: [_text(value) for value in values] for key, values in given.items()}, known)


def checked(found: Filter, known: frozenset[str]) -> Filter:
    """The filter again; raises `BadRequest` for a key that is not known and a date that is none."""
    for key, values in found.items():
        if key not in known:
            raise BadRequest(f"Filter key {key[:60]!r} is unknown; known are: {', '.join(sorted(known))}")
        if key.endswith(("Start", "End")):
            for value in values:
                _bound(value, last=key.endswith("End"))
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unescaped(value: str) -> str:
    for written, meant in _ESCAPES.items():
        value = value.replace(written, meant)
    return value


def fits(wanted: Filter, words: Mapping[str, Any], dates: Mapping[str, float | None]) -> bool:
    """Whether an entry fits.

    `words` has the entry's value by filter key (a text, or a collection of texts), `dates` a moment by the name before
    `Start` and `End`. A day as the upper end is meant to its last second.
    """
    for key, values in wanted.items():
        stem = key.removesuffix("Start").removesuffix("End")
        if stem != key and stem in dates:
            if not _in_time(key, values, dates[stem]):
                return False
        elif key in words and values and not _one_of(values, words[key]):
            return False
    return True


def _one_of(values: list[str], own: Any) -> bool:
    owned = own if isinstance(own, (set, frozenset, list, tuple)) else (own,)
    texts = {_text(one).lower() for one in owned if one is not None}
    return any(value.lower() in texts for value in values)


def _in_time(key: str, values: list[str], moment: float | None) -> bool:
    if moment is None:
        return not values
    compare: Callable[[float], bool] = (
        (lambda end: moment >= end) if key.endswith("Start") else (lambda end: moment < end)
    )
    return all(compare(_bound(value, last=key.endswith("End"))) for value in values)


def _bound(text: str, *, last: bool) -> float:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if last:
            moment += timedelta(days=1) if len(text) == _DAY else timedelta(milliseconds=1)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise BadRequest(f"{text[:40]!r} is no date; write yyyy-MM-dd") from None
