"""A small engine: runs each event of a story, logs a sample, and keeps what every run would have been paid without the story."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analytics.demo import traffic
from analytics.demo.catalog import DAY_ZERO, Events
from analytics.demo.engine import field_rows, log_line, log_row, usual_ms
from analytics.demo.traffic import RHYTHMS, microseconds, moments_by_hour
from analytics.estimates.arrays import Floats, Ints
from analytics.program import Outcome, analytics_paths
from tests.planted.story import UNTIL, Fields, Story
from tests.planted.tried import Engine, points_of

#: Share of the runs that time out for no reason of theirs.
STRAY: Final = 0.0015

#: Every run, logged or not. ``points_baseline`` is what it would have been paid without the story: by the first version, on
#: the fields as clients sent them before, around the built-in as it was deployed before; null where that run would have failed.
#: ``paid_by`` is what each version of the family pays for the run as it was, its own built-in and variables included; null
#: where that version fails. ``draw`` decides at every rate whether the run is sampled.
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
        ("paid_by", pa.map_(pa.int32(), pa.float64())),
        ("case_name", pa.string()),
        ("duration_ms", pa.float64()),
        ("external_game_id", pa.string()),
        ("external_user_id", pa.string()),
        ("draw", pa.float64()),
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


@dataclass(frozen=True, slots=True)
class Simulated:
    """Every run of one story, from which a log at any rate can be drawn; a lower rate's log is part of a higher one's.

    Attributes:
        story: What happens.
        engine: Its versions.
        truth: Every run, by ``TRUTH``; ``logged`` is at rate 0.
        sent: The fields of each run, as they reached the engine.
    """

    story: Story
    engine: Engine
    truth: pa.Table
    sent: list[Fields]
    _lines: dict[int, str] = field(default_factory=dict, repr=False)

    def logged(self, rate: float) -> Played:
        """The log of a sampling rate."""
        kept = self.truth["logged"].to_numpy()
        if self.story.logged is None:
            kept = traffic.logged_runs(kept, self.truth["draw"].to_numpy(), rate)
        indices = np.flatnonzero(kept)
        missing = np.array([index for index in indices.tolist() if index not in self._lines], dtype=np.int64)
        for index, row in zip(missing.tolist(), self.truth.take(pa.array(missing)).to_pylist(), strict=True):
            self._lines[index] = _log_line(self.engine, row, self.sent[index])
        place = TRUTH.get_field_index("logged")
        truth = self.truth.set_column(place, TRUTH.field("logged"), pa.array(kept))
        return Played(truth, [self._lines[index] for index in indices.tolist()])


def play(story: Story, seed: int, rate: float) -> Played:
    """Simulate one story and log it; the same seed gives the same runs."""
    return simulate(story, seed).logged(rate)


def simulate(story: Story, seed: int) -> Simulated:
    """Simulate one story; the same seed gives the same runs."""
    rng = np.random.default_rng([seed, zlib.crc32(story.key.encode())])
    family, count = story.family, story.runs
    created = _moments(story, rng)
    people = traffic.users(family.realm, seed)
    who = people.pick(rng, count)
    game = traffic.pick_games(rng, family, count)
    events = Events(rng, (created - microseconds(DAY_ZERO)) / 86_400e6, game, people.time[who], people.age[who])
    honest = field_rows(family.fields(events), count)
    games = [family.games[index] for index in game.tolist()]
    sent = _sent(story, honest, games, created)
    versions = _versions(story, created, rng)
    engine, first = Engine(family), family.versions[0].number

    outcomes, paid_before, paid_by = [], [], []
    for version, fields, usual, moment in zip(versions, sent, honest, created.tolist(), strict=True):
        outcome = engine.run(version, fields, moment)
        paid = engine.paid(fields, moment, version, outcome)
        outcomes.append(outcome)
        paid_by.append(paid)
        same = fields is usual and not engine.moving
        paid_before.append(paid[0][1] if same else points_of(engine.run(first, usual, None)))

    late = rng.random(count) < (STRAY if story.logged is None else 0.0)
    failed = late | np.array([not outcome.ok for outcome in outcomes])
    draw = rng.random(count)
    drawn = np.zeros(count, dtype=bool)
    if story.logged is not None:
        drawn = np.isin(np.arange(count), rng.choice(np.flatnonzero(~failed), story.logged, replace=False))
    took = _durations(story, versions, created, outcomes, rng)
    over = rng.exponential(260.0, count)
    for stall in story.stalls:
        within = (created >= microseconds(stall.since)) & (created < microseconds(stall.until))
        late = late | (within & (rng.random(count) < stall.share))
    failed = failed | late
    took = np.round(np.where(late, 500.0 + over, took), 3)
    gone, stopped = failed.tolist(), late.tolist()
    status = np.where(late, "timeout", [outcome.status for outcome in outcomes]).tolist()
    truth = pa.table(
        {
            "execution_id": traffic.execution_ids(rng, count),
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
            "points": [None if lost else float(of.points) for of, lost in zip(outcomes, gone, strict=True)],
            "points_baseline": [None if lost else of for of, lost in zip(paid_before, stopped, strict=True)],
            "paid_by": [None if lost else of for of, lost in zip(paid_by, stopped, strict=True)],
            "case_name": [None if lost else of.case_name for of, lost in zip(outcomes, gone, strict=True)],
            "duration_ms": took,
            "external_game_id": games,
            "external_user_id": [people.ids[index] for index in who.tolist()],
            "draw": draw,
            "logged": failed | drawn,
        },
        schema=TRUTH,
    )
    return Simulated(story, engine, truth, sent)


def _moments(story: Story, rng: np.random.Generator) -> Ints:
    """Ends of runs, sorted: denser in busy hours, fewer or more at weekends."""
    hours = (UNTIL - story.begins) // timedelta(hours=1)
    starts = [story.begins + timedelta(hours=hour) for hour in range(hours)]
    rhythm = RHYTHMS[story.family.rhythm]
    weights = [rhythm[start.hour] * (story.family.weekend if start.weekday() >= 5 else 1.0) for start in starts]
    return moments_by_hour(rng, microseconds(story.begins), weights, story.runs)


def _versions(story: Story, created: Ints, rng: np.random.Generator) -> list[int]:
    live = traffic.live_versions(story.family, created)
    if story.rollout and story.moment is not None:
        rolling = (created >= microseconds(story.moment)) & (created < microseconds(story.moment + story.rollout))
        back = rolling & (rng.random(len(created)) < 0.5)
        return [story.family.versions[0].number if old else version for old, version in zip(back, live, strict=True)]
    return live


def _sent(story: Story, honest: list[Fields], games: list[str], created: Ints) -> list[Fields]:
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
) -> Floats:
    """Milliseconds: walk, queries and noise, as in the demo's engine."""
    queries = {version: len(analytics_paths(ast)) for version, ast in story.family.programs.items()}
    total = usual_ms(rng, outcomes, [queries[version] for version in versions])
    if story.slow_ms and story.moment is not None:
        slow = created >= microseconds(story.moment) if story.version is None else np.array(versions) == story.version
        total = total + slow * story.slow_ms * np.exp(0.35 * rng.standard_normal(len(versions)))
    return total


def _log_line(engine: Engine, row: dict[str, Any], fields: Fields) -> str:
    """A run as the engine logs it."""
    family, version, moment = engine.family, row["strategy_version"], row["created_at"]
    is_ok = row["status"] == "ok"
    columns = {
        "id": row["execution_id"],
        "created_at": moment.astimezone(UTC).isoformat(),
        "apiKey_used": "key-planted",
        "externalGameId": row["external_game_id"],
        "externalTaskId": family.tasks[0],
        "externalUserId": row["external_user_id"],
        "status": row["status"],
        "errorCode": row["error_code"],
        "durationMs": str(row["duration_ms"]),
    }
    outcome = engine.run(version, fields, microseconds(moment), keep_trace=True) if is_ok else None
    return log_line(log_row(family, version, outcome, columns))
