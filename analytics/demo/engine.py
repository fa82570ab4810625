"""The simulated engine: it runs the programs, measures itself, and logs a sample of what it did, as PostgreSQL's COPY text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analytics.demo import scenarios
from analytics.demo.catalog import DAY_ZERO, Column, Events, Family, Fields, Parent
from analytics.demo.families import FAMILIES, family
from analytics.demo.traffic import (
    TRUTH_SCHEMA,
    Chunk,
    execution_ids,
    live_versions,
    logged_runs,
    microseconds,
    moments,
    pick_games,
    users,
)
from analytics.estimates.arrays import Array, Bools, Floats, Ints
from analytics.program import Outcome, Program, analytics_paths, compile_program

#: The columns that rows are written in, as the source spells them.
COLUMNS: Final = (
    "id",
    "created_at",
    "updated_at",
    "apiKey_used",
    "oauth_user_id",
    "strategyId",
    "strategyVersion",
    "strategyType",
    "realmId",
    "externalGameId",
    "externalTaskId",
    "externalUserId",
    "status",
    "errorCode",
    "points",
    "caseName",
    "durationMs",
    "nodesExecuted",
    "trace",
    "sampled",
    "parentStrategyId",
    "notes",
)
#: Entries of a trace that the engine stores.
TRACE_LIMIT: Final = 200
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def line(values: Iterable[str | None]) -> str:
    """One row; None is SQL NULL."""
    return "\t".join("\\N" if value is None else value.translate(_ESCAPES) for value in values) + "\n"


def number(value: int | float | None) -> str | None:
    """A number as PostgreSQL's `numeric` gets it from the engine: a float by its exact binary expansion."""
    if value is None:
        return None
    if isinstance(value, float):
        return format(Decimal(value), "f") if value - value == 0.0 else repr(value)
    return str(value)


def note_of_cut(nodes: int, stored: int = TRACE_LIMIT) -> str | None:
    """What the engine notes of a trace of which it stores so many entries at most."""
    return f"trace truncated: {nodes} -> {stored} entries" if nodes > stored else None


def log_row(
    family: Family, version: int, outcome: Outcome | None, columns: Mapping[str, str | None]
) -> dict[str, str | None]:
    """A run as the engine logs it, by the columns of the source.

    Args:
        family: Whose program ran.
        version: Which of its versions.
        outcome: What came of it, with its trace. None for a run that failed: of it no trace, no nodes, no points, no case and
            no notes are kept, whatever it did before it failed.
        columns: What the engine knows of the run besides: `id`, `created_at`, `externalGameId`, `externalTaskId`,
            `externalUserId`, `status`, `durationMs` and those that are not always there; what is not said is NULL.
    """
    row = {
        **dict.fromkeys(COLUMNS),
        "updated_at": columns["created_at"],
        "strategyId": family.strategy_id(version),
        "strategyVersion": str(version),
        "strategyType": family.strategy_type,
        "realmId": family.realm,
        "nodesExecuted": "0",
        "trace": "null",
        "sampled": "f",
        "parentStrategyId": family.parent_strategy_id(version),
        **columns,
    }
    if outcome is not None:
        stored = None if outcome.trace is None else outcome.trace[:TRACE_LIMIT]
        row |= {
            "points": number(outcome.points),
            "caseName": outcome.case_name,
            "nodesExecuted": str(outcome.nodes),
            "trace": json.dumps(stored, ensure_ascii=False, separators=(",", ":")),
            "sampled": "t",
            "notes": note_of_cut(outcome.nodes),
        }
    return row


def log_line(row: Mapping[str, str | None]) -> str:
    """The line of COPY of a row."""
    return line(row[name] for name in COLUMNS)


@dataclass(slots=True)
class Batch:
    """Events of one family in one chunk, and what came of them. One element per run."""

    family: Family
    rng: np.random.Generator
    created: Ints
    user: list[str]
    game: list[str]
    task: list[str]
    version: list[int]
    fields: list[Fields]
    planted: bool
    queries: list[int] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    timed_out: list[bool] = field(default_factory=list)
    max_nodes: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.created)


