"""Do versions and days to go hold? Authors go on as they did, drawn at random: ``python -m tests.forecast.versions``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from analytics.findings.runaway.version_growth import ahead

RULE: Final = 7
"""Nodes of a rule of these programs."""
_FUTURE: Final = 400
Draw = Callable[[np.random.Generator, int], "np.ndarray[Any, np.dtype[np.float64]]"]

STEPS: Final[dict[str, Draw]] = {
    "one rule and three more on average": lambda rng, count: RULE * (1.0 + rng.poisson(3, count)),
    "the same four rules each time": lambda _, count: np.full(count, 4.0 * RULE),
    "skewed: geometric, four rules on average": lambda rng, count: 1.0 * RULE * rng.geometric(0.25, count),
    "two of five versions add nothing": lambda rng, count: (
        1.0 * RULE * rng.poisson(2, count) * (rng.random(count) < 0.6)
    ),
}
GAPS: Final[dict[str, float]] = {"at random": 1.0, "nearly regular": 4.0, "in bursts": 0.5}
"""Shape of the gamma distribution of the days between publications, a week on average."""


class Held(NamedTuple):
    """Of the logs of a cell that grew: how many, and the part whose versions and days were held, and had a last one."""

    logs: int
    versions: float
    days: float
    ended: float


def held(steps: Draw, shape: float, known: int, logs: int, rng: np.random.Generator) -> Held:
    """Ask for versions and days after so many steps, and compare with what comes.

    Args:
        steps: Draws what versions add.
        shape: Of the days between publications.
        known: Steps that the log shows.
        logs: How often.
        rng: All chance.
    """
    grew = versions = days = ended = 0
    for _ in range(logs):
        added, gaps = steps(rng, _FUTURE), rng.gamma(shape, 7 / shape, _FUTURE)
        room, waited = rng.uniform(20, 400), rng.random() * gaps[known]
        which = int(np.argmax(np.cumsum(added[known:]) > room)) + 1
        true = gaps[known : known + which].sum() - waited
        found = ahead(room, added[:known].tolist(), float(gaps[:known].sum() + waited), grain=RULE)
        if found.steps:
            grew += 1
            versions += found.versions.low <= which <= found.versions.high
            days += found.days.low <= true <= found.days.high
            ended += math.isfinite(found.versions.high)
    return Held(grew, versions / grew, days / grew, ended / grew)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(20261130)
    logs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| a version adds | publications come | steps known | versions held, % | with a last one, % | days held, % |")
    print("|---|---|---:|---:|---:|---:|")
    for name, steps in STEPS.items():
        for gaps, shape in GAPS.items():
            for known in (2, 3, 5, 7):
                cell = held(steps, shape, known, logs, rng)
                shown = " | ".join(f"{100 * part:.1f}" for part in (cell.versions, cell.ended, cell.days))
                print(f"| {name} | {gaps} | {known} | {shown} |")


if __name__ == "__main__":
    main()
