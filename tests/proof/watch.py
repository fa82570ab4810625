"""A reader in a process of its own that looks at the lake all the time, as others do: with a bare glob, and the package's way.

DuckDB opens the first file of a query twice, once for its columns and once for its rows. When the file is replaced between the
two, the query fails, loudly (``TProtocolException``, ``ZSTD Decompression failure``): nothing wrong is ever seen, but the
question must be asked again. The reader does so, and counts it; pyarrow opens a file once and has no such moment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from . import truth
from .child import PATIENCE_SECONDS
from .forking import CONTEXT
from .origin import Origin, Place

ATTEMPTS = 20
"""A file that cannot be read so often in a row is not one that was just being replaced."""

EVERY = 10
"""Each time this often it looks, it also opens the lake as a Warehouse."""


class Watch:
    """What the reader has seen.

    Attributes:
        looks: How often it looked.
        seen: Different things it saw, as ``truth.judge`` takes them.
        failures: What it could not read.
        again: How often DuckDB had to be asked again.
    """

    def __init__(self, looks: int, seen: list[Any], failures: list[str], again: int) -> None:
        self.looks, self.seen, self.failures, self.again = looks, seen, failures, again

    def judge(self, origin: Origin) -> None:
        """Everything seen was whole, and nothing went back.

        Raises:
            BrokenPromiseError: It was not.
        """
        if self.failures:
            raise truth.BrokenPromiseError(f"a reader failed: {self.failures[0]}", half=len(self.failures))
        at_least: dict[Place, int] = {}
        for ledger, executions, rollup in self.seen:
            truth.judge(origin.history, ledger, executions, rollup)
            for place, known in origin.history.items():
                later = [
                    n for n, state in enumerate(known) if state == executions.get(place) and n >= at_least.get(place, 0)
                ]
                if not later:
                    raise truth.BrokenPromiseError(f"{place}: seen as it was before: {executions.get(place)}", half=1)
                at_least[place] = later[0]


@contextlib.contextmanager
def watching(lake: Path) -> Iterator[list[Watch]]:
    """A reader for the length of the block; its report is in the list afterwards."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_look, args=(lake, theirs), daemon=True)
    process.start()
    theirs.close()
    report: list[Watch] = []
    try:
        assert ours.poll(PATIENCE_SECONDS)
        ours.recv()
        yield report
        ours.send("stop")
        assert ours.poll(PATIENCE_SECONDS)
        report.append(Watch(*ours.recv()))
    finally:
        process.kill()
        process.join(PATIENCE_SECONDS)
        ours.close()


def _look(lake: Path, pipe: Connection) -> None:
    import duckdb

    from analytics.lake.lake import Lake
    from analytics.warehouse.warehouse import Warehouse

    looks = again = in_a_row = 0
    seen: list[Any] = []
    failures: list[str] = []
    pipe.send("looking")
    while not pipe.poll(0.005):
        looks += 1
        # The ledger first: what it tells must be there already.
        ledger = truth.ledger_of(lake)
        try:
            found = (ledger, *truth._seen(lake))
            if looks % EVERY == 1 and lake.is_dir():
                Warehouse(Lake(lake)).sql("select count(*) from executions").fetchall()
        except duckdb.Error as error:
            again, in_a_row = again + 1, in_a_row + 1
            if in_a_row == ATTEMPTS:
                failures.append(f"{type(error).__name__}: {error}"[:300])
            continue
        except Exception as error:  # whatever it is, the proof must hear of it
            failures.append(f"{type(error).__name__}: {error}"[:300])
            continue
        in_a_row = 0
        if not seen or seen[-1] != found:
            seen.append(found)
    pipe.send((looks, seen, failures, again))
