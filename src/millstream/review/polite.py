"""What is politeness at both ends of an answer: salutation, closing greeting, names, signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from millstream.mime.phrases import SENT_FROM
from millstream.review.spelling import known_anywhere
from millstream.review.tokens import LINE, QUESTION, STOPS, STRONG, WEAK, Sheet, Token, cut
from millstream.review.words import Lexicon, every_marked

_THANKS: Final = 8
"""Words that say what somebody is thanked for."""
NAMES: Final = 3
"""Words of a name."""
_CLOSINGS: Final = 4
"""Greetings below each other: thanks, regards, a name, and what a program adds."""
_BELOW: Final = 8
"""Lines of a signature that are looked at; words in one are twice as many at most."""


def body_of(sheet: Sheet, lexicons: Sequence[Lexicon]) -> Sheet:
    """Without salutation, closing greeting, names and signature."""
    sheet = _without_rule(sheet)
    for _ in range(_CLOSINGS):
        sheet = _without_closing(sheet, lexicons)
    sheet = _without_name(trimmed(sheet), lexicons)
    return trimmed(_without_greeting(trimmed(sheet), lexicons))


def courtesy(words: Sequence[str], at: int, one: Lexicon) -> int:
    """How many words of politeness stand there."""
    return max(one["courtesy"].longest(words, at), thanked(words, at, one))


def thanked(words: Sequence[str], at: int, one: Lexicon) -> int:
    """How many words are thanks for something, to the next stop; none of them may turn the sense, or be an answer."""
    begin = at + one["gratitude"].longest(words, at)
    end = next((n for n in range(begin, len(words)) if words[n] in STOPS), len(words))
    if begin == at or not 0 < end - begin <= _THANKS or one.marked.intersection(words[begin:end]):
        return 0
    return end - at


def is_device(line: str, lexicons: Sequence[Lexicon]) -> bool:
    """Whether a mail program signed there: `Sent from my iPhone`."""
    if not SENT_FROM.fullmatch(line.strip()):
        return False
    words = cut(line).words()
    return not any(one[name].within(words) for one in lexicons for name in ("negation", "hedge", "condition"))


def _without_rule(sheet: Sheet) -> Sheet:
    """Without what stands below a line of two dashes."""
    at = 0
    for line in sheet.text.split("\n"):
        if line.rstrip() == "--":
            return Sheet(sheet.text, tuple(token for token in sheet.tokens if token.end <= at))
        at += len(line) + 1
    return sheet


def trimmed(sheet: Sheet) -> Sheet:
    """Without stops at both ends; a question stays one."""
    words = sheet.words()
    begin, end = 0, len(words)
    while begin < end and words[begin] in STOPS - {QUESTION}:
        begin += 1
    while end > begin and words[end - 1] in STOPS - {QUESTION}:
        end -= 1
    return sheet.part(begin, end)


def _without_greeting(sheet: Sheet, lexicons: Sequence[Lexicon]) -> Sheet:
    words = sheet.words()
    end = next((at for at, word in enumerate(words) if word in STOPS), len(words))
    for one in lexicons:
        length = one["greeting"].longest(words, 0) if words else 0
        if length and _are_names(sheet, length, end, one):
            if words[end : end + 1] == (QUESTION,):
                return sheet
            return trimmed(sheet.part(_addressed(sheet, end, one)))
    return sheet


def _addressed(sheet: Sheet, end: int, lexicon: Lexicon) -> int:
    """Past the name of `Good morning, Anna:`."""
    words = sheet.words()
    then = next((at for at in range(end + 1, len(words)) if words[at] in STOPS), len(words))
    closed = words[end : end + 1] == (WEAK,) and words[then : then + 1] in {(WEAK,), (LINE,)}
    titled = then > end + 1 and all(token.titled for token in sheet.tokens[end + 1 : then])
    if closed and titled and _are_names(sheet, end + 1, then, lexicon):
        return then
    return end


def _are_names(sheet: Sheet, begin: int, end: int, lexicon: Lexicon) -> bool:
    """Whether somebody is addressed there, and nothing said."""
    words, names = sheet.words(), list[Token]()
    at = begin
    while at < end:
        length = lexicon["addressee"].longest(words, at)
        if not length:
            names.append(sheet.tokens[at])
        at += length or 1
    return len(names) <= NAMES and not any(_means(token) for token in names)


def _means(token: Token) -> bool:
    """Whether it is no name: a word that can turn an answer, or be one, or bind a sentence."""
    if not token.said.strip("'").isalpha():
        return True
    return token.said in every_marked() and not _given(token)


def _without_closing(sheet: Sheet, lexicons: Sequence[Lexicon]) -> Sheet:
    """Without the last line that is nothing but a greeting, and the name and signature below it."""
    lines = list(_lines(sheet))
    for number in range(len(lines) - 1, max(0, len(lines) - 2 - _BELOW), -1):
        begin, end = lines[number]
        if any(_is_closing(sheet, begin, end, one) for one in lexicons):
            below = lines[number + 1 :]
            return sheet.part(0, begin) if all(_is_signature(sheet, *line, lexicons) for line in below) else sheet
        if not _is_signature(sheet, begin, end, lexicons):
            break
    return sheet


def _without_name(sheet: Sheet, lexicons: Sequence[Lexicon]) -> Sheet:
    """Without a name that stands below an empty line, and the title and number below it."""
    words, lines = sheet.words(), list(_lines(sheet))
    for number in range(len(lines) - 1, max(0, len(lines) - 2 - _BELOW), -1):
        begin, end = lines[number]
        if words[begin - 2 : begin] == (LINE, LINE) and named(sheet, begin, end):
            unheard = not known_anywhere().intersection(words[begin:end])
            below = all(_is_signature(sheet, *line, lexicons) for line in lines[number + 1 :])
            return sheet.part(0, begin) if unheard and below else sheet
    return sheet


def _lines(sheet: Sheet) -> Iterator[tuple[int, int]]:
    words, begin = sheet.words(), 0
    for at, word in enumerate((*words, LINE)):
        if word == LINE:
            if at > begin:
                yield begin, at
            begin = at + 1


def _is_closing(sheet: Sheet, begin: int, end: int, lexicon: Lexicon) -> bool:
    words = sheet.part(begin, end).words()
    bare = len(words)
    while bare and words[bare - 1] in STOPS - {QUESTION}:
        bare -= 1
    for name in ("closing", "courtesy"):
        for length in lexicon[name].lengths(words, 0) if words else ():
            rest = begin + length
            if length == bare or (words[length] in STOPS and named(sheet, rest + 1, begin + bare)):
                return True
            if named(sheet, rest, begin + bare):
                return True
    return False


def named(sheet: Sheet, begin: int, end: int) -> bool:
    """Whether only names stand there, written as names are."""
    tokens = sheet.tokens[begin:end]
    return 0 < len(tokens) <= NAMES and all(
        token.titled and not _means(token) for token in tokens if token.said not in {STRONG, WEAK}
    )


def _is_signature(sheet: Sheet, begin: int, end: int, lexicons: Sequence[Lexicon]) -> bool:
    """Whether a line below a greeting can be a name, a title or a number, and says nothing."""
    words = sheet.part(begin, end).words()
    if len(words) > 2 * _BELOW or QUESTION in words:
        return False
    bare = [
        token.said
        for before, token in zip(("", *words), sheet.tokens[begin:end], strict=False)
        if not (_given(token) and len(words) > 1) and not (token.said == "of" and before in _OFFICES)
    ]
    if any(one[name].within(bare) for one in lexicons for name in _TURNING):
        return False
    return not any(
        one[name].longest(words, at) > 1 for one in lexicons for name in _TURNING for at in range(len(words))
    )


_TURNING: Final = (
    *("negation", "hedge", "condition", "hearsay", "approving", "approve", "reject", "reject_open", "no"),
    *("change", "change_open"),
)


_OFFICES: Final = frozenset(
    {"head", "director", "chief", "member", "bank", "board", "department", "team", "office", "vp"}
)
"""Before an "of" that is no Dutch "or"."""


def _given(token: Token) -> bool:
    """A name, or an initial, that is also a word."""
    return token.titled and (len(token.said) == 1 or token.said in {"till", "dan", "will", "mark", "may", "grant"})
