"""Putting something to people by hand: what waits in Exstream, whether or not a policy's sampling takes it."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.app.house import House
from millstream.app.review import open_desk, policy_book
from millstream.app.steps import open_exstream
from millstream.app.watching import read
from millstream.exstream.client import Exstream
from millstream.exstream.errors import Call, NotConfigured
from millstream.exstream.model import ResourceState, StepStatus
from millstream.review.errors import ReviewError, UnknownPolicy
from millstream.review.model import SubjectKind
from millstream.review.watched import Levels, Listed, Watched, resource_listed, step_listed
from millstream.storage.pool import transaction


class NotWaiting(ReviewError):
    """It does not wait for anybody's word in Exstream."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to be reviewed."""

    kind: SubjectKind
    id: str
    policy: str
    domain: str = ""


async def put_to_people(house: House, wanted: Wanted, *, actor: str) -> int | None:
    """Open a review by hand; its number, or None where the same is asked already.

    Raises:
        UnknownPolicy: no policy has the name, or it concerns something else.
        NotWaiting: it does not wait for a word in Exstream.
        NotConfigured: there are no services of Exstream here.
        ExstreamError: Exstream cannot be asked, or does not know it.
    """
    _check(house, wanted)
    domain = wanted.domain or house.settings.exstream.domain
    async with open_exstream(house.settings) as server:
        if server is None:
            raise NotConfigured(Call("review"), text="exstream.mode names no services that could be asked")
        levels = Levels()
        levels.keep(await server.design(domain).domains())
        watched = Watched(server, house.documents, read)
        seen = await watched.seen(domain, await _listed(server, wanted, domain))
        content = await watched.content(domain, seen)
    if content is None:
        raise NotWaiting(f"{wanted.kind} {wanted.id} changed while it was read; try again")
    desk, _ = open_desk(house, approvers=levels)
    async with transaction(house.pool) as conn:
        return await desk.open(conn, wanted.policy, seen.subject, content, author=seen.author, origin=actor)


def _check(house: House, wanted: Wanted) -> None:
    policy = policy_book(house.settings).policies.get(wanted.policy)
    if policy is None:
        raise UnknownPolicy(f"no policy is called {wanted.policy!r}; `millstream review policy show` lists them")
    if policy.concerns != wanted.kind:
        raise UnknownPolicy(f"policy {wanted.policy!r} concerns a {policy.concerns}, not a {wanted.kind}")


async def _listed(server: Exstream, wanted: Wanted, domain: str) -> Listed:
    if wanted.kind is SubjectKind.RESOURCE:
        resource = await server.design(domain).resource(wanted.id)
        if resource.state is not ResourceState.REVIEW:
            raise NotWaiting(f"resource {wanted.id} is {resource.state}; only in REVIEW can it be approved or rejected")
        return resource_listed(resource)
    step = await server.runtime(domain).flow_step(wanted.id, check_artifacts=False)
    if step.status is not StepStatus.HOLDING:
        raise NotWaiting(f"flow step {wanted.id} is {step.status}; only while it is held can it be released or stopped")
    return step_listed(step)
