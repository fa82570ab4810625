"""Programs as closures that keep the trace: every visit counted, every entry written, in the engine's order.

Compiling once moves all looking-up of types, keys and operators out of the run. Nothing here refuses an odd
program while compiling: a broken node compiles to a closure that fails when, and only when, it is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from analytics.program import operators
from analytics.program.outcome import Phase, RuleFailure, State

Expression = Callable[[State], Any]
Statement = Callable[[State], bool]  # True: the program ends here

#: Deeper programs are refused whatever the caller's cap says: Python's own stack would end first.
MAX_COMPILED_DEPTH: Final = 100
#: Statements that only mean something in one phase; the others are allowed everywhere.
PHASE_OF: Final[Mapping[str, Phase]] = {
    "assign_points": "full",
    "veto": "pre",
    "set_points": "post",
    "set_case_name": "post",
}


def visit(state: State, depth: int) -> None:
    """Count a visit, and stop the run at a cap."""
    state.visits += 1
    if state.visits > state.max_nodes:
        raise RuleFailure("DSL_LIMIT_EXCEEDED", f"more than {state.max_nodes} nodes", "limit")
    if depth > state.max_depth or depth > MAX_COMPILED_DEPTH:
        raise RuleFailure("DSL_LIMIT_EXCEEDED", f"deeper than {min(state.max_depth, MAX_COMPILED_DEPTH)}", "limit")


def enter(state: State, node_id: Any, kind: str, value: Any, branch: str | None = None) -> None:
    """Write an entry; one without a branch has no such key."""
    entry = {"nodeId": node_id, "type": kind, "value": value}
    if branch is not None:
        entry["branch"] = branch
    state.trace.append(entry)
    state.nodes += 1


def broken(code: str, detail: str, depth: int) -> Callable[[State], Any]:
    """A node that fails when it is reached."""

    def run(state: State) -> Any:
        visit(state, depth)
        raise RuleFailure(code, detail)

    return run


def expression(node: Any, depth: int) -> Expression:
    """Compile an expression or a condition."""
    kind = node.get("type") if isinstance(node, Mapping) else None
    build = _EXPRESSIONS.get(kind) if isinstance(kind, str) else None
    if build is None or depth > MAX_COMPILED_DEPTH:
        return broken("DSL_UNEXPECTED", f"unknown expression {kind!r}", depth)
    return build(node, depth)


def _literal(node: Mapping[str, Any], depth: int) -> Expression:
    node_id, value = node.get("id"), node.get("value")

    def run(state: State) -> Any:
        visit(state, depth)
        enter(state, node_id, "literal", value)
        return value

    return run


def _field(node: Mapping[str, Any], depth: int) -> Expression:
    node_id, path = node.get("id"), node.get("path")

    def run(state: State) -> Any:
        visit(state, depth)
        if not isinstance(path, str) or path not in state.fields:
            raise RuleFailure("DSL_FIELD_NOT_PRECOMPUTED", f"field {path!r} was not precomputed")
        value = state.fields[path]
        enter(state, node_id, "field", value)
        return value

    return run


def _binary(node: Mapping[str, Any], depth: int, apply: Callable[[object, Any, Any], Any], kind: str) -> Expression:
    node_id, name = node.get("id"), node.get("op")
    left = expression(node.get("left"), depth + 1)
    right = expression(node.get("right"), depth + 1)

    def run(state: State) -> Any:
        visit(state, depth)
        first = left(state)
        value = apply(name, first, right(state))
        enter(state, node_id, kind, value)
        return value

    return run


def _compare(node: Mapping[str, Any], depth: int) -> Expression:
    return _binary(node, depth, operators.compare, "compare")


def _arith(node: Mapping[str, Any], depth: int) -> Expression:
    return _binary(node, depth, operators.arith, "arith")


def _not(node: Mapping[str, Any], depth: int) -> Expression:
    node_id, argument = node.get("id"), expression(node.get("arg"), depth + 1)

    def run(state: State) -> bool:
        visit(state, depth)
        value = not argument(state)
        enter(state, node_id, "not", value)
        return value

    return run


def _junction(node: Mapping[str, Any], depth: int) -> Expression:
    node_id, kind, args = node.get("id"), node["type"], node.get("args")
    if not isinstance(args, list):
        return broken("DSL_UNEXPECTED", f"{kind} without a list of args", depth)
    cutting = kind == "or"  # the truth value that decides the whole node
    compiled = [expression(arg, depth + 1) for arg in args]

    def run(state: State) -> bool:
        visit(state, depth)
        for index, argument in enumerate(compiled):
            if bool(argument(state)) is cutting:
                enter(state, node_id, kind, cutting, f"short_circuit:{index}")
                return cutting
        enter(state, node_id, kind, not cutting)
        return not cutting

    return run


def _func_call(node: Mapping[str, Any], depth: int) -> Expression:
    node_id, name, args = node.get("id"), node.get("name"), node.get("args")
    if not isinstance(args, list):
        return broken("DSL_UNEXPECTED", "func_call without a list of args", depth)
    compiled = [expression(arg, depth + 1) for arg in args]

    def run(state: State) -> Any:
        visit(state, depth)
        function = operators.check_function(name, len(compiled))
        value = operators.call(function, [argument(state) for argument in compiled])
        enter(state, node_id, "func_call", value)
        return value

    return run


_EXPRESSIONS: Final[Mapping[str, Callable[[Mapping[str, Any], int], Expression]]] = {
    "literal": _literal,
    "field": _field,
    "compare": _compare,
    "arith": _arith,
    "not": _not,
    "and": _junction,
    "or": _junction,
    "func_call": _func_call,
}


def default_steps(node: Any) -> list[Any]:
    """What a program does when no rule ended it: a list or a single statement; a null in the list is a broken one."""
    if node is None:
        return []
    return node if isinstance(node, list) else [node]


def statement(node: Any, depth: int, phase: Phase) -> Statement:
    """Compile a statement for a phase; one that does not belong to the phase is unknown there."""
    kind = node.get("type") if isinstance(node, Mapping) else None
    if not isinstance(kind, str):
        return broken("DSL_UNKNOWN_STATEMENT", "a statement without a type", depth)
    if kind in ("veto", "return") and PHASE_OF.get(kind, phase) == phase:
        return _ending(node, kind, depth)
    if kind in _EFFECTS and PHASE_OF.get(kind, phase) == phase:
        return _effect(node, kind, depth)
    return broken("DSL_UNKNOWN_STATEMENT", f"unknown statement {kind!r} in the {phase} phase", depth)


def _ending(node: Mapping[str, Any], kind: str, depth: int) -> Statement:
    node_id, case = node.get("id"), node.get("case_name")

    def run(state: State) -> bool:
        visit(state, depth)
        if kind == "veto":
            state.points, state.case = 0, case
            enter(state, node_id, kind, case, "veto")
        else:
            enter(state, node_id, kind, None, "halt")
        return True

    return run


def assign_points(state: State, node: Mapping[str, Any], value: Any) -> None:
    """Set the result of a DSL_FULL program."""
    if not operators.is_number(value):
        raise RuleFailure("DSL_ASSIGN_POINTS_NOT_NUMBER", f"points cannot be {type(value).__name__}")
    state.points, state.case = value, node.get("case_name")


def _set_points(state: State, _node: Mapping[str, Any], value: Any) -> None:
    if not operators.is_number(value):
        raise RuleFailure("DSL_SET_POINTS_NOT_NUMBER", f"points cannot be {type(value).__name__}")
    state.points = value


def _set_case_name(state: State, _node: Mapping[str, Any], value: Any) -> None:
    if not isinstance(value, str):
        raise RuleFailure("DSL_SET_CASE_NAME_NOT_STRING", f"a case name cannot be {type(value).__name__}")
    state.case = value


def _set_callback_data(state: State, node: Mapping[str, Any], value: Any) -> None:
    state.callback[str(node.get("key"))] = value


def _set_data(state: State, node: Mapping[str, Any], value: Any) -> None:
    state.data[str(node.get("key"))] = value


_EFFECTS: Final[Mapping[Any, Callable[[State, Mapping[str, Any], Any], None]]] = {
    "assign_points": assign_points,
    "set_points": _set_points,
    "set_case_name": _set_case_name,
    "set_callback_data": _set_callback_data,
    "set_data": _set_data,
}
#: What a statement does with its value, for the path that keeps no trace.
EFFECTS = _EFFECTS


def _effect(node: Mapping[str, Any], kind: str, depth: int) -> Statement:
    node_id, apply, ends = node.get("id"), _EFFECTS[kind], kind == "assign_points"
    value = expression(node.get("value"), depth + 1)

    def run(state: State) -> bool:
        visit(state, depth)
        result = value(state)
        apply(state, node, result)
        enter(state, node_id, kind, result, "match" if ends else None)
        return ends

    return run
