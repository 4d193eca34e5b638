"""What a written answer says. Clear words decide; whatever else stands beside them makes the whole unclear.

An approval is read only where every word of the text is known to belong to one. A rejection, or a wish for changes, is
read where the text begins with it, or is nothing else, and nothing in it takes that back: no question, no doubt, no
condition, no word of somebody else's, no other verdict (docs/decisions/0025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from millstream.review.approval import THUMB, approves
from millstream.review.model import Understood, Verdict
from millstream.review.numbered import items
from millstream.review.pointed import points
from millstream.review.polite import body_of, is_device
from millstream.review.refusal import Head, asks_for, headed, only, strange, taken_back, tongues_of
from millstream.review.spelling import spelled
from millstream.review.tokens import QUESTION, TRAILING, Sheet, cut, foreign, tidy
from millstream.review.words import LANGUAGES, Lexicon, lexicon

MOST: Final = 2_000
"""Characters of an answer; whoever writes more says more than one thing."""
_MOST_RAW: Final = 20_000
_LONG_LINE: Final = 120
"""Words; a longer line below a greeting is a lawyer's."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A verdict found, and whether there was more than its bare words."""

    verdict: Verdict
    more: bool
    everything: bool = False
    """Of all cases, in so many words."""
    pointed: bool = False
    """A wish only by what it says is wrong."""


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
    lines = ("" if is_device(line, lexicons) else line for line in clean.split("\n"))
    body = body_of(spelled(cut("\n".join(lines)), lexicons), lexicons)
    if len(body.written()) > MOST or not body.tokens:
        return Understood(None, text=body.written(), why="long" if body.tokens else "empty")
    numbered = items(body, lexicons)
    return _bundle(body, numbered, lexicons) if numbered else _single(body, lexicons)


def _single(body: Sheet, lexicons: Sequence[Lexicon]) -> Understood:
    written = body.written()
    if body.words() == (THUMB,):
        return Understood(Verdict.APPROVE, text=written)
    said, language, why = _agreed(body, lexicons)
    if said is None:
        return Understood(None, text=written, why=why)
    shown = written if said.more else ""
    return Understood(
        said.verdict,
        text=shown,
        language=language,
        needs_text=said.verdict is not Verdict.APPROVE and not said.more,
        pointed=said.pointed,
        cases=((0, said.verdict, shown),) if said.everything else (),
    )


def afterthought(text: str, languages: Sequence[str]) -> bool:
    """Whether what stands below a closing greeting says more than who wrote it: `PS: but not before Monday`."""
    lexicons = _lexicons(languages)
    for line in tidy(text[:_MOST_RAW]).splitlines():
        words = cut(line).words()
        if not words or len(words) > _LONG_LINE:
            continue
        if words[0] in {"ps", "pps", "nb"} or any(_turns(words, lexicon) for lexicon in lexicons):
            return True
    return False


def _turns(words: Sequence[str], one: Lexicon) -> bool:
    """Whether a line begins with a word that takes something back, or asks for something."""
    if any(one[name].longest(words, 0) for name in _TURNS):
        return True
    # "Please not before Monday", but not the plea for trees below so many signatures.
    asks = words[0] in one["change_open"].starting and not _TREES.intersection(words)
    return asks and any(one[name].within(words) for name in ("condition", "negation", "hedge"))


_TURNS: Final = ("condition", "negation", "reject", "reject_open", "no", "change", "change_open")
_TREES: Final = frozenset(
    {"environment", "umwelt", "environnement", "ambiente", "medioambiente", "milieu", "printing", "print"}
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


def _agreed(body: Sheet, lexicons: Sequence[Lexicon]) -> tuple[_Said | None, str | None, str]:
    """What all languages that see a verdict agree on."""
    found = [(one.language, _read(body, one, lexicons)) for one in lexicons]
    stopped = next((result.why for _, result in found if isinstance(result, _No) and result.stops), "")
    said = [(language, result) for language, result in found if isinstance(result, _Said)]
    if not stopped and said and said[0][1].verdict is Verdict.APPROVE:
        stopped = _doubted(body.words(), said[0][0], lexicons)
    if stopped or not said or len({result.verdict for _, result in said}) > 1:
        why = stopped or (
            "contradicting" if said else next((r.why for _, r in found if isinstance(r, _No)), "language")
        )
        return None, None, why
    language, first = said[0]
    return first, language, ""


def _doubted(words: Sequence[str], language: str, lexicons: Sequence[Lexicon]) -> str:
    """Whether the text may as well be of another language, where it holds a doubt: `si ok` is Italian, and Spanish."""
    tongues = tongues_of(words)
    others = (one for one in lexicons if one.language != language and one.language in tongues)
    return "hedged" if any(one[name].within(words) for one in others for name in _DOUBTS) else ""


_DOUBTS: Final = ("negation", "hedge", "condition")


def _read(body: Sheet, one: Lexicon, lexicons: Sequence[Lexicon], *, item: bool = False) -> _Said | _No:
    words = body.words()
    asks, trails = QUESTION in words, TRAILING in words
    approving = approves(body, one, lexicons)
    if approving is not None and not asks and not trails:
        return _Said(Verdict.APPROVE, more=False, everything=approving)
    found = headed(words, one, lexicons, item=item)
    if found is not None:
        return _weighed(words, found, one, lexicons)
    if not item and points(words, one) and not strange(words, one):
        return _Said(Verdict.CHANGE, more=True, pointed=True)
    return _No("question" if asks else "unknown", stops=approving is not None)


def _weighed(words: Sequence[str], found: Head, one: Lexicon, lexicons: Sequence[Lexicon]) -> _Said | _No:
    """The verdict that was found, where nothing beside it takes it back."""
    beside = found.beside(words)
    alone = not found.says and only(beside, one, lexicons)
    if QUESTION in words and (alone or not asks_for(words, found, one)):
        return _No("question", stops=True)
    if strange(beside, one):
        return _No("language")
    if why := taken_back(words, found, one, alone=alone):
        return _No(why, stops=True)
    return _Said(found.verdict, more=not alone, everything=found.everything)


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
