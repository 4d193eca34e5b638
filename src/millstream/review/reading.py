"""What a written answer says. Clear words decide; whatever else stands beside them makes the whole unclear.

An approval is read only where every word of the text is known to belong to one. A rejection, or a wish for changes, is
read where the text begins with it, or is nothing else, and nothing in it takes that back: no question, no doubt, no
condition, no word of somebody else's, no other verdict (docs/decisions/0024).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from millstream.mime.phrases import SENT_FROM
from millstream.review.model import Understood, Verdict
from millstream.review.tokens import (
    LINE,
    QUESTION,
    QUOTED,
    STOPS,
    STRONG,
    TRAILING,
    WEAK,
    Sheet,
    Token,
    cut,
    foreign,
    tidy,
)
from millstream.review.words import LANGUAGES, Lexicon, every_marked, lexicon

MOST: Final = 2_000
"""Characters of an answer; whoever writes more says more than one thing."""
_MOST_RAW: Final = 20_000
_MOST_CASES: Final = 100
_NAMES: Final = 3
_BELOW: Final = 8
_FEW: Final = 3
_SMILES: Final = frozenset("🙂😀😃😄😊🙏🎉👏")
_THUMB: Final = "👍"


@dataclass(frozen=True, slots=True)
class _Said:
    """A verdict found, and whether there was more than its bare words."""

    verdict: Verdict
    more: bool
    everything: bool = False
    """Of all cases, in so many words."""


@dataclass(frozen=True, slots=True)
class _No:
    """Nothing that decides; `stops` where the language saw a verdict and something that takes it back."""

    why: str
    stops: bool = False


def understand(text: str, languages: Sequence[str]) -> Understood:
    """What an answer says, in the languages that are given; those without words are passed over.

    Args:
        text: what the person wrote anew: no quotation, no signature.
        languages: as `de`; `de-CH` counts as `de`.
    """
    if len(text) > _MOST_RAW:
        return Understood(None, why="long")
    lexicons = _lexicons(languages)
    clean = tidy(text)
    if why := _unreadable(clean):
        return Understood(None, text=clean.strip(), why=why)
    clean = "\n".join("" if SENT_FROM.fullmatch(line.strip()) else line for line in clean.split("\n"))
    body = _body(cut(clean), lexicons)
    written = body.written()
    if not body.tokens:
        return Understood(None, text=clean.strip(), why="empty")
    if len(written) > MOST:
        return Understood(None, text=written, why="long")
    if body.words() == (_THUMB,):
        return Understood(Verdict.APPROVE, text=written)
    if cases := _items(body, lexicons):
        return _bundle(body, cases, lexicons)
    said, language, why = _agreed(body, lexicons)
    if said is None:
        return Understood(None, text=written, why=why)
    shown = written if said.more else ""
    return Understood(
        said.verdict,
        text=shown,
        language=language,
        needs_text=said.verdict is not Verdict.APPROVE and not said.more,
        cases=((0, said.verdict, shown),) if said.everything else (),
    )


def afterthought(text: str, languages: Sequence[str]) -> bool:
    """Whether what stands below a closing greeting says more than who wrote it: `PS: but not before Monday`."""
    lexicons = _lexicons(languages)
    for line in tidy(text[:_MOST_RAW]).splitlines():
        words = cut(line).words()
        if not words or len(words) > 3 * _LONG_LINE:
            continue
        if words[0] in {"ps", "pps", "nb"} or any(_turns(words, lexicon) for lexicon in lexicons):
            return True
    return False


_LONG_LINE: Final = 40


def _turns(words: Sequence[str], lexicon: Lexicon) -> bool:
    """Whether a line begins with a word that takes something back, or asks for something."""
    return any(
        lexicon[name].longest(words, 0)
        for name in ("condition", "negation", "reject", "reject_open", "no", "change", "change_open")
    )


def _lexicons(languages: Sequence[str]) -> tuple[Lexicon, ...]:
    names = dict.fromkeys(language[:2].lower() for language in languages)
    return tuple(lexicon(name) for name in names if name in LANGUAGES)


def _unreadable(text: str) -> str:
    if foreign(text):
        return "script"
    if any(line.lstrip().startswith((">", "|")) for line in text.splitlines()):
        return "quoted"
    return ""


# What is politeness at both ends.


def _body(sheet: Sheet, lexicons: Sequence[Lexicon]) -> Sheet:
    """Without salutation, closing greeting, names and signature."""
    sheet = _without_rule(sheet)
    shorter = _without_closing(sheet, lexicons)
    while shorter is not sheet:
        sheet, shorter = shorter, _without_closing(shorter, lexicons)
    return _trimmed(_without_greeting(_trimmed(sheet), lexicons))


def _without_rule(sheet: Sheet) -> Sheet:
    """Without what stands below a line of two dashes."""
    at = 0
    for line in sheet.text.split("\n"):
        if line.rstrip() == "--":
            return Sheet(sheet.text, tuple(token for token in sheet.tokens if token.end <= at))
        at += len(line) + 1
    return sheet


def _trimmed(sheet: Sheet) -> Sheet:
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
            return _trimmed(sheet.part(_addressed(sheet, end)))
    return sheet


def _addressed(sheet: Sheet, end: int) -> int:
    """Past the name of `Good morning, Anna:`."""
    words = sheet.words()
    then = next((at for at in range(end + 1, len(words)) if words[at] in STOPS), len(words))
    if (
        words[end : end + 1] == (WEAK,)
        and words[then : then + 1] in {(WEAK,), (LINE,)}
        and _named(sheet, end + 1, then)
    ):
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
    return len(names) <= _NAMES and not any(_means(token) for token in names)


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


def _lines(sheet: Sheet) -> Iterator[tuple[int, int]]:
    words, begin = sheet.words(), 0
    for at, word in enumerate((*words, LINE)):
        if word == LINE:
            if at > begin:
                yield begin, at
            begin = at + 1


def _is_closing(sheet: Sheet, begin: int, end: int, lexicon: Lexicon) -> bool:
    words = sheet.words()[begin:end]
    bare = len(words)
    while bare and words[bare - 1] in STOPS - {QUESTION}:
        bare -= 1
    for name in ("closing", "courtesy"):
        for length in lexicon[name].lengths(words, 0) if words else ():
            rest = begin + length
            if length == bare or (words[length] in STOPS and _named(sheet, rest + 1, begin + bare)):
                return True
            if _named(sheet, rest, begin + bare):
                return True
    return False


def _named(sheet: Sheet, begin: int, end: int) -> bool:
    """Whether only names stand there, written as names are."""
    tokens = sheet.tokens[begin:end]
    return 0 < len(tokens) <= _NAMES and all(
        token.titled and not _means(token) for token in tokens if token.said not in {STRONG, WEAK}
    )


def _is_signature(sheet: Sheet, begin: int, end: int, lexicons: Sequence[Lexicon]) -> bool:
    """Whether a line below a greeting can be a name, a title or a number, and says nothing."""
    words = sheet.words()[begin:end]
    if len(words) > 2 * _BELOW or QUESTION in words:
        return False
    bare = [word for token, word in zip(sheet.tokens[begin:end], words, strict=True) if not _given(token) and word not in _BINDING]
    return not any(one[name].within(bare) for one in lexicons for name in _TURNING)


_TURNING: Final = (
    *("negation", "hedge", "condition", "hearsay", "approving", "approve", "reject", "reject_open", "no"),
    *("change", "change_open"),
)


_BINDING: Final = frozenset({"of", "o", "e", "a", "i", "s'", "si"})
"""In titles and initials, whatever they mean elsewhere."""


def _given(token: Token) -> bool:
    """A name that is also a word."""
    return token.titled and token.said in {"till", "dan", "will", "mark", "may", "grant"}


# One verdict in one language.


def _agreed(body: Sheet, lexicons: Sequence[Lexicon]) -> tuple[_Said | None, str | None, str]:
    """What all languages that see a verdict agree on."""
    found = [(one.language, _read(body, one, lexicons)) for one in lexicons]
    stopped = next((result.why for _, result in found if isinstance(result, _No) and result.stops), "")
    said = [(language, result) for language, result in found if isinstance(result, _Said)]
    if stopped or not said or len({result.verdict for _, result in said}) > 1:
        why = stopped or (
            "contradicting" if said else next((r.why for _, r in found if isinstance(r, _No)), "language")
        )
        return None, None, why
    language, first = said[0]
    return first, language, ""


def _read(body: Sheet, one: Lexicon, lexicons: Sequence[Lexicon], *, item: bool = False) -> _Said | _No:
    words = body.words()
    asks, trails = QUESTION in words, TRAILING in words
    approving = _approves(body, one, lexicons)
    if approving is not None and not asks and not trails:
        return _Said(Verdict.APPROVE, more=False, everything=approving)
    found = _headed(words, one, lexicons, item=item)
    if found is None:
        return _No("question" if asks else "unknown", stops=approving is not None)
    verdict, rest, everything = found
    if asks:
        return _No("question", stops=True)
    if _strange(words[rest:], one):
        return _No("language")
    if why := _taken_back(words, rest, verdict, one):
        return _No(why, stops=True)
    more = any(word not in STOPS for word in words[rest:]) and not _only_polite(body.part(rest), one, lexicons)
    if rest == len(words):
        more = _before(words, one, lexicons)
    return _Said(verdict, more=more, everything=everything)


def _approves(body: Sheet, one: Lexicon, lexicons: Sequence[Lexicon]) -> bool | None:
    """None: no. Else whether it approves all cases, in so many words."""
    words = tuple(word for word in body.words() if word not in {QUESTION, TRAILING})
    if len(words) != len(body.tokens):
        body = Sheet(body.text, tuple(token for token in body.tokens if token.said not in {QUESTION, TRAILING}))
    approves = everything = polite = False
    clauses = list(_clauses(words))
    for number, (begin, end) in enumerate(clauses):
        last = number == len(clauses) - 1
        kinds = _segments(body, begin, end, one, lexicons)
        if kinds is None:
            if last and number and polite and approves and _named(body, begin, end):
                continue
            return None
        approves = approves or bool(kinds & {"approve", "approve_all"})
        everything = everything or "approve_all" in kinds
        polite = bool(kinds & {"courtesy", "closing"})
    return everything if approves else None


def _clauses(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    begin = 0
    for at, word in enumerate((*words, STRONG)):
        if word in STOPS:
            if at > begin:
                yield begin, at
            begin = at + 1


def _segments(body: Sheet, begin: int, end: int, one: Lexicon, lexicons: Sequence[Lexicon]) -> frozenset[str] | None:
    """The kinds of phrases that a clause is made of, without a word left over; None where it is not.

    Where it can be made in several ways, the one that says most counts: an approval before mere politeness.
    """
    words = body.words()[begin:end]
    ways: list[frozenset[str] | None] = [frozenset(), *[None] * len(words)]
    for at in range(len(words)):
        so_far = ways[at]
        if so_far is None:
            continue
        for kind, length in _phrases(words, at, one, lexicons):
            reached = so_far | {kind}
            known = ways[at + length]
            if known is None or len(reached & {"approve", "approve_all"}) > len(known & {"approve", "approve_all"}):
                ways[at + length] = reached
        if at and so_far & {"courtesy", "closing"} and len(words) - at <= _NAMES and _named(body, begin + at, end):
            ways[-1] = ways[-1] or so_far
    return ways[-1] or None


def _phrases(words: Sequence[str], at: int, one: Lexicon, lexicons: Sequence[Lexicon]) -> Iterator[tuple[str, int]]:
    for kind in ("approve_all", "approve", "filler"):
        yield from ((kind, length) for length in one[kind].lengths(words, at))
    for other in lexicons:
        for kind in ("courtesy", "closing"):
            yield from ((kind, length) for length in other[kind].lengths(words, at))
    if words[at] in _SMILES or words[at] == _THUMB:
        yield "filler", 1


# A rejection, or a wish for changes, at the head.


def _headed(
    words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon], *, item: bool
) -> tuple[Verdict, int, bool] | None:
    """The verdict with which a text begins, or that its last sentence is; where the rest begins; whether of all."""
    at = _skipped(words, 0, one, lexicons)
    if found := _head(words, at, one, item=item):
        return found
    begin = max((n + 1 for n, word in enumerate(words) if word in {STRONG, LINE}), default=0)
    if begin and begin < len(words):
        found = _head(words, _skipped(words, begin, one, lexicons), one, item=False)
        if found and _only(words[found[1] :], one, lexicons) and one.language in _tongues(words[:begin]):
            return found[0], len(words), found[2]
    return None


def _skipped(words: Sequence[str], at: int, one: Lexicon, lexicons: Sequence[Lexicon]) -> int:
    """Past regret and politeness."""
    while at < len(words):
        if words[at] in STOPS:
            at += 1
            continue
        lengths = [one["softener"].longest(words, at), *(other["courtesy"].longest(words, at) for other in lexicons)]
        # What is a longer phrase of a verdict is no mere regret.
        if not max(lengths) or any(one[name].longest(words, at) > max(lengths) for name in _VERDICTS):
            break
        at += max(lengths)
    return at


_VERDICTS: Final = ("reject", "reject_open", "reject_all", "no", "change", "change_open", "approve", "approve_all")


def _head(words: Sequence[str], at: int, one: Lexicon, *, item: bool) -> tuple[Verdict, int, bool] | None:
    if at >= len(words):
        return None
    best: tuple[int, Verdict, bool] | None = None
    known = max((one[name].longest(words, at) for name in ("approve", "approve_all", "filler")), default=0)
    for name, verdict in _HEADS:
        for length in one[name].lengths(words, at):
            if length <= known or (best and length <= best[0]):
                break
            if _may_end(words, at + length, one, name, item=item):
                best = (length, verdict, name == "reject_all")
                break
    return (best[1], at + best[0], best[2]) if best else None


_HEADS: Final = (
    ("reject_open", Verdict.REJECT),
    ("reject_all", Verdict.REJECT),
    ("reject", Verdict.REJECT),
    ("no", Verdict.REJECT),
    ("change_open", Verdict.CHANGE),
    ("change", Verdict.CHANGE),
)


def _may_end(words: Sequence[str], end: int, one: Lexicon, name: str, *, item: bool) -> bool:
    """Whether a head can end there: it is open, or a stop follows, or a reason."""
    if name.endswith("_open") or end >= len(words) or words[end] in STOPS:
        return True
    if one["because"].longest(words, end):
        return True
    if name != "no":
        return False
    return bool(one["opener"].longest(words, end)) or (item and one["fault"].within(words[end:]))


def _taken_back(words: Sequence[str], rest: int, verdict: Verdict, one: Lexicon) -> str:
    """What stands against the verdict, as a word; empty where nothing does."""
    if TRAILING in words:
        return "trailing"
    if one["hedge"].within(words):
        return "hedged"
    if one["hearsay"].within(_until_stop(words, rest)):
        return "hearsay"
    after = words[rest:]
    if one["condition"].within(_until_stop(words, rest)) or any(
        one["condition"].longest(words, begin) for begin in _sentences(words, rest)
    ):
        return "conditional"
    weighed = ("approving",) if verdict is Verdict.CHANGE or not _bare(words, rest, one) else ("approving", "soft")
    if any(_affirms(after, one, name) for name in weighed):
        return "contradicting"
    if (verdict is Verdict.CHANGE or _bare(words, rest, one)) and one["denial"].within(after):
        return "denied"
    other = ("reject", "reject_open", "no") if verdict is Verdict.CHANGE else ("change", "change_open")
    for begin in (rest, *(n + 1 for n, word in enumerate(words) if n >= rest and word in STOPS)):
        if begin < len(words) and any(one[name].longest(words, begin) for name in other):
            return "contradicting"
    return ""


def _bare(words: Sequence[str], rest: int, one: Lexicon) -> bool:
    """Whether the head is a mere no."""
    return any(one["no"].longest(words, at) and at + one["no"].longest(words, at) == rest for at in range(rest))


def _until_stop(words: Sequence[str], begin: int) -> Sequence[str]:
    """The sentence in which the head stands, from its beginning."""
    end = next((at for at in range(begin, len(words)) if words[at] in {STRONG, LINE}), len(words))
    return words[:end]


def _sentences(words: Sequence[str], rest: int) -> Iterator[int]:
    for at in range(rest, len(words) - 1):
        if words[at] in {STRONG, LINE} and words[at + 1] not in STOPS:
            yield at + 1


def _affirms(words: Sequence[str], one: Lexicon, name: str) -> bool:
    """Whether a word of approval stands there that no negation near it turns."""
    for at in range(len(words)):
        length = one[name].longest(words, at)
        if not length:
            continue
        near = [*_near(words, at, -1), *_near(words, at + length - 1, 1)]
        if not any(one["negation"].longest((word,), 0) for word in near):
            return True
    return False


def _near(words: Sequence[str], at: int, step: int) -> Iterator[str]:
    for word in words[at + step : at + 4 * step if at + 4 * step >= 0 else None : step]:
        if word in STOPS:
            return
        yield word


def _strange(after: Sequence[str], one: Lexicon) -> bool:
    """Whether the rest is of another language than the head, so that its words cannot be weighed."""
    words = [word for word in after if word not in STOPS and word != QUOTED and not word[0].isdigit()]
    return bool(words) and one.language not in _tongues(words)


def _tongues(words: Sequence[str]) -> frozenset[str]:
    """The languages that a text can be of, by the words that are known: the best, and those as good."""
    said = [word for word in words if word not in STOPS]
    scores = {language: sum(word in lexicon(language).known for word in said) for language in LANGUAGES}
    best = max(scores.values())
    if best == 0:
        return frozenset(LANGUAGES) if len(said) <= _FEW else frozenset()
    return frozenset(language for language, score in scores.items() if score == best)


def _only_polite(rest: Sheet, one: Lexicon, lexicons: Sequence[Lexicon]) -> bool:
    return _only(rest.words(), one, lexicons)


def _only(words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon]) -> bool:
    """Whether nothing but politeness stands there."""
    at = 0
    while at < len(words):
        lengths = [other[kind].longest(words, at) for other in lexicons for kind in ("courtesy", "closing")]
        lengths.append(one["softener"].longest(words, at))
        if words[at] in STOPS:
            at += 1
        elif max(lengths):
            at += max(lengths)
        else:
            return False
    return True


def _before(words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon]) -> bool:
    """Whether a text whose last sentence is the verdict says why above it."""
    at = _skipped(words, 0, one, lexicons)
    return _head(words, at, one, item=False) is None


# Several cases.


def _items(body: Sheet, lexicons: Sequence[Lexicon]) -> list[tuple[list[int], Sheet]]:
    """A text that begins with a number, cut at its numbers."""
    words = body.words()
    found: list[tuple[list[int], Sheet]] = []
    at = 0
    while at < len(words):
        numbers, begin = _numbers(words, at, lexicons)
        if not numbers:
            return []
        end = next((n for n in range(begin, len(words)) if _opens(words, n, lexicons)), len(words))
        found.append((numbers, _trimmed(body.part(begin, end))))
        at = end
    return found


def _opens(words: Sequence[str], at: int, lexicons: Sequence[Lexicon]) -> bool:
    """Whether another case's number stands there, behind a stop."""
    return words[at - 1] in STOPS and bool(_numbers(words, at, lexicons)[0])


