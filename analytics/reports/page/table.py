"""Tables that become cards on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias

from analytics.reports.page import number as write
from analytics.reports.page.blocks import Block
from analytics.reports.page.inline import (
    MOST_ON_A_PHONE,
    ROLES,
    Inline,
    Markup,
    author,
    coloured,
    est,
    grade,
    inline,
    mono,
    more,
    plain,
    written,
)

Kind: TypeAlias = Literal[
    "text",
    "author",
    "mono",
    "count",
    "exact",
    "number",
    "percent",
    "ms",
    "time",
    "day",
    "estimate",
    "interval",
    "grade",
]
RowClass: TypeAlias = Literal["hot", "quiet", "sum"]

MOST_ROWS = 400
"""A page stays below 5 MB however many strategies there are; a person reads no more."""

_RIGHT = {"count", "exact", "number", "percent", "ms", "estimate"}
_ROW_CLASSES = ("hot", "quiet", "sum")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: The key of the row. Kind "estimate" also reads `<key>_low`, `<key>_high` and `<key>_grade` or `grade`
            when the value under the key is a plain number.
        title: The heading, and the label on a phone's card.
        align: "left" or "right"; numbers stand right unless told otherwise.
        kind: How values are written. "author" is a tenant's text; "interval" is the interval of `<key>` alone.
        role: What the cell is: "name" heads a card, "wide" takes a whole line of it, "rank" is dropped there;
            a colour role (before, finding, worse, fixed) colours it.
        unit: Unit of numbers and estimates; "%" takes shares of one.
        sign: Writes "+" before what is positive.
    """

    key: str
    title: Inline = ""
    align: Literal["left", "right"] | None = None
    kind: Kind = "text"
    role: str | None = None
    unit: str = ""
    sign: bool = False

    @property
    def right(self) -> bool:
        """Whether values stand at the right edge."""
        return self.align == "right" if self.align else self.kind in _RIGHT


def table(
    rows: Any,
    columns: Sequence[Column],
    row_class: str | Callable[[Mapping[str, Any]], str | None] | None = None,
    group: str | None = None,
    empty: Inline = "No rows.",
) -> Block:
    """A table of mappings or of a data frame: its first `MOST_ROWS` rows, and how many more there are.

    Args:
        rows: A sequence of mappings, or a frame with `to_dict("records")`.
        columns: What to show, in order.
        row_class: "hot" (what matters), "quiet" (no change) or "sum" (a total), by a function of the row or the key
            that holds it.
        group: Key whose changes start a new group with a heading.
        empty: The sentence that stands for a table without rows.
    """
    records: list[Mapping[str, Any]] = rows.to_dict("records") if hasattr(rows, "to_dict") else list(rows)
    if not records:
        return Block(Markup('<p class="sa-note">{}</p>').format(inline(empty)), plain(empty))
    titles = Markup("").join(
        Markup("<th{}>{}</th>").format(_heading(column), inline(column.title)) for column in columns
    )
    body: list[Markup] = []
    lines = ["\t".join(plain(column.title) for column in columns)]
    last: Any = object()
    for record in records[:MOST_ROWS]:
        if group is not None and record.get(group) != last:
            last = record.get(group)
            body.append(Markup('<tr class="sa-grp"><td colspan="{}">{}</td></tr>').format(len(columns), inline(last)))
        cells = [_value(column, record) for column in columns]
        lines.append("\t".join(plain(cell) for cell in cells))
        marked = Markup("").join(_cell(column, cell) for column, cell in zip(columns, cells, strict=True))
        body.append(Markup("<tr{}>{}</tr>").format(_class(row_class, record), marked))
    html = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(titles, Markup("").join(body))
    if len(records) > MOST_ON_A_PHONE:
        html += more(min(len(records), MOST_ROWS), "rows")
    if len(records) > MOST_ROWS:
        left = f"{len(records) - MOST_ROWS:,} more rows have no room on a page."
        html, lines = html + Markup('<p class="sa-note">{}</p>').format(left), [*lines, left]
    return Block(html, "\n".join(lines))


