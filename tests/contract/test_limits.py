"""Quotas, the daily limit and every other refusal for load, as Google's own client meets them in the sandbox."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from googleapiclient.errors import HttpError
from letters import header, letter, raw_field, token, upload
from official_client import reason_of
from sandbox_thread import Control

pytestmark = pytest.mark.sandbox_only

INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def limited(start_sandbox):
    """A sandbox with Google's stricter limits."""
    with start_sandbox(limits="google-2026", answers_after_limit=2) as running:
        yield running


@pytest.fixture
def contract(limited, contract_at):
    return contract_at(limited.url)


@pytest.fixture
def control(limited):
    knobs = Control(limited.url)
    yield knobs
    knobs.call("DELETE", "faults")
    knobs.close()


def send(service, content):
    return service.users().messages().send(userId="me", body=raw_field(content)).execute()


def refused(request):
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value


def test_sends_above_the_units_of_a_minute_are_refused_before_they_happen(gmail_service, sender, recipient, control):
    messages = gmail_service.users().messages()
    for _ in range(60):
        send(gmail_service, letter(sender, recipient, token()))
    error = refused(messages.send(userId="me", body=raw_field(letter(sender, recipient, token()))))
    assert (error.status_code, reason_of(error)) == (403, "rateLimitExceeded")
    assert error.reason.startswith("Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'")
    assert len(control.messages(recipient)) == 60
    control.advance(seconds=61)
    assert send(gmail_service, letter(sender, recipient, token()))["id"]


def test_who_comes_again_too_early_is_told_the_time_in_the_text(gmail_service, sender, recipient, control):
    messages = gmail_service.users().messages()
    for _ in range(60):
        send(gmail_service, letter(sender, recipient, token()))
    request = messages.send(userId="me", body=raw_field(letter(sender, recipient, token())))
    refused(request)
    error = refused(messages.send(userId="me", body=raw_field(letter(sender, recipient, token()))))
    text, _, moment = error.reason.partition("Retry after ")
    assert text == "User-rate limit exceeded.  "
    assert reason_of(error) in {"rateLimitExceeded", "userRateLimitExceeded"}
    assert datetime.fromisoformat(moment).utcoffset() == timedelta(0)
    control.advance(seconds=120)


def test_over_the_daily_limit_a_200_brings_a_notice_and_no_letter(gmail_service, sender, recipient, control):
    control.mailbox(sender, daily_limit=2)
    sent = [send(gmail_service, letter(sender, recipient, token())) for _ in range(3)]
    threads = [gmail_service.users().threads().get(userId="me", id=one["threadId"]).execute() for one in sent]
    notice = threads[2]["messages"][1]
    headers = {entry["name"] for entry in notice["payload"]["headers"]}
    assert [len(thread["messages"]) for thread in threads] == [1, 1, 2]
    assert "mailer-daemon@googlemail.com" in header(notice, "From")
    assert "X-Failed-Recipients" not in headers
    assert "You have reached a limit for sending mail" in notice["snippet"]
    assert len(control.messages(recipient)) == 2


def test_later_sends_over_the_daily_limit_are_refused_as_mail_sending(gmail_service, sender, recipient, control):
    control.mailbox(sender, daily_limit=1)
    for _ in range(3):
        send(gmail_service, letter(sender, recipient, token()))
    error = refused(gmail_service.users().messages().send(userId="me", body=raw_field(letter(sender, recipient, "x"))))
    assert (error.status_code, reason_of(error)) in {(429, "rateLimitExceeded"), (429, "userRateLimitExceeded")}
    assert error.reason.startswith("User-rate limit exceeded")
    assert "(Mail sending)" in error.reason


def test_a_draft_refused_by_the_sending_limit_is_still_there(gmail_service, sender, recipient, control):
    control.mailbox(sender, daily_limit=0)
    drafts, content = gmail_service.users().drafts(), letter(sender, recipient, token())
    made = [drafts.create(userId="me", media_body=upload(content)).execute()["id"] for _ in range(3)]
    for one in made[:2]:
        drafts.send(userId="me", body={"id": one}).execute()
    refused(drafts.send(userId="me", body={"id": made[2]}))
    assert drafts.get(userId="me", id=made[2], format="minimal").execute()["id"] == made[2]


