"""`millstream db`: the schema."""

from __future__ import annotations

from millstream.app.house import open_house
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.storage.migrate import migrate


def migrate_command(*, json: Json = False) -> None:
    """Bring the database up to this version. Safe to call again, and by several at once."""

    async def migrated() -> list[str]:
        async with open_house(work.settings(), migrated=False) as house:
            return await migrate(house.database_url)

    steps = work.run(migrated)
    sentence = f"applied: {', '.join(steps)}" if steps else "nothing to do, the database is up to date"
    frame.answer({"applied": steps}, sentence, as_json=json)
