"""A program on trial before it is published: what it would have paid for the runs of a window, and what cannot be known.

Both programs see the same events, so who played that week cancels out: the difference is what the programs do, and the interval
says only how well the sampled log tells it. That users would have behaved otherwise under another program is not in it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics import sql
from analytics.estimates import estimators
from analytics.estimates.comparisons import Relative
from analytics.estimates.estimate import Estimate
from analytics.findings.post_mortem.family import Family, family_runs
from analytics.findings.post_mortem.groups import Group, group_of, run_estimate
from analytics.findings.rehearsal.branch_hits import BranchHits, branch_hits
from analytics.findings.rehearsal.drift import Drift, drift
from analytics.findings.rehearsal.parts import PredictedFailure, Standing, Totals, Unknown, UserRows
from analytics.findings.rehearsal.rehearsed_runs import MOST_RUNS, RehearsedRuns, RunInputs, VersionRuns
from analytics.findings.rehearsal.run_time import RunTime, run_time
from analytics.findings.rehearsal.transitions import Transition, transitions
from analytics.findings.rehearsal.user_groups import UserGroup, user_groups
from analytics.findings.replay.paired import Moved, mean_of, moved_cases, relative, total_of
from analytics.findings.replay.replay_run import wraps
from analytics.findings.replay.run_evidence import Definition, definition
from analytics.findings.shown import ShownInquiry
from analytics.program.failing import pays_at_worst
from analytics.warehouse.coverage import Coverage, coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_MOST_USERS = 5
_MOST_MISSING = 8
_NOT_READ = re.compile(r"field '(?P<path>.*)' was not precomputed", re.DOTALL)
"""How the interpreter says that a run has no value for a field."""


class Rehearsal(ShownInquiry):
    """The facts of one rehearsal, each worked out when it is first asked for.

    Args:
        lake: The warehouse, one tenant in sight.
        family: The strategy whose runs are the inputs.
        program: What is tried on them.
        since, until: The window, half-open, UTC.
        most: Runs to try at most; of more, an even part is taken.
        beside: Label and program of a version whose pay the runs are held against; None for what they were paid.
        part: The part of the drawn runs that is read at all, as `part_to_read` gives it.
    """

    def __init__(
        self,
        lake: Warehouse,
        family: Family,
        program: Definition,
        since: datetime,
        until: datetime,
        *,
        most: int = MOST_RUNS,
        beside: tuple[str, Definition] | None = None,
        part: float = 1.0,
    ) -> None:
        self.lake, self.family, self.program = lake, family, program
        self.since, self.until, self.most, self.beside, self._part = since, until, most, beside, part

    def of(self, program: Definition) -> Rehearsal:
        """Another program on the same runs, whose inputs are not read again."""
        other = Rehearsal(
            self.lake, self.family, program, self.since, self.until, most=self.most, beside=self.beside,
            part=self._part,
        )  # fmt: skip
        vars(other).update(logged=self.logged, groups=self.groups, inputs=self.inputs, runs=self.runs)
        return other

    @property
    def is_part(self) -> bool:
        """Only a part of the logged runs was tried, because there are more than were wanted."""
        return self.tried.share < 1

    @cached_property
    def logged(self) -> pd.DataFrame:
        """All logged runs of the window; what else the log has of them the tried ones have, too. Grain: logged run."""
        return family_runs(self.lake, self.family, self.since, self.until, part=self._part, only_pay=True)

    @cached_property
    def coverage(self) -> Coverage:
        """How much of the window the lake holds."""
        return coverage(self.lake, Window(self.since, self.until))

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Label → the logged runs of a version, in the order in which they ran."""
        rows = self.logged
        return {
            str(label): group_of(str(label), part)
            for label, part in rows.groupby("label", sort=False, observed=True)
            if len(part)
        }

    @cached_property
    def inputs(self) -> RunInputs:
        """What the runs read, for any program."""
        return RunInputs(self.lake, self.family.realm, self.groups, most=self.most, part=self._part)

    @cached_property
    def tried(self) -> RehearsedRuns:
        """The program on each run."""
        return self.inputs.tried(self.program, self.beside[1] if self.beside is not None else None)

    @cached_property
    def runs(self) -> Estimate:
        """Runs of the window, logged or not."""
        return run_estimate(self.logged)

    @cached_property
    def tried_runs(self) -> Estimate:
        """Runs that the tried ones stand for."""
        return estimators.runs_of_rows(self.tried.rows["weight"].to_numpy(float))

    @cached_property
    def _decided(self) -> pd.DataFrame:
        rows, inside = self.tried.rows, self.tried.rows["is_decided"].to_numpy(bool)
        return rows if inside.all() else rows[inside]  # no copy of a million rows where it would be the same

    @cached_property
    def paid(self) -> Estimate:
        """Points that the decided runs were paid."""
        return total_of(self._decided["points"], self._decided["weight"])

    @cached_property
    def would(self) -> Estimate:
        """Points that the program pays for them."""
        return total_of(self._decided["low"], self._decided["weight"])

    @cached_property
    def difference(self) -> Estimate:
        """What it pays beyond, for the decided runs."""
        return self._beyond(np.ones(len(self._decided), dtype=bool))

    def _beyond(self, inside: npt.NDArray[np.bool_]) -> Estimate:
        """What it pays beyond for a part of the decided runs.

        Where no logged run of the part is paid otherwise, that says how seldom one is (`estimators.share_of_runs`), and nothing of
        how much it is then: that is bounded by what the program may pay at all. Where the program says the same as what it is held
        against, none is.

        Args:
            inside: The rows of the part.
        """
        rows = self._decided
        weight = rows["weight"].to_numpy(float)
        # A part's total is that of all rows with nothing for the others: how many of them are of the part is chance, too.
        beyond = np.where(inside, rows["low"] - rows["points"], 0.0)
        if not inside.any() or rows["is_changed"].to_numpy(bool)[inside].any() or weight[inside].max() <= 1:
            return total_of(beyond, weight).as_difference()
        may = inside & ~rows["is_same"].to_numpy(bool)
        if not may.any():
            return Estimate(0.0, 0.0, 0.0, int(inside.sum()), "good")
        seldom = estimators.share_of_runs(np.zeros(int(may.sum()), dtype=bool), weight[may]).high
        unseen = seldom * float(weight[may].sum())
        least, most = self._reach
        return Estimate(0.0, unseen * least, unseen * most, int(inside.sum()), "too few")

    @cached_property
    def is_same(self) -> bool:
        """The program says the same as all that it is held against: no run is paid otherwise, logged or not."""
        return bool(len(self.tried.rows)) and bool(self.tried.rows["is_same"].all())

    @cached_property
    def _reach(self) -> tuple[float, float]:
        """The least and the most that the program may pay beyond what a logged run was paid; infinite where nothing bounds it."""
        points = self._decided["points"].to_numpy(float)
        if not len(points) or self.is_same:
            return 0.0, 0.0
        low, high = self._pays
        return min(0.0, low - float(points.max())), max(0.0, high - float(points.min()))

    @cached_property
    def _pays(self) -> tuple[float, float]:
        """The least and the most that the program may pay for a run, failing ones too; infinite where nothing bounds it."""
        return (-math.inf, math.inf) if wraps(self.program) else pays_at_worst(self.program.ast)

    @cached_property
    def per_run(self) -> Estimate:
        """The same per run."""
        rows = self._decided
        if not rows["is_changed"].any():
            runs = float(rows["weight"].sum())
            return self.difference.times(1 / runs) if runs > 0 else self.difference
        return mean_of(rows["low"] - rows["points"], rows["weight"]).as_difference()

    @cached_property
    def relative(self) -> Relative | None:
        """The same as a share of what was paid for the same runs; None where that may be nothing."""
        rows = self._decided
        found = relative(rows["low"], rows["points"], rows["weight"]) if len(rows) else None
        return self._of_nothing(found)

    def _of_nothing(self, share: Relative | None) -> Relative | None:
        """A share of what was paid: a program that can pay nothing else than 0 pays exactly all of it less."""
        return Relative(-1.0, -1.0, -1.0) if share is not None and self._pays == (0.0, 0.0) else share

    @cached_property
    def undecided(self) -> Estimate:
        """Share of the tried runs for which the log does not tell what the program pays."""
        rows = self.tried.rows
        return estimators.share_of_runs(~rows["is_decided"].to_numpy(bool), rows["weight"])

    @cached_property
    def may_fail(self) -> Estimate:
        """Share of the tried runs that may fail on what the log does not tell."""
        rows = self.tried.rows
        return estimators.share_of_runs(rows["may_fail"].to_numpy(bool), rows["weight"])

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """What undecided runs add to the difference: the least and the most, in points; may be infinite."""
        rows = self.tried.rows[~self.tried.rows["is_decided"].to_numpy(bool)]
        if rows.empty:
            return 0.0, 0.0
        points, weight, low, high = (rows[name].to_numpy(float) for name in ("points", "weight", "low", "high"))
        with np.errstate(invalid="ignore"):
            return float(np.sum(weight * (low - points))), float(np.sum(weight * (high - points)))

    @cached_property
    def worst(self) -> Estimate:
        """The difference for all tried runs: from what undecided ones are paid at least to what they are paid at most.

        The true total lies between those of the two bounds, so from the lower limit of the one to the upper limit of the other;
        infinite where nothing bounds a run.
        """
        rows = self.tried.rows
        if len(self._decided) == len(rows) and not rows["is_changed"].any():
            return self.difference
        low, high = (self._total_of(rows[name] - rows["points"]) for name in ("low", "high"))
        least, most = low.low, high.high
        if len(self._decided) and not rows["is_changed"].any():  # what no logged run shows comes on top
            least, most = least + min(0.0, self.difference.low), most + max(0.0, self.difference.high)
        value = min(max(self.difference.value, least), most)
        return Estimate(value, least, most, len(rows), "rough").as_difference()

    def _total_of(self, values: pd.Series) -> Estimate:
        """A total that may be infinite."""
        infinite = values[~np.isfinite(values)]
        if len(infinite):
            end = float(infinite.iloc[0])
            return Estimate(end, end, end, len(values), "too few")
        return total_of(values, self.tried.rows["weight"])

    @cached_property
    def worst_relative(self) -> Relative | None:
        """The same as a share of what the tried runs were paid, which has a limit only where that surely is something."""
        rows = self.tried.rows
        if self.is_same:
            return Relative(0.0, 0.0, 0.0)
        if not len(rows) or not rows["is_base_known"].all():  # a share of what nobody knows has no limit
            return None
        if len(self._decided) == len(rows) and not rows["is_changed"].any():
            paid = self.paid
            return (
                Relative(0.0, self.difference.low / paid.value, self.difference.high / paid.value)
                if paid.low > 0
                else None
            )
        ends = []
        for name in ("low", "high"):
            if not np.isfinite(rows[name]).all():
                ends.append(Relative(*(3 * (float(rows[name][~np.isfinite(rows[name])].iloc[0]),))))
            elif (share := self._of_nothing(relative(rows[name], rows["points"], rows["weight"]))) is not None:
                ends.append(share)
            else:
                return None
        middle = self.relative.value if self.relative is not None else math.nan
        return Relative(middle, ends[0].low, ends[1].high)

    @cached_property
    def changed(self) -> Estimate:
        """Share of the decided runs that the program pays otherwise."""
        rows = self._decided
        if self.is_same:
            return Estimate(0.0, 0.0, 0.0, len(rows), "good")
        return estimators.share_of_runs(rows["is_changed"].to_numpy(bool), rows["weight"])

    @cached_property
    def moved(self) -> list[Moved]:
        """The runs that are paid otherwise, by the case they were paid in (``was``) and the one the program pays (``now``)."""
        rows = self._decided
        named = rows.rename(columns={"low": "would"})
        return [move.reversed for move in moved_cases(named[rows["is_changed"].to_numpy(bool)])]

    @cached_property
    def transitions(self) -> list[Transition]:
        """All decided runs by the case they were paid in and the one the program pays, rare cases together."""
        return transitions(self._decided)

    @cached_property
    def running(self) -> tuple[str, Definition] | None:
        """Label and program of the version that ran last, of those whose program is in the lake."""
        for version in self._latest:
            if (program := definition(self.lake, version.strategy_id, version.strategy_version)) is not None:
                return version.label, program
        return None

    @cached_property
    def _latest(self) -> list[VersionRuns]:
        """The versions of one id each, the one with the latest logged run first: after a rollback that is not the newest one."""
        last = self.logged.groupby("label", observed=True)["created_at"].max()
        known = [version for version in self.tried.versions if version.strategy_id]
        return sorted(known, key=lambda version: last[version.label], reverse=True)

    @property
    def running_id(self) -> str | None:
        """Id of the version that ran last; None where several ids share a label, or none ran."""
        return self._latest[0].strategy_id if self._latest else None

    @cached_property
    def standing(self) -> Standing | None:
        """The family's version that this program is; None for one that is in no table yet."""
        known = self.lake.sql(
            sql.text("rehearsal", "standings"), realm=self.family.realm, family=self.family.name
        ).fetchall()
        for strategy, version, status in known:
            found = definition(self.lake, strategy, version)
            if found is not None and found.ast == self.program.ast and found.built_in == self.program.built_in:
                return Standing(str(strategy), int(version), str(status))
        return None

    @cached_property
    def branches(self) -> list[BranchHits]:
        """The branches of the program's rules, and how many tried runs take each."""
        return branch_hits(self.program, self.tried.rows)

    @cached_property
    def time(self) -> RunTime:
        """How long a run of the program will take, beside one of those that ran."""
        running = self.running[1] if self.running is not None else None
        return run_time(self.lake, self.family, self.tried.rows, self.program, running, self.since, self.until)

    @cached_property
    def drift(self) -> Drift:
        """The difference day by day."""
        return drift(self._decided, self._reach)

    @cached_property
    def user_groups(self) -> list[UserGroup]:
        """Users by how many of their runs the log holds."""
        found = user_groups(self._decided, self._reach)
        return [replace(group, relative=self._of_nothing(group.relative)) for group in found]

    @cached_property
    def days(self) -> list[Totals]:
        """By UTC day."""
        days = self._decided["created_at"].dt.date.to_numpy()
        return list(self._parts(days, sorted(set(days))))

    @cached_property
    def cases(self) -> list[Totals]:
        """By the case the runs were paid in, the largest difference first."""
        names = _texts(self._decided["case_name"])
        found = list(self._parts(names, dict.fromkeys(names)))
        return sorted(found, key=lambda part: -abs(part.difference.value))

    @cached_property
    def users(self) -> list[UserRows]:
        """The users whose tried logged rows win most, then those whose lose most: sums of the log, which estimate nothing."""
        rows = self._decided
        beyond = (rows["low"] - rows["points"]).groupby(rows["external_user_id"])
        gains, counts = beyond.sum(), beyond.size()
        ordered = gains[~np.isclose(gains, 0.0)].sort_values(ascending=False, kind="stable")
        winners, losers = ordered[ordered > 0].index[:_MOST_USERS], ordered[ordered < 0].index[::-1][:_MOST_USERS]
        return [UserRows(str(user), int(counts[user]), float(gains[user])) for user in [*winners, *losers]]

    def _parts(self, of: np.ndarray, names: object) -> Iterator[Totals]:
        import pandas as pd

        rows = self._decided
        points, would, weight = (rows[name].to_numpy(float) for name in ("points", "low", "weight"))
        numbers, known = pd.factorize(of)  # a million names are compared as numbers; None is -1
        at = {name: number for number, name in enumerate(known)}
        for name in names:  # type: ignore[attr-defined]
            inside = numbers == at.get(name, -1)
            paid, then = (total_of(np.where(inside, values, 0.0), weight) for values in (points, would))
            yield Totals(name, int(inside.sum()), paid, then, self._beyond(inside))

    @cached_property
    def failures(self) -> list[PredictedFailure]:
        """Runs that the program fails on, by code, the most first. The log tells no timeouts of a program that never ran."""
        rows = self.tried.rows
        found = []
        for code, part in rows[rows["code"].notna()].groupby("code"):
            share = estimators.share_of_runs((rows["code"] == code).to_numpy(bool), rows["weight"])
            first = part.sort_values("created_at", kind="stable").iloc[0]
            found.append(PredictedFailure(str(code), len(part), share, str(first["execution_id"])))
        return sorted(found, key=lambda failure: -failure.logged_count)

    @cached_property
    def unknown(self) -> list[Unknown]:
        """What the log does not tell of undecided runs, and of those that are paid the same whatever it is, the most first."""
        rows = self.tried.rows
        open_ = rows[rows["missing"].notna().to_numpy(bool)]
        found = []
        for reason, count in Counter(open_["missing"].tolist()).most_common(_MOST_MISSING):
            share = estimators.share_of_runs((rows["missing"] == reason).to_numpy(bool), rows["weight"])
            path = _NOT_READ.fullmatch(str(reason))
            found.append(Unknown(str(reason), count, share, path["path"] if path is not None else None))
        return found

    @cached_property
    def most_visits(self) -> int | None:
        """The most nodes that the program visits for a tried run, as the cap counts them; None where no run tells."""
        visits = self.tried.rows["visits"].to_numpy(float)
        known = visits[np.isfinite(visits)]
        return int(known.max()) if len(known) else None

    @cached_property
    def recased(self) -> npt.NDArray[np.bool_]:
        """Which tried logged runs are paid the same, in another case."""
        rows = self.tried.rows
        is_same = (
            rows["is_decided"]
            & rows["code"].isna()
            & ~rows["is_changed"].astype(bool)
            & rows["knows_case"].astype(bool)
        )
        found: npt.NDArray[np.bool_] = is_same.to_numpy(bool) & (
            _texts(rows["case_name"]) != _texts(rows["would_case"])
        )
        return found

    @property
    def recased_count(self) -> int:
        """How many."""
        return int(self.recased.sum())

    @property
    def contradicted_count(self) -> int:
        """Tried logged runs that were surely paid by another program than the one that their version has in the lake."""
        return int(self.tried.rows["is_contradicted"].sum())


def _texts(values: pd.Series) -> np.ndarray:
    found = np.empty(len(values), dtype=object)
    found[:] = [value if isinstance(value, str) else None for value in values.tolist()]
    return found
