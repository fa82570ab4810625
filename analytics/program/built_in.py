"""The built-in that a program wraps: with the rules and the data it decides what is paid, and it leaves no entry in the trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analytics.program.outcome import same_json


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Which built-in is asked, and with which of its variables overridden.

    Attributes:
        strategy_id: Its id; None when not known, and of a program that wraps none.
        variables: `parent_variables` of the program, name → value; empty when there are none, which is the same.
    """

    strategy_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)

    def has_same_variables(self, other: BuiltIn) -> bool:
        """Whether both override the same variables with the same JSON values."""
        return same_json(dict(self.variables), dict(other.variables))


def built_in(ast: Any, strategy_id: str | None = None) -> BuiltIn:
    """What a program wraps: the variables are in its AST, the id stands beside it."""
    return BuiltIn(strategy_id, variables(ast))


def variables(ast: Any) -> Mapping[str, Any]:
    """The variables that a program overrides; what is no map of them is shown under a name of its own."""
    found = ast.get("parent_variables") if isinstance(ast, Mapping) else None
    if isinstance(found, Mapping):
        return {str(name): value for name, value in found.items()}
    return {"parent_variables": found} if found else {}
