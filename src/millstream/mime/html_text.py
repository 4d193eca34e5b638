"""HTML mail as text, with what its writer's program marked as quoted or as signature told apart.

Nothing is executed and no tree is built: libxml2 calls for each tag, and the depth is bounded. With that bound lxml's
streaming parser stays linear; selectolax takes 26 s for a megabyte of nested tags (measured 2026-11).
"""

import re
from enum import Enum
from typing import Any, Final

from millstream import lazy

_LONGEST: Final = 1_000_000  # characters of HTML that are read
_DEEPEST: Final = 400
_MOST_LINES: Final = 20_000
_CHUNK: Final = 16 * 1024  # what is parsed before the depth is looked at again
_SKIPPED: Final = frozenset(
    {"head", "iframe", "math", "noscript", "object", "script", "style", "svg", "template", "title"}
)
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figure"}
    | {"footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"}
    | {"section", "table", "tbody", "tfoot", "thead", "tr", "ul"}
)
_CELLS: Final = frozenset({"td", "th"})
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)

_QUOTE_CLASSES: Final = frozenset(
    {
        "gmail_attr",
        "gmail_extra",
        "moz-cite-prefix",
        "moz-forward-container",
        "yahoo_quoted",
        "protonmail_quote",
        "tutanota_quote",
        "zmail_extra",
        "front-blockquote",
    }
)
_QUOTE_IDS: Final = ("yahoo_quoted", "isReplyContent")
# From here to the end everything is quoted: Outlook puts a header block and then the old message, unmarked.
_REST_IDS: Final = ("divRplyFwdMsg", "appendonsend", "mail-editor-reference-message-container", "zwchr")
_REST_STYLE = re.compile(r"border-top:\s?solid #(?:E1E1E1|B5C4DF) 1\.0pt", re.IGNORECASE)
_SIGNATURE_CLASSES: Final = frozenset(
    {"gmail_signature", "gmail_signature_prefix", "moz-signature", "protonmail_signature_block", "tutanota_signature"}
)
_SIGNATURE_IDS: Final = ("Signature", "signature", "ms-outlook-mobile-signature", "AppleMailSignature")
MARKS: Final = re.compile(
    r"<blockquote|gmail_quote|gmail_attr|moz-|yahoo_quoted|protonmail_quote|divRplyFwdMsg|appendonsend|#E1E1E1 1\.0pt"
    r"|#B5C4DF 1\.0pt|mail-editor-reference|zwchr|name=\"?quote|tutanota_quote|isReplyContent",
    re.IGNORECASE,
)
"""Whether HTML marks a quotation at all, asked before it is parsed."""


class Hand(Enum):
    """Whose a line is."""

    WRITTEN = 1
    QUOTED = 2
    SIGNED = 3


Line = tuple[Hand, str]


def html_lines(html: str) -> list[Line]:
    """The lines of an HTML text, never failing: what is malformed gives what can be read."""
    etree = lazy.load("lxml.etree")
    target = _Target()
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=False, remove_comments=True, remove_pis=True)
    data = html[:_LONGEST].encode("utf-8", "replace")
    try:
        for start in range(0, len(data), _CHUNK):
            parser.feed(data[start : start + _CHUNK])
            if target.full:
                break
        parser.close()
    except etree.LxmlError:  # nothing in it, or nothing that libxml2 calls a document
        pass
    return target.lines()


class _Target:
    """What libxml2 calls; keeps the open elements and the line that is being written."""

    def __init__(self) -> None:
        self.full = False
        self._lines: list[Line] = []
        self._pieces: list[str] = []
        self._hand = Hand.WRITTEN
        self._rest_quoted = False
        self._skipped_from = 0  # how many elements were open when the first one that is skipped began; 0 for none
        self._literal = 0
        # Of each open element: the hand before it, and whether it is Gmail's quoting container.
        self._open: list[tuple[Hand, bool]] = []

    def start(self, tag: str, attributes: Any) -> None:
        """An element begins."""
        if self.full:
            return
        self._open.append((self._hand, tag == "div" and "gmail_quote" in attributes.get("class", "").split()))
        self.full = len(self._open) > _DEEPEST or len(self._lines) > _MOST_LINES
        if self._skipped_from:
            return
        if tag in _SKIPPED or ("style" in attributes and _HIDDEN.search(attributes["style"])):
            self._skipped_from = len(self._open)
            return
        if tag == "br":
            self._break()
        elif tag in _BLOCKS:
            self._flush()
            if tag == "p" and "class" not in attributes and self._lines and self._lines[-1][1]:
                self._break()
        elif tag in _CELLS:
            self._pieces.append(" ")
        self._literal += tag == "pre"
        if attributes or tag == "blockquote":
            self._turn(tag, attributes)

    def end(self, tag: str) -> None:
        """The innermost element ends."""
        if self.full or not self._open:
            return
        before, _ = self._open.pop()
        if self._skipped_from:
            if len(self._open) < self._skipped_from:
                self._skipped_from = 0
            return
        if tag in _BLOCKS:
            self._flush()
        self._literal -= tag == "pre"
        # What stands below a quotation inside Gmail's container is an answer between the lines.
        if tag == "blockquote" and self._open and self._open[-1][1]:
            before = self._open[-1][0]
        self._hand = Hand.QUOTED if self._rest_quoted else before

    def data(self, text: str) -> None:
        """Text inside the innermost element."""
        if self._skipped_from or self.full:
            return
        if not self._literal:
            self._pieces.append(text)
            return
        first, *others = text.split("\n")
        self._pieces.append(first)
        for line in others:
            self._break()
            self._pieces.append(line)

    def close(self) -> None:
        """The document ends."""
        self._flush()

    def lines(self) -> list[Line]:
        """What was read, the line under way too."""
        self._flush()
        return self._lines

    def _turn(self, tag: str, attributes: Any) -> None:
        """Whose the element's lines are."""
        name = attributes.get("id", "").removeprefix("x_")
        classes = attributes.get("class", "").split()
        if name.startswith(_REST_IDS) or _REST_STYLE.search(attributes.get("style", "")):
            self._break()
            self._rest_quoted, self._hand = True, Hand.QUOTED
        elif self._hand is Hand.QUOTED:
            return
        elif self._open[-1][1] or _is_quotation(tag, name, classes, attributes):
            self._hand = Hand.QUOTED
        elif not _SIGNATURE_CLASSES.isdisjoint(classes) or name in _SIGNATURE_IDS:
            self._hand = Hand.SIGNED

    def _flush(self) -> None:
        if self._pieces and not "".join(self._pieces).isspace():
            self._break()
        self._pieces.clear()

    def _break(self) -> None:
        joined = "".join(self._pieces)
        self._pieces.clear()
        self._lines.append((self._hand, joined.rstrip() if self._literal else " ".join(joined.split())))


def _is_quotation(tag: str, name: str, classes: list[str], attributes: Any) -> bool:
    if tag == "blockquote" or attributes.get("name") == "quote":
        return True
    return not _QUOTE_CLASSES.isdisjoint(classes) or name.startswith(_QUOTE_IDS)
