"""Who plays when: runs of each family in each stretch of time, their moments, versions, games and users, and which are logged."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa

from analytics.demo.catalog import Family
from analytics.demo.families import FAMILIES
from analytics.demo.scenarios import PLANTED_FAULTS
from analytics.estimates.arrays import Bools, Floats, Ints

_TIME = pa.timestamp("us", tz="UTC")
#: Durations in milliseconds. `visits` and `nodes_true` are what the walk did (up to the failure; for a timeout, what it
#: would have done), `nodes_executed` is what the log says. `story` is the key of a planted story or null.
TRUTH_SCHEMA: Final = pa.schema(
    [
        ("execution_id", pa.string()),
        ("created_at", _TIME),
        ("committed_at", _TIME),
        ("realm_id", pa.string()),
        ("family", pa.string()),
        ("strategy_id", pa.string()),
        ("strategy_version", pa.int32()),
        ("strategy_type", pa.string()),
        ("status", pa.string()),
        ("error_code", pa.string()),
        ("points", pa.float64()),
        ("case_name", pa.string()),
        ("duration_ms", pa.float64()),
        ("visits", pa.int32()),
        ("nodes_true", pa.int32()),
        ("nodes_executed", pa.int32()),
        ("external_game_id", pa.string()),
        ("external_task_id", pa.string()),
        ("external_user_id", pa.string()),
        ("logged", pa.bool_()),
        ("story", pa.string()),
        ("analytics_queries", pa.int32()),
    ]
)

#: Share of a day's traffic by hour (UTC), before it is normalised.
RHYTHMS: Final[Mapping[str, tuple[float, ...]]] = {
    "school": (0.2,) * 5 + (0.5, 2, 6, 9, 9, 8, 8, 8, 9, 7, 5, 4, 3, 3, 2, 1.5, 1, 0.5, 0.3),
    "commute": (0.6, 0.4, 0.3, 0.3, 0.8, 2.5, 6, 9, 7, 4, 3.5, 4, 5, 5, 4, 6, 9, 9, 6, 4, 3, 2, 1.5, 1),
    "evening": (1, 0.5, 0.3, 0.2, 0.3, 1, 2, 3, 3, 3, 3, 4, 5, 4, 4, 5, 7, 9, 10, 10, 8, 6, 4, 2),
    "flat": (1.5, 1, 0.8, 0.8, 1, 1.5, 2.5, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 4.5, 4, 3.5, 3, 2),
}
_USERS_PER_REALM: Final = 700
_LARGEST_CHUNK: Final = 20_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of time small enough to simulate in memory.

    Attributes:
        index: 0-based, in time order.
        since: Start, UTC.
        hours: Length.
        counts: Runs of each family, in the order of `FAMILIES`, planted ones left out.
    """

    index: int
    since: datetime
    hours: int
    counts: tuple[int, ...]

    @property
    def until(self) -> datetime:
        """End, UTC."""
        return self.since + timedelta(hours=self.hours)


def plan(*, runs: int, days: int, until: date, seed: int) -> list[Chunk]:
    """Divide the runs over time and families; planted runs count towards the total.

    Depends on nothing but the arguments, so any number of workers simulates the same population.
    """
    last = datetime(until.year, until.month, until.day, tzinfo=UTC)
    first = last - timedelta(days=days)
    planted = sum(len(plant.overrides) for plant in PLANTED_FAULTS if first <= plant.scenario.since < last)
    hours = next((length for length in (12, 6, 3) if runs / days * length / 24 <= _LARGEST_CHUNK), 1)
    starts = [first + timedelta(hours=hour) for hour in range(0, days * 24, hours)]
    noise = np.exp(0.06 * np.random.default_rng([seed, 1]).standard_normal((len(starts), len(FAMILIES))))
    weights = np.array([[_weight(family, start, hours) for family in FAMILIES] for start in starts]) * noise
    edges = np.concatenate([[0.0], np.cumsum(weights)])
    counts = np.diff(np.rint(edges / edges[-1] * max(0, runs - planted)).astype(np.int64)).reshape(weights.shape)
    return [
        Chunk(index, start, hours, tuple(row))
        for index, (start, row) in enumerate(zip(starts, counts.tolist(), strict=True))
    ]


