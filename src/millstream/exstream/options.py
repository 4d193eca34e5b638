"""Where Exstream is, how we speak to it and how long we wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class FilterStyle(StrEnum):
    """How a list's filter is spelt; the API descriptions and OpenText's own calls differ."""

    JOINED = "joined"
    """One parameter: ``filter=key:value;key:value1,value2``."""
    DOTTED = "dotted"
    """A parameter for each key: ``filter.key=value``."""


class Paging(StrEnum):
    """What ``offset`` counts: the API description says entities, OpenText's SDK sample says pages."""

    AUTO = "auto"
    ENTITIES = "entities"
    PAGES = "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExstreamOptions:
    """Addresses, spellings, waiting times (seconds) and connections of the Exstream room."""

    orchestration_url: str = ""
    """With its prefix: ``https://communication.us.api.opentext.com/orchestration``."""
    design_url: str = ""
    domain: str = ""
    connect_seconds: float = 10.0
    call_seconds: float = 60.0
    """A call, and the longest silence while a file is fetched."""
    generate_seconds: float = 120.0
    file_seconds: float = 3600.0
    """A whole file."""
    idle_seconds: float = 15.0
    """How long a kept connection may idle; the side that closes first should be ours, as servers close after 20."""
    connections: int = 20
    proxy: str | None = field(default=None, repr=False)
    certificates: Path | None = None
    """A PEM file of further authorities to trust."""
    page_size: int = 100
    paging: Paging = Paging.AUTO
    orchestration_filter: FilterStyle = FilterStyle.JOINED
    design_filter: FilterStyle = FilterStyle.DOTTED
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of every call to a named channel."""
    csrf_token: str | None = field(default=None, repr=False)
    """Sent to named channels as the cookie ``csrfToken``."""
    empower_user: str | None = None
    user_agent: str = "millstream"
