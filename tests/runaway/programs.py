"""Rule programs that stay small, and ladders that do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from analytics.demo.catalog import Column, Events, MakeFields
from analytics.demo.dsl import Node, all_of, arith, assign, branch, compare, field, ladder, lit, negate, note, rule

_LEVEL = "data.level"


def tall(*, above: int = 0, rungs: int = 340, odd: bool = False) -> Node:
    """A ladder of which a run at level v leaves 3 v + 14 entries; from level 330 on that is stopped by a cap of 1,000.

    Args:
        above: The first rung stands so much higher: three entries less for each level.
        rungs: So many, and no more entries for who is above the last.
        odd: One entry more.
    """
    gate = negate(compare(_LEVEL, "<=", 0)) if odd else compare(_LEVEL, ">", 0)
    return {
        "rules": [
            rule(all_of(ladder(_LEVEL, 1, rungs, above), gate), note("level", True), node_id="ladder"),
            rule(compare(_LEVEL, ">", 0), assign(3, "Climbed"), node_id="pay"),
        ]
    }


def crowded(rungs: int, later: int, *, from_level: int = 4) -> Node:
    """A ladder that pays, and rules behind it that a run reads only below a level: 15 + 3 rungs + 6 later nodes in all.

    Args:
        rungs: Of the ladder, as in ``tall``.
        later: Rules behind it.
        from_level: From this level on the ladder pays, and no rule behind it is read.
    """
    return {
        "rules": [
            rule(all_of(ladder(_LEVEL, 1, rungs), compare(_LEVEL, ">", 0)), note("level", True), node_id="ladder"),
            rule(compare(_LEVEL, ">=", from_level), assign(3, "Climbed"), node_id="pay"),
            *(rule(compare(_LEVEL, "<=", -step), assign(1, "Low"), node_id=f"low-{step}") for step in range(later)),
        ]
    }


def climbers(level: int, *, newcomers: float = 0.02) -> MakeFields:
    """Levels around a middle, and a few of those who have only begun."""

    def fields(events: Events) -> dict[str, Column]:
        usual = level + np.clip(events.rng.standard_normal(len(events)), -2, 2) * 2
        begun = events.rng.random(len(events)) < newcomers
        return {_LEVEL: np.where(begun, 1, np.rint(usual)).astype(np.int64)}

    return fields


def level_of(nodes: int) -> int:
    """The level at which a run leaves so many entries, or a few less."""
    return (nodes - 14) // 3


def levels(start: int, per_day: float = 0.0, *, spread: float = 3.0, flat_after: float | None = None) -> MakeFields:
    """Levels around a middle that rises day by day, until it stays where it is.

    Args:
        start: The middle at the begin of the story's first day.
        per_day: What it rises by.
        spread: Standard deviation between runs, cut off at two of them.
        flat_after: Days after which it stays.
    """

    def fields(events: Events) -> dict[str, Column]:
        day = events.day if flat_after is None else np.minimum(events.day, flat_after)
        noise = np.clip(events.rng.standard_normal(len(events)), -2, 2) * spread
        return {_LEVEL: np.maximum(1, np.rint(start + per_day * day + noise)).astype(np.int64)}

    return fields


def quest(*paths: str) -> Node:
    """Reads analytics fields and pays by steps; no run leaves more than thirty entries."""
    return {
        "rules": [
            *(
                rule(compare(path, "<", 0), assign(0, "Odd"), node_id=f"odd-{index}")
                for index, path in enumerate(paths)
            ),
            rule(compare("data.steps", ">=", 9000), assign(6, "Long"), node_id="long"),
            rule(compare("data.steps", ">=", 4000), assign(3, "Middling"), node_id="middling"),
        ],
        "default": assign(1, "Short"),
    }


def quest_fields(events: Events) -> dict[str, Column]:
    """Steps, and what the engine knows of users."""
    count = len(events)
    return {
        "data.steps": (events.whole(0, 24) * 500),
        "user.avg_time": [28.0] * count,
        "all.avg_time": [31.0] * count,
        "user.measurements_count": [40] * count,
        "user.last_window_diff": [2] * count,
    }


#: A statement that no engine knows; a validated program cannot hold it.
SHELL: Node = rule(compare("data.steps", ">=", 11000), {"type": "exec_shell"}, node_id="shell")


def shadows() -> Node:
    """Four kinds of rules that do no work.

    ``double`` stands behind a rule that matches whenever it would; ``never`` asks for what is never sent; ``behind`` is an
    else-if that its own rule takes all runs from; the condition of ``ever`` is always true.
    """
    return {
        "rules": [
            rule(compare("data.weekday", "<=", 7), note("week", True), node_id="ever"),
            rule(compare("data.legacy", "==", True), assign(9, "Legacy"), node_id="never"),
            rule(compare("data.steps", ">=", 4000), assign(3, "Walked"), node_id="walked"),
            rule(compare("data.steps", ">=", 8000), assign(6, "Far"), node_id="double"),
            rule(
                compare("data.steps", ">=", 0),
                assign(1, "Some"),
                node_id="some",
                else_if=[branch(compare("data.steps", ">=", 2000), assign(2, "More"))],
            ),
        ]
    }


def shadow_fields(events: Events) -> dict[str, Column]:
    """What ``shadows`` reads."""
    return {
        "data.weekday": events.whole(1, 7),
        "data.legacy": [False] * len(events),
        "data.steps": events.whole(0, 24) * 500,
    }


RARE = 0.007
"""Share of the looks in which the rule of ``rare`` matches."""


def rare() -> Node:
    """A rule that matches now and then, and one behind it that cannot."""
    return {
        "rules": [
            rule(compare("data.draw", "<", RARE), assign(100, "Jackpot"), node_id="rare"),
            rule(compare("data.draw", "<", RARE / 2), assign(500, "Double jackpot"), node_id="twice"),
            rule(compare("data.draw", "<", 0.5), assign(1, "Half"), node_id="half"),
        ],
        "default": assign(0, "None"),
    }


def rare_fields(events: Events) -> dict[str, Column]:
    """Evenly between 0 and 1, to four digits."""
    return {"data.draw": np.floor(events.rng.random(len(events)) * 10_000) / 10_000}


def weekend() -> Node:
    """A rule that can only match on two days of the week."""
    return {
        "rules": [
            rule(compare("data.weekday", ">=", 6), assign(2, "Weekend"), node_id="weekend"),
            rule(compare("data.steps", ">=", 3000), assign(1, "Walked"), node_id="steps"),
        ]
    }


def weekend_fields(events: Events) -> dict[str, Column]:
    """It is Monday all day."""
    return {"data.weekday": [1] * len(events), "data.steps": events.whole(0, 24) * 500}


def hidden() -> Node:
    """Two ladders: seventy rungs fill the trace up to its cut, and behind it a hundred more that no trace shows."""
    return {
        "rules": [
            rule(ladder("data.early", 1, 70), note("early", True), node_id="early"),
            rule(ladder("data.late", 1, 120), note("late", True), node_id="late"),
            rule(compare(arith("data.late", "+", lit(0)), ">", 0), assign(2, "Done"), node_id="done"),
        ]
    }


def hidden_fields(events: Events) -> dict[str, Column]:
    """Some 64 rungs before the cut, some 110 behind."""
    return {"data.early": events.whole(60, 68), "data.late": events.whole(104, 116)}


def plain(*, points: int = 2) -> Node:
    """A program of two rules."""
    return {
        "rules": [
            rule(compare("data.pages", ">=", 30), assign(arith("data.pages", "/", lit(10)), "Many"), node_id="many"),
            rule(compare("data.pages", ">", 0), assign(points, "Some"), node_id="some"),
        ]
    }


def plain_fields(events: Events) -> dict[str, Column]:
    """Pages from 0 to 60."""
    return {"data.pages": events.whole(0, 60)}


def asks(path: str) -> Node:
    """A condition on a field; for programs that read one more."""
    return rule(compare(field(path), "<", 0), assign(0, "Odd"), node_id=f"asks-{path}")


Fields = dict[str, Any]
