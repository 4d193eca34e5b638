"""`millstream review mail`: what reviewers read. By itself, for it alone needs what writes mails."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.app.review import policy_book, review_options
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.review.errors import UnknownReview
from millstream.review.mailing import Mailing


class Part(StrEnum):
    """What of a mail is printed."""

    HTML = "html"
    TEXT = "text"
    MARKUP = "markup"
    AMP = "amp"


def mail(
    number: Annotated[int, typer.Argument(help="The mail's number, as `review show` has it.")],
    *,
    part: Annotated[Part, typer.Option(help="The text, the HTML, or an optional part.")] = Part.TEXT,
    json: Json = False,
) -> None:
    """What a mail to a reviewer says, as it would be written now. Links have a place holder: the lane makes them."""

    async def written(house: House) -> dict[str, Any]:
        calendars = policy_book(house.settings).calendars
        options = review_options(house.settings)
        found = await Mailing(house.pool, house.documents, options, calendars=calendars).rendered(number)
        if found is None:
            raise UnknownReview(f"there is no mail {number}; `millstream review show` lists those of a review")
        rendered, extras = found
        return {
            "mail": number,
            "subject": rendered.subject,
            "text": rendered.text,
            "html": rendered.html,
            "markup": extras.markup,
            "amp": extras.amp,
        }

    whole = work.in_house(written)
    frame.answer(whole, str(whole[part] or ""), as_json=json)
