"""Every written message is read as the file beside it says."""

import pytest
from written_mail import FOLDER, NAMES, Written, said

SETTINGS = {"authserv_ids", "own_lists"}


@pytest.mark.parametrize("name", NAMES)
def test_a_written_message_is_read_as_expected(name):
    written = Written.of(name)
    reading = written.read()
    wanted = {key: value for key, value in written.expected.items() if key not in SETTINGS}
    problem = wanted.pop("problem", None)
    found = said(reading)
    assert {key: found[key] for key in wanted} == wanted
    assert problem is None or problem in reading.problem
    assert reading.evidence or reading.kind not in ("auto_reply", "own", "bulk")


def test_the_corpus_is_whole_and_each_message_differs():
    written = (path for path in FOLDER.rglob("*.toml") if path.parent.name != "answers")  # those are words, no mails
    stray = [path for path in written if not path.with_suffix(".eml").exists()]
    assert stray == []
    assert len(NAMES) >= 120
    assert len({Written.of(name).message for name in NAMES}) == len(NAMES)
    assert {str(Written.of(name).read().kind) for name in NAMES} == {
        "bounce",
        "limit_notice",
        "auto_reply",
        "own",
        "bulk",
        "reply",
        "unreadable",
    }
