"""What the demo shows while it runs, and at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_GAUGE = 10
_STYLES = {"open": "green", "paused": "yellow", "parked": "red"}


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of the demo."""

    customers: int
    composed: int
    counts: Mapping[str, int]
    moving: int
    lanes: Sequence[Mapping[str, Any]]
    seconds: float
    kills: int | None

    def of(self, disposition: str) -> int:
        """Deliveries in one disposition."""
        return self.counts.get(disposition, 0)

    @property
    def rate(self) -> float:
        """Accepted a second, over the whole run so far."""
        return self.of("accepted") / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None before there is one."""
        settled = sum(self.of(name) for name in ("accepted", "held", "failed", "cancelled"))
        return (self.customers - settled) / self.rate if self.rate else None


def draw(scene: Scene) -> RenderableType:
    """The live screen."""
    drafted = scene.of("drafted") + scene.of("sending") + scene.of("uncertain") + scene.of("accepted")
    bars = Table.grid(padding=(0, 2))
    for name, value, style in (
        ("composed", scene.composed, "blue"),
        ("drafted", drafted, "cyan"),
        ("accepted", scene.of("accepted"), "green"),
    ):
        bar = ProgressBar(total=scene.customers, completed=value, width=44, complete_style=style)
        bars.add_row(Text(name, style="bold"), bar, Text(f"{value:,} of {scene.customers:,}"))
    left = scene.seconds_left
    facts = [
        f"held {scene.of('held')}",
        f"uncertain {scene.of('uncertain')}",
        f"failed {scene.of('failed')}",
        f"{scene.rate:.1f}/s",
        f"{scene.seconds:.0f} s",
        "time left unknown" if left is None else f"time left {left:.0f} s",
    ]
    if scene.kills is not None:
        facts.append(f"worker killed {scene.kills} times")
    most = max((lane["sent_today"] for lane in scene.lanes), default=0) or 1
    gauges = Columns([_gauge(lane, most) for lane in scene.lanes], equal=True, column_first=True, padding=(0, 2))
    return Group(
        Panel(Group(bars, Text("   ".join(facts))), title="Millstream demo: account statements", title_align="left"),
        Panel(gauges, title="lanes: sent, in hand", title_align="left"),
    )


def line(scene: Scene) -> str:
    """One line of progress, for logs and pipes."""
    return (
        f"{scene.seconds:4.0f} s: composed {scene.composed:,}, accepted {scene.of('accepted'):,} "
        f"of {scene.customers:,}, held {scene.of('held'):,}, uncertain {scene.of('uncertain'):,}, {scene.rate:.1f}/s"
    )


def _gauge(lane: Mapping[str, Any], most: int) -> Text:
    name = lane["mailbox"].partition("@")[0].rpartition("-")[2]
    filled = round(_GAUGE * lane["sent_today"] / most)
    style = _STYLES[lane["state"]]
    text = Text(f"{name} ")
    text.append("█" * filled, style=style)
    text.append("░" * (_GAUGE - filled), style="dim")
    text.append(f" {lane['sent_today']:>3} {lane['bound']:>2}")
    if lane["state"] != "open":
        text.append(f" {lane['reason']}"[:14], style=style)
    return text


def summary(console: Console, outcome: Mapping[str, Any], where: Mapping[str, str], addresses: Sequence[str]) -> None:
    """The last words, and where to look: `where` names pages."""
    tell = partial(console.print, soft_wrap=True)
    tell(
        f"\n{outcome['accepted']:,} of {outcome['customers']:,} statements accepted in {outcome['seconds']} s "
        f"({outcome['per_second']}/s), {outcome['held']} held, {outcome['failed']} failed, "
        f"{outcome['uncertain']} uncertain; peak memory {outcome['peak_rss_mb']:.0f} MB"
    )
    came = ", ".join(f"{number:,} by {door}" for door, number in outcome["doors"].items())
    tell(f"came in: {came}")
    verdict = "bold green" if not outcome["duplicates"] and not outcome["missing"] else "bold red"
    tell(
        f"[{verdict}]counted in the customers' mailboxes: {outcome['duplicates']} duplicates, "
        f"{outcome['missing']} missing[/]"
    )
    if "sent_again" in outcome:
        for each in _roads(outcome):
            tell(each)
    if "kills" in outcome:
        struck = ", ".join(f"{name} {number} times" for name, number in sorted(outcome["faults"].items()))
        tell(f"the storm: worker killed {outcome['kills']} times, {struck}; drafts left {outcome['drafts_left']}")
    if "reviews" in outcome:
        for each in _reviewed(outcome["reviews"]):
            tell(each)
    for name, url in where.items():
        tell(f"{name}: {url}")
    if addresses:
        tell(f"a customer's: {where['mailboxes']}/mailboxes/{quote(addresses[0])}")


def _roads(outcome: Mapping[str, Any]) -> list[str]:
    """What took which road, and every statement that was sent again, one by one."""
    took = ", ".join(f"{number:,} by the {road}" for road, number in outcome["by_road"].items())
    again, doubled, unlisted = outcome["sent_again"], outcome["doubled"], outcome["unlisted"]
    lists = f"{len(again):,}; arrived twice: {len(doubled):,}, of which {len(unlisted):,} are not in that list"
    said = [f"accepted: {took}", f"sent again after a lost reply: {lists}"]
    return said + [f"  sent again: {each['address']} under {each['message_id']}" for each in again]


def _reviewed(came: Mapping[str, int]) -> tuple[str, str]:
    """What came of the reviews."""
    answers = f"{came['by_reply']} answers by reply, {came['by_page']} by the page"
    also = f"changes asked {came['changes_asked']}, climbed to the legal department {came['escalated']}"
    return (
        f"put to reviewers: {came['opened']}, with {answers}; {also}",
        f"their next steps that are done, in Exstream and for held deliveries: {came['steps_done']}",
    )
