"""The lake compared with PostgreSQL: id by id, trace by trace, by means that are not the package's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from .origin import DAYS, FIRST, Origin, Place, State

if TYPE_CHECKING:
    from analytics.warehouse.warehouse import Warehouse

HIVE = "hive_partitioning = true, hive_types = {'realm': varchar, 'day': date}"


class BrokenPromiseError(AssertionError):
    """A guarantee did not hold."""

    def __init__(self, message: str, *, lost: int = 0, duplicated: int = 0, half: int = 0) -> None:
        super().__init__(message)
        self.lost, self.duplicated, self.half = lost, duplicated, half


@dataclass
class Compared:
    """How much was compared."""

    rows: int = 0
    entries: int = 0


def equal(origin: Origin, lake: Path, *, also: dict[str, Any] | None = None) -> Compared:
    """Every row of the source is in the lake once, in its place, with its trace; and the lake has no other row.

    Args:
        origin: The source.
        lake: Its lake's folder.
        also: Rows the source has deleted and the lake keeps, as ``rows_of`` gave them.

    Raises:
        BrokenPromiseError: They differ.
    """
    expected = {**rows_of(origin), **(also or {})}
    found: dict[str, Any] = {}
    duplicated = 0
    for row in _lake_rows(lake):
        duplicated += row[0] in found
        found[row[0]] = row[1:]
    lost = [key for key in expected if key not in found]
    invented = [key for key in found if key not in expected]
    wrong = [key for key in expected if key in found and found[key] != expected[key]]
    if lost or duplicated or invented or wrong:
        example = next(((expected.get(key), found.get(key)) for key in [*lost, *invented, *wrong]), None)
        raise BrokenPromiseError(
            f"{len(lost)} rows lost, {duplicated} twice, {len(invented)} that the source does not have, {len(wrong)} that differ; "
            f"the first, source and lake: {example}"[:900],
            lost=len(lost),
            duplicated=duplicated,
        )
    rolled = {place: entries for place, (entries, _) in _seen(lake)[1].items()}
    counted: dict[Place, int] = {}
    for realm, day, *_, trace in expected.values():
        counted[realm, day] = counted.get((realm, day), 0) + (len(trace) if isinstance(trace, list) else 0)
    if {place: number for place, number in counted.items() if number} != rolled:
        raise BrokenPromiseError(
            f"the rollup counts other entries than the source: {rolled} instead of {counted}"[:600]
        )
    return Compared(len(expected), sum(counted.values()))


def rows_of(origin: Origin) -> dict[str, Any]:
    """Every row of the source in the comparison's own form."""
    rows = origin.execute(
        """select id::text, "realmId", (created_at at time zone 'UTC')::date::text,
                  (extract(epoch from created_at) * 1000000)::bigint, "strategyId", "strategyVersion", status,
                  points::float8, "caseName", "durationMs"::float8, sampled, notes, trace::text
             from strategyexecutionlog"""
    )
    return {key: (*rest, spelled(trace)) for key, *rest, trace in rows}


