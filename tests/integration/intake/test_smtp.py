"""The SMTP door through the standard library's client and through raw bytes: what is promised is durable."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from millstream.intake.consignment import Accepted, Offer
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.errors import DocumentsFailed, LedgerFailed, SpoolFull
from millstream.intake.smtp import MailMap, SmtpDoor, SmtpOptions
from millstream.storage.errors import StoreFull
from millstream.storage.objects import open_store

HERE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SENDER = "exstream@bank.example"
GUEST = "customer@example.com"
_CLIENTS = ThreadPoolExecutor(32)
"""Of their own: the loop's threads are the door's, which waits for the disk in them."""


class Reception:
    """Keeps content and row, and can be told to fail or to wait."""

    def __init__(self, store: ConsignmentStore, documents: Any) -> None:
        self.store = store
        self.documents = documents
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()

    async def receive(self, offer: Offer, content: bytes | None = None) -> Accepted:
        self.reached.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        if content is not None:
            stored = await self.documents.put(content)
            await self.documents.flush()
            assert offer.place == f"sha256:{stored.sha256}"
        return (await self.store.receive([offer]))[0]

    async def settled(self, number: int, *, within: float) -> Accepted:  # noqa: ARG002  the protocol's
        return await self.store.standing(number)


@pytest.fixture
def reception(pool, tmp_path) -> Reception:
    return Reception(ConsignmentStore(pool, patience=10), open_store(str(tmp_path / "documents")))


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


Opened = Callable[..., Any]


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


def message(number: int = 1, **headers: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = f"Exstream <{SENDER}>"
    letter["To"] = GUEST
    letter["Subject"] = f"Statement {number}"
    letter["Message-ID"] = f"<{number}@exstream.example>"
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content("It is attached.\n")
    letter.add_attachment(b"%PDF-1.7 " + b"x" * 1000, maintype="application", subtype="pdf", filename="a.pdf")
    letter.set_boundary("edge")
    return letter


async def sent(door: SmtpDoor, *letters: EmailMessage, to: tuple[str, ...] = (GUEST,), sender: str = SENDER) -> Any:
    """Send by smtplib; answers what it answers."""

    def send() -> Any:
        with smtplib.SMTP("127.0.0.1", door.port, timeout=20) as client:
            return [client.send_message(letter, sender, list(to)) for letter in letters]

    return await asyncio.get_running_loop().run_in_executor(_CLIENTS, send)


class Raw:
    """A client that says what a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        """One reply; of several lines the last."""
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            if line[3:4] != "-":
                return line.strip()

    async def say(self, line: str) -> str:
        self.writer.write(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return await self.reply()

    async def begin(self, *recipients: str, mail: str = f"MAIL FROM:<{SENDER}>") -> str:
        """Up to DATA's answer."""
        await self.say("EHLO client.example")
        await self.say(mail)
        for each in recipients or (GUEST,):
            await self.say(f"RCPT TO:<{each}>")
        return await self.say("DATA")


Connect = Callable[[SmtpDoor], Awaitable[Raw]]


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


async def rows(reception: Reception) -> list[dict[str, Any]]:
    return [await reception.store.find(row["id"]) for row in reversed(await reception.store.newest(most=500))]


async def test_a_message_is_a_consignment_and_a_document_before_250(opened, reception) -> None:
    async with opened() as door:
        assert await sent(door, message()) == [{}]
    [row] = await rows(reception)
    assert (row["door"], row["kind"], row["state"]) == ("smtp", "message", "received")
    kept = await reception.documents.get(row["place"].removeprefix("sha256:"), check=True)
    assert b"Subject: Statement 1\r\n" in kept
    assert row["size"] == len(kept)


async def test_a_message_sent_again_is_the_same_consignment(opened, reception) -> None:
    async with opened() as door:
        same = message()
        await sent(door, same, same)
        await sent(door, same)
        await sent(door, message(2))
    assert len(await rows(reception)) == 2


async def test_the_same_message_id_with_other_content_is_another_consignment(opened, reception) -> None:
    other = message()
    other.replace_header("Subject", "A corrected statement")
    async with opened() as door:
        await sent(door, message(), other)
    assert len(await rows(reception)) == 2


async def test_each_envelope_recipient_gets_a_consignment_whatever_the_header_says(opened, reception) -> None:
    async with opened() as door:
        await sent(door, message(), to=("a@example.com", "b@example.com", "a@EXAMPLE.com"))
    found = await rows(reception)
    assert sorted(row["facts"]["recipient"] for row in found) == ["a@example.com", "b@example.com"]
    assert len({row["place"] for row in found}) == 1


async def test_headers_name_stream_customer_and_type(opened, reception) -> None:
    named = message(
        X_Exstream_Campaign="Autumn 2026", X_Exstream_Customer="Müller/7", X_Exstream_Document="kredit karte"
    )
    async with opened() as door:
        await sent(door, named)
    [row] = await rows(reception)
    facts = row["facts"]
    assert (facts["stream"], facts["customer"], facts["type"]) == ("Autumn-2026", "Müller/7", "kredit-karte")
    assert row["run_key"] == f"smtp/Autumn-2026/{datetime.now(UTC):%Y-%m-%d}"


async def test_the_envelope_names_the_customer_where_that_is_wanted(opened, reception) -> None:
    async with opened(map=MailMap(plus_as_customer=True, run="{sender}/{type}", type="notice")) as door:
        await sent(door, message(), to=("name+C17@example.com",))
    [row] = await rows(reception)
    assert (row["facts"]["customer"], row["facts"]["recipient"]) == ("C17", "name@example.com")
    assert row["run_key"] == f"{SENDER}/notice"


async def test_a_login_is_taken_under_tls_alone(opened, reception, tls) -> None:
    def client(port: int) -> tuple[int, bytes]:
        with smtplib.SMTP("localhost", port, timeout=20) as smtp:
            smtp.ehlo()
            assert not smtp.has_extn("auth")
            bare = smtp.docmd("AUTH", "PLAIN AGV4AHB3")
            with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                smtp.sendmail(SENDER, [GUEST], message().as_bytes())
            assert refused.value.smtp_code == 530
            smtp.starttls(context=_trusting())
            smtp.login("ex", "password")
            smtp.send_message(message(), SENDER, [GUEST])
            return bare

    async with opened(tls=tls, users={"ex": "password"}, networks=()) as door:
        assert (await asyncio.to_thread(client, door.port))[0] == 538
    [row] = await rows(reception)
    assert row["facts"]["client"] == "ex"


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
async def test_both_ways_to_log_in_refuse_a_wrong_password_and_hang_up_on_guessing(opened, tls, method) -> None:
    def client(port: int) -> list[int]:
        with smtplib.SMTP("localhost", port, timeout=20) as smtp:
            smtp.starttls(context=_trusting())
            smtp.ehlo()
            smtp.user, smtp.password = "ex", "wrong"
            codes = []
            for _ in range(3):
                with suppress(smtplib.SMTPAuthenticationError) as _nothing:
                    codes.append(_code(smtp, method))
            with pytest.raises(smtplib.SMTPServerDisconnected):
                smtp.noop()
            return codes

    async with opened(tls=tls, users={"ex": "right"}) as door:
        assert await asyncio.to_thread(client, door.port) == [535, 535, 421]


def _code(smtp: smtplib.SMTP, method: str) -> int:
    try:
        return smtp.auth(method.removeprefix("auth_").upper(), getattr(smtp, method))[0]
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code


async def test_tls_can_be_required(opened, tls, connect) -> None:
    async with opened(tls=tls, tls_required=True) as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        assert await raw.say(f"MAIL FROM:<{SENDER}>") == "530 5.7.0 Must issue a STARTTLS command first"


async def test_what_was_said_before_tls_does_not_count_under_tls(opened, tls, connect, reception) -> None:
    async with opened(tls=tls) as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        raw.writer.write(b"STARTTLS\r\nRSET\r\nMAIL FROM:<injected@bank.example>\r\n")
        assert await raw.reply() == "220 2.0.0 Ready to start TLS"
        await raw.writer.start_tls(_trusting(), server_hostname="localhost")
        assert (await raw.say(f"MAIL FROM:<{SENDER}>")).startswith("503")  # a new EHLO is asked for
        assert (await raw.begin()).startswith("354")
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
        assert (await raw.say("STARTTLS")).startswith("503")
    [row] = await rows(reception)
    assert row["facts"]["sender"] == SENDER


async def test_a_client_that_speaks_no_tls_after_asking_for_it_leaves_the_door_well(opened, tls, connect) -> None:
    async with opened(tls=tls) as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        await raw.say("STARTTLS")
        raw.writer.write(b"this is no handshake\r\n" * 10)
        with suppress(ConnectionError):
            await asyncio.wait_for(raw.reader.read(), 10)
        assert await sent(door, message()) == [{}]


@pytest.mark.parametrize(
    ("changes", "talk", "code"),
    [
        ({"most_bytes": 1000}, ["EHLO c", f"MAIL FROM:<{SENDER}> SIZE=1001"], "552 5.3.4"),
        ({"recipients": 1}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<a@b.example>", "RCPT TO:<c@b.example>"],
         "452 4.5.3"),
        ({"senders": ("*@bank.example",)}, ["EHLO c", "MAIL FROM:<a@other.example>"], "550 5.7.1"),
        ({"networks": ()}, ["EHLO c", "MAIL FROM:<a@b.example>"], "550 5.7.1"),
        ({"networks": (ip_network("192.0.2.0/24"),)}, ["EHLO c", "MAIL FROM:<a@b.example>"], "550 5.7.1"),
        ({}, ["MAIL FROM:<a@b.example>"], "503"),
        ({}, ["EHLO c", "RCPT TO:<a@b.example>"], "503 5.5.1"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"], "503 5.5.1"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "DATA"], "503 5.5.1"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<no address>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<a@b@c>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<a@localhost>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example> SMTPUTF8", "RCPT TO:<jürgen@example.com>"], "553 5.6.7"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<\udcff\udcfe@example.com>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<\udcff@example.com>"], "553 5.1.7"),
        ({}, ["EHLO c", "AUTH PLAIN AGEAYg=="], "538"),
        ({}, ["EHLO c", "STARTTLS"], "454 4.7.0"),
        ({}, ["EHLO c", "WIZ"], "500"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example> FOO=bar"], "555"),
        ({"errors_per_connection": 2}, ["EHLO c", "WIZ", "WIZ", "WIZ"], "421 4.7.0"),
        ({"replies_without_message": 3, "recipients": 1}, ["EHLO c", *["NOOP"] * 20], "421 4.7.0"),
    ],
)  # fmt: skip
async def test_what_is_over_a_limit_or_wrong_gets_its_code(opened, connect, reception, changes, talk, code) -> None:
    async with opened(**changes) as door:
        raw = await connect(door)
        reply = ""
        for line in talk:
            reply = await raw.say(line)
            if reply.startswith("421"):
                break
        assert reply.startswith(code)
    assert await rows(reception) == []


async def test_an_international_domain_is_taken(opened, reception) -> None:
    async with opened() as door:
        await sent(door, message(), to=("kunde@xn--bcher-kva.example",))
    assert len(await rows(reception)) == 1


async def test_a_message_that_is_too_large_is_refused_and_the_next_one_taken(opened, connect, reception) -> None:
    async with opened(most_bytes=100_000) as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write((b"x" * 78 + b"\r\n") * 1800 + b".\r\n")
        assert await raw.reply() == "552 5.3.4 The message is larger than we take"
        await raw.begin()
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
        assert door.held == 0
    assert len(await rows(reception)) == 1


async def test_who_sends_without_end_is_hung_up_on(opened, connect, reception) -> None:
    async with opened(most_bytes=100_000) as door:
        raw = await connect(door)
        await raw.begin()
        with suppress(ConnectionError):
            for _ in range(1000):
                raw.writer.write(b"x" * 10_000)
                await raw.writer.drain()
        with suppress(ConnectionError):
            assert (await raw.reply()).startswith(("421 4.3.4", ""))
        assert await sent(door, message()) == [{}]
        assert door.held == 0


async def test_a_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(opened, connect) -> None:
    async with opened(most_bytes=1000) as door:
        raw = await connect(door)
        for size, code in ((1000, "250"), (1001, "552")):
            await raw.begin()
            head = "Subject: x\r\n\r\n"
            assert (await raw.say(head + "y" * (size - len(head) - 2) + "\r\n.")).startswith(code)


async def test_a_client_that_leaves_in_the_middle_of_data_leaves_nothing(
    opened, connect, reception, eventually
) -> None:
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(b"Subject: half\r\n\r\n" + b"x" * 300_000)
        await eventually(lambda: door.held > 200_000)
        raw.writer.transport.abort()
        await eventually(lambda: door.held == 0)
        assert await sent(door, message()) == [{}]
    assert len(await rows(reception)) == 1


async def test_a_client_that_leaves_before_its_250_has_its_message_kept_once(
    opened, connect, reception, eventually
) -> None:
    reception.gate.clear()
    whole = message().as_bytes()
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(whole.replace(b"\n", b"\r\n") + b"\r\n.\r\n")
        await reception.reached.wait()
        raw.writer.transport.abort()
        await eventually(lambda: door.held == 0)
        reception.gate.set()
        await eventually(lambda: rows(reception))
        again = await connect(door)
        await again.begin()
        again.writer.write(whole.replace(b"\n", b"\r\n") + b"\r\n.\r\n")
        assert (await again.reply()).endswith("which came in before")
    assert len(await rows(reception)) == 1


async def test_a_client_that_drips_is_hung_up_on(opened, connect) -> None:
    async with opened(slow_for_seconds=0.0, slowest_bytes_per_second=1e9) as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(b"S")
        assert (await raw.reply()).startswith("421 4.4.2")
        assert await raw.reader.read() == b""


async def test_a_client_that_says_nothing_is_hung_up_on(opened, connect) -> None:
    async with opened(idle_seconds=0.2) as door:
        raw = await connect(door)
        assert (await raw.reply()).startswith("421 4.4.2")
        assert await raw.reader.read() == b""
        raw = await connect(door)
        await raw.begin()
        assert (await raw.reply()).startswith("421 4.4.2")


async def test_there_is_room_for_so_many_connections_in_all_and_from_one_address(opened, connect, eventually) -> None:
    for limits in ({"connections": 2}, {"connections_per_address": 2}):
        async with opened(**limits) as door:
            kept = [await connect(door), await connect(door)]
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            assert (await reader.readline()).startswith(b"421 4.7.0")
            assert await reader.read() == b""
            writer.close()
            assert await kept[0].say("QUIT") == "221 Bye"

            async def let_in(door: SmtpDoor = door) -> bool:
                reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
                greeting = await reader.readline()
                writer.close()
                return greeting.startswith(b"220")

            assert await eventually(let_in)


async def test_a_connection_has_so_many_messages(opened, connect) -> None:
    async with opened(messages_per_connection=2) as door:
        raw = await connect(door)
        for _ in range(2):
            await raw.begin()
            assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
        assert (await raw.say(f"MAIL FROM:<{SENDER}>")).startswith("421 4.7.0")


async def test_too_much_mail_at_a_time_is_for_later(opened, connect, reception) -> None:
    async with opened(most_bytes_held=100_000) as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(b"Subject: x\r\n\r\n" + b"x" * 150_000)
        other = await connect(door)
        raw.writer.write(b"\r\n.\r\n")
        assert (await raw.reply()).startswith("452 4.3.1")
        await other.begin()
        assert (await other.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
    assert len(await rows(reception)) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LedgerFailed("away"), "451 4.3.0"),
        (DocumentsFailed("secret path"), "451 4.3.0"),
        (SpoolFull("full"), "452 4.3.1"),
        ("full", "452 4.3.1"),
        (RuntimeError("nobody thought of it"), "451 4.3.0"),
    ],
)
async def test_what_cannot_be_kept_is_not_promised(opened, connect, reception, error, code) -> None:
    if error == "full":
        error = DocumentsFailed("x")
        error.__cause__ = StoreFull("full")
    reception.error = error
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        reply = await raw.say("Subject: x\r\n\r\nx\r\n.")
        assert reply.startswith(code)
        assert "secret" not in reply
        reception.error = None
        await raw.begin()
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
    assert len(await rows(reception)) == 1


