import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from millstream.gmail import METHODS, Gmail, MailboxClient, StaticTokens, errors
from millstream.gmail.errors import Effect
from millstream.gmail.model import Draft, Label, MessageRef, Profile

BOX = "a+b@bank.example"
PATH = "/gmail/v1/users/a%2Bb%40bank.example"


@pytest.fixture
async def gmail(google):
    async with Gmail(google.options(), StaticTokens("secret-token")) as opened:
        yield opened


@pytest.fixture
def box(gmail: Gmail) -> MailboxClient:
    return gmail.mailbox(BOX)


async def test_a_draft_is_uploaded_as_the_message_itself(google, box) -> None:
    raw = b"Subject: x\r\n\r\n" + bytes(range(256))
    assert await box.create_draft(raw) == Draft("r-1", "m-1", "t-1")
    asked = google.asked[0]
    assert (asked.method, asked.path) == ("POST", f"/upload{PATH}/drafts?uploadType=media")
    assert asked.headers["Content-Type"] == "message/rfc822"
    assert asked.headers["Authorization"] == "Bearer secret-token"
    assert asked.body == raw


async def test_an_upload_of_thirty_megabytes_arrives_whole_and_warns_of_nothing(google, box) -> None:
    raw = bytes(30 * 2**20)
    await box.send_message(raw)
    assert len(google.asked[0].body) == len(raw)


CALLS = [
    ("drafts.create", lambda box: box.create_draft(b"x"), "POST", f"/upload{PATH}/drafts?uploadType=media"),
    ("drafts.get", lambda box: box.get_draft("r/1"), "GET", f"{PATH}/drafts/r%2F1?format=minimal"),
    ("drafts.list", lambda box: box.list_drafts("p 2"), "GET", f"{PATH}/drafts?maxResults=500&pageToken=p+2"),
    ("drafts.send", lambda box: box.send_draft("r-1"), "POST", f"{PATH}/drafts/send"),
    ("drafts.delete", lambda box: box.delete_draft("r-1"), "DELETE", f"{PATH}/drafts/r-1"),
    ("messages.send", lambda box: box.send_message(b"x"), "POST", f"/upload{PATH}/messages/send?uploadType=media"),
    ("messages.get", lambda box: box.get_message("m", headers=("To", "X-A")), "GET",
     f"{PATH}/messages/m?format=metadata&metadataHeaders=To&metadataHeaders=X-A"),
    ("messages.get", lambda box: box.get_message("m", "raw"), "GET", f"{PATH}/messages/m?format=raw"),
    ("messages.list", lambda box: box.list_messages(("SENT", "L1"), "a b", "p", page_size=7), "GET",
     f"{PATH}/messages?labelIds=SENT&labelIds=L1&q=a+b&maxResults=7&pageToken=p"),
    ("messages.list", lambda box: box.list_messages(include_spam_trash=True), "GET",
     f"{PATH}/messages?maxResults=500&includeSpamTrash=true"),
    ("history.list", lambda box: box.list_history(2**63, "SENT"), "GET",
     f"{PATH}/history?startHistoryId=9223372036854775808&historyTypes=messageAdded&labelId=SENT&maxResults=500"),
    ("labels.list", lambda box: box.list_labels(), "GET", f"{PATH}/labels"),
    ("getProfile", lambda box: box.profile(), "GET", f"{PATH}/profile"),
    ("settings.sendAs.list", lambda box: box.list_send_as(), "GET", f"{PATH}/settings/sendAs"),
    ("watch", lambda box: box.watch("projects/p/topics/t"), "POST", f"{PATH}/watch"),
    ("stop", lambda box: box.stop_watch(), "POST", f"{PATH}/stop"),
]  # fmt: skip
ANSWER = {"id": "r-1", "historyId": "7", "emailAddress": BOX, "expiration": "1789156800123"}


@pytest.mark.parametrize(("method", "call", "verb", "path"), CALLS)
async def test_each_method_asks_at_its_address_and_refuses_with_its_name(google, box, method, call, verb, path) -> None:
    google.answers = [
        web.json_response(ANSWER),
        web.json_response({"error": {"code": 400, "message": "no"}}, status=400),
    ]
    await call(box)
    with pytest.raises(errors.BadRequest) as caught:
        await call(box)
    assert {(asked.method, asked.path) for asked in google.asked} == {(verb, path)}
    assert (caught.value.method, caught.value.mailbox, caught.value.text) == (method, BOX, "no")


