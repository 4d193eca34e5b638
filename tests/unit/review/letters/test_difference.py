"""What changed between two rounds: texts and pages."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from millstream.review import difference
from millstream.review.difference import Change

WORDS = st.lists(st.sampled_from(["fee", "is", "10", "EUR.", "You", "may", "withdraw.", "now"]), max_size=60)


def _page(text: str = "", size: tuple[int, int] = (200, 280)) -> bytes:
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).text((20, 40), text, fill="black")
    made = BytesIO()
    picture.save(made, "PNG")
    return made.getvalue()


def test_a_changed_word_is_told_with_its_page_and_nothing_else() -> None:
    old = ["Dear Anna. The monthly fee is 10 EUR per account.", "Page two stays."]
    new = ["Dear Anna. The monthly\nfee is 12 EUR per account.", "Page two stays."]
    assert difference.text(old, new) == (Change("changed", 1, "10", "12"),)


def test_sentences_that_came_or_went_are_told_as_such() -> None:
    old, new = ["One. Two goes. Three."], ["One. Three.", "Four comes."]
    assert difference.text(old, new) == (
        Change("removed", 1, "Two goes.", ""),
        Change("added", 2, "", "Four comes."),
    )


def test_where_lines_and_pages_break_makes_no_difference() -> None:
    assert difference.text(["One two.\nThree four. Five."], ["One\ntwo. Three", "four. Five."])[1:] == ()
    assert difference.text(["One two. Three."], ["One two.", "Three."]) == ()


@given(WORDS, WORDS)
def test_what_is_told_makes_the_new_text_of_the_old_one(old: list[str], new: list[str]) -> None:
    told = difference.text([" ".join(old)], [" ".join(new)])
    assert bool(told) == (old != new)
    gone = [word for change in told for word in change.old.split()]
    come = [word for change in told for word in change.new.split()]
    assert sorted(old + come) == sorted(new + gone)
    left = iter(old)
    assert all(word in left for word in gone)  # in the order of the old text


def test_time_grows_with_length_and_not_with_its_square() -> None:
    many = [f"Clause {number} holds" for number in range(20_000)]
    changed = [f"{line} now" if number % 7 == 0 else line for number, line in enumerate(many)]
    assert len(difference.text([". ".join(many)], [". ".join(changed)])) == difference.MOST_CHANGES + 1
    assert len(difference.text(["same words. " * 50_000], ["same words. " * 49_000 + "other words. " * 1_000])) == 1


def test_two_pages_stand_side_by_side_with_what_differs_outlined() -> None:
    made = difference.pictures(_page("10 EUR"), _page("12 EUR", size=(220, 300)))
    with Image.open(BytesIO(made)) as picture:
        assert picture.size == (2 * 220 + 16, 300)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(100_000) or ()}
    assert (197, 48, 38) in colours
    assert difference.same_picture(_page("10"), _page("10"))
    assert not difference.same_picture(_page("10"), _page("12"))


@pytest.mark.parametrize("rubbish", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_picture_is_said_so(rubbish: bytes) -> None:
    with pytest.raises(ValueError, match="no picture"):
        difference.pictures(_page(), rubbish)
