"""Approval: what may move where, who may approve, single and in bulk, and what history keeps."""

from uuid import uuid4

from exstream_site import Site

LISTS = {
    "stateChangedResources",
    "domainNotFoundExceptionResources",
    "permissionDeniedExceptionResources",
    "resourceLockedExceptionResources",
    "invalidStateForUpdateExceptionResources",
    "notAllChildrenApprovedExceptionResources",
    "workflowExceptionResources",
    "unexpectedExceptionResources",
    "errorResources",
}
LEVELS = {
    "name": "bank",
    "workflow": "ADVANCED",
    "groups": [
        {
            "types": ["exstrdocument"],
            "roles": [
                {"role": "legal", "level": 1, "email": "legal@bank.example"},
                {"role": "brand", "level": 1, "email": "brand@bank.example"},
                {"role": "board", "level": 2, "email": "board@bank.example"},
            ],
        }
    ],
}


async def _list(site: Site, **query: str) -> dict[str, dict]:
    said = await site.call("GET", "design/api/v1/resources/bank", params=query)
    assert said.status == 200, said.content
    return {one["name"]: one for one in said.data}


async def _move(site: Site, resource: str, state: str, comment: str = ""):
    wish = {"state": state, "auditedComment": comment, "locked": False}
    return await site.call("PUT", f"design/api/v1/resources/bank/{resource}/state", document=wish)


async def test_what_waits_for_approval_is_found_in_both_spellings(site: Site) -> None:
    dotted = await _list(site, **{"filter.states": "REVIEW", "filter.types": "exstrdocument"})
    joined = await _list(site, filter="states:REVIEW;types:exstrdocument", sort="desc_name")
    assert set(dotted) == set(joined) == {"Account statement 2027", "Annual letter", "Collection letter"}
    assert list(joined) == sorted(joined, reverse=True)
    assert "approvalInfo" not in dotted["Annual letter"]


async def test_an_approval_keeps_its_comment_in_the_history(site: Site) -> None:
    resource = (await _list(site, **{"filter.states": "REVIEW"}))["Account statement 2027"]["id"]
    said = await _move(site, resource, "APPROVED", "Approved by anna@bank.example")
    assert (said.status, said.data["state"], said.data["stateComment"]) == (
        200,
        "APPROVED",
        "Approved by anna@bank.example",
    )
    path = f"design/api/v1/resources/bank/history/{resource}"
    entry = (await site.call("GET", path, params={"historyType": "STATE"})).data[0]
    assert (entry["state"], entry["auditedComment"], entry["modifiedBy"], entry["operation"]) == (
        "APPROVED",
        "Approved by anna@bank.example",
        "millstream",
        "UPDATE",
    )
    again = await _move(site, resource, "DRAFT")
    assert (again.data["state"], again.data["version"]) == ("DRAFT", 2)


async def test_a_move_that_the_workflow_forbids_is_a_conflict(site: Site) -> None:
    found = await _list(site)
    answers = [
        (await _move(site, found[name]["id"], state)).status
        for name, state in (
            ("Terms of business", "REVIEW"),
            ("Annual letter", "APPROVED"),
            ("Collection letter", "APPROVED"),
            ("Privacy notice", "APPROVED"),
            ("Privacy notice", "ASLEEP"),
        )
    ]
    assert answers == [409, 409, 409, 409, 400]
    assert await _list(site) == found


async def test_a_bulk_change_puts_each_resource_on_the_list_of_its_outcome(site: Site) -> None:
    found, stranger = await _list(site), str(uuid4())
    names = ("Account statement 2027", "Annual letter", "Collection letter", "Privacy notice")
    ids = [*(found[name]["id"] for name in names), stranger]
    wish = {"state": "APPROVED", "auditedComment": "all", "locked": False, "resourceIds": ids}
    said = await site.call("PUT", "design/api/v1/resources/bank/state", document=wish)
    assert set(said.data) == LISTS
    told = {reason: [one["id"] for one in resources] for reason, resources in said.data.items() if resources}
    assert told == {
        "stateChangedResources": ids[:1],
        "notAllChildrenApprovedExceptionResources": ids[1:2],
        "resourceLockedExceptionResources": ids[2:3],
        "invalidStateForUpdateExceptionResources": ids[3:4],
        "domainNotFoundExceptionResources": [stranger],
    }


