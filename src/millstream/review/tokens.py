"""An answer cut into words and stops, each with its place, so that a person can be quoted as they wrote."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from millstream.review.phrases import normal

LINE: Final = "\n"
WEAK: Final = ","
STRONG: Final = "."
QUESTION: Final = "?"
TRAILING: Final = "..."
QUOTED: Final = "§"
"""Stands for words between quotation marks, and for links: they are somebody else's, or what is to be written."""
STOPS: Final = frozenset({LINE, WEAK, STRONG, QUESTION})
_WRAPPED: Final = 45
"""A line at least so long that ends without a stop goes on in the next: mail programs break at 72 or 76."""

_SIGNS: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc\u2032`\u00b4\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u300c\u300d", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\uff1f\u00bf\u061f\u2047\u2048\u2049", "?"),
        **dict.fromkeys("\uff0c\u3001", ","),
        **dict.fromkeys("\u3002", "."),
        **dict.fromkeys("\u2022\u00b7\u25e6\u25aa\u2023", "-"),
        **dict.fromkeys("\t\u00a0\u2007\u202f\u2028\u2029\u00a1", " "),
        "\uff01": "!",
        "\uff1a": ":",
    }
)
# What stands before an @ is bounded (RFC 5321 §4.5.3.1.1): else one endless word is searched to its end at each sign.
_TOKEN = re.compile(
    r"""
    (?P<blank>[^\S\n]+)
  | (?P<quoted>"[^"]{0,400}"|(?<!\w)'[^'\n]{1,120}'(?!\w)|<[^<>\n]{1,200}>|https?://\S+|[^\s<>@"]{1,64}@[^\s<>@"]+)
  | (?P<smile>[:;]-?[)D](?!\w))
  | (?P<sad>[:;]'?-?[(/|\[](?!\w))
  | (?P<trailing>\.{2,}|\u2026)
  | (?P<short>(?<!\w)(?:[^\W\d_]\.){2,}(?:[^\W\d_](?![\w]))?)
  | (?P<number>[+\#]?\d+(?:(?:[.,:/]|[ ]?-[ ]?)\d+)*(?:\.(?=[ ][a-zß-ÿ]))?)
  | (?P<word>[^\W\d_]+'?)
  | (?P<question>\?)
  | (?P<strong>[.!;])
  | (?P<line>\n)
  | (?P<weak>[,:()/|])
  | (?P<dash>-+)
  | (?P<mark>[*_~]+)
  | (?P<sign>.)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a sign, or a stop; `said` is its normal form."""

    said: str
    begin: int
    end: int
    titled: bool = False
    """Written as a name is."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A text and its tokens."""

    text: str
    tokens: tuple[Token, ...]

    def words(self) -> tuple[str, ...]:
        """The normal forms alone."""
        return tuple(token.said for token in self.tokens)

    def part(self, begin: int, end: int | None = None) -> Sheet:
        """Some of the tokens."""
        return Sheet(self.text, self.tokens[begin:end])

    def written(self) -> str:
        """What the tokens were written as, from the first to the last."""
        if not self.tokens:
            return ""
        return self.text[self.tokens[0].begin : self.tokens[-1].end].strip()


def tidy(text: str) -> str:
    """Composed letters, without what is not seen."""
    # The Greek question mark would be composed to a semicolon.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u037e", "?")
    composed = unicodedata.normalize("NFC", lines)
    return "".join(
        sign for sign in composed if sign in "\n\t" or unicodedata.category(sign) not in {"Cf", "Cc", "Cs", "Co", "Cn"}
    )


def foreign(text: str) -> bool:
    """Whether a letter is of another script than ours: it may only look like one that is."""
    return any(
        sign.isalpha()
        and not sign.isascii()
        and not unicodedata.name(sign, "").startswith(("LATIN", "FULLWIDTH LATIN"))
        for sign in text
    )


def cut(text: str) -> Sheet:
    """Tokens of a tidy text. Signs of emphasis, and hyphens within a word, are left out."""
    seen = text.translate(_SIGNS)
    tokens = [token for found in _TOKEN.finditer(seen) if (token := _token(seen, found)) is not None]
    return Sheet(text, tuple(tokens))


def _token(seen: str, found: re.Match[str]) -> Token | None:
    begin, end = found.span()
    raw = found[0]
    said: str | None
    match found.lastgroup:
        case "blank" | "mark":
            said = None
        case "line":
            said = None if _goes_on(seen, begin) else LINE
        case "dash":
            around = seen[begin - 1 : begin], seen[end : end + 1]
            said = None if all(side.isalnum() for side in around) else WEAK
        case "short":
            said = normal(raw.replace(".", ""))
        case "quoted" | "smile" | "sad" | "trailing" | "question" | "strong" | "weak" as kind:
            said = _KINDS[kind]
        case "number":
            said = normal(raw.rstrip("."))  # "31.01. or", "the 3. of": that point ends no sentence
        case "sign" if unicodedata.category(raw) in {"Mn", "Sk"}:
            said = None  # the colour of a thumb, the form of a sign
        case _:
            said = normal(raw)
    return None if said is None else Token(said, begin, end, _titled(raw))


def _titled(raw: str) -> bool:
    return raw[:1].isupper() and (len(raw) == 1 or raw[1:].islower())


_KINDS: Final = {
    "quoted": QUOTED,
    "smile": "🙂",
    "sad": "🙁",
    "trailing": TRAILING,
    "question": QUESTION,
    "strong": STRONG,
    "weak": WEAK,
}


def _goes_on(seen: str, at: int) -> bool:
    line = seen[seen.rfind("\n", 0, at) + 1 : at].rstrip()
    following = seen[at + 1 : at + 2]
    return len(line) >= _WRAPPED and line[-1].isalnum() and following.isalpha() and following.islower()
