"""What another version would have paid on the same inputs: the answer to "how many points too many?"."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.findings.post_mortem.groups import Side
from analytics.findings.replay.replay_run import wraps
from analytics.findings.replay.replayed import Group, Replayed, replayed
from analytics.findings.replay.trace_variants import Variants, find_variants
from analytics.warehouse.warehouse import Warehouse

__all__ = ["Counterfactual", "Group", "Replayed", "Ways", "both_ways", "counterfactual", "refusal", "replayed"]

Ways = tuple[Variants | None, Variants | None]
"""The variants of the earlier and of the later group."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Both ways round.

    Attributes:
        forward: The earlier program on the inputs of the later version's runs: what was overpaid.
        backward: The later program on the earlier inputs: what it would have changed then.
        reason: Why there is neither, in a sentence; empty otherwise.
    """

    forward: Replayed | None = None
    backward: Replayed | None = None
    reason: str = ""


def counterfactual(
    lake: Warehouse, realm: str | None, before: Side | None, after: Side | None, ways: Ways | None = None
) -> Counterfactual:
    """Try each of two versions on what the other's runs read.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        before, after: The two versions.
        ways: The variants of both, where they are known already.
    """
    if before is not None and after is not None and ways is None and before.strategy_id and after.strategy_id:
        ways = find_variants(lake, realm, before), find_variants(lake, realm, after)
    if reason := refusal(before, after, ways or (None, None)):
        return Counterfactual(reason=reason)
    assert before and after and ways and ways[0] and ways[1]  # noqa: S101  # it would have been refused
    old, new = ways[0], ways[1]
    return both_ways(
        replayed(lake, new, old.definition, before.label), replayed(lake, old, new.definition, after.label)
    )


def both_ways(forward: Replayed | None, backward: Replayed | None) -> Counterfactual:
    """Two replays, or why there is neither."""
    if forward is None and backward is None:
        return Counterfactual(reason="no logged run has a trace that fits its program")
    return Counterfactual(forward, backward)


def refusal(before: Side | None, after: Side | None, ways: Ways) -> str:
    """Why two groups cannot be tried on each other, in a clause; empty when they can."""
    if before is None or after is None:
        return "there is nothing to compare with"
    for side in (before, after):
        if side.strategy_id is None:
            return f"several versions ran in the group “{side.label}”"
    if (before.strategy_id, before.strategy_version) == (after.strategy_id, after.strategy_version):
        return "both groups ran the same program"
    old, new = ways
    if old is None or new is None:
        gone = " and ".join(side.label for side, found in ((before, old), (after, new)) if found is None)
        return f"the definition of {gone} is not in the lake"
    if doubts := [side.doubt for side in (old, new) if side.doubt]:
        return " and ".join(doubts)
    if {wraps(old.definition), wraps(new.definition)} == {True, False}:
        return "one program stands alone and the other wraps a built-in, which would have been asked anew"
    return ""
