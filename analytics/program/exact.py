"""Programs as closures that keep the trace: every visit counted, every entry written, in the engine's order.

Compiling once moves all looking-up of types, keys and operators out of the run. Nothing here refuses an odd
program while compiling: a broken node compiles to a closure that fails when, and only when, it is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from analytics.program import outcome
from analytics.program.branches import first_branch, rule_branches
from analytics.program.outcome import Operand, Phase, RuleFailure, State, TraceEntry, Value
from analytics.storage.typed_json import Json, JsonObject

Expression = Callable[[State], Value]
Statement = Callable[[State], bool]  # True: the program ends here

#: Deeper programs are refused whatever the caller's cap says: Python's own stack would end first.
MAX_COMPILED_DEPTH: Final = 100
#: Statements that end their phase.
ENDINGS: Final = frozenset({"assign_points", "veto", "return"})
#: Statements that set the result and go on: behind them a DSL_FULL program's `default` does not run.
SETTING: Final = frozenset({"set_points", "set_case_name"})


def visit(state: State, depth: int) -> None:
    """Count a visit, and stop the run at a cap."""
    state.visits += 1
    if state.visits > state.max_nodes:
        raise RuleFailure("DSL_LIMIT_EXCEEDED", f"more than {state.max_nodes} nodes", "limit")
    if depth > state.max_depth or depth > MAX_COMPILED_DEPTH:
        raise RuleFailure("DSL_LIMIT_EXCEEDED", f"deeper than {min(state.max_depth, MAX_COMPILED_DEPTH)}", "limit")


def enter(state: State, node_id: Json, kind: str, value: Value, branch: str | None = None) -> None:
    """Write an entry; one without a branch has no such key."""
    entry: TraceEntry = {"nodeId": node_id, "type": kind, "value": value}
    if branch is not None:
        entry["branch"] = branch
    state.trace.append(entry)
    state.nodes += 1


# ---- what can only fail ----------------------------------------------------------------------------------------------


def unknown(code: str, detail: str, depth: int) -> Callable[[State], NoReturn]:
    """A node of a type that is not known where it stands: visited, then refused."""

    def run(state: State) -> NoReturn:
        visit(state, depth)
        raise RuleFailure(code, detail)

    return run


def no_object(what: str) -> Callable[[State], NoReturn]:
    """Something else where a node should be: counted before it is looked at, and no cap gets to speak of it."""

    def run(state: State) -> NoReturn:
        state.visits += 1
        raise RuleFailure("DSL_UNEXPECTED", f"{what} is not an object")

    return run


def unusable(detail: str) -> Callable[[State], NoReturn]:
    """What its owner fails on before anything is visited: a key that is missing, or no list where one is needed."""

    def run(_state: State) -> NoReturn:
        raise RuleFailure("DSL_UNEXPECTED", detail)

    return run


def under(node: JsonObject, key: str, build: Callable[[Json, int], Expression], depth: int) -> Expression:
    """What stands under a key, compiled."""
    return build(node[key], depth) if key in node else unusable(f"{node.get('type', 'node')} without {key!r}")


def items(value: Json) -> list[Json] | None:
    """What a loop over a value meets: items, characters or keys; None where there is nothing to loop over."""
    return list(value) if isinstance(value, list | str | Mapping) else None


# ---- conditions ------------------------------------------------------------------------------------------------------


def condition(node: Json, depth: int) -> Expression:
    """Compile a condition. One that is a mere expression is visited as a condition first, then again as what it is."""
    if not isinstance(node, Mapping):
        return no_object("a condition")
    if depth > MAX_COMPILED_DEPTH:
        return unknown("DSL_LIMIT_EXCEEDED", "too deep", depth)
    kind = node.get("type")
    build = CONDITIONS.get(kind) if isinstance(kind, str) else None
    if build is not None:
        return build(node, depth)
    bare = expression(node, depth)

    def run(state: State) -> Value:
        visit(state, depth)
        return bare(state)

    return run


def _compare(node: JsonObject, depth: int) -> Expression:
    return _binary(node, depth, outcome.compare, "compare")


def _not(node: JsonObject, depth: int) -> Expression:
    node_id, argument = node.get("id"), under(node, "arg", condition, depth + 1)

    def run(state: State) -> bool:
        visit(state, depth)
        value = not argument(state)
        enter(state, node_id, "not", value)
        return value

    return run


def _junction(node: JsonObject, depth: int) -> Expression:
    node_id, kind, args = node.get("id"), str(node["type"]), items(node.get("args"))
    cutting = kind == "or"  # the truth value that decides the whole node
    compiled = (
        [unusable(f"{kind} without a list of args")] if args is None else [condition(arg, depth + 1) for arg in args]
    )

    def run(state: State) -> bool:
        visit(state, depth)
        for index, argument in enumerate(compiled):
            if bool(argument(state)) is cutting:
                enter(state, node_id, kind, cutting, f"short_circuit:{index}")
                return cutting
        enter(state, node_id, kind, not cutting)
        return not cutting

    return run


#: What the engine knows as a condition only: nowhere else may it stand.
CONDITIONS: Final[Mapping[str, Callable[[JsonObject, int], Expression]]] = {
    "compare": _compare,
    "not": _not,
    "and": _junction,
    "or": _junction,
}


# ---- expressions -----------------------------------------------------------------------------------------------------


def expression(node: Json, depth: int) -> Expression:
    """Compile an expression; a condition is none."""
    if not isinstance(node, Mapping):
        return no_object("an expression")
    if depth > MAX_COMPILED_DEPTH:
        return unknown("DSL_LIMIT_EXCEEDED", "too deep", depth)
    kind = node.get("type")
    build = _EXPRESSIONS.get(kind) if isinstance(kind, str) else None
    if build is None:
        # The one refusal that carries no code of its own: the log shows the class of the exception.
        return unknown("DslValidationError", f"unknown expression {kind!r}", depth)
    return build(node, depth)


def _literal(node: JsonObject, depth: int) -> Expression:
    node_id, value, is_whole = node.get("id"), node.get("value"), "value" in node

    def run(state: State) -> Value:
        visit(state, depth)
        if not is_whole:
            raise RuleFailure("DSL_UNEXPECTED", "literal without 'value'")
        enter(state, node_id, "literal", value)
        return value

    return run


def _field(node: JsonObject, depth: int) -> Expression:
    node_id, path = node.get("id"), node.get("path")
    is_path = "path" in node and not isinstance(path, list | Mapping)

    def run(state: State) -> Value:
        visit(state, depth)
        if not is_path:
            raise RuleFailure("DSL_UNEXPECTED", "field without a path")
        if not isinstance(path, str) or path not in state.fields:
            raise RuleFailure("DSL_FIELD_NOT_PRECOMPUTED", f"field {path!r} was not precomputed")
        value = state.fields[path]
        enter(state, node_id, "field", value)
        return value

    return run


def _binary(node: JsonObject, depth: int, apply: Callable[[Json, Operand, Operand], Value], kind: str) -> Expression:
    node_id, name, has_name = node.get("id"), node.get("op"), "op" in node
    left, right = under(node, "left", expression, depth + 1), under(node, "right", expression, depth + 1)

    def run(state: State) -> Value:
        visit(state, depth)
        first, second = left(state), right(state)  # the operator is looked at behind its operands
        if not has_name:
            raise RuleFailure("DSL_UNEXPECTED", f"{kind} without 'op'")
        value = apply(name, first, second)
        enter(state, node_id, kind, value)
        return value

    return run


def _arith(node: JsonObject, depth: int) -> Expression:
    return _binary(node, depth, outcome.arith, "arith")


def _func_call(node: JsonObject, depth: int) -> Expression:
    node_id, name, args = node.get("id"), node.get("name"), items(node.get("args") or [])
    compiled = None if args is None else [expression(arg, depth + 1) for arg in args]

    def run(state: State) -> Value:
        visit(state, depth)
        function = outcome.check_function(name, None if compiled is None else len(compiled))
        value = outcome.call(function, [argument(state) for argument in compiled or ()])
        enter(state, node_id, "func_call", value)
        return value

    return run


_EXPRESSIONS: Final[Mapping[str, Callable[[JsonObject, int], Expression]]] = {
    "literal": _literal,
    "field": _field,
    "arith": _arith,
    "func_call": _func_call,
}


# ---- statements ------------------------------------------------------------------------------------------------------


def statement(node: Json, depth: int) -> Statement:
    """Compile a statement. In which phase it may stand is the validator's business: whatever stands there runs."""
    if not isinstance(node, Mapping):
        return no_object("a statement")
    kind = node.get("type")
    if kind in ("veto", "return"):
        return _ending(node, str(kind), depth)
    if isinstance(kind, str) and kind in EFFECTS:
        return _effect(node, kind, depth)
    return unknown("DSL_UNKNOWN_STATEMENT", f"unknown statement {kind!r}", depth)


