"""The only room that speaks Google: Gmail's REST interface over aiohttp, and the tokens for it."""

from typing import TYPE_CHECKING

from millstream import lazy

if TYPE_CHECKING:
    from millstream.gmail.authorized_user import AuthorizedUserTokens, GivenRefreshTokens, OAuthClient, TokenFolder
    from millstream.gmail.client import METHODS, Gmail, MailboxClient
    from millstream.gmail.errors import Effect, Fault, GmailError
    from millstream.gmail.impersonation import ImpersonatedTokens, TokenFile, machine_tokens
    from millstream.gmail.meter import Meter
    from millstream.gmail.model import (
        Draft,
        Headers,
        HistoryPage,
        Label,
        Message,
        MessageRef,
        Page,
        Profile,
        SendAs,
    )
    from millstream.gmail.options import DIRECT_SCOPES, DRAFT_SCOPES, GmailOptions
    from millstream.gmail.service_account import ServiceAccountKey, ServiceAccountTokens
    from millstream.gmail.tokens import StaticTokens, TokenSource
else:
    # Whoever asks for an error only (the delivery room's model does) shall not pay for aiohttp: 0.5 s of CPU.
    __getattr__ = lazy.names(
        __name__,
        {
            "DIRECT_SCOPES": "options",
            "DRAFT_SCOPES": "options",
            "METHODS": "client",
            "AuthorizedUserTokens": "authorized_user",
            "Draft": "model",
            "Effect": "errors",
            "Fault": "errors",
            "GivenRefreshTokens": "authorized_user",
            "Gmail": "client",
            "GmailError": "errors",
            "GmailOptions": "options",
            "Headers": "model",
            "HistoryPage": "model",
            "ImpersonatedTokens": "impersonation",
            "Label": "model",
            "MailboxClient": "client",
            "Message": "model",
            "MessageRef": "model",
            "Meter": "meter",
            "OAuthClient": "authorized_user",
            "Page": "model",
            "Profile": "model",
            "SendAs": "model",
            "ServiceAccountKey": "service_account",
            "ServiceAccountTokens": "service_account",
            "StaticTokens": "tokens",
            "TokenFile": "impersonation",
            "TokenFolder": "authorized_user",
            "TokenSource": "tokens",
            "machine_tokens": "impersonation",
        },
    )

__all__ = [
    "DIRECT_SCOPES",
    "DRAFT_SCOPES",
    "METHODS",
    "AuthorizedUserTokens",
    "Draft",
    "Effect",
    "Fault",
    "GivenRefreshTokens",
    "Gmail",
    "GmailError",
    "GmailOptions",
    "Headers",
    "HistoryPage",
    "ImpersonatedTokens",
    "Label",
    "MailboxClient",
    "Message",
    "MessageRef",
    "Meter",
    "OAuthClient",
    "Page",
    "Profile",
    "SendAs",
    "ServiceAccountKey",
    "ServiceAccountTokens",
    "StaticTokens",
    "TokenFile",
    "TokenFolder",
    "TokenSource",
    "machine_tokens",
]
