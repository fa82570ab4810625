"""A version on trial: does the program before it pay the same for what its runs read? Acquitted only where all of that was tried.

Points per run of two versions also differ because other people play. On the same inputs that cannot be, so where both programs
are known the replay decides and not the comparison of two groups; where it cannot decide, that is what is said.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimators
from analytics.estimates.comparisons import Relative
from analytics.estimates.estimators import Estimate
from analytics.findings.post_mortem.groups import Group, paid, run_estimate, strata
from analytics.findings.replay.paired import Moved, relative
from analytics.findings.replay.replayed import Counterfactual, Replayed

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Floats, Ints

_LEAST = 5
"""Earlier runs of a kind of hour, for them to stand for it."""
_COVERED = 0.9
"""Share of the later runs whose kind of hour the earlier ones must hold."""


def transported(backward: Replayed, after: Group) -> tuple[Estimate, Relative | None] | None:
    """Points beyond the earlier program over all later runs, and their share of what that pays.

    Both programs were run on the earlier inputs. Every earlier run gets the weight that its kind of hour (weekday or weekend,
    quarter of the day) has among the later runs: post-stratification (Holt & Smith, *JRSS A* 142, 1979). That the same people
    send the same things at the same kinds of hours is assumed; what the programs pay for them is computed.

    Returns:
        None where the earlier runs do not hold the later ones' kinds of hours, or none of those that do is paid otherwise: that
        none of a sample differs does not make the difference nothing.
    """
    rows = backward.rows[backward.rows["decided"].to_numpy(bool)]
    later = paid(after.rows)
    if len(rows) < _LEAST or later.empty:
        return None
    old, new = _kinds(rows), _kinds(later)
    weights = later["sample_weight"].to_numpy(float, na_value=0.0)
    shares: Floats = np.bincount(new, weights=weights, minlength=8).astype(float)
    for whole in (False, True):
        kinds, wanted = (old // 4 * 4, _pooled(shares)) if whole else (old, shares)
        have = np.bincount(kinds, minlength=8) >= _LEAST
        if wanted[have].sum() >= _COVERED * wanted.sum():
            break
    else:
        return None
    held = np.bincount(kinds, weights=rows["weight"].to_numpy(float), minlength=8)
    factor: Floats = np.where(have & (held > 0), wanted / np.where(held > 0, held, 1.0), 0.0)[kinds]
    usable = factor > 0
    rows, weight = rows[usable], (rows["weight"].to_numpy(float) * factor)[usable]
    weight = weight / weight.min()  # only their proportions matter, but a weight below one is taken for none at all
    before, now = rows["points"].to_numpy(float), rows["would"].to_numpy(float)
    if np.allclose(before, now, rtol=1e-9, atol=1e-9):
        return None
    per_run = estimators.mean(now - before, weight, process=True)
    runs = run_estimate(later)
    value = per_run.value * runs.value
    # A product of two independent estimates, each with its error (Goodman, J. Am. Stat. Assoc. 55, 1960).
    low, high = (
        math.hypot((per_run.value - bound) * runs.value, per_run.value * (runs.high - runs.low) / 2)
        for bound in (per_run.low, per_run.high)
    )
    total = Estimate(
        value, value - low, value + high, len(rows), per_run.grade, per_run.effective_count
    ).as_difference()
    return total, relative(now, before, weight, process=True)


def _kinds(rows: pd.DataFrame) -> Ints:
    return strata(rows["created_at"].dt.as_unit("us").astype("int64").to_numpy())


def _pooled(shares: Floats) -> Floats:
    """Weekdays and weekends as wholes."""
    found = np.zeros(8)
    found[0], found[4] = shares[:4].sum(), shares[4:].sum()
    return found


MATERIAL = 0.05
"""Share of what was paid that nothing left out of a trial may hide, for a version to be acquitted."""


class TrialVerdict(StrEnum):
    """What a trial proves, as ``summary.json`` spells it."""

    DIFFERS = "differs"
    SAME = "same"
    CANNOT_TELL = "cannot tell"


class Basis(StrEnum):
    """Whose runs tell by how much a version pays otherwise, as ``summary.json`` spells it."""

    OWN_RUNS = "its runs"
    EARLIER_RUNS = "earlier runs"
    NONE = ""


_UNREAD = re.compile(r"^field '(?P<path>.*)' was not precomputed$", re.S)
_DEAR = 0.99
"""Quantile of the points paid that a run is taken to be worth of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Worst:
    """What the runs that could not be tried may add to the difference, in points: the least and the most."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class VersionTrial:
    """What is known of a version's program beside that of the version before it.

    Attributes:
        before, after: The runs of both.
        tried: Each program on the other's inputs, as far as it takes.
        verdict: ``differs``: some run is surely paid otherwise. ``same``: all logged runs were tried, none is paid otherwise,
            and what was left out is too little to hide anything material. ``cannot tell`` otherwise.
        reason: Why it cannot be told, or by how much; a clause, empty where both are known.
        difference: Points beyond the earlier program, over all of the later version's runs; None where it is not known.
        relative: The same as a share of what the earlier program pays.
        basis: What these rest on: the later version's own runs, or the earlier runs of the same kinds of hours.
        worst: What was left out may add; None where nothing bounds it.
        most_differing: Upper bound (95 %) of the share of its runs that are paid otherwise though no logged one is.
        failed_count: Its failed runs, which leave no trace.
        beside_count: Earlier runs of the same hours that it pays the same, where its own are few: they count with them.
    """

    before: Group
    after: Group
    tried: Counterfactual
    verdict: TrialVerdict
    reason: str
    difference: Estimate | None
    relative: Relative | None
    basis: Basis
    worst: Worst | None
    most_differing: float
    failed_count: int
    beside_count: int = 0

    @property
    def forward(self) -> Replayed | None:
        """The earlier program on this version's runs."""
        return self.tried.forward

    @property
    def moved(self) -> list[Moved]:
        """Runs that are paid otherwise, by the cases of the earlier and of the later program; the most points first."""
        if self.basis is Basis.EARLIER_RUNS and self.tried.backward is not None:
            return [group.reversed for group in self.tried.backward.moved]
        return self.forward.moved if self.forward is not None else []

    @property
    def per_run(self) -> Estimate | None:
        """Points per run beyond the earlier program, on the same runs."""
        if self.basis is Basis.EARLIER_RUNS and self.tried.backward is not None and self.difference is not None:
            runs = run_estimate(self.after.paid).value
            return replace(
                self.difference, value=self.difference.value / runs, low=self.difference.low / runs,
                high=self.difference.high / runs,
            )  # fmt: skip
        return self.forward.per_run if self.forward is not None and self.basis else None

    @property
    def open_case(self) -> str | None:
        """The one case in which all runs were paid that the log does not decide; None for several, or for none."""
        cases = list(self.forward.open_cases) if self.forward is not None and self.reason else []
        return cases[0] if len(cases) == 1 else None

    @property
    def pays_more(self) -> bool | None:
        """Whether it pays more in all; None where that may be nothing, or is not known."""
        if self.difference is None or self.difference.low <= 0 <= self.difference.high:
            return None
        return self.difference.value > 0


