"""sunny-gym: a ladder that grows into the node cap, and a program that says nothing about itself."""

from __future__ import annotations

import numpy as np

from analytics.demo.catalog import Column, Events, Family, Fields, Version
from analytics.demo.dsl import Node, all_of, arith, assign, compare, effect, ladder, note, rule
from analytics.program import ParentResult

REALM = "sunny-gym"
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


FAMILIES = (
    Family(
        REALM,
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
        REALM,
        "Open day",
        0.02,
        (Version(1, _OPEN_DAY, "2026-06-01 10:00"),),
        _open_day_fields,
        games=("open-day",),
        tasks=("visit",),
    ),
    Family(
        REALM,
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
