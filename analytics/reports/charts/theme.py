"""The drawing board: sizes in pixels, colours by meaning, text that stays text.

Figures are drawn at 72 dots per inch, so that one matplotlib point is one pixel of the SVG and a 12 px label is 12 px
high on the page. Everything goes through matplotlib's object interface; pyplot and its global state are not used.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analytics.reports.page.escape import shorten, visible
from analytics.reports.page.palette import LIGHT, ROLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 848
NARROW = 358
SMALL = 11.0
HALO = "halo"
"""Mark of text that crosses lines; the page gives it an edge in the colour of the paper."""
TEXT = 12.0
# Tenants write names in any script; a missing glyph is the browser's to find, it has the fonts.
RC: Any = {
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "path.simplify": True,
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT,
    "axes.unicode_minus": True,
}


def colour(name: str) -> str:
    """The light value of a palette colour; `charts.svg` turns it back into the variable."""
    return LIGHT[name]


def role_colour(role: str, other: str = "still") -> str:
    """The colour of a role; grey for everything that did not change."""
    return LIGHT[role if role in ROLES else other]


@cache
def _picture() -> type[Figure]:
    import warnings

    import matplotlib as mpl
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that shows itself in a notebook, also where no plotting backend is active."""

        def _repr_svg_(self) -> str:
            import io

            out = io.StringIO()
            with mpl.rc_context(RC), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                self.savefig(out, format="svg", metadata={"Date": None})
            # The reader's fonts may be wider than those that were measured.
            return out.getvalue().replace("<svg ", '<svg style="overflow: visible" ', 1)

    return Picture


def board(width: int, height: float) -> Figure:
    """An empty figure of so many pixels."""
    import matplotlib as mpl

    with mpl.rc_context(RC):
        return _picture()(figsize=(width / 72, height / 72), dpi=72, facecolor=LIGHT["bg"], edgecolor="none")


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in pixels from the top left corner, without frame, grid or ticks."""
    import matplotlib as mpl

    across, down = figure.get_size_inches() * 72
    with mpl.rc_context(RC):
        axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=LIGHT["mute"], color=LIGHT["still"], pad=4, which="major")
    axes.tick_params(length=0, which="minor", labelbottom=False, labelleft=False)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def ticks(axes: Axes, which: str, places: Sequence[float], labels: Sequence[str], length: float = 0) -> None:
    """Sets ticks by hand: no formatter may turn a number into mathematics or a date into another zone."""
    from matplotlib.ticker import NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(list(places), list(labels))
    axis.set_tick_params(length=length)
    for label in axis.get_ticklabels():
        label.set_parse_math(False)


def baseline(axes: Axes, name: str = "rule") -> None:
    """A thin line where zero, or the end of the scale, is."""
    spine = axes.spines["bottom"]
    spine.set_visible(True)
    spine.set_color(LIGHT[name])
    spine.set_linewidth(1)


def label(
    target: Axes | Figure, x: float, y: float, text: str, *, name: str = "mute", size: float = TEXT, bold: bool = False,
    ha: str = "left", va: str = "center", lines: float = 1.25, **more: Any,
) -> Any:  # fmt: skip
    """Writes text: hidden characters made visible, never read as mathematics, never clipped."""
    cleaned = "\n".join(visible(line) for line in text.split("\n"))
    return target.text(
        x, y, cleaned, color=LIGHT.get(name, LIGHT["mute"]), fontsize=size, fontweight="bold" if bold else "normal",
        ha=ha, va=va, linespacing=lines, parse_math=False, clip_on=False, **more,
    )  # fmt: skip


def tied(
    axes: Axes, place: tuple[float, float], text: str, *, coords: Any = "data", offset: tuple[float, float] = (0, 0),
    name: str = "mute", size: float = TEXT, bold: bool = False, ha: str = "left", va: str = "center", **more: Any,
) -> Any:  # fmt: skip
    """Writes text so many pixels beside a place; `coords` as in matplotlib's annotate."""
    cleaned = "\n".join(visible(line) for line in text.split("\n"))
    if va == "center" and "\n" not in cleaned:
        # Centred by the letters' height, not by the box around them: neighbours keep one baseline.
        va, offset = "baseline", (offset[0], offset[1] - 0.36 * size)
    return axes.annotate(
        cleaned, place, offset, coords, "offset points", color=LIGHT.get(name, LIGHT["mute"]), fontsize=size,
        fontweight="bold" if bold else "normal", ha=ha, va=va, linespacing=1.25, parse_math=False,
        annotation_clip=False, **more,
    )  # fmt: skip


def title(figure: Figure, left: float, top: float, text: str, *, name: str = "ink", bold: bool = True) -> None:
    """The heading of a panel, its middle at `top` pixels from the top."""
    across, down = figure.get_size_inches() * 72
    label(figure, left / across, 1 - (top + 4) / down, text, name=name, bold=bold, va="baseline")


def pixels(text: str, size: float = TEXT, bold: bool = False) -> float:
    """About how wide a text is; on the generous side, for the reader's fonts are not ours."""
    letters = sum(map(_wide, text))
    return letters * size * (1.07 if bold else 1.0)


def _wide(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.05
    return 0.85 if letter in "mwMW@%—…" else 0.7 if letter.isupper() else 0.54


def fit(text: str, room: float, size: float = TEXT, bold: bool = False) -> str:
    """Shortens a name to the room there is."""
    cleaned = visible(text[:400])
    if pixels(cleaned, size, bold) <= room:
        return cleaned
    limit = min(len(cleaned), int(room / (0.5 * size)) + 1)
    while limit > 1 and pixels(shorten(cleaned, limit), size, bold) > room:
        limit -= 1
    return shorten(cleaned, limit)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Moves labels apart that would lie on each other; keeps their order and stays between low and high."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    out = [min(max(place, low), high) for place in places]
    for before, after in pairwise(order):
        out[after] = max(out[after], out[before] + gap)
    if order and out[order[-1]] > high:
        out[order[-1]] = high
        for after, before in pairwise(order[::-1]):
            out[before] = min(out[before], out[after] - gap)
    return out


def nothing(width: int, text: str) -> Figure:
    """What stands for a picture without data: one line that says so."""
    figure = board(width, 32)
    label(figure, 0.0, 0.5, text, name="mute", size=13)
    return figure
