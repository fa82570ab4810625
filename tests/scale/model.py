"""What a lake of any size costs: straight lines through three measured sizes, drawn out to sizes that nobody measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RATE, FAILURE_RATE = 0.05, 0.0065
DRAWN_OUT = tuple(10**power for power in range(5, 12))
"""Runs of a month."""
MONTH, LOOKED_AT = 30, 15
"""Days of a month, and days that a daily report looks at."""
CORES = 64
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Line:
    """``base + slope · x``, by least squares.

    Attributes:
        base, slope: Of the line.
        off: How far the farthest measured point lies from it, as a part of its value.
    """

    base: float
    slope: float
    off: float

    def __call__(self, x: float) -> float:
        return max(self.base, 0.0) + self.slope * x


def line(points: Sequence[tuple[float, float]]) -> Line:
    """Through measured points ``(x, y)``; points count by their relative distance, or the largest alone would decide."""
    x, y = (np.array(values, dtype=float) for values in zip(*points, strict=True))
    slope, base = np.polyfit(x, y, 1, w=1 / y)
    return Line(float(base), float(slope), float(np.max(np.abs(base + slope * x - y) / y)))


def logged(runs: float) -> float:
    """Logged rows of so many runs: a part of the ok ones, and every failure."""
    return runs * (RATE * (1 - FAILURE_RATE) + FAILURE_RATE)


def lines(curve: Sequence[Mapping[str, Any]], extractions: Sequence[Mapping[str, Any]]) -> dict[str, Line]:
    """What was measured, as lines over logged rows.

    Args:
        curve: Fact sheets of ``curve.measure``: seconds and MB of a report and its shares over the rows of 15 days.
        extractions: Fact sheets of ``sizes.measure``: bytes, seconds and entries over the rows.
    """
    found = {
        name: line([(one["logged"], value(one)) for one in curve])
        for name, value in (
            ("report, seconds", lambda one: one["alone"]["seconds"]),
            ("report, MB", lambda one: one["alone"]["peak_mb"]),
            ("shares on one core, seconds", lambda one: one["gather"]["1"]["seconds"]),
            ("a share, MB", lambda one: one["gather"]["1"]["peak_mb"]),
            ("report of shares, seconds", lambda one: one["merged"]["seconds"]),
            ("report of shares, MB", lambda one: one["merged"]["peak_mb"]),
            ("shares, MB on disk", lambda one: one["gathered_mb"]),
        )
    }
    names = {
        "lake, MB": "lake_mb",
        "trace entries": "entries",
        "extraction, seconds": "seconds",
    }
    return found | {name: line([(one["rows"], one[key]) for one in extractions]) for name, key in names.items()}


def drawn_out(found: Mapping[str, Line]) -> list[list[str]]:
    """A row per number of runs: rows, lake, extraction of a day, report of a day alone and by many cores, and what to do."""
    rows = []
    for runs in DRAWN_OUT:
        month = logged(runs)
        day, looked_at = month / MONTH, month * LOOKED_AT / MONTH
        alone, alone_mb = found["report, seconds"](looked_at), found["report, MB"](looked_at)
        one_core = found["shares on one core, seconds"]
        shared = (
            one_core.slope * looked_at / CORES + max(one_core.base, 0.0) + found["report of shares, seconds"](looked_at)
        )
        rows.append(
            [
                f"10^{len(str(runs)) - 1}",
                amount(month),
                amount(found["trace entries"].slope * month),
                megabytes(found["lake, MB"].slope * month),
                duration(found["extraction, seconds"](day)),
                f"{duration(alone)}, {megabytes(alone_mb)}",
                f"{duration(shared)}, {megabytes(found['a share, MB'](looked_at / CORES))} a core",
                step(alone, alone_mb, found["extraction, seconds"](day)),
            ]
        )
    return rows


def step(alone: float, alone_mb: float, extraction: float) -> str:
    """The first step that is enough."""
    if alone <= 5 * _MINUTE and alone_mb <= 16_000:
        return "one machine"
    if extraction <= 3600 and alone_mb <= 256_000:
        return "bucket, fan-out"
    return "bucket, fan-out or Spark; extract by tenant" if extraction > 3600 else "bucket, fan-out or Spark"


def amount(value: float) -> str:
    """A number in the units people say."""
    for least, unit in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:.0f}"


def megabytes(value: float) -> str:
    """Bytes in the unit that fits."""
    least, unit = next((one for one in ((1e6, "TB"), (1e3, "GB")) if value >= one[0]), (1.0, "MB"))
    return f"{value / least:.2g} {unit}" if value < 100 * least else f"{value / least:.0f} {unit}"


def duration(seconds: float) -> str:
    """Time in the unit that fits."""
    for least, unit in ((86_400, "d"), (3600, "h"), (_MINUTE, "min")):
        if seconds >= 2 * least:
            return f"{seconds / least:.2g} {unit}" if seconds < 100 * least else f"{seconds / least:.0f} {unit}"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"
