"""What a request can be refused for; none of these leaves the house but as an answer.

::

    Refused          it is not taken; the status says why: 400, 401, 404, 408, 409, 422
    ├── TooLarge     413: more was sent than is taken
    ├── WrongKind    415: it is of no kind that is taken here
    └── Away         503: the store or the disk does not take it now; the same again may succeed
    Interrupted      nobody is there to answer: the caller left in the middle
"""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):
    """A request that is not taken; `status` is HTTP's, the text a sentence for whoever sent it."""

    status = 400

    def __init__(
        self, text: str, *, status: int | None = None, line: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        """`line` is where in the body, from 1; 0 where that is not known."""
        super().__init__(text)
        self.status = self.status if status is None else status
        self.line = line
        self.headers = dict(headers or {})


class TooLarge(Refused):
    """More was sent than is taken."""

    status = 413


class WrongKind(Refused):
    """What was sent is of no kind that is taken here."""

    status = 415


class Away(Refused):
    """The store or the disk does not take it now; the same request again may succeed."""

    status = 503

    def __init__(self, text: str) -> None:
        super().__init__(text, headers={"Retry-After": "10"})


class Interrupted(Exception):
    """The caller left in the middle of its request."""
