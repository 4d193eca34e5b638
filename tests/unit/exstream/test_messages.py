"""Engine messages are found in lines of a layout that is told nowhere."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.exstream.messages import at_least, read_messages
from millstream.exstream.model import Severity

FILE = """\
Exstream Engine 22.2
11/25/2026 08:15:02 EX003004W Customer C-17: Font Arial was replaced
EX004120E: No address for account number 4711-0815
11/25/2026 08:15:03 EX000001S The package cannot be opened
EX009999I Run ended
EX00412E is too short, EX0041200E is too long, and XEX004120E is something else
"""


def test_every_message_is_found_with_its_code_severity_line_time_and_customer() -> None:
    first, second, third, last = read_messages(FILE.splitlines())
    assert (first.code, first.severity, first.line, first.customer) == ("EX003004W", Severity.WARNING, 2, "C-17")
    assert first.text == "Customer C-17: Font Arial was replaced"
    assert first.at == datetime(2026, 11, 25, 8, 15, 2, tzinfo=UTC)
    assert (second.code, second.customer, second.at) == ("EX004120E", "4711-0815", None)
    assert second.text == "No address for account number 4711-0815"
    assert (third.severity, third.customer) == (Severity.SEVERE, None)
    assert last.code == "EX009999I"


@pytest.mark.parametrize(
    ("threshold", "codes"),
    [
        (Severity.SEVERE, ["EX000001S"]),
        (Severity.ERROR, ["EX004120E", "EX000001S"]),
        (Severity.WARNING, ["EX003004W", "EX004120E", "EX000001S"]),
    ],
)
def test_only_messages_from_the_threshold_on_are_told(threshold, codes) -> None:
    assert [each.code for each in read_messages(FILE.splitlines(), threshold=threshold)] == codes


def test_an_installation_can_say_how_its_messages_and_customers_look() -> None:
    lines = ["ERR-000123-E [kd 88] kaputt"]
    pattern, customer = r"ERR-(\d{6})-([SEWI])", r"\[kd (\d+)\]"
    [message] = read_messages(lines, pattern=pattern, customer_pattern=customer)
    assert (message.code, message.customer) == ("EX000123E", "88")


def test_a_time_that_does_not_exist_is_no_time() -> None:
    [message] = read_messages(["13/45/2026 08:15:02 EX003004W x"])
    assert message.at is None


@given(st.lists(st.text(max_size=200)))
def test_rubbish_never_stops_the_reading(lines) -> None:
    for message in read_messages(lines):
        assert message.code.startswith("EX")


def test_a_severity_that_nobody_knows_reaches_every_threshold() -> None:
    assert at_least(Severity.UNKNOWN, Severity.SEVERE)
    assert not at_least(Severity.INFORMATION, Severity.WARNING)