_ON_PAPER = ((16, " sa-cards"), (8, " sa-broad"))
"""Columns for which a sheet of A4 has no room any more: across, and upright."""


def answer_rows(shown: Block, columns: int) -> Markup:
    """A table of whatever columns somebody has asked for: scrolled on a screen, and on paper turned or cut into cards.

    Args:
        shown: The table.
        columns: How many it has.
    """
    paper = next((name for most, name in _ON_PAPER if columns > most), "")
    return Markup('<div class="sa-rows{}">{}</div>').format(paper, shown.html)


def _class(row_class: str | Callable[[Mapping[str, Any]], str | None] | None, record: Mapping[str, Any]) -> Markup:
    name = row_class(record) if callable(row_class) else record.get(row_class) if row_class else None
    return Markup(' class="sa-{}"').format(name) if name in _ROW_CLASSES else Markup("")


def _cell(column: Column, shown: Markup) -> Markup:
    classes = ["sa-r"] if column.right else []
    if column.role in ("name", "wide", "rank"):
        classes.append(f"sa-x-{column.role}")
    # A heading may hold a scale, which belongs to the column and not to the card.
    label = plain(Markup(inline(column.title).partition('<span class="sa-axl">')[0]))
    return Markup("<td{}{}>{}</td>").format(
        Markup(' class="{}"').format(" ".join(classes)) if classes else "",
        Markup(' data-l="{}"').format(label) if label and column.role not in ("name", "rank") else "",
        shown,
    )


def _value(column: Column, record: Mapping[str, Any]) -> Markup:
    value = record.get(column.key)
    shown = _shown(column, value, record)
    # Estimates colour only their number; an empty cell has nothing to colour.
    return coloured(shown, column.role) if column.role in ROLES and column.kind != "estimate" and shown else shown


def _shown(column: Column, value: Any, record: Mapping[str, Any]) -> Markup:
    if isinstance(value, Markup):
        return value
    if hasattr(value, "html"):
        return Markup(value.html)
    if column.kind in ("estimate", "interval"):
        found = value if hasattr(value, "value") else _estimate(column.key, value, record)
        unit = column.unit or None
        if column.kind == "interval":
            return Markup('<span class="sa-ci">{}</span>').format(written(found, unit=unit, sign=column.sign)[1])
        return est(found, column.role, unit=unit, sign=column.sign)
    if _missing(value):
        return Markup("") if column.kind in ("text", "grade") and value is None else inline(write.NOTHING)
    if column.kind == "text" and not isinstance(value, str | int | float) and isinstance(value, Iterable):
        return inline(value)
    writers: dict[str, Callable[[Any], Markup]] = {
        "author": author,
        "mono": lambda text: mono(author(text)),
        "grade": grade,
        "count": lambda n: inline(write.count(n)),
        "exact": lambda n: inline(write.exact(n, sign=column.sign)),
        "number": lambda n: inline(write.number(n, unit=column.unit, sign=column.sign)),
        "percent": lambda n: inline(write.percent(n, sign=column.sign)),
        "ms": lambda n: inline(write.ms(n)),
        "time": lambda moment: inline(write.when(moment)),
        "day": lambda moment: inline(write.day(moment)),
    }
    return writers.get(column.kind, lambda text: inline(str(text)))(value)


def _estimate(key: str, value: Any, record: Mapping[str, Any]) -> Any:
    mark = record.get(f"{key}_grade", record.get("grade"))
    return SimpleNamespace(value=value, low=record.get(f"{key}_low"), high=record.get(f"{key}_high"), grade=mark)


def _missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def _heading(column: Column) -> Markup:
    """Classes of a heading: right-aligned; of estimates, which the style sheet marks where they are in doubt."""
    names = [
        *(["sa-r"] if column.right else []),
        *(["sa-e"] if re.search(r"\best(\.|imated)", plain(column.title)) else []),
    ]
    return Markup(' class="{}"').format(" ".join(names)) if names else Markup("")
