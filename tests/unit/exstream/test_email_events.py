"""Email events have Exstream's own shape, and the same id however often they are told."""

import uuid
from datetime import UTC, datetime

from millstream.exstream.email_events import EventKind, EventSchema, SentFacts, email_event, event_id

AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
FACTS = SentFacts(
    token="0123456789abcdef0123",
    address="anna@example.com",
    customer="C-17",
    stream="statements",
    at=AT,
    source={
        "system": "exstream",
        "domain": "bank",
        "communication": "5b2c",
        "customer_in_run": 3,
        "x.CustomerFirstname": "Anna",
        "x.CustomerEmail": "Anna@Example.com",
        "x.attachments": "${#/queues/Print}=letter.pdf",
    },
)
SCHEMA = EventSchema(tenant="t-1", domain="elsewhere")


def test_a_submit_event_has_the_vendors_shape() -> None:
    assert email_event(EventKind.SUBMIT, FACTS, SCHEMA) == {
        "expctr": {
            "schemaVersion": "1.0",
            "schemaType": "Exstream-Email-Submit",
            "schemaSource": "Millstream",
            "tenant": "t-1",
            "eventId": event_id(FACTS.token, EventKind.SUBMIT),
            "eventDate": "2026-11-25T08:30:00+00:00",
        },
        "user": {
            "CustomerFirstname": "Anna",
            "CustomerEmail": "Anna@Example.com",
            "attachments": "${#/queues/Print}=letter.pdf",
            "CustomerId": "C-17",
            "CampaignId": "statements",
            "CustomerInRun": "3",
        },
        "exstreamEmailStatistics": {
            "creationTime": "2026-11-25T08:30:00+00:00",
            "emailProvider": "Gmail",
            "customerEmailId": "anna@example.com",
            "campaignId": "statements",
            "domain": "bank",
            "communicationId": "5b2c",
            "eventType": "Submit",
        },
    }


def test_each_kind_of_each_delivery_has_an_id_of_its_own_that_never_changes() -> None:
    ids = {event_id(token, kind) for token in ("a", "b") for kind in EventKind}
    assert len(ids) == 6
    assert event_id("a", EventKind.NDLV) == event_id("a", EventKind.NDLV)
    assert {str(uuid.UUID(each)) for each in ids} == ids


def test_what_did_not_come_from_exstream_gets_what_is_known_of_the_delivery() -> None:
    bare = SentFacts(
        token="t", address="b@example.com", customer="C-1", stream="s", at=AT, source={}, detail="5.1.1 no"
    )
    event = email_event(EventKind.NDLV, bare, SCHEMA)
    assert event["expctr"]["schemaType"] == "Exstream-Email-NDLV"
    assert event["user"] == {"CustomerEmail": "b@example.com", "CustomerId": "C-1", "CampaignId": "s"}
    assert event["exstreamEmailStatistics"]["domain"] == "elsewhere"
    assert event["exstreamEmailStatistics"]["reason"] == "5.1.1 no"
