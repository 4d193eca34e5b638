"""The evidence of one review as a file, and its proof without our database, settings or network.

A bundle is a zip file (`zipped`) with the review's papers and mails, `review.json`, `record.pdf`, and two files that
prove them: `audit.json` has the review's entries of the audit chain, each with the hashes that lead to its block, and
all blocks; `manifest.json` names every file with its hash and with what proves it.

The last entry, `review.exported`, has the digest of all files but those two: what lies in a bundle is in the chain.
Most of it is there twice: a paper's hash in the entry of its question, a mail's in the entry of its keeping.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from millstream.audit import zipped
from millstream.audit.block import Block, hash_of, misplaced
from millstream.audit.chain import GENESIS, follow
from millstream.audit.errors import BadBundle
from millstream.audit.merkle import leads_to
from millstream.audit.zipped import Member

FORMAT: Final = 1
MANIFEST, AUDIT, REVIEW = "manifest.json", "audit.json", "review.json"
EXPORTED: Final = "review.exported"
_PROVING = frozenset({MANIFEST, AUDIT})
_MOST_JSON: Final = 128 << 20
_MOST_PROBLEMS = 50
_OPENED: Final[Mapping[str, str]] = {"review.opened": "hash", "review.superseded": "by_hash"}
"""Where entries name the content that a round begins with."""
_ENTRY = ("seq", "at", "actor", "kind", "subject", "payload")

Files = Mapping[str, Member]


@dataclass(frozen=True, slots=True)
class Report:
    """What a look at a bundle found."""

    problems: tuple[str, ...]
    """Sentences for people; empty: everything fits together."""
    review: int = 0
    entries: int = 0
    files: int = 0
    block: int = 0
    """The number of its last block."""
    hash: str = ""
    """That block's hash in hex: compare it with one that was kept elsewhere."""
    missing: tuple[str, ...] = ()
    """What the bundle says it does not have, and why."""
    compared: bool = False
    """Whether a hash that was kept elsewhere was found in it."""

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def dumps(value: Any) -> bytes:
    """JSON as a bundle has it: one form for one value. BadBundle where it is longer than a reader takes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
    written = orjson.dumps(value, default=str, option=options)
    if len(written) > _MOST_JSON:
        raise BadBundle(f"a file of the bundle would have {len(written):,} bytes, the limit is {_MOST_JSON:,}")
    return written


def digest(files: Files) -> str:
    """One hash for all files but the two that prove them: SHA-256 over lines as `sha256sum` writes them."""
    lines = [f"{files[path].sha256}  {path}\n" for path in sorted(files) if path not in _PROVING]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def manifest(files: Files, audit: Mapping[str, Any], review: Mapping[str, Any]) -> bytes:
    """`manifest.json`: a function of all else, so that a reader can make it again and compare.

    KeyError, IndexError, TypeError or ValueError where the others are not of their form.
    """
    exported, last = audit["entries"][-1], audit["blocks"][-1]
    named = _named(audit["entries"][:-1])
    listed = []
    for path in sorted(set(files) - {MANIFEST}):
        proof = {"blocks": last["number"]} if path == AUDIT else {"export": exported["seq"]}
        if path.startswith(("documents/", "mails/")) and files[path].sha256 in named:
            proof["entry"] = named[files[path].sha256]
        listed.append({"path": path, "sha256": files[path].sha256, "size": files[path].size, "proof": proof})
    return dumps(
        {
            "format": FORMAT,
            "review": audit["review"],
            "made_at": exported["at"],
            "made_by": exported["actor"],
            "digest": digest(files),
            "files": listed,
            "missing": review["missing"],
            "head": {"block": last["number"], "hash": last["hash"]},
            "proofs": {
                "entry": "this entry of the chain names the file's hash, from when it happened",
                "export": "this entry of the chain covers the file as it was when the bundle was made",
                "blocks": "its entries lead to blocks, and the last block's hash is the head",
            },
        }
    )


def _named(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Hashes of contents that entries name, each with the first entry that does."""
    found: dict[str, int] = {}
    for entry in entries:
        payload = orjson.loads(entry["payload"])
        if not isinstance(payload, dict):
            continue
        papers = payload.get("papers")
        for sha256 in (payload.get("sha256"), *(papers if isinstance(papers, list) else ())):
            if isinstance(sha256, str):
                found.setdefault(sha256, entry["seq"])
    return found


