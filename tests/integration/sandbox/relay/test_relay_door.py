"""The relay's door: STARTTLS, logins, pipelining, and what it refuses."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

USER, PASSWORD = "relay@bank.example", "mill pond 7"
CLOSED = {"open": False, "needs_tls": True, "users": {USER: PASSWORD}}
Talk = Callable[[smtplib.SMTP], Any]


async def trust(desk: Desk) -> ssl.SSLContext:
    """A client's context that trusts the relay's authority alone."""
    pem = (await desk.http("GET", "/sandbox/v1/relay/ca")).text
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    return context


async def talk(desk: Desk, work: Talk) -> Any:
    """Do something with a client of the standard library under TLS, in a thread."""
    context = await trust(desk)

    def go() -> Any:
        with smtplib.SMTP("localhost", desk.running.smtp_port, local_hostname="bank.example", timeout=10) as client:
            client.starttls(context=context)
            return work(client)

    return await asyncio.to_thread(go)


async def lines(desk: Desk, said: bytes, count: int) -> list[str]:
    """Say something in clear all at once; the next replies after the greeting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.running.smtp_port)
    writer.write(said)
    found = [(await asyncio.wait_for(reader.readline(), 5)).decode().rstrip() for _ in range(count + 1)]
    writer.close()
    return found[1:]


def send(letter: Letter, sender: str = SENDER, to: str = "anna@example.org") -> Talk:
    return lambda client: client.sendmail(sender, [to], letter(to))


@pytest.fixture
async def closed(open_desk: Open) -> Desk:
    return await open_desk(smtp_port=0, relay=CLOSED)


async def test_extensions_are_offered_as_google_offers_them(closed: Desk) -> None:
    def ask(client: smtplib.SMTP) -> dict[str, str]:
        client.ehlo()
        return client.esmtp_features

    found = await talk(closed, ask)
    assert set(found) >= {"size", "8bitmime", "pipelining", "enhancedstatuscodes", "smtputf8"}
    assert found["auth"].split()[-3:] == ["LOGIN", "PLAIN", "XOAUTH2"]
    in_clear = await lines(closed, b"EHLO bank.example\r\nQUIT\r\n", 8)
    assert "250-STARTTLS" in in_clear
    assert not [line for line in in_clear if "AUTH" in line]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_a_login_opens_the_closed_door(closed: Desk, letter: Letter, mechanism: str) -> None:
    def log_in(client: smtplib.SMTP) -> None:
        client.ehlo()
        client.esmtp_features["auth"] = mechanism
        client.login(USER, PASSWORD)
        send(letter)(client)

    await talk(closed, log_in)
    assert await closed.delivered() == 1
    used = (await closed.control("GET", "ledger"))["relay"]
    assert (used["accepted"], used["logins"], used["transactions"]) == (1, {mechanism: 1}, {"ESMTPSA": 1})


async def test_an_access_token_opens_it_as_well(closed: Desk, letter: Letter) -> None:
    def log_in(client: smtplib.SMTP, token: str, user: str) -> tuple[int, bytes]:
        client.ehlo()
        return client.auth("XOAUTH2", lambda _challenge=None: f"user={user}\1auth=Bearer {token}\1\1")

    assert (await talk(closed, lambda client: log_in(client, f"sandbox:{SENDER}", SENDER)))[0] == 235
    for token, user in (("ya29.nothing", SENDER), (f"sandbox:{COLLEAGUE}", SENDER)):
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            await talk(closed, lambda client, token=token, user=user: log_in(client, token, user))
        assert refused.value.smtp_code == 535


async def test_a_wrong_password_is_refused(closed: Desk) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        await talk(closed, lambda client: client.login(USER, "guessed"))
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (535, b"5.7.8")


async def test_who_is_nobody_may_not_relay(closed: Desk, letter: Letter) -> None:
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        await talk(closed, send(letter))
    assert (refused.value.smtp_code, refused.value.smtp_error[:42]) == (
        550, b"5.7.1 Invalid credentials for relay [127.0")  # fmt: skip
    await closed.control("POST", "relay", {"networks": ["127.0.0.0/8"]})
    await talk(closed, send(letter))
    assert await closed.delivered() == 1


async def test_without_tls_there_is_neither_mail_nor_login(closed: Desk) -> None:
    said = await lines(closed, b"HELO bank.example\r\nMAIL FROM:<a@bank.example>\r\nAUTH PLAIN AGEAYg==\r\n", 3)
    assert [line[:9] for line in said[1:]] == ["530 5.7.0", "530 5.7.0"]


