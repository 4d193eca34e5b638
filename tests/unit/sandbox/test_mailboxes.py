"""World, account and history without a wire."""

import itertools

import pytest

from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.history import KEEP_RECORDS, Change, History
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.parts import read_parts, snippet
from millstream.sandbox.gmail.search import read_query
from millstream.sandbox.gmail.world import World

LOCAL = "s@bank.example"


@pytest.fixture
def world():
    return World(SandboxConfig(mailboxes=(LOCAL,)))


def put(world, *, head=b"Subject: x", labels=("INBOX",), thread=None):
    return world.store(world.account(LOCAL), head, b"body", labels=frozenset(labels), thread_id=thread)


def test_only_listed_local_mailboxes_exist_and_outside_ones_appear(world):
    assert world.recipient("nobody@bank.example") is None
    assert world.recipient("S+tag@Bank.Example") is world.account(LOCAL)
    outside = world.recipient("anna+x@example.org")
    assert (outside.address, outside.is_local) == ("anna+x@example.org", False)
    assert [account.address for account in world.mailboxes()] == [LOCAL, "anna+x@example.org"]


def test_ids_grow_even_when_the_clock_stands():
    world = World(SandboxConfig(clock_rate=0))
    ids = [world.new_id() for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert {len(identifier) for identifier in ids} == {16}


def test_a_seed_repeats_the_ids():
    settings = {"clock_rate": 0, "clock_start": "2026-11-23T09:00:00Z"}
    first, again = (World(SandboxConfig(seed=5, **settings)) for _ in range(2))
    assert [first.new_id(), first.new_draft_id(), first.new_rfc822_id()] == [
        again.new_id(),
        again.new_draft_id(),
        again.new_rfc822_id(),
    ]


def test_history_ids_have_gaps_and_differ_between_mailboxes(world):
    account = world.account(LOCAL)
    before = account.history.last
    messages = [put(world) for _ in range(5)]
    ids = [message.history_id for message in messages]
    assert ids == sorted(ids)
    assert [record.message_id for record in account.history.after(before)] == [message.id for message in messages]
    assert any(later - earlier > 1 for earlier, later in itertools.pairwise(ids))


def test_labels_that_do_not_change_write_no_history(world):
    message = put(world)
    account = world.account(LOCAL)
    account.relabel(message, add=("INBOX",), remove=("UNREAD",), moment=0)
    assert len(list(account.history.after(account.history.forgotten))) == 1
    account.relabel(message, add=("STARRED",), remove=("INBOX",), moment=0)
    kinds = [record.change for record in account.history.after(account.history.forgotten)]
    assert kinds == [Change.MESSAGE_ADDED, Change.LABEL_REMOVED, Change.LABEL_ADDED]


def test_a_history_forgets_its_oldest_records_and_says_so():
    history = History(10)
    message = Message("1", "1", b"", b"")
    for _ in range(KEEP_RECORDS * 5 // 4 + 1):
        history.note(Change.MESSAGE_ADDED, message, 0)
    with pytest.raises(LookupError):
        history.after(10)
    assert len(list(history.after(history.forgotten))) == KEEP_RECORDS
    with pytest.raises(LookupError):
        history.after(history.last + 1)


def test_a_message_joins_the_thread_it_answers_if_the_subject_is_the_same(world):
    account = world.account(LOCAL)
    first = put(world, head=b"Message-ID: <a@x>\r\nSubject: Hello")
    assert account.find_thread(["<a@x>"], "Re: hello") == first.thread_id
    assert account.find_thread(["<a@x>"], "Other") is None
    assert account.find_thread(["<b@x>"], "Hello") is None
    account.remove(first, 0)
    assert account.find_thread(["<a@x>"], "Hello") is None
    assert list(account.threads()) == []


def test_messages_come_newest_first_and_threads_by_their_newest(world):
    one, two = put(world), put(world)
    three = put(world, thread=one.thread_id)
    account = world.account(LOCAL)
    assert account.messages() == [three, two, one]
    assert list(account.threads()) == [[one, three], [two]]


def test_what_was_about_to_arrive_never_does_after_a_reset(world):
    arrived = []
    world.later(0, lambda: arrived.append("now"))
    world.later(60, lambda: arrived.append("without a loop this is now as well"))
    assert len(arrived) == 2
    world.clear()
    assert world.mailboxes()[0].messages() == []


def test_text_is_recoded_to_utf8_and_attachments_are_told_apart():
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"M=E4rz\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"JVBERg==\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=notes.txt\r\n\r\n"
        b"notes\r\n--b--\r\n"
    )
    part = read_parts(raw)
    assert part.text("text/plain") == "März"
    assert [(child.filename, child.content) for child in part.attachments()] == [
        ("a.pdf", b"%PDF"),
        ("notes.txt", b"notes"),
    ]


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"Content-Type: multipart/mixed\r\n\r\nx", b"Content-Type: x\r\n\r\n"]
)
def test_broken_messages_are_still_read(raw):
    assert read_parts(raw).part_id == ""


def test_a_snippet_of_html_is_its_words():
    head = b"Content-Type: text/html"
    body = b"<html><style>p {}</style><p>One &amp; <b>two</b></p><script>x</script></html>"
    assert snippet(head, body) == "One &amp; two"


def test_a_search_without_terms_matches_everything(world):
    assert read_query(None, world.account(LOCAL), 0).matches(put(world))
    assert read_query("", world.account(LOCAL), 0).matches(put(world))
