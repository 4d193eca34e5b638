"""A template is a folder; this file reads one and says what is missing in it.

- `template.toml`: version, subject, file name, standards, and where the data keep customer, date and currency.
- `schema.json`: JSON Schema 2020-12 of the data.
- `document.typ`: the document, in Typst; may import `@local/millstream:1.0.0` and files beside it.
- `mail.mjml`, `mail.txt`: the mail's HTML and text, with Jinja expressions.
- `texts.toml`: what every language shares; optional.
- `texts.<locale>.toml`: the words of a language (`texts.de.toml`), or what a region changes (`texts.en-US.toml`).
- `fonts/`: optional; fonts used instead of the shipped ones.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from millstream.composer.coverage import characters, described, undrawable
from millstream.composer.errors import TemplateError

_SETTINGS = {"version", "locale", "standards", "customer", "date", "currency", "subject", "file_name"}
_IMPORTED = re.compile(r'"@(?!local/millstream:)[^"]*"')


@dataclass(frozen=True)
class Template:
    """One template, read once: its settings, its schema's checker, its texts and the version of it all."""

    name: str
    folder: Path
    fonts: Path
    settings: Mapping[str, Any]
    languages: Mapping[str, Mapping[str, Any]]  # by BCP 47 tag; the regions already merged over their language
    version: str

    def texts(self, locale: str) -> tuple[str, Mapping[str, Any]]:
        """The texts nearest to `locale`, and the tag whose dates and amounts go with them.

        A locale whose language the template does not speak gets the template's default locale as a whole:
        an English letter with Polish dates would be neither.
        """
        tag = locale.replace("_", "-")
        language = tag.partition("-")[0]
        if tag in self.languages:
            return tag, self.languages[tag]
        if language in self.languages:
            return tag, self.languages[language]
        default = str(self.settings["locale"])
        return default, self.languages.get(default) or self.languages[default.partition("-")[0]]

    def value(self, setting: str, data: Mapping[str, Any]) -> object:
        """What the data hold at the path that `template.toml` names under `setting`; None when it is not there."""
        found: object = data
        for name in str(self.settings[setting]).split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    @cached_property
    def checker(self) -> jsonschema_rs.Draft202012Validator:
        """The compiled schema, with formats such as `date` enforced."""
        schema = orjson.loads(self.read("schema.json"))
        try:
            return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        except jsonschema_rs.ValidationError as error:
            raise TemplateError(self.name, f"schema.json is no JSON Schema: {error.message}") from error

    @cached_property
    def drawable(self) -> frozenset[str]:
        """The characters every font of this template can draw."""
        return drawable(self.name, self.fonts)

    def read(self, file: str) -> str:
        """The text of one of the template's files; TemplateError when it is not there."""
        try:
            return (self.folder / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(self.name, f"{file} cannot be read: {error}") from error


def load(name: str, folder: Path, fonts: Path, foundation: str) -> Template:
    """Read and check the template in `folder`; `foundation` is the version of what it is composed with.

    Raises TemplateError when a file is missing or broken, when a text cannot be drawn, or when Typst would
    have to fetch a package from the network.
    """
    settings = _toml(name, folder / "template.toml")
    if missing := _SETTINGS - settings.keys():
        raise TemplateError(name, f"template.toml lacks {', '.join(sorted(missing))}")
    own_fonts = folder / "fonts"
    template = Template(
        name=name,
        folder=folder,
        fonts=own_fonts if own_fonts.is_dir() else fonts,
        settings=settings,
        languages=_languages(name, folder),
        version=f"{settings['version']}+{digest(folder, foundation)[:12]}",
    )
    _check(template)
    return template


def digest(folder: Path, foundation: str) -> str:
    """SHA-256 in hex over every file of `folder`, by name and content, and over `foundation`."""
    total = hashlib.sha256(foundation.encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"\0{file.relative_to(folder).as_posix()}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def drawable(name: str, fonts: Path) -> frozenset[str]:
    """The characters that all font files in the folder `fonts` draw; TemplateError when there is none."""
    files = sorted(path for path in fonts.iterdir() if path.suffix.lower() in {".otf", ".ttf"})
    if not files:
        raise TemplateError(name, f"{fonts} holds no font; put .otf or .ttf files there")
    try:
        return characters(files)
    except ValueError as error:
        raise TemplateError(name, str(error)) from error


def _check(template: Template) -> None:
    own = str(template.settings["locale"])
    if not {own, own.partition("-")[0]} & template.languages.keys():
        raise TemplateError(template.name, f"there is no texts file for its own locale {own}")
    for file in sorted(template.folder.rglob("*.typ")):
        if found := _IMPORTED.search(file.read_text(encoding="utf-8")):
            raise TemplateError(
                template.name,
                f"{file.name} imports {found.group()}; nothing is fetched from the network, copy the files beside it",
            )
    for tag, texts in template.languages.items():
        for path, character in undrawable(texts, template.drawable):
            raise TemplateError(template.name, f"texts.{tag}.toml: {path}: no font draws {described(character)}")


def _languages(name: str, folder: Path) -> dict[str, dict[str, Any]]:
    shared = _toml(name, folder / "texts.toml") if (folder / "texts.toml").exists() else {}
    read = {file.name.split(".")[1]: _toml(name, file) for file in sorted(folder.glob("texts.*.toml"))}
    merged: dict[str, dict[str, Any]] = {}
    for tag in sorted(read, key=len):  # a language before its regions
        merged[tag] = _merged(merged.get(tag.partition("-")[0], shared), read[tag])
    return merged


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        lower = result.get(key)
        result[key] = _merged(lower, value) if isinstance(lower, dict) and isinstance(value, dict) else value
    return result


def _toml(name: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TemplateError(name, f"{file.name} cannot be read: {error}") from error