def test_every_method_is_tried_here() -> None:
    assert {row[0] for row in CALLS} == METHODS


async def test_sending_a_draft_names_it_and_gives_the_new_message(google, box) -> None:
    google.usual = lambda _asked: web.json_response({"id": "m-2", "threadId": "t-1", "labelIds": ["SENT"]})
    sent = await box.send_draft("r-1")
    assert (sent.id, sent.thread_id, sent.label_ids) == ("m-2", "t-1", ("SENT",))
    assert json.loads(google.asked[0].body) == {"id": "r-1"}
    assert google.asked[0].headers["Content-Type"] == "application/json"


async def test_deleting_a_draft_answers_nothing(google, box) -> None:
    google.answers = [web.Response(status=204)]
    await box.delete_draft("r-1")
    assert google.asked[0].body == b""


async def test_lists_and_the_profile_are_typed(google, box) -> None:
    google.answers = [
        web.json_response({"messages": [{"id": "1", "threadId": "2"}], "nextPageToken": "n"}),
        web.json_response({"history": [{"id": "8", "messagesAdded": [{"message": {"id": "3"}}]}], "historyId": "9"}),
        web.json_response({"labels": [{"id": "SENT", "name": "SENT", "type": "system"}]}),
        web.json_response({"emailAddress": BOX, "historyId": "18446744073709551615", "messagesTotal": 4}),
    ]
    page = await box.list_messages(("SENT",))
    assert (page.items, page.next_page) == ((MessageRef("1", "2"),), "n")
    history = await box.list_history(7)
    assert (history.history_id, history.added, history.next_page) == (9, (MessageRef("3"),), None)
    assert await box.list_labels() == (Label("SENT", "SENT", "system"),)
    assert await box.profile() == Profile(BOX, 2**64 - 1, 4, 0)


@pytest.mark.parametrize(
    "content", [b"", b"<html>Welcome to the hotel</html>", b"[]", b'"x"', b"{}", b'{"id": 7}', b'{"id"']
)
async def test_a_success_that_cannot_be_read_is_unknown_for_a_send_only(google, box, content) -> None:
    google.usual = lambda _asked: web.Response(body=content)
    with pytest.raises(errors.Unreadable) as send:
        await box.send_draft("r-1")
    assert (send.value.effect, send.value.status) == (Effect.UNKNOWN, 200)
    with pytest.raises(errors.Unreadable) as read:
        await box.get_draft("r-1")
    assert read.value.effect is Effect.NO


async def test_a_watch_names_its_topic_and_labels_and_can_be_stopped(google, box) -> None:
    google.usual = lambda _asked: web.json_response({"historyId": "9", "expiration": "1789156800000"})
    watch = await box.watch("projects/p/topics/t", ("INBOX", "L1"), "exclude")
    assert watch.history_id == 9
    assert watch.expires_at.isoformat() == "2026-09-11T20:00:00+00:00"
    await box.watch("projects/p/topics/t")
    google.answers = [web.Response(status=204)]
    await box.stop_watch()
    told = {"topicName": "projects/p/topics/t", "labelIds": ["INBOX", "L1"], "labelFilterBehavior": "exclude"}
    assert [asked.body and json.loads(asked.body) for asked in google.asked] == [
        told,
        {"topicName": "projects/p/topics/t"},
        b"",
    ]


async def test_a_watch_without_an_answer_is_simply_asked_for_again(google, box) -> None:
    google.usual = lambda _asked: web.Response(status=503)
    with pytest.raises(errors.ServerError) as caught:
        await box.watch("projects/p/topics/t")
    assert (caught.value.temporary, caught.value.effect) == (True, Effect.NO)


async def test_a_page_that_is_gone_is_told_from_a_wrong_question(google, box) -> None:
    google.usual = lambda _asked: web.json_response(
        {"error": {"code": 400, "message": "Invalid pageToken"}}, status=400
    )
    for call in (box.list_history(7, page_token="old"), box.list_messages(page_token="old")):
        with pytest.raises(errors.PageTokenInvalid):
            await call


