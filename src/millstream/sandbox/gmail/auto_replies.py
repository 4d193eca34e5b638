"""Absence notices, in the shapes of Gmail's vacation responder, of Exchange, and of RFC 3834 at its plainest."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.conditions import AutoReply
from millstream.sandbox.gmail.headers import Headers, linked, references
from millstream.sandbox.gmail.world import World

_SILENT: Final = frozenset({"bulk", "list", "junk", "auto_reply"})
_AUTOMATIC: Final = {
    "en": "Automatic reply",
    "de": "Automatische Antwort",
    "pt": "Resposta automática",
    "fr": "Réponse automatique",
    "es": "Respuesta automática",
}
"""What Outlook puts before the subject, by the language of its user."""


def is_answerable(rule: AutoReply, headers: Headers) -> bool:
    """Whether a message may be answered by a machine (RFC 3834 section 2; Exchange heeds its own header too)."""
    if rule.careless:
        return True
    if (headers.get("auto-submitted") or "no").partition(";")[0].strip().lower() != "no":
        return False
    if (headers.get("precedence") or "").strip().lower() in _SILENT or headers.get("list-id"):
        return False
    if rule.style == "exchange":
        suppressed = (headers.get("x-auto-response-suppress") or "").replace(",", " ").lower().split()
        return not {"all", "oof", "autoreply"} & set(suppressed)
    return True


def is_due(rule: AutoReply, account: Account, sender: str, now: float) -> bool:
    """Whether a sender was not answered within the period; notes that it is answered now."""
    last = account.answered.get(sender)
    if last is not None and 0 <= now - last < rule.period:
        return False
    account.answered[sender] = now
    return True


def auto_reply(world: World, account: Account, rule: AutoReply, sender: str, headers: Headers) -> bytes:
    """The notice as a whole message to `sender`."""
    message = EmailMessage(policy=SMTP)
    origin = (headers.get("message-id") or "").strip()
    asked = headers.subject()
    message["From"] = formataddr((account.name or account.address.partition("@")[0], account.address))
    message["To"] = sender
    message["Date"] = world.clock.stamp()
    message["Message-ID"] = f"<{world.new_id()}.auto@{account.address.rpartition('@')[2]}>"
    if rule.style == "exchange":
        message["Subject"] = f"{rule.subject or _AUTOMATIC[rule.language]}: {asked}"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["X-MS-Exchange-Inbox-Rules-Loop"] = account.address
        message["X-MS-Has-Attach"] = ""
    else:
        message["Subject"] = f"{rule.subject} Re: {asked}".strip()
        message["Auto-Submitted"] = "auto-replied"
        if rule.style == "gmail":
            message["Precedence"] = "bulk"
            message["X-Autoreply"] = "yes"
    message["Content-Language"] = rule.language
    message.set_content(f"{rule.text}\n")
    if rule.style != "plain":
        message.add_alternative(_as_html(rule.text), subtype="html")
    return (linked(origin, [*reversed(references(headers))]) if origin else b"") + message.as_bytes()


def _as_html(text: str) -> str:
    lines = text.replace("&", "&amp;").replace("<", "&lt;").split("\n")
    return f'<div dir="ltr">{"<br>".join(lines)}</div>\n'
