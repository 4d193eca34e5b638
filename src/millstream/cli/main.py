"""The command `millstream`: which commands there are."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.cli import frame
from millstream.cli.tree import Branch, Group, Leaf

TREE: dict[str, Leaf | Branch] = {
    "demo": Leaf(
        "millstream.cli.demo:demo",
        "Compose real statements, deliver them through a Gmail sandbox, and count what arrived.",
    ),
    "worker": Leaf("millstream.cli.worker:worker", "Run the jobs of all rooms until Ctrl-C."),
    "web": Leaf(
        "millstream.cli.web:web", "Serve Gmail's pushes, the HTTP door of intake and the reviewers' pages until Ctrl-C."
    ),
    "smtp": Leaf("millstream.cli.smtp:smtp", "Take mail from an Exstream or StreamServe SMTP connector until Ctrl-C."),
    "doctor": Leaf(
        "millstream.cli.doctor:doctor",
        "Check the whole path: database, documents, Exstream, doors, reviews, credentials, mailboxes.",
    ),
    "run": Branch(
        "Runs: communications that came in together.",
        {
            "submit": Leaf("millstream.cli.run_submit:submit", "Bring a driver in as a run."),
            "list": Leaf("millstream.cli.run:list_command", "The newest runs and what has become of them."),
            "show": Leaf(
                "millstream.cli.run:show",
                "One run: where it stands, what waits for a person, what was sent again, lines put aside.",
            ),
            "plan": Leaf(
                "millstream.cli.run_plan:plan",
                "Forecast when so many communications will be done by each road, and which limit decides.",
            ),
            "pause": Leaf("millstream.cli.run:pause", "Let nothing more of a run leave."),
            "resume": Leaf("millstream.cli.run:resume", "Let a paused run go on."),
            "cancel": Leaf("millstream.cli.run:cancel", "Cancel what of a run has not left, for good."),
            "retry": Leaf(
                "millstream.cli.run:retry", "Queue failed deliveries of a run again, after their cause was mended."
            ),
        },
    ),
    "communication": Branch(
        "Single communications and their deliveries.",
        {
            "find": Leaf(
                "millstream.cli.communication:find", "Find communications by key, customer, address or token."
            ),
            "show": Leaf("millstream.cli.communication:show", "Everything about one delivery."),
            "settle": Leaf(
                "millstream.cli.communication:settle", "Decide on an uncertain delivery that no evidence could settle."
            ),
        },
    ),
    "suppression": Branch(
        "Addresses that nothing of a stream is sent to.",
        {
            "list": Leaf("millstream.cli.suppression:list_command", "Suppressed addresses, the newest first."),
            "add": Leaf("millstream.cli.suppression:add", "Send nothing more of a stream to an address."),
            "remove": Leaf("millstream.cli.suppression:remove", "Let an address have mail again."),
        },
    ),
    "mailbox": Branch(
        "Mailboxes: senders and inboxes.",
        {
            "list": Leaf("millstream.cli.mailbox:list_command", "Every mailbox."),
            "show": Leaf("millstream.cli.mailbox_read:show", "How reading a mailbox goes, and what it told."),
            "quarantine": Leaf("millstream.cli.mailbox_read:quarantine", "Messages that could not be read."),
            "reread": Leaf("millstream.cli.mailbox_read:reread", "List a mailbox anew."),
            "pause": Leaf("millstream.cli.mailbox:pause", "Send nothing more from a mailbox."),
            "resume": Leaf("millstream.cli.mailbox:resume", "Open a paused or parked mailbox again, now."),
            "connect": Leaf(
                "millstream.cli.mailbox_connect:connect",
                "Let a mailbox's owner consent in a browser, and keep the permission.",
            ),
        },
    ),
    "relay": Branch(
        "The SMTP relay.",
        {"check": Leaf("millstream.cli.relay:check", "Check the relay: its settings, TLS, login and limits.")},
    ),
    "intake": Branch(
        "What doors took in.",
        {
            "list": Leaf("millstream.cli.intake:list_command", "What came in, the newest first."),
            "show": Leaf("millstream.cli.intake:show", "One consignment with its receipt."),
            "retry": Leaf("millstream.cli.intake:retry", "Take in again what failed, after its cause was mended."),
            "jobs": Leaf("millstream.cli.intake:jobs", "Exstream's jobs that were seen, and what was done about each."),
            "again": Leaf(
                "millstream.cli.intake:again",
                "Fetch a job's outputs again that were given up, after the cause was mended.",
            ),
        },
    ),
    "step": Branch(
        "What Exstream is to do next.",
        {
            "list": Leaf("millstream.cli.step:list_command", "What Exstream is to do, the newest first."),
            "show": Leaf("millstream.cli.step:show", "One step with every attempt and its evidence."),
            "retry": Leaf("millstream.cli.step:retry", "Try a failed step again."),
            "settle": Leaf("millstream.cli.step:settle", "Decide on an uncertain step that no evidence could settle."),
            "cancel": Leaf("millstream.cli.step:cancel", "Let a step not be asked for any more."),
        },
    ),
    "exstream": Branch(
        "Exstream itself: what runs there, and what it is asked to do.",
        {
            "probe": Leaf("millstream.cli.exstream:probe", "Ask both services who they are, and what they can do."),
            "jobs": Leaf("millstream.cli.exstream:jobs", "Jobs that began within the last days."),
            "job": Leaf("millstream.cli.exstream:job", "One job with its flows and their steps."),
            "messages": Leaf("millstream.cli.exstream:messages", "The engine's messages of a step."),
            "resources": Leaf(
                "millstream.cli.exstream:resources",
                "Resources in a state of their approval, those in review unless another is named.",
            ),
            "resolve": Leaf(
                "millstream.cli.exstream:resolve",
                "What generating a communication needs: its id, its data source, its queues.",
            ),
            "generate": Leaf("millstream.cli.exstream:generate", "Have a communication composed now."),
            "fulfil": Leaf("millstream.cli.exstream:fulfil", "Have finished Empower documents composed now."),
            "trigger": Leaf("millstream.cli.exstream:trigger", "Start the flows of a named channel."),
            "release": Leaf("millstream.cli.exstream:release", "Let a held step or flow go on."),
            "stop": Leaf("millstream.cli.exstream:stop", "Let a step, a flow or a job not go on."),
            "reprocess": Leaf("millstream.cli.exstream:reprocess", "Run a job again."),
            "state": Leaf("millstream.cli.exstream:state", "Change a resource's state in its approval."),
            "compose": Leaf(
                "millstream.cli.exstream_files:compose", "Have an engine that runs as a web service compose now."
            ),
            "drop": Leaf("millstream.cli.exstream_files:drop", "Put a file into the directory that Exstream watches."),
            "control": Leaf(
                "millstream.cli.exstream_files:control",
                "Put an engine's control file into the directory that Exstream watches.",
            ),
        },
    ),
    "review": Branch(
        "Questions to people: approval and compliance.",
        {
            "list": Leaf("millstream.cli.review:list_command", "What people are asked, the newest first."),
            "show": Leaf("millstream.cli.review:show", "One review with everything that happened."),
            "open": Leaf("millstream.cli.review_open:open_command", "Put what waits in Exstream to people."),
            "answer": Leaf("millstream.cli.review_answer:answer", "Answer for a person who is asked."),
            "overrule": Leaf(
                "millstream.cli.review_answer:overrule", "Decide alone, as somebody whom the policy names."
            ),
            "assign": Leaf("millstream.cli.review_answer:assign", "Hand a person's question to somebody else."),
            "cancel": Leaf("millstream.cli.review_answer:cancel", "Take a question back."),
            "delegate": Leaf(
                "millstream.cli.review_answer:delegate", "Let somebody answer for somebody else for a while."
            ),
            "undelegate": Leaf("millstream.cli.review_answer:undelegate", "Let a delegation hold no more."),
            "delegations": Leaf("millstream.cli.review_answer:delegations", "Who answers for whom now or later."),
            "export": Leaf(
                "millstream.cli.review_export:export", "Write everything about a review as one file that proves itself."
            ),
            "mail": Leaf(
                "millstream.cli.review_mail:mail", "What a mail to a reviewer says, as it would be written now."
            ),
            "policy": Branch(
                "Who is asked about what.",
                {
                    "check": Leaf(
                        "millstream.cli.review_policy:check",
                        "Check policy files, and say everything that is wrong with them.",
                    ),
                    "show": Leaf(
                        "millstream.cli.review_policy:show", "The policies as they stand, or one of them whole."
                    ),
                },
            ),
        },
    ),
    "rules": Branch(
        "Compliance rules: what documents must say, and must not.",
        {
            "check": Leaf("millstream.cli.rules:check", "Say what is wrong with rule packs, or what is in them."),
            "try": Leaf("millstream.cli.rules:try_command", "Show what rules find in the communications of a driver."),
        },
    ),
    "event": Branch(
        "What happened in one room and others answer.",
        {
            "list": Leaf("millstream.cli.event:list_command", "Events, the newest first."),
            "show": Leaf("millstream.cli.event:show", "One event with all it tells."),
            "retry": Leaf("millstream.cli.event:retry", "Answer what was put aside again, after its cause was mended."),
        },
    ),
    "sandbox": Branch(
        "Servers that behave like the real services, also on their bad days.",
        {
            "gmail": Leaf("millstream.cli.sandbox:gmail", "Run a Gmail sandbox on loopback until Ctrl-C."),
            "exstream": Leaf(
                "millstream.cli.sandbox_exstream:exstream", "Run an Exstream sandbox on loopback until Ctrl-C."
            ),
        },
    ),
    "audit": Branch(
        "The hash-chained record of every transition and decision.",
        {
            "verify": Leaf(
                "millstream.cli.audit:verify",
                "Recompute the chain and compare it with what is stored, or check a bundle.",
            )
        },
    ),
    "config": Branch(
        "The configuration.",
        {
            "show": Leaf("millstream.cli.config:show", "Every setting with its value and where it came from."),
            "init": Leaf("millstream.cli.config:init", "Write a commented sample configuration."),
            "reference": Leaf("millstream.cli.config:reference_command", "Print the reference page of all settings."),
        },
    ),
    "db": Branch(
        "The database.",
        {"migrate": Leaf("millstream.cli.db:migrate_command", "Bring the database up to this version.")},
    ),
}


class Root(Group):
    """The top group."""

    def __init__(self, **given: Any) -> None:
        super().__init__(tree=TREE, **given)


app = typer.Typer(
    cls=Root,
    name="millstream",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it reads well in a pipe, and rich takes longer to import than the rest of it
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:  # noqa: FBT001  typer calls it so
    if asked:
        frame.say(f"millstream {version('millstream')}")
        raise typer.Exit


@app.callback()
def top(
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="The configuration file; without it MILLSTREAM_CONFIG, then millstream.toml."
        ),
    ] = None,
    *,
    show_version: Annotated[  # noqa: ARG001  answered before anything else
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    """What Exstream composes leaves through Gmail exactly once."""
    frame.use_config(config_file)


def main() -> None:
    """Enter here."""
    app()
