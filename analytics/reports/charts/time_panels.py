"""The panels of a picture with one shared axis of time: where they stand and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.reports.charts.columns import known
from analytics.reports.charts.theme import (
    SMALL,
    WIDE,
    baseline,
    board,
    colour,
    label,
    panel,
    spread,
    ticks,
    tied,
    title,
)
from analytics.reports.page import number as write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Stage:
    """Panels below each other, all from `since` to `until`.

    Attributes:
        figure: The board they stand on.
        since: Seconds since 1970.
        until: Seconds since 1970.
        left: Left edge of the panels, in pixels.
        room: Width of the panels, in pixels.
        phone: Whether labels go above the panels instead of right of them.
        shaded: Stretches of time that belong to the finding.
    """

    figure: Figure
    since: float
    until: float
    left: float
    room: float
    phone: bool
    shaded: tuple[tuple[float, float], ...]

    @classmethod
    def build(
        cls, width: int, height: float, since: float, until: float, shaded: tuple[tuple[float, float], ...] = ()
    ) -> Stage:
        """A board with room for labels at the right, or above on a phone."""
        phone = width < 0.7 * WIDE
        left = 34.0
        room = width - left - (6 if phone else 136)
        return cls(board(width, height), since, until, left, room, phone, shaded)

    def axes(self, top: float, height: float, heading: str = "", *, shade: bool = True) -> Axes:
        """A panel with its heading, the time of the finding shaded."""
        if heading:
            title(self.figure, 0, top - 15, heading)
        axes = panel(self.figure, self.left, top, self.room, height)
        axes.set_xlim(self.since, self.until)
        for first, last in self.shaded if shade else ():
            axes.axvspan(first, last, facecolor=colour("finding-pale"), edgecolor="none", zorder=0)
            for edge in (first, last):
                if self.since < edge < self.until:
                    axes.axvline(edge, color=colour("finding"), lw=0.8, zorder=1)
        return axes

    def beside(self, axes: Axes, labels: list[tuple[float, str, str]]) -> None:
        """Labels (y, text, colour) right of the panel, level with what they name; on a phone above the panel."""
        if not self.phone:
            # Places as fractions of the panel, so that labels can be kept apart in pixels.
            down = float(self.figure.get_size_inches()[1]) * 72 * axes.get_position().height
            fractions = [
                float(axes.transAxes.inverted().transform(axes.transData.transform((self.since, y)))[1]) * down
                for y, _, _ in labels
            ]
            lines = max((text.count("\n") + 1 for _, text, _ in labels), default=1)
            for place, (_, text, name) in zip(spread(fractions, 15 * lines, 6, down - 4), labels, strict=True):
                tied(axes, (1, place / down), text, coords="axes fraction", offset=(10, 0), name=name)
            return
        # From right to left in one line; there is room for two.
        before = 0.0
        for _, text, name in labels[-2:][::-1]:
            line = " ".join(text.split("\n"))
            tied(
                axes, (1, 1), line, coords="axes fraction", offset=(-before, 9), name=name, size=SMALL, ha="right",
                va="center",
            )  # fmt: skip
            before += 0.56 * SMALL * len(line) + 10


def from_zero(axes: Axes, values: list[float], bounds: list[float], count: int = 3) -> None:
    """A scale from zero with round steps; a single wild interval may leave the panel, the means may not."""
    from matplotlib.ticker import MaxNLocator

    centre = [value for value in values if known(value)]
    top, bottom = max([*centre, 0.0]), min([*centre, 0.0])
    reach = (top - bottom) or 1.0
    edges = [value for value in bounds if known(value)]
    top = min(max([top * 1.05, *edges]), top + 0.6 * reach) or 1.0
    bottom = max(min([bottom * 1.05, *edges, 0.0]), bottom - 0.6 * reach) if bottom < 0 else 0.0
    axes.set_ylim(bottom, top)
    places = [place for place in MaxNLocator(count).tick_values(bottom, top) if bottom <= place <= top]
    ticks(axes, "y", places, [_brief(place) for place in places])
    baseline(axes)
    if bottom < 0:
        axes.axhline(0, color=colour("rule"), lw=1, zorder=1)


def _brief(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if 1e15 > abs(value) >= size:
            return write.number(value / (1e3 if letter == "k" else size)) + letter
    return write.exact(value)


def empty(axes: Axes, text: str) -> None:
    """A panel without data says why."""
    label(axes, 0.0, 0.5, text, size=SMALL, transform=axes.transAxes)
