"""Shelves of messages: order, pages and counts hold whatever is added, removed and relabelled."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.shelf import Shelf

LABELS = ("INBOX", "UNREAD", "STARRED", "SENT")


def message(number: int, date: int = 0, thread: str = "") -> Message:
    made = Message(f"{number:016x}", thread or f"{number:016x}", b"Subject: x", b"")
    made.internal_date = date
    return made


def test_messages_stand_by_date_and_a_page_begins_below_a_position():
    shelf = Shelf()
    made = [message(number, date) for number, date in enumerate((5, 1, 3, 2, 4), start=1)]
    for one in made:
        shelf.add(one)
    dates = [one.internal_date for one in shelf.newest_first()]
    assert dates == [5, 4, 3, 2, 1]
    assert [one.internal_date for one in shelf.newest_first(below=made[2].position)] == [2, 1]
    assert [one.internal_date for one in shelf.cut(1, 3)] == [4, 3]
    assert [one.internal_date for one in shelf.cut(4, 9)] == [1]
    assert shelf.cut(5, 9) == []


def test_a_page_goes_on_while_mail_comes_in():
    shelf = Shelf()
    for number in range(4):
        shelf.add(message(number + 1, number))
    page = shelf.newest_first()
    first = next(page)
    shelf.add(message(9, 9))
    assert [first.internal_date, *(one.internal_date for one in page)] == [3, 2, 1, 0]


@given(st.integers(0, 2**32), st.integers(1, 120))
def test_an_account_counts_and_orders_as_a_plain_list_would(seed, steps):
    draw = random.Random(seed)  # noqa: S311  steps that repeat with the seed
    account, plain, number = Account("a@bank.example", is_local=True, history_start=1), [], 0
    for _ in range(steps):
        step = draw.random()
        if step < 0.5 or not plain:
            number += 1
            thread = draw.choice(plain).thread_id if plain and draw.random() < 0.5 else ""
            one = message(number, draw.randrange(20), thread)
            plain.append(one)
            account.add(one, frozenset(draw.sample(LABELS, draw.randrange(4))), 0)
        elif step < 0.8:
            one = draw.choice(plain)
            account.relabel(one, add=draw.sample(LABELS, 1), remove=draw.sample(LABELS, 1), moment=0)
        else:
            one = plain.pop(draw.randrange(len(plain)))
            account.remove(one, 0)
    newest = sorted(plain, key=lambda one: (one.internal_date, one.id), reverse=True)
    assert account.messages() == newest
    for label in LABELS:
        inside = [one for one in newest if label in one.labels]
        assert list(account.shelf((label,)).newest_first()) == inside
        assert account.shelf((label,)).unread == sum("UNREAD" in one.labels for one in inside)
    threads = list(account.threads())
    assert sorted(one.id for thread in threads for one in thread) == sorted(one.id for one in plain)
    assert [thread[-1] for thread in threads] == [
        one for one in newest if not any(other.thread_id == one.thread_id for other in newest[: newest.index(one)])
    ]
    assert account.unread == sum({"INBOX", "UNREAD"} <= one.labels for one in plain)


def test_the_rarest_label_is_walked_and_an_unknown_one_is_empty():
    account = Account("a@bank.example", is_local=True, history_start=1)
    for number in range(10):
        account.add(message(number + 1), frozenset({"INBOX", "STARRED"} if number == 3 else {"INBOX"}), 0)
    assert len(account.shelf(("INBOX", "STARRED"))) == 1
    assert len(account.shelf(("Label_1",))) == 0


@pytest.mark.parametrize("count", [2_000])
def test_old_mail_comes_in_as_quickly_as_new(count):
    account = Account("a@bank.example", is_local=True, history_start=1)
    for number in range(count):
        account.add(message(number + 1, count - number), frozenset({"INBOX"}), 0)
    assert [one.internal_date for one in account.shelf().cut(0, 3)] == [count, count - 1, count - 2]
