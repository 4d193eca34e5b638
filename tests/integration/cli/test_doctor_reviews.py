"""What `millstream doctor` says of reviews: where all is right, and of each thing that is not."""

import asyncio
import json

import aiohttp
import pytest

POLICIES = """
[people.anna]
address = "anna@bank.example"
locale = "{locale}"

[policy.letters]
concerns = "communication"
stages = [{{ ask = ["anna"] }}]
time = {{ deadline = "8h" }}
mail = {{ languages = ["{understood}"] }}
"""


@pytest.fixture
async def doctored(start, environment, tmp_path):
    """Run the doctor over reviews of a policy file of these words; the Gmail sandbox knows both mailboxes."""
    boxes = tmp_path / "sandbox.toml"
    boxes.write_text('mailboxes = ["a@bank.example", "reviews@bank.example"]\n', encoding="utf-8")
    async with start("sandbox", "gmail", "--settings", str(boxes), "--json") as sandbox:
        url = json.loads(await asyncio.wait_for(sandbox.stdout.readline(), 60))["url"]
        key_file = tmp_path / "key.json"
        async with aiohttp.ClientSession() as session, session.get(f"{url}/sandbox/v1/service-account") as reply:
            key_file.write_bytes(await reply.read())

        async def run(policies: str, **more: str) -> tuple[int, dict]:
            file = tmp_path / "policies.toml"
            file.write_text(policies, encoding="utf-8")
            variables = {
                "MILLSTREAM_GMAIL__AUTH": "service_account",
                "MILLSTREAM_GMAIL__KEY_FILE": str(key_file),
                "MILLSTREAM_GMAIL__ENDPOINT": url,
                "MILLSTREAM_GMAIL__TOKEN_URL": f"{url}/token",
                "MILLSTREAM_SENDERS__POOLS": json.dumps(
                    {"default": ["a@bank.example"], "review": ["reviews@bank.example"], "bulk": []}
                ),
                "MILLSTREAM_SENDERS__REPLY_TO": "a@bank.example",
                "MILLSTREAM_REVIEW__POLICIES": json.dumps([str(file)]),
                **more,
            }
            async with start("doctor", "--json", **variables) as child:
                out, err = await asyncio.wait_for(child.communicate(), 90)
            assert out, err
            return child.returncode, {found["check"]: found for found in json.loads(out)}

        yield run


def _policies(locale: str = "de-AT", understood: str = "de") -> str:
    return POLICIES.format(locale=locale, understood=understood)


async def test_the_doctor_is_content_with_reviews_that_are_set_up(doctored) -> None:
    code, found = await doctored(_policies())
    assert (code, [check for check, each in found.items() if not each["ok"]]) == (0, [])
    assert "letters" in found["review policies"]["detail"]
    assert "none overdue" in found["review deadlines"]["detail"]


async def test_the_doctor_says_everything_that_is_wrong_with_reviews(doctored) -> None:
    code, found = await doctored(
        _policies(locale="pl"),
        MILLSTREAM_SENDERS__POOLS='{"default": ["a@bank.example"], "bulk": []}',
        MILLSTREAM_SENDERS__REPLY_TO="service@bank.example",
        MILLSTREAM_REVIEW__POOL="default",
        MILLSTREAM_REVIEW__BASE_URL="http://127.0.0.1:9",
        MILLSTREAM_REVIEW__OIDC_ISSUER="http://127.0.0.1:9",
        MILLSTREAM_REVIEW__OIDC_CLIENT_ID="millstream",
        MILLSTREAM_REVIEW__OIDC_CLIENT_SECRET="secret",
    )
    assert code == 1
    assert {check for check, each in found.items() if check.startswith("review") and not each["ok"]} == {
        *("review languages", "review pool", "review replies", "review pages", "review sign-in")
    }
    assert "anna@bank.example (pl)" in found["review languages"]["detail"]
    assert "millstream web" in found["review pages"]["detail"]


async def test_the_doctor_names_who_writes_in_a_language_that_is_not_read(doctored) -> None:
    _, found = await doctored(_policies(locale="fr", understood="de"))
    assert "anna@bank.example under letters" in found["review languages"]["detail"]


async def test_the_doctor_says_what_is_wrong_with_a_policy_file(doctored) -> None:
    code, found = await doctored("[policy.letters]\nconcerns = 'nothing'\n")
    assert code == 1
    assert "policy.letters.concerns" in found["review policies"]["detail"]
    assert "review languages" not in found


async def test_the_doctor_misses_the_policies_of_rules(doctored) -> None:
    _, found = await doctored("", MILLSTREAM_REVIEW__POLICIES="[]", MILLSTREAM_REVIEW__RULES='["rules.toml"]')
    assert not found["review policies"]["ok"]
