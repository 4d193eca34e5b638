"""The HTTP door as an output connector sees it: runs, who may hand them in, and what the same again is."""

import asyncio
import base64
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from http_site import LINES, TOKEN, Site, lines, opened, record

from millstream.communication.model import Road
from millstream.intake.errors import DocumentsFailed, LedgerFailed, SpoolFull


@pytest.fixture
async def site(pool, tmp_path) -> AsyncIterator[Site]:
    async with opened(pool, tmp_path) as site:
        yield site


async def test_posted_lines_are_a_run(site) -> None:
    status, told, headers = await site.post("runs?run=october&pool=bulk&mode=direct", lines(record(1), record(2)),
                                            Content_Type=LINES)  # fmt: skip
    assert status == 201
    assert (told["state"], told["run"]) == ("taken", "october")
    assert (told["receipt"]["lines"], told["receipt"]["new"]) == (2, 2)
    assert await site.customers() == ["C-1", "C-2"]
    [first, _] = await site.rows()
    assert (first["run_key"], first["pool"], first["mode"]) == ("october", "bulk", "direct")
    assert await site.get(headers["Location"]) == (200, told)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([record(1), record(2)]),
        json.dumps([record(1), record(2)], indent=2),
        f"\ufeff {json.dumps(record(1), indent=1)}\r\n{json.dumps(record(2))}",
        json.dumps([record(1, text='quotes " and \\ and {[ and \n'), record(2)], ensure_ascii=True),
    ],
)
async def test_an_array_and_objects_one_after_the_other_are_runs_too(site, body) -> None:
    status, told, _ = await site.post("runs", body.encode(), Content_Type="application/json")
    assert (status, told["receipt"]["new"]) == (201, 2)
    assert await site.customers() == ["C-1", "C-2"]


async def test_a_broken_line_harms_only_itself(site) -> None:
    body = lines(record(1)) + b"{broken\n" + lines(record(2, recipient="x"), record(3))
    status, told, _ = await site.post("runs", body, Content_Type=LINES)
    assert status == 201
    assert (told["receipt"]["new"], told["receipt"]["rejected"]) == (2, 2)
    assert told["receipt"]["problems"][0].startswith("line 2: ")


@pytest.mark.parametrize(
    ("body", "kind", "line"),
    [
        (b"", LINES, None),
        (b" \n\n", LINES, None),
        (b"\n\nkey;address\n1;2\n", LINES, 3),
        (b"%PDF-1.7", "application/octet-stream", 1),
        (b"[]", "application/json", None),
        (b'[{"a": 1},\n{"b": 2}', "application/json", 2),
        (b'[{"a": 1}\n{"b": 2}]', "application/json", 2),
        (b'[{"a": 1},\n\n{"b" 2}]', "application/json", 3),
        (b'[{"a": 1},]', "application/json", 1),
        (b'[{"a": 1}]\n[{"b": 2}]', "application/json", 2),
        (b"[1, 2]", "application/json", 1),
        (b'[{"a": "' + b"\xff" + b'"}]', "application/json", 1),
        (b"[" + b'{"a":' * 2000, "application/json", 1),
        (b'{"a": [}', "application/json", None),
    ],
)
async def test_what_is_no_driver_is_told_with_its_line(site, body, kind, line) -> None:
    status, told, _ = await site.post("runs", body, Content_Type=kind)
    assert status == 400
    assert told["error"]
    assert told.get("line") == line or line is None
    assert site.spooled() == []
    assert await site.store.newest() == []


