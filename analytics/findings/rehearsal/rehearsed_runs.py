"""The recorded runs of a strategy with what another program makes of each: points, case, failure, visits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.post_mortem.groups import Group
from analytics.findings.replay.replay_run import Inputs, PaidRun, Replayer, ReplayOutcome, read_inputs, wraps
from analytics.findings.replay.run_evidence import Definition
from analytics.findings.replay.trace_variants import find_variants
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MOST_RUNS = 1_000_000
"""Runs that are tried; of more, an even part is taken."""
NEAR = 1e-9
"""Two amounts that differ by less, beside their size, are one amount."""

_COLUMNS = ("execution_id", "created_at", "external_user_id", "points", "case_name", "weight")
_TRIED = (
    "label", "low", "high", "would_case", "knows_case", "code", "visits", "missing", "is_decided", "is_changed", "is_own",
    "is_contradicted",
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
            ``is_contradicted`` (its own program gives something else: what ran was another one).
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


def rehearse_runs(
    lake: Warehouse, realm: str | None, groups: Mapping[str, Group], program: Definition, *, most: int = MOST_RUNS
) -> RehearsedRuns:
    """Try a program on the runs of each version.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        groups: Label → the logged runs of a version in the window.
        program: What is tried.
        most: Runs to try; of more, an even part of every version is taken.
    """
    import pandas as pd

    logged = {label: len(group.paid) for label, group in groups.items()}
    share = min(1.0, most / max(1, sum(logged.values())))
    parts, versions = [], []
    for label, group in groups.items():
        inputs = _inputs(lake, realm, group, program, share)
        rows = _tried(label, inputs, program) if isinstance(inputs, Inputs) else None
        if rows is not None:
            parts.append(rows)
        versions.append(
            VersionRuns(
                label,
                group.strategy_id or "",
                group.strategy_version or 0,
                logged[label],
                len(group.failed),
                0 if rows is None else len(rows),
                0 if rows is None else int(rows["is_own"].sum()),
                inputs if isinstance(inputs, str) else "",
            )
        )
    columns = [*_COLUMNS, *_TRIED]
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return RehearsedRuns(rows[columns], tuple(versions), share)


def _inputs(lake: Warehouse, realm: str | None, group: Group, program: Definition, share: float) -> Inputs | str:
    """What a version's runs read, or why that is not known."""
    if not len(group.paid):
        return "none of its logged runs was paid"
    if group.strategy_id is None:
        return "its rows are of several versions"
    variants = find_variants(lake, realm, group)
    if variants is None:
        return "its definition is not in the lake"
    if variants.doubt:
        return variants.doubt
    if {wraps(variants.definition), wraps(program)} == {True, False}:
        return "one program stands alone and the other wraps a built-in, which would have been asked anew"
    most = math.ceil(share * variants.logged_count) if share < 1 else variants.logged_count
    inputs = read_inputs(lake, variants, most=max(1, most))
    return inputs if len(inputs.rows) else "no run of it has a trace that fits its program"


def _tried(label: str, inputs: Inputs, program: Definition) -> pd.DataFrame:
    own, other = Replayer(inputs.variants.definition, inputs), Replayer(program, inputs)
    results, is_own, is_contradicted = [], [], []
    for values, run in zip(inputs.values, PaidRun.of(inputs.rows), strict=True):
        again = own.run(run, values)
        is_own.append(again.low == again.high == run.points and again.case_name == run.case_name)
        is_contradicted.append(_contradicts(again, run))
        results.append(other.run(run, values))
    rows = inputs.rows
    low, high = (np.array([getattr(one, name) for one in results], dtype=float) for name in ("low", "high"))
    is_decided = np.array([one.missing is None for one in results]) & np.isfinite(low)
    points = rows["points"].to_numpy(float)
    visits = [math.nan if one.visits is None else float(one.visits) for one in results]
    return rows[list(_COLUMNS)].assign(
        label=label,
        low=low,
        high=high,
        # A case that is no text is one that the log cannot hold.
        would_case=[name if isinstance(name := one.case_name, str) else None for one in results],
        knows_case=[one.knows_case for one in results],
        code=[one.code for one in results],
        visits=visits,
        missing=[one.missing for one in results],
        is_decided=is_decided,
        is_changed=is_decided & ~np.isclose(points, np.where(is_decided, low, points), rtol=NEAR, atol=NEAR),
        is_own=is_own,
        is_contradicted=is_contradicted,
    )


def _contradicts(again: ReplayOutcome, run: PaidRun) -> bool:
    """Whether a run was surely not paid by the program that is tried again; what a cut trace leaves open is no contradiction."""
    near = NEAR * max(1.0, abs(run.points))
    if again.code is not None or not again.low - near <= run.points <= again.high + near:
        return True
    return again.knows_case and again.missing is None and again.case_name != run.case_name
