"""The only room that speaks Google: Gmail's REST interface over aiohttp, and the tokens for it."""

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
