"""The experiment's tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median

from tests.intervals.cells import NOMINAL, Tally
from tests.intervals.fleets import FleetCell
from tests.intervals.rare import UNKNOWN, RareCell

_WORST = 2
"""Cells of each estimator that are listed though they hold."""
_COSTS = ("ms per run", "ms in all", "share of time")

_HEAD = """# Do the intervals hold what they promise?

Written by `make prove-estimates` (seed {seed}): {logs:,} simulated logs per cell, for every sampling rate, number of runs and
failure rate below, with skewed points, with jackpots and rows alike but for one in thousands, and with runs that stall. Nominal
is 95 %. A cell counts for an estimator when most of its logs are graded good or rough (of fleets: forty versions at least);
elsewhere the package says "too few". Coverage is that of the logs graded so.

**{graded:,} of {cells:,} cells are graded: {interval:,} with an interval, {exact:,} exact (nothing was left to chance),
{at_least:,} "at least" (among stopped runs). {missed} cover less than {low:.0f} % or more than {high:.0f} %.** The means of points
with jackpots, of which nobody said what a run can be paid, are not among them: see "What no sample tells".

Naive is the textbook interval of somebody who takes the logged rows for a simple random sample of the runs. The truth is that of
the runs there were; for a process and for changes, that of the process they are a sample of. More than {high:.0f} % is none's fault
where a process never fails (an interval can miss on one side only), for nodes, which are whole numbers, and where a stall or a
jackpot that was not drawn is allowed for. A cell below {low:.0f} % counts as missed where chance does not explain it (one in a
thousand, by the number of its logs).
"""
_COSTS_HEAD = """## What versions cost, where runs stall

Fleets of 1, 5 and 28 versions of {smallest:,} to {largest:,} runs, with medians of 1 to 40 ms and lognormal times; a cell counts
versions. Estimated by what the league calls (`fleet_costs`): milliseconds per run, milliseconds in all, shares of time. "Naive" is
Student's interval of ms per run. A stall that nobody drew is allowed for as often and as long as the fleet shows it, and one of
300 times the mean that none has shown, so few rows are "too few", and a fleet of many versions grades more.

| stalls | rate | {columns} | naive, % |
|---|---:|{lines}---:|"""
_UNKNOWN_HEAD = """## What no sample tells

Points of which one run in hundreds or thousands pays a jackpot, and nothing says what a run can be paid. A sample without a jackpot
looks like one of a strategy that has none, and no interval of moderate width holds both: the mean's grades are those of runs like
the drawn ones. `estimates.mean(…, ends=(least, most))` says what a run can be paid; with it the same cells hold (above). Of
1 in 5,000 jackpots about {rows:,} drawn rows are needed until one is among them with 95 %.

