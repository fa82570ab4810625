"""A process that has imported all that a report needs, and forks one for each report that is wanted.

Importing takes longer than a small report. It is asked over the socket that is its stdin: a byte with three descriptors, which
become stdin and stderr of the report's process, and where its number and then its exit code are written. Each report's process is
its own, as if it had been started: only what was imported is shared, and nothing else had begun.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

from analytics.reports.render import notebooks, worker
from analytics.reports.render.report_process import NUMBER

DESCRIPTORS = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MODULES = (
    "analytics.api",
    "analytics.reports.leak_gate",
    "analytics.reports.render.builders",
    "analytics.reports.render.cells",
    "analytics.reports.schedule.archive",
    "analytics.reports.charts",
    "analytics.reports.runaway.report",
    "analytics.reports.post_mortem.report",
    "analytics.reports.post_mortem.against",
    "duckdb",
    "pandas",
    "pyarrow.parquet",
    "scipy.special",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
)
"""What reports import while they work; what is not here is imported by each that needs it."""


def main() -> NoReturn:
    """Import, and fork until nobody asks any more."""
    channel = socket.socket(fileno=os.dup(0))
    # A terminal's Ctrl-C and systemd's end of a unit reach the reports too, and are for them: this process ends with its asker.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    notebooks.skip_unused()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in _MODULES:
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is shared is not touched by whoever counts references in it
    watching: set[int] = set()
    while True:
        asked, descriptors, _, _ = socket.recv_fds(channel, 1, DESCRIPTORS)
        watching = {number for number in watching if os.waitpid(number, os.WNOHANG) == (0, 0)}
        if not asked:
            break
        number = os.fork()
        if number:
            watching.add(number)
        else:
            channel.close()
            _watch(before, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
    for number in watching:
        os.waitpid(number, 0)
    os._exit(0)  # what was only imported need not be taken apart


def _watch(before: Mapping[signal.Signals, Any], stdin: int, stderr: int, status: int) -> NoReturn:
    """Fork the report's process, and tell how it ends.

    Args:
        before: What it does at signals.
        stdin, stderr, status: The descriptors that came.
    """
    number = os.fork()
    if number == 0:
        os.close(status)
        for asked, handler in before.items():
            signal.signal(asked, handler)
        _work(stdin, stderr)
    null = os.open(os.devnull, os.O_RDWR)
    for held in (stdin, stderr, 0, 2):
        os.dup2(null, held)  # whoever reads from the report must see it end
    os.write(status, NUMBER.pack(number))
    _, ended = os.waitpid(number, 0)
    os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(ended)))
    os._exit(0)


def _work(stdin: int, stderr: int) -> NoReturn:
    for descriptor, wanted in ((stdin, 0), (stderr, 2)):
        os.dup2(descriptor, wanted)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # it lasts as long as the process
    worker.end(worker.main())


if __name__ == "__main__":
    main()
