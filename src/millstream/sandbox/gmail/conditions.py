"""What is special about a mailbox, and what it does with the mail it gets; the control API changes it any time."""

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Literal["en", "de", "pt", "fr", "es"]
STATUS_PATTERN: Final = r"^5\.\d+\.\d+$"
HOUR: Final = 3_600.0


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Delays(_Rule):
    """The recipient's server does not take the mail yet; Google writes when it waits, and when it gives up.

    Seconds are the sandbox's. Google's first notice comes after about two hours and it retries for two days
    (reference 6: "retried" for two days less those hours).
    """

    status: str = Field(default="4.4.1", pattern=r"^4\.\d+\.\d+$", description="Status of the notice and the end.")
    notice_after: float = Field(default=2 * HOUR, ge=0, description="Seconds until the notice of the delay.")
    retry_for: float = Field(default=48 * HOUR, ge=0, description="Seconds until it fails, or is delivered.")
    then: Literal["fail", "deliver"] = "fail"


class ForeignBounce(_Rule):
    """The recipient's own server takes the mail and later sends a report of its own (RFC 3464)."""

    shape: Literal["exchange", "postfix"] = "postfix"
    status: str = Field(default="5.1.1", pattern=r"^[45]\.\d+\.\d+$")
    after: float = Field(default=0.0, ge=0, description="Seconds of the sandbox until the report is sent.")
    authentication: str = Field(default="pass", description="The verdict that its mail gets: see /authentication.")


class AutoReply(_Rule):
    """An absence notice. `careless` answers machine mail too, which RFC 3834 forbids and some systems do."""

    text: str = "I am away and will answer when I am back."
    subject: str = ""
    style: Literal["gmail", "exchange", "plain"] = "gmail"
    language: Language = "en"
    period: float = Field(default=96 * HOUR, ge=0, description="One answer per sender in so many seconds.")
    careless: bool = False


@dataclass(slots=True)
class Condition:
    """What is special about a mailbox.

    `daily_limit` replaces the preset's messages a day; `sending_parked_until` (seconds since 1970 by the sandbox's
    clock) makes every send answer 429 "(Mail sending)" until then; `token_dead` kills its access tokens and makes the
    token endpoint say invalid_grant; `suspended` answers 400 "Mail service not enabled"; `delegation_denied` refuses
    service accounts. `language` is the one Google writes to it in (None: the sandbox's).

    As a recipient: `rejects` makes it bounce whatever is sent to it, with this status (`5.2.2` is a full inbox);
    then `delays` and `foreign_bounce` are asked; what is taken may be answered (`auto_reply`) and passed on
    (`forwards_to`).
    """

    daily_limit: int | None = None
    sending_parked_until: float | None = None
    token_dead: bool = False
    suspended: bool = False
    delegation_denied: bool = False
    language: Language | None = None
    rejects: str | None = None
    delays: Delays | None = None
    foreign_bounce: ForeignBounce | None = None
    auto_reply: AutoReply | None = None
    forwards_to: str | None = None
