"""Two realms of sports, acme-cycling and sunny-gym.

acme-cycling: one literal changed on a Wednesday, and every ride paid half as much again. sunny-gym: a ladder that grows into the
node cap, and a program that says nothing about itself.
"""

from __future__ import annotations

import numpy as np

from analytics.demo.catalog import Column, Events, Family, Fields, Version
from analytics.demo.dsl import (
    Node,
    all_of,
    any_of,
    arith,
    assign,
    branch,
    call,
    compare,
    effect,
    ladder,
    lit,
    note,
    rule,
)
from analytics.program import ParentResult

SUNNY_GYM = "sunny-gym"
_TIERS = "task.measurements_count"
#: Rungs climbed at `DAY_ZERO`, and more every day; one rung is nine entries in version 5.
_RUNGS_AT_ZERO = 85.0


def _tier_ladder(step: int, start: int, extra: list[Node]) -> dict[str, object]:
    rungs = 150 // step

    def tier(name: str, gate: Node) -> Node:
        return rule(all_of(ladder(_TIERS, step, rungs, start), gate), note(name, True), node_id=f"{name}-ladder")

    return {
        "rules": [
            tier("bronze", compare("user.avg_time", "<", 60)),
            tier("silver", compare("user.avg_time", ">=", 0)),
            tier("gold", compare("user.avg_time", ">=", 0)),
            *extra,
        ],
        "default": assign(4, "Trained"),
    }


_EXTRA = [
    rule(compare("data.weekday", "<=", 7), note("weekend_extra", 1), node_id="weekend-extra"),  # always true
    rule(compare("data.legacy", "==", True), assign(1, "Legacy"), node_id="legacy-points"),  # never true
    rule(compare(_TIERS, ">", 0), assign(arith(_TIERS, "*", 0.1), "Tier"), node_id="pay"),
]


def _tier_fields(events: Events) -> dict[str, Column]:
    noise = np.clip(events.rng.standard_normal(len(events)) * 2.2, -6, 6)
    return {
        _TIERS: np.maximum(10, np.rint(_RUNGS_AT_ZERO + events.day + noise)).astype(np.int64),
        "user.avg_time": events.seconds(),
        "data.weekday": events.whole(1, 7),
        "data.legacy": [False] * len(events),
    }


_OPEN_DAY = {"rules": [rule(compare("data.visitors", ">", 0), assign(1, "Welcome"))]}


def _open_day_fields(events: Events) -> dict[str, Column]:
    return {"data.visitors": events.whole(0, 3)}


#: Both phases generate the same ids, so every id appears twice in a trace.
_WARM_UP = {
    "pre_rules": [
        rule(compare("data.minutes", ">", 45), effect("set_data", 45, key="minutes")),
    ],
    "post_rules": [
        rule(
            compare("parent.points", ">=", 4),
            effect("set_points", arith("parent.points", "+", 1)),
            effect("set_case_name", arith("parent.case_name", "+", " · warm")),
        ),
    ],
}


def _warm_up_fields(events: Events) -> dict[str, Column]:
    return {"data.minutes": events.whole(5, 60)}


def _built_in(data: Fields) -> ParentResult:
    """The wrapped strategy: a point per ten minutes."""
    return ParentResult(int(data["minutes"]) // 10, "BasicEngagement")


GYM_FAMILIES = (
    Family(
        SUNNY_GYM,
        "Tier ladder",
        7.5,
        (
            Version(3, _tier_ladder(7, 0, []), "2026-04-02 10:00"),
            Version(4, _tier_ladder(2, 4, []), "2026-07-01 06:00"),
            Version(5, _tier_ladder(1, 0, _EXTRA), "2026-07-05 06:00"),
        ),
        _tier_fields,
        rhythm="evening",
        weekend=1.0,
        games=("gym-2026",),
        tasks=("row", "lift", "run"),
    ),
    Family(
        SUNNY_GYM,
        "Open day",
        0.02,
        (Version(1, _OPEN_DAY, "2026-06-01 10:00"),),
        _open_day_fields,
        games=("open-day",),
        tasks=("visit",),
    ),
    Family(
        SUNNY_GYM,
        "Warm-up",
        3.0,
        (
            Version(1, {"rules": [], "pre_rules": [], "post_rules": []}, "2026-06-01 10:00"),
            Version(2, _WARM_UP, "2026-07-06 09:00"),
        ),
        _warm_up_fields,
        parent=_built_in,
        rhythm="evening",
        weekend=1.0,
        games=("gym-2026",),
        tasks=("warm-up",),
    ),
)

ACME_CYCLING = "acme-cycling"


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
        "default": assign(0, "Small group"),
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

CYCLING_FAMILIES = (
    Family(
        ACME_CYCLING,
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
        ACME_CYCLING,
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
        ACME_CYCLING,
        "Weekly streak",
        1.5,
        (Version(1, _STREAK, "2026-02-01 00:00"),),
        _streak_fields,
        rhythm="evening",
        games=("commute-2026",),
        tasks=("streak",),
    ),
)
