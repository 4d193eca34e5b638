"""How a session comes about, and all that keeps one from it: nothing is ever said in clear, or to a stranger."""

import asyncio
from pathlib import Path

import pytest
from little_relay import Conversation, LittleRelay, hang_up, little_relay, reset, say_nothing

from millstream.gmail import errors as gmail_errors
from millstream.gmail.errors import Call, Effect
from millstream.gmail.relay import Envelope, Login, SmtpRelay, errors
from tcp_server import serving
from tls import authority, new_authority

TO = Envelope("statements@bank.example", "customer@example.net")
RAW = b"Subject: Hello\r\n\r\nHello.\r\n"
MAIL_AND_LOGIN = {"MAIL", "RCPT", "DATA", "AUTH"}


async def refused(ours: SmtpRelay) -> errors.RelayError:
    """What `open` says; it never leaves a doubt."""
    with pytest.raises(errors.RelayError) as found:
        await ours.open(TO, RAW)
    assert found.value.effect is Effect.NO
    return found.value


def login() -> Login:
    return Login("statements@bank.example", password="secret-app-password")


async def test_without_starttls_no_mail_and_no_login_is_said(relay, client):
    relay.clear_offers = ("PIPELINING", "AUTH PLAIN LOGIN")
    error = await refused(client(relay, login=login()))
    assert type(error) is errors.TlsMissing
    assert "AUTH, PIPELINING" in str(error)
    assert set(relay.verbs()) == {"EHLO"}


@pytest.mark.parametrize("words", [b"454 4.7.0 TLS not available due to temporary reason\r\n", b"502 what?\r\n"])
async def test_a_refused_starttls_ends_it(relay, client, words):
    relay.script["STARTTLS"].append(words)
    assert type(await refused(client(relay, login=login()))) is errors.TlsMissing
    assert MAIL_AND_LOGIN.isdisjoint(relay.verbs())


CERTIFICATES = {
    "expired": lambda: authority().issue("localhost", days=-1),
    "another name's": lambda: authority().issue("relay.attacker.test"),
    "an unknown authority's": lambda: new_authority().issue("localhost"),
}


@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "implicit TLS"])
@pytest.mark.parametrize("which", CERTIFICATES)
async def test_with_a_bad_certificate_no_mail_and_no_login_is_said(tmp_path, client, which, implicit):
    async with little_relay(tmp_path, pem=CERTIFICATES[which](), implicit=implicit) as relay:
        error = await refused(client(relay, login=login()))
        assert type(error) is errors.CertificateRefused
        assert (error.temporary, relay.messages) == (False, [])
        assert MAIL_AND_LOGIN.isdisjoint(relay.verbs())
        assert relay.in_tls == []


async def test_the_systems_authorities_alone_do_not_know_a_relay_of_our_own(relay, client):
    assert type(await refused(client(relay, certificates=None))) is errors.CertificateRefused
    assert relay.in_tls == []


@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_authorities_that_cannot_be_read_are_named(relay, client, tmp_path, content):
    place = tmp_path / "others.pem"
    if content is not None:
        place.write_bytes(content)
    error = await refused(client(relay, certificates=place))
    assert type(error) is errors.CertificateRefused
    assert (str(place) in str(error), relay.connections) == (True, 0)


async def test_implicit_tls_is_tls_from_the_first_byte(tmp_path, client, send):
    async with little_relay(tmp_path, implicit=True) as relay:
        await send(client(relay))
        assert (len(relay.messages), relay.in_clear) == (1, [])


async def test_what_is_slipped_in_behind_the_220_in_clear_is_not_heard(relay, client, send):
    # What somebody on the way could say before TLS begins: RFC 3207, section 6, and CVE-2011-0411.
    relay.script["STARTTLS"].append(b"220 go on\r\n250-relay.test\r\n250-AUTH PLAIN\r\n250 SIZE 1\r\n")
    ours = client(relay)
    await send(ours)
    assert (len(relay.messages), ours.fits(1000)) == (1, True)


