"""Everything about one review as one file, which `audit.bundle` proves without us.

The same state gives the same bytes. Each export is an entry of the chain; the bundle ends with the first one that was
made of this state, so that who exports a second time gets the very same file, and anybody can compare the two.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import aiosql

from millstream.audit import bundle
from millstream.audit.block import Block
from millstream.audit.blocks import Blocks
from millstream.audit.chain import GENESIS
from millstream.audit.errors import BadBundle
from millstream.audit.zipped import Packer
from millstream.review.errors import UnknownReview
from millstream.review.ports import DocumentStore
from millstream.review.record import README, record
from millstream.review.store import queries as reviews
from millstream.storage.border import translated
from millstream.storage.errors import DocumentMissing
from millstream.storage.pool import Pool, transaction

queries = aiosql.from_path(Path(__file__).with_name("evidence.sql"), "apsycopg", mandatory_parameters=False)

MOST_HELD: Final = 1_000
"""Deliveries that a review holds of which a bundle has the whole history; of more it has their number and one hash."""
_TRIES = 5
_STRANGE = re.compile(r"[^A-Za-z0-9._@+-]+")
_LONGEST_NAME = 80

Compose = Callable[[Mapping[str, Any]], bytes]
"""Makes the record's PDF; CPU-bound."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    review: int
    files: int
    entries: int
    bytes: int
    block: int
    hash: str
    """The last block's hash in hex: keep it elsewhere."""
    seq: int
    """The entry that records the export."""
    missing: tuple[Mapping[str, str], ...]
    """{what, why}"""


