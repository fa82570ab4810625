"""The operators and functions of the rule language, with Python's own semantics behind fixed error codes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from analytics.program.outcome import RuleFailure

Binary = Callable[[Any, Any], Any]

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


def _times(left: Any, right: Any) -> Any:
    for sequence, count in ((left, right), (right, left)):
        if isinstance(sequence, str | list) and isinstance(count, int) and len(sequence) * count > MAX_REPEATED_LENGTH:
            raise RuleFailure("DSL_UNEXPECTED", f"a repetition of {len(sequence)} x {count} is too long")
    return left * right


def _minimum(left: Any, right: Any) -> Any:
    return min(left, right)


def _maximum(left: Any, right: Any) -> Any:
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


def _clamp(value: Any, low: Any, high: Any) -> Any:
    return max(low, min(value, high))


#: name -> (number of arguments, function)
FUNCTIONS: Final[Mapping[str, tuple[int, Callable[..., Any]]]] = MappingProxyType(
    {"int": (1, int), "clamp": (3, _clamp)}
)


def is_number(value: Any) -> bool:
    """Whether a value may be points: an int or a float, and `true` is neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _known(table: Mapping[str, Any], name: Any) -> Any:
    try:
        return table.get(name)
    except TypeError as error:  # a list or an object for a name: looking it up fails already
        raise RuleFailure("DSL_UNEXPECTED", str(error)) from error


def compare(name: object, left: Any, right: Any) -> bool:
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


def arith(name: object, left: Any, right: Any) -> Any:
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


def check_function(name: object, count: int | None) -> Callable[..., Any]:
    """Look a function up by name and number of arguments; None where they are no list.

    Raises:
        RuleFailure: No such function, or it takes another number of arguments.
    """
    known = _known(FUNCTIONS, name)
    if known is None:
        raise RuleFailure("DSL_FUNC_NAME_NOT_ALLOWED", f"function {name!r} is not allowed")
    arity: int = known[0]
    function: Callable[..., Any] = known[1]
    if count is None:
        raise RuleFailure("DSL_UNEXPECTED", f"{name} without a list of args")
    if count != arity:
        raise RuleFailure("DSL_FUNC_ARITY_MISMATCH", f"{name} takes {arity} arguments, not {count}")
    return function


def call(function: Callable[..., Any], arguments: list[Any]) -> Any:
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
