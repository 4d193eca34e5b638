"""The demo by the relay: its sandbox, what a user would write about it, its bad day, and what was sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millstream.app.demo import DOMAIN, Cast
from millstream.app.house import House
from millstream.communication.model import Road, RoadChoice, Unclear

_HANG = 5.0
"""Longer than the demo waits for a reply, so that it never hears of an effect that happened."""
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Way:
    """By what the demo's statements leave."""

    road: RoadChoice = RoadChoice.API
    unclear: Unclear | None = None
    """What follows a lost reply of the relay."""

    @property
    def by_relay(self) -> bool:
        """Whether the relay may carry them."""
        return Road.RELAY in self.road.roads


def sandbox_lines(folder: Path, way: Way) -> str:
    """The sandbox's settings for its relay; recipients keep both of two messages with one Message-ID, to be counted."""
    if not way.by_relay:
        return ""
    return f'smtp_port = 0\nsmtp_ca_file = "{_authority(folder)}"\ndrops_same_message_id = false\n'


def settings(folder: Path, cast: Cast, way: Way, port: int) -> str:
    """What a user would write into the configuration to send by a relay."""
    if not way.by_relay:
        return ""
    users = ", ".join(f'"{mailbox}"' for mailbox in cast.mailboxes)
    return f"""
[relay]
host = "127.0.0.1"
port = {port}
certificates = "{_authority(folder)}"
helo = "{DOMAIN}"
users = {{ default = [{users}] }}
unclear = "{way.unclear}"
again_after_seconds = 2
command_seconds = 4
reply_seconds = 3
"""


def faults(seed: int) -> list[dict[str, object]]:
    """2 % 451 and 1 % 421, every tenth connection closed; 1 % lost and 1 % silent after the effect, 1 % without it."""
    content = "smtp.content"
    return [
        {"point": "before", "kind": "busy_451", "method": content, "probability": 0.02, "seed": seed},
        {"point": "before", "kind": "closing_421", "method": "smtp.mail", "probability": 0.01, "seed": seed + 1},
        {"point": "before", "kind": "closing_421", "method": "smtp.connect", "probability": 0.1, "seed": seed + 2},
        {"point": "after", "kind": "reset", "method": content, "probability": 0.01, "seed": seed + 3},
        {"point": "after", "kind": "hang", "method": content, "probability": 0.01, "delay": _HANG, "seed": seed + 4},
        {"point": "before", "kind": "reset", "method": content, "probability": 0.01, "seed": seed + 5},
        {"point": "odd", "kind": "slow", "method": content, "probability": 0.02, "delay": 0.5, "seed": seed + 6},
        {"point": "odd", "kind": "multi_line", "method": content, "probability": 0.05, "seed": seed + 7},
    ]


async def by_road(house: House, doubled: Sequence[str]) -> dict[str, Any]:
    """What took which road, what was sent again, and whether every statement that arrived twice is listed there."""
    accepted: dict[str, int] = {}
    again: list[dict[str, Any]] = []
    for row in await house.runs.recent():
        run = await house.runs.find(row["key"])
        for road, counts in (await house.runs.by_road(run)).items():
            accepted[road] = accepted.get(road, 0) + counts.get("accepted", 0)
        again += await house.runs.sent_again(run, _MOST)
    listed = {each["address"] for each in again}
    return {
        "by_road": {road: count for road, count in accepted.items() if count},
        "sent_again": [{"address": each["address"], "message_id": each["message_id"]} for each in again],
        "doubled": sorted(doubled),
        "unlisted": sorted(set(doubled) - listed),
    }


def _authority(folder: Path) -> Path:
    return folder / "relay-ca.pem"
