"""The fleet of the morning report's lake: fifty strategies of six tenants, their programs, and what is planted among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.demo.dsl import Node, assign, compare, field, ladder, note, rule
from analytics.program import Program, generate_ids
from benchmarks import lakes
from benchmarks.events import Pool, pool_of
from benchmarks.lakes import SEED

STORED = 200
"""Entries of a trace that the engine keeps."""
GROWING, CAPPED, SLOW = "Tier ladder", "Checkout ladder", "Quiet hours"
"""Strategies with a story: its nodes grow day by day; a lowered cap stops it one afternoon; a new field makes it slow."""
_STORIES = {6: GROWING, 7: CAPPED, 8: SLOW}
"""By their place among the strategies, the most used first."""
_LADDERS = {GROWING: 360, CAPPED: 230}
"""Rungs; each leaves three entries, so that the first could be climbed beyond the cap."""
_HIGHEST = 320
"""Nobody has yet."""
_RUNGS = 60
_LADDER_IN = 9
"""One of so many of the other strategies has a ladder too, which a few of its events climb beyond what is stored."""


@dataclass(frozen=True, slots=True)
class Version(lakes.Version):
    """One version of one strategy.

    Attributes:
        since, until: Days of the month on which it is live, fractional.
        share: Of all runs, while it is live.
        fields: Analytics fields that its program reads; each is a query.
        rungs: Of its ladder; 0 for none.
        rules: Before the last.
        slow_ms: What a slow query adds to every run.
    """

    since: float
    until: float
    share: float
    fields: tuple[str, ...]
    rungs: int
    rules: int
    slow_ms: float = 0.0

    def program(self) -> dict[str, Any]:
        """Its AST: rules over the event's data, one of them a note, one perhaps a ladder; the last pays for everybody."""
        rules: list[Node] = [rule(compare("data.weather", "==", "snow"), note("weather", field("data.weather")))]
        rules += [
            rule(compare(path, "<", 2), assign(1, f"Joined in {place}"), node_id=f"newcomer-{place}")
            for place, path in enumerate(self.fields)
        ]
        rules += [
            rule(compare(f"data.k{place}", ">=", 90), assign(2 + place, f"Bonus {place}"))
            for place in range(self.rules)
        ]
        if self.rungs:
            rules.append(rule(ladder("data.steps", 10, self.rungs), assign(5, "Tier"), node_id="tier"))
        rules.append(rule(compare("data.distance_km", ">=", 0), assign(1, "Steady"), node_id="steady"))
        return generate_ids({"type": "program", "rules": rules})


def fleet(families: int, realms: int, days: int) -> list[Version]:
    """Every version of every strategy, two of each."""
    chance = np.random.default_rng(SEED)
    shares = 1 / np.arange(4, families + 4) ** 0.7
    found = []
    for place, share in enumerate(shares / shares.sum()):
        name = _STORIES.get(place, f"Strategy {place:02}")
        has_ladder = name in _LADDERS or place % _LADDER_IN == 0
        rungs = _LADDERS.get(name, _RUNGS if has_ladder else 0)
        read = ("user.measurements_count", "task.measurements_count")[: place % 3]
        # Growth is told of one version, the limit of one that has been live for a while; the slow field came by the way.
        switch = {GROWING: 0.1, CAPPED: 0.3, SLOW: 0.5}.get(name, float(chance.uniform(0.2, 0.8))) * days
        rules = int(chance.integers(1, 4))
        for number, since, until in ((1, 0.0, switch), (2, switch, float(days))):
            is_slow = name == SLOW and number == 2
            found.append(
                Version(
                    f"tenant-{place % realms:02}",
                    name,
                    number,
                    since,
                    until,
                    float(share),
                    (*read, "all.avg_time") if is_slow else read,
                    rungs,
                    rules + number - 1,
                    120.0 if is_slow else 0.0,
                )
            )
    return found


def play(version: Version, count: int) -> Pool:
    """Play events; those that end well are kept in the order of their nodes, so that growth is a matter of where to draw."""
    chance = np.random.default_rng(SEED)
    ran = Program(version.program())
    # The ladders of the stories are climbed to any height, those of others seldom beyond their first rungs.
    reach = 10.0 * min(version.rungs, _HIGHEST)
    steps = chance.uniform(0, reach, count) if version.family in _LADDERS else chance.exponential(reach / 8, count)
    fields: dict[str, list[Any]] = {
        "data.weather": chance.choice(["dry", "rain", "snow"], count, p=[0.7, 0.25, 0.05]).tolist(),
        "data.distance_km": np.round(chance.lognormal(1.6, 0.7, count), 3).tolist(),
        "data.steps": np.round(steps.clip(max=max(reach - 1, 0))).astype(int).tolist(),
        **{path: chance.geometric(0.1, count).tolist() for path in version.fields},
        **{f"data.k{place}": chance.integers(0, 100, count).tolist() for place in range(version.rules)},
    }
    events = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
    outcomes = sorted((ran.run(event) for event in events), key=lambda outcome: outcome.nodes)
    broken = [ran.run({**event, "data.k0": "many"}) for event in events]
    codes = [failed.error_code for failed in broken if failed.status == "error"]
    if not codes or not all(outcome.ok for outcome in outcomes):
        raise AssertionError("the events that were to fail did not, or others did")
    return pool_of(outcomes, codes, STORED)
