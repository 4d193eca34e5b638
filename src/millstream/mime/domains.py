"""Which domains belong together: the organisational domain of RFC 7489 §3.2, by the public suffix list."""

from functools import lru_cache
from typing import Any

from millstream import lazy


def aligned(one: str, other: str) -> bool:
    """Relaxed alignment: the same organisation's domain. Both in lower case; an empty one belongs to nobody."""
    if not one or not other:
        return False
    return one == other or organisation(one) == organisation(other) != ""


@lru_cache(maxsize=4096)
def organisation(domain: str) -> str:
    """``mail.bank.co.uk`` → ``bank.co.uk``; empty for a public suffix itself and for what is no domain.

    A top-level domain that the list does not know counts as a suffix, as the list's own rule says.
    """
    if len(domain) > 255 or not domain.isascii():  # noqa: PLR2004  the longest name there is (RFC 1035 §2.3.4)
        return ""
    found: str | None = _list().privatesuffix(domain)
    return found or ""


@lru_cache(maxsize=1)
def _list() -> Any:
    # 40 ms and 2 MB: paid only where two domains differ.
    return lazy.load("publicsuffixlist:PublicSuffixList")()
