"""The sandbox's relay as Postfix sees it, which sends there as it would to smtp-relay.gmail.com."""

from __future__ import annotations

import re
import smtplib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from letters import letter
from postfix_client import Postfix, is_there, postfix
from relay_room import ANNA, SENDER
from sandbox_thread import Control, SandboxThread

pytestmark = [pytest.mark.postfix, pytest.mark.sandbox_only]

ACCESS = {"open": False, "needs_tls": True, "networks": ["127.0.0.1"], "strict_helo": True}


@pytest.fixture
def mta(relay: SandboxThread, tmp_path: Path) -> Iterator[Postfix]:
    if not is_there():
        pytest.fail(
            "Postfix cannot be started. Run `make mail-deps` as root, or leave these tests out: -m 'not postfix'."
        )
    with postfix(relay=relay.smtp_port, authority=tmp_path / "ca.pem") as running:
        yield running


def hand_over(mta: Postfix, *subjects: str) -> None:
    """Give letters to Postfix, which sends them on by itself."""
    with smtplib.SMTP("127.0.0.1", mta.port, local_hostname="app.bank.example", timeout=10) as client:
        for subject in subjects:
            own = {"Message-ID": f"<{subject}@bank.example>"}
            client.sendmail(f"statements+{subject}@bank.example", [ANNA], letter(SENDER, ANNA, subject, headers=own))


def arrived(control: Control, mta: Postfix, count: int) -> list[str]:
    """Subjects that arrived, when there are so many."""
    ended = threading.Event()
    for _ in range(200):
        subjects = sorted(message["headers"]["Subject"] for message in control.messages(ANNA))
        if len(subjects) >= count:
            return subjects
        ended.wait(0.1)
    raise AssertionError(mta.log)


def test_everything_arrives_once_under_verified_tls(mta: Postfix, knobs: Control) -> None:
    subjects = [f"s{number:02}" for number in range(20)]
    hand_over(mta, *subjects)
    assert arrived(knobs, mta, 20) == subjects
    used = knobs.call("GET", "ledger")["relay"]
    assert used["transactions"] == {"ESMTPS": 20}
    assert (used["accepted"], used["refused"]) == (20, {})
    assert used["greatest_group"] >= 3
    assert "Verified TLS connection established to localhost" in mta.log
    assert len(re.findall(r"status=sent \(250 2\.0\.0 OK ", mta.log)) == 20


def test_a_temporary_refusal_is_tried_again_and_a_final_one_is_not(mta: Postfix, knobs: Control) -> None:
    knobs.faults({"point": "before", "kind": "busy_451", "method": "smtp.content", "times": 1})
    knobs.faults({"point": "before", "kind": "closing_421", "method": "smtp.mail", "times": 1})
    hand_over(mta, "first", "second")
    assert arrived(knobs, mta, 2) == ["first", "second"]
    assert "status=deferred" in mta.log
    knobs.faults({"point": "before", "kind": "blocked", "method": "smtp.content", "times": 1})
    hand_over(mta, "third", "fourth")
    assert set(arrived(knobs, mta, 3)) in ({"first", "second", "third"}, {"first", "second", "fourth"})
    assert "status=bounced" in mta.log


def test_a_lost_reply_makes_it_send_again_under_the_same_message_id(mta: Postfix, knobs: Control) -> None:
    """What happens to a mail server that knows no better, and why a copy must be told by its Message-ID."""
    knobs.faults({"point": "after", "kind": "reset", "method": "smtp.content", "times": 1})
    hand_over(mta, "twice")
    assert arrived(knobs, mta, 2) == ["twice", "twice"]
    assert {message["headers"]["Message-ID"] for message in knobs.messages(ANNA)} == {"<twice@bank.example>"}


def test_it_sends_nothing_where_the_certificate_or_starttls_is_not_as_it_should_be(
    mta: Postfix, knobs: Control
) -> None:
    knobs.call("POST", "relay", {"certificate": "other_name"})
    hand_over(mta, "one")
    ended = threading.Event()
    for _ in range(100):
        if "status=deferred (Server certificate not verified)" in mta.log:
            break
        ended.wait(0.1)
    knobs.call("POST", "relay", {"certificate": "good", "stripped": True})
    for _ in range(100):
        if "TLS is required, but was not offered" in mta.log:
            break
        ended.wait(0.1)
    assert "Server certificate not verified" in mta.log
    assert "TLS is required, but was not offered" in mta.log
    assert knobs.call("GET", "ledger")["relay"]["accepted"] == 0
    knobs.call("POST", "relay", {"stripped": False})
    assert arrived(knobs, mta, 1) == ["one"]
