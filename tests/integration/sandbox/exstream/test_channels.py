"""Where output goes: a folder as the engine writes it, a URL, a mail server."""

import asyncio
import contextlib
import re
import ssl
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from exstream_site import Site, customer
from lxml import etree

from millstream.sandbox.exstream.flows import FileChannel

WAYS = {
    "queues": "customer/queue/file",
    "documents": "customer/documents/document",
    "flat": "customer/output",
}


def _found(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.rglob(pattern))


def _manifest(folder: Path) -> Path | None:
    return next(folder.rglob("_STDDELIVERYFILE.xml"), None)


@pytest.mark.parametrize("paths", ["relative", "absolute"])
@pytest.mark.parametrize("nesting", WAYS)
async def test_the_manifest_names_files_that_are_there(
    site: Site, eventually, tmp_path: Path, nesting: str, paths: str
) -> None:
    channel = {"type": "file", "directory": str(tmp_path)}
    await site.publish(channels=[channel], nesting=nesting, paths=paths, keys={"Branch": "A & B"})
    job = await site.batch([customer(1), customer(2)])
    await eventually(lambda: site.is_over(job), within=20)
    manifest = _manifest(tmp_path)
    assert manifest is not None
    inner = manifest.relative_to(tmp_path).as_posix()
    assert re.fullmatch(rf"bank/jobs/{job}/[0-9a-f-]{{36}}/docgen/[0-9a-f-]{{36}}/output/_STDDELIVERYFILE.xml", inner)
    root = etree.parse(manifest).getroot()
    found = root.findall(WAYS[nesting])
    assert len(found) == 4
    places = [next(one.get(name) for name in ("name", "path", "dataFile") if one.get(name)) for one in found]
    assert all(Path(place).is_absolute() is (paths == "absolute") for place in places)
    starts = {(manifest.parent / place).read_bytes()[:5].lower() for place in places}
    assert starts == {b"%pdf-", b"<!doc"}
    assert "A & B" in [key.text for key in root.iter("key")]
    rows = (await site.control("GET", f"jobs/{job}/customers"))["customers"]
    assert [row["delivered"] for row in rows] == [["file"], ["file"]]


async def test_queues_may_write_files_without_an_extension(site: Site, eventually, tmp_path: Path) -> None:
    await site.publish(
        outputs=[{"queue": "PDFQ", "driver": "PDF", "extension": False}, {"queue": "Letters", "driver": "Empower"}],
        channels=[{"type": "file", "directory": str(tmp_path)}],
    )
    job = await site.batch([customer(1)])
    await eventually(lambda: site.is_over(job), within=20)
    found = {path.relative_to(path.parents[1]).as_posix(): path for path in _found(tmp_path, "0*") if path.is_file()}
    assert set(found) == {"PDFQ/00001", "Letters/00001.mpw"}
    assert found["Letters/00001.mpw"].read_bytes()[:2] == b"PK"


@pytest.mark.parametrize("by_fault", [False, True])
async def test_files_can_be_half_there_for_a_while(site: Site, eventually, tmp_path: Path, *, by_fault: bool) -> None:
    channel = FileChannel(type="file", directory=str(tmp_path), half_seconds=0 if by_fault else 0.7)
    if by_fault:
        await site.fault("odd", "half_file", method="channel.file", delay=0.7)
    await site.publish(channels=[channel.model_dump()])
    job = await site.batch([customer(1)])

    def half_manifest() -> Path | None:
        manifest = _manifest(tmp_path)
        return manifest if manifest and manifest.stat().st_size else None

    manifest = await eventually(half_manifest, within=20)
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(manifest.read_bytes())
    pdf = _found(tmp_path, "*.pdf")[0]
    assert b"%%EOF" not in pdf.read_bytes()[-16:]
    await eventually(lambda: site.is_over(job), within=20)
    assert etree.parse(manifest).getroot().tag == "outputList"
    assert b"%%EOF" in pdf.read_bytes()[-16:]


