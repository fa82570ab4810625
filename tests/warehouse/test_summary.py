"""The query strategy_summary, end to end: its columns, its numbers against every row of the log, and how it is asked for."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analytics.cli import main
from analytics.estimates import estimators
from analytics.estimates.estimate import Estimate
from analytics.estimates.sampling_rates import RateEntry, Rates
from analytics.lake.lake import Lake
from analytics.warehouse import strategy_summary
from analytics.warehouse.warehouse import Warehouse, records
from tests.simulated import run_row

if TYPE_CHECKING:
    from tests.conftest import Table

Row = dict[str, Any]
Run = Callable[..., tuple[int, str, str]]
SINCE, UNTIL = datetime(2026, 7, 8, 5, tzinfo=UTC), datetime(2026, 7, 10, 7, 30, tzinfo=UTC)
NOON = datetime(2026, 7, 8, 12, tzinfo=UTC)
KEY = ("realm_id", "strategy_id", "strategy_version")


def summarised(warehouse: Warehouse, **window: Any) -> list[Row]:
    return records(warehouse.run("strategy_summary", **window))


def column(rows: Iterable[Row], name: str) -> Any:
    return np.array([row[name] for row in rows], dtype=float)


# ---- the contract ----------------------------------------------------------------------------------------------------


def test_the_columns_are_those_that_were_promised(warehouse: Warehouse) -> None:
    expected = [*KEY, "family_name", "logged_count", "failed_count", "points_set_aside_count"]
    for name in (
        "est_runs", "est_failure_rate", "est_points_mean", "est_points_sum", "est_duration_p50_ms",
        "est_duration_p95_ms", "est_duration_p99_ms", "est_duration_ok_p99_ms", "est_nodes_p50", "est_nodes_p99",
    ):  # fmt: skip
        expected += [name, f"{name}_low", f"{name}_high", f"{name}_grade", f"{name}_is_at_least"]
    assert list(warehouse.run("strategy_summary").columns) == expected == strategy_summary.schema().names
    assert [name for name in expected if f"{name}_low" in expected] == list(strategy_summary.ESTIMATES)


# ---- the numbers, from every row -------------------------------------------------------------------------------------


def rows_of(warehouse: Warehouse, since: datetime | None, until: datetime | None) -> dict[Any, list[Row]]:
    answer = warehouse.sql("select * exclude trace from executions").to_arrow_table().to_pylist()
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in answer:
        moment = row["created_at"]
        if (since is None or (moment and moment >= since)) and (until is None or (moment and moment < until)):
            groups[tuple(row[name] for name in KEY)].append(row)
    return groups


def by_hand(rows: list[Row], rate: float) -> dict[str, Estimate]:
    """Each estimate from the rows themselves, one by one."""
    drawn = [row for row in rows if row["status"] == "ok" and row["sampled"]]
    weights = column(drawn, "sample_weight")
    runs = estimators.runs_of_rows(weights, len(rows) - len(drawn), rate)
    failed = sum(row["status"] != "ok" for row in rows)
    ok = [row for row in rows if row["status"] == "ok"]
    paid = column(ok, "points"), column(ok, "sample_weight")
    undrawn = 0.0 if drawn else estimators.upper_bound_of_none(rate)
    statuses, weights = [row["status"] for row in rows], column(rows, "sample_weight")
    took, longer = estimators.durations(statuses, column(rows, "duration_ms"))
    p50, p95, p99 = estimators.quantiles(took, weights, (0.5, 0.95, 0.99), censored=longer, undrawn=undrawn)
    ok_took, _ = estimators.durations(["ok"] * len(ok), column(ok, "duration_ms"))
    ok_p99 = estimators.quantile(ok_took, paid[1], 0.99, undrawn=undrawn) if ok else estimators.NOTHING
    nodes, more = estimators.nodes(statuses, column(rows, "nodes_executed"))
    cancelled = np.array(
        [row["status"] == "ok" and row["points"] is None and row["nodes_executed"] == 0 for row in rows]
    )
    nodes[cancelled] = math.nan
    nodes50, nodes99 = estimators.quantiles(nodes, weights, (0.5, 0.99), censored=more, undrawn=undrawn)
    found = (runs, estimators.failure_rate(failed, runs), estimators.mean(*paid), estimators.total(*paid), p50, p95, p99,
             ok_p99, nodes50, nodes99)  # fmt: skip
    return dict(zip(strategy_summary.ESTIMATES, found, strict=True))


def assert_same(row: Row, name: str, expected: Estimate) -> None:
    plain = expected.to_dict()
    for end, value in (("", plain["value"]), ("_low", plain["low"]), ("_high", plain["high"])):
        found = row[name + end]
        assert (found is None) == (value is None), (row, name, expected)
        assert found is None or found == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert (row[f"{name}_grade"], row[f"{name}_is_at_least"]) == (expected.grade, expected.is_at_least)


@pytest.mark.parametrize(
    ("since", "until"), [(None, None), (SINCE, UNTIL), (SINCE, None)], ids=["all", "window", "since"]
)
def test_every_number_is_that_of_the_estimators_on_every_row(
    warehouse: Warehouse, since: datetime | None, until: datetime | None
) -> None:
    groups = rows_of(warehouse, since, until)
    found = summarised(warehouse, since=since, until=until)
    assert len(groups) > 20
    assert [tuple(row[name] for name in KEY) for row in found] == sorted(
        groups, key=lambda key: (key[0] is None, key[0] or "", *key[1:])
    )
    for row in found:
        rows = groups[tuple(row[name] for name in KEY)]
        assert row["logged_count"] == len(rows)
        assert row["failed_count"] == sum(one["status"] != "ok" for one in rows)
        odd = [one for one in rows if one["status"] == "ok" and not math.isfinite(one["points"] or math.nan)]
        assert row["points_set_aside_count"] == len([one for one in odd if one["points"] != 0])
        for name, expected in by_hand(rows, 0.05).items():
            assert_same(row, name, expected)


def test_no_row_is_lost_and_none_is_counted_twice(warehouse: Warehouse) -> None:
    [(total,)] = warehouse.sql("select count(*) from executions").fetchall()
    assert sum(row["logged_count"] for row in summarised(warehouse)) == total
    within = "select count(*) from executions where created_at >= $since and created_at < $until"
    [(part,)] = warehouse.sql(within, since=SINCE, until=UNTIL).fetchall()
    assert sum(row["logged_count"] for row in summarised(warehouse, since=SINCE, until=UNTIL)) == part < total


def test_families_are_named_and_deleted_definitions_are_not(warehouse: Warehouse) -> None:
    names = dict(warehouse.sql("select strategy_id, min(family_name) from definitions group by all").fetchall())
    found = summarised(warehouse)
    assert {row["family_name"] for row in found} > {None}
    assert all(row["family_name"] == names.get(row["strategy_id"]) for row in found if row["family_name"])


# ---- odd logs --------------------------------------------------------------------------------------------------------


def one_row(warehouse: Warehouse, **window: Any) -> Row:
    [row] = summarised(warehouse, **window)
    return row


def put(table: Table, count: int, **columns: Any) -> None:
    """Ok runs with points 0, 1, 2 … that took as many milliseconds, at noon of 2026-07-08 where nothing is said."""
    names = {"at": "created_at", "strategy": "strategyId", "realm": "realmId", "nodes": "nodesExecuted"}
    given = {names.get(name, name): value for name, value in columns.items()}
    row = {"created_at": NOON, "trace": "[]", "sampled": columns.get("status", "ok") == "ok", **given}
    table.insert_all(run_row(**row, durationMs=number + 1) for number in range(count))


def test_a_rate_that_changes_at_noon_weighs_each_row_by_its_own_time(table: Table, fresh: Lake) -> None:
    put(table, 30, at=NOON - timedelta(minutes=1), points=2.0)
    put(table, 200, at=NOON, points=4.0)
    put(table, 7, at=NOON, status="error", nodes=0)
    rates = Rates((RateEntry(0.05), RateEntry(0.2, since=NOON)), 0.05)
    table.extract(fresh, rates=rates)
    opened = Warehouse(fresh)
    row = one_row(opened)
    weights = np.array([20.0] * 30 + [5.0] * 200)
    expected = estimators.runs_of_rows(weights, kept=7, rate=0.05)
    assert row["est_runs"] == 30 * 20 + 200 * 5 + 7 == expected.value
    assert_same(row, "est_runs", expected)
    assert row["est_points_sum"] == 30 * 20 * 2 + 200 * 5 * 4
    assert row["est_points_mean"] == pytest.approx((600 * 2 + 1_000 * 4) / 1_600)
    assert row["est_failure_rate"] == pytest.approx(7 / 1_607)
    for name, estimate in by_hand(rows_of(opened, None, None)["acme", "s1", 1], 0.05).items():
        assert_same(row, name, estimate)
    # a window of one rate knows only that
    late = one_row(opened, since=NOON)
    assert (late["logged_count"], late["est_runs"]) == (207, 1_007)
    assert one_row(opened, until=NOON)["est_runs"] == 600


def test_only_failures_are_at_most_58_runs_more(table: Table, fresh: Lake) -> None:
    put(table, 12, status="timeout", nodes=0)
    table.extract(fresh)
    row = one_row(Warehouse(fresh))
    assert (row["est_runs"], row["est_runs_low"], row["est_runs_high"]) == (12, 12, 70)
    assert (row["est_failure_rate"], row["est_failure_rate_high"]) == (1.0, 1.0)
    assert row["est_failure_rate_low"] == pytest.approx(12 / 70)
    assert row["est_points_mean"] is None
    assert row["est_points_sum"] is None
    assert row["est_nodes_p50"] is None
    for name in strategy_summary.ESTIMATES:
        assert row[f"{name}_grade"] == "too few"


def test_at_rate_0_the_runs_are_at_least_those_that_failed(table: Table, fresh: Lake) -> None:
    put(table, 400, status="error", nodes=0)
    table.extract(fresh, sample_rate=0.0)
    row = one_row(Warehouse(fresh))
    assert (row["est_runs"], row["est_runs_low"], row["est_runs_high"]) == (400, 400, None)
    assert (row["est_runs_grade"], row["est_runs_is_at_least"]) == ("too few", True)
    assert row["est_failure_rate_low"] == 0
    assert row["est_duration_p50_ms_low"] is None


def test_rows_of_unknown_weight_make_the_others_a_lower_bound(table: Table, fresh: Lake) -> None:
    put(table, 100, at=NOON, points=3.0)
    put(table, 50, at=NOON - timedelta(hours=1), points=3.0)  # drawn, though the rate is said to be 0
    table.extract(fresh, rates=Rates((RateEntry(0.0), RateEntry(0.05, since=NOON)), 0.05))
    row = one_row(Warehouse(fresh))
    assert (row["logged_count"], row["est_runs"], row["est_runs_high"]) == (150, 2_000, None)
    assert row["est_runs_is_at_least"]
    assert row["est_points_mean"] == 3.0
    assert (row["est_points_sum"], row["est_points_sum_low"], row["est_points_sum_high"]) == (6_000, None, None)
    assert row["est_points_sum_grade"] == "too few"
    known = one_row(Warehouse(fresh), since=NOON)
    assert known["est_points_sum_grade"] == "too few"  # the rates of a day are looked at, not those of an hour


def test_a_total_is_not_known_where_nothing_was_logged_for_a_time(table: Table, fresh: Lake) -> None:
    put(table, 400, at=NOON)
    put(table, 1, at=NOON - timedelta(hours=1), status="error", nodes=0)
    table.extract(fresh, rates=Rates((RateEntry(0.0), RateEntry(0.05, since=NOON)), 0.05))
    row = one_row(Warehouse(fresh))
    assert row["est_runs_is_at_least"]
    assert (row["est_points_sum"], row["est_points_sum_high"], row["est_points_sum_grade"]) == (8_000, None, "too few")


def test_at_rate_1_everything_is_counted(table: Table, fresh: Lake) -> None:
    put(table, 300)
    put(table, 100, status="error", nodes=0)
    table.extract(fresh, sample_rate=1.0)
    row = one_row(Warehouse(fresh))
    for name in strategy_summary.ESTIMATES:
        assert row[f"{name}_low"] == row[name] == row[f"{name}_high"], name
        assert row[f"{name}_grade"] != "too few"
    assert (row["est_runs"], row["est_failure_rate"], row["est_points_sum"]) == (400, 0.25, 300)
    assert row["est_duration_ok_p99_ms"] == 297


def test_points_that_are_no_numbers_are_counted_aside_and_change_no_other_number(table: Table, fresh: Lake) -> None:
    put(table, 120, points=2.0)
    for odd in (math.nan, math.inf, -math.inf, None):
        put(table, 5, points=odd)
    put(table, 3, points=None, nodes=0)  # cancelled calls: they say nothing of what a run needs
    table.extract(fresh)
    row = one_row(Warehouse(fresh))
    assert (row["logged_count"], row["points_set_aside_count"]) == (143, 23)
    assert (row["est_points_mean"], row["est_points_sum"]) == (2.0, 120 * 20 * 2)
    assert row["est_runs"] == 143 * 20
    assert row["est_nodes_p50"] == 1


def test_a_tenth_of_stopped_runs_makes_the_p95_at_least(table: Table, fresh: Lake) -> None:
    put(table, 100)
    put(table, 400, status="limit", nodes=0)
    table.extract(fresh)
    row = one_row(Warehouse(fresh))
    for name in ("est_duration_p95_ms", "est_duration_p99_ms", "est_nodes_p99"):
        assert row[f"{name}_is_at_least"]
        assert row[f"{name}_high"] is None
    assert not row["est_duration_p50_ms_is_at_least"]
    assert not row["est_duration_ok_p99_ms_is_at_least"]
    assert row["est_nodes_p50"] == 1


HOSTILE = ["'; drop view executions; --", "x' or '1'='1", "%", "{}", "$since", "\\", "null", "🎈", "a\nb", "*", ",\"'"]


def test_hostile_texts_are_tenants_and_strategies_like_others(
    table: Table, fresh: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in HOSTILE:
        table.insert(realmId=text, strategyId=text)
    table.insert(realmId="", strategyId="")
    table.insert(realmId=None, strategyId="s1")
    table.extract(fresh)
    opened = Warehouse(fresh)
    found = summarised(opened)
    assert {row["realm_id"] for row in found} == {*HOSTILE, "", None}
    assert all(row["logged_count"] == 1 and row["est_runs"] == 20 for row in found)
    assert found[-1]["realm_id"] is None
    words = [
        "query",
        "--name",
        "strategy_summary",
        "--lake",
        str(fresh.root),
        "--since",
        "2026-07-08",
        "--until",
        "2026-07-09",
    ]
    for text in HOSTILE:
        assert main([*words, "--realm", text, "--format", "json"]) == 0
        [row] = json.loads(capsys.readouterr().out)
        assert (row["realm_id"], row["strategy_id"]) == (text, text)
    assert main([*words, "--all-realms", "--format", "csv"]) == 0
    lines = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert sorted(line[1] for line in lines[1:]) == sorted([*HOSTILE, "", "s1"])
    assert main([*words, "--all-realms"]) == 0
    assert "drop view" in capsys.readouterr().out


def test_a_lake_without_definitions_names_no_family(table: Table, fresh: Lake) -> None:
    table.execute("drop table strategydefinition cascade")
    put(table, 100)
    put(table, 5, realm="birch")
    table.extract(fresh)
    found = summarised(Warehouse(fresh))
    assert [(row["realm_id"], row["family_name"], row["logged_count"]) for row in found] == [
        ("acme", None, 100),
        ("birch", None, 5),
    ]


def test_a_strategy_seen_once_is_too_few_for_everything_but_its_count(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    row = one_row(Warehouse(fresh))
    assert (row["logged_count"], row["failed_count"], row["est_runs"]) == (1, 0, 20)
    assert {row[f"{name}_grade"] for name in strategy_summary.ESTIMATES} == {"too few"}
    assert row["est_points_mean_low"] is None


# ---- as a user types it ----------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], lake: Lake) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        sight = [] if {"--realm", "--no-realm"} & set(words) else ["--all-realms"]
        code = main(["query", "--name", "strategy_summary", "--lake", str(lake.root), *sight, *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


WINDOW = ("--since", "2026-07-08 05:00", "--until", "2026-07-10 07:30")


def test_json_and_csv_hold_what_the_library_gives(run: Run, warehouse: Warehouse) -> None:
    expected = summarised(warehouse, since=SINCE, until=UNTIL)
    code, out, _ = run(*WINDOW, "--format", "json")
    assert code == 0
    assert json.loads(out) == expected
    code, out, _ = run(*WINDOW, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert list(lines[0]) == strategy_summary.schema().names
    assert len(lines) == len(expected)
    for line, row in zip(lines, expected, strict=True):
        assert int(line["logged_count"]) == row["logged_count"]
        for name in strategy_summary.ESTIMATES:
            high = line[f"{name}_high"]
            assert (float(high) if high else None) == row[f"{name}_high"]
            assert line[f"{name}_grade"] == row[f"{name}_grade"]


def test_the_same_question_has_the_same_answer_to_the_last_digit(warehouse: Warehouse) -> None:
    first = summarised(warehouse)
    assert all(summarised(warehouse) == first for _ in range(5))


def test_the_table_has_a_line_for_each_strategy(run: Run) -> None:
    code, out, err = run(*WINDOW, "--realm", "acme-cycling")
    assert code == 0
    assert "est_points_mean" in out and "est_points_mean_low" not in out  # number, interval and grade in one cell
    _, told, _ = run(*WINDOW, "--realm", "acme-cycling", "--format", "json")
    assert sum(line.startswith("acme-cycling") or " acme-cycling " in line for line in out.splitlines()) == len(
        json.loads(told)
    )
    assert "Traceback" not in err


@pytest.mark.parametrize(("words", "realm"), [(("--realm", "acme-cycling"), "acme-cycling"), (("--no-realm",), None)])
def test_a_realm_sees_its_own_strategies_and_the_same_numbers(
    run: Run, warehouse: Warehouse, words: tuple[str, ...], realm: str | None
) -> None:
    code, out, _ = run("--since", "2026-07-01", "--until", "2026-07-13", *words, "--format", "json")
    window = {"since": datetime(2026, 7, 1, tzinfo=UTC), "until": datetime(2026, 7, 13, tzinfo=UTC)}
    expected = [row for row in summarised(warehouse, **window) if row["realm_id"] == realm]
    assert code == 0
    assert json.loads(out) == expected != []


def test_an_empty_window_has_the_columns_and_no_rows(run: Run, warehouse: Warehouse) -> None:
    words = ("--since", "1990-01-01", "--until", "1990-01-02")
    assert run(*words, "--format", "json")[:2] == (0, "[]\n")
    code, out, _ = run(*words, "--format", "csv")
    assert (code, out.split()) == (0, [",".join(strategy_summary.schema().names)])
    assert run(*words)[0] == 0
    found = warehouse.run(
        "strategy_summary", since=datetime(1990, 1, 1, tzinfo=UTC), until=datetime(1990, 1, 2, tzinfo=UTC)
    )
    assert found.empty
    assert list(found.columns) == strategy_summary.schema().names
