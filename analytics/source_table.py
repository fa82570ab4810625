"""Is the log table what this package can read without loss? If not, say what is missing and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from analytics import schema
from analytics.errors import SourceAccessError, SourceSchemaError

_MOST_NAMED = 3

LOG_TABLE, DEFINITION_TABLE = schema.LOG_TABLE, schema.DEFINITION_TABLE

Rows: TypeAlias = "Callable[[str, dict[str, Any] | None], list[dict[str, Any]]]"


@dataclass(frozen=True, slots=True)
class Changes:
    """What shows that a row of the log was updated.

    Attributes:
        columns: ``xmin``, which moves with every update; ``updated_at`` where that cannot be read; both where some parts of the
            table have no xmin of their own.
        parts: Those parts.
    """

    columns: tuple[str, ...] = ("xmin",)
    parts: tuple[str, ...] = ()

    def blind_spot(self, role: str) -> tuple[str, str] | None:
        """Which updates are missed, and what would mend that, in words; ``None`` where none is."""
        if self.parts:
            some = f"{len(self.parts)} part{'s' * (len(self.parts) != 1)} of {LOG_TABLE} ({', '.join(self.parts[:_MOST_NAMED])}"
            return (
                f"{some}{', …' * (len(self.parts) > _MOST_NAMED)}) cannot tell by xmin that a row was updated, as foreign tables "
                "cannot: there an update is noticed only when it moves updated_at",
                "have whoever changes rows there set updated_at, or extract those days with --force afterwards",
            )
        if "xmin" not in self.columns:
            return (
                "xmin cannot be read: an update of a row is noticed only when it moves updated_at",
                f"grant select (xmin) on {LOG_TABLE} to {quoted_role(role)}; a view has none: have the table read itself",
            )
        return None


@dataclass(frozen=True, slots=True)
class LogTable:
    """What was found.

    Attributes:
        unread_columns: Columns that the lake does not carry.
        changes: What shows that a row was updated.
        numbers: Of the columns that are read, in the server's catalog: a column that is dropped and added again has another one.
    """

    unread_columns: list[str]
    changes: Changes
    numbers: str = ""


def check_log_table(rows: Rows) -> LogTable:
    """Refuse a log table that cannot be read without loss.

    Args:
        rows: Runs a statement of ``sql/source`` by name.

    Raises:
        SourceSchemaError, SourceAccessError: What is missing, by name, and the statement that repairs it.
    """
    columns = {row["column_name"]: row for row in rows("columns", {"table": LOG_TABLE})}
    if not columns:
        _explain_missing_table(rows)
    missing = [c.source for c in schema.EXECUTION_COLUMNS if c.source not in columns]
    if missing:
        raise SourceSchemaError(
            f"table {LOG_TABLE} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            hint="this package reads the engine's table as it is; was the table renamed or the engine changed?",
            table=LOG_TABLE,
            columns=missing,
        )
    for column in schema.EXECUTION_COLUMNS:
        found = columns[column.source]["column_type"]
        if found not in column.types:
            raise SourceSchemaError(
                f"column {column.source} of {LOG_TABLE} has type {found}, and only {' or '.join(column.types)} is read"
                " without loss",
                hint="change the type back, or open a view of the same name with a cast before it on the search path",
                table=LOG_TABLE,
                column=column.source,
                column_type=found,
            )
    denied = [c.source for c in schema.EXECUTION_COLUMNS if not columns[c.source]["is_readable"]]
    if denied:
        [who] = rows("whoami", None)
        raise SourceAccessError(
            f"role {who['role']} may not read {named_columns(denied)} of {LOG_TABLE}",
            hint=column_grant(LOG_TABLE, denied, who["role"]),
            table=LOG_TABLE,
            columns=denied,
        )
    known = {c.source for c in schema.EXECUTION_COLUMNS} | schema.NEVER_EXTRACTED
    # A view has no xmin, and a grant on columns leaves it out: there, a change is seen only if it moves updated_at.
    has_xmin = next(iter(columns.values()))["has_xmin"]
    parts = rows("parts", None) if has_xmin else []
    if not has_xmin or not all(part["is_foreign"] for part in parts):
        moving: tuple[str, ...] = ("updated_at",)
    else:
        moving = ("xmin", "updated_at") if parts else ("xmin",)
    numbers = ".".join(str(columns[c.source]["column_number"]) for c in schema.EXECUTION_COLUMNS)
    return LogTable(
        sorted(set(columns) - known), Changes(moving, tuple(ascii(part["part"])[1:-1] for part in parts)), numbers
    )


def ids_twice(count: int, some: Sequence[str]) -> SourceSchemaError:
    """One run stands several times in the log, and would be counted as several.

    Args:
        count: Ids of which that is so.
        some: A few of them.
    """
    return SourceSchemaError(
        f"{count} id{'s' * (count != 1)} stand{'s' * (count == 1)} more than once in {LOG_TABLE} ({', '.join(some)}"
        f"{', …' * (count > len(some))}), and each would be counted as several runs; nothing more was written",
        hint="where the log is a view over live and archived rows, have it leave out of one what is in the other, or extract again "
        "when the job that moves rows is done; where it is one table, a unique key on id keeps that from happening",
        table=LOG_TABLE,
        ids=list(some),
    )


def column_grant(table: str, columns: Sequence[str], role: str) -> str:
    """The statement that lets a role read some columns of a table, and no other: not a credential that lies beside them."""
    return f"grant select ({', '.join(map(_quoted, columns))}) on {table} to {quoted_role(role)};"


def named_columns(columns: Sequence[str]) -> str:
    """Columns in words: all of a few, else the first ones and how many."""
    if len(columns) <= _MOST_NAMED:
        return f"column{'s' * (len(columns) != 1)} {', '.join(columns)}"
    return f"{len(columns)} columns ({', '.join(columns[:_MOST_NAMED])}, …)"


def quoted_role(role: str) -> str:
    """A role's name as SQL has it, whatever is in it."""
    return '"' + role.replace('"', '""') + '"'


def _quoted(column: str) -> str:
    return column if re.fullmatch(r"[a-z_]+", column) else f'"{column}"'


def _explain_missing_table(rows: Rows) -> NoReturn:
    [where] = rows("whoami", None)
    for other in rows("elsewhere", {"table": LOG_TABLE}):
        if not other["has_usage"]:
            raise SourceAccessError(
                f"role {where['role']} may not use schema {other['schema_name']}, which holds {LOG_TABLE}",
                hint=f'grant usage on schema "{other["schema_name"]}" to {quoted_role(where["role"])};',
                table=LOG_TABLE,
            )
        raise SourceSchemaError(
            f"table {LOG_TABLE} is in schema {other['schema_name']}, off the search path ({where['search_path']})",
            hint=f"add ?options=-csearch_path%3D{other['schema_name']} to the URL",
            table=LOG_TABLE,
        )
    raise SourceSchemaError(
        f"there is no table {LOG_TABLE} in database {where['database']}",
        hint="is this the engine's database? check --database-url, ANALYTICS_DATABASE_URL or DATABASE_URL",
        table=LOG_TABLE,
    )