def _weight(family: Family, start: datetime, hours: int) -> float:
    rhythm = RHYTHMS[family.rhythm]
    share = sum(rhythm[(start.hour + hour) % 24] for hour in range(hours)) / sum(rhythm)
    return family.weight * share * (family.weekend if start.weekday() >= 5 else 1.0)


def moments(family: Family, chunk: Chunk, count: int, rng: np.random.Generator) -> Ints:
    """Ends of runs, as sorted microseconds since the epoch, denser in busy hours."""
    rhythm = RHYTHMS[family.rhythm]
    return moments_by_hour(
        rng, microseconds(chunk.since), [rhythm[(chunk.since.hour + hour) % 24] for hour in range(chunk.hours)], count
    )


def moments_by_hour(rng: np.random.Generator, since: int, weights: Sequence[float], count: int) -> Ints:
    """Sorted microseconds since the epoch, in the hours from `since` on: each hour's share follows from its weight."""
    weight = np.array(weights)
    hour = rng.choice(len(weight), count, p=weight / weight.sum())
    return np.sort(since + ((hour + rng.random(count)) * 3_600_000_000).astype(np.int64))


def live_versions(family: Family, created: Ints) -> list[int]:
    """The version of each run: the one that was published last before it; before them all the first."""
    schedule = family.schedule()
    live = np.searchsorted([microseconds(since) for since, _ in schedule], created, side="right") - 1
    return [schedule[max(0, number)][1] for number in live.tolist()]


def pick_games(rng: np.random.Generator, family: Family, count: int) -> Ints:
    """Draw the game of each event, by its place among the family's: the second is played half as often as the first."""
    shares = 1.0 / np.arange(1, len(family.games) + 1)
    return rng.choice(len(family.games), count, p=shares / shares.sum())


def execution_ids(rng: np.random.Generator, count: int) -> list[str]:
    """Random ids of runs, as the engine spells them."""
    raw = rng.bytes(16 * count).hex()
    digits = (raw[start : start + 32] for start in range(0, 32 * count, 32))
    return [f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}" for text in digits]


def logged_runs(failed: Bools | bool, draws: Floats, rate: float) -> Bools:
    """The sampler's decision: every failure is logged, and an ok run whose random number is below the rate."""
    return failed | (draws < rate)


def microseconds(moment: datetime) -> int:
    """A UTC time as microseconds since the epoch."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Users:
    """The people of a realm: a few play a lot, most now and then."""

    ids: tuple[str, ...]
    cumulative: Floats
    time: Floats
    age: Floats

    def pick(self, rng: np.random.Generator, count: int) -> Ints:
        """Draw the user of each event."""
        return np.searchsorted(self.cumulative, rng.random(count)).astype(np.int64)


@lru_cache(maxsize=64)
def users(realm: str | None, seed: int) -> Users:
    """The users of a realm, always the same for a seed."""
    rng = np.random.default_rng([seed, 2, zlib.crc32(repr(realm).encode())])
    weight = rng.permutation(1.0 / np.arange(1, _USERS_PER_REALM + 1) ** 0.6)
    cumulative = np.cumsum(weight) / weight.sum()
    cumulative[-1] = 1.0  # rounding must not leave room for a draw behind the last user
    return Users(
        ids=tuple(f"u-{number:06x}" for number in rng.choice(1 << 24, _USERS_PER_REALM, replace=False).tolist()),
        cumulative=cumulative,
        time=28.5 * np.exp(0.45 * rng.standard_normal(_USERS_PER_REALM)),
        age=rng.random(_USERS_PER_REALM),
    )
