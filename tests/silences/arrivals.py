"""Logged rows of many kinds of fleets, minute by minute, and what becomes of them when stretches are lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analytics.demo.traffic import RHYTHMS
from analytics.findings.failures.silences import DAY, Minutes, Pause, pauses

LOST = (29, 27, 39)
"""Minutes of a first pause, of rows between, and of a second pause."""
HOUR = 18
"""At which the first begins."""
MIXED = ("school", "commute", "evening", "flat")


@dataclass(frozen=True, slots=True)
class Fleet:
    """A kind of log.

    Attributes:
        rows: Logged a day.
        days: That the lake holds.
        window: Of these, the last ones, which are judged.
        rhythms: Of its strategies, in turn.
        strategies: How many.
        clump: Mean rows that come together, within five minutes.
        weekend: Of a weekday's rows.
        day_noise, hour_noise: Standard deviation of the logarithm of each strategy's level.
        bursts: Incidents in which many failures are logged, now and then.
    """

    rows: float
    days: int = 14
    window: int = 1
    rhythms: tuple[str, ...] = MIXED
    strategies: int = 8
    clump: float = 1.0
    weekend: float = 0.3
    day_noise: float = 0.15
    hour_noise: float = 0.2
    bursts: bool = True


FLEETS = {
    "school, 2,000 rows a day": Fleet(2_000, rhythms=("school",)),
    "school, three days judged": Fleet(2_000, days=17, window=3, rhythms=("school",)),
    "mixed, 2,000": Fleet(2_000),
    "mixed, 300, in clumps of 5": Fleet(300, clump=5),
    "school, 300, in clumps of 20, eight days": Fleet(300, days=8, rhythms=("school",), clump=20),
    "school, 60": Fleet(60, rhythms=("school",)),
    "tiny: 8 rows a day, four weeks": Fleet(8, days=28, strategies=3),
    "evening, 4,000, in clumps of 10": Fleet(4_000, days=21, rhythms=("evening",), clump=10, weekend=1.6),
    "one strategy, 1,000, in clumps of 15": Fleet(1_000, strategies=1, clump=15, hour_noise=0.5),
    "restless: hours differ by a factor": Fleet(1_000, hour_noise=0.8, day_noise=0.4),
    "mixed, three days in all": Fleet(1_500, days=3),
    "dense: 100,000 a day": Fleet(100_000, days=5),
}


def arrivals(fleet: Fleet, chance: np.random.Generator, first_weekday: int) -> Minutes:
    """Rows of each minute."""
    length = fleet.days * DAY
    minute, counts = np.arange(length), np.zeros(length)
    for number in range(fleet.strategies):
        rhythm = np.array(RHYTHMS[fleet.rhythms[number % len(fleet.rhythms)]])
        level = (rhythm / rhythm.sum())[minute // 60 % 24] / 60 * fleet.rows / fleet.strategies
        level = level * np.where((minute // DAY + first_weekday) % 7 >= 5, fleet.weekend, 1.0)
        level = level * np.repeat(chance.lognormal(0, fleet.day_noise, fleet.days), DAY)
        level = level * np.repeat(chance.lognormal(0, fleet.hour_noise, fleet.days * 24), 60)
        begun = chance.poisson(level / fleet.clump)
        if fleet.clump == 1:
            counts += begun
            continue
        at = np.repeat(minute, begun)
        size = chance.geometric(1 / fleet.clump, len(at))
        at = np.repeat(at, size) + chance.integers(0, 5, int(size.sum()))
        counts += np.bincount(at[at < length], minlength=length)
    for _ in range(chance.poisson(fleet.days / 3) if fleet.bursts else 0):
        at = int(chance.integers(0, length - 30))
        counts[at : at + 15] += chance.poisson(fleet.rows / 100, 15)
    held = np.ones(length, dtype=bool)
    held[: int(np.argmax(counts > 0))] = False
    return Minutes(counts, held, first_weekday * DAY)


def judged(fleet: Fleet, minutes: Minutes) -> list[Pause] | None:
    """What is found in the fleet's window."""
    return pauses(minutes, len(minutes.counts) - fleet.window * DAY, len(minutes.counts))


def robbed(fleet: Fleet, minutes: Minutes) -> tuple[Minutes, list[tuple[int, int, float]]]:
    """The same with two stretches of the last evening lost: from, to, rows that were in them."""
    first = len(minutes.counts) - DAY + HOUR * 60
    second = first + LOST[0] + LOST[1]
    spans = [(first, first + LOST[0]), (second, second + LOST[2])]
    counts = minutes.counts.copy()
    for start, stop in spans:
        counts[start:stop] = 0
    return replace(minutes, counts=counts), [(a, b, float(minutes.counts[a:b].sum())) for a, b in spans]


@dataclass(slots=True)
class Tally:
    """What became of many logs of one kind.

    Attributes:
        logs: All of them.
        untold: In which nothing could be told.
        alarms: Of logs in which nothing is wrong, those in which something was found.
        lost, named, inside: Stretches that were lost, those that were found, those whose rows lay in the interval.
    """

    logs: int = 0
    untold: int = 0
    alarms: int = 0
    lost: int = 0
    named: int = 0
    inside: int = 0


def tally(fleet: Fleet, logs: int, seed: int) -> Tally:
    """Judge logs as they are, and robbed; the same seed gives the same."""
    chance, found = np.random.default_rng(seed), Tally(logs)
    for _ in range(logs):
        minutes = arrivals(fleet, chance, int(chance.integers(0, 7)))
        plain = judged(fleet, minutes)
        found.untold += plain is None
        found.alarms += bool(plain)
        other, spans = robbed(fleet, minutes)
        for start, stop, rows in spans:
            found.lost += 1
            for pause in judged(fleet, other) or ():
                if pause.start <= start and pause.stop >= stop:
                    found.named += 1
                    found.inside += pause.low <= rows <= pause.high
    return found
