"""All that a post-mortem finds out about one strategy, each fact once: what the page, the summary and a notebook tell.

First of all what changed in the window, against a baseline: a version, failures, data or duration.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons
from analytics.findings.failures.growth import growing_codes
from analytics.findings.post_mortem.baseline import LOOK_BACK, SEASON_LOOK_BACK, Baseline, with_rows
from analytics.findings.post_mortem.causes import Causes
from analytics.findings.post_mortem.family import Family, family_runs, part_to_read
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
    with_causes,
)
from analytics.findings.post_mortem.groups import (
    Case,
    Group,
    RunColumns,
    Split,
    compare_cases,
    group_of,
    rows_since,
    split_by_case,
)
from analytics.findings.post_mortem.node_changes import (
    Activation,
    NodeChanges,
    activations,
    alike,
    field_values,
    node_changes,
)
from analytics.findings.post_mortem.search import IncidentSearch
from analytics.findings.post_mortem.version_changes import Pairs, rollback, strength, successor
from analytics.findings.replay.replay_run import ReplayShare, replay_share, wraps
from analytics.findings.replay.replayed import BothVariants, Counterfactual, Replayed
from analytics.findings.replay.trials import TrialVerdict, VersionTrial
from analytics.findings.shown import ShownInquiry
from analytics.lake.losses import Loss
from analytics.warehouse.coverage import Coverage
from analytics.warehouse.coverage import coverage as window_coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

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


_SURE, _NO_CHANCE = 1.3, 1e-4
"""Half-widths of the interval of a change (a chance of about 0.01), and the chance (q) of an input's, for a drift to be told."""


