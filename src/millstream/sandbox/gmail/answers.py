"""Mail that a person writes in a mailbox of the sandbox: a new one, or an answer in the thread of another."""

from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, getaddresses

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.conditions import Language
from millstream.sandbox.gmail.errors import BadArgument
from millstream.sandbox.gmail.headers import Headers, InvalidAddress, addresses, decode, linked, references
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.page_rows import time_of
from millstream.sandbox.gmail.quoting import Quoted, Style, render
from millstream.sandbox.gmail.transit import Letter, Transit
from millstream.sandbox.gmail.world import World


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that goes along."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote. `to`, `cc` and `subject` count for new mail; an answer takes them from what it answers."""

    text: str
    to: str = ""
    cc: str = ""
    subject: str = ""
    style: Style = "gmail"
    language: Language = "en"
    attachments: tuple[Attached, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Readers:
    """Whom an answer goes to, as header values."""

    to: tuple[tuple[str, str], ...]
    cc: tuple[tuple[str, str], ...] = ()


def readers(account: Account, message: Message, *, everybody: bool) -> Readers:
    """To Reply-To, else From; with `everybody` to all others too. The own address is left out.

    Who answers a message of its own writes to its readers again, as in Gmail.
    """
    headers = Headers.parse(message.head)
    own = (headers.get("from") or "").lower()
    mine = "SENT" in message.labels and account.address in own
    sender = "" if mine else headers.get("reply-to") or headers.get("from") or ""
    to = _people([sender] if sender else [*headers.raw("to")])
    rest = _people([*headers.raw("to"), *headers.raw("cc")]) if everybody else []
    taken = {address.lower() for _, address in to}
    cc = [(name, address) for name, address in rest if address.lower() not in taken | {account.address}]
    return Readers(tuple(to), tuple(dict.fromkeys(cc)))


def answer(
    world: World, transit: Transit, account: Account, message: Message, written: Written, *, everybody: bool = False
) -> Message:
    """Send an answer, in the thread of what it answers; gives the copy in SENT.

    Raises `Refusal`, before anything is stored.
    """
    headers = Headers.parse(message.head)
    people = readers(account, message, everybody=everybody)
    if not people.to:
        raise BadArgument("Recipient address required")
    subject = headers.subject()
    if not subject.lower().startswith("re:"):
        subject = f"Re: {subject}".strip()
    draft = _draft(world, account, _as_header(people.to), _as_header(people.cc), subject)
    _fill(draft, written, Quoted.of(message, time_of(message)))
    origin = (headers.get("message-id") or "").strip()
    raw = draft.as_bytes()
    if origin:
        raw = linked(origin, [*reversed(references(headers))]) + raw
    return transit.post(account, Letter.read(raw), thread_id=message.thread_id)


def compose(world: World, transit: Transit, account: Account, written: Written) -> Message:
    """Send a new mail; gives the copy in SENT. Raises `Refusal`, before anything is stored."""
    for name, value in (("To", written.to), ("Cc", written.cc)):
        try:
            addresses(value)
        except InvalidAddress:
            raise BadArgument(f"Invalid {name} header") from None
    draft = _draft(world, account, written.to, written.cc, " ".join(written.subject.split()))
    _fill(draft, written, None)
    return transit.post(account, Letter.read(draft.as_bytes()))


def _people(values: list[str]) -> list[tuple[str, str]]:
    return [(decode(name), address) for name, address in getaddresses(values) if "@" in address]


def _as_header(people: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(formataddr((" ".join(name.split()), address)) for name, address in people)


def _draft(world: World, account: Account, to: str, cc: str, subject: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["MIME-Version"] = "1.0"
    message["From"] = formataddr((account.name, account.address))
    message["Date"] = world.clock.stamp()
    # Gmail's own page gives another id when it sends; a server outside keeps this one.
    message["Message-ID"] = f"<{world.new_id()}.{world.new_id()}@{account.address.rpartition('@')[2]}>"
    message["Subject"] = subject
    if to:
        message["To"] = to
    if cc:
        message["Cc"] = cc
    return message


def _fill(message: EmailMessage, written: Written, quoted: Quoted | None) -> None:
    bodies = render(written.text, quoted, written.style, written.language)
    if bodies.text is not None:
        message.set_content(bodies.text, charset="utf-8", cte="quoted-printable")
        if bodies.html is not None:
            message.add_alternative(bodies.html, subtype="html", charset="utf-8", cte="quoted-printable")
    else:
        message.set_content(bodies.html or "", subtype="html", charset="utf-8", cte="quoted-printable")
    for attached in written.attachments:
        kind, _, subtype = attached.media_type.partition("/")
        if not subtype or kind in ("multipart", "message"):
            kind, subtype = "application", "octet-stream"
        message.add_attachment(attached.content, maintype=kind, subtype=subtype, filename=attached.name)
