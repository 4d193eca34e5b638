"""`millstream sandbox exstream`: a stand-in for an Exstream installation, over real HTTP."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from millstream import log
from millstream.cli import frame
from millstream.cli.frame import Json
from millstream.sandbox.exstream.config import SandboxConfig
from millstream.sandbox.exstream.server import Running
from millstream.sandbox.exstream.server import run as serve


def exstream(
    *,
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="A TOML file with the sandbox's settings.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port on 127.0.0.1; 0 takes a free one.")] = None,
    json: Json = False,
) -> None:
    """Run an Exstream sandbox on loopback until Ctrl-C. Its first line says where it is."""
    config = _config(settings_file, port)

    def announce(running: Running) -> None:
        if json:
            frame.answer_json(running.doors)
        else:
            frame.say(f"Exstream sandbox: {running.url} (jobs to watch, control API under /sandbox/v1)")
            frame.say(f"Tokens: {running.doors['token_url']}, client {running.doors['client_id']}")

    async def work() -> None:
        log.set_up("warning")
        await serve(config, announce)

    try:
        frame.finish(work, wrong=(), failed=(), goes_on="a sandbox keeps nothing")
    except OSError as error:
        frame.fail(f"the sandbox cannot listen: {error.strerror or error}; choose another port", frame.FAILED)


def _config(path: Path | None, port: int | None) -> SandboxConfig:
    try:
        told = tomllib.loads(path.read_text("utf-8")) if path else {}
        return SandboxConfig.model_validate(told if port is None else told | {"port": port})
    except OSError as error:
        frame.fail(f"cannot read {path}: {error.strerror or error}", frame.WRONG)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        frame.fail(f"the sandbox's settings are wrong: {error}", frame.WRONG)