def _numbers(words: Sequence[str], at: int, lexicons: Sequence[Lexicon]) -> tuple[list[int], int]:
    """The numbers that begin there, and where what is said of them begins."""
    numbers: list[int] = []
    begin = at
    while at < len(words):
        if words[at] in STOPS or (numbers and _one_of("joining", words, at, lexicons)):
            at += 1
            continue
        if length := _one_of("case", words, at, lexicons):
            if at + length < len(words) and _number(words[at + length]):
                at += length
                continue
            break
        several = _several(words[at])
        if not several:
            break
        numbers += several
        at += 1
    return (numbers, at) if numbers else ([], begin)


def _one_of(name: str, words: Sequence[str], at: int, lexicons: Sequence[Lexicon]) -> int:
    return max((one[name].longest(words, at) for one in lexicons), default=0)


def _several(word: str) -> list[int]:
    """`1`, `#1` or `1,2,3`."""
    numbers = [_number(each) for each in word.split(",")]
    return [number for number in numbers if number] if all(numbers) else []


def _number(word: str) -> int:
    digits = word.removeprefix("#")
    return (
        int(digits)
        if digits.isascii() and digits.isdigit() and len(digits) <= _FEW and int(digits) <= _MOST_CASES
        else 0
    )


def _bundle(body: Sheet, items: list[tuple[list[int], Sheet]], lexicons: Sequence[Lexicon]) -> Understood:
    """Every case in its own words; one that is unclear makes them all so."""
    cases: list[tuple[int, Verdict, str]] = []
    needs_text, language = False, None
    read = partial(_read, lexicons=lexicons, item=True)
    for numbers, words in items:
        found = [(one.language, read(words, one)) for one in lexicons] if words.tokens else []
        said = [(name, result) for name, result in found if isinstance(result, _Said)]
        stopped = any(isinstance(result, _No) and result.stops for _, result in found)
        if not said or stopped or len({result.verdict for _, result in said}) > 1 or said[0][1].everything:
            return Understood(None, text=body.written(), why="case_unclear")
        language, result = language or said[0][0], said[0][1]
        needs_text = needs_text or (result.verdict is not Verdict.APPROVE and not result.more)
        cases += [(number, result.verdict, words.written() if result.more else "") for number in numbers]
    if len({number for number, _, _ in cases}) != len(cases):
        return Understood(None, text=body.written(), why="case_twice")
    return Understood(None, text=body.written(), language=language, needs_text=needs_text, cases=tuple(cases))
