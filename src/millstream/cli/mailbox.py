"""`millstream mailbox`: the sender mailboxes and their lanes."""

from __future__ import annotations

import webbrowser
from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.app.options import gmail_options, oauth_client, scopes
from millstream.cli import frame
from millstream.cli.frame import Json
from millstream.gmail.authorized_user import TokenFolder
from millstream.gmail.consent import Consent, connect_mailbox
from millstream.gmail.model import Profile

app = typer.Typer(help="Sender mailboxes.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="The mailbox's address.")]


@app.command("list")
def list_command(*, json: Json = False) -> None:
    """Every sender mailbox: its state, what it holds, what it sent in the last day."""

    async def work(house: House) -> list[dict[str, Any]]:
        await house.lanes.register(house.settings.senders.pools)
        return await house.lanes.lanes()

    columns = ("mailbox", "pool", "state", "reason", "until", "resume_at", "bound", "sent_today", "holder")
    frame.answer_rows(frame.in_house(work), columns, as_json=json, empty="no mailboxes; set senders.pools")


@app.command("pause")
def pause(
    address: Address,
    *,
    why: Annotated[str, typer.Option(help="The reason; goes into the audit trail.")] = "paused by a person",
    actor: Annotated[str, typer.Option("--as", help="Who decides.")] = "operator",
) -> None:
    """Send nothing more from a mailbox; what it sent is still settled."""
    _set(address, "paused", reason=why, actor=actor)
    frame.say(f"{address} is paused")


@app.command("resume")
def resume(address: Address, *, actor: Annotated[str, typer.Option("--as", help="Who decides.")] = "operator") -> None:
    """Open a paused or parked mailbox again, now."""
    _set(address, "open", reason=None, actor=actor)
    frame.say(f"{address} is open")


@app.command("connect")
def connect(
    address: Address,
    *,
    browser: Annotated[bool, typer.Option(help="Open a browser; --no-browser prints the address to open.")] = True,
) -> None:
    """Let the mailbox's owner consent in a browser, and keep the permission (auth = authorized_user)."""

    def show(url: str) -> None:
        frame.say(f"open this address as {address}, and consent:\n{url}")
        if browser:
            webbrowser.open(url)

    async def work() -> Profile:
        settings = frame.settings()
        consent = Consent(mailbox=address, client=oauth_client(settings), scopes=scopes(settings))
        return await connect_mailbox(consent, TokenFolder(settings.token_folder), gmail_options(settings), show)

    profile = frame.run(work)
    frame.say(f"{profile.address} is connected")


def _set(address: str, state: str, *, reason: str | None, actor: str) -> None:
    async def work(house: House) -> None:
        await house.lanes.register(house.settings.senders.pools)
        await house.lanes.set_state(address, state, reason=reason, actor=actor)

    frame.in_house(work)
