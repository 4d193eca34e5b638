"""`millstream doctor`: check the whole path."""

from __future__ import annotations

import dataclasses

import typer

from millstream.app.doctor import examine
from millstream.app.finding import Finding
from millstream.cli import frame, work
from millstream.cli.frame import Json


def doctor(*, json: Json = False) -> None:
    """Check the whole path: database, documents, Exstream, doors, reviews, credentials, mailboxes.

    It sends nothing and makes no draft; a small probe is put into the document store, and into folders for a moment.
    Exit code 1 where something is wrong; each line says what to do.
    """

    async def examined() -> list[Finding]:
        findings = []
        async for finding in examine(work.settings()):
            findings.append(finding)
            if not json:
                frame.say(f"{'ok ' if finding.ok else 'BAD'}  {finding.check}: {finding.detail}")
        return findings

    findings = work.run(examined)
    if json:
        frame.answer_json([dataclasses.asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        raise typer.Exit(frame.FAILED)