@pytest.mark.parametrize(
    "content",
    [
        "no header at all",
        "",
        'Content-Type: multipart/mixed; boundary="never"\r\n\r\nbut it never comes\r\n',
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + "--b\r\n\r\nx\r\n" * 1100 + "--b--\r\n",
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + "--b\r\nContent-Type: text/csv\r\n\r\nx\r\n" * 51
        + "--b--\r\n",
    ],
)
async def test_a_message_that_cannot_be_read_is_refused_for_good(opened, connect, reception, content) -> None:
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        assert (await raw.say(f"{content}\r\n." if content else ".")).startswith("550 5.6.0")
    assert await rows(reception) == []


async def test_lines_of_any_length_and_bare_line_feeds_are_taken_as_they_come(opened, connect, reception) -> None:
    body = b"Subject: x\r\n\r\n" + b"y" * 70_000 + b"\r\nbare\nfeeds\n.\nand \r returns\r\n..dot\r\n"
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert (await raw.reply()).startswith("250")
    [row] = await rows(reception)
    assert await reception.documents.get(row["place"].removeprefix("sha256:")) == body


async def test_only_crlf_dot_crlf_ends_a_message(opened, connect, reception) -> None:
    smuggled = b"Subject: one\r\n\r\nfirst\n.\nMAIL FROM:<evil@x.example>\n.\r\nmore\r.\r\nlast\r\n"
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(smuggled + b".\r\n")
        assert (await raw.reply()).startswith("250")
    assert len(await rows(reception)) == 1


