"""What changed for one strategy in a window: a version, failures, data or duration, against a baseline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons
from analytics.findings.failures.growth import growing_codes
from analytics.findings.post_mortem.baseline import LOOK_BACK, RHYTHM, Baseline
from analytics.findings.post_mortem.finding import Incident
from analytics.findings.post_mortem.groups import Runs, Side, paid, run_estimate, side
from analytics.findings.post_mortem.search import Search
from analytics.findings.post_mortem.version_changes import rollback, strength, successor
from analytics.findings.replay.version_pairs import Pairs

if TYPE_CHECKING:
    import pandas as pd

_ASKED = 1.3
"""Half-widths of the interval (a chance of about 0.01) for a change from a baseline that was asked for."""


def against(search: Search, asked: Baseline) -> Incident:
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
    after = runs.side(label, inside)
    if rows is None or not len(rows):
        reason = f"The baseline {asked.label} has no logged run to compare with."
        return Incident("single", None, after, None, reason=reason, baseline=asked.label)
    before = side(asked.label, rows)
    points = comparisons.difference(before.values, after.values)
    versions = [s for s in (before, after) if s.strategy_id is not None]
    same = (before.strategy_id, before.strategy_version) == (after.strategy_id, after.strategy_version)
    found: list[Incident] = []
    if points.is_significant and strength(points) > _ASKED:
        kind = "version" if len(versions) == 2 and not same else "window"
        live = [span for span in search.spans if span.label == after.label and span.first <= after.until]
        back = rollback(search.spans, live[-1], before.label) if live else None
        came = successor(search.spans, live[-1]) if live else None
        found.append(Incident(kind, before, after, points, rollback=back, successor=came, since=after.since))
    grown = growing_codes(runs, search.inside, search.inside, search.until, baseline=before.rows)
    found += [replace(search.failing(growth), before=before) for growth in grown]
    slow = search.slow(before, after, since=after.since)
    found += [slow] if slow else []
    if not found:
        hardly = "That is hardly beyond chance." if points.is_significant else ""
        reason = hardly if np.isfinite(points.change.low) else "Too few runs are logged to compare."
        return Incident("quiet", before, after, points, reason=reason, baseline=asked.label)
    return replace(found[0], baseline=asked.label, also=tuple(found[1:]))


def against_program(found: Incident, pairs: Pairs) -> Incident:
    """The same with the asked version's program tried on the runs: acquitted where it pays all of them the same."""
    if found.before is None or found.after is None or found.kind not in ("version", "quiet"):
        return found
    versions = [(side.strategy_id, side.strategy_version) for side in (found.before, found.after)]
    if None in versions[0] or None in versions[1] or versions[0] == versions[1]:
        return found
    trial = pairs.trial(found.before, found.after)
    if trial.verdict == "differs":
        live = replace(found, kind="version", trial=trial, cause="program", total=trial.difference)
        return replace(live, since=found.after.since, reason="")
    if trial.verdict == "cannot tell":
        if found.kind == "version":
            return replace(found, trial=trial, cause="unknown")
        return replace(found, trial=trial, open_trials=(trial,))
    if found.kind == "quiet":
        return replace(found, trial=trial, innocent=(trial,))
    acquitted = replace(
        found, kind="data", border=None, rollback=None, successor=None, also=(), cause="inputs", innocent=(trial,)
    )
    if not found.also:
        return replace(acquitted, trial=trial)
    first, *rest = found.also
    return replace(first, trial=trial, also=(*rest, acquitted))


__all__ = ["LOOK_BACK", "NO_CASE", "RHYTHM", "Incident", "Side", "find_incident", "paid", "run_estimate"]

NO_CASE = "no case"


def find_incident(
    rows: pd.DataFrame, since: datetime, until: datetime, *, baseline: Baseline | None = None
) -> Incident:
    """Compare what a window shows with what went before.

    Args:
        rows: The family's logged runs to ``until``, oldest first; ``RHYTHM`` before ``since`` is enough.
        since, until: The window in question.
        baseline: What to compare with, its rows read; the report chooses when ``None``.

    Returns:
        What matters most to the person on call: a version with other points per run, then failures that grew, then points
        that moved without a version, then slower runs; of these, what began in the window before what began in the week
        before it; the other findings in ``also``. Without any, the window against the time before.
    """
    if not len(rows) or not ((rows["created_at"] >= since) & (rows["created_at"] < until)).any():
        return Incident("nothing", None, None, None)
    search = Search(Runs.of(rows), since, until)
    if baseline is not None:
        return against(search, baseline)
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
