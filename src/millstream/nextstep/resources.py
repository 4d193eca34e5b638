"""What is designed: a resource's state in its approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from millstream.exstream.model import BulkOutcome, ResourceState
from millstream.nextstep.errors import BadWish
from millstream.nextstep.model import Found, NextStep, Verb
from millstream.nextstep.verbs import MANY, Tools, given, wanted

MOST_COMMENT: Final = 500
"""How long an audited comment may be is told nowhere; the attempt keeps all of it."""


class NotAllChanged(BadWish):
    """Of many resources some did not take the state; `result` says which, and why."""

    def __init__(self, outcome: BulkOutcome) -> None:
        refused = "; ".join(f"{why}: {', '.join(ids)}" for why, ids in outcome.refused.items() if ids)
        super().__init__(f"{len(outcome.changed)} resources took the state, others did not: {refused}")
        self.result = _bulk(outcome)


class _UnderComment:
    """What both have in common: our comment in the history is the evidence, counted before the call and after."""

    most_calls = MANY

    async def before(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """How often the comment stands in each history already."""
        return {"comments": {each: await _comments(step, tools, each) for each in _targets(step)}}


class SetState(_UnderComment):
    """A state for one resource, under a comment that names who decided."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Set it."""
        design = tools.server.design(step.wish.domain or None)
        resource = await design.set_state(
            step.wish.target, _state(step), comment(step, tools), locked=given(step, "locked", default=False)
        )
        return {"state": str(resource.state), "version": resource.version, "comment": comment(step, tools)}

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """The state stands, or our comment stands in the history: in levels one approval leaves the state as it was."""
        design = tools.server.design(step.wish.domain or None)
        resource = await design.resource(step.wish.target)
        state, told = str(resource.state), f"Exstream shows {step.wish.target} as {resource.state}"
        if resource.state is _state(step):
            return Found("yes", state, told, {"state": state, "version": resource.version})
        if await _commented(step, tools, step.wish.target):
            return Found("yes", state, f"{told}, with our comment in its history", {"state": state})
        return Found("no", state, told)


class SetStates(_UnderComment):
    """The same for many resources at once."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Set it.

        Raises:
            NotAllChanged: some did not take it.
        """
        outcome = await tools.server.design(step.wish.domain or None).set_states(
            _ids(step), _state(step), comment(step, tools), locked=given(step, "locked", default=False)
        )
        if any(outcome.refused.values()):
            raise NotAllChanged(outcome)
        return _bulk(outcome)

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """All of them have it; a second call leaves those that have it as they are, or says so."""
        design = tools.server.design(step.wish.domain or None)
        lacking = []
        for each in _ids(step):
            resource = await design.resource(each)
            if resource.state is not _state(step) and not await _commented(step, tools, each):
                lacking.append(each)
        if not lacking:
            return Found("yes", str(_state(step)), "all resources have the state", {"changed": _ids(step)})
        if len(lacking) < len(_ids(step)):
            # One call for all would be refused for those that have it: a person sees to the rest.
            told = f"only some have the state; not: {', '.join(lacking)}"
            return Found("no", "in_part", told, hopeless=True)
        return Found("no", "unchanged", "none of the resources has the state")


def comment(step: NextStep, tools: Tools) -> str:
    """What stands in Exstream's audit trail: the comment that was asked for, or one made of who decided what."""
    text = given(step, "comment", "")
    if not text:
        facts = {name: str(given(step, name, "-")) for name in ("decision", "who", "at", "message")}
        if facts["decision"] == "-":
            facts["decision"] = str(_state(step))
        if facts["who"] == "-":
            facts["who"] = step.wish.actor
        try:
            text = tools.comment.format(**facts)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise BadWish(f"next_steps.comment cannot be filled in: {error!r}; it knows {', '.join(facts)}") from error
    return str(text)[:MOST_COMMENT]


async def _commented(step: NextStep, tools: Tools, resource: str) -> bool:
    known = step.before.get("comments", {}).get(resource, 0)
    return bool(await _comments(step, tools, resource) > known)


async def _comments(step: NextStep, tools: Tools, resource: str) -> int:
    ours = comment(step, tools)
    history = await tools.server.design(step.wish.domain or None).history(resource)
    return sum(entry.comment == ours for entry in history)


def _targets(step: NextStep) -> Sequence[str]:
    return _ids(step) if step.wish.verb is Verb.SET_STATES else [step.wish.target]


def _state(step: NextStep) -> ResourceState:
    word = wanted(step, "state")
    state = ResourceState(word)
    if state is ResourceState.UNKNOWN:
        raise BadWish(f"step {step.id}: {word!r} is no state of a resource")
    return state


def _ids(step: NextStep) -> Sequence[str]:
    return [str(each) for each in wanted(step, "ids", list)]


def _bulk(outcome: BulkOutcome) -> dict[str, Any]:
    return {
        "changed": list(outcome.changed),
        "refused": {why: list(ids) for why, ids in outcome.refused.items() if ids},
    }
