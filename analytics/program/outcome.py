"""What one run of a program leaves behind, why it may fail, and what the operators make of values."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypeGuard, TypeVar

from analytics.storage.typed_json import Json

T = TypeVar("T")
Value: TypeAlias = Json
"""What a program reads and computes: fields of the event, literals, and what its operators make of them."""
Operand: TypeAlias = Any
"""What Python's own operators take: which values have an order or a sum they say themselves, by a TypeError, as in the engine."""

#: From here on Python writes a float with an exponent, jsonb as a plain number, and it comes back as an integer.
_WRITTEN_WHOLE: Final = 1e16


def same_json(left: Value, right: Value) -> bool:
    """Whether two values are one JSON value: `1` and `1.0` are, `1` and `true` or `"1"` are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(left, int) is isinstance(right, int):
            return left == right or (left != left and right != right)
        return _as_float(left) == _as_float(right)  # 1e+23 comes back as an integer that is not quite that float
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return type(left) is type(right) and bool(left == right)


def as_written(value: Value) -> Value:
    """A value read back, as it may have been before: a large whole number may have been a float.

    jsonb holds `1e+22` as `10000000000000000000000`. What a run computed with it differs between the two, so a replay that
    does not come out right with one must be tried with the other.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _WRITTEN_WHOLE:
        found = _as_float(value)
        return found if found is not None and Decimal(repr(found)) == value else value
    if isinstance(value, list):
        return [as_written(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_written(item) for key, item in value.items()}
    return value


def _as_float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


Phase = Literal["full", "pre", "post"]
Status = Literal["ok", "error", "limit"]
TraceEntry = dict[str, Value]
#: Keys of the event's data that a field can name; what stands under any other is there for the parent only.
_ADDRESSABLE: Final = re.compile(r"[A-Za-z0-9_]+")


class RuleFailure(Exception):  # noqa: N818 - it is control flow inside the evaluator and never reaches a caller
    """A node could not be evaluated; carries the code the log would show."""

    def __init__(self, code: str, detail: str, status: Status = "error") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status: Status = status


@dataclass(frozen=True, slots=True)
class ParentResult:
    """What the wrapped built-in strategy of a DSL_EXTEND program answered."""

    points: float | None = 0
    case_name: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of evaluating one program once.

    Attributes:
        status: `ok`, `error` or `limit`; a timeout is a matter of clocks and never comes from here.
        error_code: The code the log shows for a failure, None when ok; the exception's class name where it carries no code.
        error_detail: The same for a person.
        points: The points emitted; None on failures and after a pre phase that did not veto.
        case_name: The author's name for the case that paid.
        callback_data: What `set_callback_data` accumulated; what the pre phase did is lost unless it vetoed.
        working_data: The event data as `set_data` left it: what the parent sees.
        vetoed: A `veto` of the pre phase ended the run; the parent does not run.
        halted: An `assign_points`, a `veto` or a `return` ended the program before its last rule.
        trace: The entries exactly as the log shapes them, before any cut, also those before a failure.
            None when no trace was asked for, or when there was nothing to evaluate.
        visits: The interpreter's own counter, the one the node cap looks at. It also counts the program and `else_if`
            branches, and a condition that is no more than an expression twice, so it runs ahead of `nodes`.
        nodes: Number of trace entries, whether or not they were kept.
        hits: The branches of rules that it took, a bit each, numbered as `branches` lists them.
    """

    status: Status = "ok"
    error_code: str | None = None
    error_detail: str | None = None
    points: float | None = None
    case_name: str | None = None
    callback_data: dict[str, Value] = field(default_factory=dict)
    working_data: dict[str, Value] = field(default_factory=dict)
    vetoed: bool = False
    halted: bool = False
    trace: list[TraceEntry] | None = None
    visits: int = 0
    nodes: int = 0
    hits: int = 0

    @property
    def ok(self) -> bool:
        """Whether the run ended without a failure."""
        return self.status == "ok"

    def data_fields(self) -> dict[str, Value]:
        """Field path → value of the working data: what `data.<key>` reads in the post phase."""
        keys = (key for key in self.working_data if isinstance(key, str) and _ADDRESSABLE.fullmatch(key))
        return {f"data.{key}": self.working_data[key] for key in keys}


class State:
    """Everything that changes while a program runs. One per phase, thrown away afterwards."""

    __slots__ = (
        "callback", "case", "data", "fields", "hits", "matched", "max_depth", "max_nodes", "nodes", "points", "trace", "vetoed",
        "visits",
    )  # fmt: skip

    def __init__(self, fields: Mapping[str, Value], data: dict[str, Value], max_nodes: int, max_depth: int) -> None:
        self.fields = fields
        self.data = data
        self.max_nodes = max_nodes
        self.max_depth = max_depth
        self.callback: dict[str, Value] = {}
        self.points: float | None = None
        self.case: str | None = None
        self.matched = False  # a statement has set the result: `default` has nothing to add
        self.vetoed = False
        self.trace: list[TraceEntry] = []
        self.visits = 0
        self.nodes = 0
        self.hits = 0


Binary = Callable[[Operand, Operand], Value]

#: `"ab" * 10**9` is valid Python and would take the machine down; no sane program repeats a text this often.
MAX_REPEATED_LENGTH: Final = 1_000_000

COMPARE: Final[Mapping[str, Binary]] = MappingProxyType(
    {
        "<": operator.lt,
        "<=": operator.le,
        "==": operator.eq,
        "!=": operator.ne,
        ">=": operator.ge,
        ">": operator.gt,
    }
)


def _times(left: Operand, right: Operand) -> Operand:
    for sequence, count in ((left, right), (right, left)):
        if isinstance(sequence, str | list) and isinstance(count, int) and len(sequence) * count > MAX_REPEATED_LENGTH:
            raise RuleFailure("DSL_UNEXPECTED", f"a repetition of {len(sequence)} x {count} is too long")
    return left * right


def _minimum(left: Operand, right: Operand) -> Operand:
    return min(left, right)


def _maximum(left: Operand, right: Operand) -> Operand:
    return max(left, right)


ARITH: Final[Mapping[str, Binary]] = MappingProxyType(
    {
        "+": operator.add,
        "-": operator.sub,
        "*": _times,
        "/": operator.truediv,
        "min": _minimum,
        "max": _maximum,
    }
)


def _clamp(value: Operand, low: Operand, high: Operand) -> Operand:
    return max(low, min(value, high))


#: name -> (number of arguments, function)
FUNCTIONS: Final[Mapping[str, tuple[int, Callable[..., Value]]]] = MappingProxyType(
    {"int": (1, int), "clamp": (3, _clamp)}
)


def is_number(value: Value) -> TypeGuard[float]:
    """Whether a value may be points: an int or a float, and `true` is neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _known(table: Mapping[str, T], name: Value) -> T | None:
    if isinstance(name, str):
        return table.get(name)
    try:
        hash(name)
    except TypeError as error:  # a list or an object for a name: looking it up fails already
        raise RuleFailure("DSL_UNEXPECTED", str(error)) from error
    return None


def compare(name: Value, left: Value, right: Value) -> bool:
    """Apply a comparison.

    Raises:
        RuleFailure: The operator is unknown, or the operands have no order.
    """
    apply = _known(COMPARE, name)
    if apply is None:
        raise RuleFailure("DSL_COMPARE_OP_NOT_ALLOWED", f"comparison {name!r} is not allowed")
    try:
        return bool(apply(left, right))
    except TypeError as error:
        raise RuleFailure("DSL_COMPARE_TYPE_MISMATCH", str(error)) from error


def arith(name: Value, left: Value, right: Value) -> Value:
    """Apply an arithmetic operator.

    Raises:
        RuleFailure: The operator is unknown, the types do not fit, or the divisor is zero.
    """
    apply = _known(ARITH, name)
    if apply is None:
        raise RuleFailure("DSL_ARITH_OP_NOT_ALLOWED", f"arithmetic operator {name!r} is not allowed")
    try:
        return apply(left, right)
    except ZeroDivisionError as error:
        raise RuleFailure("DSL_ARITH_DIV_BY_ZERO", str(error)) from error
    except TypeError as error:
        raise RuleFailure("DSL_ARITH_TYPE_MISMATCH", str(error)) from error
    except (OverflowError, MemoryError) as error:
        raise RuleFailure("DSL_UNEXPECTED", f"{type(error).__name__}: {error}") from error


def check_function(name: Value, count: int | None) -> Callable[..., Value]:
    """Look a function up by name and number of arguments; None where they are no list.

    Raises:
        RuleFailure: No such function, or it takes another number of arguments.
    """
    known = _known(FUNCTIONS, name)
    if known is None:
        raise RuleFailure("DSL_FUNC_NAME_NOT_ALLOWED", f"function {name!r} is not allowed")
    arity, function = known
    if count is None:
        raise RuleFailure("DSL_UNEXPECTED", f"{name} without a list of args")
    if count != arity:
        raise RuleFailure("DSL_FUNC_ARITY_MISMATCH", f"{name} takes {arity} arguments, not {count}")
    return function


def call(function: Callable[..., Value], arguments: list[Value]) -> Value:
    """Call a function of the language.

    Raises:
        RuleFailure: Under the exception's class name where the engine logs that instead of a code.
    """
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise RuleFailure("DslExecutionError", str(error)) from error
    except OverflowError as error:
        raise RuleFailure("DSL_UNEXPECTED", f"OverflowError: {error}") from error
