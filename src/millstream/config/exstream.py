"""The settings of Exstream: how it is reached, as whom, and what is asked of it next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr

from millstream.config.section import Section

Grant = Literal["client_credentials", "password", "static"]


class ExstreamSettings(Section):
    """OpenText Exstream: which kind of installation, and where."""

    mode: Literal["off", "cloud", "local", "ews", "files"] = Field(
        default="off",
        description="cloud: OpenText's public cloud. local: cloud native on your own Kubernetes. ews: a server-based "
        "engine as a web service. files: folders alone. off: nothing is asked of Exstream.",
    )
    base_url: str | None = Field(
        default=None,
        description="Where its services lie, each under its own prefix.",
        json_schema_extra={"example": '"https://communication.us.api.opentext.com"'},
    )
    orchestration_url: str | None = Field(
        default=None,
        description="The orchestration service.",
        json_schema_extra={"default": "`base_url` and `/orchestration`"},
    )
    design_url: str | None = Field(
        default=None, description="The design service.", json_schema_extra={"default": "`base_url` and `/design`"}
    )
    domain: str = Field(default="", description="The domain in which we work.")
    call_seconds: PositiveFloat = Field(default=60.0, description="How long a call may take.")
    generate_seconds: PositiveFloat = Field(default=120.0, description="How long a composition on demand may take.")
    connections: PositiveInt = Field(default=20, description="Calls in flight at most.")
    proxy: str | None = Field(default=None, description="An HTTP proxy on the way.")
    certificates: Path | None = Field(default=None, description="A file of authorities (PEM) beside the system's own.")
    page_size: Annotated[int, Field(ge=1, le=1000)] = Field(default=100, description="Entries a page.")
    paging: Literal["auto", "entities", "pages"] = Field(
        default="auto",
        description="What `offset` counts: entries, as the API description says, or pages, as others do. "
        "auto finds out.",
    )
    orchestration_filter: Literal["joined", "dotted"] = Field(
        default="joined", description="joined: `filter=key:value;key:value`. dotted: `filter.key=value`."
    )
    design_filter: Literal["joined", "dotted"] = Field(default="dotted", description="The same for the design service.")
    headers: dict[str, str] = Field(default={}, description="Further headers of every call to a named channel.")
    csrf_token: SecretStr | None = Field(
        default=None, description="Sent to named channels as the cookie csrfToken, where an installation asks for it."
    )
    csrf_token_file: Path | None = Field(default=None, description="A file that holds `csrf_token`.")
    empower_user: str | None = Field(
        default=None, description="The account in whose name documents for Empower are made, where they are."
    )
    ews_url: str | None = Field(
        default=None,
        description="The engine as a web service.",
        json_schema_extra={"example": '"http://exstream.example.com:8091/EngineService"'},
    )
    ews_auth: Literal["none", "basic", "ws_security"] = Field(default="none", description="How it knows us.")
    ews_user: str | None = Field(default=None, description="The name for `ews_auth`.")
    ews_password: SecretStr | None = Field(default=None, description="The password for `ews_auth`.")
    ews_password_file: Path | None = Field(default=None, description="A file that holds `ews_password`.")
    drop_folder: Path | None = Field(
        default=None,
        description="A directory that Exstream watches: files for it are put here, under their name at once.",
    )
    drop_done_folder: Path | None = Field(
        default=None, description="Where Exstream puts a file that it has taken; proof of it after a crash."
    )

    def check(self) -> None:
        """A mode needs what it is reached by."""
        if self.mode in {"cloud", "local"} and not (self.base_url or (self.orchestration_url and self.design_url)):
            raise ValueError(f"mode {self.mode} needs base_url, or orchestration_url and design_url")
        if self.mode == "ews" and not self.ews_url:
            raise ValueError("mode ews needs ews_url")
        if self.mode in {"cloud", "local"} and not self.domain:
            raise ValueError(f"mode {self.mode} needs domain")


class ExstreamTokenSettings(Section):
    """Tokens for Exstream, from OpenText Directory Services (OTDS)."""

    layout: Literal["public_cloud", "ot2", "local", "classic", "tenant_first", "url"] = Field(
        default="public_cloud",
        description="How the token address is built. "
        "public_cloud: https://{region}.api.opentext.com/tenants/{tenant}/oauth2/token. "
        "ot2: {otds_url}/otdstenant/{tenant}/oauth2/token. local: {otds_url}/otdsws/otdstenant/{tenant}/oauth2/token. "
        "classic: {otds_url}/otdsws/oauth2/token. tenant_first: {otds_url}/otdstenant/{tenant}/otdsws/oauth2/token. "
        "url: `url` as it is.",
    )
    url: str | None = Field(default=None, description="The whole address, for the layout url.")
    otds_url: str | None = Field(default=None, description="Where OTDS lies, for the layouts that name it.")
    region: str = Field(default="us", description="For the public cloud.")
    tenant: str = Field(default="", description="The tenant.")
    grant: Grant = Field(
        default="client_credentials", description="How tokens are asked for; static takes `static_token`."
    )
    body: Literal["form", "json"] = Field(default="form", description="How the request is written.")
    client_auth: Literal["body", "basic"] = Field(default="body", description="Where the client's id and secret stand.")
    client_id: str = Field(default="Exstream", description="The client; the default is Exstream's own public one.")
    client_secret: SecretStr | None = Field(default=None, description="Its secret.")
    client_secret_file: Path | None = Field(default=None, description="A file that holds `client_secret`.")
    username: str | None = Field(default=None, description="For the grant password.")
    password: SecretStr | None = Field(default=None, description="For the grant password.")
    password_file: Path | None = Field(default=None, description="A file that holds `password`.")
    static_token: SecretStr | None = Field(default=None, description="A token that never changes, for trials.")
    static_token_file: Path | None = Field(default=None, description="A file that holds `static_token`.")
    scopes: tuple[str, ...] = Field(
        default=(), description="Scopes to ask for.", json_schema_extra={"example": '["otds:groups"]'}
    )
    design_grant: Grant | None = Field(
        default=None,
        description="The grant for the design service, where it wants another account. Without it one serves both.",
    )
    design_client_id: str | None = Field(default=None, description="The client for the design service.")
    design_client_secret: SecretStr | None = Field(default=None, description="Its secret.")
    design_client_secret_file: Path | None = Field(
        default=None, description="A file that holds `design_client_secret`."
    )
    design_username: str | None = Field(default=None, description="The name for the design service.")
    design_password: SecretStr | None = Field(default=None, description="Its password.")
    design_password_file: Path | None = Field(default=None, description="A file that holds `design_password`.")
    early_seconds: PositiveFloat = Field(default=60.0, description="How long before its end a token is renewed.")


class NextStepSettings(Section):
    """What is asked of Exstream after a decision or an event."""

    concurrency: Annotated[int, Field(ge=1, le=100)] = Field(default=16, description="Calls in flight.")
    most_tries: PositiveInt = Field(default=8, description="After so many tries a step is put aside as failed.")
    lease_seconds: PositiveFloat = Field(
        default=30.0, description="Without a sign of life for so long, another worker takes a step over."
    )
    settle_seconds: PositiveFloat = Field(
        default=5.0, description="How long Exstream may take to show what an unclear call did."
    )
    comment: str = Field(
        default="{decision} by {who} at {at}; Gmail message {message}",
        description="What stands in Exstream's audited comment where a state changes.",
    )
    drill: str | None = Field(
        default=None,
        description="For recovery drills: `point:n`, as in delivery (after_begin_before_call, "
        "after_call_before_settle).",
    )


class EmailEventSettings(Section):
    """Exstream's own email events (Exstream-Email-Submit, -POST, -NDLV), so that existing reporting keeps working."""

    url: str | None = Field(default=None, description="They are posted here, one JSON object each.")
    file: Path | None = Field(default=None, description="They are appended here, one JSON object on each line.")
    provider: str = Field(default="Gmail", description="What `emailProvider` says.")
    schema_version: str = Field(default="1.0", description="What `schemaVersion` says.")
    schema_source: str = Field(default="Millstream", description="What `schemaSource` says.")
    tenant: str = Field(default="", description="What `tenant` says.")
    post_after_seconds: PositiveFloat = Field(
        default=900.0, description="A message that has not bounced for so long is told as posted."
    )
