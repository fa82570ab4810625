"""What a program may pay when some of its fields are not known: the least and the most, never a guess.

An abstract evaluation with intervals (Cousot and Cousot, *Abstract interpretation*, POPL 1977): what is known is computed as
ever; an unknown condition takes both ways. It is linear in the size of the program, for a block either ends the program or
falls through to the same next rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from analytics.program import outcome
from analytics.program.exact import EFFECTS, MAX_COMPILED_DEPTH, items, listed, section_of
from analytics.program.outcome import Phase, RuleFailure, Value
from analytics.storage.typed_json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Span:
    """A number, or any value, that is not known: what it lies between."""

    low: float = -math.inf
    high: float = math.inf


class Bounds(NamedTuple):
    """What a program may pay.

    Attributes:
        low, high: The least and the most points, given that each value that is not known has the type that the program expects.
        may_fail: Some value, of whatever type, may make the run fail, which then pays nothing. It never says no wrongly, save for
            the caps on nodes and depth, which it does not know.
    """

    low: float
    high: float
    may_fail: bool

    @property
    def at_worst(self) -> tuple[float, float]:
        """The least and the most with failing among what may come."""
        return (min(0.0, self.low), max(0.0, self.high)) if self.may_fail else (self.low, self.high)


Known: TypeAlias = "Value | Span"
"""What is known of a value: itself, or what it lies between."""
ANY: Final = Span()
_MAYBE: Final = Span(0.0, 1.0)  # a truth value that is not known
_NOTHING: Final = Span(0.0, 0.0)
_OBJECT: Final = (dict, Mapping)  # what JSON's parser makes first: asking an abstract class takes five times as long
#: What a statement cannot do without.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "assign_points": ("value", "case_name"),
    "veto": ("case_name",),
    "set_points": ("value",),
    "set_case_name": ("value",),
    "set_data": ("value", "key"),
    "set_callback_data": ("value", "key"),
}


def points_bounds(
    program: JsonObject, fields: Mapping[str, Value], *, phase: Phase = "full", parent_points: float | None = None
) -> tuple[float, float]:
    """The least and the most points that a program may pay, as `bounds_of` has them."""
    low, high, _ = bounds_of(program, fields, phase=phase, parent_points=parent_points)
    return low, high


def bounds_of(
    program: JsonObject, fields: Mapping[str, Value], *, phase: Phase = "full", parent_points: float | None = None
) -> Bounds:
    """The least and the most points that a program may pay, and whether it may fail.

    Args:
        program: The AST.
        fields: What is known: path → value. All other fields may hold anything of the type that the program expects.
        phase: `full`, or `post` for the second half of DSL_EXTEND.
        parent_points: For `post`, what the built-in answered; anything when None.

    Returns:
        Infinite where nothing bounds them. A run that fails pays nothing and counts as 0, also one that divides by what may
        be zero; the failure of a missing value of an unexpected type, such as the null of a key that an event lacks, is not in the
        two numbers: ``may_fail`` tells it.
    """
    work = _Work(fields, phase)
    begin = _NOTHING if phase == "full" else (ANY if parent_points is None else _span(parent_points))
    rules = listed(program.get(section_of(phase)))
    if rules is None:
        return Bounds(0.0, 0.0, may_fail=True)
    state: Span | None = begin
    for rule in rules:
        if state is not None:
            state = work.rule(rule, state)
    default = program.get("default") if phase == "full" else None
    if default is not None and state is not None:
        # It does not run behind a statement of another phase that has set the result.
        last = work.block([default], state)
        state = _hull(last, state) if work.has_set else last
    found = [*work.ended, *([] if state is None else [state])]
    return Bounds(min(span.low for span in found), max(span.high for span in found), work.may_fail)


def truth_of(condition: Json, fields: Mapping[str, Value]) -> bool | None:
    """Whether an expression counts as true on what is known; None when that depends on what is not.

    Raises:
        RuleFailure: The run fails there.
    """
    work = _Work(fields, "full")
    return work.truth(work.value(condition, 2))


class _Work:
    """One evaluation: what is known, with which points the program may have ended so far, and whether it may have failed."""

    def __init__(self, fields: Mapping[str, Value], phase: Phase) -> None:
        self.fields, self.phase = fields, phase
        self.ended: list[Span] = []
        self.has_set = self.may_fail = False

    def rule(self, rule: Json, state: Span) -> Span | None:
        """The points after a rule; None when the program has surely ended."""
        if not isinstance(rule, Mapping):
            return self.fail()
        branches = listed(rule.get("else_if"))
        ways = [(rule.get("when"), rule.get("then"))]
        ways += (
            (branch.get("when"), branch.get("then")) if isinstance(branch, Mapping) else (None, None)
            for branch in ([None] if branches is None else branches)
        )
        after: Span | None = None
        for condition, steps in ways:
            try:
                holds = self.truth(self.value(condition, 2))
            except RuleFailure:
                self.fail()
                return after
            if holds is not False:
                after = _hull(after, self.block(steps, state))
            if holds:
                return after
        return _hull(after, self.block(rule.get("else"), state))

    def block(self, steps: Json, state: Span) -> Span | None:
        """The points after some statements; None when they end the program."""
        found = listed(steps)
        if found is None:
            return self.fail()
        for step in found:
            if not isinstance(step, Mapping):
                return self.fail()
            kind = step.get("type")
            if not isinstance(kind, str) or kind not in EFFECTS.keys() | {"return", "veto"}:
                return self.fail()
            if any(key not in step for key in _NEEDED.get(kind, ())):
                return self.fail()
            if kind in ("return", "veto"):
                self.ended.append(_NOTHING if kind == "veto" else state)
                return None
            try:
                value = self.operand(step.get("value"), 3)
                if kind in ("assign_points", "set_points"):
                    paid = self.points(value)
                    state = state if self.phase == "pre" else paid  # the built-in's answer takes its place
                self.has_set |= kind in ("set_points", "set_case_name")
                self.may_fail |= kind == "set_case_name" and not isinstance(value, str)
            except RuleFailure:
                return self.fail()
            if kind == "assign_points":
                self.ended.append(state)
                return None
        return state

    def points(self, value: Known) -> Span:
        if not isinstance(value, Span) and not outcome.is_number(value):
            raise RuleFailure("DSL_ASSIGN_POINTS_NOT_NUMBER", "no number")
        self.may_fail |= value is ANY
        return _span(value)

    def fail(self) -> Span | None:
        """The run fails here, or may: it pays nothing."""
        self.ended.append(_NOTHING)
        self.may_fail = True
        return None

    # ---- expressions -----------------------------------------------------------------------------------------------

    def operand(self, node: Json, depth: int) -> Known:
        """The value of an operand or of a statement, which cannot be a condition."""
        if isinstance(node, _OBJECT) and node.get("type") in ("and", "or", "not", "compare"):
            raise RuleFailure("DslValidationError", "a condition is no expression")
        return self.value(node, depth)

    def value(self, node: Json, depth: int) -> Known:
        """A value, or the span in which an unknown one lies."""
        if depth > MAX_COMPILED_DEPTH:
            raise RuleFailure("DSL_LIMIT_EXCEEDED", "too deep")
        if not isinstance(node, _OBJECT):
            raise RuleFailure("DSL_UNEXPECTED", "unknown expression")
        kind = node.get("type")
        if kind == "literal" and "value" in node:
            return node["value"]
        if kind == "field":
            path = node.get("path")
            return self.fields.get(path, ANY) if isinstance(path, str) else ANY
        if kind == "not":
            holds = self.truth(self.value(node.get("arg"), depth + 1))
            return _MAYBE if holds is None else not holds
        if kind in ("and", "or"):
            return self.junction(node, kind == "or", depth)
        if kind in ("compare", "arith"):
            operands = [self.operand(node.get(side), depth + 1) for side in ("left", "right")]
            name = node.get("op")
            apply, table = (outcome.compare, _COMPARE) if kind == "compare" else (outcome.arith, _ARITH)
            if not isinstance(operands[0], Span) and not isinstance(operands[1], Span):
                return apply(name, operands[0], operands[1])
            spans = table.get(name) if isinstance(name, str) else None
            return self.applied(lambda left, right: apply(name, left, right), spans, operands)
        if kind == "func_call" and isinstance(args := node.get("args"), list):
            operands = [self.operand(arg, depth + 1) for arg in args]
            function = outcome.check_function(node.get("name"), len(operands))
            return self.applied(
                lambda *found: outcome.call(function, list(found)), _FUNCTIONS.get(str(node.get("name"))), operands
            )
        raise RuleFailure("DSL_UNEXPECTED", "unknown expression")

    def applied(self, exact: Callable[..., Value], spans: Callable[..., Known] | None, operands: list[Known]) -> Known:
        """An operation: as ever on known values, on spans where one is unknown and all are numbers."""
        if not any(isinstance(operand, Span) for operand in operands):
            return exact(*operands)
        if spans is None:
            raise RuleFailure("DSL_ARITH_OP_NOT_ALLOWED", "unknown operator")
        # All values can be told apart; an order, or a result, only some have. What is calculated from a value is a number where
        # that did not fail, so that what fails fails first on the value itself.
        self.may_fail |= spans not in (_equal, _unequal) and any(operand is ANY for operand in operands)
        known = [_span(operand) for operand in operands if isinstance(operand, Span | int | float)]
        if len(known) < len(operands):
            if spans in (_equal, _unequal):
                return _MAYBE
            self.fail()  # what is known is no number: with most values of the other operand the run fails
            return ANY
        if spans is _over and known[1].low <= 0 <= known[1].high:
            if known[1].low == known[1].high:
                raise RuleFailure("DSL_ARITH_DIV_BY_ZERO", "whatever is divided")
            self.fail()  # it does if the divisor is zero
        return spans(*known)

    def junction(self, node: JsonObject, cutting: bool, depth: int) -> Known:
        args = items(node.get("args"))
        if args is None:
            raise RuleFailure("DSL_UNEXPECTED", "no list of args")
        sure = True
        for arg in args:
            try:
                holds = self.truth(self.value(arg, depth + 1))
            except RuleFailure:
                if sure:
                    raise
                self.fail()  # it does unless an earlier one decided
                return _MAYBE
            if holds is cutting:
                return cutting
            sure = sure and holds is not None
        return (not cutting) if sure else _MAYBE

    def truth(self, value: Known) -> bool | None:
        """Whether a value counts as true; None when that is not known."""
        if not isinstance(value, Span):
            return bool(value)
        if value.low > 0 or value.high < 0:
            return True
        return False if value.low == value.high == 0 else None


def _span(value: Span | float) -> Span:
    if isinstance(value, Span):
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        return ANY
    # A whole number may lie between two floats, or beyond the largest.
    return Span(
        number if number <= value else math.nextafter(number, -math.inf),
        number if number >= value else math.nextafter(number, math.inf),
    )


def _hull(left: Span | None, right: Span | None) -> Span | None:
    if left is None or right is None:
        return right if left is None else left
    return Span(min(left.low, right.low), max(left.high, right.high))


def _around(*ends: float) -> Span:
    known = [end for end in ends if not math.isnan(end)]
    return ANY if len(known) < len(ends) else Span(min(known), max(known))


def _times(left: Span, right: Span) -> Span:
    # Zero times an end that is never reached is zero.
    return _around(*(0.0 if 0 in (a, b) else a * b for a in (left.low, left.high) for b in (right.low, right.high)))


def _over(left: Span, right: Span) -> Span:
    if right.low <= 0 <= right.high:
        return ANY
    return _times(left, Span(1 / right.high, 1 / right.low))


def _less(left: Span, right: Span) -> bool | Span:
    return True if left.high < right.low else False if left.low >= right.high else _MAYBE


def _less_or_equal(left: Span, right: Span) -> bool | Span:
    return True if left.high <= right.low else False if left.low > right.high else _MAYBE


def _equal(left: Span, right: Span) -> bool | Span:
    apart = left.high < right.low or left.low > right.high
    return False if apart else True if left.low == left.high == right.low == right.high else _MAYBE


def _unequal(left: Span, right: Span) -> bool | Span:
    same = _equal(left, right)
    return same if same is _MAYBE else not same


def _clamp(value: Span, low: Span, high: Span) -> Span:
    inner = Span(min(value.low, high.low), min(value.high, high.high))
    return Span(max(low.low, inner.low), max(low.high, inner.high))


def _whole(value: Span) -> Span:
    # As floats: products of whole numbers would outgrow what a float holds, and raise where they meet one.
    return Span(*(float(math.trunc(end)) if math.isfinite(end) else end for end in (value.low, value.high)))


_COMPARE: Final[Mapping[str, Callable[..., Known]]] = {
    "<": _less,
    "<=": _less_or_equal,
    ">": lambda left, right: _less(right, left),
    ">=": lambda left, right: _less_or_equal(right, left),
    "==": _equal,
    "!=": _unequal,
}
_ARITH: Final[Mapping[str, Callable[..., Known]]] = {
    "+": lambda left, right: _around(left.low + right.low, left.high + right.high),
    "-": lambda left, right: _around(left.low - right.high, left.high - right.low),
    "*": _times,
    "/": _over,
    "min": lambda left, right: Span(min(left.low, right.low), min(left.high, right.high)),
    "max": lambda left, right: Span(max(left.low, right.low), max(left.high, right.high)),
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Known]]] = {"int": _whole, "clamp": _clamp}