async def test_a_folder_that_cannot_be_written_is_an_error_of_the_output_step(
    site: Site, eventually, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    await site.publish(channels=[{"type": "retained"}, {"type": "file", "directory": str(tmp_path / "taken")}])
    job = await site.batch([customer(1)])
    over = await eventually(lambda: site.is_over(job), within=20)
    steps = await site.steps(job)
    assert (over["status"], [one["status"] for one in steps]) == (
        "error",
        ["complete", "complete", "complete", "error"],
    )
    assert "Not a directory" in over["msg"] or "File exists" in over["msg"]


@contextlib.asynccontextmanager
async def _receiver(answers: list[int]):
    """A server that notes what is posted to it and answers with the next status, the last one for ever."""
    posted: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append((dict(request.headers) | {"path": request.path}, await request.read()))
        return web.Response(status=answers.pop(0) if len(answers) > 1 else answers[0], text="said so")

    app = web.Application(client_max_size=2**30)
    app.add_routes([web.post("/{tail:.*}", take)])
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/"), posted


async def test_each_customer_is_posted_until_the_other_side_takes_it(site: Site, eventually) -> None:
    async with _receiver([503, 201]) as (url, posted):
        headers = {"Authorization": "Bearer word", "X-Run": "exstream/{job}"}
        await site.publish(channels=[{"type": "https", "url": f"{url}/in/{{channel}}", "headers": headers}])
        job = await site.batch([customer(1)])
        assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"
    (sent, body), again = posted[0], posted[1:]
    assert [one[1] for one in again] == [body]
    assert (sent["path"], sent["Authorization"], sent["X-Run"]) == (
        "/in/statements",
        "Bearer word",
        f"exstream/{job}",
    )
    assert sent["Idempotency-Key"] == again[0][0]["Idempotency-Key"] == f"{job}/2026-10/1"
    record = orjson.loads(body)
    assert (record["key"], record["customer"]["id"]) == ("2026-10/1", "C-1")
    assert record["recipient"]["address"] == "customer-1@mail.example"
    assert record["html"].lower().startswith("<!doc")
    assert record["documents"][0]["content"].startswith("JVBERi")
    assert (await site.control("GET", "state"))["delivered"]["https"] == 1


async def test_a_job_is_posted_as_one_body_of_json_lines(site: Site, eventually) -> None:
    async with _receiver([200]) as (url, posted):
        await site.publish(customers_per_flow=1, channels=[{"type": "https", "url": url, "each": "job"}])
        job = await site.batch([customer(1), customer(2), customer(3)])
        await eventually(lambda: site.is_over(job), within=20)
    ((sent, body),) = posted
    assert (sent["Idempotency-Key"], sent["Content-Type"]) == (job, "application/x-ndjson")
    assert [orjson.loads(line)["customer"]["id"] for line in body.splitlines()] == ["C-1", "C-2", "C-3"]


@pytest.mark.parametrize("each", ["customer", "job"])
async def test_a_post_that_is_refused_ends_the_job_in_error_with_the_answers_text(
    site: Site, eventually, each: str
) -> None:
    async with _receiver([400]) as (url, posted):
        await site.publish(channels=[{"type": "https", "url": url, "each": each}])
        job = await site.batch([customer(1)])
        over = await eventually(lambda: site.is_over(job), within=20)
    assert over["status"] == "error"
    assert "answered 400: said so" in over["msg"]
    assert len(posted) == 1


class _Mailbox:
    """Keeps what comes in; answers with the next of `answers`, then takes everything."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.seen: list[bytes] = []

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802  aiosmtpd's name
        self.seen.append(envelope.content)
        return self.answers.pop(0) if self.answers else "250 taken"


@contextlib.asynccontextmanager
async def _mail_server(mailbox: _Mailbox, port: int = 0, **settings: Any):
    """Serve on the test's own loop, and leave no connection behind: the loop ends with the test.

    aiosmtpd's own controller ends its loop while clients are still connected, which Python reports later, from
    wherever their writers are collected.
    """
    loop = asyncio.get_running_loop()
    conversations: list[SMTP] = []

    def conversation() -> SMTP:
        conversations.append(SMTP(mailbox, hostname="localhost", loop=loop, **settings))
        return conversations[-1]

    server = await loop.create_server(conversation, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in conversations:
            if each.transport is not None:
                each.transport.abort()
        ends = [end for each in conversations for end in (each._handler_coroutine, each._closed)]
        await asyncio.wait_for(asyncio.gather(*ends, return_exceptions=True), 5)


async def test_a_mail_carries_body_attachment_and_headers_and_is_the_same_when_tried_again(
    site: Site, eventually
) -> None:
    mailbox = _Mailbox("451 4.3.0 later")
    async with _mail_server(mailbox) as port:
        await site.publish(channels=[{"type": "smtp", "port": port}])
        job = await site.batch([customer(1)])
        assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"
    first, second = mailbox.seen
    assert first == second
    letter = message_from_bytes(first, policy=policy.default)
    assert letter["To"] == "Customer 1 <customer-1@mail.example>"
    assert (letter["X-Exstream-Customer"], letter["X-Exstream-Campaign"]) == ("C-1", "statements")
    assert letter["Message-ID"] == f"<{job}.1@exstream.example>"
    assert letter.get_body(("html",)).get_content().lower().startswith("<!doc")
    (attachment,) = letter.iter_attachments()
    assert attachment.get_content()[:5] == b"%PDF-"
    assert attachment.get_filename().endswith(".pdf")


async def test_a_mail_that_is_refused_for_good_ends_the_job_in_error(site: Site, eventually) -> None:
    async with _mail_server(_Mailbox("550 5.7.1 not from you")) as port:
        await site.publish(channels=[{"type": "smtp", "port": port}])
        job = await site.batch([customer(1)])
        over = await eventually(lambda: site.is_over(job), within=20)
    assert (over["status"], "550 5.7.1 not from you" in over["msg"]) == ("error", True)


async def test_a_mail_server_that_is_away_is_tried_again(site: Site, eventually, free_port) -> None:
    port, mailbox = free_port(), _Mailbox()
    await site.publish(channels=[{"type": "smtp", "port": port}])
    job = await site.batch([customer(1)])

    async def output_began() -> bool:
        return (await site.steps(job))[-1]["status"] == "started"

    await eventually(output_began, within=20)
    async with _mail_server(mailbox, port):
        assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"
    assert len(mailbox.seen) == 1


async def test_without_the_retained_channel_files_cannot_be_fetched(site: Site, eventually, tmp_path: Path) -> None:
    await site.publish(channels=[{"type": "file", "directory": str(tmp_path)}])
    job = await site.batch([customer(1)])
    await eventually(lambda: site.is_over(job), within=20)
    step = (await site.steps(job))[1]["id"]
    assert (await site.runtime(f"flow-steps/{step}", checkArtifacts="true")).data["deliveryFileRetrievable"] is False
    assert (await site.runtime(f"flow-steps/{step}/delivery-file")).status == 404


@pytest.mark.parametrize("address", ["", "line\nbreak@mail.example", "zoë@mail.example", "no address"])
async def test_an_address_that_cannot_be_mailed_is_an_error_that_names_the_customer(
    site: Site, eventually, address: str
) -> None:
    mailbox = _Mailbox()
    async with _mail_server(mailbox) as port:
        await site.publish(channels=[{"type": "smtp", "port": port, "tries": 1}])
        job = await site.batch([customer(1, recipient={"address": address})])
        over = await eventually(lambda: site.is_over(job), within=20)
    assert (over["status"], mailbox.seen) == ("error", [])
    assert over["msg"].startswith("customer C-1 cannot be mailed")


async def test_a_key_of_any_letters_is_an_idempotency_key(site: Site, eventually) -> None:
    async with _receiver([200]) as (url, posted):
        await site.publish(channels=[{"type": "https", "url": url}])
        job = await site.batch([customer(1, key="März\n1")])
        assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"
    assert posted[0][0]["Idempotency-Key"] == f"{job}/M%C3%A4rz%0A1"


def _certificate(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    ).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@pytest.mark.parametrize("password", ["word", "wrong"])
async def test_mail_goes_by_starttls_and_login(site: Site, eventually, tmp_path: Path, password: str) -> None:
    mailbox = _Mailbox()

    def let_in(_server, _session, _envelope, _mechanism, data) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"exstream", b"word"), handled=False)

    settings = {"require_starttls": True, "authenticator": let_in, "auth_required": True}
    async with _mail_server(mailbox, tls_context=_certificate(tmp_path), **settings) as port:
        login = {"user": "exstream", "password": password}
        await site.publish(channels=[{"type": "smtp", "port": port, "tls": "starttls"} | login])
        job = await site.batch([customer(1)])
        over = await eventually(lambda: site.is_over(job), within=20)
    assert (over["status"], len(mailbox.seen)) == (("complete", 1) if password == "word" else ("error", 0))
