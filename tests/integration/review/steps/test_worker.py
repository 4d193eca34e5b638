"""The watch as a worker runs it: put together from settings, one process at a time."""

from types import SimpleNamespace
from typing import Any

import pytest
from office import Office

from millstream.app.house import open_house
from millstream.app.reviewing import reviewing
from millstream.config import Settings
from millstream.config.errors import ConfigError

POLICIES = """
[people.anna]
address = "anna@bank.example"
[policy.releases]
concerns = "resource"
stages = [{ ask = ["anna"] }]
time = { deadline = "8h" }
"""


def settings_of(office: Office, database_url: str, *, given: dict[str, dict[str, Any]] | None = None, **exstream: str):
    """With more of some sections."""
    more = given or {}
    doors, file = office.site.running.doors, office.folder / "policies.toml"
    file.write_text(POLICIES, encoding="utf-8")
    return Settings(
        folder=office.folder,
        database={"url": database_url},
        senders={"pools": {"review": ["review@bank.example"]}, **more.get("senders", {})},
        mailbox=more.get("mailbox", {}),
        review={"policies": [file], **more.get("review", {})},
        exstream={
            "mode": "local",
            "orchestration_url": doors["orchestration_url"],
            "design_url": doors["design_url"],
            "domain": doors["domain"],
            **exstream,
        },
        exstream_tokens={
            "layout": "url",
            "url": doors["token_url"],
            "client_id": doors["client_id"],
            "client_secret": doors["client_secret"],
        },
    )


async def test_one_worker_looks_and_gives_its_duty_back(office: Office, database_url) -> None:
    gmail = SimpleNamespace(mailbox=None)
    async with open_house(settings_of(office, database_url), migrated=False) as house:
        async with reviewing(house, gmail) as first, reviewing(house, gmail) as second:
            looks = [next(each for each in one.sweeps if each.name == "review_watch") for one in (first, second)]
            await looks[0].run()
            asked = await office.calls("resources.list")
            await looks[1].run()
            assert (len(await office.reviews()), await office.calls("resources.list")) == (4, asked)
        async with reviewing(house, gmail) as third:
            await next(each for each in third.sweeps if each.name == "review_watch").run()
        assert await office.calls("resources.list") > asked


async def test_without_services_of_exstream_nothing_is_watched(office: Office, database_url) -> None:
    settings = settings_of(office, database_url, mode="files")
    async with open_house(settings, migrated=False) as house, reviewing(house, SimpleNamespace(mailbox=None)) as found:
        assert "review_watch" not in [each.name for each in found.sweeps]


DEAF = {
    "not read": {"senders": {"reply_to": "nobody@bank.example"}},
    "an alias that is not read": {"senders": {"address": "letters@bank.example"}},
    "nothing is read": {"mailbox": {"read": False}},
}


@pytest.mark.parametrize("given", DEAF.values(), ids=DEAF)
async def test_a_worker_that_would_ask_for_replies_which_nobody_reads_does_not_start(
    office: Office, database_url, given: dict[str, dict[str, Any]]
) -> None:
    async with open_house(settings_of(office, database_url, given=given), migrated=False) as house:
        with pytest.raises(ConfigError, match=r"senders\.reply_to is .*read\. (Name|Set) .*releases"):
            async with reviewing(house, SimpleNamespace(mailbox=None)):
                pass


async def test_a_worker_whose_policies_take_no_answers_by_mail_needs_no_replies(office: Office, database_url) -> None:
    given = {"mailbox": {"read": False}, "review": {"base_url": "https://reviews.bank.example"}}
    settings = settings_of(office, database_url, given=given, mode="files")
    settings.review.policies[0].write_text(f"{POLICIES}rules = {{ by_mail = false }}\n", encoding="utf-8")
    async with open_house(settings, migrated=False) as house, reviewing(house, SimpleNamespace(mailbox=None)) as found:
        assert "review_mails" in [each.name for each in found.sweeps]
