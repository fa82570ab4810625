"""PostgreSQL → record batches. The only module that asks the server for rows.

One read-only REPEATABLE READ transaction answers everything a run asks, so the fingerprint, the rows and the definitions
are of the same moment.
"""

from __future__ import annotations

import contextlib
import logging
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from analytics import sql
from analytics.config import PATIENCE
from analytics.errors import SourceAccessError, SourceError, SourceSchemaError
from analytics.lake import schema
from analytics.model import Fingerprint, Partition, RealmFilter, Span, TransactionIds, Watermark
from analytics.source import table_check
from analytics.source.connection import Connection, Session, connect
from analytics.source.copy_stream import copy_blocks
from analytics.source.refusals import POOL_IS_EMPTY
from analytics.source.server_errors import STANDBYS_REPAIR, explain_server_error
from analytics.source.table_check import (
    DEFINITION_TABLE,
    LOG_TABLE,
    Changes,
    UnreadColumns,
    check_log_table,
    ids_twice,
    select_definitions,
    should_avoid_whole_table,
    unread_columns,
)
from analytics.source.watermark import COMMIT_LAG, read_watermark
from analytics.sql import Parameters, Row
from analytics.window import ONE_DAY, Window

if TYPE_CHECKING:
    import psycopg

    from analytics.estimates.arrays import Bytes

_log = logging.getLogger(__name__)

UNKNOWN_BYTES = 1 << 62
_SNAPSHOTS = 5
_REFUSALS = ("0A", "42")
"""Classes of SQLSTATE: a feature is not supported; a function, view or right is missing."""


