"""Rule programs of a few rules each, and the events they score."""

from __future__ import annotations

from typing import Any

import numpy as np

from analytics.demo.catalog import Column, Events
from analytics.demo.dsl import Node, all_of, arith, assign, call, compare, effect, field, ladder, lit, note, rule, veto
from analytics.program import ParentResult


def ride(fast: float = 10, far: float = 2, climb: Node | None = None) -> Node:
    """A bonus for whoever beats the average, a little for the distance."""
    return {
        "rules": [
            rule(compare("user.measurements_count", "<", 2), assign(1, "Joined"), node_id="joined"),
            *([climb] if climb else []),
            rule(
                all_of(
                    compare("user.avg_time", "<", field("all.avg_time")),
                    compare(arith("data.distance", "+", field("data.detour")), ">=", 1),
                ),
                assign(fast, "Fast"),
                node_id="fast",
            ),
            rule(
                compare("data.distance", ">=", 2.5),
                assign(arith(arith("data.distance", "min", 12), "*", far), "Far"),
                node_id="far",
            ),
        ]
    }


#: A rule that reads a field which nothing read before.
CLIMB = rule(
    compare("data.elevation", ">=", 300),
    assign(arith(lit(12), "+", arith(arith("data.elevation", "/", 50), "min", 20)), "Climb"),
    node_id="climb",
)


def ride_fields(events: Events) -> dict[str, Column]:
    """Rides of some six kilometres."""
    return {
        "user.measurements_count": events.measurements(),
        "user.avg_time": events.seconds(),
        "all.avg_time": np.round(32 + events.rng.standard_normal(len(events)), 1),
        "data.distance": events.around(6.2, 0.6),
        "data.detour": events.around(0.4, 0.5),
        "data.elevation": events.around(220, 0.7, 0),
    }


def steps(big: float, pays: float, extra: Node | None = None) -> Node:
    """Two amounts, and a border between them."""
    return {
        "rules": [
            *([extra] if extra else []),
            rule(compare("user.recent_measurements_count", ">", 60), assign(0, "Too many"), node_id="too-many"),
            rule(
                compare(call("int", arith("data.steps", "/", 100)), ">=", big), assign(pays, "Long walk"), node_id="big"
            ),
            rule(compare("data.steps", ">", 0), assign(4, "Walk"), node_id="walk"),
        ]
    }


#: Reads a field and decides nothing.
ASK_ALL = rule(compare("all.avg_time", ">", 0), note("average", field("all.avg_time")), node_id="ask-all")


def step_fields(events: Events) -> dict[str, Column]:
    """Walks of some eight thousand steps."""
    return {
        "user.recent_measurements_count": events.whole(1, 61),
        "all.avg_time": np.round(32 + events.rng.standard_normal(len(events)), 1),
        "data.steps": events.around(8000, 0.5, 0),
    }


def weekend_fields(events: Events) -> dict[str, Column]:
    """The same, but at weekends people have the time for long walks."""
    at_weekend = np.floor(events.day) % 7 < 2  # day zero is a Saturday
    return {
        **step_fields(events),
        "data.steps": np.where(at_weekend, events.around(16000, 0.4, 0), events.around(7000, 0.4, 0)),
    }


def shop(*, renamed: bool) -> Node:
    """Rules that exclude each other; renamed, the other way round, and behind a new one that changes no points."""
    many = all_of(compare("data.items", ">=", 10), compare("user.avg_time", ">", 0))
    few = all_of(compare("data.items", "<", 10), compare("data.items", ">", 0))
    rules = [
        rule(many, assign(call("clamp", arith("data.items", "*", 1.5), 15, 40), "Basket")),
        rule(few, assign(arith("data.items", "+", 1), "Items")),
    ]
    if renamed:
        rules = [rule(compare("data.items", "<", 0), note("odd", True), node_id="odd"), *reversed(rules)]
        rules[1]["id"], rules[2]["id"] = "few items", "full basket"
    return {"rules": rules, "default": assign(0, "Nothing")}


