"""What a request tells beside its body: the run that it is for, or the facts of a single document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from millstream.communication.model import Mode, Policy, RoadChoice, Unclear, share_of
from millstream.intake.errors import BadPasswordRule
from millstream.intake.http.errors import Refused
from millstream.intake.http.options import HttpOptions
from millstream.intake.password import PasswordRule
from millstream.mime.charset import decode, decode_words, one_line

_MOST = 100
_LONGEST = 200
_LONGEST_VALUE = 10_000
_RUN_WORDS = ("run", "pool", "mode", "unsubscribe", "password", "bounce_limit", "road", "unclear", "wait")
_PREFIXES = ("xmillstream", "xexstream")
_NO_WORD = re.compile(r"[-_]+")
_FIELD = re.compile(r"\$\{([^{}]{1,100})\}")
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
_IDEMPOTENCY = "idempotency-key"


@dataclass(frozen=True, slots=True)
class Head:
    """A request before its body."""

    caller: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case; values as bytes of Latin-1, which is how they travel."""

    @property
    def content_type(self) -> str:
        """The header as it came."""
        return self.headers.get("content-type", "")

    @property
    def idempotency_key(self) -> str | None:
        """What names the request among its caller's.

        Raises:
            Refused: it is none.
        """
        told = self.headers.get(_IDEMPOTENCY)
        if told is None:
            return None
        key = told.strip().strip('"')
        if not 0 < len(key) <= _LONGEST or not key.isprintable():
            raise Refused(f"Idempotency-Key has 1 to {_LONGEST} printable characters")
        return key

    def pairs(self) -> list[tuple[str, str]]:
        """What the query tells, in order. Raises Refused where it is too long."""
        try:
            return parse_qsl(self.query, keep_blank_values=True, max_num_fields=_MOST)
        except ValueError as error:
            raise Refused(f"the query cannot be read: {error}") from None

    def ours(self) -> list[tuple[str, str]]:
        """What headers tell that are ours by name, decoded."""
        found = []
        for name, value in self.headers.items():
            if plain(name) != _NO_WORD.sub("", name):
                found.append((plain(name), readable(value)))
        return found


@dataclass(frozen=True, slots=True)
class RunWish:
    """The run that a request is for."""

    key: str | None
    pool: str
    mode: Mode
    policy: Policy
    wait: float

    def told(self) -> str:
        """All that makes the same body another request."""
        return f"{self.key or ''}\n{self.pool}\n{self.mode}\n{sorted(self.policy.to_json().items())}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told about one document: names in any spelling."""

    told: Mapping[str, str] = field(default_factory=dict)
    contradicted: frozenset[str] = frozenset()
    """What one and the same place tells twice, and not the same."""

    def first(self, names: Iterable[str]) -> str:
        """The first of these that is there and says something; else empty.

        Raises:
            Refused: it is told twice, and one of the two would be lost.
        """
        for name in names:
            if plain(name) in self.contradicted:
                raise Refused(f"{name} is told more than once, and not the same; send one value")
            value = self.told.get(plain(name), "").strip()
            if value:
                return value
        return ""

    def filled(self, text: str) -> str:
        """A text with `${Key}` filled in; a key that was not told is nothing."""
        return _FIELD.sub(lambda found: self.told.get(plain(found[1]), ""), text)

    def also(self, more: Iterable[tuple[str, str]]) -> Facts:
        """With more of them; what was told already counts."""
        found: dict[str, str] = {}
        twice = set(self.contradicted)
        for name, value in more:
            bare = plain(name)
            if bare not in self.told and found.get(bare, "").strip() not in ("", value.strip()) and value.strip():
                twice.add(bare)
            found[bare] = value[:_LONGEST_VALUE]
        return Facts({**found, **self.told}, frozenset(twice))


def run_wish(head: Head, options: HttpOptions, *, strict: bool) -> RunWish:
    """What query and headers tell about the run; with `strict` the query may tell nothing else.

    Raises:
        Refused: a value is none, or a word is not known.
    """
    told = dict(head.ours())
    for name, value in head.pairs():
        if strict and plain(name) not in map(plain, _RUN_WORDS):
            raise Refused(f"the query has {name[:50]!r}; it may have {', '.join(_RUN_WORDS)}")
        told[plain(name)] = value
    given = {word: told[plain(word)].strip() for word in _RUN_WORDS if told.get(plain(word), "").strip()}
    key = given.get("run")
    if key is not None and (len(key) > _LONGEST or not key.isprintable()):
        raise Refused(f"run has at most {_LONGEST} characters, all on one line")
    pool = given.get("pool", options.pool)
    if options.pools is not None and pool not in options.pools:
        raise Refused(f"pool {pool[:50]!r} has no mailboxes; there is {', '.join(sorted(options.pools)) or 'none'}")
    try:
        mode = Mode(given["mode"].lower()) if "mode" in given else options.mode
        share = share_of(given["bounce_limit"]) if "bounce_limit" in given else None
        wait = min(max(float(given["wait"]), 0.0), options.wait_seconds) if "wait" in given else options.wait_seconds
        road = RoadChoice(given["road"].lower()) if "road" in given else None
        unclear = Unclear(given["unclear"].lower()) if "unclear" in given else None
        rule = PasswordRule.parse(given["password"]).text if "password" in given else None
    except (ValueError, BadPasswordRule) as error:
        raise Refused(str(error)) from None
    if "respond-async" in head.headers.get("prefer", "").lower():
        wait = 0.0
    policy = Policy(given.get("unsubscribe"), rule, share, road=road, unclear=unclear)
    if options.unfit is not None and (why := options.unfit(pool, policy)):
        raise Refused(why)
    return RunWish(key, pool, mode, policy, wait)


def facts_of(head: Head) -> Facts:
    """What query and headers tell about a document; the query counts where both do. Raises Refused."""
    every = [(name, readable(value)) for name, value in head.headers.items() if name not in _SECRET]
    return Facts().also(head.pairs()).also(head.ours()).also(every)


def plain(name: str) -> str:
    """A name without what does not count."""
    bare = _NO_WORD.sub("", name.lower())
    for prefix in _PREFIXES:
        if bare.startswith(prefix) and len(bare) > len(prefix):
            return bare[len(prefix) :]
    return bare


def readable(value: str) -> str:
    """A header's value for people: UTF-8 or Windows-1252 as it may have come, encoded words decoded."""
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        return one_line(decode_words(value), _LONGEST_VALUE)
    return one_line(decode_words(decode(raw)), _LONGEST_VALUE)
