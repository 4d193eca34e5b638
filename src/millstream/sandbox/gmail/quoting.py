"""How mail programs quote what they answer: Gmail on the web, Outlook, Apple Mail, and plain text."""

import re
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final, Literal

from babel.dates import format_date, format_time

from millstream.sandbox.gmail.conditions import Language
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.parts import TAGS, Part

Style = Literal["gmail", "outlook", "apple", "html", "plain"]
STYLES: Final[dict[Style, str]] = {
    "gmail": "Gmail on the web",
    "outlook": "Outlook",
    "apple": "Apple Mail",
    "html": "HTML alone",
    "plain": "Plain text alone",
}

QUOTED_CHARACTERS: Final = 1_000_000
"""So much of a letter is quoted."""

_BODY: Final = re.compile(r"<body\b[^<>]*>(.*?)(?:</body\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_ACTIVE: Final = re.compile(
    r"<(script|style|title|head)\b.*?(?:</\1\s*>|\Z)|<!doctype[^<>]*>|</?html[^<>]*>", re.IGNORECASE | re.DOTALL
)
_WROTE: Final = {
    "en": "On {date} at {time} {who} wrote:",
    "de": "Am {date} um {time} Uhr schrieb {who}:",
    "fr": "Le {date} à {time}, {who} a écrit :",
    "es": "El {date} a las {time}, {who} escribió:",
    "pt": "Em {date} às {time}, {who} escreveu:",
}
_DATES: Final = {
    "en": "EEE, MMM d, yyyy", "de": "EEE, d. MMM yyyy", "fr": "EEE d MMM yyyy", "es": "EEE, d MMM yyyy",
    "pt": "EEE., d 'de' MMM 'de' yyyy",
}  # fmt: skip
_OUTLOOK: Final = {
    "en": ("From", "Sent", "To", "Subject"),
    "de": ("Von", "Gesendet", "An", "Betreff"),
    "fr": ("De", "Envoyé", "À", "Objet"),
    "es": ("De", "Enviado", "Para", "Asunto"),
    "pt": ("De", "Enviada em", "Para", "Assunto"),
}
_GMAIL_QUOTE: Final = "margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex"


@dataclass(frozen=True, slots=True)
class Quoted:
    """What an answer quotes: who wrote it, when, to whom, about what, as text and as the inside of an HTML body."""

    name: str
    address: str
    moment: datetime
    to: str
    subject: str
    text: str
    html: str

    @classmethod
    def of(cls, message: Message, moment: datetime) -> "Quoted":
        """Read what is quoted of a message."""
        tree = message.parts()
        name, address = message.sender
        html = _inside(tree)
        return cls(name or address, address, moment, message.header("To") or "", message.subject, _text(tree), html)


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer's bodies; None is one that this style does not send."""

    text: str | None
    html: str | None


def render(text: str, quoted: Quoted | None, style: Style, language: Language) -> Rendered:
    """What a person wrote, in a style, above what is quoted (nothing for a new mail)."""
    written = text.replace("\r\n", "\n").rstrip()
    if style == "outlook":
        return _outlook(written, quoted, language)
    if style == "apple":
        return _apple(written, quoted, language)
    plain = written + (f"\n\n{_wrote(quoted, language, html=False)}\n\n{_marked(quoted.text)}" if quoted else "")
    if style == "plain":
        return Rendered(f"{plain}\n", None)
    html = f'<div dir="ltr">{_lines(written)}</div>'
    if quoted:
        html += (
            '<br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">'
            f"{_wrote(quoted, language, html=True)}<br></div>"
            f'<blockquote class="gmail_quote" style="{_GMAIL_QUOTE}">{quoted.html}</blockquote></div>'
        )
    return Rendered(None if style == "html" else f"{plain}\n", f"{html}\n")


def _outlook(written: str, quoted: Quoted | None, language: Language) -> Rendered:
    body = f'<div class="elementToProof">{_lines(written)}</div>'
    if quoted is None:
        return Rendered(f"{written}\n", _page(body))
    names, moment = _OUTLOOK[language], quoted.moment
    sent = (
        f"{format_date(moment, 'EEEE, d MMMM yyyy', locale=language)} {format_time(moment, 'HH:mm', locale=language)}"
    )
    values = (f"{quoted.name} <{quoted.address}>", sent, quoted.to, quoted.subject)
    block = "\n".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
    html = "<br>".join(f"<b>{name}:</b> {escape(value)}" for name, value in zip(names, values, strict=True))
    return Rendered(
        f"{written}\n\n________________________________\n{block}\n\n{quoted.text}\n",
        _page(
            f'{body}<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1">'
            f'<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri, sans-serif">{html}</font><div>&nbsp;</div></div>'
            f"<div>{quoted.html}</div>"
        ),
    )


def _apple(written: str, quoted: Quoted | None, language: Language) -> Rendered:
    body = f"<div>{_lines(written)}</div>"
    if quoted is None:
        return Rendered(f"{written}\n", _page(body))
    wrote = _wrote(quoted, language, html=False)
    return Rendered(
        f"{written}\n\n> {wrote}\n> \n{_marked(quoted.text)}\n",
        _page(
            f'{body}<div><br><blockquote type="cite"><div>{escape(wrote)}</div><br class="Apple-interchange-newline">'
            f"<div>{quoted.html}</div></blockquote></div>"
        ),
    )


def _wrote(quoted: Quoted, language: Language, *, html: bool) -> str:
    date = format_date(quoted.moment, _DATES[language], locale=language)
    pattern = "h:mm\N{NARROW NO-BREAK SPACE}a" if language == "en" else "HH:mm"
    time = format_time(quoted.moment, pattern, locale=language)
    if not html:
        who = f"{quoted.name} <{quoted.address}>"
        return _WROTE[language].format(date=date, time=time, who=who)
    address = escape(quoted.address)
    who = f'{escape(quoted.name)} &lt;<a href="mailto:{address}">{address}</a>&gt;'
    return _WROTE[language].format(date=date, time=time, who=who)


def _marked(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _lines(text: str) -> str:
    return "<br>".join(escape(line) for line in text.split("\n"))


def _page(body: str) -> str:
    head = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    return f"<html><head>{head}</head><body>{body}</body></html>\n"


def _text(tree: Part) -> str:
    text = (tree.text("text/plain") or "")[:QUOTED_CHARACTERS]
    if not text:
        text = " ".join(TAGS.sub(" ", tree.text("text/html") or "").split())
    return text.replace("\r\n", "\n").rstrip()


def _inside(tree: Part) -> str:
    """What stands in the HTML's body, without what a mail program would not quote."""
    html = (tree.text("text/html") or "")[:QUOTED_CHARACTERS]
    if not html:
        return _lines(_text(tree))
    body = _BODY.search(html)
    return _ACTIVE.sub("", body[1] if body else html).strip()
