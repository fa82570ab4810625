"""The tables of a finished page as CSV: what a reader sees, for a spreadsheet, and nothing that the page does not show.

They are read from the page itself, so that whatever it leaves out, masks or rounds is left out, masked and rounded here, too. An
estimate becomes four columns: its value, both ends of its interval, and its grade.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

_CALENDAR = "sa-cal"
_APART = {"sa-ci": "interval", "sa-g": "grade", "sa-axl": ""}
"""Classes of what stands in a cell beside its value; a scale is drawn, and no text."""
_NUMBER = re.compile(r"[-+]?\d{1,3}(,\d{3})*(\.\d+)?|[-+]?\d+(\.\d+)?(e[-+]?\d+)?")
_VOID = ("br", "img", "wbr")
_HARMLESS = re.compile(r"[-+]\d[\d,.]*( %)?")
"""Begins as a formula might, and is a share with its sign."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_INTERVAL = re.compile(r"\[(.+?) – (.+?)\]")
_NO_MARKUP = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TABLES_IN_SECTIONS = re.compile(r"</?section\b[^>]*>|<table\b.*?</table\s*>", re.DOTALL | re.IGNORECASE)
"""Most of a page is drawings; over them the parser, which is Python, takes longer than over the tables, so it is given these."""


class _Cell:
    """Text of one cell: its value, and what stands beside it."""

    def __init__(self) -> None:
        self.parts: dict[str, list[str]] = {"value": [], "interval": [], "grade": []}

    def text(self, part: str) -> str:
        return " ".join("".join(self.parts[part]).split())


class _Tables(HTMLParser):
    """Collects tables, each with the id of its section."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, list[list[_Cell]]]] = []
        self._section = "page"
        self._is_in_table = False
        self._cell: _Cell | None = None
        self._apart: list[tuple[str, str]] = []  # tag, and part of the cell that its text belongs to

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        classes = given.get("class", "").split()
        if tag == "section":
            self._section = given.get("id", "page")
        elif tag == "table" and _CALENDAR not in classes:
            self._is_in_table = True
            self.found.append((self._section, []))
        elif self._is_in_table and tag == "tr":
            self.found[-1][1].append([])
        elif self._is_in_table and tag in ("td", "th") and self.found[-1][1]:
            self._cell, self._apart = _Cell(), []
            self.found[-1][1][-1].append(self._cell)
        elif self._cell is not None and tag in _VOID:
            self._cell.parts["value"].append(" ")
        elif self._cell is not None:
            if tag == "small" and self._cell.text("value"):
                self._cell.parts["value"].append(" · ")
            inside = self._apart[-1][1] if self._apart else "value"
            self._apart.append((tag, next((_APART[name] for name in classes if name in _APART), inside)))

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self._section = "page"
        elif tag == "table":
            self._is_in_table, self._cell = False, None
        elif tag in ("td", "th"):
            self._cell = None
        elif self._cell is not None and self._apart and self._apart[-1][0] == tag:
            self._apart.pop()
            if tag in ("small", "span", "div"):
                self._cell.parts["value"].append(" ")

    def handle_data(self, data: str) -> None:
        if self._cell is None:
            return
        part = self._apart[-1][1] if self._apart else "value"
        if part:
            self._cell.parts[part].append(data)


def csv_tables(html: str) -> Iterator[tuple[str, str]]:
    """Name and text of a CSV file for each table of a page; the calendar of an index is none.

    Args:
        html: A finished page.
    """
    reader = _Tables()
    for part in _TABLES_IN_SECTIONS.finditer(_NO_MARKUP.sub("", html)):
        reader.feed(part[0])
    reader.close()
    counts: dict[str, int] = {}
    for section, rows in reader.found:
        counts[section] = counts.get(section, 0) + 1
        yield f"table-{section}-{counts[section]}.csv", _written(rows)


def _written(rows: Sequence[Sequence[_Cell]]) -> str:
    heads, body = rows[0], rows[1:]
    # The heading of a group of rows is one cell over all columns; it becomes the first column of the rows below it.
    has_groups = any(len(row) == 1 < len(heads) for row in body)
    apart = [
        {part for row in body if at < len(row) for part in ("interval", "grade") if row[at].text(part)}
        for at in range(len(heads))
    ]
    names = ["group"] if has_groups else []
    for at, head in enumerate(heads):
        title = head.text("value")
        names.append(title)
        names += [f"{title} low".strip(), f"{title} high".strip()] if "interval" in apart[at] else []
        names += [f"{title} grade".strip()] if "grade" in apart[at] else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_safe, names))
    group = ""
    for row in body:
        if len(row) == 1 < len(heads):
            group = row[0].text("value")
            continue
        line = [group] if has_groups else []
        for cell, also in zip(row, apart, strict=False):
            line.append(cell.text("value"))
            if "interval" in also:
                ends = _INTERVAL.search(cell.text("interval"))
                line += [ends[1], ends[2]] if ends else ["", ""]
            line += [cell.text("grade")] if "grade" in also else []
        writer.writerow(map(_safe, line))
    return out.getvalue()


def _safe(text: str) -> str:
    """A number as programs read one; any other text so that a spreadsheet takes it for no formula."""
    plain = text.replace("−", "-").replace("\u00a0", " ")
    if _NUMBER.fullmatch(plain):
        return plain.replace(",", "")
    return f"'{text}" if text.startswith(_FORMULA) and not _HARMLESS.fullmatch(plain) else text
