"""Is the lake sound? Runs the files of ``sql/checks``: each finds the rows that break its promise.

Besides the views they can ask two tables that exist only while they run: ``lake_files`` (what lies in the tables' folders)
and ``ledger_files`` (whether the ledger can be read).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics import sql, strangers
from analytics.lake import Lake, realm_directory

if TYPE_CHECKING:
    import duckdb


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
    example: dict[str, Any] | None

    @property
    def passed(self) -> bool:
        """Nothing was found."""
        return self.failures == 0


def run(
    connection: duckdb.DuckDBPyConnection, lake: Lake, realms: Sequence[str | None] | None = None
) -> list[CheckResult]:
    """Run every check of ``sql/checks``; those that failed with severity ``error`` first.

    Args:
        connection: With the views over the lake.
        lake: Its files.
        realms: Look only at the files of these; at all when not given.
    """
    with _on_disk(connection, lake, realms):
        results = [_one(connection, name) for name in sql.names("checks")]
    return sorted(results, key=lambda r: (r.passed, r.severity, r.name))


def _one(connection: duckdb.DuckDBPyConnection, name: str) -> CheckResult:
    import duckdb

    text = sql.text("checks", name)
    try:
        cursor = connection.execute(text)
        columns = [column[0] for column in cursor.description or []]
        first = cursor.fetchone()
        rest = cursor.fetchall() if first else []
    except duckdb.Error as error:  # a damaged file fails every check that reads it
        columns, first, rest = ["unreadable"], (" ".join(str(error).split()),), []
    return CheckResult(
        name=name,
        severity=sql.severity(text),
        says=sql.title(text),
        failures=len(rest) + (first is not None),
        example=dict(zip(columns, first, strict=True)) if first else None,
    )


@contextlib.contextmanager
def _on_disk(connection: duckdb.DuckDBPyConnection, lake: Lake, realms: Sequence[str | None] | None) -> Iterator[None]:
    """The tables ``lake_files`` and ``ledger_files``, for as long as checks run."""
    import pyarrow as pa

    records = {day: lake.recorded(day) for day in lake.recorded_days()}
    folders = None if realms is None else {realm_directory(realm) for realm in realms}
    found = [
        (str(one.path.relative_to(lake.root)), one.is_stranger, one.bytes_on_disk, one.bytes_in_ledger)
        for one in strangers.look(lake, records, every_day=True)
        if folders is None or one.path.relative_to(lake.root).parts[1] in folders
    ]
    kinds = {"path": pa.string(), "is_stranger": pa.bool_(), "bytes_on_disk": pa.int64(), "bytes_in_ledger": pa.int64()}
    columns = list(zip(*found, strict=True)) or [()] * len(kinds)
    problems = lake.ledger_problems()
    connection.register(
        "lake_files",
        pa.table({name: pa.array(values, kind) for (name, kind), values in zip(kinds.items(), columns, strict=True)}),
    )
    connection.register(
        "ledger_files",
        pa.table(
            {"name": pa.array(list(problems), pa.string()), "problem": pa.array(list(problems.values()), pa.string())}
        ),
    )
    try:
        yield
    finally:
        connection.unregister("lake_files")
        connection.unregister("ledger_files")
