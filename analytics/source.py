"""PostgreSQL → record batches. The only module that talks to the server.

One read-only REPEATABLE READ transaction answers everything a run asks, so the fingerprint, the rows and the definitions
are of the same moment.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics import schema, sql
from analytics.connect import SESSION, connect, explain
from analytics.errors import SourceError
from analytics.model import Fingerprint, Horizon, Partition, RealmFilter
from analytics.source_table import DEFINITION_TABLE, check_log_table
from analytics.window import ONE_DAY, Window

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

COMMIT_LAG = timedelta(minutes=5)
"""How far behind the server's clock a row is taken as committed when no open transaction says otherwise. The engine
queues rows and commits them one by one; a drain of a few seconds is normal, minutes are not."""

BLOCK_BYTES = 8 << 20
LARGEST_BLOCK_BYTES = 1 << 30


class Source:
    """One snapshot of the server. Use as a context manager.

    Args:
        url: SQLAlchemy or libpq URL or ``key=value`` string; empty for libpq's own variables.
        lag: How long after its ``created_at`` a row's transaction may begin.

    Attributes:
        horizon: Up to when rows can be taken as committed.
        unread_columns: Columns of the log table that the lake does not carry.
        change_column: What shows that a row was updated: ``xmin``, or ``updated_at`` where that cannot be read.

    Raises:
        SourceUnavailableError: No connection.
        SourceSchemaError: The log table, or a column of it, is missing or has another type.
        SourceAccessError: The role may not read it.
    """

    def __init__(self, url: str = "", *, lag: timedelta = COMMIT_LAG) -> None:
        self._url = url
        self._stack = contextlib.ExitStack()
        self._connection: psycopg.Connection[tuple[Any, ...]]
        self._lag = lag
        self.change_column = "xmin"
        self.horizon: Horizon
        self.unread_columns: list[str] = []

    def __enter__(self) -> Source:
        with contextlib.ExitStack() as opening:
            self._connection = opening.enter_context(connect(self._url))
            self._connection.execute(SESSION)
            # The horizon first, in a transaction of its own: a writer that commits between the snapshot and a later look
            # at the open transactions would be in neither.
            self.horizon = self._read_horizon()
            self._connection.rollback()
            self._connection.execute(SESSION)
            table = check_log_table(self._rows)
            self.unread_columns, self.change_column = table.unread_columns, table.change_column
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    # ---- what is there -------------------------------------------------------------------------------------------

    def identity(self) -> dict[str, str]:
        """Which server, database and table this is, for the ledger."""
        [row] = self._rows("identity")
        found = {key: str(value) for key, value in row.items()}
        # Managed servers may take this function away; the oids still tell most servers apart.
        with contextlib.suppress(SourceError), self._connection.transaction():
            found["system_identifier"] = str(
                self._query("select system_identifier from pg_control_system()")[0]["system_identifier"]
            )
        return found

    def fingerprints(self, window: Window, realms: RealmFilter) -> dict[Partition, Fingerprint]:
        """Count, id hash and change hash per partition of the window, and of the rows without a day."""
        from psycopg import sql as composed

        statement = composed.SQL(sql.text("source", "fingerprints")).format(
            change=composed.Identifier(self.change_column)
        )
        rows = self._query(statement, {"since": window.since, "until": window.until, **realms.parameters()})
        return {
            Partition(row["realm_id"], row["day"]): Fingerprint(
                row_count=int(row["row_count"]),
                id_hash=int(row["id_hash"]),
                change_hash=int(row["change_hash"]),
                max_created_at=row["max_created_at"].replace(tzinfo=UTC) if row["max_created_at"] else None,
            )
            for row in rows
        }

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Those of the execution ids that the source still holds, in whatever partition."""
        return {row["execution_id"] for row in self._rows("existing", {"ids": list(ids)})}

    def definitions(self) -> list[dict[str, Any]] | str:
        """Every row of ``strategydefinition`` as text values, or a sentence that says why it cannot be read."""
        columns = {row["column_name"]: row for row in self._rows("columns", {"table": DEFINITION_TABLE})}
        if not columns:
            return f"table {DEFINITION_TABLE} is not there or not visible: families and programs are unknown"
        missing = [c.source for c in schema.DEFINITION_COLUMNS if c.source not in columns]
        if missing:
            return f"table {DEFINITION_TABLE} lacks {', '.join(missing)}: families and programs are unknown"
        for column in schema.DEFINITION_COLUMNS:
            found = columns[column.source]["column_type"]
            if found not in column.types:
                return f"table {DEFINITION_TABLE} has {column.source} as {found}: families and programs are unknown"
        if not all(columns[c.source]["is_readable"] for c in schema.DEFINITION_COLUMNS):
            return f"no right to read {DEFINITION_TABLE} (grant select on it): families and programs are unknown"
        return self._rows("definitions")

    # ---- the rows -------------------------------------------------------------------------------------------------

    def executions(
        self,
        first: date | None,
        last: date | None,
        realms: RealmFilter,
        *,
        undated: bool,
        block_bytes: int = BLOCK_BYTES,
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows of the days ``first`` to ``last`` inclusive, in no order, as batches of ``schema.copy_schema()``.

        Args:
            first, last: UTC days; both None when only undated rows are wanted.
            realms: Which tenants.
            undated: Also rows that belong to no day.
            block_bytes: Bytes parsed at a time; no row may be larger.

        Raises:
            SourceError: The server failed in the middle; no batch after that point is delivered.
        """
        import pyarrow as pa
        from pyarrow import csv

        never = datetime(1, 1, 1, tzinfo=UTC)
        since = datetime(first.year, first.month, first.day, tzinfo=UTC) if first else never
        until = datetime(last.year, last.month, last.day, tzinfo=UTC) + ONE_DAY if last else never
        parameters = {"since": since, "until": until, "undated": undated, **realms.parameters()}
        target = schema.copy_schema()
        threads = block_bytes == BLOCK_BYTES  # they read ahead: of large blocks, several at once
        with self._copy("executions", parameters) as stream:
            try:
                yield from csv.open_csv(
                    stream,
                    read_options=csv.ReadOptions(
                        use_threads=threads, block_size=block_bytes, column_names=target.names
                    ),
                    parse_options=csv.ParseOptions(
                        delimiter="\x01",
                        quote_char="\x02",
                        double_quote=True,
                        escape_char=False,
                        newlines_in_values=True,
                    ),
                    convert_options=csv.ConvertOptions(
                        column_types=target,
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                        true_values=["t"],
                        false_values=["f"],
                        timestamp_parsers=[csv.ISO8601],
                    ),
                )
            except pa.ArrowInvalid as error:
                if "straddling" in str(error) and block_bytes < LARGEST_BLOCK_BYTES:
                    raise RowTooLargeError("a row is larger than the block", block_bytes=block_bytes) from None
                if "Empty CSV" not in str(error):
                    raise SourceError(f"the server's stream could not be read: {error}") from error

    @contextlib.contextmanager
    def _copy(self, name: str, parameters: dict[str, Any]) -> Iterator[Any]:
        """The output of a COPY statement as a readable file; the server is drained by a thread of its own."""
        failure: list[BaseException] = []
        read_end, write_end = os.pipe()

        def drain() -> None:
            try:
                with (
                    os.fdopen(write_end, "wb", buffering=0) as pipe,
                    self._connection.transaction(),  # a savepoint: a reader that stops early must not end the snapshot
                    self._connection.cursor() as cursor,
                    cursor.copy(sql.text("source", name).encode(), parameters) as copy,
                ):
                    for data in copy:
                        view = memoryview(data)
                        while view:
                            view = view[pipe.write(view) :]
            except BrokenPipeError:
                pass  # the reader stopped early, and says why itself
            except BaseException as error:  # handed to the reader below, so that nothing is lost in a thread
                failure.append(error)

        thread = threading.Thread(target=drain, name="copy-drain", daemon=True)
        thread.start()
        try:
            with os.fdopen(read_end, "rb", buffering=1 << 20) as stream:
                yield stream
        finally:
            thread.join()
            if failure:
                raise explain(failure[0]) from failure[0]

    # ---- plumbing --------------------------------------------------------------------------------------------------

    def _read_horizon(self) -> Horizon:
        """Up to when every row is visible.

        A row begins to commit at most ``lag`` after it was created, so one that is still invisible was created after the
        oldest open transaction began, less the lag.
        """
        [row] = self._rows("horizon")
        now: datetime = row["snapshot_at"].replace(tzinfo=UTC)
        behind = f"{self._lag.total_seconds() / 60:g} min behind the server's clock"
        if row["is_standby"]:
            return Horizon(now - self._lag, f"{behind}; this is a standby, where writers cannot be seen")
        if row["hidden_backends"]:
            return Horizon(
                now - self._lag,
                f"{behind}; the role cannot see other sessions' transactions (grant pg_read_all_stats to see them)",
            )
        if row["xact_start"] is None:
            return Horizon(now - self._lag, behind)
        started: datetime = row["xact_start"].replace(tzinfo=UTC)
        age = (now - started).total_seconds()
        return Horizon(
            min(started, now) - self._lag,
            f"{behind}, and a transaction of role {row['role']} (pid {row['pid']}) open for {age:.0f} s",
            pid=row["pid"],
            role=row["role"],
            age_seconds=age,
        )

    def _rows(self, name: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        return self._query(sql.text("source", name), parameters)

    def _query(self, statement: Any, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        import psycopg
        from psycopg.rows import dict_row

        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(statement, parameters).fetchall()
        except psycopg.Error as error:
            raise explain(error) from error


class RowTooLargeError(SourceError):
    """A row did not fit into one block of the stream; read it again with larger blocks."""


def larger_block(block_bytes: int) -> int:
    """The next block size to try after ``RowTooLargeError``."""
    return min(block_bytes * 8, LARGEST_BLOCK_BYTES)
