"""Two strategies in the same window, one against the other: what both pay for the same runs, and how their own runs differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics.errors import UsageError
from analytics.estimates import significance
from analytics.estimates.comparisons import Difference, Relative
from analytics.estimates.estimators import Estimate
from analytics.findings.post_mortem.baseline import comparable
from analytics.findings.post_mortem.family import Family, family_runs, labels_of, part_to_read
from analytics.findings.post_mortem.finding import Cause, ComparisonFinding
from analytics.findings.post_mortem.groups import Group, RunColumns, strata
from analytics.findings.post_mortem.node_changes import Activation, activations
from analytics.findings.post_mortem.post_mortem import Investigation
from analytics.findings.replay.paired import Moved, relative
from analytics.findings.replay.replayed import Counterfactual, Replayed
from analytics.findings.replay.trials import Basis, TrialVerdict, VersionTrial, judge
from analytics.lake.repair import extraction
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from analytics.estimates.arrays import Floats

_CHANCE = 0.001
"""Largest chance of shares that are called other ones."""
_MATERIAL = 0.05
"""Share of the runs that must be elsewhere: with many runs every difference is beyond chance."""
_EXPECTED = 5.0
"""Runs that a cell of a chi-square table is to expect (Cochran, *Biometrics* 10, 1954); rarer games are put together."""


class Trait(StrEnum):
    """What groups of runs are compared by."""

    GAMES = "games"
    TASKS = "tasks"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class Unlike:
    """A way in which two groups of runs are not alike.

    Attributes:
        what: By which they differ.
        distance: Share of the runs that would have to be elsewhere for both to be alike (total variation distance).
        name: The game or task with the largest difference; None for hours.
        share, other: Share of its runs in the later and in the earlier group.
        p: How likely chance alone makes shares differ this much.
    """

    what: Trait
    distance: float
    name: str | None
    share: float
    other: float
    p: float

    @property
    def is_disjoint(self) -> bool:
        """They have nothing in common."""
        return self.distance > 1 - 1e-9


def unlike_groups(before: Group, after: Group) -> tuple[Unlike, ...]:
    """What the ok runs of two groups do not have in common, beyond chance and by enough to matter."""
    rows = [side.rows[(side.rows["status"] == "ok").to_numpy(bool)] for side in (before, after)]
    if min(len(group) for group in rows) == 0:
        return ()
    found = []
    for what, column in ((Trait.GAMES, "external_game_id"), (Trait.TASKS, "external_task_id")):
        old, new = (group[column].astype(object).fillna("(none)").astype(str) for group in rows)
        found.append(_compared(what, old, new, rows))
    hours = [strata(group["created_at"].dt.as_unit("us").astype("int64").to_numpy()) for group in rows]
    found.append(_compared(Trait.HOURS, hours[0], hours[1], rows))
    return tuple(one for one in found if one.p < _CHANCE and one.distance >= _MATERIAL)


def _compared(what: Trait, old: ArrayLike, new: ArrayLike, rows: list[pd.DataFrame]) -> Unlike:
    import pandas as pd

    shares, counts = [], []
    for names, group in zip((old, new), rows, strict=True):
        weights = group["sample_weight"].to_numpy(float, na_value=np.nan)
        weights = np.where(np.isfinite(weights), weights, 1.0)
        held = pd.Series(weights).groupby(np.asarray(names)).sum() / weights.sum()
        shares.append(held)
        # So many runs drawn with equal chances would tell as much (Rao & Scott, JASA 76, 1981, with Kish's design effect).
        counts.append(held * weights.sum() ** 2 / (weights**2).sum())
    table = pd.concat(shares, axis=1).fillna(0.0)
    apart = table.iloc[:, 1] - table.iloc[:, 0]
    most = apart.abs().idxmax()
    cells = _pooled(pd.concat(counts, axis=1).fillna(0.0).to_numpy(float))
    p = significance.contingency_test(cells, corrected=False) if len(cells) > 1 else 1.0
    name = None if what is Trait.HOURS else str(most)
    share, other = float(table.loc[most].iloc[1]), float(table.loc[most].iloc[0])
    return Unlike(what, float(apart.abs().sum() / 2), name, share, other, p)


def _pooled(counts: Floats) -> Floats:
    """Rows of which either column expects too few put together."""
    total = counts.sum()
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
    rare = expected.min(axis=1) < _EXPECTED
    rest = counts[rare].sum(axis=0, keepdims=True)
    return np.concatenate([counts[~rare], rest]) if rest.sum() > 0 else counts[~rare]


@dataclass(frozen=True, slots=True)
class SameRuns:
    """What A pays beyond B for the same runs.

    Attributes:
        whose: ``A`` or ``B``: whose runs they are.
        relative: As a share of what B pays for them; None where that may be nothing.
        total: In points, over all of them.
        per_run: In points per run.
        moved: Which of them are paid otherwise: ``was`` and ``amount_was`` are B's, ``now`` and ``amount_now`` A's.
        decided_count, differing_count: Logged runs that were tried, and of them those that are paid otherwise.
    """

    whose: str
    relative: Relative | None
    total: Estimate
    per_run: Estimate
    moved: tuple[Moved, ...]
    decided_count: int
    differing_count: int

    @property
    def pays_more(self) -> bool | None:
        """Whether A pays more for them in all; None where that may be nothing."""
        if self.total.low <= 0 <= self.total.high:
            return None
        return self.total.value > 0


def _whole(trial: VersionTrial) -> Replayed | None:
    """The replay that tells by how much the programs pay the runs differently; None where it does not."""
    is_whole = trial.verdict is TrialVerdict.DIFFERS and trial.basis is Basis.OWN_RUNS
    return trial.forward if is_whole else None


class Comparison(Investigation):
    """Strategy A against strategy B: two groups of runs in one window, and no story of before and after.

    Rows are labelled ``A v2`` and ``B v1``. Of each the version with most runs in the window is compared.

    Args:
        lake: Where to look.
        family: A.
        other: B, of the same tenant.
        since, until: The window, UTC.

    Raises:
        UsageError: One of them has no logged run in the window.
    """

    def __init__(self, lake: Warehouse, family: Family, other: Family, since: datetime, until: datetime) -> None:
        super().__init__(lake, family, since, until)
        self.other = other
        for letter, group in (("A", family), ("B", other)):
            if self.rows_of(letter).empty:
                held = self.coverage
                raise UsageError(
                    f"no run of {group.name!r} is logged in this window, so there is nothing to compare",
                    hint=f"{len(held.obtainable)} of its days were not extracted, are expired, or lost files since: "
                    f"{extraction(held.obtainable, held.expired)}"
                    if held.obtainable
                    else f"{len(held.to_come)} of its days are still to come: choose a window in which both ran"
                    if held.to_come
                    else "choose a window in which both ran, with --since and --until",
                )

    @cached_property
    def part(self) -> float:
        """The part of the drawn runs of both that is read."""
        return part_to_read(self.lake, self._both, self.since, self.until)

    @cached_property
    def history(self) -> pd.DataFrame:
        """Logged runs of both in the window, oldest first."""
        import pandas as pd

        rows = family_runs(self.lake, self._both, self.since, self.until, part=self.part)
        # An id may have versions that the group does not: those without an experiment's tag.
        codes, pairs = pd.factorize(pd.MultiIndex.from_frame(rows[["strategy_id", "strategy_version"]]))
        labels = np.full(len(rows), None, dtype=object)
        for letter, group in (("A", self.family), ("B", self.other)):
            is_member = np.array([(str(strategy), int(version)) in group.members for strategy, version in pairs], bool)
            own = is_member[codes]
            named = labels_of(rows[own], group)
            labels[own] = np.array([f"{letter} {name}" for name in named.categories], dtype=object)[named.codes]
        rows["label"] = pd.Categorical(labels)
        return rows[rows["label"].notna().to_numpy(bool)].reset_index(drop=True)

    @cached_property
    def spans(self) -> list[Activation]:
        """When which version of which of them was live."""
        found = [span for letter in "AB" for span in activations(self.rows_of(letter))]
        return sorted(found, key=lambda span: span.first)

    @cached_property
    def labels(self) -> dict[str, dict[str, float]]:
        """``A`` and ``B`` → label → share of the estimated runs, the most first."""
        found = {}
        for letter in "AB":
            rows = self.rows_of(letter)
            weights = rows["sample_weight"].astype(float).fillna(1.0).groupby(rows["label"].astype(str)).sum()
            found[letter] = {str(name): float(of) for name, of in (weights / weights.sum()).items()}
            found[letter] = dict(sorted(found[letter].items(), key=lambda item: -item[1]))
        return found

    @cached_property
    def incident(self) -> ComparisonFinding:
        """The two groups, B as the earlier one: what A pays is said beside B."""
        before, after = self._sides
        points, _ = self._compared
        cause = Cause.UNKNOWN
        if TrialVerdict.DIFFERS in self.verdicts:
            cause = Cause.PROGRAM
        elif set(self.verdicts) == {TrialVerdict.SAME}:
            cause = Cause.INPUTS if points.is_significant else Cause.NONE
        alike = self.pairs.alike(before, after)
        return ComparisonFinding(
            before=before, after=after, points=points, trial=self.trials[0], cause=cause, alike=alike
        )

    @cached_property
    def trials(self) -> list[VersionTrial]:
        """B's program on A's runs, and A's on B's; each judged by these runs alone, for others may play."""
        before, after = self._sides
        tried = self.pairs.tried(before, after, both=True)
        return [
            judge(before, after, Counterfactual(tried.forward, reason=tried.reason)),
            judge(after, before, Counterfactual(tried.backward, reason=tried.reason)),
        ]

    def rows_of(self, letter: str) -> pd.DataFrame:
        """Logged runs of ``A`` or ``B``, of all versions."""
        return self.history[self._is_of(letter)]

    @property
    def verdicts(self) -> tuple[TrialVerdict, TrialVerdict]:
        """Of A's runs and of B's: whether the other program pays them otherwise."""
        return self.trials[0].verdict, self.trials[1].verdict

    @property
    def is_same(self) -> bool:
        """Both programs pay all tried runs the same."""
        return all(verdict is TrialVerdict.SAME for verdict in self.verdicts)

    @cached_property
    def same_runs(self) -> tuple[SameRuns, ...]:
        """What A pays beyond B for A's runs, then for B's; of those whose amount is known."""
        found = []
        first, second = self.trials
        if (tried := _whole(first)) is not None and first.difference is not None:
            counts = tried.decided_count, tried.differing_count
            found.append(SameRuns("A", first.relative, first.difference, tried.per_run, tuple(tried.moved), *counts))
        if (tried := _whole(second)) is not None and second.difference is not None:
            rows = tried.rows[tried.rows["decided"].to_numpy(bool)]
            paid, would, weight = (rows[name].to_numpy(float) for name in ("points", "would", "weight"))
            moved = tuple(group.reversed for group in tried.moved)
            counts = tried.decided_count, tried.differing_count
            total, per_run = second.difference.negated(), tried.per_run.negated()
            found.append(SameRuns("B", relative(would, paid, weight), total, per_run, moved, *counts))
        return tuple(found)

    @property
    def is_at_same_hours(self) -> bool:
        """B's runs could be brought to the kinds of hours of A's."""
        return self._compared[1]

    @cached_property
    def unlike(self) -> tuple[Unlike, ...]:
        """What the groups do not have in common. Hours that both have are no matter: B's runs are weighted to A's."""
        found = unlike_groups(*self._sides)
        left_out = {Trait.HOURS} if self.is_at_same_hours else set()
        if any(one.what is Trait.GAMES and one.is_disjoint for one in found):
            left_out.add(Trait.TASKS)  # those of other games are other ones
        return tuple(one for one in found if one.what not in left_out)

    @cached_property
    def users(self) -> tuple[int, int, int]:
        """Logged users of A, of B, and of both."""
        before, after = (set(side.rows["external_user_id"].dropna().astype(str)) for side in self._sides)
        return len(after), len(before), len(after & before)

    @property
    def _both(self) -> Family:
        return replace(self.family, members=(*self.family.members, *self.other.members))

    @cached_property
    def _sides(self) -> tuple[Group, Group]:
        a, b = (next(iter(self.labels[letter])) for letter in "AB")
        everything = slice(0, len(self.history))
        return self._runs.group(b, self._runs.where(everything, b)), self._runs.group(
            a, self._runs.where(everything, a)
        )

    @cached_property
    def _runs(self) -> RunColumns:
        return RunColumns.of(self.history)

    @cached_property
    def _compared(self) -> tuple[Difference, bool]:
        everything = slice(0, len(self.history))
        a, b = (next(iter(self.labels[letter])) for letter in "AB")
        return comparable(self._runs, self._runs.where(everything, b), self._runs.where(everything, a))

    def _is_of(self, letter: str) -> np.ndarray:
        names = [name for name in self.history["label"].cat.categories if name.startswith(f"{letter} ")]
        found: np.ndarray = self.history["label"].isin(names).to_numpy(bool)
        return found
