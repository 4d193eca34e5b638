"""The pages without a browser: a GET decides nothing, and neither does a form from elsewhere."""

import re

import pytest
from exstream_site import Site, customer


async def _held_flow(site: Site, eventually) -> str:
    await site.publish(hold=True)
    await site.batch([customer(1)])

    async def held() -> list[dict]:
        return (await site.control("GET", "state"))["held"]

    return (await eventually(held, within=20))[0]["flow"]


async def _token(site: Site) -> str:
    page = (await site.send("GET", f"{site.url}/held")).content.decode()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"decision": "release"}, {}, 403),
        ({"decision": "release", "token": "guessed"}, {}, 403),
        ({"decision": "release"}, {"Origin": "http://evil.example"}, 403),
        ({"decision": "release"}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"decision": "dance"}, {}, 400),
    ],
)
async def test_a_form_that_is_not_the_sandboxs_own_changes_nothing(
    site: Site, eventually, fields: dict, headers: dict, status: int
) -> None:
    flow = await _held_flow(site, eventually)
    if headers or status == 400:
        fields = fields | {"token": await _token(site)}
    said = await site.send("POST", f"{site.url}/held/{flow}", data=fields, headers=headers, allow_redirects=False)
    assert said.status == status
    assert len((await site.control("GET", "state"))["held"]) == 1


async def test_deciding_twice_is_too_late_the_second_time(site: Site, eventually) -> None:
    flow = await _held_flow(site, eventually)
    form = {"decision": "release", "token": await _token(site)}
    answers = [
        (await site.send("POST", f"{site.url}/held/{flow}", data=form, allow_redirects=False)).status for _ in range(2)
    ]
    assert answers == [303, 409]


@pytest.mark.parametrize("path", ["jobs/nothing", "jobs/a/b/c.pdf", "held/nothing"])
async def test_what_is_not_there_has_a_page_that_says_so(site: Site, path: str) -> None:
    verb = "POST" if path.startswith("held") else "GET"
    form = {"decision": "stop", "token": await _page_token(site)}
    said = await site.send(verb, f"{site.url}/{path}", data=form if verb == "POST" else None)
    assert (said.status, said.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


async def _page_token(site: Site) -> str:
    page = (await site.send("GET", f"{site.url}/review")).content.decode()
    return re.findall(r'name="token" value="([^"]+)"', page)[0]


async def test_names_are_shown_as_text(site: Site, eventually) -> None:
    job = await site.batch([customer(1, customer={"id": "C-1", "name": "<script>alert(1)</script>"})])
    await eventually(lambda: site.is_over(job), within=20)
    page = (await site.send("GET", f"{site.url}/jobs/{job}")).content
    assert b"<script>" not in page
    assert b"&lt;script&gt;" in page
