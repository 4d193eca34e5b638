"""Signing people in by OpenID Connect, with Google or any provider that publishes how."""

from millstream.signin.errors import BadIssuer, ProviderAway, SignInError, SignInRefused
from millstream.signin.flow import Begun, SignIn, SignInOptions
from millstream.signin.token import Person

__all__ = [
    "BadIssuer",
    "Begun",
    "Person",
    "ProviderAway",
    "SignIn",
    "SignInError",
    "SignInOptions",
    "SignInRefused",
]
