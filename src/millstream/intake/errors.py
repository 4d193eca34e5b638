"""What can stop a submit, and what can be wrong with one record.

::

    IntakeError
    ├── UnreadableDriver    the file is not there, is a folder, may not be read, or is not text
    ├── BadPasswordRule     the run's password rule cannot be understood
    ├── RunClosed           the run was cancelled: it takes nothing in
    ├── ComposerFailed      there is no composer for what is to be composed, or its template is broken
    ├── DocumentsFailed     the document store is full, away, or refuses us
    ├── LedgerFailed        the database is away or full for longer than we wait, or refuses us
    ├── Unreadable          what was handed in is none of what its door takes: manifest, index, message
    ├── NotYet              what it names is missing or half written, and may still come
    ├── WorkshopLost        the process that reads and makes was killed, or could not be started
    ├── SpoolFull           there is no room for what is coming in
    ├── SpoolRefused        its place cannot be used: a person must see to it
    ├── UnknownConsignment  nothing of this number came in
    └── UnknownJob          nothing of this job was given up
    RecordFault             never leaves this room: it harms one record only
    ├── RecordProblem       no communication can be made of it: a reject
    ├── Unfit               a communication that cannot leave: a hold
    └── NoPassword          it gives no password that may be used

After an IntakeError everything handed in before is in, whole batches at a time, and the same submit again goes
on where this one stopped.
"""


class IntakeError(Exception):
    """Base of what stops a submit."""


class UnreadableDriver(IntakeError):
    """The driver cannot be read as lines of text."""


class BadPasswordRule(IntakeError):
    """The run's password rule cannot be understood."""


class RunClosed(IntakeError):
    """The run was cancelled and takes nothing in."""


class ComposerFailed(IntakeError):
    """A communication is to be composed, and there is no composer, or its template is broken for everyone."""


class DocumentsFailed(IntakeError):
    """The document store did not take a document: it is full, away, or refuses us."""


class LedgerFailed(IntakeError):
    """The database is away or full for longer than we wait, or refuses us."""


class Unreadable(IntakeError):
    """What was handed in cannot be read; `line` is where, from 1, and 0 where that is not known."""

    def __init__(self, text: str, *, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class NotYet(IntakeError):
    """What was handed in names something that is missing or half written, and may still come."""


class WorkshopLost(IntakeError):
    """The process that reads and makes a large consignment was killed, or could not be started."""


class SpoolFull(IntakeError):
    """There is no room for what is coming in."""


class SpoolRefused(IntakeError):
    """The place of what is coming in cannot be used; a person must see to it."""


class UnknownConsignment(IntakeError):
    """Nothing of this number came in."""


class UnknownJob(IntakeError):
    """Nothing of this job was given up, so that nothing of it can be fetched again."""


class RecordFault(ValueError):
    """Something is wrong with one record; the text is a sentence for the operator."""


class RecordProblem(RecordFault):
    """A record of which no communication can be made."""

    def __init__(self, text: str, key: str | None = None) -> None:
        """`key` is the record's key where it could be read."""
        super().__init__(text)
        self.key = key


class Unfit(RecordFault):
    """A record whose communication cannot leave; `reason` is one of `communication.model.HOLD_REASONS`."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class NoPassword(RecordFault):
    """A record that gives no password that may be used; the text names the field and never shows a value."""
