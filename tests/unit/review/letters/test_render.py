"""What a mail says to its reader, by structure and not by bytes."""

import re
import unicodedata
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from questions import ANSWER_LINK, AT, CASE, LANGUAGES, mail, policy, replace, sitter, written

from millstream.composer.errors import MailTooLarge
from millstream.composer.notice import review_notices
from millstream.review.machine import start, step
from millstream.review.marked import marked
from millstream.review.model import Answered, Content, How, Overruled, Reassigned, Refusal, Verdict
from millstream.review.people import People
from millstream.review.policy import EMPTY, Policy
from millstream.review.showing import Line, Shown

BOSS = "boss@bank.example"
BERLIN = ZoneInfo("Europe/Berlin")
DECIDED = {"verdict": "reject", "by": "ben@bank.example", "name": "Ben Ample", "how": "mail", "at": AT.isoformat()}
TOLD: dict[str, dict[str, Any]] = {
    "decided": {**DECIDED, "text": "The fee is wrong."},
    "superseded": {"round": 1, "by_round": 2},
    "withdrawn": {"why": "enough have approved"},
    "cancelled": {"by": "ops@bank.example", "why": "the run was cancelled"},
    "handed_on": {"to": "carl@bank.example", "name": "Carl Ample"},
    "overdue": {},
    "refused": {"error": "EWS-17: the resource is locked by jdoe", "action": "Have it checked in.", "step": 77},
    "unclear": {},
    "done": {},
    "something new": {},
}
WHYS = tuple(review_notices().words("en").texts["question"])


def _paths(texts: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in texts.items():
        found |= _paths(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _lines(html: str) -> list[str]:
    bare = re.sub(r"(?s)<(style|script|title)[^>]*>.*?</\1>|<!--.*?-->", "", html)
    text = unescape(re.sub(r"<[^>]+>", "", re.sub(r"<br */?>|</(?:p|td|h1|h2|h3|div|a|del|ins|b|span)>", "\n", bare)))
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_and_fills_the_same_fields(language: str) -> None:
    own, english = (_paths(dict(review_notices().words(tag).texts)) for tag in (language, "en"))
    assert own.keys() == english.keys()
    for path, text in own.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[path])), path


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["ask", "remind", "climb"])
def test_a_question_says_what_until_when_with_whom_and_how_to_answer(language: str, kind: str) -> None:
    made = written(mail(kind, locale=language))
    words = review_notices().words(language)
    assert made.subject == words.say("subject.one", id=4711, name="Terms 2027")
    for part in (made.text, unescape(made.html)):
        for said in (
            words.say("asked.communication"),
            words.moment(CASE.deadline, BERLIN),
            "C-4711-0017",
            "withdrawal",
            words.say("person.waiting", name="Carl Ample"),
            words.say("label.hash", hash="3f2a9c000000"),
            words.say("answer.words.approve"),
        ):
            assert said in part
    for verdict in Verdict:
        assert f'href="{ANSWER_LINK}?choose={verdict}"' in made.html
    assert made.text.count(ANSWER_LINK) == 1
    assert len(made.html.encode()) < 30_000


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("what", TOLD)
def test_whatever_is_told_is_told_in_every_language(language: str, what: str) -> None:
    made = written(mail("tell", locale=language, what=what, **TOLD[what]))
    assert "{" not in made.text
    for name in ("text", "why", "error", "action", "name"):
        if what != "something new" and isinstance(said := TOLD[what].get(name), str) and what != "withdrawn":
            assert said in made.text
    assert (ANSWER_LINK in made.text) == (what == "overdue")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("why", [*WHYS, "never heard of"])
def test_a_reply_that_does_not_count_is_answered_politely(language: str, why: str) -> None:
    told = {"needs": "words", **DECIDED}
    made = written(
        mail("question", locale=language, why=why, words="hm <b>\nperhaps", told=told, **{"from": "x@mail.example"})
    )
    assert "> hm <b>\n> perhaps" in made.text
    assert "<b>\nperhaps" not in made.html
    assert "{" not in made.text
    assert (ANSWER_LINK in made.text) == (why != "stranger")


