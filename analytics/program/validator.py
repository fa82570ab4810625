"""What the engine's validator counts when a version is saved, and what it refuses.

It looks at the whole program, read by a run or not, against the very limits that stop runs. Nothing is live that was not saved
before, so a program that has grown up to the limit cannot be published with another rule, however little its runs need. A
program that is stored and would be refused was written past the validator, or saved under another limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeGuard

from analytics.program.evaluate import MAX_DEPTH, MAX_NODES
from analytics.program.outcome import ARITH, COMPARE, FUNCTIONS, same_json
from analytics.program.walk import ANALYTICS_PATHS
from analytics.storage.typed_json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Which built-in is asked, and with which of its variables overridden.

    Attributes:
        strategy_id: Its id; None when not known, and of a program that wraps none.
        variables: `parent_variables` of the program, name → value; empty when there are none, which is the same.
    """

    strategy_id: str | None = None
    variables: JsonObject = field(default_factory=dict)

    def has_same_variables(self, other: BuiltIn) -> bool:
        """Whether both override the same variables with the same JSON values."""
        return same_json(dict(self.variables), dict(other.variables))


def built_in(ast: Json, strategy_id: str | None = None) -> BuiltIn:
    """What a program wraps: the variables are in its AST, the id stands beside it."""
    return BuiltIn(strategy_id, variables(ast))


def variables(ast: Json) -> JsonObject:
    """The variables that a program overrides; what is no map of them is shown under a name of its own."""
    found = ast.get("parent_variables") if isinstance(ast, Mapping) else None
    if isinstance(found, Mapping):
        return {str(name): value for name, value in found.items()}
    return {"parent_variables": found} if found else {}


