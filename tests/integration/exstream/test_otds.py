"""Tokens: fetched once for all, renewed early, and away for a while without taking everything down."""

import asyncio

import pytest
from aiohttp import web
from exstream_server import Asked, FakeExstream, counted_tokens, data, page, says

from millstream.exstream import DividedTokens, Exstream, ExstreamOptions, OtdsOptions, OtdsTokens, StaticTokens
from millstream.exstream.errors import Effect, TokenAway, TokenRefused, Unauthorized

HTML = "<html><body>Service Unavailable</body></html>"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tokens_of(exstream: FakeExstream, clock: Clock, **changes: object) -> OtdsTokens:
    otds = OtdsOptions(url=f"{exstream.url}/oauth2/token", **changes)
    return OtdsTokens(otds, exstream.options(), clock=clock)


async def test_a_token_is_fetched_once_and_renewed_before_its_end(exstream: FakeExstream) -> None:
    clock = Clock()
    exstream.at["/token"] = counted_tokens(900)
    tokens = tokens_of(exstream, clock)
    assert await tokens.token("orchestration") == await tokens.token("design") == "token-1"
    clock.now += 839
    assert await tokens.token("orchestration") == "token-1"
    clock.now += 2
    assert await tokens.token("orchestration") == "token-2"
    await tokens.close()


async def test_a_short_token_is_used_for_half_its_life(exstream: FakeExstream) -> None:
    clock = Clock()
    exstream.at["/token"] = counted_tokens(10)
    tokens = tokens_of(exstream, clock)
    await tokens.token("orchestration")
    clock.now += 4.9
    assert await tokens.token("orchestration") == "token-1"
    clock.now += 0.2
    assert await tokens.token("orchestration") == "token-2"
    await tokens.close()


async def test_many_callers_are_served_by_one_fetch_even_when_the_first_gives_up(exstream: FakeExstream) -> None:
    gate, reached = asyncio.Event(), asyncio.Event()
    usual = counted_tokens()

    async def held(asked: Asked) -> web.StreamResponse:
        reached.set()
        await gate.wait()
        return usual(asked)

    exstream.at["/token"] = held
    tokens = exstream.otds()
    waiting = [asyncio.create_task(tokens.token("orchestration")) for _ in range(20)]
    await reached.wait()
    waiting[0].cancel()
    gate.set()
    got = await asyncio.gather(*waiting[1:])
    assert set(got) == {"token-1"}
    assert len(exstream.asked) == 1
    await tokens.close()


async def test_otds_that_is_away_leaves_the_old_token_in_use_while_it_is_valid(exstream: FakeExstream) -> None:
    clock = Clock()
    exstream.at["/token"] = [counted_tokens(900), says(status=503, text=HTML, content_type="text/html")]
    tokens = tokens_of(exstream, clock)
    await tokens.token("orchestration")
    clock.now += 850
    assert await tokens.token("orchestration") == "token-1"
    clock.now += 48
    with pytest.raises(TokenAway) as caught:
        await tokens.token("orchestration")
    assert (caught.value.temporary, caught.value.effect) == (True, Effect.NO)
    exstream.at["/token"] = counted_tokens()
    assert await tokens.token("orchestration") == "token-1"
    await tokens.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says({"error": "invalid_client", "error_description": "wrong"}, 401), TokenRefused),
        (says({"error": "unsupported_grant_type"}, 400), TokenRefused),
        (says(status=404, text=HTML, content_type="text/html"), TokenRefused),
        (says({"token_type": "bearer"}), TokenRefused),
        (says({"access_token": "a\nb"}), TokenRefused),
        (says({"access_token": ""}), TokenRefused),
        (says({"access_token": 7}), TokenRefused),
        (says([1]), TokenRefused),
        (says(status=302, headers={"Location": "/login"}), TokenRefused),
        (says(status=200, text=HTML, content_type="text/html"), TokenAway),
        (says(status=500), TokenAway),
    ],
)
async def test_each_bad_answer_of_otds_has_its_error(exstream: FakeExstream, answer, kind) -> None:
    exstream.at["/token"] = answer
    tokens = exstream.otds()
    with pytest.raises(kind) as caught:
        await tokens.token("orchestration")
    assert "hush" not in str(caught.value)
    assert len(exstream.asked) == 1
    await tokens.close()


async def test_otds_that_is_not_there_is_away_and_a_write_was_not_made(exstream: FakeExstream) -> None:
    tokens = OtdsTokens(OtdsOptions(url="http://127.0.0.1:1/token"), ExstreamOptions(connect_seconds=1))
    async with Exstream(exstream.options(), tokens) as client:
        with pytest.raises(TokenAway) as caught:
            await client.runtime().release_step("1")
    assert caught.value.effect is Effect.NO
    assert exstream.asked == []


