"""The experiment's tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median

from tests.forecast.cells import FALSE_ALARM, FLEET, NOMINAL, Fleet, Tally

_HEAD = """# Do forecasts hold what they promise?

Written by `make prove-forecast` (seed {seed}): {logs:,} simulated logs per cell, for kinds of growth and of quiet, logged
rows a day and days. What is forecast: the day on which the p99 of nodes of a version's runs, as a quantity of all runs and
not of the logged ones, reaches the cap if growth goes on as in the window, that is, where the straight path behind the days
meets the cap. The range is nominally 95 %; it may be open to the right ("at least 4 days"). Every log of a growing version
has a range, also one of which the package says "cannot tell"; coverage is that of all of these. Only with fewer than four days
of ten rows there is none.

**{growing} cells grow: coverage {lowest:.1f} to {highest:.1f} %, median {middle:.1f} %; {short} of them hold less than
{low:.0f} % and {wide} more than {high:.0f} %. {quiet} cells are quiet: growth is called in {alarm:.2f} % of their logs, in
{most:.1f} % in the worst cell; {alarms} call it more often than chance allows at {nominal:g} %.**

More than {high:.0f} % is held where the range can miss on one side only, and is not narrowed to spend the rest:

- **Open to the right.** Where growth is not proven or may slow down there is no last day, so only the first can be wrong: 97.5 %.
- **Few rows.** Fewer than 368 rows do not bound a p99 from above, so the range begins at 0; and whether runs grow by as many
  nodes or by a ratio cannot be seen in the p90 of few rows, so the range holds both.
- **One odd day** widens the error more than it moves the line.
- **Four days** leave two degrees of freedom, where leaving out one day in turn overstates the error.

Of the logs that are called growing fewer are held where growth is seldom proven: those that chance made steep are called, the
others are not. Where it is called in most logs the two coverages agree.

A jump must not be called growth, and growth that levels off must not be promised the cap; both are counted below. A jump of a few
standard deviations of a day, and a bend that only the last days show, cannot be told from a line by anybody; a rhythm of the week
in fewer than nine days may look like a jump.
"""


def summary(found: Sequence[Tally]) -> Iterator[str]:
    """One line per kind of growth, then one per kind of quiet."""
    yield "| grows | cells | range holds, % | worst and best cell, % | called growing, % | 200 rows, 14 days: median range |"
    yield "|---|---:|---:|---|---|---|"
    for name, own in _by_name(found, "grows"):
        held = sorted(100 * tally.coverage for tally in own if tally.ranges)
        called = sorted(100 * tally.growing for tally in own)
        shown = [tally for tally in own if (tally.cell.rows, tally.cell.days) == (200, 14)]
        ends = f"{_ends(shown[0])}, truth {shown[0].cell.growth.truth:.1f}" if shown else "–"
        spans = f"{held[0]:.1f} – {held[-1]:.1f} | {called[0]:.0f} – {called[-1]:.0f}"
        yield f"| {name} | {len(own)} | {median(held):.1f} | {spans} | {ends} |"
    yield ""
    yield "| does not grow on | cells | called growing, % | worst cell, % | with a last day, % | step, % | levelled off, % |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for kind in ("quiet", "steps", "levels off"):
        for name, own in _by_name(found, kind):
            called = [100 * tally.growing for tally in own]
            promised = 100 * sum(tally.promised for tally in own) / len(own)
            states = [
                100 * sum(tally.states[state] / tally.logs for tally in own) / len(own)
                for state in ("step", "levelled off")
            ]
            yield (
                f"| {name} | {len(own)} | {sum(called) / len(own):.1f} | {max(called):.1f} | {promised:.1f} "
                f"| {states[0]:.1f} | {states[1]:.1f} |"
            )


def fleets(found: Iterable[Fleet]) -> Iterator[str]:
    """One line per kind of fleet."""
    yield f"| fleet of {FLEET} | rows | days | fleets | a quiet one called growing, % | the growing one found, % |"
    yield "|---|---:|---:|---:|---:|---:|"
    for one in found:
        name = "one grows by 12 nodes a day" if one.grows else "all quiet"
        caught = f"{100 * one.found / one.fleets:.0f}" if one.grows else "–"
        yield f"| {name} | {one.rows:,} | {one.days} | {one.fleets} | {100 * one.alarms / one.fleets:.1f} | {caught} |"


def cells(found: Sequence[Tally]) -> Iterator[str]:
    """One line per cell."""
    yield (
        "| scenario | rows | days | range holds, % | too early, % | too late, % | called growing, % | of these held, % "
        "| with a last day, % | median range of those called |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
    for tally in found:
        cell, logs = tally.cell, tally.logs
        called = tally.states["growing"]
        of_called = f"{100 * tally.growing_held / called:.1f}" if called else "–"
        mark = "" if tally.holds else " !"
        grows = cell.growth.kind == "grows"
        held = f"{100 * tally.coverage:.1f}{mark}" if grows else f"–{mark}"
        sides = (f"{100 * tally.early / logs:.1f}", f"{100 * tally.late / logs:.1f}") if grows else ("–", "–")
        yield (
            f"| {cell.growth.name} | {cell.rows:,} | {cell.days} | {held} | {sides[0]} | {sides[1]} | {100 * tally.growing:.1f} "
            f"| {of_called if grows else '–'} | {100 * tally.promised:.1f} | {_ends(tally)} |"
        )


def page(found: Sequence[Tally], fleet: Sequence[Fleet], logs: int, seed: int) -> str:
    """The whole page."""
    growing = [tally for tally in found if tally.cell.growth.kind == "grows"]
    quiet = [tally for tally in found if tally.cell.growth.kind == "quiet"]
    held = sorted(100 * tally.coverage for tally in growing if tally.ranges)
    called = [100 * tally.growing for tally in quiet]
    head = _HEAD.format(
        seed=seed, logs=logs, growing=len(growing), lowest=held[0], highest=held[-1], middle=median(held),
        short=sum(value < 100 * NOMINAL[0] for value in held), wide=sum(value > 100 * NOMINAL[1] for value in held),
        low=100 * NOMINAL[0], high=100 * NOMINAL[1], quiet=len(quiet), alarm=sum(called) / len(called), most=max(called),
        alarms=sum(not tally.holds for tally in quiet), nominal=100 * FALSE_ALARM,
    )  # fmt: skip
    return "\n".join([head, *summary(found), "", *fleets(fleet), "", "## Every cell", "", *cells(found), ""])


def _by_name(found: Sequence[Tally], kind: str) -> Iterator[tuple[str, list[Tally]]]:
    wanted = [tally for tally in found if tally.cell.growth.kind == kind]
    for name, group in groupby(wanted, key=lambda tally: tally.cell.growth.name):
        yield name, list(group)


def _ends(tally: Tally) -> str:
    low, high = tally.ends
    if math.isnan(low):
        return "–"
    return f"≥ {low:.1f}" if high == math.inf else f"{low:.1f} – {high:.1f}"
