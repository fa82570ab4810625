"""What runs in a report's process: its plan comes on stdin, the answer is given by the exit code and by what is published."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import IO, NoReturn

from analytics.config import adopt_environment
from analytics.errors import AnalyticsError, ReportError, UsageError, named, read_by_command
from analytics.reports.page.inline import visible
from analytics.reports.render import notebooks, rendering, steps
from analytics.reports.render.plan import Plan
from analytics.reports.render.report_process import FAILED, LET_GO_SECONDS, REFUSED, STOPPED, answer
from analytics.storage.signals import unwinding

_COLLECTED_AFTER = 50_000
"""New objects after which Python looks for circles of garbage. With its own 700 it does so hundreds of times while a report imports
what it needs, all of which stays: an eighth of the imports' time. Arrays and frames are in no circles."""


def work(planned: Plan, folder: Path) -> int:
    """Render one report, or say why it could not be.

    Args:
        planned: The report.
        folder: Where the answer is left for whoever waits.

    Returns:
        The exit code.
    """
    try:
        rendering.render_here(planned, folder)
    except AnalyticsError as error:
        answer(folder, error)
        return FAILED if isinstance(error, ReportError) else REFUSED
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        repair = "check that the folder exists, its rights, and the free space (df -h)"
        answer(folder, ReportError(f"{error.strerror or named(error)}{where}", hint=repair))
        return REFUSED
    except MemoryError as error:
        answer(folder, ReportError(named(error), hint="give it more memory, a shorter window, or one tenant"))
        return REFUSED
    return 0


class _Line(logging.Formatter):
    """A line of the log; authors' text cannot move the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(f"{record.name.removeprefix('analytics.')}: {record.getMessage()}")


def _end_with_parent(stdin: IO[str]) -> None:
    """The parent holds the other end of stdin; when it is closed, or gone with it, nobody waits for this report."""
    stdin.read()
    signal.raise_signal(signal.SIGTERM)
    time.sleep(LET_GO_SECONDS)
    os._exit(STOPPED)


def main() -> int:
    """Read the task, and do it."""
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    gc.set_threshold(_COLLECTED_AFTER)
    line = sys.stdin.readline()
    if not line:
        raise UsageError("a report's process is started by `strategy-analytics report`")
    task = json.loads(line)
    adopt_environment(task["environment"])
    threading.Thread(target=_end_with_parent, args=(sys.stdin,), daemon=True).start()  # a cell gets another
    notebooks.skip_unused()
    if task["log_level"]:
        handler = logging.StreamHandler()
        handler.setFormatter(_Line())
        logging.getLogger("analytics").addHandler(handler)
        logging.getLogger("analytics").setLevel(task["log_level"])
    if task["steps"]:
        steps.tell_parent()
    try:
        with unwinding(), read_by_command():
            return work(Plan.from_json(task["plan"]), Path(task["folder"]))
    except KeyboardInterrupt:
        return STOPPED


def end(code: int) -> NoReturn:
    """End at once, without waiting for the thread that waits for stdin."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
