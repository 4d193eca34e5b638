"""The design service: resources and their approval, domains, links, manifests of communication sets, the caller."""

from collections.abc import Callable
from typing import Any, Final

from millstream.sandbox.exstream import filters, wire
from millstream.sandbox.exstream.config import Domain
from millstream.sandbox.exstream.errors import BadRequest, Conflict, Forbidden, NotFound
from millstream.sandbox.exstream.front import Answer, Call, Operation
from millstream.sandbox.exstream.inputs import version_document
from millstream.sandbox.exstream.resources import DENIED, NO_DOMAIN, REASONS, Entry, Held, MoveRefused, Shelf
from millstream.sandbox.exstream.wire import Document, Style
from millstream.sandbox.exstream.world import World, is_id, known_id

KEYS: Final = frozenset(
    [
        "ids",
        "excludedIds",
        "types",
        "excludedTypes",
        "name",
        "description",
        "createdBy",
        "lastModifiedBy",
        "createdDateStart",
        "createdDateEnd",
        "lastModifiedDateStart",
        "lastModifiedDateEnd",
        "searchString",
        "caseSensitive",
        "wholeWord",
        "resourcePackId",
        "systemResource",
        "hidden",
        "hasApprovedVersion",
        "standardVariantId",
        "useEffectiveDate",
        "effectiveDate",
        "categories",
        "categoryObjects",
        "domainId",
        "vfilter_lastModifiedDateEnd",
        "latestVersion",
        "locked",
        "states",
        "overrideIds",
        "overrideStates",
    ]
)
_FLAGS: Final = (
    "caseSensitive",
    "hasApprovedVersion",
    "hidden",
    "latestVersion",
    "locked",
    "systemResource",
    "wholeWord",
)
_HISTORY: Final = frozenset({"CREATE", "STATE", "METADATA", "CONTENT"})
_SORTS: Final[dict[str, Callable[[Held], Any]]] = {
    "name": lambda held: held.name,
    "type": lambda held: held.given.type,
    "state": lambda held: held.state,
    "version": lambda held: held.version,
    "createdDate": lambda held: held.created,
    "lastModifiedDate": lambda held: held.modified,
}


