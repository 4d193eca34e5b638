"""Checks the whole path from the configuration to Gmail, and says what to do about each failure.

Every check is a read, or leaves nothing behind: a document is put and found again, no mail and no draft is made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from millstream.app.doctor_doors import examine_doors, examine_exstream
from millstream.app.doctor_relay import examine_relay
from millstream.app.doctor_reviews import examine_reviews
from millstream.app.finding import Finding
from millstream.app.options import gmail_options, token_source
from millstream.app.reading import mailboxes
from millstream.app.relay import open_relay, relay_on
from millstream.config import Settings
from millstream.gmail import Gmail, GmailError, MailboxClient
from millstream.storage.embedded import embedded
from millstream.storage.errors import StorageError
from millstream.storage.migrate import status
from millstream.storage.objects import open_store
from millstream.storage.pool import connect

_PROBE = b"millstream doctor: this document may be removed"


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Run every check in the order of the way; a failure does not stop the others."""
    yield await _database(settings)
    yield await _documents(settings)
    async for finding in examine_exstream(settings):
        yield finding
    async for finding in examine_doors(settings):
        yield finding
    async for finding in examine_reviews(settings):
        yield finding
    async for finding in examine_relay(settings, open_relay):
        yield finding
    async for finding in _google(settings):
        yield finding


async def _google(settings: Settings) -> AsyncIterator[Finding]:
    """Credentials, and every mailbox that is used through the API."""
    senders = [mailbox for pool in settings.senders.pools.values() for mailbox in pool]
    read = mailboxes(settings).keys()
    if not senders and not (relay_on(settings) and read):
        if not relay_on(settings):
            detail = "no sender mailbox is set; add senders.pools to the configuration"
            yield Finding("senders", ok=False, detail=detail)
        return  # by the relay alone, and nothing is read: no credentials of the API are needed
    try:
        tokens = token_source(settings)
    except GmailError as error:
        yield Finding("credentials", ok=False, detail=str(error))
        return
    async with Gmail(gmail_options(settings), tokens) as gmail:
        for address in senders:
            yield await _mailbox(gmail.mailbox(address), settings)
        for address in sorted(read - set(senders)):
            yield await _inbox(gmail.mailbox(address))
    if settings.senders.reply_to and settings.senders.reply_to.lower() not in read:
        detail = f"replies go to {settings.senders.reply_to}, which is not read; name its mailbox in mailbox.shared"
        yield Finding("replies", ok=False, detail=detail)


async def _database(settings: Settings) -> Finding:
    try:
        if settings.database_url is not None:
            return await _schema(settings.database_url)
        async with embedded(settings.database_folder) as url:
            return await _schema(url)
    except StorageError as error:
        return Finding("database", ok=False, detail=str(error))


async def _schema(url: str) -> Finding:
    conn = await connect(url, name="doctor")
    try:
        server = conn.info.parameter_status("server_version") or "?"
    finally:
        await conn.close()
    schema = await status(url)
    if schema.pending:
        detail = f"PostgreSQL {server}; the schema is behind by {len(schema.pending)} steps: `millstream db migrate`"
        return Finding("database", ok=False, detail=detail)
    return Finding("database", ok=True, detail=f"PostgreSQL {server}, schema {schema.at}")


async def _documents(settings: Settings) -> Finding:
    try:
        store = open_store(settings.documents_url)
        stored = await store.put(_PROBE)
        await store.get(stored.sha256, check=True)
    except StorageError as error:
        return Finding("documents", ok=False, detail=str(error))
    return Finding("documents", ok=True, detail=f"{settings.documents_url} takes and gives documents")


async def _mailbox(mail: MailboxClient, settings: Settings) -> Finding:
    """Token, identity, the scopes that the mode needs, and the right to send as the configured address."""
    check = f"mailbox {mail.address}"
    try:
        profile = await mail.profile()
        if profile.address.lower() != mail.address.lower():
            detail = f"the token opens {profile.address}; use the primary address in senders.pools"
            return Finding(check, ok=False, detail=detail)
        await mail.list_history(profile.history_id)
        if settings.delivery.mode == "draft":
            await mail.list_drafts(page_size=1)
        return await _send_as(mail, check, settings)
    except GmailError as error:
        return Finding(check, ok=False, detail=str(error))


async def _inbox(mail: MailboxClient) -> Finding:
    """Token, identity and the scope that reading needs."""
    check = f"inbox {mail.address}"
    try:
        profile = await mail.profile()
        if profile.address.lower() != mail.address.lower():
            return Finding(check, ok=False, detail=f"the token opens {profile.address}; name the primary address")
        await mail.list_history(profile.history_id)
    except GmailError as error:
        return Finding(check, ok=False, detail=str(error))
    return Finding(check, ok=True, detail="token, scope and history are right")


async def _send_as(mail: MailboxClient, check: str, settings: Settings) -> Finding:
    wanted = settings.senders.address
    if wanted is None:
        return Finding(check, ok=True, detail="token, scopes and history are right")
    aliases = {alias.address.lower(): alias for alias in await mail.list_send_as()}
    alias = aliases.get(wanted.lower())
    if alias is None or not (alias.verified or alias.is_primary):
        why = "is not verified" if alias else "is no send-as address"
        detail = (
            f"{wanted} {why} of this mailbox, so Gmail would replace it; add and verify it in the mailbox's settings"
        )
        return Finding(check, ok=False, detail=detail)
    return Finding(check, ok=True, detail=f"token, scopes and history are right; sends as {wanted}")
