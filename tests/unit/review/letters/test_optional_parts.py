"""One-click markup and AMP: off by default, and checked before they are used."""

from zoneinfo import ZoneInfo

import pytest
from questions import CASE, mail, offer, policy, replace

from millstream.review import amp, markup
from millstream.review.render import Extras, extras

ONE_CLICK = replace(CASE, policy=policy(rules={"one_click": True}))


def _extras(*cases: object, pages: bool = True) -> Extras:
    return extras(mail("ask", *cases), offer=offer(pages=pages), zones=lambda _: ZoneInfo("UTC"))  # type: ignore[arg-type]  # cases of the helper


def test_neither_is_made_unless_the_policy_allows_one_click() -> None:
    signed = replace(CASE, policy=policy(rules={"one_click": True, "sign_in": True}))
    for made in (_extras(CASE), _extras(signed), _extras(ONE_CLICK, pages=False)):
        assert (made.markup, made.amp) == (None, None)


def test_the_markup_confirms_by_a_post_to_the_readers_own_link() -> None:
    said = _extras(ONE_CLICK).markup
    assert said is not None
    assert markup.check(said) == ()
    html = markup.embedded("<html><head></head><body></body></html>", {**said, "description": "</script><b>"})
    assert html.count("</script>") == 1
    assert "https://answer.invalid//one-click" in html


@pytest.mark.parametrize(
    "wrong",
    [
        {"@type": "Person"},
        {"@context": "http://example.com"},
        {"potentialAction": None},
        {"potentialAction": {"@type": "ViewAction", "name": "x"}},
        {"potentialAction": {"@type": "ConfirmAction", "name": "x" * 80, "handler": {}}},
        {
            "potentialAction": {
                "@type": "ConfirmAction",
                "name": "x",
                "handler": {"@type": "HttpActionHandler", "url": "http://a.example"},
            }
        },
    ],
)
def test_markup_that_gmail_would_not_take_is_refused(wrong: dict[str, object]) -> None:
    said = {**markup.document("Approve", "May it go?"), **wrong}
    assert markup.check(said)
    with pytest.raises(ValueError, match="cannot be used"):
        markup.embedded("<head></head>", said)


def test_the_amp_part_is_one_form_with_three_answers() -> None:
    made = _extras(ONE_CLICK).amp
    assert made is not None
    assert amp.check(made) == ()
    assert made.count('type="radio"') == 3
    assert 'action-xhr="https://answer.invalid//amp"' in made


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        ("⚡4email", "", "not marked"),
        ("<h2>", "<iframe></iframe><h2>", "<iframe> is not allowed"),
        ("<h2>", "<script src='https://evil.example/x.js'></script><h2>", "not AMP's own"),
        ("<h2>", "<h2 onclick='x()'>", "onclick is not allowed"),
        ("action-xhr", "action", "does not post to action-xhr"),
        ("https://answer.invalid//amp", "http://answer.invalid/amp", "not https"),
        ("</form>", "", "closes nothing"),
        ("amp4email-boilerplate", "media=all", "neither the boilerplate"),
        ("<h2>", "<p>" + "x" * 210_000 + "</p><h2>", "are taken"),
    ],
)
def test_amp_that_gmail_would_not_take_is_named(was: str, becomes: str, fault: str) -> None:
    made = _extras(ONE_CLICK).amp
    assert made is not None
    assert any(fault in said for said in amp.check(made.replace(was, becomes, 1)))
