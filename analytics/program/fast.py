"""The same programs without a trace, for the many runs whose trace nobody keeps.

Counts are added up in lumps: a subtree without `and`/`or` always visits the same nodes, so its size is known when
compiling and comparisons of a field with a literal become one closure. Nothing is checked on the way. Whoever runs
these must throw the result away and run the exact closures when anything at all goes wrong, or when the counts end
above a cap; that way the failure, its code and its counts always come from one place.

While it runs, `state.nodes` holds two counts in one number, so that one addition serves both: entries below, and above them
the visits that leave no entry (the program, a branch, the first of the two that a bare expression as a condition gets).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from analytics.program import exact, outcome
from analytics.program.branches import first_branch, rule_branches
from analytics.program.exact import section_of
from analytics.program.outcome import Phase, State, Value
from analytics.storage.typed_json import Json, JsonObject

Expression = tuple[Callable[[State], Value], int]  # the closure, and its counts, which are always the same
Condition = tuple[Callable[[State], Value], int | None]  # None: it adds them itself

_ENTRY: Final = 1
_VISIT: Final = 1 << 32  # no program is that large


class Unsupported(Exception):  # noqa: N818 - a signal between two modules of this package
    """This program has a part that can only fail; leave it to the exact closures."""


def _fail(_state: State) -> NoReturn:
    raise Unsupported


def _counted(compiled: Condition) -> Callable[[State], Value]:
    """A closure that adds its own counts, whether they are fixed or not."""
    run, size = compiled
    if size is None:
        return run

    def counted(state: State) -> Value:
        state.nodes += size
        return run(state)

    return counted


# ---- expressions -----------------------------------------------------------------------------------------------------


def expression(node: Json, depth: int) -> Expression:
    """Compile an expression."""
    if not isinstance(node, Mapping):
        return _fail, 1
    kind = node.get("type")
    build = _EXPRESSIONS.get(kind) if isinstance(kind, str) else None
    return (_fail, 1) if build is None or depth > exact.MAX_COMPILED_DEPTH else build(node, depth)


def _literal(node: JsonObject, _depth: int) -> Expression:
    if "value" not in node:
        return _fail, 1
    value = node["value"]
    return (lambda _state: value), _ENTRY


def _field(node: JsonObject, _depth: int) -> Expression:
    path = node.get("path")
    return ((lambda state: state.fields[path]), _ENTRY) if isinstance(path, str) else (_fail, 1)


def _binary(node: JsonObject, depth: int) -> Expression:
    table = outcome.COMPARE if node["type"] == "compare" else outcome.ARITH
    name = node.get("op")
    apply = table.get(name) if isinstance(name, str) else None
    if apply is None:
        return _fail, 1
    left, right = node.get("left"), node.get("right")
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        path, value = left.get("path"), right.get("value")
        if (
            left.get("type") == "field"
            and right.get("type") == "literal"
            and "value" in right
            and isinstance(path, str)
        ):
            return (lambda state: apply(state.fields[path], value)), 3 * _ENTRY
    (first, before), (second, after) = expression(left, depth + 1), expression(right, depth + 1)
    return (lambda state: apply(first(state), second(state))), _ENTRY + before + after


def _func_call(node: JsonObject, depth: int) -> Expression:
    name, args = node.get("name"), node.get("args")
    known = outcome.FUNCTIONS.get(name) if isinstance(name, str) else None
    if known is None or not isinstance(args, list) or len(args) != known[0]:
        return _fail, 1
    function = known[1]
    compiled = [expression(arg, depth + 1) for arg in args]
    arguments = [run for run, _ in compiled]
    return (
        lambda state: function(*[argument(state) for argument in arguments]),
        _ENTRY + sum(size for _, size in compiled),
    )


_EXPRESSIONS: Final[Mapping[str, Callable[[JsonObject, int], Expression]]] = {
    "literal": _literal,
    "field": _field,
    "arith": _binary,
    "func_call": _func_call,
}


# ---- conditions ------------------------------------------------------------------------------------------------------


def condition(node: Json, depth: int) -> Condition:
    """Compile a condition."""
    if isinstance(node, Mapping) and depth <= exact.MAX_COMPILED_DEPTH:
        kind = node.get("type")
        build = _CONDITIONS.get(kind) if isinstance(kind, str) else None
        if build is not None:
            return build(node, depth)
    run, size = expression(node, depth)
    return run, size + _VISIT


def _not(node: JsonObject, depth: int) -> Condition:
    argument, size = condition(node.get("arg"), depth + 1)
    if size is not None:
        return (lambda state: not argument(state)), size + _ENTRY

    def run(state: State) -> bool:
        state.nodes += _ENTRY
        return not argument(state)

    return run, None


def _junction(node: JsonObject, depth: int) -> Condition:
    args = node.get("args")
    if not isinstance(args, list):
        return _fail, 1
    cutting = node["type"] == "or"
    total = _ENTRY
    steps: list[tuple[Callable[[State], Value], int]] = []
    for run, size in (condition(arg, depth + 1) for arg in args):
        total += size or 0
        steps.append((run, total))  # what to add when this argument is the one that decides
    complete = total

    def run_or(state: State) -> bool:
        for argument, counts in steps:
            if argument(state):
                state.nodes += counts
                return True
        state.nodes += complete
        return False

    def run_and(state: State) -> bool:
        for argument, counts in steps:
            if not argument(state):
                state.nodes += counts
                return False
        state.nodes += complete
        return True

    return (run_or if cutting else run_and), None


_CONDITIONS: Final[Mapping[str, Callable[[JsonObject, int], Condition]]] = {
    "compare": _binary,
    "not": _not,
    "and": _junction,
    "or": _junction,
}


# ---- statements, rules and phases ------------------------------------------------------------------------------------


def statement(node: Json, depth: int) -> exact.Statement:
    """Compile a statement."""
    if not isinstance(node, Mapping):
        return _fail
    kind = node.get("type")
    if kind in ("veto", "return"):

        def end(state: State) -> bool:
            state.nodes += _ENTRY
            if kind == "veto":
                exact.veto(state, node)
            return True

        return end
    apply = exact.EFFECTS.get(kind) if isinstance(kind, str) else None
    if apply is None:
        return _fail
    run, size = expression(node.get("value"), depth + 1)
    counts, ends = size + _ENTRY, kind == "assign_points"

    def effect(state: State) -> bool:
        state.nodes += counts
        apply(state, node, run(state))
        return ends

    return effect


def phase_runner(program: JsonObject, phase: Phase) -> Callable[[State], bool]:
    """Compile one phase.

    Raises:
        Unsupported: The outline of the program is broken.
    """
    rules, bit = [], first_branch(program, section_of(phase))
    for rule in _list(program.get(section_of(phase))):
        rules.append(_rule(rule, bit))
        bit += len(rule_branches(rule))
    default = program.get("default") if phase == "full" else None
    last = None if default is None else statement(default, 1)

    def run(state: State) -> bool:
        state.nodes = _VISIT
        ended = False
        for rule in rules:
            if rule(state):
                ended = True
                break
        if last is not None and not ended and not state.matched:
            ended = last(state)
        unseen, state.nodes = divmod(state.nodes, _VISIT)
        state.visits = unseen + state.nodes
        return ended

    return run


def _list(value: Json) -> list[Json]:
    if not value:
        return []
    if not isinstance(value, list):
        raise Unsupported
    return value


def _rule(rule: Json, first: int) -> exact.Statement:
    if not isinstance(rule, Mapping):
        raise Unsupported
    when = _counted(condition(rule.get("when"), 2))
    then, otherwise = (_block(rule.get(key)) for key in ("then", "else"))
    branches = [_branch(branch) for branch in _list(rule.get("else_if"))]
    hit = 1 << first
    hits = [(holds, block, hit << at) for at, (holds, block) in enumerate(branches, 1)]
    last = hit << len(branches) + 1 if rule.get("else") else 0

    def run(state: State) -> bool:
        state.nodes += _ENTRY
        steps, taken = otherwise, last
        if when(state):
            steps, taken = then, hit
        else:
            for holds, block, bit in hits:
                state.nodes += _VISIT
                if holds(state):
                    steps, taken = block, bit
                    break
        state.hits |= taken
        return any(step(state) for step in steps)

    return run


def _block(value: Json) -> list[exact.Statement]:
    return [statement(step, 2) for step in _list(value)]


def _branch(branch: Json) -> tuple[Callable[[State], Value], list[exact.Statement]]:
    if not isinstance(branch, Mapping):
        raise Unsupported
    return _counted(condition(branch.get("when"), 2)), _block(branch.get("then"))
