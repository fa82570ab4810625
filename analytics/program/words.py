"""A program in words: what an author would say, line by line. Never raises on odd ASTs: what it cannot read it shows as JSON."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping

from analytics.program.compare import Comparison, Edit
from analytics.program.validator import BuiltIn, built_in
from analytics.program.walk import Outline
from analytics.storage.typed_json import Json, JsonObject

_ARITH = {"+", "-", "*", "/"}
_DEEPEST = 40  # far beyond the engine's depth cap of 32


def lines(program: Json, wraps: BuiltIn | None = None) -> list[str]:
    """The program as indented text, one statement, condition or variable a line.

    Args:
        program: The AST.
        wraps: The built-in that it wraps; without, its variables are told, which stand in the AST.
    """
    if not isinstance(program, Mapping):
        return [] if program is None else [_json(program)]
    out: list[str] = []
    for section, title in (("pre_rules", "before the built-in"), ("rules", ""), ("post_rules", "after the built-in")):
        if section == "rules":
            out += _wrapped(wraps or built_in(program))
        rules = program.get(section) or []
        if not isinstance(rules, list) or not rules:
            continue
        if title:
            out.append(title)
        for number, rule in enumerate(rules, 1):
            out += _rule(rule, number, "  " if title else "")
    if program.get("default") is not None:
        out += ["otherwise", *_statement(program["default"], "  ")]
    return out


def diff(old: Json, new: Json, wraps: tuple[BuiltIn, BuiltIn] | None = None) -> list[tuple[str, str]]:
    """Line by line what changed: pairs of mark (``-``, ``+`` or a space) and line, unchanged stretches shortened to ``…``."""
    before, after = (lines(program, of) for program, of in zip((old, new), wraps or (None, None), strict=True))
    out: list[tuple[str, str]] = []
    for group in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_grouped_opcodes(2):
        if out or group[0][1] > 0:
            out.append((" ", "…"))
        for tag, a0, a1, b0, b1 in group:
            if tag == "equal":
                out += [(" ", line) for line in before[a0:a1]]
            else:
                out += [("-", line) for line in before[a0:a1]] + [("+", line) for line in after[b0:b1]]
    return out


def expression(node: Json, depth: int = 0) -> str:
    """A condition or expression as one line."""
    if not isinstance(node, Mapping) or depth > _DEEPEST:
        return _json(node)
    kind = node.get("type")
    inner = depth + 1
    if kind == "literal":
        return _json(node.get("value"))
    if kind == "field":
        return str(node.get("path"))
    if kind == "compare":
        return f"{expression(node.get('left'), inner)} {node.get('op')} {expression(node.get('right'), inner)}"
    if kind == "arith":
        left, right, op = expression(node.get("left"), inner), expression(node.get("right"), inner), str(node.get("op"))
        return f"({left} {op} {right})" if op in _ARITH else f"{op}({left}, {right})"
    if kind == "func_call":
        return f"{node.get('name')}({', '.join(expression(arg, inner) for arg in _list(node.get('args')))})"
    if kind in ("and", "or"):
        return "(" + f" {kind} ".join(expression(arg, inner) for arg in _list(node.get("args"))) + ")"
    if kind == "not":
        return f"not {expression(node.get('arg'), inner)}"
    return _json(node)


def place(program: Outline, position: int) -> str:
    """A node with its surroundings on one line: ``rule 2 Performance bonus › user.avg_time < all.avg_time``."""
    node = program.nodes[position]
    where = {"pre_rules": "before the built-in, ", "post_rules": "after the built-in, "}.get(node.section, "")
    if node.rule_index is None:
        return f"otherwise › {of_node(program.spots[position].node)}"
    top = program.tops.get(f"{node.section}[{node.rule_index}]")
    name = f" {top.node_id}" if top and isinstance(top.node_id, str) and not top.node_id.startswith("root.") else ""
    rule = f"{where}rule {node.rule_index + 1}{name}"
    return rule if node.type == "rule" else f"{rule} › {of_node(program.spots[position].node)}"


def edit(change: Edit, old: Outline, new: Outline) -> str:
    """One difference between two versions, as a sentence without its full stop."""
    if not change.is_of_node:
        return _around(change)
    size = f" ({change.size} nodes)" if change.size > 1 else ""
    if change.new_position is None:
        return f"gone: {place(old, change.old_position or 0)}{size}"
    here = place(new, change.new_position)
    if change.kind == "added":
        return f"new: {here}{size}"
    if change.kind == "moved":
        return f"moved: {place(old, change.old_position or 0)} is now {here}"
    if change.kind == "replaced":
        was, is_now = (
            of_node(program.spots[at or 0].node)
            for program, at in ((old, change.old_position), (new, change.new_position))
        )
        return f"{_holder(new, change.new_position)}: {was} → {is_now}"
    holder = _holder(new, change.new_position) if change.what == "literal" else here
    return f"{holder}: {change.what} {_shown(change.old)} → {_shown(change.new)}"


def edits(found: Comparison, new: Outline) -> str:
    """All differences in one sentence: how many of which kind, and how much stayed."""
    if not found.edits:
        return "The programs say the same; only ids or layout differ."
    counts: dict[tuple[str, str], int] = {}
    for change in found.edits:
        counts[change.kind, change.what] = counts.get((change.kind, change.what), 0) + 1
    parts = [f"{count} {_noun(what, count)} {kind}" for (kind, what), count in counts.items()]
    said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{said}; {found.same_count} of the {len(new.nodes)} nodes say the same in both programs."


def _noun(what: str, count: int) -> str:
    if what == "variable":
        return f"variable{'s' * (count != 1)} of the built-in"
    return f"{_NOUNS.get(what, what)}{'s' * (count != 1)}"


_NOUNS = {
    "assign_points": "payment",
    "compare": "comparison",
    "arith": "calculation",
    "func_call": "function call",
    "and": "conjunction",
    "or": "disjunction",
    "not": "negation",
    "set_callback_data": "callback entry",
    "set_data": "data change",
}


def _around(change: Edit) -> str:
    """A difference in what is wrapped; a variable that is not overridden has the built-in's own value."""
    if change.what == "built-in":
        return f"the built-in it wraps: {_plain(change.old)} → {_plain(change.new)}"
    was, now = ("the built-in's own" if text is None else _shown(text) for text in (change.old, change.new))
    return f"{variable(change.name)}: {was} → {now}"


