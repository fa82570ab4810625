"""What changed for one strategy in a window: a version, failures, data or duration, against a baseline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons
from analytics.findings.failures.growth import growing_codes
from analytics.findings.post_mortem.baseline import LOOK_BACK, Baseline
from analytics.findings.post_mortem.finding import (
    BaselineFinding,
    Cause,
    DataFinding,
    Incident,
    NoFinding,
    NoRuns,
    OneGroup,
    Reason,
    VersionFinding,
    Why,
)
from analytics.findings.post_mortem.groups import Group, RunColumns, group_of
from analytics.findings.post_mortem.search import IncidentSearch
from analytics.findings.post_mortem.version_changes import rollback, strength, successor
from analytics.findings.replay.trials import TrialVerdict, VersionTrial
from analytics.findings.replay.version_pairs import Pairs

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.comparisons import Difference

_ASKED = 1.3
"""Half-widths of the interval (a chance of about 0.01) for a change from a baseline that was asked for."""


def compare_with_requested_baseline(search: IncidentSearch, asked: Baseline) -> Incident:
    """The window against a baseline that the reader asked for.

    Args:
        search: Of the window.
        asked: The baseline, its rows read.

    Returns:
        Of a version: another version of the window against it, or its own runs in the window against those before.
    """
    runs, rows = search.runs, asked.rows
    inside = np.arange(search.inside.start, search.inside.stop)
    if rows is not None and asked.members:
        others = runs.label[inside]
        names, counts = np.unique(others, return_counts=True)
        known = runs.labels.index(asked.label) if asked.label in runs.labels else -1
        if (names != known).any():
            # Of several other versions, the one with most rows.
            most = names[names != known][np.argmax(counts[names != known])]
            inside = inside[others == most]
        first = runs.frame["created_at"].iloc[int(inside[0])]
        earlier = rows[rows["created_at"] < first]
        rows = earlier if len(earlier) else rows if (names != known).any() else earlier
        if len(rows):
            rows = rows[rows["created_at"] >= rows["created_at"].iloc[-1] - LOOK_BACK]
    label = runs.labels[int(runs.label[inside[0]])] if asked.members else "this window"
    after = runs.group(label, inside)
    if rows is None or not len(rows):
        return OneGroup(after=after, reason=Reason(Why.NO_BASELINE), baseline=asked.label)
    before = group_of(asked.label, rows)
    points = comparisons.difference(before.values, after.values)
    versions = [s for s in (before, after) if s.strategy_id is not None]
    same = (before.strategy_id, before.strategy_version) == (after.strategy_id, after.strategy_version)
    found: list[Incident] = []
    if points.is_significant and strength(points) > _ASKED:
        if len(versions) == 2 and not same:
            found.append(_version_after(search, before, after, points))
        else:
            found.append(BaselineFinding(before=before, after=after, points=points, since=after.since))
    grown = growing_codes(runs, search.inside, search.inside, search.until, baseline=before.rows)
    found += [replace(search.failing(growth), before=before) for growth in grown]
    slow = search.slow(before, after)
    found += [replace(slow, since=after.since)] if slow else []
    if not found:
        reason = Reason(Why.HARDLY) if points.is_significant else None
        if not np.isfinite(points.change.low):
            reason = Reason(Why.TOO_FEW)
        return NoFinding(before=before, after=after, points=points, reason=reason, baseline=asked.label)
    return replace(found[0], baseline=asked.label, also=tuple(found[1:]))


def _version_after(search: IncidentSearch, before: Group, after: Group, points: Difference) -> VersionFinding:
    """The finding of a version beside the one that was asked for, with how it ended."""
    live = [span for span in search.spans if span.label == after.label and span.first <= after.until]
    return VersionFinding(
        before=before,
        after=after,
        points=points,
        rollback=rollback(search.spans, live[-1], before.label) if live else None,
        successor=successor(search.spans, live[-1]) if live else None,
        since=after.since,
    )


def try_requested_version(finding: Incident, pairs: Pairs) -> Incident:
    """The same with the asked version's program tried on the runs: acquitted where it pays all of them the same."""
    if not isinstance(finding, VersionFinding | NoFinding):
        return finding
    versions = [(side.strategy_id, side.strategy_version) for side in (finding.before, finding.after)]
    if None in versions[0] or None in versions[1] or versions[0] == versions[1]:
        return finding
    trial = pairs.trial(finding.before, finding.after)
    match finding, trial.verdict:
        case VersionFinding(), TrialVerdict.DIFFERS:
            return replace(finding, trial=trial, cause=Cause.PROGRAM, total=trial.difference, since=finding.after.since)
        case VersionFinding(), TrialVerdict.CANNOT_TELL:
            return replace(finding, trial=trial, cause=Cause.UNKNOWN)
        case VersionFinding(), _:
            return _acquitted(finding, trial)
        case NoFinding(), TrialVerdict.DIFFERS:
            return VersionFinding(
                before=finding.before, after=finding.after, points=finding.points, since=finding.after.since, trial=trial,
                cause=Cause.PROGRAM, total=trial.difference, baseline=finding.baseline, also=finding.also,
            )  # fmt: skip
        case NoFinding(), TrialVerdict.CANNOT_TELL:
            return replace(finding, trial=trial, open_trials=(trial,))
        case _:
            return replace(finding, trial=trial, innocent=(trial,))


def _acquitted(finding: VersionFinding, trial: VersionTrial) -> Incident:
    """A version that pays the same: what moved came with the inputs, and what else was found comes first."""
    acquitted = DataFinding(
        before=finding.before, after=finding.after, points=finding.points, since=finding.since, cause=Cause.INPUTS,
        innocent=(trial,), baseline=finding.baseline,
    )  # fmt: skip
    if not finding.also:
        return replace(acquitted, trial=trial)
    first, *rest = finding.also
    return replace(first, trial=trial, also=(*rest, acquitted))


def find_incident(
    rows: pd.DataFrame, since: datetime, until: datetime, *, baseline: Baseline | None = None
) -> Incident:
    """Compare what a window shows with what went before.

    Args:
        rows: The family's logged runs to ``until``, oldest first; ``SEASON_LOOK_BACK`` before ``since`` is enough.
        since, until: The window in question.
        baseline: What to compare with, its rows read; the report chooses when ``None``.

    Returns:
        What matters most to the person on call: a version with other points per run, then failures that grew, then points
        that moved without a version, then slower runs; of these, what began in the window before what began in the week
        before it; the other findings in ``also``. Without any, the window against the time before.
    """
    if not len(rows) or not ((rows["created_at"] >= since) & (rows["created_at"] < until)).any():
        return NoRuns()
    search = IncidentSearch(RunColumns.of(rows), since, until)
    if baseline is not None:
        return compare_with_requested_baseline(search, baseline)
    found = search.findings()
    recent: list[Incident] = []
    earlier: list[Incident] = []
    for item in found:
        (recent if item.since is None or item.since >= since else earlier).append(item)
    ordered = recent + earlier
    if not ordered:
        return search.quiet()
    first = ordered[0]
    return replace(first, also=tuple(item for item in recent if item is not first))
