"""Questions of one's own: their numbers are those of every row, their intervals hold, and an expression is one and no more."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analytics.cli import main
from analytics.errors import QueryError, UnknownNameError, UsageError
from analytics.estimates import comparisons, summed
from analytics.estimates.moments import Moments, of_mean
from analytics.estimates.sampling_rates import RateEntry, Rates
from analytics.estimates.significance import binomial_test
from analytics.lake.lake import Lake
from analytics.reports.explore.open_lake import OpenLake
from analytics.warehouse import asked_runs
from analytics.warehouse.strategy_summary import ESTIMATES
from tests.intervals import groups
from tests.simulated import run_row

if TYPE_CHECKING:
    from tests.conftest import Table

Run = Callable[..., tuple[int, str, str]]
NOON = datetime(2026, 7, 8, 12, tzinfo=UTC)
KEY = ["realm_id", "strategy_id", "strategy_version"]
EVERYTHING = ["runs", "points", "failures", "duration", "nodes"]


@pytest.fixture(scope="module")
def opened(lake: Lake) -> OpenLake:
    return OpenLake(lake)


# ---- the numbers -----------------------------------------------------------------------------------------------------


def assert_as_in_the_summary(opened: OpenLake, **window: Any) -> int:
    found = opened.estimate(EVERYTHING, by=KEY, **window).frame
    summary = opened.run("strategy_summary", **window)
    own = {(*key, name): row for *key, name, row in _rows(found)}
    shared = [name for name in ESTIMATES if name in set(found["estimate"])]
    for row in summary.to_dict("records"):
        key = tuple(None if row[name] != row[name] else row[name] for name in KEY)
        for name in shared:
            mine = own.pop((*key, name))
            for end, column in (("", "value"), ("_low", "low"), ("_high", "high")):
                assert mine[column] == pytest.approx(row[name + end], rel=1e-9, abs=1e-9, nan_ok=True), (key, name, end)
            assert (mine["grade"], mine["is_at_least"]) == (row[f"{name}_grade"], row[f"{name}_is_at_least"]), (
                key,
                name,
            )
    assert {name for *_, name in own} <= {"est_nodes_p95"}  # no group more than the summary has
    assert len(shared) == len(ESTIMATES) - 1  # it alone tells ok runs' p99 apart
    return len(summary)


def _rows(frame: pd.DataFrame) -> list[Any]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    plain = frame.to_dict("records")
    return [[*(row[name] for name in KEY), row["estimate"], same] for row, same in zip(rows, plain, strict=True)]


@pytest.mark.parametrize(
    "window", [{}, {"since": "2026-07-08 05:00", "until": "2026-07-10 07:30"}], ids=["all", "window"]
)
def test_by_strategy_and_version_the_numbers_are_those_of_the_summary(opened: OpenLake, window: dict[str, str]) -> None:
    assert assert_as_in_the_summary(opened, **window) > 20


def test_of_odd_logs_they_are_so_too(table: Table, fresh: Lake) -> None:
    def put(count: int, realm: str, at: datetime = NOON, **columns: Any) -> None:
        sampled = columns.get("status", "ok") == "ok"
        names = {"created_at": at, "realmId": realm, "trace": "[]", "sampled": sampled, **columns}
        table.insert_all(run_row(**{"points": float(n), **names}, durationMs=n + 1) for n in range(count))

    put(60, "changed", NOON - timedelta(minutes=1), points=2.0)
    put(200, "changed")
    put(7, "changed", status="error", nodesExecuted=0, points=None)
    put(12, "only failures", status="timeout", nodesExecuted=0, points=None)
    put(30, "never drawn", status="error", nodesExecuted=0, points=None)
    put(80, "sometimes drawn", points=3.0)
    put(5, "sometimes drawn", NOON - timedelta(hours=1))
    put(150, "every run")
    put(400, "alike", points=5.0)
    for odd in (math.nan, math.inf, -math.inf, None, 1e200, -1e200, 1e-200):
        put(50, "odd points", points=odd)
    put(100, "large and near", points=1e12)
    put(100, "large and near", points=1e12 + 1)
    entries = (
        RateEntry(0.2, since=NOON, realms=("changed",)),
        RateEntry(0.0, realms=("never drawn",)),
        RateEntry(0.0, until=NOON, realms=("sometimes drawn",)),
        RateEntry(1.0, realms=("every run",)),
    )
    table.extract(fresh, rates=Rates(entries, 0.05))
    opened = OpenLake(fresh)
    assert assert_as_in_the_summary(opened) == 8
    near = (
        opened.estimate("points", where="realm_id = 'large and near'")
        .frame.set_index("estimate")
        .loc["est_points_mean"]
    )
    # Half of 200 rows of weight 20 are one more: the standard error is √(19/20 · ¼/199), however large they are.
    assert near["high"] - near["low"] == pytest.approx(2 * 1.972 * math.sqrt(0.95 / 4 / 199), rel=0.02)


def test_a_group_is_whatever_an_expression_says(opened: OpenLake) -> None:
    found = opened.estimate("runs", by="dayname(created_at)", where="status <> 'ok' and points is null").frame
    counted = opened.sql(
        "select dayname(created_at), count(*) from executions where status <> 'ok' and points is null group by 1"
    )
    expected = {day: count for day, count in counted.fetchall() if day}
    assert {
        day: rows for day, rows in zip(found["dayname(created_at)"], found["logged_rows"], strict=True) if day == day
    } == expected
    assert (
        found["value"].sum() == sum(expected.values()) + found.loc[found["dayname(created_at)"].isna(), "value"].sum()
    )


def test_a_group_of_failures_alone_is_counted_not_estimated(opened: OpenLake) -> None:
    counted = dict(opened.sql("select status, count(*) from executions group by all").fetchall())
    for by in ("status", '"status"'):
        found = opened.estimate(["runs", "failures"], by=by).frame
        failed = found[found[by].notna() & (found[by] != "ok")]
        assert len(failed) >= 4
        for row in failed.itertuples():
            runs = row.estimate == "est_runs"
            assert (row.value, row.low, row.high, row.grade) == (*[counted[row[1]] if runs else 1.0] * 3, "good")
    ok = found[(found[by] == "ok") & (found["estimate"] == "est_runs")]
    assert (ok["low"] < ok["value"]).all()
    # A condition is not seen through: there may be ok runs that meet it, and none was drawn.
    assert opened.estimate("runs", where="status = 'error'").frame["high"].item() > counted["error"]


def test_families_can_be_told_apart_and_lead_the_table(opened: OpenLake) -> None:
    found = opened.estimate("points", by=["strategy_id", "strategy_version", "family_name"])
    names = dict(opened.sql("select strategy_id, min(family_name) from definitions group by all").fetchall())
    assert {
        row.strategy_id: row.family_name for row in found.frame.itertuples() if row.family_name == row.family_name
    } == {strategy: names[strategy] for strategy in found.frame["strategy_id"] if names.get(strategy)}
    head = repr(found).splitlines()[0].split("  ")
    assert [name.strip() for name in head if name.strip()] == [
        "family_name", "strategy_version", "points (est.)", "points per ok run (est.)", "strategy_id", "logged rows",
    ]  # fmt: skip


# ---- intervals -------------------------------------------------------------------------------------------------------


def missed(logs: groups.Logs) -> list[str]:
    """Estimates whose intervals hold less often than promised, or much more often, and chance (one in a thousand) is no excuse."""
    told = []
    for kind, found in (("", groups.covered(logs)), ("difference of ", groups.differences(logs))):
        for name, one in found.items():
            most = 1.0 if "_nodes_" in name else 0.99  # whole numbers hold more often
            bound = min(max(one.share, 0.93), most)
            if one.graded >= 30 and bound != one.share and binomial_test(one.held, one.graded, bound) < 0.001:
                told.append(f"{kind}{name}: {one.held} of {one.graded}")
    return told


def test_the_intervals_of_groups_hold_in_93_to_99_of_100() -> None:
    logs = groups.Logs(50, 12_000, 20261130)
    assert missed(logs) == []
    assert [name for name, one in groups.covered(logs).items() if one.graded < 100] == [
        "est_duration_p99_ms",
        "est_nodes_p99",
    ]
    assert min(one.graded for one in groups.differences(logs).values()) >= 30


def test_half_a_standard_error_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = summed._moments

    def broken(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        return replace(found, variance=found.variance / 4)

    monkeypatch.setattr(summed, "_moments", broken)
    assert {"est_points_sum", "est_points_mean"} <= {
        one.split(":")[0] for one in missed(groups.Logs(50, 12_000, 20261130))
    }


def test_users_whose_runs_are_alike_make_a_mean_less_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = groups.Logs(50, 12_000, 11, users=15, spread=0.5)
    one = groups.differences(logs)["est_points_mean"]
    assert one.graded >= 50
    assert binomial_test(one.held, one.graded, 0.95) > 0.01
    monkeypatch.setattr(asked_runs.UserSums, "error", 0.0)
    without = groups.differences(logs)["est_points_mean"]
    assert without.share < 0.88


def test_few_users_with_most_of_the_runs_tell_as_much_as_few() -> None:
    def tells(runs: list[float]) -> float:
        squares = sum(one**2 for one in runs)
        return asked_runs.UserSums(len(runs), 1.0, 0.0, sum(runs), 0.0, 0.0, squares, squares).quantile

    assert tells([7.0] * 10) == pytest.approx(2.2622, abs=1e-4)  # of a table of Student's t, 9 degrees of freedom
    assert tells([100.0] * 3 + [0.1] * 500) > 3.1  # as three users and a few, not as 503
    assert tells([100.0] + [0.001] * 500) == pytest.approx(12.706, abs=1e-3)


@pytest.mark.long
def test_the_intervals_of_thousands_of_groups_hold_too() -> None:
    assert missed(groups.Logs(400, 12_000, 7)) == []


def test_the_first_of_uneven_users_does_not_make_a_difference_too_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "SHARES", (1.0,))
    monkeypatch.setattr(groups, "RATES", (0.2, 0.2))
    logs = groups.Logs(150, 8_000, 20261130, users=60, spread=0.5, uneven=1.2)
    one = groups.differences(logs)["est_points_mean"]
    assert one.graded == 150 and one.held >= 139  # 9 in 10 such tests of an interval that holds in 95 of 100


def test_a_users_residual_is_freed_of_the_users_own_part_in_the_mean() -> None:
    # Users of 60, 30 and 10 runs and 1, 2 and 4 points a run: the mean is 1.6, the residuals are -36, 12 and 24.
    runs, points = np.array([60.0, 30.0, 10.0]), np.array([60.0, 60.0, 40.0])
    rest = 1 - runs / 100
    squares = [float((one / rest).sum()) for one in (points**2, points * runs, runs**2)]
    sums = asked_runs.UserSums(3, 1.0, 160.0, 100.0, *squares, float((runs**2).sum()))
    assert sums.error == pytest.approx(math.sqrt(36**2 / 0.4 + 12**2 / 0.7 + 24**2 / 0.9) / 100)


# ---- compared --------------------------------------------------------------------------------------------------------


def by_users(rows: pd.DataFrame) -> Moments:
    """Of a mean where users are drawn and not runs: the errors of users' sums instead of those of runs."""
    rows = rows[np.isfinite(rows["points"].astype(float))]
    weights = rows["sample_weight"]
    off = weights * (rows["points"] - np.average(rows["points"], weights=weights)) / weights.sum()
    each = off.groupby(rows["external_user_id"].fillna(rows["execution_id"])).sum()
    runs = weights.groupby(rows["external_user_id"].fillna(rows["execution_id"])).sum()
    error = math.sqrt((each**2 / (1 - runs / runs.sum())).sum())
    found = of_mean(rows["points"], weights, process=True)
    by_student = [
        float(stats.t.ppf(0.975, freedom)) for freedom in (runs.sum() ** 2 / (runs**2).sum() - 1, found.freedom)
    ]
    return found.with_error(max(error / math.sqrt(found.variance) * max(by_student[0] / by_student[1], 1), 1))


