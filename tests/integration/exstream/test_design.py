"""Approval: what waits, how it is moved, who approves; and what a communication is made of."""

import io
import json
from datetime import UTC, datetime

import pytest
from exstream_server import FakeExstream, data, page, says

from millstream.exstream import FilterStyle
from millstream.exstream.errors import BadRequest, Effect, Forbidden, NotFound, SaidFailure, StateRefused
from millstream.exstream.model import CommunicationRef, ResourceState

ROOT = "/design/api/v1"
ID = "5f5c2b5e-7b7e-4b8e-9d53-1a2b3c4d5e6f"
MANIFEST = {
    "dsnlist": [
        {"id": "1", "name": "Rates", "prodDsn": "rates.dsn", "type": "reference"},
        {"id": "2", "name": "Customers", "prodDsn": "customers.dsn", "type": "Driver"},
    ],
    "queueList": [{"id": "q", "name": "PDFQ", "driver": "PDF"}, {"name": "Mail", "driver": "HTML"}, {"driver": "x"}],
}


async def test_what_waits_for_approval_is_listed_with_its_approvals(exstream: FakeExstream) -> None:
    info = {"state": "REVIEW", "pending": True, "approvals": [{"role": "legal", "level": 1}]}
    waiting = {"id": "1", "name": "Welcome", "type": "exstremail", "state": "REVIEW", "approvalInfo": info}
    exstream.at["/resources/statements"] = page([waiting, {"id": "2", "state": "DRAFT", "type": "exstremail"}], 2)
    async with exstream.client() as client:
        found = [one async for one in client.design().review("exstremail", "documentdefinition")]
    assert [one.id for one in found] == ["1"]
    assert found[0].approval is not None
    assert exstream.asked[0].query == {
        "filter.states": ["REVIEW"],
        "filter.types": ["exstremail", "documentdefinition"],
        "fetchApproval": ["true"],
        "offset": ["0"],
        "count": ["10"],
    }


async def test_the_older_spelling_joins_the_filter_and_tells_days(exstream: FakeExstream) -> None:
    since = datetime(2026, 11, 25, 8, tzinfo=UTC)
    for style, told in (
        (FilterStyle.JOINED, {"filter": ["states:REVIEW;lastModifiedDateStart:2026-11-25"]}),
        (FilterStyle.DOTTED, {"filter.states": ["REVIEW"],
                              "filter.lastModifiedDateStart": ["2026-11-25T08:00:00.000Z"]}),
    ):  # fmt: skip
        async with exstream.client(design_filter=style) as client:
            found = client.design().resources(states="REVIEW", last_modified_date_start=since, fetch_approval=False)
            assert [one async for one in found] == []
        assert exstream.asked[-1].query == {**told, "offset": ["0"], "count": ["10"]}


async def test_a_state_is_set_with_a_comment(exstream: FakeExstream) -> None:
    exstream.at["/state"] = data({"id": ID, "state": "APPROVED", "name": "Welcome", "type": "exstremail"})
    async with exstream.client() as client:
        changed = await client.design().set_state(ID, ResourceState.APPROVED, "Approved by anna@bank.example")
    assert changed.state is ResourceState.APPROVED
    asked = exstream.asked[0]
    assert (asked.method, asked.path) == ("PUT", f"{ROOT}/resources/statements/{ID}/state")
    assert json.loads(asked.body) == {
        "state": "APPROVED",
        "auditedComment": "Approved by anna@bank.example",
        "locked": False,
    }


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says({"message": "All children must be approved"}, 400), StateRefused),
        (says({"message": "conflict"}, 409), StateRefused),
        (says({"status": "failure", "message": "The resource is locked by anna"}), StateRefused),
        (says({"status": "error", "message": "oops"}), SaidFailure),
        (says({"message": "Access is denied"}, 403), Forbidden),
    ],
)
async def test_a_state_that_may_not_be_set_is_told(exstream: FakeExstream, answer, kind) -> None:
    exstream.at["/state"] = answer
    async with exstream.client() as client:
        with pytest.raises(kind):
            await client.design().set_state(ID, ResourceState.APPROVED, "x")


async def test_many_states_are_set_at_once_and_each_refusal_keeps_its_reason(exstream: FakeExstream) -> None:
    reasons = [
        "domainNotFound",
        "permissionDenied",
        "resourceLocked",
        "invalidStateForUpdate",
        "notAllChildrenApproved",
        "workflow",
        "unexpected",
    ]
    lists = {f"{reason}ExceptionResources": [{"id": f"r-{reason}"}] for reason in reasons}
    exstream.at["/state"] = data(
        {"stateChangedResources": [{"id": "1"}], "errorResources": [{"id": "r-error"}], **lists}
    )
    async with exstream.client() as client:
        outcome = await client.design().set_states(["1", "2"], ResourceState.REJECTED, "no")
    assert outcome.changed == ("1",)
    assert outcome.refused == {reason: (f"r-{reason}",) for reason in [*reasons, "error"]}
    assert json.loads(exstream.asked[0].body)["resourceIds"] == ["1", "2"]


