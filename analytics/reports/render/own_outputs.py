"""What a kernel shows of a notebook of one's own: frames and charts as the reports show them, and no way out in its midst.

Runs in the kernel's process, before the first cell.
"""

from __future__ import annotations

from itertools import count
from numbers import Integral, Real
from typing import Any

from analytics.reports import page
from analytics.reports.page import number
from analytics.reports.page.table import MOST_ROWS

_DIGITS = 6
"""Of a number with a fraction in a frame, as pandas itself shows it; the notebook's own frame keeps them all."""
_LETTERS = 200
_pictures = count(1)
_OURS = (("explore.open_lake", "OpenLake"), ("explore.estimated", "Estimated"), ("receipt.receipt", "Explained"))
"""Objects whose HTML is made of our blocks, and is not marked as such: in JupyterLab they are answers and no part of a report."""

Bundle = tuple[dict[str, Any], dict[str, Any]]


def prepare(shell: Any) -> None:
    """Teach it to an IPython shell.

    Args:
        shell: That of the kernel, before its first cell.
    """
    shell.ask_exit = _refuse_to_end
    formatter = shell.display_formatter.mimebundle_formatter
    for module in ("pandas", "pandas.core.frame"):  # its classes say the one or the other, by release
        formatter.for_type_by_name(module, "DataFrame", frame)
    for module in ("pandas", "pandas.core.series"):
        formatter.for_type_by_name(module, "Series", lambda series, **asked: frame(series.to_frame(), **asked))
    formatter.for_type_by_name("analytics.reports.charts.theme", "Picture", picture)
    for module, name in _OURS:
        formatter.for_type_by_name(f"analytics.reports.{module}", name, marked)


def _refuse_to_end() -> None:
    """What ``exit()`` and ``quit()`` call."""
    raise RuntimeError("a cell has called exit(), and a report runs to its end")


def frame(shown: Any, **_asked_for: object) -> Bundle:
    """A pandas frame as a table of the house."""
    if hasattr(shown, "_repr_mimebundle_"):  # a frame of ours that shows itself
        return marked(shown)
    heads = [str(name) if name is not None else "" for name in shown.index.names]
    names = [" · ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in shown.columns]
    is_counted = type(shown.index).__name__ == "RangeIndex"  # nobody named the rows
    cells = shown.head(MOST_ROWS).itertuples(index=True, name=None)
    titles = [*([] if is_counted else heads), *names]
    rows = [[*([] if is_counted else _index(row[0])), *row[1:]] for row in cells]
    columns = [
        page.Column(str(at), title, align="right" if _is_right(row[at] for row in rows) else "left")
        for at, title in enumerate(titles)
    ]
    table = page.table([{str(at): _cell(one) for at, one in enumerate(row)} for row in rows], columns)
    left = f"{len(shown) - len(rows):,} more rows are in the frame." if len(shown) > len(rows) else ""
    html = page.answer_rows(table, len(titles)) + (page.note(left).html if left else "")
    return page.Block(html, "\n".join(filter(None, (table.text, left))))._repr_mimebundle_()


def _index(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)  # those of numpy are registered as such


def _is_right(values: Any) -> bool:
    """A column of numbers, whatever is missing in it."""
    there = [one for one in values if not _is_missing(one)]
    return bool(there) and all(map(_is_number, there))


def _is_missing(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _cell(value: Any) -> page.Markup:
    if _is_missing(value):
        return page.mute(number.NOTHING)
    if _is_number(value) and isinstance(value, Integral):  # an id may have twenty digits
        return page.inline(f"{int(value):,}".replace("-", "−"))
    if _is_number(value):
        return page.inline(number.exact(float(f"{float(value):.{_DIGITS}g}")))
    return page.author(str(value), _LETTERS)


def marked(shown: Any, **_asked_for: object) -> Bundle:
    """What one of our objects shows, with the mark that lets it stand on a page."""
    if hasattr(shown, "_repr_mimebundle_"):
        told = shown._repr_mimebundle_()
        data = told[0] if isinstance(told, tuple) else told
    else:
        data = {"text/html": shown._repr_html_(), "text/plain": repr(shown)}
    return data, {"text/html": {"analytics": {"block": "answer"}}}


def picture(shown: Any, **_asked_for: object) -> Bundle:
    """One of our charts, in colours that follow the page's."""
    from analytics.reports import charts

    svg = charts.inline_svg(shown, f"own{next(_pictures)}")
    block = page.figure(page.Markup('<div class="sa-scroll">{}</div>').format(svg))
    return block._repr_mimebundle_()
