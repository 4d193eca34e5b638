"""What can be wrong with the record.

::

    AuditError
    ├── ChainBroken   entries are missing, so that no block can be made over them
    └── BadBundle     a bundle that cannot be written, or is none
"""

from __future__ import annotations


class AuditError(Exception):
    """The top of the tree."""


class ChainBroken(AuditError):
    """Entries of the chain are missing."""


class BadBundle(AuditError):
    """A bundle that cannot be written, or a file that is none."""
