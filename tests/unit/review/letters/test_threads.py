"""Where in a conversation a mail goes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from millstream.review.threads import place

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)


def _mail(number: int, **changed: Any) -> dict[str, Any]:
    sent = {
        "id": number,
        "kind": "ask",
        "token": f"t{number}",
        "due": False,
        "moving": False,
        "rfc822_id": f"{number}@mail.example",
        "paper_due": False,
        "created_at": NOW - timedelta(minutes=10),
        "disposition": "accepted",
        "mailbox": "review@bank.example",
        "thread_id": "18f0",
        "accepted_at": NOW - timedelta(minutes=9),
        "sighted": [],
        "subject": "Review 7: Terms",
    }
    return {**sent, **changed}


def test_the_first_mail_begins_a_thread() -> None:
    found = place([], now=NOW)
    assert found is not None
    assert (found.subject, found.hints.references, found.asked) == (None, (), False)


def test_a_later_mail_answers_all_before_it() -> None:
    found = place([_mail(2, subject="Re: Review 7: Terms"), _mail(1)], now=NOW)
    assert found is not None
    assert found.subject == "Re: Review 7: Terms"
    assert found.hints.references == ("<1@mail.example>", "<2@mail.example>")
    assert (found.hints.thread_id, found.hints.only_from) == ("18f0", "review@bank.example")


def test_it_waits_for_those_on_their_way_but_not_for_ever() -> None:
    for state in ({"due": True, "token": None, "disposition": None}, {"moving": True, "disposition": "drafted"}):
        assert place([_mail(1, **state)], now=NOW) is None
        late = place([_mail(1, **state, created_at=NOW - timedelta(hours=2))], now=NOW)
        assert late is not None
        assert late.subject is None


def test_it_waits_two_minutes_for_the_message_id() -> None:
    unknown = _mail(1, rfc822_id=None, paper_due=True, accepted_at=NOW - timedelta(seconds=5))
    assert place([unknown], now=NOW) is None
    found = place([{**unknown, "accepted_at": NOW - timedelta(seconds=121)}], now=NOW)
    assert found is not None
    assert (found.hints.references, found.hints.thread_id) == ((), "18f0")


def test_while_no_process_ran_nobody_waited() -> None:
    old = NOW - timedelta(hours=3)
    queued = _mail(1, due=True, token=None, disposition=None, created_at=old)
    unknown = _mail(1, rfc822_id=None, paper_due=True, accepted_at=old)
    for mail, patience in ((queued, timedelta(hours=1)), (unknown, timedelta(minutes=2))):
        assert place([mail], now=NOW, since=NOW - timedelta(seconds=5)) is None
        assert place([mail], now=NOW, since=NOW - patience) is not None


def test_a_first_mail_that_came_back_or_never_left_is_no_thread() -> None:
    for gone in ({"sighted": ["bounced_hard"]}, {"disposition": "held"}, {"disposition": "failed"}):
        found = place([_mail(1, **gone)], now=NOW)
        assert found is not None
        assert found.hints.thread_id is None
        assert found.asked


def test_references_do_not_grow_without_end() -> None:
    found = place([_mail(n) for n in range(40, 0, -1)], now=NOW)
    assert found is not None
    assert len(found.hints.references) == 20
    assert found.hints.references[-1] == "<40@mail.example>"