def shop_fields(events: Events) -> dict[str, Column]:
    """Baskets of some eight items."""
    return {"data.items": events.steps(8, 0.6, 60), "user.avg_time": events.seconds()}


#: Half a point per kilometre, at most forty.
COMMUTE: Node = {
    "rules": [
        rule(compare("user.measurements_count", "<", 2), assign(1, "Joined"), node_id="joined"),
        rule(
            compare("data.distance", ">=", 10),
            assign(call("clamp", arith(arith("data.distance", "*", 0.5), "+", 3), 0, 40), "Long way"),
            node_id="long",
        ),
        rule(compare("data.distance", ">", 0), assign(arith("data.distance", "*", 0.5), "Short way"), node_id="short"),
    ]
}

#: Pages per minute, which a client can make impossible to compute.
READING: Node = {
    "rules": [
        rule(
            all_of(
                compare(arith("data.pages", "/", field("data.minutes")), ">=", 1.2),
                compare("user.measurements_count", ">", 0),
            ),
            assign(call("int", arith(arith("data.pages", "/", field("data.minutes")), "*", 6)), "Fast reader"),
            node_id="pace",
        ),
        rule(compare("data.pages", ">", 0), assign(2, "Reader"), node_id="read"),
    ]
}


def reading_fields(events: Events) -> dict[str, Column]:
    """Some thirty pages in half an hour."""
    return {
        "data.pages": events.steps(33, 0.3, 90),
        "data.minutes": events.around(28, 0.35, 0).astype(np.int64) + 1,
        "user.measurements_count": events.measurements(),
    }


def zero_fields(events: Events) -> dict[str, Column]:
    """A client that never sends the minutes."""
    return {**reading_fields(events), "data.minutes": [0] * len(events)}


#: Whatever the client sends, three times.
HEAVY: Node = {
    "rules": [
        rule(compare("user.measurements_count", "<", 1), assign(0, "New"), node_id="new"),
        rule(
            compare("data.coins", ">", 0),
            assign(call("clamp", arith("data.coins", "*", 3), 0, 100_000), "Coins"),
            node_id="coins",
        ),
    ]
}


def heavy_fields(events: Events) -> dict[str, Column]:
    """A few send a thousand times what most do."""
    return {"user.measurements_count": events.measurements(), "data.coins": events.around(8, 1.6)}


def stops(pays: int) -> Node:
    """A ladder of hundreds of entries before the rule that pays."""
    return {
        "rules": [
            rule(ladder("data.stops", 1, 160), note("stops", field("data.stops")), node_id="ladder"),
            rule(compare("user.avg_time", "<", 28), assign(pays, "Quick change"), node_id="quick"),
            rule(
                compare("data.stops", ">", 0),
                assign(call("int", arith("data.stops", "/", 20)), "Travelled"),
                node_id="any",
            ),
        ]
    }


def stop_fields(events: Events) -> dict[str, Column]:
    """Some ninety stops: 270 entries."""
    return {"data.stops": events.steps(90, 0.12, 160), "user.avg_time": events.seconds()}


def invite(factor: float | None = None, most: int | None = None) -> Node:
    """A wrapped built-in: more for many friends, and a veto for too many."""
    first = [rule(compare("data.friends", ">", 20), effect("set_data", 20, key="friends"))]
    if most is not None:
        first.insert(0, rule(compare("data.friends", ">", most), veto("Too many friends")))
    bonus = arith("parent.points", "+", 1) if factor is None else arith("parent.points", "*", factor)
    return {
        "pre_rules": first,
        "post_rules": [
            rule(
                all_of(compare("data.friends", ">=", 3), compare("user.measurements_count", ">", 1)),
                effect("set_points", bonus),
                effect("set_case_name", arith("parent.case_name", "+", " · friends")),
            )
        ],
    }


def invite_fields(events: Events) -> dict[str, Column]:
    """Up to fourteen friends."""
    return {"data.friends": events.whole(0, 14), "user.measurements_count": events.measurements()}


def built_in(data: dict[str, Any]) -> ParentResult:
    """The wrapped strategy: five points and one per friend."""
    return ParentResult(5 + int(data["friends"]), "Referral")
