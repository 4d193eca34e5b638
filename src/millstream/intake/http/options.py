"""How the HTTP door behaves; made from the settings at the edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from millstream.communication.model import Mode, Policy

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactNames:
    """How a caller may name what it tells about a single document; the first that is there counts.

    Case, hyphens and underscores do not count, nor does `X-Millstream-` or `X-Exstream-` before the name.
    """

    recipient: Names = ("recipient", "to")
    name: Names = ("recipient_name", "name")
    customer: Names = ("customer", "customer_id")
    type: Names = ("type",)
    subject: Names = ("subject",)
    text: Names = ("text",)
    key: Names = ("key",)
    locale: Names = ("locale",)
    stream: Names = ("stream",)
    file: Names = ("file", "filename")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Whom it believes, and how much it takes."""

    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """A caller's name to the token it brings."""
    most_bytes: int = 2_147_483_648
    """Of one request."""
    most_record_bytes: int = 50 * 1024 * 1024
    """Of one record, or of one document that comes without one."""
    most_held_bytes: int = 256 * 1024 * 1024
    """Of all single records that are on their way in: these are in memory, everything else goes to the spool."""
    most_files: int = 100_000
    """Beside a driver or a manifest."""
    read_seconds: float = 600.0
    wait_seconds: float = 20.0
    pool: str = "default"
    pools: frozenset[str] | None = None
    """Those that have mailboxes; None takes any."""
    unfit: Callable[[str, Policy], str | None] | None = None
    """Why a run of this pool and policy would wait for ever: no mailbox on its road."""
    mode: Mode = Mode.DRAFT
    type: str = "document"
    stream: str | None = None
    locale: str = "en-GB"
    subject: str = ""
    """`${Key}` is filled in with what the caller tells."""
    text: str = ""
    names: FactNames = field(default_factory=FactNames)