def test_a_version_beside_another_differs_as_every_row_says(opened: OpenLake) -> None:
    window = {"by": ["family_name", "strategy_version"], "where": "family_name = 'Speed bonus'"}
    found = opened.estimate(["points", "runs"], **window, versus=2).frame.set_index(["strategy_version", "estimate"])
    rows = opened.sql(
        "select strategy_version, points, sample_weight, external_user_id, execution_id from executions "
        "join (select distinct strategy_id from definitions) using (strategy_id) "
        "where family_name = 'Speed bonus' and status = 'ok'"
    ).df()
    before, after = (rows[rows["strategy_version"] == version] for version in (2, 3))
    expected = comparisons.difference_of_moments(by_users(before), by_users(after), is_negative_possible=False)
    alone = comparisons.difference(
        (before["points"], before["sample_weight"]), (after["points"], after["sample_weight"])
    )
    assert expected.change.low <= alone.change.low < alone.change.high <= expected.change.high
    one = found.loc[3, "est_points_mean"]
    assert (one["difference"], one["difference_low"], one["difference_high"]) == pytest.approx(
        (expected.change.value, expected.change.low, expected.change.high)
    )
    assert (one["difference_grade"], one["is_significant"]) == (expected.change.grade, expected.is_significant)
    assert (one["ratio"], one["ratio_low"]) == pytest.approx((1 + expected.relative, 1 + expected.relative_low))
    base = found.loc[2, "est_points_mean"]
    assert np.isnan(base["difference"])
    assert one["versus_value"] == base["value"]
    shown = repr(opened.estimate(["points", "failures"], by=["family_name", "strategy_version"], versus=2)).splitlines()
    assert "versus strategy_version = 2" in shown[0]
    assert [line.split()[2] for line in shown if line.startswith("Speed bonus ") and "failure rate" in line] == [
        "2",
        "3",
    ]
    assert [line.count("percentage points") for line in shown if line.startswith("Speed bonus ")].count(1) == 1
    runs = found.loc[3, "est_runs"]
    assert runs["difference"] == runs["value"] - found.loc[2, "est_runs"]["value"]


