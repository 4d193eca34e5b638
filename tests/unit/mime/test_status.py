"""What a code says of a delivery, and whether it says anything of the address."""

import pytest

from millstream.mime import DeliveryStatus, Severity


def status(code: str, *, action: str = "failed", diagnostic: str = "") -> DeliveryStatus:
    return DeliveryStatus("ada@example.com", action, code, remote_mta="mx.example.com", diagnostic=diagnostic)


@pytest.mark.parametrize("code", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"])
def test_codes_of_a_dead_address_are_hard_and_blame_it(code):
    assert status(code).severity is Severity.HARD
    assert status(code).address_is_bad
    assert not status(code, action="delayed").address_is_bad


@pytest.mark.parametrize(
    "code", ["5.7.1", "5.7.26", "5.3.4", "5.2.3", "5.6.0", "5.1.8", "5.4.1", "5.5.0", "5.0.0", "5.4.6"]
)
def test_codes_of_a_refused_message_are_hard_and_blame_nobody(code):
    assert status(code).severity is Severity.HARD
    assert status(code).permanent
    assert not status(code).address_is_bad


@pytest.mark.parametrize("code", ["5.2.2", "5.3.1", "5.3.2", "5.4.7", "5.4.300", "4.4.7", "4.1.1", "4.7.28", "4.2.2"])
def test_codes_of_a_state_that_passes_are_soft(code):
    assert status(code).severity is Severity.SOFT
    assert not status(code).permanent
    assert not status(code).address_is_bad


def test_a_delay_is_a_delay_whatever_its_code_and_a_receipt_is_no_failure():
    assert status("5.1.1", action="delayed").severity is Severity.DELAYED
    for action in ("delivered", "relayed", "expanded"):
        assert status("2.0.0", action=action).severity is None
        assert not status("5.0.0", action=action).permanent


@pytest.mark.parametrize(
    ("code", "diagnostic", "exact", "severity"),
    [
        ("5.0.0", "550 5.1.1 unknown user", "5.1.1", Severity.HARD),
        ("", "550-5.1.1 unknown\n550 5.1.1 user", "5.1.1", Severity.HARD),
        ("5.0.0", "552 5.2.2 full", "5.2.2", Severity.SOFT),
        ("5.0.0", "451 4.3.0 try later", "5.0.0", Severity.SOFT),
        ("5.0.0", "552 mailbox full", "5.0.0", Severity.SOFT),
        ("5.0.0", "550 no such user", "5.0.0", Severity.HARD),
        ("", "421 service not available", "", Severity.SOFT),
        ("5.0.0", "host 192.5.1.1 said 5.1.1.9 and 15.1.1", "5.0.0", Severity.HARD),
        ("5.1.1", "550 5.7.1 refused", "5.1.1", Severity.HARD),
        ("5.2.1", "550 5.2.1 https://support.google.com/mail/?p=ReceivingRatePerm - gsmtp", "5.2.1", Severity.SOFT),
    ],
)
def test_the_most_exact_code_counts(code, diagnostic, exact, severity):
    found = status(code, diagnostic=diagnostic)
    assert (found.code, found.severity) == (exact, severity)


def test_only_a_code_of_class_five_condemns_an_address():
    assert not status("4.1.1").address_is_bad
    assert not status("", diagnostic="550 no such user").address_is_bad
    assert not status("2.1.1").address_is_bad
