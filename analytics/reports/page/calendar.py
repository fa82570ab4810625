"""A calendar: rows over days, a coloured cell for each, a shape in it for those who do not see the colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal, TypeAlias

from analytics.reports.page import number as write
from analytics.reports.page.blocks import Block
from analytics.reports.page.inline import Inline, Markup, inline, local, plain, visible

Kind: TypeAlias = Literal[
    "new", "worse", "known", "fixed", "quiet", "failed", "no data", "missing",
    "complete", "empty", "partial", "not extracted", "stale", "expired", "",
]  # fmt: skip
"""What a report found on a day, or what a lake holds of it; empty where nothing was to be expected."""

_CLASSES = {
    "new": "sa-f",
    "worse": "sa-o",
    "known": "sa-w",
    "fixed": "sa-k",
    "quiet": "sa-q",
    "failed": "sa-x",
    "no data": "sa-n",
    "missing": "sa-m",
    "complete": "sa-w",
    "empty": "sa-q",
    "partial": "sa-o",
    "not extracted": "sa-m",
    "stale": "sa-x",
    "expired": "sa-m",
}
_SHAPES = {
    "new": "●",
    "worse": "▲",
    "known": "◆",
    "fixed": "✓",
    "failed": "×",
    "no data": "?",
    "empty": "–",
    "partial": "◐",
    "stale": "!",
}
_WORDS = {
    "new": "new finding",
    "worse": "worse",
    "known": "known",
    "fixed": "fixed",
    "quiet": "quiet",
    "failed": "report failed",
    "no data": "days not in the lake",
    "missing": "no report was made",
    "complete": "complete",
    "empty": "complete, nothing logged",
    "partial": "rows may still arrive",
    "not extracted": "not extracted",
    "stale": "the file was changed",
    "expired": "dropped on purpose",
}
_DAYS_ON_A_PHONE = 10


@dataclass(frozen=True)
class Day:
    """One cell.

    Attributes:
        kind: What it was.
        href: The page; empty for none.
        more: Said beside the kind in the tooltip.
    """

    kind: Kind
    href: str = ""
    more: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the calendar: its name, and a cell for each day.

    Attributes:
        label: What a reader sees.
        days: As many as the calendar has.
        is_group: It heads those that follow.
    """

    label: Inline
    days: Sequence[Day]
    is_group: bool = False


def calendar(days: Sequence[date], rows: Sequence[Row]) -> Block:
    """The calendar.

    Args:
        days: Its columns, oldest first; a phone shows the last ten.
        rows: Its lines.

    Raises:
        ValueError: A link leads outside, or a row has another number of days.
    """
    far = len(days) - _DAYS_ON_A_PHONE
    months = Markup("").join(_month(name, [place for place, _ in group], far) for name, group in _by_month(days))
    heads = Markup("").join(
        Markup('<th scope="col"{}>{}<br>{}</th>').format(_far(place, far), day.day, write.day(day)[:2])
        for place, day in enumerate(days)
    )
    body = Markup("").join(_row(row, days, far) for row in rows)
    html = Markup(
        '<table class="sa-cal"><thead><tr><th class="sa-nm"></th>{}</tr><tr><th class="sa-nm"></th>{}</tr></thead>'
        "<tbody>{}</tbody></table>"
    ).format(months, heads, body)
    lines = [
        f"{plain(row.label)}, {write.day(day)}: {_WORDS[cell.kind]}"
        for row in rows
        for day, cell in zip(days, row.days, strict=False)
        if cell.kind and cell.kind != "quiet"
    ]
    return Block(html, "\n".join(lines) or "Nothing but quiet days.")


def calendar_key(kinds: Sequence[str]) -> Block:
    """What the colours and shapes mean; only those that occur."""
    html = Markup("").join(
        Markup("<span>{}{}</span>").format(
            Markup('<i class="sa-c {}">{}</i>').format(_CLASSES[kind], _shape(kind)), word
        )
        for kind, word in _WORDS.items()
        if kind in kinds
    )
    return Block(Markup('<p class="sa-calkey">{}</p>').format(html), "")


def _by_month(days: Sequence[date]) -> list[tuple[str, list[tuple[int, date]]]]:
    grouped = groupby(enumerate(days), key=lambda pair: (pair[1].year, pair[1].month))
    listed = [list(group) for _, group in grouped]
    return [(write.day(group[0][1]).split()[-1], group) for group in listed]


def _month(name: str, places: Sequence[int], far: int) -> Markup:
    """A month's name over its days; where a phone hides a part of them, over each part."""
    hidden = [place for place in places if place < far]
    parts = [(len(hidden), ' class="sa-mo sa-far"'), (len(places) - len(hidden), ' class="sa-mo"')]
    named = [(count, kind) for count, kind in parts if count]
    # Over a single day there is no room for a whole name: the next month's would stand in it.
    short = name[:3] if len(places) == 1 else name
    # A wide page would show the name twice where the month is in two parts; the first is enough there.
    return Markup("").join(
        Markup('<th{} colspan="{}">{}</th>').format(
            Markup(kind), count, short if place == 0 else Markup('<span class="sa-near">{}</span>').format(name)
        )
        for place, (count, kind) in enumerate(named)
    )


def _far(place: int, far: int) -> Markup:
    return Markup(' class="sa-far"') if place < far else Markup("")


def _row(row: Row, days: Sequence[date], far: int) -> Markup:
    if len(row.days) != len(days):
        raise ValueError(f"{plain(row.label)} has {len(row.days)} of {len(days)} days")
    cells = Markup("").join(
        Markup("<td{}>{}</td>").format(_far(place, far), _cell(cell, row, day))
        for place, (day, cell) in enumerate(zip(days, row.days, strict=True))
    )
    kind = Markup(' class="sa-grp"') if row.is_group else Markup("")
    return Markup('<tr{}><th scope="row" class="sa-nm">{}</th>{}</tr>').format(kind, inline(row.label), cells)


def _cell(cell: Day, row: Row, day: date) -> Markup:
    if not cell.kind:
        return Markup("")
    label = f"{plain(row.label)}, {write.day(day)}: {_WORDS[cell.kind]}"
    title = visible(f"{label}. {cell.more}" if cell.more else label)[:300]
    if cell.href:
        return Markup('<a class="sa-c {}" href="{}" title="{}">{}</a>').format(
            _CLASSES[cell.kind], local(cell.href), title, _shape(cell.kind)
        )
    return Markup('<span class="sa-c {}" title="{}">{}</span>').format(_CLASSES[cell.kind], title, _shape(cell.kind))


def _shape(kind: str) -> str:
    return _SHAPES.get(kind, "\u00a0")
