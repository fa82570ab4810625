"""The same programs without a trace, for the many runs whose trace nobody keeps.

Counts are added up in lumps: a subtree without `and`/`or` always visits the same nodes, so its size is known when
compiling and comparisons of a field with a literal become one closure. Nothing is checked on the way. Whoever runs
these must throw the result away and run the exact closures when anything at all goes wrong, or when the counts end
above a cap; that way the failure, its code and its counts always come from one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from analytics.program import exact, operators
from analytics.program.outcome import Phase, State

Compiled = tuple[Callable[[State], Any], int | None]  # the closure, and its entries when they are always the same


class Unsupported(Exception):  # noqa: N818 - a signal between two modules of this package
    """This program has a part that can only fail; leave it to the exact closures."""


def _fail(_state: State) -> Any:
    raise Unsupported


def _counted(compiled: Compiled) -> Callable[[State], Any]:
    """A closure that adds its own entries, whether they are fixed or not."""
    run, size = compiled
    if size is None:
        return run

    def counted(state: State) -> Any:
        state.nodes += size
        return run(state)

    return counted


def _sum(own: int, parts: list[Compiled]) -> tuple[int | None, list[Callable[[State], Any]], int]:
    """Size of a node with these operands: (fixed size or None, operands as closures, entries the node itself adds)."""
    sizes = [size for _, size in parts]
    if all(size is not None for size in sizes):
        return own + sum(size or 0 for size in sizes), [run for run, _ in parts], 0
    return None, [_counted(part) for part in parts], own


def expression(node: Any, depth: int) -> Compiled:
    """Compile an expression."""
    kind = node.get("type") if isinstance(node, Mapping) else None
    build = _EXPRESSIONS.get(kind) if isinstance(kind, str) else None
    return (_fail, 1) if build is None or depth > exact.MAX_COMPILED_DEPTH else build(node, depth)


def _literal(node: Mapping[str, Any], _depth: int) -> Compiled:
    value = node.get("value")
    return (lambda _state: value), 1


def _field(node: Mapping[str, Any], _depth: int) -> Compiled:
    path = node.get("path")
    return (lambda state: state.fields[path]), 1


def _binary(node: Mapping[str, Any], depth: int) -> Compiled:
    table = operators.COMPARE if node["type"] == "compare" else operators.ARITH
    name = node.get("op")
    apply = table.get(name) if isinstance(name, str) else None
    if apply is None:
        return _fail, 1
    left, right = node.get("left"), node.get("right")
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        path, value = left.get("path"), right.get("value")
        if left.get("type") == "field" and right.get("type") == "literal":
            return (lambda state: apply(state.fields[path], value)), 3
    size, (first, second), extra = _sum(1, [expression(left, depth + 1), expression(right, depth + 1)])

    def run(state: State) -> Any:
        state.nodes += extra
        return apply(first(state), second(state))

    return run, size


def _not(node: Mapping[str, Any], depth: int) -> Compiled:
    size, (argument,), extra = _sum(1, [expression(node.get("arg"), depth + 1)])

    def run(state: State) -> bool:
        state.nodes += extra
        return not argument(state)

    return run, size


def _junction(node: Mapping[str, Any], depth: int) -> Compiled:
    args = node.get("args")
    if not isinstance(args, list):
        return _fail, 1
    cutting = node["type"] == "or"
    total = 1
    steps: list[tuple[Callable[[State], Any], int]] = []
    for run, size in (expression(arg, depth + 1) for arg in args):
        total += size or 0
        steps.append((run, total))  # what to add when this argument is the one that decides
    complete = total

    def run_or(state: State) -> bool:
        for argument, entries in steps:
            if argument(state):
                state.nodes += entries
                return True
        state.nodes += complete
        return False

    def run_and(state: State) -> bool:
        for argument, entries in steps:
            if not argument(state):
                state.nodes += entries
                return False
        state.nodes += complete
        return True

    return (run_or if cutting else run_and), None


def _func_call(node: Mapping[str, Any], depth: int) -> Compiled:
    name, args = node.get("name"), node.get("args")
    known = operators.FUNCTIONS.get(name) if isinstance(name, str) else None
    if known is None or not isinstance(args, list) or len(args) != known[0]:
        return _fail, 1
    function = known[1]
    size, arguments, extra = _sum(1, [expression(arg, depth + 1) for arg in args])

    def run(state: State) -> Any:
        state.nodes += extra
        return function(*[argument(state) for argument in arguments])

    return run, size


_EXPRESSIONS: Final[Mapping[str, Callable[[Mapping[str, Any], int], Compiled]]] = {
    "literal": _literal,
    "field": _field,
    "compare": _binary,
    "arith": _binary,
    "not": _not,
    "and": _junction,
    "or": _junction,
    "func_call": _func_call,
}


def statement(node: Any, depth: int, phase: Phase) -> exact.Statement:
    """Compile a statement for a phase."""
    kind = node.get("type") if isinstance(node, Mapping) else None
    if not isinstance(kind, str) or exact.PHASE_OF.get(kind, phase) != phase:
        return _fail
    if kind in ("veto", "return"):

        def end(state: State) -> bool:
            state.nodes += 1
            if kind == "veto":
                state.points, state.case = 0, node.get("case_name")
            return True

        return end
    apply = exact.EFFECTS.get(kind)
    if apply is None:
        return _fail
    value, ends = _counted(expression(node.get("value"), depth + 1)), kind == "assign_points"

    def run(state: State) -> bool:
        state.nodes += 1
        apply(state, node, value(state))
        return ends

    return run


def phase_runner(program: Mapping[str, Any], phase: Phase) -> Callable[[State], bool]:
    """Compile one phase. `state.visits` ends at the number of visits that leave no entry.

    Raises:
        Unsupported: The outline of the program is broken.
    """
    rules = _list(program.get("rules" if phase == "full" else f"{phase}_rules"))
    compiled = [_rule(rule, phase) for rule in rules]
    found = program.get("default") if phase == "full" else None
    default = [statement(step, 1, phase) for step in exact.default_steps(found)]

    def run(state: State) -> bool:
        state.visits += 1
        for rule in compiled:
            if rule(state):
                return True
        return any(step(state) for step in default)

    return run


def _list(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise Unsupported
    return value or []


def _rule(rule: Any, phase: Phase) -> exact.Statement:
    if not isinstance(rule, Mapping):
        raise Unsupported
    when = _counted(expression(rule.get("when"), 2))
    then, otherwise = (_block(rule.get(key), phase) for key in ("then", "else"))
    branches = [_branch(branch, phase) for branch in _list(rule.get("else_if"))]

    def run(state: State) -> bool:
        state.nodes += 1
        steps = otherwise
        if when(state):
            steps = then
        else:
            for condition, block in branches:
                state.visits += 1
                if condition(state):
                    steps = block
                    break
        return any(step(state) for step in steps)

    return run


def _block(value: Any, phase: Phase) -> list[exact.Statement]:
    return [statement(step, 2, phase) for step in _list(value)]


def _branch(branch: Any, phase: Phase) -> tuple[Callable[[State], Any], list[exact.Statement]]:
    if not isinstance(branch, Mapping):
        raise Unsupported
    return _counted(expression(branch.get("when"), 3)), _block(branch.get("then"), phase)
