"""The recorded runs of a strategy with what another program makes of each: points, case, failure, visits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.post_mortem.groups import Group
from analytics.findings.replay.replay_run import Inputs, PaidRun, Replayer, ReplayOutcome, read_inputs, wraps
from analytics.findings.replay.run_evidence import Definition
from analytics.findings.replay.trace_variants import find_variants
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Bools, Floats

MOST_RUNS = 1_000_000
"""Runs that are tried; of more, an even part is taken."""
NEAR = 1e-9
"""Two amounts that differ by less, beside their size, are one amount."""

_COLUMNS = ("execution_id", "created_at", "external_user_id", "points", "case_name", "weight")
_TRIED = (
    "label", "low", "high", "would_case", "knows_case", "code", "visits", "missing", "is_decided", "is_changed", "is_own",
    "is_contradicted", "is_base_known",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VersionRuns:
    """How far the logged runs of one version could be tried.

    Attributes:
        label: ``v3``.
        strategy_id, strategy_version: The version.
        logged_count: Its logged ok runs with finite points.
        failed_count: Its logged failed runs: they leave no input to try.
        tried_count: Runs that were tried; less than logged where a part was taken, or a trace is missing or does not fit.
        own_count: Of the tried ones, those whose points and case their own program gives again.
        reason: Why none was tried, in a clause; empty otherwise.
    """

    label: str
    strategy_id: str
    strategy_version: int
    logged_count: int
    failed_count: int
    tried_count: int
    own_count: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RehearsedRuns:
    """All runs that a program was tried on.

    Attributes:
        rows: Grain: tried logged run. ``execution_id``, ``created_at``, ``external_user_id``, ``points`` and ``case_name`` as they
            were paid, ``weight`` (runs it stands for), ``label`` of its version; ``low`` and ``high``, the least and the most
            that the program pays, the same where that is decided; ``would_case``, ``knows_case``, ``code`` of a failure, ``visits``
            (nodes, as the cap counts them; NaN where not known), ``missing`` (what the log does not tell), ``is_decided``,
            ``is_changed`` (decided, and paid otherwise than it was), ``is_own`` (its own program gives the run again),
            ``is_contradicted`` (its own program gives something else: what ran was another one), ``is_base_known`` (what the run
            is held against is known). Where the program is held against another one, ``points`` and ``case_name`` are that one's.
        versions: Of the strategy, in the order in which they ran.
        share: The part of the runs that was taken, 1 for all.
    """

    rows: pd.DataFrame
    versions: tuple[VersionRuns, ...]
    share: float

    @property
    def logged_count(self) -> int:
        """Logged ok runs with finite points."""
        return sum(version.logged_count for version in self.versions)

    @property
    def failed_count(self) -> int:
        """Logged failed runs, none of which was tried."""
        return sum(version.failed_count for version in self.versions)


class RunInputs:
    """What the logged runs of a strategy read: read once, for as many programs as are tried on it.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        groups: Label → the logged runs of a version in the window.
        most: Runs to try at most; of more, an even part of every version is taken.
    """

    def __init__(
        self, lake: Warehouse, realm: str | None, groups: Mapping[str, Group], *, most: int = MOST_RUNS
    ) -> None:
        self._lake, self._realm, self._groups = lake, realm, groups
        self._logged = {label: len(group.paid) for label, group in groups.items()}
        self._quotas = quotas(self._logged, most)
        self._share = min(1.0, most / max(1, sum(self._logged.values())))
        self._read: dict[str, Inputs | str] = {}
        self._own: dict[str, tuple[Bools, Bools]] = {}

    def tried(self, program: Definition, beside: Definition | None = None) -> RehearsedRuns:
        """Try a program on the runs of each version.

        Args:
            program: What is tried.
            beside: A program whose pay the runs are held against, in place of what they were paid; None for that.
        """
        import pandas as pd

        parts, versions = [], []
        for label, group in self._groups.items():
            inputs = self._inputs(label, group, (program,) if beside is None else (program, beside))
            rows = self._tried(label, inputs, program, beside) if isinstance(inputs, Inputs) else None
            if rows is not None:
                parts.append(rows)
            versions.append(
                VersionRuns(
                    label,
                    group.strategy_id or "",
                    group.strategy_version or 0,
                    self._logged[label],
                    len(group.failed),
                    0 if rows is None else len(rows),
                    0 if rows is None else int(rows["is_own"].sum()),
                    inputs if isinstance(inputs, str) else "",
                )
            )
        columns = [*_COLUMNS, *_TRIED]
        rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
        return RehearsedRuns(rows[columns], tuple(versions), self._share)

    def _inputs(self, label: str, group: Group, programs: Iterable[Definition]) -> Inputs | str:
        """What a version's runs read, or why that is not known, or is of no use to these programs."""
        if label not in self._read:
            self._read[label] = self._read_inputs(group, self._quotas[label])
        found = self._read[label]
        if isinstance(found, str):
            return found
        own = wraps(found.variants.definition)
        if any({own, wraps(program)} == {True, False} for program in programs):
            return "one program stands alone and the other wraps a built-in, which would have been asked anew"
        return found

    def _read_inputs(self, group: Group, quota: int) -> Inputs | str:
        if not len(group.paid):
            return "none of its logged runs was paid"
        if group.strategy_id is None:
            return "its rows are of several versions"
        if not quota:
            return "fewer runs are tried than there are versions"
        variants = find_variants(self._lake, self._realm, group)
        if variants is None:
            return "its definition is not in the lake"
        if variants.doubt:
            return variants.doubt
        inputs = _at_most(read_inputs(self._lake, variants, most=quota), quota)
        return inputs if len(inputs.rows) else "no run of it has a trace that fits its program"

    def _tried(self, label: str, inputs: Inputs, program: Definition, beside: Definition | None) -> pd.DataFrame:
        if label not in self._own:
            self._own[label] = _given_again(inputs)
        is_own, is_contradicted = self._own[label]
        rows, results = inputs.rows, _replayed(program, inputs)
        points = rows["points"].to_numpy(float)
        base, base_cases, is_base = points, rows["case_name"].tolist(), np.ones(len(rows), dtype=bool)
        low, high = _bounds(results)
        missing = [one.missing for one in results]
        if beside is not None:
            others = _replayed(beside, inputs)
            least, most = _bounds(others)
            is_base = np.array([one.missing is None for one in others], dtype=bool) & np.isfinite(least)
            base = np.where(is_base, least, points)
            base_cases = [one.case_name if isinstance(one.case_name, str) else None for one in others]
            # Where the other program's pay is open, what is known is how far the two may lie apart.
            with np.errstate(invalid="ignore"):
                low, high = np.where(is_base, low, points + low - most), np.where(is_base, high, points + high - least)
            missing = [
                one if is_known else one or other.missing
                for one, other, is_known in zip(missing, others, is_base.tolist(), strict=True)
            ]
        is_decided = np.array([one is None for one in missing], dtype=bool) & np.isfinite(low)
        visits = [math.nan if one.visits is None else float(one.visits) for one in results]
        return rows[list(_COLUMNS)].assign(
            label=label,
            points=base,
            case_name=base_cases,
            low=low,
            high=high,
            # A case that is no text is one that the log cannot hold.
            would_case=[name if isinstance(name := one.case_name, str) else None for one in results],
            knows_case=[one.knows_case for one in results],
            code=[one.code for one in results],
            visits=visits,
            missing=missing,
            is_decided=is_decided,
            is_changed=is_decided & ~np.isclose(base, np.where(is_decided, low, base), rtol=NEAR, atol=NEAR),
            is_own=is_own,
            is_contradicted=is_contradicted,
            is_base_known=is_base,
        )


