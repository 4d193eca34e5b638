"""users.drafts: made by upload, consumed by sending."""

from typing import Any

from millstream.sandbox.gmail.account import DRAFT_LABELS, Draft
from millstream.sandbox.gmail.api import Call, Method, Room, scopes
from millstream.sandbox.gmail.errors import BadArgument, NotFound
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.paging import page_of, page_start, visible
from millstream.sandbox.gmail.search import read_query
from millstream.sandbox.gmail.transit import Letter
from millstream.sandbox.gmail.wire import chosen_format, draft_resource, label_list

RAW_REQUIRED = "'raw' RFC822 payload message string or uploading message via /upload/* URL required"


def create(room: Room, call: Call) -> dict[str, Any]:
    """drafts.create."""
    letter, thread_id = _letter(room, call)
    draft = Draft(room.world.new_draft_id(), _store(room, call, letter, thread_id))
    call.account.drafts[draft.id] = draft
    return draft_resource(draft)


def update(room: Room, call: Call) -> dict[str, Any]:
    """drafts.update: the draft keeps its id, its message gets a new one."""
    draft = _draft(call, call.path["id"])
    letter, thread_id = _letter(room, call)
    old = draft.message
    draft.message = _store(room, call, letter, thread_id or old.thread_id)
    call.account.remove(old, room.world.clock.seconds())
    return draft_resource(draft)


def get(_room: Room, call: Call) -> dict[str, Any]:
    """drafts.get."""
    return draft_resource(_draft(call, call.path["id"]), chosen_format(call))


def list_(room: Room, call: Call) -> dict[str, Any]:
    """drafts.list."""
    search = read_query(call.one("q"), call.account, room.world.clock.seconds())
    known = visible(room, call)
    by_message = {draft.message.id: draft for draft in call.account.drafts.values()}
    messages = (
        message
        for message in call.account.shelf(("DRAFT",)).newest_first(below=page_start(call))
        if message.id in by_message and known(message) and search.matches(message)
    )
    return page_of(
        call,
        "drafts",
        messages,
        position=lambda message: message.position,
        show=lambda message: _listed(by_message[message.id]),
    )


def _listed(draft: Draft) -> dict[str, Any]:
    return {"id": draft.id, "message": {"id": draft.message.id, "threadId": draft.message.thread_id}}


def send(room: Room, call: Call) -> dict[str, Any]:
    """drafts.send: the draft goes, a new message with a new id and the label SENT is there (guide "drafts").

    With a message beside the id, that content is sent instead of what the draft held.
    """
    draft_id = call.document.get("id")
    if not draft_id:
        raise BadArgument("Missing draft id")
    draft = _draft(call, str(draft_id))
    raw = call.raw(call.document.get("message") or {})
    letter = Letter.of(draft.message.head, draft.message.body) if raw is None else Letter.read(raw)
    sent = room.transit.submit(call.account, letter, thread_id=draft.message.thread_id)
    _discard(room, call, draft)
    return {"id": sent.id, "threadId": sent.thread_id, "labelIds": label_list(sent.labels)}


def delete(room: Room, call: Call) -> None:
    """drafts.delete: for good, not into the trash."""
    _discard(room, call, _draft(call, call.path["id"]))


def _draft(call: Call, draft_id: str) -> Draft:
    draft = call.account.drafts.get(draft_id)
    if draft is None:
        raise NotFound
    return draft


def _discard(room: Room, call: Call, draft: Draft) -> None:
    del call.account.drafts[draft.id]
    call.account.remove(draft.message, room.world.clock.seconds())


def _letter(room: Room, call: Call) -> tuple[Letter, str | None]:
    message = call.document.get("message") or {}
    raw = call.raw(message)
    if raw is None:
        raise BadArgument(RAW_REQUIRED)
    thread_id = message.get("threadId")
    if thread_id and not call.account.thread(thread_id):
        raise NotFound
    letter = Letter.read(raw)
    room.transit.stamp(call.account, letter.headers)
    return letter, thread_id


def _store(room: Room, call: Call, letter: Letter, thread_id: str | None) -> Message:
    thread_id = thread_id or room.transit.thread_for(call.account, letter.headers)
    return room.world.store(call.account, letter.headers.block(), letter.body, labels=DRAFT_LABELS, thread_id=thread_id)


_COMPOSE = scopes("gmail.compose", "gmail.modify")
_READ = scopes("gmail.compose", "gmail.modify", "gmail.readonly")

METHODS = (
    Method("drafts.create", "POST", "drafts", create, _COMPOSE, uploads=True),
    Method("drafts.update", "PUT", "drafts/{id}", update, _COMPOSE, uploads=True),
    Method("drafts.get", "GET", "drafts/{id}", get, _READ),
    Method("drafts.list", "GET", "drafts", list_, _READ),
    Method("drafts.send", "POST", "drafts/send", send, _COMPOSE, uploads=True),
    Method("drafts.delete", "DELETE", "drafts/{id}", delete, _COMPOSE),
)
