"""Policy files, read and checked: everything that is wrong is said at once, with its place and what to do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from millstream.review.errors import BadPolicy, Fault
from millstream.review.policy import PolicyBook, PolicyFile, Site
from millstream.review.policy_check import check

_KIND = re.compile(r"(bool|str|float|int|SignIn|.*[\[(].*)")
"""Pydantic puts the kind that it tried into the place."""
_NAMED = ("people", "groups", "calendars", "policy")


def load(paths: Sequence[Path], site: Site) -> PolicyBook:
    """Read policy files as one book.

    Raises:
        BadPolicy: with every fault that was found; where a file cannot be read as such, only those of reading.
    """
    faults: list[Fault] = []
    files = [(str(path), file) for path in paths if (file := _read(path, faults)) is not None]
    if not faults:
        _twice(files, faults)
    if faults:
        raise BadPolicy(faults)
    book = PolicyBook(
        {name: each for _, file in files for name, each in file.people.items()},
        {name: each for _, file in files for name, each in file.groups.items()},
        {name: each for _, file in files for name, each in file.calendars.items()},
        tuple(each for _, file in files for each in file.delegations),
        {name: each.model_copy(update={"name": name}) for _, file in files for name, each in file.policy.items()},
    )
    faults += check(book, site, files)
    if faults:
        raise BadPolicy(faults)
    return book


def _read(path: Path, faults: list[Fault]) -> PolicyFile | None:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        faults.append(Fault(str(path), "", f"cannot be read: {error.strerror or error}"))
        return None
    except UnicodeDecodeError:
        faults.append(Fault(str(path), "", "is not UTF-8; save it as such"))
        return None
    except tomllib.TOMLDecodeError as error:
        faults.append(Fault(str(path), "", f"is no TOML: {error}"))
        return None
    try:
        return PolicyFile.model_validate(found)
    except ValidationError as error:
        # A value that may be of several kinds is wrong once for each: the first says it.
        # A list that is too short for what is wrong in it says nothing of its own.
        wrong = error.errors()
        within = [_key(each["loc"]) for each in wrong]
        said = {
            key: _wrong(each)
            for each, key in reversed(list(zip(wrong, within, strict=True)))
            if each["type"] != "too_short" or not any(other.startswith(f"{key}[") for other in within)
        }
        faults += [Fault(str(path), key, wrong) for key, wrong in sorted(said.items())]
        return None


def _twice(files: Sequence[tuple[str, PolicyFile]], faults: list[Fault]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for path, file in files:
        for table in _NAMED:
            for name in getattr(file, table):
                first = seen.setdefault((table, name), path)
                if first != path:
                    faults.append(Fault(path, f"{table}.{name}", f"is in {first} too; give one of them another name"))


def _key(place: Sequence[int | str]) -> str:
    key = ""
    for part in place:
        if isinstance(part, str) and _KIND.fullmatch(part):
            continue
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _wrong(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "is no setting; look for a slip of the pen, or in docs/reference/policies.md"
    return (
        f"is {error['input']!r}: {message}" if isinstance(error["input"], str | int | float) else f"is wrong: {message}"
    )
