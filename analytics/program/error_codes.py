"""The codes that a failed run may carry: what each means, and which of them no validated program can ever give.

A code of those is a canary: whoever met it has got past the validator, or probes the sandbox. What the engine gives for values
that an author or an event may well bring (a division by zero, a text where a number is needed) is none, nor is
``DSL_UNEXPECTED``, which a malformed node gives, but a number too large for a float as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Code:
    """One code.

    Attributes:
        name: As the log has it; a class name where the engine's exception carries no code of its own.
        meaning: What the run met, in a few words.
        is_canary: A validated program cannot give it.
    """

    name: str
    meaning: str
    is_canary: bool = False


_ALL: Final = (
    Code("DSL_TIMEOUT", "it ran longer than the time limit"),
    Code("DslTimeoutError", "it ran longer than the time limit"),
    Code("DSL_LIMIT_EXCEEDED", "it visited more nodes, or nested deeper, than is allowed"),
    Code("DslLimitExceededError", "it visited more nodes, or nested deeper, than is allowed"),
    Code("DSL_ARITH_DIV_BY_ZERO", "a division by zero"),
    Code("DSL_ARITH_TYPE_MISMATCH", "a calculation with values that do not go together"),
    Code("DSL_COMPARE_TYPE_MISMATCH", "a comparison of values that have no order"),
    Code("DSL_ASSIGN_POINTS_NOT_NUMBER", "points that are no number"),
    Code("DSL_SET_POINTS_NOT_NUMBER", "points that are no number"),
    Code("DSL_SET_CASE_NAME_NOT_STRING", "a case name that is no text"),
    Code("DslExecutionError", "a function with a value that it cannot take"),
    Code("DSL_UNEXPECTED", "something that the engine did not expect"),
    # What follows is checked when a program is stored, and the engine looks again when it runs.
    Code("DSL_FIELD_NOT_PRECOMPUTED", "a field that was not precomputed", is_canary=True),
    Code("DSL_UNKNOWN_STATEMENT", "a statement the engine does not know", is_canary=True),
    Code("DslValidationError", "a node the engine does not know", is_canary=True),
    Code("DSL_COMPARE_OP_NOT_ALLOWED", "a comparison the engine does not know", is_canary=True),
    Code("DSL_ARITH_OP_NOT_ALLOWED", "an arithmetic operator the engine does not know", is_canary=True),
    Code("DSL_FUNC_NAME_NOT_ALLOWED", "a function the engine does not know", is_canary=True),
    Code("DSL_FUNC_ARITY_MISMATCH", "a function with too few or too many arguments", is_canary=True),
    # The validator's own: a run has them only where it validates what it is about to run.
    Code("DSL_FIELD_PATH_NOT_ALLOWED", "a field that is not allowed", is_canary=True),
    Code("DSL_PARENT_FIELD_OUTSIDE_POST", "the built-in's answer before there is one", is_canary=True),
)
CODES: Final[Mapping[str, Code]] = {code.name: code for code in _ALL}
"""Every known one, by name."""

_PREFIX: Final = "dsl"


def is_canary(name: str | None) -> bool:
    """A validated program cannot give it."""
    return name is not None and name in CODES and CODES[name].is_canary


def is_unknown(name: str | None) -> bool:
    """It looks like a code of the engine, and is none of those known here: of another version, it may say anything."""
    return name is not None and name not in CODES and name.lower().startswith(_PREFIX)


def meaning(name: str | None) -> str:
    """What a run met, in a few words; of an unknown code, that it is one. Empty for what is no code of the engine."""
    if name is None:
        return ""
    if name in CODES:
        return CODES[name].meaning
    return "an unknown code" if is_unknown(name) else ""


def columns() -> tuple[list[str], list[bool], list[str]]:
    """The known codes for SQL: ``error_code``, ``is_canary``, ``meaning``."""
    return [code.name for code in _ALL], [code.is_canary for code in _ALL], [code.meaning for code in _ALL]


def table() -> pa.Table:
    """``columns`` as an Arrow table."""
    import pyarrow as pa

    shape = pa.schema({"error_code": pa.string(), "is_canary": pa.bool_(), "meaning": pa.string()})
    return pa.table(list(columns()), shape)
