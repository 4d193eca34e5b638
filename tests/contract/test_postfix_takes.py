"""Our transport against Postfix, a relay that somebody else wrote."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postfix_instance import MISSING, PROGRAM, Postfix, postfix

from millstream.gmail.relay import Envelope, RelayOptions, SmtpRelay, errors
from tls import authority

pytestmark = pytest.mark.postfix

SENDER, NAME = "statements+b-token@bank.example", "customer"
TO = Envelope(SENDER, f"{NAME}@example.net")
NOBODY = Envelope(SENDER, "nobody@example.net")
RAW = b"From: statements@bank.example\r\nSubject: Hello\r\nMessage-ID: <m.1@bank.example>\r\n\r\nHello.\r\n"


@pytest.fixture(scope="session")
def installed() -> None:
    """Postfix itself; without it these tests fail and say what to do."""
    if not PROGRAM.exists() or os.geteuid() != 0:
        pytest.fail(MISSING)


@pytest.fixture
async def house(installed, free_port) -> AsyncIterator[Postfix]:
    async with postfix(
        free_port(),
        authority().issue("localhost"),
        names=(NAME,),
        message_size_limit="1000000",
        smtpd_timeout="2s",
        smtpd_hard_error_limit="4",
        # Connections of a load of tests on a small machine; the default of 50 a minute is beyond them anyway.
        smtpd_client_connection_count_limit="0",
    ) as running:
        yield running


@pytest.fixture
async def ours(house: Postfix, tmp_path: Path) -> AsyncIterator[SmtpRelay]:
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority().pem)
    options = RelayOptions(host="localhost", port=house.port, helo="bank.example", certificates=trusted, connections=4)
    async with SmtpRelay(options) as relay:
        yield relay


async def test_it_says_what_it_can_over_verified_tls(ours):
    facts = await ours.probe()
    assert facts.extensions >= {"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE", "ENHANCEDSTATUSCODES"}
    assert (facts.size, facts.tls) == (1_000_000, "TLSv1.3")


async def test_messages_arrive_whole_over_one_connection(house, ours, eventually):
    bodies = [b"\r\n.\r\n..\r\n.two\r\n", "Grüße\r\n".encode(), b"z" * 900 + b"\r\n", b"no end of line"]
    for body in bodies:
        taken = await ours.finish(await ours.open(TO, RAW + body))
        assert taken.words.startswith("250 2.0.0 Ok: queued as ")
    letters = await eventually(lambda: len(house.letters(NAME)) == 4 and house.letters(NAME), within=20.0)
    assert sorted(each.partition(b"\r\nHello.\r\n")[2].rstrip(b"\r\n") for each in letters) == sorted(
        body.rstrip(b"\r\n") for body in bodies
    )
    assert all(b"Return-Path: <statements+b-token@bank.example>" in letter for letter in letters)
    assert house.log().count(" connect from localhost") == 2  # the other was the look whether it runs
    assert "TLS connection established from" in house.log()


async def test_a_body_without_its_end_is_never_delivered(house, ours, eventually):
    ours.drop(await ours.open(TO, RAW + b"x\r\n" * 10_000))
    await eventually(lambda: "lost connection after DATA" in house.log(), within=20.0)
    await ours.finish(await ours.open(TO, RAW))
    await eventually(lambda: house.letters(NAME) and not house.queued(), within=20.0)
    assert [b"x\r\nx" in letter for letter in house.letters(NAME)] == [False]


async def test_nobody_is_refused_and_the_connection_serves_the_next(house, ours, eventually):
    with pytest.raises(errors.RecipientRefused) as refused:
        await ours.open(NOBODY, RAW)
    assert (refused.value.status, refused.value.reason) == (550, "5.1.1")
    await ours.finish(await ours.open(TO, RAW))
    await eventually(lambda: house.letters(NAME), within=20.0)
    assert house.log().count(" connect from localhost") == 2  # the other was the look whether it runs


async def test_too_many_errors_close_a_connection_and_the_next_message_goes_by_another(house, ours, eventually):
    seen = []
    for _ in range(8):
        with pytest.raises(errors.RelayError) as refused:
            await ours.open(NOBODY, RAW)
        seen.append(type(refused.value))
    assert set(seen) <= {errors.RecipientRefused, errors.RelayClosing, errors.LostBeforeDot}
    await ours.finish(await ours.open(TO, RAW))
    await eventually(lambda: house.letters(NAME), within=20.0)
    assert "too many errors" in house.log()


async def test_a_kept_connection_that_it_cuts_is_replaced(house, ours, eventually):
    await ours.finish(await ours.open(TO, RAW))
    await eventually(lambda: "timeout after" in house.log(), within=20.0)
    await ours.finish(await ours.open(TO, RAW))
    await eventually(lambda: len(house.letters(NAME)) == 2, within=20.0)


async def test_what_is_above_its_size_is_not_handed_over(house, ours):
    with pytest.raises(errors.RelayMessageTooLarge):
        await ours.open(TO, RAW + b"x" * 1_000_000)
    assert not ours.fits(1_000_001)


async def test_many_at_a_time_arrive_once_each(house, ours, eventually):
    async def one(number: int) -> None:
        await ours.finish(await ours.open(TO, RAW + b"number %d\r\n" % number))

    await asyncio.gather(*(one(number) for number in range(40)))
    letters = await eventually(lambda: len(house.letters(NAME)) >= 40 and house.letters(NAME), within=60.0)
    assert sorted(int(each.split()[-1]) for each in letters) == list(range(40))


async def test_a_certificate_of_another_name_gets_nothing(installed, free_port, tmp_path):
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority().pem)
    async with postfix(free_port(), authority().issue("elsewhere.test"), names=(NAME,)) as house:
        options = RelayOptions(host="localhost", port=house.port, helo="bank.example", certificates=trusted)
        async with SmtpRelay(options) as ours:
            with pytest.raises(errors.CertificateRefused):
                await ours.open(TO, RAW)
        assert (house.letters(NAME), house.queued(), "client=" in house.log()) == ([], 0, False)
