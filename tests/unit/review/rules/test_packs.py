"""Rule packs are checked when they are loaded, apply to what they name, and cannot be made slow."""

import time
from pathlib import Path

import pytest
from rule_desk import PACK, Bench, look_at

from millstream.review.errors import BadRulePack
from millstream.review.policy import Policy, PolicyFile
from millstream.review.rules.check import check
from millstream.review.rules.pack import Packs, load_packs

RULE = '[[rule]]\nname = "promises"\nkind = "forbidden"\nwords = ["promise"]\n'


def _policies(**changes: str) -> dict[str, Policy]:
    given = {"concerns": "case", "gate": "compliance", "stages": [{"ask": ["a"]}], "time": {"deadline": "1h"}} | changes
    return dict(PolicyFile.model_validate({"policy": {"compliance": given}}).policy)


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        ("[pack\n", "", "is no TOML"),
        (RULE, "pack", "is missing"),
        (f"{PACK}", "rule", "is missing"),
        (f'{PACK}[[rule]]\nkind = "forbidden"\nwords = ["x"]\n', "rule[1].name", "is missing"),
        (f'{PACK}[[rule]]\nname = "a"\n', "rule[1] 'a'", "lacks kind"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "magic"\n', "rule[1] 'a'", "none of age, amounts"),
        (f'{PACK}{RULE}colour = "red"\n', "rule[1] 'promises'.colour", "is no setting"),
        (f"{PACK}{RULE}{RULE}", "", "two rules named 'promises'"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "forbidden"\n', "rule[1] 'a'", "needs words or regex"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "forbidden"\nwords = ["--"]\n', "rule[1] 'a'", "no word stands"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "clause"\n', "rule[1] 'a'", "either text or regex"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "clause"\ntext = ["…"]\n', "rule[1] 'a'", "without a word"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "clause"\ntext.de = []\n', "rule[1] 'a'", "without a word"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "clause"\nregex = "(a"\n', "rule[1] 'a'.regex", "no regular expression"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "clause"\nregex = "(?=a)b"\n', "rule[1] 'a'.regex", "without looking"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "clause"\nregex = "a*"\n', "rule[1] 'a'.regex", "found everywhere"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "amounts"\nfields = ["date.x"]\n', "rule[1] 'a'.fields", "no field of a"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "amounts"\nfields = []\n', "rule[1] 'a'.fields", "at least 1"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "age"\nmost_days = 3\ntext = "x"\n', "rule[1] 'a'", "needs 1 group"),
        (f'{PACK}[[rule]]\nname = "a"\nkind = "age"\nmost_days = 3\n', "rule[1] 'a'", "either text or field"),
    ],
)
def test_what_is_wrong_with_a_pack_is_named_with_its_place(tmp_path: Path, text: str, key: str, wrong: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadRulePack) as caught:
        load_packs([path])
    [fault] = caught.value.faults
    assert (fault.file, fault.key) == (str(path), key)
    assert wrong in fault.wrong


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00" * 100, b"[" * 100_000, b"a = " + b"[" * 5_000])
def test_rubbish_is_a_fault_and_no_crash(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    with pytest.raises(BadRulePack):
        load_packs([path, tmp_path / "none.toml", tmp_path])


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / "a.toml", tmp_path / "b.toml"]
    for path in paths:
        path.write_text(f"{PACK}{RULE}oops = 1\nmore = 2\n", encoding="utf-8")
    with pytest.raises(BadRulePack) as caught:
        load_packs(paths)
    assert len(caught.value.faults) == 4
    assert "rules.md" in str(caught.value)


def test_a_pack_names_a_policy_of_compliance(bench: Bench) -> None:
    path = bench.written(RULE)
    assert load_packs([path], _policies()).files
    with pytest.raises(BadRulePack, match="which no policy file has"):
        load_packs([path], {})
    with pytest.raises(BadRulePack, match="gate approval"):
        load_packs([path], _policies(gate="approval"))
    with pytest.raises(BadRulePack, match="concerns resource"):
        load_packs([path], _policies(concerns="resource"))


def test_two_packs_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.toml", tmp_path / "b.toml"]
    for path in paths:
        path.write_text(f"{PACK}{RULE}", encoding="utf-8")
    with pytest.raises(BadRulePack, match=r"is the name of .*a\.toml too"):
        load_packs(paths)


@pytest.mark.parametrize(
    ("head", "letter", "applies"),
    [
        ("", {}, True),
        ('types = ["offer"]', {}, False),
        ('types = ["regulatory_*"]', {}, True),
        ('jurisdictions = ["DE", "AT"]', {"locale": "de-AT"}, True),
        ('jurisdictions = ["DE"]', {"locale": "de-AT"}, False),
        ('jurisdictions = ["DE"]', {"locale": "de-AT", "source": {"jurisdiction": "DE"}}, True),
        ('jurisdictions = ["US"]', {"source": {"jurisdiction": "US-CA"}}, True),
        ('jurisdictions = ["US-CA"]', {"source": {"jurisdiction": "US-NY"}}, False),
        ('jurisdictions = ["FR"]\njurisdiction = "data.law"', {"data": {"law": "FR"}}, True),
        ('jurisdictions = ["DE"]', {"locale": "de"}, True),
    ],
)
def test_rules_apply_to_the_types_and_laws_they_name(
    bench: Bench, head: str, letter: dict[str, object], *, applies: bool
) -> None:
    packs = load_packs([bench.written(RULE, head)])
    assert bool(check(packs, look_at(mail="We promise.", **letter))) is applies  # type: ignore[arg-type]  # a test's table


def test_a_letter_that_falls_under_no_known_law_is_held_and_says_so(bench: Bench) -> None:
    packs = load_packs([bench.written(RULE, 'jurisdictions = ["DE"]')])
    [found] = check(packs, look_at(mail="Nothing", locale="de"))
    assert found.holds
    assert found.findings[0].place == "source.jurisdiction"


def test_a_rules_own_types_come_before_the_packs(bench: Bench) -> None:
    packs = load_packs([bench.written(f'{RULE}types = ["offer"]\n', 'types = ["regulatory_letter"]')])
    assert check(packs, look_at(mail="We promise.")) == ()
    assert check(packs, look_at(mail="We promise.", type="offer"))


def test_a_warning_alone_holds_nothing(bench: Bench) -> None:
    packs = load_packs([bench.written(f'{RULE}severity = "warning"\n')])
    [found] = check(packs, look_at(mail="We promise."))
    assert not found.holds
    assert [each.severity for each in found.findings] == ["warning"]


def test_documents_are_not_read_where_no_rule_asks(bench: Bench) -> None:
    packs = load_packs(
        [bench.written(f'{RULE}where = "mail"\n[[rule]]\nname = "c"\nkind = "consent"\nfield = "data.ok"\n')]
    )
    looked = look_at(mail="Hello", data={"ok": True})
    object.__setattr__(looked, "documents", lambda: pytest.fail("they were read"))
    assert check(packs, looked) == ()
    assert Packs().for_type("x") == ()


def test_a_rule_that_cannot_be_checked_holds_the_letter(bench: Bench) -> None:
    packs = load_packs(
        [bench.written('[[rule]]\nname = "d"\nkind = "dates"\nfields = ["data.due"]\nseverity = "warning"\n')]
    )
    [found] = check(packs, look_at(mail="3 April 2026", locale="xx-XX", data={"due": "2026-04-03"}))
    assert found.holds
    assert found.findings[0].text.startswith("the rule could not be checked: ValueError")


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|aa)+b", "(.*)*x", "([a-z]+)*=", "(x+x+)+y"])
def test_an_expression_that_hangs_others_takes_its_time_from_the_text_alone(bench: Bench, expression: str) -> None:
    packs = load_packs([bench.written(f"[[rule]]\nname = 'a'\nkind = 'clause'\nregex = '{expression}'\n")])
    began = time.perf_counter()
    check(packs, look_at(mail="a" * 200_000 + "!" + "x" * 200_000 + "!"))
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "text",
    ["1 " * 200_000, "1.1," * 200_000, "1 234 " * 100_000, "123 " * 100_000, "3 April " * 50_000, "a\u0300" * 300_000],
)
def test_a_text_made_to_be_slow_is_not(bench: Bench, text: str) -> None:
    rules = (
        '[[rule]]\nname = "a"\nkind = "amounts"\nfields = ["data.a"]\nonly = "all"\n'
        '[[rule]]\nname = "d"\nkind = "dates"\nfields = ["data.d"]\nonly = true\n'
        '[[rule]]\nname = "l"\nkind = "language"\n' + RULE
    )
    packs = load_packs([bench.written(rules)])
    began = time.process_time()
    for locale in ("fr-FR", "en-US"):
        check(packs, look_at(mail=text, locale=locale, data={"a": 100, "d": "2026-01-01"}))
    assert time.process_time() - began < 20


def test_a_finding_is_one_short_line_that_the_ledger_can_keep(bench: Bench) -> None:
    packs = load_packs([bench.written(RULE)])
    [found] = check(packs, look_at(mail="x\x00" * 500 + "\nwe promise\n\x00" + "y" * 1000))
    for finding in found.findings:
        assert len(finding.text) <= 300
        assert "\x00" not in finding.text
        assert "\n" not in finding.text
