"""Scenario: many small tenants, whose rows lie once more in a file of the day for whoever asks for all of them."""

from __future__ import annotations

from pathlib import Path

from analytics.extraction.day_files import LEAST
from analytics.lake.lake import Lake
from analytics.warehouse.warehouse import Warehouse

from . import truth
from .origin import FIRST, Origin, Place
from .steps import Stop
from .truth import BrokenPromiseError
from .world import World

#: Where a day file may be older than its partitions.
STOPS = (
    Stop("rename to executions", 1, True),
    Stop("rename to ledger", 1, True),
    Stop("rename to days", 1, False),
    Stop("rename to days", 1, True),
    Stop("rename to days", 2, True),
)


def many_tenants(world: World) -> None:
    """A question over all of many small tenants is answered from the day's one file, and never otherwise than from theirs."""
    origin, lake = world.origin(0), world.lake()
    for number in range(LEAST):
        origin.add(1, realm=f"tenant {number}", day=FIRST)
    world.settle(origin, lake)
    _has_day_files(lake)
    for number in range(20 if world.full else 2):
        tenant = f"tenant {world.random.randrange(LEAST)}"
        origin.update(2)
        if number % 3 == 2:
            origin.add(1, realm=tenant, day=FIRST)
        origin.note()
        stop = STOPS[number % len(STOPS)] if world.full else STOPS[2 * number + 1]
        world.run(origin, lake, stop)
        truth.examine(origin, lake)
        _whole(origin, lake)
        world.settle(origin, lake, checks=number % 4 == 3)
        _has_day_files(lake)
        _agree(lake)
        _as_the_source(origin, lake)


def _has_day_files(lake: Path) -> None:
    if len({path.parts[-4] for path in (lake / "days").rglob("*.parquet")}) != 2:
        raise BrokenPromiseError("a day of many small tenants has no day files")


def _heard(lake: Path) -> dict[Place, tuple[int, ...]]:
    """Rows, versions and entries per partition, as whoever asks for all tenants hears them."""
    rows = (
        Warehouse(Lake(lake))
        .sql(
            "select realm_id, day::varchar, count(*), sum(strategy_version), sum(coalesce(len(trace), 0)) from executions "
            "group by all"
        )
        .fetchall()
    )
    return {(row[0], row[1]): tuple(map(int, row[2:])) for row in rows}


def _whole(origin: Origin, lake: Path) -> None:
    """After a kill each partition is as it was or as it is: the day's file may be older than the partition's, never half."""
    recent = origin.recent()
    for place, numbers in _heard(lake).items():
        if numbers not in [(state.rows, state.versions, state.entries) for state in recent.get(place, []) if state]:
            raise BrokenPromiseError(f"{place}: over all tenants {numbers} is seen, which never was", half=1)


def _agree(lake: Path) -> None:
    """Whoever asks for all tenants, and whoever asks for each, hears the same."""
    executions, rollup = truth._seen(lake)
    all_of_them, heard = Warehouse(Lake(lake)), _heard(lake)
    rolled = all_of_them.sql("select realm_id, day::varchar, sum(entry_count) from node_days group by 1, 2").fetchall()
    if heard != {place: (state.rows, state.versions, state.entries) for place, state in executions.items()}:
        raise BrokenPromiseError("the day's file and the partitions' files hold other rows", half=1)
    if {(row[0], row[1]): int(row[2]) for row in rolled} != {place: entries for place, (entries, _) in rollup.items()}:
        raise BrokenPromiseError("the day's file and the partitions' files hold other rollups", half=1)


def _as_the_source(origin: Origin, lake: Path) -> None:
    found = Warehouse(Lake(lake)).sql("select sum(strategy_version)::int, count(*) from executions").fetchall()
    if found != origin.execute('select sum("strategyVersion")::int, count(*) from strategyexecutionlog'):
        raise BrokenPromiseError(f"over all tenants the lake holds {found}, the source something else", half=1)
