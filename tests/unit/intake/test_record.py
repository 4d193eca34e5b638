"""A record is read strictly, and what is wrong is said in a sentence that helps to mend it."""

import pytest

from millstream.intake.errors import RecordProblem
from millstream.intake.record import fields, read_record


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipent": {}}, "recipent is not a field of a driver; did you mean recipient?"),
        (
            {"recipient": {"adress": "x"}},
            "recipient.adress is not a field of a driver; did you mean recipient.address?",
        ),
        ({"birth_date": "2000-01-01"}, "did you mean customer.birth_date?"),
        ({"zzz": 1}, "the fields there are key, type, customer"),
        ({"customer": {"id": 17}}, "customer.id must be text, in double quotes"),
        ({"customer": "C-17"}, "customer must be an object"),
        ({"customer": {"id": "1", "birth_date": "3.4.1980"}}, "customer.birth_date must be a date as YYYY-MM-DD"),
        ({"type": None}, "type is missing"),
        ({"key": ""}, "key should have at least 1 character"),
        ({"key": "a\nb"}, "key must stand on one line"),
        ({"key": "k" * 201}, "key should have at most 200 characters"),
        ({"locale": "deutsch!"}, "locale must be a language tag"),
        ({"locale": "en\n"}, "locale must be a language tag"),
        ({"stream": "a:b"}, "stream may hold letters, digits"),
        ({"text": None}, "the record lacks text; add it, or name a template"),
        ({"template": "statement"}, "has both template and subject, text"),
        ({"documents": [{"name": "a.pdf"}]}, "documents[0] needs exactly one of content, path and compose"),
        ({"documents": [{"path": "a", "content": ""}]}, "documents[0] needs exactly one of"),
        ({"documents": [{"content": ""}]}, "documents[0] needs a name"),
        ({"documents": [{"compose": "x", "media_type": "text/csv"}]}, "can only be application/pdf"),
        ({"documents": [{"path": "a", "nmae": "b"}]}, "documents[0].nmae is not a field of a driver; did you mean"),
        ({"documents": [{"path": "a", "media_type": "pdf"}]}, "documents[0].media_type must be a media type"),
        ({"source": {"job": [1]}}, "source.job must be text"),
        ({"data": []}, "data must be an object"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_do(record, changes, sentence):
    with pytest.raises(RecordProblem) as caught:
        read_record(record(**changes))
    assert sentence in str(caught.value)


def test_the_key_of_a_wrong_record_is_kept(record):
    with pytest.raises(RecordProblem) as caught:
        read_record(record(key="K", extra=1))
    assert caught.value.key == "K"


def test_many_faults_are_counted_and_not_all_told():
    with pytest.raises(RecordProblem, match="key is missing; type is missing; customer is missing; and 1 more"):
        read_record({})


def test_no_value_of_a_record_stands_in_its_sentence(record):
    with pytest.raises(RecordProblem) as caught:
        read_record(record(customer={"id": "1", "birth_date": "secret"}, password=7))
    assert "secret" not in str(caught.value)


def test_a_template_brings_its_document_unless_documents_are_named(record):
    body = {"subject": None, "text": None, "template": "statement", "data": {}}
    assert [each.compose for each in read_record(record(**body)).record.entries()] == ["statement"]
    assert read_record(record(**body, documents=[])).record.entries() == ()


def test_every_field_is_described():
    assert [name for name, info in fields() if not info.description] == []
