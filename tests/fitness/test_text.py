"""What may stand in the project's files, and what may not."""

import importlib
import io
import pkgutil
import re
import tokenize
from pathlib import Path
from typing import Any

import millstream

# Written so that this file does not hold what it looks for.
_LEFT_FOR_LATER = re.compile(r"\b(TOD[O]|FIXM[E]|X{3}|HAC[K])\b")
_ONE_MACHINE = re.compile(r"(?<![\w.~])(/wor[k]|/roo[t]|/tmp/m[s]|/hom[e]/\w+)(?![\w-])")
_NOQA = re.compile(r"#\s*noqa\b(?P<rest>.*)")
_IGNORE = re.compile(r"#\s*type:\s*ignore\b(?P<rest>.*)")


def _comments(module: Any) -> list[tuple[str, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return [(f"{module.place}:{one.start[0]}", one.string) for one in tokens if one.type == tokenize.COMMENT]


def test_nothing_is_left_for_later(texts: dict[str, str]) -> None:
    found = [
        f"{place}: {line.strip()}"
        for place, text in texts.items()
        if place != "LICENSE" and not place.startswith(("examples/", "requirements"))
        for line in text.splitlines()
        if _LEFT_FOR_LATER.search(line)
    ]
    assert found == []


def test_no_path_of_one_machine_stands_anywhere(texts: dict[str, str]) -> None:
    found = [
        f"{place}: {line.strip()[:120]}"
        for place, text in texts.items()
        for line in text.splitlines()
        if _ONE_MACHINE.search(line)
    ]
    assert found == []


def test_the_lock_holds_hashes_and_names_no_registry(texts: dict[str, str]) -> None:
    lock = texts["requirements.lock"]
    assert "index-url" not in lock
    assert "://" not in lock
    pinned = re.findall(r"^[a-z0-9][^=\s]*==", lock, re.MULTILINE | re.IGNORECASE)
    assert len(pinned) > 50
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_every_noqa_names_its_code_and_its_reason(programs: tuple[Any, ...]) -> None:
    bare = [
        f"{place}: {comment}"
        for module in programs
        for place, comment in _comments(module)
        if (found := _NOQA.search(comment)) and not re.match(r": [A-Z]+\d+(, [A-Z]+\d+)*  \S", found["rest"])
    ]
    assert bare == []


def test_every_type_ignore_names_its_code_and_its_reason(programs: tuple[Any, ...]) -> None:
    bare = [
        f"{place}: {comment}"
        for module in programs
        for place, comment in _comments(module)
        if (found := _IGNORE.match(comment)) and not re.match(r"\[[a-z, -]+\]  # \S", found["rest"])
    ]
    assert bare == []


def test_every_module_imports_and_what_it_offers_exists() -> None:
    missing = []
    for found in pkgutil.walk_packages(millstream.__path__, "millstream."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        missing += [f"{found.name}.{name}" for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
    assert missing == []


def test_every_error_stands_in_the_tree_at_the_top_of_its_file() -> None:
    absent = []
    for found in pkgutil.walk_packages(millstream.__path__, "millstream."):
        if not found.name.endswith(".errors"):
            continue
        module = importlib.import_module(found.name)
        own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == found.name]
        errors = [one.__name__ for one in own if issubclass(one, Exception)]
        absent += [f"{found.name}.{name}" for name in errors if not re.search(rf"\b{name}\b", module.__doc__ or "")]
    assert absent == []


def test_every_query_has_its_sentence_and_is_used(root: Path) -> None:
    wrong = []
    for path in sorted((root / "src").rglob("queries.sql")):
        room = "\n".join(one.read_text(encoding="utf-8") for one in path.parent.glob("*.py"))
        parts = re.split(r"^-- name: *", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for part in parts:
            name = re.match(r"\w+", part)
            assert name is not None
            if not re.match(r"[^\n]*\n-- \S", part):
                wrong.append(f"{path.parent.name}: {name[0]} has no sentence")
            if not re.search(rf"\b{name[0]}\b", room):
                wrong.append(f"{path.parent.name}: {name[0]} is not used")
    assert wrong == []
