"""How long it takes from an answer by mail to the call at Exstream: `review.answer`.

Templates wait in the REVIEW of an Exstream sandbox; a real `millstream worker` finds them and asks two people by mail
in a Gmail sandbox. One of them answers each mail as a person does, with Reply, and the clock runs from there until the
Exstream sandbox has the template APPROVED. Gmail's push brings the news; no poll is due for an hour. Answers come at
random moments, so that no two measure the same place between two sweeps.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from process import BenchFailed, Child, started
from reading import Box, sandbox
from stage import House, emit, house, say, work_folder

_REVIEWS, _ANNA, _BEN = (f"{name}@bank.example" for name in ("reviews", "anna", "ben"))
_TOPIC, _PULL = "projects/bench/topics/gmail", "projects/bench/subscriptions/pull"
_ASKED_SECONDS = 120.0
_ANSWER_SECONDS = 60.0
_POLICY = f"""\
[policy.templates]
concerns = "resource"
stages = [{{ ask = ["{_ANNA}", "{_BEN}"], need = "any" }}]
time = {{ deadline = "8h" }}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    answers: int = 60
    gap_seconds: tuple[float, float] = (1.2, 1.7)
    """Between two answers: Gmail pushes once a second and drops what is more."""


async def measure(plan: Plan) -> None:
    """One line: from Reply to Exstream's call, median and 99th percentile in milliseconds."""
    # Without quota: what is measured is to wait for nothing but itself.
    extra = 'limits = "none"\n'
    extra += f'topics = [{{ name = "{_TOPIC}" }}]\nsubscriptions = [{{ name = "{_PULL}", topic = "{_TOPIC}" }}]\n'
    async with (
        work_folder() as folder,
        house(folder) as here,
        sandbox(folder, [_REVIEWS, _ANNA, _BEN], extra) as gmail,
        _exstream(folder, plan.answers, gmail) as (exstream, doors),
    ):
        await _configure(folder, here, gmail, doors)
        async with here.run("worker", "worker") as worker:
            say(f"review.answer: {plan.answers} templates are put to two people")
            mails = await _asked(gmail, worker, plan.answers)
            await _told(here, worker)
            milliseconds, before = [], await _approved(exstream)
            for number, mail in enumerate(mails, 1 + before):
                await asyncio.sleep(random.uniform(*plan.gap_seconds))  # noqa: S311  no secret
                milliseconds.append(1000 * await _one(gmail, exstream, worker, mail, number))
            decided = await here.ask("SELECT count(*) FROM review_decision WHERE how = 'mail'")
    if decided != (plan.answers,):
        raise BenchFailed(f"{plan.answers} answers made {decided} decisions")
    milliseconds.sort()
    emit(
        {
            "name": "review.answer",
            "median_ms": round(statistics.median(milliseconds)),
            "p99_ms": round(milliseconds[int(0.99 * (len(milliseconds) - 1))]),
            "max_ms": round(milliseconds[-1]),
            "answers": plan.answers,
        }
    )


async def _one(gmail: Box, exstream: Box, worker: Child, mail: str, number: int) -> float:
    """Seconds from one Reply until Exstream has taken the call, the `number`-th approval there."""
    began = time.perf_counter()
    await gmail.post(f"mailboxes/{_ANNA}/messages/{mail}/reply", {"text": "Approved, thank you."})
    while await _approved(exstream) < number:
        worker.check()
        if time.perf_counter() - began > _ANSWER_SECONDS:
            raise BenchFailed(f"answer {number} led to no call within {_ANSWER_SECONDS:.0f} s")
        await asyncio.sleep(0.005)
    return time.perf_counter() - began


async def _approved(exstream: Box) -> int:
    return int((await exstream.get("/sandbox/v1/state"))["resources"].get("APPROVED", 0))


async def _asked(gmail: Box, worker: Child, count: int) -> list[str]:
    """The ids of the questions in a person's mailbox, once all have come."""
    ends_at = time.monotonic() + _ASKED_SECONDS
    while True:
        worker.check()
        found = await gmail.get(f"/sandbox/v1/mailboxes/{_ANNA}/messages?label=INBOX&limit=1000")
        if len(found["messages"]) >= count:
            return [message["id"] for message in found["messages"]]
        if time.monotonic() > ends_at:
            raise BenchFailed(f"{len(found['messages'])} of {count} questions came within {_ASKED_SECONDS:.0f} s")
        await asyncio.sleep(0.2)


async def _told(here: House, worker: Child) -> None:
    """Wait until everybody has been asked and Gmail pushes what comes into our mailbox."""
    ends_at = time.monotonic() + _ASKED_SECONDS
    while await here.ask(_AT_REST) != (0, 1):
        worker.check()
        if time.monotonic() > ends_at:
            raise BenchFailed(f"the worker did not come to rest within {_ASKED_SECONDS:.0f} s")
        await asyncio.sleep(0.2)


_AT_REST = f"""
SELECT (SELECT count(*) FROM delivery WHERE disposition <> 'accepted'),
       (SELECT count(*) FROM mailbox WHERE address = '{_REVIEWS}' AND watch_until IS NOT NULL AND phase = 'delta')
"""  # noqa: S608  an address of ours


async def _configure(folder: Path, here: House, gmail: Box, doors: dict[str, Any]) -> None:
    """What an operator would write."""
    (folder / "policies.toml").write_text(_POLICY, "utf-8")
    (folder / "key.json").write_bytes(orjson.dumps(await gmail.get("/sandbox/v1/service-account")))
    here.config.write_text(
        f'folder = "{folder}"\n\n[gmail]\nendpoint = "{gmail.url}"\ntoken_url = "{gmail.url}/token"\n'
        f'auth = "service_account"\nkey_file = "{folder}/key.json"\n\n'
        f'[senders]\nname = "Example Bank"\npools = {{ review = ["{_REVIEWS}"] }}\n\n'
        "[mailbox]\npoll_seconds = 3600\npoll_sending_seconds = 3600\npoll_slowest_seconds = 3600\n\n"
        f'[push]\ntopic = "{_TOPIC}"\nsubscription = "{_PULL}"\nendpoint = "http://127.0.0.1:{gmail.pubsub_port}"\n\n'
        f'[exstream]\nmode = "local"\norchestration_url = "{doors["orchestration_url"]}"\n'
        f'design_url = "{doors["design_url"]}"\ndomain = "{doors["domain"]}"\n\n'
        f'[exstream_tokens]\nlayout = "url"\nurl = "{doors["token_url"]}"\n'
        f'client_id = "{doors["client_id"]}"\nclient_secret = "{doors["client_secret"]}"\n\n'
        f'[review]\npolicies = ["{folder}/policies.toml"]\nwatch_seconds = 2\n\n'
        '[limits]\npreset = "none"\n\n[logging]\nlevel = "warning"\n',
        "utf-8",
    )


@asynccontextmanager
async def _exstream(folder: Path, templates: int, gmail: Box) -> AsyncIterator[tuple[Box, dict[str, Any]]]:
    """An Exstream sandbox in which so many templates wait, and where its doors are."""
    shelves = folder / "exstream.toml"
    shelves.write_text(
        "".join(
            f'[[resources]]\nname = "Template {number}"\nstate = "REVIEW"\ncontent = "Wording {number}"\n'
            for number in range(templates)
        ),
        "utf-8",
    )
    arguments = ["-m", "millstream", "sandbox", "exstream", "--settings", str(shelves), "--port", "0", "--json"]
    async with started("exstream", arguments, folder) as child:
        doors: dict[str, Any] = orjson.loads(await child.first_line())
        yield Box(doors["url"], gmail.session, child, 0), doors
