"""What is heavy is imported when it is used first. This is the one place that does so by name.

A command pays for its own rooms only: `millstream run list` needs neither Google's client nor the composer
(docs/decisions/0008).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def load(place: str) -> Any:
    """What stands at `package.module:name`, or the module itself where no name is given."""
    module, _, name = place.partition(":")
    found = import_module(module)
    return getattr(found, name) if name else found


def load_grpc(place: str) -> Any:
    """As `load`, for what brings gRPC.

    Its fork handlers end some of the processes that are forked beside it before they begin: 3 of 600 by SIGABRT
    (2026-11-25), the embedded database's `pg_ctl` among them. It reads this when it is imported.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # noqa: TID251  gRPC's own, and only set
    return load(place)


def names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__` (PEP 562): each of its names comes from its module when it is asked for.

    Args:
        package: `__name__` of the package.
        homes: name to module inside the package.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return load(f"{package}.{homes[name]}:{name}")

    return find
