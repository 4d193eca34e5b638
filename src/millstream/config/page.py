"""What is said about settings: the reference page, the sample file, and the settings as they stand."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from millstream.config.load import variable
from millstream.config.section import is_secret
from millstream.config.settings import Settings

STARS = "**********"

_INTRODUCTION = """\
# Configuration

Millstream reads `millstream.toml` in the current folder, else `/etc/millstream/millstream.toml`, or the file named by
`--config` or the variable `MILLSTREAM_CONFIG`. Every setting can be given as a variable too; a variable wins over the
file, the file over the default. Lists and tables in a variable are written as JSON. Paths in the file that are not
absolute start at the file's folder. Settings marked *secret* print as stars; each that is no table can be given by a
file that holds nothing else, in the setting with `_file` at its end.

`millstream config init` writes a sample with every setting, `millstream config show` prints what is in force and where
it came from. This page is generated from the settings class by `make docs`.
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as it stands: key, value with secrets as stars, and where it came from."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    field: FieldInfo

    @property
    def extra(self) -> dict[str, Any]:
        given = self.field.json_schema_extra
        return given if isinstance(given, dict) else {}

    @property
    def default(self) -> str:
        if "default" in self.extra:
            return str(self.extra["default"])
        value = self.field.get_default(call_default_factory=True)
        return "none" if value is None else _toml(value)


def shown(settings: Settings) -> list[Shown]:
    """Return every setting as it stands, without any secret."""
    found = []
    for key, value in _values(settings):
        origin = settings.origins.get(key, "default")
        found.append(Shown(key, _effective(settings, key, value), origin))
    return found


def reference() -> str:
    """Return the reference page in Markdown."""
    parts = [_INTRODUCTION, _table([_Entry(name, field) for name, field in _plain(Settings)])]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            entries = [_Entry(f"{name}.{inner}", its) for inner, its in _plain(section)]
            parts.append(f"## {name}\n\n{section.__doc__}\n\n{_table(entries)}")
    return "\n".join(parts)


def sample() -> str:
    """Return a configuration file with every setting commented out at its default."""
    lines = ["# Millstream's configuration. Every setting stands here with its default; remove the # to change it.", ""]
    lines += _sample_lines([_Entry(name, field) for name, field in _plain(Settings)])
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            lines += [f"# {line}" for line in textwrap.wrap(str(section.__doc__), 98)]
            lines += [f"[{name}]", ""]
            lines += _sample_lines([_Entry(inner, its) for inner, its in _plain(section)])
    return "\n".join(lines).rstrip() + "\n"


def _plain(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            yield name, field


def _values(model: BaseModel, before: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _values(value, f"{name}.")
        else:
            yield f"{before}{name}", value


def _effective(settings: Settings, key: str, value: Any) -> Any:
    derived = {
        "database.folder": settings.database_folder,
        "documents.url": settings.documents_url,
        "gmail.token_folder": settings.token_folder,
    }
    if key == "database.url" and isinstance(value, SecretStr):
        return _without_password(value.get_secret_value())
    if isinstance(value, SecretStr):
        return STARS
    value = derived.get(key, value)
    return str(value) if isinstance(value, Path) else value


def _without_password(url: str) -> str:
    """Show a database URL with stars for its password, and only stars when it is not clear which part that is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return STARS
    if not parts.scheme.startswith("postgres") or "password" in parts.query or "@" in parts.path:
        return STARS
    return url.replace(f":{parts.password}@", f":{STARS}@", 1) if parts.password else url


def _table(entries: list[_Entry]) -> str:
    rows = ["| setting | variable | default | meaning |", "|---|---|---|---|"]
    for entry in entries:
        meaning = f"{entry.field.description}{' *Secret.*' if is_secret(entry.field) else ''}{_choices(entry.field)}"
        default = entry.default if "default" in entry.extra else f"`{entry.default}`"
        cells = (f"`{entry.key}`", f"`{variable(entry.key)}`", default, meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _choices(field: FieldInfo) -> str:
    if get_origin(field.annotation) is not Literal:
        return ""
    return " One of " + ", ".join(f"`{choice}`" for choice in get_args(field.annotation)) + "."


def _sample_lines(entries: list[_Entry]) -> list[str]:
    lines = []
    for entry in entries:
        lines += [f"# {line}" for line in textwrap.wrap(f"{entry.field.description}{_choices(entry.field)}", 98)]
        value = entry.extra.get("example", entry.default)
        if "default" in entry.extra or value == "none":
            lines += [f"# (default: {value})"] if "default" in entry.extra else []
            value = '""'
        lines += [f"# {entry.key} = {value}", ""]
    return lines


def _toml(value: Any) -> str:
    """Write a default as TOML does; JSON is the same for numbers, texts, truth values and flat lists."""
    if isinstance(value, Path):
        value = str(value)
    return orjson.dumps(value).decode().replace(",", ", ")
