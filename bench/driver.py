"""Drivers for measurements: small communications, and communications with a PDF each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import orjson
import pikepdf

TEXT = "Dear {name},\n\nyour account {number} has a new statement. It is ready for you.\n\nYours,\nthe bank\n"


def write_driver(path: Path, count: int, *, pdf_bytes: int = 0) -> Path:
    """A driver of `count` communications; with `pdf_bytes` each has its own PDF of that size beside the driver."""
    with path.open("wb") as file:
        for number in range(count):
            record = _record(number)
            if pdf_bytes:
                name = f"{number:06}.pdf"
                (path.parent / name).write_bytes(_pdf(number, pdf_bytes))
                record["documents"] = [{"path": name, "name": "Statement October 2025.pdf"}]
            file.write(orjson.dumps(record) + b"\n")
    return path


def read_driver(path: Path) -> Iterator[tuple[dict[str, object], bytes]]:
    """The records of a driver, each with its PDF."""
    with path.open("rb") as file:
        for line in file:
            record = orjson.loads(line)
            yield record, (path.parent / record["documents"][0]["path"]).read_bytes()


def _record(number: int) -> dict[str, object]:
    name = f"Customer {number}"
    return {
        "key": f"2025-10/{number:06}",
        "type": "notice",
        "customer": {"id": f"C{number}", "name": name},
        "recipient": {"address": f"customer{number}@example.net", "name": name},
        "locale": "en-GB",
        "subject": f"Your statement of October, account {number}",
        "text": TEXT.format(name=name, number=number),
        "source": {"system": "bench", "job": "bench"},
    }


def _pdf(number: int, size: int) -> bytes:
    """One page whose content is noise, which no compression makes smaller."""
    frame = 700  # what page, catalogue and cross references take
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page()
        page.Contents = pdf.make_stream(f"% {number}\n% ".encode() + os.urandom(size - frame).replace(b"\n", b"\0"))
        out = BytesIO()
        pdf.save(out, compress_streams=False)
    return out.getvalue()
