"""Batches through Google's own client, at both addresses that clients use."""

import pytest
from googleapiclient.errors import BatchError, HttpError
from googleapiclient.http import BatchHttpRequest
from letters import letter, raw_field, token

PATHS = ("batch", "batch/gmail/v1")


@pytest.fixture
def sent(gmail_service, sender, recipient):
    messages = gmail_service.users().messages()
    return [
        messages.send(userId="me", body=raw_field(letter(sender, recipient, token()))).execute()["id"] for _ in range(3)
    ]


def test_the_clients_own_batch_reads_many_messages(gmail_service, sent):
    answers = {}
    batch = gmail_service.new_batch_http_request(lambda key, answer, error: answers.update({key: (answer, error)}))
    for one in sent:
        batch.add(gmail_service.users().messages().get(userId="me", id=one, format="minimal"), request_id=one)
    batch.execute()
    assert {key: answer["id"] for key, (answer, error) in answers.items() if error is None} == {
        one: one for one in sent
    }


@pytest.mark.parametrize("path", PATHS)
def test_each_part_of_a_batch_has_its_own_outcome(gmail_service, contract, sent, path):
    answers = {}
    batch = BatchHttpRequest(
        lambda key, answer, error: answers.update({key: error or answer}), f"{contract.endpoint}/{path}"
    )
    messages = gmail_service.users().messages()
    batch.add(messages.modify(userId="me", id=sent[0], body={"addLabelIds": ["STARRED"]}), request_id="modify")
    batch.add(messages.get(userId="me", id="0000000000000000"), request_id="missing")
    batch.add(messages.delete(userId="me", id=sent[1]), request_id="delete")
    batch.add(gmail_service.users().labels().list(userId="me"), request_id="labels")
    batch.execute(http=gmail_service._http)
    assert "STARRED" in answers["modify"]["labelIds"]
    assert isinstance(answers["missing"], HttpError)
    assert answers["missing"].status_code == 404
    assert answers["delete"] in {"", None}
    assert answers["labels"]["labels"]


def test_a_batch_of_more_than_a_hundred_calls_is_refused(gmail_service):
    gmail_service.users().labels().list(userId="me").execute()  # fetches a token; a batch would leave its socket open
    batch = gmail_service.new_batch_http_request()
    for _ in range(101):
        batch.add(gmail_service.users().labels().list(userId="me"))
    with pytest.raises((BatchError, HttpError)) as refused:
        batch.execute()
    assert "exceeded" in str(refused.value).lower() or refused.value.status_code == 400