def _ending(node: JsonObject, kind: str, depth: int) -> Statement:
    node_id = node.get("id")

    def run(state: State) -> bool:
        visit(state, depth)
        if kind == "veto":
            veto(state, node)
            enter(state, node_id, kind, state.case, "veto")
        else:
            enter(state, node_id, kind, None, "halt")
        return True

    return run


def veto(state: State, node: JsonObject) -> None:
    """Pay nothing for a case; of the pre phase, that also keeps the parent from running."""
    state.points, state.case, state.matched, state.vetoed = 0, _case_name(node), True, True


def _case_name(node: JsonObject) -> str:
    return node["case_name"]  # type: ignore[return-value]  # whatever an author wrote there is what the log has


def _key(node: JsonObject) -> str:
    return node["key"]  # type: ignore[return-value]  # likewise


def _assign_points(state: State, node: JsonObject, value: Value) -> None:
    if not outcome.is_number(value):
        raise RuleFailure("DSL_ASSIGN_POINTS_NOT_NUMBER", f"points cannot be {type(value).__name__}")
    state.points, state.case, state.matched = value, _case_name(node), True


def _set_points(state: State, _node: JsonObject, value: Value) -> None:
    if not outcome.is_number(value):
        raise RuleFailure("DSL_SET_POINTS_NOT_NUMBER", f"points cannot be {type(value).__name__}")
    state.points, state.matched = value, True


