from datetime import UTC, datetime

import pytest

from millstream.gmail import decode
from millstream.gmail.model import Headers, MessageRef, Watch


def test_headers_are_found_whatever_their_case_and_keep_their_order() -> None:
    headers = Headers([("Received", "2"), ("X-Millstream-Delivery", "t"), ("received", "1")])
    assert headers.get("x-millstream-delivery") == "t"
    assert headers.get_all("RECEIVED") == ("2", "1")
    assert "subject" not in headers
    assert headers.get("subject", "none") == "none"
    assert [name for name, _ in headers] == ["Received", "X-Millstream-Delivery", "received"]
    assert len(headers) == 3


def test_a_message_is_read_as_far_as_its_format_goes() -> None:
    minimal = decode.message({"id": "18c", "threadId": "18b"})
    assert (minimal.id, minimal.thread_id, minimal.history_id, minimal.raw) == ("18c", "18b", None, None)
    whole = decode.message(
        {
            "id": "18c",
            "threadId": "18b",
            "labelIds": ["SENT"],
            "historyId": "18446744073709551615",
            "internalDate": "1789156800123",
            "sizeEstimate": 42,
            "raw": "w6TDtg",
            "payload": {"headers": [{"name": "To", "value": "a@example.com"}]},
        }
    )
    assert whole.history_id == 2**64 - 1
    assert whole.internal_date == datetime(2026, 9, 11, 20, 0, 0, 123_000, tzinfo=UTC)
    assert whole.raw == "äö".encode()
    assert whole.headers.get("to") == "a@example.com"
    assert (whole.label_ids, whole.size) == (("SENT",), 42)


def test_base64url_is_read_with_and_without_padding() -> None:
    for raw in ("-_8", "-_8="):
        assert decode.message({"id": "1", "raw": raw}).raw == b"\xfb\xff"


def test_base64url_is_read_though_it_has_line_breaks() -> None:
    assert decode.message({"id": "1", "raw": "-_8t\r\n-_8="}).raw == b"\xfb\xff-\xfb\xff"


def test_an_empty_page_may_have_a_next_one() -> None:
    page = decode.page({"nextPageToken": "n", "resultSizeEstimate": 0}, "messages", decode.message_ref)
    assert (page.items, page.next_page) == ((), "n")


def test_history_tells_each_added_message_once_and_bears_a_missing_list() -> None:
    added = {"message": {"id": "1", "threadId": "1", "labelIds": ["SENT"]}}
    document = {"history": [{"id": "7", "messagesAdded": [added]}, {"id": "8", "messagesAdded": [added]}, {"id": "9"}]}
    page = decode.history({**document, "historyId": "9"})
    assert page.added == (MessageRef("1", "1", ("SENT",)),)
    empty = decode.history({"historyId": "9", "nextPageToken": "n"})
    assert (empty.added, empty.next_page) == ((), "n")


def test_a_watch_is_read_with_its_end_in_our_time() -> None:
    watch = decode.watch({"historyId": "18446744073709551615", "expiration": "1789156800123"})
    assert watch == Watch(2**64 - 1, datetime(2026, 9, 11, 20, 0, 0, 123_000, tzinfo=UTC))


@pytest.mark.parametrize("document", [{}, {"historyId": "1"}, {"historyId": "1", "expiration": None}])
def test_a_watch_without_its_end_is_not_taken(document: dict) -> None:
    with pytest.raises((KeyError, TypeError)):
        decode.watch(document)


def test_only_the_primary_and_accepted_addresses_are_verified() -> None:
    found = decode.send_as(
        {
            "sendAs": [
                {"sendAsEmail": "a@bank.example", "isPrimary": True, "isDefault": True},
                {"sendAsEmail": "b@bank.example", "verificationStatus": "accepted", "displayName": "B"},
                {"sendAsEmail": "c@bank.example", "verificationStatus": "pending"},
            ]
        }
    )
    assert [(entry.address, entry.verified) for entry in found] == [
        ("a@bank.example", True),
        ("b@bank.example", True),
        ("c@bank.example", False),
    ]


@pytest.mark.parametrize("document", [{}, {"id": ""}, {"id": 7}, {"id": None}])
def test_a_resource_without_its_id_is_not_taken(document: dict) -> None:
    with pytest.raises((KeyError, TypeError)):
        decode.draft(document)
