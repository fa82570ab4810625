"""Programs of a few rules, and events that change with the hour, with the day, or from a moment on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.demo.catalog import DAY_ZERO, Column, Events, MakeFields, utc
from analytics.demo.dsl import Node, all_of, any_of, arith, assign, branch, call, compare, field, lit, note, rule

Flags = NDArray[np.bool_]


def within(events: Events, since: str, until: str = "2026-05-18 00:00") -> Flags:
    """Which events happen between two moments."""
    first, last = ((utc(text) - DAY_ZERO).total_seconds() / 86_400 for text in (since, until))
    return np.asarray((events.day >= first) & (events.day < last))


# ---- trips by distance, speed and hour -------------------------------------------------------------------------------


def trip_fields(events: Events) -> dict[str, Column]:
    """Trips of some six kilometres at some fifteen an hour; the client tells hour and weekend."""
    return {
        "user.measurements_count": events.measurements(),
        "data.distance": events.around(6.2, 0.6),
        "data.speed": events.around(15.5, 0.25),
        "data.climb": events.around(220, 0.7, 0),
        "data.hour": np.floor(events.day * 24).astype(np.int64) % 24,
        "data.is_weekend": np.floor(events.day) % 7 < 2,  # day zero is a Saturday
    }


def scaled(
    path: str, factor: float, since: str, until: str = "2026-05-18 00:00", fields: MakeFields = trip_fields
) -> MakeFields:
    """The same events, one of whose fields is multiplied for a while."""

    def made(events: Events) -> dict[str, Column]:
        usual = fields(events)
        values = np.asarray(usual[path], dtype=np.float64)
        return {**usual, path: np.round(np.where(within(events, since, until), values * factor, values), 2)}

    return made


def fading(path: str, by: float, fields: MakeFields = trip_fields) -> MakeFields:
    """The same events, one of whose fields grows smaller day by day over the fortnight."""

    def made(events: Events) -> dict[str, Column]:
        usual = fields(events)
        days = events.day - (utc("2026-05-04 00:00") - DAY_ZERO).days
        return {**usual, path: np.round(np.asarray(usual[path], dtype=np.float64) * np.exp(-by * days), 2)}

    return made


def trips(
    fast: Any = 10,
    far: float = 2,
    *,
    joined: float = 1,
    extra: Node | None = None,
    ids: str = "",
    last: Node | None = None,
) -> Node:
    """A bonus for whoever is fast, so much per kilometre for the others."""
    return {
        "rules": [
            *([extra] if extra else []),
            rule(compare("user.measurements_count", "<", 2), assign(joined, "Joined"), node_id=f"joined{ids}"),
            rule(compare("data.speed", ">=", 15), assign(fast, "Fast"), node_id=f"fast{ids}"),
            rule(
                compare("data.distance", ">=", 0),
                assign(arith(arith("data.distance", "min", 60), "*", far), "Far"),
                node_id=f"far{ids}",
            ),
            *([last] if last else []),
        ]
    }


def unreachable(pays: float) -> Node:
    """A rule behind one that every run matches."""
    return rule(compare("data.distance", ">=", 1), assign(pays, "Never"), node_id="never")


def night(pays: float) -> Node:
    """So much by night, four by day."""
    dark = any_of(compare("data.hour", ">=", 22), compare("data.hour", "<", 5))
    return {
        "rules": [
            rule(dark, assign(pays, "Night"), node_id="night"),
            rule(compare("data.distance", ">=", 0), assign(4, "Day"), node_id="day"),
        ]
    }


def climb(pays: float, over: float = 700) -> Node:
    """A rule over a field which nothing else reads; one run in twenty is one."""
    return rule(compare("data.climb", ">=", over), assign(pays, "Climb"), node_id="climb")


def high_fails(*, fails: bool) -> Node:
    """So much per kilometre; over fifteen of them twice as much, or a text that no number can be multiplied by."""
    twice: Any = lit("2") if fails else lit(2)
    return {
        "rules": [
            rule(
                compare("data.distance", ">=", 15), assign(arith("data.distance", "*", twice), "Tour"), node_id="tour"
            ),
            rule(compare("data.distance", ">=", 0), assign(arith("data.distance", "*", 1.5), "Trip"), node_id="trip"),
        ]
    }


BY_NIGHT: Node = rule(
    compare(arith("data.distance", "/", arith(arith("data.hour", "max", 5), "-", 5)), ">", 10_000),
    assign(100, "Across"),
    node_id="across",
)


def weekend(*, guarded: bool) -> Node:
    """Half as much again at weekends, or always."""
    guard = field("data.is_weekend") if guarded else lit(True)
    return {
        "rules": [
            rule(
                all_of(guard, compare("data.distance", ">", 0)),
                assign(arith("data.distance", "*", 3), "Weekend"),
                node_id="weekend",
            ),
            rule(compare("data.distance", ">", 0), assign(arith("data.distance", "*", 2), "Week"), node_id="week"),
        ]
    }


def shares(fast: float, slow: float) -> Node:
    """Two amounts, by speed."""
    return {
        "rules": [
            rule(compare("data.speed", ">=", 15), assign(fast, "Fast"), node_id="fast"),
            rule(compare("data.distance", ">=", 0), assign(slow, "Slow"), node_id="slow"),
        ]
    }


def share_fields(before: float, after: float, since: str) -> MakeFields:
    """Trips of which another share is fast from a moment on."""

    def made(events: Events) -> dict[str, Column]:
        usual = trip_fields(events)
        chance = np.where(within(events, since), after, before)
        fast = events.rng.random(len(events)) < chance
        speed = np.where(fast, 15 + 6 * events.rng.random(len(events)), 8 + 6.9 * events.rng.random(len(events)))
        return {**usual, "data.speed": np.round(speed, 1)}

    return made


def routes(*, long_way: bool = True, ids: str = "") -> Node:
    """A tour, a long way, a short one; the long way is an `else_if` of its own."""
    tour = rule(
        compare("data.distance", ">=", 20),
        assign(20, "Tour"),
        node_id=f"tour{ids}",
        else_if=[branch(compare("data.distance", ">=", 8), assign(9, "Long"))] if long_way else None,
    )
    return {"rules": [tour, rule(compare("data.distance", ">", 0), assign(2, "Short"), node_id=f"short{ids}")]}


def ordered(*, fast_first: bool = True) -> Node:
    """Fast trips and long ones; which of the two is asked first decides about those that are both."""
    rules = [
        rule(compare("data.speed", ">=", 15), assign(10, "Fast"), node_id="fast"),
        rule(compare("data.distance", ">=", 6), assign(4, "Long"), node_id="long"),
    ]
    last = rule(compare("data.distance", ">=", 0), assign(2, "Short"), node_id="short")
    return {"rules": [*(rules if fast_first else reversed(rules)), last]}


def members(*, guarded: bool) -> Node:
    """Ten for fast trips, of members only or of everybody."""
    fast = compare("data.speed", ">=", 15)
    guard = all_of(compare("user.measurements_count", ">=", 40), fast) if guarded else fast
    return {
        "rules": [
            rule(guard, assign(10, "Fast"), node_id="fast"),
            rule(compare("data.distance", ">=", 0), assign(2, "Trip"), node_id="trip"),
        ]
    }


def cut(share: float) -> Node:
    """So much per kilometre, in two cases; a version pays a little less of it."""
    return {
        "rules": [
            rule(
                compare("data.distance", ">=", 10),
                assign(call("clamp", arith("data.distance", "*", 6 * share), 0, 400), "Far"),
                node_id="far",
            ),
            rule(
                compare("data.distance", ">=", 0),
                assign(arith("data.distance", "*", 6 * share), "Near"),
                node_id="near",
            ),
        ]
    }


def deep(levels: int) -> Node:
    """A guard inside a guard inside a guard, around what pays fast trips."""
    guard = compare("data.speed", ">=", 15)
    for _ in range(levels):
        guard = all_of(guard)
    return {
        "rules": [
            rule(compare("data.distance", ">=", 12), assign(15, "Far"), node_id="far"),
            rule(guard, assign(10, "Fast"), node_id="fast"),
            rule(compare("data.distance", ">=", 0), assign(2, "Trip"), node_id="trip"),
        ]
    }


#: Reads a field that is read anyway, and pays nothing.
REMARK = rule(compare("data.speed", ">=", 0), note("speed", field("data.speed")), node_id="remark")


# ---- pages per minute, which divides by what the client sends --------------------------------------------------------

#: Fails where the client sends no minutes.
PAGES: Node = {
    "rules": [
        rule(
            compare(arith("data.pages", "/", field("data.minutes")), ">=", 1.2),
            assign(call("int", arith(arith("data.pages", "/", field("data.minutes")), "*", 6)), "Fast reader"),
            node_id="pace",
        ),
        rule(compare("data.pages", ">", 0), assign(2, "Reader"), node_id="read"),
    ]
}


def page_fields(
    usual: float, burst: float = 0.0, since: str = "2026-05-14 10:00", until: str = "2026-05-14 13:00"
) -> Any:
    """Some thirty pages in half an hour; a share comes without minutes, a greater one for a while."""

    def made(events: Events) -> dict[str, Column]:
        chance = np.where(within(events, since, until) & (burst > 0), burst, usual)
        minutes = events.around(28, 0.35, 0).astype(np.int64) + 1
        return {
            "data.pages": events.steps(33, 0.3, 90),
            "data.minutes": np.where(events.rng.random(len(events)) < chance, 0, minutes),
        }

    return made
