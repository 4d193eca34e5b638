"""The text of HTML that we send ourselves: the alternative for programs that show no HTML.

Other than in `html_text` nobody's quotations are looked for, and nearly all of it happens inside libxml2: 3 KB of an
ordinary mail take 0.11 ms against 0.18 to 0.22 ms there (measured 2026-11-25), which half a million statements notice.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Final

from millstream import lazy
from millstream.mime.charset import decode
from millstream.mime.html_text import html_lines

_LONGEST: Final = 1_000_000  # characters of HTML that are read
_LONGEST_TEXT: Final = 100_000
_MOST_TAGS: Final = 20_000
# Noncharacters, which no text holds and XML 1.0 permits, so that blanks can be joined before breaks are made.
_LINE: Final = "\ufdd0"
_PARAGRAPH: Final = "\ufdd1"
_BREAKS: Final = re.compile(f"[{_LINE}{_PARAGRAPH}][ {_LINE}{_PARAGRAPH}]*")
_SHEET: Final = b"""<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="text" encoding="UTF-8"/>
<xsl:template match="head|script|style|noscript|template|title|svg|math|object|iframe"/>
<xsl:template match="comment()|processing-instruction()"/>
<xsl:template match="br"><xsl:text>&#xFDD0;</xsl:text></xsl:template>
<xsl:template match="td|th"><xsl:apply-templates/><xsl:text> </xsl:text></xsl:template>
<xsl:template match="p|h1|h2|h3|h4|h5|h6|ol|ul">
<xsl:text>&#xFDD1;</xsl:text><xsl:apply-templates/><xsl:text>&#xFDD1;</xsl:text></xsl:template>
<xsl:template match="address|article|aside|blockquote|center|dd|div|dl|dt|fieldset|figure|footer|form|header|hr|li|main
|nav|pre|section|table|tbody|tfoot|thead|tr">
<xsl:text>&#xFDD0;</xsl:text><xsl:apply-templates/><xsl:text>&#xFDD0;</xsl:text></xsl:template>
</xsl:stylesheet>"""
_mine = threading.local()
_HIDDEN: Final = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_DECLARED: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_LOOK: Final = 2048
_MARKS: Final = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def plain(html: str) -> str:
    """The text, line by line. Never fails: what is malformed gives what can be read."""
    text = _transformed(html[:_LONGEST])
    if text is None:
        return _cut("\n".join(line for _, line in html_lines(html)))
    return _cut(_BREAKS.sub(_broken, " ".join(text.split())).replace(" \n", "\n"))


def decoded_html(content: bytes) -> str:
    """An HTML file as text: by its byte order mark, else by what it declares, else UTF-8 and then windows-1252."""
    for mark, charset in _MARKS.items():
        if content.startswith(mark):
            return content[len(mark) :].decode(charset, "replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        declared = _DECLARED.search(content, 0, _LOOK)
        return decode(content, declared[1].decode("ascii") if declared else "windows-1252")


def _transformed(html: str) -> str | None:
    """The text with its lines and paragraphs marked; None for what is better read as a stream: deep, or no document."""
    if html.count("<") > _MOST_TAGS:
        return None
    etree = lazy.load("lxml.etree")
    try:
        parser, sheet = _mine.tools
    except AttributeError:  # a thread's own, because libxml2 keeps names by thread
        parser = etree.HTMLParser(encoding="utf-8", huge_tree=False)
        sheet = etree.XSLT(etree.XML(_SHEET))
        _mine.tools = parser, sheet
    try:
        root = etree.fromstring(html.encode("utf-8", "replace"), parser)
        if root is None:
            return None
        if ("none" in html or "NONE" in html) and _HIDDEN.search(html):
            _drop_hidden(root)
        return str(sheet(root))
    except (etree.LxmlError, ValueError, AssertionError):
        return None


def _drop_hidden(root: Any) -> None:
    for element in root.xpath("//*[@style]"):
        if _HIDDEN.search(element.get("style")) and (parent := element.getparent()) is not None:
            before = element.getprevious()
            tail = element.tail or ""
            if before is not None:
                before.tail = (before.tail or "") + tail
            else:
                parent.text = (parent.text or "") + tail
            parent.remove(element)


def _broken(marks: re.Match[str]) -> str:
    return "\n\n" if _PARAGRAPH in marks[0] else "\n"


def _cut(text: str) -> str:
    text = _EMPTY_LINES.sub("\n\n", text).strip("\n")
    return text[:_LONGEST_TEXT] + "\n" if text else ""
