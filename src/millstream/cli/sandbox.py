"""`millstream sandbox`: stand-ins for the real services, over real HTTP."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from millstream import log
from millstream.cli import frame
from millstream.cli.frame import Json
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import Running
from millstream.sandbox.gmail.server import run as serve


def gmail(  # noqa: PLR0913  typer makes an option of each
    *,
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="A TOML file with the sandbox's settings.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port on 127.0.0.1; 0 takes a free one.")] = None,
    smtp_port: Annotated[int | None, typer.Option(help="SMTP port on 127.0.0.1; none shuts the door.")] = None,
    smtp_tls_port: Annotated[
        int | None, typer.Option(help="SMTP port with TLS from the first byte, beside the other; none shuts the door.")
    ] = None,
    smtp_ca_file: Annotated[
        Path | None, typer.Option(help="Write the authority of the SMTP door's certificate here, as PEM.")
    ] = None,
    pubsub_port: Annotated[
        int | None, typer.Option(help="gRPC port of Cloud Pub/Sub on 127.0.0.1; none shuts the door.")
    ] = None,
    mailbox: Annotated[list[str] | None, typer.Option(help="A mailbox of the organisation; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Run a Gmail sandbox on loopback until Ctrl-C. Its first line says where it is."""
    given: dict[str, Any] = {
        "port": port,
        "smtp_port": smtp_port,
        "smtp_tls_port": smtp_tls_port,
        "smtp_ca_file": smtp_ca_file,
    }
    given |= {"pubsub_port": pubsub_port, "mailboxes": mailbox}
    config = _config(settings_file, given)

    def announce(running: Running) -> None:
        if json:
            ports = {"smtp_port": running.smtp_port, "pubsub_port": running.pubsub_port}
            if running.smtp_tls_port:
                ports["smtp_tls_port"] = running.smtp_tls_port
            frame.answer_json({"url": running.url, **ports})
        else:
            frame.say(f"Gmail sandbox: {running.url} (mailboxes to read, control API under /sandbox/v1)")
            if running.smtp_port:
                frame.say(f"SMTP door: 127.0.0.1:{running.smtp_port}")
            if running.smtp_tls_port:
                frame.say(f"SMTP door with TLS from the first byte: 127.0.0.1:{running.smtp_tls_port}")
            if running.pubsub_port:
                frame.say(f"Pub/Sub door: 127.0.0.1:{running.pubsub_port} (PUBSUB_EMULATOR_HOST for Google's client)")

    async def work() -> None:
        log.set_up("warning")
        await serve(config, announce)

    try:
        frame.finish(work, wrong=(), failed=(), goes_on="a sandbox keeps nothing")
    except OSError as error:
        frame.fail(f"the sandbox cannot listen: {error.strerror or error}; choose another port", frame.FAILED)


def _config(path: Path | None, given: dict[str, Any]) -> SandboxConfig:
    try:
        told = tomllib.loads(path.read_text("utf-8")) if path else {}
        told |= {name: value for name, value in given.items() if value is not None}
        return SandboxConfig.model_validate(told)
    except OSError as error:
        frame.fail(f"cannot read {path}: {error.strerror or error}", frame.WRONG)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        frame.fail(f"the sandbox's settings are wrong: {error}", frame.WRONG)
