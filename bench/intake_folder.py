"""How fast Exstream's output tree comes in: one manifest of many customers, an HTML and a PDF each.

`millstream worker` watches the folder; no mailbox is set, so nothing leaves meanwhile. The time runs from the moment
the manifest has its name until the consignment is taken, the door's own waiting included. The PDFs are hard links to a
hundred originals, or with `distinct` a file each; the HTML is always each customer's own. Memory is the
resident sets of the worker and of the process that it starts, added up and read from outside: what both share counts
twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf

from process import BenchFailed, Child
from stage import emit, house, say, work_folder

_ORIGINALS = 100
_PDF_BYTES = 20_000
_HTML_BYTES = 3_000
_FRAME = 700
_LOOK_EVERY_SECONDS = 0.25
_ROW = "SELECT state, problem, receipt, extract(epoch FROM taken_at)::float8 FROM consignment WHERE door = 'folder'"
_UP = "SELECT to_regclass('consignment') IS NOT NULL"


_CONFIGURATION = """
folder = "{folder}"

[documents]
url = "{folder}/documents"

[intake_folder]
path = "{watched}"

[gmail]
auth = "static"
static_token = "bench"

[mailbox]
read = false

[logging]
level = "warning"
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    customers: int = 100_000
    distinct: bool = False
    """Whether every PDF is another one."""
    seconds: float = 600.0
    """How long it may take."""


async def measure(plan: Plan) -> None:
    """One job comes in."""
    async with work_folder() as folder, house(folder) as here:
        watched = folder / "in"
        here.config.write_text(_CONFIGURATION.format(folder=folder, watched=watched), "utf-8")
        say(f"intake.folder: writing the outputs of {plan.customers:,} customers")
        manifest = await asyncio.to_thread(write_tree, watched / "job-1", plan)
        async with here.run("worker", "worker") as worker:
            while not (await here.ask(_UP) or (False,))[0]:
                worker.check()
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
            await asyncio.sleep(3.0)  # it is up, and its memory is what it is without work
            idle = worker.readings[-1].rss_mb
            manifest.rename(manifest.with_name("_STDDELIVERYFILE.xml"))
            began = time.time()
            receipt, ended = await _taken(here, worker, plan)
            readings = [reading for reading in worker.readings if began <= reading.at <= ended]
            cpu_ms = 1000 * worker.cpu_between(began, ended) / plan.customers
    if receipt["new"] != plan.customers or receipt["held"]:
        raise BenchFailed(f"not every customer came in: {receipt}")
    sizes = [reading.rss_mb for reading in readings]
    quarter = max(1, len(sizes) // 4)
    emit(
        {
            "name": "intake.folder",
            "customers": plan.customers,
            "distinct_pdfs": plan.customers if plan.distinct else min(plan.customers, _ORIGINALS),
            "per_second": round(plan.customers / (ended - began)),
            "seconds": round(ended - began, 1),
            "taking_seconds": round(receipt["seconds"], 1),
            "cpu_ms": round(cpu_ms, 3),
            "rss_mb": round(max(sizes)),
            "rss_mb_idle": round(idle),
            "rss_mb_first_quarter": round(max(sizes[:quarter])),
            "rss_mb_last_quarter": round(max(sizes[-quarter:])),
        }
    )


async def _taken(here: Any, worker: Child, plan: Plan) -> tuple[dict[str, Any], float]:
    """The receipt, and when it was given."""
    ends_at = time.monotonic() + plan.seconds
    while time.monotonic() < ends_at:
        worker.check()
        row = await here.ask(_ROW)
        if row is not None and row[0] == "failed":
            raise BenchFailed(f"it was not taken: {row[1]}")
        if row is not None and row[0] == "taken":
            return dict(row[2]), float(row[3])
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    raise BenchFailed(f"it was not taken within {plan.seconds:.0f} s")


def write_tree(job: Path, plan: Plan) -> Path:
    """The outputs of a job; the manifest, whole, under another name."""
    originals = job.parent.parent / "originals"
    for folder in (job / "HTML email Q", job / "Print", originals):
        folder.mkdir(parents=True)
    for number in range(_ORIGINALS):
        (originals / str(number)).write_bytes(_pdf())
    manifest = job / "manifest.tmp"
    with manifest.open("w", encoding="utf-8") as file:
        file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<outputList customersProcessed="{plan.customers}">\n')
        for number in range(1, plan.customers + 1):
            (job / "HTML email Q" / str(number)).write_text(_html(number), encoding="utf-8")
            if plan.distinct:
                (job / "Print" / str(number)).write_bytes(
                    (originals / str(number % 100)).read_bytes() + b"%% %d" % number
                )
            else:
                os.link(originals / str(number % _ORIGINALS), job / "Print" / str(number))
            file.write(_customer(number))
        file.write("</outputList>\n")
    return manifest


def _customer(number: int) -> str:
    return (
        f'<customer number="{number}"><key name="CustomerId">C{number}</key>'
        f'<key name="CustomerName">Customer {number}</key>'
        f'<key name="CustomerEmail">customer{number}@example.net</key>'
        f'<key name="EmailSubject">Your statement of October, account {number}</key>'
        f'<key name="DocumentType">statement</key><key name="CampaignId">october</key>'
        f'<key name="attachments">${{#/queues/Print}}=Statement October 2025.pdf</key>'
        f'<queue name="HTML email Q"><file name="HTML email Q/{number}"/></queue>'
        f'<queue name="Print"><file name="Print/{number}"/></queue></customer>\n'
    )


def _html(number: int) -> str:
    rows = "".join(
        f'<tr><td style="padding:4px 8px">Item {row} of {number}</td><td>EUR {row * number}.00</td></tr>\n'
        for row in range(30)
    )
    text = (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>Statement</title></head>\n<body>'
        f"<h1>Your statement</h1><p>Dear Customer {number},</p><p>your statement of October is attached.</p>\n"
        f'<table width="600">{rows}</table><p>Yours,<br>the bank</p></body></html>\n'
    )
    return text + "<!-- " + "-" * max(0, _HTML_BYTES - len(text) - 9) + " -->\n"


def _pdf() -> bytes:
    """One page whose content is noise, which no compression makes smaller."""
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page()
        page.Contents = pdf.make_stream(b"% " + os.urandom(_PDF_BYTES - _FRAME).replace(b"\n", b"\0"))
        out = BytesIO()
        pdf.save(out, compress_streams=False)
    return out.getvalue()