def test_a_window_beside_another_is_each_asked_alone(opened: OpenLake) -> None:
    two = {"since": "2026-07-09", "until": "2026-07-10"}, {"since": "2026-07-08", "until": "2026-07-09"}
    found = opened.estimate(EVERYTHING, by="external_game_id", **two[0], versus="2026-07-08..2026-07-09")
    alone = [opened.estimate(EVERYTHING, by="external_game_id", **window).frame for window in two]
    key = ["external_game_id", "estimate"]
    whole = found.frame.set_index(key)
    for frame, prefix in zip(alone, ("", "versus_"), strict=True):
        for place, row in frame.set_index(key).iterrows():
            mine = whole.loc[place]
            for name in ("value", "low", "high"):
                assert mine[prefix + name] == pytest.approx(row[name], nan_ok=True)
            assert (mine[f"{prefix}grade"], mine[f"{prefix}logged_rows"]) == (row["grade"], row["logged_rows"])
    told = " ".join(found.notes)
    [(both,)] = opened.sql(
        "select count(*) from (select external_user_id from executions where day in ('2026-07-08', '2026-07-09') "
        "and external_user_id is not null group by 1 having count(distinct day) = 2)"
    ).fetchall()
    assert f"{both:,} of " in told
    assert "independent" in told


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"since": "2026-07-08", "versus": "2026-07-09..2026-07-10"}, "overlaps"),
        ({"versus": "2026-07-09..2026-07-10"}, "overlaps"),
        ({"versus": "2026-07-09..never"}, "'never' is no date"),
        ({"versus": 2}, "names a group"),
        ({"by": "strategy_version", "versus": 99}, "no logged row has strategy_version = '99'"),
        ({"by": "status", "versus": "eror"}, "did you mean 'error'"),
        ({"by": "status", "versus": "o\0k"}, "no text that a log can hold"),
        ({"by": [3]}, "which is no text"),
        ({"by": ["status"] * 2 + [f"{n} + 1" for n in range(8)]}, "8 at most"),
    ],
)
def test_what_cannot_be_compared_is_said(opened: OpenLake, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as told:
        opened.estimate("points", **asked)
    assert words in str(told.value)


# ---- expressions -----------------------------------------------------------------------------------------------------

HOSTILE = [
    ("status; drop view executions", "no expression"),
    ("1) from executions; select (1", "not one expression"),
    ("1) from executions union all select (2", "not one expression"),
    ("1) from executions, (select 2", "no expression"),
    ("status, error_code", "not one expression"),
    ("1), (2", "not one expression"),
    ("1 /*", "no expression"),
    ("1) from executions --", "no expression"),
    ("'; attach 'x' as x; --", "no expression"),
    ("(select max(content) from read_text('/etc/passwd'))", "asks another table"),
    ("(select count(*) from files.executions)", "asks another table"),
    ("status in (select status from executions)", "asks another table"),
    ("exists (from executions)", "asks another table"),
    ("case when true then (select 1) end", "asks another table"),
    ("read_text('/etc/passwd')", "makes rows"),
    ("unnest([1, 2])", "makes rows"),
    ("generate_subscripts([1, 2], 1)", "makes rows"),
    ("count(*)", "adds up rows"),
    ("geomean(points)", "adds up rows"),
    ("row_number() over ()", "looks at other rows"),
    ("columns(*)", "all columns"),
    ("*", "all columns"),
    ("$since", "has a parameter"),
    ("random() < 0.5", "each time"),
    ("nextval('x')", "each time"),
    ("getvariable('executions_files')", "nothing of a run"),
    ("current_setting('temp_directory')", "nothing of a run"),
    ("range(100000000)", "of any length"),
    ("len(Generate_Series(1, 100000000))", "of any length"),
    ("main.repeat(status, 100000000)", "of any length"),
    ("lpad(status, 100000000, 'x')", "of any length"),
    ("list_resize([status], 100000000)", "of any length"),
    ("format('{:>100000000}', status)", "of any length"),
    ("status.rpad(100000000, 'x')", "of any length"),
    ("list_reduce([1, 2, 3], lambda a, b: a || b, status)", "of any length"),
    ("a\0b", "NUL"),
    ("a\ud800b", "half a letter"),
    ("", "is empty"),
    ("   ", "is empty"),
    ("1" + " + 1" * 900, "depth|deeply"),
    ("x" * 5_000, "letters"),
    ("copy executions to '/tmp/x.csv'", "no expression"),
]


@pytest.mark.parametrize(("text", "words"), HOSTILE, ids=[repr(text[:30]) for text, _ in HOSTILE])
@pytest.mark.parametrize("place", ["by", "where"])
def test_what_is_more_than_an_expression_is_refused(opened: OpenLake, text: str, words: str, place: str) -> None:
    with pytest.raises((QueryError, UsageError), match=words) as told:
        opened.estimate("points", **{place: text})
    assert told.value.hint
    assert opened.sql("select 1 from executions limit 1").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"by": "external_user"}, "did you mean 'external_user_id'"),
        ({"where": "family_nam = 'x'"}, "did you mean 'family_name'"),
        ({"where": "points"}, "where 'points' is DOUBLE, not true or false"),
        ({"by": "status::int"}, "Could not convert string"),
        ({"by": "lowercase(status)"}, "lowercase"),
    ],
)
def test_a_refusal_names_what_may_be_meant(opened: OpenLake, asked: dict[str, str], words: str) -> None:
    with pytest.raises(QueryError) as told:
        opened.estimate("points", **asked)
    assert words in str(told.value)
    assert "views:" not in str(told.value)


