"""Every refusal in Google's shape and wording, as Google's own client reads it."""

import base64

import httplib2
import pytest
from googleapiclient.errors import HttpError, MediaUploadSizeError
from letters import MESSAGE_TYPE, letter, raw_field, token, upload
from official_client import reason_of

MEBIBYTE = 1024 * 1024
NO_LETTER = "'raw' RFC822 payload message string or uploading message via /upload/* URL required"


def refusal(request):
    """(status, reason, message) of a request that must fail."""
    with pytest.raises(HttpError) as refused:
        request.execute()
    error = refused.value
    return error.status_code, reason_of(error), error.reason


@pytest.mark.parametrize("way", ["messages", "drafts"])
def test_a_send_without_a_letter_is_refused(gmail_service, way):
    users = gmail_service.users()
    request = (
        users.messages().send(userId="me", body={})
        if way == "messages"
        else users.drafts().create(userId="me", body={"message": {}})
    )
    assert refusal(request) == (400, "invalidArgument", NO_LETTER)


def test_a_letter_without_a_recipient_is_refused(gmail_service, sender):
    content = f"From: {sender}\r\nSubject: {token()}\r\n\r\nNobody.\r\n".encode()
    request = gmail_service.users().messages().send(userId="me", body=raw_field(content))
    assert refusal(request) == (400, "invalidArgument", "Recipient address required")


def test_a_letter_with_a_broken_recipient_is_refused(gmail_service, sender):
    content = f"From: {sender}\r\nTo: not an address\r\nSubject: {token()}\r\n\r\nNobody.\r\n".encode()
    request = gmail_service.users().messages().send(userId="me", media_body=upload(content))
    assert refusal(request) == (400, "invalidArgument", "Invalid To header")


def test_raw_that_is_no_base64url_is_refused(gmail_service):
    request = gmail_service.users().messages().send(userId="me", body={"raw": "***"})
    status, _, _ = refusal(request)
    assert status == 400


def test_an_id_that_cannot_be_one_is_refused(gmail_service):
    request = gmail_service.users().messages().get(userId="me", id="not-an-id!")
    assert refusal(request) == (400, "invalidArgument", "Invalid id value")


@pytest.mark.parametrize("kind", ["messages", "threads"])
def test_an_id_nobody_has_is_not_found(gmail_service, kind):
    resource = getattr(gmail_service.users(), kind)()
    expected = (404, "notFound", "Requested entity was not found.")
    assert refusal(resource.get(userId="me", id="7fffffffffffffff")) == expected


def test_a_draft_nobody_has_is_not_found(gmail_service):
    drafts, expected = gmail_service.users().drafts(), (404, "notFound", "Requested entity was not found.")
    assert refusal(drafts.send(userId="me", body={"id": "r7777777777777777777"})) == expected
    assert refusal(drafts.delete(userId="me", id="r7777777777777777777")) == expected


def test_a_label_nobody_made_is_refused(gmail_service, sender, recipient):
    messages = gmail_service.users().messages()
    sent = messages.send(userId="me", body=raw_field(letter(sender, recipient, token()))).execute()
    request = messages.modify(userId="me", id=sent["id"], body={"addLabelIds": ["Label_999999"]})
    assert refusal(request) == (400, "invalidArgument", "Invalid label: Label_999999")


def test_another_mailbox_than_ones_own_is_forbidden(gmail_service, sender, colleague):
    status, reason, text = refusal(gmail_service.users().getProfile(userId=colleague))
    assert (status, reason) == (403, "forbidden")
    assert text == f"Delegation denied for {sender}"


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic nonsense"])
def test_a_call_without_a_valid_token_is_unauthorized(contract, wire, authorization):
    headers = {"Authorization": authorization} if authorization else {}
    response, content = wire.request(f"{contract.endpoint}/gmail/v1/users/me/profile", headers=headers)
    error = HttpError(httplib2.Response(response), content)
    assert response.status == 401
    assert "Bearer" in response["www-authenticate"]
    assert reason_of(error) in {"authError", "required"}
    assert error.reason.startswith("Request ")


def test_an_unknown_path_is_not_found_in_googles_shape_or_as_a_page(contract, wire, gmail_service):
    response, _ = wire.request(f"{contract.endpoint}/gmail/v2/users/me/profile")
    assert response.status == 404


def test_googles_client_knows_the_largest_upload_by_itself(gmail_service):
    with pytest.raises(MediaUploadSizeError, match="36700160"):
        gmail_service.users().drafts().create(userId="me", media_body=upload(b"x" * (35 * MEBIBYTE + 1)))


@pytest.mark.sandbox_only
@pytest.mark.parametrize("method", ["drafts", "messages/send"])
def test_an_upload_above_35_mib_is_refused(contract, wire, bearer, sender, recipient, method):
    content = letter(sender, recipient, token()) + b"x" * (35 * MEBIBYTE)
    url = f"{contract.endpoint}/upload/gmail/v1/users/me/{method}?uploadType=media"
    response, _ = wire.request(url, "POST", headers=bearer | {"Content-Type": MESSAGE_TYPE}, body=content)
    assert response.status == 413


@pytest.mark.sandbox_only
def test_a_resumable_upload_above_35_mib_is_refused_before_its_first_byte(contract, gmail_service, wire, bearer):
    headers = bearer | {
        "X-Upload-Content-Type": MESSAGE_TYPE,
        "X-Upload-Content-Length": str(35 * MEBIBYTE + 1),
        "Content-Length": "0",
    }
    url = f"{contract.endpoint}/upload/gmail/v1/users/me/messages/send?uploadType=resumable"
    response, _ = wire.request(url, "POST", headers=headers, body="")
    assert response.status == 413


def test_a_resumable_upload_can_be_asked_how_far_it_came(contract, wire, bearer, sender, recipient):
    content = letter(sender, recipient, token()) + b"z" * 300 * 1024
    url = f"{contract.endpoint}/upload/gmail/v1/users/me/drafts?uploadType=resumable"
    start = {"X-Upload-Content-Type": MESSAGE_TYPE, "X-Upload-Content-Length": str(len(content))}
    begun, _ = wire.request(url, "POST", headers=bearer | start, body="")
    session, size, part = begun["location"], len(content), 256 * 1024
    first = {"Content-Range": f"bytes 0-{part - 1}/{size}"}
    rest = {"Content-Range": f"bytes {part}-{size - 1}/{size}"}
    went_on, _ = wire.request(session, "PUT", headers=bearer | first, body=content[:part])
    asked, _ = wire.request(session, "PUT", headers=bearer | {"Content-Range": f"bytes */{size}"}, body="")
    done, _ = wire.request(session, "PUT", headers=bearer | rest, body=content[part:])
    again, _ = wire.request(session, "PUT", headers=bearer | {"Content-Range": f"bytes */{size}"}, body="")
    assert (begun.status, went_on.status, asked.status, done.status, again.status) == (200, 308, 308, 200, 200)
    assert went_on["range"] == asked["range"] == f"bytes=0-{part - 1}"


def test_base64url_without_padding_is_understood(gmail_service, sender, recipient):
    raw = base64.urlsafe_b64encode(letter(sender, recipient, token())).decode().rstrip("=")
    assert gmail_service.users().messages().send(userId="me", body={"raw": raw}).execute()["id"]
