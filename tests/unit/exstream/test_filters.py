from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from millstream.exstream.filters import body_of, keys, named, spell
from millstream.exstream.model import JobStatus
from millstream.exstream.options import FilterStyle

JOINED, DOTTED = FilterStyle.JOINED, FilterStyle.DOTTED


def test_the_joined_spelling_is_one_parameter() -> None:
    filters = {"mode": "BATCH", "statuses": (JobStatus.COMPLETE, JobStatus.ERROR), "channel": None}
    assert spell(JOINED, filters) == [("filter", "mode:BATCH;statuses:complete,error")]


def test_the_dotted_spelling_repeats_a_key_for_each_value() -> None:
    filters = {"types": ["exstrapplication", "exstremail"], "latestVersion": True, "name": None}
    assert spell(DOTTED, filters) == [
        ("filter.types", "exstrapplication"),
        ("filter.types", "exstremail"),
        ("filter.latestVersion", "true"),
    ]


@pytest.mark.parametrize("style", [JOINED, DOTTED])
def test_a_filter_without_values_is_no_parameter(style: FilterStyle) -> None:
    assert spell(style, {}) == []
    assert spell(style, {"ids": (), "channel": None}) == []


def test_signs_that_part_a_joined_filter_are_escaped_there_alone() -> None:
    hostile = {"channel": r"a:b;statuses:x\y"}
    assert spell(JOINED, hostile) == [("filter", "channel:a/colon/b/semi/statuses/colon/x/bsol/y")]
    assert spell(DOTTED, hostile) == [("filter.channel", r"a:b;statuses:x\y")]


def test_moments_are_days_for_the_runtime_and_instants_for_the_design_service() -> None:
    late = datetime(2026, 11, 25, 23, 30, tzinfo=timezone(-timedelta(hours=5)))
    assert spell(JOINED, {"startDateStart": late}) == [("filter", "startDateStart:2026-11-26")]
    assert spell(JOINED, {"startDateStart": date(2026, 11, 25)}) == [("filter", "startDateStart:2026-11-25")]
    told = spell(DOTTED, {"lastModifiedDateStart": datetime(2026, 11, 25, 8, tzinfo=UTC)}, days=False)
    assert told == [("filter.lastModifiedDateStart", "2026-11-25T08:00:00.000Z")]


def test_a_key_is_found_in_our_spelling_and_in_theirs() -> None:
    known = keys("jobId", "aggregatedFMCSnapshotIds")
    assert named({"job_id": "1"}, known) == {"jobId": "1"}
    assert named({"jobId": "1", "aggregated_fmc_snapshot_ids": "2"}, known) == {
        "jobId": "1",
        "aggregatedFMCSnapshotIds": "2",
    }


def test_a_key_that_the_service_does_not_know_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="no filter 'job'; known are jobId"):
        named({"job": "1"}, keys("jobId"))


def test_a_filter_in_a_body_has_lists_where_several_were_given() -> None:
    filters = {
        "statuses": (JobStatus.COMPLETE,),
        "jobId": "7",
        "ids": (),
        "channel": None,
        "executingLongRunningOp": False,
    }
    assert body_of(filters) == {"statuses": ["complete"], "jobId": "7", "executingLongRunningOp": False}


def test_a_day_in_a_body_is_its_first_instant() -> None:
    filters = {"startDateStart": date(2026, 1, 2), "startDateEnd": datetime(2026, 1, 3, 4, tzinfo=UTC)}
    assert body_of(filters) == {
        "startDateStart": "2026-01-02T00:00:00.000Z",
        "startDateEnd": "2026-01-03T04:00:00.000Z",
    }
