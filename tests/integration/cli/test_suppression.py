"""`millstream suppression`: who is sent nothing, and why."""

import pytest

ADDRESS = "Customer-1@Example.com"
WHY = ("--why", "she asked us to stop", "--as", "ada")


@pytest.fixture
def suppressed(call) -> None:
    """The first customer has no statements."""
    assert call("suppression", "add", ADDRESS, "--stream", "statement", *WHY).code == 0


def test_an_empty_list_is_an_answer(call) -> None:
    assert call("suppression", "list").out == "no address is suppressed\n"
    assert call("suppression", "list", "--json").json == []


def test_an_address_is_added_with_who_and_why(call) -> None:
    added = call("suppression", "add", ADDRESS, "--stream", "statement", *WHY, "--json")
    assert added.json == {"address": ADDRESS.lower(), "stream": "statement", "added": True}
    [entry] = call("suppression", "list", "--json").json
    assert (
        entry.items()
        >= {
            "address": ADDRESS.lower(),
            "stream": "statement",
            "reason": "person",
            "detail": "she asked us to stop",
            "actor": "ada",
        }.items()
    )
    again = call("suppression", "add", ADDRESS.upper(), "--stream", "statement", *WHY)
    assert (again.code, "was suppressed already" in again.out) == (0, True)


def test_the_list_is_narrowed_by_stream_and_address(call, suppressed) -> None:
    call("suppression", "add", "b@example.com", "--stream", "invoices", *WHY)
    assert len(call("suppression", "list", "--json").json) == 2
    assert [each["address"] for each in call("suppression", "list", "--stream", "invoices", "--json").json] == [
        "b@example.com"
    ]
    assert len(call("suppression", "list", "--address", ADDRESS, "--json").json) == 1
    head, row = call("suppression", "list", "--address", ADDRESS).out.splitlines()
    assert head.split()[:3] == ["stream", "address", "reason"]
    assert "she asked us to stop" in row


def test_a_submit_says_how_many_it_holds_for_suppressed_addresses(call, driver, suppressed) -> None:
    told = call("run", "submit", driver(3))
    assert told.code == 0
    assert "3 new (1 of them held)" in told.out
    assert "held because nothing is sent to their address any more: 1" in told.out
    [waiting] = call("run", "show", "october", "--json").json["waiting"]
    assert (waiting["reason"], waiting["address"]) == ("suppressed", "customer-1@example.com")
    assert "she asked us to stop" in waiting["detail"]


def test_an_address_is_removed_and_what_was_held_for_it_is_released(call, driver, suppressed) -> None:
    call("run", "submit", driver(3))
    removed = call("suppression", "remove", ADDRESS, *WHY, "--release", "--json")
    assert removed.json == {"address": ADDRESS.lower(), "stream": None, "removed": 1, "released": 1}
    assert call("run", "show", "october", "--json").json["counts"] == {"queued": 3}
    assert call("suppression", "list", "--json").json == []


def test_removing_alone_leaves_what_was_held(call, driver, suppressed) -> None:
    call("run", "submit", driver(3))
    assert call("suppression", "remove", ADDRESS, "--stream", "statement", *WHY).code == 0
    assert call("run", "show", "october", "--json").json["counts"] == {"held": 1, "queued": 2}


def test_removing_what_is_not_there_fails(call, suppressed) -> None:
    answered = call("suppression", "remove", ADDRESS, "--stream", "invoices", *WHY)
    assert (answered.code, answered.out) == (1, "")
    assert "`millstream suppression list`" in answered.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", ADDRESS, *WHY),
        ("add", ADDRESS, "--stream", "statement", "--as", "ada"),
        ("add", ADDRESS, "--stream", "statement", "--why", "x"),
        ("add", "nobody", "--stream", "statement", *WHY),
        ("add", ADDRESS, "--stream", " ", *WHY),
        ("add", ADDRESS, "--stream", "statement", "--why", " ", "--as", "ada"),
        ("remove", ADDRESS, "--why", "x"),
        ("remove", "a\nb@example.com", *WHY),
        ("list", "--address", "nobody"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(call, arguments) -> None:
    answered = call("suppression", *arguments)
    assert (answered.code, answered.out) == (2, "")
