"""What a program would have paid for a run that another program was paid for: decided where the log says enough, else bounded.

A version is more than its rules: what the built-in answers is decided by which one it is, by the variables it is asked with, and
by the data that the pre phase hands it. Where one of them differs, what the built-in answered to the other version decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, NamedTuple

from analytics.program.bounds import bounds_of
from analytics.program.evaluate import MAX_NODES, Program
from analytics.program.failing import may_exceed
from analytics.program.outcome import Outcome, Value, as_written, same_json
from analytics.program.validator import BuiltIn, built_in
from analytics.program.walk import Outline, outline

MISSING: Final = "DSL_FIELD_NOT_PRECOMPUTED"
NOT_ASKED: Final = "the built-in was not asked"
OTHER_BUILT_IN: Final = "another built-in was asked"
OTHER_VARIABLES: Final = "the built-in was asked with other variables"
OTHER_DATA: Final = "the built-in was asked with other data"
NOT_RECORDED: Final = "what the built-in answered"
_ANYTHING: Final = (-math.inf, math.inf)
_NO_CAP: Final = 10**9
_DATA: Final = "data."


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What a run left that another program can be run on.

    Attributes:
        fields: What it read, path → value. Of DSL_EXTEND what the pre phase read, and the event's ids.
        post_fields: What the post phase read, without `parent.*`.
        points, case_name: What the wrapped built-in answered.
        knows_points, knows_case: Whether the log tells that.
        vetoed: The pre phase ended the run: the built-in was never asked.
        parent_id: The built-in that the run's row names; None when it names none.
    """

    fields: Mapping[str, Value]
    post_fields: Mapping[str, Value] = field(default_factory=dict)
    points: float | None = None
    case_name: str | None = None
    knows_points: bool = False
    knows_case: bool = False
    vetoed: bool = False
    parent_id: str | None = None

    def as_written(self) -> RecordedRun:
        """The same, with large whole numbers as the floats that they may have been."""
        fields, post_fields = (
            {path: as_written(value) for path, value in read.items()} for read in (self.fields, self.post_fields)
        )
        return replace(self, fields=fields, post_fields=post_fields)


class PointsBounds(NamedTuple):
    """What a program would have paid.

    Attributes:
        low, high: The least and the most points, given that the run does not fail on what the log does not tell; the same when they
            are decided.
        case_name: The case; None when there is none, or when it is not known.
        code: Of the failure: the run would have been paid nothing.
        missing: What the log does not tell, in words. The points may be decided all the same, when every way through the
            program pays the same.
        knows_case: Whether the log tells the case.
        visits: Nodes that one phase visits at most, as the cap counts them; None where the run is not known to its end.
        nodes: Entries of its trace; None likewise.
        hits: The branches of rules that it took, as `Outcome.hits`; of a run that fails or is not known, none.
        may_fail: What the log does not tell may make the run fail, or the built-in that it would ask anew: it then pays nothing.
    """

    low: float
    high: float
    case_name: str | None = None
    code: str | None = None
    missing: str | None = None
    knows_case: bool = True
    visits: int | None = None
    nodes: int | None = None
    hits: int = 0
    may_fail: bool = False

    @property
    def is_decided(self) -> bool:
        """The log tells the points."""
        return self.low == self.high and math.isfinite(self.low)


