"""The command `millstream`: which commands there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from millstream.cli import audit, communication, config, db, demo, frame, mailbox, run, sandbox, worker

app = typer.Typer(
    name="millstream",
    help="What Exstream composes leaves through Gmail exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def top(
    config_file: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The configuration file; without it MILLSTREAM_CONFIG, then millstream.toml."),
    ] = None,
) -> None:
    """What Exstream composes leaves through Gmail exactly once."""
    frame.use_config(config_file)


app.command("demo")(demo.demo)
app.command("worker")(worker.worker)
app.add_typer(run.app, name="run")
app.add_typer(communication.app, name="communication")
app.add_typer(mailbox.app, name="mailbox")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(audit.app, name="audit")
app.add_typer(config.app, name="config")
app.add_typer(db.app, name="db")


def main() -> None:
    """Enter here."""
    app()
