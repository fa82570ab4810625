"""A file of the lake that cannot be read: which one it is, and what repairs it.

DuckDB says what it stumbled over, and not always where: of a page that does not decompress it names no file, of a file with other
columns only the statement. So when it refuses, the files themselves are looked at: those that it has named, else all that it read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from analytics import sql
from analytics.errors import DamagedFileError
from analytics.extraction import day_files
from analytics.lake import ledger_columns, schema
from analytics.lake.lake import Lake, day_of, is_day_directory
from analytics.lake.repair import extraction
from analytics.model import DayRecord
from analytics.storage import disk, readable
from analytics.warehouse import restricted_connection
from analytics.warehouse.catalog import VIEWS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Files = Mapping[str, Sequence[str]]
"""Names of files by their table."""

_MOST_NAMED = 3
_LONGEST = 160


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that cannot be read.

    Attributes:
        name: The way to it from the lake's root.
        why: What is wrong with it, without a full stop.
        repair: What a person can do.
    """

    name: str
    why: str
    repair: str


def files_behind(
    error: duckdb.Error, connection: duckdb.DuckDBPyConnection, lake: Lake, files: Files
) -> DamagedFileError | None:
    """What damage made DuckDB refuse; ``None`` where its files are sound, and the statement is at fault.

    Args:
        error: What it raised.
        connection: With the lake's views.
        lake: Whose files they are.
        files: That it may have read.
    """
    said = str(error)
    named = {table: [name for name in names if name in said] for table, names in files.items()}
    if any(named.values()):
        return error_of(lake, find(lake, named))
    if not _may_be_damage(error, connection):
        return None
    return error_of(lake, find(lake, files))


def error_of(lake: Lake, found: Sequence[DamagedFile]) -> DamagedFileError | None:
    """These files in a sentence, with the repair of the first; ``None`` for no file."""
    if not found:
        return None
    first = found[0]
    return DamagedFileError(
        f"{words(lake, found)}: {first.why}" if len(found) == 1 else f"{words(lake, found)}; the first: {first.why}",
        hint=first.repair,
        paths=[f"{lake.root}/{one.name}" for one in found],
    )


def words(lake: Lake, found: Sequence[DamagedFile]) -> str:
    """Which files cannot be read, in a sentence without its end."""
    if len(found) == 1:
        return f"{lake.root}/{found[0].name} is damaged"
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{len(found)} files of {lake.root} are damaged: {', '.join(one.name for one in found[:_MOST_NAMED])}{more}"


def find(lake: Lake, files: Files) -> list[DamagedFile]:
    """Those of some files that cannot be read, or are none of this package; each is read whole, which takes its time."""
    connection = restricted_connection.connect_restricted([lake.root])
    try:
        return [
            of(lake, name, why)
            for table, names in files.items()
            for name in names
            if (why := _why(connection, lake, table, name))
        ]
    finally:
        connection.close()


def not_there(
    lake: Lake, records: Iterable[DayRecord], realms: Collection[str | None], chosen: Collection[str]
) -> list[DamagedFile]:
    """What a reader of some tenants' runs has not among its files, and should have: whoever says "nothing" says it without them.

    Args:
        lake: Where.
        records: The ledger, as far as it can be read.
        realms: The tenants.
        chosen: Files that are read.
    """
    known, wanted, days, names = set(chosen), set(realms), set(), []
    for record in records:
        days.add(record.day)
        name_of = lake.names_of_day("executions", record.day)
        told = (realm for realm, _, size, _ in ledger_columns.sizes(record) if size and realm in wanted)
        names += [name for realm in told if not lake.is_file(name := name_of(realm))]
    found = [of(lake, name, "the ledger tells of it, and there is no such file") for name in names]
    untold = [day for day in lake.recorded_days() if day not in days]
    found += (
        of(lake, name, "it is not what this package has written there")
        for name in lake.files("executions", realms=realms, days=untold)
        if name not in known
    )
    return found + [
        DamagedFile(f"ledger/{name}", why, _reading_again(day_of(name.removesuffix(".json"))))
        for name, why in lake.ledger_problems(untold).items()  # the others have just been read
    ]


def _may_be_damage(error: duckdb.Error, connection: duckdb.DuckDBPyConnection) -> bool:
    import duckdb

    if isinstance(error, duckdb.BinderException):
        return not _binds(connection)
    kinds = (
        duckdb.InvalidInputException,
        duckdb.IOException,
        duckdb.SerializationException,
        duckdb.InternalException,
        duckdb.FatalException,
    )
    return type(error) is duckdb.Error or isinstance(error, kinds)


def _binds(connection: duckdb.DuckDBPyConnection) -> bool:
    """The files have the columns that the views are made of."""
    import duckdb

    try:
        for view in VIEWS:
            connection.table(view).limit(0).fetchall()
    except duckdb.Error:
        return False
    return True


def _why(connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, name: str) -> str:
    """What is wrong with a file; empty for nothing."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = lake.place(name)
    if not path.is_file():
        return "there is no such file"
    try:
        columns = pq.read_schema(readable(path))
        connection.execute("set variable looked_at = $1", [[name]])
        connection.execute(sql.text("files", "whole")).fetchall()
    except OSError as error:
        return disk.why(error)[0] if error.errno else _short(error)
    except (pa.ArrowException, duckdb.Error) as error:
        return _short(error)
    return _other_columns(columns, schema.of_tables()[table])


def _other_columns(found: pa.Schema, wanted: pa.Schema) -> str:
    for field in wanted:
        place = found.get_field_index(field.name)
        if place < 0:
            return f"it is a Parquet file, and not one of this package: it has no column {field.name}"
        if not found.field(place).type.equals(field.type):
            return f"its column {field.name} is {found.field(place).type}, and should be {field.type}"
    return ""


def _short(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def of(lake: Lake, name: str, why: str) -> DamagedFile:
    """A file of which somebody knows already that it cannot be read."""
    within = name.removeprefix(f"{lake.root}/")
    return DamagedFile(within, why, _repair(within, why))


def _repair(within: str, why: str) -> str:
    parts = within.split("/")
    if "denied" in why.lower() or "not permitted" in why.lower():
        return "run as the owner of the lake's files, or chown them to who runs this"
    if parts[0] == day_files.FOLDER:
        return "remove it: it holds rows of other files once more, and an extraction of its day makes it anew"
    day = next((part for part in parts if is_day_directory(part)), None)
    if day is None:
        return "restore it from a backup, or extract again: `strategy-analytics extract` writes it anew"
    return _reading_again(day_of(day))


def _reading_again(day: date | None) -> str:
    # Rows without a day are always read.
    command = extraction([day]) if day else "strategy-analytics extract --since 1d"
    return f"restore it from a backup, or read its day again, as far as the source still holds it: {command} --force"
