"""The driver's reference page: its table is made from the record's own model, so that they cannot part."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from millstream.intake.record import fields

BEGIN = "<!-- fields: begin -->"
END = "<!-- fields: end -->"

_WORDS: dict[Any, str] = {str: "text", int: "number", bool: "true or false", Any: "anything"}


def table() -> str:
    """Every field of a driver as a Markdown table."""
    lines = ["| field | what it holds | needed | meaning |", "|---|---|---|---|"]
    for name, info in fields():
        lines.append(f"| `{name}` | {_kind(info)} | {_needed(info)} | {info.description} |")
    return "\n".join(lines)


def refresh(page: str) -> str:
    """The page with its table as the model stands now.

    Raises:
        ValueError: the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _needed(info: FieldInfo) -> str:
    if info.is_required():
        return "yes"
    default = info.get_default(call_default_factory=True)
    return f"no; `{default}`" if isinstance(default, str) else "no"


def _kind(info: FieldInfo) -> str:
    longest = next((each.max_length for each in info.metadata if hasattr(each, "max_length")), None)
    kind = _word(info.annotation)
    return f"{kind}, at most {longest:,} characters" if longest and kind == "text" else kind


def _word(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _word(arguments[0])
    if origin is list:
        return f"list of {_word(arguments[0])}s"
    if origin is dict:
        return "object"
    if origin in (types.UnionType, typing.Union):
        return _word(next(each for each in arguments if each is not types.NoneType))
    return "text" if origin is typing.Literal else _WORDS[annotation]
