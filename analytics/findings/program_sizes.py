"""How large each version's program is: what a run of it needs at most, and what the validator counted when it was saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.findings.runaway_keys import Key, key_of, text_or_none
from analytics.findings.thresholds import STANDARD, Thresholds
from analytics.program import PublishedSize, Size, published_size, size

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Stored:
    """A version's program as the lake holds it.

    Attributes:
        size: What no run of it exceeds.
        counted: The program as the validator counts it; None where its text is not readable.
        created_at: When the row was made, as a draft; None where it does not say.
        published_at: Of its last publication; a rollback overwrites it. None for a draft.
        is_draft: It was never published.
    """

    size: Size
    counted: PublishedSize | None
    created_at: datetime | None
    published_at: datetime | None
    is_draft: bool


def program_sizes(lake: Warehouse) -> dict[Key, Size]:
    """What no run exceeds, of every program that the lake's definitions hold; see ``stored_programs``."""
    return {key: one.size for key, one in stored_programs(lake).items()}


def stored_programs(lake: Warehouse, limits: Thresholds = STANDARD) -> dict[Key, Stored]:
    """Every program that the lake's definitions hold, deleted ones too; a version without one is not in it.

    Grain: realm, family, version. A version also stands under its strategy_id where it has no family name, as in the log.
    Where a version has several rows (a log of two deployments), or had another program before it was edited in place, the largest
    bounds its runs: a bound must hold for each. A program also stands under a name that its tenant had before.

    Args:
        lake: Where they are.
        limits: The engine's caps, which bound programs when they are saved as they bound runs.
    """
    rows = lake.sql(
        "select realm_id, coalesce(family_name, strategy_id), strategy_version, strategy_type, ast_json, created_at, "
        "published_at, status = 'DRAFT' from definitions where ast_json is not null and strategy_version is not null"
    ).fetchall()
    found: dict[Key, Stored] = {}
    for realm, strategy, version, kind, text, created_at, published_at, is_draft in rows:
        key = key_of(text_or_none(realm), strategy, version)
        own = Stored(*_sizes(text, kind, limits), created_at, published_at, bool(is_draft))
        found[key] = own if key not in found else _larger_of(found[key], own)
    past = lake.sql(
        "select realm_id, coalesce(name, strategy_id), strategy_version, strategy_type, ast_json from files.program_history "
        "where ast_json is not null and strategy_version is not null"
    ).fetchall()
    for realm, strategy, version, kind, text in past:
        key = key_of(text_or_none(realm), strategy, version)
        bound, counted = _sizes(text, kind, limits)
        known = found.get(key)
        # What the validator counts is the program as it is now: of what was before, only the bound on runs.
        found[key] = (
            replace(known, size=_larger(known.size, bound))
            if known
            else Stored(bound, counted, None, None, is_draft=False)
        )
    return found


def _sizes(text: str, kind: str | None, limits: Thresholds) -> tuple[Size, PublishedSize | None]:
    try:
        ast: Any = json.loads(text)
    except ValueError:
        return Size(None, None, None, "the program is no JSON"), None
    except RecursionError:
        return Size(None, None, None, "the program is nested too deep to read"), None
    extends = {"DSL_FULL": False, "DSL_EXTEND": True}.get(kind or "")
    return size(ast, extends=extends), published_size(ast, max_nodes=limits.node_cap, max_depth=limits.depth_cap)


def _larger_of(first: Stored, second: Stored) -> Stored:
    ordered = sorted((first, second), key=lambda one: one.counted.nodes if one.counted else -1)
    return replace(ordered[1], size=_larger(first.size, second.size))


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
