"""The engine's output tree: files by queue, and the manifest `_STDDELIVERYFILE.xml` beside them.

Paths: `<root>/<domain>/jobs/<job>/<flow>/docgen/<uuid>/output/<queue>/<file>` (vendor help and logs of real
installations). Of the manifest, `outputList`, `customer`, `key` and `reportFile` were seen; how queues and files nest
is not on record, so there are three ways to write it.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

from millstream.sandbox.exstream.jobs import Customer, FlowInstance, Made

MANIFEST: Final = "_STDDELIVERYFILE.xml"
REPORT: Final = "report/Error_Report.txt"
MESSAGES: Final = "ExstreamMessages.dat"


def output_folder(root: Path, flow: FlowInstance) -> Path:
    """A new output folder for one run of the engine, below a root."""
    return root / flow.job.domain / "jobs" / flow.job.id / flow.id / "docgen" / str(uuid4()) / "output"


def manifest(flow: FlowInstance, folder: Path) -> bytes:
    """The manifest of a flow instance whose files lie in `folder`."""
    made = [customer for customer in flow.customers if customer.status == "composed"]
    pages = sum(one.pages for customer in made for one in customer.files)
    head = f'<outputList customersProcessed="{len(made)}" pagesProcessed="{pages}">'
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', head]
    parts.append(f'  <reportFile dataFile="Error_Report" name={quoteattr(_path(flow, folder, REPORT))}/>')
    for customer in made:
        parts.extend(_customer(flow, folder, customer))
    return "\n".join([*parts, "</outputList>", ""]).encode()


def _customer(flow: FlowInstance, folder: Path, customer: Customer) -> Iterator[str]:
    yield f'  <customer number="{customer.number}">'
    for name, value in keys(flow, customer):
        yield f"    <key name={quoteattr(name)}>{escape(value)}</key>"
    files = [(made, quoteattr(_path(flow, folder, made.place)), quoteattr(made.queue)) for made in customer.files]
    if flow.job.model.nesting == "queues":
        for _, place, queue in files:
            yield f"    <queue name={queue}><file name={place}/></queue>"
    elif flow.job.model.nesting == "documents":
        yield "    <documents>"
        for made, place, queue in files:
            yield f"      <document queue={queue} path={place} mimeType={quoteattr(made.media_type)}/>"
        yield "    </documents>"
    else:
        for _, place, queue in files:
            yield f"    <output queueName={queue} dataFile={place}/>"
    yield "  </customer>"


def keys(flow: FlowInstance, customer: Customer) -> list[tuple[str, str]]:
    """The customer's keys, by the names that people look for."""
    named = {
        "CustomerId": customer.id,
        "CustomerName": customer.name,
        "CustomerEmail": str(customer.recipient.get("address") or ""),
        "DocumentType": customer.type,
        "DocumentKey": customer.key,
        "EmailSubject": customer.subject,
        "Locale": customer.locale,
        "CampaignId": str(customer.record.get("stream") or ""),
        "CustomerInRun": str(customer.number),
        "attachments": _attachments(customer.files),
    }
    return [(name, value) for name, value in (named | flow.job.model.keys).items() if value]


def _attachments(files: Iterable[Made]) -> str:
    """Names for attachments, in the syntax of the product's own samples."""
    return ";".join(f"${{#/queues/{made.queue}}}={made.name}" for made in files if made.driver == "PDF")


def _path(flow: FlowInstance, folder: Path, place: str) -> str:
    return str(folder / place) if flow.job.model.paths == "absolute" else place


def error_report(flow: FlowInstance) -> bytes:
    """Customers that were left out: account, customer, message; designs of such reports differ."""
    rows = [f"{one.id}|{one.name}|{one.status}" for one in flow.customers if one.status != "composed"]
    return "".join(f"{row}\n" for row in rows).encode()


def write(path: Path, content: bytes) -> None:
    """One file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def places_in(folder: Path) -> list[str]:
    """The files below an output folder, relative to it, without the manifest."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(place for place in found if place != MANIFEST)


def deliver(flow: FlowInstance, source: Path, target: Path) -> None:
    """The whole output into another folder, by hard links where they can be made, the manifest last."""
    for place in places_in(source):
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / place, target / place)
        except OSError:
            (target / place).write_bytes((source / place).read_bytes())
    write(target / MANIFEST, manifest(flow, target))


def deliver_halves(flow: FlowInstance, source: Path, target: Path) -> None:
    """The first half of every file and of the manifest, as a folder looks while the engine still writes."""
    for place in places_in(source):
        content = (source / place).read_bytes()
        write(target / place, content[: len(content) // 2])
    content = manifest(flow, target)
    write(target / MANIFEST, content[: len(content) // 2])


def complete(flow: FlowInstance, source: Path, target: Path) -> None:
    """The other halves, written on, the manifest's last."""
    for place in places_in(source):
        _append_rest(target / place, (source / place).read_bytes())
    _append_rest(target / MANIFEST, manifest(flow, target))


def _append_rest(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content[len(content) // 2 :])


def content_of(flow: FlowInstance, place: str) -> bytes:
    """A file of a flow; raises `FileNotFoundError` when it was wiped."""
    if flow.folder is None:
        raise FileNotFoundError(2, "the files of the flow are wiped", place)
    return (flow.folder / place).read_bytes()


def filled(text: str, words: dict[str, str]) -> str:
    """A text with {words} put in; braces around anything else stay as they are."""
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text
