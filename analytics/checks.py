"""Is the lake sound? Runs the files of ``sql/checks``: each finds the rows that break its promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics import sql

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


def run(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Run every check of ``sql/checks``; those that failed with severity ``error`` first."""
    import duckdb

    results = []
    for name in sql.names("checks"):
        text = sql.text("checks", name)
        try:
            cursor = connection.execute(text)
            columns = [column[0] for column in cursor.description or []]
            first = cursor.fetchone()
            rest = cursor.fetchall() if first else []
        except duckdb.Error as error:  # a damaged file fails every check that reads it
            columns, first, rest = ["unreadable"], (" ".join(str(error).split()),), []
        results.append(
            CheckResult(
                name=name,
                severity=sql.severity(text),
                says=sql.title(text),
                failures=len(rest) + (first is not None),
                example=dict(zip(columns, first, strict=True)) if first else None,
            )
        )
    return sorted(results, key=lambda r: (r.passed, r.severity, r.name))
