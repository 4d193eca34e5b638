"""The demo's reviewers: three people and a legal department in the Gmail sandbox, who answer as people do.

A template waits in Exstream's REVIEW, a regulatory letter in a held flow step, and a notice that lacks a clause at our
own gate. Anna approves by reply, Ben by the page, Carla asks for a change, and nobody answers the notice until it has
climbed to legal. What follows is looked for where it must arrive: in the Exstream sandbox, in the customer's mailbox.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from millstream.app.demo import DOMAIN, Sandbox
from millstream.app.exstream import exstream
from millstream.app.house import House
from millstream.app.submit import submit_driver
from millstream.communication.model import Mode, Policy
from millstream.storage.pool import transaction

MAILBOX: Final = f"reviews@{DOMAIN}"
PEOPLE: Final = tuple(f"{name}@{DOMAIN}" for name in ("anna", "ben", "carla", "legal"))
RUNS: Final = "reviews/"
"""How the keys of runs begin whose deliveries are questions to reviewers, and no statements."""
SERVICE: Final = "letters"
TEMPLATE: Final = "Letter about a change of terms"
NOTICE: Final = "notices/1"
READER: Final = "mara.miller@mail.example"

_ANNA, _BEN, _CARLA, _LEGAL = PEOPLE
_ORDER = "X-Order"
_LOOK_EVERY = 0.3
_GIVE_UP_AFTER = 90.0
_LINK = re.compile(r"https?://\S+?/review/[A-Za-z0-9._-]+")
_FIELD = re.compile(r'<input type="hidden" name="(?P<name>\w+)" value="(?P<value>[^"]*)">')
_WISH = "Bitte ändern Sie den Betrag auf 2,50 EUR."
_CLAUSE = "You may withdraw from this contract within 14 days without giving any reason."


def mailboxes() -> list[str]:
    """Those of our domain that the sandbox needs for reviews."""
    return [MAILBOX, *PEOPLE]


def sandbox_settings(folder: Path) -> Path:
    """What the Exstream sandbox is to have on its shelves: a template on its way to approval."""
    path = folder / "exstream.toml"
    path.write_text(
        f'[[resources]]\nname = "{TEMPLATE}"\nstate = "REVIEW"\ndescription = "Wording for 2027"\n'
        'content = "From {effective} we charge {amount} a month for your account."\n',
        encoding="utf-8",
    )
    return path


def settings(folder: Path, port: int) -> str:
    """What a user would write to have things reviewed."""
    for name in ("policies.toml", "rules.toml"):
        with as_file(files("millstream.demo") / "reviews" / name) as shipped:
            (folder / name).write_bytes(shipped.read_bytes())
    return f"""
