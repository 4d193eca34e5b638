"""Faults: seeded rules that spoil calls before, after or beside their effect."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Point(StrEnum):
    """Where in a call a fault strikes."""

    BEFORE = "before"
    AFTER = "after"
    ODD = "odd"


class Kind(StrEnum):
    """What happens. The comment says at which points a kind makes sense."""

    UNAUTHORIZED = "unauthorized"  # before: 401
    RATE_LIMITED = "rate_limited"  # before: 403 rateLimitExceeded with the time in the text
    USER_RATE_LIMITED = "user_rate_limited"  # before: 403 userRateLimitExceeded with the time in the text
    RATE_LIMITED_429 = "rate_limited_429"  # before: 429 with the time in the text
    CLOUD_QUOTA = "cloud_quota"  # before: 403 "Quota exceeded for quota metric …"
    PROJECT_EXHAUSTED = "project_exhausted"  # before: 403 dailyLimitExceeded
    DOMAIN_POLICY = "domain_policy"  # before: 403 domainPolicy
    SCOPE_INSUFFICIENT = "scope_insufficient"  # before: 403 insufficientPermissions
    DELEGATION_DENIED = "delegation_denied"  # before: 403 "Delegation denied for …"
    MAIL_SENDING = "mail_sending"  # before: 429 "(Mail sending)"
    CONCURRENCY = "concurrency"  # before: 429 "Too many concurrent requests for user"
    EXHAUSTED = "exhausted"  # before: 429 "Resource has been exhausted (e.g. check quota)."
    MAIL_SERVICE_OFF = "mail_service_off"  # before: 400 failedPrecondition
    INVALID_GRANT = "invalid_grant"  # before, token endpoint only
    REFUSED = "refused"  # before: connection reset, and the port is shut for `delay` seconds
    INTERNAL_500 = "500"  # before, after
    BAD_GATEWAY_502 = "502"  # before, after: an HTML page
    UNAVAILABLE_503 = "503"  # before, after
    GATEWAY_TIMEOUT_504 = "504"  # before, after
    HTML = "html"  # before, after: an HTML page with `status`
    RESET = "reset"  # before, after: the connection is reset
    HANG = "hang"  # before, after: the socket stays open for `delay` seconds, then it closes without an answer
    DUPLICATE_PAGE = "duplicate_page"  # odd: a list page comes again with the token it already had
    EMPTY_PAGE = "empty_page"  # odd: a page without its list key, but with a next token
    EXPIRED_HISTORY = "expired_history"  # odd: history.list answers 404
    EXPIRED_PAGE = "expired_page"  # odd: a list or history page asked for by its token answers 400 "Invalid pageToken"
    VANISHED = "vanished"  # odd: the message is deleted for good just before messages.get reads it
    LAG = "lag"  # odd: lists and history do not show what is younger than `delay` seconds: push before history
    SLOW = "slow"  # odd: the answer waits `delay` seconds; a push.notify comes as much later
    LOST_PUSH = "lost_push"  # odd, push.notify only: a notification that is never sent
    DUPLICATE_PUSH = "duplicate_push"  # odd, push.notify only: a notification that is sent twice
    # Of the relay alone, methods smtp.*; each of the next is a reply in the place of the usual one:
    RELAY_USER_DAY = "relay_user_day"  # before: 550 5.4.5 Daily SMTP relay limit exceeded for user
    RELAY_CUSTOMER_DAY = "relay_customer_day"  # before: 550 5.7.1 Daily SMTP relay limit exceeded for customer
    RELAY_PEAK = "relay_peak"  # before: 450 4.2.1 Peak SMTP relay limit exceeded for customer
    RELAY_RATE = "relay_rate"  # before: 421 4.7.28
    CLOSING_421 = "closing_421"  # before: 421 4.3.0, and the connection is closed
    BUSY_451 = "busy_451"  # before: 451 4.3.0
    GREYLISTED = "greylisted"  # before: 450 4.2.0 to a triple of client, sender and recipient, for `delay` seconds
    RECIPIENT_BUSY = "recipient_busy"  # before: 452 4.2.2
    RECIPIENT_REFUSED = "recipient_refused"  # before: 550 5.1.1
    TOO_LARGE = "too_large"  # before: 552 5.3.4
    BLOCKED = "blocked"  # before: 552 5.7.0
    DENIED = "denied"  # before: 550 5.7.0 Mail relay denied
    SENDER_REFUSED = "sender_refused"  # before: 553 5.1.7
    LOGIN_REFUSED = "login_refused"  # before: 535 5.7.8
    LOGIN_AWAY = "login_away"  # before: 454 4.7.0
    GREETING_REFUSED = "greeting_refused"  # before: 421 4.7.0 … (EHLO)
    TLS_AWAY = "tls_away"  # before: 454 4.7.0 TLS not available
    GARBAGE = "garbage"  # after: something that is no reply
    MULTI_LINE = "multi_line"  # odd: the reply comes in several lines
    SPLIT = "split"  # odd: the reply comes byte by byte
    SLOW_READER = "slow_reader"  # odd, smtp.content only: the message is read in pieces, `delay` seconds between two
    IDLE_CLOSE = "idle_close"  # odd: a connection that says nothing for `delay` seconds after this is closed


_BEFORE_OR_AFTER = {
    Kind.INTERNAL_500,
    Kind.BAD_GATEWAY_502,
    Kind.UNAVAILABLE_503,
    Kind.GATEWAY_TIMEOUT_504,
    Kind.HTML,
    Kind.RESET,
    Kind.HANG,
}
_ODD = {
    Kind.DUPLICATE_PAGE,
    Kind.EMPTY_PAGE,
    Kind.EXPIRED_HISTORY,
    Kind.EXPIRED_PAGE,
    Kind.VANISHED,
    Kind.LAG,
    Kind.SLOW,
    Kind.LOST_PUSH,
    Kind.DUPLICATE_PUSH,
    Kind.MULTI_LINE,
    Kind.SPLIT,
    Kind.SLOW_READER,
    Kind.IDLE_CLOSE,
}
_RELAY_ONLY = frozenset(list(Kind)[list(Kind).index(Kind.RELAY_USER_DAY) :])
_AFTER_THE_DOT = frozenset({Kind.RESET, Kind.HANG, Kind.GARBAGE})
_RELAY_PREFIX = "smtp."


class Rule(BaseModel):
    """What the rules of every sandbox have: which calls they match, and how often they strike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: Point = Field(description="before, after (the effect, before the reply) or odd (valid but odd).")
    kind: StrEnum = Field(description="What happens; see Kind.")
    name: str = Field(default="", description="Shown in the ledger; default is point and kind.")
    method: str = Field(
        default="*", description="Pattern of methods, for example drafts.send, messages.* or smtp.content."
    )
    probability: float = Field(default=1.0, ge=0, le=1, description="Share of matching calls that are struck.")
    positions: tuple[int, ...] = Field(default=(), description="Strike exactly these matching calls, counted from 1.")
    times: int | None = Field(default=None, ge=1, description="Strike at most this often.")
    seed: int | None = Field(default=None, description="Seed of the probability; default is the sandbox's seed.")

    @property
    def label(self) -> str:
        """The name by which the ledger counts it."""
        return self.name or f"{self.point.value}-{self.kind.value}"

    def whom(self) -> str:
        """Pattern of the mailboxes, or of whatever else is called, that the rule is about."""
        return "*"


