"""Faults of the Exstream sandbox: the rules are those of the Gmail sandbox, the kinds are Exstream's."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from millstream.sandbox.gmail.faults import Point, Rule


class Kind(StrEnum):
    """What happens. The comment says at which points a kind makes sense."""

    UNAUTHORIZED = "unauthorized"  # before: 401
    FORBIDDEN = "forbidden"  # before: 403
    CONFLICT = "conflict_409"  # before: 409
    LIMITED = "429"  # before: 429 with Retry-After
    JSON_500 = "500_json"  # before, after: Exstream's own error body
    HTML_500 = "500_html"  # before, after: a proxy's page
    EMPTY_500 = "500_empty"  # before, after: no body at all
    OTDS_DOWN = (
        "otds_down"  # before: 500 as a server says it that cannot reach OTDS, and OTDS is away for `delay` seconds
    )
    RESET = "reset"  # before, after: the connection is reset
    HANG = "hang"  # before, after: the socket stays open for `delay` seconds, then it closes without an answer
    STATUS_ERROR = "status_error_200"  # odd: HTTP 200 with status error; nothing was done
    HTML_200 = "html_200"  # odd: HTTP 200 with a login page; nothing was done
    DUPLICATE_JOB_PAGE = "duplicate_job_page"  # odd: a page begins with the last entry of the page before it
    EMPTY_PAGE = "empty_page"  # odd: a page without entries, whose total says that there are some
    PAGE_INDEX_OFFSET = "page_index_offset"  # odd: offset counts pages, not entries
    MS_DATES = "ms_dates"  # odd: dates are milliseconds, and what is unknown is null
    HALF_FILE = "half_file"  # odd: a file ends in its middle; with method channel.file it is completed after `delay`
    SLOW = "slow"  # odd: the answer waits `delay` seconds


_BEFORE_OR_AFTER = {Kind.JSON_500, Kind.HTML_500, Kind.EMPTY_500, Kind.RESET, Kind.HANG}
_ODD = {
    Kind.STATUS_ERROR,
    Kind.HTML_200,
    Kind.DUPLICATE_JOB_PAGE,
    Kind.EMPTY_PAGE,
    Kind.PAGE_INDEX_OFFSET,
    Kind.MS_DATES,
    Kind.HALF_FILE,
    Kind.SLOW,
}


class FaultRule(Rule):
    """One rule.

    It matches calls by operation (`jobs.list`, `steps.*`, `otds.token`, `generate`, `*`) and by domain, and strikes by
    probability, or at positions among the calls it matched (1 is the first), at most `times` times.
    """

    kind: Kind = Field(description="What happens; see Kind.")
    method: str = Field(default="*", description="Pattern of operations, for example jobs.list or steps.*.")
    domain: str = Field(default="*", description="Pattern of domains.")
    delay: float = Field(
        default=1.0, ge=0, description="Real seconds of slow, hang, otds_down, half_file, and Retry-After."
    )

    @model_validator(mode="after")
    def _check_point(self) -> Self:
        if self.kind in _ODD:
            fits = self.point is Point.ODD
        elif self.kind in _BEFORE_OR_AFTER:
            fits = self.point is not Point.ODD
        else:
            fits = self.point is Point.BEFORE
        if not fits:
            raise ValueError(f"a fault of kind {self.kind.value!r} cannot strike at point {self.point.value!r}")
        return self

    def whom(self) -> str:
        """Pattern of domains."""
        return self.domain
