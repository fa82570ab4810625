"""Imported once by the process that all runs are forked from: it loads and compiles what every run needs.

Without it each of some hundred runs would spend most of its time on loading compiled code.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "STRATEGY_ANALYTICS_PROOF_WARM"
"""URL of a small source."""


def warm(url: str) -> None:
    """Extract once, and look at it."""
    from analytics.estimates.sampling_rates import Rates
    from analytics.lake.lake import Lake
    from analytics.warehouse.warehouse import Warehouse
    from analytics.window import Window
    from tests.extracting import extract

    from . import truth
    from .origin import SINCE, UNTIL

    folder = Path(tempfile.mkdtemp(prefix="strategy-analytics-"))
    with contextlib.suppress(Exception):  # then the runs are slower, and say themselves what is wrong
        for _ in range(2):
            extract(
                url, Lake(folder / "lake"), Window.parse(SINCE, UNTIL), rates=Rates((), 0.05), force=True, retries=0
            )
        truth._seen(folder / "lake")
        Warehouse(Lake(folder / "lake")).sql("select count(*) from executions").fetchall()
    shutil.rmtree(folder, ignore_errors=True)


if VARIABLE in os.environ:
    warm(os.environ[VARIABLE])