class Investigation(ShownInquiry):
    """What happened to one strategy in a window.

    Args:
        lake: Where to look.
        family: The strategy.
        since, until: The window in question, UTC.
        baseline: What to compare with; chosen when ``None``.
    """

    def __init__(
        self, lake: Warehouse, family: Family, since: datetime, until: datetime, baseline: Baseline | None = None
    ) -> None:
        self.lake, self.family, self.since, self.until, self._baseline = lake, family, since, until, baseline
        self._nodes: dict[tuple[int, int], NodeChanges] = {}  # sides are kept by the incidents that this object holds

    @cached_property
    def part(self) -> float:
        """The part of the drawn runs that is read: 1, but where they are very many."""
        return part_to_read(self.lake, self.family, self.since - SEASON_LOOK_BACK, self.until)

    @cached_property
    def history(self) -> pd.DataFrame:
        """Logged runs of the family, from four weeks before the window to its end: earlier weekends tell a weekend."""
        return family_runs(self.lake, self.family, self.since - SEASON_LOOK_BACK, self.until, part=self.part)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Logged runs of the family, from a week before the window to its end."""
        return rows_since(self.history, self.since - LOOK_BACK)

    @cached_property
    def window(self) -> pd.DataFrame:
        """Logged runs within the window."""
        return rows_since(self.runs, self.since)

    @cached_property
    def coverage(self) -> Coverage:
        """How much of the window the lake holds."""
        return window_coverage(self.lake, Window(self.since, self.until))

    @cached_property
    def lost(self) -> list[Loss]:
        """What the lake has lost of the window and of what it is compared with."""
        return self.lake.lost(Window(self.since - LOOK_BACK, self.until).days)

    @cached_property
    def spans(self) -> list[Activation]:
        """When which version was live."""
        return activations(self.runs)

    @cached_property
    def pairs(self) -> Pairs:
        """Versions tried on each other's runs."""
        return Pairs(self.lake, self.family.realm, part=self.part)

    @cached_property
    def compared(self) -> Incident:
        """What comparing groups of runs says, whatever their programs say."""
        given, lake, family = self._baseline, self.lake, self.family
        asked = with_rows(given, lake, family, self.history, part=self.part) if given else None
        return find_incident(self.history, self.since, self.until, baseline=asked)

    @cached_property
    def causes(self) -> Causes:
        """Everything that happened in the window, with the programs tried."""
        return Causes(RunColumns.of(self.history), self.since, self.until, self.pairs)

    @cached_property
    def incident(self) -> Incident:
        """What stands out: with a baseline that was asked for what differs from it, else what moved most points."""
        if self.window.empty:
            return NoRuns()
        return with_causes(self._told(), self.lake, self.family, self.since, self.until)

    def _told(self) -> Incident:
        if self._baseline is not None:
            return try_requested_version(self.compared, self.pairs)
        found = self.causes.findings()
        if not found:
            return self._drifted(self.causes.quiet())
        first, *rest = found
        first = replace(first, also=tuple(other for other in rest if self.causes.is_recent(other)))
        return self._named(first) if isinstance(first, DataFinding) else first

    def _named(self, finding: DataFinding) -> DataFinding:
        """What moved points without a version: the built-in where its answers did and no input; a drift where it was no moment."""
        nodes, sides = self._nodes_of(finding), alike(finding.before, finding.after)
        path = nodes.moved_fields[0] if nodes is not None and nodes.moved_fields else None
        values = field_values(self.lake, self.pairs.both_variants(*sides), path) if path is not None else None
        ways = self.pairs.variants(sides[1])
        is_wrapped = ways is not None and bool(wraps(ways.definition))
        is_built_in = nodes is not None and nodes.is_built_in
        if is_wrapped and path is None:
            # Nobody who plays makes a case pay another amount: neither rules nor what they read have changed.
            is_built_in = self.causes.is_other_amount(finding)
        # Where no field shows what moved, it is the inputs or the built-in: what that answered is not known well enough.
        cause = Cause.BUILT_IN if is_built_in else Cause.UNKNOWN if is_wrapped and path is None else finding.cause
        named = replace(finding, cause=cause, wraps_built_in=is_wrapped)
        return self.causes.drift(named, values)

    def _drifted(self, quiet: NoFinding | OneGroup) -> DataFinding | NoFinding | OneGroup:
        """What moved too slowly for any moment to stand out: points differ, under one version, and so does what came in."""
        if isinstance(quiet, OneGroup) or strength(quiet.points) < _SURE:
            return quiet
        before, after = quiet.before, quiet.after
        same = (before.strategy_id, before.strategy_version) == (after.strategy_id, after.strategy_version)
        if before.strategy_id is None or not same:
            return quiet
        nodes = self._nodes_of(quiet)
        if nodes is None or not nodes.moved_fields or min(node.q for node in nodes.nodes) > _NO_CHANCE:
            return quiet
        return self._named(self.causes.moved_by_inputs(quiet))

    @property
    def trials(self) -> list[VersionTrial]:
        """Every version of the window beside the one before it; the one asked for where a baseline was."""
        if self._baseline is not None:
            return [self.incident.trial] if self.incident.trial is not None else []
        return [] if self.window.empty else self.causes.verdicts

    @property
    def trial_of_sides(self) -> VersionTrial | None:
        """Of the two versions that are compared; ``None`` where they are none."""
        finding = self.incident
        if finding.trial is not None or finding.before is None or finding.after is None:
            return finding.trial
        sides = [(side.strategy_id, side.strategy_version) for side in (finding.before, finding.after)]
        return next(
            (
                trial
                for trial in self.trials
                if sides == [(side.strategy_id, side.strategy_version) for side in (trial.before, trial.after)]
            ),
            None,
        )

    @cached_property
    def cases(self) -> list[Case]:
        """Cases of both sides; none when there are no two sides."""
        finding = self.incident
        return compare_cases(finding.before, finding.after) if finding.before and finding.after else []

    @cached_property
    def split(self) -> Split | None:
        """Effect and mix, and what was overpaid: as the programs have it where they were tried; ``None`` without two sides."""
        finding = self.incident
        if not (finding.before and finding.after):
            return None
        parts = split_by_case(finding.before, finding.after)
        if (
            isinstance(finding, VersionFinding)
            and finding.total is not None
            and finding.trial
            and finding.trial.difference is not None
        ):
            return replace(parts, overpaid=finding.total)
        return parts

    @property
    def variants(self) -> BothVariants:
        """How the runs of both sides went through their programs."""
        return self.pairs.both_variants(self.incident.before, self.incident.after)

    @cached_property
    def counterfactual(self) -> Counterfactual:
        """Each version's program on the other's inputs."""
        return self.pairs.tried(self.incident.before, self.incident.after, both=True)

    @property
    def conclusive_replay(self) -> Replayed | None:
        """The counterfactual, where it covers enough of the runs to say how much was overpaid."""
        forward = self.counterfactual.forward
        return forward if forward is not None and forward.is_conclusive else None

    @cached_property
    def replays(self) -> ReplayShare:
        """Whether the definitions give the logged runs again."""
        return replay_share(self.lake, self.runs)

    @cached_property
    def nodes(self) -> NodeChanges | None:
        """Conditions, fields and amounts that differ; ``None`` when there are no two sides."""
        return self._nodes_of(self.incident)

    def _nodes_of(self, finding: Incident) -> NodeChanges | None:
        """Mixed groups are compared by the version that both hold, or by the usual one of each."""
        if not (finding.before and finding.after):
            return None
        before, after = alike(finding.before, finding.after)
        key = (id(finding.before), id(finding.after))
        if key not in self._nodes:
            self._nodes[key] = node_changes(self.lake, before, after, *self.pairs.both_variants(before, after))
        return self._nodes[key]
