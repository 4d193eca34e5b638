"""The limit that decides, said to a person."""

from datetime import timedelta
from typing import Final

from millstream.quota.fleet import CALLS, Fleet
from millstream.quota.rate import Rate

_SENTENCES: Final = {
    "messages_per_day": "the daily budget of {budget:,} messages a mailbox decides: {who} {carry} {a_day:,} a day",
    "recipients_per_day": "the daily budget of {budget:,} recipients a mailbox decides: {who} {carry} {a_day:,} a day",
    "upload_bytes_per_day": "the upload budget of {megabytes:,.4g} MB a day and mailbox decides: "
    "at {size:,.3g} MB a message {who} {carry} {a_day:,} a day",
    "warm_up": "the warm-up of young mailboxes decides: {steps} messages on their first days, then the full budget",
    "units_per_day_project": "the project's threshold of {project_day} decides: "
    "at {cost} units a message it carries {project_budget:,} a day",
    "units_per_minute_user": "the rate of {user} and mailbox decides: at {cost} units a message "
    "{who} {send} {a_second:,.3g} a second",
    "units_per_minute_project": "the project's ceiling of {project} decides: at {cost} units a message "
    "it carries {project_pace:,.3g} a second",
    "concurrency": "the concurrency of {in_flight} requests a mailbox decides: at {latency:.3g} s a request and "
    "{calls} a message {who} {send} {a_second:,.3g} a second",
}
_PERIODS: Final = {
    timedelta(seconds=1): "a second",
    timedelta(minutes=1): "a minute",
    timedelta(hours=1): "an hour",
    timedelta(days=1): "a day",
}


def sentence_on(fleet: Fleet, name: str | None) -> str:
    """Why a fleet is no faster: the named limit, and what the fleet carries under it."""
    if name is None:
        return "no limit decides: nothing here holds these messages back"
    limits, one = fleet.limits, fleet.mailboxes == 1
    budget, pace = fleet.mailbox_budgets(None).get(name, 0), fleet.mailbox_paces().get(name, 0.0)
    return _SENTENCES[name].format(
        who="1 mailbox" if one else f"{fleet.mailboxes:,} mailboxes",
        carry="carries" if one else "carry",
        send="sends" if one else "send",
        budget=budget,
        a_day=budget * fleet.mailboxes,
        a_second=pace * fleet.mailboxes,
        cost=fleet.cost,
        size=fleet.mean_bytes / 1_000_000,
        megabytes=limits.upload_bytes_per_day.per_day / 1_000_000 if limits.upload_bytes_per_day else 0,
        steps=", then ".join(f"{step:,}" for step in limits.warm_up),
        user=_units(limits.units_per_minute_user),
        project=_units(limits.units_per_minute_project),
        project_day=_units(limits.units_per_day_project),
        project_pace=fleet.project_paces().get(name, 0.0),
        project_budget=fleet.project_budgets().get(name, 0),
        in_flight=fleet.in_flight,
        latency=fleet.latency_seconds,
        calls="1 request" if CALLS[fleet.mode] == 1 else f"{CALLS[fleet.mode]} requests",
    )


def _units(rate: Rate | None) -> str:
    """``6,000 units a minute``; a period without a name of its own is written as the rate writes it."""
    if rate is None:
        return "no units"
    named = _PERIODS.get(rate.period)
    return f"{rate.amount:,} units {named}" if named else f"{rate} units"
