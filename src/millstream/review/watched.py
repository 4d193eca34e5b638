"""What Exstream shows for review, as questions: resources in REVIEW, flow steps that are held, and what is in them."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

from millstream.exstream.errors import NotFound, TooLarge
from millstream.exstream.model import (
    ApprovalGroup,
    Domain,
    FlowStep,
    HistoryEntry,
    Resource,
    ResourceState,
    StepStatus,
    StepType,
    Workflow,
)
from millstream.review.model import Content, Paper, Subject, SubjectKind

if TYPE_CHECKING:
    from millstream.exstream.client import Exstream

MOST_SAMPLES: Final = 10
"""Customers of a held flow whose documents people see."""
MOST_BYTES: Final = 64 * 2**20
"""Larger content is not shown."""
_MOST_PAPERS = 3
"""Of one customer."""
_MOST_TEXT = 100_000
_LONGEST_FACT = 300
_PDF = "application/pdf"


class Customer(Protocol):
    """One customer of an engine's manifest."""

    @property
    def number(self) -> int:
        """In the run."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Its keys: CustomerId, DocumentType …."""


ReadManifest = Callable[[Path], Iterable[Customer]]
"""Reads an engine's manifest customer by customer; it blocks, and raises `Torn` where it cannot be read."""


class Torn(Exception):
    """A manifest that cannot be read."""


class Keeps(Protocol):
    """The part of the document store that is needed here."""

    async def put(self, content: bytes, /) -> Any:
        """Keep bytes; the answer's `sha256` is their hash."""

    async def flush(self) -> None:
        """Return when they are durable."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Something that waits in Exstream. Where its mark is the same, nothing has happened to it."""

    kind: SubjectKind
    id: str
    mark: str
    """Empty where Exstream tells nothing by which a change shows."""
    thing: Resource | FlowStep

    @property
    def edition(self) -> str:
        """What tells it from others of its domain, and from another version of itself."""
        version = self.thing.version if isinstance(self.thing, Resource) else None
        return f"{self.id} {version or ''}".strip()


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of it without its content."""

    listed: Listed
    subject: Subject
    facts: Mapping[str, str]
    fields: Mapping[str, Any]
    """As policies name and test them."""
    author: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How something stands that does not wait any more."""

    word: str
    """Exstream's word for its state; `deleted` where there is none of this id."""
    by: str = "exstream"
    why: str = ""


@dataclass(slots=True)
class Levels:
    """Who approves in Exstream's domains: level by level the roles, and the addresses that Exstream has for them.

    It is filled by whoever watches Exstream, and asked whenever a round begins.
    """

    known: dict[str, tuple[ApprovalGroup, ...]] = field(default_factory=dict)

    def __call__(self, domain: str, kind: str, /) -> Sequence[Sequence[str]]:
        """The levels of a domain for resources of a type; none where it approves without, or is not known."""
        by_level: dict[int, dict[str, None]] = {}
        for group in self.known.get(domain, ()):
            if _concerns(group, kind):
                for role in group.roles:
                    names = by_level.setdefault(role.level, {})
                    names.update({name: None for name in (role.role, role.email) if name})
        return tuple(tuple(by_level[level]) for level in sorted(by_level))

    def keep(self, domains: Iterable[Domain]) -> None:
        """Take over what Exstream says now."""
        self.known = {one.id: one.groups for one in domains if one.workflow is Workflow.ADVANCED}


