"""Lake and source row for row, column for column, by means that are not the package's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from tests.proof.truth import HIVE, rebuilt, spelled
from tests.simulated import DEFINITIONS, LOG

_HAS_DAY = "({0} >= '0001-01-01 00:00+00' and {0} < '9999-12-31 00:00+00')"
_TEXTS = {
    "oauth_user_id": "oauth_user_id",
    "strategyId": "strategy_id",
    "strategyType": "strategy_type",
    "externalGameId": "external_game_id",
    "externalTaskId": "external_task_id",
    "externalUserId": "external_user_id",
    "status": "status",
    "errorCode": "error_code",
    "caseName": "case_name",
    "parentStrategyId": "parent_strategy_id",
    "notes": "notes",
}


def _moment(column: str) -> str:
    return (
        f"case when {_HAS_DAY.format(column)} then to_char({column} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') end"
    )


_SOURCE = f"""
select id::text, "realmId",
       case when {_HAS_DAY.format("created_at")} then to_char(created_at at time zone 'UTC', 'YYYY-MM-DD') end,
       {_moment("created_at")}, {_moment("updated_at")},
       case when not {_HAS_DAY.format("created_at")} then created_at::text end,
       points::text, "durationMs"::text, "strategyVersion"::text, "nodesExecuted"::text, sampled::text,
       {", ".join(f'"{name}"' for name in _TEXTS)}, trace::text
  from {LOG}"""
_LAKE = f"""
select execution_id, realm_id, day::varchar, strftime(timezone('UTC', created_at), '%Y-%m-%d %H:%M:%S.%f'),
       strftime(timezone('UTC', updated_at), '%Y-%m-%d %H:%M:%S.%f'), created_at_irregular, points, duration_ms,
       strategy_version::varchar, nodes_executed::varchar, sampled::varchar, {", ".join(_TEXTS.values())}, trace, trace_irregular
  from read_parquet($1, {HIVE})"""
_KNOWN = "set timezone = 'UTC'; set datestyle = 'ISO'; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0"
_POINTS, _DURATION = 6, 7


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
        rows: Of the source.
        lost: Of them, not in the lake.
        twice: In the lake more than once.
        other: In the lake with another value, or at all without being at the source.
        example: The first of those, source and lake.
    """

    rows: int
    lost: int = 0
    twice: int = 0
    other: int = 0
    example: str = ""

    @property
    def is_equal(self) -> bool:
        """Nothing is lost, doubled or another."""
        return not (self.lost or self.twice or self.other)


def source_rows(url: str) -> dict[str, tuple[Any, ...]]:
    """Every row of the source, by id; asked in a session whose settings are known."""
    with psycopg.connect(url, client_encoding="utf8") as connection:
        connection.execute(_KNOWN)
        rows = connection.execute(_SOURCE).fetchall()  # type: ignore[call-overload]
    return {row[0]: (*_known(row[1:-1]), spelled(row[-1])) for row in rows}


def _known(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers as the doubles nearest to them, which Python rounds as IEEE 754 says."""
    values = list(row)
    for place in (_POINTS - 1, _DURATION - 1):
        values[place] = None if values[place] is None else _double(float(values[place]))
    return tuple(values)


def _double(value: float | None) -> Any:
    return "NaN" if value is not None and math.isnan(value) else value


def lake_rows(lake: Path) -> list[tuple[Any, ...]]:
    """Every row of the lake, its id first."""
    if not [*(lake / "executions").rglob("*.parquet")]:
        return []
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute(_LAKE, [f"{lake}/executions/**/*.parquet"]).fetchall()
    return [
        (*row[:_POINTS], _double(row[_POINTS]), _double(row[_DURATION]), *row[_DURATION + 1 : -2], rebuilt(*row[-2:]))
        for row in rows
    ]


def compare(expected: dict[str, tuple[Any, ...]], lake: Path) -> Compared:
    """Hold a lake against rows of the source.

    Args:
        expected: As ``source_rows`` gives them.
        lake: Its folder.
    """
    found: dict[str, tuple[Any, ...]] = {}
    twice = 0
    for key, *row in lake_rows(lake):
        twice += key in found
        found[key] = tuple(row)
    lost = [key for key in expected if key not in found]
    other = [key for key in found if expected.get(key) != found[key]]
    example = next((f"{key}: {expected.get(key)} / {found.get(key)}" for key in [*lost, *other]), "")
    return Compared(len(expected), len(lost), twice, len(other), example[:600])


def programs(url: str) -> list[tuple[Any, ...]]:
    """The source's programs, by name."""
    with psycopg.connect(url, client_encoding="utf8") as connection:
        connection.execute(_KNOWN)
        found = connection.execute(
            f'select id::text, "realmId", name, version, "astJson"::text from {DEFINITIONS}'
        ).fetchall()  # type: ignore[call-overload]
    return sorted(found, key=repr)
