"""What a program would have paid for a run that another program was paid for: decided where the log says enough, else bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from analytics.program.bounds import points_bounds
from analytics.program.evaluate import MAX_NODES, Program
from analytics.program.outcome import Outcome, ParentResult
from analytics.program.values import as_written, same_json
from analytics.program.walk import walk

MISSING: Final = "DSL_FIELD_NOT_PRECOMPUTED"
_ANYTHING: Final = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a run left that another program can be run on.

    Attributes:
        fields: What it read, path → value. Of DSL_EXTEND what the pre phase read, and the event's ids.
        post_fields: What the post phase read, without `parent.*`.
        points, case_name: What the wrapped built-in answered.
        knows_points, knows_case: Whether the log tells that.
        vetoed: The pre phase ended the run: the built-in was never asked.
    """

    fields: Mapping[str, Any]
    post_fields: Mapping[str, Any] = field(default_factory=dict)
    points: Any = None
    case_name: str | None = None
    knows_points: bool = False
    knows_case: bool = False
    vetoed: bool = False

    def as_written(self) -> Recorded:
        """The same, with large whole numbers as the floats that they may have been."""
        return Recorded(
            as_written(self.fields),
            as_written(self.post_fields),
            self.points,
            self.case_name,
            self.knows_points,
            self.knows_case,
            self.vetoed,
        )


class Answer(NamedTuple):
    """What a program would have paid.

    Attributes:
        low, high: The least and the most points; the same when they are decided.
        case_name: The case; None when there is none, or when it is not known.
        code: Of the failure: the run would have been paid nothing.
        missing: What the log does not tell, in words. The points may be decided all the same, when every way through the
            program pays the same.
    """

    low: float
    high: float
    case_name: str | None = None
    code: str | None = None
    missing: str | None = None

    @property
    def is_decided(self) -> bool:
        """The log tells the points."""
        return self.low == self.high and math.isfinite(self.low)


class Instead:
    """A program to be run instead of the one that ran.

    Args:
        program: This one.
        ran: The one that ran, and left what was recorded.
        is_extend: Both wrap a built-in; else both are programs of their own.
        max_nodes: The cap on visits.
    """

    def __init__(self, program: Program, ran: Program, *, is_extend: bool, max_nodes: int = MAX_NODES) -> None:
        self.program, self.ran, self.is_extend, self.max_nodes = program, ran, is_extend, max_nodes
        nodes = walk(program.ast)
        self._reads_case = any(node.path == "parent.case_name" and node.section == "post_rules" for node in nodes)
        self._vetoes = any(node.type == "veto" for node in nodes)
        # Without a set_data on either side the built-in sees the event as it came.
        self._writes = any(node.type == "set_data" for node in (*nodes, *walk(ran.ast)))

    def pays(self, run: Recorded) -> Answer:
        """The points for one run.

        A field that was not recorded is not guessed: the answer spans all that the program may pay, given that the value has
        the type the program expects and the run does not fail on it.
        """
        if self.is_extend:
            return self._extend(run)
        outcome = self.program.run(run.fields, keep_trace=False, max_nodes=self.max_nodes)
        if outcome.error_code != MISSING:
            return _decided(outcome)
        return Answer(*points_bounds(self.program.ast, run.fields), missing=outcome.error_detail)

    def _extend(self, run: Recorded) -> Answer:
        missing = None
        why = "the built-in was not asked" if run.vetoed else None
        before = Outcome()
        if self.program.ast.get("pre_rules"):
            before = self.program.run(run.fields, phase="pre", keep_trace=False, max_nodes=self.max_nodes)
        if before.error_code == MISSING:
            missing = before.error_detail
        elif not before.ok:
            return _decided(before)
        elif before.vetoed:
            return Answer(0.0, 0.0, before.case_name)
        if why is None and self._writes and (missing or not self._same_data(before.working_data, run)):
            why = "the built-in was asked with other data"
        after = self._post(Recorded(run.fields, run.post_fields) if why else run, why)
        if missing is None:
            return after
        low, high = (min(0.0, after.low), max(0.0, after.high)) if self._vetoes else (after.low, after.high)
        return Answer(low, high, missing=missing)

    def _same_data(self, data: Mapping[str, Any], run: Recorded) -> bool:
        """Whether the built-in would have been given what it was given."""
        if not self.ran.ast.get("pre_rules"):
            return not data
        was = self.ran.run(run.fields, phase="pre", keep_trace=False, max_nodes=10**9)
        return was.ok and same_json(was.working_data, data)

    def _post(self, run: Recorded, why: str | None) -> Answer:
        if not self.program.ast.get("post_rules"):
            if not run.knows_points:
                return Answer(*_ANYTHING, missing=why or "what the built-in answered")
            points = _float(run.points)
            return Answer(points, points, run.case_name if run.knows_case else None)
        fields = {**run.fields, **run.post_fields}
        missing: str | None = why or "what the built-in answered"
        if run.knows_points and (run.knows_case or not self._reads_case):
            answer = ParentResult(run.points, run.case_name)
            outcome = self.program.run(fields, phase="post", parent=answer, keep_trace=False, max_nodes=self.max_nodes)
            if outcome.error_code != MISSING:
                return _decided(outcome)
            missing = outcome.error_detail
        if run.knows_points:
            fields["parent.points"] = run.points
        if run.knows_case:
            fields["parent.case_name"] = run.case_name
        known = run.points if run.knows_points else None
        return Answer(*points_bounds(self.program.ast, fields, phase="post", parent_points=known), missing=missing)


def _decided(outcome: Outcome) -> Answer:
    if not outcome.ok:
        return Answer(0.0, 0.0, code=outcome.error_code)
    points = _float(outcome.points)
    if math.isnan(points):  # inf − inf: nothing can be said of it
        return Answer(*_ANYTHING, outcome.case_name, missing="points that are no number")
    return Answer(points, points, outcome.case_name)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return 0.0  # no points at all