[review]
policies = ["{folder / "policies.toml"}"]
rules = ["{folder / "rules.toml"}"]
base_url = "http://127.0.0.1:{port}"
watch_seconds = 0.5
"""


def letter_flow(channel: Mapping[str, Any], domain: str) -> dict[str, Any]:
    """The flow model of regulatory letters: their output leaves when the flow is released."""
    return {
        "name": "Letters",
        "domain": domain,
        "service": SERVICE,
        "template": "letter",
        "hold": True,
        "external_id_header": _ORDER,
        "channels": [dict(channel)],
    }


def letter(*, amount_cents: int, clauses: tuple[str, ...], **record: Any) -> dict[str, Any]:
    """A letter to Mara Miller as a driver record."""
    data = {
        "customer": {"id": "C-90001", "name": "Mara Miller", "address": ["1 Mill Lane", "Millbridge MB1 2EX"]},
        "letter": {
            "title": "Changes to your account terms",
            "date": "2026-12-01",
            "paragraphs": [
                f"From 1 January 2027 we charge EUR {amount_cents / 100:.2f} a month for your account.",
                "The change applies to all accounts of this kind. If you agree, there is nothing you need to do.",
            ],
            "clauses": list(clauses),
        },
        "effective_on": "2027-01-01",
        "amount_cents": amount_cents,
        "currency": "EUR",
    }
    return {
        "customer": {"id": "C-90001", "name": "Mara Miller"},
        "recipient": {"address": READER, "name": "Mara Miller"},
        "template": "letter",
        "data": data,
        **record,
    }


@dataclass(slots=True)
class Reviewers:
    """The people, while they answer."""

    house: House
    gmail: Sandbox
    exstream: Sandbox
    session: aiohttp.ClientSession
    folder: Path
    _answered: set[str] = field(default_factory=set)
    _wished: bool = False
    _refused: bool = False

    async def play(self) -> dict[str, int]:
        """Put three things to people, have them answer, and wait until all has followed; what came of it."""
        await self._begin()
        until = time.monotonic() + _GIVE_UP_AFTER
        corrected = False
        while time.monotonic() < until:
            await self._answer_mails()
            if not corrected and await self._wants_changes():
                corrected = True
                await self._start_letter(amount_cents=250, key="letters/1-corrected")
            if await self._done():
                break
            await asyncio.sleep(_LOOK_EVERY)
        return await self.outcome()

    async def outcome(self) -> dict[str, int]:
        """What came of it, by the ledger."""
        async with transaction(self.house.pool) as conn:
            row = await (await conn.execute(_COUNTED)).fetchone()
        return {name: int(value) for name, value in (row or {}).items()}

    # What is put to people

    async def _begin(self) -> None:
        await self._start_letter(amount_cents=350, key="letters/1")
        notice = letter(amount_cents=350, clauses=(), key=NOTICE, type="notice")
        driver = self.folder / "notices.jsonl"
        driver.write_bytes(orjson.dumps(notice) + b"\n")
        run = await self.house.runs.open_run(
            "notices", pool="default", mode=Mode.DRAFT, policy=Policy(), source="the demo's notice"
        )
        await submit_driver(self.house, run, driver)

    async def _start_letter(self, *, amount_cents: int, key: str) -> None:
        record = letter(amount_cents=amount_cents, clauses=(_CLAUSE,), key=key, type="regulatory_letter")
        async with exstream(self.house.settings) as client:
            order = {_ORDER: "terms-2027"}
            await client.inputs().batch(SERVICE, orjson.dumps({"customers": [record]}), headers=order)

    # What people do

    async def _answer_mails(self) -> None:
        for address in PEOPLE:
            found = await self.gmail.get(f"mailboxes/{address}/messages?label=INBOX")
            for message in reversed(found["messages"]):
                if message["id"] not in self._answered:
                    self._answered.add(message["id"])
                    await self._answer(address, message)

    async def _answer(self, address: str, message: Mapping[str, Any]) -> None:
        raw = await self._raw(address, message["id"])
        text = _text_of(raw)
        link = _LINK.search(text)
        if link is None or "choose=" not in text:
            return  # it tells, and asks nothing
        if address == _ANNA:
            await self._reply(address, message["id"], "Approved, thank you.")
        elif address == _BEN and NOTICE not in text:
            await self._by_page(link.group())
        elif address == _CARLA and TEMPLATE not in text:
            if not self._wished and not await self._others_have_answered():
                self._answered.discard(message["id"])  # she reads it after lunch
                return
            await self._reply(address, message["id"], "Freigegeben." if self._wished else _WISH)
            self._wished = True
        elif address == _LEGAL and not self._refused:
            self._refused = True
            await self._reply(address, message["id"], "Rejected, the withdrawal clause is missing.")

    async def _reply(self, address: str, message: str, text: str) -> None:
        await self.gmail.post(f"mailboxes/{address}/messages/{message}/reply", {"text": text})

    async def _by_page(self, link: str) -> None:
        """Open the page as a browser does, and send its form."""
        async with self.session.get(link) as page:
            found = dict(_FIELD.findall(await page.text()))
        if not found:
            return  # it was decided meanwhile
        form = {**found, "verdict": "approve", "text": ""}
        origin = link.partition("/review/")[0]
        async with self.session.post(link, data=form, headers={"Origin": origin}) as reply:
            await reply.read()

    async def _raw(self, address: str, message: str) -> bytes:
        url = f"{self.gmail.url}/sandbox/v1/mailboxes/{address}/messages/{message}/raw"
        async with self.session.get(url) as reply:
            reply.raise_for_status()
            return await reply.read()

    # What follows

    async def _others_have_answered(self) -> bool:
        """Whether Anna and Ben have approved the letter: a wish for changes ends the round for whoever has not."""
        async with transaction(self.house.pool) as conn:
            row = await (await conn.execute(_ON_THE_LETTER)).fetchone()
        return bool(row and row["answers"] > 1)

    async def _wants_changes(self) -> bool:
        async with transaction(self.house.pool) as conn:
            row = await (await conn.execute("SELECT FROM review_decision WHERE verdict = 'change'")).fetchone()
        return row is not None

    async def _done(self) -> bool:
        async with transaction(self.house.pool) as conn:
            row = await (await conn.execute(_OPEN)).fetchone()
        counts = (await self.gmail.get("counts"))["by_recipient"]
        return bool(row and not row["waiting"] and row["decided"]) and counts.get(READER, 0) > 0


def _text_of(raw: bytes) -> str:
    """A mail as its reader sees it: HTML and text."""
    message = message_from_bytes(raw, policy=policy.default)
    parts = [message.get_body((kind,)) for kind in ("html", "plain")]
    return "\n".join(part.get_content() for part in parts if part is not None) + str(message["Subject"])


_COUNTED = """
SELECT (SELECT count(*) FROM review) AS opened,
       (SELECT count(*) FROM review_answer WHERE counted AND how = 'mail') AS by_reply,
       (SELECT count(*) FROM review_answer WHERE counted AND how = 'page') AS by_page,
       (SELECT count(*) FROM review_decision WHERE verdict = 'change') AS changes_asked,
       (SELECT count(DISTINCT c.review_id) FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id
        WHERE m.kind = 'climb') AS escalated,
       (SELECT count(*) FROM audit WHERE kind = 'review.step_done') AS steps_done
"""
_ON_THE_LETTER = """
SELECT count(*) AS answers FROM review_answer a JOIN review r ON r.id = a.review_id
WHERE r.kind = 'flow_step' AND a.counted
"""
_OPEN = """
SELECT (SELECT count(*) FROM review WHERE state IN ('open', 'changes') OR step_state = 'due') AS waiting,
       (SELECT count(*) FROM review WHERE state IN ('approved', 'rejected')) AS decided
"""
