import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.exstream import decode
from millstream.exstream.model import (
    FlowStatus,
    JobStatus,
    ResourceState,
    StepStatus,
    StepType,
    Workflow,
)

AT = datetime(2025, 9, 9, 7, 0, 5, 639000, tzinfo=UTC)

# As a real server answered (an integrator's log); traceId and simulation stand in no description.
REAL_JOB = {
    "id": "5f5c2b5e-7b7e-4b8e-9d53-1a2b3c4d5e6f",
    "domainId": "statements",
    "channel": "monthly",
    "mode": "BATCH",
    "status": "complete",
    "flowModelType": "COMMUNICATION",
    "msg": "Batch Job",
    "externalId": None,
    "triggeredBy": "tenantadmin@exstream.role",
    "aggregatedFMCSnapshotId": "5f5c2b5e-7b7e-4b8e-9d53-1a2b3c4d5e70",
    "startDate": 1757401205639,
    "endDate": 1757401215639,
    "expirationDate": None,
    "traceId": "abc",
    "simulation": False,
}


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (1757401205639, AT),
        ("1757401205639", AT),
        ("2025-09-09T07:00:05.639Z", AT),
        ("2025-09-09T07:00:05.639+00:00", AT),
        ("2025-09-09T07:00:05.639+0000", AT),
        ("2025-09-09T09:00:05.639+02:00", AT),
        ("2025-09-09T07:00:05.639", AT),
        ("2025-09-09T07:00:05.639000123Z", AT),
        ("2025-09-09T07:00:05Z", AT.replace(microsecond=0)),
        ("2025-09-09", datetime(2025, 9, 9, tzinfo=UTC)),
        (None, None),
        ("", None),
        ("soon", None),
        (True, None),
        ({}, None),
        (10**30, None),
        (float("1e300"), None),
    ],
)
def test_a_moment_is_read_in_each_of_its_forms(told: object, meant: datetime | None) -> None:
    assert decode.moment(told) == meant


def test_a_real_job_is_read_and_what_it_says_more_is_ignored() -> None:
    job = decode.job(REAL_JOB)
    assert (job.status, job.channel, job.domain) == (JobStatus.COMPLETE, "monthly", "statements")
    assert (job.started_at, job.expires_at, job.external_id) == (AT, None, None)


def test_words_that_are_new_to_us_are_unknown() -> None:
    assert decode.job({"id": "1", "status": "pondering"}).status is JobStatus.UNKNOWN
    assert decode.flow_instance({"id": "1"}).status is FlowStatus.UNKNOWN
    step = decode.flow_step({"id": "1", "status": None, "stepType": "EXTERNALFLOW"})
    assert (step.status, step.type) == (StepStatus.UNKNOWN, StepType.EXTERNAL_FLOW)


def test_a_resource_tells_who_approved_it() -> None:
    resource = decode.resource(
        {
            "id": "r",
            "name": "Welcome",
            "type": "exstrapplication",
            "state": "REVIEW",
            "version": 3,
            "locked": "true",
            "approvalInfo": {
                "state": "REVIEW",
                "pending": True,
                "approvals": [
                    {"role": "legal", "level": 1, "approved": True, "pending": False},
                    {"role": {"name": "brand"}, "level": "2"},
                    None,
                ],
            },
        }
    )
    assert (resource.state, resource.version, resource.locked) == (ResourceState.REVIEW, 3, True)
    assert resource.approval is not None
    assert [(one.role, one.level, one.approved) for one in resource.approval.approvals] == [
        ("legal", 1, True),
        ("brand", 2, False),
    ]


def test_domains_within_domains_are_found_once_and_a_ring_of_them_ends() -> None:
    inner = {
        "id": "b",
        "workflow": "ADVANCED",
        "approvalGroups": [
            {
                "resourceTypes": ["exstremail"],
                "approvalRoles": [{"role": {"name": "legal"}, "level": 1, "email": "l@a.test"}],
            }
        ],
    }
    found = decode.domains([{"id": "a", "workflow": "simple", "children": [inner, {"id": "a"}]}, inner])
    assert [one.id for one in found] == ["a", "b"]
    assert (found[0].workflow, found[1].workflow) == (Workflow.SIMPLE, Workflow.ADVANCED)
    assert found[1].groups[0].roles[0].email == "l@a.test"


def test_a_change_of_many_tells_each_reason() -> None:
    outcome = decode.bulk(
        {
            "data": {
                "stateChangedResources": [{"id": "1"}, {"id": "2"}],
                "resourceLockedExceptionResources": [{"id": "3"}],
                "errorResources": ["4"],
                "workflowExceptionResources": [],
                "domainNotFoundExceptionResources": None,
            }
        }
    )
    assert outcome.changed == ("1", "2")
    assert outcome.refused == {"resourceLocked": ("3",), "error": ("4",)}


def test_a_page_without_what_it_tells_of_others_is_a_page() -> None:
    page = decode.page({"status": "success", "data": None}, decode.job)
    assert (page.items, page.total, page.number) == ((), None, None)
    page = decode.page({"data": [REAL_JOB], "page": {"totalElements": "12", "currentPageNumber": 0}}, decode.job)
    assert (len(page.items), page.total, page.number) == (1, 12, 0)


def test_base64_with_line_ends_is_read_and_rubbish_is_not() -> None:
    assert decode.unpacked("aGVs\r\nbG8=") == b"hello"
    for rubbish in ("aGVsbG8", "a%b=", "h€llo"):
        with pytest.raises(ValueError, match=r"padding|base64|ASCII"):
            decode.unpacked(rubbish)


def test_a_version_is_told_by_its_string_or_its_parts() -> None:
    assert decode.version({"versionString": "24.4.0"}, "design").text == "24.4.0"
    assert decode.version({"major": 24, "minor": 4, "patch": None}, "design").text == "24.4"
    assert decode.version({}, "design").text == "unknown"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["id", "status", "data", "page", "totalElements", "approvalInfo", "approvals", "children", "content",
             "engineOutputContext", "startDate", "name", "roles", "stateChangedResources", "locked", "version"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
READERS = [
    decode.job,
    decode.flow_instance,
    decode.flow_step,
    decode.resource,
    decode.domains,
    decode.history,
    decode.bulk,
    decode.generated,
    decode.config,
    decode.current_user,
    lambda document: decode.version(document, "design"),
    lambda document: decode.page(document, decode.job),
]


@given(JSON, st.sampled_from(READERS))
def test_no_json_trips_a_reader_otherwise_than_as_said(document: object, read) -> None:
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        read(json.loads(json.dumps(document)))
