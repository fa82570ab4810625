"""One program on the inputs of another version's runs: what it would have paid for each, and what that adds up to."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates.comparisons import Relative
from analytics.estimates.estimators import Estimate, none_differs
from analytics.findings.post_mortem.groups import Group
from analytics.findings.replay.paired import Moved, mean_of, moved_cases, relative, total_of, widened
from analytics.findings.replay.replay_run import (
    Inputs,
    Replayer,
    ReplayOutcome,
    read_inputs,
    wraps,
)
from analytics.findings.replay.run_evidence import Definition
from analytics.findings.replay.trace_variants import MOST_RECORDED, Variants, find_variants
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

_MOST = 120


def running_total(times: pd.Series, values: pd.Series, weights: pd.Series, total: Estimate) -> pd.DataFrame:
    """The estimated total of the rows up to each of some moments.

    The variance of such a total is ``Σ w (w − 1) x²`` (Horvitz and Thompson, *J. Am. Stat. Assoc.* 47, 1952, for draws that do
    not depend on each other). Here it says only how the interval widens; at the end it is the one given.

    Returns:
        ``until``, ``est_overpaid``, ``est_overpaid_low``, ``est_overpaid_high``; at most so many moments, evenly among the rows.
    """
    import pandas as pd

    columns = ["until", "est_overpaid", "est_overpaid_low", "est_overpaid_high"]
    if not len(times):
        return pd.DataFrame(columns=columns)
    order = np.argsort(times.dt.as_unit("us").astype("int64").to_numpy(), kind="stable")
    x, w = values.to_numpy(float)[order], weights.to_numpy(float)[order]
    size = (
        float(np.max(np.abs(x))) or 1.0
    )  # only shares of the variance are asked for, and squares leave a double early
    grown, variance = np.cumsum(x * w), np.cumsum(w * np.maximum(w - 1, 0) * (x / size) ** 2)
    at = np.unique(np.linspace(0, len(order) - 1, min(_MOST, len(order))).astype(int))
    share = np.sqrt(variance[at] / variance[-1]) if variance[-1] > 0 else np.zeros(len(at))
    return pd.DataFrame(
        {
            "until": times.iloc[order[at]].to_numpy(),
            "est_overpaid": grown[at],
            "est_overpaid_low": grown[at] - share * (total.value - total.low),
            "est_overpaid_high": grown[at] + share * (total.high - total.value),
        }
    )


_MOST_USERS = 5
_MOST_CASES = 100
"""An author may give every run a case of its own."""
_NO_TEXT = object()
_LEFT_OUT = 0.05
"""Share of the runs that may be left out for the rest to stand for all."""
_NEAR = 1e-9


@dataclass(frozen=True, slots=True)
class ReplayTotals:
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
        renamed_count: Of those that are paid the same, runs that end in another case.
        surely_count: Undecided runs that were paid what the program cannot pay.
        failed: Error code → runs on whose inputs the program fails, and pays nothing.
        missing: What the other runs lack → runs.
        open_cases: Case in which they were paid, None for none → runs, the most first.
        open_paid: Estimated total that they were paid.
        paid, would_pay: Estimated totals over decided runs.
        difference: Paid minus would pay, of all replayed runs: where an undecided run is bounded, the interval holds its bounds.
        per_run: The mean difference of decided runs.
        relative: The difference as a share of what the program would have paid for the same runs; None where that is nothing.
        undecided_low, undecided_high: Difference of the undecided runs in total: the least and the most, may be infinite.
        running: The difference as it grew: ``until``, ``est_overpaid`` and its interval, at most 120 rows.
        cases, users: The parts with the largest difference first.
        moved: What became of the runs that are paid differently, the largest difference first.
        rows: Grain: replayed run. ``execution_id``, ``created_at``, ``points``, ``case_name``, ``weight``, ``would``,
            ``would_case``, ``decided``.
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
    renamed_count: int
    surely_count: int
    failed: dict[str, int]
    missing: dict[str, int]
    open_cases: dict[str | None, int]
    open_paid: Estimate
    paid: Estimate
    would_pay: Estimate
    difference: Estimate
    per_run: Estimate
    relative: Relative | None
    undecided_low: float
    undecided_high: float
    running: pd.DataFrame
    cases: list[ReplayTotals]
    users: list[ReplayTotals]
    moved: list[Moved]
    rows: pd.DataFrame

    @property
    def undecided_count(self) -> int:
        """Replayed runs that need what their trace does not hold."""
        return self.tried_count - self.decided_count

    @property
    def untried_count(self) -> int:
        """Logged runs that were not replayed, though they were to be: no trace, or one that does not fit."""
        return max(0, round(self.share * self.logged_count) - self.tried_count)

    @property
    def is_own_right(self) -> bool:
        """The version's own program gives its runs again: what is said of the other one can be believed."""
        return bool(self.tried_count) and self.own_wrong_count <= 0.01 * self.tried_count

    @property
    def is_conclusive(self) -> bool:
        """It covers nearly all runs: what it leaves out is less than one in twenty, and its own replay comes out right."""
        left_out = self.undecided_count / max(1, self.tried_count)
        covered = self.tried_count >= (1 - _LEFT_OUT) * self.share * self.logged_count
        return self.is_own_right and left_out <= _LEFT_OUT and covered

    @property
    def is_different(self) -> bool:
        """Some logged run was surely paid what the other program does not pay."""
        return self.is_own_right and bool(self.differing_count or self.surely_count)


