"""Networks of large houses: an authority of their own, a proxy on the way."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from millstream.gmail import Gmail, GmailOptions, StaticTokens, errors
from millstream.gmail.errors import Effect

BOX = "a@bank.example"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
async def secure(certificate):
    """The address of a server that speaks TLS with that certificate."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"id": "r-1"})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_authority_of_the_house_is_trusted_when_named(secure, certificate) -> None:
    async with Gmail(GmailOptions(endpoint=secure, certificates=certificate), StaticTokens("t")) as gmail:
        assert (await gmail.mailbox(BOX).send_draft("r-1")).id == "r-1"


async def test_an_unknown_authority_is_not_trusted_and_nothing_is_sent(secure) -> None:
    async with Gmail(GmailOptions(endpoint=secure), StaticTokens("t")) as gmail:
        with pytest.raises(errors.ConnectionLost, match="Certificate") as caught:
            await gmail.mailbox(BOX).send_draft("r-1")
    assert caught.value.effect is Effect.NO


async def test_calls_go_through_the_proxy_that_is_named(google) -> None:
    options = GmailOptions(endpoint="http://gmail.example", proxy=google.url)
    async with Gmail(options, StaticTokens("t")) as gmail:
        await gmail.mailbox(BOX).get_draft("r-1")
    assert google.asked[0].headers["Host"] == "gmail.example"


async def test_a_proxy_that_refuses_did_not_pass_the_send_on(google) -> None:
    google.usual = lambda _asked: web.Response(status=403)
    options = GmailOptions(endpoint="https://gmail.example", proxy=google.url)
    async with Gmail(options, StaticTokens("secret-token")) as gmail:
        with pytest.raises(errors.ConnectionLost) as caught:
            await gmail.mailbox(BOX).send_draft("r-1")
    assert caught.value.effect is Effect.NO
    assert caught.value.__cause__ is None  # it would hold the request's headers
    assert "secret-token" not in str(caught.value)
