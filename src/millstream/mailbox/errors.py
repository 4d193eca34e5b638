"""What can go wrong while mailboxes are read.

MailboxError
├── LeaseLost         another process reads this mailbox now; nothing was written
├── UnknownMailbox    no mailbox that is read has this address
└── NothingSetAside   no message with this id is in quarantine
"""


class MailboxError(Exception):
    """The room's errors."""


class LeaseLost(MailboxError):
    """The epoch has moved on: another process reads this mailbox."""


class UnknownMailbox(MailboxError):
    """The address is none of the mailboxes that are read."""


class NothingSetAside(MailboxError):
    """The message is not in quarantine, or was taken out of it before."""
