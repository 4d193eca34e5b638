"""What happens to a message between "send" and the mailboxes it ends up in."""

from dataclasses import dataclass, replace
from email.utils import quote
from typing import Final

from millstream.sandbox.gmail import notices, verdicts
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.auto_replies import auto_reply, is_answerable, is_due
from millstream.sandbox.gmail.conditions import AutoReply, Delays, ForeignBounce
from millstream.sandbox.gmail.errors import BadArgument
from millstream.sandbox.gmail.foreign import Returned, report
from millstream.sandbox.gmail.headers import Headers, InvalidAddress, addresses, find, mailbox, references, split
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.stamps import delivery_stamp
from millstream.sandbox.gmail.verdicts import Authentication
from millstream.sandbox.gmail.world import World

SENT_LABELS: Final = frozenset({"SENT"})
INBOX_LABELS: Final = frozenset({"INBOX", "UNREAD"})
SPAM_LABELS: Final = frozenset({"SPAM", "UNREAD"})
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


@dataclass(frozen=True, slots=True)
class Parcel:
    """A letter on its way: the envelope's sender, whose it is, its copy in SENT, and what checks will say of it.

    `block` are the headers as they travel. No `verdict` is the one of the domain in From. `labels` are those it gets
    where it arrives.
    """

    envelope_sender: str
    letter: Letter
    block: bytes
    sender: Account | None
    original: Message | None
    verdict: Authentication | None = None
    labels: frozenset[str] = INBOX_LABELS


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
            self._distribute(account, letter, sent)
        else:
            self._later(lambda: notices.deliver_limit_notice(self._world, account, sent))
        return sent

    def post(self, account: Account, letter: Letter, *, thread_id: str | None = None) -> Message:
        """Send as the person behind a mailbox does: by Gmail's own page, or from outside by SMTP with its own id.

        Gives the copy in SENT. Raises as `submit` does.
        """
        if account.is_local:
            return self.submit(account, letter, thread_id=thread_id)
        if not letter.recipients:
            raise BadArgument("Recipient address required")
        thread_id = thread_id or self.thread_for(account, letter.headers)
        sent = self._world.store(account, letter.headers.block(), letter.body, labels=SENT_LABELS, thread_id=thread_id)
        self._distribute(account, letter, sent)
        return sent

    def relay(
        self,
        envelope_sender: str,
        recipients: tuple[str, ...],
        raw: bytes,
        *,
        verdict: Authentication | None = None,
        labels: frozenset[str] = INBOX_LABELS,
    ) -> list[Message]:
        """Pass on what came in by SMTP; headers stay as they are, bounces go to the envelope sender.

        Gives what was delivered at once. Limits are the door's affair.
        """
        account = self._world.account(envelope_sender) if envelope_sender else None
        head, body = split(raw)
        letter = Letter(Headers.parse(head), body, recipients)
        sent = None
        if account and account.is_local and self._world.config.relay_keeps_sent_copy:
            sent = self._store_sent(account, letter, None)
        letter.headers.drop("bcc")
        parcel = Parcel(envelope_sender, letter, letter.headers.block(), account, sent, verdict, labels)
        return self._hand_round(parcel)

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

    def _distribute(self, account: Account, letter: Letter, sent: Message) -> None:
        letter.headers.drop("bcc")
        self._hand_round(Parcel(account.address, letter, letter.headers.block(), account, sent))

    def _hand_round(self, parcel: Parcel) -> list[Message]:
        """Give a parcel to each of its recipients; what lies in their mailboxes now."""
        too_large = len(parcel.block) + len(parcel.letter.body) > self._quota.limits.max_message_bytes
        arrived = (self._hand_over(parcel, address, too_large=too_large) for address in parcel.letter.recipients)
        return [message for message in arrived if message is not None]

    def _hand_over(self, parcel: Parcel, address: str, *, too_large: bool) -> Message | None:
        """What becomes of a parcel for one recipient; the message, if it lies in a mailbox now."""
        account = self._world.recipient(address)
        if account is None and (account := self._world.caught(address)) is not None:
            # A routing rule changes the envelope and says so in a header.
            parcel = replace(parcel, block=f"{notices.ORIGINAL_TO}: {address}\r\n".encode() + parcel.block)
            address = account.address
        if account is None:
            refusal: notices.Verdict | None = notices.UNKNOWN_ADDRESS
        else:
            refusal = notices.TOO_LARGE if too_large else notices.rejection(account.condition.rejects)
        if refusal is not None or account is None:
            self._bounce(parcel, address, refusal or notices.UNKNOWN_ADDRESS)
            return None
        if account is parcel.sender and parcel.original is not None:
            # Mail to oneself is not delivered again: Gmail keeps one message, in SENT and in the inbox.
            return None
        condition = account.condition
        if condition.delays is not None:
            self._delay(parcel, account, address, condition.delays)
            return None
        if condition.foreign_bounce is not None:
            self._report_later(parcel, address, condition.foreign_bounce)
            return None
        return self._take_in(parcel, account, address)

    def _take_in(self, parcel: Parcel, account: Account, address: str) -> Message | None:
        if self._world.config.drops_same_message_id and _is_twin(account, parcel):
            self._world.dropped_twins += 1
            return None
        message = self.deliver(account, parcel, address)
        condition = account.condition
        if condition.forwards_to:
            self._forward(parcel, account, condition.forwards_to)
        if condition.auto_reply is not None:
            self._auto_reply(parcel, account, condition.auto_reply)
        return message

    def deliver(self, account: Account, parcel: Parcel, address: str) -> Message:
        """Put a message into a mailbox as received mail, with Gmail's stamps above its header block."""
        letter = parcel.letter
        header_from = mailbox(letter.headers.get("from") or "")[1]
        stamp = delivery_stamp(
            self._world,
            envelope_sender=parcel.envelope_sender,
            recipient=address,
            header_from=header_from,
            verdict=parcel.verdict or self._world.verdicts.of(header_from.rpartition("@")[2]),
        )
        return self._world.store(
            account,
            stamp + parcel.block,
            letter.body,
            labels=parcel.labels,
            thread_id=self.thread_for(account, letter.headers),
            received=True,
        )

    # What a recipient's side does

    def _delay(self, parcel: Parcel, account: Account, address: str, rule: Delays) -> None:
        """Google keeps trying: a notice after some hours, the end after some days (by the sandbox's clock)."""
        late = notices.delay(rule.status, self._world.clock.seconds() + rule.retry_for)

        def end() -> None:
            if rule.then == "deliver":
                self._take_in(parcel, account, address)
            else:
                self._bounce(parcel, address, notices.given_up(late), arrived=begun)

        begun = self._world.clock.seconds()
        if rule.notice_after < rule.retry_for:
            agenda = self._world.agenda
            agenda.after(rule.notice_after, lambda: self._bounce(parcel, address, late, arrived=begun))
        self._world.agenda.after(rule.retry_for, end)

    def _report_later(self, parcel: Parcel, address: str, rule: ForeignBounce) -> None:
        if not parcel.envelope_sender:
            return  # nobody to tell
        returned = Returned(address, parcel.envelope_sender, parcel.block)
        verdict = verdicts.named(rule.authentication)

        def send() -> None:
            self.relay("", (returned.envelope_sender,), report(self._world, rule, returned), verdict=verdict)

        self._world.agenda.after(rule.after, lambda: self._later(send))

    def _auto_reply(self, parcel: Parcel, account: Account, rule: AutoReply) -> None:
        sender, headers = parcel.envelope_sender, parcel.letter.headers
        if not sender or not is_answerable(rule, headers):
            return
        if is_due(rule, account, sender, self._world.clock.seconds()):
            raw = auto_reply(self._world, account, rule, sender, headers)
            self._later(lambda: self.relay("", (sender,), raw))

    def _forward(self, parcel: Parcel, account: Account, target: str) -> None:
        """Pass a message on as Gmail's forwarding does: same From, an envelope sender of its own, two headers more.

        What has been forwarded here before is not forwarded again.
        """
        if account.address in parcel.letter.headers.first_words("x-forwarded-for"):
            return
        headers = Headers(
            [
                ("x-forwarded-to", f"X-Forwarded-To: {target}".encode()),
                ("x-forwarded-for", f"X-Forwarded-For: {account.address} {target}".encode()),
                *parcel.letter.headers.fields,
            ]
        )
        local, _, domain = account.address.partition("@")
        envelope = f"{local}+caf_={target.replace('@', '=')}@{domain}"
        letter = replace(parcel.letter, headers=headers, recipients=(target.lower(),))
        passed_on = Parcel(envelope, letter, headers.block(), None, None, parcel.verdict)
        self._later(lambda: self._hand_over(passed_on, target.lower(), too_large=False))

    def thread_for(self, account: Account, headers: Headers) -> str | None:
        """The thread a message joins by what it refers to and its subject, or None for a new one."""
        answered = references(headers)
        return account.find_thread(answered, headers.get("subject")) if answered else None

    def _bounce(self, parcel: Parcel, failed: str, verdict: notices.Verdict, *, arrived: float | None = None) -> None:
        sender = parcel.envelope_sender
        account = (self._world.account(sender) or self._world.caught(sender)) if sender else None
        if account is None:
            return  # nobody to tell: an empty envelope sender, or a sender without a mailbox
        failure = notices.Failure(
            sender,
            failed,
            verdict,
            parcel.block,
            find(parcel.block, "Message-ID") or "",
            parcel.original,
            self._world.clock.seconds() if arrived is None else arrived,
        )
        self._later(lambda: notices.deliver_bounce(self._world, account, failure))

    def _later(self, act: notices.Act) -> None:
        self._world.later(self._world.config.notice_delay_seconds, act)


def _is_twin(account: Account, parcel: Parcel) -> bool:
    """Whether a mailbox got a message of this Message-ID already; what it sent itself is another matter."""
    known = account.by_rfc822(find(parcel.block, "Message-ID") or "")
    return known is not None and known.received


def _named(name: str, address: str) -> str:
    """A From value; a name that is encoded already (RFC 2047) must not stand in quotes."""
    if not name:
        return address
    return f"{name} <{address}>" if name.startswith("=?") else f'"{quote(name)}" <{address}>'
