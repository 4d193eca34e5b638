"""The web pages of the sandbox: mailboxes and letters as a person reads them.

Nothing here changes anything: opening a letter leaves it unread; what a person writes goes to `writing_pages`. A
letter's HTML is somebody else's, so it is shown in a frame without scripts, forms, referrer or network, once by the
frame's `sandbox` and once by its own policy.
"""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any, Final
from urllib.parse import quote, unquote

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.page_rows import (
    FOLDERS,
    OPENS_IN_BROWSER,
    DocumentRow,
    MailboxRow,
    MessageRow,
    Pages,
    Row,
    Tab,
    ThreadRow,
    cut,
    document_name,
    documents,
    kind_of,
    label_names,
    link,
    mailbox_url,
    message_url,
    page_at,
    part_key,
)
from millstream.sandbox.gmail.parts import Part
from millstream.sandbox.gmail.shelf import Shelf
from millstream.sandbox.gmail.transit import Transit
from millstream.sandbox.gmail.world import World
from millstream.sandbox.gmail.writing_pages import NothingHere, WritingPages, account_and_message, account_of

SOURCE_SHOWN_BYTES: Final = 65_536
"""So much of a letter's source stands on the page; the rest is in the download."""

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none'"
)
FRAME_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
DOCUMENT_POLICY: Final = "default-src 'none'; sandbox"
VIEWER_POLICY: Final = "default-src 'none'; img-src 'self'; object-src 'self'; style-src 'unsafe-inline'"
"""For pictures and PDF. Chromium's PDF viewer starts under this policy and under `sandbox` alike (tried 2026-11);
other browsers were not tried, so what runs nothing by itself is not sandboxed."""

FOLDER_NAMES: Final = {"drafts": "Drafts", "all": "All mail"}
ALWAYS_SHOWN: Final = frozenset({"inbox", "sent", "drafts", "all"})
KINDS: Final = {"": "All", "senders": "Senders", "outside": "Outside"}
KILOBYTE: Final = 1_000
MEGABYTE: Final = 1_000_000
_CID: Final = re.compile(r"cid:([^\"'\s)>]+)", re.IGNORECASE)
_HEAD: Final = re.compile(r"<head\b[^<>]*>", re.IGNORECASE)

Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(world: World, transit: Transit) -> list[web.RouteDef]:
    """The routes of the pages: `/`, `/mailboxes/…` and `/static/pages.css`."""
    pages = _Pages(world)
    desk = pages.desk = WritingPages(world, transit, pages.page)
    message = "/mailboxes/{address}/messages/{message}"
    handlers: dict[str, Handler] = {
        "/": pages.mailboxes,
        "/static/pages.css": pages.style,
        "/mailboxes/{address}": pages.mailbox,
        message: pages.message,
        f"{message}/body": pages.body,
        f"{message}/source": pages.source,
        f"{message}/parts/{{part}}": pages.document,
    }
    read = [web.get(path, pages.or_problem_page(handler)) for path, handler in handlers.items()]
    write = [
        web.RouteDef(verb, path, pages.or_problem_page(handler), {})
        for verb, path, handler in (
            ("GET", "/mailboxes/{address}/compose", desk.blank),
            ("POST", "/mailboxes/{address}/compose", desk.compose),
            ("GET", f"{message}/reply", desk.blank_reply),
            ("POST", f"{message}/reply", desk.reply),
        )
    ]
    return [*read, *write]


