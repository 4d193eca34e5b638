"""What each verb calls, and by which evidence its effect is known when the answer was lost.

| verb | asks | evidence after an unclear answer |
|---|---|---|
| release_step, release_flow | release | it is not held any more: done; held: again; stopped or over: failed |
| stop_step, stop_flow, stop_job | stop | it is canceled: done; it is over: failed; else again |
| set_state, set_states | a state, with a comment | the state, or our comment in the history: done; else again |
| reprocess | the job again | the job runs, or began anew: done; else again, once |
| generate, compose_ews | outputs | none is needed: the same step's outputs are taken in once; again |
| fulfil | outputs of documents | none is needed: documents are deleted only once their outputs are ours; again |
| trigger | a channel | a new job of the channel: done; several or none: a person decides |
| drop_file, control_file | a file | the file, or the same name where Exstream puts what it took: done; else again |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from millstream.exstream.model import Generated
from millstream.nextstep.errors import BadWish
from millstream.nextstep.model import Found, NextStep
from millstream.storage.objects import DocumentStore

if TYPE_CHECKING:
    from millstream.exstream.client import Exstream
    from millstream.exstream.soap import EngineService

MANY: Final = 1_000_000
HandIn = Callable[[NextStep, Sequence[Generated]], Awaitable[Mapping[str, Any]]]
"""Takes in what a composition gave, once for each step; answers what came of it. Raises HandingFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What verbs work with; what an installation lacks is None."""

    documents: DocumentStore
    exstream: Exstream | None = None
    engine: EngineService | None = None
    hand_in: HandIn | None = None
    drop_folder: Path | None = None
    drop_done_folder: Path | None = None
    comment: str = "{decision} by {who} at {at}; Gmail message {message}"
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def server(self) -> Exstream:
        """The cloud native services.

        Raises:
            BadWish: this installation has none.
        """
        if self.exstream is None:
            raise BadWish("exstream.mode is neither cloud nor local: there is no server to ask for this")
        return self.exstream

    @property
    def web_service(self) -> EngineService:
        """The engine as a web service.

        Raises:
            BadWish: this installation has none.
        """
        if self.engine is None:
            raise BadWish("exstream.ews_url is not set: there is no engine to compose with")
        return self.engine


class Doing(Protocol):
    """How one verb is done."""

    most_calls: int
    """How often it may be asked for when nothing shows that it happened."""

    async def before(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """What to note before the call, for a look after it."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Ask for it; answers what came of it.

        Raises:
            ExstreamError, NextStepError, StorageError: it did not happen, or nobody knows.
        """

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """Whether a call whose answer was lost has had its effect.

        Raises:
            ExstreamError: it could not be looked at.
        """


class Plain:
    """A verb that notes nothing before its call."""

    most_calls = MANY

    async def before(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:  # noqa: ARG002  others need them
        """Nothing."""
        return {}


def wanted(step: NextStep, name: str, kind: type[Any] = str) -> Any:
    """An argument that must be there.

    Raises:
        BadWish: it is not, or is something else.
    """
    value = step.wish.arguments.get(name)
    if not isinstance(value, kind) or not value:
        raise BadWish(f"step {step.id} ({step.wish.verb}) lacks the argument {name!r}")
    return value


def given(step: NextStep, name: str, default: Any) -> Any:
    """An argument that may be there, of its default's type.

    Raises:
        BadWish: it is something else.
    """
    value = step.wish.arguments.get(name)
    if value is None:
        return default
    if not isinstance(value, type(default)):
        raise BadWish(f"step {step.id} ({step.wish.verb}): {name} is no {type(default).__name__}")
    return value
