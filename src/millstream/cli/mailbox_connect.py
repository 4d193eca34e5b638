"""`millstream mailbox connect`: one mailbox's owner gives the permission."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from millstream.app.options import gmail_options, oauth_client, scopes
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.gmail.authorized_user import TokenFolder
from millstream.gmail.consent import Consent, connect_mailbox
from millstream.gmail.model import Profile


def connect(
    address: Annotated[str, typer.Argument(help="The mailbox's address.")],
    *,
    browser: Annotated[bool, typer.Option(help="Open a browser; --no-browser prints the address to open.")] = True,
    json: Json = False,
) -> None:
    """Let a mailbox's owner consent in a browser, and keep the permission.

    For `gmail.auth = authorized_user`. The address to open is printed on standard error; the browser must run on this
    machine, because it comes back to a port of the loopback.
    """

    def show(url: str) -> None:
        typer.echo(f"open this address as {address}, and consent:\n{url}", err=True)
        if browser:
            webbrowser.open(url)

    async def connected() -> Profile:
        settings = work.settings()
        if settings.gmail.auth != "authorized_user":
            frame.fail(f"gmail.auth is {settings.gmail.auth}; connecting needs authorized_user", frame.WRONG)
        consent = Consent(mailbox=address, client=oauth_client(settings), scopes=scopes(settings))
        return await connect_mailbox(consent, TokenFolder(settings.token_folder), gmail_options(settings), show)

    profile = work.run(connected, goes_on="nothing was kept")
    frame.answer({"mailbox": profile.address, "connected": True}, f"{profile.address} is connected", as_json=json)
