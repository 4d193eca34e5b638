"""Each kind of rule finds what it is for, names where, and lets the rest pass."""

from typing import Any

import pytest
from rule_desk import Bench

from millstream.review.rules.looked import MAIL, Document

CLAUSE = """kind = "clause"
where = "documents"
text = ["You may withdraw within 14 days", "You can withdraw within a fortnight"]"""
GERMAN = 'kind = "clause"\ntext.en = ["You may withdraw"]\ntext.de = ["Sie können widerrufen"]'


@pytest.mark.parametrize(
    "page",
    [
        "You may withdraw within 14 days of its receipt.",
        "YOU MAY WITH\u00adDRAW\nwithin\u00a014\u2009days",
        "Y o u  may withdraw\u200b within 14 days",
        "You can withdraw within a fort\u00adnight.",
    ],
)
def test_a_clause_that_stands_there_is_found_however_it_is_set(bench: Bench, page: str) -> None:
    assert bench.found(CLAUSE, pages=["Dear customer,", page]) == []


def test_a_clause_over_the_end_of_a_page_is_found(bench: Bench) -> None:
    assert bench.found(CLAUSE, pages=["You may withdraw", "within 14 days."]) == []


def test_a_missing_clause_is_named_with_its_place_and_its_wording(bench: Bench) -> None:
    [found] = bench.found(CLAUSE, pages=["You may withdraw within 15 days"])
    assert (found.rule, found.pack, found.place, found.severity) == (
        "the rule",
        "letters",
        "document 'letter.pdf'",
        "error",
    )
    assert found.text == "it is missing: You may withdraw within 14 days"


def test_a_clause_in_the_mail_does_not_stand_in_the_document(bench: Bench) -> None:
    assert bench.texts(CLAUSE, mail="You may withdraw within 14 days", pages=["Hello"])


def test_without_any_document_a_clause_of_documents_is_missing(bench: Bench) -> None:
    assert bench.texts(CLAUSE) == [("documents", "it is missing: You may withdraw within 14 days")]


def test_a_clause_must_stand_in_the_letters_own_language(bench: Bench) -> None:
    assert bench.found(GERMAN, mail="Sie können jederzeit widerrufen", locale="de-DE")
    assert bench.found(GERMAN, mail="Sie können widerrufen.", locale="de-DE") == []
    assert bench.found(GERMAN, mail="You may withdraw.", locale="de-DE")
    [(place, text)] = bench.texts(GERMAN, mail="Vous pouvez vous rétracter", locale="fr-FR")
    assert place == "locale"
    assert "no wording for 'fr'" in text


def test_a_clause_in_one_form_of_the_mail_alone_is_missing(bench: Bench) -> None:
    rule = 'kind = "clause"\nwhere = "mail"\ntext = "You may withdraw"'
    both = [(MAIL, "You may withdraw."), ("mail HTML", "You may withdraw.")]
    assert bench.found(rule, mail=both) == []
    assert bench.found(rule, mail=[(MAIL, "You may withdraw."), ("mail HTML", "Hello")])


def test_a_clause_by_an_expression(bench: Bench) -> None:
    rule = "kind = 'clause'\nregex = '(?i)reference: [A-Z]{2}-\\d{6}'"
    assert bench.found(rule, mail="Your Reference:\n  ab-123456") == []
    assert bench.texts(rule, mail="none")[0][0] == MAIL


FORBIDDEN = 'kind = "forbidden"\nwords = ["guaranteed return", "risk-free", "garantiert*"]\nexcept = ["not risk-free"]'


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("We offer a guaranteed return of 5 %.", 1),
        ("a Guaranteed\nReturn; and a guaranteed return", 2),
        ("a guaran\u00adteed ret\u200burn", 1),
        ("It is risk\u2011free, and risk free", 2),
        ("It is not risk-free at all", 0),
        ("It is not risk-free. It is risk-free.", 1),
        ("guaranteed returns", 0),
        ("unguaranteed return", 0),
        ("Garantierte Zinsen", 1),
        ("guaranteed, by law: return", 0),
    ],
)
def test_forbidden_words_are_found_as_whole_words(bench: Bench, page: str, found: int) -> None:
    assert len(bench.found(FORBIDDEN, pages=["Dear customer", page])) == found