| estimator | rate 0.01: runs, coverage % | 0.05 | 0.2 |
|---|---|---|---|"""


def summary(found: Sequence[Tally]) -> Iterator[str]:
    """One line per estimator."""
    yield "| estimator | cells graded | coverage, % | worst and best cell, % | naive, % | width, naive = 1 | cells that miss |"
    yield "|---|---:|---:|---|---|---:|---:|"
    for name, group in _by_name(found):
        own = list(group)
        graded = [tally for tally in own if tally.is_graded and tally.kind == "interval"]
        if not graded:
            continue
        covered = sorted(tally.coverage for tally in graded)
        naive = sorted(tally.naive_coverage for tally in graded if not math.isnan(tally.naive_coverage))
        ratios = [tally.width / tally.naive_width for tally in graded if tally.naive_width > 0]
        yield (
            f"| {name} | {len(graded)} of {len(own)} | {100 * median(covered):.1f} | {_range(covered)} | {_range(naive)} "
            f"| {f'{median(ratios):.2f}' if ratios else '–'} | {sum(not tally.holds for tally in own)} |"
        )


def costs(found: Sequence[Tally]) -> Iterator[str]:
    """What versions cost: one line per kind of stall and rate, fleets of all sizes together."""
    order = {stalls: place for place, stalls in enumerate(dict.fromkeys(_fleet(tally).stalls for tally in found))}

    def line(tally: Tally) -> tuple[int, float]:
        return order[_fleet(tally).stalls], tally.cell.rate

    ranked = sorted((tally for tally in found if tally.name in _COSTS), key=line)
    for _, group in groupby(ranked, key=line):
        own = list(group)
        told = [_together([tally for tally in own if tally.name == name]) for name in _COSTS]
        naive = [tally for tally in own if tally.name == _COSTS[0]]
        known = sum(tally.naive_hits for tally in naive) / sum(tally.logs for tally in naive)
        cell = _fleet(own[0])
        yield f"| {cell.stalls} | {cell.rate:g} | {' | '.join(told)} | {100 * known:.0f} |"


def _together(own: Sequence[Tally]) -> str:
    logs, graded = sum(tally.logs for tally in own), sum(tally.graded for tally in own)
    good, hits = sum(tally.grades["good"] for tally in own), sum(tally.hits for tally in own)
    if not graded:
        return "0 | –"
    return f"{100 * good / logs:.0f} + {100 * (graded - good) / logs:.0f} | {100 * hits / graded:.1f}"


def unknown(found: Sequence[Tally]) -> Iterator[str]:
    """Coverage where nobody says what a run can come to."""
    for name, group in _by_name(found):
        own = list(group)
        rates = sorted({tally.cell.rate for tally in own})
        cells = [
            ", ".join(
                f"{tally.cell.runs:,}: {100 * tally.coverage:.0f}"
                for tally in own
                if tally.cell.rate == rate and tally.is_graded and not isinstance(tally.cell, FleetCell)
            )
            for rate in rates
        ]
        yield f"| {name.removesuffix(UNKNOWN)} | {' | '.join(cell or 'too few' for cell in cells)} |"


def cells(found: Sequence[Tally]) -> Iterator[str]:
    """The cells of each estimator that miss, and the two least covered of those that hold."""
    yield "| estimator | cell | grade | coverage, % | median width | naive, % |"
    yield "|---|---|---|---:|---:|---:|"
    for name, group in _by_name(found):
        graded = sorted((tally for tally in group if tally.is_graded), key=lambda tally: tally.coverage)
        told = [tally for tally in graded if tally.kind == "interval"]
        missed = [tally for tally in graded if not tally.holds]
        for tally in [*missed, *[tally for tally in told if tally.holds][:_WORST]]:
            yield (
                f"| {name} | {tally.cell.words} | {tally.grade} | {100 * tally.coverage:.1f}{'' if tally.holds else ' !'} "
                f"| {tally.width:.3g} | {_percent(tally.naive_coverage)} |"
            )


def page(found: Sequence[Tally], population: Iterable[str], logs: int, seed: int, sizes: tuple[int, int]) -> str:
    """The whole page."""
    promised = [tally for tally in found if not tally.name.endswith(UNKNOWN)]
    graded = [tally for tally in promised if tally.is_graded]
    kinds = {
        kind: sum(tally.kind.replace(" ", "_") == kind for tally in graded)
        for kind in ("interval", "exact", "at_least")
    }
    missed = sum(not tally.holds for tally in graded)
    counts = {"graded": len(graded), "cells": len(promised), "missed": missed, "logs": logs, "seed": seed, **kinds}
    head = _HEAD.format(low=100 * NOMINAL[0], high=100 * NOMINAL[1], **counts)
    of_fleets = [tally for tally in promised if isinstance(tally.cell, FleetCell)]
    of_rare = [tally for tally in promised if isinstance(tally.cell, RareCell)]
    others = [tally for tally in promised if not isinstance(tally.cell, FleetCell | RareCell)]
    columns = " | ".join(f"{name}: good + rough, % | covered, %" for name in _COSTS)
    costs_head = _COSTS_HEAD.format(
        smallest=sizes[0], largest=sizes[1], columns=columns, lines="---:|" * 2 * len(_COSTS)
    )
    unknown_head = _UNKNOWN_HEAD.format(rows=math.ceil(math.log(0.05) / math.log1p(-1 / 5000) / 1000) * 1000)
    return "\n".join(
        [
            *(head, *summary(others), ""),
            *(costs_head, *costs(of_fleets), ""),
            *("Every estimator of a version's runs, over the same fleets:", "", *summary(of_fleets), ""),
            *("## Jackpots, and rows that are alike but for one in thousands", "", *summary(of_rare), ""),
            *(unknown_head, *unknown([tally for tally in found if tally.name.endswith(UNKNOWN)]), ""),
            *(*population, ""),
            *("## The least covered cells", "", "Of each estimator those that miss (!), and two that hold.", ""),
            *(*cells(promised), ""),
        ]
    )


def _fleet(tally: Tally) -> FleetCell:
    assert isinstance(tally.cell, FleetCell)
    return tally.cell


def _by_name(found: Sequence[Tally]) -> Iterator[tuple[str, Iterator[Tally]]]:
    order = {name: place for place, name in enumerate(dict.fromkeys(tally.name for tally in found))}
    ranked = sorted(found, key=lambda tally: (order[tally.name], tally.cell.rate))
    return groupby(ranked, key=lambda tally: tally.name)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def _range(values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{100 * known[0]:.1f} – {100 * known[-1]:.1f}" if known else "–"
