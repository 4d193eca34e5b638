"""`millstream review open`: putting something to people by hand. By itself, for it alone speaks to Exstream."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from millstream.app.house import House
from millstream.app.review_subjects import Wanted, put_to_people
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json
from millstream.review.model import SubjectKind


class Kind(StrEnum):
    """What waits in Exstream."""

    RESOURCE = "resource"
    FLOW_STEP = "flow_step"


def open_command(
    kind: Annotated[Kind, typer.Argument(help="resource, in REVIEW; or flow_step, that is held.")],
    id: Annotated[str, typer.Argument(help="Its id in Exstream.")],  # noqa: A002  the argument's name in the help
    *,
    policy: Annotated[str, typer.Option(help="The policy that says who is asked.")],
    domain: Annotated[str, typer.Option(help="The domain; without it exstream.domain.")] = "",
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Put what waits in Exstream to people. Also where the policy's sampling has left it out.

    Communications and runs are put to people when they come in: their policies hold them.
    """

    async def opened(house: House) -> int | None:
        return await put_to_people(house, Wanted(SubjectKind(kind), id, policy, domain), actor=actor)

    number = work.in_house(opened)
    if number is None:
        frame.answer({"review": None}, f"{kind} {id} is asked about already", as_json=json)
    else:
        frame.answer({"review": number}, f"review {number} is open", as_json=json)