def judge(before: Group, after: Group, tried: Counterfactual) -> VersionTrial:
    """Weigh what the replays say.

    Args:
        before, after: The runs of the version before and of this one; all of its logged runs in the window.
        tried: Of these two.
    """
    forward, backward = tried.forward, tried.backward
    failed = len(after.failed)
    if forward is None and (backward is None or not backward.decided_count):
        reason = tried.reason or "no run's input decides what the other program pays"
        return VersionTrial(
            before, after, tried, TrialVerdict.CANNOT_TELL, reason, None, None, Basis.NONE, None, 1.0, failed
        )
    worst = _worst(forward, before, after) if forward is not None else None
    beside = _beside(backward, after) if forward is not None and not forward.is_different else None
    most = _most_differing(forward, beside) if forward is not None and forward.decided_count else 1.0
    difference, share, basis = _amount(forward, backward, after)
    against = _reason_against(forward, worst, most) if forward is not None else _untraced(after)
    verdict = TrialVerdict.CANNOT_TELL
    if forward is not None and forward.is_different:
        verdict = TrialVerdict.DIFFERS
    elif forward is not None and forward.is_conclusive:
        verdict = TrialVerdict.CANNOT_TELL if against else TrialVerdict.SAME
    elif backward is not None and backward.is_different:
        verdict = TrialVerdict.DIFFERS
    if verdict is TrialVerdict.DIFFERS:
        reason = "" if basis is Basis.OWN_RUNS else _left(forward) if forward is not None else _untraced(after)
        return VersionTrial(before, after, tried, verdict, reason, difference, share, basis, worst, most, failed)
    count = len(beside) if beside is not None else 0
    return VersionTrial(before, after, tried, verdict, against, None, None, Basis.NONE, worst, most, failed, count)


def needs_both(trial: VersionTrial) -> bool:
    """No logged run speaks against a version, but they are few: what it pays for the earlier runs may tell."""
    forward = trial.forward
    return (
        trial.verdict is TrialVerdict.CANNOT_TELL
        and forward is not None
        and forward.is_conclusive
        and trial.tried.backward is None
        and trial.most_differing > MATERIAL
    )


def _amount(
    forward: Replayed | None, backward: Replayed | None, after: Group
) -> tuple[Estimate | None, Relative | None, Basis]:
    if forward is not None and forward.is_conclusive:
        return forward.difference, forward.relative, Basis.OWN_RUNS
    if backward is not None and backward.is_conclusive:
        found = transported(backward, after)
        if found is not None:
            return found[0], found[1], Basis.EARLIER_RUNS
    return None, None, Basis.NONE


