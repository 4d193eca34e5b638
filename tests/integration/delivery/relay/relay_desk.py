"""Lanes of the relay in this process, with a relay of the test's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from delivery_desk import POOL, QUICK, S1, Desk, _communication
from post_relay import PostRelay

from millstream.communication.model import LetterHints, Mode, Policy, Road, RoadChoice, Unclear
from millstream.delivery.holding import Tools
from millstream.delivery.options import DeliveryOptions, RelayRules
from millstream.delivery.organisation import Organisation

RULES = RelayRules(probe_floor=0.05, probe_for=0.6, again_after=0.2, recheck=0.6, per_lane=4)
RELAY_QUICK = replace(QUICK, relay=RULES)
R1 = f"relay:{S1}"


class PlusAddresses:
    """Envelope senders that anybody can read."""

    def sender_of(self, address: str, token: str) -> str:
        local, _, domain = address.rpartition("@")
        return f"{local}+b-{token}@{domain}"


@dataclass(slots=True)
class RelayDesk(Desk):
    """A desk whose lanes may leave by the relay."""

    options: DeliveryOptions = RELAY_QUICK
    relay: PostRelay = field(default_factory=PostRelay)
    organisation: Organisation | None = None

    @property
    def tools(self) -> Tools:
        lanes = Desk.tools.fget(self)  # a class with slots has no super()
        return replace(lanes, relay=self.relay, organisation=self.organisation, verp=PlusAddresses())

    def rule(self, **rules: Any) -> None:
        """Change the relay's rules from here on."""
        self.tune(relay=replace(self.options.relay or RULES, **rules))

    async def register_roads(self, relay: Sequence[str], api: Sequence[str] = ()) -> None:
        """Lanes on both roads."""
        await self.store.register({POOL: api}, relay={POOL: relay})

    async def add_by(
        self,
        count: int = 1,
        *,
        key: str = "october",
        road: RoadChoice = RoadChoice.RELAY,
        unclear: Unclear = Unclear.HOLD,
        only: Road | None = None,
        hints: LetterHints | None = None,
    ) -> list[str]:
        """Add so many communications to a run of this road; answers the addresses that must each get one."""
        policy = Policy(road=road, unclear=unclear)
        run = await self.runs.open_run(key, pool=POOL, mode=Mode.DRAFT, policy=policy, source="")
        addresses = [f"{only or 'any'}-{key}-{number}@example.org" for number in range(count)]
        await self.runs.add(
            run, [replace(_communication(each, ()), only_road=only, letter=hints) for each in addresses]
        )
        return addresses

    async def outcomes(self) -> list[tuple[str, str, str]]:
        """Kind, outcome and effect of every attempt, in order."""
        rows = await self.rows("SELECT kind, outcome, effect FROM attempt ORDER BY delivery_id, number")
        return [(row["kind"], row["outcome"], row["effect"]) for row in rows]

    async def delivery(self) -> dict[str, Any]:
        """The one delivery there is."""
        [row] = await self.rows("SELECT * FROM delivery")
        return row
