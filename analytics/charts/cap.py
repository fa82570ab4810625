"""The axis of nodes that both cap pictures share: logarithmic, with the cap and what lies beyond it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from analytics.charts.columns import known
from analytics.charts.theme import SMALL, WIDE, colour, ticks, tied
from analytics.page import number as write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEYOND = 1.5
"""How far the picture goes beyond the cap, where stopped runs are drawn."""


def places(width: int) -> tuple[float, float, bool]:
    """Left edge and width of the panel in pixels, and whether it is a phone's."""
    phone = width < 0.7 * WIDE
    left = 40.0
    return left, width - left - (4 if phone else 164), phone


def nodes_axis(axes: Axes, cap: float, nodes: Iterable[float], phone: bool, name: str = "cap") -> float:
    """Sets the axis; returns its lower end. Both pictures get the same one for the same runs."""
    least = min((value for value in nodes if known(value) and value > 0), default=10.0)
    low = 0.8 if least < 4 else 3.0 if least < 8 else 8.0
    low = min(low, cap / 10)
    axes.set_xscale("log")
    axes.set_xlim(low, cap * BEYOND)
    axes.axvspan(cap, cap * BEYOND, facecolor=colour("finding-pale"), edgecolor="none", zorder=0)
    axes.axvline(cap, color=colour("finding"), lw=1.5, zorder=5)
    marks = (1, 10, 100, 1000, 10_000, 100_000) if phone else (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000)
    shown = [mark for mark in marks if low <= mark < cap * 0.7]
    ticks(axes, "x", [*shown, cap], [write.count(mark) for mark in (*shown, cap)], length=3)
    spine = axes.spines["bottom"]
    spine.set_visible(True)
    spine.set_color(colour("still"))
    if name:
        text = f"{name} {write.count(cap)}"
        tied(
            axes, (cap, 1), text, coords=("data", "axes fraction"), offset=(0, 8), name="finding", size=SMALL,
            ha="right" if phone else "center",
        )  # fmt: skip
    return low