class Watched:
    """Asks Exstream; every method raises ExstreamError."""

    def __init__(self, server: Exstream, documents: Keeps, read_manifest: ReadManifest) -> None:
        self._server = server
        self._documents = documents
        self._read_manifest = read_manifest

    async def seen(self, domain: str, listed: Listed) -> Seen:
        """What policies need to know of it."""
        if isinstance(listed.thing, Resource):
            return _seen_resource(domain, listed, listed.thing)
        step, runtime = listed.thing, self._server.runtime(domain)
        flow = await runtime.flow_instance(step.flow_instance_id or "", check_artifacts=False)
        job = await runtime.job(flow.job_id or "")
        model = flow.flow_model_name or job.channel or "flow"
        external = step.external_id or flow.external_id or job.external_id or ""
        places = {"channel": job.channel or "", "flow": flow.id, "job": job.id, "external_id": external}
        facts = {
            "type": model,
            "channel": job.channel or "",
            "domain": domain,
            "external id": external,
            "job": job.id,
            "held since": _moment(step.started_at or step.queued_at),
            "started by": job.triggered_by or "",
        }
        return Seen(
            listed,
            Subject(listed.kind, listed.id, domain, f"{model} {external or job.id[:8]}", _filled(places)),
            _filled(facts),
            {"type": model, "domain": domain, "mode": job.mode, "triggered_by": job.triggered_by, **places},
            _names(job.triggered_by),
        )

    async def content(self, domain: str, seen: Seen) -> Content | None:
        """What people are to decide on, its papers kept; None where it changed while it was read."""
        if isinstance(seen.listed.thing, Resource):
            content = await self._resource_content(domain, seen, seen.listed.thing)
        else:
            content = await self._step_content(domain, seen, seen.listed.thing)
        now = await self.now(domain, seen.listed)
        if now is None or now.mark != seen.listed.mark:
            return None
        await self._documents.flush()
        return content

    async def now(self, domain: str, listed: Listed) -> Listed | None:
        """The same as it waits now; None where it does not wait any more."""
        try:
            if listed.kind is SubjectKind.RESOURCE:
                resource = await self._server.design(domain).resource(listed.id)
                return resource_listed(resource) if resource.state is ResourceState.REVIEW else None
            step = await self._server.runtime(domain).flow_step(listed.id, check_artifacts=False)
            return step_listed(step) if step.status is StepStatus.HOLDING else None
        except NotFound:
            return None

    async def standing(self, domain: str, kind: SubjectKind, number: str) -> Standing:
        """What became of something that was listed before."""
        try:
            if kind is SubjectKind.RESOURCE:
                resource = await self._server.design(domain).resource(number)
                if resource.state is ResourceState.REVIEW:
                    return Standing(str(resource.state))
                last = _newest(await self._server.design(domain).history(number))
                by = (last.modified_by if last else resource.modified_by) or "exstream"
                return Standing(str(resource.state), by, (last.comment if last else resource.state_comment) or "")
            step = await self._server.runtime(domain).flow_step(number, check_artifacts=False)
            return Standing(str(step.status), why=step.msg or "")
        except NotFound:
            return Standing("deleted")

    async def last_word(self, domain: str, listed: Listed) -> HistoryEntry | None:
        """The last entry about a resource's state; a flow step has none."""
        if listed.kind is not SubjectKind.RESOURCE:
            return None
        return _newest(await self._server.design(domain).history(listed.id))

    # Resources

    async def _resource_content(self, domain: str, seen: Seen, resource: Resource) -> Content:
        design = self._server.design(domain)
        with tempfile.TemporaryFile() as out:
            try:
                fetched = await design.content(resource.id, out, most=MOST_BYTES)
                content, media_type, name = _whole(out), fetched.media_type, fetched.file_name
                missing = "" if content else "it has no content of its own"
            except (NotFound, TooLarge) as error:
                content, media_type, name, missing = b"", "", None, error.what
        if missing:
            edited = _newest(await design.history(resource.id, kind="CONTENT"))
            mark = f"{edited.id} {edited.modified_at}" if edited else ""
            digest = _digest(resource.id, resource.name, str(resource.version), mark)
            return Content(digest, facts={**seen.facts, "not shown": missing}, text=resource.description or "")
        paper = await self._paper(_file_name(name or resource.name, media_type), media_type, content)
        text = content.decode("utf-8", "replace")[:_MOST_TEXT] if _is_text(media_type) else ""
        return Content(
            _digest(resource.id, resource.name, paper.sha256),
            (paper,),
            seen.facts,
            text.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        )

    # Flow steps

    async def _step_content(self, domain: str, seen: Seen, step: FlowStep) -> Content:
        runtime = self._server.runtime(domain)
        steps = [
            each async for each in runtime.flow_steps(flow_instance_id=step.flow_instance_id, check_artifacts=True)
        ]
        made = [each for each in steps if each.delivery_file_retrievable]
        made = [each for each in made if each.type is StepType.COMMUNICATION] or made
        papers: list[Paper] = []
        parts, notes, shown, total, customer = [step.id if not made else ""], list[str](), list[str](), 0, ""
        for each in made:
            try:
                digest, count, chosen = await self._manifest(domain, each)
            except (NotFound, TooLarge, Torn) as error:
                notes.append(getattr(error, "what", str(error)))
                parts.append(each.id)
                continue
            parts.append(digest)
            total += count
            for one in chosen[: MOST_SAMPLES - len(shown)]:
                name = one.facts.get("CustomerId") or str(one.number)
                shown.append(name)
                try:
                    papers += await self._papers(domain, each, one.number, name)
                except (NotFound, TooLarge, Torn) as error:
                    notes.append(f"{name}: {getattr(error, 'what', str(error))}")
            if count == 1:
                customer = chosen[0].facts.get("CustomerId", "")
        if not made:
            notes.append("what it made cannot be fetched from Exstream any more")
        facts = {
            "customer": customer if total == 1 else "",
            **seen.facts,
            "customers": f"{total:,}" if total else "",
            "shown": ", ".join(shown) if total > len(shown) else "",
            "not shown": "; ".join(notes),
        }
        return Content(_digest(*parts, *(paper.sha256 for paper in papers)), tuple(papers), _filled(facts))

    async def _manifest(self, domain: str, step: FlowStep) -> tuple[str, int, list[Customer]]:
        """A manifest's digest, how many customers it has, and some of them from all over it."""
        with tempfile.TemporaryDirectory(prefix="millstream-review-") as folder:
            path = Path(folder) / "manifest.xml"
            with path.open("wb") as out:
                await self._server.runtime(domain).delivery_file(step.id, out)
            return await asyncio.to_thread(_chosen, path, self._read_manifest)

    async def _papers(self, domain: str, step: FlowStep, number: int, name: str) -> list[Paper]:
        with tempfile.TemporaryFile() as archive:
            await self._server.runtime(domain).customer_artifacts(step.id, number, archive, most=MOST_BYTES)
            found = await asyncio.to_thread(_pdfs, archive)
        return [await self._paper(f"{name} {file}", _PDF, content) for file, content in found]

    async def _paper(self, name: str, media_type: str, content: bytes) -> Paper:
        stored = await self._documents.put(content)
        return Paper(
            name, media_type.partition(";")[0].strip() or "application/octet-stream", len(content), stored.sha256
        )


