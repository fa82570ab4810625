"""How far the looks of a profiled place bound what was not seen there."""

from __future__ import annotations

from dataclasses import dataclass

from analytics import looks
from analytics.findings.node_profile import Profile
from analytics.program.proofs import Proof


@dataclass(frozen=True, slots=True)
class Bound:
    """How often it may happen all the same.

    Attributes:
        share: Of looks, at most; exact binomial, one-sided 95 %.
        runs: How many runs that may be, at most.
        grade: ``good``, ``rough`` or ``too few``.
        note: Why these looks do not judge, in a clause; empty where they do.
    """

    share: float
    runs: float
    grade: str
    note: str


def bound_of(found: Profile, hidden: int, count: int, weight: float) -> Bound:
    """What so many looks bound.

    Args:
        found: The program, with the days its runs are of.
        hidden: Looks behind the cut that may be those which were not seen.
        count: Looks that were seen.
        weight: Sum of their weights.
    """
    most = found.sample.most_weight
    known = looks.effective(count, weight, most)
    share = looks.at_most(hidden, known + hidden)
    runs = looks.runs_at_most(share, weight + hidden * most, most)
    days = found.sample.weekdays
    if days != looks.ALL_WEEK and count >= looks.FEW:
        return Bound(share, runs, "too few", f"looked at on {looks.weekdays(days) or 'no known day'} only")
    return Bound(share, runs, looks.grade_of(min(known, count)), "")


def denied(proof: Proof, true: int, false: int, count: int) -> bool:
    """The traces show what the program rules out: for once, the definition is not the program that ran."""
    return {"never": true, "always": false, "unreachable": count}[proof.what] > 0
