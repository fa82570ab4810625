"""One report in a process of its own: its plan comes on stdin, the answer is given by the exit code and by what is published.

A report that takes all memory, hangs or crashes takes nobody else with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import warnings

from analytics.errors import AnalyticsError, ReportError, UsageError, named
from analytics.reports.render import notebooks, rendering
from analytics.reports.render.plan import Plan
from analytics.storage.signals import unwinding

FAILED = 3
"""Exit code: the failure is published."""
STOPPED = 130
"""It was asked to end."""
LET_GO_SECONDS = 10.0
"""For taking away what a report that is stopped has made so far, and its kernel; less than what its parent has."""


def work(planned: Plan) -> int:
    """Render one report, or publish why it could not be."""
    try:
        rendering.render(planned)
    except ReportError as error:  # published where it happened
        _log(error)
        return FAILED
    except (AnalyticsError, OSError, MemoryError) as error:
        known = error if isinstance(error, AnalyticsError) else ReportError(named(error))
        _log(known)
        rendering.publish_failure(planned, known)
        return FAILED
    return 0


def _log(error: AnalyticsError) -> None:
    """For whoever reads the run's log: on the page some of it may be left out."""
    sys.stderr.write(" ".join(error.message.split()) + "\n")
    sys.stderr.flush()


def _end_with_parent() -> None:
    """The parent holds the other end of stdin; when it is closed, or gone with it, nobody waits for this report."""
    sys.stdin.read()
    signal.raise_signal(signal.SIGTERM)
    time.sleep(LET_GO_SECONDS)
    os._exit(STOPPED)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    line = sys.stdin.readline()
    if not line:
        raise UsageError("a report's process is started by `strategy-analytics report run`")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    notebooks.skip_iri_grammar()
    try:
        with unwinding():
            code = work(Plan.from_json(json.loads(line)))
    except KeyboardInterrupt:
        code = STOPPED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # not waiting for the thread that waits for stdin