def replayed(
    lake: Warehouse, variants: Variants, program: Definition, label: str, *, most: int = MOST_RECORDED
) -> Replayed | None:
    """Try a program on the inputs of a version's runs; None where no run has a trace that fits its own program.

    Args:
        lake: Where the runs are.
        variants: The version whose runs they are.
        program: The program to be tried.
        label: Of its version.
        most: Runs to replay; of more, an even part is taken.
    """
    inputs = read_inputs(lake, variants, most=most)
    if not len(inputs.rows):
        return None
    own_count, own_wrong_count = _given_again(variants.definition, inputs)
    found, numbers = Replayer(program, inputs).all()
    results = [found[number] for number in numbers.tolist()]
    return _summed(inputs, label, results, own_count, own_wrong_count)


def _given_again(program: Definition, inputs: Inputs) -> tuple[int, int]:
    """Runs whose points and case their own program gives again, and runs for which it gives others."""
    found, numbers = Replayer(program, inputs).all()
    low, high = (np.array([getattr(one, end) for one in found], dtype=float)[numbers] for end in ("low", "high"))
    # A case that is no text is none that the log can hold.
    names = [one.case_name if one.case_name is None or isinstance(one.case_name, str) else _NO_TEXT for one in found]
    cases, known = np.empty(len(found), dtype=object), np.array([one.missing is None for one in found], dtype=bool)
    cases[:] = names
    paid = np.empty(len(inputs.rows), dtype=object)
    paid[:] = [name if isinstance(name, str) else None for name in inputs.rows["case_name"].tolist()]
    points = inputs.rows["points"].to_numpy(float)
    is_same = (low == high) & (high == points) & (cases[numbers] == paid).astype(bool)
    return int(is_same.sum()), int((~is_same & known[numbers]).sum())


