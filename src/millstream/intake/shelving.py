"""Documents into the store: before their communication is in the ledger, which then names them by their hash."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from millstream.communication.model import Document
from millstream.intake.path import Made
from millstream.intake.patience import Patience
from millstream.intake.ports import DocumentStore
from millstream.mime import Attachment

_PUTS_AT_A_TIME = 8


class Shelving:
    """Puts what was made on the shelf."""

    def __init__(self, documents: DocumentStore, patience: Patience) -> None:
        self._documents = documents
        self._patience = patience

    async def stored(self, made: Sequence[Made]) -> list[Made]:
        """The same without their attachments, which lie in the store: safe against a power failure after `flush`.

        Raises:
            DocumentsFailed: the store is full, away or refuses us.
        """
        done = list(made)
        left = iter([place for place, each in enumerate(made) if each.attachments or each.papers])

        async def store_some() -> None:
            for place in left:
                documents = [await self._document(attachment) for attachment in made[place].attachments]
                for paper in made[place].papers:
                    await self._patience.kept(partial(self._documents.put, paper))
                communication = replace(made[place].communication, documents=tuple(documents))
                done[place] = Made(communication, made[place].head)

        # A few at a time, each taking what is next: a task for every one would cost as much as the writing.
        ended = await asyncio.gather(*(store_some() for _ in range(_PUTS_AT_A_TIME)), return_exceptions=True)
        for each in ended:
            if each is not None:
                raise each
        return done

    async def flush(self) -> None:
        """Return when all that was stored, by this process or another, survives a power failure.

        Raises:
            DocumentsFailed: as `stored`.
        """
        await self._patience.kept(self._documents.flush)

    async def _document(self, attachment: Attachment) -> Document:
        content = bytes(attachment.content)
        stored = await self._patience.kept(lambda: self._documents.put(content))
        return Document(attachment.name, attachment.media_type, len(content), stored.sha256)