_MAIN: Final = frozenset({"rules", "default"})
_ANY: Final = frozenset({"rules", "default", "pre_rules", "post_rules"})
_PRE: Final = frozenset({"pre_rules"})
_POST: Final = frozenset({"post_rules"})
_WITHIN: Final[Mapping[str, tuple[frozenset[str], tuple[str, ...]]]] = {
    "assign_points": (_MAIN, ("value", "case_name")),
    "set_callback_data": (_ANY, ("key", "value")),
    "return": (_ANY, ()),
    "set_data": (_PRE, ("key", "value")),
    "veto": (_PRE, ("case_name",)),
    "set_points": (_POST, ("value",)),
    "set_case_name": (_POST, ("value",)),
}
"""Statement → sections in which it may stand, and its keys. At run time the engine looks at none of this."""
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": ("value",),
    "field": ("path",),
    "not": ("arg",),
    "and": ("args",),
    "or": ("args",),
    "compare": ("op", "left", "right"),
    "arith": ("op", "left", "right"),
    "func_call": ("name", "args"),
}
_BARE: Final = frozenset({"literal", "field"})
_CONDITIONS: Final = frozenset({"and", "or", "not", "compare", *_BARE})
_EXPRESSIONS: Final = frozenset({"arith", "func_call", *_BARE})
_OF_EVENT: Final = frozenset({"externalGameId", "externalTaskId", "externalUserId"})
_OF_PARENT: Final = frozenset({"parent.points", "parent.case_name"})
_SCALARS: Final = (bool, int, float, str, type(None))
# The engine's patterns end in a `$`, which takes one line break at the end.
_CASE_NAME: Final = re.compile(r"[ -~]{1,200}\n?", re.ASCII)
_DATA_KEY: Final = re.compile(r"[A-Za-z0-9_]+\n?", re.ASCII)
_DATA_PATH: Final = re.compile(rf"data\.{_DATA_KEY.pattern}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublishedSize:
    """A program as the validator counts it.

    Attributes:
        nodes: The program itself, rules, `else if` branches, statements, conditions and expressions, in all sections, whether a
            run reads them or not; a bare literal or field as a condition twice. What has no readable shape counts as one node.
        depth: Of the deepest node: a rule is at 1, a condition or statement at 2, an operand one below its operator; an
            `else if` branch nests no deeper than its rule.
        smallest_rule: Nodes of its smallest rule, the least that another of its kind would add; None where it has none.
        refusal: Why the validator refuses it, in a clause; empty where it takes it.
    """

    nodes: int
    depth: int
    smallest_rule: int | None
    refusal: str


class _Place(NamedTuple):
    """A node, its nesting, and what it stands for: ``rule``, ``branch``, ``statement``, ``condition`` or ``expression``."""

    node: Json
    depth: int
    role: str
    section: str
    rule: int


def published_size(ast: Json, *, max_nodes: float = MAX_NODES, max_depth: float = MAX_DEPTH) -> PublishedSize:
    """What the validator counts, and whether it takes the program. Never raises on an odd shape.

    Args:
        ast: The program as its author's JSON holds it.
        max_nodes: The engine's cap of nodes, which bounds programs as it bounds runs.
        max_depth: The engine's cap of depth, likewise.
    """
    if not isinstance(ast, Mapping):
        return PublishedSize(0, 0, None, "it is no object")
    count, deepest, fault = 1, 0, _of_program(ast)
    rules: dict[int, int] = {}
    stack = [*_tops(ast)][::-1]
    while stack:
        place = stack.pop()
        node = place.node
        kind = node.get("type") if isinstance(node, Mapping) else None
        own = 2 if place.role == "condition" and kind in ("literal", "field") else 1
        count, deepest = count + own, max(deepest, place.depth)
        if place.rule >= 0:
            rules[place.rule] = rules.get(place.rule, 0) + own
        if isinstance(node, Mapping):
            fault = fault or _FAULTS[place.role](node, kind, place.section)
            stack += [*_below(place, node, kind)][::-1]
        else:
            fault = fault or f"a {place.role} is no object"
    if not fault and deepest > max_depth:
        fault = f"it nests {deepest:,} deep, and {max_depth:,} is the most"
    if not fault and count > max_nodes:
        fault = f"it has {count:,} nodes, and {max_nodes:,} is the most"
    return PublishedSize(count, deepest, min(rules.values(), default=None), fault)


def refusal(ast: Json) -> str:
    """Why the validator refuses a program, in a clause; empty where it takes it."""
    return published_size(ast).refusal


# ---- what stands where -----------------------------------------------------------------------------------------------


def _tops(ast: JsonObject) -> Iterator[_Place]:
    place = 0
    for section in ("rules", "pre_rules", "post_rules"):
        for rule in _list(ast.get(section)):
            yield _Place(rule, 1, "rule", section, place)
            place += 1
    if ast.get("default") is not None:
        yield _Place(ast["default"], 1, "statement", "default", -1)


def _below(place: _Place, node: JsonObject, kind: Json) -> Iterator[_Place]:
    """What hangs under a node."""
    depth, section, rule = place.depth + 1, place.section, place.rule
    if place.role in ("rule", "branch"):
        if "when" in node:
            yield _Place(node["when"], depth, "condition", section, rule)
        for step in _list(node.get("then")):
            yield _Place(step, depth, "statement", section, rule)
        if place.role == "rule":
            for branch in _list(node.get("else_if")):
                yield _Place(branch, place.depth, "branch", section, rule)
            for step in _list(node.get("else")):
                yield _Place(step, depth, "statement", section, rule)
        return
    role = "condition" if kind in ("and", "or", "not") else "expression"
    keys = _WITHIN[kind][1] if _is_in(kind, _WITHIN) else _KEYS[kind] if _is_in(kind, _KEYS) else ()
    for key in keys:
        if key in ("left", "right", "arg") and key in node:
            yield _Place(node[key], depth, role, section, rule)
        elif key == "args":
            for operand in _list(node.get(key)):
                yield _Place(operand, depth, role, section, rule)
        elif key == "value" and kind != "literal" and key in node:
            yield _Place(node[key], depth, role, section, rule)


# ---- what is refused -------------------------------------------------------------------------------------------------


def _of_program(ast: JsonObject) -> str:
    if ast.get("type") != "program":
        return f"its root is {_typed(ast.get('type'))} and no program"
    if fault := _of_keys("the program", ast, ("rules",), ("pre_rules", "post_rules", "default", "parent_variables")):
        return fault
    for section in ("rules", "pre_rules", "post_rules"):
        rules = ast.get(section)
        if not isinstance(rules, list) and (section == "rules" or rules is not None):
            return f"{section} is no list"
    variables = ast.get("parent_variables")
    if variables is not None and not isinstance(variables, Mapping):
        return "parent_variables is no object"
    for name, value in (variables or {}).items():
        if not str(name).startswith("variable_"):
            return f"a parent variable is called {_named(name)}, and not variable_…"
        if not isinstance(value, _SCALARS):
            return f"the parent variable {_named(name)} is no number, text, true, false or null"
    return ""


def _of_rule(node: JsonObject, kind: Json, _: str) -> str:
    if kind != "rule":
        return f"a rule is {_typed(kind)}"
    if fault := _of_keys("a rule", node, ("when", "then"), ("else_if", "else")) or _of_steps(node, "then"):
        return fault
    if node.get("else_if") is not None and not isinstance(node["else_if"], list):
        return "an else_if is no list"
    return "" if node.get("else") is None else _of_steps(node, "else")


def _of_branch(node: JsonObject, _kind: Json, _section: str) -> str:
    if others := sorted(str(key) for key in node if key not in ("id", "when", "then")):
        return f"an else_if branch holds the unknown key {_named(others[0])}"
    return _of_steps(node, "then") if "when" in node else "an else_if branch lacks when"


def _of_steps(node: JsonObject, key: str) -> str:
    steps = node.get(key)
    return "" if isinstance(steps, list) and steps else f"the {key} of a rule is no list of statements"


def _of_statement(node: JsonObject, kind: Json, section: str) -> str:
    if not _is_in(kind, _WITHIN):
        return f"it holds a statement {_typed(kind, 'the unknown ')}"
    sections, keys = _WITHIN[kind]
    if section not in sections:
        return f"{kind} stands in {section}, where it may not"
    if fault := _of_keys(kind, node, keys):
        return fault
    if "case_name" in keys and not _fits(_CASE_NAME, node["case_name"]):
        return f"the case name of {kind} is not 1 to 200 printable ASCII characters"
    if "key" in keys and not (isinstance(node["key"], str) and node["key"]):
        return f"the key of {kind} is no text"
    if kind == "set_data" and not _fits(_DATA_KEY, node["key"]):
        return "the key of set_data holds more than letters, digits and underscores"
    return ""


def _of_condition(node: JsonObject, kind: Json, section: str) -> str:
    if _is_in(kind, _EXPRESSIONS) and kind not in _BARE:
        return f"{kind} stands for a condition, which it may not"
    if not _is_in(kind, _CONDITIONS):
        return f"it holds a node {_typed(kind, 'the unknown ')}"
    if kind in _BARE:
        return _of_expression(node, kind, section)
    if fault := _of_keys(kind, node, _KEYS[kind]):
        return fault
    if kind in ("and", "or") and not (isinstance(node["args"], list) and node["args"]):
        return f"the args of {kind} are no list with something in it"
    return _of_operator(kind, node["op"], COMPARE) if kind == "compare" else ""


def _of_expression(node: JsonObject, kind: Json, section: str) -> str:
    if not _is_in(kind, _EXPRESSIONS):
        return f"it holds a node {_typed(kind, 'the unknown ')}"
    if fault := _of_keys(kind, node, _KEYS[kind]):
        return fault
    if kind == "literal":
        return "" if isinstance(node["value"], _SCALARS) else "a literal is no number, text, true, false or null"
    if kind == "field":
        return _of_path(node["path"], section)
    if kind == "arith":
        return _of_operator(kind, node["op"], ARITH)
    name, args = node["name"], node["args"]
    if not _is_in(name, FUNCTIONS):
        return f"it calls the unknown function {_named(name)}"
    wanted = FUNCTIONS[name][0]
    if isinstance(args, list) and len(args) == wanted:
        return ""
    return f"{name} is called with {len(args) if isinstance(args, list) else 'no list'} and takes {wanted}"


def _of_path(path: Json, section: str) -> str:
    if _is_in(path, _OF_PARENT):
        return "" if section == "post_rules" else f"{path} is read in {section}, where there is none"
    is_known = _is_in(path, ANALYTICS_PATHS | _OF_EVENT) or _fits(_DATA_PATH, path)
    return "" if is_known else f"it reads the unknown field {_named(path)}"


def _of_operator(kind: str, name: Json, known: Container[str]) -> str:
    return "" if _is_in(name, known) else f"{kind} has the unknown operator {_named(name)}"


def _of_keys(what: str, node: JsonObject, keys: tuple[str, ...], optional: tuple[str, ...] = ()) -> str:
    for key in keys:
        if key not in node:
            return f"{what} lacks {key}"
    others = sorted(str(key) for key in node if key not in ("type", "id", *keys, *optional))
    return f"{what} holds the unknown key {_named(others[0])}" if others else ""


_FAULTS: Final[Mapping[str, Callable[[JsonObject, Json, str], str]]] = {
    "rule": _of_rule,
    "branch": _of_branch,
    "statement": _of_statement,
    "condition": _of_condition,
    "expression": _of_expression,
}


def _is_in(name: Json, known: Container[str]) -> TypeGuard[str]:
    """Whether something an author wrote is one of these names; a list or object is no name."""
    return isinstance(name, str) and name in known


def _fits(pattern: re.Pattern[str], text: Json) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _typed(kind: Json, what: str = "") -> str:
    return "without a type" if kind is None else f"of {what}type {_named(kind)}"


def _named(kind: Json) -> str:
    text = str(kind)
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"
