"""acme-cycling: one literal changed on a Wednesday, and every ride paid half as much again."""

from __future__ import annotations

import numpy as np

from analytics.demo.catalog import Column, Events, Family, Version
from analytics.demo.dsl import Node, all_of, any_of, arith, assign, branch, call, compare, ladder, lit, note, rule

REALM = "acme-cycling"


def _speed_bonus(performance: int) -> dict[str, object]:
    return {
        "rules": [
            rule(compare("user.measurements_count", "<", 2), assign(1, "JoinedIn"), node_id="new-rider"),
            rule(
                all_of(
                    compare("user.avg_time", "<", {"type": "field", "path": "all.avg_time"}),
                    compare(arith("data.distance_km", "+", {"type": "field", "path": "data.detour_km"}), ">=", 1),
                ),
                assign(performance, "PerformanceBonus"),
                node_id="performance-bonus",
            ),
            rule(compare("data.distance_km", ">=", 2.5), assign(2, "SteadyPace"), node_id="steady-pace"),
        ]
    }


def _speed_fields(events: Events) -> dict[str, Column]:
    return {
        "user.measurements_count": events.measurements(),
        "user.avg_time": events.seconds(),
        "all.avg_time": np.round(40 + events.rng.standard_normal(len(events)), 1),
        "data.distance_km": events.around(6.2, 0.6),
        # An old client sends a text now and then.
        "data.detour_km": events.rarely(0.001, "0.4 km", events.around(0.4, 0.5)),
    }


def _group_ride(first: list[Node]) -> dict[str, object]:
    """Node ids are generated: a rule inserted at the top gives every later node another id."""
    bonus = arith(arith("data.distance_km", "*", 0.1), "min", 12.5)
    return {
        "rules": [
            *first,
            rule(ladder("data.riders", 1, 60), note("bunch", {"type": "field", "path": "data.riders"})),
            rule(
                compare("data.riders", ">=", 34),
                assign(arith(bonus, "+", 6), "Peloton"),
                else_if=[
                    branch(compare("data.riders", ">=", 28), assign(arith(bonus, "+", 3), "Big group")),
                    branch(compare("data.riders", ">=", 24), assign(bonus, "Group")),
                ],
                otherwise=[note("hint", "ride with two more")],
            ),
        ],
        "default": assign(0, None),
    }


def _group_fields(events: Events) -> dict[str, Column]:
    return {
        "data.riders": events.steps(28, 0.18, 60),
        "data.distance_km": events.around(31.0, 0.5, 2),
        "data.weather": events.rng.choice(["dry", "rain", "wind"], len(events)),
    }


def _streak_fields(events: Events) -> dict[str, Column]:
    return {"user.recent_measurements_count": events.whole(0, 9), "data.week": events.whole(20, 30)}


_RAIN = rule(
    any_of(compare("data.weather", "==", "rain"), compare("data.weather", "==", "snow")), note("weather_bonus", True)
)
_STREAK = {
    "rules": [
        rule(
            compare("user.recent_measurements_count", ">=", 5),
            assign(call("int", arith("user.recent_measurements_count", "*", lit(1.5))), "Streak"),
        )
    ]
}

FAMILIES = (
    Family(
        REALM,
        "Speed bonus",
        21.0,
        (
            Version(1, _speed_bonus(8), "2026-03-02 08:00"),
            Version(2, _speed_bonus(10), "2026-05-11 10:00", back_at="2026-07-10 15:00"),
            Version(3, _speed_bonus(15), "2026-07-08 09:30"),
            Version(4, _speed_bonus(12), None),
        ),
        _speed_fields,
        rhythm="commute",
        games=("commute-2026", "summer-cup"),
        tasks=("morning-leg", "evening-leg", "weekend-tour"),
    ),
    Family(
        REALM,
        "Group ride",
        5.0,
        (
            Version(1, _group_ride([]), "2026-04-20 12:00"),
            Version(2, _group_ride([_RAIN]), "2026-07-01 08:15"),
        ),
        _group_fields,
        rhythm="evening",
        weekend=1.6,
        games=("summer-cup",),
        tasks=("club-ride",),
    ),
    Family(
        REALM,
        "Weekly streak",
        1.5,
        (Version(1, _STREAK, "2026-02-01 00:00"),),
        _streak_fields,
        rhythm="evening",
        games=("commute-2026",),
        tasks=("streak",),
    ),
)
