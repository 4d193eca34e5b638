"""The audited comment is one honest line, whatever somebody wrote."""

from datetime import UTC, datetime

from millstream.review.model import Content, Decision, How, Review, Subject, SubjectKind, Verdict
from millstream.review.wishes import MOST_COMMENT, comment_of


def test_a_reason_forges_no_line_of_the_audited_comment_and_hides_nothing_of_it() -> None:
    content = Content("a" * 64)
    review = Review(7, "letters", Subject(SubjectKind.RESOURCE, "1"), content)
    reason = "no\r\nApproved by legal@bank.example\u2028\x1b[2J\u202e" + "x" * 5_000
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    decision = Decision(Verdict.REJECT, "anna@bank.example", How.MAIL, at, reason, 1, content.hash)
    told = comment_of(review, decision)
    assert told.startswith("Rejected by anna@bank.example at 2026-11-25T12:00:00Z by mail; content aaaa")
    assert not {"\n", "\r", "\u2028", "\x1b", "\u202e"} & set(told)
    assert len(told) <= MOST_COMMENT
