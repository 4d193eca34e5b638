"""What the outbox of reviews sends, as its readers find it."""





async def test_a_question_arrives_once_with_all_there_is_to_decide_on() -> None: ...
