"""Work that one process does at a time: watch a folder, ask Exstream for finished jobs."""

from __future__ import annotations

import os
import socket
import uuid

from millstream.storage.pool import Pool
from millstream.storage.statements import Statements

_TAKE = """
INSERT INTO duty (name, holder, leased_until) VALUES (%(name)s, %(holder)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, leased_until = excluded.leased_until,
    epoch = duty.epoch + (duty.holder <> excluded.holder)::integer
WHERE duty.holder = excluded.holder OR duty.leased_until < now()
RETURNING epoch
"""
_LEAVE = "UPDATE duty SET leased_until = now() WHERE name = %(name)s AND holder = %(holder)s"


class Duty(Statements):
    """One named duty. Ask `hold` before each round of the work; it is this process's for `lease` seconds more.

    A process that stands still for longer than its lease may find another one at work: whatever the work writes must
    bear that.
    """

    def __init__(self, pool: Pool, name: str, *, lease: float = 15.0, patience: float = 10.0) -> None:
        super().__init__(pool, patience=patience)
        self._name = name
        self._lease = lease
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    async def hold(self) -> bool:
        """Take the duty, or keep it; False where another process has it."""
        values = {"name": self._name, "holder": self._holder, "seconds": self._lease}
        return await self._one(_TAKE, values) is not None

    async def leave(self) -> None:
        """Give it back, so that another process need not wait for the lease to end."""
        await self._do(_LEAVE, {"name": self._name, "holder": self._holder})
