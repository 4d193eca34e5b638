"""What happens to a message between "send" and the mailboxes it ends up in."""

from dataclasses import dataclass
from email.utils import quote
from typing import Final

from millstream.sandbox.gmail import notices
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.errors import BadArgument
from millstream.sandbox.gmail.headers import Headers, InvalidAddress, addresses, find, mailbox, references, split
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.stamps import delivery_stamp
from millstream.sandbox.gmail.world import World

SENT_LABELS: Final = frozenset({"SENT"})
INBOX_LABELS: Final = frozenset({"INBOX", "UNREAD"})
_RECIPIENT_FIELDS: Final = ("to", "cc", "bcc")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message under way: its headers, the body behind them, and who it is for."""

    headers: Headers
    body: bytes
    recipients: tuple[str, ...]

    @classmethod
    def read(cls, raw: bytes) -> "Letter":
        """Take a message apart; raises `BadArgument` in Gmail's words for an address field that is none."""
        return cls.of(*split(raw))

    @classmethod
    def of(cls, head: bytes, body: bytes) -> "Letter":
        """The same from a message that is parted already."""
        headers = Headers.parse(head)
        found: list[str] = []
        for name in _RECIPIENT_FIELDS:
            for value in headers.raw(name):
                try:
                    found.extend(addresses(value))
                except InvalidAddress:
                    raise BadArgument(f"Invalid {name.capitalize()} header") from None
        return cls(headers, body, tuple(dict.fromkeys(found)))


class Transit:
    """The mail system of the sandbox."""

    def __init__(self, world: World, quota: Quota) -> None:
        self._world = world
        self._quota = quota

    def submit(self, account: Account, letter: Letter, *, thread_id: str | None = None) -> Message:
        """Send by the API as the owner of a mailbox; gives the SENT copy.

        Raises `BadArgument` and `MailSending`, both before anything is stored. Over the daily limit the copy lies in
        SENT and nothing is delivered; the notice follows (reference 1.3).
        """
        config = self._world.config
        if not letter.recipients:
            raise BadArgument("Recipient address required")
        if len(letter.recipients) > config.recipients_per_message:
            raise BadArgument("Recipient limit exceeded")  # the wording is not on record
        goes_out = self._quota.charge_send(account, len(letter.recipients))
        self.stamp(account, letter.headers)
        sent = self._store_sent(account, letter, thread_id)
        if goes_out:
            self._distribute(account.address, letter, sender=account, original=sent)
        else:
            self._later(lambda: notices.deliver_limit_notice(self._world, account, sent))
        return sent

    def relay(self, envelope_sender: str, recipients: tuple[str, ...], raw: bytes) -> None:
        """Pass on what came in by SMTP; headers stay as they are, bounces go to the envelope sender.

        Raises `MailSending` where the envelope sender is a mailbox that may not send now.
        """
        account = self._world.account(envelope_sender) if envelope_sender else None
        head, body = split(raw)
        letter = Letter(Headers.parse(head), body, recipients)
        sent = None
        if account and account.is_local:
            self._quota.charge_send(account, len(recipients), grace=False)
            if self._world.config.relay_keeps_sent_copy:
                sent = self._store_sent(account, letter, None)
        self._distribute(envelope_sender, letter, sender=account, original=sent)

    def stamp(self, account: Account, headers: Headers) -> None:
        """Give a message what the API gives it: a new Message-ID, the account's From, Date and MIME-Version."""
        now = self._world.clock.stamp()
        name, address = mailbox(headers.get("from") or "")
        if not account.may_send_as(address.lower()):
            # "From not matching primary/verified alias is rewritten to the primary" (reference 3, sendAs).
            headers.replace("From", _named(name or account.name, account.address))
        headers.replace("Message-ID", self._world.new_rfc822_id())
        if headers.get("date") is None:
            headers.replace("Date", now)
        if headers.get("mime-version") is None:
            headers.replace("MIME-Version", "1.0")

    def _store_sent(self, account: Account, letter: Letter, thread_id: str | None) -> Message:
        headers = letter.headers
        thread_id = thread_id or self.thread_for(account, headers)
        date = self._world.clock.stamp()
        received = f"Received: from 100000000001 named unknown by gmailapi.google.com with HTTPREST; {date}\r\n"
        to_self = any(self._world.account(address) is account for address in letter.recipients)
        return self._world.store(
            account,
            received.encode() + headers.block(),
            letter.body,
            labels=SENT_LABELS | INBOX_LABELS if to_self else SENT_LABELS,
            thread_id=thread_id,
            received=to_self,
        )

    def _distribute(
        self, envelope_sender: str, letter: Letter, *, sender: Account | None, original: Message | None
    ) -> None:
        letter.headers.drop("bcc")
        block = letter.headers.block()
        too_large = len(block) + len(letter.body) > self._quota.limits.max_message_bytes
        for address in letter.recipients:
            account = self._world.recipient(address)
            if account is None:
                verdict: notices.Verdict | None = notices.UNKNOWN_ADDRESS
            else:
                verdict = notices.TOO_LARGE if too_large else notices.rejection(account.condition.rejects)
            if verdict is not None:
                self._bounce(envelope_sender, address, block, original, verdict)
            elif account is not None and (account is not sender or original is None):
                # Mail to oneself is not delivered again: Gmail keeps one message, in SENT and in the inbox.
                self.deliver(account, letter, block, envelope_sender=envelope_sender, address=address)

    def deliver(self, account: Account, letter: Letter, block: bytes, *, envelope_sender: str, address: str) -> Message:
        """Put a message into a mailbox as received mail, with Gmail's stamps above its header block."""
        stamp = delivery_stamp(
            self._world,
            envelope_sender=envelope_sender,
            recipient=address,
            header_from=mailbox(letter.headers.get("from") or "")[1],
        )
        return self._world.store(
            account,
            stamp + block,
            letter.body,
            labels=INBOX_LABELS,
            thread_id=self.thread_for(account, letter.headers),
            received=True,
        )

    def thread_for(self, account: Account, headers: Headers) -> str | None:
        """The thread a message joins by what it refers to and its subject, or None for a new one."""
        answered = references(headers)
        return account.find_thread(answered, headers.get("subject")) if answered else None

    def _bounce(
        self,
        envelope_sender: str,
        failed: str,
        block: bytes,
        original: Message | None,
        verdict: notices.Verdict,
    ) -> None:
        account = self._world.account(envelope_sender) if envelope_sender else None
        if account is None:
            return  # nobody to tell: an empty envelope sender, or a sender without a mailbox
        self._later(
            lambda: notices.deliver_bounce(
                self._world,
                account,
                notices.Failure(failed, verdict, block, find(block, "Message-ID") or "", original),
            )
        )

    def _later(self, act: notices.Act) -> None:
        self._world.later(self._world.config.notice_delay_seconds, act)


def _named(name: str, address: str) -> str:
    """A From value; a name that is encoded already (RFC 2047) must not stand in quotes."""
    if not name:
        return address
    return f"{name} <{address}>" if name.startswith("=?") else f'"{quote(name)}" <{address}>'
