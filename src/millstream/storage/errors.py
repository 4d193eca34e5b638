"""What can go wrong with the database and the document store.

::

    StorageError
    ├── DatabaseError
    │   ├── DatabaseAway         no connection, or it broke: waiting may help
    │   ├── DatabaseBusy         another transaction was in the way: trying again helps
    │   ├── DatabaseFull         the server's disk is full: space must be made
    │   ├── DatabaseRefused      login, permission or a database that does not exist
    │   ├── ConstraintBroken     a row breaks a rule that lives in the schema
    │   └── QueryFailed          anything else the server objected to
    ├── EmbeddedError
    │   ├── FolderUnfit          the folder cannot hold an embedded database
    │   └── ServerNotStarted     PostgreSQL did not come up, with the end of its log
    ├── MigrationError
    │   ├── MigrationFailed      a step could not be applied; nothing of it stays
    │   └── SchemaTooNew         a newer release has been here
    └── DocumentStoreError
        ├── DocumentMissing      no document has this hash
        ├── DocumentDamaged      what lies there is not what was put
        ├── StoreFull            no space for another document
        ├── StoreAway            the bucket cannot be reached: waiting may help
        └── StoreRefused         credentials, permission or a bucket that does not exist
"""


class StorageError(Exception):
    """Anything that storage reports."""


class DatabaseError(StorageError):
    """Anything that the database reports."""


class DatabaseAway(DatabaseError):
    """The database cannot be reached, or went away in the middle. Temporary."""


class DatabaseBusy(DatabaseError):
    """A deadlock or a conflict with another transaction. Temporary."""


class DatabaseFull(DatabaseError):
    """The database server has no space left on its disk."""


class DatabaseRefused(DatabaseError):
    """The server answered and said no: login, permission, or no such database."""


class ConstraintBroken(DatabaseError):
    """A row breaks a rule that lives in the schema."""

    def __init__(self, text: str, *, constraint: str) -> None:
        """`constraint` is the name the schema gives to the rule, empty when the server names none."""
        super().__init__(text)
        self.constraint = constraint


class QueryFailed(DatabaseError):
    """The server could not run a statement; `sqlstate` is PostgreSQL's five letters for why."""

    def __init__(self, text: str, *, sqlstate: str) -> None:
        """`sqlstate` is empty when the driver refused before the server was asked."""
        super().__init__(text)
        self.sqlstate = sqlstate


class EmbeddedError(StorageError):
    """Anything about the database server that comes with Millstream."""


class FolderUnfit(EmbeddedError):
    """The folder cannot hold an embedded database: its path is too long, or it is another user's."""


class ServerNotStarted(EmbeddedError):
    """PostgreSQL did not come up; the text ends with the last lines of its log."""


class MigrationError(StorageError):
    """Anything about the steps that build the schema."""


class MigrationFailed(MigrationError):
    """A step could not be applied; nothing of it stays behind."""


class SchemaTooNew(MigrationError):
    """The database was brought further by a newer release than this one."""


class DocumentStoreError(StorageError):
    """Anything that the document store reports."""


class DocumentMissing(DocumentStoreError):
    """No document has this hash."""


class DocumentDamaged(DocumentStoreError):
    """What lies under a hash is not what was put there."""


class StoreFull(DocumentStoreError):
    """There is no space for another document."""


class StoreAway(DocumentStoreError):
    """The store cannot be reached. Temporary."""


class StoreRefused(DocumentStoreError):
    """The store answered and said no: credentials, permission, or no such bucket or folder."""