def batches(chunk: Chunk, seed: int) -> list[Batch]:
    """The events of a chunk, ordinary ones first, then those that a story plants."""
    found = []
    for index, (played, count) in enumerate(zip(FAMILIES, chunk.counts, strict=True)):
        if count:
            rng = np.random.default_rng([seed, 3, chunk.index, index])
            found.append(_batch(played, rng, seed, moments(played, chunk, count, rng)))
    for index, plant in enumerate(scenarios.PLANTED_FAULTS):
        if chunk.since <= plant.scenario.since < chunk.until and plant.scenario.until is not None:
            rng = np.random.default_rng([seed, 4, index])
            start, end = microseconds(plant.scenario.since), microseconds(plant.scenario.until)
            when = np.sort(rng.integers(start, end, len(plant.overrides)))
            found.append(_batch(family(plant.realm, plant.family), rng, seed, when, plant))
    return found


def _batch(
    played: Family, rng: np.random.Generator, seed: int, created: Ints, plant: scenarios.PlantedFault | None = None
) -> Batch:
    count = len(created)
    people = users(played.realm, seed)
    who = people.pick(rng, 1 if plant and plant.one_user else count)
    who = np.resize(who, count)
    game = pick_games(rng, played, count)
    events = Events(rng, (created - microseconds(DAY_ZERO)) / 86_400e6, game, people.time[who], people.age[who])
    rows = field_rows(played.fields(events), count)
    for row, overrides in zip(rows, plant.overrides if plant else (), strict=False):
        row.update(overrides)
        for path in [path for path, value in overrides.items() if value is scenarios.MISSING]:
            del row[path]
    games = [played.games[number] for number in game.tolist()]
    if client := _CLIENTS.get((played.realm, played.name)):
        client(rows, games, created)
    return Batch(
        family=played,
        rng=rng,
        created=created,
        user=[people.ids[number] for number in who.tolist()],
        game=games,
        task=[played.tasks[number] for number in rng.integers(0, len(played.tasks), count).tolist()],
        version=live_versions(played, created),
        fields=rows,
        planted=plant is not None,
    )


def field_rows(columns: Mapping[str, Column], count: int) -> list[Fields]:
    """The fields of each event, from what a family makes of them all."""
    values = [column if isinstance(column, list) else column.tolist() for column in columns.values()]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)] if names else [{}] * count


def _send_zero_minutes(rows: list[Fields], games: list[str], created: Ints) -> None:
    since, broken = microseconds(scenarios.ZERO_MINUTES.since), scenarios.ZERO_MINUTES.facts["external_game_id"]
    for row, game, moment in zip(rows, games, created.tolist(), strict=True):
        if game == broken and moment >= since:
            row["data.minutes"] = 0


def _send_metres(rows: list[Fields], _games: list[str], created: Ints) -> None:
    for row, moment in zip(rows, created.tolist(), strict=True):
        if moment >= microseconds(scenarios.METRES.since):
            row["data.km"] *= scenarios.METRES.facts["factor"]


