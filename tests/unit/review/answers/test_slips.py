"""Slips of the hand are read as what was meant, and inflected words as what they are."""

import pytest

from millstream.review.model import Verdict
from millstream.review.reading import understand
from millstream.review.words import LANGUAGES


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Aproved", Verdict.APPROVE),
        ("apporved, thanks", Verdict.APPROVE),
        ("Okkkk", Verdict.APPROVE),
        ("yesss", Verdict.APPROVE),
        ("Freigegebn", Verdict.APPROVE),
        ("Rejeted", Verdict.REJECT),
        ("Abgelent, der Betrag ist falsch", Verdict.REJECT),
        ("Please chnage the logo", Verdict.CHANGE),
        ("e' approvato", Verdict.APPROVE),
    ],
)
def test_a_slip_of_the_hand_in_a_long_word_is_read_as_what_was_meant(text: str, verdict: Verdict) -> None:
    assert understand(text, LANGUAGES).verdict is verdict


@pytest.mark.parametrize(
    "text",
    [
        *("Approver", "Approves", "Improved", "Disapproves of this", "Unapproved"),
        *("Genehmigst", "Freigebende", "Approuvez", "Approuver", "Aprobando", "Aprueban", "Approvano", "Goedkeurde"),
        *("Bob", "Okra", "Jan", "Sia", "oko"),
    ],
)
def test_another_word_that_is_as_near_is_no_slip(text: str) -> None:
    assert understand(text, LANGUAGES).verdict is None


def test_what_was_written_is_kept_as_it_was_written() -> None:
    assert understand("Please chnage the amuont to 40", LANGUAGES).text == "Please chnage the amuont to 40"
