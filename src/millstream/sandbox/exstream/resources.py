"""Resources of the design service and their way to approval.

Moves: standard DRAFT→REVIEW, REVIEW→APPROVED/REJECTED/DRAFT, REJECTED→DRAFT, APPROVED→DRAFT (a new version); simple
DRAFT↔APPROVED; advanced as standard, but APPROVED takes one approval for each role of the approval group, level by
level. All children must be approved first (vendor help).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from millstream.sandbox.exstream.config import ApprovalGroup, ApprovalRole, Domain, Resource
from millstream.sandbox.exstream.errors import BadRequest, NotFound
from millstream.sandbox.exstream.otds import Access
from millstream.sandbox.exstream.world import World, known_id, new_id

STATES: Final = ("DRAFT", "REVIEW", "APPROVED", "REJECTED")
MOST_COMMENT: Final = 4_000
"""Characters of an audited comment. The product's own limit is not on record."""

_STANDARD: Final = {
    "DRAFT": {"REVIEW"},
    "REVIEW": {"APPROVED", "REJECTED", "DRAFT"},
    "REJECTED": {"DRAFT"},
    "APPROVED": {"DRAFT"},
}
_SIMPLE: Final = {"DRAFT": {"APPROVED"}, "APPROVED": {"DRAFT"}}


class MoveRefused(Exception):
    """A change of state that is not allowed; `reason` is the list of a bulk answer where the resource then stands."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(details)
        self.reason = reason
        self.details = details


REASONS: Final = (
    "domainNotFoundExceptionResources",
    "permissionDeniedExceptionResources",
    "resourceLockedExceptionResources",
    "invalidStateForUpdateExceptionResources",
    "notAllChildrenApprovedExceptionResources",
    "workflowExceptionResources",
    "unexpectedExceptionResources",
    "errorResources",
)
NO_DOMAIN, DENIED, LOCKED, INVALID, CHILDREN, WORKFLOW, UNEXPECTED, ERROR = REASONS


@dataclass(slots=True)
class Entry:
    """One line of a resource's history."""

    by: str
    moment: float
    operation: str
    kind: str
    state: str
    comment: str
    version: int
    revision: int
    id: str = field(default_factory=new_id)


@dataclass(slots=True)
class Held:
    """A resource as it stands. Moments are seconds since 1970."""

    id: str
    given: Resource
    domain: str
    state: str
    version: int
    comment: str
    created: float
    modified: float
    modified_by: str
    locked_by: str | None
    approved: dict[str, str] = field(default_factory=dict)
    history: list[Entry] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return self.given.name


