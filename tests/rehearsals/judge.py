"""One rehearsal beside the truth of every run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.estimates.estimate import Estimate
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.program import MAX_NODES, compile_program
from tests.planted.engine import Simulated


@dataclass(slots=True)
class Tally:
    """How often something held.

    Attributes:
        held, of: Counts.
    """

    held: int = 0
    of: int = 0

    def add(self, is_held: bool) -> None:
        """One more."""
        self.held, self.of = self.held + is_held, self.of + 1

    def __str__(self) -> str:
        return f"{100 * self.held / self.of:.1f} %" if self.of else "–"


@dataclass(slots=True)
class Judged:
    """What became of one kind of draft at one rate, over all seeds.

    Attributes:
        difference, changed, cases: Intervals around the truth: points in all, share of changed runs, points by case.
        worst: The difference with undecided runs at their worst holds the truth.
        runs: Tried runs that are exactly what the engine makes of them, or within their bounds: points, failure, visits.
        undecided: The share of runs that is not decided, of the last seed.
    """

    difference: Tally = field(default_factory=Tally)
    changed: Tally = field(default_factory=Tally)
    cases: Tally = field(default_factory=Tally)
    worst: Tally = field(default_factory=Tally)
    runs: Tally = field(default_factory=Tally)
    undecided: float = math.nan


@dataclass(frozen=True, slots=True)
class Truth:
    """What a draft does to every ok run. Grain of every array: ok run.

    Attributes:
        execution_id, paid, case_name: As it ran.
        would, code, visits: What the draft makes of it; a failing run pays nothing.
    """

    execution_id: list[str]
    paid: np.ndarray
    case_name: np.ndarray
    would: np.ndarray
    code: list[str | None]
    visits: list[int]


def truth(simulated: Simulated, draft: dict[str, Any]) -> Truth:
    """Run a draft on all events of a population."""
    program = compile_program(draft)
    ok = np.flatnonzero(np.array(simulated.truth["status"].to_pylist(), dtype=object) == "ok")
    outcomes = [program.run(simulated.sent[index], keep_trace=False, max_nodes=MAX_NODES) for index in ok.tolist()]
    rows = simulated.truth.take(ok)
    return Truth(
        rows["execution_id"].to_pylist(),
        np.array(rows["points"].to_pylist(), dtype=float),
        np.array(rows["case_name"].to_pylist(), dtype=object),
        np.array([float(one.points or 0) if one.ok else 0.0 for one in outcomes]),
        [None if one.ok else one.error_code for one in outcomes],
        [one.visits for one in outcomes],
    )


def judge(found: Rehearsal, true: Truth, into: Judged) -> None:
    """Add one rehearsal to the tallies."""
    beyond = true.would - true.paid
    is_open = found.undecided.value > 0
    into.undecided = found.undecided.value
    if not is_open:
        into.difference.add(_holds(found.difference, float(beyond.sum())))
        into.changed.add(_holds(found.changed, float((~np.isclose(beyond, 0)).mean())))
        for case in found.cases:
            inside = true.case_name == case.name
            into.cases.add(_holds(case.difference, float(beyond[inside].sum())))
    into.worst.add(found.worst.low - 1e-6 <= beyond.sum() <= found.worst.high + 1e-6)
    _judge_runs(found, true, into.runs)


def _judge_runs(found: Rehearsal, true: Truth, tally: Tally) -> None:
    at = {name: number for number, name in enumerate(true.execution_id)}
    for run in found.tried.rows.itertuples():
        number = at[run.execution_id]
        if run.is_decided:
            code = run.code if isinstance(run.code, str) else None
            is_same = math.isclose(run.low, true.would[number], abs_tol=1e-9) and code == true.code[number]
            tally.add(is_same and run.visits == true.visits[number])
        else:
            tally.add(run.low - 1e-9 <= true.would[number] <= run.high + 1e-9)


def _holds(estimate: Estimate, value: float) -> bool:
    near = 1e-9 * max(1.0, abs(value))
    return estimate.low - near <= value <= estimate.high + near


def table(found: Sequence[tuple[str, float, Judged]]) -> list[str]:
    """The tallies as lines of markdown."""
    lines = [
        "| draft | rate | undecided | points in all | changed runs | points by case | worst case | tried runs exact or bounded |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, rate, one in found:
        cells = (one.difference, one.changed, one.cases, one.worst, one.runs)
        lines.append(f"| {kind} | {rate:g} | {100 * one.undecided:.0f} % | {' | '.join(map(str, cells))} |")
    return lines