def _set_case_name(state: State, _node: JsonObject, value: Value) -> None:
    if not isinstance(value, str):
        raise RuleFailure("DSL_SET_CASE_NAME_NOT_STRING", f"a case name cannot be {type(value).__name__}")
    state.case, state.matched = value, True


def _set_callback_data(state: State, node: JsonObject, value: Value) -> None:
    state.callback[_key(node)] = value


def _set_data(state: State, node: JsonObject, value: Value) -> None:
    state.data[_key(node)] = value


#: What a statement does with its value. A key that is missing is an error like any that nobody foresaw.
EFFECTS: Final[Mapping[str, Callable[[State, JsonObject, Value], None]]] = {
    "assign_points": _assign_points,
    "set_points": _set_points,
    "set_case_name": _set_case_name,
    "set_callback_data": _set_callback_data,
    "set_data": _set_data,
}


def _effect(node: JsonObject, kind: str, depth: int) -> Statement:
    node_id, apply, ends = node.get("id"), EFFECTS[kind], kind == "assign_points"
    value = under(node, "value", expression, depth + 1)

    def run(state: State) -> bool:
        visit(state, depth)
        result = value(state)
        apply(state, node, result)
        enter(state, node_id, kind, result, "match" if ends else None)
        return ends

    return run


RunPhase = Callable[[State], bool]  # True: a statement ended the program


def section_of(phase: Phase) -> str:
    """The key of a program that holds a phase's rules."""
    return "rules" if phase == "full" else f"{phase}_rules"


def phase_runner(program: JsonObject, phase: Phase) -> RunPhase:
    """Compile one phase of a program into a closure that keeps the trace."""
    found = listed(program.get(section_of(phase)))
    rules: list[Statement] = [unusable("rules are not a list")] if found is None else []
    bit = first_branch(program, section_of(phase))
    for rule in found or ():
        rules.append(_rule(rule, bit))
        bit += len(rule_branches(rule))
    default = program.get("default") if phase == "full" else None
    last = None if default is None else statement(default, 1)

    def run(state: State) -> bool:
        visit(state, 0)
        if any(rule(state) for rule in rules):
            return True
        return last is not None and not state.matched and last(state)

    return run


def listed(value: Json) -> list[Json] | None:
    """What a rule or a program lists under a key; nothing where it is absent, null or empty, None where it is no list."""
    return items(value or [])


def _block(value: Json) -> list[Statement]:
    steps = listed(value)
    if steps is None:
        return [unusable("statements are not a list")]
    return [statement(step, 2) for step in steps]


def _rule(rule: Json, first: int) -> Statement:
    if not isinstance(rule, Mapping):
        return no_object("a rule")
    node_id, when = rule.get("id"), under(rule, "when", condition, 2)
    then, otherwise, has_else = _block(rule.get("then")), _block(rule.get("else")), bool(rule.get("else"))
    found = listed(rule.get("else_if"))
    branches = [(unusable("else_if is not a list"), [])] if found is None else [_branch(branch) for branch in found]

    def run(state: State) -> bool:
        visit(state, 1)
        if when(state):
            enter(state, node_id, "rule", True, "match")
            state.hits |= 1 << first
            return any(step(state) for step in then)
        for index, (condition, steps) in enumerate(branches):
            if condition(state):
                enter(state, node_id, "rule", True, f"elseif:{index}")
                state.hits |= 1 << first + 1 + index
                return any(step(state) for step in steps)
        enter(state, node_id, "rule", False, "else" if has_else else "skip")
        state.hits |= 1 << first + 1 + len(branches) if has_else else 0
        return any(step(state) for step in otherwise)

    return run


def _branch(branch: Json) -> tuple[Expression, list[Statement]]:
    """One `else_if`: a visit of its own, and a condition as deep as that of `when`."""
    if not isinstance(branch, Mapping):
        return no_object("a branch"), []
    when = under(branch, "when", condition, 2)

    def visited(state: State) -> Value:
        visit(state, 1)
        return when(state)

    return visited, _block(branch.get("then"))
