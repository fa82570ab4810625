"""What a question of the lake gives: DuckDB's relation, which names the damaged file when its rows cannot be read.

A relation runs when its rows are asked for, long after the call that made it, and again each time: so what may go wrong goes wrong
there, out of the hands of whoever opened the lake.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import duckdb

Asked = Callable[[Callable[[], Any]], Any]


class Answer:
    """A relation; all that it can is DuckDB's own.

    Args:
        relation: DuckDB's.
        asked: Runs a question, and makes a sentence of damage.
    """

    __slots__ = ("_asked", "relation")

    def __init__(self, relation: Any, asked: Asked) -> None:
        self.relation, self._asked = relation, asked

    def __getattr__(self, name: str) -> Any:
        if name in Answer.__slots__:  # not made yet: somebody copies it
            raise AttributeError(name)
        value = self._asked(lambda: getattr(self.relation, name))  # some attributes run the query
        if not callable(value):
            return value

        @functools.wraps(value)
        def called(*args: Any, **options: Any) -> Any:
            return self._made(
                lambda: getattr(self.relation, name)(
                    *map(_plain, args), **{key: _plain(option) for key, option in options.items()}
                )
            )

        return called

    def _made(self, ask: Callable[[], Any]) -> Any:
        import duckdb

        found = self._asked(ask)
        return Answer(found, self._asked) if isinstance(found, duckdb.DuckDBPyRelation) else found

    def __dir__(self) -> list[str]:
        return dir(self.relation)  # what a notebook completes

    def __getitem__(self, columns: Any) -> Any:
        return self._made(lambda: self.relation[columns])

    def __len__(self) -> int:
        return int(self._asked(lambda: len(self.relation)))

    def __contains__(self, column: object) -> bool:
        return column in self.relation

    def __repr__(self) -> str:
        return str(self._asked(lambda: repr(self.relation)))

    def __str__(self) -> str:
        return str(self._asked(lambda: str(self.relation)))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._asked(lambda: self.relation.__arrow_c_stream__(requested_schema))


def answer(relation: duckdb.DuckDBPyRelation, asked: Asked) -> duckdb.DuckDBPyRelation:
    """The relation as an ``Answer``; it can all that its type says."""
    return cast("duckdb.DuckDBPyRelation", Answer(relation, asked))


def _plain(value: Any) -> Any:
    return value.relation if isinstance(value, Answer) else value
