"""Names with what they mean: a frame that shows its sentences whole, in a cell and in a terminal."""

from __future__ import annotations

import shutil
import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

from analytics import page

if TYPE_CHECKING:
    import pandas as pd

_LEAST = 30
_NAMES = ("view", "column", "name", "type", "parameters", "parameter")


def listing(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame; what is made of it is an ordinary one."""
    made: pd.DataFrame = _kind()(frame)
    return made


@cache
def _kind() -> type[Any]:
    import pandas as pd

    class Listing(pd.DataFrame):  # type: ignore[misc]  # pandas ships no types
        """A frame of names and sentences."""

        def _repr_mimebundle_(
            self, include: object = None, exclude: object = None
        ) -> tuple[dict[str, Any], dict[str, Any]]:
            columns = [page.Column(name, name, role="wide" if name == self.columns[-1] else None) for name in self]
            cells = [{name: _shown(name, cell) for name, cell in row.items()} for row in self.to_dict("records")]
            table = page.table(cells, columns)
            html = page.Markup('<div class="rows">{}</div>').format(table.html)
            return page.Block(html, repr(self), "answer")._repr_mimebundle_()

        def __repr__(self) -> str:
            return _text(self)

    return Listing


def _shown(name: str, cell: Any) -> page.Markup:
    text = "" if cell is None or cell != cell else str(cell)
    return page.mono(page.author(text)) if name in _NAMES and text else page.inline(text)


def _text(frame: pd.DataFrame) -> str:
    """Columns as wide as they must be, the last one wrapped to the terminal."""
    rows = [[str(name) for name in frame.columns], *([_plain(cell) for cell in row] for row in frame.to_numpy())]
    if len(rows) == 1:
        return "(nothing)"
    *heads, _ = zip(*rows, strict=True)
    widths = [max(map(len, column)) for column in heads]
    before = sum(width + 2 for width in widths)
    room = max(shutil.get_terminal_size((120, 24)).columns - before, _LEAST)
    told = []
    for row in rows:
        first, *rest = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        head = "".join(f"{cell:{width}}  " for cell, width in zip(row[:-1], widths, strict=True))
        told += [head + first, *(" " * before + line for line in rest)]
    return "\n".join(line.rstrip() for line in told)


def _plain(cell: Any) -> str:
    return "" if cell is None or cell != cell else page.visible(str(cell))
