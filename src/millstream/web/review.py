"""The pages where reviewers answer. Looking decides nothing, whoever looks; only a form of ours does, once.

A form counts when its word is the one made for this link, this question and this browser, and when the browser says
that it comes from our own page (Origin, and Sec-Fetch-Site where it is sent). The cookie is Lax, not Strict: a link is
opened from a web mail, which is another site, and with Strict each opening would get a new cookie and spoil the form
that is open in another window. Neither is sent with a form of another site.

Pages have Referrer-Policy `same-origin`: with `no-referrer` a browser sends `Origin: null` with our own form
(https://fetch.spec.whatwg.org/#append-a-request-origin-header), and other sites learn nothing either way.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import FastAPI, Request, Response
from yarl import URL

from millstream.gmail.errors import GmailError, PushRefused
from millstream.log import get_logger
from millstream.review.errors import LinkRefused
from millstream.review.pages import Pages, new_browser
from millstream.review.sheet import Posted, Sheet, SignedIn, shows_papers
from millstream.signin import SignIn, SignInError, SignInRefused
from millstream.storage.errors import StorageError
from millstream.web import review_view as view
from millstream.web.pictures import Pictures
from millstream.web.review_amp import AmpDoor, add_amp
from millstream.web.review_shown import extras_of, side_by_side
from millstream.web.review_words import language_asked, language_of, words_of
from millstream.web.shield import BodyMissing, BodyTooLarge, read_body

log = get_logger(__name__)

LARGEST = 64 * 1024
"""Bytes of a form."""

_LOOKING = ["GET", "HEAD"]
_SEE_OTHER, _UNKNOWN, _FORBIDDEN, _MISSING, _TIMED_OUT, _LATE = 303, 401, 403, 404, 408, 409
_TOO_LARGE, _WRONG_KIND, _UNPROCESSABLE, _AWAY = 413, 415, 422, 503
_FORM = "application/x-www-form-urlencoded"
_BROWSER = re.compile(r"[A-Za-z0-9_-]{32}")
_NUMBER = re.compile(r"[0-9]{1,6}")
_PAGE = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
_NO_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="160" viewBox="0 0 1000 160">'
    '<rect width="1000" height="160" fill="#f1f3f5"/><text x="500" y="92" font-family="sans-serif" font-size="30" '
    'fill="#333" text-anchor="middle">{told}</text></svg>'
)
# What shows a PDF inside a browser is a page of its own, with a style of its own.
_DOCUMENT = {
    "Content-Security-Policy": "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
_EXPECTED = (LinkRefused, BodyTooLarge, BodyMissing, SignInError, StorageError, GmailError)
_LINKS = {"form": ("e403", _FORBIDDEN), "origin": ("e403", _FORBIDDEN), "kind": ("e403", _WRONG_KIND)}
_SAID: Mapping[type[Exception], tuple[str, int]] = {
    BodyTooLarge: ("e413", _TOO_LARGE),
    BodyMissing: ("e403", _TIMED_OUT),
    SignInRefused: ("sign_in_failed", _FORBIDDEN),
    SignInError: ("sign_in_away", _AWAY),
    StorageError: ("e503", _AWAY),
    GmailError: ("e503", _AWAY),
}
_STYLE = Path(__file__).with_name("templates") / "style.css"
_CHOICES = frozenset({"approve", "reject", "change"})

VerifyClick = Callable[[str | None], Awaitable[Mapping[str, str]]]
"""Checks the `Authorization` header of a one-click answer; gives what it proves, for the evidence."""


@dataclass(frozen=True, slots=True)
class ReviewDoor:
    """What the answer pages are made of."""

    pages: Pages
    base_url: str
    """Where people reach us, as https://reviews.example.com."""
    sign_in: SignIn | None = None
    clicks: VerifyClick | None = None
    """Where Gmail's one click is taken."""
    pictures: Pictures = field(default_factory=Pictures)
    amp: AmpDoor | None = None
    """Where answers are taken that are given inside a mail."""


