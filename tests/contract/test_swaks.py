"""The SMTP door as swaks sees it, a client that is not Python's: TLS, both logins, pipelining, attachments."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from millstream.intake.consignments import ConsignmentStore
from millstream.intake.reception import Reception
from millstream.intake.smtp import SmtpDoor, SmtpOptions
from millstream.intake.smtp.messages import record_of
from millstream.storage.objects import DocumentStore, open_store

pytestmark = pytest.mark.swaks

SENDER, GUEST = "exstream@bank.example", "customer@example.com"
Swaks = Callable[..., Awaitable[tuple[int | None, str]]]


@pytest.fixture(scope="session")
def program() -> str:
    """Swaks itself; without it these tests fail and say what to do."""
    path = shutil.which("swaks")
    if path is None:
        pytest.fail("swaks is not installed. Run `make mail-deps`, or leave these tests out: -m 'not swaks'.")
    return path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A key and a certificate of localhost in one file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def documents(tmp_path) -> DocumentStore:
    return open_store(str(tmp_path / "documents"))


@pytest.fixture
async def door(pool, documents, certificate) -> AsyncIterator[SmtpDoor]:
    """A door that lets in who logs in, and nobody else."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    options = SmtpOptions(port=0, tls=context, users={"exstream": PASSWORD}, most_bytes=1_000_000, recipients=3)
    door = SmtpDoor(options, Reception(ConsignmentStore(pool, patience=10), documents))
    await door.open()
    yield door
    await door.close()


@pytest.fixture
def swaks(program, door) -> Swaks:
    """Call it: `await swaks("--tls")`; answers its exit code and the whole conversation."""

    async def called(*arguments: str) -> tuple[int | None, str]:
        usual = ("--server", "127.0.0.1", "--port", str(door.port), "--from", SENDER, "--helo", "client.example")
        child = await asyncio.create_subprocess_exec(
            program, *usual, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await asyncio.wait_for(child.communicate(), 60)
        return child.returncode, said.decode("utf-8", "replace")

    return called


PASSWORD = "mill pond 7"


def logged_in(method: str = "PLAIN", password: str = PASSWORD) -> tuple[str, ...]:
    return ("--tls", "--auth", method, "--auth-user", "exstream", "--auth-password", password)


async def rows(pool) -> list[dict[str, Any]]:
    store = ConsignmentStore(pool)
    return [await store.find(row["id"]) for row in reversed(await store.newest())]


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("more", [(), ("--pipeline",)])
async def test_a_message_with_an_attachment_comes_in(swaks, pool, documents, tmp_path, method, more) -> None:
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 2000)
    code, said = await swaks(
        *logged_in(method), *more, "--to", GUEST, "--header", "Subject: Your statement", "--body", ".one\n..two\n",
        "--header", "X-Exstream-Customer: C-17", "--attach-type", "application/pdf",
        "--attach-name", "letter.pdf", "--attach", f"@{tmp_path / 'letter.pdf'}",
    )  # fmt: skip
    assert code == 0, said
    assert "250 2.0.0 OK: consignment" in said
    [row] = await rows(pool)
    content = await documents.get(row["place"].removeprefix("sha256:"), check=True)
    record = record_of(content, row["facts"])
    assert (record["subject"], record["customer"]["id"]) == ("Your statement", "C-17")
    assert record["text"].splitlines()[:2] == [".one", "..two"]
    assert [each["name"] for each in record["documents"]] == ["letter.pdf"]


async def test_several_recipients_each_have_a_consignment(swaks, pool) -> None:
    code, said = await swaks(*logged_in(), "--to", "a@example.com,b@example.com,c@example.com")
    assert code == 0, said
    assert sorted(row["facts"]["recipient"] for row in await rows(pool)) == [
        "a@example.com", "b@example.com", "c@example.com"]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reply"),
    [
        (("--to", GUEST), "530 5.7.0"),
        (("--to", GUEST, "--auth", "PLAIN", "--auth-user", "exstream", "--auth-password", "x"), "not advertise"),
        ((*logged_in(password="wrong"), "--to", GUEST), "535 5.7.8"),
        ((*logged_in("LOGIN", "wrong"), "--to", GUEST), "535 5.7.8"),
        ((*logged_in(), "--to", "a@localhost"), "553 5.1.3"),
        ((*logged_in(), "--to", GUEST, "--data", "@large"), "552 5.3.4"),
        ((*logged_in(), "--to", GUEST, "--data", "@far-too-large"), "552 5.3.4"),
    ],
)
async def test_what_may_not_come_in_is_refused(swaks, pool, tmp_path, arguments, reply) -> None:
    for name, count in (("large", 20_000), ("far-too-large", 60_000)):
        (tmp_path / name).write_text("Subject: large\n\n" + ("y" * 70 + "\n") * count, encoding="ascii")
    code, said = await swaks(*(each.replace("@", f"@{tmp_path}/") if each[0] == "@" else each for each in arguments))
    assert code != 0
    assert reply in said
    assert await rows(pool) == []


async def test_a_client_that_drops_in_the_middle_of_data_leaves_nothing(swaks, pool) -> None:
    code, said = await swaks(*logged_in(), "--to", GUEST, "--drop-after-send", "DATA")
    assert code == 0, said
    assert await rows(pool) == []
