"""How large a run of each version can get at most, from the programs in the lake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from analytics.findings.runaway_keys import Key, key_of, text_or_none
from analytics.program import Size, size

if TYPE_CHECKING:
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
