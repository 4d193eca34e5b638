"""Partial answers: the `fields` parameter that every Google API knows."""

from typing import Any

from millstream.sandbox.gmail.errors import BadArgument

Mask = dict[str, "Mask"]
"""Names to keep; an empty mask below a name keeps everything below it."""


def narrowed(document: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """Only the fields asked for, for example `id,payload/headers,messages(id,threadId)`; None asks for all."""
    if not fields:
        return document
    mask, rest = _parse(fields, 0)
    if rest != len(fields):
        raise BadArgument(f"Invalid field selection {fields}")
    return _apply(document, mask) if mask else document


def _parse(text: str, start: int) -> tuple[Mask, int]:
    mask: Mask = {}
    at = start
    while at < len(text) and text[at] != ")":
        at = _one(text, at, mask)
        if at < len(text) and text[at] == ",":
            at += 1
    return mask, at


def _one(text: str, start: int, mask: Mask) -> int:
    """Read one field path with what stands in parentheses behind it into `mask`; gives where it ends."""
    end = start
    while end < len(text) and text[end] not in ",()":
        end += 1
    names = text[start:end].strip().split("/")
    if not all(names):
        raise BadArgument(f"Invalid field selection {text}")
    node = mask
    for name in names:
        node = node.setdefault(name, {})
    if end < len(text) and text[end] == "(":
        below, end = _parse(text, end + 1)
        if end >= len(text):
            raise BadArgument(f"Invalid field selection {text}")
        node.update(below)
        end += 1
    return end


def _apply(value: Any, mask: Mask) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [_apply(item, mask) for item in value]
    if isinstance(value, dict):
        return {name: _apply(value[name], below) for name, below in mask.items() if name in value}
    return value