async def test_commands_and_messages_may_come_without_waiting(opened, connect, reception) -> None:
    one = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{GUEST}>\r\nDATA\r\n"
    async with opened() as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        raw.writer.write(one.encode())
        assert [(await raw.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
        raw.writer.write(b"Subject: 1\r\n\r\nx\r\n.\r\n" + one.encode())
        assert [(await raw.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        raw.writer.write(b"Subject: 2\r\n\r\nx\r\n.\r\nQUIT\r\n")
        assert [(await raw.reply())[:3] for _ in range(2)] == ["250", "221"]
    assert len(await rows(reception)) == 2


async def test_the_null_sender_is_taken(opened, connect, reception) -> None:
    async with opened() as door:
        raw = await connect(door)
        await raw.begin(mail="MAIL FROM:<>")
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
    [row] = await rows(reception)
    assert row["facts"]["sender"] == ""


async def test_closing_answers_the_message_under_way_first(opened, connect, reception) -> None:
    reception.gate.clear()
    async with opened() as door:
        raw, idle = await connect(door), await connect(door)
        await raw.begin()
        raw.writer.write(b"Subject: x\r\n\r\nx\r\n.\r\n")
        await reception.reached.wait()
        port = door.port
        closing = asyncio.create_task(door.close())
        assert (await idle.reply()).startswith("421 4.3.2")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        reception.gate.set()
        assert (await raw.reply()).startswith("250")
        await closing
        assert await raw.reader.read() == b""
    assert len(await rows(reception)) == 1


async def test_many_clients_at_a_time_each_have_their_messages(opened, reception) -> None:
    async with opened(connections_per_address=50) as door:
        await asyncio.gather(*(sent(door, *(message(10 * who + each) for each in range(5))) for who in range(20)))
    assert len(await rows(reception)) == 100


async def test_rubbish_does_not_stop_the_door(opened, connect, reception) -> None:
    async with opened() as door:
        for rubbish in (
            b"\x00" * 5000,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET / HTTP/1.1\r\n\r\n" * 20,
            b"\xff\xfe\r\n" * 20,
            b"x" * 500_000,
            b"EHLO c\r\nAUTH\r\nAUTH X\r\nMAIL\r\nMAIL FROM\r\n",
        ):
            raw = await connect(door)
            with suppress(ConnectionError):
                raw.writer.write(rubbish)
                await raw.writer.drain()
                raw.writer.write_eof()
                await asyncio.wait_for(raw.reader.read(), 10)
        assert await sent(door, message()) == [{}]


def test_the_door_works_in_the_loop_of_the_worker(database_url, tmp_path, tls) -> None:
    async def scene() -> int:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)

        class Counting:
            taken = 0

            async def receive(self, *_offered: object) -> Accepted:
                self.taken += 1
                return Accepted(1, new=True)

        counting = Counting()
        door = SmtpDoor(SmtpOptions(port=0, tls=tls, users={"ex": "pw"}, tls_required=True), counting)
        await door.open()

        def client() -> None:
            with smtplib.SMTP("localhost", door.port, timeout=20) as smtp:
                smtp.starttls(context=_trusting())
                smtp.login("ex", "pw")
                for each in range(3):
                    smtp.send_message(message(each), SENDER, [GUEST])

        await asyncio.to_thread(client)
        await door.close()
        return counting.taken

    assert uvloop.run(scene()) == 3


def _trusting() -> ssl.SSLContext:
    """A client's context that takes our own certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
