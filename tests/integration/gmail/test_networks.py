"""Networks of large houses: an authority of their own, a proxy on the way."""

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pubsub_servers import GrpcPubSub, Queue

from millstream.gmail import Gmail, GmailOptions, HintSource, StaticTokens, errors, hint_source
from millstream.gmail.errors import Effect
from tcp_server import serving

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


def hints(url: str, **changes) -> HintSource:
    return hint_source("projects/p/subscriptions/s", StaticTokens("t"), GmailOptions(pubsub_endpoint=url, **changes))


@pytest.fixture
async def secure_hints(certificate):
    """A Pub/Sub over gRPC that speaks TLS with that certificate."""
    pem = certificate.read_bytes()
    at = pem.index(b"-----BEGIN PRIVATE KEY")
    queue = Queue(wait_seconds=0)
    queue.put({"emailAddress": "inbox@bank.example", "historyId": 7})
    server = GrpcPubSub(queue, grpc.ssl_server_credentials([(pem[at:], pem[:at])]))
    await server.start()
    yield server
    await server.stop()


async def test_hints_over_grpc_trust_the_authority_of_the_house_when_named(secure_hints, certificate) -> None:
    source = hints(secure_hints.url, certificates=certificate)
    assert len(await source.pull()) == 1
    await source.close()


async def test_hints_over_grpc_trust_no_other_authority(secure_hints) -> None:
    source = hints(secure_hints.url)
    with pytest.raises(errors.HintsAway):
        await source.pull()
    await source.close()
    assert secure_hints.queue.asked == []


async def test_hints_over_grpc_go_through_the_proxy(secure_hints, certificate) -> None:
    wanted: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        wanted.append(head.split(b"\r\n")[0].decode())
        far_reader, far_writer = await asyncio.open_connection(*head.split(b" ")[1].decode().rsplit(":", 1))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)
        finally:
            far_writer.close()

    async with serving(tunnel) as port:
        source = hints(secure_hints.url, certificates=certificate, proxy=f"http://127.0.0.1:{port}")
        assert len(await source.pull()) == 1
        await source.close()
    assert [line.split()[:2] for line in wanted] == [["CONNECT", secure_hints.url.removeprefix("https://")]]
