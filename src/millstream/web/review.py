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
from pathlib import Path
from typing import Any, Concatenate, ParamSpec
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import FastAPI, Request, Response

from millstream.gmail.errors import GmailError, PushRefused
from millstream.log import get_logger
from millstream.review.errors import LinkRefused
from millstream.review.pages import Pages, Posted, Sheet, SignedIn, new_browser
from millstream.signin import BadIssuer, ProviderAway, SignIn, SignInRefused
from millstream.storage.errors import StorageError
from millstream.web import review_view as view
from millstream.web.pictures import Pictures
from millstream.web.review_shown import extras_of, side_by_side
from millstream.web.review_words import language_asked
from millstream.web.shield import BodyMissing, BodyTooLarge, read_body

log = get_logger(__name__)

LARGEST = 64 * 1024
"""Bytes of a form."""

_LOOKING = ["GET", "HEAD"]
_SEE_OTHER, _BAD, _FORBIDDEN, _MISSING, _TIMED_OUT, _LATE = 303, 400, 403, 404, 408, 409
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
# What shows a PDF inside a browser is a page of its own, with a style of its own.
_DOCUMENT = {
    "Content-Security-Policy": "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
_STYLE = Path(__file__).with_name("templates") / "style.css"
_CHOICES = frozenset({"approve", "reject", "change"})

VerifyClick = Callable[[str | None], Awaitable[Mapping[str, str]]]
"""Checks the `Authorization` header of a one-click answer; gives what it proves, for the evidence."""

Rest = ParamSpec("Rest")
Handler = Callable[Concatenate["_Desk", Request, Rest], Awaitable[Response]]


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


def add_review(app: FastAPI, door: ReviewDoor) -> None:
    """Add the answer pages."""
    desk = _Desk(door)
    app.add_api_route("/review/style.css", _style, methods=_LOOKING)
    if door.sign_in is not None:
        app.add_api_route("/review/signed-in", desk.signed_in, methods=["GET"])
        app.add_api_route("/review/{link}/sign-in", desk.sign_in, methods=["GET"])
    if door.clicks is not None:
        app.add_api_route("/review/{link}/one-click", desk.click, methods=["POST"])
    app.add_api_route("/review/{link}/paper/{n}", desk.paper, methods=_LOOKING)
    app.add_api_route("/review/{link}/page/{n}/{p}.png", desk.page, methods=_LOOKING)
    app.add_api_route("/review/{link}/change/{n}/{p}.png", desk.change, methods=_LOOKING)
    app.add_api_route("/review/{link}", desk.show, methods=_LOOKING)
    app.add_api_route("/review/{link}", desk.answer, methods=["POST"])
