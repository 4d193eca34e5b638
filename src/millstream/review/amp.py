"""Answering inside the mail: the AMP alternative, for senders that Google has registered, and its validator.

The relay alone carries it: Gmail takes no AMP that comes by its own API
(developers.google.com/workspace/gmail/ampemail, read 2026-11). The plain mail beside it is complete. The form says
which round and content it was written for: an answer to another one does not count (`web/review_amp.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlsplit

from millstream.communication.model import ANSWER_LINK
from millstream.composer.notice import Words
from millstream.review.model import Verdict

ADDRESS: Final = f"{ANSWER_LINK}/amp"
LIMIT: Final = 200_000
"""Bytes of the part; Gmail takes no more than 200 KB."""
_RUNTIME: Final = "https://cdn.ampproject.org/v0.js"
_FORM: Final = "https://cdn.ampproject.org/v0/amp-form-0.1.js"
_MUSTACHE: Final = "https://cdn.ampproject.org/v0/amp-mustache-0.2.js"
_SAID: Final = '<template type="amp-mustache">{{said}}</template>'
"""What our answer to the form says, in the reader's language."""
_BOILERPLATE: Final = "body{visibility:hidden}"
_STYLE: Final = (
    "body{font-family:Helvetica,Arial,sans-serif;color:#15232e;font-size:15px;line-height:1.5;padding:12px}"
    "label{display:block;padding:8px 0}textarea{width:100%;height:80px}"
    ".go{padding:12px 18px;background:#0b5563;color:#fff;border:0;border-radius:6px;font-weight:bold}"
)
_TAGS: Final = frozenset(
    {"html", "head", "meta", "script", "style", "title", "body", "div", "p", "h1", "h2", "h3", "span", "b", "i", "a"}
    | {"br", "hr", "ul", "ol", "li", "table", "tbody", "tr", "td", "th", "amp-img", "template"}
    | {"form", "fieldset", "legend", "label", "input", "textarea"}
)
_VOID: Final = frozenset({"meta", "br", "hr", "input"})
_INPUTS: Final = frozenset({"radio", "submit", "hidden", "text"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the form's reader saw."""

    round: int
    hash: str


def part(title: str, paragraphs: Sequence[str], facts: Sequence[Mapping[str, str]], words: Words, *, seen: Seen) -> str:
    """The AMP document: what is asked, and one form with the three answers.

    Raises:
        ValueError: it is not as Gmail wants it; says why.
    """
    choices = "".join(
        f'<label><input type="radio" name="choose" value="{verdict}" required> '
        f"{escape(words.say(f'button.{verdict}'))}</label>"
        for verdict in Verdict
    )
    rows = "".join(f"<tr><td>{escape(fact['label'])}</td><td>{escape(fact['value'])}</td></tr>" for fact in facts)
    made = (
        f'<!doctype html><html ⚡4email data-css-strict lang="{escape(words.tag)}"><head><meta charset="utf-8">'
        f'<script async src="{_RUNTIME}"></script>'
        f'<script async custom-element="amp-form" src="{_FORM}"></script>'
        f'<script async custom-template="amp-mustache" src="{_MUSTACHE}"></script>'
        f"<style amp4email-boilerplate>{_BOILERPLATE}</style><style amp-custom>{_STYLE}</style></head><body>"
        f"<h2>{escape(title)}</h2>{''.join(f'<p>{escape(line)}</p>' for line in paragraphs)}"
        f"<table><tbody>{rows}</tbody></table>"
        f'<form method="post" action-xhr="{ADDRESS}">'
        f'<input type="hidden" name="round" value="{seen.round}">'
        f'<input type="hidden" name="hash" value="{escape(seen.hash, quote=True)}">{choices}'
        f'<label>{escape(words.say("fact.reason"))}<textarea name="text" maxlength="4000"></textarea></label>'
        f'<input type="submit" class="go" value="{escape(words.say("headline.ask"))}">'
        f"<div submit-success>{_SAID}</div><div submit-error>{_SAID}</div></form></body></html>"
    )
    if faults := check(made):
        raise ValueError(f"the AMP part cannot be used: {'; '.join(faults)}")
    return made


def check(document: str) -> tuple[str, ...]:
    """What of an AMP document Gmail would not take, as far as what we write can go wrong."""
    faults = []
    if (size := len(document.encode())) > LIMIT:
        faults.append(f"it has {size:,} bytes, and {LIMIT:,} are taken")
    reader = _Reader()
    reader.feed(document)
    reader.close()
    if reader.open:
        faults.append(f"<{reader.open[-1]}> is not closed")
    for wanted, there in (
        ("it does not begin with <!doctype html>", document.startswith("<!doctype html>")),
        ("<html> is not marked ⚡4email or amp4email", reader.marked),
        ("the runtime is not loaded first", reader.scripts[:1] == [_RUNTIME]),
        ("the boilerplate style is missing", reader.boilerplate),
        ("there is no form", reader.forms > 0),
        ("amp-form is not loaded", _FORM in reader.scripts),
        ("amp-mustache is not loaded", not reader.templates or _MUSTACHE in reader.scripts),
    ):
        if not there:
            faults.append(wanted)
    return (*reader.faults, *faults)


class _Reader(HTMLParser):
    """Collects what is wrong while it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.marked = self.boilerplate = False
        self.forms = self.templates = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in _TAGS:
            self.faults.append(f"<{tag}> is not allowed")
        for name, value in attrs:
            if name.startswith("on") and name != "on":
                self.faults.append(f"{name} is not allowed")
            if name in {"href", "src", "action-xhr"} and urlsplit(value or "").scheme != "https":
                self.faults.append(f"{name} of <{tag}> is not https")
        self._look(tag, given)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def _look(self, tag: str, given: Mapping[str, str | None]) -> None:
        match tag:
            case "html":
                self.marked = "⚡4email" in given or "amp4email" in given
            case "script":
                source = given.get("src") or ""
                if not source.startswith("https://cdn.ampproject.org/"):
                    self.faults.append("a script is not AMP's own")
                self.scripts.append(source)
            case "style":
                self.boilerplate = self.boilerplate or "amp4email-boilerplate" in given
                if not {"amp4email-boilerplate", "amp-custom"} & given.keys():
                    self.faults.append("a style is neither the boilerplate nor amp-custom")
            case "template":
                self._template(given)
            case "form":
                self._form(given)
            case "input" if given.get("type") not in _INPUTS:
                self.faults.append(f"an input of type {given.get('type')} is not allowed")

    def _template(self, given: Mapping[str, str | None]) -> None:
        self.templates += 1
        if given.get("type") != "amp-mustache":
            self.faults.append("a template is not of type amp-mustache")

    def _form(self, given: Mapping[str, str | None]) -> None:
        self.forms += 1
        if (given.get("method") or "").lower() != "post" or not given.get("action-xhr"):
            self.faults.append("a form does not post to action-xhr")
        if "action" in given:
            self.faults.append("a form has an action beside action-xhr")