async def test_what_was_offered_in_clear_counts_for_nothing_in_tls(relay, client):
    relay.clear_offers = ("STARTTLS", "AUTH PLAIN")
    error = await refused(client(relay, login=login()))
    assert type(error) is errors.LoginRefused
    assert "AUTH" not in relay.verbs()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (b"421 4.3.2 too busy\r\n", errors.RelayAway),
        (b"554 5.3.0 go away\r\n", errors.RelayAway),
        (b"421 4.7.28 unusual rate of mail from your address\r\n", errors.RelayRateLimited),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", errors.RelayAway),
        (b"x" * 100_000 + b"\r\n", errors.RelayAway),
        (reset, errors.RelayAway),
        (hang_up, errors.RelayAway),
        (say_nothing, errors.RelayAway),
    ],
)
async def test_a_bad_greeting_is_no_session(relay, client, words, kind):
    relay.script["greeting"].append(words)
    assert type(await refused(client(relay, connect_seconds=0.3))) is kind


@pytest.mark.parametrize("number", [0, 1], ids=["in clear", "in TLS"])
@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (b"421 4.7.0 Try again later, closing connection. (EHLO)\r\n", errors.GreetingRefused),
        (b"501 5.5.4 Invalid domain name\r\n", errors.GreetingRefused),
        (b"421 4.3.2 shutting down\r\n", errors.RelayAway),
        (b"550 5.7.1 no\r\n", errors.RelayAway),
        (b"\xff\x00 what?\r\n", errors.RelayAway),
        (reset, errors.RelayAway),
        (say_nothing, errors.RelayAway),
    ],
)
async def test_a_name_that_is_not_taken_is_no_session(relay, client, number, words, kind):
    usual = b"250-relay.test\r\n250 STARTTLS\r\n"
    relay.script["EHLO"] += [*[usual] * number, words]
    assert type(await refused(client(relay, connect_seconds=0.3))) is kind
    assert "MAIL" not in relay.verbs()


async def test_a_name_that_cannot_be_said_says_so(relay, client):
    assert type(await refused(client(relay, helo="bänk.example"))) is errors.GreetingRefused
    assert type(await refused(client(relay, helo="bank.example\r\nMAIL"))) is errors.GreetingRefused


async def test_nobody_listening_is_a_relay_that_is_away(relay, client, free_port):
    error = await refused(client(relay, port=free_port()))
    assert (type(error), error.temporary) == (errors.RelayAway, True)
    assert type(await refused(client(relay, host="nowhere.invalid"))) is errors.RelayAway


async def test_a_handshake_that_never_ends_is_given_up(tmp_path, client):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-relay.test\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go on\r\n")
        await reader.read()

    async with serving(serve) as port, little_relay(tmp_path) as relay:
        error = await refused(client(relay, port=port, connect_seconds=0.3))
    assert type(error) is errors.RelayAway


LOGINS = {
    "PLAIN": ("AUTH LOGIN PLAIN", ["AUTH PLAIN AHN0YXRlbWVudHNAYmFuay5leGFtcGxlAHNlY3JldC1hcHAtcGFzc3dvcmQ="]),
    "LOGIN": ("AUTH LOGIN", ["AUTH LOGIN c3RhdGVtZW50c0BiYW5rLmV4YW1wbGU=", "c2VjcmV0LWFwcC1wYXNzd29yZA=="]),
}


@pytest.mark.parametrize("method", LOGINS)
async def test_a_password_logs_in_within_tls(relay, client, send, method):
    offer, said = LOGINS[method]
    relay.offers = (*relay.offers, offer)
    if method == "LOGIN":
        relay.script["AUTH"].append(b"334 UGFzc3dvcmQ6\r\n")
        relay.script["C2VJCMV0LWFWCC1WYXNZD29YZA=="].append(b"235 2.7.0 welcome\r\n")
    await send(client(relay, login=login()))
    assert relay.in_tls[1 : 1 + len(said)] == said
    assert len(relay.messages) == 1


