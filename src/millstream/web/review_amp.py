"""Answers that are given inside the mail (AMP), as Gmail posts them for its reader. Only a POST decides, once.

Gmail's servers post the form, with the sender of the mail that it stood in: in the header `AMP-Email-Sender`, or as
`__amp_source_origin` with `Origin: https://mail.google.com` (amp.dev, "CORS in AMP for Email";
developers.google.com/workspace/gmail/ampemail/security-requirements, both read 2026-11). Requests that say neither, or
a sender that is none of ours, are refused before their body is read. No browser sends either for a form of another
site: the header needs a permission of ours in advance, which nobody gets, and the origin is not theirs to choose.

Who answers is said by the mail's own link, as on the page; what they saw is said by the form: its round and the hash
of its content. There is no cookie here, so that a form counts only as long as its question is open.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.formparsers import MultiPartException, MultiPartParser

from millstream.log import get_logger
from millstream.review.errors import LinkRefused
from millstream.review.pages import MOST_WORDS, Pages
from millstream.review.sheet import Outcome, Posted, Sheet
from millstream.storage.errors import StorageError
from millstream.web.review_words import language_of, words_of
from millstream.web.shield import BodyMissing, BodyTooLarge, read_body

if TYPE_CHECKING:
    from collections.abc import Iterable

log = get_logger(__name__)

GMAIL = "https://mail.google.com"
LARGEST = 64 * 1024
_MOST_FIELDS = 20
_FORM, _PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
_FORBIDDEN, _MISSING, _TIMED_OUT, _LATE, _TOO_LARGE, _WRONG_KIND, _AGAIN, _AWAY = 403, 404, 408, 409, 413, 415, 422, 503


@dataclass(frozen=True, slots=True)
class AmpDoor:
    """Whose mails carry our forms."""

    senders: frozenset[str]
    """Addresses in lower case."""


def add_amp(app: FastAPI, pages: Pages, door: AmpDoor) -> None:
    """Add the address that forms inside mails are posted to."""
    desk = _Desk(pages, door)
    app.add_api_route("/review/{link}/amp", desk.answer, methods=["POST"])


class _Refused(Exception):
    """A request that is not taken."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class _Desk:
    def __init__(self, pages: Pages, door: AmpDoor) -> None:
        self._pages = pages
        self._senders = door.senders

    async def answer(self, request: Request, link: str) -> JSONResponse:
        """Take a form, or say why not; what is said is shown in the mail."""
        allowed: dict[str, str] = {}
        try:
            sender = self._sender(request)
            allowed = _allowed(request, sender)
            status, said = await self._answered(request, link, sender)
        except _Refused as refused:
            status, said = refused.status, refused.said
        except LinkRefused:
            status, said = _MISSING, words_of("en")["e404"]
        except BodyTooLarge:
            status, said = _TOO_LARGE, words_of("en")["e413"]
        except BodyMissing:
            status, said = _TIMED_OUT, words_of("en")["e403"]
        except StorageError as error:
            log.warning("review.amp_away", why=str(error))
            status, said = _AWAY, words_of("en")["e503"]
        return JSONResponse({"said": said}, status_code=status, headers=allowed)

    async def _answered(self, request: Request, link: str, sender: str) -> tuple[int, str]:
        sheet = await self._sheet(link)
        posted = _posted(await _fields(request))
        outcome = await self._pages.answer_inside(sheet, posted, evidence={"way": "amp", "sender": sender})
        return _told(sheet, posted, outcome)

    async def _sheet(self, link: str) -> Sheet:
        [number, *others] = await self._pages.numbers(link)
        if others:
            raise LinkRefused("unknown")
        return await self._pages.sheet(link, number, browser="", signed=None)

    def _sender(self, request: Request) -> str:
        """Of the mail that the form stood in, by whichever way the request says it.

        Raises:
            _Refused: it says none, two, or one that is none of ours.
        """
        told = {each.strip().lower() for each in _senders(request)}
        if len(told) == 1 and told <= self._senders:
            return told.pop()
        log.info("review.amp_refused", senders=sorted(each[:200] for each in told)[:3])
        raise _Refused(_FORBIDDEN, words_of("en")["e403_title"])


def _senders(request: Request) -> Iterable[str]:
    yield from request.headers.getlist("amp-email-sender")
    origins = request.query_params.getlist("__amp_source_origin")
    if origins and request.headers.get("origin") != GMAIL:
        raise _Refused(_FORBIDDEN, words_of("en")["e403_title"])
    yield from origins


def _allowed(request: Request, sender: str) -> dict[str, str]:
    """The headers without which Gmail does not show an answer, that of a refusal either."""
    allowed = {}
    if "amp-email-sender" in request.headers:
        allowed["AMP-Email-Allow-Sender"] = request.headers["amp-email-sender"]
    if "__amp_source_origin" in request.query_params:
        allowed["Access-Control-Allow-Origin"] = GMAIL
        allowed["AMP-Access-Control-Allow-Source-Origin"] = request.query_params.get("__amp_source_origin", sender)
        allowed["Access-Control-Expose-Headers"] = "AMP-Access-Control-Allow-Source-Origin"
    return allowed


async def _fields(request: Request) -> list[tuple[str, str]]:
    """Both kinds of form that browsers send; raises _Refused for others."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {_FORM, _PARTS}:
        raise _Refused(_WRONG_KIND, words_of("en")["e403_title"])
    body = await read_body(request, LARGEST)
    try:
        if kind == _FORM:
            return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        parser = MultiPartParser(request.headers, _once(body), max_files=0, max_fields=_MOST_FIELDS)
        return [(name, value) for name, value in (await parser.parse()).multi_items() if isinstance(value, str)]
    except (ValueError, KeyError, MultiPartException):
        raise _Refused(_AGAIN, words_of("en")["e403_title"]) from None


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _posted(pairs: list[tuple[str, str]]) -> Posted:
    """A form's fields; one that comes twice says nothing."""
    names = [name for name, _ in pairs]
    once: Mapping[str, str] = {name: value for name, value in pairs if names.count(name) == 1}
    return Posted(
        word="",
        version="",
        hash=once.get("hash", ""),
        round=once.get("round", ""),
        verdict=once.get("choose", ""),
        text=once.get("text", "").replace("\r\n", "\n"),
    )


def _told(sheet: Sheet, posted: Posted, outcome: Outcome) -> tuple[int, str]:
    words = words_of(language_of(sheet.seat.locale))
    if outcome.kind == "counted":
        return 200, f"{words['legend']}: {words[f'verdict_{posted.verdict}']}"
    if outcome.kind == "again":
        return _AGAIN, words[f"fault_{outcome.why}"].format(most=MOST_WORDS)
    return _LATE, words["used"]