def quotas(logged: Mapping[str, int], most: int) -> dict[str, int]:
    """How many runs of each version are tried: in proportion, together at most so many, and of each version one while that can be.

    Args:
        logged: Label → logged runs.
        most: Together.
    """
    count = sum(logged.values())
    if count <= most:
        return dict(logged)
    found = {label: max(min(1, own), most * own // count) for label, own in logged.items()}
    over = sum(found.values()) - most
    for label in sorted(found, key=lambda one: -found[one]):
        less = min(max(0, over), found[label] - 1) if found[label] else 0
        found[label], over = found[label] - less, over - less
    for label in sorted(found, key=lambda one: logged[one]):  # there are more versions than runs to try
        if over > 0 and found[label]:
            found[label], over = 0, over - 1
    return found


def _at_most(inputs: Inputs, quota: int) -> Inputs:
    """Not more runs than wanted: a part by a hash of ids holds a few more or less.

    The rows are in the order of their ids, which are random: every so-manieth of them is an even part again.
    """
    count = len(inputs.rows)
    if count <= quota:
        return inputs
    taken = np.arange(quota) * count // quota
    rows = inputs.rows.iloc[taken].reset_index(drop=True)
    rows["weight"] = rows["weight"] * (count / quota)
    values = [inputs.values[place] for place in taken.tolist()]
    return replace(inputs, rows=rows, values=values, share=inputs.share * quota / count)


def _replayed(program: Definition, inputs: Inputs) -> list[ReplayOutcome]:
    replayer = Replayer(program, inputs)
    return [replayer.run(run, values) for values, run in zip(inputs.values, PaidRun.of(inputs.rows), strict=True)]


def _bounds(results: list[ReplayOutcome]) -> tuple[Floats, Floats]:
    low, high = (np.array([getattr(one, name) for one in results], dtype=float) for name in ("low", "high"))
    return low, high


def _given_again(inputs: Inputs) -> tuple[Bools, Bools]:
    """Of each run, whether its own program gives its points and case again, and whether that surely gives something else."""
    is_own, is_contradicted = [], []
    own = _replayed(inputs.variants.definition, inputs)
    for again, run in zip(own, PaidRun.of(inputs.rows), strict=True):
        is_own.append(again.low == again.high == run.points and again.case_name == run.case_name)
        is_contradicted.append(_contradicts(again, run))
    return np.array(is_own, dtype=bool), np.array(is_contradicted, dtype=bool)


def _contradicts(again: ReplayOutcome, run: PaidRun) -> bool:
    """Whether a run was surely not paid by the program that is tried again; what a cut trace leaves open is no contradiction."""
    near = NEAR * max(1.0, abs(run.points))
    if again.code is not None or not again.low - near <= run.points <= again.high + near:
        return True
    return again.knows_case and again.missing is None and again.case_name != run.case_name
