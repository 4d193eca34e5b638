"""The command line: tables for people, `--json` for pipes; one file a command."""

from millstream.cli.main import app, main

__all__ = ["app", "main"]
