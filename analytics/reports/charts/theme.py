"""The drawing board: sizes in pixels, colours by meaning, text that stays text, the axis of time; from a figure to the page's SVG.

Figures are drawn at 72 dots per inch, so that one matplotlib point is one pixel of the SVG and a 12 px label is 12 px
high on the page. Everything goes through matplotlib's object interface; pyplot and its global state are not used.
Time is UTC, with weekdays: a weekend explains more dips than any release.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from analytics.reports.charts.columns import known
from analytics.reports.page import number as write
from analytics.reports.page.blocks import figure as figure_block
from analytics.reports.page.inline import LIGHT, ROLES, Inline, Markup, shorten, visible

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation, Text
    from matplotlib.transforms import Transform

    Coordinates = str | Artist | Transform | tuple[str | Artist | Transform, str | Artist | Transform]

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


def new_figure(width: int, height: float) -> Figure:
    """An empty figure of so many pixels."""
    import matplotlib as mpl

    with mpl.rc_context(RC):
        return _picture()(figsize=(width / 72, height / 72), dpi=72, facecolor=LIGHT["bg"], edgecolor="none")


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
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


class Placing(TypedDict, total=False):
    """Where a text stands, as matplotlib has it.

    Attributes:
        ha, va: Which part of it stands at the place: left and centre unless given.
        transform: Of the coordinates.
        zorder: What it lies above.
        gid: Its name in the SVG.
    """

    ha: Literal["left", "center", "right"]
    va: Literal["bottom", "baseline", "center", "center_baseline", "top"]
    transform: Transform
    zorder: float
    gid: str


def label(
    target: Axes | Figure, x: float, y: float, text: str, *, name: str = "mute", size: float = TEXT, bold: bool = False,
    **placing: Unpack[Placing],
) -> Text:  # fmt: skip
    """Writes text: hidden characters made visible, never read as mathematics, never clipped."""
    cleaned = "\n".join(visible(line) for line in text.split("\n"))
    placing = {"ha": "left", "va": "center", **placing}
    return target.text(
        x, y, cleaned, color=LIGHT.get(name, LIGHT["mute"]), fontsize=size, fontweight="bold" if bold else "normal",
        linespacing=1.25, parse_math=False, clip_on=False, **placing,
    )  # fmt: skip


def annotate(
    axes: Axes, place: tuple[float, float], text: str, *, coords: Coordinates = "data", offset: tuple[float, float] = (0, 0),
    name: str = "mute", size: float = TEXT, bold: bool = False, **placing: Unpack[Placing],
) -> Annotation:  # fmt: skip
    """Writes text so many pixels beside a place; `coords` as in matplotlib's annotate."""
    cleaned = "\n".join(visible(line) for line in text.split("\n"))
    placing = {"ha": "left", "va": "center", **placing}
    if placing["va"] == "center" and "\n" not in cleaned:
        # Centred by the letters' height, not by the box around them: neighbours keep one baseline.
        placing["va"], offset = "baseline", (offset[0], offset[1] - 0.36 * size)
    return axes.annotate(
        cleaned, place, offset, coords, "offset points", color=LIGHT.get(name, LIGHT["mute"]), fontsize=size,
        fontweight="bold" if bold else "normal", linespacing=1.25, parse_math=False, annotation_clip=False, **placing,
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


def avoid_overlap(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
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


def empty_figure(width: int, text: str) -> Figure:
    """What stands for a picture without data: one line that says so."""
    figure = new_figure(width, 32)
    label(figure, 0.0, 0.5, text, name="mute", size=13)
    return figure


_VARIABLES = {value: f"var(--{name})" for name, value in LIGHT.items()}
_HEX = re.compile("|".join(map(re.escape, _VARIABLES)), re.IGNORECASE)
_LONG = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
# What a browser assumes anyway; matplotlib says it for every element.
_IDLE = {("stroke-linejoin", "miter"), ("stroke-linecap", "square"), ("stroke-linejoin", "round")}


def inline_svg(figure: Figure, prefix: str, alt: str = "") -> Markup:
    """Draws a figure as SVG to stand inside a page.

    Args:
        figure: The figure, drawn in palette colours; they become CSS variables.
        prefix: Put before every id; unique within the page.
        alt: What the picture shows, for those who cannot see it.

    Raises:
        ValueError: The prefix is not a plain name.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", prefix):
        raise ValueError(f"An id prefix is letters, digits, - and _ only, not {visible(prefix)[:80]!r}.")
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": prefix}), warnings.catch_warnings():
        # "Glyph missing from font": the reader's browser has more fonts than the machine that draws.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(out.getvalue())  # noqa: S314 - matplotlib wrote it a moment ago, with its text escaped
    _clean(root, prefix, _referenced(root))
    across, down = figure.get_size_inches() * 72
    root.attrib = {"viewBox": f"0 0 {across:g} {down:g}", "role": "img"}
    if alt:
        root.attrib["aria-label"] = visible(alt)
    else:
        root.attrib["aria-hidden"] = "true"
    return Markup(ET.tostring(root, encoding="unicode"))


def responsive(draw: Callable[[int], Figure], prefix: str, alt: str, caption: Inline = None) -> Markup:
    """Draws the same picture for pages and for phones; the style sheet shows one of the two.

    Args:
        draw: Takes the width in pixels.
        prefix: Put before every id; unique within the page.
        alt: What the picture shows, in a sentence.
        caption: A line below.
    """
    wide = inline_svg(draw(WIDE), f"{prefix}-w", alt)
    narrow = inline_svg(draw(NARROW), f"{prefix}-n", alt)
    return figure_block(wide, narrow, caption).html


def _referenced(root: ET.Element) -> set[str]:
    found: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            found.update(_REFERENCE.findall(value))
            if name.endswith("href") and value.startswith("#"):
                found.add(value[1:])
    return found


def _clean(element: ET.Element, prefix: str, wanted: set[str]) -> None:  # noqa: C901  # one rule per attribute
    # HTML parses SVG without namespaces; leaving them out keeps every address out of the page.
    element.tag = element.tag.rpartition("}")[2]
    attributes: dict[str, str] = {}
    for key, value in element.attrib.items():
        name = key.rpartition("}")[2]
        if name == "id":
            if value in wanted:
                attributes["id"] = f"{prefix}-{value}"
            elif value == HALO:
                attributes["class"] = HALO
        elif name == "href":
            if value.startswith("#"):
                attributes["href"] = f"#{prefix}-{value[1:]}"
        elif name == "style":
            attributes["style"] = _style(value, prefix)
        elif not value.startswith("rotate(-0 "):  # matplotlib turns every label, most by nothing
            attributes[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", _LONG.sub(_short, value))
    # The ground of a hatched area comes with its colour as an attribute, where a variable is not sure to be read.
    for name in ("fill", "stroke"):
        if _HEX.fullmatch(attributes.get(name, "")):
            style = _style(f"{name}:{attributes.pop(name)}", prefix)
            attributes["style"] = ";".join(filter(None, (attributes.get("style", ""), style)))
    element.attrib = {name: value for name, value in attributes.items() if value}
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
            continue
        _clean(child, prefix, wanted)
        if child.tag in ("g", "defs") and not len(child) and not child.attrib:
            element.remove(child)
    if element.tag != "text" and element.text and not element.text.strip():
        element.text = None
    if element.tail and not element.tail.strip():
        element.tail = None


def _short(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")


def _style(value: str, prefix: str) -> str:
    kept: list[str] = []
    for declaration in value.split(";"):
        name, _, setting = declaration.partition(":")
        name, setting = name.strip(), setting.strip()
        if not name or (name, setting) in _IDLE or name == "font-family":
            continue
        if name == "font":  # the page has its own family; size and weight stay
            size = re.search(r"([\d.]+)px", setting)
            kept.append(f"font-size:{size.group(1)}px" if size else "")
            if re.match(r"(bold|[6-9]00)\b", setting):
                kept.append("font-weight:600")
            continue
        setting = _HEX.sub(lambda match: _VARIABLES[match.group().lower()], _LONG.sub(_short, setting))
        setting = _REFERENCE.sub(rf"url(#{prefix}-\1)", setting)
        kept.append(f"{name}:{setting}")
    return ";".join(filter(None, kept))


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
        annotate(
            axes, (cap, 1), text, coords=("data", "axes fraction"), offset=(0, 8), name="finding", size=SMALL,
            ha="right" if phone else "center",
        )  # fmt: skip
    return low


DAY = 86_400.0
HOUR = 3_600.0
_STEPS = [HOUR / 12, HOUR / 4, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]
_STEPS += [DAY * days for days in (1, 2, 4, 7, 14, 28, 56, 112, 364)]
_LABEL = 66.0


def extent(moments: Iterable[float]) -> tuple[float, float] | None:
    """First and last of the moments that are known; a single one gets an hour around it."""
    found = [moment for moment in moments if known(moment)]
    if not found:
        return None
    first, last = min(found), max(found)
    return (first, last) if last > first else (first - HOUR / 2, last + HOUR / 2)


def utc(moment: float) -> dt.datetime:
    """Seconds since 1970 as a time in UTC."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=moment)


def time_axis(axes: Axes, since: float, until: float, room: float) -> None:
    """Labels the time below the axes; as many labels as the room in pixels holds."""
    places, labels = _places(since, until, room)
    axes.set_xlim(since, until)
    ticks(axes, "x", places, labels, length=3)
    # The first label would stick out to the left of the page, the last one to the right.
    for place, text in zip(places, axes.get_xticklabels(), strict=True):
        at = (place - since) / (until - since) * room
        text.set_horizontalalignment("left" if at < 26 else "right" if room - at < 26 else "center")
    spine = axes.spines["bottom"]
    spine.set_visible(True)
    spine.set_color(colour("still"))
    spine.set_linewidth(1)


def _places(since: float, until: float, room: float) -> tuple[list[float], list[str]]:
    length = max(until - since, 1.0)
    step = next((step for step in _STEPS if length / step * _LABEL <= room), _STEPS[-1])
    # Weeks start on Monday; 1970 began on a Thursday, so day 4 was the first one.
    origin = 4 * DAY if step >= 7 * DAY else 0.0
    place = since - (since - origin) % step
    places, labels, month = [], [], None
    while place <= until + 1:
        if place >= since - 1:
            moment = utc(place)
            day = f"{moment:%a} {moment.day}"
            if month != moment.month:
                day, month = f"{day} {moment:%b}", moment.month
            places.append(place)
            labels.append(day if step >= DAY or (moment.hour, moment.minute) == (0, 0) else f"{moment:%H:%M}")
        place += step
    return places, labels


def bin_words(seconds: float) -> str:
    """The length of a bin in words: "6 h", "a day", "15 min"."""
    if not known(seconds) or seconds <= 0:
        return "a bin"
    if seconds >= DAY:
        days = round(seconds / DAY)
        return "day" if days == 1 else f"{days} days"
    if seconds >= HOUR:
        hours = round(seconds / HOUR)
        return "hour" if hours == 1 else f"{hours} h"
    return f"{max(round(seconds / 60), 1)} min"
