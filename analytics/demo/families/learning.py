"""Two realms of learning, harbor-schools and north-library.

harbor-schools: a slow field, a client that sends zeros, and a program that lost its node ids in an import. north-library: nothing
happens here, which is a story too.
"""

from __future__ import annotations

import numpy as np

from analytics.demo.catalog import Column, Events, Family, Version
from analytics.demo.dsl import Node, all_of, arith, assign, branch, call, compare, field, ladder, negate, note, rule

NORTH_LIBRARY = "north-library"

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


LIBRARY_FAMILIES = (
    Family(
        NORTH_LIBRARY,
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
        NORTH_LIBRARY,
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

HARBOR_SCHOOLS = "harbor-schools"


def _daily_quest(*, against_everybody: bool) -> dict[str, object]:
    pace = field("all.avg_time") if against_everybody else 45
    return {
        "rules": [
            rule(ladder("user.measurements_count", 8, 40), note("quest", field("data.quest")), node_id="quest-log"),
            rule(
                all_of(compare("user.avg_time", "<", pace), compare("data.done", "==", True)),
                assign(call("clamp", arith("data.bar", "-", field("user.avg_time")), 1, 25), "Swift"),
                node_id="swift",
            ),
            rule(compare("data.done", "==", True), assign(3, "Done"), node_id="done"),
        ]
    }


def _quest_fields(events: Events) -> dict[str, Column]:
    return {
        "user.measurements_count": events.measurements(most=160),
        "user.avg_time": events.seconds(),
        "all.avg_time": np.round(44 + 2 * events.rng.standard_normal(len(events)), 1),
        "data.quest": events.rng.choice(["reading", "maths", "sport", "music"], len(events)),
        "data.done": (events.rng.random(len(events)) < 0.86).tolist(),
        "data.bar": events.whole(50, 70),
    }


def _homework_race(step: float) -> dict[str, object]:
    return {
        "rules": [
            rule(ladder("data.pages", 1, 70), note("pages", field("data.pages"))),
            rule(
                compare(arith("data.pages", "/", field("data.minutes")), ">=", step),
                assign(arith(arith("data.pages", "/", field("data.minutes")), "*", 10), "Fast reader"),
                otherwise=[assign(2, "Handed in")],
            ),
        ]
    }


def _race_fields(events: Events) -> dict[str, Column]:
    return {"data.pages": events.steps(33, 0.22, 70), "data.minutes": events.around(28, 0.35, 0).astype(np.int64) + 1}


#: Imported past the editor: only the rules have ids, every other node's id is null.
_KIND_WORDS = {
    "rules": [
        rule(
            ladder("data.letters", 10, 14), note("to", arith("data.prefix", "+", field("data.to"))), node_id="letters"
        ),
        rule(
            compare("data.thanks", ">", 2),
            note("tags", field("data.tags")),
            assign(call("int", arith("data.thanks", "max", 3.7)), "Warm heart"),
            node_id="warm",
            else_if=[
                branch(compare("data.thanks", "==", 2), assign(2, "Kind")),
                branch(compare("data.thanks", "==", 1), assign(1, "Friendly")),
            ],
        ),
    ]
}


def _kind_fields(events: Events) -> dict[str, Column]:
    count = len(events)
    return {
        "data.letters": events.steps(70, 0.3, 139),
        "data.prefix": ["to: "] * count,
        "data.to": events.rng.choice(["Ms Öztürk", "Tom 🎈", 'the "quiet" corner', "سلمى"], count),
        "data.tags": [[tag] for tag in events.rng.choice(["class-4b", "class-5a", "yard"], count).tolist()],
        "data.thanks": events.rarely(0.001, "many", events.whole(0, 4)),
    }


SCHOOL_FAMILIES = (
    Family(
        HARBOR_SCHOOLS,
        "Daily quest",
        12.0,
        (
            Version(11, _daily_quest(against_everybody=False), "2026-05-04 06:00"),
            Version(12, _daily_quest(against_everybody=True), "2026-07-03 07:40"),
        ),
        _quest_fields,
        rhythm="school",
        weekend=0.35,
        games=("spring-term", "summer-term"),
        tasks=("quest-a", "quest-b", "quest-c"),
    ),
    Family(
        HARBOR_SCHOOLS,
        "Homework race",
        7.0,
        (
            Version(5, _homework_race(1.0), "2026-03-20 09:00"),
            Version(6, _homework_race(1.2), "2026-06-12 09:00"),
        ),
        _race_fields,
        rhythm="school",
        weekend=0.4,
        games=("class-4b", "class-5a", "class-6c", "tablet-pilot"),
        tasks=("maths", "german", "history"),
    ),
    Family(
        HARBOR_SCHOOLS,
        "Kind words",
        10.0,
        (Version(1, _KIND_WORDS, "2026-01-15 08:00", raw=True),),
        _kind_fields,
        rhythm="school",
        games=("yard",),
        tasks=("letter",),
    ),
)
