"""What of a case's documents a mail shows: a picture of the first page, what changed, what is attached."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import zip_longest
from pathlib import PurePath
from typing import Any, Final

from PIL import Image

from millstream.communication.model import Document, Inlined
from millstream.composer import UnreadablePdf
from millstream.composer.apart import PdfReader
from millstream.composer.notice import Words
from millstream.composer.pages import png
from millstream.review import difference
from millstream.review.asked import Case
from millstream.review.model import Content, Paper
from millstream.review.ports import DocumentStore
from millstream.storage.errors import DocumentDamaged, DocumentMissing

WIDTH: Final = 900
MOST_PICTURE: Final = 200_000
"""Bytes of a picture in a mail."""
_PDF: Final = "application/pdf"
_PICTURES: Final = frozenset({"image/png", "image/jpeg"})
_SHOWN_WIDTH: Final = 560
_MOST_COMPARED: Final = 30
"""Pages of which pictures are compared."""
_COMPARING: Final = 20.0
"""Seconds that a comparison of pages may take."""
_MOST_PDF: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the mail."""

    label: str
    inlined: Inlined
    width: int = _SHOWN_WIDTH


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that changed."""

    place: str = ""
    old: str = ""
    new: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a mail shows of a case's documents."""

    pictures: tuple[Picture, ...] = ()
    changes: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    attached: tuple[Document, ...] = ()


class Showing:
    """Makes what mails show; the same pages are drawn once for all who are asked, and what cannot be is tried once."""

    def __init__(
        self, documents: DocumentStore, *, pages: bool, keep: int = 64, reader: PdfReader | None = None
    ) -> None:
        self._reader = reader or PdfReader()
        self._documents = documents
        self._pages = pages
        self._keep = keep
        self._drawn: dict[tuple[str, ...], Any] = {}
        self._turn = asyncio.Lock()

    async def show(self, case: Case, words: Words, *, room: int | None = None) -> Shown:
        """Everything there is to see of a case; with `room`, one of several in a mail: that many bytes attached.

        Raises:
            StorageError: the document store is away.
        """
        several = room is not None
        attached, notes = self._attached(case, words, room=room)
        pictures: tuple[Picture, ...] = ()
        changes: tuple[Line, ...] = ()
        if case.sensitive:
            notes.append(words.say("paper.sensitive"))
        else:
            changes = await self._changes(case, words)
        if not several and self._may_draw(case):
            pictures, more = await self._pictures(case, words)
            notes += more
        return Shown(pictures, changes, tuple(notes), attached)

    @staticmethod
    def _may_draw(case: Case) -> bool:
        sensitive = case.policy.mail.sensitive
        return not case.sensitive or (sensitive is not None and sensitive.picture)

    def _attached(self, case: Case, words: Words, *, room: int | None) -> tuple[tuple[Document, ...], list[str]]:
        style = case.policy.mail
        how = style.sensitive.documents if case.sensitive and style.sensitive else style.documents
        left = min(style.attach_below, room) if room is not None else style.attach_below
        attached, others = [], []
        for paper in case.content.papers:
            if how == "attach" and paper.size <= left:
                left -= paper.size
                name = paper.name if room is None else f"{case.number} {paper.name}"
                attached.append(Document(name, paper.media_type, paper.size, paper.sha256))
            else:
                others.append(paper.name)
        notes = []
        if attached:
            notes.append(words.say("paper.attached", names=_listed([each.name for each in attached])))
        if others:
            told = "paper.linked" if self._pages and how != "none" else "paper.withheld"
            notes.append(words.say(told, names=_listed(others)))
        return tuple(attached), notes

    async def _pictures(self, case: Case, words: Words) -> tuple[tuple[Picture, ...], list[str]]:
        if case.before is not None:
            with contextlib.suppress(UnreadablePdf, ValueError, DocumentMissing, DocumentDamaged):
                beside = await self._side_by_side(case, words)
                if beside is not None:
                    return (beside,), []
        paper = next((each for each in case.content.papers if _drawable(each)), None)
        if paper is None:
            return (), []
        try:
            picture = await self._once(("first", paper.sha256), partial(self._first, paper))
        except (UnreadablePdf, ValueError, DocumentMissing, DocumentDamaged) as error:
            return (), [words.say("paper.no_picture", name=paper.name, why=str(error))]
        return (Picture(words.say("paper.first_page", name=paper.name), picture),), []

    async def _first(self, paper: Paper) -> Inlined:
        content = await self._bytes(paper)
        return await self._inlined("page", await asyncio.to_thread(self._draw, paper.media_type, content))

    def _draw(self, media_type: str, content: bytes) -> bytes:
        if media_type == _PDF:
            return _small(self._reader.png(content, 1, WIDTH))
        return _small(self._reader.thumbnail(content, WIDTH, 4 * WIDTH))

    async def _side_by_side(self, case: Case, words: Words) -> Picture | None:
        assert case.before is not None  # noqa: S101  the caller looked
        for old, new in _pairs(case.before[1], case.content):
            if old is None or new is None or old.sha256 == new.sha256 or {old.media_type, new.media_type} != {_PDF}:
                continue
            key = ("beside", old.sha256, new.sha256)
            found = await self._once(key, partial(self._beside, old, new))
            if found is not None:
                page, inlined = found
                label = words.say("paper.side_by_side", page=page, name=new.name)
                return Picture(label, inlined, width=584)
        return None

    async def _beside(self, old: Paper, new: Paper) -> tuple[int, Inlined] | None:
        made = await asyncio.to_thread(_first_difference, self._reader, await self._bytes(old), await self._bytes(new))
        if made is None:
            return None
        page, picture = made
        return page, await self._inlined("beside", picture)

    async def _changes(self, case: Case, words: Words) -> tuple[Line, ...]:
        if case.before is None:
            return ()
        before, now = case.before[1], case.content
        lines = [
            Line(note=words.say("change.facts", name=fact_label(name, words), old=old or "-", new=new or "-"))
            for name, old, new in _other_facts(before.facts, now.facts)
        ]
        found = await asyncio.to_thread(difference.text, [before.text], [now.text])
        lines += [Line(old=change.old, new=change.new) for change in found]
        for old, new in _pairs(before, now):
            lines += await self._paper_changes(old, new, words)
        return tuple(lines) or (Line(note=words.say("change.same")),)

    async def _paper_changes(self, old: Paper | None, new: Paper | None, words: Words) -> list[Line]:
        if new is None or old is None:
            told = "change.added" if new is not None else "change.removed"
            return [Line(note=words.say(told, name=(new or old).name))]  # type: ignore[union-attr]  # one of them is there
        if old.sha256 == new.sha256:
            return []
        try:
            was, now = [await self._texts(paper) for paper in (old, new)]
        except (UnreadablePdf, DocumentMissing, DocumentDamaged):
            was, now = [], []
        if not any(page.strip() for page in (*was, *now)):
            return [Line(note=words.say("change.unreadable", name=new.name))]
        found = await asyncio.to_thread(difference.text, was, now)
        return [Line(words.say("change.page", page=each.page), each.old, each.new) for each in found]

    async def _texts(self, paper: Paper) -> list[str]:
        if paper.media_type == _PDF:
            return await self._once(("texts", paper.sha256), partial(self._read, paper))  # type: ignore[no-any-return]  # what _read gives
        if paper.media_type.startswith("text/"):
            return [(await self._bytes(paper)).decode("utf-8", "replace")]
        return []

    async def _read(self, paper: Paper) -> list[str]:
        return await asyncio.to_thread(self._reader.texts, await self._bytes(paper))

    async def _bytes(self, paper: Paper) -> bytes:
        if paper.size > _MOST_PDF:
            raise UnreadablePdf(f"it has {paper.size:,} bytes, and {_MOST_PDF:,} are looked at")
        return await self._documents.get(paper.sha256)

    async def _inlined(self, cid: str, picture: bytes) -> Inlined:
        stored = await self._documents.put(picture)
        return Inlined(cid=f"{cid}@millstream", name=f"{cid}.png", media_type="image/png", sha256=stored.sha256)

    async def _once(self, key: tuple[str, ...], make: Any) -> Any:
        async with self._turn:  # whoever asks for the same meanwhile finds it made
            if key not in self._drawn:
                try:
                    made = await make()
                except (UnreadablePdf, ValueError) as problem:
                    made = problem
                while len(self._drawn) >= self._keep:
                    self._drawn.pop(next(iter(self._drawn)))
                self._drawn[key] = made
            found = self._drawn[key]
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found