def test_a_forbidden_word_is_quoted_with_its_page(bench: Bench) -> None:
    [(place, text)] = bench.texts(FORBIDDEN, pages=["Dear customer,", "we offer a guaranteed return of five"])
    assert place == "document 'letter.pdf', page 2"
    assert text == "Dear customer we offer a **guaranteed return** of five"


def test_what_fits_a_forbidden_expression_stands_out_too(bench: Bench) -> None:
    rule = 'kind = "forbidden"\nregex = ["[0-9]+ percent"]'
    assert bench.texts(rule, mail="We *surely* pay 12 percent a year.")[0][1] == (
        "We \N{ASTERISK OPERATOR}surely\N{ASTERISK OPERATOR} pay **12 percent** a year."
    )


def test_a_forbidden_word_in_the_html_form_alone_is_found(bench: Bench) -> None:
    mail = [(MAIL, "We offer funds."), ("mail HTML", "We offer risk-free funds.")]
    assert [place for place, _ in bench.texts(FORBIDDEN, mail=mail)] == ["mail HTML"]


def test_more_of_the_same_is_counted_no_further(bench: Bench) -> None:
    found = bench.found(FORBIDDEN, mail=" ".join(f"risk-free {number}" for number in range(500)))
    assert len(found) <= 21
    assert found[-1].text == "and more of the same"


AMOUNTS = 'kind = "amounts"\nfields = ["data.balance_cents"]'


@pytest.mark.parametrize(
    ("locale", "written", "stands"),
    [
        ("de-DE", "1.234,56 €", True),
        ("de-DE", "1234,56 EUR", True),
        ("de-DE", "1,234.56 €", False),
        ("de-DE", "11.234,56 €", False),
        ("de-DE", "1.234,567", False),
        ("en-GB", "€1,234.56.", True),
        ("en-GB", "EUR 1.234,56", False),
        ("fr-FR", "1\u202f234,56 €", True),
        ("fr-FR", "1 234,56 €", True),
        ("fr-FR", "Ligne 12\n1 234,56", True),
        ("de-CH", "CHF 1\u2019234.56", True),
        ("de-CH", "CHF 1'234.56", True),
        ("de-AT", "€ 1.234,56", True),
        ("en-IN", "₹1,234.56", True),
        ("es-ES", "1234,56", True),
        ("sv-SE", "1 234,56", True),
        ("en-GB", "123456", False),
        ("en-GB", "1,234.56%", False),
        ("en-GB", "\u22121,234.56", True),
    ],
)
def test_an_amount_must_stand_as_the_locale_writes_it(bench: Bench, locale: str, written: str, *, stands: bool) -> None:
    found = bench.found(AMOUNTS, pages=[f"Balance {written}"], locale=locale, data={"balance_cents": 123456})
    assert (found == []) is stands


def test_an_amount_that_does_not_stand_there_is_named_by_its_field(bench: Bench) -> None:
    [(place, text)] = bench.texts(AMOUNTS, pages=["Saldo 1.234,65 €"], locale="de-DE", data={"balance_cents": 123456})
    assert place == "data.balance_cents"
    assert "1.234,56" in text
    assert "document 'letter.pdf'" in text


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "missing"),
        (True, "no amount"),
        ("many", "no amount"),
        (float("nan"), "no amount"),
        ("1e999999", "no amount"),
    ],
)
def test_data_that_are_no_amounts_are_found(bench: Bench, value: Any, why: str) -> None:
    [(place, text)] = bench.texts(AMOUNTS, mail="nothing", data={"balance_cents": value})
    assert place == "data.balance_cents"
    assert why in text


def test_every_amount_of_a_list_must_stand_there(bench: Bench) -> None:
    rule = 'kind = "amounts"\nfields = ["data.lines.cents"]'
    data = {"lines": [{"cents": 100}, {"cents": 250}, {"cents": 399}]}
    assert [text for _, text in bench.texts(rule, mail="1.00 and 3.99", data=data)] == [
        "€2.50 does not stand in mail text"
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("You owe €12.00", 0),
        ("You owe €12.00 and a fee of €3.50", 1),
        ("You owe €12.00 by 01.02.2025, section 4.12", 0),
        ("You owe €12.00; your rate is 3.50 %", 0),
        ("You owe €12.00, that is EUR 12,00", 1),
    ],
)
def test_no_other_amount_may_stand_beside_the_currency(bench: Bench, text: str, found: int) -> None:
    rule = 'kind = "amounts"\nfields = ["data.cents"]\nonly = true'
    assert len(bench.found(rule, mail=text, data={"cents": 1200})) == found


