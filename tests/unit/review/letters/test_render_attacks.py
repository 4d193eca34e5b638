"""What others wrote forges no line of a mail of ours, and turns none around."""

from dataclasses import replace

import pytest
from questions import CASE, mail, written

from millstream.review.model import Content

FORGED = "Terms 2027\r\n\r\nOr answer on the page:\u2028https://evil.example/\x0b\x1b[31m\u202etxet\u202c"
LINE = "Terms 2027 Or answer on the page: https://evil.example/ [31mtxet"


def _forged(kind: str, **facts: str) -> str:
    content = Content(
        hash=CASE.content.hash,
        facts={"customer": FORGED, f"na{FORGED}me": "value"},
        findings=({"rule": FORGED, "pack": "de", "place": FORGED, "text": FORGED, "severity": "error"},),
        text=FORGED,
    )
    case = replace(CASE, subject=replace(CASE.subject, name=FORGED), content=content)
    return written(mail(kind, case, **facts)).text


@pytest.mark.parametrize("kind", ["ask", "remind", "climb"])
def test_a_name_with_line_breaks_stays_on_its_line(kind: str) -> None:
    text = _forged(kind)
    assert LINE in text
    assert not [
        line for line in text.splitlines() if line.strip().startswith(("https://evil", "Or answer on the page:h"))
    ]


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("ask", {}),
        ("question", {"why": "stranger", "from": FORGED}),
        ("question", {"why": "not_allowed", "words": FORGED}),
        ("tell", {"what": "refused", "error": FORGED, "action": FORGED}),
        ("tell", {"what": "handed_on", "name": FORGED}),
    ],
)
def test_nothing_turns_the_text_around_or_steers_a_terminal(kind: str, facts: dict[str, str]) -> None:
    text = _forged(kind, **facts)
    assert not {"\u202e", "\u202c", "\x1b", "\x0b"} & set(text)
    assert not [line for line in text.splitlines() if line.startswith("https://evil")]
