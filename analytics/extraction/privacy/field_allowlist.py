"""Which values of a trace may be kept, where an operator allows only some of the fields that an event carries.

A trace does not say which field an entry read: the program does, so entries and programs are joined by their node ids. What
cannot be proven allowed is dropped. Outcomes of rules and comparisons stay, and so do numbers that were computed: they say
what the program did. A text, a list or an object that was computed from a dropped field, and whatever is passed on by
``set_data`` and ``set_callback_data``, is dropped like the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from analytics.extraction.encode.trace_json import Number
from analytics.program import generate_ids, walk

DROPPED = "(dropped)"
"""Stands where a value was."""

_DATA = "data."
_PASSED_ON = ("set_data", "set_callback_data")


class Payloads:
    """Decides what is kept of the values in traces.

    Args:
        allowed: Names of fields under ``data.`` whose values are kept.
        definitions: Rows of ``strategydefinition``, as ``Source.definitions`` gives them.
    """

    def __init__(self, allowed: Iterable[str], definitions: Iterable[Mapping[str, Any]]) -> None:
        self._allowed = frozenset(allowed)
        self._programs = {(str(row["strategy_id"]), row["strategy_version"]): row["ast_json"] for row in definitions}
        self._read: dict[tuple[str, int | None], tuple[frozenset[str], frozenset[str]]] = {}

    def trace(self, strategy: str, version: int | None, trace: Any) -> tuple[Any, set[str]]:
        """A trace without the values that may not be kept.

        Args:
            strategy, version: The program that ran.
            trace: As ``flatten.read`` gives it; its entries are changed.

        Returns:
            The trace, and names that a dropped ``set_case_name`` gave: the row's case name is one of them.
        """
        fields, clean = self._of(strategy, version)
        names: set[str] = set()
        if not isinstance(trace, list):
            return trace if trace is None else DROPPED, names
        for place, entry in enumerate(trace):
            if not isinstance(entry, dict):
                trace[place] = DROPPED
                continue
            value = entry.get("value")
            if not self._keeps(entry, value, fields, clean):
                if entry.get("type") == "set_case_name" and isinstance(value, str):
                    names.add(str(value))
                entry["value"] = DROPPED
            for key in set(entry) - {"type", "branch", "nodeId", "value"}:
                entry[key] = DROPPED
        return trace, names

    @staticmethod
    def _keeps(entry: Mapping[str, Any], value: Any, fields: frozenset[str], clean: frozenset[str]) -> bool:
        node, kind = entry.get("nodeId"), entry.get("type")
        if value is None or isinstance(value, bool):
            return kind != "field" or node in fields
        if kind == "field":
            return node in fields
        if kind == "literal" or (isinstance(value, Number) and kind not in _PASSED_ON):
            return True
        return node in clean

    def _of(self, strategy: str, version: int | None) -> tuple[frozenset[str], frozenset[str]]:
        """Ids of fields that may be kept, and of nodes that read nothing else."""
        found = self._read.get((strategy, version))
        if found is None:
            found = self._read[strategy, version] = self._examined(self._programs.get((strategy, version)))
        return found

    def _examined(self, text: str | None) -> tuple[frozenset[str], frozenset[str]]:
        try:
            program = json.loads(text or "null")
            nodes = walk(generate_ids(program)) if isinstance(program, dict) else []
        except (ValueError, RecursionError):
            nodes = []
        dirty_at: set[int] = set()
        for node in reversed(nodes):  # children after their parents
            is_dropped = node.type == "field" and not self._allows(node.path)
            if node.position in dirty_at or is_dropped:
                dirty_at |= {node.position} | ({node.parent_position} if node.parent_position is not None else set())
        # Ids repeat within a program: one node that may not be kept is enough.
        dirty = {node.node_id for node in nodes if node.position in dirty_at}
        ids = {node.node_id for node in nodes if node.node_id is not None}
        fields = {node.node_id for node in nodes if node.type == "field" and node.node_id is not None}
        return frozenset(fields - dirty), frozenset(ids - dirty)

    def _allows(self, path: str | None) -> bool:
        if path is None:
            return False
        # "data.team.name" is a part of "data.team"
        name = path.removeprefix(_DATA)
        return name == path or name in self._allowed or name.partition(".")[0] in self._allowed
