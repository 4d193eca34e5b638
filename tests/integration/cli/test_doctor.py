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


@pytest.fixture
async def exstream_site(start):
    """A sandbox for Exstream: the variables that reach it."""
    async with start("sandbox", "exstream", "--port", "0", "--json") as sandbox:
        doors = json.loads(await asyncio.wait_for(sandbox.stdout.readline(), 60))
        yield {
            "MILLSTREAM_SENDERS__POOLS": '{"bulk": []}',
            "MILLSTREAM_EXSTREAM__MODE": "local",
            "MILLSTREAM_EXSTREAM__ORCHESTRATION_URL": doors["orchestration_url"],
            "MILLSTREAM_EXSTREAM__DESIGN_URL": doors["design_url"],
            "MILLSTREAM_EXSTREAM__DOMAIN": doors["domain"],
            "MILLSTREAM_EXSTREAM_TOKENS__LAYOUT": "url",
            "MILLSTREAM_EXSTREAM_TOKENS__URL": doors["token_url"],
            "MILLSTREAM_EXSTREAM_TOKENS__CLIENT_ID": doors["client_id"],
            "MILLSTREAM_EXSTREAM_TOKENS__CLIENT_SECRET": doors["client_secret"],
            "MILLSTREAM_EXSTREAM__EWS_URL": doors["ews_url"],
        }


def _bad(found) -> list[str]:
    return [check for check, each in found.items() if not each["ok"]]


async def test_the_doctor_goes_the_whole_way_to_exstream_and_lists_the_open_doors(
    doctored, exstream_site, tmp_path
) -> None:
    for name in ("in", "drop", "taken"):
        (tmp_path / name).mkdir()
    code, found = await doctored(
        **exstream_site,
        MILLSTREAM_INTAKE_PULL__ON="true",
        MILLSTREAM_INTAKE_FOLDER__PATH=str(tmp_path / "in"),
        MILLSTREAM_INTAKE_HTTP__TOKENS='{"connector": "secret-of-the-connector"}',
        MILLSTREAM_EXSTREAM__DROP_FOLDER=str(tmp_path / "drop"),
        MILLSTREAM_EXSTREAM__DROP_DONE_FOLDER=str(tmp_path / "taken"),
        MILLSTREAM_EMAIL_EVENTS__FILE=str(tmp_path / "drop" / "events.jsonl"),
    )
    assert (code, _bad(found)) == (0, [])
    assert {"exstream orchestration", "exstream design", "exstream jobs", "exstream engine"} <= found.keys()
    doors = found["doors"]["detail"]
    assert all(word in doors for word in (str(tmp_path / "in"), "HTTP for connector", "pull", "SMTP at"))
    assert "secret-of-the-connector" not in doors
    assert [path.name for path in (tmp_path / "drop").iterdir()] == []


async def test_the_doctor_says_once_that_there_is_no_token_and_where_and_why(doctored, exstream_site) -> None:
    wrong = exstream_site | {"MILLSTREAM_EXSTREAM_TOKENS__CLIENT_SECRET": "wrong"}
    code, found = await doctored(**wrong)
    assert (code, _bad(found)) == (1, ["exstream token orchestration", "exstream token design"])
    assert wrong["MILLSTREAM_EXSTREAM_TOKENS__URL"] in found["exstream token design"]["detail"]
    del wrong["MILLSTREAM_EXSTREAM_TOKENS__CLIENT_SECRET"]
    _, found = await doctored(**wrong)
    assert "no secret is set for the client millstream" in found["exstream token design"]["detail"]


async def test_the_doctor_finds_what_files_and_mail_lack(doctored, tmp_path) -> None:
    more = {"MILLSTREAM_SENDERS__POOLS": '{"bulk": []}', "MILLSTREAM_EXSTREAM__MODE": "files"}
    code, found = await doctored(**more)
    assert (code, _bad(found)) == (1, ["drop folder"])
    code, found = await doctored(
        **more,
        MILLSTREAM_EXSTREAM__DROP_FOLDER=str(tmp_path / "nowhere"),
        MILLSTREAM_EXSTREAM__DROP_DONE_FOLDER=str(tmp_path / "nowhere"),
        MILLSTREAM_INTAKE_FOLDER__PATH=str(tmp_path / "nowhere"),
        MILLSTREAM_EMAIL_EVENTS__FILE=str(tmp_path / "nowhere" / "events.jsonl"),
        MILLSTREAM_INTAKE_SMTP__USERS='{"exstream": "x"}',
    )
    assert code == 1
    assert _bad(found) == ["drop folder", "drop done folder", "email events", "intake folder", "intake smtp"]
    assert "under TLS alone" in found["intake smtp"]["detail"]
