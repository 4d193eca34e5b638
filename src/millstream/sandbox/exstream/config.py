"""How an Exstream sandbox is set up: one frozen value, from code, a TOML file or the command line."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from millstream.sandbox.exstream.faults import FaultRule
from millstream.sandbox.exstream.flows import FlowModel, Output

State = Literal["DRAFT", "REVIEW", "APPROVED", "REJECTED"]
Right = Literal["MONITOR", "ORCHESTRATE", "APPROVE", "DESIGN"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Communication(_Part):
    """A communication that `generate` knows; its id is made of its name, so that it is the same in every sandbox."""

    name: str = Field(default="Account statement", min_length=1, max_length=128, description="Its name.")
    domain: str = Field(default="", description="Its domain; empty is the sandbox's first.")
    template: str = Field(default="statement", description="The composer's template.")
    data_source: str = Field(default="statement_driver", description="prodDsn of its driver, sent as driverDataSource.")
    outputs: tuple[Output, ...] = Field(
        default=(Output(queue="Print", driver="PDF"), Output(queue="Email", driver="HTML")),
        min_length=1,
        description="Output queues.",
    )


class Resource(_Part):
    """A resource of the design service: a template or a piece of content on its way to approval."""

    id: UUID | None = Field(default=None, description="None: made of domain and name.")
    name: str = Field(min_length=1, max_length=128, description="Its name.")
    domain: str = Field(default="", description="Its domain; empty is the sandbox's first.")
    type: str = Field(default="exstrdocument", description="One of Exstream's resource types.")
    state: State = Field(default="REVIEW", description="Where it stands.")
    description: str = Field(default="", description="What people see beside the name.")
    version: int = Field(default=1, ge=1, description="Its version.")
    created_by: str = Field(default="author@exstream.role", description="Who made it.")
    comment: str = Field(default="", description="The comment of the last change of state.")
    locked_by: str | None = Field(default=None, description="Who has it open.")
    children: tuple[str, ...] = Field(default=(), description="Names of resources that must be approved first.")
    content: str = Field(default="", description="Its content, as text.")


class ApprovalRole(_Part):
    """Who approves at one level."""

    role: str = Field(min_length=1, description="The role's name.")
    level: int = Field(default=1, ge=1, description="Level 1 comes first.")
    email: str = Field(default="", description="Where people of the role are reached.")


class ApprovalGroup(_Part):
    """Who approves resources of these types."""

    types: tuple[str, ...] = Field(default=(), description="Resource types; empty: all.")
    roles: tuple[ApprovalRole, ...] = Field(min_length=1, description="Roles and levels.")


class Domain(_Part):
    """A domain and how it approves."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="Its name.")
    workflow: Literal["NORMAL", "SIMPLE", "ADVANCED"] = Field(default="NORMAL", description="How it approves.")
    restrict_approval: bool = Field(default=False, description="Nobody approves what they changed themselves.")
    groups: tuple[ApprovalGroup, ...] = Field(default=(), description="Approval groups of an ADVANCED workflow.")


class Caller(_Part):
    """A service client or a user of OTDS."""

    secret: str = Field(default="sandbox-secret", description="Client secret or password.")
    rights: tuple[Right, ...] = Field(
        default=("MONITOR", "ORCHESTRATE", "APPROVE", "DESIGN"), description="What they may do."
    )
    roles: tuple[str, ...] = Field(default=("tenantadmins",), description="Their roles.")


_RESOURCES = (
    Resource(name="Terms of business", type="exstrparagraph", state="APPROVED"),
    Resource(name="Privacy notice", type="exstrparagraph", state="DRAFT"),
    Resource(
        name="Account statement 2027",
        type="exstrdocument",
        description="New layout of the account statement",
        comment="Please approve until Friday",
        children=("Terms of business",),
        content="Account statement, layout of 2027",
    ),
    Resource(name="Interest notice", type="documentdefinition", description="Interest falls to 1.25 %"),
    Resource(name="Annual letter", type="exstrdocument", children=("Privacy notice",)),
    Resource(name="Collection letter", type="exstrdocument", locked_by="designer@exstream.role"),
)


