"""Exstream's own email events, in its own shape, so that reporting that reads them goes on reading.

The shape is the vendor's (reference, 2.4): `expctr` says which kind of event it is, `user` repeats the customer's
entries in the manifest, `exstreamEmailStatistics` says what became of the mail. `eventId` is the same however often an
event is told: that is what a receiver knows it by.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

_SPACE: Final = uuid.UUID("6f1f3d1c-5d0a-5c1c-9a3e-0d9b7c5f2a10")
"""The namespace of event ids: chosen once, so that a delivery's events have the same ids everywhere."""
_KEY: Final = "x."
"""Entries of a communication's source that begin so are keys of Exstream's manifest,"""
_ORIGIN: Final = "x.Exstream"
"""but for those that say where in Exstream it was made."""


class EventKind(StrEnum):
    """What happened: handed over, posted to the recipient, not delivered."""

    SUBMIT = "Submit"
    POST = "POST"
    NDLV = "NDLV"


@dataclass(frozen=True, slots=True)
class EventSchema:
    """What stands in every event's head."""

    provider: str = "Gmail"
    version: str = "1.0"
    source: str = "Millstream"
    tenant: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFacts:
    """What is known of one delivery."""

    token: str
    address: str
    customer: str
    stream: str
    at: datetime
    source: Mapping[str, Any]
    """The communication's source: `x.<Key>` for the manifest's keys, and domain, communication, job and others."""
    detail: str = ""
    """Why it was not delivered."""


def event_id(token: str, kind: EventKind) -> str:
    """The event's id: the same for the same delivery and kind, for ever."""
    return str(uuid.uuid5(_SPACE, f"{token}/{kind}"))


def email_event(kind: EventKind, facts: SentFacts, schema: EventSchema) -> dict[str, Any]:
    """One event as Exstream writes it; times are RFC 3339."""
    at = facts.at.isoformat()
    source = facts.source
    user = {
        name.removeprefix(_KEY): value
        for name, value in source.items()
        if name.startswith(_KEY) and not name.startswith(_ORIGIN)
    }
    user.setdefault("CustomerEmail", facts.address)
    user.setdefault("CustomerId", facts.customer)
    user.setdefault("CampaignId", facts.stream)
    if (number := source.get("customer_in_run")) is not None:
        user.setdefault("CustomerInRun", str(number))
    statistics = {
        "creationTime": at,
        "emailProvider": schema.provider,
        "customerEmailId": facts.address,
        "campaignId": user["CampaignId"],
        "domain": source.get("domain") or source.get(f"{_ORIGIN}Domain") or schema.domain,
        "communicationId": source.get("communication") or source.get(f"{_ORIGIN}Communication") or "",
        "eventType": str(kind),
    }
    if facts.detail:
        statistics["reason"] = facts.detail
    return {
        "expctr": {
            "schemaVersion": schema.version,
            "schemaType": f"Exstream-Email-{kind}",
            "schemaSource": schema.source,
            "tenant": schema.tenant,
            "eventId": event_id(facts.token, kind),
            "eventDate": at,
        },
        "user": user,
        "exstreamEmailStatistics": statistics,
    }
