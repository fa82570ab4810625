"""Everything that happened to a strategy in a window, each with what caused it, in the order of the points it moved.

A version is blamed or acquitted by trying the program before it on what its runs read, not by comparing two groups of runs. What
is left are points under one and the same program: what moves there came with the inputs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates.estimate import Estimate
from analytics.findings.post_mortem.change_points import DAY, LEAST_ROWS, Shape, slope, slope_or_step, trend_p
from analytics.findings.post_mortem.finding import (
    TIMEOUT,
    Cause,
    DataFinding,
    FailuresFinding,
    Incident,
    NoFinding,
    OneGroup,
    Step,
    VersionFinding,
    rank_findings,
    sum_of,
    with_total,
)
from analytics.findings.post_mortem.groups import Group, RunColumns, as_number, as_time, paid, run_estimate
from analytics.findings.post_mortem.node_changes import Activation
from analytics.findings.post_mortem.search import IncidentSearch
from analytics.findings.post_mortem.version_changes import (
    OneProgram,
    Pairs,
    VersionChange,
    amounts_moved,
    change_of_points,
    one_program,
    rollback,
)
from analytics.findings.replay.trials import Basis, TrialVerdict, VersionTrial

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from analytics.estimates.arrays import Floats, Ints

_TOLD = 3e-5
"""Largest chance of a moment at which points moved, for it to be told: a page has many stories beside which it may stand."""
_WIDE = timedelta(hours=36)
"""Range of a moment from which on it may have been none."""
_SHORTLY = timedelta(hours=6)
_DRIFT = 3e-5
"""Largest chance of a drift that no moment of change was found for."""
_MANY = 0.02
"""Share of the runs whose failing leaves no sample of the others, and that must end in a case for its coming or going to tell."""
_MOST_TRIALS = 12
"""Versions of a window that are tried, the latest ones."""


class Causes:
    """The findings of a window, with programs.

    Args:
        runs: The family's logged runs to ``until``.
        since, until: The window in question.
        pairs: Tries versions on each other.
    """

    def __init__(self, runs: RunColumns, since: datetime, until: datetime, pairs: Pairs) -> None:
        self.runs, self.since, self.until, self.pairs = runs, since, until, pairs
        self.search = IncidentSearch(runs, since, until)

    # ---- evidence --------------------------------------------------------------------------------------------------

    @cached_property
    def trials(self) -> list[tuple[VersionChange, VersionTrial]]:
        """Every version that ran in the window and began in it or in the week before, on trial; oldest first."""
        live = [change for change in self.search.changes if change.span.last >= self.since]
        found = []
        for change in live[-_MOST_TRIALS:]:
            before = self.runs.group(change.earlier.label, change.before)
            found.append((change, self.pairs.trial(before, self.runs.group(change.label, change.after))))
        return found

    @cached_property
    def failing(self) -> list[FailuresFinding]:
        """Codes that fail more runs than before, with the version that they came with or that alone fails so."""
        return [self._with_trial(item) for item in self.search.failures()]

    @cached_property
    def verdicts(self) -> list[VersionTrial]:
        """The trials, but for versions that pay their runs the same and fail others: those are not the same."""
        ours = {id(item.trial): item.code for item in self.failing if item.trial is not None}
        return [
            replace(
                trial,
                verdict=TrialVerdict.CANNOT_TELL,
                reason=f"runs fail with {ours[id(trial)]} since it came, and leave no trace",
            )
            if trial.verdict is TrialVerdict.SAME and id(trial) in ours
            else trial
            for _, trial in self.trials
        ]

    @cached_property
    def level(self) -> OneProgram | None:
        """All runs as one program pays them; None where no program tells that, or there is one only."""
        programs: dict[str, Group] = {}
        for _, trial in self.trials:
            programs.setdefault(trial.before.label, trial.before)
        for _, trial in reversed(self.trials):
            programs.setdefault(trial.after.label, trial.after)
        return one_program(self.runs, self.search.scope, self.pairs, programs)

    # ---- stories ---------------------------------------------------------------------------------------------------

    def findings(self) -> list[Incident]:
        """All of them: what began in the window before what began earlier, and of these the most points first."""
        failing = self.failing
        versions = self._versions(failing)
        data = self._data(versions, failing)
        slower = self.search.slower(self.search.changes)
        found: list[Incident] = [*versions, *failing]
        found += [item for item in (data, slower) if item is not None]
        return sorted(map(with_total, found), key=lambda item: (not self.is_recent(item), rank_findings(item)))

    def is_recent(self, finding: Incident) -> bool:
        """It began in the window, goes on in it, or has no moment."""
        return finding.since is None or finding.since >= self.since or finding.goes_on

    def quiet(self) -> NoFinding | OneGroup:
        """Nothing stands out: the window against the time before, and which versions stay undecided."""
        self.search.version([change for change, _ in self.trials if change.span.first >= self.since])
        found = self.search.quiet()
        trials = self.verdicts
        return replace(
            found,
            innocent=tuple(trial for trial in trials if trial.verdict is TrialVerdict.SAME),
            open_trials=tuple(trial for trial in trials if trial.verdict is TrialVerdict.CANNOT_TELL),
        )

    def _with_trial(self, failing: FailuresFinding) -> FailuresFinding:
        """Failures that began with a version, and what that pays for the runs that do not fail."""
        for change, trial in self.trials:
            if failing.border is not None and change.span == failing.border:
                return replace(failing, trial=trial, cause=Cause.PROGRAM)
        return self._of_one_version(failing)

    def _of_one_version(self, failing: FailuresFinding) -> FailuresFinding:
        """Failures that no run before a version had, though the first of them came later: what it newly asks may be rare.

        What happens at midnight only is not seen of a version that came in the morning. A stall hits whatever is live.
        """
        runs = self.runs
        if failing.border is not None or failing.since is None or failing.code == TIMEOUT:
            return failing
        failed = runs.code == runs.codes.index(failing.code)
        labels = np.unique(runs.label[failed])
        for change, trial in self.trials:
            if len(labels) == 1 and runs.labels[labels[0]] == change.label and change.span.first <= failing.since:
                return replace(failing, only_of=change.span, trial=trial, cause=Cause.UNKNOWN)
        return failing

    def _versions(self, failing: Sequence[FailuresFinding]) -> list[VersionFinding]:
        """The versions that pay otherwise; those of one series as one.

        Where failures came with a version that pays the other runs as before, they are the story: the runs that are left are no
        sample of who plays.
        """
        stories: list[VersionFinding] = []
        in_series: set[Activation] = set()
        for change, trial in self.trials:
            began_to_fail = any(item.border == change.span for item in failing)
            survivors_are_same = (
                trial.verdict is not TrialVerdict.DIFFERS and trial.forward is not None and trial.forward.is_conclusive
            )
            if change.span in in_series or (began_to_fail and survivors_are_same):
                continue
            found = self._version(change, trial)
            if found is None:
                continue
            series = self._series(found, change, trial)
            in_series |= {step.span for step in series.steps}
            if (at := _same_version(stories, series)) is not None:
                stories[at] = _again(stories[at], series)
            else:
                stories.append(series)
        return stories

    def _version(self, change: VersionChange, trial: VersionTrial) -> VersionFinding | None:
        if trial.verdict is TrialVerdict.SAME:
            return None
        if trial.verdict is TrialVerdict.DIFFERS:
            found = self.search.with_version(change)
            return replace(found, trial=trial, cause=Cause.PROGRAM, total=trial.difference)
        known = self.search.version([change])
        return self._not_tried(known, change, trial) if known is not None else None

    def _not_tried(self, finding: VersionFinding, change: VersionChange, trial: VersionTrial) -> VersionFinding:
        """Points moved with a version that could not be tried: its program is the likely cause where nothing else moved.

        A case that pays one other amount in nearly all of its runs is the program's doing whoever plays, and so is one that the
        program does not have any more, or has anew.
        """
        before, after = finding.before, finding.after
        alike = self.pairs.alike(before, after)
        gone, new = self._cases_apart(before, after)
        is_program = change.is_amount or bool(gone or new) or (alike is not None and alike.are_alike)
        cause = Cause.PROGRAM if is_program else Cause.UNKNOWN
        return replace(finding, trial=trial, cause=cause, alike=alike, gone=gone, new=new)

    def _cases_apart(self, before: Group, after: Group) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Cases that enough runs reached and that the other version's program does not name."""
        old, new = self.pairs.both_variants(before, after)
        if old is None or new is None:
            return (), ()
        named = [
            {node.case_name for node in of.definition.outline.nodes if node.case_name is not None} for of in (old, new)
        ]
        gone = tuple(name for name in _reached(before) if name in named[0] and name not in named[1])
        return gone, tuple(name for name in _reached(after) if name in named[1] and name not in named[0])

    def _series(self, finding: VersionFinding, change: VersionChange, trial: VersionTrial) -> VersionFinding:
        """The versions that came after it, while the version before the series has not come back."""
        if trial.verdict is not TrialVerdict.DIFFERS or trial.basis is not Basis.OWN_RUNS:
            return finding
        steps = [Step(change.span, trial)]
        back: Activation | None = None
        for later in self.search.spans:
            if later.first <= change.span.first or later.label == change.label or later.first >= self.until:
                continue
            if later.label == change.earlier.label:
                if later.first >= change.span.last or later.last > change.span.last:
                    back = later
                    break
                continue
            rows = self.runs.where(
                self.runs.between(later.first, as_number(min(later.last, self.until)) + 1), later.label
            )
            own = self.pairs.trial(finding.before, self.runs.group(later.label, rows))
            if own.verdict is TrialVerdict.CANNOT_TELL:
                break
            before_it = next((of for other, of in self.trials if other.span == later), None)
            steps.append(Step(later, own, before_it))
        if len(steps) < 2:
            return finding
        total = sum_of([step.trial.difference for step in steps])
        ended = finding.rollback if finding.rollback is not None else back
        if ended is None:
            ended = rollback(self.search.spans, steps[-1].span, change.earlier.label)
            ended = ended if ended is not None and ended.label == change.earlier.label else None
        return replace(finding, steps=tuple(steps), total=total, rollback=ended)

    def _data(
        self, versions: Sequence[VersionFinding], failing: Sequence[FailuresFinding]
    ) -> DataFinding | VersionFinding | None:
        """Points that moved without a version, as far as that can be told apart."""
        level = self.level
        search = self.search
        if level is not None:
            search = IncidentSearch(self.runs, self.since, self.until, level=level.runs)
            search.spans = self.search.spans
        if level is None and len({change.label for change, _ in self.trials}) and not self._is_apart(search, versions):
            return None
        lost = [other for other in failing if other.border is not None and _share(other) >= _MANY]
        is_told = search.moved is not None and search.moved.p < _TOLD
        found = (search.data() if is_told else None) or (None if lost else self._drifting(search))
        if found is None:
            self.search.undecided = self.search.undecided or search.undecided
            return None
        # The failing runs are missing among those that are paid since: the rest is no sample of who plays.
        if any(not _is_before(found, other) for other in lost):
            return None
        begun = min((when for other in lost if (when := other.since_low or other.since)), default=None)
        if begun is not None and found.since is not None and (found.until is None or found.until >= begun):
            found = self._before_failures(search, found, as_number(found.since), as_number(begun))
            if found is None:
                return None
        if level is None:
            blamed = self._near(found)
            if blamed is not None:
                return None if any(item.border == blamed.border for item in versions) else blamed
        innocent = tuple(
            trial
            for (change, _), trial in zip(self.trials, self.verdicts, strict=True)
            if trial.verdict is TrialVerdict.SAME
            and search.moved is not None
            and search.coincide(change.span.first, search.moved)
        )
        if innocent or level is not None:
            found = replace(found, border=None)
        means = None if level is None else (level.label, *_means(level.runs, found))
        return replace(found, cause=Cause.INPUTS, innocent=innocent, is_one_program=level is not None, level=means)

    def _before_failures(
        self, search: IncidentSearch, finding: DataFinding, since: int, begun: int
    ) -> DataFinding | None:
        """A change that goes on while runs are lost, by those before the first was lost; None where they do not show it."""
        level = search.level
        before, after = (level.where(level.between(*span)) for span in ((since - 7 * DAY, since), (since, begun)))
        if np.count_nonzero(level.paid[after]) < LEAST_ROWS:
            return None
        change, matched, is_amount = change_of_points(level, before, after)
        if not (change.is_significant and (matched or is_amount)):
            return None
        return replace(finding, after=self.runs.group(finding.after.label, after), points=change)

    def _is_apart(self, search: IncidentSearch, versions: Sequence[VersionFinding]) -> bool:
        """Without one program to look through: the change is there within single versions, or no version is suspected."""
        return search.is_within or not versions

    def _near(self, finding: DataFinding) -> VersionFinding | None:
        """A version that came when points moved, or shortly before or after, unless it is acquitted.

        Of two things that happen within hours, and of which one could not be tried, the log does not tell which it was.
        """
        if finding.since_low is None or finding.since_high is None:
            return None
        reach = max(_SHORTLY, finding.since_high - finding.since_low)
        for change, trial in self.trials:
            begun = change.span.first
            is_near = finding.since_low - reach <= begun <= finding.since_high + reach
            # A stretch that ends where a version came is what went before it: the version is the change.
            is_end = finding.until is not None and abs(finding.until - begun) <= _SHORTLY
            if (is_near or is_end) and trial.verdict is not TrialVerdict.SAME:
                version = self.search.with_version(change)
                if trial.verdict is TrialVerdict.DIFFERS:
                    return replace(version, trial=trial, cause=Cause.PROGRAM, total=trial.difference)
                return self._not_tried(version, change, trial)
        return None

    def _drifting(self, search: IncidentSearch) -> DataFinding | None:
        """Points that moved at no moment, but day after day, under one program."""
        level, inside = search.level, search.inside
        rows = np.arange(search.scope.start, search.scope.stop)
        paid = rows[level.paid[rows]]
        if len(np.unique(level.label[paid])) > 1 or trend_p(level.time[paid], level.points[paid]) >= _DRIFT:
            return None
        drift = slope(level, rows)
        if drift is None or slope_or_step(level.time[paid], level.points[paid]) is Shape.STEP:
            return None
        middle = inside.start if len(paid[paid < inside.start]) >= LEAST_ROWS else int(rows[len(rows) // 2])
        before, after = rows[rows < middle], rows[rows >= middle]
        change, is_matched, _ = change_of_points(level, before, after)
        if not (change.is_significant and is_matched):
            return None
        return DataFinding(
            before=self.runs.group("before", before),
            after=self.runs.group("this window" if middle == inside.start else "since then", after),
            points=change,
            since=as_time(level.time[after[0]]),
            since_low=as_time(level.time[rows[0]]),
            since_high=as_time(level.time[after[0]]),
            slope=drift,
        )

    def drift(self, finding: DataFinding, field: tuple[Ints, Floats] | None) -> DataFinding:
        """Points that moved little by little have no moment: what is told is how fast.

        Args:
            finding: Points that moved without a version.
            field: Times and values of the input that moved most, which shows it more clearly than points; None for none.
        """
        level = self.runs if self.level is None else self.level.runs
        rows = np.arange(self.search.scope.start, self.search.scope.stop)
        paid = rows[level.paid[rows]]
        time, values = field if field is not None else (level.time[paid], level.points[paid])
        seen = slope_or_step(time, values) if finding.until is None else Shape.STEP
        # Points alone vary so much that a step looks like a line now and then: only an input tells that it may have been one, and
        # only where no narrow range holds the moment.
        is_wide = finding.since_low is not None and finding.since_high is not None and (
            finding.since_high - finding.since_low > _WIDE
        )  # fmt: skip
        if seen is Shape.STEP or (seen is Shape.EITHER and (field is None or not is_wide)):
            return finding
        drift = slope(level, rows)
        return replace(finding, slope=replace(drift, is_sure=seen is Shape.DRIFT)) if drift is not None else finding

    def is_other_amount(self, finding: DataFinding) -> bool:
        """Whether a case pays another amount in nearly all of its runs, under one and the same program."""
        level = self.runs if self.level is None else self.level.runs
        rows = [
            level.where(level.between(side.since, as_number(side.until) + 1))
            for side in (finding.before, finding.after)
        ]
        return len(np.unique(level.label[np.concatenate(rows)])) == 1 and amounts_moved(level, *rows)

    def moved_by_inputs(self, quiet: NoFinding) -> DataFinding:
        """A quiet window whose points differ from those before by more than chance (1 %), and one of whose inputs surely moved."""
        start = self.search.level.time[self.search.inside.start]
        return DataFinding(
            before=quiet.before, after=quiet.after, points=quiet.points, cause=Cause.INPUTS, innocent=quiet.innocent,
            trial=quiet.trial, since=as_time(start), since_high=as_time(start),
            since_low=as_time(self.search.runs.time[self.search.scope.start]),
        )  # fmt: skip


def _same_version(stories: Sequence[VersionFinding], finding: VersionFinding) -> int | None:
    """Place of the story of the same version beside the same earlier one: two that take turns are one story."""
    for at, other in enumerate(stories):
        versions = [(version.before.label, version.after.label) for version in (other, finding)]
        is_pair = versions[0] == versions[1] and not (other.steps or finding.steps)
        if is_pair and other.cause == finding.cause and None not in (finding.total, other.total, finding.trial):
            return at
    return None


def _again(first: VersionFinding, finding: VersionFinding) -> VersionFinding:
    """A version that came again: the points of all its times, over when the last one is."""
    assert finding.border is not None and finding.trial is not None  # noqa: S101  # a version that was tried has both
    return replace(
        first,
        total=sum_of([first.total, finding.total]),
        rollback=finding.rollback,
        successor=finding.successor,
        again=(*first.again, Step(finding.border, finding.trial)),
    )


def _reached(side: Group) -> list[str]:
    """Cases in which a share of the runs worth a word ended, the most first."""
    names = paid(side.rows[["status", "points", "case_name"]])["case_name"]
    return [str(name) for name, count in names.value_counts().items() if count >= _MANY * len(names)]


def _share(failing: FailuresFinding) -> float:
    """Share of the runs that fail with its code."""
    rows = failing.after.rows
    runs = run_estimate(rows).value
    return float(((rows["status"] != "ok") & (rows["error_code"] == failing.code)).sum()) / runs if runs > 0 else 1.0


def _is_before(finding: DataFinding, failing: FailuresFinding) -> bool:
    """Whether points had moved back, or clearly began to move, before runs began to fail."""
    begun = failing.since_low or failing.since
    if begun is None or finding.since is None:
        return False
    return (finding.until is not None and finding.until < begun) or (
        finding.since_high is not None and finding.since_high < begun
    )


def _means(level: RunColumns, finding: DataFinding) -> tuple[Estimate, Estimate]:
    """Points per run under one program, before a change and after it."""
    from analytics.estimates import estimators

    means = []
    for side in (finding.before, finding.after):
        rows = level.where(level.between(side.since, as_number(side.until) + 1))
        rows = rows[level.paid[rows]]
        means.append(estimators.mean(level.points[rows], level.weight[rows], process=True))
    return means[0], means[1]
