"""How Exstream's data name things: which key is the recipient, the subject, the customer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Names = tuple[str, ...]

# `${#/queues/Print}=letter.pdf;/global/X.pdf=terms.pdf`: vendor help, event JSON sample (reference, 2.4).
_QUEUE = re.compile(r"\$\{\s*#?/?queues/([^}]+?)\s*\}", re.IGNORECASE)
_PLACE = re.compile(r"\$\{([^${}]{1,100})\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNames:
    """Names in the order in which they count; the first that is there and not empty. Their case does not matter."""

    recipient: Names = ("CustomerEmail", "EmailAddress", "Email")
    name: Names = ("CustomerName", "CustomerFirstname")
    cc: Names = ("CustomerCc", "Cc")
    subject: Names = ("EmailSubject", "Subject")
    customer: Names = ("CustomerId", "AccountNumber", "CustomerNumber")
    type: Names = ("DocumentType", "ApplicationName")
    key: Names = ()
    locale: Names = ("Locale", "Language")
    stream: Names = ("CampaignId",)
    attachments: Names = ("attachments",)
    birth_date: Names = ()


@dataclass(frozen=True, slots=True)
class Named:
    """An attachment's name, for the files of a queue or for one file."""

    name: str
    queue: str = ""
    path: str = ""


class Facts:
    """A customer's facts, found by any of their names."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = given
        self._folded = {name.casefold(): value for name, value in given.items()}

    def first(self, names: Names) -> str:
        """The first that is there and not blank; empty where there is none."""
        for name in names:
            if (value := self._folded.get(name.casefold(), "").strip()) != "":
                return value
        return ""

    def filled(self, text: str) -> str:
        """A text with each `${Key}` replaced by its value; what is not there becomes nothing."""
        if "${" not in text:
            return text
        return _PLACE.sub(lambda place: self._folded.get(place[1].strip().casefold(), ""), text)


def attachments(text: str) -> tuple[Named, ...]:
    """The names of attachments as Exstream's metadata write them: `source=name` pairs with semicolons between.

    A source is `${#/queues/<queue>}`, the customer's files of that queue, or a path. What is neither is passed over.
    """
    found = []
    for pair in text.split(";"):
        source, equals, name = pair.rpartition("=")
        source, name = source.strip(), name.strip()
        if not equals or not source or not name:
            continue
        queue = _QUEUE.fullmatch(source)
        found.append(Named(name, queue=queue[1]) if queue else Named(name, path=source))
    return tuple(found)
