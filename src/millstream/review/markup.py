"""One-click approval in Gmail's list of mails: schema.org markup in the HTML, for senders that Google has registered.

Approving alone is offered: rejecting and asking for changes need words. Gmail posts the click to our address with a
token of its own (developers.google.com/workspace/gmail/markup, read 2026-11); a mail without the markup is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from millstream.communication.model import ANSWER_LINK

ADDRESS: Final = f"{ANSWER_LINK}/one-click"
_LONGEST_NAME: Final = 30
_LONGEST_TEXT: Final = 300
_HEAD_END: Final = "</head>"


def document(name: str, description: str) -> dict[str, Any]:
    """What the markup says: one action, which confirms."""
    return {
        "@context": "http://schema.org",
        "@type": "EmailMessage",
        "description": description[:_LONGEST_TEXT],
        "potentialAction": {
            "@type": "ConfirmAction",
            "name": name,
            "handler": {
                "@type": "HttpActionHandler",
                "url": ADDRESS,
                "method": "http://schema.org/HttpRequestMethod/POST",
            },
        },
    }


def embedded(html: str, said: Mapping[str, Any]) -> str:
    """The HTML with the markup in its head.

    Raises:
        ValueError: the markup is not as Gmail wants it, or the HTML has no head.
    """
    if faults := check(said):
        raise ValueError(f"the markup cannot be used: {'; '.join(faults)}")
    if _HEAD_END not in html:
        raise ValueError("the HTML has no head to put markup into")
    # "<" is written as JSON may write it, so that no text can end the script.
    script = orjson.dumps(dict(said)).decode().replace("<", "\\u003c")
    return html.replace(_HEAD_END, f'<script type="application/ld+json">{script}</script>{_HEAD_END}', 1)


def check(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What of it Gmail would not take."""
    faults = []
    if said.get("@context") not in {"http://schema.org", "https://schema.org"}:
        faults.append("@context is not schema.org")
    if said.get("@type") != "EmailMessage":
        faults.append("@type is not EmailMessage")
    action = said.get("potentialAction")
    if not isinstance(action, Mapping):
        return (*faults, "potentialAction is not one action")
    if action.get("@type") != "ConfirmAction":
        faults.append("the action is no ConfirmAction")
    name = action.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        faults.append(f"the action's name has not 1 to {_LONGEST_NAME} characters")
    return (*faults, *_handler(action.get("handler")))


def _handler(handler: Any) -> list[str]:
    if not isinstance(handler, Mapping) or handler.get("@type") != "HttpActionHandler":
        return ["the action has no HttpActionHandler"]
    parts = urlsplit(str(handler.get("url") or ""))
    if parts.scheme != "https" or not parts.hostname:
        return ["the handler's url is not https"]
    return []