def variable(name: object) -> str:
    """A variable's name, shortened: it is an author's text."""
    return _shown(str(name))


def _wrapped(found: BuiltIn) -> list[str]:
    """The built-in and its variables, a line each; none for a program of its own."""
    if found.strategy_id is None and not found.variables:
        return []
    named = "the built-in" if found.strategy_id is None else f"the built-in {_shown(found.strategy_id)}"
    return [
        named,
        *(f"  with {variable(name)} = {_json(found.variables[name])}" for name in sorted(found.variables)),
    ]


def _plain(text: str | None) -> str:
    """A JSON text's string without its quotes."""
    found = "none" if text is None else json.loads(text)
    return _shown(found if isinstance(found, str) else text)


def _holder(program: Outline, position: int) -> str:
    """A literal says little; the expression or statement around it says where it is."""
    parent = program.nodes[position].parent_position
    return place(program, position if parent is None else parent)


def _shown(value: str | None) -> str:
    text = "nothing" if value is None else value
    return text if len(text) <= 60 else text[:59] + "…"


def of_node(node: JsonObject) -> str:
    """A statement, condition or expression on one line, without its surroundings."""
    kind = node.get("type")
    known = kind in ("literal", "field", "compare", "arith", "func_call", "and", "or", "not")
    return expression(node) if known else _statement(node, "")[0]


def _rule(rule: Json, number: int, indent: str) -> list[str]:
    if not isinstance(rule, Mapping):
        return [f"{indent}rule {number}: {_json(rule)}"]
    name = f"  {rule['id']}" if rule.get("id") else ""
    out = [f"{indent}rule {number}{name}", *_condition("when", rule.get("when"), indent + "  ")]
    for statement in _list(rule.get("then")):
        out += _statement(statement, indent + "  then ")
    for branch in _list(rule.get("else_if")):
        if isinstance(branch, Mapping):
            out += _condition("else if", branch.get("when"), indent + "  ")
            for statement in _list(branch.get("then")):
                out += _statement(statement, indent + "  then ")
    for statement in _list(rule.get("else")):
        out += _statement(statement, indent + "  else ")
    return out


def _condition(word: str, node: Json, indent: str) -> list[str]:
    if isinstance(node, Mapping) and node.get("type") in ("and", "or") and _list(node.get("args")):
        args = _list(node.get("args"))
        joint = str(node["type"])
        width = max(len(word), len(joint))
        return [f"{indent}{(word if i == 0 else joint):>{width}} {expression(arg)}" for i, arg in enumerate(args)]
    return [f"{indent}{word} {expression(node)}"]


def _statement(node: Json, indent: str) -> list[str]:
    if not isinstance(node, Mapping):
        return [f"{indent}{_json(node)}"]
    kind, value = node.get("type"), expression(node.get("value"))
    case = "no case" if node.get("case_name") is None else f"case {node['case_name']}"
    said = {
        "assign_points": f"assign {value} {'point' if value == '1' else 'points'}, {case}",
        "set_points": f"set points to {value}",
        "set_case_name": f"set case to {value}",
        "set_data": f"set data.{node.get('key')} to {value}",
        "set_callback_data": f"call back with {node.get('key')} = {value}",
        "veto": f"veto, {case}",
        "return": "return",
    }.get(str(kind))
    return [indent + (said if said is not None else _json(node))]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _json(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:199] + "…"
