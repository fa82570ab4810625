"""How large each version's program is, what a run of it needs at most, and how programs grow from version to version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analytics.findings.runaway.keys import FamilyKey, Key, key_of, keyed, text_or_none
from analytics.findings.runaway.thresholds import STANDARD, Thresholds
from analytics.findings.runaway.version_growth import NOWHERE, Ahead, ahead
from analytics.program import PublishedSize, Size, published_size, size
from analytics.window import midnight

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class StoredProgram:
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


def stored_programs(lake: Warehouse, limits: Thresholds = STANDARD) -> dict[Key, StoredProgram]:
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
    programs: dict[Key, StoredProgram] = {}
    for realm, strategy, version, kind, text, created_at, published_at, is_draft in rows:
        key = key_of(text_or_none(realm), strategy, version)
        program = StoredProgram(*_sizes(text, kind, limits), created_at, published_at, bool(is_draft))
        programs[key] = program if key not in programs else _larger_of(programs[key], program)
    past = lake.sql(
        "select realm_id, coalesce(name, strategy_id), strategy_version, strategy_type, ast_json from files.program_history "
        "where ast_json is not null and strategy_version is not null"
    ).fetchall()
    for realm, strategy, version, kind, text in past:
        key = key_of(text_or_none(realm), strategy, version)
        bound, counted = _sizes(text, kind, limits)
        known = programs.get(key)
        # What the validator counts is the program as it is now: of what was before, only the bound on runs.
        programs[key] = (
            replace(known, size=_larger(known.size, bound))
            if known
            else StoredProgram(bound, counted, None, None, is_draft=False)
        )
    return programs


def _sizes(text: str, kind: str | None, limits: Thresholds) -> tuple[Size, PublishedSize | None]:
    try:
        ast: Any = json.loads(text)
    except ValueError:
        return Size(None, None, None, "the program is no JSON"), None
    except RecursionError:
        return Size(None, None, None, "the program is nested too deep to read"), None
    extends = {"DSL_FULL": False, "DSL_EXTEND": True}.get(kind or "")
    return size(ast, extends=extends), published_size(ast, max_nodes=limits.node_cap, max_depth=limits.depth_cap)


def _larger_of(first: StoredProgram, second: StoredProgram) -> StoredProgram:
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
    return {
        key: size for key, size in sizes.items() if size.entries_max is None or most.get(key, 0.0) <= size.entries_max
    }


MOST = 8
"""Versions whose steps are looked at: how a program grew long ago says little of the next version."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ProgramGrowth:
    """The program of the version that is live, and where its growth leads.

    Attributes:
        key: The version.
        nodes: What the validator counts of the last versions, by version, oldest first; the live one is the last.
        room: Nodes that another version may add; negative where it is above the limit already.
        smallest_rule: Nodes of its smallest rule; None where it has none.
        refusal: Why the validator refuses the program as it is stored; empty where it takes it.
        ahead: Versions and days until a version is refused; `NOWHERE` where the program does not grow.
    """

    key: Key
    nodes: tuple[tuple[int, int], ...]
    room: float
    smallest_rule: int | None
    refusal: str
    ahead: Ahead = field(default=NOWHERE)

    @property
    def next_is_refused(self) -> bool:
        """Another version that adds what the last has added is refused."""
        return bool(self.ahead.steps) and self.ahead.steps[-1] > self.room


def program_growth(
    stored: Mapping[Key, StoredProgram], counts: pd.DataFrame, until: datetime, node_cap: float
) -> dict[Key, ProgramGrowth]:
    """The program of each family's live version, and the versions before it.

    Steps are told from exact counts, for definitions are not sampled; what is estimated is that they go on. A program grows where
    its live version is the newest and the largest of the last, the last step led up, and at least half of them did: a version
    that only changes a number adds nothing, and is a step all the same. When a version came is its first day in the log, where the
    log shows days before it; else its publication, unless a rollback has overwritten that, then the making of its row.

    Args:
        stored: ``stored_programs(lake)``.
        counts: The query nodes_by_day: who ran when.
        until: End of the window, UTC.
        node_cap: What the validator takes at most.
    """
    days = _days_of(counts)
    begins = min((first for first, _ in days.values()), default=until)
    families: dict[FamilyKey, list[Key]] = {}
    for key, one in stored.items():
        if one.counted is not None and (key in days or not one.is_draft) and _came_before(one, until):
            families.setdefault(key.family, []).append(key)
    found = {}
    for keys in families.values():
        keys.sort(key=lambda key: key.version)
        ran = [key for key in keys if key in days]
        if not ran:
            continue
        live = max(ran, key=lambda key: (days[key][1], key.version))
        growth = _growth_of(live, [key for key in keys if key.version <= live.version][-MOST:], stored, node_cap)
        if live == keys[-1] and _leads_up([count for _, count in growth.nodes]):
            first_at = _first_came(keys[-MOST:], stored, days, begins)
            growth = _with_ahead(growth, (until - first_at) / _DAY if first_at else 0.0)
        found[live] = growth
    return found


def _growth_of(live: Key, keys: Sequence[Key], stored: Mapping[Key, StoredProgram], node_cap: float) -> ProgramGrowth:
    counted = {key: one for key in keys if (one := stored[key].counted) is not None}
    nodes = tuple((key.version, one.nodes) for key, one in counted.items())
    program = counted[live]
    return ProgramGrowth(live, nodes, node_cap - program.nodes, program.smallest_rule, program.refusal)


def _with_ahead(growth: ProgramGrowth, exposure_days: float) -> ProgramGrowth:
    counts = [count for _, count in growth.nodes]
    steps = [float(later - before) for before, later in pairwise(counts)]
    leads = ahead(growth.room, steps, exposure_days, grain=growth.smallest_rule or 0.0)
    return ProgramGrowth(growth.key, growth.nodes, growth.room, growth.smallest_rule, growth.refusal, leads)


def _leads_up(counts: Sequence[int]) -> bool:
    steps = [later - before for before, later in pairwise(counts)]
    return (
        bool(steps)
        and steps[-1] > 0
        and counts[-1] == max(counts)
        and 2 * sum(step > 0 for step in steps) >= len(steps)
    )


def _days_of(counts: pd.DataFrame) -> dict[Key, tuple[datetime, datetime]]:
    """First and last day of each version in the log."""
    return {key: (midnight(rows["day"].min()), midnight(rows["day"].max())) for key, rows in keyed(counts)}


def _came_before(one: StoredProgram, until: datetime) -> bool:
    """Whether a version was there before the end of the window, as far as its row says."""
    return one.created_at is None or one.created_at < until


def _first_came(
    keys: Sequence[Key],
    stored: Mapping[Key, StoredProgram],
    days: Mapping[Key, tuple[datetime, datetime]],
    begins: datetime,
) -> datetime | None:
    """When the first of several versions came; None where nothing tells."""
    first, second = keys[:2]
    if first in days and days[first][0] > begins:
        return days[first][0]
    # The next version's draft is made from one that is published: what is later is a rollback's.
    one, drafted = stored[first], stored[second].created_at
    if one.published_at is not None and (drafted is None or one.published_at <= drafted):
        return one.published_at
    return one.created_at or (days[first][0] if first in days else None)
