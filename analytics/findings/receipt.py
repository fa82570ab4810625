"""Why one run paid what it paid: its trace as a decision path in words.

Values come from the trace; names of fields and operators from the definition, joined by node id where an id and type occur
once in the program. Without a definition the path is told from the trace alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analytics.warehouse import Warehouse, records

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a receipt.

    Attributes:
        text: The rule or statement.
        why: Conditions with the values they saw.
        points: What it paid; ``None`` for nothing.
        state: ``matched``, ``skipped``, ``off`` (not reached), ``failed`` or ``total``.
    """

    text: str
    why: str = ""
    points: float | None = None
    state: str = "skipped"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A run and its decision path.

    Attributes:
        run: Columns of ``executions``.
        steps: In the order of evaluation, the total last.
        notes: What is not known about it, in sentences.
        fields: Field paths with the JSON value the run read.
    """

    run: dict[str, Any]
    steps: list[Step]
    notes: list[str]
    fields: dict[str, Any]


@dataclass(slots=True)
class _Walk:
    """State while entries are read: a stack of values in words, and the conditions since the last rule."""

    program: dict[tuple[str, str], dict[str, Any]]
    stack: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    rules_seen: int = 0
    reached: set[int] = field(default_factory=set)
    fields: dict[str, Any] = field(default_factory=dict)


def receipt(lake: Warehouse, run: dict[str, Any]) -> Receipt:
    """The decision path of one run.

    Args:
        lake: Where its trace and definition are.
        run: A row of ``strategy_runs`` or ``executions``.
    """
    entries = lake.run("trace", execution=run["execution_id"])
    nodes = lake.run("program", strategy=run["strategy_id"], version=int(run["strategy_version"]))
    walk = _Walk(_unique(nodes))
    for entry in records(entries):
        _step(walk, entry)
    notes = []
    if entries.empty:
        failed = run["status"] != "ok"
        notes.append(
            "A failed run keeps no trace, so the rule cannot be named." if failed else "This run has no trace."
        )
    if run.get("is_truncated"):
        notes.append(
            f"The trace is cut: {len(entries)} of {int(run['nodes_executed'])} entries are stored, the rest is unknown."
        )
    if nodes.empty and not entries.empty:
        notes.append("The definition is not in the lake: field names and operators are unknown.")
    if not entries.empty and not run.get("is_truncated"):
        for number, name in _rules(nodes):
            if number not in walk.reached:
                walk.steps.append(Step(name, state="off"))
    points = run.get("points")
    ok = run["status"] == "ok"
    walk.steps.append(
        Step(
            "Points paid" if ok else f"Stopped: {run.get('error_code') or run['status']}",
            points=points if ok else None,
            state="total" if ok else "failed",
        )
    )
    return Receipt(run, walk.steps, notes, walk.fields)


def simulate_request(found: Receipt) -> dict[str, Any] | None:
    """The body that replays a run through the engine's simulate endpoint, from the fields the run read.

    Returns:
        ``None`` for DSL_EXTEND, which the endpoint cannot run, and for runs without a readable trace or definition.
    """
    if not found.fields:
        return None
    data = {path[5:]: value for path, value in found.fields.items() if path.startswith("data.")}
    state = {path: value for path, value in found.fields.items() if not path.startswith(("data.", "external"))}
    return {
        "externalGameId": found.run.get("external_game_id"),
        "externalTaskId": found.run.get("external_task_id"),
        "externalUserId": found.run.get("external_user_id"),
        "data": data,
        "mockState": state,
    }


def _unique(nodes: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """Nodes by id and type, where that pair occurs once."""
    once = nodes[nodes["node_id"].notna()].drop_duplicates(["node_id", "type"], keep=False)
    return {(str(row["node_id"]), str(row["type"])): row for row in records(once)}


def _rules(nodes: pd.DataFrame) -> list[tuple[int, str]]:
    rules = nodes[(nodes["type"] == "rule") & (nodes["section"] == "rules")]
    return [(int(row["rule_index"]), _rule_name(row, 0)) for row in records(rules)]


def _rule_name(node: dict[str, Any] | None, counted: int) -> str:
    if node is None:
        return f"Rule {counted}"
    number = int(node["rule_index"]) + 1
    section = {"pre_rules": "Before the built-in, rule", "post_rules": "After the built-in, rule"}.get(
        node["section"], "Rule"
    )
    named = node["node_id"] if isinstance(node["node_id"], str) else ""
    return f"{section} {number}" + (f", {named}" if named and not named.startswith("root.") else "")


def _step(walk: _Walk, entry: dict[str, Any]) -> None:
    kind = str(entry["type"])
    node = walk.program.get((str(entry["node_id"]), kind))
    value = _short(entry["value"])
    if kind == "literal":
        walk.stack.append(value)
    elif kind == "field":
        path = node["path"] if node and isinstance(node["path"], str) else None
        if path is not None and isinstance(entry["value"], str):
            walk.fields[path] = json.loads(entry["value"])
        walk.stack.append(f"{path or 'a field'} {value}")
    elif kind in ("arith", "func_call"):
        operator = node["operator"] if node and isinstance(node["operator"], str) else "?"
        count = 2 if kind == "arith" else {"clamp": 3}.get(operator, 1)
        parts = _pop(walk, count)
        said = f" {operator} ".join(parts) if operator in "+-*/?" else f"{operator}({', '.join(parts)})"
        walk.stack.append(f"{said} = {value}")
    elif kind == "compare":
        operator = node["operator"] if node and isinstance(node["operator"], str) else "compared with"
        walk.conditions.append(f"{f' {operator} '.join(_pop(walk, 2))} is {value}")
    elif kind == "not":
        if walk.conditions:
            walk.conditions[-1] = f"not ({walk.conditions[-1]})"
    elif kind == "rule":
        _rule(walk, entry, node)
    elif kind not in ("and", "or"):
        _statement(walk, entry, node, kind, value)


def _rule(walk: _Walk, entry: dict[str, Any], node: dict[str, Any] | None) -> None:
    walk.rules_seen += 1
    if node is not None and node["section"] == "rules":
        walk.reached.add(int(node["rule_index"]))
    branch = str(entry["branch"] or "")
    name = _rule_name(node, walk.rules_seen)
    if branch.startswith("elseif:"):
        name += f", else-if {int(branch[7:]) + 1}" if branch[7:].isdigit() else ", else-if"
    elif branch == "else":
        name += ", else"
    # A bare value as condition leaves no compare: what remains on the stack is what was looked at.
    why = walk.conditions + ([] if walk.conditions else walk.stack)
    walk.steps.append(Step(name, "; ".join(why), None, "skipped" if branch == "skip" else "matched"))
    walk.stack.clear()
    walk.conditions.clear()


def _statement(walk: _Walk, entry: dict[str, Any], node: dict[str, Any] | None, kind: str, value: str) -> None:
    parts = "; ".join(_pop(walk, len(walk.stack)))
    case = f", case {node['case_name']}" if node and isinstance(node["case_name"], str) else ""
    key = f" {node['key']}" if node and isinstance(node["key"], str) else ""
    words = {
        "assign_points": f"assign {value}{case}",
        "set_points": f"set points to {value}",
        "set_case_name": f"set case to {value}",
        "set_data": f"set data{key} to {value}",
        "set_callback_data": f"call back{key} = {value}",
        "veto": f"veto, case {value}",
        "return": "return",
    }
    said = words.get(kind, f"{kind} {value}")
    number = entry["value_number"]
    paid = number if kind in ("assign_points", "set_points") and number == number else None
    because = f"{parts} → {said}" if parts and parts != value else said
    last = walk.steps[-1] if walk.steps else None
    if last is not None and last.state == "matched" and last.points is None:
        walk.steps[-1] = Step(last.text, f"{last.why} → {because}" if last.why else because, paid, "matched")
    else:
        walk.steps.append(Step(said[:1].upper() + said[1:], parts, paid, "matched"))


def _pop(walk: _Walk, count: int) -> list[str]:
    taken = walk.stack[len(walk.stack) - count :] if count else []
    del walk.stack[max(len(walk.stack) - count, 0) :]
    return taken


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    try:
        number = float(value)
        if "." in value and abs(number) < 1e15:
            value = f"{number:.10g}"
    except ValueError:
        pass
    return value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 1] + "…"