class Source:
    """One snapshot of the server. Use as a context manager.

    Args:
        url: SQLAlchemy or libpq URL or ``key=value`` string; empty for libpq's own variables.
        lag: How long after its ``created_at`` a row's transaction may begin.
        patience: Transactions older than this are not waited for.

    Attributes:
        watermark: Up to when rows can be taken as committed.
        unread_columns: Columns of the log table that the lake does not carry.
        changes: What shows that a row was updated.
        role: Whose rights are used.
        unread_of_programs: What ``definitions`` could not read of the programs when it was asked last.

    Raises:
        SourceUnavailableError: No connection.
        SourceSchemaError: The log table, or a column of it, is missing or has another type.
        SourceAccessError: The role may not read it, or not every row of it.
    """

    def __init__(self, url: str = "", *, lag: timedelta = COMMIT_LAG, patience: timedelta = PATIENCE) -> None:
        self._url = url
        self._stack = contextlib.ExitStack()
        self._session: Session
        self._connection: Connection
        self._lag, self._patience = lag, patience
        self._shared: str | None = None
        self._numbers = ""
        self.changes = Changes()
        self.unread_of_programs = UnreadColumns()
        self.role = ""
        self.watermark: Watermark
        self.unread_columns: list[str] = []

    def __enter__(self) -> Source:
        import psycopg

        with contextlib.ExitStack() as opening:
            self._session = opening.enter_context(connect(self._url))
            self._connection = self._session.connection
            self.role = self._connection.info.user
            try:
                if self._shared:
                    self._take_over(self._shared)
                    self._session.begin()
                    self._see_every_run()
                else:
                    self._session.begin()
                    # The watermark first, in a transaction of its own: a writer that commits between the snapshot and a
                    # later look at the open transactions would be in neither.
                    self.watermark = read_watermark(self.ask_if_told, self._lag, self._patience)
                    self._connection.rollback()
                    self._take_snapshot()
            except psycopg.Error as error:
                meant = explain_server_error(error)
                if self._shared and POOL_IS_EMPTY in meant.message:
                    meant.facts["is_transient"] = False  # it waits for our first connection, which waits for it
                raise meant from error
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _take_snapshot(self) -> None:
        """Begin a transaction whose snapshot sees the tables as they are, and keep them so.

        The snapshot is taken by the first statement, a table is locked by the first that reads it. What is truncated, rewritten or
        exchanged in between looks empty to the snapshot, for good: then another one is taken.
        """
        import psycopg

        refused = psycopg.errors
        for attempt in range(_SNAPSHOTS):
            self._session.begin()
            try:
                table = check_log_table(self._rows)
                self.unread_columns, self.changes, self._numbers = table.unread_columns, table.changes, table.numbers
                self._see_every_run()
                table_check.hold(self._connection, LOG_TABLE)
                table_check.hold(self._connection, DEFINITION_TABLE)
                moved = [self.ask_if_told("moved", {"table": name}) for name in (LOG_TABLE, DEFINITION_TABLE)]
            except (refused.UndefinedTable, refused.UndefinedColumn):
                moved = [[{}]]
            except (SourceAccessError, SourceSchemaError):
                if attempt:
                    raise
                moved = [[{}]]  # what the snapshot says and what is there now may be mixed in it: ask once more
            if not any(moved):
                return
            self._connection.rollback()
        raise SourceError(
            f"{LOG_TABLE} or {DEFINITION_TABLE} is exchanged, truncated or changed faster than it can be read",
            hint="run again when whoever changes the tables is done",
            is_transient=True,
        )

    def sibling(self) -> Source:
        """A second connection that sees exactly what this one sees; enter it while this one is open and idle.

        Works on a standby too.

        Raises:
            SourceError: The snapshot cannot be shared, here or when the sibling is entered.
        """
        made = Source(self._url, lag=self._lag, patience=self._patience)
        made._shared = self._exported()
        made.watermark, made.unread_columns = self.watermark, self.unread_columns
        made.changes = self.changes
        return made

    def _exported(self) -> str:
        """The name of this snapshot, for other sessions."""
        try:
            return str(self._query("select pg_export_snapshot() as name")[0]["name"])
        except SourceError as error:
            if error.is_transient:
                raise
            # Not possible behind a savepoint, so the transaction is over: whoever goes on has a new one.
            self._connection.rollback()
            self._session.begin()
            self._see_every_run()
            raise SourceError(
                f"this server shares no snapshot with a second connection: {error.message}",
                hint="read with one connection (--jobs 1)",
            ) from error

    def _see_every_run(self) -> None:
        if hidden := table_check.look_for_hidden_rows(self._connection, self._rows, LOG_TABLE):
            raise SourceAccessError(
                f"{hidden.said}: what is hidden would be taken for never logged, or for deleted; nothing was read",
                hint=hidden.repair,
                table=LOG_TABLE,
                role=hidden.reads_as,
            )

    def _take_over(self, snapshot: str) -> None:
        """Make another session's snapshot this one's; the first statement of the transaction."""
        import psycopg
        from psycopg import sql as composed

        refused = psycopg.errors
        try:
            self._connection.execute(composed.SQL("set transaction snapshot {}").format(composed.Literal(snapshot)))
        except (
            refused.UndefinedObject,  # since PostgreSQL 17
            refused.InvalidParameterValue,  # before
            refused.FeatureNotSupported,
            refused.ActiveSqlTransaction,
            refused.ObjectNotInPrerequisiteState,
        ) as error:
            # A proxy that spreads connections over several servers: the snapshot is known to one of them only.
            raise SourceError(
                f"a second connection cannot see what the first one sees: {' '.join(str(error).split())}",
                hint="read with one connection (--jobs 1), or connect to the server itself instead of a proxy",
            ) from error

    # ---- what is there -------------------------------------------------------------------------------------------

    def identity(self) -> dict[str, str]:
        """Which server, database, schema and table this is, for the ledger."""
        [row] = self._rows("identity")
        found = {key: str(value) for key, value in row.items() if value is not None}
        # Managed servers may take this function away; the oids still tell most servers apart.
        with contextlib.suppress(SourceError), self._connection.transaction():
            found["system_identifier"] = str(
                self._query("select system_identifier from pg_control_system()")[0]["system_identifier"]
            )
        return found

    def timeline(self) -> int | None:
        """Of the server's write-ahead log, one more with each promotion; ``None`` where it is not told."""
        told = self.ask_if_told("timeline_standby" if self.watermark.is_standby else "timeline")
        return int(told[0]["timeline"]) if told and told[0]["timeline"] else None

    def transaction_ids(self) -> TransactionIds | None:
        """What rows' transaction ids are counted by; ``None`` where updates are not told by them."""
        if "xmin" not in self.changes.columns:
            return None
        reached = self.ask_if_told("transaction_ids")
        return TransactionIds(
            self.identity().get("system_identifier"),
            self.timeline(),
            reached=int(reached[0]["reached"]) if reached else None,
            columns=f"{zlib.crc32(self._numbers.encode()):08x}",
        )

    def fingerprints(self, window: Window, realms: RealmFilter) -> dict[Partition, Fingerprint]:
        """Count, id hash and change hash per partition of the window, and of the rows without a day."""
        from psycopg import sql as composed

        moving = composed.SQL(", ").join(map(composed.Identifier, self.changes.columns))
        if len(self.changes.columns) > 1:
            moving = composed.SQL("concat_ws(' ', {})").format(moving)
        statement = composed.SQL(sql.text("source", "fingerprints")).format(change=moving)
        parameters = {"since": window.since, "until": window.until, "undated": True, **realms.parameters()}
        self.choose_scan(parameters)
        rows = self._query(statement, parameters)
        self._see_every_run()  # no longer, where a policy is for a role that was taken away meanwhile
        if without := sum(int(row["without_id"]) for row in rows):
            raise SourceSchemaError(
                f"{without} rows of {LOG_TABLE} have no id, so nobody could tell them apart",
                hint="id is the table's primary key: a view that stands for the table must carry it",
                column="id",
            )
        return {
            Partition(row["realm_id"], row["day"]): Fingerprint(
                row_count=int(row["row_count"]),
                id_hash=int(row["id_hash"]),
                change_hash=int(row["change_hash"]),
                max_created_at=row["max_created_at"].replace(tzinfo=UTC) if row["max_created_at"] else None,
            )
            for row in rows
        }

    def refuse_ids_twice(self, window: Window, realms: RealmFilter) -> None:
        """Stop where one run stands several times in a window; costs nothing where a key keeps it from doing so.

        Raises:
            SourceSchemaError: Each would be counted as two runs.
        """
        if self._rows("unique_id")[0]["is_unique"]:
            return
        found = self._rows("twice", {"since": window.since, "until": window.until, **realms.parameters()})
        if found:
            raise ids_twice(found[0]["ids"], [row["execution_id"] for row in found])

    def cancel(self) -> None:
        """End what the server does for this connection; from another thread, whose statement then fails."""
        import psycopg

        with contextlib.suppress(psycopg.Error):  # the connection is gone already
            self._connection.cancel_safe(timeout=5)

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Those of the execution ids that the source still holds, in whatever partition."""
        found = {row["execution_id"] for row in self._rows("existing", {"ids": list(ids)})}
        self._see_every_run()
        return found

    def without_runs(self, realms: Sequence[str]) -> list[str]:
        """Those of these tenants of whom the log has not a single row, of whatever time."""
        there = {row["realm_id"] for row in self._rows("realms_there", {"realms": list(realms)})}
        return [realm for realm in realms if realm not in there]

    def users(self, window: Window, realms: RealmFilter, look_back: timedelta) -> set[tuple[str | None, str]]:
        """Tenants and ids of everybody who had a run within a window, or a while before it."""
        parameters = {"since": window.since - look_back, "until": window.until, **realms.parameters()}
        self.choose_scan({**parameters, "undated": False})
        return {(row["realm_id"], row["user_id"]) for row in self._rows("users", parameters)}

    def definitions(self) -> list[Row] | str:
        """Every row of ``strategydefinition`` as text values, or a sentence that says why it cannot be read.

        Columns without which the others still say something are ``None`` where they cannot be read; see ``unread_of_programs``.
        """
        self.unread_of_programs = UnreadColumns()
        columns = {row["column_name"]: row for row in self._rows("columns", {"table": DEFINITION_TABLE})}
        unread = unread_columns(DEFINITION_TABLE, schema.DEFINITION_COLUMNS, columns, self.role)
        if unread.is_all:
            return f"{unread.why}: families and programs are unknown"
        hidden = table_check.look_for_hidden_rows(self._connection, self._rows, DEFINITION_TABLE)
        found = [] if hidden else self._query(select_definitions(unread.names))
        # Also behind it: a right that is given by a role may have been taken away.
        hidden = hidden or table_check.look_for_hidden_rows(self._connection, self._rows, DEFINITION_TABLE)
        self._see_every_run()  # what one table needs need not be what the other does
        if hidden:
            return f"{hidden.said} ({hidden.repair}): families and programs are as they were, or unknown"
        self.unread_of_programs = unread
        return found

    # ---- the rows -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def executions(self, wanted: Span) -> Iterator[Iterator[Bytes]]:
        """The rows of a span, in no order, as blocks of a binary COPY (see ``copy_stream`` and ``native.copy_tuples``).

        Raises:
            SourceError: The server failed in the middle; no block after that point is delivered.
        """
        never = datetime(1, 1, 1, tzinfo=UTC)
        first, last = wanted.first, wanted.last
        since = datetime(first.year, first.month, first.day, tzinfo=UTC) if first else never
        until = datetime(last.year, last.month, last.day, tzinfo=UTC) + ONE_DAY if last else never
        parameters = {"since": since, "until": until, "undated": wanted.undated, **wanted.realms.parameters()}
        self.choose_scan(parameters)
        try:
            with copy_blocks(self._connection, sql.text("source", "executions").encode(), parameters) as blocks:
                yield blocks
        except SourceError as error:
            if self.watermark.is_standby and error.is_transient and not error.facts.get("sqlstate"):
                # It has no chance to say why where it could not even send the rows as fast as it would.
                error.add_words("; a standby ends what reads rows that it has to remove", STANDBYS_REPAIR)
            raise

    # ---- plumbing --------------------------------------------------------------------------------------------------

    def choose_scan(self, parameters: Parameters) -> None:
        """Have the next statements find a span's rows through an index, or as the planner likes."""
        import psycopg

        def explain_scan(avoid: bool) -> Row:
            with self._connection.transaction(force_rollback=True):
                if avoid:
                    self._connection.execute("set local enable_seqscan = off")
                return self.plan_of("scan", parameters)

        try:
            self._connection.execute("set local enable_seqscan to default")
            with self._connection.transaction():
                avoid = should_avoid_whole_table(explain_scan, self.layout)
            if avoid:
                self._connection.execute("set local enable_seqscan = off")
        except (psycopg.Error, SourceError) as error:
            if self._connection.broken:  # what comes next would only say that it is lost, and not why
                raise (error if isinstance(error, SourceError) else explain_server_error(error)) from error
            # without advice the statement itself still works, or says better what is wrong

    def layout(self) -> Row:
        """How large the log table is, and how its rows lie; a table of unknown size counts as a large one."""
        if found := self.ask_if_told("layout"):
            return found[0]
        return {"pages": 0, "row_estimate": 0, "bytes_with_values": 0, "table_bytes": UNKNOWN_BYTES, "correlation": 0}

    def ask(self, name: str, parameters: Parameters | None = None, *, timeout_ms: int | None = None) -> list[Row]:
        """The answer to a question of ``sql/source``, in a savepoint: where the server refuses it, the run goes on.

        Args:
            name: Of the statement.
            parameters: Its values.
            timeout_ms: When the server gives up; not before the session's own limit where none is given.

        Raises:
            SourceError: It refuses, or gives up.
        """
        with self._connection.transaction():
            if timeout_ms is None:
                return self._rows(name, parameters)
            self._connection.execute(f"set local statement_timeout = {timeout_ms:d}".encode())
            found = self._rows(name, parameters)
            self._connection.execute("set local statement_timeout to default")
            return found

    def ask_if_told(self, name: str, parameters: Parameters | None = None) -> list[Row] | None:
        """The answer to a question that a managed server may refuse; ``None`` where it does, and the transaction goes on."""
        try:
            return self.ask(name, parameters)
        except SourceError as error:
            if str(error.facts.get("sqlstate") or "")[:2] in _REFUSALS:
                return None
            raise

    def plan_of(self, name: str, parameters: Parameters | None = None) -> Row:
        """How the server would answer a question: the top node of its plan.

        Raises:
            SourceError: It refuses the question.
        """
        with self._connection.transaction():
            [row] = self._query("explain (format json) " + sql.text("source", name), parameters)
        plan: Row = row["QUERY PLAN"][0]["Plan"]
        return plan

    def _rows(self, name: str, parameters: Parameters | None = None) -> list[Row]:
        began = time.perf_counter()
        found = self._query(sql.text("source", name), parameters)
        _log.debug("the server gave %d rows to %s in %.3f s", len(found), name, time.perf_counter() - began)
        return found

    def _query(self, statement: str | psycopg.sql.Composed, parameters: Parameters | None = None) -> list[Row]:
        import psycopg
        from psycopg.rows import dict_row

        text = statement.encode() if isinstance(statement, str) else statement
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                rows: list[Row] = cursor.execute(text, parameters).fetchall()
                return rows
        except psycopg.Error as error:
            raise explain_server_error(error) from error