def add_review(app: FastAPI, door: ReviewDoor) -> None:
    """Add the answer pages."""
    desk = _Desk(door)
    app.add_api_route("/review/style.css", _style, methods=_LOOKING)
    if door.sign_in is not None:
        app.add_api_route("/review/signed-in", desk.signed_in, methods=["GET"])
        app.add_api_route("/review/{link}/sign-in", desk.sign_in, methods=["GET"])
    if door.clicks is not None:
        app.add_api_route("/review/{link}/one-click", desk.click, methods=["POST"])
    if door.amp is not None:
        add_amp(app, door.pages, door.amp)
    app.add_api_route("/review/{link}/paper/{n}", desk.paper, methods=_LOOKING)
    app.add_api_route("/review/{link}/page/{n}/{p}.png", desk.page, methods=_LOOKING)
    app.add_api_route("/review/{link}/change/{n}/{p}.png", desk.change, methods=_LOOKING)
    app.add_api_route("/review/{link}", desk.show, methods=_LOOKING)
    app.add_api_route("/review/{link}", desk.answer, methods=["POST"])


async def _style() -> Response:
    return Response(_STYLE.read_bytes(), media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


class _Desk:
    """Requests in, pages out."""

    def __init__(self, door: ReviewDoor) -> None:
        self._pages = door.pages
        self._sign_in = door.sign_in
        self._clicks = door.clicks
        self._pictures = door.pictures
        place = URL(door.base_url)
        # As browsers write it: in lower case, a host of other letters in ASCII, without the usual port.
        self._origin = str(place.origin())
        self._path = f"{place.raw_path.rstrip('/')}/review"
        self._secure = place.scheme == "https"

    async def show(self, request: Request, link: str) -> Response:
        """What is asked, and how it stands."""
        return await self._guarded(request, self._shown(request, link), up="")

    async def answer(self, request: Request, link: str) -> Response:
        """Take a form."""
        return await self._guarded(request, self._answered(request, link), up="")

    async def paper(self, request: Request, link: str, n: str) -> Response:
        """A document."""
        return await self._guarded(request, self._papered(request, link, n), up="../../")

    async def page(self, request: Request, link: str, n: str, p: str) -> Response:
        """A page of a document, as a picture."""
        return await self._guarded(request, self._drawn(request, link, n, p), up="../../../")

    async def change(self, request: Request, link: str, n: str, p: str) -> Response:
        """A page beside the one of the round before."""
        return await self._guarded(request, self._compared(request, link, n, p), up="../../../")

    async def sign_in(self, request: Request, link: str) -> Response:
        """Send somebody to sign in."""
        return await self._guarded(request, self._sent(request, link), up="../")

    async def signed_in(self, request: Request) -> Response:
        """Read who comes back from signing in."""
        return await self._guarded(request, self._returned(request), up="")

    async def click(self, request: Request, link: str) -> Response:
        """Take Gmail's one click."""
        return await self._guarded(request, self._clicked(request, link), up="../")

    # The pages

    async def _shown(self, request: Request, link: str) -> Response:
        number, several = await self._case(request, link)
        chosen = request.query_params.get("choose", "")
        given = {"chosen": chosen if chosen in _CHOICES else ""}
        browser = self._browser(request)
        if number is None:
            return await self._listed(request, link, browser, given)
        sheet = await self._sheet(request, link, number, browser)
        return await self._filled(sheet, browser, {**given, "several": several})

    async def _answered(self, request: Request, link: str) -> Response:
        browser = request.cookies.get("answer", "")
        self._from_us(request)
        posted = _posted(await read_body(request, LARGEST))
        number, several = await self._case(request, link)
        if number is None:
            return await self._answered_all(request, link, browser, posted)
        sheet = await self._sheet(request, link, number, browser)
        outcome = await self._pages.answer(sheet, posted, browser=browser)
        if outcome.kind in {"counted", "sign_in"}:
            # After a form comes a page that may be loaded again.
            return self._to(f"./{sheet.link}?case={number}" if several else f"./{sheet.link}")
        given = {"several": several, **view.written(posted)}
        if outcome.kind == "again":
            return await self._filled(sheet, browser, {**given, "fault": outcome.why}, status=_UNPROCESSABLE)
        log.info("review.form_late", review=sheet.review.id, why=outcome.why)
        sheet = await self._sheet(request, link, number, browser)
        return await self._filled(sheet, browser, {**given, "used": True}, status=_LATE)

    async def _answered_all(self, request: Request, link: str, browser: str, posted: Posted) -> Response:
        signed = self._signed(request, link)
        sheets = await self._pages.sheets(link, browser=browser, signed=signed)
        outcome = await self._pages.answer_all(sheets, posted, browser=browser)
        if outcome.kind == "counted":
            return self._to(f"./{link}")
        given = view.written(posted)
        if outcome.kind == "again":
            return await self._listed(request, link, browser, {**given, "fault": outcome.why}, status=_UNPROCESSABLE)
        return await self._listed(request, link, browser, {**given, "used": True}, status=_LATE)

    async def _listed(
        self, request: Request, link: str, browser: str, given: Mapping[str, Any], *, status: int = 200
    ) -> Response:
        sheets = await self._pages.sheets(link, browser=browser, signed=self._signed(request, link))
        if not sheets:
            raise LinkRefused("unknown")
        html = view.several(sheets, self._pages.word_for_all(sheets, browser), view.Extras(**given))
        return self._page(html, browser=browser, status=status)

    async def _filled(self, sheet: Sheet, browser: str, given: Mapping[str, Any], *, status: int = 200) -> Response:
        extras = await extras_of(self._pages, self._pictures, sheet, given)
        return self._page(view.page(sheet, extras), browser=browser, status=status)

    # Documents

    async def _papered(self, request: Request, link: str, n: str) -> Response:
        sheet = await self._sheet_of(request, link)
        name, media_type, content = await self._pages.paper(sheet, _whole(n))
        # What a browser might run is saved, not shown.
        shown = media_type if media_type in {"application/pdf", "image/png", "image/jpeg"} else ""
        place = "inline" if shown else "attachment"
        headers = {**_DOCUMENT, "Content-Disposition": f"{place}; filename*=UTF-8''{quote(name, safe='')}"}
        return Response(content, media_type=shown or "application/octet-stream", headers=headers)

    async def _drawn(self, request: Request, link: str, n: str, p: str) -> Response:
        sheet = await self._sheet_of(request, link)
        number = _whole(n)
        sha256 = self._pages.shown(sheet, number).sha256

        async def content() -> bytes:
            return (await self._pages.paper(sheet, number))[2]

        picture = await self._pictures.page(sha256, _whole(p), content)
        if picture is None and self._pictures.hopeless(sha256):
            return _no_picture(sheet)
        return _picture(picture)

    async def _compared(self, request: Request, link: str, n: str, p: str) -> Response:
        sheet = await self._sheet_of(request, link)
        number = _whole(n)
        picture = await side_by_side(self._pages, self._pictures, sheet, number, _whole(p))
        drawn = not sheet.locked and shows_papers(sheet) and 1 <= number <= len(sheet.content.papers)
        if picture is None and drawn and self._pictures.hopeless(sheet.content.papers[number - 1].sha256):
            return _no_picture(sheet)
        return _picture(picture)

    # Signing in

    async def _sent(self, request: Request, link: str) -> Response:
        if self._sign_in is None:
            raise LinkRefused("unknown")
        number, _ = await self._case(request, link)
        number = number or (await self._pages.numbers(link))[0]
        sheet = await self._sheet(request, link, number, "")
        begun = await self._sign_in.begin(link, hint=sheet.seat.address, choose=sheet.stranger is not None)
        answer = self._to(begun.url)
        self._cookie(answer, "signing", begun.cookie, seconds=600)
        return answer

    async def _returned(self, request: Request) -> Response:
        if self._sign_in is None:
            raise LinkRefused("unknown")
        query = dict(request.query_params)
        person, link = await self._sign_in.finish(query, request.cookies.get("signing", ""))
        answer = self._to(f"./{link}")
        self._cookie(answer, "signing", "", seconds=0)
        kept = self._sign_in.kept(person, link)
        self._cookie(answer, "signed", kept, seconds=int(self._sign_in.lasts), below=link)
        return answer

    # Gmail's one click

    async def _clicked(self, request: Request, link: str) -> Response:
        if self._clicks is None:
            raise LinkRefused("unknown")
        # The token first: a body from anybody is not even read.
        evidence = await self._clicks(request.headers.get("authorization"))
        sheet = await self._sheet_of(request, link)
        outcome = await self._pages.click(sheet, evidence=evidence)
        return Response(status_code=200 if outcome.kind == "counted" else _LATE)

    # What all share

    async def _case(self, request: Request, link: str) -> tuple[int | None, bool]:
        """The number of the case that is meant, None for all of them; and whether there are several."""
        numbers = await self._pages.numbers(link)
        several = len(numbers) > 1
        asked = request.query_params.get("case")
        if asked is None:
            return (None if several else numbers[0]), several
        return _whole(asked), several

    async def _sheet_of(self, request: Request, link: str) -> Sheet:
        number, _ = await self._case(request, link)
        if number is None:
            raise LinkRefused("unknown")
        return await self._sheet(request, link, number, self._browser(request))

    async def _sheet(self, request: Request, link: str, number: int, browser: str) -> Sheet:
        return await self._pages.sheet(link, number, browser=browser, signed=self._signed(request, link))

    def _signed(self, request: Request, link: str) -> SignedIn | None:
        cookie = request.cookies.get("signed")
        if self._sign_in is None or not cookie:
            return None
        person = self._sign_in.person(cookie, link)
        return SignedIn(person.email, person.subject, person.issuer) if person else None

    def _browser(self, request: Request) -> str:
        known = request.cookies.get("answer", "")
        return known if _BROWSER.fullmatch(known) else new_browser()

    def _from_us(self, request: Request) -> None:
        """Raises LinkRefused where a form comes from another site, or is none of a browser."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise LinkRefused("kind")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin", "").lower() != self._origin or site != "same-origin":
            raise LinkRefused("origin")

    async def _guarded(self, request: Request, work: Awaitable[Response], *, up: str) -> Response:
        """A request's answer; whatever is wrong becomes a page that says so, and no more."""
        try:
            return await work
        except PushRefused as refusal:
            log.info("review.click_refused", check=refusal.check, why=str(refusal))
            return Response(status_code=_UNKNOWN, headers={"WWW-Authenticate": "Bearer"})
        except _EXPECTED as error:
            name, status = _said_of(error)
            told = log.warning if status == _AWAY else log.info
            told("review.refused", status=status, why=f"{type(error).__name__}: {error}")
            return self._said(request, name, status, up=up)

    def _page(self, html: str, *, browser: str, status: int = 200) -> Response:
        answer = Response(html, status_code=status, media_type="text/html", headers=_PAGE)
        self._cookie(answer, "answer", browser, seconds=86_400)  # from now on: a form is good for a day
        return answer

    def _said(self, request: Request, name: str, status: int, *, up: str) -> Response:
        language = language_asked(request.headers.get("accept-language", ""))
        again = request.url.path.rpartition("/")[2] if request.method == "POST" and status != _MISSING else ""
        html = view.message(name, language, up=up, again=again)
        closing = {"Connection": "close"} if status in {_TOO_LARGE, _TIMED_OUT} else {}
        late = {"Retry-After": "10"} if status == _AWAY else {}
        return Response(html, status_code=status, media_type="text/html", headers={**_PAGE, **closing, **late})

    def _to(self, place: str) -> Response:
        return Response(status_code=_SEE_OTHER, headers={"Location": place, "Referrer-Policy": "no-referrer"})

    def _cookie(self, answer: Response, name: str, value: str, *, seconds: int, below: str = "") -> None:
        path = f"{self._path}/{below}" if below else self._path
        answer.set_cookie(name, value, max_age=seconds, path=path, secure=self._secure, httponly=True, samesite="lax")


def _posted(body: bytes) -> Posted:
    """A form's fields; one that comes twice says nothing."""
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return Posted()
    names = [name for name, _ in pairs]
    once = {name: value for name, value in pairs if names.count(name) == 1}
    text = once.get("text", "").replace("\r\n", "\n")
    known = {name: once.get(name, "") for name in ("word", "version", "hash", "round", "verdict")}
    return Posted(**known, text=text)


def _said_of(error: Exception) -> tuple[str, int]:
    """The page that an error becomes, and its status."""
    if isinstance(error, LinkRefused):
        return _LINKS.get(error.why, ("e404", _MISSING))
    return next(said for kind, said in _SAID.items() if isinstance(error, kind))


def _picture(png: bytes | None) -> Response:
    if png is None:
        raise LinkRefused("unknown")
    return Response(png, media_type="image/png", headers=_DOCUMENT)


def _no_picture(sheet: Sheet) -> Response:
    """A picture that says that there is none: what asks for it is a page that stands already."""
    told = words_of(language_of(sheet.seat.locale))["no_picture"]
    picture = _NO_PICTURE.format(told=escape(told))
    # Browsers show what comes with a 404 in place of a picture.
    headers = {**_DOCUMENT, "Cache-Control": "no-store"}
    return Response(picture, status_code=_MISSING, media_type="image/svg+xml", headers=headers)


def _whole(number: str) -> int:
    if not _NUMBER.fullmatch(number):
        raise LinkRefused("unknown")
    return int(number)
