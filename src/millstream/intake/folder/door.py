"""The door for files: what Exstream puts into a watched folder is received, once it is whole."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from millstream.drill import Drill
from millstream.intake.consignment import Accepted, Door, Offer
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.fingerprint import fingerprint, sight
from millstream.intake.folder.looking import Candidate, Tree, is_closed
from millstream.intake.folder.moving import Mover
from millstream.intake.folder.options import FolderOptions
from millstream.intake.options import Point
from millstream.log import get_logger
from millstream.storage.duty import Duty

log = get_logger(__name__)

_LONGEST_KEY: Final = 200
_NO_KEY: Final = re.compile(r"[\x00-\x1f\x7f]+")
_MOST_AT_ONCE: Final = 200


@dataclass(slots=True)
class _Watched:
    """What is known of a file: how it looked, since when, and whether it is done with."""

    sight: tuple[int, int, int]
    since: float
    offered: bool = False


class FolderDoor:
    """Watches one folder. One process at a time does, by its duty; whoever takes over looks at everything anew.

    A file is offered when it has not changed for `settle` seconds and is closed. One without its end is offered all the
    same once it has not changed for `missing` seconds: then reading it says where it ends, and a person is told.
    """

    def __init__(
        self,
        options: FolderOptions,
        store: ConsignmentStore,
        duty: Duty,
        *,
        drill: Drill | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._options = options
        self._store = store
        self._duty = duty
        self._drill = drill
        self._clock = clock or asyncio.get_running_loop().time
        self._tree = Tree(options)
        self._mover = Mover(options)
        self._watched: dict[Path, _Watched] = {}
        self._away = False

    async def look(self) -> int:
        """One round: receive what is whole, move what was taken or failed. Answers how many were received.

        Raises:
            DatabaseError: the database is away.
        """
        if not await self._duty.hold():
            self._watched.clear()
            return 0
        try:
            found = await asyncio.to_thread(lambda: list(self._tree.candidates()))
        except OSError as error:
            if not self._away:
                log.warning("folder.unreadable", path=str(self._options.path), error=str(error))
            self._away = True
            return 0
        self._away = False
        received = await self._receive(self._whole(found))
        await self.tidy()
        return received

    async def tidy(self) -> int:
        """Move the files of what was taken or failed; answers of how many consignments."""
        untidy = await self._store.untidy(door=Door.FOLDER)
        if not untidy:
            return 0
        moved = await asyncio.to_thread(self._mover.settle, untidy)
        await self._store.tidied(moved)
        return len(moved)

    async def leave(self) -> None:
        """Let another process watch."""
        await self._duty.leave()

    def _whole(self, found: list[Candidate]) -> list[Candidate]:
        """Those that stayed as they are for long enough, and were not offered as they are."""
        now = self._clock()
        seen: dict[Path, _Watched] = {}
        whole: list[Candidate] = []
        for each in found:
            known = self._watched.get(each.path)
            if known is None or known.sight != each.sight:
                known = _Watched(each.sight, now)
            seen[each.path] = known
            if not known.offered and now - known.since >= self._options.settle and len(whole) < _MOST_AT_ONCE:
                whole.append(each)
        self._watched = seen
        return whole

    async def _receive(self, whole: list[Candidate]) -> int:
        offers, offered = [], []
        for each in whole:
            known = self._watched[each.path]
            try:
                waited = self._clock() - known.since >= self._options.missing
                offer = await asyncio.to_thread(self._offer, each, waited=waited)
            except OSError as error:  # it is being moved, or somebody else's
                log.warning("folder.passed_over", path=ascii(str(each.path)), error=ascii(str(error)))
                known.since = self._clock()  # the others have their turn first
                continue
            except UnicodeError:  # no ledger can hold such a name
                log.warning("folder.passed_over", path=ascii(str(each.path)), error="its name is no UTF-8; rename it")
                known.offered = True
                continue
            if offer is not None:
                offers.append(offer)
                offered.append((each, known))
        if not offers:
            return 0
        accepted = await self._store.receive(offers)
        if self._drill is not None:
            self._drill.passes(Point.AFTER_RECEIPT)
        for (each, known), answer in zip(offered, accepted, strict=True):
            known.offered = True
            await self._answered(each, answer)
        return sum(answer.new for answer in accepted)

    async def _answered(self, candidate: Candidate, answer: Accepted) -> None:
        if answer.new:
            log.info("folder.received", consignment=answer.id, path=str(candidate.path), size=candidate.size)
        elif answer.state == "failed":
            # A person put it back: after its own copy, or into the retry folder.
            await self._store.again(answer.id, f"file:{candidate.path}")
            log.info("folder.again", consignment=answer.id, path=str(candidate.path))
        elif answer.state == "taken" and not self._options.leave:
            place = f"file:{candidate.path}"
            if await self._store.retaken(answer.id, place):
                # Put here once more after it was moved. Its own file is the same, those that it names may differ.
                log.info("folder.again", consignment=answer.id, path=str(candidate.path))
            else:
                await self._store.untidied(answer.id, place)

    def _offer(self, candidate: Candidate, *, waited: bool) -> Offer | None:
        """What to hand over, or None for what is not whole yet."""
        if not waited and not is_closed(candidate):
            return None
        options = self._options
        found = fingerprint(candidate.path)
        if found.sight != candidate.sight or sight(candidate.path.lstat()) != candidate.sight:
            return None  # somebody wrote while we read
        place = self._place(candidate.path)
        str(candidate.path).encode()
        return Offer(
            door=Door.FOLDER,
            key=f"{place}@{found.sha256[:16]}",
            digest=found.sha256,
            kind=candidate.kind,
            place=f"file:{candidate.path}",
            size=candidate.size,
            run_key=self._run_key(place),
            pool=options.pool,
            mode=options.mode,
            source=place,
        )

    def _place(self, path: Path) -> str:
        """Where it lies in the watched folder; what a person put into the retry folder, as if it lay where it did."""
        inside = path.relative_to(self._options.path.absolute())
        retry = Path(self._options.retry)
        if inside.is_relative_to(retry):
            inside = inside.relative_to(retry)
        return str(inside)

    def _run_key(self, place: str) -> str:
        path = Path(place)
        folder = str(path.parent) if path.parent != Path() else path.name.split(".")[0] or path.name
        key = self._options.run
        for name, value in {"folder": folder, "name": path.name, "date": f"{datetime.now(UTC):%Y-%m-%d}"}.items():
            key = key.replace(f"{{{name}}}", value)
        key = _NO_KEY.sub(" ", key)
        if len(key) <= _LONGEST_KEY:
            return key
        return f"{hashlib.sha256(key.encode()).hexdigest()[:16]}…{key[-(_LONGEST_KEY - 20) :]}"
