"""The runaway report where runs are very many: what is counted together must say what single runs say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analytics.findings.failures.stops import mark_stalls, stop_count
from analytics.findings.runaway import runaway
from analytics.findings.runaway.ranking import rank_versions, ranking_frame
from analytics.findings.runaway.run_costs import logged, run_costs
from analytics.findings.runaway.runaway import Key, Stop
from analytics.lake.lake import Lake
from analytics.reports.charts.distributions import MOST_MARKS as MOST_CIRCLES
from analytics.reports.runaway import charts
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from tests.conftest import Table

DAY = datetime(2026, 7, 8, tzinfo=UTC)
FIRST, UNTIL = datetime(2026, 7, 7, tzinfo=UTC), datetime(2026, 7, 11, tzinfo=UTC)


def timeout(second: float, strategy: int) -> Stop:
    return Stop(Key("r", f"s{strategy}", 1), "timeout", DAY + timedelta(seconds=second), None, "DSL_TIMEOUT")


def limit_row(moment: str, user: str | None) -> dict[str, Any]:
    row = {"status": "limit", "errorCode": "DSL_LIMIT_EXCEEDED", "points": None, "caseName": None, "trace": "null"}
    return {
        **row, "nodesExecuted": 0, "sampled": False, "created_at": f"2026-07-08 {moment}+00:00", "externalUserId": user,
    }  # fmt: skip


# ---- stops -----------------------------------------------------------------------------------------------------------


def test_timeouts_that_meet_by_chance_are_no_stall_and_a_real_one_among_them_is() -> None:
    chance = np.random.default_rng(5)
    scattered = [
        timeout(second, place)
        for second, place in zip(chance.uniform(0, 86_400, 1_500), chance.integers(0, 30, 1_500), strict=True)
    ]
    stall = [timeout(50_000 + 60 * place / 40, place % 20) for place in range(40)]

    alone = mark_stalls(sorted(scattered, key=lambda stop: stop.at or DAY))
    among = mark_stalls(sorted([*scattered, *stall], key=lambda stop: stop.at or DAY))

    assert not any(stop.stalled for stop in alone)
    # The few scattered ones that happen to fall beside it are taken for its own.
    marked = [stop for stop in among if stop.stalled]
    assert set(stall) <= {replace(stop, stall=None) for stop in marked}
    assert len(marked) <= len(stall) + 10


def test_one_strategy_that_times_out_in_a_burst_is_no_stall_for_two_strangers_beside_it() -> None:
    around = [timeout(second, 1 + second // 600) for second in range(30_000, 60_000, 600)]
    burst = [timeout(45_000 + second, 0) for second in range(100)]

    marked = mark_stalls(sorted([*around, *burst, timeout(45_050, 99)], key=lambda stop: stop.at or DAY))

    assert not any(stop.stalled for stop in marked)


def test_stops_counted_by_minute_make_the_same_bursts(table: Table, fresh: Lake) -> None:
    for minute, users in (
        ("12:00:10", "ab"),
        ("12:00:50", "a"),
        ("12:01:00", "c"),
        ("12:40:00", "a"),
        ("12:40:59", "a"),
    ):
        for user in users:
            table.insert(**limit_row(minute, user))
    table.insert(**limit_row("12:41:00", None))
    table.extract(fresh)
    lake, until = Warehouse(fresh), DAY + timedelta(days=1)

    minutes = runaway.stopped(lake, DAY, until, most_listed=0)
    found = runaway.bursts(minutes)

    assert [stop.logged_count for stop in minutes] == [3, 1, 2, 1]
    at = [(f"{burst.since:%H:%M:%S}", f"{burst.until:%H:%M:%S}") for burst in found]
    assert at == [("12:00:10", "12:01:00"), ("12:40:00", "12:41:00")]
    assert [(burst.count, burst.users, burst.user) for burst in found] == [(4, 3, None), (3, 1, "a")]
    assert found == runaway.bursts(runaway.stopped(lake, DAY, until))


def test_a_million_stops_are_counted_and_not_drawn_one_by_one() -> None:
    key = Key("r", "s", 1)
    minutes = [
        Stop(
            key,
            "limit",
            DAY + timedelta(minutes=n),
            None,
            None,
            logged_count=1_000,
            last=DAY + timedelta(minutes=n, seconds=59),
        )
        for n in range(1_000)
    ]
    single = [Stop(key, "limit", DAY + timedelta(seconds=n), "u", None) for n in range(20_000)]

    picture = str(charts.stops_picture(minutes, DAY, DAY + timedelta(days=1)))
    listed = str(charts.stops_picture(single, DAY, DAY + timedelta(days=1)))

    assert stop_count(minutes) == 1_000_000
    assert "1000000 stopped runs" in picture
    assert "1,000,000 ×" in picture
    assert "20,000 ×" in listed
    assert len(listed) < 250_000
    assert charts.are_thinned(minutes) and charts.are_thinned(single)
    assert not charts.are_thinned(single[:50])


# ---- costs -----------------------------------------------------------------------------------------------------------


def test_rounded_durations_move_no_quantile_by_more_than_half_a_percent_and_no_node(warehouse: Warehouse) -> None:
    costs = run_costs(warehouse, FIRST, UNTIL, most_exact=0)
    [(rows,)] = warehouse.sql(
        "select count(*) from executions where status in ('ok', 'limit', 'timeout') "
        "   and created_at >= $since and created_at < $until", since=FIRST, until=UNTIL,
    ).fetchall()  # fmt: skip

    key = ["realm_id", "strategy", "strategy_version"]
    rounded = ranking_frame(rank_versions(warehouse, FIRST, UNTIL, costs=costs)).set_index(key)
    exact = ranking_frame(rank_versions(warehouse, FIRST, UNTIL)).set_index(key).loc[rounded.index]

    assert costs.is_rounded and not run_costs(warehouse, FIRST, UNTIL).is_rounded
    assert logged(costs.together) == logged(costs.times) == rows
    assert len(costs.times) < rows
    for name in ("est_nodes_p50", "est_nodes_p99"):
        assert list(map(repr, rounded[name])) == list(map(repr, exact[name]))
    for name in ("est_ms_p50", "est_ms_p99"):
        for near, true in zip(rounded[name], exact[name], strict=True):
            assert near.value == pytest.approx(true.value, rel=0.005, nan_ok=True)
            assert near.grade == true.grade


def test_the_picture_of_counted_runs_is_that_of_single_ones(table: Table, fresh: Lake) -> None:
    with table.at_once() as rows:
        for place in range(60):
            rows.insert(
                created_at=f"2026-07-08 12:00:{place:02}+00:00", nodesExecuted=10 + place % 3, durationMs=5 + place % 2
            )
    with table.at_once() as rows:
        for place in range(MOST_CIRCLES + 50):
            rows.insert(**limit_row(f"13:{place // 60:02}:{place % 60:02}", "u"))
    table.extract(fresh)
    costs = run_costs(Warehouse(fresh), DAY, DAY + timedelta(days=1)).together
    single = costs.loc[costs.index.repeat(costs["logged_count"])].drop(columns="logged_count")

    counted, listed = (
        str(charts.density_picture(rows, 1000, 500, None)) for rows in (costs, single.assign(logged_count=1))
    )

    assert len(costs) < len(single) / 10
    assert counted == listed
    assert "300 stopped runs" in counted
