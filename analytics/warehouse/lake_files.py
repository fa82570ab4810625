"""Which files a reader opens: of a tenant its own partitions; of all tenants, day files where they say the same.

The ledger knows what should be there, one look into each realm's folder what is. A file that the ledger does not know is read
when its inside says that it is the lake's own (a killed run, a lost ledger); see ``lake.foreign_files``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from analytics import sql
from analytics.errors import LakeError
from analytics.extraction import day_files
from analytics.extraction.day_files import DayFile
from analytics.lake import expiry_mark, foreign_files, ledger_columns, schema, small_partitions
from analytics.lake.lake import (
    PART,
    REALM_TABLES,
    Lake,
    day_directory,
    day_of,
    is_day_directory,
    is_realm_directory,
    realm_directory,
    subfolders,
)
from analytics.model import DayRecord
from analytics.storage import LakePath

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

T = TypeVar("T")

_HIVE_TABLES = ("executions", "node_days")

_SELDOM = "program_history"
"""A table that most lakes have no file of: that it is empty is said in SQL, for Arrow (with pandas) takes longer to load than all
the rest of opening a lake."""

_MOST_DAMAGED = 100
"""Files without a sound one among them: then the lake is not opened."""

_MORE_TRIES = 2


def files(
    lake: Lake, records: Sequence[DayRecord], realms: Sequence[str | None] | None, *, whole_days: bool = True
) -> dict[str, list[str]]:
    """Paths of the files that hold the rows of ``executions`` and ``node_days``, each row once.

    Args:
        lake: Where.
        records: The ledger.
        realms: Only these tenants: no other's file is touched, and no day file. All when ``None``.
        whole_days: Day files may be used.

    Raises:
        LakeError: A file that the ledger does not know cannot be looked into.
    """
    whole_days &= realms is None
    days = {record.day: day_files.current(lake, record) if whole_days else {} for record in records}
    return {
        table: _of_table(lake, table, records, realms, {day: found.get(table) for day, found in days.items()})
        for table in ("executions", "node_days")
    }


def folders(lake: Lake, realms: Sequence[str | None] | None) -> list[LakePath]:
    """Every folder that holds rows of these tenants, and of nobody else; of the whole lake when ``None``.

    The ledger, tombstones and their secret are in none of them.
    """
    tables = (*_HIVE_TABLES, *REALM_TABLES)
    if realms is None:
        return [lake.root / name for name in (*tables, day_files.FOLDER)]
    return [lake.root / name / realm_directory(realm) for name in tables for realm in realms]


def empty(table_schema: pa.Schema) -> pa.Table:
    """What the files of a table hold where there are none, the folders' columns included."""
    import pyarrow as pa

    return without_rows(pa.schema([*table_schema, ("realm", pa.string()), ("day", pa.date32())]))


def without_rows(table_schema: pa.Schema) -> pa.Table:
    """A table of these columns; of no batches, for ``empty_table`` looks at empty lists and loads pandas for it."""
    import pyarrow as pa

    return pa.Table.from_batches([], table_schema)


def _of_table(
    lake: Lake,
    table: str,
    records: Sequence[DayRecord],
    realms: Sequence[str | None] | None,
    whole: Mapping[date | None, DayFile | None],
) -> list[str]:
    base = lake.root / table
    folders = (
        [realm_directory(realm) for realm in realms] if realms is not None else subfolders(base, is_realm_directory)
    )
    mark = expiry_mark.read(lake.root)

    @functools.cache  # the folders of all tenants have the same names
    def is_in_sight(name: str) -> bool:
        return is_day_directory(name) and not expiry_mark.is_expired(mark, day_of(name))

    unknown = {folder: set(filter(is_in_sight, lake.storage.names(base / folder))) for folder in folders}
    wanted, nothing = None if realms is None else set(realms), set[str]()
    chosen: list[str] = []
    for record in records:
        day = day_directory(record.day)
        told: list[tuple[str | None, int]] = []
        is_absent = False
        for realm, row_count, executions, node_days in ledger_columns.sizes(record):
            if (wanted is None or realm in wanted) and (executions if table == "executions" else node_days):
                days = unknown.get(realm_directory(realm), nothing)
                if day in days:
                    days.remove(day)
                else:
                    is_absent = True
                told.append((realm, row_count))
        # Whoever has taken a tenant's folder away does not want to meet its rows in a day file.
        if (file := whole[record.day]) and not is_absent:
            chosen.append(str(file.path))
            told = [one for one in told if not small_partitions.is_small(one[1])]
        # An empty file is one that is lost, too; what is lost is said, see ``losses``.
        name_of = lake.names_of_day(table, record.day)
        names = [name_of(realm) for realm, _ in told]
        chosen += [name for name, size in zip(names, lake.sizes(names), strict=True) if size]
    strays = [f"{base}/{folder}/{day}/{PART}" for folder, days in unknown.items() for day in sorted(days)]
    return sorted([*chosen, *foreign_files.exclude(lake, [name for name in strays if lake.is_file(name)], {})])


