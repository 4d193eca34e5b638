"""`millstream mailbox`: list, pause, resume, and the consent of an owner."""

import asyncio
import json
import re
from urllib.parse import parse_qsl

import aiohttp
import pytest


def test_every_sender_mailbox_is_listed_with_its_pool(call) -> None:
    rows = call("mailbox", "list", "--json").json
    assert [(row["mailbox"], row["pool"], row["state"]) for row in rows] == [
        ("a@bank.example", "default", "open"),
        ("b@bank.example", "default", "open"),
        ("c@bank.example", "bulk", "open"),
    ]
    assert call("mailbox", "list").out.splitlines()[0].split()[:3] == ["mailbox", "pool", "state"]


def test_a_mailbox_is_paused_and_opened_again(call) -> None:
    paused = call("mailbox", "pause", "a@bank.example", "--why", "on leave", "--json")
    assert paused.json == {"mailbox": "a@bank.example", "state": "paused"}
    [row] = [row for row in call("mailbox", "list", "--json").json if row["state"] == "paused"]
    assert (row["mailbox"], row["reason"]) == ("a@bank.example", "on leave")
    assert call("mailbox", "resume", "a@bank.example").out == "a@bank.example is open\n"


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_mailbox_that_is_not_there_is_told_where_to_look(call, command) -> None:
    answered = call("mailbox", command, "z@bank.example")
    assert answered.code == 1
    assert "`millstream mailbox list`" in answered.err


def test_connecting_needs_the_kind_of_auth_that_has_owners(call) -> None:
    answered = call("mailbox", "connect", "a@bank.example", "--no-browser")
    assert answered.code == 2
    assert "authorized_user" in answered.err


async def _allow(address: str, mailbox: str) -> None:
    """Press Allow on the consent page, as the owner of a mailbox."""
    page, _, query = address.partition("?")
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as shown:
            assert "Allow" in await shown.text()
        form = {**dict(parse_qsl(query)), "mailbox": mailbox, "decision": "allow"}
        async with session.post(page, data=form) as back:
            assert back.status == 200


@pytest.mark.parametrize("owner", ["a@bank.example", "b@bank.example"])
async def test_an_owner_consents_and_only_the_own_mailbox_is_connected(start, folder, owner) -> None:
    (folder / "sandbox.toml").write_text('mailboxes = ["a@bank.example", "b@bank.example"]\n', encoding="utf-8")
    async with start("sandbox", "gmail", "--settings", str(folder / "sandbox.toml"), "--json") as sandbox:
        url = json.loads(await asyncio.wait_for(sandbox.stdout.readline(), 30))["url"]
        variables = {
            "MILLSTREAM_GMAIL__AUTH": "authorized_user",
            "MILLSTREAM_GMAIL__CLIENT_ID": "client",
            "MILLSTREAM_GMAIL__ENDPOINT": url,
            "MILLSTREAM_GMAIL__TOKEN_URL": f"{url}/token",
            "MILLSTREAM_GMAIL__AUTH_URL": f"{url}/o/oauth2/v2/auth",
        }
        async with start("mailbox", "connect", "a@bank.example", "--no-browser", "--json", **variables) as child:
            told = await asyncio.wait_for(child.stderr.readuntil(b"\nhttp"), 30)
            address = "http" + (await child.stderr.readline()).decode().strip()
            await _allow(address, owner)
            out, err = await asyncio.wait_for(child.communicate(), 30)
    kept = list((folder / "data" / "tokens").glob("*")) if (folder / "data" / "tokens").exists() else []
    assert b"a@bank.example" in told
    if owner == "a@bank.example":
        assert json.loads(out) == {"mailbox": "a@bank.example", "connected": True}
        assert len(kept) == 1
        assert kept[0].stat().st_mode & 0o077 == 0
    else:
        assert child.returncode == 1
        assert re.search(rb"b@bank\.example", err)
        assert kept == []
