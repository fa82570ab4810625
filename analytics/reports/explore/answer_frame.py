"""The answer of a named query: a pandas frame that a cell and a terminal show as a table, estimates in one cell each."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from analytics import sql
from analytics.reports import page
from analytics.reports.explore import results
from analytics.reports.explore.answer_table import EstimateCell, arranged, folded, order_of
from analytics.reports.page.inline import shorten, visible
from analytics.warehouse.catalog import to_polars

_LETTERS = 60


class AnswerFrame(pd.DataFrame):  # type: ignore[misc]  # pandas ships no types
    """A frame, and used like any; what is made of its rows and columns shows itself as it does.

    ``frame`` is the same without that, ``pl()`` the same in polars. A frame with an index of its own, as ``groupby`` makes, is
    shown as pandas shows it: a table would leave the index out.
    """

    _metadata: ClassVar[list[str]] = ["_query"]
    _query: str

    @property
    def _constructor(self) -> type[AnswerFrame]:
        return AnswerFrame

    @property
    def frame(self) -> pd.DataFrame:
        """An ordinary frame, with every column as the query gives it: estimates with their ends and grades."""
        return pd.DataFrame(self)

    def pl(self) -> Any:
        """The same in polars.

        Raises:
            ConfigurationError: polars is not installed.
        """
        return to_polars(self.frame)

    @property
    def _is_answer(self) -> bool:
        index = self.index
        names = [name for name in self.columns if isinstance(name, str)]
        is_plain = index.nlevels == 1 and index.name is None and index.dtype.kind == "i"
        return is_plain and 0 < len(names) == len(self.columns) == len(set(names))

    def _shown(self) -> tuple[list[str], list[list[Any]]]:
        first = self.iloc[: results.MOST_ROWS]
        rows = first.astype(object).where(first.notna(), None).to_numpy(dtype=object).tolist()
        query = getattr(self, "_query", "")
        order = order_of(sql.whole(sql.text("queries", query)), list(self.columns)) if query else []
        names, told = folded(list(self.columns), rows)
        places = [names.index(name) for name in arranged(names, order)]
        return [names[place] for place in places], [[row[place] for place in places] for row in told]

    def _repr_mimebundle_(self, **asked_for: object) -> tuple[dict[str, Any], dict[str, Any]] | None:
        return self._block()._repr_mimebundle_(**asked_for) if self._is_answer else None

    def _repr_html_(self) -> str | None:
        if not self._is_answer:
            return super()._repr_html_()  # type: ignore[no-any-return]
        return self._block()._repr_mimebundle_()[0]["text/html"]

    def __repr__(self) -> str:
        return self._block().text if self._is_answer else super().__repr__()

    def _block(self) -> page.Block:
        names, rows = self._shown()
        if not rows:
            note = page.note(f"No rows. Columns: {', '.join(map(visible, names))}.")
            return page.Block(note.html, note.text, "answer")
        columns = [
            page.Column(
                str(place), visible(name), align="right" if _are_numbers(row[place] for row in rows) else "left"
            )
            for place, name in enumerate(names)
        ]
        shown = [{str(place): _cell(value) for place, value in enumerate(row)} for row in rows]
        table = page.table(shown, columns)
        more = len(self) > results.MOST_ROWS
        below = f"The first {results.MOST_ROWS} of {len(self):,} rows." if more else results.counted(len(rows))
        below += " .frame has every column, and all rows."
        html = page.answer_rows(table, len(columns)) + page.note(below).html
        text = results.aligned([visible(name) for name in names], [[_text(value) for value in row] for row in rows])
        return page.Block(html, f"{text}\n{below}", "answer")


def answer_frame(frame: pd.DataFrame, query: str) -> AnswerFrame:
    """The answer of a named query, as ``lake.run`` gives it."""
    made = AnswerFrame(frame)
    made._query = query  # noqa: SLF001  # of our own class
    return made


def _are_numbers(values: Any) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float | EstimateCell) and not isinstance(value, bool) for value in known
    )


def _cell(value: Any) -> page.Markup:
    return value.html if isinstance(value, EstimateCell) else results.value(value)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, EstimateCell) else shorten(results.text(value), _LETTERS)
