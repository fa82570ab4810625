"""What a rehearsal the day before would have said of versions that came, beside what really came: how far such a page is right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from analytics.estimates.estimate import NOTHING, Estimate
from analytics.findings.post_mortem.family import Family, family_runs, labels_of, part_to_read
from analytics.findings.post_mortem.groups import paid
from analytics.findings.rehearsal.lake_program import Span, spans
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.rehearsal.rehearsed_runs import NEAR
from analytics.findings.replay.paired import mean_of
from analytics.findings.replay.run_evidence import definition
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MOST_CHANGES: Final = 3
"""The last changes of version that are looked at."""
LEAST_BEFORE: Final = timedelta(days=1)
"""Of runs before a version's first one: of a version that begins with the lake nobody knows whether it came then."""
MOST_INPUTS: Final = 20_000
"""Runs that are read before a change, and after it."""


class Held(StrEnum):
    """Whether what came is what the rehearsal would have said, as ``summary.json`` spells it."""

    INSIDE = "inside"
    NEAR = "near"
    OUTSIDE = "outside"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class LookBack:
    """One change of version. Points are of a run that does not fail.

    Attributes:
        label: Of the version that came.
        came_at: Its first logged run, UTC.
        since: From when on the runs before the change are the inputs.
        until: Up to when its own runs are what came.
        before: Points per run that were paid before the change.
        said: Points per run that a rehearsal on those runs says; wide enough for all that undecided runs may be paid.
        came: Points per run of the version's own runs.
        held: ``inside``: what came lies within the interval of what was said; ``near``: it does not, and the two intervals meet;
            ``outside``: they do not; ``open`` where one of them is not known.
        reason: Why nothing was said, in a clause; empty otherwise.
    """

    label: str
    came_at: datetime
    since: datetime
    until: datetime
    before: Estimate
    said: Estimate
    came: Estimate
    held: Held
    reason: str = ""


def look_back(lake: Warehouse, family: Family, length: timedelta, *, most: int = MOST_INPUTS) -> list[LookBack]:
    """The last changes of version, the newest first; none where the lake has runs of one version only.

    A change is the first logged run of a version where another one ran a day or more before. The rehearsal of it is made with the
    program that the lake has of the version now.

    Args:
        lake: The warehouse, one tenant in sight.
        family: The strategy.
        length: Of the time before, and of that after a change.
        most: Runs that the report itself tries at most, where these are fewer than `MOST_INPUTS`.
    """
    ran = spans(lake, family)
    came = [span for span in ran[1:] if span.first_at - ran[0].first_at >= LEAST_BEFORE]
    most = min(most, MOST_INPUTS)
    return [_looked_at(lake, family, span, length, ran[0].first_at, most) for span in reversed(came[-MOST_CHANGES:])]


def _looked_at(lake: Warehouse, family: Family, span: Span, length: timedelta, first: datetime, most: int) -> LookBack:
    since, until = max(first, span.first_at - length), span.first_at + length
    part = part_to_read(lake, family, span.first_at, until, most=most)
    own = family_runs(lake, family, span.first_at, until, part=part, only_pay=True)
    strategy, version = span.version
    own = own[(own["strategy_id"] == strategy).to_numpy(bool) & (own["strategy_version"] == version).to_numpy(bool)]
    came, label = _per_run(paid(own)), _label(family, span)
    program = definition(lake, strategy, version)
    if program is None:
        reason = "its program is not in the lake"
        return LookBack(label, span.first_at, since, until, NOTHING, NOTHING, came, Held.OPEN, reason)
    part = part_to_read(lake, family, since, span.first_at, most=most)
    found = Rehearsal(lake, family, program, since, span.first_at, most=most, part=part)
    before = _per_run(paid(found.logged))
    if not len(found.tried.rows):
        reasons = [one.reason for one in found.tried.versions if one.reason]
        reason = reasons[0] if reasons else "no run before it was paid"
        return LookBack(label, span.first_at, since, until, before, NOTHING, came, Held.OPEN, reason)
    said = _said(found)
    return LookBack(label, span.first_at, since, until, before, said, came, _held(said, came))


def _label(family: Family, span: Span) -> str:
    import pandas as pd

    rows = pd.DataFrame({"strategy_id": pd.Categorical([span.version[0]]), "strategy_version": [span.version[1]]})
    return str(labels_of(rows, family)[0])


def _per_run(rows: pd.DataFrame) -> Estimate:
    return mean_of(rows["points"], rows["sample_weight"])


def _said(found: Rehearsal) -> Estimate:
    """Points per run that does not fail: the mean over the decided ones, widened to what undecided ones may be paid."""
    rows = found.tried.rows[found.tried.rows["code"].isna().to_numpy(bool)]
    is_decided = rows["is_decided"].to_numpy(bool)
    decided = rows[is_decided]
    middle = mean_of(decided["low"], decided["weight"])
    if is_decided.all():
        return middle
    ends = []
    for name in ("low", "high"):
        values = rows[name].to_numpy(float)
        infinite = values[~np.isfinite(values)]
        ends.append(float(infinite[0]) if len(infinite) else getattr(mean_of(values, rows["weight"]), name))
    low, high = (min(middle.low, ends[0]), max(middle.high, ends[1])) if len(decided) else ends
    value = middle.value if len(decided) else math.nan
    return Estimate(value, low, high, len(rows), "rough")


def _held(said: Estimate, came: Estimate) -> Held:
    if math.isnan(said.low) or math.isnan(said.high) or math.isnan(came.value):
        return Held.OPEN
    near = NEAR * max(1.0, abs(came.value))
    if said.low - near <= came.value <= said.high + near:
        return Held.INSIDE if math.isfinite(said.low) and math.isfinite(said.high) else Held.OPEN
    if math.isnan(came.low) or math.isnan(came.high):
        return Held.OPEN
    return Held.NEAR if came.low <= said.high and came.high >= said.low else Held.OUTSIDE
