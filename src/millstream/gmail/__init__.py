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
        Watch,
    )
    from millstream.gmail.options import DIRECT_SCOPES, DRAFT_SCOPES, PUBSUB_SCOPES, GmailOptions
    from millstream.gmail.pubsub import Hint, HintSource, Pulled, account_tokens, decode_push, hint_source
    from millstream.gmail.push_token import Expected, GoogleKeys, PushTokens
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
            "PUBSUB_SCOPES": "options",
            "AuthorizedUserTokens": "authorized_user",
            "Draft": "model",
            "Effect": "errors",
            "Expected": "push_token",
            "Fault": "errors",
            "GivenRefreshTokens": "authorized_user",
            "Gmail": "client",
            "GmailError": "errors",
            "GmailOptions": "options",
            "GoogleKeys": "push_token",
            "Headers": "model",
            "Hint": "pubsub",
            "HintSource": "pubsub",
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
            "Pulled": "pubsub",
            "PushTokens": "push_token",
            "SendAs": "model",
            "ServiceAccountKey": "service_account",
            "ServiceAccountTokens": "service_account",
            "StaticTokens": "tokens",
            "TokenFile": "impersonation",
            "TokenFolder": "authorized_user",
            "TokenSource": "tokens",
            "Watch": "model",
            "account_tokens": "pubsub",
            "decode_push": "pubsub",
            "hint_source": "pubsub",
            "machine_tokens": "impersonation",
        },
    )

__all__ = [
    "DIRECT_SCOPES",
    "DRAFT_SCOPES",
    "METHODS",
    "PUBSUB_SCOPES",
    "AuthorizedUserTokens",
    "Draft",
    "Effect",
    "Expected",
    "Fault",
    "GivenRefreshTokens",
    "Gmail",
    "GmailError",
    "GmailOptions",
    "GoogleKeys",
    "Headers",
    "Hint",
    "HintSource",
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
    "Pulled",
    "PushTokens",
    "SendAs",
    "ServiceAccountKey",
    "ServiceAccountTokens",
    "StaticTokens",
    "TokenFile",
    "TokenFolder",
    "TokenSource",
    "Watch",
    "account_tokens",
    "decode_push",
    "hint_source",
    "machine_tokens",
]
