"""The JSON shapes of the Gmail API, as in its discovery document. Long numbers are strings, bytes are base64url."""

from collections.abc import Collection
from typing import Any, Final

from pybase64 import urlsafe_b64decode, urlsafe_b64encode

from millstream.sandbox.gmail.account import Account, Draft
from millstream.sandbox.gmail.api import Call
from millstream.sandbox.gmail.errors import BadArgument, MetadataScope, NotFound
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.parts import Part

INLINE_BODY_BYTES: Final = 1_000_000
"""A text larger than this is handed out by attachment id. That Gmail does so is documented ("body data sent as a
separate attachment"), from which size is not on record."""

FORMATS: Final = frozenset({"full", "metadata", "minimal", "raw"})


def base64url(content: bytes) -> str:
    """Base64url with padding: Gmail pads, and clients depend on it (reference 9)."""
    return urlsafe_b64encode(content).decode()


def chosen_format(call: Call) -> str:
    """The `format` parameter; raises for an unknown one and for what gmail.metadata may not see."""
    chosen = (call.one("format") or "full").lower()
    if chosen not in FORMATS:
        raise BadArgument(f"Invalid value at 'format' (type.googleapis.com/MessageFormat), \"{chosen}\"")
    if call.access.is_metadata_only and chosen in ("full", "raw"):
        if call.one("format") is not None:
            raise MetadataScope(f"doesn't allow format {chosen.upper()}")
        chosen = "metadata"
    return chosen


def reference(message: Message) -> dict[str, Any]:
    """A message in a list: ids only."""
    return {"id": message.id, "threadId": message.thread_id}


def labelled(message: Message) -> dict[str, Any]:
    """A message as the changing methods answer it: ids and labels."""
    labels = label_list(message.labels)
    return reference(message) | ({"labelIds": labels} if labels else {})


def label_list(labels: Collection[str]) -> list[str]:
    """Labels in a steady order."""
    return sorted(labels)


def message_resource(message: Message, chosen: str, headers: Collection[str] = ()) -> dict[str, Any]:
    """A message in one of the four formats; `headers` narrows format=metadata."""
    resource = labelled(message) | {
        "snippet": message.snippet,
        "historyId": str(message.history_id),
        "internalDate": str(message.internal_date),
        "sizeEstimate": message.size,
    }
    if chosen == "raw":
        resource["raw"] = base64url(message.raw)
    elif chosen == "metadata":
        resource["payload"] = _metadata(message, headers)
    elif chosen == "full":
        resource["payload"] = _payload(message, message.parts())
    return resource


def _metadata(message: Message, names: Collection[str]) -> dict[str, Any]:
    wanted = {name.lower() for name in names}
    media_type = (message.header("content-type") or "text/plain").partition(";")[0].strip().lower()
    return {
        "mimeType": media_type,
        "headers": [
            {"name": name, "value": value} for name, value in message.headers() if not wanted or name.lower() in wanted
        ],
    }


def _payload(message: Message, part: Part) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "partId": part.part_id,
        "mimeType": part.media_type,
        "filename": part.filename,
        "headers": [
            {"name": name, "value": value} for name, value in (part.headers if part.part_id else message.headers())
        ],
        "body": {"size": len(part.content)},
    }
    if part.is_attachment or len(part.content) > INLINE_BODY_BYTES:
        resource["body"]["attachmentId"] = attachment_id(message, part)
    elif part.content:
        resource["body"]["data"] = base64url(part.content)
    if part.parts:
        resource["parts"] = [_payload(message, child) for child in part.parts]
    return resource


def attachment_id(message: Message, part: Part) -> str:
    """An opaque id that leads back to one part of one message."""
    return "ANGjdJ" + base64url(f"{message.id}/{part.part_id}".encode()).rstrip("=")


def attachment_resource(message: Message, identifier: str) -> dict[str, Any]:
    """The content behind an attachment id; raises `NotFound`, or `BadArgument` for an id that is none."""
    try:
        text = identifier.removeprefix("ANGjdJ")
        owner, _, part_id = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("/")
    except ValueError:
        raise BadArgument("Invalid attachment token") from None
    for part in message.parts().walk() if owner == message.id else ():
        if part.part_id == part_id:
            return {"size": len(part.content), "data": base64url(part.content)}
    raise NotFound


def draft_resource(draft: Draft, chosen: str | None = None, headers: Collection[str] = ()) -> dict[str, Any]:
    """A draft with its message: ids and labels, or one of the four formats."""
    message = labelled(draft.message) if chosen is None else message_resource(draft.message, chosen, headers)
    return {"id": draft.id, "message": message}


def thread_summary(messages: list[Message]) -> dict[str, Any]:
    """A thread in a list."""
    return {
        "id": messages[0].thread_id,
        "snippet": messages[-1].snippet,
        "historyId": str(max(message.history_id for message in messages)),
    }


def thread_resource(messages: list[Message], chosen: str, headers: Collection[str] = ()) -> dict[str, Any]:
    """A thread with its messages."""
    return {
        "id": messages[0].thread_id,
        "historyId": str(max(message.history_id for message in messages)),
        "messages": [message_resource(message, chosen, headers) for message in messages],
    }


def profile(account: Account) -> dict[str, Any]:
    """The answer of getProfile."""
    return {
        "emailAddress": account.address,
        "messagesTotal": len(account.store),
        "threadsTotal": account.thread_count(),
        "historyId": str(account.history.last),
    }