async def test_without_the_right_to_approve_nothing_is_approved(open_site) -> None:
    site = await open_site(clients={"millstream": {"rights": ["DESIGN"]}})
    resource = (await _list(site))["Interest notice"]["id"]
    assert (await _move(site, resource, "APPROVED")).status == 403
    wish = {"state": "REJECTED", "resourceIds": [resource]}
    said = await site.call("PUT", "design/api/v1/resources/bank/state", document=wish)
    assert [one["id"] for one in said.data["permissionDeniedExceptionResources"]] == [resource]
    assert (await _move(site, resource, "DRAFT")).status == 200


async def test_an_advanced_workflow_takes_an_approval_of_each_role_level_by_level(open_site) -> None:
    clients = {role: {"roles": [role]} for role in ("legal", "brand", "board")}
    site = await open_site(domains=[LEVELS], clients={"millstream": {}} | clients)
    resource = (await _list(site))["Account statement 2027"]["id"]

    async def approved_by(role: str) -> tuple[int, dict]:
        await site.log_in(client_id=role)
        status = (await _move(site, resource, "APPROVED", f"by {role}")).status
        return status, (await _list(site, fetchApproval="true"))["Account statement 2027"]

    status, resource_now = await approved_by("board")
    assert (status, resource_now["state"]) == (409, "REVIEW")
    status, resource_now = await approved_by("legal")
    assert (status, resource_now["state"], resource_now["approvalInfo"]["pending"]) == (200, "REVIEW", True)
    assert {one["role"]: (one["approved"], one["pending"]) for one in resource_now["approvalInfo"]["approvals"]} == {
        "legal": (True, False),
        "brand": (False, True),
        "board": (False, False),
    }
    await approved_by("brand")
    status, resource_now = await approved_by("board")
    assert (status, resource_now["state"], resource_now["approvalInfo"]["pending"]) == (200, "APPROVED", False)


async def test_a_domain_tells_its_approval_groups_when_asked(open_site) -> None:
    site = await open_site(domains=[LEVELS])
    plain = (await site.call("GET", "design/api/v1/domains")).data
    full = (await site.call("GET", "design/api/v1/domains", params={"fetchApprovalGroups": "true"})).data
    assert "approvalGroups" not in plain[0]
    roles = full[0]["approvalGroups"][0]["approvalRoles"]
    assert (roles[0]["role"]["name"], roles[0]["level"], roles[0]["email"]) == ("legal", 1, "legal@bank.example")


async def test_nobody_approves_what_they_changed_where_the_domain_says_so(open_site) -> None:
    site = await open_site(domains=[{"name": "bank", "restrict_approval": True}])
    resource = (await _list(site))["Privacy notice"]["id"]
    assert (await _move(site, resource, "REVIEW")).status == 200
    assert (await _move(site, resource, "APPROVED")).status == 409
    assert (await _move(site, resource, "REJECTED")).status == 200


async def test_a_simple_workflow_has_no_review(open_site) -> None:
    site = await open_site(domains=[{"name": "bank", "workflow": "SIMPLE"}])
    resource = (await _list(site))["Privacy notice"]["id"]
    assert [(await _move(site, resource, state)).status for state in ("REVIEW", "APPROVED", "DRAFT")] == [409, 200, 200]


async def test_the_caller_learns_who_it_is(site: Site) -> None:
    user = (await site.call("GET", "design/api/v1/authentication/bank/current-user")).data
    assert (user["name"], user["tenantName"], user["isTenantAdmin"]) == ("millstream", "bank", True)
    assert [role["name"] for role in user["roles"]] == ["tenantadmins"]


async def test_a_resources_content_can_be_read(site: Site) -> None:
    resource = (await _list(site))["Account statement 2027"]["id"]
    said = await site.call("GET", f"design/api/v1/resources/bank/{resource}/content")
    assert said.content == b"Account statement, layout of 2027"
    assert (await site.call("GET", f"design/api/v1/resources/bank/{resource}?version=7")).status == 404
