"""Rules and phases on top of the traced closures: which statements run, and in which order entries appear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from analytics.program import exact
from analytics.program.outcome import Phase, RuleFailure, State

RunPhase = Callable[[State], bool]  # True: a statement ended the program


def phase_runner(program: Mapping[str, Any], phase: Phase) -> RunPhase:
    """Compile one phase of a program into a closure that keeps the trace."""
    rules = listed(program.get("rules" if phase == "full" else f"{phase}_rules"))
    compiled = None if rules is None else [_rule(rule, phase) for rule in rules]
    default = _default(program.get("default"), phase) if phase == "full" else []

    def run(state: State) -> bool:
        exact.visit(state, 0)
        if compiled is None:
            raise RuleFailure("DSL_UNEXPECTED", "rules are not a list")
        return any(rule(state) for rule in compiled) or any(step(state) for step in default)

    return run


def listed(value: Any) -> list[Any] | None:
    """A list, an empty one for a key that is absent or null, None for anything else."""
    if value is None:
        return []
    return value if isinstance(value, list) else None


def _default(node: Any, phase: Phase) -> list[exact.Statement]:
    return [exact.statement(step, 1, phase) for step in exact.default_steps(node)]


def _block(value: Any, phase: Phase) -> list[exact.Statement]:
    steps = listed(value)
    if steps is None:
        return [exact.broken("DSL_UNEXPECTED", "statements are not a list", 2)]
    return [exact.statement(step, 2, phase) for step in steps]


def _rule(rule: Any, phase: Phase) -> exact.Statement:
    if not isinstance(rule, Mapping):
        return exact.broken("DSL_UNEXPECTED", "a rule is not an object", 1)
    node_id, when = rule.get("id"), exact.expression(rule.get("when"), 2)
    then, otherwise, has_else = _block(rule.get("then"), phase), _block(rule.get("else"), phase), bool(rule.get("else"))
    branches = [_branch(branch, phase) for branch in listed(rule.get("else_if")) or []]

    def run(state: State) -> bool:
        exact.visit(state, 1)
        if when(state):
            exact.enter(state, node_id, "rule", True, "match")
            return any(step(state) for step in then)
        for index, (condition, steps) in enumerate(branches):
            exact.visit(state, 2)
            if condition(state):
                exact.enter(state, node_id, "rule", True, f"elseif:{index}")
                return any(step(state) for step in steps)
        exact.enter(state, node_id, "rule", False, "else" if has_else else "skip")
        return any(step(state) for step in otherwise)

    return run


def _branch(branch: Any, phase: Phase) -> tuple[exact.Expression, list[exact.Statement]]:
    found = branch if isinstance(branch, Mapping) else {}
    return exact.expression(found.get("when"), 3), _block(found.get("then"), phase)
