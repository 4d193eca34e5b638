"""Many received messages at once, from one template: for benches and tests of large mailboxes."""

import asyncio
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.headers import find, mailbox, split
from millstream.sandbox.gmail.stamps import delivery_stamp
from millstream.sandbox.gmail.transit import INBOX_LABELS
from millstream.sandbox.gmail.world import World

AT_A_TIME: Final = 500
"""Messages between two looks at what else there is to do."""

NUMBER: Final = b"{n}"
_LINE: Final = "A line of a letter that is as long as it must be and says nothing that matters.\n"


@dataclass(frozen=True, slots=True)
class Filling:
    """What to make: `{n}` in the template is the number, from 1. Dates lie `spread` seconds apart, the last is now.

    Messages whose body holds no number share its bytes: a hundred thousand of them are small.
    """

    template: bytes
    count: int
    labels: frozenset[str] = field(default=INBOX_LABELS)
    spread: float = 0.0


def template(sender: str, recipient: str, subject: str, text: str, size: int) -> bytes:
    """A plain message of about `size` bytes, whose sender and subject carry the number."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    lines = max(size - len(text) - 400, 0) // 80
    message.set_content(f"{text}\n{_LINE * lines}")
    return message.as_bytes()


async def fill(world: World, account: Account, filling: Filling) -> tuple[str, str]:
    """Put them into a mailbox; gives the first and the last message's id. Gives way to other work now and then."""
    head, body = split(filling.template)
    if find(head, "Date") is None:
        head += f"\r\nDate: {world.clock.stamp()}".encode()
    if find(head, "Message-ID") is None:
        head += f"\r\nMessage-ID: <{world.new_id()}.{{n}}@mail.example>".encode()
    begun, first, last = world.clock.milliseconds(), "", ""
    for number in range(1, filling.count + 1):
        own_head = head.replace(NUMBER, str(number).encode())
        own_body = body.replace(NUMBER, str(number).encode()) if NUMBER in body else body
        sender = mailbox(find(own_head, "From") or "")[1]
        stamp = delivery_stamp(
            world,
            envelope_sender=sender,
            recipient=account.address,
            header_from=sender,
            verdict=world.verdicts.of(sender.rpartition("@")[2]),
        )
        message = world.store(
            account,
            stamp + own_head,
            own_body,
            labels=filling.labels,
            received=True,
            internal_date=begun - int((filling.count - number) * filling.spread * 1000),
        )
        first, last = first or message.id, message.id
        if number % AT_A_TIME == 0:
            await asyncio.sleep(0)
    return first, last