async def test_an_address_that_is_none_is_refused(exstream: FakeExstream) -> None:
    tokens = OtdsTokens(OtdsOptions(url="otds.example.com/token"), exstream.options())
    with pytest.raises(TokenRefused, match="no HTTP address"):
        await tokens.token("design")
    await tokens.close()


@pytest.mark.parametrize("seconds", [None, "soon", 0, -5, "1e999", [], "600"])
async def test_a_lifetime_that_makes_no_sense_is_fifteen_minutes(exstream: FakeExstream, seconds: object) -> None:
    clock = Clock()
    exstream.at["/token"] = says({"access_token": "x", "expires_in": seconds})
    tokens = tokens_of(exstream, clock)
    await tokens.token("design")
    clock.now += 500
    await tokens.token("design")
    assert len(exstream.asked) == 1
    await tokens.close()


async def test_a_token_that_ends_in_the_middle_of_paging_costs_one_fetch_and_loses_no_job(
    exstream: FakeExstream,
) -> None:
    jobs = [{"id": str(number), "status": "complete"} for number in range(25)]

    def listed(asked: Asked) -> web.StreamResponse:
        # Each token serves two calls.
        served = [one for one in exstream.calls("/jobs") if one.token == asked.token]
        if len(served) > 2:
            return web.json_response({"status": 401, "message": "expired"}, status=401)
        at = int(asked.query["offset"][0])
        return page(jobs[at : at + 10], 25)(asked)

    exstream.at |= {"/token": counted_tokens(), "/jobs": listed}
    async with Exstream(exstream.options(), exstream.otds()) as client:
        found = [job.id async for job in client.runtime().jobs()]
    assert found == [job["id"] for job in jobs]
    assert len(exstream.calls("/token")) == 2
    assert [one.query["offset"][0] for one in exstream.calls("/jobs")] == ["0", "10", "20", "20"]


async def test_a_fresh_token_that_is_refused_ends_after_one_more_try(exstream: FakeExstream) -> None:
    exstream.at |= {"/token": counted_tokens(), "/stop": says({"status": 401, "message": "who?"}, 401)}
    async with Exstream(exstream.options(), exstream.otds()) as client:
        with pytest.raises(Unauthorized) as caught:
            await client.runtime().stop_job("7")
    assert [one.token for one in exstream.calls("/stop")] == ["token-1", "token-2"]
    assert (caught.value.temporary, caught.value.effect, caught.value.text) == (True, Effect.NO, "who?")


async def test_a_token_that_cannot_be_renewed_is_not_tried_twice(exstream: FakeExstream) -> None:
    exstream.usual = says(status=401)
    async with exstream.client() as client:
        with pytest.raises(Unauthorized):
            await client.runtime().job("7")
    assert len(exstream.asked) == 1


async def test_each_service_is_called_with_its_own_account(exstream: FakeExstream) -> None:
    exstream.at["/version"] = says({"versionString": "24.4"})
    tokens = DividedTokens(orchestration=StaticTokens("service"), design=StaticTokens("user"))
    exstream.at["/config"] = says({"baseSubscription": False, "assuredDeliveryEnabled": True})
    async with Exstream(exstream.options(), tokens) as client:
        probe = await client.probe()
    assert {(one.path, one.token) for one in exstream.asked} == {
        ("/orchestration/api/v1/version", "service"),
        ("/orchestration/api/v1/config", "service"),
        ("/design/api/v1/version", "user"),
    }
    assert (probe.orchestration.text, probe.design.service, probe.config.assured_delivery) == ("24.4", "design", True)


async def test_a_refused_token_is_forgotten_only_if_it_is_still_the_one_in_use(exstream: FakeExstream) -> None:
    exstream.at["/token"] = counted_tokens()
    tokens = exstream.otds()
    first = await tokens.token("design")
    tokens.invalidate("design", first)
    second = await tokens.token("design")
    tokens.invalidate("orchestration", first)
    assert await tokens.token("design") == second == "token-2"
    await tokens.close()


async def test_after_an_outage_everything_goes_on(exstream: FakeExstream) -> None:
    exstream.at |= {"/token": [says(status=503), says(status=503), counted_tokens()], "/jobs/7": data({"id": "7"})}
    async with Exstream(exstream.options(), exstream.otds()) as client:
        for _ in range(2):
            with pytest.raises(TokenAway):
                await client.runtime().job("7")
        assert (await client.runtime().job("7")).id == "7"
