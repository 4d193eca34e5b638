"""Checks reviews: policies and rules, the mailboxes that ask and are answered, the pages, and what waits too long."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import aiohttp
import orjson
from psycopg.rows import dict_row

from millstream.app.finding import Finding
from millstream.app.review import KEY_FILE, policy_book, review_road, reviews_on
from millstream.app.review_replies import asking_by_mail, deaf, reply_places
from millstream.app.roads import relay_users
from millstream.composer.notice import review_notices
from millstream.config import ConfigError, Settings
from millstream.review.errors import BadPolicy
from millstream.review.missing import missing
from millstream.review.policy import EMPTY, PolicyBook
from millstream.review.rules.pack import load_packs
from millstream.signin import BadIssuer, ProviderAway
from millstream.signin.provider import Provider
from millstream.storage.embedded import embedded
from millstream.storage.errors import StorageError
from millstream.storage.migrate import status
from millstream.storage.pool import connect

_PATIENCE: Final = 8.0
_LARGEST: Final = 4_096
_SUCCESS: Final = 200
_SHOWN: Final = 5


async def examine_reviews(settings: Settings) -> AsyncIterator[Finding]:
    """What of reviews is configured; nothing where it is not."""
    if not reviews_on(settings):
        if settings.review.rules:
            detail = "review.rules is set, and review.policies is not: who is asked stands there"
            yield Finding("review policies", ok=False, detail=detail)
        async for finding in _waiting(settings, EMPTY, off=True):
            yield finding
        return
    book, loaded = EMPTY, False
    try:
        book, loaded = policy_book(settings), True
        detail = f"{_many(len(book.policies), 'policy', 'policies')}: {', '.join(sorted(book.policies)) or 'none'}"
        yield Finding("review policies", ok=bool(book.policies), detail=detail)
    except (BadPolicy, ConfigError) as error:
        yield Finding("review policies", ok=False, detail=_lines(error))
    if book.policies:
        yield _rules(settings, book)
        yield _languages(settings, book)
    yield _pool(settings)
    yield _replies(settings, book)
    if settings.review.base_url is not None:
        yield _secret(settings)
        yield await _pages(settings.review.base_url.rstrip("/"))
    else:
        yield Finding("review pages", ok=True, detail="review.base_url is not set, so answers come by mail alone")
    if settings.review.oidc_issuer is not None:
        yield await _sign_in(settings.review.oidc_issuer)
    async for finding in _waiting(settings, book if loaded else None):
        yield finding


def _rules(settings: Settings, book: PolicyBook) -> Finding:
    try:
        packs = load_packs(settings.review.rules, book.policies)
    except BadPolicy as error:
        return Finding("review rules", ok=False, detail=_lines(error))
    return Finding("review rules", ok=True, detail=_many(len(packs.files), "pack", "packs"))


def _languages(settings: Settings, book: PolicyBook) -> Finding:
    """A person whose language has no texts gets English, which a policy may not even understand as an answer."""
    check, known = "review languages", review_notices().languages
    strange = [
        f"{each.address} ({each.locale})" for each in book.people.values() if _language(each.locale) not in known
    ]
    if strange:
        detail = f"there are no mails in the language of {_some(strange)}; use {', '.join(sorted(known))} as locale"
        return Finding(check, ok=False, detail=detail)
    deaf = sorted({f"{person} under {policy}" for person, policy in _not_understood(settings, book)})
    if deaf:
        detail = f"answers are not understood in the language of {_some(deaf)}; add it to mail.languages of the policy"
        return Finding(check, ok=False, detail=detail)
    spoken = sorted({_language(each.locale) for each in book.people.values()})
    return Finding(check, ok=True, detail=f"mails are written and answers understood in {', '.join(spoken) or 'en'}")


def _not_understood(settings: Settings, book: PolicyBook) -> Iterator[tuple[str, str]]:
    """People who are asked by name, or in a group, in a language whose answers the policy does not read."""
    for policy in book.policies.values():
        languages = policy.mail.languages or settings.review.languages
        if not policy.rules.by_mail:
            continue
        named = [name for stage in policy.stages for name in stage.ask]
        named += [name for rung in policy.ladder for name in rung.ask]
        for person in _people(book, named):
            if _language(book.people[person].locale) not in languages:
                yield book.people[person].address, policy.name


def _people(book: PolicyBook, names: list[str]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in book.people:
            found.add(name)
        waiting += book.groups.get(name, ())
    return found


def _pool(settings: Settings) -> Finding:
    check, pool = "review pool", settings.review.pool
    mailbox = relay_users(settings).get(pool) or settings.senders.pools.get(pool, ())
    if not mailbox:
        detail = f"{pool!r} has no mailbox; name one in senders.pools or relay.users, or another pool in review.pool"
        return Finding(check, ok=False, detail=detail)
    if pool in {"default", settings.intake.pool}:
        detail = f"{pool!r} also carries runs, so questions wait behind them; make a pool that only reviews use"
        return Finding(check, ok=False, detail=detail)
    return Finding(check, ok=True, detail=f"{pool!r} asks from {_some(list(mailbox))}, by the {review_road(settings)}")


def _replies(settings: Settings, book: PolicyBook) -> Finding:
    check, asking, wrong = "review replies", asking_by_mail(book), deaf(settings)
    if wrong is None:
        return Finding(check, ok=True, detail=f"answers come to {_some(reply_places(settings))}, which is read")
    if not asking and book.policies:
        return Finding(check, ok=True, detail="no policy takes answers by mail")
    detail = f"senders.reply_to {wrong[0]}; {wrong[1]} No worker starts while {_some(asking) or 'policies'} ask by mail"
    return Finding(check, ok=False, detail=detail)


def _secret(settings: Settings) -> Finding:
    check, path = "review links", settings.folder / KEY_FILE
    if settings.review.link_secret is not None:
        return Finding(check, ok=True, detail="signed with review.link_secret")
    try:
        there = bool(path.read_bytes().strip())
    except FileNotFoundError:
        detail = f"{path} is made by the first worker; where workers and web run on several machines, set link_secret"
        return Finding(check, ok=True, detail=detail)
    except OSError as error:
        detail = f"{path} cannot be read: {error.strerror or error}; mend its rights, or set review.link_secret"
        return Finding(check, ok=False, detail=detail)
    if not there:
        return Finding(check, ok=False, detail=f"{path} is empty; remove it, and the next worker makes it anew")
    return Finding(check, ok=True, detail=f"signed with {path}, which every worker and web server must have")


async def _pages(base_url: str) -> Finding:
    """Whether `millstream web` answers where the links of mails lead to."""
    check, place = "review pages", f"{base_url}/healthz"
    advice = "start `millstream web` and lead review.base_url there"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as session,
            session.get(place, allow_redirects=False) as reply,
        ):
            body = await reply.content.read(_LARGEST)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return Finding(check, ok=False, detail=f"{place} does not answer: {error or type(error).__name__}; {advice}")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if reply.status != _SUCCESS or not isinstance(told, dict) or told.get("status") != "ok":
        detail = f"{place} answers {reply.status}, and not as Millstream does; {advice}"
        return Finding(check, ok=False, detail=detail)
    if told.get("database") != "reachable":
        return Finding(check, ok=False, detail=f"{place} answers, but its database is away; see the web server's log")
    loopback = "" if base_url.startswith("https://") else "; this machine alone can open it"
    return Finding(check, ok=True, detail=f"{base_url} answers{loopback}")


async def _sign_in(issuer: str) -> Finding:
    check, provider = "review sign-in", None
    try:
        provider = Provider(issuer)
        document = await provider.document()
    except (BadIssuer, ProviderAway) as error:
        return Finding(check, ok=False, detail=f"{error}; correct review.oidc_issuer, or mend the way there")
    finally:
        if provider is not None:
            await provider.close()
    return Finding(check, ok=True, detail=f"{document.issuer} says where people sign in")


async def _waiting(settings: Settings, book: PolicyBook | None, *, off: bool = False) -> AsyncIterator[Finding]:
    """What people or the worker owe: nothing where the database is away or behind, which its own line says.

    With `off` policies are named nowhere, and all there is to say is what is left of earlier ones. Without a book
    nobody knows which are missing.
    """
    try:
        if settings.database_url is not None:
            found = await _counted(settings.database_url, book)
        else:
            async with embedded(settings.database_folder) as url:
                found = await _counted(url, book)
    except StorageError:
        return
    if found is None:
        return
    if gone := found["missing"]:
        detail = "; ".join(f"{each}: {each.action}" for each in gone)
        yield Finding("review policies missing", ok=not any(each.unasked for each in gone), detail=detail)
    if off:
        return
    if found["overdue"]:
        detail = f"{found['overdue']:,} overdue, the oldest is {found['oldest']}; `millstream review list --overdue`"
        yield Finding("review deadlines", ok=False, detail=detail)
    else:
        yield Finding("review deadlines", ok=True, detail=f"{found['open']:,} open, none overdue")
    if found["aside"] or found["trying"]:
        detail = (
            f"{found['aside']:,} put aside and {found['trying']:,} tried again, the last for: {found['why']}; "
            f"`millstream review show {found['review']}` has the mail, `millstream review assign` asks somebody else"
        )
        yield Finding("review mails", ok=not found["aside"], detail=detail)
    else:
        yield Finding("review mails", ok=True, detail="all could be made")
    if found["stopped"]:
        detail = f"{found['stopped']:,} decisions whose next step was refused or is unclear; `millstream step list`"
        yield Finding("review steps", ok=True, detail=detail)


async def _counted(url: str, book: PolicyBook | None) -> dict[str, Any] | None:
    if (await status(url)).pending:
        return None
    conn = await connect(url, name="doctor")
    try:
        cursor = conn.cursor(row_factory=dict_row)
        found = await (await cursor.execute(_OWED)).fetchone()
        gone = [] if book is None else await missing(conn, book.policies)
        return {**(found or {}), "missing": gone}
    finally:
        await conn.close()


def _language(locale: str) -> str:
    return locale.replace("_", "-").partition("-")[0].lower()


def _lines(error: Exception) -> str:
    return "; ".join(str(error).splitlines())


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


# A mail that needs not be sent, or went out within another, says so in `failure` and is in order. What an ended
# review could not tell is no debt any more.
_OWED: Final = """
WITH aside AS (
    SELECT m.id, m.failure, m.due_at, min(c.review_id) AS review_id
    FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id JOIN review r ON r.id = c.review_id
    WHERE m.token IS NULL AND m.failure IS NOT NULL AND r.state IN ('open', 'changes')
      AND m.failure NOT LIKE 'not sent: %' AND m.failure NOT LIKE 'asked in mail %'
    GROUP BY m.id
)
SELECT (SELECT count(*) FROM review WHERE state = 'open') AS open,
       (SELECT count(*) FROM review WHERE state = 'open' AND overdue) AS overdue,
       (SELECT min(id) FROM review WHERE state = 'open' AND overdue) AS oldest,
       (SELECT count(*) FROM aside WHERE due_at IS NULL) AS aside,
       (SELECT count(*) FROM aside WHERE due_at IS NOT NULL) AS trying,
       (SELECT failure FROM aside ORDER BY due_at IS NULL DESC, id DESC LIMIT 1) AS why,
       (SELECT review_id FROM aside ORDER BY due_at IS NULL DESC, id DESC LIMIT 1) AS review,
       (SELECT count(*) FROM review WHERE step_state IN ('refused', 'unclear')) AS stopped
"""