def fact_label(name: str, words: Words) -> str:
    """A fact's name in the reader's language, or as it is."""
    known = words.texts["fact"]
    return str(known[name]) if name in known else name


def _drawable(paper: Paper) -> bool:
    return paper.media_type == _PDF or paper.media_type in _PICTURES


def _listed(names: Sequence[str]) -> str:
    return ", ".join(PurePath(name).name for name in names)


def _other_facts(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = dict.fromkeys([*new, *old])
    return [(name, old.get(name, ""), new.get(name, "")) for name in names if old.get(name) != new.get(name)]


def _pairs(old: Content, new: Content) -> list[tuple[Paper | None, Paper | None]]:
    """Documents of two rounds that belong together: by name, then by place."""
    left = list(old.papers)
    pairs: list[tuple[Paper | None, Paper | None]] = []
    unmatched = []
    for paper in new.papers:
        twin = next((each for each in left if each.name == paper.name), None)
        if twin is None:
            unmatched.append(paper)
        else:
            left.remove(twin)
            pairs.append((twin, paper))
    pairs += zip_longest(left, unmatched)
    return pairs


def _first_difference(reader: PdfReader, old: bytes, new: bytes) -> tuple[int, bytes] | None:
    """The first page that looks different, and both of it side by side; None where none does.

    UnreadablePdf where it takes too long, of one page or of all together.
    """
    until = time.monotonic() + _COMPARING

    def drawn(pdf: bytes, number: int, width: int) -> bytes:
        return reader.png(pdf, number, width, within=until - time.monotonic())

    counts = reader.count(old), reader.count(new)
    for number in range(1, min(*counts, _MOST_COMPARED) + 1):
        if not difference.same_picture(drawn(old, number, 300), drawn(new, number, 300)):
            return number, _small(difference.pictures(drawn(old, number, 640), drawn(new, number, 640)))
    return None


def _small(picture: bytes) -> bytes:
    """A picture small enough for a mail: fewer colours first, fewer pixels then.

    Raises:
        ValueError: it is not to be made small enough.
    """
    with Image.open(BytesIO(picture)) as opened:
        whole = opened.convert("RGB")
    for share in (1.0, 0.75, 0.5, 0.35):
        size = (max(int(whole.width * share), 1), max(int(whole.height * share), 1))
        sheet = whole if share == 1.0 else whole.resize(size, Image.Resampling.LANCZOS)
        for colours in (128, 32):
            made = png(sheet.quantize(colours, dither=Image.Dither.NONE))
            if len(made) <= MOST_PICTURE:
                return made
    raise ValueError(f"its picture has more than {MOST_PICTURE:,} bytes at any size that can be read")
