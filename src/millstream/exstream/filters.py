r"""How a list's filter is spelt in the query: one joined parameter, or one for each key.

The API description writes ``filter=key:value;key:value1,value2``, with ``:``, ``;`` and ``\`` inside of a value as
``/colon/``, ``/semi/`` and ``/bsol/``; OpenText's own calls of the design service write ``filter.key=value``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias

from millstream.exstream.options import FilterStyle

One: TypeAlias = "str | int | date"
FilterValue: TypeAlias = "One | Iterable[One] | None"
"""A value of a filter or several; a datetime is a date, a bool an int and a StrEnum a str."""

_ESCAPES = str.maketrans({":": "/colon/", ";": "/semi/", "\\": "/bsol/"})


def spell(style: FilterStyle, filters: Mapping[str, FilterValue], *, days: bool = True) -> list[tuple[str, str]]:
    """The query parameters of a filter; keys without a value are left out.

    With ``days`` an instant is told as its day (UTC), which is all that the orchestration service takes.
    """
    given = {key: words for key, value in filters.items() if (words := _words(value, days=days))}
    if style is FilterStyle.DOTTED:
        return [(f"filter.{key}", word) for key, words in given.items() for word in words]
    if not given:
        return []
    parts = (f"{key}:{','.join(word.translate(_ESCAPES) for word in words)}" for key, words in given.items())
    return [("filter", ";".join(parts))]


def named(filters: Mapping[str, FilterValue], known: Mapping[str, str]) -> dict[str, FilterValue]:
    """The same with the service's own spelling of each key; ``known`` is made by :func:`keys`.

    Raises:
        TypeError: a key is not one of the service's, which would ignore it and list everything.
    """
    told = {}
    for key, value in filters.items():
        name = known.get(key.replace("_", "").lower())
        if name is None:
            raise TypeError(f"there is no filter {key!r}; known are {', '.join(sorted(known.values()))}")
        told[name] = value
    return told


def keys(*names: str) -> dict[str, str]:
    """The keys of a filter, to be found however they are spelt."""
    return {name.lower(): name for name in names}


def words_of(value: FilterValue) -> frozenset[str]:
    """A filter's values, to compare answers with: in small letters."""
    return frozenset(word.lower() for word in _words(value, days=True))


def body_of(filters: Mapping[str, FilterValue]) -> dict[str, Any]:
    """A filter as it stands in a JSON body, where the API description has instants in place of days."""
    return {key: told for key, value in filters.items() if (told := _in_body(value)) not in (None, [])}


def _in_body(value: FilterValue) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(), UTC)
    if isinstance(value, str | datetime):
        return _word(value, days=False)
    return list(dict.fromkeys(_in_body(one) for one in value))


def _words(value: FilterValue, *, days: bool) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str | int | date):
        return [_word(value, days=days)]
    return list(dict.fromkeys(_word(one, days=days) for one in value))


def _word(value: One, *, days: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return moment.date().isoformat() if days else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return value.isoformat() if isinstance(value, date) else str(value)
