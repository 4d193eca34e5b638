"""What Gmail finds when it checks who sent a message: SPF, DKIM, DMARC, as a delivery's stamp will say."""

from dataclasses import dataclass, replace
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field

RESULTS: Final = r"^(pass|fail|softfail|neutral|none|temperror|permerror)$"


@dataclass(frozen=True, slots=True)
class Authentication:
    """One verdict.

    `signer` is the domain of the DKIM signature, None is the one in From. `shown` false leaves the header
    Authentication-Results out altogether.
    """

    spf: str = "pass"
    dkim: str = "pass"
    dmarc: str = "pass"
    signer: str | None = None
    shown: bool = True


PRESETS: Final = {
    "pass": Authentication(),
    "fail": Authentication("fail", "fail", "fail"),
    "none": Authentication("none", "none", "none"),
    "softfail": Authentication("softfail", "none", "fail"),
    "unaligned": Authentication("pass", "pass", "fail", signer="mailer.example"),
    "missing": Authentication(shown=False),
}
"""The verdicts that have a name."""


class AuthenticationDocument(BaseModel):
    """A verdict spelt out; what is left out passes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spf: str = Field(default="pass", pattern=RESULTS)
    dkim: str = Field(default="pass", pattern=RESULTS)
    dmarc: str = Field(default="pass", pattern=RESULTS)
    signer: str | None = Field(default=None, pattern=r"^[^\s@;]+$", description="Domain of the DKIM signature.")
    shown: bool = True

    def verdict(self) -> Authentication:
        """The same as a verdict."""
        return Authentication(self.spf, self.dkim, self.dmarc, self.signer, self.shown)


class UnknownVerdict(ValueError):
    """A name that no verdict has."""


def named(name: str) -> Authentication:
    """A preset by its name; raises `UnknownVerdict`."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownVerdict(f"no verdict {name!r}; there are {', '.join(PRESETS)}") from None


class Register:
    """The verdicts by sender domain; a domain without one passes, as mail that never left the sandbox does."""

    def __init__(self, by_domain: dict[str, str]) -> None:
        self._start = {domain.lower(): named(name) for domain, name in by_domain.items()}
        self._by_domain = dict(self._start)

    def set(self, domain: str, verdict: Authentication | None) -> Self:
        """Give a domain a verdict, or take it back."""
        if verdict is None:
            self._by_domain.pop(domain.lower(), None)
        else:
            self._by_domain[domain.lower()] = replace(verdict)
        return self

    def of(self, domain: str) -> Authentication:
        """The verdict of a domain; one for a parent domain holds below it."""
        rest = domain.lower()
        while rest:
            found = self._by_domain.get(rest)
            if found is not None:
                return found
            rest = rest.partition(".")[2]
        return PRESETS["pass"]

    def domains(self) -> dict[str, Authentication]:
        """Every domain with a verdict of its own."""
        return dict(self._by_domain)

    def clear(self) -> None:
        """Back to what the configuration says."""
        self._by_domain = dict(self._start)
