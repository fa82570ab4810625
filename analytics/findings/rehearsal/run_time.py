"""How long a run of the program will take: the nodes it walks, and the analytics fields it asks the database for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.estimates import estimators
from analytics.estimates.estimate import NOTHING, Estimate, worse
from analytics.findings.replay.paired import mean_of
from analytics.findings.runaway.keys import Key, key_of
from analytics.findings.timing.time_split import Fleet, TimePartKind, split
from analytics.findings.timing.version_times import ROWS, program_inputs
from analytics.program import analytics_paths

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from analytics.findings.post_mortem.family import Family
    from analytics.findings.replay.run_evidence import Definition
    from analytics.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class FieldQuery:
    """An analytics field: a database query for every run of a program that reads it, whether the run comes by or not.

    Attributes:
        path: Of the field.
        ms: Milliseconds that it adds to a median run; None where the log does not tell it apart.
    """

    path: str
    ms: Estimate | None


@dataclass(frozen=True, slots=True)
class RunTime:
    """The time of a run of the program beside that of the one that ran.

    Attributes:
        nodes, own_nodes: Nodes per run, of the program and of the ones that ran; entries of the trace, as the log counts them.
        more_nodes: The difference, run by run.
        per_node: Milliseconds of a node of this strategy; NaN where the log does not tell.
        walk: Milliseconds per run that the nodes add: the interval holds every product of the two intervals.
        asked, dropped: Analytics fields that this program reads and the one that ran last did not, and the other way round.
    """

    nodes: Estimate
    own_nodes: Estimate
    more_nodes: Estimate
    per_node: Estimate
    walk: Estimate
    asked: tuple[FieldQuery, ...]
    dropped: tuple[FieldQuery, ...]


def run_time(
    lake: Warehouse, family: Family, rows: pd.DataFrame, program: Definition, running: Definition | None,
    since: datetime, until: datetime,
) -> RunTime:  # fmt: skip
    """The time of a run, by what nodes and fields cost in the window (`timing.time_split`).

    Args:
        lake: One tenant in sight: what a field costs is told from this tenant's programs.
        family: Whose runs they are.
        rows: Of `RehearsedRuns`.
        program: What was tried.
        running: The program that ran last; None where it is not known.
        since, until: The window, UTC.
    """
    known = rows[rows["nodes"].notna().to_numpy(bool) & rows["own_nodes"].notna().to_numpy(bool)]
    weight = known["weight"]
    nodes, own = (estimators.mean(known[name], weight) for name in ("nodes", "own_nodes"))
    more = mean_of(known["nodes"] - known["own_nodes"], weight).as_difference() if len(known) else NOTHING
    paths = [set(analytics_paths(one.ast)) for one in (program, running or program)]
    asked, dropped = (sorted(one - other) for one, other in (paths, paths[::-1]))
    fleet = _fleet(lake, family, since, until)
    per_node = fleet.splits[-1].per_node if fleet.splits else NOTHING
    return RunTime(
        nodes, own, more, per_node, _product(more, per_node),
        tuple(FieldQuery(path, _cost(fleet, path)) for path in asked),
        tuple(FieldQuery(path, _cost(fleet, path)) for path in dropped),
    )  # fmt: skip


def _fleet(lake: Warehouse, family: Family, since: datetime, until: datetime) -> Fleet:
    """The time of the family's versions split, the one with the most runs last."""
    frame = lake.run("time_by_nodes", since=since, until=until)
    strategy = family.name
    own = frame[(frame["strategy"] == strategy).to_numpy(bool)]
    versions: dict[Key, tuple[Estimate, float]] = {}
    counts: dict[Key, float] = {}
    for version, part in own.groupby("strategy_version"):
        count = part["logged_count"].to_numpy(float)
        if count.sum() < ROWS:
            continue
        key = key_of(family.realm, strategy, int(version))
        ms, nodes = (_median(part[name].to_numpy(float), count) for name in ("duration_ms", "nodes_executed"))
        versions[key], counts[key] = (Estimate(ms, ms, ms, int(count.sum()), "rough"), nodes), float(count.sum())
    ordered = dict(sorted(versions.items(), key=lambda one: counts[one[0]]))
    return split(frame, program_inputs(lake), ordered)


def _median(values: object, counts: object) -> float:
    import numpy as np

    y, n = np.asarray(values, dtype=float), np.asarray(counts, dtype=float)
    order = np.argsort(y, kind="stable")
    below = np.cumsum(n[order])
    return float(y[order][np.searchsorted(below, below[-1] / 2)])


def _cost(fleet: Fleet, path: str) -> Estimate | None:
    """What a field costs by itself; a sum of several tells nothing of one."""
    return next(
        (
            part.ms
            for part in fleet.costs
            if part.kind is TimePartKind.FIELD and part.names == (path,) and math.isfinite(part.ms.value)
        ),
        None,
    )


def _product(one: Estimate, other: Estimate) -> Estimate:
    """Within every product of their ends: at least 95 % where each of them is."""
    ends = [left * right for left in (one.low, one.high) for right in (other.low, other.high)]
    if not all(map(math.isfinite, (one.value, other.value, *ends))):
        return NOTHING
    grade = worse(one.grade, other.grade)
    return Estimate(one.value * other.value, min(ends), max(ends), one.logged_count, grade).as_difference()
