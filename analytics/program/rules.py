"""Rules and phases on top of the traced closures: which statements run, and in which order entries appear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from analytics.program import exact
from analytics.program.outcome import Phase, State

RunPhase = Callable[[State], bool]  # True: a statement ended the program


def section_of(phase: Phase) -> str:
    """The key of a program that holds a phase's rules."""
    return "rules" if phase == "full" else f"{phase}_rules"


def phase_runner(program: Mapping[str, Any], phase: Phase) -> RunPhase:
    """Compile one phase of a program into a closure that keeps the trace."""
    found = listed(program.get(section_of(phase)))
    rules = [exact.unusable("rules are not a list")] if found is None else [_rule(rule) for rule in found]
    default = program.get("default") if phase == "full" else None
    last = None if default is None else exact.statement(default, 1)

    def run(state: State) -> bool:
        exact.visit(state, 0)
        if any(rule(state) for rule in rules):
            return True
        return last is not None and not state.matched and last(state)

    return run


def listed(value: Any) -> list[Any] | None:
    """What a rule or a program lists under a key; nothing where it is absent, null or empty, None where it is no list."""
    return exact.items(value or [])


def _block(value: Any) -> list[exact.Statement]:
    steps = listed(value)
    if steps is None:
        return [exact.unusable("statements are not a list")]
    return [exact.statement(step, 2) for step in steps]


def _rule(rule: Any) -> exact.Statement:
    if not isinstance(rule, Mapping):
        return exact.no_object("a rule")
    node_id, when = rule.get("id"), exact.under(rule, "when", exact.condition, 2)
    then, otherwise, has_else = _block(rule.get("then")), _block(rule.get("else")), bool(rule.get("else"))
    found = listed(rule.get("else_if"))
    branches = (
        [(exact.unusable("else_if is not a list"), [])] if found is None else [_branch(branch) for branch in found]
    )

    def run(state: State) -> bool:
        exact.visit(state, 1)
        if when(state):
            exact.enter(state, node_id, "rule", True, "match")
            return any(step(state) for step in then)
        for index, (condition, steps) in enumerate(branches):
            if condition(state):
                exact.enter(state, node_id, "rule", True, f"elseif:{index}")
                return any(step(state) for step in steps)
        exact.enter(state, node_id, "rule", False, "else" if has_else else "skip")
        return any(step(state) for step in otherwise)

    return run


def _branch(branch: Any) -> tuple[exact.Expression, list[exact.Statement]]:
    """One `else_if`: a visit of its own, and a condition as deep as that of `when`."""
    if not isinstance(branch, Mapping):
        return exact.no_object("a branch"), []
    when = exact.under(branch, "when", exact.condition, 2)

    def condition(state: State) -> Any:
        exact.visit(state, 1)
        return when(state)

    return condition, _block(branch.get("then"))
