"""Calls of the engine's interface that a report tells people to make."""

from __future__ import annotations

from analytics import page


def roll_back(strategy_id: object, version: object) -> str:
    """The call that makes an earlier version the live one, and points games and tasks back to it.

    Publishing it again is no way: the engine answers 409 for an archived version.

    Args:
        strategy_id: Id of any version of the family.
        version: Number of the version to go back to.
    """
    named = page.visible(str(strategy_id)) if strategy_id is not None else "<id of any version>"
    number = page.visible(str(version)) if version is not None else "<version>"
    return f"POST …/v1/strategies/custom/{named}/rollback/{number}      # path as in your deployment"
