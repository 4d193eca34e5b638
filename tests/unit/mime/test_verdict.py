"""Who vouches for a sender, and that nobody but the receiving server can say so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.mime import Headers, Signed, Verdict, read_verdict

OURS = ("mx.google.com",)
TRACE = (
    ("Delivered-To", "review@bank.example"),
    ("Received", "by 2001:db8::1 with SMTP id c7csp; Tue, 3 Nov 2026 09:15:02 -0800 (PST)"),
    ("Return-Path", "<boss@bank.example>"),
    ("Received", "from mail.bank.example (mail.bank.example. [192.0.2.41]) by mx.google.com with ESMTPS id d7; Tue"),
)
PASS = "mx.google.com; dkim=pass header.i=@bank.example; spf=pass smtp.mailfrom=boss@bank.example; dmarc=pass header.from=bank.example"  # noqa: E501  one field
FAIL = PASS.replace("pass", "fail")
FROM = ("From", "Boss <boss@bank.example>")


def verdict(*fields: tuple[str, str], ids: tuple[str, ...] = OURS) -> Verdict:
    return read_verdict(Headers(fields), ids)


def test_every_part_of_a_verdict_is_told():
    assert verdict(*TRACE, ("Authentication-Results", PASS), FROM) == Verdict(
        passed=True,
        why="DMARC passed for bank.example.",
        domain="bank.example",
        authserv_id="mx.google.com",
        spf=Signed("pass", "bank.example"),
        dkim=(Signed("pass", "bank.example"),),
        dmarc="pass",
        header_from="bank.example",
        aligned=True,
    )


def test_a_verdict_counts_above_the_servers_own_line_too():
    top = ("Authentication-Results", PASS)
    assert verdict(top, *TRACE, FROM).passed
    assert not verdict(top, FROM).passed
    assert not verdict(top, ("Received", "from a by mx.other.example; Tue"), FROM).passed


@pytest.mark.parametrize(
    "between",
    [
        ("Received", "from evil.test by relay.evil.test; Tue"),
        ("Received", "by relay.evil.test; Tue"),
        ("Received", "from evil.test by mx.google.com; Tue"),
    ],
)
def test_a_verdict_below_the_next_server_is_the_senders_own(between):
    assert not verdict(*TRACE, between, ("Authentication-Results", PASS), FROM).passed


def test_the_server_is_known_by_its_whole_name_in_any_case():
    for name in ("mx.google.com.evil.test", "google.com", "xmx.google.com", '"mx.google.com"', "(mx.google.com) evil"):
        assert not verdict(*TRACE, ("Authentication-Results", PASS.replace("mx.google.com", name)), FROM).passed
    assert verdict(*TRACE, ("authentication-results", PASS.replace("mx", "MX")), FROM, ids=("Mx.Google.Com",)).passed


@pytest.mark.parametrize(
    "senders",
    [
        ("From", ""),
        ("From", "Boss"),
        ("From", "boss@bank.example, eve@evil.test"),
        ("From", "boss@bank.example <eve@evil.test> <boss@bank.example>"),
        ("From", "Boss <boss@bank.example"),
        ("From", "<@evil.test:boss@bank.example>"),
        ("From", '"Boss <boss@bank.example>'),
        ("From", "boss@bank.example\u200b"),
        ("From", "boss@ban\u212a.example"),
        ("From", "boss@bank.example.evil.test"),
        ("From", "boss@sub.bank.example"),
    ],
)
def test_whoever_is_not_exactly_the_sender_that_passed_has_failed(senders):
    assert not verdict(*TRACE, ("Authentication-Results", PASS), senders).passed


def test_alignment_is_by_organisation_and_stops_at_public_suffixes():
    signed = "mx.google.com; dkim=pass header.i=@{}"
    for domain, sender, aligned in [
        ("mail.bank.example", "bank.example", True),
        ("bank.example", "mail.bank.example", True),
        ("a.bank.example", "b.bank.example", True),
        ("bank.example", "notbank.example", False),
        ("evil.co.uk", "bank.co.uk", False),
        ("co.uk", "bank.co.uk", False),
        ("one.github.io", "github.io", False),
        ("example", "bank.example", False),
    ]:
        found = verdict(*TRACE, ("Authentication-Results", signed.format(domain)), ("From", f"a@{sender}"))
        assert (domain, sender, found.passed, found.aligned) == (domain, sender, aligned, aligned)


def test_spf_alone_and_a_broken_signature_are_not_enough():
    for results in (
        "spf=pass smtp.mailfrom=boss@bank.example",
        "dkim=fail header.i=@bank.example; spf=pass smtp.mailfrom=bank.example",
        "dkim=pass header.i=@bank.example; dmarc=fail header.from=bank.example",
        "dkim=pass header.i=@bank.example; dmarc=temperror header.from=bank.example",
        "dkim=pass header.i=@bank.example; dmarc=pass header.from=evil.test",
        "dmarc=pass",
        "none",
        "",
    ):
        assert not verdict(*TRACE, ("Authentication-Results", f"mx.google.com; {results}"), FROM).passed


ATOMS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=60)
FORGED = st.lists(
    st.tuples(st.sampled_from(["Authentication-Results", "Received", "From", "X-A", "Return-Path"]), TEXTS)
    | st.sampled_from([("Authentication-Results", PASS), TRACE[3], TRACE[1], FROM]),
    max_size=6,
)


@given(FORGED)
def test_nothing_below_a_failed_verdict_makes_it_pass(forged):
    assert not verdict(*TRACE, ("Authentication-Results", FAIL), *forged, FROM).passed


@given(TEXTS)
def test_any_text_can_stand_in_a_verdict_without_an_error(text):
    found = verdict(*TRACE, ("Authentication-Results", f"mx.google.com; {text}"), FROM)
    assert found.domain == "bank.example"
    assert found.why.endswith(".")


LOCALS = st.lists(
    st.sampled_from(
        [*'();="\\@ .a', "dmarc=pass header.from=bank.example", ") ; dmarc=pass header.from=bank.example ("]
    ),
    max_size=12,
).map("".join)


@given(LOCALS)
def test_a_quoted_sender_smuggles_no_result_in(local):
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    for written in (escaped, local):
        sender = f'"{written}"@evil.test'
        checks = f"spf=pass (google.com: domain of {sender} designates 192.0.2.1 as permitted) smtp.mailfrom={sender}"
        assert not verdict(*TRACE, ("Authentication-Results", f"mx.google.com; {checks}"), FROM).passed
        failed = f"mx.google.com; {checks}; dmarc=fail header.from=bank.example"
        assert not verdict(*TRACE, ("Authentication-Results", failed), FROM).passed


COMMENTS = st.lists(
    st.sampled_from(["(a)", " ", "\t", "(a (b; dmarc=fail) c)", "(\\))", "\r\n  "]), min_size=6, max_size=6
)


@given(ATOMS, COMMENTS)
def test_comments_blanks_and_folds_change_nothing(selector, gaps):
    one, two, three, four, five, six = gaps
    value = (
        f"{one}mx.google.com {two};{three}dkim{four}={five}pass header.i=@bank.example header.s={selector};"
        f"{six}dmarc=pass (p=NONE) header.from=bank.example{one}"
    )
    plain = "mx.google.com; dkim=pass header.i=@bank.example; dmarc=pass header.from=bank.example"
    expected = verdict(*TRACE, ("Authentication-Results", plain), FROM)
    assert expected.passed
    assert verdict(*TRACE, ("Authentication-Results", value), FROM) == expected
