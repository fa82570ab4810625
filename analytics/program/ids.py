"""Node ids where the author gave none, by the engine's rule: `<parent id>.<type>.<index>`.

The index counts within one list, or one place, of the parent. So ids repeat: the pre and the post phase of a
program share them, and so do `then` and `else`. They also shift when a rule is inserted before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.program.walk import SECTIONS, children, top_level

ROOT = "root"


def generate_ids(program: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the program in which every node has an id; the author's own ids stay."""
    copy: dict[str, Any] = _copied(program)
    for section in SECTIONS:
        for top in top_level(copy, section):
            stack = [(top, ROOT, section != "default")]
            while stack:
                child, parent_id, is_rule = stack.pop()
                node = child.node
                kind = "rule" if is_rule else node.get("type")
                node_id = node.get("id")
                if not isinstance(node_id, str):
                    node_id = f"{parent_id}.{kind}.{child.index}"
                    if isinstance(node, dict):
                        node["id"] = node_id
                stack.extend((found, node_id, False) for found in children(node, is_rule=is_rule))
    return copy


def _copied(value: Any) -> Any:
    """A deep copy of JSON data without recursion, as an author's nesting has no bound."""
    root: list[Any] = [value]
    stack: list[tuple[Any, Any]] = [(root, 0)]
    while stack:
        holder, key = stack.pop()
        found = holder[key]
        if isinstance(found, Mapping):
            holder[key] = dict(found)
            stack.extend((holder[key], inner) for inner in holder[key])
        elif isinstance(found, list):
            holder[key] = list(found)
            stack.extend((holder[key], inner) for inner in range(len(found)))
    return root[0]
