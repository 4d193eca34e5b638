"""In which of six languages a text is written, by the small words that every sentence needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

_WORDS: Final = {
    "en": "the and of to in is that for with you your are this on be have it not we our by from will if as at "
    "or an been",
    "de": "der die das und ist von zu mit den sie ihr ihre nicht auf für eine ein im dem des wir werden wird "
    "haben sind bei oder als auch sich an ihnen ihrer",
    "fr": "le la les et est de des du vous votre vos dans pour que qui une un sur par avec nous notre au aux ce "
    "cette sont ne pas ou être",
    "es": "el la los las y es de del que en para por con su sus una un no se al lo como usted más este esta son "
    "o le ha nuestro",
    "it": "il lo la i gli le e è di del della che in per con un una non si al alla dei delle suo sua nel sono o "
    "ha questo questa da",
    "nl": "de het een en is van te dat in op voor met u uw niet zijn wij ons deze dit aan door bij of als "
    "worden wordt er naar heeft",
}
_FEWEST: Final = 10
"""Small words; with fewer nothing is said."""
_CLEAR: Final = 1.5
"""So much more of one language than of the next one."""
LANGUAGES: Final = frozenset(_WORDS)
_SMALL: Final = {
    word: tuple(language for language, words in _WORDS.items() if word in words.split())
    for word in {each for words in _WORDS.values() for each in words.split()}
}


def language_of(words: Sequence[str]) -> str | None:
    """The language of a text given word by word in lower case; None where it is not clear."""
    score: Counter[str] = Counter()
    small = 0
    for word in words:
        languages = _SMALL.get(word, ())
        small += bool(languages)
        for language in languages:
            score[language] += 60 // len(languages)  # a word of several languages speaks for each a little
    if small < _FEWEST:
        return None
    (best, most), *others = score.most_common(2)
    return best if not others or most >= others[0][1] * _CLEAR else None
