"""XML that somebody else wrote, read as a stream and within bounds.

No entity is ever declared, because a document type declaration ends the reading; nothing is fetched. Memory is what one
element takes: expat keeps a token together until it ends, and takes quadratic time for one that comes in pieces (20 MB
in one attribute: 0.5 s, four times as long with each doubling; expat 2.5, measured 2026-11-25), so a token has a bound.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol
from xml.parsers import expat

_CHUNK: Final = 64 * 1024
_DECLARED: Final = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]{0,40})[\"']")
# Expat reads UTF-8, UTF-16 and Latin, and Python teaches it every other character set of single bytes. These it cannot.
_TRANSCODED: Final = {
    **dict.fromkeys(("shiftjis", "sjis", "windows31j", "cp932"), "cp932"),
    **dict.fromkeys(("eucjp",), "euc_jp"),
    **dict.fromkeys(("iso2022jp",), "iso2022_jp_ext"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030", "cp936"), "gb18030"),
    **dict.fromkeys(("big5", "big5hkscs", "cp950"), "big5hkscs"),
    **dict.fromkeys(("euckr", "ksc56011987", "cp949"), "cp949"),
}


_CUT_OFF: Final = frozenset(
    expat.errors.codes[each]
    for each in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)


class BadXml(Exception):
    """The text cannot be read as XML, or is larger than anything we read; `line` is from 1."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """What an element may be."""

    depth: int = 64
    token: int = 1024 * 1024
    """Bytes of one tag or piece of markup."""
    text: int = 64 * 1024
    """Characters of text directly in one element."""


class XmlHandler(Protocol):
    """Hears of elements by their local names; lines are from 1."""

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        """An element begins."""

    def end(self, name: str, text: str, line: int) -> None:
        """It ends; `text` is what stood in it, without that of elements within it."""


class XmlStream:
    """Reads one document: `read()` returns pieces of work done, so that a caller may hand on what is complete."""

    def __init__(self, file: BinaryIO, handler: XmlHandler, limits: XmlLimits | None = None) -> None:
        self._file = file
        self._handler = handler
        self._limits = limits or XmlLimits()
        self._texts: list[list[str]] = []
        self._sizes: list[int] = []
        self._fed = 0
        self._decode: Callable[[bytes, bool], bytes] | None = None
        self._parser: Any = None

    def step(self) -> bool:
        """Read a piece; False once the document is at its end.

        Raises:
            BadXml: at this line.
            OSError: the file cannot be read.
        """
        raw = self._file.read(_CHUNK)
        if self._parser is None:
            self._begin(raw)
        last = not raw
        try:
            data = self._decode(raw, last) if self._decode else raw
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            raise BadXml(self._why(error), error.lineno) from error
        except UnicodeDecodeError as error:
            line = self._parser.CurrentLineNumber
            raise BadXml(f"byte 0x{error.object[error.start]:02X} is no {error.encoding}", line) from error
        except (LookupError, ValueError) as error:  # a character set that Python does not know, or cannot teach
            raise BadXml(f"{error}; write it in UTF-8", 1) from error
        self._fed += len(data)
        if not last and self._fed - self._parser.CurrentByteIndex > self._limits.token:
            raise BadXml(f"a tag of more than {self._limits.token:,} bytes begins here", self._parser.CurrentLineNumber)
        return not last

    def _begin(self, head: bytes) -> None:
        declared = _DECLARED.match(head)
        encoding = None
        charset = _multi_byte(declared[1].decode("ascii")) if declared else None
        if charset is not None:
            decoder = codecs.getincrementaldecoder(charset)()
            self._decode = lambda data, last: decoder.decode(data, last).encode()
            encoding = "utf-8"
        parser = self._parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data

    def _doctype(self, *_: object) -> None:
        raise BadXml(
            "a document type declaration stands here, and none is read: it could declare entities",
            self._parser.CurrentLineNumber,
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self._parser.CurrentLineNumber
        if len(self._texts) >= self._limits.depth:
            raise BadXml(f"elements are nested more than {self._limits.depth} deep", line)
        self._texts.append([])
        self._sizes.append(0)
        self._handler.start(_local(name), attributes, line)

    def _data(self, text: str) -> None:
        if not self._sizes[-1] and text.isspace():
            return  # between the elements of a long list
        self._sizes[-1] += len(text)
        if self._sizes[-1] > self._limits.text:
            raise BadXml(
                f"an element holds more than {self._limits.text:,} characters of text", self._parser.CurrentLineNumber
            )
        self._texts[-1].append(text)

    def _end(self, name: str) -> None:
        self._sizes.pop()
        text = "".join(self._texts.pop()).strip()
        self._handler.end(_local(name), text, self._parser.CurrentLineNumber)

    def _why(self, error: expat.ExpatError) -> str:
        said = expat.ErrorString(error.code) or str(error)
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
            said += " (often a file that is not in the character set it declares, or none in UTF-8)"
        elif error.code in _CUT_OFF:
            said = "it is empty, or ends in the middle"
        return f"{said}, at column {error.offset + 1}"


def _multi_byte(declared: str) -> str | None:
    """The codec of a character set that expat cannot be taught; None for all others: expat knows or refuses them."""
    return _TRANSCODED.get(re.sub("[-_]", "", declared.lower()))


def _local(name: str) -> str:
    return name.rpartition(":")[2]