class _Pages:
    """The handlers, one a page; they read the world and change nothing."""

    desk: WritingPages

    def __init__(self, world: World) -> None:
        self._world = world
        self._style = (resources.files(__package__) / "templates" / "pages.css").read_text("utf-8")
        self._templates = Environment(
            loader=PackageLoader("millstream.sandbox.gmail"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(moment=_moment, bytes=_bytes)

    def or_problem_page(self, handler: Handler) -> Handler:
        """The handler, with a page that says so where it finds nothing."""

        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except NothingHere as missing:
                return self.page(request, "problem.html", missing.context, status=missing.status)

        return answer

    # Pages

    async def mailboxes(self, request: web.Request) -> web.Response:
        """All mailboxes, the organisation's first; `?kind=`, `?q=` and `?page=` narrow the list."""
        query, kind = _query(request), request.query.get("kind", "")
        kind = kind if kind in KINDS else ""
        found = [account for account in self._world.mailboxes() if query.lower() in account.address]
        groups = {
            "": found,
            "senders": [account for account in found if account.is_local],
            "outside": [account for account in found if not account.is_local],
        }
        accounts, pages = _page_of(request, groups[kind])
        tabs = [
            Tab(KINDS[key], link("/", {"q": query, "kind": key}), key == kind, len(group))
            for key, group in groups.items()
        ]
        rows = [MailboxRow.of(account) for account in accounts]
        return self.page(request, "mailboxes.html", {"rows": rows, "pages": pages, "kinds": tabs, "kind": kind})

    async def mailbox(self, request: web.Request) -> web.Response:
        """One mailbox as its owner sees it; `?folder=`, `?q=` and `?page=` narrow the list."""
        account, query = account_of(self._world, request), _query(request)
        here = mailbox_url(account)
        counts = {name: len(_shelf(account, name)) for name in FOLDERS}
        folder = request.query.get("folder", "")
        if folder not in FOLDERS:
            folder = next((name for name in ("inbox", "sent", "drafts") if counts[name]), "inbox")
        tabs = [
            Tab(_folder_name(name), link(here, {"folder": name, "q": query}), name == folder, count)
            for name, count in counts.items()
            if count or name in ALWAYS_SHOWN
        ]
        shelf = _shelf(account, folder)
        if query:
            shown, pages = _page_of(request, [one for one in shelf.newest_first() if _matches(one, query)])
        else:
            pages = page_at(request.rel_url.raw_path, request.query, len(shelf))
            shown = shelf.cut(pages.start, pages.last)
        context = {
            "address": account.address,
            "kind": kind_of(account),
            "here": here,
            "folder": folder,
            "folders": tabs,
            "rows": [MessageRow.of(account, one, folder) for one in shown],
            "pages": pages,
            "unread": _shelf(account, "inbox").unread,
        }
        return self.page(request, "mailbox.html", context)

    async def message(self, request: web.Request) -> web.Response:
        """One message inside its thread; `?view=` is html, text, headers or source."""
        account, message = account_and_message(self._world, request)
        tree, here = message.parts(), message_url(account, message)
        names = _view_names(tree)
        view = request.query.get("view", "")
        view = view if view in names else next(iter(names))
        source = message.raw[:SOURCE_SHOWN_BYTES] if view == "source" else b""
        people = [(name.capitalize(), message.header(name)) for name in ("to", "cc", "bcc")]
        context = {
            "address": account.address,
            "mailbox_url": mailbox_url(account),
            "subject": message.subject,
            "label_names": label_names(account, message.labels),
            "thread": [ThreadRow.of(account, one, message) for one in account.thread(message.thread_id)],
            "sender": message.header("from") or "",
            "recipients": [(name, value) for name, value in people if value],
            "views": [Tab(name, link(here, {"view": key}), key == view) for key, name in names.items()],
            "view": view,
            "body_url": f"{here}/body",
            "text": tree.text("text/plain") or "",
            "headers": message.headers() if view == "headers" else [],
            "source": source.decode("utf-8", "replace"),
            "source_cut": len(source) < message.size,
            "source_url": f"{here}/source",
            "size": message.size,
            "documents": [DocumentRow.of(part, here) for part in documents(tree)],
            "form": None if "DRAFT" in message.labels else self.desk.reply_form(account, message),
            "sent": "sent" in request.query,
        }
        return self.page(request, "message.html", context)

    # What a page shows or hands out

    async def style(self, _request: web.Request) -> web.Response:
        """The one style sheet."""
        return web.Response(text=self._style, content_type="text/css", headers={"Cache-Control": "max-age=60"})

    async def body(self, request: web.Request) -> web.Response:
        """The letter's own HTML for the frame; pictures that lie inside the letter are put in, no other is loaded."""
        account, message = account_and_message(self._world, request)
        tree = message.parts()
        html = tree.text("text/html")
        if html is None:
            raise _no_part(account, message)
        return web.Response(
            text=_in_new_tabs(_with_pictures(html, tree)),
            content_type="text/html",
            headers=_safely(FRAME_POLICY),
        )

    async def source(self, request: web.Request) -> web.Response:
        """The whole message as it is stored, as a file."""
        _, message = account_and_message(self._world, request)
        headers = {"Content-Disposition": f'attachment; filename="{message.id}.eml"'}
        return web.Response(body=message.raw, content_type="message/rfc822", headers=headers | _safely(DOCUMENT_POLICY))

    async def document(self, request: web.Request) -> web.Response:
        """An attachment: opened by the browser if its type is harmless, downloaded otherwise or with `?download=1`."""
        account, message = account_and_message(self._world, request)
        wanted = request.match_info["part"]
        part = next((one for one in message.parts().attachments() if part_key(one) == wanted), None)
        if part is None:
            raise _no_part(account, message)
        opens = part.media_type in OPENS_IN_BROWSER and "download" not in request.query
        headers = {
            "Content-Type": part.media_type,
            "Content-Disposition": _disposition("inline" if opens else "attachment", document_name(part)),
        }
        policy = VIEWER_POLICY if opens else DOCUMENT_POLICY
        return web.Response(body=part.content, headers=headers | _safely(policy))

    # Showing

    def page(
        self, request: web.Request, template: str, context: Mapping[str, Any], *, status: int = 200
    ) -> web.Response:
        """A template as an answer."""
        text = self._templates.get_template(template).render(
            context, query=_query(request), now=self._world.clock.now()
        )
        # Under no-referrer a browser hides from the sandbox itself that a form came from its own page.
        headers = _safely(PAGE_POLICY) | {"Referrer-Policy": "same-origin"}
        return web.Response(text=text, content_type="text/html", status=status, headers=headers)


# Small answers


def _view_names(tree: Part) -> dict[str, str]:
    names = {"html": "Message", "text": "Text", "headers": "Headers", "source": "Source"}
    if tree.text("text/html") is None:
        del names["html"]
    elif tree.text("text/plain") is None:
        del names["text"]
    return names


def _page_of(request: web.Request, rows: Sequence[Row]) -> tuple[Sequence[Row], Pages]:
    return cut(request.rel_url.raw_path, request.query, rows)


def _query(request: web.Request) -> str:
    return request.query.get("q", "").strip()


def _shelf(account: Account, folder: str) -> Shelf:
    return account.shelf((FOLDERS[folder],) if FOLDERS[folder] else ())


def _matches(message: Message, query: str) -> bool:
    if not query:
        return True
    seen = (message.subject, message.header("from") or "", message.header("to") or "")
    return query.casefold() in "\n".join(seen).casefold()


def _folder_name(folder: str) -> str:
    return FOLDER_NAMES.get(folder, folder.capitalize())


def _moment(time: datetime) -> str:
    return f"{time:%d %b %Y, %H:%M}"


def _bytes(size: int) -> str:
    """A size in decimal units, as mail programs show it."""
    if size < KILOBYTE:
        return f"{size} bytes"
    return f"{size / KILOBYTE:.0f} kB" if size < MEGABYTE else f"{size / MEGABYTE:.1f} MB"


def _no_part(account: Account, message: Message) -> NothingHere:
    sentence = "The message has no such part. Its attachments are listed on its page."
    return NothingHere("No such part", sentence, message_url(account, message), "The message")


# Headers


def _safely(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def _disposition(kind: str, name: str) -> str:
    """RFC 6266: an ASCII name for old programs and the true name by RFC 5987."""
    clean = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name)
    plain = clean.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"


# The letter's HTML


def _with_pictures(html: str, tree: Part) -> str:
    """The HTML with `cid:` references (RFC 2392) replaced by the pictures themselves."""
    pictures = {part.content_id: part for part in tree.walk() if part.content_id}

    def picture(reference: re.Match[str]) -> str:
        part = pictures.get(unquote(reference[1]))
        if part is None or part.media_type not in OPENS_IN_BROWSER:
            return reference[0]
        return f"data:{part.media_type};base64,{b64encode(part.content).decode()}"

    return _CID.sub(picture, html)


def _in_new_tabs(html: str) -> str:
    """Links of a letter open beside it; the element goes behind `<head>`, for before it stands the document type."""
    base = '<base target="_blank">'
    return _HEAD.sub(lambda head: head[0] + base, html, count=1) if _HEAD.search(html) else base + html
