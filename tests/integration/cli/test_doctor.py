"""`millstream doctor` against a sandbox with good and ailing mailboxes."""

import asyncio
import json

import aiohttp
import pytest


@pytest.fixture
async def doctored(start, environment, tmp_path):
    """Run the doctor against a sandbox that knows mailbox a and b, and not c."""
    (tmp_path / "sandbox.toml").write_text('mailboxes = ["a@bank.example", "b@bank.example"]\n', encoding="utf-8")
    async with start("sandbox", "gmail", "--settings", str(tmp_path / "sandbox.toml"), "--json") as sandbox:
        url = json.loads(await asyncio.wait_for(sandbox.stdout.readline(), 60))["url"]
        key_file = tmp_path / "key.json"
        async with aiohttp.ClientSession() as session, session.get(f"{url}/sandbox/v1/service-account") as reply:
            key_file.write_bytes(await reply.read())

        async def run(**more: str) -> tuple[int, dict]:
            variables = {
                "MILLSTREAM_GMAIL__AUTH": "service_account",
                "MILLSTREAM_GMAIL__KEY_FILE": str(key_file),
                "MILLSTREAM_GMAIL__ENDPOINT": url,
                "MILLSTREAM_GMAIL__TOKEN_URL": f"{url}/token",
                **more,
            }
            async with start("doctor", "--json", **variables) as child:
                out, err = await asyncio.wait_for(child.communicate(), 90)
            assert out, err
            return child.returncode, {found["check"]: found for found in json.loads(out)}

        yield run


async def test_the_doctor_finds_the_one_mailbox_that_google_does_not_know(doctored) -> None:
    code, found = await doctored()
    assert code == 1
    assert found["database"]["ok"]
    assert found["documents"]["ok"]
    assert found["mailbox a@bank.example"]["ok"]
    assert not found["mailbox c@bank.example"]["ok"]
    assert "invalid_grant" in found["mailbox c@bank.example"]["detail"]


async def test_the_doctor_is_content_where_everything_is_right(doctored) -> None:
    code, found = await doctored(MILLSTREAM_SENDERS__POOLS='{"bulk": []}')
    assert (code, [check for check, each in found.items() if not each["ok"]]) == (0, [])


async def test_the_doctor_names_an_alias_that_gmail_would_replace(doctored) -> None:
    code, found = await doctored(
        MILLSTREAM_SENDERS__POOLS='{"default": ["a@bank.example"], "bulk": []}',
        MILLSTREAM_SENDERS__ADDRESS="service@bank.example",
    )
    assert code == 1
    assert "no send-as address" in found["mailbox a@bank.example"]["detail"]
