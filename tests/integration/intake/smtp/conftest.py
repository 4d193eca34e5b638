"""The SMTP door on stores of the test's own, and certificates for it."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from smtp_clients import HERE, Connect, Gated, Opened, Raw

from millstream.intake.consignments import ConsignmentStore
from millstream.intake.smtp import SmtpDoor, SmtpOptions
from millstream.storage.objects import open_store


@pytest.fixture
def reception(pool, tmp_path) -> Gated:
    return Gated(ConsignmentStore(pool, patience=10), open_store(str(tmp_path / "documents")))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A key and a certificate of localhost in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def opened(reception) -> Opened:
    """A door that is open for a block: `async with opened(recipients=2) as door`."""

    @asynccontextmanager
    async def enter(**changes: Any) -> AsyncIterator[SmtpDoor]:
        options = SmtpOptions(**{"port": 0, "networks": HERE, "farewell_seconds": 5.0, **changes})
        door = SmtpDoor(options, reception)
        await door.open()
        try:
            yield door
        finally:
            await door.close()

    return enter


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """A raw connection whose greeting was read."""
    open_ones: list[Raw] = []

    async def connected(door: SmtpDoor) -> Raw:
        raw = Raw(*await asyncio.open_connection("127.0.0.1", door.port))
        open_ones.append(raw)
        assert (await raw.reply()).startswith("220 ")
        return raw

    yield connected
    for each in open_ones:
        each.writer.close()
        with suppress(ConnectionError):
            await each.writer.wait_closed()