def _reason_against(forward: Replayed, worst: Worst | None, most: float) -> str:
    """Why a version that no logged run speaks against is not acquitted all the same; empty when it is."""
    if not forward.is_own_right or not forward.is_conclusive or worst is None:
        return _left(forward)
    scale = abs(forward.paid.value)
    if max(-worst.low, worst.high) > MATERIAL * scale:
        if forward.undecided_count:
            return _left(forward)
        hidden = f"{forward.untried_count:,} runs that could not be replayed and " if forward.untried_count else ""
        return (
            f"{hidden}its failed runs, which leave no trace, may hide more than {100 * MATERIAL:.0f} % of what it paid"
        )
    if most > MATERIAL:
        runs = f"{forward.decided_count:,} of its runs were logged and replayed"
        return f"only {runs}; none of them is paid otherwise, but up to {_ceil_percent(most)} of its runs may be"
    return ""


def _untraced(after: Group) -> str:
    """Why no run of a version could be replayed."""
    if not after.paid_count:
        return "none of its logged runs was paid, and failed runs leave no trace"
    return "no logged run of it has a trace that fits its program"


def _left(forward: Replayed) -> str:
    """What stands in the way of a whole replay."""
    if not forward.is_own_right:
        return (
            f"its own program does not give {forward.own_wrong_count:,} of {forward.tried_count:,} runs of "
            f"{forward.inputs_label} again"
        )
    if forward.undecided_count:
        why = next(iter(forward.missing), "")
        read = _UNREAD.match(why)
        # They may have read it all the same: a cut trace holds the first entries only.
        why = f"it reads {read['path']}, which their traces do not hold" if read else why
        more = f" ({why})" if why else ""
        return (
            f"for {forward.undecided_count:,} of {forward.tried_count:,} replayed runs of {forward.inputs_label} the log does not "
            f"tell what {forward.program_label} would have paid{more}"
        )
    return (
        f"{forward.untried_count:,} of {forward.logged_count:,} runs of {forward.inputs_label} left no trace to replay"
    )


def _worst(forward: Replayed, before: Group, after: Group) -> Worst | None:
    """What undecided runs, those without a trace and failures beyond the earlier rate may add; None where nothing bounds it."""
    low, high = forward.undecided_low, forward.undecided_high
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    points, weight = after.values
    earlier, _ = before.values
    both = np.concatenate([points, earlier])
    dear = float(np.quantile(np.abs(both), _DEAR)) if len(both) else 0.0
    mean = float(np.average(points, weights=weight)) if weight.sum() > 0 else 0.0
    untried = forward.untried_count / max(1, forward.tried_count) * float(forward.rows["weight"].sum())
    low += untried * min(mean - dear, 0.0) - _excess_failures(before, after) * dear
    high += untried * max(mean, 0.0)
    return Worst(low, high)


def _excess_failures(before: Group, after: Group) -> float:
    """Failed runs of the later version beyond what the earlier one surely fails: so many may have been paid before."""
    failed = len(after.failed)
    earlier = estimators.failure_rate(len(before.failed), run_estimate(before.rows), process=True)
    usual = earlier.low if math.isfinite(earlier.low) else 0.0
    return max(0.0, failed - usual * run_estimate(after.rows).value)


def _most_differing(forward: Replayed, beside: pd.DataFrame | None = None) -> float:
    """Upper bound of the share of runs that differ where none of the replayed ones does (Clopper & Pearson with no hit)."""
    weights: Floats = forward.rows["weight"].to_numpy(float)[forward.rows["decided"].to_numpy(bool)]
    if not len(weights) or np.nanmax(weights) <= 1:  # every run was logged and tried
        return 0.0
    if beside is not None:
        weights = np.concatenate([weights, beside["weight"].to_numpy(float)])
    effective = float(np.nansum(weights)) ** 2 / float(np.nansum(weights**2))
    return -math.expm1(math.log(1 - estimators.CONFIDENCE) / effective)


def _beside(backward: Replayed | None, after: Group) -> pd.DataFrame | None:
    """Earlier runs of the later version's hours of the day, if it pays all of them the same; None where it does not.

    They stand for its own as far as people send the same at the same hours. A weekend stands for weekends only.
    """
    if backward is None or not backward.is_own_right or not after.paid_count:
        return None
    later, rows = after.paid["created_at"], backward.rows
    is_same_kind = (rows["created_at"].dt.day_of_week >= 5).isin((later.dt.day_of_week >= 5).unique())
    beside = rows[rows["created_at"].dt.hour.isin(later.dt.hour.unique()) & is_same_kind]
    if not beside["decided"].all() or not np.isclose(beside["points"], beside["would"], rtol=1e-9, atol=1e-9).all():
        return None
    return beside if len(beside) else None


def _ceil_percent(share: float) -> str:
    return f"{math.ceil(1000 * share) / 10:g} %"