class SandboxConfig(BaseModel):
    """Settings of one sandbox. Every field has a default that suits a laptop and a test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(default=0, ge=0, le=65535, description="HTTP port on 127.0.0.1; 0 takes a free one.")
    domains: tuple[Domain, ...] = Field(default=(Domain(name="bank"),), min_length=1, description="Its domains.")
    tenant: str = Field(default="bank", pattern=r"^[\w.-]+$", description="The tenant in token URLs.")
    clients: dict[str, Caller] = Field(
        default_factory=lambda: {"millstream": Caller()}, description="Service clients of OTDS by client id."
    )
    users: dict[str, Caller] = Field(
        default_factory=lambda: {"tenantadmin@exstream.role": Caller()}, description="Users for the password grant."
    )
    public_clients: tuple[str, ...] = Field(
        default=("Exstream",), description="Clients of the password grant that have no secret."
    )
    token_seconds: int = Field(default=900, ge=1, description="Life of an access token by the sandbox's clock.")
    csrf_cookie: bool = Field(default=False, description="Named channels ask for a cookie csrfToken.")
    empower_users: tuple[str, ...] = Field(
        default=("millstream@OAuthClients",), description="Who may be named as empowerUser."
    )
    ews_user: str | None = Field(default=None, description="Login of the engine's web service; none: no login.")
    ews_password: str = Field(default="", description="Its password.")
    base_subscription: bool = Field(default=False, description="What /config says: without a view of running jobs.")
    dates: Literal["iso", "milliseconds"] = Field(
        default="iso",
        description="Dates in answers: as the OpenAPI documents say, or as real servers were seen to write them, with "
        "null for what is not known.",
    )
    offsets: Literal["entities", "pages"] = Field(
        default="entities", description="What offset counts; vendor texts disagree."
    )
    page_size: int = Field(default=20, ge=1, description="Entries of a page where the call names no count.")
    most_page_size: int = Field(default=1000, ge=1, description="Entries of a page at most.")
    retention_seconds: float = Field(default=1_209_600.0, gt=0, description="Age at which files of a job are wiped.")
    body_bytes: int = Field(default=268_435_456, ge=1024, description="Largest input; above it the answer is 413.")
    threads: int | None = Field(default=None, ge=1, description="Threads that compose; none: one for each core.")
    work_folder: str | None = Field(
        default=None, description="The engine's work area; none: a temporary folder, gone with the sandbox."
    )
    templates: tuple[str, ...] = Field(default=(), description="Folders with the composer's templates, before its own.")
    flows: tuple[FlowModel, ...] = Field(default=(FlowModel(),), description="Published flows.")
    communications: tuple[Communication, ...] = Field(
        default=(Communication(),), description="Communications that generate knows."
    )
    resources: tuple[Resource, ...] = Field(default=_RESOURCES, description="Resources of the design service.")
    clock_start: datetime | None = Field(default=None, description="Where the clock starts; none is the present.")
    clock_rate: float = Field(default=1.0, ge=0, description="Sandbox seconds per real second; 0 freezes the clock.")
    seed: int = Field(default=1, description="Seed of fault rules that bring none of their own.")
    faults: tuple[FaultRule, ...] = Field(default=(), description="Fault rules that hold from the start.")

    @model_validator(mode="after")
    def _every_domain_is_there(self) -> Self:
        known = {domain.name for domain in self.domains}
        named = [(flow.name, flow.domain) for flow in self.flows]
        named += [(one.name, one.domain) for one in self.communications]
        named += [(one.name, one.domain) for one in self.resources]
        for name, domain in named:
            if domain and domain not in known:
                raise ValueError(f"{name} is in the domain {domain}, which is none of {', '.join(known)}")
        return self
