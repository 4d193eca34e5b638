"""The measure itself: what the discovery document allows and what it does not."""

import json

import pytest
from discovery_schemas import DiscoverySchemas, load_document, relocated, to_json_schema
from official_client import error_problems

GET, DELETE = "gmail.users.messages.get", "gmail.users.drafts.delete"


@pytest.fixture(scope="module")
def document():
    return load_document()


@pytest.fixture(scope="module")
def measure(document):
    return DiscoverySchemas(document)


def test_a_message_as_described_has_no_fault(measure):
    message = {"id": "1", "threadId": "1", "historyId": "18446744073709551615", "internalDate": "-1", "raw": "YQ=="}
    assert measure.problems(GET, json.dumps(message).encode()) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"historyId": 7},
        {"historyId": "-1"},
        {"historyId": "18446744073709551616"},
        {"historyId": "007"},
        {"internalDate": "yesterday"},
        {"sizeEstimate": "12"},
        {"sizeEstimate": 2**31},
        {"raw": "YQ"},
        {"raw": "+/=="},
        {"labelIds": "SENT"},
        {"thread_id": "1"},
        {"payload": {"body": {"size": 1, "content": "YQ=="}}},
        {"payload": {"parts": [{"parts": [{"headers": [{"name": "To", "text": "x"}]}]}]}},
    ],
    ids=str,
)
def test_a_message_unlike_its_description_is_told(measure, fault):
    assert measure.problems(GET, json.dumps({"id": "1"} | fault).encode())


def test_an_enumeration_allows_only_its_words(measure):
    assert measure.faults("Label", {"type": "system"}) == []
    assert measure.faults("Label", {"type": "builtin"})


def test_a_method_without_a_response_answers_an_empty_body(measure):
    assert measure.problems(DELETE, b"") == []
    assert measure.problems(DELETE, b'{"id": "1"}')


def test_a_body_that_is_no_json_is_told(measure):
    assert "no JSON" in measure.problems(GET, b"<html>")[0]


def test_every_schema_of_the_document_converts(document):
    converted = {name: to_json_schema(schema) for name, schema in document["schemas"].items()}
    assert len(converted) == len(document["schemas"])
    assert all(schema["additionalProperties"] is False for schema in converted.values() if schema["type"] == "object")


def test_a_relocated_document_leaves_no_way_back_to_google(document):
    moved = relocated(document, "http://127.0.0.1:1")
    assert (moved["rootUrl"], moved["baseUrl"]) == ("http://127.0.0.1:1/", "http://127.0.0.1:1/")
    assert "mtlsRootUrl" not in moved


def test_an_error_in_googles_shape_has_no_fault():
    detail = {"message": "No.", "domain": "global", "reason": "notFound"}
    body = {"error": {"code": 404, "message": "No.", "errors": [detail], "status": "NOT_FOUND"}}
    assert error_problems(404, json.dumps(body).encode(), "application/json; charset=UTF-8") == []
    assert error_problems(500, json.dumps(body).encode(), "application/json; charset=UTF-8")
    assert error_problems(404, json.dumps({"error": "No."}).encode(), "application/json")
    assert error_problems(413, b"<html>", "text/html") == []
    assert error_problems(403, b"<html>", "text/html")
