"""north-library: nothing happens here, which is a story too."""

from __future__ import annotations

from analytics.demo.catalog import Column, Events, Family, Version
from analytics.demo.dsl import Node, all_of, arith, assign, branch, call, compare, field, ladder, negate, note, rule

REALM = "north-library"

_READING_LOG: dict[str, object] = {
    "rules": [
        rule(ladder("data.pages", 4, 60), note("shelf", field("data.shelf")), node_id="pages"),
        rule(
            compare("data.pages", ">=", 180),
            assign(call("clamp", call("int", arith("data.pages", "/", 12)), 5, 18), "Bookworm"),
            node_id="amount",
            else_if=[branch(compare("data.pages", ">=", 90), assign(6, "Reader"))],
            otherwise=[note("next", "90 pages")],
        ),
        rule(compare("data.returned_late", "==", True), assign(-2, "Late return"), node_id="late"),
    ]
}


def _reading_fields(events: Events) -> dict[str, Column]:
    return {
        # One in a hundred is scanned without a page count.
        "data.pages": events.rarely(0.01, None, events.steps(110, 0.32, 240)),
        "data.shelf": events.rng.choice(["novel", "atlas", "poems"], len(events)),
        "data.returned_late": (events.rng.random(len(events)) < 0.04).tolist(),
    }


def _weekly_streak(extra: list[Node]) -> dict[str, object]:
    return {
        "rules": [
            *extra,
            rule(ladder("user.recent_measurements_count", 1, 16), note("week", field("data.week"))),
            rule(
                all_of(
                    negate(compare("user.last_window_diff", "==", field("user.new_last_window_diff"))),
                    compare("user.recent_measurements_count", ">=", 9),
                ),
                assign(arith("user.recent_measurements_count", "*", 1.25), "Streak"),
            ),
        ],
        "default": assign(1, "Came by"),
    }


def _streak_fields(events: Events) -> dict[str, Column]:
    return {
        "user.recent_measurements_count": events.steps(11, 0.22, 16),
        "user.last_window_diff": events.whole(-3, 3),
        "user.new_last_window_diff": events.whole(-3, 3),
        "data.week": events.whole(20, 30),
    }


FAMILIES = (
    Family(
        REALM,
        "Reading log",
        8.0,
        (Version(3, _READING_LOG, "2026-02-11 10:00"),),
        _reading_fields,
        rhythm="evening",
        weekend=0.9,
        games=("reading-year",),
        tasks=("book", "magazine"),
    ),
    Family(
        REALM,
        "Weekly streak",
        7.0,
        (
            Version(3, _weekly_streak([]), "2026-04-01 10:00"),
            Version(4, _weekly_streak([rule(compare("data.week", "<", 1), assign(0, "Bad week"))]), "2026-06-29 11:00"),
        ),
        _streak_fields,
        rhythm="evening",
        weekend=0.8,
        games=("reading-year",),
        tasks=("visit",),
    ),
)
