"""Reviews with real processes: the demo's three, and one whose three people answer each in their own way."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from acceptance_stage import Stage

_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_RESOURCE = "Terms 2027"
_POLICY = """
[people.anna]
address = "{anna}"
[people.ben]
address = "{ben}"
[people.carla]
address = "{carla}"
[policy.templates]
concerns = "resource"
stages = [{{ ask = ["anna", "ben", "carla"], need = "3 of 3" }}]
time = {{ deadline = "8h" }}
"""


async def test_reviewers_answer_by_reply_and_page_and_every_next_step_arrives(bare_stage: Stage) -> None:
    ended = await bare_stage.run("demo", "--customers", "5", "--exit", "--json", within=240)
    outcome = ended.json
    assert outcome["reviews"] == {
        "opened": 3,
        "by_reply": 6,
        "by_page": 3,
        "changes_asked": 1,
        "escalated": 1,
        "steps_done": 4,
    }
    asked = ("accepted", "duplicates", "missing", "held", "failed", "uncertain")
    assert [outcome[name] for name in asked] == [5, 0, 0, 0, 0, 0]
    assert ended.code == 0


@pytest.fixture
async def exstream(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """`millstream sandbox exstream` with one resource that waits for approval; what it announced."""
    settings = folder / "exstream-sandbox.toml"
    settings.write_text(
        f'[[resources]]\nname = "{_RESOURCE}"\nstate = "REVIEW"\ncontent = "From 1 January."\n', "utf-8"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "millstream", "sandbox", "exstream", "--settings", str(settings), "--port", "0"),
        "--json",
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    yield json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_one_review_is_answered_by_reply_page_and_command_and_its_step_arrives_once(
    stage: Stage,
    exstream: dict[str, Any],
    mailboxes: tuple[str, ...],
    free_port: Callable[[], int],
    eventually: Any,
) -> None:
    sender, reviews, _, anna, ben, carla = mailboxes
    policies, base = stage.folder / "policies.toml", f"http://127.0.0.1:{free_port()}"
    policies.write_text(_POLICY.format(anna=anna, ben=ben, carla=carla), "utf-8")
    stage.configure(
        senders={"pools": {"default": [sender], "review": [reviews]}},
        review={"policies": [str(policies)], "base_url": base, "watch_seconds": 0.5},
        exstream={"mode": "local", **{name: exstream[name] for name in ("orchestration_url", "design_url", "domain")}},
        exstream_tokens={
            "layout": "url",
            "url": exstream["token_url"],
            "client_id": exstream["client_id"],
            "client_secret": exstream["client_secret"],
        },
    )
    await stage.worker()
    await stage.start("web", "--port", base.rpartition(":")[2])

    async def question(address: str) -> dict[str, Any] | None:
        found = (await stage.get(f"mailboxes/{address}/messages?label=INBOX"))["messages"]
        return found[0] if found else None

    questions = {each: await eventually(lambda each=each: question(each), within=60) for each in (anna, ben, carla)}
    await stage.post(f"mailboxes/{anna}/messages/{questions[anna]['id']}/reply", {"text": "Approved, thank you."})
    await _post_form(await _link(stage, ben, questions[ben]["id"], base))
    [review] = await stage.rows("SELECT id FROM review")
    ended = await stage.run("review", "answer", str(review["id"]), "approve", "--as", carla, "--json", within=120)
    assert ended.code == 0, ended.err

    async def done() -> bool:
        return await stage.rows("SELECT 1 FROM review WHERE state = 'approved' AND step_state = 'done'") != []

    await eventually(done, within=60)
    answers = await stage.rows("SELECT address, how, counted FROM review_answer ORDER BY address")
    assert [(row["address"], row["how"], row["counted"]) for row in answers] == [
        (anna, "mail", True),
        (ben, "page", True),
        (carla, "command", True),
    ]
    [decision] = await stage.rows("SELECT verdict, votes FROM review_decision")
    assert (decision["verdict"], len(decision["votes"])) == ("approve", 2)
    [step] = await stage.rows("SELECT verb, state FROM next_step")
    assert step["state"] == "done"
    there = await _exstream_state(stage.session, exstream["url"])
    assert sum(n for name, n in there["calls"].items() if name.startswith("resources.set_state")) == 1
    listed = await stage.run("exstream", "resources", "--state", "APPROVED", "--json", within=60)
    assert _RESOURCE in [each["name"] for each in orjson.loads(listed.out)]
    assert await stage.chain_is_intact()


async def _link(stage: Stage, address: str, message: str, base: str) -> str:
    """The link of a question, as its reader sees it."""
    url = f"{stage.sandbox_url}/sandbox/v1/mailboxes/{address}/messages/{message}/raw"
    async with stage.session.get(url) as reply:
        reply.raise_for_status()
        read = message_from_bytes(await reply.read(), policy=policy.default)
    plain = read.get_body(("plain",))
    assert plain is not None
    found = re.search(rf"{re.escape(base)}/review/[A-Za-z0-9._-]+", plain.get_content())
    assert found is not None, plain.get_content()
    return found.group()


async def _post_form(link: str) -> None:
    """Open the page as a browser does, and send its form."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(link) as page:
            assert page.status == 200
            form = {**dict(_FIELD.findall(await page.text())), "verdict": "approve", "text": ""}
        origin = {"Origin": link.partition("/review/")[0]}
        async with browser.post(link, data=form, headers=origin, allow_redirects=False) as reply:
            assert reply.status == 303, await reply.text()


async def _exstream_state(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(f"{url}/sandbox/v1/state") as reply:
        reply.raise_for_status()
        found: dict[str, Any] = await reply.json()
        return found
