"""What the outbox of reviews sends, as its readers find it."""

from typing import Any

import typst
from letters_desk import ANNA, BASE, BEN, LettersDesk, body

from tests_eventually import Eventually


async def test_a_question_arrives_once_with_all_there_is_to_decide_on() -> None: ...
