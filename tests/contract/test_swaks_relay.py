"""The sandbox's relay as swaks sees it, a client that is not Python's: TLS, logins, pipelining, and refusals."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from relay_room import ANNA, SENDER
from sandbox_thread import Control, SandboxThread

pytestmark = [pytest.mark.swaks, pytest.mark.sandbox_only]

USER, PASSWORD = "relay@bank.example", "mill pond 7"
ACCESS = {"open": False, "needs_tls": True, "users": {USER: PASSWORD}, "strict_helo": True}
LOGGED_IN = ("--tls", "--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD)
Swaks = Callable[..., tuple[int, str]]


@pytest.fixture
def swaks(relay: SandboxThread, tmp_path: Path) -> Swaks:
    """Call it: `swaks("--tls")`; answers its exit code and the whole conversation."""
    program = shutil.which("swaks")
    if program is None:
        pytest.fail("swaks is not installed. Run `make mail-deps`, or leave these tests out: -m 'not swaks'.")

    def called(*arguments: str) -> tuple[int, str]:
        usual = {
            "--server": "localhost",
            "--port": str(relay.smtp_port),
            "--from": SENDER,
            "--to": ANNA,
            "--helo": "bank.example",
            "--tls-ca-path": str(tmp_path / "ca.pem"),
        }
        words = [word for name, value in usual.items() if name not in arguments for word in (name, value)]
        child = subprocess.run([program, *words, *arguments], capture_output=True, check=False, timeout=60)
        return child.returncode, (child.stdout + child.stderr).decode("utf-8", "replace")

    return called


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("more", [(), ("--pipeline",)])
def test_a_letter_goes_through_under_verified_tls_with_a_login(
    swaks: Swaks, knobs: Control, method: str, more: tuple[str, ...]
) -> None:
    login = ("--auth", method, "--auth-user", USER, "--auth-password", PASSWORD)
    code, said = swaks("--tls", "--tls-verify", *login, *more, "--header", "Subject: swaks", "--body", ".dot\n..dots\n")
    assert code == 0, said
    assert "250 2.0.0 OK" in said
    [message] = knobs.messages(ANNA)
    assert message["headers"]["Subject"] == "swaks"
    used = knobs.call("GET", "ledger")["relay"]
    assert used["transactions"] == {"ESMTPSA": 1}
    assert used["greatest_group"] >= (3 if more else 1)


@pytest.mark.parametrize(
    ("arguments", "reply"),
    [
        ((), "530 5.7.0"),
        (("--tls",), "550 5.7.1"),
        (("--helo", "localhost"), "421 4.7.0 Try again later, closing connection. (EHLO)"),
        (("--tls", "--auth", "PLAIN", "--auth-user", USER, "--auth-password", "guessed"), "535 5.7.8"),
        ((*LOGGED_IN, "--from", "somebody@example.org"), "553 5.1.7"),
    ],
)
def test_what_may_not_be_relayed_is_refused(
    swaks: Swaks, knobs: Control, arguments: tuple[str, ...], reply: str
) -> None:
    code, said = swaks(*arguments)
    assert code != 0
    assert reply in said
    assert knobs.messages(ANNA) == []


def test_a_bad_certificate_is_told_before_anything_is_said(swaks: Swaks, knobs: Control) -> None:
    knobs.call("POST", "relay", {"certificate": "expired"})
    code, said = swaks("--tls-verify", *LOGGED_IN)
    assert code != 0
    assert "MAIL FROM" not in said
    assert PASSWORD not in said
    assert knobs.call("GET", "ledger")["relay"]["accepted"] == 0


def test_a_client_that_drops_in_the_middle_of_its_message_sends_nothing(swaks: Swaks, knobs: Control) -> None:
    swaks(*LOGGED_IN, "--drop-after-send", "DATA")
    assert knobs.messages(ANNA) == []
    assert knobs.call("GET", "ledger")["relay"]["accepted"] == 0


@pytest.mark.parametrize("kind", ["multi_line", "split", "slow"])
def test_odd_replies_are_understood(swaks: Swaks, knobs: Control, kind: str) -> None:
    knobs.faults({"point": "odd", "kind": kind, "method": "smtp.*", "delay": 0.05})
    code, said = swaks(*LOGGED_IN)
    assert code == 0, said
    assert len(knobs.messages(ANNA)) == 1
