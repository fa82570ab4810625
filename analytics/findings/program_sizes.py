"""How large a run of each version can get at most, from the programs in the lake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from analytics.findings.runaway_keys import Key, key_of, text_or_none
from analytics.program import Size, size

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse import Warehouse


def program_sizes(lake: Warehouse) -> dict[Key, Size]:
    """The size of every program that the lake's definitions hold, deleted ones too; a version without one is not in it.

    Grain: realm, family, version. A version also stands under its strategy_id where it has no family name, as in the log.
    Where a version has several rows (a log of two deployments), the largest counts: a bound must hold for each.
    """
    rows = lake.sql(
        "select realm_id, coalesce(family_name, strategy_id), strategy_version, strategy_type, ast_json from definitions "
        " where ast_json is not null and strategy_version is not null"
    ).fetchall()
    found: dict[Key, Size] = {}
    for realm, strategy, version, kind, text in rows:
        key = key_of(text_or_none(realm), strategy, version)
        own = _size(text, kind)
        found[key] = own if key not in found else _larger(found[key], own)
    return found


def _size(text: str, kind: str | None) -> Size:
    try:
        ast = json.loads(text)
    except ValueError:
        return Size(None, None, None, "the program is no JSON")
    except RecursionError:
        return Size(None, None, None, "the program is nested too deep to read")
    extends = {"DSL_FULL": False, "DSL_EXTEND": True}.get(kind or "")
    return size(ast, extends=extends)


def _larger(first: Size, second: Size) -> Size:
    for each in (first, second):
        if each.reason is not None:
            return each
    pairs = (
        (first.entries_max, second.entries_max),
        (first.visits_max, second.visits_max),
        (first.depth, second.depth),
    )
    entries, visits, depth = (max(one or 0, other or 0) for one, other in pairs)
    return Size(entries, visits, depth)


def fitting(sizes: Mapping[Key, Size], *observed: pd.DataFrame) -> dict[Key, Size]:
    """The sizes that the log does not contradict: a run longer than its program was a run of another program.

    Definitions can be edited in place, and then the lake holds the last text alone.

    Args:
        sizes: ``program_sizes(lake)``.
        observed: Frames with realm_id, strategy, strategy_version and ``nodes_max`` or ``nodes_executed``.
    """
    most: dict[Key, float] = {}
    for frame in observed:
        if frame.empty:
            continue
        name = "nodes_max" if "nodes_max" in frame else "nodes_executed"
        largest = frame.groupby(["realm_id", "strategy", "strategy_version"], dropna=False)[name].max()
        for values, nodes in largest.dropna().items():
            key = key_of(*values)
            most[key] = max(most.get(key, 0.0), float(nodes))
    return {key: own for key, own in sizes.items() if own.entries_max is None or most.get(key, 0.0) <= own.entries_max}
