"""Does row security hide rows of a table from the role? What is hidden looks as if it were not there.

With ``row_security`` off PostgreSQL refuses a query that a policy would filter, also one through a view (whose owner's policies
count). That refusal is asked for, once and before anything is read: a day with hidden rows would be called complete, and rows
that the lake has would be taken for deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from analytics import sql
from analytics.scan_plan import nodes
from analytics.source_table import quoted_role

if TYPE_CHECKING:
    import psycopg

Rows: TypeAlias = "Callable[[str, dict[str, Any] | None], list[dict[str, Any]]]"


@dataclass(frozen=True, slots=True)
class Hidden:
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


def hold(connection: psycopg.Connection[Any], table: str) -> None:
    """Lock a table as any reader does, until the transaction ends; not where it may not be read, or is not there."""
    import psycopg

    with contextlib.suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        _probe(connection, table)


def look(connection: psycopg.Connection[Any], rows: Rows, table: str) -> Hidden | None:
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
    return Hidden(table, found["reads_as"])


def _switch(connection: psycopg.Connection[Any], value: str) -> bool:
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


def _can_read(connection: psycopg.Connection[Any], table: str) -> bool:
    import psycopg

    try:
        _probe(connection, table)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _is_filtered(connection: psycopg.Connection[Any], table: str) -> bool:
    """A plan that reads the whole table leaves rows out: a policy that is ``true`` leaves nothing behind in it."""
    from psycopg import sql as composed

    statement = composed.SQL("explain (format json) " + sql.text("source", "probe").replace("limit 0", ""))
    found = connection.execute(statement.format(table=composed.Identifier(table))).fetchone()
    plan = found[0][0]["Plan"] if found else {}
    return any(key.endswith(("Filter", "Cond")) for node in nodes(plan) for key in node)


def _probe(connection: psycopg.Connection[Any], table: str) -> None:
    from psycopg import sql as composed

    with connection.transaction():
        connection.execute(composed.SQL(sql.text("source", "probe")).format(table=composed.Identifier(table)))
