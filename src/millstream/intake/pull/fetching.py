"""Fetches what one unit made into a folder of the spool: the engine's manifest, and each customer's outputs."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from millstream.exstream.errors import NotFound
from millstream.exstream.model import FlowInstance, FlowStep, StepStatus, StepType
from millstream.intake.customer import CustomerOutputs
from millstream.intake.pull.options import PullOptions
from millstream.intake.pull.unpacking import Unpacked, match, unpack
from millstream.intake.pull.writing import MANIFEST, ManifestWriter

if TYPE_CHECKING:
    from millstream.exstream.runtime import Runtime

ReadManifest = Callable[[Path], Iterable[CustomerOutputs]]
"""Reads an engine's manifest customer by customer. Blocking; raises IntakeError where it cannot be read."""

_CHUNK: Final = 64
_MADE: Final = {StepStatus.COMPLETE, StepStatus.EXECUTED, StepStatus.UNKNOWN}
"""A step that was filtered out, or failed, has nothing to fetch."""


@dataclass(frozen=True, slots=True)
class Made:
    """Steps of one kind: what they made belongs into one run."""

    label: str
    """Empty where the unit has one kind only."""
    steps: tuple[tuple[FlowInstance, FlowStep], ...]


@dataclass(frozen=True, slots=True)
class Haul:
    """What was fetched: the digest of all of it, how many customers, and the size of the manifest."""

    digest: str
    customers: int
    size: int


class OutputsGone(Exception):
    """What a unit made is retrievable no more."""


async def kinds(runtime: Runtime, flows: Sequence[FlowInstance]) -> list[Made]:
    """Which steps of these flows have outputs, by their kind: the same step of the same flow model.

    Raises:
        OutputsGone: they had, and Exstream has wiped them.
        ExstreamError: it cannot be asked.
    """
    with_files: dict[tuple[str, str], list[tuple[FlowInstance, FlowStep]]] = {}
    wiped = 0
    for flow in flows:
        steps = [
            step
            async for step in runtime.flow_steps(flow_instance_id=flow.id, check_artifacts=True)
            if step.status in _MADE
        ]
        composing = [step for step in steps if step.type is StepType.COMMUNICATION]
        chosen = composing or [step for step in steps if step.delivery_file_retrievable]
        for step in chosen:
            if step.delivery_file_retrievable is False:
                wiped += 1
                continue
            kind = (flow.flow_model_name or flow.flow_model_id or "", step.name or step.display_name or "")
            with_files.setdefault(kind, []).append((flow, step))
    if wiped and not with_files:
        raise OutputsGone("its outputs are retrievable no more")
    labels = _labels(list(with_files))
    return [Made(labels[kind], tuple(steps)) for kind, steps in with_files.items()]


async def fetch(
    runtime: Runtime, made: Made, folder: Path, *, read: ReadManifest, options: PullOptions, alive: Callable[[], None]
) -> Haul:
    """Write the outputs of some steps, and a manifest of our own over all of them, into an empty folder.

    `alive` is called between customers; it raises where the work must not go on.

    Raises:
        OutputsGone: a step's files are there no more.
        ExstreamError: they cannot be fetched.
        IntakeError: what came cannot be read.
        OSError: they cannot be written.
    """
    digest, number = hashlib.sha256(), 0
    with ManifestWriter(folder / MANIFEST) as manifest:
        for place, (flow, step) in enumerate(made.steps, 1):
            theirs = folder / f"delivery-{place}.xml"
            await _delivery_file(runtime, step, theirs)
            customers = iter(read(theirs))
            while chunk := await asyncio.to_thread(lambda from_: list(islice(from_, _CHUNK)), customers):
                alive()
                fetched = await _customers(runtime, step, chunk, folder, under=str(place), options=options)
                for customer, unpacked in zip(chunk, fetched, strict=True):
                    number += 1
                    # First: of very many facts the last are not kept.
                    facts = {**_origin(runtime.domain, flow, step, customer), **customer.facts}
                    files = match(customer.files, unpacked)
                    manifest.write(number, facts, files)
                    digest.update(_fingerprint(facts, unpacked))
            theirs.unlink()
    return Haul(digest.hexdigest(), number, (folder / MANIFEST).stat().st_size)


async def _delivery_file(runtime: Runtime, step: FlowStep, to: Path) -> None:
    try:
        with to.open("wb") as out:
            await runtime.delivery_file(step.id, out)
    except NotFound as error:
        raise OutputsGone(f"step {step.display_name or step.id}: its delivery file is retrievable no more") from error


async def _customers(
    runtime: Runtime,
    step: FlowStep,
    chunk: Sequence[CustomerOutputs],
    folder: Path,
    *,
    under: str,
    options: PullOptions,
) -> list[list[Unpacked]]:
    room = asyncio.Semaphore(options.concurrency)

    async def one(customer: CustomerOutputs) -> list[Unpacked]:
        async with room:
            with tempfile.TemporaryFile(dir=folder) as archive:
                try:
                    await runtime.customer_artifacts(step.id, customer.number, archive)
                except NotFound as error:
                    raise OutputsGone(
                        f"step {step.display_name or step.id}: the outputs of customer {customer.number} are gone"
                    ) from error
                return await asyncio.to_thread(
                    unpack,
                    archive,
                    folder,
                    f"{under}/{customer.number}",
                    most_entries=options.most_entries,
                    most_bytes=options.most_entry_bytes,
                )

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(customer)) for customer in chunk]
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    return [task.result() for task in tasks]


def _origin(domain: str, flow: FlowInstance, step: FlowStep, customer: CustomerOutputs) -> Mapping[str, str]:
    """Where a customer's outputs come from, for those who ask later: reprints, reports, incidents."""
    return {
        "ExstreamDomain": domain,
        "ExstreamJob": flow.job_id or "",
        "ExstreamFlow": flow.id,
        "ExstreamStep": step.id,
        "CustomerInRun": str(customer.number),
    }


def _fingerprint(facts: Mapping[str, str], unpacked: Sequence[Unpacked]) -> bytes:
    parts = [f"{name}={facts[name]}" for name in sorted(facts)]
    parts += sorted(f"{each.entry}:{each.digest}" for each in unpacked)
    return ("\x1f".join(parts) + "\x1e").encode("utf-8", "replace")


def _labels(kinds: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    if len(kinds) == 1:
        return {kinds[0]: ""}
    models = {model for model, _ in kinds}
    labels: dict[tuple[str, str], str] = {}
    for model, step in _sorted(kinds):
        parts = ([model] if len(models) > 1 else []) + [step]
        label = "/".join(part for part in parts if part) or "more"
        while label in labels.values():
            label += "+"
        labels[model, step] = label
    return labels


def _sorted(kinds: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    yield from sorted(kinds)
