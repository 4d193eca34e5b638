"""What stands in the lists of the pages: tabs, pages of a long list, rows of mailboxes, messages and attachments."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import getaddresses
from html import unescape
from typing import Final, TypeVar
from urllib.parse import quote, unquote, urlencode

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.parts import Part

ROWS_A_PAGE: Final = 50
OPENS_IN_BROWSER: Final = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"})
"""Types that run nothing; all others, HTML and SVG among them, are only downloaded."""

FOLDERS: Final = {"inbox": "INBOX", "sent": "SENT", "drafts": "DRAFT", "spam": "SPAM", "trash": "TRASH", "all": ""}
"""Folder by its word in a link, with the label that makes it; the last one holds everything."""

_SHOWN_LABELS: Final = ("INBOX", "SENT", "DRAFT", "SPAM", "TRASH", "STARRED", "IMPORTANT")
_CID: Final = re.compile(r"cid:([^\"'\s)>]+)", re.IGNORECASE)
_ATTACHED: Final = re.compile(rb"^content-disposition:\s*attachment", re.IGNORECASE | re.MULTILINE)

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Tab:
    """One link of a row of tabs."""

    name: str
    url: str
    current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Pages:
    """Where a page of a long list stands; `previous` and `next` are links, empty at an end."""

    total: int
    first: int
    last: int
    previous: str
    next: str

    @property
    def start(self) -> int:
        """How many rows stand before this page."""
        return self.first - 1

    @property
    def count(self) -> int:
        """How many pages there are."""
        return -(-self.total // ROWS_A_PAGE)


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox in the list; `subject` and `time` are its latest message's."""

    address: str
    url: str
    kind: str
    count: int
    subject: str
    time: datetime | None

    @classmethod
    def of(cls, account: Account) -> "MailboxRow":
        """The row of a mailbox."""
        latest = account.newest()
        return cls(
            address=account.address,
            url=mailbox_url(account),
            kind=kind_of(account),
            count=len(account.store),
            subject=latest.subject if latest else "",
            time=time_of(latest) if latest else None,
        )


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message in a folder; `who` is the other side, `labels` leave out the folder's own."""

    who: str
    subject: str
    snippet: str
    url: str
    time: datetime
    labels: tuple[str, ...]
    unread: bool
    attached: bool

    @classmethod
    def of(cls, account: Account, message: Message, folder: str) -> "MessageRow":
        """The row of a message; the body is searched for attachments, not parsed, for a list has many rows."""
        is_ours = "INBOX" not in message.labels and bool(message.labels & {"SENT", "DRAFT"})
        who = people(message.header("to" if is_ours else "from") or "")
        return cls(
            who=f"To: {who}" if is_ours else who,
            subject=message.subject,
            snippet=unescape(message.snippet),
            url=message_url(account, message),
            time=time_of(message),
            labels=label_names(account, message.labels - {FOLDERS[folder]}),
            unread="UNREAD" in message.labels,
            attached=_ATTACHED.search(message.body) is not None,
        )


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A message in its thread; all but the `current` one are folded."""

    who: str
    snippet: str
    url: str
    time: datetime
    current: bool

    @classmethod
    def of(cls, account: Account, message: Message, shown: Message) -> "ThreadRow":
        """The row of a message in the thread of the one that is shown."""
        return cls(
            who=people(message.header("from") or ""),
            snippet=unescape(message.snippet),
            url=message_url(account, message),
            time=time_of(message),
            current=message.id == shown.id,
        )


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """An attachment; `opens` tells whether a browser may show it by itself, `size` counts its decoded bytes."""

    name: str
    media_type: str
    size: int
    url: str
    opens: bool

    @classmethod
    def of(cls, part: Part, url: str) -> "DocumentRow":
        """The row of an attachment of the message at `url`."""
        return cls(
            name=document_name(part),
            media_type=part.media_type,
            size=len(part.content),
            url=f"{url}/parts/{part_key(part)}",
            opens=part.media_type in OPENS_IN_BROWSER,
        )


def cut(path: str, query: Mapping[str, str], rows: Sequence[Row]) -> tuple[Sequence[Row], Pages]:
    """The page of a long list that `query` asks for; one beyond the end is the last one."""
    pages = page_at(path, query, len(rows))
    return rows[pages.start : pages.last], pages


def page_at(path: str, query: Mapping[str, str], total: int) -> Pages:
    """Where the page that `query` asks for stands in a list of `total`."""
    asked = query.get("page", "")
    last_page = max(1, -(-total // ROWS_A_PAGE))
    page = min(max(int(asked) if asked.isdecimal() else 1, 1), last_page)
    start = (page - 1) * ROWS_A_PAGE
    rest = {name: value for name, value in query.items() if name != "page"}
    return Pages(
        total=total,
        first=start + 1,
        last=min(start + ROWS_A_PAGE, total),
        previous=link(path, rest | {"page": str(page - 1)}) if page > 1 else "",
        next=link(path, rest | {"page": str(page + 1)}) if page < last_page else "",
    )


def documents(tree: Part) -> list[Part]:
    """The attachments of a letter, without the pictures that its HTML shows."""
    shown = {unquote(name) for name in _CID.findall(tree.text("text/html") or "")}
    return [part for part in tree.attachments() if not part.content_id or part.content_id not in shown]


def document_name(part: Part) -> str:
    """An attachment's name for reading; a part without one is called by its number."""
    return part.filename or f"part {part.part_id}".strip()


def part_key(part: Part) -> str:
    """A part's name in a link; the root's id is empty."""
    return part.part_id or "root"


def kind_of(account: Account) -> str:
    """The word for a mailbox's side of the world."""
    return "Sender" if account.is_local else "Outside"


def label_names(account: Account, labels: frozenset[str]) -> tuple[str, ...]:
    """Labels as people read them; Gmail's inner ones (UNREAD, CATEGORY_…) are left out."""
    own = sorted(account.user_labels[label]["name"] for label in labels if label in account.user_labels)
    return (*(label.capitalize() for label in _SHOWN_LABELS if label in labels), *own)


def people(value: str) -> str:
    """The display names of an address field, addresses where there are none."""
    return ", ".join(name or address for name, address in getaddresses([value]) if name or address) or value


def time_of(message: Message) -> datetime:
    """When the message came in, UTC by the sandbox's clock."""
    return datetime.fromtimestamp(message.internal_date / 1000, UTC)


def mailbox_url(account: Account) -> str:
    """The page of a mailbox."""
    return f"/mailboxes/{quote(account.address, safe='@')}"


def message_url(account: Account, message: Message) -> str:
    """The page of a message."""
    return f"{mailbox_url(account)}/messages/{message.id}"


def link(path: str, query: Mapping[str, str]) -> str:
    """A path with the query's entries that are not empty."""
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{given}" if given else path
