"""Rules or fields: where the time of each strategy goes, which of them is slow though small, why, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from analytics.estimates.estimators import Estimate
from analytics.findings.runaway.keys import Key, key_of
from analytics.findings.timing.cost_model import Read
from analytics.findings.timing.time_split import EXTRA_MS, TIMES, Fleet, Split, split
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse.warehouse import Warehouse

ROWS = 30
"""Logged ok rows a strategy needs to take part."""

_COLUMNS = ("realm_id", "strategy", "strategy_version", "est_ms_p50", "est_nodes_p50", "est_ms_p99", "est_walk_ms_p99",
            "explained_ms", "extra_ms", "is_slow", "verdict", "split", "fields", "new_fields", "earlier_version",
            "earlier_ms_p50", "slow_since", "since_is_version", "est_time_share")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Times:
    """The time of a window's strategies, split.

    Attributes:
        table: Grain: realm, strategy, version with at least thirty ok rows; the slow ones first, then by what nodes do not
            explain. ``split`` is its `Split`; ``fields`` the analytics fields its program reads (None when no definition is
            known); ``new_fields`` those that the version before did not read (None without one); ``explained_ms`` what nodes
            and the rest of every run explain, with interval; ``est_walk_ms_p99`` what the time limit is about, for it wraps the
            walk alone; ``slow_since`` the first slow day where one can be seen, ``since_is_version`` whether it is the
            version's first.
        fleet: What single fields and nodes cost.
    """

    table: pd.DataFrame
    fleet: Fleet


def time_split(
    lake: Warehouse,
    table: pd.DataFrame,
    earlier: pd.DataFrame,
    since: datetime,
    until: datetime,
    *,
    extra_ms: float = EXTRA_MS,
    times: float = TIMES,
) -> Times:
    """Split the time of every version of a league.

    Args:
        lake: For the runs and the fields that programs read.
        table: The league of the window.
        earlier: A league of the time before it, for versions that came before.
        since, until: The days that the split may learn from, UTC: the window and its history.
        extra_ms, times: Slow is so many milliseconds and so many times above what nodes explain.
    """
    rows = [row for row in records(table) if row["ok_logged_count"] >= ROWS]
    read = reads(lake)
    versions = {_key(row): (row["est_ms_p50"], float(row["est_nodes_p50"].value)) for row in rows}
    runs = lake.run("time_by_nodes", since=since, until=until)
    fleet = split(runs, read, versions, extra_ms=extra_ms, times=times)
    medians = {_key(row): row["est_ms_p50"] for frame in (earlier, table) for row in records(frame)}
    own = {_key(row): row for row in rows}
    found = [_row(own[one.key], one, read, medians, fleet, extra_ms, times) for one in fleet.splits]
    found.sort(key=lambda row: (not row["is_slow"], row["verdict"] != "rules", -row["extra_ms"]))
    import pandas as pd

    return Times(pd.DataFrame(found, columns=list(_COLUMNS)), fleet)


def reads(lake: Warehouse) -> dict[Key, Read]:
    """Analytics fields and built-in of every version that has a definition; those that read none are in it too."""
    known = lake.sql(
        "select realm_id, coalesce(family_name, strategy_id), strategy_version, "
        "       case when strategy_type = 'DSL_EXTEND' then parent_strategy_id end "
        "  from definitions order by all"
    )
    parents = {key_of(*row[:3]): row[3] for row in known.fetchall()}
    fields: dict[Key, set[str]] = {}
    for row in records(lake.run("analytics_fields")):
        strategy = row["family_name"] if row["family_name"] is not None else row["strategy_id"]
        fields.setdefault(key_of(row["realm_id"], strategy, row["strategy_version"]), set()).add(str(row["path"]))
    return {key: Read(tuple(sorted(fields.get(key, ()))), parent) for key, parent in parents.items()}


def _key(row: Mapping[str, Any]) -> Key:
    return key_of(row["realm_id"], row["strategy"], row["strategy_version"])


def _row(
    row: Mapping[str, Any], one: Split, read: Mapping[Key, Read], medians: Mapping[Key, Estimate], fleet: Fleet,
    extra_ms: float, times: float,
) -> dict[str, Any]:  # fmt: skip
    previous = _previous(one.key, {*read, *medians})
    before = medians.get(previous) if previous else None
    fields = read[one.key].fields if one.key in read else None
    old = read[previous].fields if previous and previous in read else None
    per_node, most = one.per_node, float(row["est_nodes_p99"].value)
    day, is_version = _since(one, before, fleet, extra_ms, times)
    return {
        **{name: row[name] for name in _COLUMNS if name in row},
        "est_walk_ms_p99": Estimate(
            per_node.value * most, per_node.low * most, per_node.high * most, per_node.logged_count, per_node.grade
        ),
        "explained_ms": one.explained,
        "extra_ms": one.ms.value - one.explained.value,
        "is_slow": one.is_slow or became_slow(one, before, fleet, extra_ms, times),
        "verdict": one.verdict,
        "split": one,
        "fields": fields,
        "new_fields": None if fields is None or old is None else tuple(path for path in fields if path not in old),
        "earlier_version": previous.version if previous else None,
        "earlier_ms_p50": before,
        "slow_since": day,
        "since_is_version": is_version,
    }


def became_slow(
    one: Split, before: Estimate | None, fleet: Fleet, extra_ms: float = EXTRA_MS, times: float = TIMES
) -> bool:
    """Whether a version whose nodes explain its time, or may, is slow beside its own past.

    The nodes of a strategy that always was large are no news; a new version that takes much longer is, whatever a node costs.

    Args:
        one: Its split.
        before: Median time of the version before; None without one.
        fleet: For the days on which it changed.
        extra_ms, times: So much more, surely.
    """
    if one.verdict not in ("rules", "unclear"):
        return False
    past = [before.high] if before is not None and before.grade != "too few" else []
    if one.verdict == "unclear":
        steps = [more for _, more in fleet.levels.changed.get(one.key, ()) if more > 0]
        past += [max(one.ms.value - more, 0.0) for more in steps[-1:]]
    return any(one.ms.low > times * old and one.ms.low - old > extra_ms for old in past)


def _since(
    one: Split, before: Estimate | None, fleet: Fleet, extra_ms: float, times: float
) -> tuple[date | None, bool]:
    """The day on which a version became slow, and whether that is the day it began."""
    if not one.is_slow and not became_slow(one, before, fleet, extra_ms, times):
        return None, False
    steps = [day for day, more in fleet.levels.changed.get(one.key, ()) if more > 0]
    if steps:
        return steps[-1], False
    if before is not None and before.value == before.value and one.ms.value > 2 * before.value:
        return fleet.levels.first_day.get(one.key), True
    return None, False


def _previous(key: Key, known: set[Key]) -> Key | None:
    older = [other for other in known if other.family == key.family and other.version < key.version]
    return max(older, key=lambda other: other.version, default=None)
