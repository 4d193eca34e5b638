"""How a command has Exstream do something: a next step, asked once, and waited for where that is wanted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.app.exstream import check_way
from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json
from millstream.nextstep.model import StepState, Verb, Wish
from millstream.nextstep.store import StepStore

Wait = Annotated[
    float | None,
    typer.Option("--wait", min=0.0, help="Wait for the step's end for so many seconds; a worker carries it out."),
]
Domain = Annotated[str, typer.Option(help="The domain; without it exstream.domain.")]
_ENDS = {StepState.DONE, StepState.FAILED, StepState.UNCERTAIN, StepState.CANCELLED}
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The options of every command that asks: who does, and how long is waited for the answer."""

    actor: Actor = "operator"
    wait: Wait = None
    json: Json = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The options of every command that composes: what becomes of the outputs."""

    run: Annotated[str | None, typer.Option(help="Take the outputs in as this run; without it they are kept only.")] = (
        None
    )
    fact: Annotated[
        list[str] | None,
        typer.Option(help="With --run: what the outputs lack, `CustomerEmail=ada@example.com`; may be given again."),
    ] = None
    out: Annotated[Path | None, typer.Option(help="Put the outputs into this folder; needs --wait.")] = None

    def arguments(self, asking: Asking) -> dict[str, Any]:
        """What of this the step is told. Ends the command where the outputs could not be put anywhere."""
        if self.out is not None and asking.wait is None:
            frame.fail("--out needs --wait: outputs are there when the step is done", frame.WRONG)
        told: dict[str, Any] = {"to": "run", "run": self.run} if self.run else {"to": "documents"}
        return told | ({"facts": named(self.fact, "--fact")} if self.fact else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks for."""

    verb: Verb
    target: str
    domain: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    driver: Path | None = None


def ask(asked: Asked, asking: Asking, *, out: Path | None = None) -> None:
    """Ask for a step and tell its number; where it is waited for tell its end, and put its outputs into a folder."""
    content = None if asked.driver is None else _read(asked.driver)

    async def done(house: House) -> dict[str, Any]:
        check_way(house.settings, asked.verb)
        store = StepStore(house.pool)
        sha256 = None
        if content is not None:
            sha256 = (await house.documents.put(content)).sha256
            await house.documents.flush()
        wish = Wish(
            key=f"person:{uuid.uuid4()}",
            verb=asked.verb,
            target=asked.target,
            subject=f"exstream:{asked.domain or house.settings.exstream.domain}/{asked.target}",
            actor=asking.actor,
            domain=asked.domain,
            arguments=asked.arguments,
            content=sha256,
        )
        number, _ = await store.ask_now(wish)
        if asking.wait is None:
            return await store.find(number)
        return await _ended(store, number, asking.wait)

    row = work.in_house(done)
    state = StepState(row["state"])
    if out is not None and state is StepState.DONE:
        row["files"] = _written(row.get("result") or {}, out)
    _tell(row, state, waited=asking.wait, json=asking.json)


async def _ended(store: StepStore, number: int, wait: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    while True:
        row = await store.find(number)
        if row["state"] in _ENDS or loop.time() >= deadline:
            return row
        await asyncio.sleep(_LOOK_EVERY)


def _tell(row: Mapping[str, Any], state: StepState, *, waited: float | None, json: bool) -> None:
    number = row["id"]
    if json:
        frame.answer_json(row)
    if state in {StepState.FAILED, StepState.UNCERTAIN}:
        frame.fail(f"step {number} is {state}: {row['reason']}", frame.FAILED)
    if waited is not None and state is not StepState.DONE:
        late = f"step {number} is still {state} after {waited:g} s; is a worker running?"
        frame.fail(f"{late} `millstream step show {number}` tells more", frame.FAILED)
    if not json:
        if state is StepState.DONE:
            frame.say(f"step {number} is done")
            frame.answer_fields({**(row.get("result") or {}), "files": row.get("files")})
        else:
            frame.say(f"step {number} is asked for; `millstream step show {number}` tells what becomes of it")


def named(given: Iterable[str] | None, option: str) -> dict[str, str]:
    """Values given as `Name=value`; without an equals sign the value is empty."""
    found = {}
    for each in given or ():
        name, _, value = each.partition("=")
        if not name.strip():
            frame.fail(f"{option} {each!r} is not `Name=value`", frame.WRONG)
        found[name.strip()] = value.strip()
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        frame.fail(f"{path} cannot be read: {error.strerror or error}", frame.WRONG)


def _written(result: Mapping[str, Any], out: Path) -> list[str]:
    """Put a step's outputs into a folder; answers their paths."""

    async def fetched(house: House) -> list[tuple[str, bytes]]:
        return [
            (f"{number}-{_plain(each)}", await house.documents.get(each["sha256"]))
            for number, each in enumerate(result.get("outputs", ()), 1)
        ]

    files = work.in_house(fetched)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            (out / name).write_bytes(content)
    except OSError as error:
        frame.fail(f"the outputs cannot be written to {out}: {error.strerror or error}", frame.FAILED)
    return [str(out / name) for name, _ in files]


_ENDINGS = {"application/pdf": ".pdf", "text/html": ".html", "application/vnd.exstream-empower": ".mpw"}


def _plain(output: Mapping[str, Any]) -> str:
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in output.get("name") or "output")
    ending = _ENDINGS.get((output.get("media_type") or "").partition(";")[0], "")
    return name if not ending or name.endswith(ending) else f"{name}{ending}"
