"""The names that Exstream's data have for things."""

import pytest

from millstream.intake.keys import Facts, Named, attachments


def test_the_first_name_that_is_there_counts_in_any_case():
    facts = Facts({"emailaddress": "b@example.com", "CustomerEmail": " ", "EMAIL": "c@example.com"})
    assert facts.first(("CustomerEmail", "EmailAddress", "Email")) == "b@example.com"
    assert facts.first(("Fax",)) == ""


def test_the_order_of_the_setting_counts_and_not_that_of_the_data():
    facts = Facts({"Email": "second@example.com", "CustomerEmail": "first@example.com"})
    assert facts.first(("CustomerEmail", "Email")) == "first@example.com"


def test_keys_are_filled_into_texts():
    facts = Facts({"CustomerName": "Ada", "Month": "October"})
    assert facts.filled("Dear ${customername}, ${ Month } ${Nothing}!") == "Dear Ada, October !"
    assert facts.filled("100 % ${") == "100 % ${"


def test_a_value_that_looks_like_a_place_is_not_filled_in_again():
    assert Facts({"A": "${B}", "B": "secret"}).filled("${A}") == "${B}"


def test_the_vendors_own_sample_of_attachments_is_understood():
    text = "${#/queues/Print}=welcome_letter.pdf;${#/queues/invoice}=invoice.pdf;/global/X.pdf=intel.pdf"
    assert attachments(text) == (
        Named("welcome_letter.pdf", queue="Print"),
        Named("invoice.pdf", queue="invoice"),
        Named("intel.pdf", path="/global/X.pdf"),
    )


@pytest.mark.parametrize("text", ["", ";", "=", "a=", "=b", "no names here", ";;=;"])
def test_what_names_nothing_is_passed_over(text):
    assert attachments(text) == ()


def test_a_path_with_an_equals_sign_keeps_it():
    assert attachments("a=b.pdf=c.pdf") == (Named("c.pdf", path="a=b.pdf"),)
