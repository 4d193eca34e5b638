"""Documents under the hash of their content, in a folder and in a bucket alike."""

import asyncio
import hashlib
import os
import time
from pathlib import Path

import pytest

from millstream.storage.errors import DocumentDamaged, DocumentMissing, StoreFull, StoreRefused
from millstream.storage.objects import DocumentStore, Stored, open_store


@pytest.fixture(params=["folder", "file", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DocumentStore:
    places = {"folder": str(tmp_path / "documents"), "file": f"file://{tmp_path}/documents", "bucket": "memory:///"}
    return open_store(places[request.param])


@pytest.mark.parametrize("size", [0, 1, 50_000, 3_000_000])
async def test_a_document_comes_back_as_it_was_put(store: DocumentStore, size: int) -> None:
    content = os.urandom(size)
    stored = await store.put(content)
    assert stored == Stored(hashlib.sha256(content).hexdigest(), size)
    assert await store.get(stored.sha256, check=True) == content


async def test_putting_twice_keeps_one(store: DocumentStore) -> None:
    assert await store.put(b"the same") == await store.put(b"the same")


async def test_many_that_put_the_same_at_once_agree(store: DocumentStore) -> None:
    content = os.urandom(2_000_000)
    stored = await asyncio.gather(*(store.put(content) for _ in range(8)))
    assert len(set(stored)) == 1
    assert await store.get(stored[0].sha256, check=True) == content


async def test_a_missing_document_is_named(store: DocumentStore) -> None:
    missing = "0" * 64
    assert not await store.has(missing)
    with pytest.raises(DocumentMissing, match=missing):
        await store.get(missing)


async def test_what_was_put_is_known_and_can_be_made_durable(store: DocumentStore) -> None:
    stored = await store.put(b"keep me")
    await store.flush()
    assert await store.has(stored.sha256)


async def test_a_name_that_is_no_hash_never_becomes_a_path(store: DocumentStore) -> None:
    for name in ("../../etc/passwd", "", "a" * 63 + "/"):
        with pytest.raises(ValueError, match="sha256"):
            await store.get(name)


async def test_a_document_that_changed_on_disk_is_found_out_when_checked(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    stored = await store.put(b"as it was")
    (tmp_path / stored.sha256[:2] / stored.sha256).write_bytes(b"as it is!")
    with pytest.raises(DocumentDamaged, match=stored.sha256):
        await store.get(stored.sha256, check=True)


async def test_a_document_cut_short_is_written_anew(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    stored = await store.put(b"as it was")
    (tmp_path / stored.sha256[:2] / stored.sha256).write_bytes(b"")
    await store.put(b"as it was")
    assert await store.get(stored.sha256, check=True) == b"as it was"


def test_what_a_killed_process_left_half_written_is_removed_after_a_day(tmp_path: Path) -> None:
    open_store(str(tmp_path))
    old, new = tmp_path / "incoming" / "1-1", tmp_path / "incoming" / "2-1"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 100_000,) * 2)
    open_store(str(tmp_path))
    assert (old.exists(), new.exists()) == (False, True)


async def test_a_store_opens_while_others_write_into_it(tmp_path: Path) -> None:
    stored = await open_store(str(tmp_path)).put(b"of another process")
    # To whoever looks, a link to nothing is what a file is that was listed and has been renamed since.
    (tmp_path / "incoming" / "3-1").symlink_to(tmp_path / "renamed")
    assert await open_store(str(tmp_path)).get(stored.sha256) == b"of another process"


async def test_a_full_disk_names_the_folder_and_leaves_nothing(small_disk: Path) -> None:
    store = open_store(str(small_disk / "documents"))
    kept = await store.put(b"there was room for me")
    with pytest.raises(StoreFull, match=f"{small_disk}/documents is full.*Make space"):
        await store.put(os.urandom(40_000_000))
    assert list((small_disk / "documents" / "incoming").iterdir()) == []
    assert await store.get(kept.sha256, check=True) == b"there was room for me"


@pytest.mark.parametrize("url", ["ftp://example.com/x", "s4://bucket", "/proc/documents"])
def test_a_store_that_cannot_be_is_refused_with_advice(url: str) -> None:
    with pytest.raises(StoreRefused, match="MILLSTREAM_DOCUMENTS__URL"):
        open_store(url)
