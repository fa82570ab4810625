"""What changed for one strategy in a window: the version that stands out, or a change without one, against a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analytics import differences, estimates
from analytics.config import DEFAULT_SAMPLE_RATE
from analytics.differences import Difference
from analytics.estimates import Estimate
from analytics.findings.activations import Activation, activations

if TYPE_CHECKING:
    import pandas as pd

LOOK_BACK = timedelta(days=7)
"""How much of the time before a change is its baseline: a week holds every weekday once."""

WORTH_A_WORD = 0.005
"""Share of runs a code must fail to be the verdict; people are paged at one in a hundred."""

NO_CASE = "no case"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two groups of runs that are compared.

    Attributes:
        label: ``v2``, or "before".
        strategy_id, strategy_version: The version; ``None`` when the group holds several.
        since, until: First and last logged row, UTC.
        rows: Its logged runs.
    """

    label: str
    strategy_id: str | None
    strategy_version: int | None
    since: datetime
    until: datetime
    rows: pd.DataFrame

    @property
    def paid(self) -> pd.DataFrame:
        """Ok runs whose points can be added up."""
        return paid(self.rows)

    @property
    def failed(self) -> pd.DataFrame:
        """Failed runs: all that there were."""
        return self.rows[self.rows["status"] != "ok"]

    @property
    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Points and weights of ``paid``."""
        rows = self.paid
        return rows["points"].to_numpy(float), rows["sample_weight"].to_numpy(float)


@dataclass(frozen=True, slots=True)
class Incident:
    """The finding of a post-mortem.

    Attributes:
        kind: ``version`` (points changed with a version), ``failures`` (a code appeared or grew), ``quiet`` (nothing
            significant), ``single`` (nothing to compare with) or ``nothing`` (no rows).
        before, after: The two groups; ``None`` where there is none.
        points: Change of points per run.
        rollback: The activation that ended it by going back to an earlier version.
        code: For ``failures``: the error code that grew most.
        code_since: Its first failure of the episode, UTC.
        code_until: Its last, when the episode is over; ``None`` while it goes on.
    """

    kind: str
    before: Side | None
    after: Side | None
    points: Difference | None
    rollback: Activation | None = None
    code: str | None = None
    code_since: datetime | None = None
    code_until: datetime | None = None


def paid(rows: pd.DataFrame) -> pd.DataFrame:
    """Ok rows with finite points."""
    return rows[(rows["status"] == "ok") & np.isfinite(rows["points"].astype(float))]


def run_estimate(rows: pd.DataFrame) -> Estimate:
    """Estimated runs behind some logged rows: weights for those drawn, one for those kept.

    Args:
        rows: As ``family_runs`` gives them; ``window_rate`` bounds the runs when none was drawn.
    """
    drawn = rows[rows["sampled"].astype(bool) & (rows["status"] == "ok")]["sample_weight"].to_numpy(float)
    if len(rows) and "window_rate" in rows:
        rate = float(rows["window_rate"].min())
    else:
        rate = 1 / float(np.nanmax(drawn)) if np.isfinite(drawn).any() else DEFAULT_SAMPLE_RATE
    return estimates.runs_of_rows(drawn, kept=len(rows) - len(drawn), rate=rate)


def find_incident(rows: pd.DataFrame, since: datetime, until: datetime) -> Incident:
    """Compare what a window shows with what went before.

    Args:
        rows: The family's logged runs from ``since − LOOK_BACK`` to ``until``, oldest first.
        since, until: The window in question.

    Returns:
        The version in the window whose points per run differ most, in units of chance, from the version before it; else
        failures that grew; else the window against the time before, without a significant change.
    """
    inside = rows[(rows["created_at"] >= since) & (rows["created_at"] < until)]
    if inside.empty:
        return Incident("nothing", None, None, None)
    spans = activations(rows)
    versions = _version_changes(rows, spans, since, until, until)
    best = max(versions, key=lambda pair: _strength(pair[2]), default=None)
    failures = _failures(rows, since, until)
    if best is not None and best[2].is_significant:
        before, after, change, span = best
        later = [s for s in spans if s.first > span.last and s.strategy_version < span.strategy_version]
        return Incident("version", before, after, change, rollback=later[0] if later else None)
    if failures is not None:
        return failures
    if best is not None:
        return Incident("quiet", best[0], best[1], best[2])
    # A change shortly before the window explains a window that differs from the days before it.
    earlier = _version_changes(rows, spans, since - LOOK_BACK, since, until)
    best = max(earlier, key=lambda pair: _strength(pair[2]), default=None)
    if best is not None and best[2].is_significant:
        return Incident("version", *best[:3])
    before_rows = rows[rows["created_at"] < since]
    after = _side("this window", inside)
    if len(paid(before_rows)) < 2:
        return Incident("single", None, after, None)
    before = _side("before", before_rows)
    change = differences.difference(before.values, after.values)
    return Incident("window" if change.is_significant else "quiet", before, after, change)


def _version_changes(
    rows: pd.DataFrame, spans: list[Activation], since: datetime, until: datetime, end: datetime
) -> list[tuple[Side, Side, Difference, Activation]]:
    found = []
    for earlier, span in pairwise(spans):
        if not since <= span.first < until or earlier.label == span.label:
            continue
        times = rows["created_at"]
        before = rows[(rows["label"] == earlier.label) & (times >= span.first - LOOK_BACK) & (times < span.first)]
        after = rows[(rows["label"] == span.label) & (times >= span.first) & (times <= min(span.last, end))]
        if before.empty or after.empty:
            continue
        left, right = _side(earlier.label, before), _side(span.label, after)
        found.append((left, right, differences.difference(left.values, right.values), span))
    # Going back to an earlier version undoes a change; it is the change's end, not another one.
    forward = [item for item in found if item[3].strategy_version > (item[0].strategy_version or 0)]
    return forward or found


def _strength(change: Difference) -> float:
    half = (change.change.high - change.change.low) / 2
    if not np.isfinite(half):
        return 0.0
    return abs(change.change.value) / half if half > 0 else (np.inf if change.change.value else 0.0)


def _failures(rows: pd.DataFrame, since: datetime, until: datetime) -> Incident | None:
    """A code whose failures per run grew beyond chance (conditional binomial test of two Poisson rates)."""
    from scipy import stats

    before_rows = rows[rows["created_at"] < since]
    inside = rows[(rows["created_at"] >= since) & (rows["created_at"] < until)]
    runs_before, runs_inside = run_estimate(before_rows), run_estimate(inside)
    if runs_inside.value < 1:
        return None
    best: tuple[int, str] | None = None
    for code, group in inside[inside["status"] != "ok"].groupby("error_code"):
        count, earlier = len(group), int((before_rows["error_code"] == code).sum())
        if runs_before.value >= 1:
            grew = count / runs_inside.value > earlier / runs_before.value
            p = differences.rate_change_p((earlier, count), (runs_before, runs_inside)) if grew else 1.0
        else:  # nothing before to compare with: more often than is worth a word at all
            seen = max(round(runs_inside.value), count)
            p = float(stats.binomtest(count, seen, WORTH_A_WORD, alternative="greater").pvalue)
        if p < 1e-3 and count / runs_inside.value > WORTH_A_WORD and (best is None or count > best[0]):
            best = (count, str(code))
    if best is None:
        return None
    code = best[1]
    all_of_code = rows[rows["error_code"] == code]["created_at"]
    start = _episode_start(rows[rows["created_at"] < until], code)
    last = all_of_code[all_of_code < until].max().to_pydatetime()
    before = _side("before", rows[rows["created_at"] < start]) if (rows["created_at"] < start).any() else None
    # An episode that is over ends with its last failure: runs after it are none of its runs.
    over = last if _is_over(all_of_code[all_of_code >= start], until) else None
    after = _side("since then", rows[(rows["created_at"] >= start) & (rows["created_at"] <= (over or until))])
    change = differences.difference(before.values, after.values) if before else None
    return Incident("failures", before, after, change, code=code, code_since=start, code_until=over)


def _episode_start(rows: pd.DataFrame, code: str) -> datetime:
    """Where the failures per run step up: the split that two Poisson rates explain best.

    Runs are the clock, not hours, or every morning would look like a step.
    """
    clock = rows["sample_weight"].cumsum().to_numpy(float)
    hits = np.flatnonzero((rows["error_code"] == code).to_numpy())
    whole = max(float(clock[-1]), 1.0)
    rate = len(hits) / whole
    best, best_gain = int(hits[0]), 0.0
    for before_count, row in enumerate(hits):
        before, after_count = float(clock[row]), len(hits) - before_count
        after = max(whole - before, 1.0)
        if after_count / after <= rate:
            continue
        # log-likelihood of the two rates over that of one
        gain = after_count * np.log(after_count / after / rate)
        if before_count:
            gain += before_count * np.log(before_count / max(before, 1.0) / rate)
        if gain > best_gain:
            best, best_gain = int(row), gain
    start: datetime = rows["created_at"].iloc[best].to_pydatetime()
    return start


def _is_over(times: pd.Series, until: datetime) -> bool:
    """No failure for much longer than their usual gap."""
    if len(times) < 3:
        return False
    first, last = times.min().to_pydatetime(), times.max().to_pydatetime()
    gap = (last - first) / (len(times) - 1)
    return bool(until - last > max(20 * gap, timedelta(hours=1)))


def _side(label: str, rows: pd.DataFrame) -> Side:
    versions = {(str(s), int(v)) for s, v in zip(rows["strategy_id"], rows["strategy_version"], strict=True)}
    single = next(iter(versions)) if len(versions) == 1 else (None, None)
    return Side(
        label,
        single[0],
        single[1],
        rows["created_at"].min().to_pydatetime(),
        rows["created_at"].max().to_pydatetime(),
        rows,
    )
