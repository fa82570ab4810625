"""Is the lake sound? Runs the files of ``sql/checks``: each finds the rows that break its promise.

Besides the views they can ask tables that exist only while they run: ``lake_files`` (what lies in the tables' folders),
``ledger_files`` (whether the ledger can be read), ``file_problems`` (what does not agree with the rest), ``erased_files`` (which
hold somebody who was erased), ``day_files`` and ``day_file_partitions`` (what day files there are, and what they should hold; their
rows are in ``files.day_executions`` and ``files.day_node_days``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.errors import LakeError
from analytics.extraction import day_files
from analytics.extraction.privacy.policy import FILE as PEOPLE
from analytics.extraction.privacy.policy import PseudonymKey
from analytics.lake import definitions, expiry_mark, foreign_files, schema, small_partitions
from analytics.lake.lake import Lake, realm_directory
from analytics.model import DayRecord
from analytics.sql import Row
from analytics.warehouse import lake_files

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that does not agree with the others.

    Attributes:
        file: Its name.
        says: What is wrong, in a sentence without its full stop.
        repair: What mends it.
    """

    file: str
    says: str
    repair: str


def problems(lake: Lake) -> Iterator[Problem]:
    """Every file that does not agree with the others, those with the worst consequences first.

    Partitions' own files are looked at by ``losses``.
    """
    from analytics.extraction.privacy import prepare  # it reads rows too, with compilers

    try:
        if said := prepare.known_keys(lake).problem:
            yield Problem(
                PEOPLE,
                f"the lake does not know its key: {said}",
                "put the file back from a backup, or extract with that key",
            )
    except LakeError as error:
        yield Problem(PEOPLE, error.message, error.hint)
    try:
        mark, (first, _) = expiry_mark.read(lake.root), expiry_mark.both(lake.root)
        if mark and first != mark:
            what = "is lost" if first is None else "is an older one"
            yield Problem(
                expiry_mark.NAME,
                f"the file {what}: by its copy the days before {mark.before} are expired, and they stay away",
                "any extraction writes it again",
            )
    except LakeError as error:
        yield Problem(expiry_mark.NAME, error.message, error.hint)
    if not lake.recorded_days(also_expired=True) and (files := lake.files("executions")):
        yield Problem(
            "ledger",
            f"the ledger is lost: {len(files)} partition files lie there that no day of it knows",
            "put it back from a backup, or extract their days again, which writes it anew",
        )
    if gone := definitions.lost_files(lake):
        yield Problem(definitions.NAME, definitions.lost_words(gone), definitions.REPAIR)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Outcome of one check.

    Attributes:
        name: File name in ``sql/checks``.
        severity: ``error`` (numbers may be wrong) or ``warning`` (a person should know).
        says: What the check looks for, one sentence.
        failures: Rows the check found; 0 is good.
        example: The first of them, as a dictionary; ``None`` when there is none.
    """

    name: str
    severity: str
    says: str
    failures: int
    example: Row | None

    @property
    def passed(self) -> bool:
        """Nothing was found."""
        return self.failures == 0


UNREADABLE = "unreadable"
"""Key of the example of a check that could not read."""

_OF_FILES = (
    "day_files_agree_with_partitions",
    "files_agree_with_each_other",
    "erased_stay_erased",
    "files_have_their_size",
    "ledger_can_be_read",
    "no_strangers_in_the_lake",
    "rows_lie_where_they_belong",
)
"""These look at files and folders, not only at rows."""


def run(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    realms: Sequence[str | None] | None = None,
    *,
    quick: duckdb.DuckDBPyConnection | None = None,
    key: PseudonymKey | None = None,
    told: Callable[[duckdb.Error], str] = str,
) -> list[CheckResult]:
    """Run every check of ``sql/checks``; those that failed with severity ``error`` first.

    Args:
        connection: With the views over the partitions' own files: they are the truth.
        lake: Its files.
        realms: Look only at the files of these; at all when not given.
        quick: With views that use day files. Once these are proved to hold the same rows, the rest is asked there.
        key: Of the lake's pseudonyms: erased people are recognised by it.
        told: What kept a check from reading, in words.
    """
    with _on_disk(connection, lake, realms, key):
        results = [_one(connection, name, told) for name in _OF_FILES]
        asked = quick if quick and results[0].passed else connection
        results += [_one(asked, name, told) for name in sql.names("checks") if name not in _OF_FILES]
    return sorted(results, key=lambda r: (r.passed, r.severity, r.name))


def _one(connection: duckdb.DuckDBPyConnection, name: str, told: Callable[[duckdb.Error], str]) -> CheckResult:
    import duckdb

    text = sql.text("checks", name)
    try:
        cursor = connection.execute(text)
        columns = [column[0] for column in cursor.description or []]
        first = cursor.fetchone()
        rest = cursor.fetchall() if first else []
    except duckdb.Error as error:  # a damaged file fails every check that reads it
        columns, first, rest = [UNREADABLE], (" ".join(told(error).split()),), []
    return CheckResult(
        name=name,
        severity=sql.severity(text),
        says=sql.title(text),
        failures=len(rest) + (first is not None),
        example=dict(zip(columns, first, strict=True)) if first else None,
    )


@contextlib.contextmanager
def _on_disk(
    connection: duckdb.DuckDBPyConnection, lake: Lake, realms: Sequence[str | None] | None, key: PseudonymKey | None
) -> Iterator[None]:
    """The tables that are not views over the lake, for as long as checks run."""
    from analytics.extraction import resurfaced  # it can write as well, with compilers: who opens a lake needs neither

    records = {day: lake.recorded(day) for day in lake.recorded_days()}
    folders = None if realms is None else {realm_directory(realm) for realm in realms}
    found = [
        (str(foreign_files.inside(lake, one.path)), one.is_stranger, one.bytes_on_disk, one.bytes_in_ledger)
        for one in foreign_files.find(lake, records, foreign_files.list_files(lake))
        if folders is None or foreign_files.inside(lake, one.path).parts[1] in folders
    ]
    # Day files hold rows of every tenant: whoever looks at some does not open them.
    whole = list(day_files.everywhere(lake)) if realms is None else []
    current = [file for file in whole if file.is_whole and _is_current(file, records.get(file.day))]
    erased = [(one.name, one.problem, one.repair) for one in resurfaced.find_resurfaced(lake, key, realms)]
    tables = {
        "lake_files": _table("path, is_stranger:bool, bytes_on_disk:int64, bytes_in_ledger:int64", found),
        "file_problems": _table("file, says, repair", _problems(lake, realms)),
        "ledger_files": _table("name, problem", list(lake.ledger_problems().items())),
        "erased_files": _table("path, problem, repair", erased),
        "day_files": _table(
            "table_name, day:date32, path, bytes_in_name:int64, bytes_on_disk:int64",
            [
                (one.table, one.day, str(foreign_files.inside(lake, one.path)), one.bytes_in_name, one.bytes_on_disk)
                for one in whole
            ],
        ),
        "day_file_partitions": _table(
            "table_name, realm_id, day:date32",
            [
                (file.table, info.partition.realm, file.day)
                for file in current
                for info in day_files.small(records[file.day])
            ],
        ),
    }
    _open_day_files(connection, current)
    for name, rows in tables.items():
        connection.register(name, rows)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)


def _open_day_files(connection: duckdb.DuckDBPyConnection, files: Sequence[day_files.DayFile]) -> None:
    """The views over day files, to be compared with those over partitions."""
    for table, shape in {"executions": schema.execution_schema(), "node_days": schema.node_day_schema()}.items():
        names = [str(file.path) for file in files if file.table == table]
        if names:
            connection.execute(f"set variable day_{table}_files = $1", [names])
            connection.execute(sql.text("files", f"day_{table}"))
        else:
            connection.register(f"empty_day_{table}", lake_files.empty(shape))
            connection.execute(f"create or replace view files.day_{table} as from empty_day_{table}")


def _problems(lake: Lake, realms: Sequence[str | None] | None) -> list[tuple[str, str, str]]:
    """Whoever looks at some tenants is not told of the others' files."""
    if realms is None:
        return [(one.file, one.says, one.repair) for one in problems(lake)]
    gone = definitions.lost_files(lake, realms)
    return [(definitions.NAME, definitions.lost_words(gone), definitions.REPAIR)] if gone else []


def _is_current(file: day_files.DayFile, record: DayRecord | None) -> bool:
    return record is not None and file.digest == small_partitions.digest(day_files.small(record))


def _table(columns: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """A table of these columns, text where nothing else is said."""
    import pyarrow as pa

    kinds = [(name, kind or "string") for name, _, kind in (column.partition(":") for column in columns.split(", "))]
    values = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return pa.table(
        {name: pa.array(column, pa.type_for_alias(kind)) for (name, kind), column in zip(kinds, values, strict=True)}
    )