class Design:
    """The handlers."""

    def __init__(self, world: World, shelf: Shelf) -> None:
        self._world = world
        self._shelf = shelf

    def operations(self) -> list[Operation]:
        """Every operation."""
        table = [
            ("resources.list", "GET", "resources/{domain}", self.resources, "DESIGN"),
            ("resources.set_states", "PUT", "resources/{domain}/state", self.set_states, "DESIGN"),
            ("resources.history", "GET", "resources/{domain}/history/{id}", self.history, "DESIGN"),
            ("resources.get", "GET", "resources/{domain}/{id}", self.resource, "DESIGN"),
            ("resources.set_state", "PUT", "resources/{domain}/{id}/state", self.set_state, "DESIGN"),
            ("resources.content", "GET", "resources/{domain}/{id}/content", self.content, "DESIGN"),
            ("domains.list", "GET", "domains", self.domains, "DESIGN"),
            ("links.list", "GET", "links/{domain}", self.links, "DESIGN"),
            ("manifests.get", "GET", "manifests/{domain}/communication-set/{id}", self.manifest, "DESIGN"),
            ("users.current", "GET", "authentication/{domain}/current-user", self.current_user, ""),
            ("users.current", "GET", "authentication/current-user", self.current_user, ""),
            ("version", "GET", "version", self.version, ""),
        ]
        base = "/design/api/v1"
        return [Operation(name, verb, f"{base}/{path}", handler, right) for name, verb, path, handler, right in table]

    # Resources

    async def resources(self, call: Call) -> Answer:
        """Resources, the latest change first or as `sort` says."""
        wanted = filters.read(call.query, KEYS)
        _check_flags(wanted)
        approval, permissions, domains = (call.flag(f"fetch{name}") for name in ("Approval", "Permissions", "Domains"))
        found = [held for held in self._shelf.all(call.domain) if _fits(held, wanted)]
        for part in reversed(call.one("sort").split(",")):
            found = _sorted(found, part)

        def show(held: Held) -> Document:
            return self._document(call, held, approval=approval, permissions=permissions, domains=domains)

        return Answer(call.paging.page(found, show, call.style.odd))

    async def resource(self, call: Call) -> Answer:
        """One resource."""
        held = self._held(call)
        call.flag("checkIfLatestVersion")
        self._right_version(call, held)
        return Answer(wire.success(self._document(call, held, approval=True)))

    async def set_state(self, call: Call) -> Answer:
        """Change one resource's state."""
        held, (state, comment, locked) = self._held(call), _wish(call)
        try:
            self._shelf.move(held, state, comment, call.access, locked=locked)
        except MoveRefused as refused:
            raise (Forbidden if refused.reason == DENIED else Conflict)(refused.details) from None
        return Answer(wire.success(self._document(call, held, approval=True)))

    async def set_states(self, call: Call) -> Answer:
        """Change the state of many, each for itself; the answer has a list for each outcome."""
        ids = call.document.get("resourceIds")
        if not isinstance(ids, list) or not all(isinstance(one, str) and is_id(one) for one in ids):
            raise BadRequest("resourceIds must be a list of uuids")
        state, comment, locked = _wish(call)
        outcome: dict[str, list[Document]] = {"stateChangedResources": [], **{reason: [] for reason in REASONS}}
        for id_ in dict.fromkeys(one.lower() for one in ids):
            try:
                held = self._shelf.find(call.domain, id_)
            except NotFound:
                outcome[NO_DOMAIN].append({"id": id_})
                continue
            reason = "stateChangedResources"
            try:
                self._shelf.move(held, state, comment, call.access, locked=locked)
            except MoveRefused as refused:
                reason = refused.reason
            outcome[reason].append(self._document(call, held, approval=True))
        return Answer(wire.success(outcome))

    async def history(self, call: Call) -> Answer:
        """What became of a resource, the latest first."""
        held, kind = self._held(call), call.one("historyType")
        call.flag("fetchAcrossDomains")
        if kind and kind not in _HISTORY:
            raise BadRequest(f"historyType {kind[:40]!r} is unknown; known are: {', '.join(sorted(_HISTORY))}")
        entries = [entry for entry in reversed(held.history) if kind in ("", entry.kind)]
        return Answer(wire.success([_entry(call.style, held, entry) for entry in entries]))

    async def content(self, call: Call) -> Answer:
        """A resource's content."""
        held = self._held(call)
        self._right_version(call, held)
        return Answer(content=held.given.content.encode(), media_type="text/plain; charset=utf-8", file_name=held.name)

    def _held(self, call: Call) -> Held:
        if not is_id(call.path["id"]):
            raise BadRequest(f"Invalid UUID string: {call.path['id'][:60]}")
        return self._shelf.find(call.domain, call.path["id"])

    def _right_version(self, call: Call, held: Held) -> None:
        version, state = call.one("version"), call.one("state")
        if version and not version.removeprefix("-").isdecimal():
            raise BadRequest(f"Parameter version must be a whole number, not {version[:40]!r}")
        if (version and int(version) != held.version) or (state and state != held.state):
            raise NotFound(f"{held.name} has no such version")

    def _document(
        self, call: Call, held: Held, *, approval: bool = False, permissions: bool = False, domains: bool = False
    ) -> Document:
        date = call.style.date
        document = {
            "id": held.id,
            "name": held.name,
            "type": held.given.type,
            "version": held.version,
            "latestVersion": True,
            "description": held.given.description,
            "state": held.state,
            "stateComment": held.comment,
            "createdBy": held.given.created_by,
            "createdDate": date(held.created),
            "lastModifiedBy": held.modified_by,
            "lastModifiedDate": date(held.modified),
            "effectiveStart": None,
            "effectiveEnd": None,
            "locked": held.locked_by is not None,
            "lockedBy": held.locked_by,
            "hidden": False,
            "systemResource": False,
            "permissions": _permissions(call) if permissions else None,
            "approvalInfo": self._shelf.approval(held) if approval else None,
            "domains": [_domain(self._world.domains[held.domain], groups=False)] if domains else None,
        }
        return call.style.known(document)

    # The rest

    async def domains(self, call: Call) -> Answer:
        """Domains, with their approval groups where these are asked for."""
        groups = call.flag("fetchApprovalGroups")
        text = call.one("filter.searchString").lower()
        for name in ("fetchChildren", "filter.currentUser", "filter.caseSensitive", "filter.wholeWord"):
            call.flag(name)
        found = [domain for domain in self._world.config.domains if text in domain.name.lower()]
        return Answer(call.paging.page(found, lambda domain: _domain(domain, groups=groups), call.style.odd))

    async def links(self, call: Call) -> Answer:
        """What a resource is linked to; `linkDepth` beyond the first follows the links of what is found."""
        wanted = filters.read(call.query, KEYS)
        subject, target = call.one("linkSubjectId").lower(), call.one("linkObjectId").lower()
        depth = call.one("linkDepth") or "1"
        if not depth.isdecimal():
            raise BadRequest(f"Parameter linkDepth must be a whole number, not {depth[:40]!r}")
        found = self._linked(call.domain, subject, min(int(depth), len(self._shelf.links)))
        fitting = [
            (one, other)
            for one, other in found
            if target in ("", other) and _fits(self._shelf.find(call.domain, other), wanted)
        ]
        return Answer(call.paging.page(fitting, lambda pair: dict(zip(_ENDS, pair, strict=True)), call.style.odd))

    def _linked(self, domain: str, subject: str, depth: int) -> list[tuple[str, str]]:
        known = {held.id for held in self._shelf.all(domain)}
        links = [(one, other) for one, other in self._shelf.links if one in known and other in known]
        if not subject:
            return links
        found: dict[tuple[str, str], None] = {}
        layer = {subject}
        for _ in range(depth):
            new = [pair for pair in links if pair[0] in layer and (subject, pair[1]) not in found]
            found.update({(subject, other): None for _, other in new})
            layer = {other for _, other in new}
        return list(found)

    async def manifest(self, call: Call) -> Answer:
        """The manifest of a communication set; it has no envelope."""
        if not is_id(call.path["id"]):
            raise BadRequest(f"Invalid UUID string: {call.path['id'][:60]}")
        id_ = self._shelf.sets.get((call.domain, call.path["id"].lower()))
        if id_ is None:
            raise NotFound(f"Communication set {call.path['id']} was not found")
        communication = self._world.communications[call.domain, id_]
        source = known_id(call.domain, "source", communication.name)
        document = {
            "applicationName": communication.name,
            "characterEncoding": "SBCS",
            "serialization": 1,
            "dsnlist": [
                {
                    "id": source,
                    "name": communication.data_source,
                    "prodDsn": communication.data_source,
                    "resourceId": source,
                    "type": "driver",
                }
            ],
            "queueList": [
                {
                    "id": known_id(id_, output.queue),
                    "name": output.queue,
                    "driver": output.driver,
                    "prodFile": output.queue,
                    "use": "output",
                }
                for output in communication.outputs
            ],
            "reportList": [],
            "metadata": [],
        }
        return Answer(document)

    async def current_user(self, call: Call) -> Answer:
        """Who calls."""
        roles = [{"name": role, "id": known_id("role", role)} for role in call.access.roles]
        user = {
            "name": call.access.name,
            "tenantName": self._world.config.tenant,
            "groups": [f"{role}@exstream.role" for role in call.access.roles],
            "roles": roles,
            "isTenantAdmin": "tenantadmins" in call.access.roles,
            "isSystemAdmin": False,
            "isOt2TenantAdmin": False,
            "ot2Subscriptions": [],
        }
        return Answer(wire.success(user))

    async def version(self, _call: Call) -> Answer:
        """Which service this is."""
        return Answer(version_document("design") | {"clientVersion": "24.4.0"})


