"""Runs scenarios, as they are and with their planted defects, and collects the table's lines."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from analytics.demo.server import EmbeddedServer

from .faults import DETECTED_BY
from .scenarios import SCENARIOS
from .table import Line
from .truth import BrokenPromiseError
from .world import Tally, World


class Prover:
    """One proof.

    Args:
        server: Of the whole proof.
        folder: For lakes.
        seed: Of everything random; each scenario makes its own of it, so that one alone is the same again.
        full: All of it, not the small version.
        kills: At random moments.
    """

    def __init__(self, server: EmbeddedServer, folder: Path, *, seed: int, full: bool, kills: int) -> None:
        self._server, self._folder, self._seed, self._full, self._kills = server, folder, seed, full, kills

    def prove(self, name: str) -> Line:
        """One scenario without a defect."""
        start = time.perf_counter()
        line = Line(name, (SCENARIOS[name].__doc__ or "").split("\n")[0], Tally())
        with self._world(name, (), full=self._full) as world:
            line.tally = world.tally
            try:
                SCENARIOS[name](world)
            except BrokenPromiseError as error:
                line.broken = str(error)
                line.lost, line.duplicated, line.half = error.lost, error.duplicated, error.half
        line.seconds = time.perf_counter() - start
        return line

    def plant(self, fault: str) -> str:
        """A scenario with a defect; what gave it away, or nothing when it went unnoticed."""
        name = DETECTED_BY[fault]
        with self._world(f"{name}/{fault}", (fault,), full=False) as world:
            try:
                SCENARIOS[name](world)
            except BrokenPromiseError as error:
                return str(error)
        return ""

    @contextlib.contextmanager
    def _world(self, name: str, faults: tuple[str, ...], *, full: bool) -> Iterator[World]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        world = World(
            self._server,
            folder,
            f"{self._seed} {name}",
            faults=faults,
            full=full,
            kills=self._kills if full else min(self._kills, 4),
        )
        try:
            yield world
        finally:
            world.close()
