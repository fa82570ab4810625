"""Defects that were found by trying to break the package; each stays mended."""

from __future__ import annotations

import shutil
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from analytics import api
from analytics.errors import QueryError
from analytics.estimates import comparisons, estimators
from analytics.estimates.sampling_rates import Rates
from analytics.extraction.encode import partition_files
from analytics.extraction.job import Bookkeeper
from analytics.lake.lake import realm_directory
from analytics.model import RealmFilter
from analytics.reports.post_mortem import comparison_tables
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract


def test_every_public_name_stays_callable_whatever_is_used_first():
    code = (
        "import analytics\n"
        "import analytics.extraction.job\n"
        "for name in analytics.__all__:\n"
        "    assert callable(getattr(analytics, name)), name\n"
        "assert all(callable(getattr(analytics, name)) for name in analytics.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_role_is_set_to_does_not_change_a_value(table, role, fresh):
    table.execute(f"grant select on strategyexecutionlog to {role}")
    for setting in (
        "extra_float_digits = -15", "quote_all_identifiers = on", "client_encoding = 'LATIN1'", "datestyle = 'German'",
        "timezone = 'Asia/Tokyo'", "idle_in_transaction_session_timeout = '50ms'",
    ):  # fmt: skip
        table.execute(f"alter role {role} set {setting}")
    execution = table.insert(points="0.3333333333333333", durationMs="0.6666666666666666", caseName="🎈 é", realmId="ж")
    extract(table.as_role(role), fresh, Window.parse("2026-07-08", "2026-07-09"), rates=Rates((), 0.05))
    rows = (
        Warehouse(fresh)
        .connection.execute("select execution_id, points, duration_ms, case_name, created_at::varchar from executions")
        .fetchall()
    )
    assert rows == [(execution, 1 / 3, 2.0 / 3, "🎈 é", "2026-07-08 12:00:00+00")]


def test_a_file_that_ledger_and_source_have_both_lost_is_found_again(table, fresh):
    table.insert(realmId="r1")
    table.insert(realmId="r2")
    table.extract(fresh)
    table.execute("""delete from strategyexecutionlog where "realmId" = 'r1'""")
    shutil.rmtree(fresh.root / "ledger")
    result = table.extract(fresh)
    assert [(p.realm, n) for p, n in result.kept.items()] == [("r1", 1)]
    assert fresh.realms() == ["r1", "r2"]
    assert all(check.passed for check in Warehouse(fresh).check() if check.severity == "error")


def test_a_run_that_dies_half_way_has_not_worked_for_nothing(table, fresh, monkeypatch):
    for day in ("01", "03", "05"):  # days with a gap are chunks of their own
        table.insert(created_at=f"2026-07-{day} 12:00:00+00")
    written = []

    def dying(stage, *rest, **options):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(stage)
        return original(stage, *rest, **options)

    original = partition_files.write
    monkeypatch.setattr(partition_files, "write", dying)
    with pytest.raises(Exception, match="No space left"):
        table.extract(fresh, "2026-07-01", "2026-07-06")
    monkeypatch.undo()
    assert Warehouse(fresh).connection.execute("select sum(logged_count) from partitions").fetchall() == [(2,)]
    assert len(table.extract(fresh, "2026-07-01", "2026-07-06").written) == 1


def test_a_row_that_moved_out_of_the_window_is_said(table, fresh):
    moved = table.insert()
    table.insert()
    table.extract(fresh)
    table.execute("update strategyexecutionlog set created_at = '2026-08-08' where id = %s", [moved])
    assert any("1 rows have moved" in note for note in table.extract(fresh).notes)


def test_rows_of_the_last_day_of_the_calendar_are_kept_as_undated(table, fresh):
    table.insert(created_at="9999-12-31 12:00:00+00")
    table.extract(fresh)
    rows = Warehouse(fresh).connection.execute("select day, created_at_irregular from executions").fetchall()
    assert rows == [(None, "9999-12-31 12:00:00+00")]


def test_a_long_realm_is_cut_between_characters(table, fresh):
    long_realm = "日" * 100
    assert unquote(realm_directory(long_realm), errors="strict").startswith("realm=日日日")
    table.insert(realmId=long_realm)
    table.extract(fresh)
    assert all(check.passed for check in Warehouse(fresh).check() if check.severity == "error")
    assert Warehouse(fresh).connection.execute("select realm_id from executions").fetchall() == [(long_realm,)]


def test_a_damaged_file_is_a_failed_check_and_not_a_traceback(table, fresh):
    table.insert()
    table.extract(fresh)
    [part] = fresh.root.glob("executions/*/*/part.parquet")
    opened = Warehouse(fresh)
    part.write_bytes(part.read_bytes()[:100])
    failed = {check.name for check in opened.check() if not check.passed}
    assert "execution_ids_unique" in failed


@pytest.mark.parametrize(
    "statement",
    ["copy (select 1) to '{part}'", "create table t as select 1", "select 1; select 2", "drop view executions"],
)
def test_a_query_can_only_read(table, fresh, statement):
    table.insert()
    table.extract(fresh)
    [part] = fresh.root.glob("executions/*/*/part.parquet")
    before = part.read_bytes()
    with pytest.raises(QueryError, match=r"only read here|only one that reads"):
        Warehouse(fresh).sql(statement.format(part=part))
    assert part.read_bytes() == before


def test_rates_that_do_not_differ_are_rarely_called_different():
    random = np.random.default_rng(11)
    for runs, rate in ((1_000, 0.5), (2_000, 0.3), (20_000, 0.05)):
        sure = 0
        for _ in range(400):
            failed, totals = [], []
            for _side in range(2):
                f = random.binomial(runs, rate)
                n = random.binomial(runs - f, 0.05)
                failed.append(int(f))
                totals.append(estimators.runs(int(n), n * 20.0, n * 400.0, kept=int(f)))
            sure += comparisons.rate_change_p((failed[0], failed[1]), (totals[0], totals[1])) < 0.01
        assert sure <= 14, (runs, rate)  # 4 expected at 1 %; 14 is beyond four standard deviations


def test_a_rate_that_rose_is_called_so():
    runs = estimators.runs(500, 10_000.0, 200_000.0)
    assert comparisons.rate_change_p((10, 100), (runs, runs)) < 1e-6
    assert comparisons.rate_change_p((0, 40), (runs, runs)) < 1e-6
    assert comparisons.rate_change_p((0, 0), (runs, runs)) == 1.0


def test_at_rate_one_runs_are_exact_and_at_rate_zero_unknown(table, fresh):
    rows = pd.DataFrame({"sampled": [True] * 60, "status": ["ok"] * 60, "sample_weight": [1.0] * 60})
    found = comparison_tables.run_estimate(rows)
    assert (found.value, found.low, found.high, found.grade) == (60, 60, 60, "good")
    table.insert()
    table.extract(fresh, sample_rate=0)
    report = api.runaway_rules(Warehouse(fresh), since="2026-07-08", until="2026-07-09")
    assert report.head().html and report.league().html


def test_failures_without_a_code_can_be_the_verdict(table, fresh):
    with table.at_once() as rows:
        for minute in range(60):
            rows.insert(created_at=f"2026-07-07 12:{minute:02}:00+00")
            rows.insert(created_at=f"2026-07-08 12:{minute:02}:00+00")
            rows.insert(
                created_at=f"2026-07-08 12:{minute:02}:30+00",
                status="error",
                sampled=False,
                trace="null",
                points=None,
                nodesExecuted=0,
            )
    table.extract(fresh)
    found = api.post_mortem(Warehouse(fresh), strategy_id="s1", since="2026-07-08", until="2026-07-09")
    assert found.summary()["kind"] == "failures"
    assert "(no code)" in found.verdict.text


def test_a_window_that_was_never_extracted_is_not_called_empty(table, fresh):
    table.insert()
    table.extract(fresh, sample_rate=0.01)
    never = api.post_mortem(Warehouse(fresh), strategy_id="s1", since="2026-08-06", until="2026-08-08")
    assert "not extracted for 2 days" in never.verdict.text
    empty = api.post_mortem(Warehouse(fresh), strategy_id="s1", since="2026-07-09", until="2026-07-10")
    assert "At most 298 ok runs" in empty.verdict.text  # 0.99 ** 298 = 0.0500


def test_a_strategy_that_paid_nothing_before_has_its_change_in_points(table, fresh):
    with table.at_once() as rows:
        for minute in range(60):
            rows.insert(created_at=f"2026-07-07 12:{minute:02}:00+00", points=0, strategyId="old")
            rows.insert(created_at=f"2026-07-07 12:{minute:02}:00+00", points=0)
            rows.insert(created_at=f"2026-07-08 12:{minute:02}:00+00", points=4 + minute % 3, strategyVersion=2)
    table.extract(fresh)
    found = api.post_mortem(Warehouse(fresh), strategy_id="s1", since="2026-07-08", until="2026-07-09")
    assert "paid 5.0 more points per run" in found.verdict.text


def test_the_ledger_writes_each_day_of_a_run_once():
    class Counting:
        def __init__(self):
            self.days = []

        def record(self, entry):
            self.days.append(entry.day)

    from datetime import UTC, date, datetime

    from analytics.extraction.plan import ExtractPlan
    from analytics.model import Watermark

    window = Window.parse("2026-07-01", "2026-07-04")
    lake = Counting()
    plan = ExtractPlan({}, {}, {}, dict.fromkeys([*window.days, None]))
    book = Bookkeeper(lake, window, RealmFilter(), plan, Watermark(datetime(2026, 7, 3, 12, tzinfo=UTC), "lag"), {})  # type: ignore[arg-type]
    book.record([date(2026, 7, 2)], {})
    book.record([*window.days, None], {})
    assert lake.days == [date(2026, 7, 2), date(2026, 7, 1), date(2026, 7, 3)]
    assert book.incomplete_days == [date(2026, 7, 3)]