class FaultRule(Rule):
    """One rule.

    It matches calls by Gmail method (`drafts.send`, `messages.*`, `oauth.token`, `*`) and by mailbox, and strikes by
    probability, or at positions among the calls it matched (1 is the first), at most `times` times.
    """

    kind: Kind = Field(description="What happens; see Kind.")
    mailbox: str = Field(default="*", description="Pattern of mailbox addresses.")
    delay: float = Field(
        default=1.0, ge=0, description="Seconds: of slow, hang, lag and refused, and to the time in a refusal's text."
    )
    status: int = Field(default=502, ge=400, le=599, description="Status of an html fault.")

    def whom(self) -> str:
        """Pattern of mailbox addresses."""
        return self.mailbox

    @model_validator(mode="after")
    def _check_point(self) -> Self:
        by_relay = self.method.startswith(_RELAY_PREFIX)
        if self.kind in _RELAY_ONLY and not by_relay:
            raise ValueError(
                f"a fault of kind {self.kind.value!r} needs a method of the relay, for example smtp.content"
            )
        if self.kind is Kind.GARBAGE or (by_relay and self.point is Point.AFTER):
            # A refusal after the effect would be a lie: 4yz and 5yz after the dot say that nothing was accepted.
            fits = self.point is Point.AFTER and self.kind in _AFTER_THE_DOT
        elif self.kind in _ODD:
            fits = self.point is Point.ODD
        elif self.kind in _BEFORE_OR_AFTER:
            fits = self.point is not Point.ODD
        else:
            fits = self.point is Point.BEFORE
        if not fits:
            raise ValueError(f"a fault of kind {self.kind.value!r} cannot strike at point {self.point.value!r}")
        return self


