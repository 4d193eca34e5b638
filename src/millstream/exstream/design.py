"""What is designed: resources and their approval, domains, and what a communication is made of.

Paths and fields: the API description of the design service (v1), prefix ``/api/v1``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

import orjson

from millstream.exstream import decode
from millstream.exstream.caller import Caller, Query, part
from millstream.exstream.errors import BadRequest, Call, NotFound
from millstream.exstream.filters import FilterValue, keys, named, spell, words_of
from millstream.exstream.model import (
    BulkOutcome,
    CommunicationRef,
    CurrentUser,
    Domain,
    HistoryEntry,
    Page,
    Resource,
    ResourceState,
    Version,
)
from millstream.exstream.options import ExstreamOptions, FilterStyle
from millstream.exstream.paging import Walked, walk
from millstream.exstream.transport import Fetched

_Item = TypeVar("_Item")
_KEYS = keys(
    "ids", "excludedIds", "types", "excludedTypes", "name", "description", "createdBy", "lastModifiedBy",
    "createdDateStart", "createdDateEnd", "lastModifiedDateStart", "lastModifiedDateEnd", "searchString",
    "caseSensitive", "wholeWord", "resourcePackId", "systemResource", "hidden", "hasApprovedVersion",
    "standardVariantId", "useEffectiveDate", "effectiveDate", "categories", "latestVersion", "locked", "states",
)  # fmt: skip
_COMMUNICATION = "exstrapplication"
_COMMUNICATION_SET = "exstrcommunicationset"


class Design:
    """The designing side of one domain. Every method raises an :class:`~millstream.exstream.errors.ExstreamError`."""

    def __init__(self, domain: str, caller: Caller, options: ExstreamOptions) -> None:
        self.domain = domain
        self._caller = caller
        self._options = options

    def resources(
        self, *, fetch_approval: bool = True, walked: Walked | None = None, **filters: FilterValue
    ) -> AsyncIterator[Resource]:
        """Resources, each once. Only with ``fetch_approval`` the answer tells who has approved.

        Filters are given as keywords, in the service's own spelling (``latestVersion``) or in ours; a key that the
        service does not know is a TypeError.
        """
        return self._listed(named(filters, _KEYS), walked, fetch_approval=fetch_approval)

    def review(self, *types: str) -> AsyncIterator[Resource]:
        """What waits for approval, of these types or of all."""
        return self.resources(states=ResourceState.REVIEW, types=types)

    def communications(self, **filters: FilterValue) -> AsyncIterator[Resource]:
        """The newest approved version of each communication."""
        approved: dict[str, FilterValue] = {
            "types": _COMMUNICATION,
            "states": ResourceState.APPROVED,
            "latestVersion": True,
        }
        return self._listed(approved | named(filters, _KEYS), None, fetch_approval=False)

    async def resource(self, id: str, *, version: int | None = None) -> Resource:  # noqa: A002  the service's word
        """One resource: its newest version, or the one of this number. Raises NotFound."""
        query = [("version", str(version))] if version is not None else []
        path = f"api/v1/resources/{part(self.domain)}/{part(id)}"
        return await self._document("resources.get", path, _resource, query)

    async def set_state(
        self,
        id: str,  # noqa: A002  the service's word
        state: ResourceState,
        comment: str,
        *,
        locked: bool = False,
    ) -> Resource:
        """Move a resource to a state; the comment goes into its audit trail. Raises StateRefused.

        In a domain that approves in levels the answer may still say REVIEW, with one approval more in ``approval``.
        """
        path = f"api/v1/resources/{part(self.domain)}/{part(id)}/state"
        body = orjson.dumps({"state": str(state), "auditedComment": comment, "locked": locked})
        return await self._caller.document(self._write("resources.state"), "PUT", path, _resource, body=body)

    async def set_states(
        self, ids: Sequence[str], state: ResourceState, comment: str, *, locked: bool = False
    ) -> BulkOutcome:
        """Move many; what was refused is told by reason and raises nothing."""
        path = f"api/v1/resources/{part(self.domain)}/state"
        asked = {"state": str(state), "auditedComment": comment, "locked": locked, "resourceIds": list(ids)}
        call = self._write("resources.states")
        return await self._caller.document(call, "PUT", path, decode.bulk, body=orjson.dumps(asked))

    async def history(self, id: str, *, kind: str = "STATE") -> tuple[HistoryEntry, ...]:  # noqa: A002  as above
        """A resource's audit trail: CREATE, STATE, METADATA or CONTENT."""
        path = f"api/v1/resources/{part(self.domain)}/history/{part(id)}"
        query = [("historyType", kind)]
        page = await self._document(
            "resources.history", path, lambda answer: decode.page(answer, decode.history), query
        )
        return page.items

    async def content(
        self,
        id: str,  # noqa: A002  the service's word
        to: BinaryIO,
        *,
        most: int = 512 * 2**20,
        version: int | None = None,
        state: ResourceState | None = None,
    ) -> Fetched:
        """What a resource holds, written to ``to`` as it comes. Raises NotFound or TooLarge."""
        query = [("version", str(version))] if version is not None else []
        query += [("state", state.value)] if state is not None else []
        path = f"api/v1/resources/{part(self.domain)}/{part(id)}/content"
        return await self._caller.fetch(self._read("resources.content"), path, to, most=most, query=query)

    async def domains(self, *, groups: bool = True) -> tuple[Domain, ...]:
        """All domains that the account sees, those within others too; with ``groups`` who approves there."""
        query = [("fetchApprovalGroups", "true")] if groups else []
        query.append(("fetchChildren", "true"))
        found: dict[str, Domain] = {}
        async for several in self._walk("domains.list", "api/v1/domains", lambda entry: decode.domains([entry]), query):
            found |= {one.id: one for one in several if one.id not in found}
        return tuple(found.values())

    async def links(
        self,
        id: str,  # noqa: A002  the service's word
        *,
        depth: int = 2,
        types: tuple[str, ...] = (_COMMUNICATION_SET,),
    ) -> tuple[str, ...]:
        """The ids of what a resource of this id is made of, or belongs to."""
        query = [("linkSubjectId", id), ("linkDepth", str(depth)), *spell(FilterStyle.DOTTED, {"types": types})]
        path = f"api/v1/links/{part(self.domain)}"
        return await self._document("links.list", path, _link_objects, query)

    async def manifest(self, communication_set: str) -> Mapping[str, Any]:
        """The manifest of a communication set: its data sources, queues and reports, as the service tells them."""
        path = f"api/v1/manifests/{part(self.domain)}/communication-set/{part(communication_set)}"
        return await self._document("manifests.get", path, _object)

    async def resolve(self, communication: str) -> CommunicationRef:
        """What ``generate`` needs to know of a communication, given its id or its name.

        Raises:
            NotFound: there is none of this name, it is not approved, or it is in no communication set.
            BadRequest: several have this name.
        """
        call = self._read("communications.resolve")
        id, name = await self._found(call, communication)  # noqa: A001  the service's word
        sets = await self.links(id)
        if not sets:
            raise NotFound(call, text=f"{name or id} belongs to no communication set; is it packaged and approved?")
        manifest = await self.manifest(sets[0])
        source = _driver(manifest.get("dsnlist"))
        if source is None:
            raise NotFound(call, text=f"{name or id} has no driver among its data sources")
        return CommunicationRef(id, name or str(manifest.get("name") or ""), source, _queues(manifest.get("queueList")))

    async def current_user(self) -> CurrentUser:
        """As whom the design service knows us."""
        path = (
            f"api/v1/authentication/{part(self.domain)}/current-user"
            if self.domain
            else ("api/v1/authentication/current-user")
        )
        return await self._document("current-user", path, lambda answer: decode.current_user(decode.data(answer)))

    async def version(self) -> Version:
        """What the design service says of itself."""
        return await self._document("version", "api/v1/version", lambda answer: decode.version(answer, "design"))

    async def _found(self, call: Call, communication: str) -> tuple[str, str]:
        if _is_id(communication):
            return communication, ""
        # The filter may match parts of a name, so names are compared here.
        found = [one async for one in self.communications(name=communication) if one.name == communication]
        if not found:
            raise NotFound(call, text=f"no approved communication is named {communication!r}")
        if len(found) > 1:
            raise BadRequest(call, text=f"{len(found)} communications are named {communication!r}: give the id")
        return found[0].id, found[0].name

    def _read(self, operation: str) -> Call:
        return Call(operation, self.domain)

    def _write(self, operation: str) -> Call:
        return Call(operation, self.domain, write=True)

    async def _document(self, operation: str, path: str, read: Callable[[Any], _Item], query: Query = ()) -> _Item:
        return await self._caller.document(self._read(operation), "GET", path, read, query=query)

    async def _listed(
        self, filters: Mapping[str, FilterValue], walked: Walked | None, *, fetch_approval: bool
    ) -> AsyncIterator[Resource]:
        style = self._options.design_filter
        query = spell(style, filters, days=style is FilterStyle.JOINED)
        if fetch_approval:
            query.append(("fetchApproval", "true"))
        path = f"api/v1/resources/{part(self.domain)}"
        states, types = words_of(filters.get("states")), words_of(filters.get("types"))
        async for item in self._walk("resources.list", path, decode.resource, query, walked):
            # Looked at again on our side, as a server that does not know our spelling lists everything.
            if (not states or item.state.lower() in states) and (not types or item.type.lower() in types):
                yield item

    def _walk(
        self,
        operation: str,
        path: str,
        read: Callable[[Any], _Item],
        query: Query,
        walked: Walked | None = None,
    ) -> AsyncIterator[_Item]:
        async def fetch(offset: int, count: int) -> Page[_Item]:
            asked = [*query, ("offset", str(offset)), ("count", str(count))]
            return await self._document(operation, path, lambda answer: decode.page(answer, read), asked)

        return walk(fetch, page_size=self._options.page_size, paging=self._options.paging, walked=walked)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _resource(answer: Any) -> Resource:
    return decode.resource(decode.data(answer))


def _link_objects(answer: Any) -> tuple[str, ...]:
    entries = decode.data(answer) or ()
    return tuple(dict.fromkeys(str(entry["linkObjectId"]) for entry in entries))


def _object(answer: Any) -> Mapping[str, Any]:
    found = decode.data(answer)
    if not isinstance(found, dict):
        raise TypeError("it is no object")
    return found


def _driver(sources: Any) -> str | None:
    """The data source of the driver: the entry of that type, or the only one there is."""
    entries = [one for one in sources or () if isinstance(one, dict) and one.get("prodDsn")]
    drivers = [one for one in entries if str(one.get("type") or "").lower() == "driver"]
    chosen = drivers or (entries if len(entries) == 1 else [])
    return str(chosen[0]["prodDsn"]) if chosen else None


def _queues(entries: Any) -> dict[str, str]:
    named = [one for one in entries or () if isinstance(one, dict) and one.get("name")]
    return {str(one["name"]): str(one.get("driver") or "") for one in named}