def tables(
    lake: Lake, records: Sequence[DayRecord], realms: Sequence[str | None] | None, *, whole_days: bool
) -> dict[str, list[str]]:
    """Paths of the files of every table.

    Args:
        lake, records, realms, whole_days: See ``files``.
    """
    found = files(lake, records, realms, whole_days=whole_days)
    return found | {table: lake.files(table, realms=realms) for table in REALM_TABLES}


def open_tables(
    connection: duckdb.DuckDBPyConnection, found: Mapping[str, list[str]], realms: Sequence[str | None] | None
) -> None:
    """Make the views of the schema ``files``.

    Args:
        connection: May read ``folders``.
        found: Paths of the files of every table.
        realms: Only the rows of these tenants; all when ``None``.
    """
    connection.execute("create schema if not exists files")
    connection.execute(sql.text("files", "folders"))
    named = None if realms is None else [realm for realm in realms if realm is not None]
    connection.execute("set variable realms_in_sight = $1", [named])
    connection.execute("set variable null_realm_in_sight = $1", [realms is None or None in realms])
    for table in schema.TABLES:
        register(connection, table, found[table])


@contextlib.contextmanager
def only(
    connection: duckdb.DuckDBPyConnection, chosen: Mapping[str, list[str]], all_files: Mapping[str, list[str]]
) -> Iterator[None]:
    """For a while ``executions`` and ``node_days`` show some of their files only.

    Args:
        connection: With the views of ``open_tables``.
        chosen: Names of files by their table; other tables stay as they are.
        all_files: As ``open_tables`` gave them.
    """
    try:
        for table, names in chosen.items():
            if names:
                connection.execute(f"set variable {table}_files = $1", [names])
            else:
                register(connection, table, names)
        yield
    finally:
        for table, names in chosen.items():
            if not names:
                register(connection, table, all_files[table])
            connection.execute(f"set variable {table}_files = $1", [all_files[table]])


def register(connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]) -> None:
    """Make the view ``files.<table>`` over some files, or an empty one with the right columns."""
    import duckdb

    # DuckDB looks at every file each time a view is made, and one is enough to know the columns: the first that is sound.
    for number, name in enumerate(names[:_MOST_DAMAGED], 1):
        # A variable, so that no path is ever formatted into SQL.
        connection.execute(f"set variable {table}_files = $1", [[name]])
        try:
            connection.execute(sql.text("files", table))
            return
        except duckdb.Error:
            if number in (len(names), _MOST_DAMAGED):
                raise
    if table == _SELDOM:
        connection.execute(sql.text("files", f"no_{table}"))
        return
    table_schema = schema.of_tables()[table]
    hollow = empty(table_schema) if table in _HIVE_TABLES else without_rows(table_schema)
    connection.register(f"empty_{table}", hollow)
    connection.execute(f"create or replace view files.{table} as from empty_{table}")


def retry_on_replaced_file(
    ask: Callable[[], T], refresh: Callable[[], None], refused: Callable[[], Exception | None]
) -> T:
    """Ask; again when a file was replaced or taken away while it was read: an extraction may be at work.

    DuckDB opens a file again between its footer and its rows. One that was replaced in between does not fit together,
    which it notices; the new file is whole. A file that is really damaged fails every time.

    Args:
        ask: The question, from the beginning.
        refresh: Looks at the lake's files again.
        refused: What kept a piece of a bucket's object from being read since it was asked last; DuckDB tells only its text.

    Raises:
        LakeError: The store refused.
    """
    import duckdb

    tried = 0
    while True:
        try:
            if tried:
                refresh()
            return ask()
        except duckdb.Error as error:
            cause = refused()
            if isinstance(cause, LakeError):
                raise cause from None
            if cause is None and not isinstance(
                error, duckdb.IOException | duckdb.InvalidInputException | duckdb.SerializationException
            ):
                raise
            if tried == _MORE_TRIES:
                raise
            tried += 1