def check(path: Path, *, head: str | None = None) -> Report:
    """Look at every byte of a bundle and at all it claims; `head` is a hash kept elsewhere, of a block or an entry.

    Raises:
        BadBundle: the file is none at all; the text says why.
    """
    files = {member.path: member for member in zipped.read(path)}
    problems = [
        f"{each.path} is not what was packed: its bytes were changed" for each in files.values() if not each.whole
    ]
    told, audit, review = (_loaded(path, files, name) for name in (MANIFEST, AUDIT, REVIEW))
    try:
        blocks = [Block.from_json(each) for each in audit["blocks"]]
        entries = audit["entries"]
        problems += _chain_problems(entries, blocks)
        problems += _export_problems(files, audit, review)
        problems += _manifest_problems(files, told, audit, review)
        problems += _review_problems(files, review, entries)
        compared = head is not None and head.strip().lower() in _hashes(blocks, entries)
        missing = tuple(f"{each['what']}: {each['why']}" for each in review["missing"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        problem = f"a file of the bundle is not of the form an export gives it ({type(error).__name__}: {error})"
        return Report(tuple([*problems, problem][:_MOST_PROBLEMS]))
    if head is not None and not compared:
        problems.append(
            f"no block and no entry here has the hash {head}: the bundle is of another history, or that hash was noted "
            f"after it was made; then look up block {blocks[-1].number} with `millstream audit verify`"
        )
    last = blocks[-1]
    found = tuple(problems[:_MOST_PROBLEMS])
    return Report(found, audit["review"], len(entries), len(files), last.number, last.hash.hex(), missing, compared)


def _loaded(path: Path, files: Files, name: str) -> dict[str, Any]:
    member = files.get(name)
    if member is None:
        raise BadBundle(f"{path} has no {name}, so it is no bundle of `millstream review export`")
    if member.size > _MOST_JSON:
        raise BadBundle(f"{name} has {member.size:,} bytes; in a bundle it has {_MOST_JSON:,} at most")
    try:
        found = orjson.loads(zipped.content(path, member))
    except orjson.JSONDecodeError as error:
        raise BadBundle(f"{name} is no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BadBundle(f"{name} is not of format {FORMAT}; a newer millstream may know it")
    return found


def _hashes(blocks: Sequence[Block], entries: Sequence[Mapping[str, Any]]) -> set[str]:
    found = {each.hash.hex() for each in blocks} | {each.last_hash.hex() for each in blocks}
    return found | {each["hash"] for each in entries}


# What the chain says


def _chain_problems(entries: Sequence[Mapping[str, Any]], blocks: Sequence[Block]) -> list[str]:
    """Every entry is what its hash is of and lies in its block; every block follows from the one before."""
    found = []
    wrong = misplaced(blocks)
    if wrong is not None:
        found.append(f"block {wrong.number} does not follow from the one before it")
    by_number = {block.number: block for block in blocks}
    last_seq, last_hash = 0, GENESIS
    for entry in entries:
        seq, own, before = entry["seq"], hash_of(entry["hash"]), hash_of(entry["before"])
        block = by_number[entry["block"]]
        if type(seq) is not int or seq <= last_seq:
            found.append(f"entry {seq} does not stand in the order of the chain")
        elif follow(before, entry) != own or (seq == last_seq + 1 and before != last_hash):
            found.append(f"entry {seq} is not what its hash is of")
        elif not _in_block(entry, own, before, block, by_number):
            found.append(f"entry {seq} does not lead to block {block.number}")
        last_seq, last_hash = seq, own
    if len({*by_number}) != len(blocks):
        found.append("a block is there twice")
    return found


def _in_block(entry: Mapping[str, Any], own: bytes, before: bytes, block: Block, blocks: Mapping[int, Block]) -> bool:
    seq, path = entry["seq"], [hash_of(each) for each in entry["path"]]
    if leads_to(own, seq - block.first_seq, block.size, path) != block.root:
        return False
    if seq == block.last_seq and own != block.last_hash:
        return False
    return seq != block.first_seq or block.number == 1 or before == blocks[block.number - 1].last_hash


def _export_problems(files: Files, audit: Mapping[str, Any], review: Mapping[str, Any]) -> list[str]:
    exported = audit["entries"][-1]
    if exported["kind"] != EXPORTED or exported["subject"] != f"review:{audit['review']}":
        return ["the last entry is not that of this export"]
    if review["review"]["id"] != audit["review"]:
        return [f"{REVIEW} is of another review"]
    if audit["blocks"][-1]["last_seq"] < exported["seq"] or audit["blocks"][-1]["number"] != exported["block"]:
        return ["the blocks do not end with that of this export"]
    if orjson.loads(exported["payload"])["digest"] != digest(files):
        return [f"the files are not those of the export that entry {exported['seq']} of the chain records"]
    return []


def _manifest_problems(
    files: Files, told: Mapping[str, Any], audit: Mapping[str, Any], review: Mapping[str, Any]
) -> list[str]:
    listed = {each["path"]: each for each in told["files"]}
    found = [f"{path} is not in the manifest" for path in sorted(set(files) - {MANIFEST} - set(listed))]
    found += [f"{path} is in the manifest, and is not here" for path in sorted(set(listed) - set(files))]
    found += [
        f"{path} is not what the manifest says"
        for path in sorted(set(listed) & set(files))
        if (listed[path]["sha256"], listed[path]["size"]) != (files[path].sha256, files[path].size)
    ]
    if not found and hashlib.sha256(manifest(files, audit, review)).hexdigest() != files[MANIFEST].sha256:
        found.append(f"{MANIFEST} does not say what the other files say")
    return found


# What the review says


def _review_problems(files: Files, review: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `review.json` tells of rounds, answers and decisions is what the entries were written of."""
    number = review["review"]["id"]
    noted = [
        (entry["kind"], orjson.loads(entry["payload"])) for entry in entries if entry["subject"] == f"review:{number}"
    ]
    opened = {facts[_OPENED[kind]] for kind, facts in noted if kind in _OPENED}
    hashes = {each["number"]: each["hash"] for each in review["rounds"]}
    found = [f"no entry names the content of round {n}" for n, content in hashes.items() if content not in opened]
    for made in review["decisions"]:
        if made["hash"] != hashes[made["round"]]:
            found.append(f"the decision of round {made['round']} is not about what was shown in it")
        if not _noted(noted, "review.decided", made, by=made["by"]):
            found.append(f"no entry records the decision of round {made['round']} as it is told here")
    found += [
        f"no entry records the answer of {said['address']} in round {said['round']} as it is told here"
        for said in review["answers"]
        if said["counted"] and not _noted(noted, "review.answered", said, by=said["address"])
    ]
    for each in (*review["documents"], *review["letters"]):
        member = files.get(each["path"])
        if member is None or member.sha256 != each["sha256"]:
            found.append(f"{each['path']} is not what {REVIEW} says")
    kept = {each["path"] for each in (*review["documents"], *review["letters"])}
    strange = [path for path in sorted(files) if path.startswith(("documents/", "mails/")) and path not in kept]
    return found + [f"{path} is not named in {REVIEW}" for path in strange]


def _noted(noted: Sequence[tuple[str, Any]], kind: str, said: Mapping[str, Any], *, by: str) -> bool:
    words = hashlib.sha256(str(said["words"]).encode("utf-8", "replace")).hexdigest()
    wanted = {"address": by, "verdict": said["verdict"], "how": said["how"], "round": said["round"], "words": words}
    return any(
        each == kind and all(facts.get(name) == value for name, value in wanted.items()) for each, facts in noted
    )
