"""Records and drivers for the tests of intake."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pikepdf
import pytest

from millstream.intake.driver import Driver
from millstream.intake.files import HandedIn, gather
from millstream.intake.inside import Inside
from millstream.intake.path import Made, make
from millstream.intake.ports import Arrival, Terms
from millstream.intake.record import read_record

Handed = dict[str, Any]


@pytest.fixture
def record() -> Callable[..., Handed]:
    """A good record; keyword arguments replace its fields, None takes a field away."""

    def build(**changes: Any) -> Handed:
        whole = {
            "key": "2025-10/0001",
            "type": "statement",
            "customer": {"id": "C-17", "name": "Ada Byron"},
            "recipient": {"address": "ada@example.com"},
            "subject": "Your statement",
            "text": "Dear Ada Byron,\n",
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    return build


@pytest.fixture
def made(tmp_path: Path, record: Callable[..., Handed]) -> Callable[..., Made]:
    """What the shared path makes of a good record with changes; `terms` and `folder` may be given."""

    def build(*, terms: Terms | None = None, folder: Path | None = tmp_path, **changes: Any) -> Made:
        read = read_record(record(**changes))
        arrival = Arrival(line=1, record=read.record, digest=read.digest, size=100)
        terms = terms or Terms(most_bytes=100_000)
        with Inside(folder or tmp_path) as inside:
            handed: HandedIn = gather(arrival, inside if folder else None, {}, most_bytes=terms.most_bytes)
        return make(handed, terms)

    return build


@pytest.fixture
def driver(tmp_path: Path) -> Callable[..., Driver]:
    """A driver of these lines: bytes as they are, objects as JSON."""

    def write(*lines: bytes | Handed, **options: Any) -> Driver:
        path = tmp_path / "driver.jsonl"
        path.write_bytes(b"".join(line if isinstance(line, bytes) else orjson.dumps(line) + b"\n" for line in lines))
        return Driver(path, **options)

    return write


@pytest.fixture
def pdf() -> bytes:
    """A PDF of one empty page."""
    with pikepdf.new() as document, BytesIO() as file:
        document.add_blank_page()
        document.save(file)
        return file.getvalue()
