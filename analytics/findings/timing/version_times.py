"""Where the time of each version of a ranking goes, what its program reads, and since when it is slow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from analytics.estimates.estimate import Estimate
from analytics.findings.runaway.keys import Key, key_of
from analytics.findings.timing.cost_model import ProgramInputs
from analytics.findings.timing.time_split import EXTRA_MS, TIMES, Fleet, TimeSplit, Verdict, split
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    from analytics.findings.runaway.ranking import RankingRow
    from analytics.warehouse.warehouse import Warehouse

ROWS = 30
"""Logged ok rows a strategy needs to take part."""


@dataclass(frozen=True, slots=True)
class VersionTime:
    """Where the time of one version of the ranking goes, beside what it was before.

    Attributes:
        split: Its median time, taken apart.
        nodes_p50: Median of nodes.
        ms_p99: Of the whole time.
        walk_ms_p99: Milliseconds of the walk at the p99 of nodes: what the time limit is about, for it wraps the walk alone.
        is_slow: Slower than its nodes explain, or than its own past.
        fields: The analytics fields that its program reads; None when no definition is known.
        new_fields: Those of them that the version before did not read; None where one of the two is not known.
        earlier_version: The version before it; None without one.
        earlier_ms_p50: Median time of that; None where it is not in the log.
        slow_since: The first slow day, where one can be seen.
        since_is_version: That day is the version's first.
        time_share: Part of the time of the whole fleet.
    """

    split: TimeSplit
    nodes_p50: Estimate
    ms_p99: Estimate
    walk_ms_p99: Estimate
    is_slow: bool
    fields: tuple[str, ...] | None
    new_fields: tuple[str, ...] | None
    earlier_version: int | None
    earlier_ms_p50: Estimate | None
    slow_since: date | None
    since_is_version: bool
    time_share: float

    @property
    def key(self) -> Key:
        """Which version."""
        return self.split.key

    @property
    def extra_ms(self) -> float:
        """Milliseconds that nodes and the rest of every run do not explain."""
        return self.split.ms.value - self.split.explained.value


@dataclass(frozen=True, slots=True)
class Times:
    """The time of a window's strategies, split.

    Attributes:
        versions: Those with at least thirty ok rows; the slow ones first, then by what nodes do not explain.
        fleet: What single fields and nodes cost.
    """

    versions: tuple[VersionTime, ...]
    fleet: Fleet


def time_split(
    lake: Warehouse,
    ranking: Sequence[RankingRow],
    earlier: Iterable[RankingRow],
    since: datetime,
    until: datetime,
    *,
    extra_ms: float = EXTRA_MS,
    times: float = TIMES,
) -> Times:
    """Split the time of every version of a ranking.

    Args:
        lake: For the runs and the fields that programs read.
        ranking: Of the window.
        earlier: That of the time before it, for versions that came before.
        since, until: The days that the split may learn from, UTC: the window and its history.
        extra_ms, times: Slow is so many milliseconds and so many times above what nodes explain.
    """
    rows = {row.key: row for row in ranking if row.counts.ok >= ROWS}
    read = program_inputs(lake)
    versions = {key: (row.ms_p50, row.nodes_p50.value) for key, row in rows.items()}
    runs = lake.run("time_by_nodes", since=since, until=until)
    fleet = split(runs, read, versions, extra_ms=extra_ms, times=times)
    medians = {row.key: row.ms_p50 for row in (*earlier, *ranking)}
    found = [_version_time(rows[one.key], one, read, medians, fleet, extra_ms, times) for one in fleet.splits]
    found.sort(key=lambda one: (not one.is_slow, one.split.verdict != Verdict.RULES, -one.extra_ms))
    return Times(tuple(found), fleet)


def program_inputs(lake: Warehouse) -> dict[Key, ProgramInputs]:
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
    return {key: ProgramInputs(tuple(sorted(fields.get(key, ()))), parent) for key, parent in parents.items()}


def _version_time(
    row: RankingRow, one: TimeSplit, read: Mapping[Key, ProgramInputs], medians: Mapping[Key, Estimate], fleet: Fleet,
    extra_ms: float, times: float,
) -> VersionTime:  # fmt: skip
    previous = _previous(one.key, {*read, *medians})
    before = medians.get(previous) if previous else None
    fields = read[one.key].fields if one.key in read else None
    old = read[previous].fields if previous and previous in read else None
    per_node, most = one.per_node, row.nodes_p99.value
    day, is_version = _slow_since(one, before, fleet, extra_ms, times)
    return VersionTime(
        split=one,
        nodes_p50=row.nodes_p50,
        ms_p99=row.ms_p99,
        walk_ms_p99=Estimate(
            per_node.value * most, per_node.low * most, per_node.high * most, per_node.logged_count, per_node.grade
        ),
        is_slow=one.is_slow or became_slow(one, before, fleet, extra_ms, times),
        fields=fields,
        new_fields=None if fields is None or old is None else tuple(path for path in fields if path not in old),
        earlier_version=previous.version if previous else None,
        earlier_ms_p50=before,
        slow_since=day,
        since_is_version=is_version,
        time_share=row.est_time_share,
    )


def became_slow(
    one: TimeSplit, before: Estimate | None, fleet: Fleet, extra_ms: float = EXTRA_MS, times: float = TIMES
) -> bool:
    """Whether a version whose nodes explain its time, or may, is slow beside its own past.

    The nodes of a strategy that always was large are no news; a new version that takes much longer is, whatever a node costs.

    Args:
        one: Its split.
        before: Median time of the version before; None without one.
        fleet: For the days on which it changed.
        extra_ms, times: So much more, surely.
    """
    if one.verdict not in (Verdict.RULES, Verdict.UNCLEAR):
        return False
    past = [before.high] if before is not None and before.grade != "too few" else []
    if one.verdict == Verdict.UNCLEAR:
        steps = [more for _, more in fleet.levels.changed.get(one.key, ()) if more > 0]
        past += [max(one.ms.value - more, 0.0) for more in steps[-1:]]
    return any(one.ms.low > times * old and one.ms.low - old > extra_ms for old in past)


def _slow_since(
    one: TimeSplit, before: Estimate | None, fleet: Fleet, extra_ms: float, times: float
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