def test_a_letter_above_25_mb_does_not_arrive(gmail_service, sender, recipient, control):
    content = letter(sender, recipient, token()) + (b"y" * 76 + b"\r\n") * (27 * MEBIBYTE // 78)
    sent = gmail_service.users().messages().send(userId="me", media_body=upload(content)).execute()
    thread = gmail_service.users().threads().get(userId="me", id=sent["threadId"], format="metadata").execute()
    assert header(thread["messages"][1], "X-Failed-Recipients") == recipient


REFUSALS = {
    "unauthorized": (401, "authError", r"Request had invalid authentication credentials\..*"),
    "rate_limited": (403, "rateLimitExceeded", rf"User-rate limit exceeded\.  Retry after {INSTANT}"),
    "user_rate_limited": (403, "userRateLimitExceeded", rf"User-rate limit exceeded\.  Retry after {INSTANT}"),
    "rate_limited_429": (429, "rateLimitExceeded", rf"User-rate limit exceeded\.  Retry after {INSTANT}"),
    "cloud_quota": (403, "rateLimitExceeded", r"Quota exceeded for quota metric 'Queries' .* 'project_number:\d+'\."),
    "project_exhausted": (403, "dailyLimitExceeded", r"Daily Limit Exceeded.*"),
    "domain_policy": (403, "domainPolicy", r".+"),
    "scope_insufficient": (403, "insufficientPermissions", r"Request had insufficient authentication scopes\."),
    "delegation_denied": (403, "forbidden", r"Delegation denied for .+"),
    "mail_sending": (429, None, r"User-rate limit exceeded\..*\(Mail sending\)"),
    "concurrency": (429, "rateLimitExceeded", r"Too many concurrent requests for user"),
    "exhausted": (429, "rateLimitExceeded", r"Resource has been exhausted \(e\.g\. check quota\)\."),
    "mail_service_off": (400, "failedPrecondition", r"Mail service not enabled"),
    "500": (500, "backendError", r".+"),
    "503": (503, "backendError", r".+"),
    "504": (504, "backendError", r".+"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_each_refusal_on_record_has_its_status_reason_and_words(gmail_service, sender, recipient, control, kind):
    status, reason, words = REFUSALS[kind]
    times = 3 if kind == "unauthorized" else 1  # Google's client refreshes its token and asks twice more
    control.faults({"point": "before", "kind": kind, "method": "messages.send", "mailbox": sender, "times": times})
    request = gmail_service.users().messages().send(userId="me", body=raw_field(letter(sender, recipient, token())))
    with pytest.raises(HttpError, match=words) as caught:
        request.execute()
    assert caught.value.status_code == status
    assert reason_of(caught.value) == (reason or reason_of(caught.value))
    assert "messages" not in gmail_service.users().messages().list(userId="me").execute()


def test_a_bad_gateway_is_a_page_that_the_client_still_reads(gmail_service, sender, control):
    control.faults({"point": "before", "kind": "502", "method": "getProfile", "mailbox": sender, "times": 1})
    error = refused(gmail_service.users().getProfile(userId="me"))
    assert error.status_code == 502
    assert b"<html" in error.content.lower() or b"<!doctype html" in error.content.lower()


def test_an_error_after_the_effect_leaves_the_letter_sent(gmail_service, sender, recipient, control):
    control.faults({"point": "after", "kind": "500", "method": "messages.send", "mailbox": sender, "times": 1})
    error = refused(
        gmail_service.users().messages().send(userId="me", body=raw_field(letter(sender, recipient, token())))
    )
    assert error.status_code == 500
    assert len(gmail_service.users().messages().list(userId="me", labelIds=["SENT"]).execute()["messages"]) == 1
    assert len(control.messages(recipient)) == 1


def test_too_many_calls_at_once_are_refused(open_service, sender, control):
    control.faults({"point": "odd", "kind": "slow", "method": "labels.list", "mailbox": sender, "delay": 1.0})
    services = [open_service(sender) for _ in range(12)]
    for service in services:
        service.users().getProfile(userId="me").execute()

    def ask(service):
        try:
            service.users().labels().list(userId="me").execute()
        except HttpError as error:
            return error.status_code, error.reason
        return 200, ""

    with ThreadPoolExecutor(len(services)) as pool:
        answers = list(pool.map(ask, services))
    assert answers.count((200, "")) == 10
    assert answers.count((429, "Too many concurrent requests for user")) == 2


@pytest.mark.parametrize("kind", ["duplicate_page", "empty_page"])
def test_an_odd_page_is_still_a_page_by_the_description(gmail_service, sender, recipient, control, kind):
    sent = {send(gmail_service, letter(sender, recipient, token()))["id"] for _ in range(4)}
    control.faults({"point": "odd", "kind": kind, "method": "messages.list", "mailbox": sender, "positions": [2]})
    messages, found = gmail_service.users().messages(), []
    request = messages.list(userId="me", maxResults=2)
    while request is not None:
        page = request.execute()
        found += [message["id"] for message in page.get("messages", [])]
        request = messages.list_next(request, page)
    assert set(found) == sent


def test_a_message_may_vanish_between_list_and_get(gmail_service, sender, recipient, control):
    sent = send(gmail_service, letter(sender, recipient, token()))
    control.faults({"point": "odd", "kind": "vanished", "method": "messages.get", "mailbox": sender, "times": 1})
    error = refused(gmail_service.users().messages().get(userId="me", id=sent["id"]))
    assert (error.status_code, reason_of(error)) == (404, "notFound")


def test_the_history_may_have_expired(gmail_service, sender, control):
    start = gmail_service.users().getProfile(userId="me").execute()["historyId"]
    rule = {"point": "odd", "kind": "expired_history", "method": "history.list", "mailbox": sender, "times": 1}
    control.faults(rule)
    error = refused(gmail_service.users().history().list(userId="me", startHistoryId=start))
    assert (error.status_code, reason_of(error)) == (404, "notFound")