def test_nothing_is_estimated_that_is_not_known(opened: OpenLake) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'points'"):
        opened.estimate("point")
    with pytest.raises(UsageError, match="nothing is asked"):
        opened.estimate([])


@pytest.mark.parametrize(
    "text",
    [
        "status -- a comment",
        "(status)",
        '"status"',
        "executions.status",
        "lower(status)",
        "trace[1].node_id",
        "{'a': [status]}",
    ],
)
def test_what_is_one_expression_makes_groups(opened: OpenLake, text: str) -> None:
    [(rows,)] = opened.sql("select count(*) from executions").fetchall()
    with pytest.raises(QueryError):
        opened.sql("from asked_runs")  # nothing of an earlier question is left
    assert opened.estimate("runs", by=text).frame["logged_rows"].sum() == rows


# ---- whose rows ------------------------------------------------------------------------------------------------------


def test_a_lake_of_one_tenant_does_not_tell_of_another(opened: OpenLake) -> None:
    acme = opened.scoped(["acme-cycling"])
    with pytest.raises(UnknownNameError, match="not in sight"):
        acme.estimate("runs", realm="tram-riders")
    assert set(acme.estimate("runs", by="realm_id").frame["realm_id"]) == {"acme-cycling"}
    both = opened.estimate("runs", by="realm_id", realm=["acme-cycling", "tram-riders"]).frame
    assert set(both["realm_id"]) == {"acme-cycling", "tram-riders"}


