"""Which files a reader opens: of a tenant its own partitions; of all tenants, day files where they say the same.

The ledger knows what should be there, one look into each realm's folder what is. A file that the ledger does not know is read
when its inside says that it is the lake's own (a killed run, a lost ledger); see ``lake.foreign_files``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from analytics import sql
from analytics.errors import LakeError, UnknownNameError
from analytics.extraction import day_files
from analytics.extraction.day_files import DayFile
from analytics.lake import expiry_mark, foreign_files, schema
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
from analytics.model import DayRecord, PartitionInfo
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


def check(lake: Lake, realms: Sequence[str | None] | None) -> None:
    """Is there a lake, and are they in it?

    Args:
        lake: Which.
        realms: The tenants that somebody wants to read; ``None`` for all.

    Raises:
        LakeError: There is no lake in that folder.
        UnknownNameError: The lake holds nothing of a tenant; whoever sees one tenant is not told the others.
    """
    lake.ensure_there(may_be_empty=True)
    known = lake.realms() if realms else []
    for realm in realms or ():
        if realm not in known:
            raise UnknownNameError(
                f"the lake holds nothing of realm {realm!r}"
                if realm is not None
                else "the lake holds no run without a realm",
                hint="`strategy-analytics status --all-realms` lists them, for who may see them all",
                realm=realm,
            )


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

    return pa.schema([*table_schema, ("realm", pa.string()), ("day", pa.date32())]).empty_table()


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

    def is_in_sight(name: str) -> bool:
        return is_day_directory(name) and not expiry_mark.is_expired(mark, day_of(name))

    unknown = {folder: set(subfolders(base / folder, is_in_sight)) for folder in folders}
    chosen: list[str] = []
    for record in records:
        day = day_directory(record.day)
        told, absent = [], False
        for info in _infos(record, realms):
            if info.file_bytes if table == "executions" else info.node_days_bytes:
                days = unknown.get(realm_directory(info.partition.realm), set())
                absent |= day not in days
                days.discard(day)
                told.append(info)
        # Whoever has taken a tenant's folder away does not want to meet its rows in a day file.
        if (file := whole[record.day]) and not absent:
            chosen.append(str(file.path))
            told = [info for info in told if not day_files.is_small(info)]
        # An empty file is one that is lost, too; what is lost is said, see ``losses``.
        chosen += [name for info in told if lake.size(name := lake.name(table, info.partition))]
    strays = [f"{base}/{folder}/{day}/{PART}" for folder, days in unknown.items() for day in sorted(days)]
    return sorted([*chosen, *foreign_files.exclude(lake, [name for name in strays if lake.is_file(name)], {})])


def _infos(record: DayRecord, realms: Sequence[str | None] | None) -> list[PartitionInfo]:
    if realms is None:
        return list(record.partitions.values())
    return [info for realm in realms if (info := record.partitions.get(realm))]


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
    hollow = empty(table_schema) if table in _HIVE_TABLES else table_schema.empty_table()
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
