"""Where the contract is tested: against the sandbox, or unchanged against Google when credentials are at hand.

For Google set `MILLSTREAM_CONTRACT_SERVICE_ACCOUNT` (a key file with domain-wide delegation for the scopes below),
`MILLSTREAM_CONTRACT_MAILBOX` (a mailbox set aside for tests; letters stay in it), `MILLSTREAM_CONTRACT_COLLEAGUE`
(a second one in the same domain) and `MILLSTREAM_CONTRACT_RECIPIENT` (any address that may be written to).
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import google_auth_httplib2
import httplib2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import Credentials
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account
from googleapiclient.discovery import Resource

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helpers, whatever import mode the suite runs in

from discovery_schemas import DiscoverySchemas, load_document
from official_client import OfficialClient, WatchedHttp
from relay_room import ANNA, SENDER
from sandbox_thread import Control, SandboxThread

from millstream.sandbox.gmail.config import SandboxConfig

SCOPES = ("https://mail.google.com/", "https://www.googleapis.com/auth/gmail.settings.basic")
SERVICE_ACCOUNT = "millstream@project.iam.gserviceaccount.com"
DOMAIN = "bank.example"
GOOGLE = "https://gmail.googleapis.com"
POLL_SECONDS = 0.05
TOPIC = "projects/millstream/topics/gmail"


@dataclass(frozen=True, slots=True)
class Live:
    """The real service, from the environment; the only place of the suite that reads it."""

    key_file: Path
    mailbox: str
    colleague: str | None
    recipient: str | None

    @classmethod
    def from_environment(cls) -> "Live | None":
        given = os.environ  # noqa: TID251  the one door for credentials that tests may use
        key_file, mailbox = given.get("MILLSTREAM_CONTRACT_SERVICE_ACCOUNT"), given.get("MILLSTREAM_CONTRACT_MAILBOX")
        if not key_file or not mailbox:
            return None
        colleague = given.get("MILLSTREAM_CONTRACT_COLLEAGUE")
        return cls(Path(key_file), mailbox, colleague, given.get("MILLSTREAM_CONTRACT_RECIPIENT") or colleague)


@dataclass(frozen=True, slots=True)
class Contract:
    """The service under test: where it is and how credentials for it are made."""

    endpoint: str
    key: dict[str, str]
    client: OfficialClient

    def service_account(self, mailbox: str, scopes: tuple[str, ...] = SCOPES) -> service_account.Credentials:
        """A service account acting for `mailbox` by domain-wide delegation."""
        return service_account.Credentials.from_service_account_info(self.key, scopes=list(scopes), subject=mailbox)

    def authorized_user(self, mailbox: str, http: httplib2.Http) -> user_credentials.Credentials:
        """A person's refresh token, by the consent flow of an installed app: page, consent, code, tokens."""
        back, client = "http://127.0.0.1:1/callback", {"client_id": "millstream", "client_secret": "secret"}
        consent = {"response_type": "code", "scope": " ".join(SCOPES), "redirect_uri": back, "access_type": "offline"}
        said = consent | {"client_id": "millstream", "mailbox": mailbox, "decision": "allow"}
        http.follow_redirects = False
        sent_back, _ = _post(http, f"{self.endpoint}/o/oauth2/v2/auth", said)
        code = parse_qs(urlsplit(sent_back["location"]).query)["code"][0]
        form = client | {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        _, content = _post(http, self.key["token_uri"], form)
        return user_credentials.Credentials(
            token=None, refresh_token=json.loads(content)["refresh_token"], token_uri=self.key["token_uri"], **client
        )


def _post(http: httplib2.Http, url: str, form: dict[str, str]) -> tuple[httplib2.Response, bytes]:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return http.request(url, "POST", body=urlencode(form), headers=headers)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sandbox_only: turns the sandbox's own knobs; skipped against the real service")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("sandbox_only") and Live.from_environment():
        pytest.skip("turns the sandbox's own knobs")


@pytest.fixture(scope="session")
def live() -> Live | None:
    return Live.from_environment()


@pytest.fixture(scope="session")
def key() -> dict[str, str]:
    """A service account's key as Google's console hands it out; the key pair is made for this run."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "type": "service_account",
        "client_email": SERVICE_ACCOUNT,
        "private_key_id": "1",
        "private_key": pem.decode(),
        "public_key": public.decode(),
    }


@pytest.fixture(scope="session")
def start_sandbox(key: dict[str, str]) -> Callable[..., SandboxThread]:
    """Make a sandbox that verifies the run's key; fields of its configuration may be given."""

    def make(**fields: Any) -> SandboxThread:
        known: dict[str, Any] = {
            "domains": (DOMAIN,),
            "limits": "none",
            "notice_delay_seconds": 0,
            "trust_any_key": False,
            "topics": ({"name": TOPIC},),
            "service_account_keys": {SERVICE_ACCOUNT: key["public_key"]},
        }
        return SandboxThread(SandboxConfig(**(known | fields)))

    return make


@pytest.fixture(scope="session")
def sandbox(start_sandbox: Callable[..., SandboxThread], live: Live | None) -> Iterator[SandboxThread | None]:
    """One sandbox without quotas for the whole run; each test has mailboxes of its own in it."""
    if live:
        yield None
        return
    with start_sandbox(smtp_port=0, pubsub_port=0) as running:
        yield running


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    return load_document()


@pytest.fixture(scope="session")
def schemas(document: dict[str, Any]) -> DiscoverySchemas:
    return DiscoverySchemas(document)


@pytest.fixture(scope="session")
def contract_at(key: dict[str, str], document: dict[str, Any], schemas: DiscoverySchemas) -> Callable[[str], Contract]:
    """The contract with a sandbox at some address."""

    def make(url: str) -> Contract:
        return Contract(url, key | {"token_uri": f"{url}/token"}, OfficialClient(url, document, schemas, set()))

    return make


@pytest.fixture(scope="session")
def contract(sandbox: SandboxThread | None, live: Live | None, contract_at: Callable[[str], Contract]) -> Contract:
    """The service under test."""
    if sandbox is not None:
        return contract_at(sandbox.url)
    assert live is not None
    at_google = contract_at(GOOGLE)
    return Contract(GOOGLE, json.loads(live.key_file.read_text(encoding="utf-8")), at_google.client)


@pytest.fixture
def control(sandbox: SandboxThread | None) -> Iterator[Control]:
    """The sandbox's knobs."""
    if sandbox is None:
        pytest.skip("the real service has no knobs")
    knobs = Control(sandbox.url)
    yield knobs
    knobs.close()


@pytest.fixture
def sender(live: Live | None, request: pytest.FixtureRequest) -> str:
    """The mailbox that sends; in the sandbox a new one for each test."""
    return live.mailbox if live else _new_mailbox(request.getfixturevalue("control"), "sender")


@pytest.fixture
def colleague(live: Live | None, request: pytest.FixtureRequest) -> str:
    """A second mailbox of the same organisation."""
    if live and not live.colleague:
        pytest.skip("MILLSTREAM_CONTRACT_COLLEAGUE names no second mailbox")
    return live.colleague if live else _new_mailbox(request.getfixturevalue("control"), "colleague")


@pytest.fixture
def recipient(live: Live | None) -> str:
    """An address outside the organisation."""
    if live and not live.recipient:
        pytest.skip("MILLSTREAM_CONTRACT_RECIPIENT names no address to write to")
    return live.recipient if live else f"customer-{uuid4().hex[:12]}@mail.example"


def _new_mailbox(control: Control, word: str) -> str:
    address = f"{word}-{uuid4().hex[:12]}@{DOMAIN}"
    control.mailbox(address)
    return address


@pytest.fixture
def open_service(contract: Contract) -> Iterator[Callable[[str | Credentials], Resource]]:
    """Open Google's client for a mailbox, or with credentials of the test's own; closed at the end."""
    opened: list[Resource] = []

    def open_one(acting: str | Credentials) -> Resource:
        credentials = contract.service_account(acting) if isinstance(acting, str) else acting
        opened.append(contract.client.service(credentials))
        return opened[-1]

    yield open_one
    for service in opened:
        service.close()


@pytest.fixture
def gmail_service(open_service: Callable[[str | Credentials], Resource], sender: str) -> Resource:
    """Google's client acting for the sender."""
    return open_service(sender)


@pytest.fixture
def wire() -> Iterator[WatchedHttp]:
    """Bare HTTP to the service, for what the client hides; error shapes are still checked."""
    http = WatchedHttp()
    yield http
    http.close()


@pytest.fixture
def transport(wire: WatchedHttp) -> google_auth_httplib2.Request:
    """How google-auth asks for tokens."""
    return google_auth_httplib2.Request(wire)


@pytest.fixture
def bearer(contract: Contract, sender: str, transport: google_auth_httplib2.Request) -> dict[str, str]:
    """The header of an authorised call for the sender."""
    credentials = contract.service_account(sender)
    credentials.refresh(transport)
    return {"Authorization": f"Bearer {credentials.token}"}


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """The first true answer of `probe`, asked again within `seconds`; the real service takes its time."""
    pause = threading.Event()

    def wait(probe: Callable[[], Any], seconds: float = 30) -> Any:
        for _ in range(int(seconds / POLL_SECONDS)):
            answer = probe()
            if answer:
                return answer
            pause.wait(POLL_SECONDS)
        raise AssertionError(f"nothing within {seconds} s")

    return wait


@pytest.fixture
def relay(
    request: pytest.FixtureRequest, start_sandbox: Callable[..., SandboxThread], tmp_path: Path
) -> Iterator[SandboxThread]:
    """The sandbox's relay, for those whom the module's `ACCESS` names; its authority lies in `ca.pem`."""
    settings = {"mailboxes": (SENDER,), "domains": (DOMAIN,), "smtp_ca_file": tmp_path / "ca.pem"}
    with start_sandbox(smtp_port=0, relay=request.module.ACCESS, **settings) as running:
        yield running


@pytest.fixture
def knobs(relay: SandboxThread) -> Iterator[Control]:
    """The relay's control; Anna gets what is sent."""
    control = Control(relay.url)
    control.mailbox(ANNA)
    yield control
    control.close()
