"""Trace JSON → a typed list of entries, without loss.

DuckDB's ``from_json`` is fast and lenient: it drops unknown keys, turns a numeric id into text, respells ``1.10`` as
``1.1`` and makes anything that is no array NULL, all silently. So every list is proved: the trace is spelled out again from
it and compared with the text PostgreSQL sent. The few rows where they differ are read again here, exactly; a trace that no
list can give back is kept verbatim in ``trace_irregular`` besides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analytics import schema, sql

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_ENTRY_KEYS = {"nodeId", "type", "value", "branch"}
_DEEPEST = 100  # arrays and objects within a value; Python's own parser gives up at about a thousand


_PIECE_BYTES = 8 << 20
"""Trace text flattened at a time; a single trace that is longer is left to the exact reader."""


class _Number(str):
    """A number as PostgreSQL spelled it: neither a float's 17 digits nor Python's 4,300-digit limit apply."""

    __slots__ = ()


def flatten(connection: duckdb.DuckDBPyConnection, copied: pa.Table, sample_rate: float) -> tuple[pa.Table, pa.Table]:
    """Flatten the traces of COPY rows.

    Args:
        connection: Any DuckDB connection.
        copied: Columns of ``schema.copy_schema()``.
        sample_rate: Fraction of ok runs that was logged, for ``sample_weight``.

    Returns:
        The rows, with ``trace`` as a list; and the exact readings (``execution_id``, ``trace``, ``trace_irregular``) that
        take the place of lists that could not be proved.
    """
    import pyarrow as pa

    parameters = {"sample_rate": sample_rate, "longest": _PIECE_BYTES}
    flat: list[pa.Table] = []
    for piece in _pieces(copied):
        connection.register("copied", piece)
        flat.append(connection.sql(sql.text("flatten", "entries"), params=parameters).to_arrow_table())
        connection.unregister("copied")
    whole = pa.concat_tables(flat)
    return whole, _read_exactly(whole)


def _pieces(copied: pa.Table) -> Iterator[pa.Table]:
    """Cut where the traces add up to a piece: DuckDB takes 2,048 rows at a time, and twenty times the size of their text."""
    import numpy as np
    import pyarrow.compute as pc

    sizes = pc.fill_null(pc.binary_length(copied["trace_json"]), 0).to_numpy()
    number = np.cumsum(sizes, dtype=np.int64) // _PIECE_BYTES
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), copied.num_rows]
    for start, end in pairwise(edges):
        yield copied.slice(start, end - start)


def rebuild(trace: list[dict[str, Any]] | None, irregular: str | None) -> str | None:
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


def _spell_entry(entry: dict[str, Any]) -> str:
    def quoted(text: str | None) -> str:
        return "null" if text is None else json.dumps(text, ensure_ascii=False)

    branch = f'"branch": {quoted(entry["branch"])}, ' if entry["branch"] is not None else ""
    return (
        f'{{"type": {quoted(entry["type"])}, "value": {entry["value"]}, {branch}"nodeId": {quoted(entry["node_id"])}}}'
    )


def _read_exactly(flat: pa.Table) -> pa.Table:
    """The traces whose list could not be proved, read again."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = flat.select(["execution_id", "unproved"]).filter(pc.is_valid(flat["unproved"]))
    entry_list = schema.execution_schema().field("trace").type
    traces, irregular = [], []
    for text in rows["unproved"]:  # one at a time: Python's objects take many times the size of the text
        entries, exact = parse(text.as_py())
        traces.append(pa.array([entries], entry_list))
        irregular.append(pa.array([None if exact else text.as_py()], pa.string()))
    return pa.table(
        {
            "execution_id": rows["execution_id"],
            "trace": pa.chunked_array(traces, entry_list),
            "trace_irregular": pa.chunked_array(irregular, pa.string()),
        }
    )


def parse(text: str) -> tuple[list[dict[str, Any]] | None, bool]:
    """Read one trace exactly.

    Returns:
        The lake's list of entries, or ``None`` when the trace is no array; and whether ``rebuild`` gives the trace back from
        that list alone. Where it would not (unknown keys, an id that is a number, an element that is no object), the list
        holds what can be read, one entry per element so that positions stay true, and the caller keeps the text as well.
    """
    try:
        trace = json.loads(text, parse_float=_Number, parse_int=_Number)
        if not isinstance(trace, list):
            return None, False
        read = [_entry(item) for item in trace]
    except (ValueError, RecursionError):
        return None, False
    return [entry for entry, _ in read], all(exact for _, exact in read)


def _entry(item: object) -> tuple[dict[str, Any], bool]:
    if not isinstance(item, dict):
        number = float(item) if isinstance(item, _Number) else None
        return {"node_id": None, "type": None, "branch": None, "value": _spell(item), "value_number": number}, False
    value = item.get("value")
    entry = {
        "node_id": _text(item.get("nodeId")),
        "type": _text(item.get("type")),
        "branch": _text(item.get("branch")),
        "value": _spell(value) if "value" in item else None,
        "value_number": float(value) if isinstance(value, _Number) else None,
    }
    exact = (
        {"nodeId", "type", "value"} <= set(item) <= _ENTRY_KEYS
        and _is_text(item["type"])
        and (item["nodeId"] is None or _is_text(item["nodeId"]))
        and ("branch" not in item or _is_text(item["branch"]))
    )
    return entry, exact


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, _Number)


def _text(value: Any) -> str | None:
    """What PostgreSQL's ``->>`` gives: text as it is, anything else as JSON."""
    return value if value is None or _is_text(value) else _spell(value)


def _spell(value: Any, depth: int = 0) -> str:
    """JSON text in jsonb's own spelling, numbers untouched."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_spell(v, depth + 1)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_spell(v, depth + 1) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
