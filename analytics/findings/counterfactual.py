"""What another version would have paid on the same inputs: the answer to "how many points too many?"."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics import estimates
from analytics.estimates import Estimate
from analytics.findings.evidence import Definition
from analytics.findings.inputs import MOST, Inputs, read_inputs
from analytics.findings.running import running_total
from analytics.findings.sides import Side
from analytics.findings.tried import Trial, Tried, wraps
from analytics.findings.variants import Variants, find_variants
from analytics.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

_MOST_USERS = 5
_MOST_CASES = 100
"""An author may give every run a case of its own."""

Ways = tuple[Variants | None, Variants | None]
"""The variants of the earlier and of the later group."""


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the replayed runs: a case, or a user.

    Attributes:
        name: Of the case that was paid, None for no case; or the user's id.
        logged_count: Replayed logged runs.
        logged_difference: Points paid beyond what the other program pays, over those rows.
        paid, would_pay, difference: Estimated totals over the runs they stand for, decided runs only.
    """

    name: str | None
    logged_count: int
    logged_difference: float
    paid: Estimate
    would_pay: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Replayed:
    """One program on the inputs of another version's runs.

    The estimates are Horvitz–Thompson totals of paired differences (Horvitz and Thompson, *J. Am. Stat. Assoc.* 47, 1952):
    both programs see the same run, so who reached which case that day cancels out.

    Attributes:
        inputs_label: Version whose runs were recorded, ``v3``.
        program_label: Version that was tried on them.
        logged_count: Logged ok runs with finite points in the group, with a trace or without.
        tried_count: Of them, those that were replayed; less when a part was taken, or where a trace is missing or does not fit.
        misfit_count: Logged runs whose trace the definition cannot have left.
        share: The part of the runs that was taken, 1 for all.
        own_count: Runs whose points and case their own program gives again.
        own_wrong_count: Runs for which it gives others; the rest read what their cut trace does not hold.
        decided_count: Runs for which it is certain what the program pays.
        differing_count: Of those, runs that the two programs pay differently.
        failed: Error code → runs on whose inputs the program fails, and pays nothing.
        missing: What the other runs lack → runs.
        paid, would_pay, difference: Estimated totals over decided runs; difference is paid minus would pay.
        per_run: The mean difference of decided runs.
        undecided_low, undecided_high: Difference of the undecided runs in total: the least and the most, may be infinite.
        running: The difference as it grew: ``until``, ``est_overpaid`` and its interval, at most 120 rows.
        cases, users: The parts with the largest difference first.
    """

    inputs_label: str
    program_label: str
    logged_count: int
    tried_count: int
    misfit_count: int
    share: float
    own_count: int
    own_wrong_count: int
    decided_count: int
    differing_count: int
    failed: dict[str, int]
    missing: dict[str, int]
    paid: Estimate
    would_pay: Estimate
    difference: Estimate
    per_run: Estimate
    undecided_low: float
    undecided_high: float
    running: pd.DataFrame
    cases: list[Group]
    users: list[Group]

    @property
    def undecided_count(self) -> int:
        """Replayed runs that need what their trace does not hold."""
        return self.tried_count - self.decided_count

    @property
    def is_telling(self) -> bool:
        """It covers nearly all runs: what it leaves out is less than one in twenty, and its own replay comes out right."""
        left_out = self.undecided_count / max(1, self.tried_count)
        covered = self.tried_count >= 0.95 * self.share * self.logged_count
        own_is_right = self.own_wrong_count <= 0.01 * self.tried_count
        return bool(self.tried_count) and left_out <= 0.05 and covered and own_is_right


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
    if before is None or after is None:
        return Counterfactual(reason="there is nothing to compare with")
    for side in (before, after):
        if side.strategy_id is None:
            return Counterfactual(reason=f"several versions ran in the group “{side.label}”")
    if (before.strategy_id, before.strategy_version) == (after.strategy_id, after.strategy_version):
        return Counterfactual(reason="both groups ran the same program")
    old, new = ways or (find_variants(lake, realm, before), find_variants(lake, realm, after))
    if old is None or new is None:
        gone = " and ".join(side.label for side, found in ((before, old), (after, new)) if found is None)
        return Counterfactual(reason=f"the definition of {gone} is not in the lake")
    if doubts := [side.doubt for side in (old, new) if side.doubt]:
        return Counterfactual(reason=" and ".join(doubts))
    if {wraps(old.definition), wraps(new.definition)} == {True, False}:
        return Counterfactual(
            reason="one program stands alone and the other wraps a built-in, which would have been asked anew"
        )
    forward = replayed(lake, new, old.definition, before.label)
    backward = replayed(lake, old, new.definition, after.label)
    if forward is None and backward is None:
        return Counterfactual(reason="no logged run has a trace that fits its program")
    return Counterfactual(forward, backward)


