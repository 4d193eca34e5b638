"""Resources changed past every workflow, as people do it in Exstream's own screens."""

import pytest
from exstream_site import Site


async def resource(site: Site, name: str) -> dict:
    found = (await site.control("GET", "resources"))["resources"]
    return next(each for each in found if each["name"] == name)


async def shown(site: Site, number: str) -> dict:
    return (await site.call("GET", f"design/api/v1/resources/bank/{number}")).data


async def test_content_that_is_edited_is_served_and_stands_in_the_history(site: Site) -> None:
    number = (await resource(site, "Interest notice"))["id"]
    before = await shown(site, number)
    await site.control("POST", f"resources/{number}", {"content": "1.5 %", "by": "anna@exstream.role"})
    after = await shown(site, number)
    assert (after["lastModifiedBy"], after["state"]) == ("anna@exstream.role", "REVIEW")
    assert after["lastModifiedDate"] > before["lastModifiedDate"]
    content = await site.call("GET", f"design/api/v1/resources/bank/{number}/content")
    assert content.content == b"1.5 %"
    history = await site.call(
        "GET", f"design/api/v1/resources/bank/history/{number}", params={"historyType": "CONTENT"}
    )
    assert [entry["modifiedBy"] for entry in history.data] == ["anna@exstream.role"]


async def test_a_lock_is_taken_and_freed_without_anything_else(site: Site) -> None:
    number = (await resource(site, "Interest notice"))["id"]
    before = await shown(site, number)
    for holder in ("anna@exstream.role", None):
        await site.control("POST", f"resources/{number}", {"locked_by": holder})
        now = await shown(site, number)
        assert (now.get("lockedBy"), now["lastModifiedDate"]) == (holder, before["lastModifiedDate"])


async def test_a_state_is_set_with_a_comment_and_children_are_named(site: Site) -> None:
    number = (await resource(site, "Interest notice"))["id"]
    await site.control("POST", f"resources/{number}", {"children": ["Privacy notice"]})
    refused = await site.call(
        "PUT", f"design/api/v1/resources/bank/{number}/state", document={"state": "APPROVED", "auditedComment": "ok"}
    )
    assert (refused.status, b"Privacy notice" in refused.content) == (409, True)
    await site.control("POST", f"resources/{number}", {"state": "APPROVED", "comment": "on the phone"})
    now = await shown(site, number)
    assert (now["state"], now["stateComment"]) == ("APPROVED", "on the phone")


async def test_a_resource_comes_and_goes(site: Site) -> None:
    made = await site.control("POST", "resources", {"name": "Card terms", "content": "new"})
    assert (await shown(site, made["id"]))["state"] == "REVIEW"
    await site.control("DELETE", f"resources/{made['id']}")
    assert (await site.call("GET", f"design/api/v1/resources/bank/{made['id']}")).status == 404


@pytest.mark.parametrize("document", [{"state": "GONE"}, {"colour": "red"}, {"children": 7}])
async def test_rubbish_is_refused(site: Site, document) -> None:
    number = (await resource(site, "Interest notice"))["id"]
    said = await site.send("POST", f"{site.url}/sandbox/v1/resources/{number}", json=document)
    assert said.status == 400


async def test_what_is_not_there_cannot_be_changed(site: Site) -> None:
    said = await site.send("POST", f"{site.url}/sandbox/v1/resources/none", json={"content": "x"})
    assert said.status == 404
    said = await site.send("POST", f"{site.url}/sandbox/v1/resources", json={"name": "x", "domain": "elsewhere"})
    assert said.status == 400
