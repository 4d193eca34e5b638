import asyncio
from collections.abc import Callable

import pytest

from millstream.gmail.errors import Call, GmailError, ServerError, TokenDead
from millstream.gmail.tokens import CachedTokens, Grant, StaticTokens

BOX = "a@bank.example"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counted(CachedTokens):
    """A source whose fetches are counted and may be held back or fail."""

    def __init__(self, clock: Callable[[], float], seconds: float = 3600.0) -> None:
        super().__init__(clock=clock)
        self.seconds = seconds
        self.fetched: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Semaphore(0)
        self.failure: GmailError | None = None

    async def fetch(self, mailbox: str) -> Grant:
        self.fetched.append(mailbox)
        self.started.release()
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return Grant(f"token-{len(self.fetched)}", self.seconds)


async def test_a_token_is_fetched_once_and_renewed_before_it_expires() -> None:
    clock = Clock()
    source = Counted(clock)
    assert await source.token(BOX) == "token-1"
    clock.now += 3600 - 361
    assert await source.token(BOX) == "token-1"
    clock.now += 61
    assert await source.token(BOX) == "token-2"


async def test_a_short_lived_token_is_used_for_half_its_life_at_least() -> None:
    clock = Clock()
    source = Counted(clock, seconds=60)
    await source.token(BOX)
    clock.now += 29
    assert await source.token(BOX) == "token-1"


async def test_many_callers_of_one_mailbox_are_served_by_one_fetch() -> None:
    source = Counted(Clock())
    source.gate.clear()
    callers = [asyncio.create_task(source.token(BOX)) for _ in range(10)]
    other = asyncio.create_task(source.token("b@bank.example"))
    await source.started.acquire()
    await source.started.acquire()
    callers[0].cancel()
    source.gate.set()
    tokens = await asyncio.gather(*callers[1:], other)
    assert source.fetched == [BOX, "b@bank.example"]
    assert len(set(tokens[:-1])) == 1
    assert callers[0].cancelled()


async def test_ten_refusals_of_one_token_cost_one_fetch() -> None:
    source = Counted(Clock())
    old = await source.token(BOX)
    source.invalidate(BOX, old)
    new = await source.token(BOX)
    for _ in range(9):
        source.invalidate(BOX, old)
    assert await source.token(BOX) == new
    source.invalidate(BOX)
    assert await source.token(BOX) == "token-3"


async def test_a_renewal_that_fails_for_now_leaves_the_old_token_in_use() -> None:
    clock = Clock()
    source = Counted(clock)
    await source.token(BOX)
    clock.now += 3400
    source.failure = ServerError(Call("oauth2.token", BOX))
    assert await source.token(BOX) == "token-1"
    assert await source.token(BOX) == "token-1"
    assert len(source.fetched) == 2  # it is not asked again at every call
    clock.now += 200
    with pytest.raises(ServerError):
        await source.token(BOX)


async def test_a_dead_token_is_not_used_on() -> None:
    clock = Clock()
    source = Counted(clock)
    await source.token(BOX)
    clock.now += 3400
    source.failure = TokenDead(Call("oauth2.token", BOX))
    with pytest.raises(TokenDead):
        await source.token(BOX)


async def test_closing_ends_a_fetch_under_way() -> None:
    source = Counted(Clock())
    source.gate.clear()
    caller = asyncio.create_task(source.token(BOX))
    await source.started.acquire()
    await source.close()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_given_tokens_are_for_all_mailboxes_or_for_those_named() -> None:
    assert await StaticTokens("t").token(BOX) == "t"
    assert await StaticTokens({BOX: "u"}).token(BOX) == "u"
    with pytest.raises(TokenDead, match="no token was given"):
        await StaticTokens({}).token(BOX)


def test_a_grant_does_not_print_its_token() -> None:
    assert "secret" not in repr(Grant("secret", 1))