def replayed(
    lake: Warehouse, variants: Variants, program: Definition, label: str, *, most: int = MOST
) -> Replayed | None:
    """Try a program on the inputs of a version's runs; None where no run has a trace that fits its own program."""
    inputs = read_inputs(lake, variants, most=most)
    if not len(inputs.rows):
        return None
    own, other = Trial(variants.definition, inputs), Trial(program, inputs)
    results = []
    own_count = own_wrong_count = 0
    rows = inputs.rows
    columns = ("points", "case_name", "variant", "external_game_id", "external_task_id", "external_user_id")
    for values, *cells in zip(inputs.values, *(rows[name].tolist() for name in columns), strict=True):
        row = dict(zip(columns, cells, strict=True))
        if not isinstance(row["case_name"], str):
            row["case_name"] = None
        again = own.run(row, values)
        is_same = again.low == again.high == row["points"] and again.case_name == row["case_name"]
        own_count += is_same
        own_wrong_count += not is_same and again.missing is None
        results.append(other.run(row, values))
    return _summed(inputs, label, results, own_count, own_wrong_count)


def _summed(inputs: Inputs, label: str, results: list[Tried], own_count: int, own_wrong_count: int) -> Replayed:
    variants, side = inputs.variants, inputs.variants.side
    rows = inputs.rows
    low, high = (np.array([getattr(result, name) for result in results], dtype=float) for name in ("low", "high"))
    rows = rows.assign(would=low, decided=np.array([r.missing is None for r in results]) & np.isfinite(low))
    decided, rest = rows[rows["decided"]], ~rows["decided"].to_numpy(bool)
    points, weight = rows["points"].to_numpy(float), rows["weight"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        least, most = np.sum(weight[rest] * (points - high)[rest]), np.sum(weight[rest] * (points - low)[rest])
    difference = decided["points"] - decided["would"]
    total = estimates.total(difference, decided["weight"])
    return Replayed(
        inputs_label=side.label,
        program_label=label,
        logged_count=len(side.paid),
        tried_count=len(rows),
        misfit_count=sum(variant.logged_count for variant in variants.misfits),
        share=inputs.share,
        own_count=own_count,
        own_wrong_count=own_wrong_count,
        decided_count=len(decided),
        differing_count=int((~np.isclose(decided["points"], decided["would"], rtol=1e-9, atol=1e-9)).sum()),
        failed=dict(Counter(r.code for r in results if r.code is not None).most_common()),
        missing=dict(Counter(r.missing for r in results if r.missing is not None).most_common()),
        paid=estimates.total(decided["points"], decided["weight"]),
        would_pay=estimates.total(decided["would"], decided["weight"]),
        difference=total,
        per_run=estimates.mean(difference, decided["weight"]),
        undecided_low=float(least) if rest.any() else 0.0,
        undecided_high=float(most) if rest.any() else 0.0,
        cases=_groups(decided, "case_name", _MOST_CASES),
        running=running_total(decided["created_at"], difference, decided["weight"], total),
        users=_groups(decided[decided["external_user_id"].notna()], "external_user_id", _MOST_USERS, only_moved=True),
    )


def _groups(decided: pd.DataFrame, column: str, most: int, *, only_moved: bool = False) -> list[Group]:
    """Parts of the runs, those with the largest difference first."""
    if decided.empty:
        return []
    frame = decided.assign(difference=decided["points"] - decided["would"])
    sums = (frame["difference"] * frame["weight"]).abs().groupby(frame[column], dropna=False).sum()
    largest = sums.sort_values(ascending=False, kind="stable")
    chosen: list[Any] = largest.index[:most].tolist()
    found = []
    for name in chosen:
        # A part's total is that of all rows with nothing for the others: how many of them are of the part is chance, too.
        of_part = frame[column].isna().to_numpy() if not isinstance(name, str) else (frame[column] == name).to_numpy()
        part = frame[of_part]
        if only_moved and math.isclose(float(largest[name]), 0.0):
            continue
        found.append(
            Group(
                name if isinstance(name, str) else None,
                len(part),
                float(part["difference"].sum()),
                *(
                    estimates.total(np.where(of_part, frame[name], 0.0), frame["weight"])
                    for name in ("points", "would", "difference")
                ),
            )
        )
    return found