def _refused() -> dict[str, Refusal]:
    """What the machine can refuse for want of something, by what is wanted."""
    rights = {"may_overrule": (BOSS,), "may_reassign": (BOSS,)}
    rules = {"by_mail": False}
    given = policy().model_dump(by_alias=True) | {"people": rights, "rules": rules}
    strict, who = Policy.model_validate(given), People(EMPTY)
    review, _ = start(strict, CASE.subject, CASE.content, who=who, now=AT)
    asked = review.seats[0].address
    happenings = (
        Answered(asked, Verdict.REJECT, "", How.COMMAND, 1, CASE.content.hash),
        Answered(asked, Verdict.CHANGE, "", How.COMMAND, 1, CASE.content.hash),
        Answered(asked, Verdict.APPROVE, "", How.MAIL, 1, CASE.content.hash),
        Answered(asked, Verdict.APPROVE, "", How.ONE_CLICK, 1, CASE.content.hash),
        Overruled(asked, Verdict.APPROVE, "so", How.COMMAND),
        Reassigned(asked, BOSS, "x@mail.example"),
        Reassigned(asked, "x@mail.example", BOSS),
    )
    found = [step(review, each, strict, who=who, now=AT) for each in happenings]
    assert all(isinstance(each, Refusal) and each.why == "not_allowed" for each in found), found
    return {str(each.told["needs"]): each for each in found if isinstance(each, Refusal)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_an_answer_lacks_is_said_in_the_language_of_its_reader(language: str) -> None:
    refused = _refused()
    assert len(refused) == 7
    english, own = (review_notices().words(tag).texts["needs"] for tag in ("en", language))
    for needs, refusal in refused.items():
        made = written(mail("question", locale=language, why=refusal.why, told=dict(refusal.told)))
        assert own[needs] in made.text
        assert language == "en" or english[needs] not in made.text
    assert set(own) == set(english)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_of_ours_is_one_of_the_words_that_answer(language: str) -> None:
    answers = {
        word.casefold() for tag in LANGUAGES for word in review_notices().words(tag).texts["answer"]["words"].values()
    }
    mails = [mail(kind, locale=language) for kind in ("ask", "remind", "climb")]
    mails += [mail("tell", locale=language, what=what, **TOLD[what]) for what in TOLD]
    mails += [mail("question", locale=language, why=why) for why in WHYS]
    for each in mails:
        made = written(each)
        for line in (*made.text.splitlines(), *_lines(made.html)):
            bare = "".join(sign for sign in line.casefold() if unicodedata.category(sign)[0] in "LNZ").strip()
            assert bare not in answers, line


def test_markup_in_what_others_wrote_stays_text() -> None:
    evil = "<script>alert(1)</script>{{ 7 * 7 }}"
    content = Content(
        "0" * 64, facts={"customer": evil, evil: evil}, text=evil, findings=({"rule": evil, "text": evil},)
    )
    made = written(mail("ask", replace(CASE, content=content, subject=replace(CASE.subject, name=evil))))
    assert "<script>alert" not in made.html
    assert "{{ 7 * 7 }}" in made.html


def test_without_pages_a_mail_offers_none() -> None:
    made = written(mail(), pages=False)
    assert ANSWER_LINK not in made.text + made.html
    assert "reply to this mail" in made.text


@pytest.mark.parametrize("rules", [{"by_mail": False}, {"sign_in": True}])
def test_where_a_mail_is_no_answer_it_says_so(rules: dict[str, Any]) -> None:
    made = written(mail("ask", replace(CASE, policy=policy(rules=rules))))
    assert "does not count here" in made.text
    assert "approved" not in made.text
    assert ("asks you to sign in" in made.text or "ask you to sign in" in made.text) == ("sign_in" in rules)


def test_a_reader_whose_language_is_not_understood_is_told_words_that_are() -> None:
    case = replace(CASE, policy=policy(mail={"languages": ["de"]}))
    assert "“genehmigt”" in written(mail("ask", case, locale="en-GB")).text


def test_of_something_sensitive_no_customer_and_no_text_is_shown() -> None:
    terms = policy(mail={"sensitive": {"types": ["regulatory_*"]}})
    made = written(mail("ask", replace(CASE, policy=terms, content=replace(CASE.content, text="Dear Anna"))))
    for part in (made.subject, made.text, made.html):
        for secret in ("C-4711-0017", "12,500", "Dear Anna", "is missing", "Terms 2027"):
            assert secret not in part
    assert "•••17" in made.text


def test_a_new_round_shows_what_changed() -> None:
    case = replace(CASE, round=2, round_now=2, before=(1, CASE.content))
    made = written(mail("ask", case), Shown(changes=(Line("Page 1", "10", "12"), Line(note="New document: b.pdf"))))
    assert "This is round 2" in made.text
    assert "Page 1: [- 10 -] [+ 12 +]" in made.text
    assert ">10</del>" in made.html
    assert ">12</ins>" in made.html
    assert "New document: b.pdf" in made.html


def test_a_forbidden_word_stands_out_in_text_and_html() -> None:
    found = {"rule": "promises", "place": "page 1", "text": "we offer a **guaranteed <b>** return", "severity": "error"}
    made = written(mail("ask", replace(CASE, content=replace(CASE.content, findings=(found,)))))
    assert "promises, page 1: we offer a **guaranteed <b>** return" in made.text
    assert ">guaranteed &lt;b&gt;</b> return" in made.html
    assert "**" not in made.html


def test_however_little_is_shown_of_a_finding_the_word_is() -> None:
    text = f"{'before ' * 20}**guaranteed** {'after ' * 20}"
    for most in (30, 60, 80, 160):
        shown = str(marked(text, most))
        assert "**guaranteed**" in shown
        assert len(shown) <= most
    assert str(marked(text, 1_000)) == text
    assert str(marked("no mark " * 40, 60)).endswith("…")


def test_a_bundle_of_a_hundred_cases_is_not_cut_off_by_gmail() -> None:
    findings = tuple({"rule": f"rule {n}", "place": "page " * 20, "text": "long words " * 30} for n in range(30))
    facts = {f"field {n}": "value " * 50 for n in range(30)}
    content = replace(CASE.content, findings=findings, facts=facts, text="x" * 9_000)
    cases = [replace(CASE, number=n, id=n, content=content) for n in range(1, 101)]
    made = written(mail("bundle", *cases))
    assert len(made.html.encode()) < 100_000
    for number in (1, 57, 100):
        assert f"Case {number}: Terms 2027" in made.text
        assert f"Case {number}: Terms 2027" in made.html
    assert "1 approved, 2 no" in made.text


def test_what_can_not_be_made_small_enough_is_refused() -> None:
    with pytest.raises(MailTooLarge):
        written(mail("bundle", *[replace(CASE, number=n, id=n) for n in range(1, 400)]))


def test_a_conversation_keeps_its_subject() -> None:
    assert written(mail("remind"), subject="Re: Review 4711: Terms").subject == "Re: Review 4711: Terms"


def test_people_beyond_twenty_are_counted() -> None:
    people = (*CASE.sitters, *[sitter(10 + n, f"P{n}") for n in range(40)])
    assert "and 22 more" in written(mail("ask", replace(CASE, sitters=people))).text
