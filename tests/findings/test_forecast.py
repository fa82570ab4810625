"""Days to the cap: a small simulation of whether ranges hold, rows by hand, programs that end, and growth over versions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analytics.findings.runaway import forecast
from analytics.findings.runaway import trend as runaway_trend
from analytics.findings.runaway.forecast import Line, days_until, line
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.trend import daily_levels, trends
from analytics.findings.runaway.version_growth import steps_to_cap, version_nodes
from analytics.program import Program, Size, compile_program, size
from tests.forecast.cells import SEED, Cell, Tally, fleet, tally
from tests.forecast.growth import CAP, FIRST, SCENARIOS

LOGS = 60
SPARE = 3.1 * math.sqrt(0.05 * 0.95 / LOGS)  # what sixty logs leave to chance: one in a thousand on each side
GROWTH = {growth.name: growth for growth in SCENARIOS}
Break = Callable[[pytest.MonkeyPatch], None]


@cache
def run(name: str, rows: int, days: int) -> Tally:
    return tally(Cell(GROWTH[name], rows, days), LOGS, SEED)


# ---- ranges hold -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "days"),
    [
        ("linear, skewed runs", 1000, 14),
        ("linear, heavy tail", 50, 14),
        ("proportional, normal runs", 1000, 14),
        ("days scatter more and more", 200, 14),
        ("mixed weights", 200, 14),
        ("already cut off by the cap", 50, 7),
    ],
)
def test_the_range_holds_the_day_of_growth_in_95_of_100_logs(name: str, rows: int, days: int) -> None:
    found = run(name, rows, days)

    assert found.coverage >= 0.95 - SPARE


def test_the_range_of_many_rows_misses_now_and_then_and_promises_a_last_day() -> None:
    found = run("linear, skewed runs", 1000, 14)

    assert found.growing > 0.9
    assert found.promised > 0.7


@pytest.mark.parametrize("name", ["quiet", "quiet, one odd day", "quiet, quiet weekends"])
def test_what_does_not_grow_is_seldom_called_growing(name: str) -> None:
    assert run(name, 50, 14).growing <= 0.025 + 3.1 * math.sqrt(0.025 * 0.975 / LOGS)


def test_a_jump_is_called_a_step_and_not_growth() -> None:
    found = run("jump of 200", 200, 14)

    assert found.states["step"] >= 0.9 * LOGS
    assert found.growing <= 0.05


def test_growth_that_levels_off_is_not_promised_the_cap() -> None:
    found = run("levels off, rise of 300", 1000, 14)

    assert found.promised <= 0.05
    assert found.states["levelled off"] > found.states["growing"]


def test_a_quiet_fleet_of_fifty_stays_quiet_and_one_that_grows_is_found_in_it() -> None:
    assert fleet(50, 14, False, 4, SEED).alarms <= 1
    assert fleet(50, 14, True, 4, SEED).found >= 3


def _one_error_for_two(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Line, "critical", property(lambda self: 1.0))


def _no_ratio(patch: pytest.MonkeyPatch) -> None:
    real = runaway_trend._beyond
    patch.setattr(runaway_trend, "_beyond", lambda *arguments: real(*arguments)[:1])


def _cap_of_another(patch: pytest.MonkeyPatch) -> None:
    real = forecast.days_until
    patch.setattr(forecast, "days_until", lambda of, cap, **more: real(of, cap * 0.95, **more))


@pytest.mark.parametrize(("broken", "rows"), [(_one_error_for_two, 1000), (_no_ratio, 100), (_cap_of_another, 1000)])
def test_the_simulation_notices_a_range_that_does_not_hold(
    broken: Break, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    name = "linear, skewed runs" if rows == 1000 else "proportional, normal runs"
    assert tally(Cell(GROWTH[name], rows, 14 if rows == 1000 else 30), LOGS, SEED).coverage < 0.95 - SPARE


# ---- the line and its range ------------------------------------------------------------------------------------------


def test_days_until_is_what_test_inversion_says_day_by_day() -> None:
    chance = np.random.default_rng(SEED)
    ages = np.arange(14) - 13.0
    of = line(ages, 800 + 10 * ages + chance.normal(0, 15, 14))

    low, high = days_until(of, CAP)

    grid = np.linspace(0, 100, 100_001)
    spread = np.sqrt(of.level_variance + 2 * grid * of.covariance + grid**2 * of.slope_variance)
    kept = grid[np.abs(of.level + of.slope * grid - CAP) <= stats.t.ppf(0.975, 12) * spread]
    assert (low, high) == pytest.approx((kept[0], kept[-1]), abs=0.002)


def test_a_slope_that_may_be_none_has_no_last_day() -> None:
    ages = np.arange(4) - 3.0
    low, high = days_until(line(ages, np.array([700.0, 730, 690, 740])), CAP)
    assert 0 < low < high == math.inf


def test_a_line_that_surely_falls_never_meets_the_cap() -> None:
    ages = np.arange(10) - 9.0
    assert days_until(line(ages, 800 - 20 * ages - 400), CAP) == (math.inf, math.inf)


def test_a_level_that_may_be_at_the_cap_starts_today() -> None:
    ages = np.arange(10) - 9.0
    low, _ = days_until(line(ages, 995 + 10 * ages), CAP, above=20)
    assert low == 0


def test_no_odd_day_alone_makes_a_slope_significant() -> None:
    for days in (4, 7, 14, 30):
        for odd in range(days):
            values = np.full(days, 500.0)
            values[odd] += 400
            assert line(np.arange(days) - (days - 1.0), values).chance > 0.025


def test_the_quantile_of_a_day_is_that_of_its_rows_one_by_one() -> None:
    chance = np.random.default_rng(SEED)
    nodes = np.sort(chance.integers(0, 40, 300))
    seen, times = np.unique(nodes, return_counts=True)
    frame = by_day({1: [(int(n), 20.0, int(t)) for n, t in zip(seen, times, strict=True)]})

    [own] = daily_levels(frame).values()

    assert own.p99[0] == pytest.approx(np.quantile(nodes, 0.99, method="median_unbiased"))
    assert own.p90[0] == pytest.approx(np.quantile(nodes, 0.9, method="median_unbiased"))


# ---- rows by hand ----------------------------------------------------------------------------------------------------


def by_day(
    days: dict[int, list[tuple[float | None, float, int]]], version: int = 1, strategy: str = "s"
) -> pd.DataFrame:
    rows = [(FIRST + pd.Timedelta(days=day), *row) for day, own in days.items() for row in own]
    frame = pd.DataFrame(rows, columns=["day", "nodes_executed", "sample_weight", "logged_count"])
    return frame.assign(realm_id=None, strategy=strategy, strategy_version=version)


def ten_more_each_day(days: int = 8, rows: int = 400) -> pd.DataFrame:
    return by_day({day: [(800 + 10 * day, 20.0, rows)] for day in range(days)})


def test_growth_without_any_scatter_is_told_to_the_day() -> None:
    [trend] = trends(ten_more_each_day(), CAP).values()

    assert trend.state == "growing"
    assert trend.days_to_cap.value == pytest.approx(13)  # 870 on the last day, 130 left
    assert 12.8 < trend.days_to_cap.low < 13 < trend.days_to_cap.high < 13.2


def test_few_rows_do_not_bound_the_p99_from_above() -> None:
    [trend] = trends(ten_more_each_day(rows=40), CAP).values()  # 320 rows in all: 0.99 ** 320 > 0.025

    assert trend.state == "growing"
    assert (trend.level.high, trend.days_to_cap.low) == (math.inf, 0)
    assert 13 < trend.days_to_cap.high < 14


def test_three_days_are_too_few() -> None:
    assert [trend.state for trend in trends(ten_more_each_day(3), CAP).values()] == ["too few days"]


def test_a_day_on_which_one_run_in_fifty_is_stopped_is_at_the_cap() -> None:
    frame = ten_more_each_day()
    stopped = by_day({7: [(None, 1.0, 160)]})  # beside 400 rows that stand for 8,000 runs

    [trend] = trends(pd.concat([frame, stopped]), CAP).values()

    assert trend.state == "at the cap"
    assert trend.days_to_cap.low == 0


def test_a_program_smaller_than_the_cap_cannot_reach_it() -> None:
    key = Key(None, "s", 1)

    small = trends(ten_more_each_day(), CAP, {key: Size(612, 630, 5)})[key]
    large = trends(ten_more_each_day(), CAP, {key: Size(990, 1001, 5)})[key]  # the cap counts visits
    unknown = trends(ten_more_each_day(), CAP, {key: Size(None, None, None, "odd")})[key]

    assert (small.state, small.entries_max) == ("bounded", 612)
    assert math.isnan(small.days_to_cap.value)
    assert large.state == unknown.state == "growing"


# ---- growth over versions --------------------------------------------------------------------------------------------


def ladder(*nodes: float, back: bool = False) -> pd.DataFrame:
    parts = [
        by_day({2 * place: [(count, 20.0, 100)], 2 * place + 1: [(count + 1, 20.0, 100)]}, version=9 - place)
        for place, count in enumerate(nodes)
    ]
    if back:
        parts.append(by_day({2 * len(nodes): [(nodes[0], 20.0, 100)]}, version=9))
    return pd.concat(parts)


def test_versions_that_grow_are_told_in_the_order_of_the_log() -> None:
    # Their numbers fall: a rollback republishes an old one, so numbers say nothing of the order.
    [(key, chain)] = steps_to_cap(version_nodes(ladder(143, 423, 983)), CAP).items()

    assert key.version == 7
    assert [(one.key.version, one.median.value) for one in chain] == [(9, 143), (8, 423), (7, 983)]


@pytest.mark.parametrize(
    ("nodes", "passes"),
    [
        ((143, 423), False),  # 423 and 280 more
        ((143, 423, 500), False),  # 577, or 591 in proportion
        ((100, 300, 600), True),  # 900 by size, 1,200 in proportion
        ((300, 600), False),  # one step is no proportion
        ((983, 423), False),
        ((500,), False),
        ((450, 730), True),
    ],
)
def test_the_next_step_is_as_large_as_the_last_or_in_its_proportion(nodes: tuple[float, ...], passes: bool) -> None:
    assert bool(steps_to_cap(version_nodes(ladder(*nodes)), CAP)) is passes


def test_a_family_that_went_back_is_not_on_its_way() -> None:
    assert steps_to_cap(version_nodes(ladder(143, 423, 983, back=True)), CAP) == {}


# ---- the size of a program -------------------------------------------------------------------------------------------


def literal(value: Any) -> dict[str, Any]:
    return {"type": "literal", "value": value}


def pays(points: int) -> dict[str, Any]:
    return {"type": "assign_points", "value": literal(points), "case_name": "c"}


def field(path: str) -> dict[str, Any]:
    return {"type": "field", "path": path}


TALLY = {"type": "set_callback_data", "key": "k", "value": literal(1)}
LADDER: dict[str, Any] = {
    "rules": [
        {"id": f"r{rung}", "when": {"type": "compare", "op": ">", "left": field("data.n"), "right": literal(rung)},
         "then": [TALLY], "else_if": [{"when": {"type": "not", "arg": literal(True)}, "then": []}], "else": []}
        for rung in range(20)
    ],
    "default": pays(1),
}  # fmt: skip


def longest(program: Program, phase: Any = "full") -> tuple[int, int]:
    """Most entries and visits over every value the ladder can tell apart."""
    runs = [program.run({"data.n": n}, phase=phase) for n in range(-1, 21)]
    assert all(run.ok for run in runs)
    return max(run.nodes for run in runs), max(run.visits for run in runs)


def test_no_run_is_larger_than_its_program_and_the_evaluator_reaches_what_it_can() -> None:
    found, (entries, visits) = size(LADDER), longest(compile_program(LADDER))

    # A rule that matches leaves compare, field, literal, rule, set, literal: 6; one that does not 3 + not, literal, rule: 6.
    assert found.entries_max == entries == 20 * 6 + 2
    # Those that match: 6 visits; those that do not: rule, 3, branch, not, and its bare literal twice: 8. The default 2 and the
    # program 1. The count of the evaluator is that of a run that matches none, the largest there is.
    assert found.visits_max == visits == 20 * 8 + 3
    assert found.depth == 3 and compile_program(LADDER).depth >= found.depth


def test_bare_conditions_meet_the_cap_at_fewer_entries() -> None:
    # Rule and bare literal leave 2 entries and take 3 visits; with the program's own, 200 of them visit 601 and leave 400.
    found = size({"rules": [{"when": literal(False)}] * 200})
    assert (found.entries_max, found.visits_max) == (400, 601)
    assert found.entries_at(1000) == pytest.approx(1000 * 400 / 601)
    assert Size(None, None, None, "unknown").entries_at(1000) == 1000


def test_what_comes_after_a_statement_that_ends_the_program_is_not_counted() -> None:
    always = {"when": literal(True), "then": [pays(1), TALLY, TALLY]}
    assert size({"rules": [always]}).entries_max == 4  # literal, rule, literal, assign_points
    # Skipped, the first rule leaves 2, and then the second leaves 4.
    assert size({"rules": [always, always]}).entries_max == 6


def test_phases_around_a_parent_add_up_and_each_has_the_cap_to_itself() -> None:
    ast = {
        "pre_rules": [{"when": literal(True), "then": [{"type": "set_data", "key": "k", "value": literal(1)}]}],
        "post_rules": [{"when": literal(True), "then": [{"type": "set_points", "value": literal(1)}] * 3}],
    }
    found = size(ast)
    assert (found.entries_max, found.visits_max) == (4 + 8, 10)
    assert (
        size({"rules": [{"when": literal(1)}]}, extends=True).entries_max == 0
    )  # a DSL_EXTEND runs no rules of its own


@pytest.mark.parametrize(
    ("ast", "reason"),
    [
        (None, "not an object"),
        ([], "not an object"),
        ({"rules": "x"}, "rules is not a list"),
        ({"rules": [7]}, "rules[0] is not an object"),
        ({"rules": [{"when": {"type": "while"}}]}, "rules[0].when"),
        ({"rules": [{"when": {"type": ["and"]}}]}, "rules[0].when"),
        ({"rules": [{"when": {"type": "and", "args": None}}]}, "without a list of args"),
        ({"rules": [{"when": literal(1), "then": [{"type": "rm_rf"}]}]}, "no statement the engine knows"),
        ({"rules": [{"when": {"type": "not", "arg": {"type": "lambda"}}}]}, "rules[0].when"),
        ({"rules": [], "default": [pays(1)]}, "default[0]"),
        ({"rules": [{"when": literal(1), "else_if": [None]}]}, "else_if[0] is not an object"),
        ({"default": {"type": "assign_points"}}, "default[0].value"),
    ],
)
def test_a_malformed_program_has_no_size_and_says_why(ast: Any, reason: str) -> None:
    found = size(ast)
    assert (found.entries_max, found.visits_max, found.depth) == (None, None, None)
    assert reason in (found.reason or "")


def test_a_program_of_any_depth_is_counted() -> None:
    node: dict[str, Any] = literal(True)
    for _ in range(5000):
        node = {"type": "not", "arg": node}
    assert size({"rules": [{"when": node}]}) == Size(5002, 5004, 5002)