AnyRule = TypeVar("AnyRule", bound=Rule)


@dataclass(slots=True)
class _Watched(Generic[AnyRule]):
    rule: AnyRule
    key: str
    seen: int = 0
    struck: int = 0


class Faults(Generic[AnyRule]):
    """The rules in force and what they did so far."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._watched: list[_Watched[AnyRule]] = []
        self._calls: Counter[tuple[str, str, str]] = Counter()

    def add(self, rules: tuple[AnyRule, ...] | list[AnyRule]) -> None:
        """Switch rules on, beside those already in force."""
        for rule in rules:
            twins = sum(1 for watched in self._watched if watched.rule.label == rule.label)
            self._watched.append(_Watched(rule, f"{rule.label}#{twins}"))

    def clear(self) -> None:
        """Switch every rule off and forget the positions."""
        self._watched.clear()
        self._calls.clear()

    def rules(self) -> list[dict[str, object]]:
        """The rules in force, each with the calls it matched and those it struck."""
        return [
            {"name": watched.key, "matched": watched.seen, "struck": watched.struck, **watched.rule.model_dump()}
            for watched in self._watched
        ]

    def strike(self, point: Point, method: str, mailbox: str) -> AnyRule | None:
        """The rule that spoils this call at this point, or None.

        Every rule that matches counts the call, also when another one strikes it. With a probability the verdict
        hangs on seed, rule, method, mailbox and the how-manieth call of that method and mailbox it is, so a run with
        the same seed meets the same faults however its lanes interleave.
        """
        struck = None
        for watched in self._watched:
            rule = watched.rule
            if rule.point is not point or not _matches(rule, method, mailbox):
                continue
            watched.seen += 1
            if self._verdict(watched, method, mailbox) and struck is None:
                watched.struck += 1
                struck = rule
        return struck

    def _verdict(self, watched: _Watched[AnyRule], method: str, mailbox: str) -> bool:
        rule = watched.rule
        count = (watched.key, method, mailbox)
        self._calls[count] += 1
        if rule.times is not None and watched.struck >= rule.times:
            return False
        if rule.positions:
            return watched.seen in rule.positions
        if rule.probability >= 1:
            return True
        seed = self._seed if rule.seed is None else rule.seed
        text = f"{seed}/{watched.key}/{method}/{mailbox}/{self._calls[count]}"
        draw = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        return draw < rule.probability * 2**64


def _matches(rule: Rule, method: str, mailbox: str) -> bool:
    whom = rule.whom()
    return (rule.method in ("*", method) or fnmatchcase(method, rule.method)) and (
        whom in ("*", mailbox) or fnmatchcase(mailbox, whom)
    )
