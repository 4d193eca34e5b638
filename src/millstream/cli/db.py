"""`millstream db`: the schema."""

from __future__ import annotations

import typer

from millstream.app.house import House, open_house
from millstream.cli import frame
from millstream.cli.frame import Json
from millstream.storage.migrate import migrate

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.command("migrate")
def migrate_command(*, json: Json = False) -> None:
    """Bring the database up to this version; safe to call again, and by several at once."""

    async def work() -> list[str]:
        async with open_house(frame.settings(), migrated=False) as house:
            return await _migrate(house)

    steps = frame.run(work)
    if json:
        frame.answer_json({"applied": steps})
    else:
        frame.say(f"applied: {', '.join(steps)}" if steps else "nothing to do, the database is up to date")


async def _migrate(house: House) -> list[str]:
    return await migrate(house.database_url)
