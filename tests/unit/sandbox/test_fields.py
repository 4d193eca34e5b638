import pytest

from millstream.sandbox.gmail.errors import BadArgument
from millstream.sandbox.gmail.fields import narrowed

DOCUMENT = {"id": "1", "payload": {"mimeType": "text/plain", "headers": [{"name": "a", "value": "b"}]}, "n": 1}


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (None, DOCUMENT),
        ("*", DOCUMENT),
        ("id", {"id": "1"}),
        ("id,n", {"id": "1", "n": 1}),
        ("payload/mimeType", {"payload": {"mimeType": "text/plain"}}),
        ("payload/headers(name)", {"payload": {"headers": [{"name": "a"}]}}),
        ("payload(mimeType,headers/value)", {"payload": {"mimeType": "text/plain", "headers": [{"value": "b"}]}}),
        ("missing", {}),
    ],
)
def test_a_mask_keeps_what_it_names(fields, kept):
    assert narrowed(DOCUMENT, fields) == kept


@pytest.mark.parametrize("fields", ["a(b", "a)", "a//b", "(a)"])
def test_a_broken_mask_is_refused(fields):
    with pytest.raises(BadArgument):
        narrowed(DOCUMENT, fields)
