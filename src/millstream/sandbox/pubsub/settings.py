"""Topics and subscriptions as the configuration and the control API name them."""

from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

TOPIC: Final = r"projects/[^/\s]+/topics/[^/\s]+"
SUBSCRIPTION: Final = r"projects/[^/\s]+/subscriptions/[^/\s]+"
PUSH_ACCOUNT: Final = "pubsub-push@millstream-sandbox.iam.gserviceaccount.com"
LEAST_DEADLINE: Final = 10
MOST_DEADLINE: Final = 600


class TopicSettings(BaseModel):
    """A topic; `granted` gives Gmail the role Publisher (gmail-api-push@system.gserviceaccount.com)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=rf"^{TOPIC}$")
    granted: bool = True


class SubscriptionSettings(BaseModel):
    """A subscription; with `push_endpoint` Pub/Sub posts to it, with a token of `push_account` unless that is empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=rf"^{SUBSCRIPTION}$")
    topic: str = Field(pattern=rf"^{TOPIC}$")
    ack_deadline: int = Field(default=10, ge=LEAST_DEADLINE, le=MOST_DEADLINE, description="Seconds to acknowledge in.")
    push_endpoint: str = Field(default="", description="Where to post messages; empty is a pull subscription.")
    push_account: str = Field(default=PUSH_ACCOUNT, description="Service account in the token; empty sends no token.")
    push_audience: str = Field(default="", description="Audience of the token; empty is the endpoint.")

    @model_validator(mode="after")
    def _check_endpoint(self) -> Self:
        url = urlsplit(self.push_endpoint)
        if self.push_endpoint and (url.scheme not in ("http", "https") or not url.netloc):
            raise ValueError("push_endpoint must be an http or https address")
        return self