def _lake_rows(lake: Path) -> list[tuple[Any, ...]]:
    if not list((lake / "executions").rglob("*.parquet")):
        return []
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""select execution_id, realm_id, day::varchar, epoch_us(created_at), strategy_id, strategy_version, status,
                       points, case_name, duration_ms, sampled, notes, trace, trace_irregular
                  from read_parquet($1, {HIVE})""",
            [f"{lake}/executions/**/*.parquet"],
        ).fetchall()
    return [(*row[:-2], rebuilt(row[-2], row[-1])) for row in rows]


def spelled(text: str | None) -> Any:
    """JSON as Python sees it, numbers kept apart from texts and as they were written."""
    return None if text is None else _parsed(text)


def rebuilt(trace: list[dict[str, Any]] | None, irregular: str | None) -> Any:
    """The trace that a list of entries stands for."""
    if irregular is not None:
        return _parsed(irregular)
    if trace is None:
        return None
    return [
        {"nodeId": entry["node_id"], "type": entry["type"], "value": _parsed(entry["value"])}
        | ({"branch": entry["branch"]} if entry["branch"] is not None else {})
        for entry in trace
    ]


def _parsed(text: str) -> Any:
    def number(digits: str) -> tuple[str, str]:
        return ("number", digits)

    return json.loads(text, parse_float=number, parse_int=number)


# ---- what can be seen at any moment ----------------------------------------------------------------------------------

Ledger = dict[Place, tuple[int, int]]


def _seen(lake: Path) -> tuple[dict[Place, State], dict[Place, tuple[int, int]]]:
    """(rows, ids, versions) and (entries, entry versions) of every partition, read by a bare glob."""
    executions: dict[Place, State] = {}
    rollup: dict[Place, tuple[int, int]] = {}
    with duckdb.connect() as connection:
        for rows in _ask(
            connection, lake, "executions",
            "count(*), sum(('0x' || execution_id[:8])::bigint), sum(strategy_version), sum(coalesce(len(trace), 0)), "
            "sum(coalesce(len(trace), 0) * strategy_version)",
        ):  # fmt: skip
            executions[rows[0], rows[1]] = State(*map(int, rows[2:]))
        for rows in _ask(connection, lake, "node_days", "sum(entry_count), sum(entry_count * strategy_version)"):
            rollup[rows[0], rows[1]] = (int(rows[2]), int(rows[3]))
    return executions, rollup


def _ask(connection: duckdb.DuckDBPyConnection, lake: Path, table: str, what: str) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(
            f"select realm_id, day::varchar, {what} from read_parquet($1, {HIVE}) group by 1, 2",
            [f"{lake}/{table}/**/*.parquet"],
        ).fetchall()
    except duckdb.IOException as error:
        if "No files found" in str(error):
            return []
        raise


def ledger_of(lake: Path) -> Ledger:
    """(rows, sum of the ids' beginnings) that the ledger tells of every partition; its files are whole or not there."""
    told: Ledger = {}
    for path in (lake / "ledger").glob("day=*.json"):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        for item in entry["partitions"]:
            told[item["realm_id"], entry["day"]] = (item["row_count"], item["trace_entries"])
    return told


def judge(
    history: dict[Place, list[State | None]],
    ledger: Ledger,
    executions: dict[Place, State],
    rollup: dict[Place, tuple[int, int]],
) -> None:
    """What was seen, the ledger first, is of states the source was in, and no file is older than what the ledger tells.

    Raises:
        BrokenPromiseError: A half partition, a state that never was, or a ledger that was ahead of its files.
    """
    for place in {*history, *executions, *rollup}:
        known = history.get(place, [None])
        now = executions.get(place)
        if now not in known:
            raise BrokenPromiseError(f"{place}: seen {now}, which the source never was; it was {known[-3:]}", half=1)
        entries = rollup.get(place, (0, 0))
        totals = [(state.entries, state.entry_versions) if state else (0, 0) for state in known]
        if entries not in totals:
            raise BrokenPromiseError(f"{place}: the rollup seen is {entries}, and never was; {totals[-3:]}", half=1)
        told = [(state.rows, state.entries) if state else (0, 0) for state in known]
        entry = ledger.get(place, (0, 0))
        if entry not in told:
            raise BrokenPromiseError(f"{place}: the ledger tells {entry}, and the source never was that: {told[-3:]}")
        at_least = told.index(entry)
        if last_index(known, now) < at_least or last_index(totals, entries) < at_least:
            raise BrokenPromiseError(
                f"{place}: the ledger is ahead of its files ({entry}; seen {now}, rollup {entries})", half=1
            )


def last_index(values: list[Any], value: Any) -> int:
    """Where a value comes last."""
    return len(values) - 1 - values[::-1].index(value)


def examine(origin: Origin, lake: Path) -> None:
    """Look at a lake that was just left, before anything repairs it: only whole partitions, old or new.

    Raises:
        BrokenPromiseError: See ``judge``; also a file that no reader can read.
    """
    for path in lake.rglob("*.parquet"):
        if path.name != "part.parquet" and path.relative_to(lake).parts[0] != "days":
            raise BrokenPromiseError(f"a glob sees {path.relative_to(lake)}", half=1)
    ledger = ledger_of(lake)
    try:
        executions, rollup = _seen(lake)
    except duckdb.Error as error:
        raise BrokenPromiseError(f"a reader fails: {error}"[:300], half=1) from error
    judge(origin.recent(), ledger, executions, rollup)


def leftovers(lake: Path) -> list[str]:
    """Files that have no business in a lake at rest."""
    return sorted(
        str(path.relative_to(lake))
        for path in lake.rglob("*")
        if path.is_file()
        and path.name not in (".lock", "people.json", "source.json")
        and path.relative_to(lake).parts[0] not in (".set-aside", "days")
        and not (path.name == "part.parquet" or (path.parent.name == "ledger" and path.suffix == ".json"))
    ) + ([".tmp"] if (lake / ".tmp").exists() else [])


def sound(warehouse: Warehouse) -> None:
    """The package's own checks find nothing.

    Raises:
        BrokenPromiseError: They do.
    """
    failed = [one for one in warehouse.check() if not one.passed and one.severity == "error"]
    if failed:
        raise BrokenPromiseError(f"check {failed[0].name} fails: {failed[0].example}")


def at_rest(origin: Origin, lake: Path, *, also: dict[str, Any] | None = None, checks: bool = True) -> Compared:
    """After a normal run: equal, sound by the package's own checks, and nothing left over.

    Raises:
        BrokenPromiseError: It is not.
    """
    compared = equal(origin, lake, also=also)
    if left := leftovers(lake):
        raise BrokenPromiseError(f"left over: {left[:5]}")
    if checks:
        from analytics.lake.lake import Lake
        from analytics.warehouse.warehouse import Warehouse

        sound(Warehouse(Lake(lake)))
    if also is None:
        told = {place: entry for place, entry in ledger_of(lake).items() if entry[0]}
        days = {(FIRST.replace(day=FIRST.day + number)).isoformat() for number in range(DAYS)}
        wanted = {place: (state.rows, state.entries) for place, state in origin.states().items() if place[1] in days}
        if told != wanted:
            raise BrokenPromiseError(f"the ledger tells {told} where the source has {wanted}"[:600])
    return compared