def test_groups_of_few_users_are_left_out_and_never_one_alone(
    opened: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = "select external_game_id, count(distinct external_user_id) from executions group by all order by 2"
    counted = dict(opened.sql(users).fetchall())
    shown = set(opened.estimate("runs", by="external_game_id", min_users=20).frame["external_game_id"])
    assert shown
    assert min(counted[game] for game in shown) >= 20
    smallest, second, *_ = counted
    least = counted[smallest] + 1
    few = opened.estimate("runs", by="external_game_id", min_users=max(least, 2))
    hidden = set(counted) - {group.keys[0] for group in few.groups}
    assert len(hidden) >= 2
    assert {smallest, second} <= hidden
    assert "left out" in " ".join(few.notes)
    monkeypatch.setenv("ANALYTICS_MIN_USERS", "2")
    assert opened.estimate("runs", by="external_user_id").frame.empty


def test_a_group_of_few_users_is_not_told_by_those_that_are_compared_with_it(opened: OpenLake) -> None:
    [(smallest, users), *_] = opened.sql(
        "select external_game_id, count(distinct external_user_id) from executions where external_game_id is not null "
        "group by all order by 2"
    ).fetchall()
    found = opened.estimate("points", by="external_game_id", versus=smallest, min_users=users + 1)
    assert len(found.frame)
    assert found.frame.filter(regex="versus|difference|ratio|is_significant").isna().all(axis=None)
    assert f"rests on enough users (min_users={users + 1})" in " ".join(found.notes)
    seen = opened.estimate("points", by="external_game_id", versus=smallest, min_users=1).frame
    assert seen.loc[seen["external_game_id"] != smallest, "versus_value"].notna().all()


def test_a_refusal_names_no_group_of_few_users(opened: OpenLake) -> None:
    with pytest.raises(UnknownNameError) as told:
        opened.estimate("points", by="external_user_id", versus="nobody", min_users=5)
    assert "there are" not in str(told.value)
    with pytest.raises(UnknownNameError, match="there are"):
        opened.estimate("points", by="external_user_id", versus="nobody", min_users=1)


@pytest.mark.parametrize("key", ["points > 5", "date_trunc('day', created_at)", "points * 1e20", "[status]"])
def test_every_value_that_a_refusal_names_can_be_compared_with(opened: OpenLake, key: str) -> None:
    by = ["external_game_id", key]
    with pytest.raises(UnknownNameError) as told:
        opened.estimate("runs", by=by, versus="no such value")
    named = re.findall(r"'((?:[^'\\]|\\.)*)'", told.value.hint.split("there are")[1].split(";")[0])
    assert named
    for value in named:
        assert opened.estimate("runs", by=by, versus=value).frame["versus_value"].notna().any()


def test_what_is_not_in_the_lake_is_said(opened: OpenLake) -> None:
    nothing = opened.estimate("points", since="2020-01-01", until="2020-01-02")
    assert nothing.frame.empty
    assert "No logged runs" in repr(nothing)
    assert "nothing of the window" in " ".join(nothing.notes)
    [(first,)] = opened.sql("select min(day) from executions").fetchall()
    more = opened.estimate("runs", since=first - timedelta(days=2), until=first + timedelta(days=1))
    assert f"2 days not extracted ({first - timedelta(days=2)}, {first - timedelta(days=1)})" in " ".join(more.notes)
    assert not [
        note for note in opened.estimate("runs", since=first, until=first + timedelta(days=1)).notes if "days" in note
    ]


# ---- shown -----------------------------------------------------------------------------------------------------------

CELL = re.compile(r"[\d,.]+ \[[\d,.]+ – [\d,.]+\] (● good|◐ rough|○ too few)")


def test_an_estimate_stands_in_one_cell_with_its_interval_and_grade(opened: OpenLake) -> None:
    found = opened.estimate("points", by="external_game_id", realm="acme-cycling")
    lines = repr(found).splitlines()
    assert lines[0].split("  ")[0] == "external_game_id"
    assert len(CELL.findall(lines[1])) == 2
    grades = [row.grade == "too few" for row in found.frame.itertuples() if row.estimate == "est_points_sum"]
    assert grades == sorted(grades)  # what is well known comes first
    html = found._repr_html_()
    assert '<span class="sa-g sa-g-good">good</span>' in html
    assert "<style data-sa>" in html


def test_whoever_wrote_a_key_it_is_shown_as_text(table: Table, fresh: Lake) -> None:
    names = ["<script>alert(1)</script>", "a\nb\u202ec", "x" * 500, "", "11,800 [1 – 2] ● good", "$x$", None, "=1+1"]
    table.insert_all(run_row(externalGameId=name, created_at=NOON) for name in names)
    table.extract(fresh)
    found = OpenLake(fresh).estimate("runs", by="external_game_id")
    html = found._repr_html_()
    assert "<script>" not in html
    assert html.count('class="sa-g ') == len(names)  # nobody gives himself a grade
    assert {group.keys[0] for group in found.groups} == set(names)
    text = repr(found)
    assert "\u202e" not in text
    assert "NULL" in text
    assert sum("too few" in line for line in text.splitlines() if "[" in line and "20" in line) == len(names)


def test_days_and_numbers_stand_in_their_order(opened: OpenLake) -> None:
    days = list(opened.estimate("runs", by="day").frame["day"].dropna())
    assert days == sorted(days)
    assert isinstance(days[0], date)


# ---- as a command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_command_gives_the_same_columns(opened: OpenLake, run: Run) -> None:
    asked = ["--estimate", "points", "--by", "external_game_id", "--where", "status = 'ok'"]
    window = [
        "--since",
        "2026-07-08",
        "--until",
        "2026-07-10",
        "--realm",
        "acme-cycling",
        "--lake",
        str(opened.lake.root),
    ]
    code, out, _ = run("query", *asked, *window, "--format", "csv")
    expected = opened.estimate(
        "points",
        by="external_game_id",
        where="status = 'ok'",
        since="2026-07-08",
        until="2026-07-10",
        realm="acme-cycling",
    ).frame
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert list(rows[0]) == list(expected.columns)
    assert [row["external_game_id"] for row in rows] == list(expected["external_game_id"])
    assert [float(row["value"]) for row in rows] == pytest.approx(list(expected["value"]))
    code, out, _ = run("query", *asked, *window, "--format", "json", "--versus", "2026-07-07..2026-07-08")
    assert code == 0
    assert {"difference", "difference_low", "ratio", "ratio_high", "is_significant"} <= set(json.loads(out)[0])
    code, out, _ = run("query", *asked, *window)
    assert code == 0
    assert CELL.search(out)


def test_the_command_refuses_what_does_not_go_together(opened: OpenLake, run: Run) -> None:
    lake = ["--lake", str(opened.lake.root), "--all-realms"]
    for words in (
        ["--by", "status", "from executions"],
        ["--estimate", "runs", "from executions"],
        ["--where", "true", "--list"],
    ):
        assert run("query", *words, *lake)[0] == 2
    code, _, said = run("query", "--estimate", "runs", "--by", "status; drop view executions", *lake)
    assert code == 3
    assert "no expression" in said
