"""What can be wrong with the configuration.

::

    ConfigError              exit code 2; holds every problem that was found
    └── ConfigUnreadable     the file itself: missing, not permitted, not TOML
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands, under which key, what it is, and what to do."""

    source: str
    """The file or the variable."""
    key: str
    wrong: str
    advice: str

    def __str__(self) -> str:
        place = f"{self.source}: {self.key}" if self.key else self.source
        return f"{place} {self.wrong}. {self.advice}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has all that is wrong with it."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Say one line for each problem."""
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class ConfigUnreadable(ConfigError):
    """The file cannot be read, or is no TOML."""

    def __init__(self, path: Path, wrong: str, advice: str) -> None:
        """`wrong` and `advice` complete the sentence that begins with the file's name."""
        super().__init__([Problem(str(path), "", wrong, advice)])
