"""The settings of reviews: the files that say who is asked about what, and how people answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr

from millstream.config.section import Section

LANGUAGES = ("en", "de", "fr", "es", "it", "nl")


class ReviewSettings(Section):
    """Approval and compliance by mail. Without a policy file nothing is reviewed."""

    policies: tuple[Path, ...] = Field(default=(), description="Files of policies: see docs/reference/policies.md.")
    rules: tuple[Path, ...] = Field(default=(), description="Files of compliance rules: see docs/reference/rules.md.")
    pool: str = Field(
        default="review",
        description="The sender pool whose mailboxes ask. It should carry nothing else: a question would wait behind "
        "everything that was there before it. Where relay.users has it, questions leave by the relay.",
    )
    base_url: str | None = Field(
        default=None,
        description="Where reviewers reach `millstream web`, as https://reviews.example.com. Without it mails offer no "
        "page, and answers come by mail alone.",
    )
    link_secret: SecretStr | None = Field(
        default=None,
        description="What signs the links of mails; at least 32 characters. All workers and web servers share it.",
        json_schema_extra={"default": "made once, in `review.key` in the top `folder`"},
    )
    link_secret_file: Path | None = Field(default=None, description="A file that holds `link_secret`.")
    languages: tuple[str, ...] = Field(
        default=LANGUAGES, description="In which answers are understood, where a policy names none."
    )
    settle_seconds: NonNegativeFloat = Field(
        default=10.0, description="How long nothing may be added to a run before it is put to people as a whole."
    )
    watch_seconds: PositiveFloat = Field(
        default=15.0, description="How often Exstream is asked for what waits for review."
    )
    lease_seconds: PositiveFloat = Field(
        default=30.0, description="Without a sign of life for so long, another worker takes a mail over."
    )
    most_tries: PositiveInt = Field(default=8, description="After so many tries a mail is put aside.")
    markup: bool = Field(
        default=False,
        description="One-click approval in Gmail's list of mails, for senders registered with Google. The relay alone "
        "carries it: the pool needs users there (relay.users).",
    )
    amp: bool = Field(
        default=False,
        description="Answering inside the mail (AMP), for senders registered with Google. The relay alone carries "
        "it: the pool needs users there (relay.users).",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="Who signs reviewers in, by OpenID Connect: `https://accounts.google.com`, for example.",
    )
    oidc_client_id: str | None = Field(default=None, description="Our client there.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Its secret.")
    oidc_client_secret_file: Path | None = Field(default=None, description="A file that holds `oidc_client_secret`.")
    sign_in_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=15, description="How long a sign-in counts for the question it was made for."
    )
    drill: str | None = Field(
        default=None,
        description="For recovery drills: `point:n`, as in delivery (before_decision, after_decision, before_mail, "
        "after_mail_before_note, in_hold_order).",
    )

    def check(self) -> None:
        """Addresses are whole, and what belongs together is there together."""
        if self.base_url is not None:
            parts = urlsplit(self.base_url)
            local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
            if parts.scheme != "https" and not (local and parts.scheme == "http"):
                raise ValueError("base_url must be https: links in it answer for people")
            if parts.query or parts.fragment or not parts.hostname:
                raise ValueError("base_url is no plain address like https://reviews.example.com")
        if self.link_secret is not None and len(self.link_secret.get_secret_value()) < 32:  # noqa: PLR2004  said beside
            raise ValueError("link_secret has fewer than 32 characters")
        given = [self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret]
        if any(given) and not all(given):
            raise ValueError("oidc_issuer, oidc_client_id and oidc_client_secret belong together")
        unknown = [language for language in self.languages if language not in LANGUAGES]
        if unknown:
            raise ValueError(f"languages names {unknown[0]!r}; answers are understood in {', '.join(LANGUAGES)}")
        if self.markup and self.base_url is None:
            raise ValueError("markup needs base_url: that is where Gmail posts the click")
        if self.amp and self.base_url is None:
            raise ValueError("amp needs base_url: that is where Gmail posts the answer")
