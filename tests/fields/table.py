"""The coverage of the split as tables in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.fields.coverage import CELLS, LEAST, WHAT, Cell

_HEAD = """# Does the split of time hold what it promises?

Written by `make prove-time-split` (seed {seed}): {fleets} simulated fleets per row. Programs of one to three versions in four
realms read up to five analytics fields, whose queries, nodes and own time cost what was written down before. Some runs stall (one
in 250 for 0.3 to 1.5 s, or as the table says, for so many times the mean), some queries have tails, and programs differ by a
tenth in what a node costs. Intervals are nominally 95 %. A sample holds few stalls or none: medians of many runs do not see them.

**Of {cells} cells of this table {short} hold less than {least:.0f} %; the least is {lowest:.1f} %. Of {versions:,} versions {wrong}
are called slow and are not.**

More than 95 % is held where intervals also carry what does not shrink with more runs: medians of sums are not sums of medians,
and no two programs take quite the same. A field's truth is what its query adds to the median of the programs that read it.

"Slow" is more than three times, and ten milliseconds above, what nodes and the rest explain, over the whole interval of both.
What is slow at the best value alone is "unclear": where the nodes of a program hardly vary, nothing fixes what one costs.
"""


def holds(told: int, covered: int) -> bool:
    """Whether coverage is no less than wanted, but for chance (two standard errors)."""
    return told == 0 or covered / told >= LEAST - 2 * (LEAST * (1 - LEAST) / told) ** 0.5


def cells(found: Sequence[Counter[str]]) -> Iterator[str]:
    """One line per kind of fleet."""
    yield (
        "| programs | logged runs a day | spread of nodes | stalls | field, % | sum of fields, % | node, % | rest, % "
        "| fields told | versions | called slow | of these wrongly | unclear |"
    )
    yield "|" + "---:|" * 13
    for cell, total in zip(CELLS, found, strict=True):
        shares = " | ".join(_share(total[f"{what} told"], total[f"{what} covered"]) for what in WHAT)
        yield (
            f"| {cell.families} | {cell.per_day} | {cell.spread:g} | {_stalls(cell)} | {shares} "
            f"| {total['field told']} of {total['field asked']} | {total['versions']:,} | {total['slow']} "
            f"| {total['slow wrongly']} | {total['unclear']} |"
        )


def _stalls(cell: Cell) -> str:
    often = f"1 in {cell.stalled:,.0f}"
    return often if cell.times is None else f"{often}, × {cell.times[0]:g} – {cell.times[1]:g}"


def slow_field(total: Counter[str]) -> Iterator[str]:
    """What became of a field that takes 60 ms in one realm."""
    yield "| readers of the slow field: named | left open | missed | other versions: left alone | blamed wrongly |"
    yield "|---:|---:|---:|---:|---:|"
    names = ("named", "left open", "missed", "others left alone", "others blamed wrongly")
    yield "| " + " | ".join(f"{total[name]:,}" for name in names) + " |"


def page(found: Sequence[Counter[str]], slow: Counter[str], fleets: int, seed: int) -> str:
    """The whole page."""
    shares = [
        100 * total[f"{what} covered"] / total[f"{what} told"]
        for total in found
        for what in WHAT
        if total[f"{what} told"]
    ]
    head = _HEAD.format(
        seed=seed, fleets=fleets, cells=len(shares), short=sum(share < 100 * LEAST for share in shares), least=100 * LEAST,
        lowest=min(shares), versions=sum(total["versions"] for total in found),
        wrong=sum(total["slow wrongly"] for total in found),
    )  # fmt: skip
    title = "## A field that takes 60 ms in one realm"
    return "\n".join([head, *cells(found), "", title, "", *slow_field(slow), ""])


def _share(told: int, covered: int) -> str:
    if not told:
        return "–"
    return f"{100 * covered / told:.1f} of {told:,}{'' if holds(told, covered) else ' !'}"
