"""`millstream relay`: the SMTP relay."""

from __future__ import annotations

import dataclasses

import typer

from millstream.app.doctor_relay import examine_relay
from millstream.app.finding import Finding
from millstream.app.relay import open_relay
from millstream.cli import frame, work
from millstream.cli.frame import Json


def check(*, json: Json = False) -> None:
    """Check the relay: its settings, TLS, login and limits.

    It connects, says EHLO, logs in and leaves; no mail is sent. Exit code 1 where something is wrong; each line says
    what to do. `millstream doctor` does the same beside everything else.
    """

    async def examined() -> list[Finding]:
        findings = []
        async for finding in examine_relay(work.settings(), open_relay):
            findings.append(finding)
            if not json:
                frame.say(f"{'ok ' if finding.ok else 'BAD'}  {finding.check}: {finding.detail}")
        return findings

    findings = work.run(examined)
    if json:
        frame.answer_json([dataclasses.asdict(finding) for finding in findings])
    elif not findings:
        frame.say("no relay is set; docs/howto/connect-the-relay.md says how")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(frame.FAILED)
