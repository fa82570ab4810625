"""What this reader may read without loss: the columns of the log, its programs, and rows that a policy hides."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from analytics import sql
from analytics.errors import SourceAccessError, SourceSchemaError
from analytics.lake import schema
from analytics.lake.schema import ColumnSpec
from analytics.source.connection import Connection
from analytics.sql import Parameters, Row

if TYPE_CHECKING:
    from psycopg.sql import Composed

SMALLEST_TABLE = 1_000
"""Pages (8 MB): less is read in no time."""

LARGEST_SHARE = 1 / 3
LEAST_CORRELATION = 0.9
MOST_TIMES_DEARER = 1.5

Node: TypeAlias = "Mapping[str, Any]"
"""Of a plan, as PostgreSQL writes it in JSON: the kinds of nodes have other keys each."""


def should_avoid_whole_table(explain: Callable[[bool], Node], layout: Callable[[], Row]) -> bool:
    """The window's rows are better found through an index although the planner would read everything.

    Args:
        explain: The plan of finding them; True forbids the scan of the whole table.
        layout: The row of ``sql/source/layout.sql``.
    """
    usual = explain(False)
    if not any(scans_whole_table(node) for node in plan_nodes(usual)):
        return False
    table = layout()
    if table["pages"] < SMALLEST_TABLE or table["correlation"] < LEAST_CORRELATION:
        return False
    if plan_rows(usual) > LARGEST_SHARE * table["row_estimate"]:
        return False
    other = explain(True)
    if any(scans_whole_table(node) for node in plan_nodes(other)):
        return False  # there is no index that helps
    return bool(other["Total Cost"] <= MOST_TIMES_DEARER * usual["Total Cost"])


def plan_nodes(plan: Node) -> Iterator[Node]:
    """The plan's nodes, the top one first."""
    yield plan
    for below in plan.get("Plans", []):
        yield from plan_nodes(below)


def scans_whole_table(node: Node) -> bool:
    """It reads every page, without an index."""
    return bool(node["Node Type"] == "Seq Scan")


def plan_rows(plan: Node) -> float:
    """Rows that the planner expects to come out; parts that run in parallel count as one."""
    return float(plan["Plan Rows"])


_MOST_NAMED = 3

LOG_TABLE, DEFINITION_TABLE = schema.LOG_TABLE, schema.DEFINITION_TABLE

Rows: TypeAlias = "Callable[[str, Parameters | None], list[Row]]"


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
                f"grant select (xmin) on {LOG_TABLE} to {quoted_role(role)}; a view and a foreign table have none: have the table "
                "itself read",
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


def unread_columns(table: str, wanted: Sequence[ColumnSpec], columns: Mapping[str, Row], role: str) -> UnreadColumns:
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
    reasons += (
        f"table {table} has {column.source} as {columns[column.source]['column_type']}"
        for column in strange
        if not needed or column in needed
    )
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


@dataclass(frozen=True, slots=True)
class HiddenRows:
    """Rows of a table that the role may not see.

    Attributes:
        table: Which.
        reads_as: The role whom the policies are for: the reader, or the owner of a view.
    """

    table: str
    reads_as: str

    @property
    def said(self) -> str:
        """One sentence, without its end."""
        return f"row security hides rows of {self.table} from role {self.reads_as}"

    @property
    def repair(self) -> str:
        """What somebody who owns the table can do."""
        role = quoted_role(self.reads_as)
        return (
            f"alter role {role} bypassrls; or, where that is not yours to give: "
            f"create policy reads_all on {self.table} for select to {role} using (true); a policy for some tenants is not enough"
        )


def hold(connection: Connection, table: str) -> None:
    """Lock a table as any reader does, until the transaction ends; not where it may not be read, or is not there."""
    import psycopg

    with contextlib.suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        _probe(connection, table)


def look_for_hidden_rows(connection: Connection, rows: Rows, table: str) -> HiddenRows | None:
    """Have the transaction see every row of a table, or be refused.

    Args:
        connection: In the transaction that is to read; from now on it fails where a policy would filter, unless the table's own
            policies let the role see all.
        rows: Runs a statement of ``sql/source`` by name.
        table: As the search path finds it.

    Returns:
        What is hidden, where something is.
    """
    if is_off := _switch(connection, "off"):
        if _can_read(connection, table):
            return None
        _switch(connection, "on")
        if not _can_read(connection, table):
            return None  # a right is missing altogether: whoever reads it is told which
    elif not any(found["is_active"] for found in rows("row_security", {"table": table})):
        return None  # a server that knows no such setting; behind a view nothing can be asked
    [found] = rows("row_security", {"table": table})
    # The catalog is seen as of the snapshot; a plan is made with the policies that there are now.
    if found["is_active"] and found["is_open"] and not _is_filtered(connection, table):
        return None
    if is_off:
        _switch(connection, "off")
    return HiddenRows(table, found["reads_as"])


def _switch(connection: Connection, value: str) -> bool:
    """Set it for this transaction; whether the server did."""
    import psycopg

    try:
        with connection.transaction():
            found = connection.execute("select set_config('row_security', %s, true)", [value]).fetchone()
    except psycopg.DatabaseError:
        if connection.broken:
            raise
        return False
    return found is not None and found[0] == value


def _can_read(connection: Connection, table: str) -> bool:
    import psycopg

    try:
        _probe(connection, table)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _is_filtered(connection: Connection, table: str) -> bool:
    """A plan that reads the whole table leaves rows out: a policy that is ``true`` leaves nothing behind in it."""
    from psycopg import sql as composed

    statement = composed.SQL("explain (format json) " + sql.text("source", "probe").replace("limit 0", ""))
    found = connection.execute(statement.format(table=composed.Identifier(table))).fetchone()
    plan = found[0][0]["Plan"] if found else {}
    return any(key.endswith(("Filter", "Cond")) for node in plan_nodes(plan) for key in node)


def _probe(connection: Connection, table: str) -> None:
    from psycopg import sql as composed

    with connection.transaction():
        connection.execute(composed.SQL(sql.text("source", "probe")).format(table=composed.Identifier(table)))
