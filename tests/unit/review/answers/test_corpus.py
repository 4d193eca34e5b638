"""Written answers in six languages: none is read wrongly, and nearly all of the clear ones decide."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from written import Written, corpus

from millstream.review.model import Verdict
from millstream.review.reading import understand
from millstream.review.words import LANGUAGES

ANSWERS = corpus()


def _ways(answer: Written) -> list[tuple[str, ...]]:
    """With all languages, and with its own alone."""
    return [LANGUAGES, (answer.language,)]


def _decided(answer: Written, languages: tuple[str, ...]) -> str:
    understood = understand(answer.text, languages)
    if answer.cases:
        return "right" if tuple((n, v.value) for n, v, _ in understood.cases) == answer.cases else _silent(understood)
    if understood.verdict is None and not understood.cases:
        return "unclear"
    return "right" if understood.verdict and understood.verdict.value == answer.expect else "wrong"


def _silent(understood: object) -> str:
    return (
        "unclear" if not getattr(understood, "cases", ()) and getattr(understood, "verdict", None) is None else "wrong"
    )


def test_there_are_enough_of_every_language() -> None:
    assert len(ANSWERS) >= 200
    assert all(sum(answer.language == language for answer in ANSWERS) >= 40 for language in LANGUAGES)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer.language}: {answer.text.strip()[:50]!r}")
def test_no_answer_is_read_as_what_it_is_not(answer: Written) -> None:
    assert [_decided(answer, languages) for languages in _ways(answer) if _decided(answer, languages) == "wrong"] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_the_clear_answers_at_least_95_of_100_decide(language: str) -> None:
    clear = [answer for answer in ANSWERS if answer.language == language and answer.clear]
    silent = [answer.text for answer in clear for ways in _ways(answer) if _decided(answer, ways) != "right"]
    assert len(silent) <= 0.05 * 2 * len(clear), silent


def test_an_answer_in_a_language_that_is_not_configured_decides_nothing() -> None:
    # A word that is the same in both, such as ok, is of both.
    same = {"ok", "👍", "lgtm", "lgtm 👍", "okay", "no", "no."}
    read = [
        (answer.text, language)
        for answer in ANSWERS
        for language in LANGUAGES
        if language != answer.language and answer.text.strip().lower() not in same
        and (found := understand(answer.text, (language,))).verdict is not None
        and found.verdict.value != answer.expect
    ]  # fmt: skip
    assert read == []


def test_what_nobody_has_words_for_decides_nothing() -> None:
    assert understand("Zatwierdzam.", ("pl",)).verdict is None
    assert understand("Approved.", ()).verdict is None


def test_the_words_of_a_rejection_are_kept_as_they_were_written() -> None:
    understood = understand("Hello,\n\nNo, the ADDRESS is wrong: 4.2 % ≠ 4,2 %.\n\nKind regards\nBen", ("en",))
    assert (understood.verdict, understood.needs_text) == (Verdict.REJECT, False)
    assert understood.text == "No, the ADDRESS is wrong: 4.2 % ≠ 4,2 %"


@pytest.mark.parametrize(
    "text", ["No", "no.", "Rejected!", "Abgelehnt", "Sorry, no. Thanks", "please change", "Nein, danke"]
)
def test_a_bare_no_or_wish_asks_for_words(text: str) -> None:
    understood = understand(text, ("en", "de"))
    assert understood.verdict in {Verdict.REJECT, Verdict.CHANGE}
    assert understood.needs_text
    assert understood.text == ""


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Bitte den Betrag auf 2,50 EUR ändern.", Verdict.CHANGE),
        ("Bitte noch zwei Zahlen in Absatz 2 ändern", Verdict.CHANGE),
        ("Das Datum muss auf den 31.01. korrigiert werden", Verdict.CHANGE),
        ("Könnten Sie bitte den Betrag auf 2,50 EUR ändern?", Verdict.CHANGE),
        ("Graag het bedrag naar 2,50 EUR wijzigen", Verdict.CHANGE),
        ("De datum moet naar 31 januari gewijzigd worden", Verdict.CHANGE),
        ("The amount needs to be changed", Verdict.CHANGE),
        ("Le montant doit être corrigé", Verdict.CHANGE),
        ("El importe debe corregirse", Verdict.CHANGE),
        ("L'importo deve essere corretto", Verdict.CHANGE),
        ("Ich lehne wegen der falschen Adresse ab", Verdict.REJECT),
        ("Ik wijs de brief wegens de verkeerde rente af", Verdict.REJECT),
    ],
)
def test_what_stands_before_a_verb_at_the_end_is_kept(text: str, verdict: Verdict) -> None:
    understood = understand(text, LANGUAGES)
    assert (understood.verdict, understood.needs_text, understood.text) == (verdict, False, text.rstrip("."))


@pytest.mark.parametrize(
    "text", ["Bitte den Brief ändern", "Bitte das Schreiben noch ändern", "Graag de brief aanpassen"]
)
def test_a_wish_that_names_nothing_but_the_document_asks_for_words(text: str) -> None:
    understood = understand(text, LANGUAGES)
    assert (understood.verdict, understood.needs_text, understood.text) == (Verdict.CHANGE, True, "")


def test_a_mail_about_several_gets_its_answers_by_number() -> None:
    understood = understand(
        "Hi all,\n1, 2 and 5 ok\n3 no wrong amount\n4: please change the name to Moore\nThanks, Ben", ("en",)
    )
    assert [(n, v.value) for n, v, _ in understood.cases] == [
        (1, "approve"), (2, "approve"), (5, "approve"), (3, "reject"), (4, "change"),
    ]  # fmt: skip
    assert understood.cases[3][2] == "no wrong amount"
    assert understood.verdict is None


@pytest.mark.parametrize(
    "text",
    ["1 ok, 1 no, wrong name", "1 ok, 2 maybe", "1 ok 2", "1", "all ok except 2", "1 ok, 2 no, 30 instead of 20"],
)
def test_of_a_mail_about_several_nothing_is_taken_where_one_is_unclear(text: str) -> None:
    understood = understand(text, ("en",))
    assert (understood.verdict, understood.cases) == (None, ())


RUBBISH = (
    *("", " \n ", "\u200b", "???", "\u2026", "ok...", "\U0001f4a3", "approved \U0001f4a3", "1" * 5000, "A" * 200_000),
    *(
        "\u0430pproved",
        "> approved",
        '"approved"',
        "Approve | Reject",
        "Approve\nReject",
        "Approve\nReject\nYes, I reject",
    ),
    *(
        "Approve\nReject\nYes, I reject",
        "approved " * 400,
        "ok\x00\ufffenot",
        "approved\u037e",
        "\u202edevorppa",
        "a\u0335pproved",
        "no " * 500,
    ),
)


@pytest.mark.parametrize("text", RUBBISH, ids=lambda text: repr(text)[:40])
def test_rubbish_decides_nothing(text: str) -> None:
    understood = understand(text, LANGUAGES)
    assert (understood.verdict, understood.cases) == (None, ())
