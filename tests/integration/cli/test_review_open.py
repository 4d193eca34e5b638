"""`millstream review open`: what waits in an Exstream sandbox is put to people by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

POLICIES = """
[people.anna]
address = "anna@bank.example"
[policy.releases]
concerns = "resource"
stages = [{ ask = ["anna"] }]
time = { deadline = "8h" }
[policy.letters]
concerns = "communication"
stages = [{ ask = ["anna"] }]
time = { deadline = "8h" }
"""


@pytest.fixture
async def asked(start: Callable[..., Any], folder: Path) -> Any:
    """Call `review` against a sandbox; gives the exit code, what it answered, and what it complained of."""
    (folder / "p.toml").write_text(POLICIES, encoding="utf-8")
    async with start("sandbox", "exstream", "--port", "0", "--json") as sandbox:
        doors = json.loads(await asyncio.wait_for(sandbox.stdout.readline(), 60))
        variables = {
            "MILLSTREAM_SENDERS__POOLS": '{"review": ["r@bank.example"]}',
            "MILLSTREAM_REVIEW__POLICIES": json.dumps([str(folder / "p.toml")]),
            "MILLSTREAM_EXSTREAM__MODE": "local",
            "MILLSTREAM_EXSTREAM__ORCHESTRATION_URL": doors["orchestration_url"],
            "MILLSTREAM_EXSTREAM__DESIGN_URL": doors["design_url"],
            "MILLSTREAM_EXSTREAM__DOMAIN": doors["domain"],
            "MILLSTREAM_EXSTREAM_TOKENS__LAYOUT": "url",
            "MILLSTREAM_EXSTREAM_TOKENS__URL": doors["token_url"],
            "MILLSTREAM_EXSTREAM_TOKENS__CLIENT_ID": doors["client_id"],
            "MILLSTREAM_EXSTREAM_TOKENS__CLIENT_SECRET": doors["client_secret"],
        }

        async def call(*arguments: str, **more: str) -> tuple[int, Any, str]:
            async with start(*arguments, "--json", **{**variables, **more}) as child:
                out, err = await asyncio.wait_for(child.communicate(), 90)
            return child.returncode, json.loads(out) if out else None, err.decode()

        yield call


async def test_a_resource_in_review_is_put_to_people_once(asked: Callable[..., Any]) -> None:
    _, waiting, _ = await asked("exstream", "resources")
    [one, *_] = waiting
    code, done, err = await asked("review", "open", "resource", one["id"], "--policy", "releases", "--as", "ops")
    assert (code, err) == (0, "")
    _, listed, _ = await asked("review", "list")
    assert [(row["id"], row["name"], row["waiting"]) for row in listed] == [
        (done["review"], one["name"], ["anna@bank.example"])
    ]
    code, again, _ = await asked("review", "open", "resource", one["id"], "--policy", "releases")
    assert (code, again) == (0, {"review": None})


async def test_what_does_not_wait_or_fit_is_not_put_to_people(asked: Callable[..., Any]) -> None:
    _, approved, _ = await asked("exstream", "resources", "--state", "APPROVED")
    tries = {
        ("resource", approved[0]["id"], "releases"): "only in REVIEW",
        ("resource", "no-such-id", "releases"): "no-such-id",
        ("resource", approved[0]["id"], "nothing"): "no policy is called",
        ("resource", approved[0]["id"], "letters"): "concerns a communication",
    }
    for (kind, number, policy), said in tries.items():
        code, _, err = await asked("review", "open", kind, number, "--policy", policy)
        assert code == 1
        assert said in err
    code, _, err = await asked(
        "review", "open", "resource", "x", "--policy", "releases", MILLSTREAM_EXSTREAM__MODE="files"
    )
    assert (code, "exstream.mode" in err) == (2, True)