def _summed(inputs: Inputs, label: str, results: list[ReplayOutcome], own_count: int, own_wrong_count: int) -> Replayed:
    variants, rows = inputs.variants, _with_results(inputs.rows, results)
    decided, rest = rows[rows["decided"]], ~rows["decided"].to_numpy(bool)
    difference = decided["points"] - decided["would"]
    total, per_run = total_of(difference, decided["weight"]), mean_of(difference, decided["weight"])
    amounts = np.concatenate([decided[name].to_numpy(float) for name in ("points", "would")])
    if len(decided) and not difference.any():
        unseen = none_differs(decided["weight"], float(amounts.max() - amounts.min()))
        if unseen is not None:
            total, per_run = unseen.times(float(decided["weight"].sum())), unseen
    differs = ~np.isclose(decided["points"], decided["would"], rtol=_NEAR, atol=_NEAR)
    is_renamed = decided["knows_case"] & (decided["case_name"].fillna("") != decided["would_case"].fillna(""))
    bounds, surely_count = _undecided(rows[rest], np.array([result.high for result in results])[rest])
    open_cases = Counter(name if isinstance(name, str) else None for name in rows["case_name"][rest])
    columns = ["execution_id", "created_at", "points", "case_name", "weight", "would", "would_case", "decided"]
    return Replayed(
        inputs_label=variants.group.label,
        program_label=label,
        logged_count=variants.group.paid_count,
        tried_count=len(rows),
        misfit_count=sum(variant.logged_count for variant in variants.misfits),
        share=inputs.share,
        own_count=own_count,
        own_wrong_count=own_wrong_count,
        decided_count=len(decided),
        differing_count=int(differs.sum()),
        renamed_count=int((is_renamed.to_numpy(bool) & ~differs).sum()),
        surely_count=surely_count,
        failed=dict(Counter(r.code for r in results if r.code is not None).most_common()),
        missing=dict(Counter(r.missing for r in results if r.missing is not None).most_common()),
        open_cases=dict(open_cases.most_common()),
        open_paid=total_of(rows["points"].where(rest, 0.0), rows["weight"]),
        paid=total_of(decided["points"], decided["weight"]),
        would_pay=total_of(decided["would"], decided["weight"]),
        difference=widened(total, *bounds).as_difference(),
        per_run=per_run.as_difference(),
        relative=relative(decided["points"], decided["would"], decided["weight"]),
        undecided_low=bounds[0],
        undecided_high=bounds[1],
        cases=_groups(decided, "case_name", _MOST_CASES),
        running=running_total(decided["created_at"], difference, decided["weight"], total),
        users=_groups(decided[decided["external_user_id"].notna()], "external_user_id", _MOST_USERS, only_moved=True),
        moved=moved_cases(decided[differs]),
        rows=rows[columns].reset_index(drop=True),
    )


def _with_results(rows: pd.DataFrame, results: Sequence[ReplayOutcome]) -> pd.DataFrame:
    """The runs with what the program would have paid each of them; ``would`` is the least where that is not decided."""
    low = np.array([result.low for result in results], dtype=float)
    return rows.assign(
        would=low,
        # A case that is no text is one that the log cannot hold.
        would_case=[name if isinstance(name := result.case_name, str) else None for result in results],
        knows_case=[result.knows_case for result in results],
        code=[result.code for result in results],
        decided=np.array([result.missing is None for result in results]) & np.isfinite(low),
    )


def _undecided(rows: pd.DataFrame, high: npt.NDArray[np.float64]) -> tuple[tuple[float, float], int]:
    """The least and the most that undecided runs add to the difference, and how many were surely paid something else.

    Args:
        rows: Of them, with ``would``, the least that the program pays.
        high: The most that it pays.
    """
    if rows.empty:
        return (0.0, 0.0), 0
    points, weight, low = (rows[name].to_numpy(float) for name in ("points", "weight", "would"))
    with np.errstate(invalid="ignore"):
        least, most = np.sum(weight * (points - high)), np.sum(weight * (points - low))
        is_outside = (points < low - _NEAR * (1 + abs(low))) | (points > high + _NEAR * (1 + abs(high)))
    return (float(least), float(most)), int(is_outside.sum())


def _groups(decided: pd.DataFrame, column: str, most: int, *, only_moved: bool = False) -> list[ReplayTotals]:
    """Parts of the runs, those with the largest difference first."""
    if decided.empty:
        return []
    frame = decided.assign(difference=decided["points"] - decided["would"])
    sums = (frame["difference"] * frame["weight"]).abs().groupby(frame[column], dropna=False).sum()
    largest = sums.sort_values(ascending=False, kind="stable")
    chosen: list[object] = largest.index[:most].tolist()
    found = []
    for name in chosen:
        # A part's total is that of all rows with nothing for the others: how many of them are of the part is chance, too.
        of_part = frame[column].isna().to_numpy() if not isinstance(name, str) else (frame[column] == name).to_numpy()
        part = frame[of_part]
        if only_moved and math.isclose(float(largest[name]), 0.0):
            continue
        paid, would, beyond = (
            total_of(np.where(of_part, frame[measure], 0.0), frame["weight"])
            for measure in ("points", "would", "difference")
        )
        known = name if isinstance(name, str) else None
        found.append(
            ReplayTotals(known, len(part), float(part["difference"].sum()), paid, would, beyond.as_difference())
        )
    return found


BothVariants = tuple[Variants | None, Variants | None]
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
    lake: Warehouse, realm: str | None, before: Group | None, after: Group | None, ways: BothVariants | None = None
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


def refusal(before: Group | None, after: Group | None, ways: BothVariants) -> str:
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