class AlternativeProgram:
    """A program to be run instead of the one that ran.

    Args:
        program: This one.
        ran: The one that ran, and left what was recorded.
        is_extend: It wraps a built-in; else it is a program of its own.
        ran_is_extend: The same of the one that ran; as this one when not given.
        max_nodes: The cap on visits.
        wraps: The built-in that ``program`` asks.
        ran_wraps: The one that ``ran`` asked; a run's row may name another one.
    """

    def __init__(
        self,
        program: Program,
        ran: Program,
        *,
        is_extend: bool,
        ran_is_extend: bool | None = None,
        max_nodes: int = MAX_NODES,
        wraps: BuiltIn | None = None,
        ran_wraps: BuiltIn | None = None,
    ) -> None:
        self.program, self.ran, self.is_extend, self.max_nodes = program, ran, is_extend, max_nodes
        self._wraps, self._ran_wraps = wraps or built_in(program.ast), ran_wraps or built_in(ran.ast)
        self._ran_is_extend = is_extend if ran_is_extend is None else ran_is_extend
        self._is_own = program is ran and self._wraps == self._ran_wraps and is_extend is self._ran_is_extend
        self._same_variables = self._wraps.has_same_variables(self._ran_wraps)
        self._sets, self._ran_sets = set_paths(program), set_paths(ran) if self._ran_is_extend else frozenset[str]()

    def pays(self, run: RecordedRun) -> PointsBounds:
        """The points for one run.

        A field that was not recorded is not guessed: the answer spans all that the program may pay, given that the value has
        the type the program expects and the run does not fail on it; `PointsBounds.may_fail` says whether it may.
        """
        if self.is_extend:
            return self._extend(run)
        fields = self._event(run, self._had_set(run)) if self._ran_is_extend else run.fields
        outcome = self.program.run(fields, keep_trace=False, max_nodes=self.max_nodes)
        if outcome.error_code != MISSING:
            return _decided(outcome, None, outcome.case_name, knows_case=True)
        low, high, may_fail = bounds_of(self.program.ast, fields)
        may_fail |= self._may_exceed
        return PointsBounds(low, high, missing=outcome.error_detail, knows_case=False, may_fail=may_fail)

    @cached_property
    def _may_exceed(self) -> bool:
        """A run on values that are not known may go the longest way through the program."""
        return may_exceed(self.program.ast, extends=self.is_extend, max_nodes=self.max_nodes)

    def _extend(self, run: RecordedRun) -> PointsBounds:
        was = self._had_set(run)
        event = self._event(run, was)
        before = Outcome()
        if self.program.ast.get("pre_rules"):
            before = self.program.run(event, phase="pre", keep_trace=False, max_nodes=self.max_nodes)
        if before.error_code != MISSING:
            if not before.ok:
                return PointsBounds(0.0, 0.0, code=before.error_code, visits=before.visits)
            if before.vetoed:
                return PointsBounds(
                    0.0, 0.0, before.case_name, visits=before.visits, nodes=before.nodes, hits=before.hits
                )
            changed = before.data_fields()
            after = self._post(run, {**event, **changed}, self._why_unanswered(run, event, was, changed))
            # Each phase is stopped by itself.
            if after.visits is None:
                return after
            visits, nodes = max(before.visits, after.visits), before.nodes + (after.nodes or 0)
            hits = before.hits | after.hits if after.code is None else 0
            return after._replace(visits=visits, nodes=nodes, hits=hits)
        # What its pre phase sets is not known, nor whether it lets the run go on.
        kept = {path: value for path, value in event.items() if path not in self._sets}
        after = self._post(run, kept, self._why_unanswered(run, event, was, None))
        # One point goes in: it comes out where the phase lets the run go on, nothing where it ends or fails.
        low, high, may_fail = bounds_of(self.program.ast, event, phase="pre", parent_points=1.0)
        may_fail |= after.may_fail or self._may_exceed
        if low > 0:
            # It goes on or fails, so that one that then fails surely fails.
            missing, may_fail = after.missing or before.error_detail, may_fail and after.code is None
            return after._replace(missing=missing, may_fail=may_fail, visits=None, nodes=None, hits=0)
        may_fail |= after.code is not None
        low, high = (0.0, 0.0) if high <= 0 else (min(0.0, after.low), max(0.0, after.high))
        return PointsBounds(low, high, missing=before.error_detail, knows_case=False, may_fail=may_fail)

    def _had_set(self, run: RecordedRun) -> dict[str, Value] | None:
        """Path → value of what the pre phase that ran has set; None when the log does not tell."""
        if not self._ran_sets:
            return {}
        was = self.ran.run(run.fields, phase="pre", keep_trace=False, max_nodes=_NO_CAP)
        return was.data_fields() if was.ok else None

    def _event(self, run: RecordedRun, was: Mapping[str, Value] | None) -> dict[str, Value]:
        """The event's fields, from either phase: what the post phase read of the data is the event's where nothing was set."""
        own = self._ran_sets if was is None else was
        found = dict(run.fields)
        for path, value in run.post_fields.items():
            if not path.startswith(_DATA):
                found[path] = value
            elif path not in own:
                found.setdefault(path, value)
        return found

    def _why_unanswered(
        self,
        run: RecordedRun,
        event: Mapping[str, Value],
        was: Mapping[str, Value] | None,
        changed: Mapping[str, Value] | None,
    ) -> str | None:
        """Why what the built-in answered is not what it would have answered; None when it is."""
        if run.vetoed or not self._ran_is_extend:
            return NOT_ASKED
        if not self._is_own:
            asked = self._ran_wraps.strategy_id if run.parent_id is None else run.parent_id
            if asked != self._wraps.strategy_id:
                return OTHER_BUILT_IN
            if not self._same_variables:
                return OTHER_VARIABLES
        return None if self._same_data(event, was, changed) else OTHER_DATA

    def _same_data(
        self, event: Mapping[str, Value], was: Mapping[str, Value] | None, changed: Mapping[str, Value] | None
    ) -> bool:
        """Whether the built-in would have been given what it was given."""
        if was is None or changed is None:
            return not (self._ran_sets if was is None else was) and not (self._sets if changed is None else changed)
        for path in was.keys() | changed.keys():
            sent = event.get(path)
            # Null may mean that there was no such key, which is not the same as a null that is set.
            if sent is None and not (path in was and path in changed):
                return False
            if not same_json(was.get(path, sent), changed.get(path, sent)):
                return False
        return True

    def _post(self, run: RecordedRun, fields: dict[str, Value], why: str | None) -> PointsBounds:
        knows_points, knows_case = run.knows_points and why is None, run.knows_case and why is None
        is_asked_anew, why = why is not None, why or NOT_RECORDED
        outcome = Outcome()
        if self.program.ast.get("post_rules"):
            if knows_points:
                fields["parent.points"] = run.points
            if knows_case:
                fields["parent.case_name"] = run.case_name
            # Without a parent, points and case that come out are those that a rule has set.
            outcome = self.program.run(fields, phase="post", keep_trace=False, max_nodes=self.max_nodes)
        if outcome.error_code == MISSING:
            is_of_parent = (outcome.error_detail or "").startswith("field 'parent.")
            missing = why if is_of_parent or why != NOT_RECORDED else outcome.error_detail
            known = run.points if knows_points else None
            low, high, may_fail = bounds_of(self.program.ast, fields, phase="post", parent_points=known)
            may_fail |= is_asked_anew or self._may_exceed
            return PointsBounds(low, high, missing=missing, knows_case=False, may_fail=may_fail)
        is_named = outcome.case_name is not None
        case = outcome.case_name if is_named else run.case_name if knows_case else None
        if outcome.ok and outcome.points is None and not knows_points:
            return PointsBounds(
                *_ANYTHING, case, None, why, is_named or knows_case, outcome.visits, outcome.nodes, outcome.hits,
                is_asked_anew,
            )  # fmt: skip
        found = _decided(outcome, run.points, case, knows_case=is_named or knows_case)
        # The points are the program's own, and the built-in may fail all the same.
        return found._replace(missing=found.missing or why, may_fail=True) if is_asked_anew and outcome.ok else found


