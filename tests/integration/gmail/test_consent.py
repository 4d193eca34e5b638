import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web

from millstream.gmail import errors
from millstream.gmail.authorized_user import OAuthClient, TokenFolder
from millstream.gmail.consent import Consent, connect_mailbox
from millstream.gmail.options import DRAFT_SCOPES

BOX = "Owner@bank.example"
CONSENT = Consent(mailbox=BOX, client=OAuthClient("client-id", "GOCSPX-hidden"), wait_seconds=5)


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class ConsentPage:
    """The authorisation page, the token endpoint and the profile of a Google with one account."""

    def __init__(self, google) -> None:
        self.google = google
        self.asked: dict[str, str] = {}
        self.account = BOX.lower()
        self.scopes = " ".join(DRAFT_SCOPES)
        self.refresh_token: str | None = "1//kept"
        self.tampered: dict[str, str] = {}
        google.usual = self.answer

    def answer(self, asked) -> web.Response:
        if asked.path.startswith("/auth"):
            self.asked = query(asked.path)
            back = {"state": self.asked["state"], "code": "4/code", **self.tampered}
            target = f"{self.asked['redirect_uri']}?{urlencode(back)}"
            return web.Response(text=f'<a id="allow" href="{target}">Allow</a>', content_type="text/html")
        if asked.path == "/token":
            sent = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
            digest = hashlib.sha256(sent["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == self.asked["code_challenge"]
            assert (sent["grant_type"], sent["code"]) == ("authorization_code", "4/code")
            assert sent["redirect_uri"] == self.asked["redirect_uri"]
            given = {"access_token": "ya29.x", "expires_in": 3599, "scope": self.scopes}
            return web.json_response(given | ({"refresh_token": self.refresh_token} if self.refresh_token else {}))
        return web.json_response({"emailAddress": self.account, "historyId": "7"})


class Browser:
    """Opens the page and follows its link, as a person would who clicks Allow."""

    def __init__(self) -> None:
        self.visit: asyncio.Task[list[int]] | None = None
        self.opened = ""

    def __call__(self, url: str) -> None:
        self.opened = url
        self.visit = asyncio.create_task(self._click(url))

    async def _click(self, url: str) -> list[int]:
        statuses = []
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as page:
                link = re.search(r'href="([^"]+)"', await page.text())
            for _ in range(2):
                try:
                    async with session.get(link[1]) as reply:
                        statuses.append(reply.status)
                except aiohttp.ClientError:  # the first answer was enough and the server has gone
                    break
        return statuses


async def connected(google, folder: TokenFolder, browser: Callable, consent: Consent = CONSENT):
    try:
        return await connect_mailbox(consent, folder, google.options(), browser)
    finally:
        if isinstance(browser, Browser) and browser.visit:
            await browser.visit


async def test_a_person_consents_in_a_browser_and_the_refresh_token_is_kept(google, tmp_path) -> None:
    page, browser, folder = ConsentPage(google), Browser(), TokenFolder(tmp_path)
    profile = await connected(google, folder, browser)
    assert profile.address == BOX.lower()
    assert folder.read(BOX) == "1//kept"
    assert page.asked["login_hint"] == BOX
    assert page.asked["scope"] == " ".join(DRAFT_SCOPES)
    assert (page.asked["access_type"], page.asked["code_challenge_method"]) == ("offline", "S256")
    assert urlsplit(page.asked["redirect_uri"]).hostname == "127.0.0.1"
    assert "GOCSPX" not in browser.opened
    assert browser.visit.result()[0] == 200


async def test_the_consent_of_another_mailbox_is_not_kept(google, tmp_path) -> None:
    page, folder = ConsentPage(google), TokenFolder(tmp_path)
    page.account = "somebody@else.example"
    with pytest.raises(errors.DelegationDenied, match=r"somebody@else\.example"):
        await connected(google, folder, Browser())
    assert folder.mailboxes() == ()


async def test_a_box_left_unticked_is_told(google, tmp_path) -> None:
    page, folder = ConsentPage(google), TokenFolder(tmp_path)
    page.scopes = DRAFT_SCOPES[0]
    with pytest.raises(errors.ScopeMissing, match=r"gmail\.readonly"):
        await connected(google, folder, Browser())
    assert folder.mailboxes() == ()


async def test_a_consent_without_a_refresh_token_is_of_no_use(google, tmp_path) -> None:
    page = ConsentPage(google)
    page.refresh_token = None
    with pytest.raises(errors.TokenDead, match="no refresh token"):
        await connected(google, TokenFolder(tmp_path), Browser())


async def test_an_answer_with_a_foreign_state_is_turned_away(google, tmp_path) -> None:
    page, browser = ConsentPage(google), Browser()
    page.tampered = {"state": "foreign"}
    consent = Consent(mailbox=BOX, client=CONSENT.client, wait_seconds=0.5)
    with pytest.raises(errors.TimedOut, match="run the command again"):
        await connected(google, TokenFolder(tmp_path), browser, consent)
    assert set(browser.visit.result()) == {400}


async def test_a_person_who_says_no_ends_it_at_once(google, tmp_path) -> None:
    def refuse(url: str) -> None:
        asked = query(url)
        back = f"{asked['redirect_uri']}?{urlencode({'state': asked['state'], 'error': 'access_denied'})}"
        refuse.visit = asyncio.create_task(visit(back))

    async def visit(url: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            return await reply.text()

    with pytest.raises(errors.Forbidden, match="consent was not given"):
        await connect_mailbox(CONSENT, TokenFolder(tmp_path), google.options(), refuse)
    assert "access_denied" in await refuse.visit
