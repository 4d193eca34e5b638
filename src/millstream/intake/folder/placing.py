"""From a path as the engine writes it to one inside the watched folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from millstream.intake.errors import Unfit


@dataclass(frozen=True, slots=True)
class Placing:
    """Paths are relative to the manifest's folder and stay in it, unless they begin with where the engine sees ours.

    Args:
        root: the folder that nothing may lead out of.
        base: the manifest's folder, relative to the root; empty where it is the root.
        prefixes: of absolute paths that mean the root, such as `/mnt/exstream`.
    """

    root: Path
    base: str = ""
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: Path, base: str = "", strip: tuple[str, ...] = ()) -> Placing:
        """Asks the file system once where the root is."""
        own = (str(root.absolute()), str(root.resolve()))
        return cls(root, base, tuple(dict.fromkeys(each.rstrip("/") for each in (*strip, *own) if each.rstrip("/"))))

    def place(self, path: str) -> str | Unfit:
        """The path relative to the root, or why there is none."""
        given = path.strip()
        if "/" not in given and "\\" in given:
            given = given.replace("\\", "/")  # an engine on Windows
        for prefix in self.prefixes:
            rest = given.removeprefix(prefix)
            if rest != given and rest.startswith("/") and ".." not in rest.split("/"):
                return rest.lstrip("/")
        if given.startswith("/"):
            return _leads_out(path, self.root)
        steps: list[str] = []
        for step in given.split("/"):
            if step == "..":
                if not steps:
                    return _leads_out(path, self.root / self.base)
                steps.pop()
            elif step not in ("", "."):
                steps.append(step)
        return "/".join([*filter(None, [self.base]), *steps])


def _leads_out(path: str, folder: Path) -> Unfit:
    return Unfit(
        "bad_content",
        f"{path!r} leads out of {folder}; put the file into that folder, or name in intake_folder.strip under which "
        "prefix the engine sees it",
    )