async def test_a_token_logs_in_by_xoauth2(relay, client, send):
    relay.offers = (*relay.offers, "AUTH XOAUTH2")

    async def token() -> str:
        return "ya29.token"

    await send(client(relay, login=Login("statements@bank.example", token=token)))
    assert relay.in_tls[1] == ("AUTH XOAUTH2 dXNlcj1zdGF0ZW1lbnRzQGJhbmsuZXhhbXBsZQFhdXRoPUJlYXJlciB5YTI5LnRva2VuAQE=")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (b"535 5.7.8 Username and Password not accepted\r\n", errors.LoginRefused),
        (b"534-5.7.9 Application-specific password required.\r\n534 5.7.9 x\r\n", errors.LoginRefused),
        (b"454 4.7.0 Cannot authenticate due to a temporary system problem\r\n", errors.LoginAway),
        (b"421 4.7.0 Too many login attempts\r\n", errors.LoginAway),
        (b"250 of course\r\n", errors.RelayAway),
        (reset, errors.RelayAway),
    ],
)
async def test_a_refused_login_says_so_without_its_secret(relay, client, words, kind):
    relay.offers = (*relay.offers, "AUTH PLAIN")
    relay.script["AUTH"].append(words)
    error = await refused(client(relay, login=login()))
    assert type(error) is kind
    assert "secret" not in f"{error}{error!r}"
    assert "MAIL" not in relay.verbs()


async def test_a_login_that_is_not_offered_is_not_tried(relay, client):
    relay.offers = (*relay.offers, "AUTH CRAM-MD5")
    error = await refused(client(relay, login=login()))
    assert (type(error), "CRAM-MD5" in str(error)) == (errors.LoginRefused, True)
    assert "AUTH" not in relay.verbs()


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(gmail_errors.TokenDead, errors.LoginRefused), (gmail_errors.ConnectionLost, errors.LoginAway)],
)
async def test_a_token_that_cannot_be_had_is_a_matter_of_the_login(relay, client, trouble, kind):
    relay.offers = (*relay.offers, "AUTH XOAUTH2")

    async def token() -> str:
        raise trouble(Call("token", "statements@bank.example"))

    error = await refused(client(relay, login=Login("statements@bank.example", token=token)))
    assert (type(error), "AUTH" in relay.verbs()) == (kind, False)


async def test_whoever_is_cancelled_while_a_session_is_made_leaves_nothing_behind(
    relay: LittleRelay, client, together, eventually
):
    met = asyncio.Event()

    async def wait(talk: Conversation) -> None:
        met.set()
        await talk.gone()

    relay.script["EHLO"] += [b"250-relay.test\r\n250 STARTTLS\r\n", wait]
    opening = asyncio.create_task(client(relay).open(TO, RAW))
    await met.wait()
    opening.cancel()
    assert isinstance((await together(opening))[0], asyncio.CancelledError)
    await eventually(lambda: relay.open_now == 0)


async def test_a_probe_tells_what_the_relay_says_of_itself_and_leaves(relay, client, eventually):
    ours = client(relay)
    facts = await ours.probe()
    assert facts.extensions >= {"PIPELINING", "8BITMIME", "SIZE", "SMTPUTF8"}
    assert (facts.size, facts.tls, facts.banner) == (35_651_584, "TLSv1.3", "relay.test at your service")
    assert facts.certificate_until.tzinfo is not None
    await eventually(lambda: relay.open_now == 0)
    assert relay.in_tls == ["EHLO bank.example", "QUIT"]


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE many", "SIZE " + "9" * 400])
async def test_a_size_that_says_nothing_limits_nothing(relay, client, size):
    relay.offers = (size,)
    ours = client(relay)
    await ours.probe()
    assert ours.fits(36_000_000)


def test_the_options_tell_no_secret(tmp_path: Path):
    assert "secret" not in repr(login())
