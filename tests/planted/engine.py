"""A small engine: runs each event of a story, logs a sample, and keeps what every run would have been paid without the story."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analytics.demo.catalog import DAY_ZERO, Events, Family
from analytics.demo.copytext import line, number
from analytics.demo.engine import MS_PER_VISIT, TRACE_LIMIT, run
from analytics.demo.traffic import RHYTHMS, Ints, microseconds, users
from analytics.program import Outcome, analytics_paths, compile_program
from tests.planted.stories import UNTIL, Story

#: Share of the runs that time out for no reason of theirs.
STRAY: Final = 0.0015
_MOST_NODES: Final = 1000

#: Every run, logged or not. ``points_baseline`` is what it would have been paid without the story: by the version before, on
#: the fields as clients sent them before; null where that run would have failed.
TRUTH: Final = pa.schema(
    [
        ("execution_id", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("story", pa.string()),
        ("realm", pa.string()),
        ("family", pa.string()),
        ("strategy_version", pa.int32()),
        ("status", pa.string()),
        ("error_code", pa.string()),
        ("points", pa.float64()),
        ("points_baseline", pa.float64()),
        ("case_name", pa.string()),
        ("duration_ms", pa.float64()),
        ("external_game_id", pa.string()),
        ("external_user_id", pa.string()),
        ("logged", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class Played:
    """What one story leaves behind.

    Attributes:
        truth: Every run, by ``TRUTH``, oldest first.
        log: COPY lines of the logged ones.
    """

    truth: pa.Table
    log: list[str]


def play(story: Story, seed: int, rate: float) -> Played:
    """Simulate one story; the same seed gives the same runs."""
    rng = np.random.default_rng([seed, zlib.crc32(story.key.encode())])
    family, count = story.family, story.runs
    created = _moments(story, rng)
    people = users(family.realm, seed)
    who = people.pick(rng, count)
    shares = 1.0 / np.arange(1, len(family.games) + 1)
    game = rng.choice(len(family.games), count, p=shares / shares.sum())
    events = Events(rng, (created - microseconds(DAY_ZERO)) / 86_400e6, game, people.time[who], people.age[who])
    columns = {path: np.asarray(values).tolist() for path, values in family.fields(events).items()}
    honest = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    games = [family.games[index] for index in game.tolist()]
    sent = _sent(story, honest, games, created)
    versions = _versions(story, created, rng)
    programs = {of: compile_program(ast) for of, ast in family.programs.items()}
    baseline = programs[family.versions[0].number]

    outcomes, paid_before = [], []
    for version, fields, usual in zip(versions, sent, honest, strict=True):
        outcome = run(programs[version], family, fields, max_nodes=_MOST_NODES, keep_trace=False)
        same = programs[version] is baseline and fields is usual
        before = outcome if same else run(baseline, family, usual, max_nodes=_MOST_NODES, keep_trace=False)
        outcomes.append(outcome)
        paid_before.append(float(before.points) if before.ok else None)

    late = rng.random(count) < (STRAY if story.logged is None else 0.0)
    failed = late | np.array([not outcome.ok for outcome in outcomes])
    drawn = rng.random(count) < rate
    if story.logged is not None:
        drawn = np.isin(np.arange(count), rng.choice(np.flatnonzero(~failed), story.logged, replace=False))
    took = _durations(story, versions, created, outcomes, rng)
    took = np.round(np.where(late, 500.0 + rng.exponential(260.0, count), took), 3)
    status = np.where(late, "timeout", [outcome.status for outcome in outcomes]).tolist()
    truth = pa.table(
        {
            "execution_id": _ids(rng, count),
            "created_at": created,
            "story": [story.key] * count,
            "realm": [family.realm] * count,
            "family": [family.name] * count,
            "strategy_version": versions,
            "status": status,
            "error_code": [
                "DSL_TIMEOUT" if of == "timeout" else outcome.error_code
                for of, outcome in zip(status, outcomes, strict=True)
            ],
            "points": [None if gone else float(of.points) for of, gone in zip(outcomes, failed.tolist(), strict=True)],
            "points_baseline": [None if gone else of for of, gone in zip(paid_before, late.tolist(), strict=True)],
            "case_name": [None if gone else of.case_name for of, gone in zip(outcomes, failed.tolist(), strict=True)],
            "duration_ms": took,
            "external_game_id": games,
            "external_user_id": [people.ids[index] for index in who.tolist()],
            "logged": failed | drawn,
        },
        schema=TRUTH,
    )
    kept = np.flatnonzero(failed | drawn)
    rows = truth.take(pa.array(kept)).to_pylist()
    log = [_log_line(family, row, sent[index]) for row, index in zip(rows, kept.tolist(), strict=True)]
    return Played(truth, log)


def _moments(story: Story, rng: np.random.Generator) -> Ints:
    """Ends of runs, sorted: denser in busy hours, fewer or more at weekends."""
    hours = (UNTIL - story.begins) // timedelta(hours=1)
    starts = [story.begins + timedelta(hours=hour) for hour in range(hours)]
    rhythm = RHYTHMS[story.family.rhythm]
    weight = np.array(
        [rhythm[start.hour] * (story.family.weekend if start.weekday() >= 5 else 1.0) for start in starts]
    )
    hour = rng.choice(hours, story.runs, p=weight / weight.sum())
    offset = ((hour + rng.random(story.runs)) * 3_600_000_000).astype(np.int64)
    return np.sort(microseconds(story.begins) + offset)


def _versions(story: Story, created: Ints, rng: np.random.Generator) -> list[int]:
    schedule = story.family.schedule()
    live = np.searchsorted([microseconds(since) for since, _ in schedule], created, side="right") - 1
    versions = np.array([of for _, of in schedule])[live]
    if story.rollout and story.moment is not None:
        rolling = (created >= microseconds(story.moment)) & (created < microseconds(story.moment + story.rollout))
        versions = np.where(rolling & (rng.random(len(created)) < 0.5), story.family.versions[0].number, versions)
    found: list[int] = versions.tolist()
    return found


def _sent(story: Story, honest: list[dict[str, Any]], games: list[str], created: Ints) -> list[dict[str, Any]]:
    """The fields as they reach the engine; where no client changed them, the very same objects."""
    if story.client is None or story.moment is None:
        return honest
    since = microseconds(story.moment)
    return [
        story.client(fields) if moment >= since and story.game in (None, game) else fields
        for fields, game, moment in zip(honest, games, created.tolist(), strict=True)
    ]


def _durations(
    story: Story, versions: list[int], created: Ints, outcomes: list[Outcome], rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Milliseconds: walk, queries and noise, as in the demo's engine."""
    count = len(versions)
    asked = {of: len(analytics_paths(ast)) for of, ast in story.family.programs.items()}
    walk = np.array([of.visits for of in outcomes]) * MS_PER_VISIT * np.exp(0.18 * rng.standard_normal(count))
    queries = np.array([asked[of] for of in versions]) * 1.3 * np.exp(0.45 * rng.standard_normal(count))
    total = 0.4 + 0.3 * rng.random(count) + walk + queries
    if story.slow_ms and story.moment is not None:
        slow = created >= microseconds(story.moment) if story.version is None else np.array(versions) == story.version
        total = total + slow * story.slow_ms * np.exp(0.35 * rng.standard_normal(count))
    return np.asarray(total)