def resource_listed(resource: Resource) -> Listed:
    """A resource in REVIEW."""
    mark = f"{resource.version} {resource.modified_at} {resource.name}" if resource.modified_at else ""
    return Listed(SubjectKind.RESOURCE, resource.id, mark, resource)


def step_listed(step: FlowStep) -> Listed:
    """A flow step that is held."""
    return Listed(SubjectKind.FLOW_STEP, step.id, f"{step.queued_at} {step.started_at}", step)


def _seen_resource(domain: str, listed: Listed, resource: Resource) -> Seen:
    left = {each.level for each in resource.approval.approvals if not each.approved} if resource.approval else set()
    facts = {
        "type": resource.type,
        "name": resource.name,
        "domain": domain,
        "version": str(resource.version or ""),
        "description": resource.description or "",
        "comment": resource.state_comment or "",
        "made by": resource.created_by or "",
        "changed by": resource.modified_by or "",
    }
    fields = {
        "type": resource.type,
        "resource_type": resource.type,
        "domain": domain,
        "name": resource.name,
        "version": resource.version,
        "created_by": resource.created_by,
        "modified_by": resource.modified_by,
    }
    places = {"type": resource.type, "levels": str(len(left)) if len(left) > 1 else ""}
    return Seen(
        listed,
        Subject(listed.kind, listed.id, domain, resource.name, _filled(places)),
        _filled(facts),
        fields,
        _names(resource.created_by, resource.modified_by),
    )


def _names(*users: str | None) -> tuple[str, ...]:
    """Users as Exstream writes them, and without the partition of OTDS: policies may name them either way."""
    found = [name for user in users if user for name in (user, user.partition("@")[0])]
    return tuple(dict.fromkeys(found))


def _concerns(group: ApprovalGroup, kind: str) -> bool:
    types = {each.lower() for each in group.resource_types}
    return not types or not kind or "all" in types or kind.lower() in types


def _chosen(path: Path, read: ReadManifest) -> tuple[str, int, list[Customer]]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    count = sum(1 for _ in read(path))
    wanted = {index * count // MOST_SAMPLES for index in range(MOST_SAMPLES)} if count > MOST_SAMPLES else None
    return digest, count, [one for at, one in enumerate(read(path)) if wanted is None or at in wanted]


def _pdfs(archive: BinaryIO) -> list[tuple[str, bytes]]:
    """The PDFs of one customer's archive, bounded. Raises Torn."""
    found: list[tuple[str, bytes]] = []
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if info.is_dir() or info.file_size > MOST_BYTES or len(found) >= _MOST_PAPERS:
                    continue
                with opened.open(info) as source:
                    content = source.read(MOST_BYTES + 1)
                if content.startswith(b"%PDF-") and len(content) <= MOST_BYTES:
                    found.append((_file_name(PurePosixPath(info.filename.replace("\\", "/")).name, _PDF), content))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        # RuntimeError: encrypted; NotImplementedError: a method or a version that the library does not know.
        raise Torn(f"its documents cannot be read: {error}") from error
    return found


def _whole(out: BinaryIO) -> bytes:
    out.seek(0)
    return out.read()


def _is_text(media_type: str) -> bool:
    plain = media_type.partition(";")[0].strip().lower()
    return plain.startswith("text/") or plain.endswith(("json", "xml"))


def _file_name(name: str, media_type: str) -> str:
    plain = "".join("-" if character in '/\\:*?"<>|' or character < " " else character for character in name)[-120:]
    ending = mimetypes.guess_extension(media_type.partition(";")[0].strip()) or ""
    return plain if PurePosixPath(plain).suffix else f"{plain}{ending}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()


def _newest(entries: Iterable[HistoryEntry]) -> HistoryEntry | None:
    """The last of a history, whichever way the service sorts it: by revision where there is one, else by time."""
    found = list(entries)
    if not found:
        return None
    return max(found, key=lambda each: (_instant(each.modified_at), each.revision or 0))


def _instant(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def _filled(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_LONGEST_FACT] for name, value in facts.items() if value}