async def test_history_content_domains_and_user_are_read(exstream: FakeExstream) -> None:
    role = {"role": "legal", "level": 1, "email": "l@bank.example"}
    groups = [{"resourceTypes": ["exstremail"], "approvalRoles": [role]}]
    domain = {"id": "statements", "workflow": "ADVANCED", "children": [{"id": "inner"}], "approvalGroups": groups}
    user = {"name": "svc", "tenantName": "bank", "groups": ["x"], "roles": [{"name": "approver", "id": "1"}]}
    exstream.at |= {
        f"/history/{ID}": data([{"id": "h", "modifiedBy": "anna", "state": "APPROVED", "auditedComment": "fine"}]),
        "/content": says(status=200, body=b"<resource/>"),
        "/domains": page([domain], 1),
        "/statements/current-user": data(user),
    }
    to = io.BytesIO()
    async with exstream.client() as client:
        design = client.design()
        assert [(entry.modified_by, entry.comment) for entry in await design.history(ID)] == [("anna", "fine")]
        await design.content(ID, to, version=3, state=ResourceState.APPROVED)
        domains = await design.domains()
        known = await design.current_user()
    assert to.getvalue() == b"<resource/>"
    assert [(one.id, len(one.groups)) for one in domains] == [("statements", 1), ("inner", 0)]
    assert (known.name, known.roles) == ("svc", ("approver",))
    assert exstream.asked[0].query == {"historyType": ["STATE"]}
    assert exstream.asked[1].query == {"version": ["3"], "state": ["APPROVED"]}


async def test_a_communication_is_resolved_by_its_id(exstream: FakeExstream) -> None:
    exstream.at |= {"/links/statements": data([{"linkSubjectId": ID, "linkObjectId": "set-1"}]),
                    "/communication-set/set-1": says(MANIFEST)}  # fmt: skip
    async with exstream.client() as client:
        ref = await client.design().resolve(ID)
    assert ref == CommunicationRef(ID, "", "customers.dsn", {"PDFQ": "PDF", "Mail": "HTML"})
    assert exstream.asked[0].query == {
        "linkSubjectId": [ID],
        "linkDepth": ["2"],
        "filter.types": ["exstrcommunicationset"],
    }


async def test_a_communication_is_resolved_by_its_name_and_not_by_a_part_of_it(exstream: FakeExstream) -> None:
    approved = {"state": "APPROVED", "type": "exstrapplication"}
    exstream.at |= {
        "/resources/statements": page(
            [{"id": "a", "name": "Letter 2", **approved}, {"id": ID, "name": "Letter", **approved}], 2
        ),
        "/links/statements": data([{"linkObjectId": "set-1"}]),
        "/communication-set/set-1": says(MANIFEST),
    }
    async with exstream.client() as client:
        ref = await client.design().resolve("Letter")
    assert (ref.communication_id, ref.name, ref.data_source) == (ID, "Letter", "customers.dsn")
    assert exstream.asked[0].query["filter.name"] == ["Letter"]


async def test_a_communication_that_cannot_be_resolved_says_what_is_missing(exstream: FakeExstream) -> None:
    twin = {"name": "Letter", "state": "APPROVED", "type": "exstrapplication"}
    async with exstream.client() as client:
        design = client.design()
        with pytest.raises(NotFound, match="no approved communication is named 'Letter'"):
            await design.resolve("Letter")
        with pytest.raises(NotFound, match="communication set"):
            await design.resolve(ID)
        exstream.at["/links/statements"] = data([{"linkObjectId": "set-1"}])
        exstream.at["/communication-set/set-1"] = says({"dsnlist": MANIFEST["dsnlist"][:1] * 2, "queueList": None})
        with pytest.raises(NotFound, match="no driver"):
            await design.resolve(ID)
        exstream.at["/resources/statements"] = page([{"id": "a", **twin}, {"id": "b", **twin}], 2)
        with pytest.raises(BadRequest, match="give the id") as caught:
            await design.resolve("Letter")
    assert caught.value.effect is Effect.NO


async def test_without_a_domain_nothing_is_asked(exstream: FakeExstream) -> None:
    async with exstream.client(domain="") as client:
        for door in (client.runtime, client.inputs, client.design):
            with pytest.raises(BadRequest, match="no domain"):
                door()
    assert exstream.asked == []
