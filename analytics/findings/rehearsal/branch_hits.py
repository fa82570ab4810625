"""Which branches of a program's rules the tried runs take, which they do not, and which no run can."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimators
from analytics.estimates.estimate import Estimate
from analytics.findings.replay.replay_run import wraps
from analytics.findings.replay.run_evidence import Definition
from analytics.program.branches import Branch, branches
from analytics.program.proofs import Proof, proofs

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Bools
    from analytics.program import Outline

_ONLY_FULL = ("rules", "default")
_ONLY_EXTEND = ("pre_rules", "post_rules")


@dataclass(frozen=True, slots=True)
class BranchHits:
    """How often a branch is taken.

    Attributes:
        branch: Which.
        position: Of its rule in the program's outline.
        logged_count: Tried logged runs that take it, as far as the log tells.
        share: Of the runs that do not surely fail. Its upper end is what the log leaves possible, as if each run that it does not
            tell to its end took the branch: where all are told and none takes it, about three in so many
            (``estimators.share_of_runs``).
        proof: Why no run can take it; None where one may.
    """

    branch: Branch
    position: int
    logged_count: int
    share: Estimate
    proof: Proof | None


def branch_hits(program: Definition, rows: pd.DataFrame) -> list[BranchHits]:
    """Every branch with statements of its own that runs of the program's type may come by, in the program's order.

    Args:
        program: What was tried.
        rows: Of `RehearsedRuns.rows`; those that fail take no branch.
    """
    import pandas as pd

    rows = rows[rows["code"].isna().to_numpy(bool)]
    is_told = told_to_the_end(rows)
    codes, patterns = pd.factorize(rows["hits"].to_numpy(object))
    counts, weight = np.bincount(codes, minlength=len(patterns)), rows["weight"].to_numpy(float)
    proven, unused = proofs(program.outline), unused_parts(program)
    found = []
    for bit, branch in enumerate(branches(program.ast)):
        top = program.outline.tops.get(f"{branch.section}[{branch.rule}]")
        if top is None or branch.section in unused or (branch.slot == "else" and not top.node.get("else")):
            continue
        taken = np.array([pattern >> bit & 1 for pattern in patterns], dtype=bool)
        hits = taken[codes] if len(rows) else np.empty(0, dtype=bool)
        proof = _proof(program.outline, proven, top.position, branch.slot)
        count = int(counts[taken].sum()) if len(rows) else 0
        least, most = (estimators.share_of_runs(which, weight) for which in (hits, hits | ~is_told))
        found.append(BranchHits(branch, top.position, count, replace(least, high=most.high), proof))
    return found


def told_to_the_end(rows: pd.DataFrame) -> Bools:
    """Which runs the log tells to their end: of one whose points are decided all the same, it need not tell the way."""
    told: Bools = rows["visits"].notna().to_numpy(bool)
    return told


def _proof(program: Outline, proven: dict[int, Proof], rule: int, slot: str) -> Proof | None:
    """That no run takes a branch: because of its rule, or because of the branch's own condition."""
    of_rule = proven.get(rule)
    if of_rule is not None and of_rule.what in ("never", "unreachable"):
        # A rule that cannot match has an else that each run takes that comes by.
        return None if slot == "else" and of_rule.what == "never" else of_rule
    if slot == "else":
        return of_rule
    below = program.spots[rule].below.get("when" if slot == "then" else f"{slot}.when")
    proof = proven.get(below.position) if below is not None else None
    return proof if proof is not None and proof.what != "always" else None


def unused_parts(program: Definition) -> tuple[str, ...]:
    """Parts of a program that no run of its type reads, though the validator takes them; empty ones are not told."""
    kind = wraps(program)
    if kind is None:
        return ()
    return tuple(part for part in (_ONLY_FULL if kind else _ONLY_EXTEND) if program.ast.get(part))