def _read_more_at_weekends(rows: list[Fields], _games: list[str], created: Ints) -> None:
    facts = scenarios.LONG_READ.facts
    at_weekend = (created // 86_400_000_000 + 3) % 7 >= 5  # the epoch was a Thursday
    for row, often in zip(rows, at_weekend.tolist(), strict=True):
        if often and row["data.pages"] is not None:
            row["data.pages"] = min(facts["most"], round(row["data.pages"] * facts["factor"]))


#: What clients of a family make of its fields, after every random number has been drawn: the other families stay as they are.
_CLIENTS: Final[Mapping[tuple[str | None, str | None], Callable[[list[Fields], list[str], Ints], None]]] = {
    (scenarios.ZERO_MINUTES.realm, scenarios.ZERO_MINUTES.family): _send_zero_minutes,
    (scenarios.METRES.realm, scenarios.METRES.family): _send_metres,
    (scenarios.LONG_READ.realm, scenarios.LONG_READ.family): _read_more_at_weekends,
}

MS_PER_VISIT: Final = 0.045
#: Runs that time out for no reason of theirs.
_STRAY_TIMEOUTS: Final = 0.0016
#: Commits take 3 ms, but for those that stand in the queue behind a lock.
_COMMIT_TAIL: Final = 0.12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What one chunk leaves behind.

    Attributes:
        truth: Every run, by `TRUTH_SCHEMA`, in order of created_at.
        log: (committed_at in microseconds, COPY line) of the runs that were logged, in commit order.
        entries: Trace entries stored in those lines.
    """

    truth: pa.Table
    log: list[tuple[int, str]]
    entries: int


def play(batch: Batch) -> None:
    """Run every event of a batch; fills in outcomes, queries and who timed out."""
    family, count = batch.family, len(batch)
    programs = {number: compile_program(family.programs[number]) for number in set(batch.version)}
    queries = {number: len(analytics_paths(family.programs[number])) for number in programs}
    batch.queries = [queries[number] for number in batch.version]
    stalled = _within(batch.created, scenarios.STALL)
    chance = np.where(stalled, 1.0 if batch.planted else float(scenarios.STALL.facts["share"]), _STRAY_TIMEOUTS)
    if batch.planted and not stalled.any():
        chance = np.zeros(count)  # a planted failure must be the one its story tells
    batch.timed_out = (batch.rng.random(count) < chance).tolist()
    lowered = _within(batch.created, scenarios.LOWERED_CAP) & (family.realm == scenarios.LOWERED_CAP.realm)
    batch.max_nodes = np.where(lowered, int(scenarios.LOWERED_CAP.facts["max_nodes"]), 1000).tolist()
    batch.outcomes = [
        run(programs[version], family.wrapped(version), row, max_nodes=cap, keep_trace=False)
        for version, row, cap in zip(batch.version, batch.fields, batch.max_nodes, strict=True)
    ]


def run(program: Program, parent: Parent | None, row: Fields, *, max_nodes: int, keep_trace: bool) -> Outcome:
    """Run one event the way the engine would, around the built-in if the program wraps one."""
    if parent is None:
        return program.run(row, max_nodes=max_nodes, keep_trace=keep_trace)
    data = {path[5:]: value for path, value in row.items() if path.startswith("data.")}
    return program.run_extend(row, parent, data=data, max_nodes=max_nodes, keep_trace=keep_trace)


def usual_ms(rng: np.random.Generator, outcomes: Sequence[Outcome], queries: Sequence[int]) -> Floats:
    """Milliseconds of runs that nothing stops: their walks, their queries and noise."""
    count = len(outcomes)
    visits = np.array([outcome.visits for outcome in outcomes], dtype=np.float64)
    walk = visits * MS_PER_VISIT * np.exp(0.18 * rng.standard_normal(count))
    asking = np.array(queries, dtype=np.float64) * 1.3 * np.exp(0.45 * rng.standard_normal(count))
    return 0.4 + 0.3 * rng.random(count) + walk + asking


def durations(batch: Batch) -> Floats:
    """Milliseconds: walk, queries and noise; a run that timed out takes at least 500."""
    rng, count = batch.rng, len(batch)
    total = usual_ms(rng, batch.outcomes, batch.queries)
    if (batch.family.realm, batch.family.name) == (scenarios.SLOW_FIELD.realm, scenarios.SLOW_FIELD.family):
        slow = np.array(batch.version) == scenarios.SLOW_FIELD.facts["version"]
        median = float(scenarios.SLOW_FIELD.facts["query_ms_median"])
        tail = np.where(rng.random(count) < 0.02, 1.0 + 8.0 * rng.random(count), 1.0)
        total += slow * median * np.exp(0.35 * rng.standard_normal(count)) * tail
    late = np.array(batch.timed_out)
    total = np.where(late, 500.0 + rng.exponential(260.0, count), total)
    return np.round(total, 3)


def _within(created: Ints, scenario: scenarios.Scenario) -> Bools:
    until = microseconds(scenario.until) if scenario.until else np.iinfo(np.int64).max
    return np.asarray((created >= microseconds(scenario.since)) & (created < until))


def scenario_keys(batch: Batch) -> list[str | None]:
    """Which story each run belongs to, if any."""
    keys: list[str | None] = [None] * len(batch)
    family = batch.family
    for scenario in reversed(scenarios.SCENARIOS):  # the first of the tuple has the last word
        if scenario.family is not None and (scenario.realm, scenario.family) != (family.realm, family.name):
            continue
        for index in np.flatnonzero(_within(batch.created, scenario)).tolist():
            if _belongs(scenario, batch, index):
                keys[index] = scenario.key
    return keys


def _belongs(scenario: scenarios.Scenario, batch: Batch, index: int) -> bool:
    outcome = batch.outcomes[index]
    if scenario is scenarios.STALL:
        return batch.timed_out[index]
    if scenario is scenarios.SLOW_FIELD and batch.timed_out[index]:
        return False  # slow fields make slow runs; the time limit wraps the walk only
    if scenario in (scenarios.CANARY, scenarios.ZERO_MINUTES):
        return outcome.error_code == scenario.facts["error_code"] and not batch.timed_out[index]
    if scenario in (scenarios.BYPASS, scenarios.ODD_REFERRAL):
        return batch.planted
    return "version" not in scenario.facts or batch.version[index] == scenario.facts["version"]


def simulate_chunk(chunk: Chunk, seed: int, rate: float) -> ChunkResult:
    """Simulate a chunk; depends on its arguments only, wherever it runs."""
    tables: list[pa.Table] = []
    log: list[tuple[int, str]] = []
    entries = 0
    for batch in batches(chunk, seed):
        play(batch)
        table = _truth(batch, rate)
        tables.append(table)
        for index in np.flatnonzero(table["logged"].to_numpy()).tolist():
            committed, text, stored = _log_row(batch, index, {name: table[name][index] for name in _LOGGED})
            log.append((committed, text))
            entries += stored
    truth = pa.concat_tables(tables) if tables else TRUTH_SCHEMA.empty_table()
    log.sort()
    return ChunkResult(truth.sort_by([("created_at", "ascending"), ("execution_id", "ascending")]), log, entries)


def _truth(batch: Batch, rate: float) -> pa.Table:
    family, rng, count, outcomes = batch.family, batch.rng, len(batch), batch.outcomes
    took = durations(batch)
    lag_ms = np.where(rng.random(count) < _COMMIT_TAIL, rng.uniform(50, 4400, count), rng.lognormal(1.1, 0.5, count))
    late = batch.timed_out
    failed = np.array([not outcome.ok for outcome in outcomes]) | np.array(late)
    logged = logged_runs(failed, rng.random(count), rate)
    ids = {version: family.strategy_id(version) for version in set(batch.version)}
    shown = [None if gone else outcome for outcome, gone in zip(outcomes, failed.tolist(), strict=True)]
    columns: dict[str, list[Any] | Array] = {
        "execution_id": execution_ids(rng, count),
        "created_at": batch.created,
        "committed_at": batch.created + (lag_ms * 1000).astype(np.int64),
        "realm_id": [family.realm] * count,
        "family": [family.name] * count,
        "strategy_id": [ids[version] for version in batch.version],
        "strategy_version": batch.version,
        "strategy_type": [family.strategy_type] * count,
        "status": ["timeout" if gone else outcome.status for outcome, gone in zip(outcomes, late, strict=True)],
        "error_code": ["DSL_TIMEOUT" if gone else run.error_code for run, gone in zip(outcomes, late, strict=True)],
        "points": [None if outcome is None or outcome.points is None else float(outcome.points) for outcome in shown],
        "case_name": [None if outcome is None else outcome.case_name for outcome in shown],
        "duration_ms": took,
        "visits": [outcome.visits for outcome in outcomes],
        "nodes_true": [outcome.nodes for outcome in outcomes],
        "nodes_executed": [0 if outcome is None else outcome.nodes for outcome in shown],
        "external_game_id": batch.game,
        "external_task_id": batch.task,
        "external_user_id": batch.user,
        "logged": logged,
        "story": scenario_keys(batch),
        "analytics_queries": batch.queries,
    }
    return pa.table([pa.array(columns[name.name], name.type) for name in TRUTH_SCHEMA], schema=TRUTH_SCHEMA)


_LOGGED: Final = ("execution_id", "committed_at", "status", "error_code", "duration_ms")


def _log_row(batch: Batch, index: int, truth: Mapping[str, pa.Scalar]) -> tuple[int, str, int]:
    """A run as the engine logs it: (committed_at, COPY line, trace entries stored)."""
    family, user, version = batch.family, batch.user[index], batch.version[index]
    outcome = None
    if truth["status"].as_py() == "ok":
        outcome = run(
            compile_program(family.programs[version]),
            family.wrapped(version),
            batch.fields[index],
            max_nodes=batch.max_nodes[index],
            keep_trace=True,
        )
    person = f"auth0|{user[2:]}" if user < "u-33" else None  # a fifth signs in as a person, the rest by api key
    columns = {
        "id": truth["execution_id"].as_py(),
        "created_at": (_EPOCH + timedelta(microseconds=int(batch.created[index]))).isoformat(),
        "apiKey_used": None if person else "key-" + (family.realm or "none")[:4],
        "oauth_user_id": person,
        "externalGameId": batch.game[index],
        "externalTaskId": batch.task[index],
        "externalUserId": user,
        "status": truth["status"].as_py(),
        "errorCode": truth["error_code"].as_py(),
        "durationMs": str(truth["duration_ms"].as_py()),
    }
    text = log_line(log_row(family, version, outcome, columns))
    return truth["committed_at"].value, text, min(outcome.nodes, TRACE_LIMIT) if outcome else 0