def set_paths(program: Program) -> frozenset[str]:
    """The fields that a pre phase may set: behind it they are what it left, whatever it read before."""
    return paths_set_in(outline(program.ast))


def paths_set_in(found: Outline) -> frozenset[str]:
    """``set_paths`` of a program whose nodes are known already."""
    return frozenset(
        _DATA + str(spot.node.get("key"))
        for spot, node in zip(found.spots, found.nodes, strict=True)
        if node.section == "pre_rules" and node.type == "set_data"
    )


def _decided(outcome: Outcome, unset: float | None, case: str | None, *, knows_case: bool) -> PointsBounds:
    """The answer of a run that came to its end; ``unset`` are the points where no rule has set any."""
    if not outcome.ok:
        return PointsBounds(0.0, 0.0, code=outcome.error_code, visits=outcome.visits)
    points = _float(unset if outcome.points is None else outcome.points)
    if math.isnan(points):  # inf − inf: nothing can be said of it
        missing, low, high = "points that are no number", *_ANYTHING
        return PointsBounds(low, high, case, None, missing, knows_case, outcome.visits, outcome.nodes, outcome.hits)
    return PointsBounds(points, points, case, None, None, knows_case, outcome.visits, outcome.nodes, outcome.hits)


def _float(value: float | None) -> float:
    if value is None:
        return 0.0  # no points at all
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return 0.0  # no points at all
