"""The tables of two strategies side by side: games and failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics import page
from analytics.findings.family import NO_CODE
from analytics.findings.sides import Side
from analytics.page import Column, number
from analytics.stories.small_cells import SmallCells

if TYPE_CHECKING:
    from analytics.page import Block

_MOST_GAMES = 8


def games(before: Side, after: Side) -> Block:
    """Shares of the games in either group, the most played first."""
    shares = []
    for side in (after, before):
        rows = side.rows[(side.rows["status"] == "ok").to_numpy(bool)]
        names = rows["external_game_id"].astype(object).fillna("(none)").astype(str)
        weights = rows["sample_weight"].astype(float).fillna(1.0)
        shares.append((weights.groupby(names).sum() / weights.sum()).to_dict())
    everything = sorted({*shares[0], *shares[1]}, key=lambda name: (-sum(of.get(name, 0.0) for of in shares), name))
    lines = [
        {"game": name, "a": number.percent(shares[0].get(name, 0.0)), "b": number.percent(shares[1].get(name, 0.0))}
        for name in everything[:_MOST_GAMES]
    ]
    columns = [
        Column("game", "Game", kind="author", role="name"),
        Column("a", after.label, align="right"),
        Column("b", before.label, align="right"),
    ]
    return page.table(lines, columns)


def failures(before: Side, after: Side, small: SmallCells, refused: str) -> Block:
    """Codes of both, counted.

    Args:
        before, after: B and A.
        small: What may be shown of few users.
        refused: That ok rows may be missing, in a sentence; empty otherwise.
    """
    how = ["Logged counts. Every failure is meant to be kept; their rates are under “What differs?”."]
    codes = [side.failed["error_code"].astype(object).fillna(NO_CODE).astype(str) for side in (after, before)]
    hidden = [
        small.hidden(names, side.failed["external_user_id"]) for names, side in zip(codes, (after, before), strict=True)
    ]
    counts = [names.value_counts() for names in codes]
    lines = [
        {"code": code, "a": int(counts[0].get(code, 0)), "b": int(counts[1].get(code, 0))}
        for code in sorted({*counts[0].index, *counts[1].index} - hidden[0] - hidden[1])
    ]
    lines.sort(key=lambda line: -(line["a"] + line["b"]))
    said = f"{number.counted(len(codes[0]), 'failed run')} of {after.label} and {len(codes[1]):,} of {before.label}."
    if hidden[0] or hidden[1]:
        said += f" Some codes are left out: fewer than {small.least} logged users met them."
    said += f" {refused}" if refused else ""
    columns = [
        Column("code", "Code", kind="mono", role="name"),
        Column("a", after.label, kind="count"),
        Column("b", before.label, kind="count"),
    ]
    return page.section("fail", "What failed?", how, said, [page.table(lines, columns)] if lines else [])
