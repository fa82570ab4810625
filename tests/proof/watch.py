"""A reader in a process of its own that looks at the lake all the time, as others do: with a bare glob, and the package's way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from . import truth
from .child import CONTEXT, PATIENCE_SECONDS
from .origin import Origin, Place

EVERY = 10
"""Each time this often it looks, it also opens the lake as a Warehouse."""


class Watch:
    """What the reader has seen.

    Attributes:
        looks: How often it looked.
        seen: Different things it saw, as ``truth.judge`` takes them.
        failures: What it could not read.
    """

    def __init__(self, looks: int, seen: list[Any], failures: list[str]) -> None:
        self.looks, self.seen, self.failures = looks, seen, failures

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

    from analytics.lake import Lake
    from analytics.warehouse import Warehouse

    looks = 0
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
        except duckdb.IOException as error:
            # A partition that was taken away between the listing and the reading; any other file is there to be read.
            if "No such file" not in str(error) and "does not exist" not in str(error):
                failures.append(str(error)[:300])
            continue
        except Exception as error:  # whatever it is, the proof must hear of it
            failures.append(f"{type(error).__name__}: {error}"[:300])
            continue
        if not seen or seen[-1] != found:
            seen.append(found)
    pipe.send((looks, seen, failures))
