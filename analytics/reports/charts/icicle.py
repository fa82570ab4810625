"""Where a program's entries come from: its tree from left to right, its walk from top to bottom, height by entries per run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, TypedDict

from analytics.reports.charts.columns import floats, known, need, words
from analytics.reports.charts.theme import (
    SMALL,
    WIDE,
    add_axes,
    annotate,
    avoid_overlap,
    colour,
    empty_figure,
    fit,
    label,
    new_figure,
    pixels,
)
from analytics.reports.page import number as write
from analytics.reports.page.inline import ROLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 380.0
LINE = 13.0
"""Height in pixels of a block that can carry a name; smaller neighbours of one kind become one block."""
_DEEPEST = 64
_HOT = 0.04
"""Share of all entries from which a block at the end of its row has its share beside it."""
_MOST_NOTES = 16
_SHADES = ("d1", "d2", "d3", "d3", "d3")


@dataclass(slots=True)
class Block:
    """One node, or several alike ones: how much it leaves with all below it, and how much of that is behind the cut."""

    text: str
    kind: str
    own: float
    own_unseen: float
    note: str = ""
    role: str = ""
    below: list[Block] = field(default_factory=list)
    weight: float = 0.0
    unseen: float = 0.0

    def weigh(self) -> None:
        """Adds up what is below; children first."""
        for block in self.below:
            block.weigh()
        self.weight = self.own + sum(block.weight for block in self.below)
        self.unseen = min(self.own_unseen + sum(block.unseen for block in self.below), self.weight)


def icicle(frame: pd.DataFrame, *, name: str = "", width: int = WIDE) -> Figure:
    """Draws the icicle (Kruskal and Landwehr, *Am. Stat.* 37, 1983) of one program.

    Args:
        frame: One row per node in walk order: position, parent_position (NULL at the top), label, kind (alike small neighbours
            are drawn as one), entries (its own, per run), unseen (of these, behind the cut), note and role (said beside it).
        name: The program's.
        width: In pixels.

    Only position, label and entries are needed; without parent_position nothing stands below anything.

    Example:
        frame = lake.sql('''
            select n.position, n.parent_position, n.type as kind, coalesce(n.case_name, n.operator, n.type) as label,
                   coalesce(sum(d.entry_count), 0) as entries
              from definition_nodes n left join node_days d using (strategy_id, strategy_version, node_id)
             where n.family_name = 'Speed bonus' and strategy_version = 3
             group by all
             order by n.position
        ''').df()
        charts.icicle(frame, name="Speed bonus v3")

    Raises:
        UsageError: A column is missing.
    """
    need(icicle, frame, "position label entries")
    root = _tree(frame, name)
    if not root.weight > 0:
        return empty_figure(width, "No trace entry of this program is logged.")
    phone = width < 0.7 * WIDE
    columns = [0.0, 62, 170, 226, 282, 350] if phone else [0.0, 100, 262, 370, 490, 660]
    names = ((1, "rule"), (2, "conditions, statements")) if phone else (
        (0, "program"), (1, "rule"), (2, "conditions and statements"),
    )  # fmt: skip
    top, height = 26.0, HEIGHT + (60 if phone else 0)
    behind = root.unseen / root.weight
    cut = f"{write.percent(round(behind, 2))} of entries lie after the cut"
    figure = new_figure(width, top + height + 30)
    axes = add_axes(figure, 0, top, width, height)
    axes.set_xlim(0, width)
    axes.set_ylim(root.weight, 0)
    for column, text in names:
        label(
            axes,
            columns[column] + 4,
            1 + 6 / height,
            text,
            size=SMALL,
            va="baseline",
            transform=axes.get_xaxis_transform(),
        )
    notes = _draw_blocks(axes, root, columns, height)
    line = _line(root) if behind >= 0.005 else None
    if line is not None:
        axes.plot(
            [0, columns[-1] + (0 if phone else 8)], [line] * 2, color=colour("ink"), lw=1, ls=(0, (4, 3)), zorder=6
        )
    if not phone:
        _beside(axes, notes, columns[-1], line, cut, root.weight, height)
    if behind >= 0.005:
        pale = "pale: from the program and the run's row, not from a trace" if not phone else "pale: not from a trace"
        label(axes, 0, -16 / height, f"{cut} · {pale}", size=SMALL, transform=axes.get_xaxis_transform())
    return figure


def _draw_blocks(axes: Axes, root: Block, columns: Sequence[float], height: float) -> list[tuple[float, str, str]]:
    """All blocks; returns what has no room inside of them: where it belongs, the text and its role."""
    width = axes.get_xlim()[1]
    notes: list[tuple[float, str, str]] = []
    for block, depth, start, is_last in _placed(root, len(columns) - 2, root.weight / height):
        end = columns[-1] if is_last else columns[depth + 1]
        share = block.weight / root.weight
        inside = not is_last and share * height >= (3.6 if depth == 1 else 2.4) * LINE  # room for what is said of it
        lines = [(block.text, depth == 1)]
        if depth == 1 and share * height >= 2.4 * LINE:
            lines.append((f"{write.percent(round(share, 2))} of entries", False))
        if block.note and inside:
            lines.append((block.note, False))
        _draw(axes, block, (columns[depth], end, start), colour(_SHADES[depth]), lines, height / root.weight)
        if (block.note and not inside) or (is_last and share >= _HOT):
            shown = write.percent(round(share, 2)) if is_last else fit(block.text, 0.5 * (width - columns[-1]), SMALL)
            text = " · ".join(filter(None, [shown, "" if inside else block.note]))
            notes.append((start + block.weight / 2, text, block.role))
    return notes


def _tree(frame: pd.DataFrame, name: str) -> Block:
    root = Block(name, "program", 0.0, 0.0)
    blocks: dict[float, tuple[Block, int]] = {}
    columns = (
        floats(frame, "position"), floats(frame, "parent_position"), words(frame, "label", "no name"), words(frame, "kind"),
        floats(frame, "entries"), floats(frame, "unseen"), words(frame, "note"), words(frame, "role"),
    )  # fmt: skip
    for position, parent, text, kind, entries, unseen, note, role in zip(*columns, strict=True):
        own = max(entries, 0.0) if known(entries) else 0.0
        hidden = min(max(unseen, 0.0), own) if known(unseen) else 0.0
        block = Block(text, kind, own, hidden, note, role)
        # A parent comes before its children in the walk; what names no earlier one stands at the top.
        above, depth = blocks.get(parent, (root, 0)) if known(parent) else (root, 0)
        if depth >= _DEEPEST:
            above.own += own
            continue
        above.below.append(block)
        if known(position):
            blocks[position] = (block, depth + 1)
    root.weigh()
    return root


def _placed(root: Block, deepest: int, pixel: float) -> Iterator[tuple[Block, int, float, bool]]:
    """Blocks with their column, where they begin, and whether nothing is drawn right of them."""
    stack = [(root, 0, 0.0)]
    while stack:
        block, depth, start = stack.pop()
        below = _merged(block.below, LINE * pixel) if depth < deepest else []
        if max((child.weight for child in below), default=0.0) < LINE * pixel:
            below = []  # slivers without a name
        yield block, depth, start, not below
        for child in below:
            stack.append((child, depth + 1, start))
            start += child.weight


def _merged(blocks: Sequence[Block], least: float) -> list[Block]:
    """Neighbours too small for a name become one block, alike ones first."""
    out: list[Block] = []
    for (small, _), group in groupby(
        [block for block in blocks if block.weight > 0],
        key=lambda block: (block.weight < least, "" if block.weight < least else id(block)),
    ):
        if not small:
            out += group
            continue
        for kind, alike in groupby(group, key=lambda block: block.kind):
            out.append(_one(list(alike), kind))
    return out


def _one(blocks: list[Block], kind: str) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    notes = {block.note for block in blocks}
    role = blocks[0].role if len(notes) == 1 else ""
    note = notes.pop() if len(notes) == 1 else ""
    made = Block(f"{len(blocks)} × {kind or 'node'}", kind, 0.0, 0.0, note, role)
    made.weight, made.unseen = sum(block.weight for block in blocks), sum(block.unseen for block in blocks)
    return made


class _PatchStyle(TypedDict, total=False):
    facecolor: str
    edgecolor: str
    linewidth: float
    hatch: str


def _draw(
    axes: Axes, block: Block, place: tuple[float, float, float], shade: str, lines: list[tuple[str, bool]], scale: float
) -> None:
    """One block: what was seen in its shade, what lies behind the cut hatched, names where there is room."""
    from matplotlib.patches import Rectangle

    left, right, start = place
    seen = block.weight - block.unseen
    edge: _PatchStyle = {"edgecolor": colour("bg"), "linewidth": 0.8}
    if seen > 0:
        axes.add_patch(Rectangle((left, start), right - left, seen, facecolor=shade, zorder=2, **edge))
    if block.unseen > 0:
        at = (left, start + seen)
        pale: _PatchStyle = {
            "facecolor": colour("faint"),
            "edgecolor": colour("rule"),
            "linewidth": 0.8,
            "hatch": "//",
        }
        axes.add_patch(Rectangle(at, right - left, block.unseen, zorder=2, **pale))
    room = right - left - 10
    if block.weight * scale < LINE - 1 or room < 24:
        return
    # Within the larger part, clear of the line between what was seen and what was not.
    middle = start + (seen / 2 if seen >= block.unseen else seen + block.unseen / 2)
    for number, (text, bold) in enumerate(lines):
        down = (number - (len(lines) - 1) / 2) * 14
        shown = fit(text, room, SMALL, bold=bold)
        annotate(axes, (left + 5, middle), shown, offset=(0, -down), name="ink", size=SMALL, bold=bold, zorder=5)


def _line(root: Block) -> float | None:
    """Where the cut runs through the walk; None where it is at other places in other runs."""
    at, after, seen_after = root.weight - root.unseen, 0.0, 0.0
    for start, own, unseen in _own(root, 0.0):
        if start >= at - 1e-9:
            after += own
            seen_after += own - unseen
    return at if after > 0 and seen_after <= 0.1 * after and math.isfinite(at) else None


def _own(block: Block, start: float) -> Iterator[tuple[float, float, float]]:
    """The own entries of every node, where they begin in the picture."""
    for child in block.below:
        yield from _own(child, start)
        start += child.weight
    yield start, block.own, block.own_unseen


def _beside(
    axes: Axes,
    notes: list[tuple[float, str, str]],
    right: float,
    line: float | None,
    cut: str,
    total: float,
    height: float,
) -> None:
    """What is said of the blocks, right of them; the cut among it, in words."""
    beside = sorted(notes, key=lambda note: note[2] not in ROLES)[:_MOST_NOTES]
    if line is not None:
        beside.append((line, cut, "ink"))
    beside.sort(key=lambda note: note[0])
    places = avoid_overlap([start / total * height for start, _, _ in beside], 14.0, 6.0, height - 4.0)
    room = axes.get_xlim()[1] - right - 14
    for place, (_, text, role) in zip(places, beside, strict=True):
        shown = [fit(text, room, SMALL)]
        if role == "ink" and pixels(text, SMALL) > room:
            head, _, tail = text.partition(" lie ")
            shown = [fit(f"{head} lie {tail}", room + 40, SMALL)]
        name = role if role in ROLES or role == "ink" else "mute"
        annotate(axes, (right, place / height * total), shown[0], offset=(10, 0), name=name, size=SMALL, zorder=6)