@dataclass(slots=True)
class _State:
    """A review as it stood at a position of the chain."""

    upto: int
    history: dict[str, Any]
    subjects: list[str]
    entries: list[dict[str, Any]]
    rest: dict[str, Any]
    fetched_later: set[int]
    missing: list[dict[str, str]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cut(self) -> int:
        """The last position at which something happened to it; having been exported is nothing of the kind."""
        return max((each["seq"] for each in self.entries if each["kind"] != bundle.EXPORTED), default=0)


class _Moved(Exception):
    """Something happened to the review while it was read."""


class Export:
    """Writes bundles.

    Args:
        pool: where reviews and the chain lie.
        documents: where papers and raw mails lie.
        compose: makes `record.pdf`.
        blocks: makes blocks over the chain.
    """

    def __init__(self, pool: Pool, documents: DocumentStore, compose: Compose, *, blocks: Blocks | None = None) -> None:
        self._pool = pool
        self._documents = documents
        self._compose = compose
        self._blocks = blocks or Blocks(pool)

    async def write(self, review_id: int, to: Path, *, actor: str) -> Exported:
        """Write the bundle of a review; the file is there whole, or not at all.

        Raises:
            UnknownReview: no review has the number.
            StorageError: the document store or the database is away.
            BadBundle: the file is there already or cannot be written, it would be too large, or the review does not
                stand still.
            ChainBroken: the chain is not what it was.
        """
        with _fresh(to) as sink:
            for _ in range(_TRIES):
                sink.seek(0)
                sink.truncate()
                try:
                    return await self._write(review_id, sink, actor)
                except _Moved:
                    continue
            raise BadBundle(f"review {review_id} moves while it is read; try again in a moment")

    async def _write(self, review_id: int, sink: BinaryIO, actor: str) -> Exported:
        state = await self._read(review_id)
        packer = Packer(sink)
        packer.add("README.txt", README.encode())
        await self._pack_documents(packer, state)
        await self._pack_mails(packer, state)
        told = _told(state)
        packer.add(bundle.REVIEW, bundle.dumps(told))
        entries = [each for each in state.entries if each["seq"] <= state.cut]
        packer.add("record.pdf", await asyncio.to_thread(self._compose, record(told, entries)))
        entries.append(await self._noted(state, packer, actor))
        with translated("proving entries"):
            await self._blocks.seal()
            audit = await self._proof(review_id, entries)
        packer.add(bundle.AUDIT, bundle.dumps(audit))
        packer.add(bundle.MANIFEST, bundle.manifest(packer.members, audit, told))
        packer.close()
        last = audit["blocks"][-1]
        size, end = sink.tell(), entries[-1]["seq"]
        counted = (len(packer.members), len(entries), size)
        return Exported(review_id, *counted, last["number"], last["hash"], end, tuple(state.missing))

    # What there is

    async def _read(self, review_id: int) -> _State:
        async with transaction(self._pool) as conn:
            upto = (await queries.chain_end(conn))["seq"]
            history = await reviews.history_of(conn, id=review_id)
            if history is None:
                raise UnknownReview(f"there is no review {review_id}; `millstream review list` shows those there are")
            held = await queries.held_of(conn, id=review_id, most=MOST_HELD)
            shown = held["tokens"] if held["deliveries"] <= MOST_HELD else []
            own = [mail["token"] for mail in history["mails"] if mail["token"]]
            steps = [step["id"] for step in history["steps"]]
            rest = {
                "deliveries": [row async for row in queries.deliveries_of(conn, tokens=own)],
                "held": {
                    "deliveries": held["deliveries"],
                    "sha256_of_tokens": held["hash"],
                    "listed": [row async for row in queries.deliveries_of(conn, tokens=shown)],
                },
                "holds": [row async for row in queries.holds_of(conn, id=review_id, most=MOST_HELD)],
                "attempts": [row async for row in queries.attempts_of(conn, steps=steps)],
            }
            later = {row["id"] async for row in queries.still_fetched(conn, id=review_id)}
            subjects = [f"review:{review_id}", *(f"delivery:{token}" for token in (*own, *shown))]
            subjects += [f"step:{number}" for number in steps]
            entries = [row async for row in queries.entries_of(conn, subjects=subjects, upto=upto)]
        return _State(upto, history, subjects, entries, rest, later)

    async def _pack_documents(self, packer: Packer, state: _State) -> None:
        for each in state.history["rounds"]:
            for n, paper in enumerate(each["content"].get("papers", ()), start=1):
                path = f"documents/{each['number']}-{n:02}-{_safe(paper['name'])}"
                about = {"path": path, "round": each["number"], **paper}
                what = f"document {paper['name']!r} of round {each['number']}"
                if await self._pack(packer, state, path, paper["sha256"], what=what):
                    state.documents.append(about)

    async def _pack_mails(self, packer: Packer, state: _State) -> None:
        for n, mail in enumerate(_mails(state), start=1):
            what = f"mail {n} ({mail['kind']}, {mail['address']})"
            if mail["sha256"] is None:
                state.missing.append({"what": what, "why": mail["why"]})
                continue
            path = f"mails/{n:03}-{mail['kind']}-{_safe(mail['address'])}.eml"
            about = {name: mail[name] for name in ("kind", "address", "at", "sha256", "mailbox", "message_id")}
            if await self._pack(packer, state, path, mail["sha256"], what=what):
                state.letters.append({"path": path, **about})

    async def _pack(self, packer: Packer, state: _State, path: str, sha256: str, *, what: str) -> bool:
        """Put a stored document into the bundle; one that is gone or damaged is named as missing."""
        try:
            content = await self._documents.get(sha256)
        except DocumentMissing:  # a store that is away is another matter: then nothing is written
            state.missing.append({"what": what, "why": f"the document store has nothing under {sha256}"})
            return False
        if hashlib.sha256(content).hexdigest() != sha256:
            state.missing.append({"what": what, "why": f"the document store has damaged bytes under {sha256}"})
            return False
        packer.add(path, content)
        return True

    # What proves it

    async def _noted(self, state: _State, packer: Packer, actor: str) -> dict[str, Any]:
        """Record the export; answers the entry that the bundle ends with."""
        number, digest = state.history["id"], bundle.digest(packer.members)
        async with transaction(self._pool) as conn:
            await queries.lock_chain(conn)
            async for _ in queries.moved_since(conn, subjects=state.subjects, after=state.upto):
                raise _Moved
            await queries.note_export(conn, id=number, actor=actor, digest=digest, files=len(packer.members))
        async with transaction(self._pool) as conn:
            found: dict[str, Any] = await queries.export_entry(conn, id=number, after=state.cut, digest=digest)
        return found

    async def _proof(self, review_id: int, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        blocks = await self._blocks.upto(entries[-1]["seq"])
        told = []
        for block, within in _by_block(blocks, entries):
            paths = await self._blocks.paths(block, [each["seq"] for each in within])
            for each in within:
                hashes = {"hash": each["hash"].hex(), "before": (each["before"] or GENESIS).hex()}
                path = [beside.hex() for beside in paths[each["seq"]]]
                told.append({**each, **hashes, "block": block.number, "path": path})
        return {
            "format": bundle.FORMAT,
            "review": review_id,
            "entries": told,
            "blocks": [block.to_json() for block in blocks],
        }


def _by_block(
    blocks: Sequence[Block], entries: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Block, list[Mapping[str, Any]]]]:
    rest = list(reversed(entries))
    for block in blocks:
        within = []
        while rest and rest[-1]["seq"] <= block.last_seq:
            within.append(rest.pop())
        if within:
            yield block, within


def _told(state: _State) -> dict[str, Any]:
    """`review.json`: all that our tables know of the review."""
    parts = ("rounds", "seats", "answers", "decisions", "mails", "orders", "papers")
    history = dict(state.history)
    attempts = state.rest.pop("attempts")
    steps = [
        {**step, "attempts": [each for each in attempts if each["step_id"] == step["id"]]}
        for step in history.pop("steps") or ()
    ]
    policy = history.pop("terms")
    told = {name: history.pop(name) or [] for name in parts}
    files = {"documents": state.documents, "letters": state.letters, "missing": state.missing}
    return {"format": bundle.FORMAT, "review": history, "policy": policy, "steps": steps, **told, **state.rest, **files}


def _mails(state: _State) -> list[dict[str, Any]]:
    """What was sent and what was answered, in the order of time, with the hash of its raw form or why it has none."""
    found = []
    for mail in state.history["mails"]:
        at = mail["accepted_at"] or mail["created_at"]
        why = _why_not_sent(mail, later=mail["id"] in state.fetched_later)
        about = {name: mail[name] for name in ("kind", "address", "mailbox", "message_id")}
        found.append({**about, "at": at, "sha256": mail["raw"], "why": why})
    said = {
        (each["evidence"].get("mailbox"), each["evidence"].get("message_id")): each for each in state.history["answers"]
    }
    for paper in state.history["papers"]:
        answer = said.get((paper["mailbox"], paper["message_id"]), {})
        why = paper["failure"] or "it is being fetched; export again in a minute"
        about = {"kind": "answer", "mailbox": paper["mailbox"], "message_id": paper["message_id"], "why": why}
        address, at = answer.get("address") or paper["mailbox"], answer.get("at") or ""
        found.append({**about, "address": address, "at": at, "sha256": paper["sha256"]})
    return sorted(found, key=lambda each: (each["at"] or "~", each["kind"], each["message_id"] or ""))


def _why_not_sent(mail: Mapping[str, Any], *, later: bool) -> str:
    if mail["token"] is None:
        return f"it was never sent: {mail['failure']}" if mail["failure"] else "it has not left yet"
    if mail["disposition"] != "accepted":
        reason = f" ({mail['reason']})" if mail["reason"] else ""
        return f"it was not sent: its delivery {mail['token']} is {mail['disposition']}{reason}"
    if later:
        return "it is being fetched; export again in a minute"
    return "Gmail does not have it any more, or a person settled its delivery"


def _safe(name: str) -> str:
    """A file's name for any system: ASCII letters, digits and few signs, its ending kept."""
    stem, dot, ending = _STRANGE.sub("-", name).strip("-._").rpartition(".")
    ending = ending[:10] if dot else ending
    return f"{stem[:_LONGEST_NAME]}{dot}{ending}"[: _LONGEST_NAME + 11].lstrip("-._@+") or "unnamed"


@contextmanager
def _fresh(to: Path) -> Iterator[BinaryIO]:
    """A file beside `to`, which takes its name once it is whole."""
    if to.exists():
        raise BadBundle(f"{to} is there already; name another file with --to, or remove it")
    beside = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    try:
        try:
            with beside.open("xb") as sink:
                yield sink
                sink.flush()
                os.fsync(sink.fileno())
            os.link(beside, to)  # fails where another was faster
        except OSError as error:
            raise BadBundle(f"{to} cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
