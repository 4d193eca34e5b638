"""Tokens as google-auth asks for them: a service account acting for a mailbox, and a person's refresh token."""

import pytest
from google.auth.exceptions import RefreshError
from googleapiclient.errors import HttpError

SEND = "https://www.googleapis.com/auth/gmail.send"


def profile(service):
    return service.users().getProfile(userId="me").execute()


def test_a_service_account_acts_for_each_mailbox_it_is_delegated(open_service, sender, colleague):
    assert [profile(open_service(mailbox))["emailAddress"] for mailbox in (sender, colleague)] == [sender, colleague]


@pytest.mark.sandbox_only
def test_a_refresh_token_opens_the_mailbox_it_was_given_for(contract, sender, wire, open_service):
    assert profile(open_service(contract.authorized_user(sender, wire)))["emailAddress"] == sender


@pytest.mark.sandbox_only
def test_a_dead_refresh_token_is_an_invalid_grant(contract, sender, control, wire, transport):
    credentials = contract.authorized_user(sender, wire)
    control.mailbox(sender, token_dead=True)
    with pytest.raises(RefreshError, match="invalid_grant") as refused:
        credentials.refresh(transport)
    assert refused.value.args[1]["error_description"] == "Token has been expired or revoked."


@pytest.mark.sandbox_only
def test_a_service_account_cannot_act_for_somebody_who_does_not_exist(contract, transport):
    with pytest.raises(RefreshError, match="invalid_grant"):
        contract.service_account("nobody@bank.example").refresh(transport)


@pytest.mark.sandbox_only
def test_a_revoked_mailbox_stops_a_client_that_still_holds_a_token(sender, control, open_service):
    service = open_service(sender)
    profile(service)
    control.mailbox(sender, token_dead=True)
    with pytest.raises(RefreshError, match="invalid_grant"):
        profile(service)


@pytest.mark.sandbox_only
def test_a_token_expired_by_the_servers_clock_is_refreshed_without_a_word(sender, control, open_service):
    service = open_service(sender)
    profile(service)
    before = service._http.credentials.token
    control.advance(seconds=2 * 3600)
    assert profile(service)["emailAddress"] == sender
    assert service._http.credentials.token != before


def test_a_token_without_the_scope_is_refused(contract, sender, open_service):
    service = open_service(contract.service_account(sender, scopes=[SEND]))
    with pytest.raises(HttpError) as refused:
        service.users().drafts().list(userId="me").execute()
    assert refused.value.status_code == 403
    assert refused.value.reason == "Request had insufficient authentication scopes."


def test_a_fresh_token_is_valid(contract, sender, transport):
    credentials = contract.service_account(sender, scopes=[SEND])
    credentials.refresh(transport)
    assert credentials.valid
