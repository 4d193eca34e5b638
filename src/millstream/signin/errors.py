"""What can go wrong when somebody signs in.

::

    SignInError
    ├── BadIssuer         the setting, or what the provider publishes, cannot be used
    ├── ProviderAway      the provider does not answer, or not with what it should: later may help
    └── SignInRefused     this sign-in proves nothing: it was begun elsewhere, too long ago, or its token does not hold
"""


class SignInError(Exception):
    """Anything that signing in reports."""


class BadIssuer(SignInError):
    """The provider cannot be used as it is set."""


class ProviderAway(SignInError):
    """The provider cannot be asked now."""


class SignInRefused(SignInError):
    """It proves nothing. `check` names what failed, for logs."""

    def __init__(self, check: str, why: str) -> None:
        super().__init__(why)
        self.check = check
