"""What a decision asks Exstream for, and the comment that names who decided what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from millstream.review.model import (
    Answer,
    Content,
    Decision,
    How,
    Review,
    Seat,
    SeatState,
    Subject,
    SubjectKind,
    Verdict,
)
from millstream.review.policy import Policy
from millstream.review.wishes import MOST_COMMENT, comment_of, wishes_of

AT = datetime(2026, 12, 1, 11, 15, 2, tzinfo=timezone(timedelta(hours=1)))
HASH = "3f2a" * 16
ANNA = "anna@bank.example"


def policy(**steps: object) -> Policy:
    wanted = {"concerns": "resource", "stages": [{"ask": [ANNA]}], "time": {"deadline": "8h"}, "steps": steps}
    return Policy.model_validate(wanted)


def review(
    kind: SubjectKind = SubjectKind.RESOURCE, *, by: str = ANNA, name: str = "Anna Ample", **facts: str
) -> Review:
    subject = Subject(kind, "r-1", "bank", "Letter head", facts)
    return Review(4711, "letters", subject, Content(HASH), round=2, seats=(Seat(2, 0, by, name),))


def decision(verdict: Verdict = Verdict.APPROVE, *, how: How = How.MAIL, text: str = "", **more: object) -> Decision:
    values = {"by": ANNA, "evidence": {"message_id": "18f"}, **more}
    return Decision(verdict, values["by"], how, AT, text, 2, HASH, evidence=values["evidence"])


def test_the_comment_names_person_time_mail_and_content() -> None:
    assert comment_of(review(), decision(text="well\n done")) == (
        f"Approved by Anna Ample <{ANNA}> at 2026-12-01T10:15:02Z by mail; Gmail message 18f; "
        f"content {HASH}; review 4711 round 2: well done"
    )


def test_a_page_with_a_sign_in_says_as_whom() -> None:
    told = comment_of(review(), decision(how=How.PAGE, evidence={"signed_in": "anna.ample@idp.example"}))
    assert "by page, signed in as anna.ample@idp.example" in told


@given(st.text(max_size=400), st.text(max_size=2_000), st.sampled_from(Verdict), st.sampled_from(How))
def test_no_words_and_no_name_push_the_evidence_out(name, text, verdict, how) -> None:
    by = f"{'a' * 120}@bank.example"
    evidence = {"message_id": "18f0c0ffee", "signed_in": "x" * 300, "actor": "y" * 300}
    told = comment_of(
        review(by=by, name=name), decision(verdict, how=how, text=text, by=by, evidence=evidence), level=" level 1 of 9"
    )
    assert len(told) <= MOST_COMMENT
    for part in (by, "2026-12-01T10:15:02Z", f"content {HASH}", "review 4711 round 2 level 1 of 9"):
        assert part in told
    assert "\n" not in told


def test_in_levels_approved_is_asked_for_once_for_each() -> None:
    wishes = wishes_of(review(levels="3"), decision(), policy())
    assert [(wish.verb, wish.arguments["state"]) for wish in wishes] == [("set_state", "APPROVED")] * 3
    assert len({wish.key for wish in wishes}) == len({wish.arguments["comment"] for wish in wishes}) == 3
    assert len(wishes_of(review(levels="3"), decision(Verdict.REJECT), policy())) == 1


@given(st.text(max_size=20))
def test_rubbish_for_levels_is_one(levels) -> None:
    expected = range(1, 10) if levels.isascii() and levels.isdigit() else range(1, 2)
    assert len(wishes_of(review(levels=levels), decision(), policy())) in expected


def test_a_named_job_comes_beside_an_approval_and_instead_of_a_stop() -> None:
    job = {"verb": "trigger", "target": "corrections"}
    held = review(SubjectKind.FLOW_STEP, job="j-1")
    on_approve = wishes_of(held, decision(), policy(on_approve=job))
    assert [wish.verb for wish in on_approve] == ["release_step", "trigger"]
    on_change = wishes_of(held, decision(Verdict.CHANGE, text="larger"), policy(on_change=job))
    assert [wish.verb for wish in on_change] == ["trigger"]
    on_reject = wishes_of(held, decision(Verdict.REJECT), policy(on_reject={"verb": "stop_job"}))
    assert [(wish.verb, wish.target) for wish in on_reject] == [("stop_job", "j-1")]
    of_resource = wishes_of(review(), decision(Verdict.CHANGE), policy(on_change=job))
    assert [wish.verb for wish in of_resource] == ["set_state", "trigger"]


def test_what_holds_deliveries_asks_exstream_for_nothing() -> None:
    for kind in (SubjectKind.COMMUNICATION, SubjectKind.RUN, SubjectKind.CASE):
        assert wishes_of(review(kind), decision(), policy()) == ()


def test_a_decision_that_was_read_back_is_proven_by_its_answer() -> None:
    said = Answer(ANNA, Verdict.APPROVE, "", How.MAIL, AT.astimezone(UTC), {"message_id": "18f"})
    seat = Seat(2, 0, ANNA, "Anna Ample", state=SeatState.ANSWERED, answered=said)
    stored = replace(review(), seats=(seat,))
    assert "Gmail message 18f;" in comment_of(stored, decision(evidence={}))
