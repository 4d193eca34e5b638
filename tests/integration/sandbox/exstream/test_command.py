"""`millstream sandbox exstream` as a process: what it announces, what it leaves behind, what it refuses."""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import pytest
from exstream_site import CLIENT

COMMAND = (sys.executable, "-m", "millstream", "sandbox", "exstream")
DOORS = {
    "url",
    "orchestration_url",
    "design_url",
    "token_url",
    "ews_url",
    "client_id",
    "client_secret",
    "domain",
}


async def test_the_first_line_says_where_everything_is_and_how_to_get_in(tmp_path: Path) -> None:
    settings = tmp_path / "sandbox.toml"
    work = tmp_path / "work"
    settings.write_text(
        f'work_folder = "{work}"\ntenant = "acme"\n[[domains]]\nname = "letters"\n'
        '[clients.robot]\nsecret = "word"\n[[flows]]\nname = "Mail"\nservice = "mail"\nhold = true\n'
    )
    options = ("--settings", str(settings), "--port", "0", "--json")
    process = await asyncio.create_subprocess_exec(*COMMAND, *options, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = json.loads(await process.stdout.readline())
    assert set(line) == DOORS
    assert (line["client_id"], line["client_secret"], line["domain"]) == ("robot", "word", "letters")
    async with aiohttp.ClientSession() as session:
        login = CLIENT | {"client_id": line["client_id"], "client_secret": line["client_secret"]}
        async with session.post(line["token_url"], data=login) as answer:
            bearer = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
        for url in (f"{line['orchestration_url']}/api/v1/config", f"{line['design_url']}/api/v1/version"):
            async with session.get(url, headers=bearer) as answer:
                assert answer.status == 200
        async with session.get(f"{line['url']}/sandbox/v1/flows") as answer:
            assert [flow["service"] for flow in (await answer.json())["flows"]] == ["mail"]
    process.terminate()
    await process.stdout.read()
    assert await process.wait() == 0


@pytest.mark.parametrize("text", ["colour = 'red'", "[[flows]]\nservice = 'a/b'", "[[flows]]\ndomain = 'x'", "= ="])
async def test_settings_that_are_wrong_are_refused(tmp_path: Path, text: str) -> None:
    settings = tmp_path / "sandbox.toml"
    settings.write_text(text)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--settings", str(settings), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert (process.returncode, b"settings are wrong" in said) == (2, True)