class Shelf:
    """All resources, and the links between them: communication sets to communications, resources to their children."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_id: dict[tuple[str, str], Held] = {}
        self.links: list[tuple[str, str]] = []
        self.sets: dict[tuple[str, str], str] = {}
        self.stock()

    def stock(self) -> None:
        """The resources of the settings, as they were at the beginning."""
        self._by_id.clear()
        self.links.clear()
        for (domain, id_), communication in self._world.communications.items():
            self._add(
                Resource(id=UUID(id_), name=communication.name, type="exstrapplication", state="APPROVED"), domain
            )
            made = (
                ("set", f"{communication.name} set", "exstrcommunicationset"),
                ("source", communication.data_source, "exstrdatasource"),
            )
            for word, name, kind in made:
                other = known_id(domain, word, communication.name)
                self._add(Resource(id=UUID(other), name=name, type=kind, state="APPROVED"), domain)
                self.links.append((id_, other))
            self.sets[domain, known_id(domain, "set", communication.name)] = id_
        for resource in self._world.config.resources:
            self._add(resource, resource.domain or self._world.first_domain)
        for held in list(self._by_id.values()):
            self.links += [(held.id, child.id) for child in self.children(held)]

    def _add(self, resource: Resource, domain: str) -> Held:
        id_ = str(resource.id or known_id(domain, "resource", resource.name))
        now = self._world.clock.seconds()
        held = Held(
            id=id_, given=resource, domain=domain, state=resource.state, version=resource.version,
            comment=resource.comment, created=now, modified=now, modified_by=resource.created_by,
            locked_by=resource.locked_by,
        )  # fmt: skip
        held.history.append(Entry(resource.created_by, now, "INSERT", "CREATE", "DRAFT", "", resource.version, 1))
        if resource.state != "DRAFT":
            entry = Entry(
                resource.created_by, now, "UPDATE", "STATE", resource.state, resource.comment, held.version, 2
            )
            held.history.append(entry)
        self._by_id[domain, id_] = held
        return held

    def all(self, domain: str) -> Iterator[Held]:
        """The resources of a domain, the latest change first."""
        found = (held for (place, _), held in self._by_id.items() if place == domain)
        return iter(sorted(found, key=lambda held: -held.modified))

    def find(self, domain: str, id_: str) -> Held:
        """One resource; raises `NotFound`."""
        held = self._by_id.get((domain, id_.lower()))
        if held is None:
            raise NotFound(f"Resource {id_[:60]} was not found in domain {domain}")
        return held

    def children(self, held: Held) -> list[Held]:
        """What must be approved before it; names that nothing has are left out."""
        return [one for one in self._by_id.values() if one.domain == held.domain and one.name in held.given.children]

    def in_review(self) -> list[Held]:
        """What waits for people, of all domains."""
        return [held for held in self._by_id.values() if held.state == "REVIEW"]

    # By hand, past every workflow

    def put(self, resource: Resource) -> Held:
        """One more resource, or another one in the place of that with the same id or name."""
        held = self._add(resource, resource.domain or self._world.first_domain)
        self.links += [(held.id, child.id) for child in self.children(held)]
        return held

    def take(self, held: Held) -> None:
        """Delete a resource."""
        del self._by_id[held.domain, held.id]
        self.links = [pair for pair in self.links if held.id not in pair]

    def edit(self, held: Held, changes: Mapping[str, Any]) -> None:
        """Change what is given: content, state, comment, locked_by, children, and `by`, who is said to have done it."""
        now, by = self._world.clock.seconds(), changes.get("by") or "designer@exstream.role"
        given = {name: changes[name] for name in ("content", "children", "description") if name in changes}
        held.given = held.given.model_copy(update=given)
        if "children" in given:
            self.links = [pair for pair in self.links if pair[0] != held.id]
            self.links += [(held.id, child.id) for child in self.children(held)]
        if "locked_by" in changes:
            held.locked_by = changes["locked_by"]
        if not given and "state" not in changes:
            return
        if "state" in changes:
            if held.state == "APPROVED" != changes["state"]:
                held.version += 1
            held.state, held.comment = changes["state"], changes.get("comment", "")
            held.approved.clear()
        kind = "STATE" if "state" in changes else "CONTENT"
        held.modified, held.modified_by = now, by
        place = len(held.history) + 1
        held.history.append(Entry(by, now, "UPDATE", kind, held.state, held.comment, held.version, place))

    # Approval

    def needed(self, held: Held) -> list[ApprovalRole]:
        """The roles whose approval an ADVANCED domain asks for, the first level first."""
        domain = self._world.domains[held.domain]
        if domain.workflow != "ADVANCED":
            return []
        found = [role for group in domain.groups if _concerns(group, held) for role in group.roles]
        return sorted(found, key=lambda role: role.level)

    def approval(self, held: Held) -> dict[str, Any]:
        """`approvalInfo`: where it stands in an ADVANCED workflow."""
        needed = self.needed(held)
        level = self._level(held, needed)
        in_review = held.state == "REVIEW"
        return {
            "state": held.state,
            "pending": in_review and level is not None,
            "approvals": [
                {
                    "role": role.role,
                    "level": role.level,
                    "approved": role.role in held.approved,
                    "pending": in_review and role.level == level and role.role not in held.approved,
                }
                for role in needed
            ],
        }

    @staticmethod
    def _level(held: Held, needed: list[ApprovalRole]) -> int | None:
        return next((role.level for role in needed if role.role not in held.approved), None)

    def move(self, held: Held, state: str, comment: str, access: Access, *, locked: bool = False) -> None:
        """Change a resource's state, or add one approval of several; `locked` leaves it locked by the caller.

        Raises:
            BadRequest: there is no such state, or the comment is too long.
            MoveRefused: it is not allowed.
        """
        if state not in STATES:
            raise BadRequest(f"State {state[:40]!r} is unknown; known are: {', '.join(STATES)}")
        if len(comment) > MOST_COMMENT:
            raise BadRequest(f"auditedComment may have {MOST_COMMENT} characters")
        domain = self._world.domains[held.domain]
        self._check(held, state, access, domain)
        locker = access.name if locked else None
        if state == "APPROVED" and domain.workflow == "ADVANCED":
            self._approve_one(held, access)
            if self._level(held, self.needed(held)) is not None:
                self._note(held, "REVIEW", comment, access, locker)
                return
        elif held.state == "APPROVED":
            held.version += 1
        if state != "APPROVED":
            held.approved.clear()
        self._note(held, state, comment, access, locker)

    def _check(self, held: Held, state: str, access: Access, domain: Domain) -> None:
        if state in ("APPROVED", "REJECTED") and "APPROVE" not in access.rights:
            raise MoveRefused(DENIED, f"{access.name} may not approve {held.name}")
        if held.locked_by is not None and held.locked_by != access.name:
            raise MoveRefused(LOCKED, f"{held.name} is locked by {held.locked_by}")
        moves = _SIMPLE if domain.workflow == "SIMPLE" else _STANDARD
        if state not in moves.get(held.state, ()):
            raise MoveRefused(INVALID, f"{held.name} cannot go from {held.state} to {state}")
        if state == "APPROVED":
            waiting = [child.name for child in self.children(held) if child.state != "APPROVED"]
            if waiting:
                raise MoveRefused(CHILDREN, f"{held.name} has children that are not approved: {', '.join(waiting)}")
            if domain.restrict_approval and access.name == held.modified_by:
                raise MoveRefused(WORKFLOW, f"{access.name} may not approve own changes of {held.name}")

    def _approve_one(self, held: Held, access: Access) -> None:
        needed = self.needed(held)
        level = self._level(held, needed)
        mine = [one.role for one in needed if one.level == level and one.role in access.roles]
        if needed and not mine:
            raise MoveRefused(WORKFLOW, f"Level {level} of {held.name} is for others to approve")
        for role in mine:
            held.approved[role] = access.name

    def _note(self, held: Held, state: str, comment: str, access: Access, locker: str | None) -> None:
        now = self._world.clock.seconds()
        held.locked_by = locker
        held.state, held.comment, held.modified, held.modified_by = state, comment, now, access.name
        entry = Entry(access.name, now, "UPDATE", "STATE", state, comment, held.version, len(held.history) + 1)
        held.history.append(entry)


def _concerns(group: ApprovalGroup, held: Held) -> bool:
    return not group.types or "all" in group.types or held.given.type in group.types
