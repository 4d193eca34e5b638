"""Reading the configuration: the file, the variables, and sentences for everything that is wrong with them."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from millstream.config.errors import ConfigError, ConfigUnreadable, Problem
from millstream.config.settings import DELIMITER, FILE_VARIABLE, PREFIX, Settings

PLACES = (Path("millstream.toml"), Path("/etc/millstream/millstream.toml"))

_ADVICE = "See docs/reference/configuration.md, or run millstream config show."


def load(path: Path | None = None) -> Settings:
    """Read the settings from `path`, else from the file that MILLSTREAM_CONFIG names, else from the first of PLACES.

    Paths in the file that are not absolute start at the file's own folder.

    Raises:
        ConfigUnreadable: the file is missing though it was named, may not be read, or is no TOML.
        ConfigError: every key that is unknown or has a value it cannot have.
    """
    file = _find(path)
    data = _read(file) if file else {}
    variables = _variables()
    unknown = [
        _unknown_variable(name) for name in variables if _key_of(name).split(".")[0] not in Settings.model_fields
    ]
    if unknown:
        raise ConfigError(unknown)
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise ConfigError([_problem(details, file, variables) for details in error.errors()]) from error
    except SettingsError as error:
        raise ConfigError([_bad_variable(error)]) from error
    origins = {key: str(file) for key in leaves(data)} | {_key_of(name): name for name in variables}
    settings._origins.update(origins)  # noqa: SLF001  a private attribute is what pydantic lets us add
    return settings


def leaves(data: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield the dotted keys of settings in nested tables; a table that is itself a value is one key."""
    for name, value in data.items():
        key = f"{before}{name}"
        if isinstance(value, dict) and not before:
            yield from leaves(value, f"{key}.")
        else:
            yield key


def keys(model: type[BaseModel] = Settings, before: str = "") -> Iterator[str]:
    """Yield every dotted key there is."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def variable(key: str) -> str:
    """Return the name of the variable for a dotted key."""
    return PREFIX + key.upper().replace(".", DELIMITER)


def _find(path: Path | None) -> Path | None:
    named = path or (Path(text) if (text := os.environ.get(FILE_VARIABLE)) else None)  # noqa: TID251  the one place
    if named is None:
        return next((place for place in PLACES if place.is_file()), None)
    if not named.expanduser().is_file():
        raise ConfigUnreadable(named, "does not exist", "Create it with millstream config init, or name another file")
    return named.expanduser()


def _read(file: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigUnreadable(file, f"is no TOML: {error}", "Mend that place.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigUnreadable(
            file, f"cannot be read: {error}", "See who may read it, and that it is UTF-8."
        ) from error
    _anchor(data, Settings, file.parent.absolute())
    return data


def _anchor(data: dict[str, Any], model: type[BaseModel], folder: Path) -> None:
    """Make paths absolute, starting at the file's folder."""
    for name, field in model.model_fields.items():
        value, annotation = data.get(name), field.annotation
        if isinstance(value, dict) and isinstance(annotation, type) and issubclass(annotation, BaseModel):
            _anchor(value, annotation, folder)
        elif annotation is Path or Path in getattr(annotation, "__args__", ()):
            if isinstance(value, str):
                data[name] = str(folder / Path(value).expanduser())
            elif isinstance(value, list):
                data[name] = [
                    str(folder / Path(item).expanduser()) if isinstance(item, str) else item for item in value
                ]


def _variables() -> dict[str, str]:
    found = {name.upper(): value for name, value in os.environ.items()}  # noqa: TID251  the one place
    return {name: value for name, value in found.items() if name.startswith(PREFIX) and value and name != FILE_VARIABLE}


def _key_of(name: str) -> str:
    section, *rest = name.removeprefix(PREFIX).lower().split(DELIMITER)
    return ".".join((section, *rest[:1]))


def _unknown_variable(name: str) -> Problem:
    return Problem(name, "", "is no variable of Millstream", _hint(_key_of(name), as_variable=True))


def _hint(key: str, *, as_variable: bool = False) -> str:
    known = list(keys())
    near = get_close_matches(key, known, n=1, cutoff=0.75)
    near = near or [one for one in known if key.rpartition(".")[2] == one.rpartition(".")[2]]
    sections = [name for name in Settings.model_fields if "." not in key and name not in known]
    near = near or get_close_matches(key, sections, n=1)
    near = near or get_close_matches(key.rpartition(".")[2], [one.rpartition(".")[2] for one in known], n=1)
    if not near:
        return _ADVICE
    whole = [one for one in (*known, *sections) if one == near[0]]
    near = whole or [one for one in known if one.endswith(f".{near[0]}")]
    return f"Did you mean {variable(near[0]) if as_variable else near[0]}?"


def _problem(details: ErrorDetails, file: Path | None, variables: Mapping[str, str]) -> Problem:
    location = _location(details["loc"])
    key = ".".join(location)
    named = next((name for name in variables if _key_of(name) == ".".join(location[:2])), None)
    source = named or str(file or "the configuration")
    if details["type"] == "extra_forbidden":
        return Problem(source, key, "is no setting", _hint(key, as_variable=bool(named)))
    said = details["msg"].removeprefix("Value error, ")
    return Problem(source, key, f"is wrong: {said}{_given(details, key)}", _ADVICE)


def _location(parts: Sequence[int | str]) -> list[str]:
    return [str(part) for part in parts if not (isinstance(part, str) and part.startswith(("function-", "tuple[")))]


def _given(details: ErrorDetails, key: str) -> str:
    """Show the value that was given, unless it may be a secret or is a whole section."""
    value = details["input"]
    if isinstance(value, dict) or any(word in key for word in ("url", "secret", "token")):
        return ""
    return f" (given: {value!r})"


def _bad_variable(error: SettingsError) -> Problem:
    names = [name for name in _variables() if str(error).count(f'"{_key_of(name).split(".")[0]}"')]
    source = " or ".join(names) or "a variable"
    return Problem(source, "", "cannot be read: lists and tables are written as JSON", _ADVICE)
