"""The settings of Millstream: one class, from which everything that is said about settings is derived."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from pydantic import Field, PrivateAttr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from millstream.config.across import check_across
from millstream.config.exstream import EmailEventSettings, ExstreamSettings, ExstreamTokenSettings, NextStepSettings
from millstream.config.intake import (
    IntakeFolderSettings,
    IntakeHttpSettings,
    IntakeKeySettings,
    IntakePullSettings,
    IntakeSettings,
    IntakeSmtpSettings,
    OutputSettings,
)
from millstream.config.reading import MailboxSettings, PushSettings, WebSettings
from millstream.config.relay import RelaySettings
from millstream.config.review import ReviewSettings
from millstream.config.sections import (
    ComposerSettings,
    DatabaseSettings,
    DeliverySettings,
    DocumentsSettings,
    GmailSettings,
    LimitsSettings,
    LoggingSettings,
    SendersSettings,
    SuppressionSettings,
    WorkerSettings,
)

PREFIX = "MILLSTREAM_"
DELIMITER = "__"
FILE_VARIABLE = "MILLSTREAM_CONFIG"


def _home() -> Path:
    """As root the data belong under /var/lib: PostgreSQL runs as another user, who must get to them."""
    return Path("/var/lib/millstream") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "millstream"


class Settings(BaseSettings):
    """Everything an operator can set. Made by `load`; variables win over the file, the file over defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    folder: Path = Field(
        default_factory=_home,
        description="Where Millstream keeps what has no place of its own: database, documents, tokens.",
        json_schema_extra={"default": "/var/lib/millstream as root, else ~/.local/share/millstream"},
    )
    database: DatabaseSettings = DatabaseSettings()
    documents: DocumentsSettings = DocumentsSettings()
    gmail: GmailSettings = GmailSettings()
    senders: SendersSettings = SendersSettings()
    relay: RelaySettings = RelaySettings()
    limits: LimitsSettings = LimitsSettings()
    delivery: DeliverySettings = DeliverySettings()
    suppression: SuppressionSettings = SuppressionSettings()
    mailbox: MailboxSettings = MailboxSettings()
    push: PushSettings = PushSettings()
    web: WebSettings = WebSettings()
    exstream: ExstreamSettings = ExstreamSettings()
    exstream_tokens: ExstreamTokenSettings = ExstreamTokenSettings()
    next_steps: NextStepSettings = NextStepSettings()
    email_events: EmailEventSettings = EmailEventSettings()
    intake: IntakeSettings = IntakeSettings()
    intake_keys: IntakeKeySettings = IntakeKeySettings()
    outputs: OutputSettings = OutputSettings()
    intake_folder: IntakeFolderSettings = IntakeFolderSettings()
    intake_http: IntakeHttpSettings = IntakeHttpSettings()
    intake_smtp: IntakeSmtpSettings = IntakeSmtpSettings()
    intake_pull: IntakePullSettings = IntakePullSettings()
    review: ReviewSettings = ReviewSettings()
    composer: ComposerSettings = ComposerSettings()
    logging: LoggingSettings = LoggingSettings()
    worker: WorkerSettings = WorkerSettings()

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic-settings calls it so
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables first, then what `load` read from the file and gives as arguments."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _check_across(self) -> Self:
        check_across(self)
        return self

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each setting came from that is not a default: dotted key to file or variable."""
        return MappingProxyType(self._origins)

    @property
    def database_url(self) -> str | None:
        """The server's URL, or None where the embedded one is meant."""
        return self.database.url.get_secret_value() if self.database.url else None

    @property
    def database_folder(self) -> Path:
        """The embedded server's folder."""
        return self.database.folder or self.folder / "database"

    @property
    def documents_url(self) -> str:
        """The document store: a folder's path or a bucket's URL."""
        return self.documents.url or str(self.folder / "documents")

    @property
    def spool_folder(self) -> Path:
        """Where what came in lies until it is a run."""
        return self.intake.spool or self.folder / "spool"

    @property
    def token_folder(self) -> Path:
        """Where the refresh tokens of connected mailboxes are kept."""
        return self.gmail.token_folder or self.folder / "tokens"
