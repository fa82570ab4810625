"""A program in words: what an author would say, line by line. Never raises on odd ASTs: what it cannot read it shows as JSON."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

_ARITH = {"+", "-", "*", "/"}
_DEEPEST = 40  # far beyond the engine's depth cap of 32


def lines(program: Any) -> list[str]:
    """The program as indented text, one statement or condition a line."""
    if not isinstance(program, Mapping):
        return [] if program is None else [_json(program)]
    out: list[str] = []
    for section, title in (("pre_rules", "before the built-in"), ("rules", ""), ("post_rules", "after the built-in")):
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


def diff(old: Any, new: Any) -> list[tuple[str, str]]:
    """Line by line what changed: pairs of mark (``-``, ``+`` or a space) and line, unchanged stretches shortened to ``…``."""
    before, after = lines(old), lines(new)
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


def expression(node: Any, depth: int = 0) -> str:
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


def _rule(rule: Any, number: int, indent: str) -> list[str]:
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


def _condition(word: str, node: Any, indent: str) -> list[str]:
    if isinstance(node, Mapping) and node.get("type") in ("and", "or") and _list(node.get("args")):
        args = _list(node.get("args"))
        joint = str(node["type"])
        width = max(len(word), len(joint))
        return [f"{indent}{(word if i == 0 else joint):>{width}} {expression(arg)}" for i, arg in enumerate(args)]
    return [f"{indent}{word} {expression(node)}"]


def _statement(node: Any, indent: str) -> list[str]:
    if not isinstance(node, Mapping):
        return [f"{indent}{_json(node)}"]
    kind, value = node.get("type"), expression(node.get("value"))
    said = {
        "assign_points": f"assign {value} points, case {node.get('case_name')}",
        "set_points": f"set points to {value}",
        "set_case_name": f"set case to {value}",
        "set_data": f"set data.{node.get('key')} to {value}",
        "set_callback_data": f"call back with {node.get('key')} = {value}",
        "veto": f"veto, case {node.get('case_name')}",
        "return": "return",
    }.get(str(kind))
    return [indent + (said if said is not None else _json(node))]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:199] + "…"