def _ids(rng: np.random.Generator, count: int) -> list[str]:
    raw = rng.bytes(16 * count).hex()
    found = (raw[start : start + 32] for start in range(0, 32 * count, 32))
    return [f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}" for text in found]


def _log_line(family: Family, row: dict[str, Any], fields: dict[str, Any]) -> str:
    """A run as the engine logs it: of a failed one hardly anything is left."""
    version, failed = row["strategy_version"], row["status"] != "ok"
    points, nodes, trace, notes = None, 0, None, None
    if not failed:
        again = run(compile_program(family.programs[version]), family, fields, max_nodes=_MOST_NODES, keep_trace=True)
        points, nodes, trace = again.points, again.nodes, again.trace
        if nodes > TRACE_LIMIT:
            notes = f"trace truncated: {nodes} -> {TRACE_LIMIT} entries"
            trace = (trace or [])[:TRACE_LIMIT]
    moment: datetime = row["created_at"]
    written = moment.astimezone(UTC).isoformat()
    return line(
        (
            row["execution_id"],
            written,
            written,
            "key-planted",
            None,
            family.strategy_id(version),
            str(version),
            family.strategy_type,
            family.realm,
            row["external_game_id"],
            family.tasks[0],
            row["external_user_id"],
            row["status"],
            row["error_code"],
            number(points),
            row["case_name"],
            str(row["duration_ms"]),
            str(nodes),
            json.dumps(trace, ensure_ascii=False, separators=(",", ":")),
            "f" if failed else "t",
            family.parent_strategy_id,
            notes,
        )
    )
