"""A small engine: runs every event of a story, logs a sample and all failures, and keeps what each run needed."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from analytics.demo import traffic
from analytics.demo.catalog import Events, Family
from analytics.demo.engine import MS_PER_VISIT, field_rows, log_line, log_row, run
from analytics.demo.traffic import RHYTHMS, microseconds, moments_by_hour
from analytics.estimates.arrays import Bools, Ints
from analytics.program import Outcome, Program, analytics_paths, compile_program
from tests.runaway.fleet import UNTIL, Incident, Player, Run, Story

#: Share of the runs that time out for no reason of theirs; none within `_APART` of a stall, so that its count is exact.
STRAY: Final = 0.0015
MOST_NODES: Final = 1000
_APART: Final = timedelta(minutes=5)
_NO_CAP: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Played:
    """What a story leaves behind.

    Attributes:
        truth: Every run of every player.
        log: COPY lines of the logged ones.
    """

    truth: list[Run]
    log: list[str]


def play(story: Story, seed: int, *, until: datetime = UNTIL) -> Played:
    """Simulate a story; the same seed gives the same runs.

    Args:
        story: Who runs and what goes wrong.
        seed: Of all chance.
        until: First moment after the last run; later than the report's window where its future is asked for.
    """
    truth: list[Run] = []
    log: list[str] = []
    for index, player in enumerate(story.fleet):
        runs, lines = _Turn(
            story, player, np.random.default_rng([seed, zlib.crc32(story.key.encode()), index]), seed
        ).play(until)
        truth += runs
        log += lines
    return Played(truth, log)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One player of a story."""

    story: Story
    player: Player
    rng: np.random.Generator
    seed: int

    def play(self, until: datetime) -> tuple[list[Run], list[str]]:
        family, rng = self.player.family, self.rng
        incidents = [found for found in self.story.incidents if found.concerns(family)]
        usual = _moments(self.story, family, self.player.runs, until, rng)
        extras = [_within(found, rng) for found in incidents if found.extra]
        created = np.concatenate([usual, *extras])
        count = len(created)
        people = traffic.users(family.realm, self.seed)
        who = people.pick(rng, count)
        only = _only_one(len(usual), [found for found in incidents if found.extra])
        who = np.where(only, who[0], who)
        game = rng.integers(0, len(family.games), count)
        age_days = (created - microseconds(self.story.begins)) / 86_400e6
        rows = field_rows(family.fields(Events(rng, age_days, game, people.time[who], people.age[who])), count)
        versions = traffic.live_versions(family, created)
        programs = {of: compile_program(ast) for of, ast in family.programs.items()}
        queries = {of: analytics_paths(ast) for of, ast in family.programs.items()}
        chance = rng.random((5, count))
        noise = np.exp(np.array([[0.18], [0.45]]) * rng.standard_normal((2, count)))
        ids = traffic.execution_ids(rng, count)
        known: dict[Any, Outcome] = {}
        runs, lines = [], []
        for place in range(count):
            when = _EPOCH + timedelta(microseconds=int(created[place]))
            on = [found for found in incidents if found.since <= when < found.until]
            version = versions[place]
            cap = min((found.cap for found in on if found.cap), default=MOST_NODES)
            fields = dict(rows[place])
            for found in on:
                if found.missing and (only[place] or not found.one_user):
                    fields.pop(found.missing, None)
            outcome = _outcome(known, programs[version], family, fields, version, cap)
            wanted = (
                outcome
                if outcome.status != "limit"
                else _outcome(known, programs[version], family, fields, version, _NO_CAP)
            )
            stalled = any(found.stall and chance[0, place] < found.stall for found in on)
            own = chance[1, place] < self.player.timeouts
            late = stalled or own or (chance[2, place] < STRAY and not only[place] and self._far_from_a_stall(when))
            failed = late or not outcome.ok
            took = 0.4 + 0.3 * chance[3, place] + outcome.visits * MS_PER_VISIT * noise[0, place]
            took += _query_ms(queries[version], on) * noise[1, place]
            took = took if not late else 500.0 - 260.0 * math.log(1.0 - chance[3, place])
            found_run = Run(
                ids[place], when, family.realm, family.name, version,
                "timeout" if late else outcome.status, "DSL_TIMEOUT" if late else outcome.error_code,
                outcome.nodes, outcome.visits, wanted.nodes, round(took, 3), people.ids[int(who[place])],
                bool(traffic.logged_runs(failed, chance[4, place], self.story.rate)), stalled, own,
            )  # fmt: skip
            runs.append(found_run)
            if found_run.logged:
                row = _row(family, found_run, programs[version], fields, cap)
                for found in on:
                    row = found.row(row) if found.row else row
                lines.append(log_line(row))
        return runs, lines

    def _far_from_a_stall(self, when: datetime) -> bool:
        return not any(
            found.stall and found.since - _APART <= when < found.until + _APART for found in self.story.incidents
        )


def _moments(story: Story, family: Family, per_day: int, until: datetime, rng: np.random.Generator) -> Ints:
    """Ends of the usual runs, day by day, denser in busy hours; none before the first version is out."""
    first, begins = microseconds(family.schedule()[0][0]), microseconds(story.begins)
    days = range((until - story.begins) // timedelta(days=1))
    weights = RHYTHMS[family.rhythm]
    created = np.concatenate([moments_by_hour(rng, begins + day * 86_400_000_000, weights, per_day) for day in days])
    return created[created >= first]


def _within(incident: Incident, rng: np.random.Generator) -> Ints:
    return np.sort(rng.integers(microseconds(incident.since), microseconds(incident.until), incident.extra))


def _only_one(usual: int, extras: Sequence[Incident]) -> Bools:
    """Which runs are those of an incident's one user."""
    parts = [np.zeros(usual, bool), *(np.full(found.extra, found.one_user) for found in extras)]
    return np.concatenate(parts)


def _outcome(
    known: dict[Any, Outcome], program: Program, family: Family, fields: dict[str, Any], version: int, cap: int
) -> Outcome:
    """What the program makes of the fields; the same fields are asked once."""
    asked = (version, cap, *fields.items())
    if asked not in known:
        known[asked] = run(program, family.wrapped(version), fields, max_nodes=cap, keep_trace=False)
    return known[asked]


def _query_ms(paths: Sequence[str], on: Sequence[Incident]) -> float:
    slow = {path: ms for found in on for path, ms in found.query_ms.items()}
    return sum(slow.get(path, 1.3) for path in paths)


def _row(family: Family, found: Run, program: Program, fields: dict[str, Any], cap: int) -> dict[str, str | None]:
    """A run as the engine logs it."""
    wrapped, is_ok = family.wrapped(found.version), found.status == "ok"
    columns = {
        "id": found.execution_id,
        "created_at": found.created_at.isoformat(),
        "apiKey_used": "key-runaway",
        "externalGameId": family.games[0],
        "externalTaskId": family.tasks[0],
        "externalUserId": found.user,
        "status": found.status,
        "errorCode": found.error_code,
        "durationMs": str(found.duration_ms),
    }
    outcome = run(program, wrapped, fields, max_nodes=cap, keep_trace=True) if is_ok else None
    return log_row(family, found.version, outcome, columns)
