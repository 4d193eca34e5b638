"""The demo's reviewers: three things put to people, answered by reply and by page, each with its next step done."""

from acceptance_stage import Stage


async def test_reviewers_answer_by_reply_and_page_and_every_next_step_arrives(bare_stage: Stage) -> None:
    ended = await bare_stage.run("demo", "--customers", "5", "--exit", "--json", within=240)
    outcome = ended.json
    assert outcome["reviews"] == {
        "opened": 3,
        "by_reply": 6,
        "by_page": 3,
        "changes_asked": 1,
        "escalated": 1,
        "steps_done": 4,
    }
    asked = ("accepted", "duplicates", "missing", "held", "failed", "uncertain")
    assert [outcome[name] for name in asked] == [5, 0, 0, 0, 0, 0]
    assert ended.code == 0
