"""The pages where a person writes: an answer below a letter, or a new mail.

They change something, so they take POST alone, from the sandbox's own pages alone: the form carries a word that no
other page can read, and what the browser says of the page it comes from must be the sandbox.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.web_request import FileField

from millstream.sandbox.gmail import answers
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.answers import Attached, Readers, Written, readers
from millstream.sandbox.gmail.conditions import Language
from millstream.sandbox.gmail.control_wire import is_from_elsewhere
from millstream.sandbox.gmail.errors import BadArgument, Refusal
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.page_rows import kind_of, mailbox_url, message_url
from millstream.sandbox.gmail.quoting import STYLES
from millstream.sandbox.gmail.transit import Transit
from millstream.sandbox.gmail.world import World

LANGUAGES: Final[dict[Language, str]] = {
    "en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "pt": "Português",
}  # fmt: skip
_SEE_OTHER: Final = 303
_WORDS: Final = {
    "Recipient address required": "Say who it is for.",
    "Invalid To header": "What stands in To is no address.",
    "Invalid Cc header": "What stands in Cc is no address.",
}


class NothingHere(Exception):
    """A page that does not exist: what was not found, and where to go instead."""

    def __init__(self, title: str, sentence: str, next_url: str, next_name: str, *, status: int = 404) -> None:
        super().__init__(sentence)
        self.status = status
        self.context = {"title": title, "sentence": sentence, "next_url": next_url, "next_name": next_name}


class Renders(Protocol):
    """`pages._Pages.page`."""

    def __call__(
        self, request: web.Request, template: str, context: Mapping[str, Any], *, status: int = 200
    ) -> web.Response:
        """A template as an answer."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form and what is in it. `readers` are those of an answer; new mail names its own in `to` and `cc`."""

    action: str
    token: str
    readers: Readers | None = None
    to: str = ""
    cc: str = ""
    subject: str = ""
    text: str = ""
    style: str = "gmail"
    language: str = "en"
    everybody: bool = False
    problem: str = ""

    styles = STYLES
    languages = LANGUAGES

    @property
    def one(self) -> str:
        """Whom "Reply" reaches."""
        return _names(self.readers.to) if self.readers else ""

    @property
    def all(self) -> str:
        """Whom "Reply to all" reaches; empty if that is nobody else."""
        return _names((*self.readers.to, *self.readers.cc)) if self.readers and self.readers.cc else ""


