"""The driver that the reference shows is one that the sandbox composes."""

import re
from pathlib import Path

from millstream.sandbox.exstream import drivers
from millstream.sandbox.exstream.composing import Composing
from millstream.sandbox.exstream.flows import Output
from millstream.sandbox.exstream.jobs import Customer
from millstream.sandbox.exstream.messages import line

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "exstream-sandbox.md"


def test_the_xml_driver_of_the_reference_is_composed() -> None:
    shown = re.search(r"<customers>.*?</customers>", PAGE.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    (record,) = drivers.read(shown.group().encode(), "application/xml")
    composing = Composing(1)
    try:
        made = composing.compose(
            Customer(1, 1, record), "statement", [Output(queue="Email", driver="HTML"), Output(queue="Print")]
        )
    finally:
        composing.close()
    assert "31 October 2026" in made.subject
    assert [piece.content[:4] for piece in made.pieces][1] == b"%PDF"


def test_a_message_names_its_customer_once() -> None:
    said = line(0.0, "EX009001E customer C-1: field customer: is missing", "C-1")
    assert said == "01/01/1970 00:00:00 EX009001E Customer C-1: field customer: is missing"