@pytest.mark.parametrize(
    ("senders", "sender", "code"),
    [
        ("registered", SENDER, 250),
        ("registered", "statements+b-x@bank.example", 250),
        ("registered", "nobody@bank.example", 553),
        ("domain", "nobody@bank.example", 250),
        ("domain", "anna@example.org", 553),
        ("any", "anna@example.org", 250),
    ],
)
async def test_senders_are_those_that_are_allowed(open_desk: Open, senders: str, sender: str, code: int) -> None:
    desk = await open_desk(smtp_port=0, relay=CLOSED | {"networks": ["127.0.0.1"], "senders": senders})
    assert (await talk(desk, lambda client: (client.ehlo(), client.mail(sender))[1]))[0] == code


async def test_a_name_of_no_domain_of_ours_is_answered_421(closed: Desk) -> None:
    await closed.control("POST", "relay", {"strict_helo": True})
    assert (await lines(closed, b"EHLO localhost\r\n", 1))[0].startswith("421 4.7.0 Try again later, closing")
    assert (await lines(closed, b"EHLO mta.bank.example\r\n", 1))[0].startswith("250-")


async def test_commands_may_come_together_and_their_replies_do_too(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(smtp_port=0)
    group = b"EHLO a.example\r\nMAIL FROM:<%b> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n"
    said = await lines(desk, group % SENDER.encode() + letter() + b"..\r\n.\r\nQUIT\r\n", 12)
    assert [line[:3] for line in said[-5:]] == ["250", "250", "354", "250", "221"]
    used = (await desk.control("GET", "relay"))["used"]
    assert (used["accepted"], used["greatest_group"] > 3) == (1, True)
    [found] = await desk.inbox("anna@example.org")
    raw = await desk.http("GET", f"/sandbox/v1/mailboxes/anna@example.org/messages/{found['id']}/raw")
    assert raw.body.endswith(b"The body.\r\n.\r\n")


async def test_what_was_said_before_tls_does_not_count_after_it(open_desk: Open) -> None:
    desk = await open_desk(smtp_port=0)
    context = await trust(desk)

    def inject() -> bytes:
        with smtplib.SMTP("localhost", desk.running.smtp_port, timeout=10) as client:
            client.ehlo()
            client.sock.sendall(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
            assert client.getreply()[0] == 220
            with context.wrap_socket(client.sock, server_hostname="localhost") as secure:
                secure.sendall(b"EHLO a.example\r\nRCPT TO:<anna@example.org>\r\nQUIT\r\n")
                said = b""
                while piece := secure.recv(4096):
                    said += piece
                return said

    assert b"\r\n503 5.5.1 MAIL first" in await asyncio.to_thread(inject)


@pytest.mark.parametrize("certificate", ["expired", "other_name", "unknown_ca"])
async def test_a_certificate_may_be_bad(closed: Desk, certificate: str) -> None:
    await closed.control("POST", "relay", {"certificate": certificate})
    with pytest.raises(ssl.SSLCertVerificationError):
        await talk(closed, lambda client: client.ehlo())
    await closed.control("POST", "relay", {"certificate": "good"})
    assert (await talk(closed, lambda client: client.ehlo()))[0] == 250


async def test_starttls_may_be_stripped(closed: Desk) -> None:
    await closed.control("POST", "relay", {"stripped": True})
    said = await lines(closed, b"EHLO a.example\r\nSTARTTLS\r\n", 7)
    assert not [line for line in said if "STARTTLS" in line]
    assert said[-1].startswith("502 5.5.1")


async def test_tls_from_the_first_byte_has_its_own_port_and_the_authority_a_file(
    open_desk: Open, letter: Letter, tmp_path
) -> None:
    desk = await open_desk(smtp_port=0, smtp_tls_port=0, smtp_ca_file=tmp_path / "ca.pem")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")

    def go() -> None:
        with smtplib.SMTP_SSL("localhost", desk.running.smtp_tls_port, context=context, timeout=10) as client:
            send(letter)(client)

    await asyncio.to_thread(go)
    assert await desk.delivered() == 1


async def test_a_message_above_size_is_refused_before_and_after_it_came(open_desk: Open) -> None:
    desk = await open_desk(smtp_port=0, limit_overrides={"max_upload_bytes": "1_000"})
    start = b"EHLO a.example\r\nMAIL FROM:<%b>%b\r\n"
    assert (await lines(desk, start % (SENDER.encode(), b" SIZE=1001"), 8))[-1].startswith("552 5.3.4")
    rest = b"RCPT TO:<anna@example.org>\r\nDATA\r\n" + b"x" * 1_001 + b"\r\n.\r\nNOOP\r\n"
    said = await lines(desk, start % (SENDER.encode(), b"") + rest, 12)
    assert [line[:9] for line in said[-2:]] == ["552 5.3.4", "250 2.0.0"]
    assert await desk.delivered() == 0
