"""A desk that writes reviews down and does nothing else: what gathering asks of it can be looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.types.json import Jsonb

from millstream.review.errors import UnknownReview
from millstream.review.model import (
    Cancelled,
    Content,
    DecidedElsewhere,
    Happening,
    NewContent,
    Refusal,
    Review,
    State,
    Subject,
    SubjectKind,
)
from millstream.review.ports import Applied, Uncounted
from millstream.storage.pool import Connection

_ENDS = {Cancelled: "cancelled", DecidedElsewhere: "rejected"}


@dataclass
class Recorder:
    """`review.ports.Desk` over the tables, with people left out."""

    opened: list[tuple[str, Subject, Content, tuple[str, ...]]] = field(default_factory=list)
    happened: list[tuple[int, Happening]] = field(default_factory=list)

    async def open(
        self,
        conn: Connection,
        policy: str,
        subject: Subject,
        content: Content,
        *,
        author: Sequence[str] = (),
        origin: str = "",
    ) -> int | None:
        found = await (
            await conn.execute(
                "SELECT id, hash FROM review WHERE kind = %s AND domain = %s AND ref = %s AND policy = %s"
                " AND state IN ('open', 'changes')",
                [subject.kind.value, subject.domain, subject.ref, policy],
            )
        ).fetchone()
        if found is not None:
            if found["hash"] == content.hash:
                return None
            await self.apply(conn, found["id"], NewContent(content))
            return int(found["id"])
        self.opened.append((policy, subject, content, tuple(author)))
        row = await (
            await conn.execute(
                "INSERT INTO review (policy, terms, kind, domain, ref, name, facts, hash, origin)"
                " VALUES (%s, '{}', %s, %s, %s, %s, %s, %s, %s) RETURNING id",
                [
                    policy,
                    subject.kind.value,
                    subject.domain,
                    subject.ref,
                    subject.name,
                    Jsonb(dict(subject.facts)),
                    content.hash,
                    origin,
                ],
            )
        ).fetchone()
        assert row is not None
        await self._round(conn, row["id"], 1, content)
        return int(row["id"])

    async def apply(self, conn: Connection, review_id: int, happening: Happening) -> Applied:
        review = await self.find(conn, review_id)
        if review.state not in {State.OPEN, State.CHANGES}:
            return Applied(review, Refusal("decided"))
        self.happened.append((review_id, happening))
        if isinstance(happening, NewContent):
            if happening.content.hash != review.content.hash:
                await conn.execute(
                    "UPDATE review SET hash = %s, round = round + 1, state = 'open', decided_at = NULL WHERE id = %s",
                    [happening.content.hash, review_id],
                )
                await self._round(conn, review_id, review.round + 1, happening.content)
        else:
            state = _ENDS[type(happening)]  # type: ignore[index]  # what gathering never sends is an error here
            await conn.execute("UPDATE review SET state = %s, decided_at = now() WHERE id = %s", [state, review_id])
        return Applied(await self.find(conn, review_id))

    async def note_uncounted(self, conn: Connection, review_id: int, said: Uncounted) -> bool:
        raise NotImplementedError

    async def tell(
        self, conn: Connection, review_id: int, *, address: str, kind: str, facts: Mapping[str, Any]
    ) -> None:
        raise NotImplementedError

    async def find(self, conn: Connection, review_id: int) -> Review:
        row = await (
            await conn.execute(
                "SELECT v.*, n.content FROM review v JOIN review_round n ON n.review_id = v.id AND n.number = v.round"
                " WHERE v.id = %s FOR UPDATE OF v",
                [review_id],
            )
        ).fetchone()
        if row is None:
            raise UnknownReview(str(review_id))
        subject = Subject(SubjectKind(row["kind"]), row["ref"], row["domain"], row["name"], row["facts"])
        content = Content.from_json(row["hash"], row["content"])
        return Review(
            row["id"], row["policy"], subject, content, State(row["state"]), row["round"], version=row["version"]
        )

    async def _round(self, conn: Connection, review_id: int, number: int, content: Content) -> None:
        await conn.execute(
            "INSERT INTO review_round (review_id, number, hash, content) VALUES (%s, %s, %s, %s)",
            [review_id, number, content.hash, Jsonb(content.to_json())],
        )
