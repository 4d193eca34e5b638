"""Takes in what was composed on demand: the outputs of one next step, as a folder with a manifest, once."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from millstream.exstream.model import Generated
from millstream.intake.customer import OutputFile
from millstream.intake.errors import SpoolFull
from millstream.intake.pull.handing import Handing, Hands
from millstream.intake.pull.writing import MANIFEST, ManifestWriter

_UNSAFE: Final = re.compile(r"[^\w.-]+")


async def take_composed(
    hands: Hands, number: int, outputs: Sequence[Generated], *, run_key: str, facts: Mapping[str, str]
) -> dict[str, Any]:
    """Make the outputs of a next step a consignment, once; answers its number and its run.

    `facts` stand for every customer: the recipient's address and what else the data did not carry.

    Raises:
        IntakeError: it could not be made durable; nothing is promised.
    """
    folder = await asyncio.to_thread(hands.spool.new)
    try:
        digest, size = await asyncio.to_thread(_written, folder, outputs, facts)
    except BaseException as error:
        await asyncio.to_thread(hands.spool.drop, folder)
        if isinstance(error, OSError):
            raise SpoolFull(f"the outputs of step {number} cannot be kept: {error.strerror or error}") from error
        raise
    handing = Handing(
        key=f"step/{number}",
        digest=digest,
        size=size,
        run_key=run_key,
        source=f"step {number}",
        facts={"system": "exstream", "step": str(number)},
    )
    accepted = await hands.over(folder, handing)
    return {"consignment": accepted.id, "run": accepted.run_key or run_key}


def _written(folder: Path, outputs: Sequence[Generated], facts: Mapping[str, str]) -> tuple[str, int]:
    digest = hashlib.sha256()
    customers: dict[str, list[Generated]] = {}
    for output in outputs:
        if output.content:
            customers.setdefault(output.customer or "1", []).append(output)
    with ManifestWriter(folder / MANIFEST) as manifest:
        for number, (customer, its) in enumerate(customers.items(), 1):
            files = []
            for place, output in enumerate(its, 1):
                plain = _UNSAFE.sub("_", output.file_name or output.queue or "output").lstrip(".")[-80:]
                path = f"{number}/{place}-{plain or 'output'}"
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_bytes(output.content)
                digest.update(f"{customer}:{output.queue}:{hashlib.sha256(output.content).hexdigest()}\n".encode())
                files.append(OutputFile(path, output.queue or "", media_type=output.media_type or None))
            manifest.write(number, {"CustomerInRun": customer, **facts}, files)
    digest.update(repr(sorted(facts.items())).encode())
    return digest.hexdigest(), (folder / MANIFEST).stat().st_size
