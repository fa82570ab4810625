"""What the runs of the post-mortem's lake are: a program in two versions, and events that the evaluator plays for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from analytics.demo.dsl import Node, all_of, any_of, arith, assign, call, compare, field, note, rule
from analytics.program import Program, generate_ids
from benchmarks.events import Pool, pool_of
from benchmarks.lakes import SEED

AMOUNT = {2: 10, 3: 15}
"""What each version pays for the case ``Performance``; nothing else differs."""


def program(version: int) -> dict[str, Any]:
    """The AST of a version: five rules over eight fields, some ids the author's, the others generated."""
    rules: list[Node] = [
        rule(compare("user.measurements_count", "<", 2), assign(1, "JoinedIn"), node_id="new-rider"),
        rule(
            any_of(compare("data.weather", "==", "rain"), compare("data.weather", "==", "snow")),
            note("weather", field("data.weather")),
        ),
        rule(
            all_of(compare("data.altitude_m", ">=", 400), compare("data.riders", ">=", 3)),
            assign(call("int", arith(arith("data.altitude_m", "*", 0.02), "+", 2)), "Climb"),
            node_id="climb",
        ),
        rule(
            all_of(
                compare("user.avg_time", "<", field("all.avg_time")),
                compare(arith("data.distance_km", "+", field("data.detour_km")), ">=", 1),
            ),
            assign(AMOUNT[version], "Performance"),
            node_id="performance",
        ),
        rule(compare("data.distance_km", ">=", 2.5), assign(2, "Steady"), node_id="steady"),
    ]
    return {"type": "program", "rules": rules}


def _fields(count: int, chance: np.random.Generator) -> dict[str, list[Any]]:
    """What events bring along: continuous values, counts, a text."""
    return {
        "user.measurements_count": chance.geometric(0.08, count).tolist(),
        "data.weather": chance.choice(["dry", "wind", "rain", "snow"], count, p=[0.6, 0.2, 0.17, 0.03]).tolist(),
        "data.altitude_m": np.round(chance.lognormal(4.6, 0.9, count)).astype(int).tolist(),
        "data.riders": chance.poisson(4, count).tolist(),
        "user.avg_time": np.round(chance.lognormal(3.65, 0.35, count), 2).tolist(),
        "all.avg_time": np.round(40 + chance.standard_normal(count), 1).tolist(),
        "data.distance_km": np.round(chance.lognormal(1.6, 0.7, count), 3).tolist(),
        "data.detour_km": np.round(chance.exponential(0.4, count), 3).tolist(),
    }


def play(version: int, count: int) -> Pool:
    """Play events, the same for every version: else a case would pay another amount for their sake alone.

    Those whose client sent a text for a number fail and leave their code only.
    """
    ran = Program(generate_ids(program(version)))
    fields = _fields(count, np.random.default_rng(SEED))
    events = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
    outcomes = [ran.run(event) for event in events]
    broken = [
        {**event, "data.altitude_m": 90, "user.avg_time": 1.0, "data.detour_km": "0.4 km"} for event in events[:999]
    ]
    codes = [failed.error_code for event in broken if not (failed := ran.run(event)).ok]
    if not codes or not all(outcome.ok for outcome in outcomes):
        raise AssertionError("the events that were to fail did not, or others did")
    return pool_of(outcomes, codes)
