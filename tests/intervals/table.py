"""The experiment's tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median

from tests.intervals.cells import NOMINAL, Tally

_HEAD = """# Do the intervals hold what they promise?

Written by `make prove-estimates` (seed {seed}): {logs:,} simulated logs per cell, for every sampling rate, number of runs and
failure rate below, with skewed points. Nominal is 95 %. A cell counts for an estimator when most of its logs are graded good or
rough; elsewhere the package says "too few". Coverage is that of the logs graded so.

**{graded:,} of {cells:,} cells are graded: {interval:,} with an interval, {exact:,} exact (nothing was left to chance),
{at_least:,} "at least" (among stopped runs). {missed} cover less than {low:.0f} % or more than {high:.0f} %.**

Naive is the textbook interval of somebody who takes the logged rows for a simple random sample of the runs. The truth is that of
the runs there were; for a process and for changes, that of the process they are a sample of. More than {high:.0f} % is none's fault
where a process never fails (an interval can miss on one side only) and for nodes, which are whole numbers. What is rarer than three
among the drawn rows is seen by no method: points of which one run in a hundred pays fifty times the others need 300 drawn rows.
"""


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
        naive = sorted(tally.naive_coverage for tally in graded)
        ratio = median(tally.width / tally.naive_width for tally in graded if tally.naive_width > 0)
        yield (
            f"| {name} | {len(graded)} of {len(own)} | {100 * median(covered):.1f} | {_range(covered)} | {_range(naive)} "
            f"| {ratio:.2f} | {sum(not tally.holds for tally in own)} |"
        )


def cells(found: Sequence[Tally]) -> Iterator[str]:
    """One line per estimator and cell that is graded; what nothing was left to chance in is left out."""
    for name, group in _by_name(found):
        yield f"\n### {name}\n"
        yield "| rate | runs | failing | grade | coverage, % | median width | naive width | naive coverage, % |"
        yield "|---:|---:|---:|---|---:|---:|---:|---:|"
        for tally in group:
            if not tally.is_graded or tally.kind == "exact":
                continue
            width = "≥" if tally.kind == "at least" else f"{tally.width:.3g}"
            yield (
                f"| {tally.cell.rate:g} | {tally.cell.runs:,} | {tally.cell.failing:g} | {tally.grade} "
                f"| {100 * tally.coverage:.1f}{'' if tally.holds else ' !'} | {width} | {tally.naive_width:.3g} "
                f"| {100 * tally.naive_coverage:.1f} |"
            )


def page(found: Sequence[Tally], population: Iterable[str], logs: int, seed: int) -> str:
    """The whole page."""
    graded = [tally for tally in found if tally.is_graded]
    missed = [tally for tally in graded if not tally.holds]
    kinds = {
        kind: sum(tally.kind.replace(" ", "_") == kind for tally in graded)
        for kind in ("interval", "exact", "at_least")
    }
    counts = {"graded": len(graded), "cells": len(found), "missed": len(missed), "logs": logs, "seed": seed, **kinds}
    head = _HEAD.format(low=100 * NOMINAL[0], high=100 * NOMINAL[1], **counts)
    return "\n".join([head, *summary(found), "", *population, "", "## Every cell", *cells(found), ""])


def _by_name(found: Sequence[Tally]) -> Iterator[tuple[str, Iterator[Tally]]]:
    order = {name: place for place, name in enumerate(dict.fromkeys(tally.name for tally in found))}
    ranked = sorted(found, key=lambda tally: (order[tally.name], tally.cell.rate, tally.cell.runs, tally.cell.failing))
    return groupby(ranked, key=lambda tally: tally.name)


def _range(values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{100 * known[0]:.1f} – {100 * known[-1]:.1f}" if known else "–"
