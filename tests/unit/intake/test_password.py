"""A password rule looks values up and does nothing else."""

import pytest

from millstream.intake.errors import BadPasswordRule, NoPassword
from millstream.intake.password import PasswordRule
from millstream.intake.record import read_record


@pytest.fixture
def read(record):
    return lambda **changes: read_record(record(**changes)).record


def test_a_date_of_birth_makes_the_password(read):
    rule = PasswordRule.parse("{customer.birth_date:%d%m%Y}")
    assert rule.password(read(customer={"id": "1", "birth_date": "1980-03-09"})) == "09031980"


@pytest.mark.parametrize(
    ("rule", "password"),
    [
        ("{data.account_number}", "DE0012"),
        ("{data.branch}-{customer.id}-x", "1234567-C-17-x"),
        ("{data.person.born:%y%m%d}", "991231"),
        ("{{{data.account_number}}}", "{DE0012}"),
        ("{key}", "2025-10/0001"),
        ("{recipient.address}", "ada@example.com"),
    ],
)
def test_a_rule_may_name_any_text_or_whole_number_of_the_record(read, rule, password):
    data = {"account_number": "DE0012", "branch": 1234567, "person": {"born": "1999-12-31T10:00:00"}}
    assert PasswordRule.parse(rule).password(read(data=data)) == password


@pytest.mark.parametrize("value", [None, "", True, 1.5, [], {}])
def test_a_value_that_is_missing_or_of_another_kind_gives_no_password(read, value):
    with pytest.raises(NoPassword, match=r"data\.pin"):
        PasswordRule.parse("{data.pin}-long-enough").password(read(data={"pin": value}))


def test_a_date_that_is_none_gives_no_password_and_is_not_shown(read):
    with pytest.raises(NoPassword) as caught:
        PasswordRule.parse("{data.born:%d%m%Y}").password(read(data={"born": "31.12.1999"}))
    assert "data.born" in str(caught.value)
    assert "1999" not in str(caught.value)


@pytest.mark.parametrize("value", ["12345", "x" * 128, "ü" * 64, "abc\tdefg"])
def test_a_password_that_is_too_short_too_long_or_untypable_is_refused(read, value):
    with pytest.raises(NoPassword):
        PasswordRule.parse("{data.pin}").password(read(data={"pin": value}))


@pytest.mark.parametrize(
    "rule",
    [
        "{customer.__class__}x{0}",
        "{0}",
        "{}",
        "{data[pin]}",
        "{data.pin!r}",
        "{customer",
        "}",
        "always the same",
        "",
        "{data.pin:>1000000000}",
        "{data.born:%B}",
        "{data.born:{data.pin}}",
        "{os.path}",
        "{customer..id}",
    ],
)
def test_a_rule_that_is_none_is_refused_before_the_first_record(rule):
    with pytest.raises(BadPasswordRule):
        PasswordRule.parse(rule)


def test_names_of_python_reach_nothing(read):
    rule = PasswordRule.parse("{data.__class__.__mro__}")
    with pytest.raises(NoPassword):
        rule.password(read(data={"a": 1}))
