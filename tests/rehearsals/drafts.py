"""Drafts that an author may write next for the planted rides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from analytics.demo.dsl import Node, all_of, arith, assign, compare, lit, rule
from tests.planted import programs

_RULES: Final[list[Node]] = programs.ride(10, 3)["rules"]
_JOINED, _FAST, _FAR = _RULES


def _of(*rules: Node) -> Node:
    return {"rules": list(rules)}


def _guarded(bound: float) -> Node:
    return {**_FAST, "when": all_of(_FAST["when"], compare("data.distance", "<", bound))}


def _farther(least: float) -> Node:
    return {**_FAR, "when": compare("data.distance", ">=", least)}


DRAFTS: Final[Mapping[str, dict[str, Any]]] = {
    "amount": programs.ride(14, 3),
    "threshold": _of(_JOINED, _FAST, _farther(6)),
    "new rule on a recorded field": _of(
        _JOINED, rule(compare("data.distance", ">=", 9), assign(40, "Marathon"), node_id="marathon"), _FAST, _FAR
    ),
    "new rule on an unrecorded field": programs.ride(10, 3, programs.CLIMB),
    "removed rule": _of(_JOINED, _FAR),
    "reordered": _of(_JOINED, _FAR, _FAST),
    "guard": _of(_JOINED, _guarded(8), _FAR),
    "failing division": _of(
        _JOINED,
        rule(
            compare("data.distance", ">=", 10),
            assign(arith(lit(100), "/", arith(lit(1), "-", 1)), "Never"),
            node_id="never",
        ),
        _FAST,
        _FAR,
    ),
    "growing table": _of(
        _JOINED,
        *(rule(compare("data.distance", ">=", 60 - step), assign(60 - step, f"Step {step}")) for step in range(58)),
    ),
    "renamed": _of(_JOINED, {**_FAST, "id": "quick"}, {**_FAR, "id": "long"}),
}
"""By kind. The rides of the population send ``data.elevation``, which no version that ran has read."""
UNRECORDED: Final = "new rule on an unrecorded field"
