"""A customer of Exstream becomes a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.communication.entries import Reject
from millstream.intake.customer import CustomerOutputs, OutputFile
from millstream.intake.errors import NotYet, Unfit
from millstream.intake.handed import HandingOptions, Reader, handed
from millstream.intake.inside import Inside
from millstream.intake.keys import KeyNames
from millstream.intake.outputs import OutputRules, Rule
from millstream.intake.ports import Arrival

FILES = (OutputFile("h", "H"), OutputFile("p", "P"))
FACTS = {"CustomerId": "C-1", "CustomerEmail": "ada@example.com", "CustomerName": "Ada Byron"}


@pytest.fixture
def hand(tmp_path):
    (tmp_path / "h").write_bytes(b"<html><p>Hello</p></html>")
    (tmp_path / "p").write_bytes(b"%PDF-1.7 %%EOF")

    def make(facts=None, files=FILES, *, patient=False, age=100.0, **options):
        customer = CustomerOutputs(3, 12, FACTS | (facts or {}), files)
        with Inside(tmp_path) as inside:
            now = (tmp_path / "h").stat().st_mtime + age
            reader = Reader(inside, HandingOptions(**options), patient, clock=lambda: now)
            return handed(customer, reader, consignment=7)

    return make


def record(arrival: Arrival | Reject):
    assert isinstance(arrival, Arrival)
    return arrival.record


def test_facts_become_fields(hand):
    copies = "bob@example.com; Eve <eve@example.net>"
    given = {"Cc": copies, "Language": "de_AT", "DocumentType": "Monthly Statement", "CampaignId": "o/10"}
    found = hand(given)
    made = record(found)
    assert (made.key, made.customer.id) == ("C-1", "C-1")
    assert (made.recipient.address, made.recipient.name) == ("ada@example.com", "Ada Byron")
    assert [(each.address, each.name) for each in made.cc] == [("bob@example.com", None), ("eve@example.net", "Eve")]
    assert (made.locale, made.type, made.stream, made.subject) == ("de_AT", "Monthly-Statement", "o-10", "Ada Byron")
    assert (found.line, found.consignment) == (12, 7)
    assert made.source["x.CustomerEmail"] == "ada@example.com"
    assert made.source["customer_in_run"] == 3


def test_a_customer_without_a_number_of_its_own_is_known_by_its_place(hand):
    assert record(hand({"CustomerId": " "})).key == "3"


def test_what_is_no_locale_and_no_type_gives_way_to_the_defaults(hand):
    made = record(
        hand({"Locale": "German (Austria)", "DocumentType": "***"}, type="letter", locale="fr-FR", stream="s")
    )
    assert (made.locale, made.type, made.stream) == ("fr-FR", "letter", "s")


def test_a_key_of_its_own_and_a_date_of_birth_are_found_by_name(hand):
    keys = KeyNames(key=("DocId",), birth_date=("Born",))
    made = record(hand({"DocId": "D-9", "Born": "1985-12-10"}, keys=keys))
    assert (made.key, made.customer.birth_date) == ("D-9", "1985-12-10")
    assert "x.Born" not in made.source
    assert record(hand({"Born": "10.12.1985"}, keys=keys)).customer.birth_date is None


def test_without_html_the_text_is_the_settings(hand):
    made = record(hand(files=(OutputFile("p", "P"),), text="Dear ${CustomerName}"))
    assert (made.text, made.html_path) == ("Dear Ada Byron", None)


def test_a_text_by_rule_is_the_body(hand, tmp_path):
    (tmp_path / "t").write_bytes("Größe".encode("cp1252"))
    rules = OutputRules((Rule("body", media="text/plain"),))
    assert record(hand(files=(OutputFile("t"),), rules=rules)).text == "Größe"


def test_where_it_stands_is_no_part_of_what_it_is(hand):
    assert hand({"CustomerInRun": "1"}).digest == hand({"CustomerInRun": "2"}).digest
    assert hand({"EmailSubject": "a"}).digest != hand({"EmailSubject": "b"}).digest


def test_only_what_is_used_is_carried_along(hand, tmp_path):
    (tmp_path / "z").write_bytes(b"PK\x03\x04" + b"x" * 1000)
    assert set(hand(files=(*FILES, OutputFile("z", "Archive"))).files) == {"h", "p"}


def test_a_file_that_only_the_attachments_name_is_attached(hand, tmp_path):
    (tmp_path / "terms.pdf").write_bytes(b"%PDF-1.7 %%EOF")
    made = record(hand({"attachments": "terms.pdf=Terms.pdf;${#/queues/P}=Letter.pdf"}))
    assert [(each.name, each.path) for each in made.documents] == [("Letter.pdf", "p"), ("Terms.pdf", "terms.pdf")]


def test_what_is_missing_is_waited_for_or_held(hand):
    files = (*FILES, OutputFile("none", "P"))
    with pytest.raises(NotYet, match=r"customer C-1, line 12: there is no file 'none'"):
        hand(files=files, patient=True)
    found = hand(files=files)
    assert isinstance(found.files["none"], Unfit)


def test_what_was_just_written_is_waited_for(hand):
    with pytest.raises(NotYet, match="may not be whole yet"):
        hand(patient=True, age=0.5)
    record(hand(patient=True, age=5))


def test_nothing_to_send_and_two_bodies_are_rejected_by_name(hand, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    nothing = hand(files=(OutputFile("empty"),))
    assert isinstance(nothing, Reject)
    assert (nothing.line, nothing.customer, nothing.consignment) == (12, "C-1", 7)
    assert "none of its output files" in nothing.problem
    (tmp_path / "h2").write_bytes(b"<html>")
    both = hand(files=(*FILES, OutputFile("h2")))
    assert "'h' and 'h2' would both be" in both.problem


NAMES = ["CustomerId", "CustomerEmail", "CustomerName", "EmailSubject", "Cc", "Locale", "attachments", "x"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=600)))
def test_whatever_stands_in_the_facts_it_is_a_record_or_a_reject(tmp_path_factory, facts):
    folder = tmp_path_factory.mktemp("in")
    (folder / "h").write_bytes(b"<html>")
    with Inside(folder) as inside:
        found = handed(CustomerOutputs(1, 1, facts, FILES[:1]), Reader(inside, HandingOptions(), patient=False))
    assert isinstance(found, Arrival | Reject)