def test_no_other_number_with_decimals_may_stand_there_at_all(bench: Bench) -> None:
    rule = 'kind = "amounts"\nfields = ["data.cents"]\nalso = ["data.fee"]\nonly = "all"'
    assert bench.found(rule, mail="12.00 and 3.50", data={"cents": 1200, "fee": 350}) == []
    [(place, text)] = bench.texts(rule, mail="12.00 and 3.51", data={"cents": 1200, "fee": 350})
    assert (place, text[:4]) == (MAIL, "3.51")


def test_the_currency_may_come_from_the_data(bench: Bench) -> None:
    rule = 'kind = "amounts"\nfields = ["data.yen"]\ncurrency_field = "data.currency"'
    assert bench.found(rule, mail="¥1,235", data={"yen": 1235, "currency": "JPY"}) == []
    assert bench.texts(rule, mail="¥1,235", data={"yen": 1235})[0][0] == "data.currency"


def test_whole_euros_and_signs_where_a_rule_asks_for_them(bench: Bench) -> None:
    assert bench.found(f"{AMOUNTS}\nminor = false", mail="€1,200", data={"balance_cents": 1200}) == []
    assert bench.found(f"{AMOUNTS}\nsigned = true", mail="€12.00", data={"balance_cents": -1200})
    assert bench.found(f"{AMOUNTS}\nsigned = true", mail="-12.00", data={"balance_cents": -1200}) == []


DATES = 'kind = "dates"\nfields = ["data.due"]'


@pytest.mark.parametrize(
    ("locale", "written", "stands"),
    [
        ("en-GB", "3 April 2026", True),
        ("en-GB", "3rd of April, 2026", True),
        ("en-GB", "03/04/2026", True),
        ("en-US", "04/03/2026", True),
        ("en-US", "03/04/2026", False),
        ("en-US", "April 3, 2026", True),
        ("en-US", "Apr. 3rd, 2026", True),
        ("de-DE", "3. April 2026", True),
        ("de-DE", "03.04.26", True),
        ("de-DE", "3.4.2026", True),
        ("de-DE", "13.4.2026", False),
        ("fr-FR", "le 3 avril 2026", True),
        ("es-ES", "3 de abril de 2026", True),
        ("it-IT", "3 aprile 2026", True),
        ("nl-NL", "3-4-2026", True),
        ("hu-HU", "2026. április 3.", True),
        ("ja-JP", "2026年4月3日", True),
        ("sv-SE", "2026-04-03", True),
        ("en-GB", "2026-04-03", True),
        ("en-GB", "3 April 2025", False),
        ("en-GB", "23 April 2026", False),
    ],
)
def test_a_date_must_stand_as_the_locale_writes_it(bench: Bench, locale: str, written: str, *, stands: bool) -> None:
    found = bench.found(DATES, pages=[f"Due {written}."], locale=locale, data={"due": "2026-04-03"})
    assert (found == []) is stands


def test_no_other_date_may_stand_there_where_a_rule_says_so(bench: Bench) -> None:
    [(place, text)] = bench.texts(
        f"{DATES}\nonly = true", mail="3 April 2026 or 4 May 2026", data={"due": "2026-04-03"}
    )
    assert place == MAIL
    assert text.startswith("4 May 2026 is not in the data")


def test_data_that_are_no_dates_are_found(bench: Bench) -> None:
    assert "no date" in bench.texts(DATES, mail="x", data={"due": "soon"})[0][1]
    assert "missing" in bench.texts(DATES, mail="x")[0][1]
    assert bench.texts(f"{DATES}\noptional = true", mail="x") == []