@pytest.mark.parametrize("path", ["runs", "communications"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer ", "Basic !!", "Digest x", "Bearer \xff"])
async def test_a_stranger_is_turned_away(site, path, authorization) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with site.session.post(f"{site.url}/api/v1/{path}", data=lines(record()), headers=headers) as reply:
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Bearer realm="millstream"')
    assert await site.store.newest() == []


async def test_a_connector_that_knows_user_and_password_only_is_let_in(site) -> None:
    for user, status in (("exstream", 201), ("other", 401)):
        told = base64.b64encode(f"{user}:{TOKEN}".encode()).decode()
        async with site.session.post(
            f"{site.url}/api/v1/runs", data=lines(record()), headers={"Authorization": f"Basic {told}"}
        ) as reply:
            assert reply.status == status


async def test_the_standard_library_can_call_it(site) -> None:
    def call() -> tuple[int, Any]:
        request = urllib.request.Request(  # noqa: S310  the loopback
            f"{site.url}/api/v1/runs?run=october",
            lines(record()),
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": LINES},
        )
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310  the loopback
            return reply.status, json.load(reply)

    status, told = await asyncio.to_thread(call)
    assert (status, told["receipt"]["new"]) == (201, 1)


async def test_the_same_again_gets_the_first_answer(site) -> None:
    first = await site.post("runs", lines(record()), Idempotency_Key="a-1")
    again = await site.post("runs", lines(record()), Idempotency_Key="a-1")
    assert (again[0], again[1]) == (first[0], first[1]) == (201, first[1])
    assert again[2]["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first[2]
    assert len(await site.rows()) == 1


async def test_without_a_key_the_body_is_the_key(site) -> None:
    first = await site.post("runs", lines(record()))
    again = await site.post("runs", lines(record()))
    other = await site.post("runs?run=other", lines(record()))
    assert again[1] == first[1]
    assert other[1]["consignment"] != first[1]["consignment"]


async def test_a_key_with_other_content_is_a_conflict_and_leaves_nothing(site) -> None:
    await site.post("runs", lines(record()), Idempotency_Key="a-1")
    before = site.spooled()
    for path, body in (
        ("runs", lines(record(2))),
        ("runs?run=x", lines(record())),
        ("communications", lines(record())),
    ):
        status, told, _ = await site.post(path, body, Idempotency_Key="a-1")
        assert (status, "Idempotency-Key" in told["error"]) == (409, True)
    assert site.spooled() == before
    assert len(await site.rows()) == 1


async def test_keys_are_each_callers_own(site) -> None:
    first = await site.post("runs", lines(record()), Idempotency_Key="a-1")
    second = await site.post("runs", lines(record(2)), token="other-7", Idempotency_Key="a-1")
    assert (first[0], second[0]) == (201, 201)
    assert (await site.get(second[2]["Location"]))[0] == 404
    assert (await site.get(second[2]["Location"], token="other-7"))[0] == 200


async def test_a_callers_name_is_never_the_beginning_of_anothers(pool, tmp_path) -> None:
    async with opened(pool, tmp_path, tokens={"a": "one-7", "a/b": "two-7"}) as site:
        first = await site.post("runs", lines(record()), token="one-7", Idempotency_Key="b/c")
        second = await site.post("runs", lines(record(2)), token="two-7", Idempotency_Key="c")
        assert (first[0], second[0]) == (201, 201)
        assert (await site.get(second[2]["Location"], token="one-7"))[0] == 404
        assert (await site.get(second[2]["Location"], token="two-7"))[0] == 200


async def test_the_same_key_at_the_same_time_is_one_consignment(site) -> None:
    handed = [site.post("runs", lines(record()), Idempotency_Key="a-1") for _ in range(12)]
    answers = await asyncio.gather(*handed)
    assert {status for status, _, _ in answers} == {201}
    assert len({told["consignment"] for _, told, _ in answers}) == 1
    assert len(await site.rows()) == 1


async def test_what_is_not_taken_in_time_is_promised(site, eventually) -> None:
    site.taking.clear()
    status, told, headers = await site.post("runs?wait=0", lines(record()))
    assert (status, told["state"], told["receipt"]) == (202, "received", None)
    assert headers["Location"] == f"/api/v1/consignments/{told['consignment']}"
    async with asyncio.timeout(5):
        assert (await site.post("runs", lines(record()), Prefer="respond-async"))[0] == 202
    site.taking.set()

    async def taken() -> bool:
        return (await site.get(headers["Location"]))[1]["state"] == "taken"

    await eventually(taken, within=10)


async def test_what_cannot_be_taken_says_why(site) -> None:
    await site.post("runs?run=october&mode=draft", lines(record()))
    status, told, _ = await site.post("runs?run=october&mode=direct", lines(record(2)))
    assert status == 422
    assert (told["state"], "october" in told["error"]) == ("failed", True)


@pytest.mark.parametrize(
    "query",
    [
        "mode=slow",
        "road=air",
        "unclear=maybe",
        "road=relay",
        "bounce_limit=200%25",
        "pool=nobody",
        "password={x",
        "rum=october",
        "run=" + "x" * 201,
        "run=a%0Ab",
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(pool, tmp_path, query) -> None:
    unfit = lambda _, policy: "there is no relay" if Road.RELAY in policy.roads else None  # noqa: E731  as short as it is
    async with opened(pool, tmp_path, pools=frozenset({"default"}), unfit=unfit) as site:
        status, told, _ = await site.post(f"runs?{query}", lines(record()))
        assert (status, bool(told["error"])) == (400, True)
        assert await site.store.newest() == []


async def test_road_and_what_follows_a_lost_reply_come_by_query_or_header(site) -> None:
    await site.post("runs?road=relay", lines(record()), X_Millstream_Unclear="again")
    [row] = await site.rows()
    assert row["policy"] == {"road": "relay", "unclear": "again"}


async def test_policy_comes_by_query_or_header(site) -> None:
    await site.post("runs?unsubscribe=mailto:stop@example.com&bounce_limit=5%25", lines(record()),
                    X_Millstream_Run="by-header")  # fmt: skip
    [row] = await site.rows()
    assert row["run_key"] == "by-header"
    assert row["policy"] == {"unsubscribe": "mailto:stop@example.com", "bounce_limit": 0.05}


@pytest.mark.parametrize(
    ("error", "words"),
    [(LedgerFailed("secret-host"), "kept"), (DocumentsFailed("secret-host"), "kept"), (SpoolFull("x"), "room")],
)
async def test_a_store_that_is_away_has_it_sent_again(site, error, words) -> None:
    site.reception.error = error
    for path in ("runs", "communications"):
        status, told, headers = await site.post(path, lines(record()), Idempotency_Key=path)
        assert (status, headers["Retry-After"]) == (503, "10")
        assert words in told["error"]
        assert "secret" not in told["error"]
    site.reception.error = None
    assert (await site.post("runs", lines(record()), Idempotency_Key="runs"))[0] == 201


async def test_a_spool_that_cannot_be_used_has_it_sent_again(site) -> None:
    site.spool.mkdir(exist_ok=True)
    (site.spool / "incoming").write_text("in the way")
    status, _, headers = await site.post("runs", lines(record()))
    assert (status, headers["Retry-After"]) == (503, "10")


async def test_too_much_is_not_read_to_its_end(pool, tmp_path) -> None:
    async with opened(pool, tmp_path, most_bytes=100_000, most_record_bytes=50_000) as site:
        assert (await site.post("runs", lines(*(record(n) for n in range(1_000)))))[0] == 413  # its length is told

        async def endless() -> AsyncIterator[bytes]:
            for number in range(100_000):
                yield lines(record(number))

        for path in ("runs", "communications"):
            with contextlib.suppress(aiohttp.ClientOSError):  # it may hang up before all was sent
                assert (await site.post(path, endless()))[0] == 413
        assert site.spooled() == []
        assert await site.store.newest() == []


@pytest.mark.parametrize("kind", ["text/csv", "application/xml", "image/png"])
async def test_other_kinds_are_not_taken(site, kind) -> None:
    assert (await site.post("runs", b"x", Content_Type=kind))[0] == 415
    assert (await site.post("communications?recipient=a@example.com", b"x", Content_Type=kind))[0] == 415


async def test_an_upload_that_breaks_off_leaves_nothing(site, eventually) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    for path, kind in (("runs", LINES), ("runs", "multipart/form-data; boundary=b"), ("communications", LINES)):
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {kind}\r\n"
            "Content-Length: 5000000\r\n\r\n"
        )
        start = b'--b\r\nContent-Disposition: form-data; name="driver"\r\n\r\n' if "multipart" in kind else b""
        writer.write(head.encode() + start + lines(*(record(n) for n in range(9_000))))
        await writer.drain()
        if path == "runs":
            await eventually(site.spooled)
        writer.transport.abort()
        await eventually(lambda: site.spooled() == [])
    assert await site.store.newest() == []
    assert (await site.post("runs", lines(record())))[0] == 201


async def test_a_body_that_comes_too_slowly_is_given_up(pool, tmp_path) -> None:
    async with opened(pool, tmp_path, read_seconds=0.2) as site:
        never = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield lines(record())
            await never.wait()

        with contextlib.suppress(aiohttp.ClientOSError):
            assert (await site.post("runs", slowly()))[0] == 408
        assert site.spooled() == []
