"""What the runaway report says of odd windows, against arithmetic by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from analytics.findings.runaway.finding import FindingType, Fixed
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.thresholds import STANDARD
from analytics.lake.lake import Lake
from analytics.reports import charts
from analytics.reports.page.inline import plain
from analytics.reports.runaway.charts import growing_words
from tests.findings.test_runaway import failed, one, plant, planted_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tests.conftest import Table


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
    assert (
        "24 timeouts, likely of an event loop that stalled 2 times, 03:00 – 20:00" in planted_report(fresh).when().text
    )


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
    seen = datetime(2026, 7, 7, tzinfo=UTC)
    over = Fixed(type=FindingType.GROWING, key=Key("acme", "s1", 1), since=None, until=seen, previous_count=None)
    assert "Day by day no strategy is seen heading for the cap." in plain(
        growing_words(planted_report(fresh).evidence.ranking, [over], 30)
    )


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


def test_runs_above_the_cap_that_passed_say_that_it_is_another(table: Table, fresh: Lake) -> None:
    grow(table)
    table.extract(fresh, "2026-07-01", "2026-07-09")
    report = planted_report(fresh, thresholds=replace(STANDARD, node_cap=5))
    assert "with 880 nodes: more than the cap of 5 that the report was given" in report.close().text
    assert "That is above the cap already." in report.findings().text
    assert "about 0 days" not in report.findings().text


# ---- the league ------------------------------------------------------------------------------------------------------


def test_where_no_duration_is_usable_nobody_takes_the_time(table: Table, fresh: Lake) -> None:
    plant(table, 3, strategyId="a", durationMs="NaN", nodesExecuted=0)
    plant(table, 3, strategyId="b", durationMs=-1, nodesExecuted=0)
    table.extract(fresh)
    report = planted_report(fresh)
    assert "No run has a duration that tells who takes the time." in report.league().text
    assert report.table["time_share"].map(lambda share: share.value).isna().all()
    assert report.table["node_share"].map(lambda share: share.value).isna().all()


def test_versions_of_one_strategy_are_not_called_strategies(table: Table, fresh: Lake) -> None:
    plant(table, 3, strategyVersion=1)
    plant(table, 3, strategyVersion=2, at="2026-07-08 13:00:00+00")
    plant(table, 1, strategyVersion=1, at="2026-07-08 14:00:00+00", **failed("timeout"))
    plant(table, 1, strategyVersion=2, at="2026-07-08 16:00:00+00", **failed("timeout"))
    table.extract(fresh)
    assert "None of 2 versions hit the cap" in planted_report(fresh).league().text
    assert "2 timeouts of one strategy" in planted_report(fresh).when().text


# ---- programs that are not the ones that ran -------------------------------------------------------------------------

ONE = "00000000-0000-0000-0000-000000000001"
SMALL = {
    "rules": [
        {
            "id": "new",
            "when": {"type": "literal", "id": "w", "value": True},
            "then": [{"type": "assign_points", "id": "a", "value": {"type": "literal", "id": "v", "value": 1}}],
        }
    ]
}


def define(table: Table, ast: object, name: str = "Edited") -> None:
    table.define(ast, id=ONE, name=name)


def entry(rule: str, branch: str) -> dict[str, object]:
    return {"nodeId": rule, "type": "rule", "branch": branch, "value": branch == "match"}


def test_a_program_shorter_than_its_runs_bounds_nothing(table: Table, fresh: Lake) -> None:
    """Edited in place: the lake's text leaves four entries at most, the log shows 880."""
    define(table, SMALL)
    grow(table, strategyId=ONE)
    table.extract(fresh, "2026-07-01", "2026-07-09")
    report = planted_report(fresh)
    assert "cannot reach it" not in report.league().text + report.growing().text
    assert one(report.found, "growing").number.value == pytest.approx(12)
    assert "1 of 1 programs can be read" not in report.league().text


def test_a_rule_that_only_another_text_of_the_program_has_is_not_called_unreached(table: Table, fresh: Lake) -> None:
    define(table, SMALL)
    plant(table, 40, strategyId=ONE, trace=json.dumps([entry("old", "match")]))
    table.extract(fresh)
    report = planted_report(fresh)
    assert "seen to be reached" not in report.nodes().text
    assert "no definition fits the traces" in report.nodes().text
    assert "has a definition in the lake" not in report.nodes().text


# ---- rules behind the cut --------------------------------------------------------------------------------------------


def cut(table: Table, count: int, *entries: dict[str, object]) -> None:
    kept = [*entries, {"nodeId": "x", "type": "literal", "value": 1}]
    note = f"trace truncated: 300 -> {len(kept)} entries"
    plant(
        table, count, at="2026-07-08 13:00:00+00", trace=json.dumps(kept), nodesExecuted=300, notes=note
    )  # fmt: skip


@pytest.mark.parametrize("branch", ["skip", "match"])
def test_of_a_rule_that_most_runs_hide_neither_never_nor_always_is_said(table: Table, fresh: Lake, branch: str) -> None:
    """Forty traces show the rule; two hundred were cut before it and may have taken either branch."""
    plant(table, 40, trace=json.dumps([entry("r", branch)]))
    cut(table, 200)
    table.extract(fresh)
    report = planted_report(fresh)
    text = report.nodes().text
    assert "not seen to match" not in text and "in all" not in text
    assert "1 rule of which too much lies behind the cut" in text


def test_cuts_behind_a_rule_do_not_hide_it(table: Table, fresh: Lake) -> None:
    """All 240 runs show the rule, cut ones too: its bound is that of 240 looks."""
    plant(table, 40, trace=json.dumps([entry("r", "skip")]))
    cut(table, 200, entry("r", "skip"))
    table.extract(fresh)
    [row] = planted_report(fresh).summary()["rules"]
    assert (row["reading"], row["entry_count"]) == ("not seen to match", 240)
    assert (1 - row["share_high"]) ** 240 == pytest.approx(0.05)


def test_two_hidden_looks_widen_a_bound(table: Table, fresh: Lake) -> None:
    """Two of 62 may have matched: P(two or fewer of 62) is one in twenty at the bound."""
    plant(table, 60, trace=json.dumps([entry("r", "skip")]))
    cut(table, 2)
    table.extract(fresh)
    [row] = planted_report(fresh).summary()["rules"]
    high = row["share_high"]
    terms = (1, 62 * high / (1 - high), 62 * 61 / 2 * (high / (1 - high)) ** 2)
    assert (1 - high) ** 62 * sum(terms) == pytest.approx(0.05)


def test_a_rule_whose_else_branch_runs_did_not_do_nothing(table: Table, fresh: Lake) -> None:
    for number in range(2, 9):
        plant(table, 40, at=f"2026-07-{number:02} 12:00:00+00", trace=json.dumps([entry("r", "else")]))
    table.extract(fresh, "2026-07-01", "2026-07-09")
    text = planted_report(fresh).nodes().text
    assert "1 rule was not seen to match in 7 days." in text
    assert "its else branch runs instead" in text and "two weeks." not in text
