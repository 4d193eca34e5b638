"""A statement's data to change, and folders with templates of one's own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millstream.composer import Composer, ComposerOptions

_STATEMENT: dict[str, Any] = {
    "customer": {"id": "C-17", "name": "Zoë Müller-Łukasiewicz", "address": ["14 Orchard Road", "Bristol BS1 4DJ"]},
    "account": {"number": "4000 1997 0017"},
    "statement": {"number": "1998-06/0017", "date": "1998-06-30", "from": "1998-01-01", "to": "1998-06-30"},
    "currency": "USD",
    "previous_balance_cents": 1000,
    "purchases": [
        {"date": "1998-02-03", "description": "CDNOW", "quantity": 2, "amount_cents": 2933},
        {"date": "1998-06-14", "description": "CDNOW", "quantity": 1, "amount_cents": 1496},
    ],
    "payments": [{"date": "1998-04-15", "amount_cents": 3933}],
    "collection_date": "1998-07-15",
}
_FILES = {
    "template.toml": 'version = "3"\nlocale = "en-GB"\nstandards = ["a-2b"]\ncustomer = "id"\ndate = "date"\n'
    'currency = "currency"\nsubject = "{{ texts.hello | fill(name=data.name) }}"\nfile_name = "{{ data.name }}.pdf"\n',
    "schema.json": '{"type": "object", "required": ["id", "name", "date"]}',
    "document.typ": '#import "@local/millstream:1.0.0": *\n#set document(title: "Hello")\n'
    '#set text(font: "Inter")\n#fill(texts.hello, name: data.name)\n',
    "mail.mjml": "<mjml><mj-body><mj-section><mj-column><mj-text>{{ data.name }}</mj-text>"
    "</mj-column></mj-section></mj-body></mjml>",
    "mail.txt": "{{ texts.hello | fill(name=data.name) }}\n",
    "texts.en.toml": 'hello = "Hello {name}"\n',
}


@pytest.fixture
def statement() -> dict[str, Any]:
    return copy.deepcopy(_STATEMENT)


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer()


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Composer]:
    """Makes a composer whose template `greeting` is a small one with some files changed (None: left out)."""

    def make(**changed: str | None) -> Composer:
        folder = tmp_path / "greeting"
        folder.mkdir(exist_ok=True)
        files = {**_FILES, **{name.replace("__", "."): text for name, text in changed.items()}}
        for name, text in files.items():
            if text is not None:
                (folder / name).write_text(text, encoding="utf-8")
        return Composer(ComposerOptions(templates=(tmp_path,)))

    return make


@pytest.fixture
def greeting() -> dict[str, Any]:
    return {"id": "C-1", "name": "Ada", "date": "1998-06-30", "currency": "EUR"}