class Renewing:
    """A source whose tokens count up."""

    def __init__(self) -> None:
        self.number = 1
        self.refused: list[tuple[str, str | None]] = []

    async def token(self, mailbox: str) -> str:  # noqa: ARG002  one account
        return f"token-{self.number}"

    def invalidate(self, mailbox: str, token: str | None = None) -> None:
        self.refused.append((mailbox, token))
        self.number += 1

    async def close(self) -> None: ...


def unauthorized() -> web.Response:
    return web.json_response({"error": {"code": 401, "message": "Invalid Credentials"}}, status=401)


async def test_a_refused_token_is_renewed_and_the_call_repeated_once(google) -> None:
    tokens = Renewing()
    google.answers = [unauthorized()]
    async with Gmail(google.options(), tokens) as gmail:
        await gmail.mailbox(BOX).create_draft(b"the message")
    assert [asked.headers["Authorization"] for asked in google.asked] == ["Bearer token-1", "Bearer token-2"]
    assert {asked.body for asked in google.asked} == {b"the message"}
    assert tokens.refused == [(BOX, "token-1")]


async def test_a_token_refused_twice_is_an_error(google) -> None:
    google.answers = [unauthorized(), unauthorized()]
    async with Gmail(google.options(), Renewing()) as gmail:
        with pytest.raises(errors.Unauthorized) as caught:
            await gmail.mailbox(BOX).send_draft("r-1")
    assert len(google.asked) == 2
    assert caught.value.effect is Effect.NO


@pytest.mark.parametrize("status", [403, 404, 408, 429, 500, 502, 503, 504])
async def test_nothing_else_is_ever_repeated(google, box, status) -> None:
    google.usual = lambda _asked: web.json_response({"error": {"code": status, "message": "x"}}, status=status)
    for call in (box.send_draft("r-1"), box.send_message(b"x"), box.create_draft(b"x"), box.get_draft("r-1")):
        with pytest.raises(errors.GmailError):
            await call
    assert len(google.asked) == 4


class Recorder:
    """A meter that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def acquire(self, method: str) -> int:
        self.told.append(method)
        return len(self.told)

    def release(self, ticket: int) -> None:
        self.told.append(ticket)


async def test_the_meter_is_asked_before_and_told_after_each_exchange(google) -> None:
    meter = Recorder()
    google.answers = [unauthorized(), web.json_response({"id": "r-1"}), web.Response(status=500)]
    async with Gmail(google.options(), Renewing()) as gmail:
        box = gmail.mailbox(BOX, meter)
        await box.create_draft(b"x")
        with pytest.raises(errors.ServerError):
            await box.send_draft("r-1")
    assert meter.told == ["drafts.create", 1, "drafts.create", 3, "drafts.send", 5]


async def test_a_call_that_is_given_up_gives_its_ticket_back(google) -> None:
    meter = Recorder()
    arrived = asyncio.Event()
    never = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        arrived.set()
        await never.wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", hang)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Gmail(google.options(endpoint=url), StaticTokens("t")) as gmail:
        call = asyncio.create_task(gmail.mailbox(BOX, meter).send_draft("r-1"))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert meter.told == ["drafts.send", 1]
    never.set()
    await runner.cleanup()


async def test_a_dead_token_spends_nothing(google) -> None:
    meter = Recorder()
    async with Gmail(google.options(), StaticTokens({})) as gmail:
        with pytest.raises(errors.TokenDead):
            await gmail.mailbox(BOX, meter).send_draft("r-1")
    assert (meter.told, google.asked) == ([], [])


async def test_no_error_shows_the_token(google, box) -> None:
    google.usual = lambda asked: web.Response(status=400, text=f"odd: {asked.headers['Authorization']}")
    with pytest.raises(errors.BadRequest) as caught:
        await box.send_draft("r-1")
    assert "secret-token" not in f"{caught.value!r} {caught.value}"


async def test_the_time_to_wait_survives_the_wire(google, box) -> None:
    google.usual = lambda _asked: web.json_response(
        {"error": {"code": 403, "message": "User-rate limit exceeded.  Retry after 2126-09-11T20:00:00.000Z",
                   "errors": [{"reason": "userRateLimitExceeded"}]}}, status=403)  # fmt: skip
    with pytest.raises(errors.RateLimited) as caught:
        await box.send_draft("r-1")
    assert caught.value.retry_at.isoformat() == "2126-09-11T20:00:00+00:00"
