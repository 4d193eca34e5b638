"""Whatever is put into an approval, a negation, a doubt or a question in it never lets it approve."""

import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from written import corpus

from millstream.review.model import Verdict
from millstream.review.phrases import GAP
from millstream.review.reading import understand
from millstream.review.words import LANGUAGES, lexicon

APPROVING = [answer for answer in corpus() if answer.expect == "approve"]
DOUBTS = {
    language: sorted(
        {
            " ".join(phrase).replace("' ", "'")
            for name in ("negation", "hedge", "condition")
            for phrases in lexicon(language)[name].starting.values()
            for phrase in phrases
            if GAP not in phrase
        }
    )
    for language in LANGUAGES
}


@st.composite
def _doubted(draw: st.DrawFn) -> tuple[str, str]:
    answer = draw(st.sampled_from(APPROVING))
    doubt = draw(st.sampled_from([*DOUBTS[answer.language], "?", "???"]))
    pieces = answer.text.split(" ")
    at = draw(st.integers(0, len(pieces)))
    pieces.insert(at, draw(st.sampled_from([doubt, doubt.capitalize(), f"{doubt},", f"{doubt}\n", f"\n{doubt}"])))
    return answer.language, " ".join(pieces)


@given(_doubted())
def test_a_doubt_put_anywhere_into_an_approval_stops_it(case: tuple[str, str]) -> None:
    language, text = case
    for languages in (LANGUAGES, (language,)):
        assert understand(text, languages).verdict is not Verdict.APPROVE


@given(st.text(max_size=300))
def test_any_text_at_all_can_be_read(text: str) -> None:
    first = understand(text, LANGUAGES)
    assert first == understand(text, LANGUAGES)
    assert first.verdict is None or text.strip()


@given(st.lists(st.sampled_from(sorted({w for one in LANGUAGES for w in lexicon(one).known})), min_size=1, max_size=8))
def test_words_in_any_order_never_approve_beside_a_negation(words: list[str]) -> None:
    text = " ".join(words)
    found = understand(text, ("en",))
    negated = {"not", "never", "nobody", "don't", "cannot", "isn't"} & set(words)
    assert not (negated and found.verdict is Verdict.APPROVE)


@given(st.sampled_from(APPROVING), st.sampled_from(["\n", " ", ". ", ", "]), st.sampled_from(APPROVING))
def test_two_approvals_never_make_a_rejection(one: object, between: str, other: object) -> None:
    text = f"{getattr(one, 'text', '')}{between}{getattr(other, 'text', '')}"
    assert understand(text, LANGUAGES).verdict in {None, Verdict.APPROVE}
