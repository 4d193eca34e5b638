"""Secrets of our own that are made once and kept in a file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from millstream.config.errors import ConfigError, Problem


def kept_key(path: Path, *, setting: str, fewest: int, lost: str) -> bytes:
    """The secret in a file; without the file it is made, and of several processes that do so at once one wins.

    Args:
        path: where it lies.
        setting: the setting that would say it in the file's place.
        fewest: bytes that it has at least.
        lost: what holds by it, as a sentence.

    Raises:
        ConfigError: the file can be neither read nor made, or is none of ours.
    """
    try:
        kept = _kept(path)
    except OSError as error:
        advice = f"Set {setting}, or let this user write there."
        wrong = f"{path} cannot be read or made: {error.strerror or error}"
        raise ConfigError([Problem("the configuration", setting, wrong, advice)]) from error
    if len(kept) < fewest:
        advice = f"Set it back from a copy: {lost} Without one, delete the file."
        wrong = f"{path} has {len(kept)} bytes; a secret has at least {fewest}"
        raise ConfigError([Problem("the configuration", setting, wrong, advice)])
    return kept


def _kept(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # fails where another was first
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes().strip()
