"""What a report is doing just now: told by its process, shown by whoever waits, on one line of a terminal.

Nothing is told where nobody looks: in a job of cron stderr is no terminal, and a mail of twenty steps is none of its business.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

from analytics.reports.page.inline import shorten, visible

MARK = "\x02step "
"""Begins a line that is a step; words of an error or of the log never do."""
_CLEAR = "\r\x1b[K"
_told: list[Callable[[str], object]] = []


def are_wanted() -> bool:
    """Somebody looks: stderr is a terminal, or every step was asked for (``-v``)."""
    return _is_terminal() or _is_verbose()


def _is_terminal() -> bool:
    with contextlib.suppress(AttributeError, ValueError):  # there is none, or it is closed
        return sys.stderr.isatty()
    return False


def _is_verbose() -> bool:
    return logging.getLogger("analytics").isEnabledFor(logging.INFO)


def tell_parent() -> None:
    """In a report's process: tell each step on stderr, also while a cell has another one."""
    stderr = sys.stderr

    def tell(words: str) -> None:
        stderr.write(f"{MARK}{words}\n")
        stderr.flush()

    _told[:] = [tell]


def step(words: str) -> None:
    """The report does this now; nothing where nobody wants to know."""
    for tell in _told:
        tell(visible(words))


def cell_step(cells: Sequence[Any], number: int) -> None:
    """It runs that cell now: its place, and the heading above it."""
    if not _told or cells[number].cell_type != "code":
        return
    headings = [
        line.lstrip("#").strip()
        for cell in cells[:number]
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    ]
    codes = [at for at, cell in enumerate(cells) if cell.cell_type == "code"]
    step(f"{codes.index(number) + 1} of {len(codes)} · {headings[-1] if headings else 'the notebook'}")


class StepLine:
    """The line of whoever waits: overwritten by each step on a terminal, one below the other where all were asked for."""

    def __init__(self, label: str = "") -> None:
        self._label = f"{label}: " if label else ""
        self._is_shown = False

    def tell(self, line: str) -> None:
        """A line of a report's stderr: a step, or words that stay."""
        if not line.startswith(MARK):
            self.clear()
            _write(f"{line}\n")
        elif _is_verbose():
            _write(f"{self._label}{line.removeprefix(MARK)}\n")
        elif _is_terminal():
            width = shutil.get_terminal_size().columns - 1
            _write(_CLEAR + shorten(f"{self._label}{line.removeprefix(MARK)}", width))
            self._is_shown = True

    def clear(self) -> None:
        """Take it away: what comes next stands on a line of its own."""
        if self._is_shown:
            _write(_CLEAR)
            self._is_shown = False


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it any more; the work goes on
        sys.stderr.write(text)
        sys.stderr.flush()