AGE = "kind = 'age'\ntext = 'As of: (\\S+ \\S+ \\d{4})'\nmost_days = 365"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("As of: 1 October 2026", None),
        ("As of: 1 October 2025", "days ago"),
        ("As of: 1 October 2027", "future"),
        ("As of: no idea 2025", "no date"),
        ("Nothing", "nothing fits"),
    ],
)
def test_a_disclaimer_that_is_too_old_is_found(bench: Bench, text: str, why: str | None) -> None:
    found = bench.texts(AGE, mail=text)
    assert [why in said for _, said in found] == ([True] if why else [])


def test_the_age_may_stand_in_the_data(bench: Bench) -> None:
    rule = 'kind = "age"\nfield = "data.terms_of"\nmost_days = 30'
    assert bench.found(rule, data={"terms_of": "2026-11-01"}) == []
    assert bench.texts(rule, data={"terms_of": "2026-10-01"})[0][0] == "data.terms_of"
    assert bench.texts(rule) == [("data.terms_of", "no date is given")]


CONSENT = 'kind = "consent"\nfield = "data.consent.email"\nuntil = "data.consent.until"'


@pytest.mark.parametrize(
    ("consent", "found"),
    [
        ({"email": True}, 0),
        ({"email": True, "until": "2027-01-01"}, 0),
        ({"email": True, "until": "2026-01-01"}, 1),
        ({"email": True, "until": "always"}, 1),
        ({"email": False}, 1),
        ({"email": 1}, 1),
        ({"email": "true"}, 1),
        ({"email": [True, False]}, 1),
        ({}, 1),
        (None, 1),
    ],
)
def test_who_has_not_agreed_gets_no_mail(bench: Bench, consent: Any, found: int) -> None:
    assert len(bench.found(CONSENT, data={"consent": consent})) == found


def test_words_that_mean_yes_may_be_named(bench: Bench) -> None:
    rule = 'kind = "consent"\nfield = "data.optin"\naccepted = ["J", "double"]'
    assert bench.found(rule, data={"optin": "double"}) == []
    assert bench.found(rule, data={"optin": True})


TEXTS = {
    "en": "We are writing to you because the terms of your account will change on the first of January, and it "
    "is for you to decide if you agree with this.",
    "de": "Wir schreiben Ihnen, weil sich die Bedingungen für Ihr Konto zum ersten Januar ändern werden und Sie "
    "sich mit der Entscheidung nicht beeilen müssen, denn wir haben Zeit.",
    "fr": "Nous vous écrivons car les conditions de votre compte vont changer le premier janvier, et vous avez "
    "le choix de les accepter ou de ne pas les accepter dans les deux mois.",
    "es": "Le escribimos porque las condiciones de su cuenta cambian el primero de enero y usted puede decidir "
    "si las acepta o no en los dos meses que siguen a esta carta.",
    "it": "Le scriviamo perché le condizioni del suo conto cambiano il primo gennaio e lei può decidere se "
    "accettare o non accettare nei due mesi che seguono questa lettera.",
    "nl": "Wij schrijven u omdat de voorwaarden van uw rekening op de eerste januari zullen veranderen en u "
    "kunt zelf beslissen of u met het voorstel van de bank wordt geholpen.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_letter_in_its_own_language_passes_and_in_any_other_does_not(bench: Bench, language: str) -> None:
    for locale in TEXTS:
        found = bench.texts('kind = "language"', pages=[TEXTS[language]], locale=locale)
        assert (found == []) is (locale == language), (locale, found)


def test_of_few_words_and_of_unknown_languages_nothing_is_said(bench: Bench) -> None:
    assert bench.found('kind = "language"', mail="Rechnung der Bank", locale="en") == []
    assert bench.found('kind = "language"', mail=TEXTS["en"], locale="fi-FI") == []


def test_a_document_that_cannot_be_read_is_found_where_documents_matter(bench: Bench) -> None:
    scan = [Document("scan.pdf", problem="no text stands in it: it is a picture")]
    [first, *_] = bench.found(CLAUSE, documents=scan)
    assert (first.rule, first.place) == ("readable documents", "document 'scan.pdf'")
    assert bench.found(CONSENT, documents=scan, data={"consent": {"email": True}}) == []
    ignored = bench.found(FORBIDDEN, 'unreadable = "ignore"', documents=scan)
    assert [each.severity for each in ignored] == ["warning"]