_ENDS: Final = ("linkSubjectId", "linkObjectId")


def _wish(call: Call) -> tuple[str, str, bool]:
    """The state, the comment and the lock of a body; raises `BadRequest`."""
    told = call.document
    state, comment = told.get("state"), told.get("auditedComment") or ""
    if not isinstance(state, str) or not isinstance(comment, str):
        raise BadRequest("state must be a text, and so must auditedComment")
    locked = told.get("locked", False)
    if not isinstance(locked, bool):
        raise BadRequest("locked must be true or false")
    return state, comment, locked


def _check_flags(wanted: filters.Filter) -> None:
    for name in _FLAGS:
        if any(value.lower() not in ("true", "false") for value in wanted.get(name, ())):
            raise BadRequest(f"Filter {name} must be true or false")


def _fits(held: Held, wanted: filters.Filter) -> bool:
    given = held.given
    for key, own in (("name", held.name), ("description", given.description), ("searchString", held.name)):
        if any(value.lower() not in own.lower() for value in wanted.get(key, ())):
            return False
    if held.id in wanted.get("excludedIds", ()) or given.type in wanted.get("excludedTypes", ()):
        return False
    words = {
        "ids": held.id, "types": (given.type, "all"), "states": held.state, "createdBy": given.created_by,
        "lastModifiedBy": held.modified_by, "locked": held.locked_by is not None, "latestVersion": "true",
        "hasApprovedVersion": held.state == "APPROVED" or held.version > given.version, "hidden": "false",
        "systemResource": "false", "domainId": held.domain,
    }  # fmt: skip
    return filters.fits(wanted, words, {"lastModifiedDate": held.modified, "createdDate": held.created})


def _sorted(found: list[Held], part: str) -> list[Held]:
    """By one part of `sort`, such as desc_lastModifiedDate; raises `BadRequest`."""
    if not part:
        return found
    order, _, name = part.partition("_")
    if order not in ("asc", "desc") or name not in _SORTS:
        raise BadRequest(f"sort {part[:60]!r} is unknown; write asc_ or desc_ and one of: {', '.join(_SORTS)}")
    return sorted(found, key=_SORTS[name], reverse=order == "desc")


def _permissions(call: Call) -> list[str]:
    return ["CREATE", "READ", "WRITE", *(["APPROVE"] if "APPROVE" in call.access.rights else [])]


def _entry(style: Style, held: Held, entry: Entry) -> Document:
    return {
        "id": entry.id,
        "modifiedBy": entry.by,
        "modifiedDate": style.date(entry.moment),
        "operation": entry.operation,
        "state": entry.state,
        "historyType": entry.kind,
        "auditedComment": entry.comment,
        "type": held.given.type,
        "version": entry.version,
        "revision": entry.revision,
    }


def _domain(domain: Domain, *, groups: bool) -> Document:
    document: Document = {
        "id": domain.name,
        "production": True,
        "jobTracing": False,
        "workflow": domain.workflow,
        "restrictApproval": domain.restrict_approval,
        "editable": False,
    }
    if groups:
        document["approvalGroups"] = [
            {
                "resourceTypes": list(group.types) or ["all"],
                "approvalRoles": [
                    {
                        "role": {"name": one.role, "id": known_id("role", one.role)},
                        "level": one.level,
                        "email": one.email,
                    }
                    for one in group.roles
                ],
            }
            for group in domain.groups
        ]
    return document
