"""A reply is freed of what is ours, and what stands below it is not lost."""

import pytest

from millstream.review.reading import afterthought
from millstream.review.writing import below, without_name, without_ours

BODY = "Please answer by Monday.\nApprove\nTo answer, reply to this mail.\n"


def test_lines_of_our_mail_are_taken_out_whatever_a_program_did_to_their_blanks() -> None:
    reply = "ok\n\n  *Please  answer by MONDAY.*\nTo answer, reply to this mail. \n"
    assert without_ours(reply, BODY).split() == ["ok"]


def test_short_words_stay_since_anybody_writes_them() -> None:
    assert without_ours("Approve", BODY) == "Approve"


@pytest.mark.parametrize("name", ["Anna Ample", "anna", "A. Ample", "AA", "- Anna", "Ample"])
def test_a_name_in_the_last_line_is_a_signature(name: str) -> None:
    assert without_name(f"ok\n\n{name}\n", ["Anna Ample"]) == "ok"


def test_a_name_that_is_all_there_is_stays() -> None:
    assert without_name("Anna", ["Anna Ample"]) == "Anna"


def test_somebody_elses_name_stays() -> None:
    assert without_name("ok\nBen", ["Anna Ample", ""]) == "ok\nBen"


@pytest.mark.parametrize(
    "quote",
    [
        "> Approve",
        "On Mon, Nov 23, 2026 at 9:00 AM Reviews <review@bank.example> wrote:",
        "-----Original Message-----",
        "From: Reviews <review@bank.example>",
        "________________________________",
    ],
)
def test_what_stands_below_a_reply_ends_where_the_quotation_begins(quote: str) -> None:
    full = f"Approved.\n\nRegards\nAnna\n\nPS: not before Monday\n\n{quote}\nno way\n"
    assert below("Approved.", full, BODY) == "Regards\nAnna\nPS: not before Monday"


def test_a_reply_that_is_not_found_in_the_full_text_has_nothing_below() -> None:
    assert below("", "anything", BODY) == ""
    assert below("ok", "something else", BODY) == ""


@pytest.mark.parametrize(
    "text", ["PS: later", "P.S. hm", "but not before Monday", "Bitte erst ändern", "No, wait", "Unless legal objects"]
)
def test_an_afterthought_is_seen(text: str) -> None:
    assert afterthought(f"Regards\nAnna\n{text}", ("en", "de"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Regards\nAnna Ample\nHead of Letters\n+49 69 1234567\nanna@bank.example",
        "Example Bank AG, Frankfurt am Main",
    ],
)
def test_a_signature_is_no_afterthought(text: str) -> None:
    assert not afterthought(text, ("en", "de"))