class WritingPages:
    """The handlers of everything that is written."""

    def __init__(self, world: World, transit: Transit, render: Renders) -> None:
        self._world = world
        self._transit = transit
        self._render = render
        self._token = secrets.token_urlsafe(24)

    def reply_form(self, account: Account, message: Message) -> Form:
        """The empty form below a message."""
        people = readers(account, message, everybody=True)
        return Form(f"{message_url(account, message)}/reply", self._token, people, language=self._language())

    async def blank(self, request: web.Request) -> web.Response:
        """The form for a new mail."""
        account = account_of(self._world, request)
        form = Form(f"{mailbox_url(account)}/compose", self._token, language=self._language())
        return self._page(request, account, form, "New mail")

    async def compose(self, request: web.Request) -> web.Response:
        """Send a new mail."""
        account = account_of(self._world, request)
        form, attached = await self._filled(request, account)
        try:
            sent = answers.compose(self._world, self._transit, account, _written(form, attached))
        except Refusal as refusal:
            return self._again(request, account, form, "New mail", refusal)
        return _go(f"{message_url(account, sent)}?sent=1")

    async def blank_reply(self, request: web.Request) -> web.Response:
        """The form for an answer, by itself."""
        account, message = account_and_message(self._world, request)
        return self._page(request, account, self.reply_form(account, message), _title(message))

    async def reply(self, request: web.Request) -> web.Response:
        """Send an answer."""
        account, message = account_and_message(self._world, request)
        form, attached = await self._filled(request, account, readers(account, message, everybody=True))
        try:
            if not form.text.strip():
                raise BadArgument("Write something first.")
            sent = answers.answer(
                self._world, self._transit, account, message, _written(form, attached), everybody=form.everybody
            )
        except Refusal as refusal:
            return self._again(request, account, form, _title(message), refusal)
        return _go(f"{message_url(account, sent)}?sent=1")

    def _language(self) -> str:
        return self._world.config.notice_language

    async def _filled(
        self, request: web.Request, account: Account, people: Readers | None = None
    ) -> tuple[Form, tuple[Attached, ...]]:
        """The form as it was sent; raises `NothingHere` 403 for one that is not the sandbox's own."""
        given = await request.post()
        fields = {name: value for name, value in given.items() if isinstance(value, str)}
        if is_from_elsewhere(request) or not hmac.compare_digest(
            fields.get("token", "").encode(), self._token.encode()
        ):
            sentence = "The form was not the sandbox's own, or it was from before a restart. Nothing was sent."
            raise NothingHere("Not sent", sentence, mailbox_url(account), account.address, status=403)
        form = Form(
            request.path,
            self._token,
            people,
            to=fields.get("to", ""),
            cc=fields.get("cc", ""),
            subject=fields.get("subject", ""),
            text=fields.get("text", ""),
            style=fields.get("style", "gmail"),
            language=fields.get("language", "en"),
            everybody=fields.get("everybody") == "1",
        )
        return form, _files(given.getall("attachment", []))

    def _again(self, request: web.Request, account: Account, form: Form, title: str, refusal: Refusal) -> web.Response:
        problem = _WORDS.get(refusal.message, refusal.message)
        filled = Form(
            form.action, form.token, form.readers, form.to, form.cc, form.subject, form.text, form.style,
            form.language, form.everybody, problem,
        )  # fmt: skip
        return self._page(request, account, filled, title, status=400)

    def _page(
        self, request: web.Request, account: Account, form: Form, title: str, *, status: int = 200
    ) -> web.Response:
        context = {
            "title": title,
            "address": account.address,
            "kind": kind_of(account),
            "mailbox_url": mailbox_url(account),
            "form": form,
        }
        return self._render(request, "write.html", context, status=status)


def account_of(world: World, request: web.Request) -> Account:
    """The mailbox of a path; raises `NothingHere`."""
    address = request.match_info["address"]
    account = world.account(address)
    if account is None:
        sentence = f"The sandbox has no mailbox {address}. One appears with the first letter to an outside address."
        raise NothingHere("No such mailbox", sentence, "/", "All mailboxes")
    return account


def account_and_message(world: World, request: web.Request) -> tuple[Account, Message]:
    """The message of a path and its mailbox; raises `NothingHere`."""
    account = account_of(world, request)
    message = account.message(request.match_info["message"])
    if message is None:
        sentence = f"It was deleted, or it never was in {account.address}. A sent draft becomes a new message."
        raise NothingHere("No such message", sentence, mailbox_url(account), account.address)
    return account, message


def _title(message: Message) -> str:
    return f"Answer to “{message.subject}”"


def _go(url: str) -> web.Response:
    return web.Response(status=_SEE_OTHER, headers={"Location": url})


def _names(people: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(name or address for name, address in people)


def _files(found: list[Any]) -> tuple[Attached, ...]:
    """The files of a form; a field without a file comes as one without a name."""
    files = []
    for one in found:
        if isinstance(one, FileField) and one.filename:
            files.append(Attached(one.filename, one.content_type, one.file.read()))
            one.file.close()
    return tuple(files)


def _written(form: Form, attached: tuple[Attached, ...]) -> Written:
    style = form.style if form.style in STYLES else "gmail"
    language = form.language if form.language in LANGUAGES else "en"
    return Written(form.text, form.to, form.cc, form.subject, style, language, attached)
