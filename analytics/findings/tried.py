"""A program tried on the inputs that another version's runs recorded: what it would have paid, run by run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analytics.findings.evidence import Definition
from analytics.findings.inputs import Decoder, Inputs, event_ids
from analytics.program import Outcome, ParentResult
from analytics.program.bounds import points_bounds

MISSING = "DSL_FIELD_NOT_PRECOMPUTED"


@dataclass(frozen=True, slots=True)
class Tried:
    """What a program pays on one run's inputs.

    Attributes:
        low, high: Its points, twice the same when they are decided; else the least and the most.
        case_name: The case; None when none is or when it is not decided.
        code: Error code when the program fails there: it then pays nothing.
        missing: What it needs and the trace does not hold, in words; None when decided.
    """

    low: float
    high: float
    case_name: Any = None
    code: str | None = None
    missing: str | None = None


class Trial:
    """One program on many inputs; equal inputs are tried once.

    Args:
        program: To be tried.
        inputs: What the runs of some version read.
    """

    def __init__(self, program: Definition, inputs: Inputs) -> None:
        self._program, self._inputs = program, inputs
        self._decoder = Decoder()
        self._done: dict[Any, Tried] = {}
        ast = program.ast
        self._is_extend = bool(ast.get("pre_rules") or ast.get("post_rules"))
        self._was_extend = bool(inputs.variants.definition.ast.get("pre_rules")) or bool(
            inputs.variants.definition.ast.get("post_rules")
        )
        read = {node.path for node in program.outline.nodes if node.type == "field"}
        recorded = {path for _, path in inputs.fields}
        # Ids that the recorded version did not read are in the row; only then do equal inputs need equal ids.
        self._ids = bool({"externalGameId", "externalTaskId", "externalUserId"} & read - recorded)

    def run(self, row: Mapping[str, Any], values: tuple[str | None, ...]) -> Tried:
        """Try the program on one run's inputs."""
        ids = event_ids(row) if self._ids else {}
        answer = (row["points"], row["case_name"]) if self._is_extend else None
        key = (row["variant"], values, answer, tuple(ids.values()))
        found = self._done.get(key)
        if found is None:
            found = self._done[key] = self._tried(row, values, ids)
        return found

    def _tried(self, row: Mapping[str, Any], values: tuple[str | None, ...], ids: Mapping[str, Any]) -> Tried:
        fields = {**ids, **self._decoder.fields(self._inputs, values, "pre")}
        if self._is_extend or self._was_extend:
            return self._extended(row, values, fields)
        outcome = self._program.program.run(fields, keep_trace=False)
        return self._said(outcome, lambda: points_bounds(self._program.ast, fields))

    def _said(self, outcome: Outcome, bounds: Any) -> Tried:
        if outcome.ok:
            points = _number(outcome.points)
            return Tried(points, points, outcome.case_name)
        if outcome.error_code == MISSING:
            low, high = bounds()
            decided = low == high
            return Tried(low, high, missing=None if decided else str(outcome.error_detail))
        return Tried(0.0, 0.0, code=outcome.error_code)

    def _extended(self, row: Mapping[str, Any], values: tuple[str | None, ...], fields: dict[str, Any]) -> Tried:
        """Around a built-in: what it answered is known only while it would have been asked the same."""
        ast, program, recorded = self._program.ast, self._program.program, self._inputs.variants.definition
        beside = self._inputs.used[int(row["variant"])].beside
        anything = points_bounds(ast, {}, phase="post") if ast.get("post_rules") else (-math.inf, math.inf)
        before = program.run(fields, phase="pre") if ast.get("pre_rules") else Outcome()
        if before.vetoed:
            return Tried(0.0, 0.0, before.case_name)
        if not before.ok:
            whole = (min(0.0, anything[0]), max(0.0, anything[1]))  # it may veto
            return self._said(before, lambda: whole)
        then = recorded.program.run(fields, phase="pre") if recorded.ast.get("pre_rules") else Outcome()
        if beside.vetoed or then.working_data != before.working_data:
            why = "the built-in was not asked" if beside.vetoed else "the built-in was asked with other data"
            return Tried(*anything, missing=why)
        after = {**fields, **self._decoder.fields(self._inputs, values, "post")}
        answer = self._answer(row, after)
        if answer is None:
            return Tried(*anything, missing="what the built-in answered")
        if not ast.get("post_rules"):
            points = _number(answer.points)
            return Tried(points, points, answer.case_name)
        after.pop("parent.points", None)
        outcome = program.run(after, phase="post", parent=answer)
        return self._said(
            outcome,
            lambda: points_bounds(
                ast, {**after, "parent.points": answer.points}, phase="post", parent_points=answer.points
            ),
        )

    def _answer(self, row: Mapping[str, Any], read: Mapping[str, Any]) -> ParentResult | None:
        """What the built-in answered: as the post rules read it, else as paid where they did not change it."""
        nodes, beside = self._inputs.variants.definition.outline.nodes, self._inputs.used[int(row["variant"])].beside
        wrote = {nodes[position].type for position in beside.positions}
        if beside.end != "finished":
            return None
        points = read.get("parent.points", None if "set_points" in wrote else row["points"])
        case = read.get("parent.case_name", None if "set_case_name" in wrote else row["case_name"])
        return None if points is None else ParentResult(points, case)


def _number(points: Any) -> float:
    try:
        return float(points)
    except OverflowError:
        return math.inf if points > 0 else -math.inf
