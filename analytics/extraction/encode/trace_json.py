"""Trace JSON ↔ a typed list of entries, without loss: the exact reader, and the way back.

Nearly every trace is read by ``native.traces``, which accepts one spelling only and proves it while reading. What it refuses
is read here, by Python's own parser: slowly, and exactly. A trace that no list can give back is kept verbatim in
``trace_irregular`` besides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypedDict, TypeGuard

from analytics.storage.typed_json import Json

_ENTRY_KEYS = {"nodeId", "type", "value", "branch"}
_DEEPEST = 100  # arrays and objects within a value; Python's own parser gives up at about a thousand


class LakeEntry(TypedDict):
    """A trace entry in the lake's column ``trace``: names as text, the value as JSON, and its number where it is one."""

    node_id: str | None
    type: str | None
    branch: str | None
    value: str | None
    value_number: float | None


class JsonNumber(str):
    """A number as PostgreSQL spelled it: neither a float's 17 digits nor Python's 4,300-digit limit apply."""

    __slots__ = ()


def rebuild(trace: Sequence[LakeEntry] | None, irregular: str | None) -> str | None:
    """The JSON text of a trace as the source held it, value for value (whitespace and key order are jsonb's own).

    Args:
        trace: A value of the lake's column ``trace``.
        irregular: The row's ``trace_irregular``.

    Returns:
        JSON text; ``None`` where the source had SQL NULL.
    """
    if irregular is not None:
        return irregular
    if trace is None:
        return None
    return "[" + ", ".join(_spell_entry(entry) for entry in trace) + "]"


def _spell_entry(entry: LakeEntry) -> str:
    def quoted(text: str | None) -> str:
        return "null" if text is None else json.dumps(text, ensure_ascii=False)

    branch = f'"branch": {quoted(entry["branch"])}, ' if entry["branch"] is not None else ""
    return (
        f'{{"type": {quoted(entry["type"])}, "value": {entry["value"]}, {branch}"nodeId": {quoted(entry["node_id"])}}}'
    )


def parse(text: str) -> tuple[list[LakeEntry] | None, bool]:
    """Read one trace exactly.

    Returns:
        The lake's list of entries, or ``None`` when the trace is no array; and whether ``rebuild`` gives the trace back from
        that list alone. Where it would not (unknown keys, an id that is a number, an element that is no object), the list
        holds what can be read, one entry per element so that positions stay true, and the caller keeps the text as well.
    """
    try:
        trace = read(text)
        if not isinstance(trace, list):
            return None, False
        found = [_entry(item) for item in trace]
    except (ValueError, RecursionError):
        return None, False
    return [entry for entry, _ in found], all(exact for _, exact in found)


def read(text: str) -> Json:
    """JSON as Python holds it, but numbers as they are spelled.

    Raises:
        ValueError, RecursionError: It is none, or nested too deeply.
    """
    found: Json = json.loads(text, parse_float=JsonNumber, parse_int=JsonNumber)
    return found


def _entry(item: Json) -> tuple[LakeEntry, bool]:
    if not isinstance(item, dict):
        number = float(item) if isinstance(item, JsonNumber) else None
        return {"node_id": None, "type": None, "branch": None, "value": spell_json(item), "value_number": number}, False
    value = item.get("value")
    entry: LakeEntry = {
        "node_id": _text(item.get("nodeId")),
        "type": _text(item.get("type")),
        "branch": _text(item.get("branch")),
        "value": spell_json(value) if "value" in item else None,
        "value_number": float(value) if isinstance(value, JsonNumber) else None,
    }
    exact = (
        {"nodeId", "type", "value"} <= set(item) <= _ENTRY_KEYS
        and _is_text(item["type"])
        and (item["nodeId"] is None or _is_text(item["nodeId"]))
        and ("branch" not in item or _is_text(item["branch"]))
    )
    return entry, exact


def _is_text(value: Json) -> TypeGuard[str]:
    return isinstance(value, str) and not isinstance(value, JsonNumber)


def _text(value: Json) -> str | None:
    """What PostgreSQL's ``->>`` gives: text as it is, anything else as JSON."""
    return value if value is None or _is_text(value) else spell_json(value)


def spell_json(value: Json, depth: int = 0) -> str:
    """JSON text in jsonb's own spelling, numbers untouched.

    Raises:
        ValueError: It is nested too deeply.
    """
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, JsonNumber):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {spell_json(v, depth + 1)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(spell_json(v, depth + 1) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
