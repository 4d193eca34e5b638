"""The sandbox's world: every mailbox, the clock, and the ids they are told apart by."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.agenda import Agenda
from millstream.sandbox.gmail.clock import Clock
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.history import Record
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.verdicts import Register

_DAY: Final = 86_400.0


class World:
    """All mailboxes by address.

    Local addresses belong to the configured domains and exist only if they were listed or created; a plus tag
    (`name+tag@`) belongs to the mailbox without it. Every other address is the outside world: its mailbox appears
    with the first mail for it.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = Clock(start=config.clock_start, rate=config.clock_rate)
        self.agenda = Agenda(self.clock)
        self.verdicts = Register(config.authentication)
        self.on_change: Callable[[Account, Record], None] | None = None
        self.domains = frozenset(domain.lower() for domain in config.domains)
        self.accounts: dict[str, Account] = {}
        self._random = Random(config.seed)  # noqa: S311  ids must repeat with the seed; nothing here is a secret
        self._last_id = 0
        self._timers: set[asyncio.TimerHandle] = set()
        self.dropped_twins = 0
        self.clear()

    # Mailboxes

    def mailboxes(self) -> list[Account]:
        """Every mailbox: local ones first, each group by address."""
        return sorted(self.accounts.values(), key=lambda account: (not account.is_local, account.address))

    def account(self, address: str) -> Account | None:
        """The mailbox an address leads to, or None if there is none (yet)."""
        return self.accounts.get(self._home(address))

    def recipient(self, address: str) -> Account | None:
        """The mailbox that receives mail for an address; None for an unknown local one."""
        home = self._home(address)
        known = self.accounts.get(home)
        if known is None and not self.is_local(home):
            known = self.create(home)
        return known

    def caught(self, address: str) -> Account | None:
        """The mailbox that takes what is for an unknown address of the domains, where a routing rule names one."""
        catch_all = self.config.catch_all
        return self.account(catch_all) if catch_all is not None and self.is_local(address) else None

    def is_local(self, address: str) -> bool:
        """Whether an address belongs to the organisation's domains."""
        return address.rpartition("@")[2].lower() in self.domains

    def create(self, address: str) -> Account:
        """Open a mailbox (or find it)."""
        home = self._home(address)
        if home not in self.accounts:
            start = 1_000 + self._random.randrange(1_000_000)
            account = self.accounts[home] = Account(home, is_local=self.is_local(home), history_start=start)
            account.watcher = self._changed
        return self.accounts[home]

    def _changed(self, account: Account, record: Record) -> None:
        if self.on_change is not None:
            self.on_change(account, record)

    def delete(self, address: str) -> bool:
        """Close a mailbox with everything in it; says whether it was there."""
        return self.accounts.pop(self._home(address), None) is not None

    def clear(self) -> None:
        """Go back to the configured, empty mailboxes; what was about to arrive never will."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.agenda.clear()
        self.verdicts.clear()
        self.accounts.clear()
        self.dropped_twins = 0
        for address in self.config.mailboxes:
            self.create(address)
        if self.config.catch_all is not None:
            self.create(self.config.catch_all)

    def _home(self, address: str) -> str:
        local_part, _, domain = address.strip().lower().rpartition("@")
        if domain in self.domains:
            local_part = local_part.partition("+")[0]
        return f"{local_part}@{domain}"

    # Messages

    def store(  # noqa: PLR0913  one message has this many sides
        self,
        account: Account,
        head: bytes,
        body: bytes,
        *,
        labels: frozenset[str],
        thread_id: str | None = None,
        received: bool = False,
        internal_date: int | None = None,
    ) -> Message:
        """Put a message into a mailbox; without a thread it begins its own."""
        message_id = self.new_id()
        message = Message(message_id, thread_id or message_id, head, body)
        message.received = received
        message.stored_at = self.clock.seconds()
        message.internal_date = self.clock.milliseconds() if internal_date is None else internal_date
        account.add(message, labels, message.stored_at)
        return message

    def received(self) -> Iterator[tuple[Account, Message]]:
        """Every message that was delivered to somebody, with the mailbox it lies in."""
        for account in self.accounts.values():
            for message in account.store.values():
                if message.received:
                    yield account, message

    def forget_old_history(self, account: Account) -> None:
        """Let history ids expire by age."""
        account.history.forget_before(self.clock.seconds() - self.config.history_days * _DAY)

    # Ids

    def new_id(self) -> str:
        """A message id like Gmail's: 16 hexadecimal digits that grow with time."""
        self._last_id = max(self._last_id + 1, (self.clock.milliseconds() << 20) | self._random.getrandbits(12))
        return f"{self._last_id:016x}"

    def new_draft_id(self) -> str:
        """A draft id like Gmail's: `r` and a signed 64-bit number."""
        return f"r{self._random.getrandbits(63) - 2**62}"

    def new_rfc822_id(self) -> str:
        """A Message-ID as Gmail gives to what its API sends."""
        token = base64.b64encode(self._random.randbytes(36), b"+=").decode()
        return f"<CA{token}@mail.gmail.com>"

    def new_token(self) -> str:
        """Letters and digits for anything else that needs a name."""
        return base64.urlsafe_b64encode(self._random.randbytes(24)).decode()

    # Time

    def later(self, delay: float, act: Callable[[], object]) -> None:
        """Do something after real seconds, or at once for 0 or where no event loop runs."""
        try:
            loop = asyncio.get_running_loop() if delay > 0 else None
        except RuntimeError:
            loop = None
        if loop is None:
            act()
            return
        timer: asyncio.TimerHandle

        def strike() -> None:
            self._timers.discard(timer)
            act()

        timer = loop.call_later(delay, strike)
        self._timers.add(timer)

    def close(self) -> None:
        """Forget what was about to happen; mailboxes stay readable."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.agenda.clear()
