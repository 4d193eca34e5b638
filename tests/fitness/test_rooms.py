"""The plan of the house holds: every room has its floor, and settings fit the rooms they are for."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

from millstream.config import Settings
from millstream.delivery.options import DeliveryOptions
from millstream.intake.folder.options import FolderOptions
from millstream.intake.handed import HandingOptions
from millstream.intake.keys import KeyNames
from millstream.intake.options import TakingOptions
from millstream.mailbox.options import ReadingOptions

# Beside the floors: known by all (closing, drill, harmless, killable, lazy, log, one_try), read by the top alone
# (config), or a world of its own (sandbox).
_BESIDE = {"closing", "config", "drill", "harmless", "killable", "lazy", "log", "one_try", "sandbox"}


def test_every_room_has_its_floor_in_the_import_contract(root: Path) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    floors = next(one["layers"] for one in contracts if one["type"] == "layers")
    placed = {name.strip(" ()") for floor in floors for part in floor.split("|") for name in part.split(":")}
    package = root / "src" / "millstream"
    files = {path.stem for path in package.glob("*.py") if not path.name.startswith("__")}
    rooms = files | {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms - _BESIDE - placed == set()


def _defaults(options: type[Any]) -> dict[str, Any]:
    return {
        field.name: field.default for field in dataclasses.fields(options) if field.default is not dataclasses.MISSING
    }


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("delivery", DeliveryOptions),
        ("mailbox", ReadingOptions),
        ("intake", TakingOptions),
        ("intake", HandingOptions),
        ("intake_keys", KeyNames),
        ("intake_folder", FolderOptions),
    ],
)
def test_a_setting_and_the_option_it_fills_have_one_default(section: str, options: type[Any]) -> None:
    settings = getattr(Settings(), section)
    differing = {}
    for name, default in _defaults(options).items():
        for key in (name, f"{name}_seconds"):
            if hasattr(settings, key) and getattr(settings, key) != default:
                differing[key] = (getattr(settings, key), default)
    assert differing == {}
