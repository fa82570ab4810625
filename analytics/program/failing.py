"""What a program pays at worst: a run that fails pays nothing, and no amount of the program bounds that."""

from __future__ import annotations

from analytics.program.bounds import bounds_of
from analytics.program.evaluate import MAX_DEPTH, MAX_NODES
from analytics.program.size import size
from analytics.storage.typed_json import JsonObject


def may_exceed(ast: JsonObject, *, extends: bool, max_nodes: int = MAX_NODES) -> bool:
    """Whether a run may be stopped by a cap, on the longest way through the program.

    Args:
        ast: A program that the validator takes.
        extends: It asks a built-in.
        max_nodes: The cap on visits.
    """
    found = size(ast, extends=extends)
    return found.visits_max is None or found.depth is None or found.visits_max > max_nodes or found.depth > MAX_DEPTH


def pays_at_worst(ast: JsonObject) -> tuple[float, float]:
    """The least and the most points that a program of its own pays, whatever the event holds: nothing where that makes it fail."""
    found = bounds_of(ast, {})
    return found._replace(may_fail=found.may_fail or may_exceed(ast, extends=False)).at_worst
