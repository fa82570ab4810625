"""A power cut: what was not synced is lost. A real one cannot be made here, so it is simulated from the run's own steps.

The run is killed at a step; its log tells every rename, removal and sync until then. Two kinds of loss are applied, each of
which a file system may choose: *names* (renames and removals whose folder was not synced since are undone, last first) and
*contents* (files that were not synced before their rename are empty).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple


class Logged(NamedTuple):
    """A line of the log: a step that was begun or done."""

    step: str
    number: int
    is_done: bool
    paths: tuple[str, ...]


def read(log: Path) -> list[Logged]:
    """The steps of a run; a line that was cut off by the kill is left out."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        parts = line.split("\t")
        if len(parts) >= 4:
            paths = tuple(part.split("=", 1)[1] for part in parts[3:] if part.startswith("path"))
            found.append(Logged(parts[0], int(parts[1]), parts[2] == "after", paths))
    return found


def keep_old_versions(lake: Path, copy: Path) -> None:
    """Remember the lake as it was before the run; everything in it counts as durable."""
    shutil.copytree(lake, copy, dirs_exist_ok=True)


KINDS = ("names", "names but the ledger's", "contents")


def lose(lake: Path, before: Path, log: Path, kind: str) -> int:
    """Apply the loss to a lake whose run was just killed.

    Args:
        lake: Its folder.
        before: As ``keep_old_versions`` made it.
        log: Of the run's steps.
        kind: One of ``KINDS``.

    Returns:
        How many files it changed.
    """
    unsynced, hollow = _unsynced(read(log))
    if kind == "contents":
        lost = [path for path in hollow if path.is_file()]
        for path in lost:
            path.write_bytes(b"")
        return len(lost)
    changed = 0
    for path in unsynced:
        part = path.relative_to(lake).parts[0]
        if part == ".tmp" or (part == "ledger" and kind != "names"):
            continue
        changed += 1
        old = before / path.relative_to(lake)
        if old.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(old, path)
        elif not old.is_dir():
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return changed


def _unsynced(steps: list[Logged]) -> tuple[list[Path], list[Path]]:
    """Names that changed since their folder was synced; and files that got theirs before their content was."""
    contents: set[str] = set()
    names: dict[str, dict[str, None]] = {}
    hollow: dict[str, None] = {}
    for step in steps:
        if not step.is_done or not step.paths:
            continue
        name = step.paths[-1]
        if step.step.startswith("sync file"):
            contents.add(name)
        elif step.step.startswith("sync folder"):
            names.pop(name, None)
        elif step.step.startswith(("rename to", "remove file", "make folder")):
            names.setdefault(str(Path(name).parent), {})[name] = None
            hollow.pop(name, None)
            if step.step.startswith("rename to") and step.paths[0] not in contents:
                hollow[name] = None
    return [Path(name) for folder in names.values() for name in folder], list(map(Path, hollow))
