"""What can be read of the table of programs: older engines lack some of its columns, and a role may not see them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics import schema, sql
from analytics.schema import ColumnSpec
from analytics.source_table import column_grant, named_columns

if TYPE_CHECKING:
    from psycopg.sql import Composed


@dataclass(frozen=True, slots=True)
class UnreadColumns:
    """Columns that cannot be read.

    Attributes:
        names: As the lake calls them.
        why: In words; empty where everything can be read.
        is_all: One of them is needed for any of the others to mean something.
    """

    names: frozenset[str] = frozenset()
    why: str = ""
    is_all: bool = False


def unread_columns(
    table: str, wanted: Sequence[ColumnSpec], columns: Mapping[str, Mapping[str, Any]], role: str
) -> UnreadColumns:
    """What of a table cannot be read, and why.

    Args:
        table: Which.
        wanted: Its columns, and which of them are optional.
        columns: What the server tells of them, by name (``sql/source/columns.sql``).
        role: Whose rights are used.
    """
    if not columns:
        return UnreadColumns(why=f"table {table} is not there or not visible", is_all=True)
    missing = [column for column in wanted if column.source not in columns]
    others = [column for column in wanted if column not in missing]
    strange = [column for column in others if columns[column.source]["column_type"] not in column.types]
    denied = [column for column in others if not columns[column.source]["is_readable"]]
    needed = [column for column in (*missing, *strange, *denied) if not column.is_optional]
    reasons = []
    if missing and (not needed or set(missing) & set(needed)):
        reasons.append(f"table {table} lacks {', '.join(column.source for column in missing)}")
    for column in strange:
        if not needed or column in needed:
            reasons.append(f"table {table} has {column.source} as {columns[column.source]['column_type']}")
    if denied and (not needed or set(denied) & set(needed)):
        names = [column.source for column in denied]
        reasons.append(f"no right to read {named_columns(names)} of {table} ({column_grant(table, names, role)})")
    unread = frozenset(column.lake for column in (*missing, *strange, *denied))
    return UnreadColumns(unread, "; ".join(reasons), bool(needed))


def select_definitions(unread: frozenset[str]) -> Composed:
    """The statement that reads the programs, with NULL in the place of what cannot be read.

    Args:
        unread: As the lake calls them.
    """
    from psycopg import sql as composed

    def place(column: ColumnSpec) -> composed.Composable:
        if column.lake not in unread:
            return composed.Identifier(column.source)
        return composed.SQL("null::timestamptz" if "timestamp with time zone" in column.types else "null::text")

    return composed.SQL(sql.text("source", "definitions")).format(
        **{column.lake: place(column) for column in schema.DEFINITION_COLUMNS}
    )
