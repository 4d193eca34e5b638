"""The relay's users that send together, and every bound that Google's relay puts on them."""

from dataclasses import dataclass
from typing import Final

from millstream.quota.limits import Limits
from millstream.quota.plan import Kind
from millstream.quota.rate import Rate

ROUND_TRIPS: Final = 2
"""Waits of one message: for the replies to its envelope, and for the one to its end."""

_BY_MESSAGES: Final = "relay_messages_per_day"
_BY_RECIPIENTS: Final = "relay_recipients_per_user_day"
_BY_PERIOD: Final = "relay_recipients_per_period"
_BY_DAY: Final = "relay_recipients_per_day"
_BY_LANE: Final = "per_lane"
_BY_CONNECTIONS: Final = "connections"
# In the order in which they are named when two would take equally long: first what an operator can change.
NAMES: Final = (_BY_MESSAGES, _BY_RECIPIENTS, _BY_DAY, _BY_CONNECTIONS, _BY_LANE, _BY_PERIOD)
_SENTENCES: Final = {
    _BY_MESSAGES: "the relay's daily budget of {budget:,} messages a user decides: {who} {carry} {a_day:,} a day",
    _BY_RECIPIENTS: "the relay's daily budget of {budget:,} recipients a user decides: {who} {carry} {a_day:,} a day",
    _BY_DAY: "the organisation's {day:,} recipients a day by the relay decide",
    _BY_PERIOD: "the organisation's {period} by the relay decide: {pace:,.3g} a second",
    _BY_LANE: "the {per_lane} messages under way at a time of one user decide: at {latency:.3g} s a reply "
    "{who} {send} {a_second:,.3g} a second",
    _BY_CONNECTIONS: "the {connections} connections decide: at {latency:.3g} s a reply "
    "they carry {by_connections:,.3g} a second",
}
_SHARED: Final = "the daily budget of {budget:,} of the one address that all bounces go to decides: "
_SHARED_TAIL: Final = "relay.bounce_address counts for all users, where it is a registered user itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayFleet:
    """The senders of a run by the relay, in the same shape as :class:`~millstream.quota.fleet.Fleet`.

    ``registered`` says whether Google counts a day of the envelope's sender at all; with ``one_sender`` all users have
    the same one, whose day then holds for all of them together. ``spent_today`` are the messages of each user by the
    relay in the last 24 hours, ``latency_seconds`` the mean time of one reply (0: not counted).
    """

    users: int
    limits: Limits
    registered: bool = True
    one_sender: bool = False
    spent_today: tuple[int, ...] = ()
    connections: int = 40
    per_lane: int = 8
    latency_seconds: float = 0.0

    @property
    def mailboxes(self) -> int:
        """Lanes: one for each user."""
        return self.users

    @property
    def settling_days(self) -> int:
        """Days after which one day is like the other: users of the relay are not warmed up."""
        return 0

    def mailbox_paces(self) -> dict[str, float]:
        """Messages a second of one user, by the limit that allows no more."""
        return {} if self.latency_seconds <= 0 else {_BY_LANE: self.per_lane / (self.latency_seconds * ROUND_TRIPS)}

    def project_paces(self) -> dict[str, float]:
        """Messages a second of the organisation, by the limit that allows no more."""
        paces = {}
        if self.limits.relay_recipients_per_period is not None:
            paces[_BY_PERIOD] = self.limits.relay_recipients_per_period.per_second
        if self.latency_seconds > 0:
            paces[_BY_CONNECTIONS] = self.connections / (self.latency_seconds * ROUND_TRIPS)
        return paces

    def mailbox_budgets(self, _age: int | None = None) -> dict[str, int]:
        """Messages a day of one user, by the limit that allows no more."""
        return {} if self.one_sender else self._user_day()

    def project_budgets(self) -> dict[str, int]:
        """Messages a day of the organisation, by the limit that allows no more."""
        budgets = self._user_day() if self.one_sender else {}
        if self.limits.relay_recipients_per_day is not None:
            budgets[_BY_DAY] = _a_day(self.limits.relay_recipients_per_day)
        return budgets

    def members(self) -> dict[Kind, int]:
        """How many users there are of each kind: no age counts, and the messages sent in the last 24 hours."""
        kinds: dict[Kind, int] = {}
        for place in range(self.users):
            spent = self.spent_today[place] if place < len(self.spent_today) else 0
            kinds[None, spent] = kinds.get((None, spent), 0) + 1
        return kinds

    def names(self) -> tuple[str, ...]:
        """Its limits, in the order in which they are named when two would take equally long."""
        return NAMES

    def value(self, name: str) -> str:
        """A limit as an operator writes it."""
        own = {_BY_LANE: self.per_lane, _BY_CONNECTIONS: self.connections}
        return str(own[name]) if name in own else self.limits.as_text()[name]

    def sentence(self, name: str) -> str:
        """Why it is no faster: the named limit, and what it carries under it."""
        limits, one = self.limits, self.users == 1
        budget = self._user_day().get(name, 0)
        shared = self.one_sender and name in (_BY_MESSAGES, _BY_RECIPIENTS)
        text = _SHARED + _SHARED_TAIL if shared else _SENTENCES[name]
        return text.format(
            who="1 user" if one else f"{self.users:,} users",
            carry="carries" if one else "carry",
            send="sends" if one else "send",
            budget=budget,
            a_day=budget * self.users,
            day=_a_day(limits.relay_recipients_per_day) if limits.relay_recipients_per_day else 0,
            period=_recipients(limits.relay_recipients_per_period),
            pace=self.project_paces().get(_BY_PERIOD, 0.0),
            per_lane=self.per_lane,
            connections=self.connections,
            latency=self.latency_seconds,
            a_second=self.mailbox_paces().get(_BY_LANE, 0.0) * self.users,
            by_connections=self.project_paces().get(_BY_CONNECTIONS, 0.0),
        )

    def _user_day(self) -> dict[str, int]:
        if not self.registered:
            return {}
        rates = {
            _BY_MESSAGES: self.limits.relay_messages_per_day,
            _BY_RECIPIENTS: self.limits.relay_recipients_per_user_day,
        }
        return {name: _a_day(rate) for name, rate in rates.items() if rate is not None}


def _a_day(rate: Rate) -> int:
    return int(rate.per_day)


def _recipients(rate: Rate | None) -> str:
    if rate is None:
        return "recipients"
    minutes = rate.seconds / 60
    period = f"{minutes:g} minutes" if minutes != 1 else "minute"
    return f"{rate.amount:,} recipients in {period}" if minutes != 1 else f"{rate.amount:,} recipients a minute"
