"""What the runaway report says of odd windows, against arithmetic by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from analytics import charts
from analytics.findings.runaway import Finding, Key
from analytics.findings.thresholds import STANDARD
from analytics.lake import Lake
from analytics.page.text import plain
from analytics.stories.runaway_answers import growing_words
from tests.test_runaway import failed, plant, planted_report

if TYPE_CHECKING:
    from conftest import Table
    from matplotlib.figure import Figure


def grow(table: Table, *, days: int = 8, start: int = 800, **columns: object) -> None:
    for day in range(1, days + 1):
        plant(table, 12, at=f"2026-07-0{day} 12:00:00+00", nodesExecuted=start + 10 * day, **columns)


# ---- when ------------------------------------------------------------------------------------------------------------


def test_the_burst_that_ends_last_need_not_be_the_one_that_began_last(table: Table, fresh: Lake) -> None:
    for minute in range(0, 60, 20):
        plant(table, 1, at=f"2026-07-08 10:{minute:02}:00+00", strategyId="long", **failed("limit"))
    plant(table, 2, at="2026-07-08 10:05:00+00", strategyId="short", **failed("limit"))
    table.extract(fresh)
    assert "5 runs stopped by the cap in 2 bursts, 10:00 – 10:40" in planted_report(fresh).when().text


def test_two_stalls_are_not_told_as_one(table: Table, fresh: Lake) -> None:
    for hour in ("03", "20"):
        for strategy in "pqrs":
            plant(table, 3, at=f"2026-07-08 {hour}:00:00+00", strategyId=strategy, **failed("timeout"))
    table.extract(fresh)
    assert "24 timeouts of an event loop that stalled 2 times, 03:00 – 20:00" in planted_report(fresh).when().text


# ---- growing ---------------------------------------------------------------------------------------------------------


def test_who_grows_and_was_stopped_is_not_called_slow(table: Table, fresh: Lake) -> None:
    grow(table)  # 880 nodes on the last day and ten more each day: twelve days are left
    plant(table, 1, at="2026-07-08 13:00:00+00", **failed("limit"))
    table.extract(fresh, "2026-07-01", "2026-07-09")
    text = planted_report(fresh).growing().text
    assert "1 grows and is stopped by the cap already." in text
    assert "not likely" not in text and "slowly" not in text


def test_growth_far_from_the_cap_names_the_horizon_it_was_given(table: Table, fresh: Lake) -> None:
    grow(table, start=100)  # 180, ten more each day: 82 days
    table.extract(fresh, "2026-07-01", "2026-07-09")
    limits = replace(STANDARD, horizon_days=60)
    text = planted_report(fresh, thresholds=limits).growing().text
    assert "1 grows, not likely to meet the cap within 60 days." in text


def test_growth_of_the_last_report_has_no_slope_in_this_one(table: Table, fresh: Lake) -> None:
    plant(table, 12)
    table.extract(fresh)
    over = Finding("fixed", "growing", Key("acme", "s1", 1), None, datetime(2026, 7, 7, tzinfo=UTC), 0, 0, "runs", {})
    assert "No strategy is seen heading for the cap." in plain(growing_words(planted_report(fresh).table, [over], 30))


# ---- how close -------------------------------------------------------------------------------------------------------


def curve(*points: tuple[float, float]) -> Figure:
    frame = pd.DataFrame([("a", "finding", nodes, share) for nodes, share in points])
    frame.columns = pd.Index(["label", "role", "nodes", "share"])
    return charts.exceedance(frame, pd.DataFrame(columns=["label", "count"]), cap=1000)


def test_a_curve_reaches_the_largest_run() -> None:
    """Half of the runs need 10 nodes, half 950: at 950 nothing is left, and that is where the curve falls."""
    [line] = [line for line in curve((10, 0.5), (950, 0.0)).axes[0].lines if len(line.get_xdata()) == 3]
    assert list(line.get_xdata())[1:] == [10, 950]
    assert list(line.get_ydata())[:2] == [1.0, 0.5]
    assert line.get_ydata()[2] <= line.axes.get_ylim()[0]


def test_runs_that_all_need_the_same_are_drawn(table: Table, fresh: Lake) -> None:
    plant(table, 12, nodesExecuted=880)
    table.extract(fresh)
    assert "No run with nodes" not in planted_report(fresh).close().html
