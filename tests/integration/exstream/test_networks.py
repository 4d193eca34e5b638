"""Bad connections: each failure reaches the caller after exactly one try, as an error of ours with the right effect."""

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from millstream.exstream import Exstream, ExstreamOptions, StaticTokens
from millstream.exstream.errors import BadRequest, ConnectionLost, Effect, ExstreamError, TimedOut, Unreadable
from tcp_server import serving

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CALLS = {
    "jobs.stop": lambda client: client.runtime().stop_job("1"),
    "inputs.batch": lambda client: client.inputs().batch("monthly", b"x" * 100_000),
    "large batch": lambda client: client.inputs().batch("monthly", b"x" * 3_000_000),
    "resources.state": lambda client: client.design().set_states(["1"], "APPROVED", "x"),
    "jobs.get": lambda client: client.runtime().job("1"),
    "file": lambda client: client.runtime().artifact("1", "a", io.BytesIO()),
}
WRITES = {"jobs.stop", "inputs.batch", "large batch", "resources.state"}


def options(url: str, **changes) -> ExstreamOptions:
    usual = {"connect_seconds": 2.0, "call_seconds": 5.0, "generate_seconds": 5.0, "domain": "statements"}
    return ExstreamOptions(orchestration_url=url, design_url=url, **{**usual, **changes})


@contextlib.asynccontextmanager
async def rude(behaviour: Behaviour) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that reads each request whole and then behaves as told; the request lines that came."""
    arrived: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = head.partition("content-length:")[2].partition("\r\n")[0]
                await reader.readexactly(int(length or 0))
                arrived.append(head.split(" ", 2)[1])
                await behaviour(reader, writer)
        writer.close()

    async with serving(serve) as port:
        yield f"http://127.0.0.1:{port}", arrived


async def close(_reader, writer) -> None:
    writer.close()


async def reset(_reader, writer) -> None:
    writer.transport.abort()


async def no_http(_reader, writer) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()
    writer.close()


async def torn(_reader, writer) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"data": ')
    await writer.drain()
    writer.transport.abort()


async def torn_chunk(_reader, writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    await writer.drain()
    writer.close()


async def endless_header(_reader, writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("behaviour", [close, reset, no_http, torn, torn_chunk, endless_header])
async def test_a_request_that_was_read_and_not_answered_arrives_once(name: str, behaviour: Behaviour) -> None:
    async with rude(behaviour) as (url, arrived), Exstream(options(url), StaticTokens("t")) as client:
        with pytest.raises(ConnectionLost) as caught:
            await CALLS[name](client)
    assert len(arrived) == 1
    assert caught.value.temporary
    assert caught.value.effect is (Effect.UNKNOWN if name in WRITES else Effect.NO)


@pytest.mark.parametrize("name", CALLS)
async def test_a_kept_connection_that_closes_on_a_request_does_not_make_it_arrive_twice(name: str) -> None:
    answers = [b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"data":{"id":"1"}}'[:-1]]

    async def once(_reader, writer) -> None:
        if not answers:
            writer.transport.abort()
            return
        writer.write(answers.pop())
        await writer.drain()

    async with rude(once) as (url, arrived), Exstream(options(url), StaticTokens("t")) as client:
        with pytest.raises(Unreadable):
            await client.runtime().job("1")
        with pytest.raises(ConnectionLost):
            await CALLS[name](client)
    assert len(arrived) == 2


@pytest.mark.parametrize("name", CALLS)
async def test_a_server_that_never_answers_is_waited_for_no_longer_than_set(name: str) -> None:
    gate = asyncio.Event()

    async def hang(_reader, _writer) -> None:
        await gate.wait()

    waits = {"call_seconds": 0.2, "generate_seconds": 0.2}
    async with rude(hang) as (url, arrived), Exstream(options(url, **waits), StaticTokens("t")) as client:
        with pytest.raises(TimedOut) as caught:
            await CALLS[name](client)
        gate.set()
    assert len(arrived) == 1
    assert caught.value.effect is (Effect.UNKNOWN if name in WRITES else Effect.NO)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("url", "changes", "kind"),
    [
        ("http://127.0.0.1:1", {}, ConnectionLost),
        ("http://exstream.invalid", {}, ConnectionLost),
        ("http://127.0.0.1:1", {"proxy": "http://127.0.0.1:1"}, ConnectionLost),
        ("exstream.example.com", {}, BadRequest),
        ("ftp://exstream.example.com", {}, BadRequest),
        ("http://127.0.0.1:99999", {}, BadRequest),
        ("http://", {}, BadRequest),
        ("", {}, BadRequest),
        ("http://exstream.example.com", {"certificates": Path("/nowhere/ca.pem")}, BadRequest),
        ("http://exstream.example.com", {"certificates": Path(__file__)}, BadRequest),
        ("http://exstream.example.com", {"proxy": "nonsense"}, BadRequest),
    ],
)
async def test_an_address_that_cannot_be_reached_did_nothing(name: str, url: str, changes: dict, kind) -> None:
    async with Exstream(options(url, **changes), StaticTokens("t")) as client:
        with pytest.raises(kind) as caught:
            await CALLS[name](client)
    assert caught.value.effect is Effect.NO


async def test_a_certificate_that_is_not_trusted_did_nothing_and_one_that_is_named_is_trusted(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"data":{"id":"1"}}')
            await writer.drain()
        writer.close()

    async with serving(serve, ssl=context) as port:
        url = f"https://localhost:{port}"
        async with Exstream(options(url), StaticTokens("t")) as client:
            with pytest.raises(ConnectionLost) as caught:
                await client.runtime().stop_job("1")
        assert caught.value.effect is Effect.NO
        async with Exstream(options(url, certificates=certificate), StaticTokens("t")) as client:
            assert (await client.runtime().job("1")).id == "1"


async def test_calls_go_by_way_of_a_proxy() -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"data":{"id":"1"}}')
        await writer.drain()
        writer.close()

    async with serving(proxy) as port:
        way = f"http://127.0.0.1:{port}"
        async with Exstream(options("http://exstream.example.com/orc", proxy=way), StaticTokens("t")) as client:
            assert (await client.runtime().job("1")).id == "1"
    assert asked[0].startswith(b"GET http://exstream.example.com/orc/api/v1/runtime/statements/jobs/1 HTTP/1.1")


async def test_a_client_that_was_closed_opens_again_and_closing_twice_is_harmless() -> None:
    client = Exstream(options("http://127.0.0.1:1"), StaticTokens("t"))
    for _ in range(2):
        with pytest.raises(ExstreamError):
            await client.version()
        await client.close()
        await client.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
