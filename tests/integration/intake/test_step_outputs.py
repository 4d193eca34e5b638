"""What a next step composes becomes a run, once for each step."""

from pull_desk import PullDesk

from millstream.exstream.model import Generated
from millstream.intake.pull.composed import take_composed

HTML = b"<html><body><p>Dear Anna</p></body></html>"
FACTS = {"CustomerEmail": "anna@example.com", "CustomerName": "Anna", "CustomerId": "C-7"}


def outputs(pdf: bytes, customer: str | None = None) -> list[Generated]:
    return [
        Generated(pdf, "application/pdf", "Print", "letter", customer),
        Generated(HTML, "text/html", "Email", "../../mail", customer),
        Generated(b"", "text/html", "Empty", "nothing", customer),
    ]


async def test_outputs_of_a_step_are_taken_in_and_become_a_communication(pull_desk: PullDesk, pdf) -> None:
    hands = pull_desk.pull().hands
    result = await take_composed(hands, 17, outputs(pdf), run_key="reprints", facts=FACTS)
    assert result["run"] == "reprints"
    [row] = await pull_desk.take()
    assert (row["run"], row["address"], row["customer"]) == ("reprints", "anna@example.com", "C-7")
    assert [document["media_type"] for document in row["documents"]] == ["application/pdf"]


async def test_the_same_step_again_is_the_same_consignment_even_with_other_bytes(pull_desk: PullDesk, pdf) -> None:
    hands = pull_desk.pull().hands
    first = await take_composed(hands, 17, outputs(pdf), run_key="reprints", facts=FACTS)
    again = await take_composed(hands, 17, outputs(pdf), run_key="reprints", facts=FACTS)
    other = await take_composed(hands, 17, outputs(pdf + b"\n"), run_key="reprints", facts=FACTS)
    assert first == again == other
    assert len(await pull_desk.take()) == 1
    late = await take_composed(hands, 17, outputs(pdf), run_key="reprints", facts=FACTS)
    assert late == first


async def test_each_customer_of_a_composition_is_one_of_its_own(pull_desk: PullDesk, pdf) -> None:
    hands = pull_desk.pull().hands
    both = [*outputs(pdf, "1"), *outputs(pdf, "2")]
    facts = {name: value for name, value in FACTS.items() if name != "CustomerId"}
    await take_composed(hands, 18, both, run_key="reprints", facts=facts)
    assert [row["customer"] for row in await pull_desk.take()] == ["1", "2"]
