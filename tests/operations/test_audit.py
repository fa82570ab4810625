"""The audit of the sampling: by the log alone, against the engine's counters, and what reports make of it."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analytics import api
from analytics.cli import main
from analytics.errors import UsageError
from analytics.estimates.sampling_rates import RateEntry, Rates
from analytics.lake.lake import Lake
from analytics.operations import rate_judgement, sampling_audit
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.demo import Demo
    from tests.conftest import Table

DAY = Window.parse("2026-07-08", "2026-07-09")
NOON = datetime.fromisoformat("2026-07-08T12:00:00+00:00")


def plant(table: Table, ok: int, failed: int = 0, **columns: Any) -> None:
    """Ok runs within the hour from noon, and errors after them."""
    with table.at_once() as rows:
        for i in range(ok):
            rows.insert(created_at=(NOON + timedelta(seconds=i)).isoformat(), **columns)
    nothing = {
        "status": "error",
        "errorCode": "E",
        "points": None,
        "caseName": None,
        "trace": "null",
        "nodesExecuted": 0,
    }
    with table.at_once() as rows:
        for i in range(failed):
            rows.insert(
                created_at=(NOON + timedelta(minutes=30, seconds=i)).isoformat(), sampled=False, **nothing, **columns
            )


def counters(
    path: Path, totals: dict[tuple[str, str], int], dropped: int = 0, also: tuple[datetime, int] | None = None
) -> Path:
    """A file, scraped every half hour, in which each realm and status rises in the half hour from noon, and maybe once more."""
    first = int(datetime.fromisoformat("2026-07-07T23:00:00+00:00").timestamp())
    lines = [f"process_start_time_seconds {first} {first * 1000}"]
    for step in range(54):
        moment = first + 1800 * step
        risen = moment > NOON.timestamp()
        for (realm, status), total in totals.items():
            labels = f'realm="{realm}",strategy_type="DSL_FULL",status="{status}"'
            more = also[1] if also and moment > also[0].timestamp() else 0
            lines.append(f"dsl_execution_duration_seconds_count{{{labels}}} {total * risen + more} {moment * 1000}")
        if dropped:
            lines.append(f"dsl_execution_log_dropped_total {dropped * risen} {moment * 1000}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def audited(table: Table, lake: Lake, where: Path | str = "", rate: float = 0.05) -> sampling_audit.Audit:
    table.extract(lake, sample_rate=rate)
    return sampling_audit.audit(Warehouse(lake), DAY, str(where))


def test_a_log_that_agrees_with_the_counters_is_not_contradicted(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 50, 7)
    found = audited(table, fresh, counters(tmp_path / "c", {("acme", "ok"): 1010, ("acme", "error"): 7}))

    assert not found.contradictions and not found.losses
    [row] = found.realms.to_dict("records")
    assert (row["drawn_count"], round(row["counted_ok"]), round(row["counted_failed"])) == (50, 1010, 7)
    assert row["observed_rate_low"] < 0.05 < row["observed_rate_high"]
    assert found.source == "c"


def test_another_rate_than_the_configured_one_is_said_with_its_interval(
    table: Table, fresh: Lake, tmp_path: Path
) -> None:
    plant(table, 50)
    found = audited(table, fresh, counters(tmp_path / "c", {("acme", "ok"): 2500}))

    assert found.is_contradicted
    assert (
        "Of 2,500 ok runs that the engine counted in realm 'acme', 50 were logged: 2 % [1.52 % – 2.63 %]"
        in found.contradictions[0]
    )
    assert "said to be 5 %" in found.contradictions[0]


def test_a_rate_of_zero_with_drawn_rows_contradicts_itself(table: Table, fresh: Lake) -> None:
    plant(table, 3)
    assert audited(table, fresh, rate=0).contradictions == [
        "3 ok rows were drawn in a time for which a rate of 0 is configured."
    ]


def test_dropped_rows_and_missing_failures_are_named(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 50, 7)
    where = counters(tmp_path / "c", {("acme", "ok"): 1000, ("acme", "error"): 30}, dropped=412)
    found = audited(table, fresh, where)

    assert not found.contradictions
    assert found.losses == [
        "The engine counted 30 failures in realm 'acme', the log holds 7.",
        "The log's full queue dropped 412 rows between 2026-07-08 12:00 and 2026-07-08 12:59 UTC; "
        "failures among them are not in the log.",
    ]


def test_more_logged_than_counted_means_other_counters(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 50)
    found = audited(table, fresh, counters(tmp_path / "c", {("acme", "ok"): 12}))
    assert "they are not of this engine" in found.contradictions[0]


def test_realms_the_counters_do_not_know_keep_the_configured_rate(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 30)
    plant(table, 30, realmId="other")
    found = audited(table, fresh, counters(tmp_path / "c", {("acme", "ok"): 600}))

    assert not found.contradictions
    assert any("know nothing of the 30 ok rows of 'other'" in note for note in found.notes)
    weighed = Warehouse(fresh).with_weights(found.weights)
    assert weighed.sql("select distinct sample_weight from executions where realm_id = 'other'").fetchall() == [(20.0,)]


def test_weights_of_the_counters_give_their_totals(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 50, 4)
    plant(table, 25, realmId=None)
    found = audited(table, fresh, counters(tmp_path / "c", {("acme", "ok"): 2500, ("unknown", "ok"): 700}))
    weighed = Warehouse(fresh).with_weights(found.weights)

    rows = weighed.sql(
        "select realm_id, status, count(*)::int, sum(sample_weight) from executions group by all order by all"
    ).fetchall()
    assert rows == [("acme", "error", 4, 4.0), ("acme", "ok", 50, 2500.0), (None, "ok", 25, 700.0)]
    summary = weighed.run("strategy_summary").set_index("realm_id")
    assert summary.loc["acme", "est_runs"] == 2504
    assert Warehouse(fresh).run("strategy_summary").set_index("realm_id").loc["acme", "est_runs"] == 1004


def test_a_change_of_the_rate_stays_one_under_the_counters(table: Table, fresh: Lake, tmp_path: Path) -> None:
    # 600 runs that pay 10 at noon, 600 that pay 1 in the evening, logged at 0.05 and at 0.5
    evening = NOON + timedelta(hours=8)
    for first, count, points in ((NOON, 30, 10), (evening, 300, 1)):
        with table.at_once() as rows:
            for i in range(count):
                rows.insert(created_at=(first + timedelta(seconds=5 * i)).isoformat(), points=points)
    table.extract(fresh, rates=Rates((RateEntry(0.05), RateEntry(0.5, since=evening)), 0.05))
    where = counters(tmp_path / "c", {("acme", "ok"): 600}, also=(evening, 600))
    found = sampling_audit.audit(Warehouse(fresh), DAY, str(where))

    assert not found.contradictions
    row = Warehouse(fresh).with_weights(found.weights).run("strategy_summary").iloc[0]
    assert row["est_runs"] == pytest.approx(1200, rel=0.02)
    assert row["est_points_sum"] == pytest.approx(6600, rel=0.02)


def test_a_tenant_whose_log_is_missing_is_named(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 50)
    found = audited(
        table, fresh, counters(tmp_path / "c", {("acme", "ok"): 1000, ("ghost", "ok"): 5000, ("ghost", "error"): 90})
    )
    assert "Of 5,000 ok runs that the engine counted in realm 'ghost', 0 were logged" in found.contradictions[0]
    assert found.losses == ["The engine counted 90 failures in realm 'ghost', the log holds 0."]
    scoped = sampling_audit.audit(Warehouse(fresh, realms=["acme"]), DAY, str(tmp_path / "c"))
    assert not scoped.contradictions and not scoped.losses


def test_labels_that_two_tenants_share_are_not_compared_with_one_of_them(
    table: Table, fresh: Lake, tmp_path: Path
) -> None:
    plant(table, 40, realmId=None)
    plant(table, 60, realmId="")
    where = counters(tmp_path / "c", {("unknown", "ok"): 2000})
    assert not audited(table, fresh, where).contradictions
    alone = sampling_audit.audit(Warehouse(fresh, realms=[None]), DAY, str(where))
    assert not alone.contradictions and any("counted together" in note for note in alone.notes)
    assert (
        Warehouse(fresh, realms=[None]).with_weights(alone.weights).run("strategy_summary").iloc[0]["est_runs"] == 800
    )


def test_what_was_not_compared_is_not_said_to_agree(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 20)
    assert not audited(table, fresh).was_compared
    assert not audited(table, fresh, counters(tmp_path / "c", {("other", "ok"): 12})).was_compared


def test_hours_with_few_rows_share_the_weight_of_their_day(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 5)
    found = audited(table, fresh, counters(tmp_path / "c", {("acme", "ok"): 90}))
    assert found.weights is not None
    assert [row["factor"] for row in found.weights.to_pylist()] == [pytest.approx(0.9)]
    weighed = Warehouse(fresh).with_weights(found.weights)
    assert weighed.sql("select distinct sample_weight from executions").fetchall() == [(pytest.approx(18.0),)]


# ---- by the log alone ----------------------------------------------------------------------------------------------


def hours(demo: Demo, rate: Any, said: Any, seed: int) -> pd.DataFrame:
    """What sampling_by_hour would give for the demo's population under a rate, and another one that is said."""
    chance = np.random.default_rng(seed)
    runs = pq.read_table(demo.truth, columns=["realm_id", "strategy_id", "status", "created_at"]).to_pandas()
    runs = runs[np.repeat(True, len(runs))].assign(hour=runs["created_at"].dt.floor("h"))
    many = pd.concat([runs] * 6)  # enough rows an hour
    ok = (many["status"] == "ok").to_numpy()
    rate, said = (value(many["created_at"]) if callable(value) else value for value in (rate, said))
    drawn = ok & (chance.random(len(many)) < rate)
    errors = ~many["status"].isin(["ok", "timeout", "limit"])
    frame = many.assign(drawn_count=drawn, est_ok_runs=drawn / said, error_count=errors)
    keys = ["realm_id", "strategy_id", "hour"]
    return frame.groupby(keys, dropna=False, as_index=False)[["drawn_count", "est_ok_runs", "error_count"]].sum()


def late(factor: float) -> Any:
    moment = pd.Timestamp("2026-07-09 12:00", tz="UTC")
    return lambda times: np.where(times >= moment, 0.05 * factor, 0.05)


def test_an_unchanged_rate_is_not_suspected(demo: Demo) -> None:
    assert all(rate_judgement.judge_rates(hours(demo, 0.05, 0.05, seed)).contradictions == [] for seed in range(5))


@pytest.mark.parametrize(("factor", "times"), [(4, (3, 5)), (0.2, (0.15, 0.27))])
def test_a_change_that_nobody_configured_is_found_at_its_hour(
    demo: Demo, factor: float, times: tuple[float, float]
) -> None:
    [sentence] = rate_judgement.judge_rates(hours(demo, late(factor), 0.05, 1)).contradictions
    assert re.search(r"Since about 2026-07-09 1\d:00 UTC", sentence)
    told = re.search(r"strategies log ([\d.]+) times as many ok rows", sentence)
    assert told and times[0] <= float(told[1]) <= times[1]


def test_a_change_that_was_configured_is_none(demo: Demo) -> None:
    assert rate_judgement.judge_rates(hours(demo, late(4), late(4), 1)).contradictions == []


def test_a_campaign_of_one_strategy_is_none(demo: Demo) -> None:
    rows = hours(demo, 0.05, 0.05, 1)
    largest = rows.groupby("strategy_id")["drawn_count"].sum().idxmax()
    later = (rows["strategy_id"] == largest) & (rows["hour"] >= pd.Timestamp("2026-07-09 12:00", tz="UTC"))
    rows.loc[later, ["drawn_count", "est_ok_runs"]] *= 5
    assert rate_judgement.judge_rates(rows).contradictions == []


def of_few(
    count: int,
    errors: float,
    factor: float = 1.0,
    traffic: float = 1.0,
    days: int = 4,
    seed: int = 1,
    first: str = "2026-07-06",
) -> pd.DataFrame:
    """Hours of so many strategies, 15 ok rows an hour and so many errors a day each; from the third day on otherwise."""
    chance = np.random.default_rng(seed)
    lines = []
    for strategy in range(count):
        for hour in range(24 * days):
            changed = hour >= 48
            runs, rate = (traffic if changed else 1.0), (factor if changed else 1.0)
            drawn = int(chance.poisson(15 * runs * rate))
            moment = pd.Timestamp(first, tz="UTC") + pd.Timedelta(hours=hour)
            lines.append(("acme", f"s{strategy}", moment, drawn, 20.0 * drawn, int(chance.poisson(errors / 24 * runs))))
    columns = ["realm_id", "strategy_id", "hour", "drawn_count", "est_ok_runs", "error_count"]
    return pd.DataFrame(lines, columns=columns)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("factor", [4.0, 0.2])
def test_two_or_three_strategies_tell_a_change_of_the_rate_where_their_errors_do(count: int, factor: float) -> None:
    [sentence] = rate_judgement.judge_rates(of_few(count, errors=40, factor=factor)).contradictions
    assert re.search(rf"Since about 2026-07-0[78] \d\d:00 UTC {count} of {count} strategies log", sentence)
    assert "but not so of errors" in sentence


@pytest.mark.parametrize("count", [2, 3])
def test_traffic_that_moves_the_errors_too_is_no_change_of_the_rate(count: int) -> None:
    for seed in range(20):
        found = rate_judgement.judge_rates(of_few(count, errors=40, traffic=4.0, seed=seed))
        assert (found.contradictions, found.undecided, found.reason) == ([], [], "")


def test_without_errors_three_strategies_cannot_tell_a_change_of_the_rate_from_one_of_the_traffic() -> None:
    for rows in (of_few(3, errors=1, factor=4.0), of_few(3, errors=1, traffic=4.0)):
        found = rate_judgement.judge_rates(rows)
        assert found.contradictions == []
        [sentence] = found.undecided
        assert "or the traffic of all at once. Too few errors are logged to tell." in sentence
        assert found.reason.startswith("of 3 strategies a change of the rate looks like one of their traffic")


def test_a_quiet_log_of_few_strategies_says_whether_it_could_have_told() -> None:
    assert rate_judgement.judge_rates(of_few(3, errors=40)) == rate_judgement.RateJudgement([], [], "")
    assert rate_judgement.judge_rates(of_few(2, errors=1, traffic=4.0)).undecided == []
    unable = rate_judgement.judge_rates(of_few(3, errors=1))
    assert (unable.contradictions, unable.undecided) == ([], [])
    assert "unless errors tell" in unable.reason
    assert rate_judgement.judge_rates(of_few(1, errors=40, factor=4.0)).reason.startswith(
        "two days with rows of two strategies"
    )


@pytest.mark.parametrize("count", [3, 6])
def test_a_weekend_without_errors_is_no_step(count: int) -> None:
    found = rate_judgement.judge_rates(
        of_few(count, errors=1, traffic=0.2, first="2026-07-09")
    )  # from Saturday 11 July on
    assert (found.contradictions, found.undecided) == ([], [])


def test_reports_say_that_they_cannot_tell(table: Table, fresh: Lake) -> None:
    plant(table, 50)
    table.extract(fresh, rates=Rates((), 0.05))
    report = api.runaway_rules(fresh.root, since="2026-07-08", until="2026-07-09")
    assert "cannot tell whether it holds (two days with rows of two strategies are needed" in report.sure().text
    assert report.summary()["sampling_audit"]["cannot_tell_because"]


# ---- command and reports -------------------------------------------------------------------------------------------


def test_the_command_says_it_and_fails(
    table: Table, fresh: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(table, 50)
    table.extract(fresh, rates=Rates((), 0.05))
    days = ["--lake", str(fresh.root), "--since", "2026-07-08", "--until", "2026-07-09"]
    assert main(["audit", *days]) == 0
    assert "too little to compare" in capsys.readouterr().err

    where = str(counters(tmp_path / "c", {("acme", "ok"): 2500}))
    assert main(["audit", *days, "--counters", where, "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["is_contradicted"] and told["realms"][0]["observed_rate"] == pytest.approx(0.02)

    assert main(["query", *days, "--name", "strategy_summary", "--counters", where, "--format", "json"]) == 0
    out = capsys.readouterr()
    [row] = json.loads(out.out)
    assert "in doubt" in out.err and row["est_runs"] == pytest.approx(2500) and row["is_in_doubt"]


def test_reports_say_it_on_top_and_mark_every_estimate(table: Table, fresh: Lake, tmp_path: Path) -> None:
    plant(table, 50, 3)
    table.extract(fresh, rates=Rates((), 0.05))
    where = str(counters(tmp_path / "c", {("acme", "ok"): 2500, ("acme", "error"): 3}))
    report = api.runaway_rules(fresh.root, since="2026-07-08", until="2026-07-09", counters=where)

    assert report.head().text.startswith("Of 2,500 ok runs that the engine counted")
    assert 'class="sa-banner sa-doubt"' in report.head().html
    facts = report.summary()
    assert facts["sampling_audit"]["is_contradicted"]
    assert facts["league"][0]["est_runs"]["is_in_doubt"] and facts["league"][0]["est_runs"]["value"] == 2503
    calm = api.runaway_rules(fresh.root, since="2026-07-08", until="2026-07-09")
    assert "doubt" not in calm.head().html and "is_in_doubt" not in json.dumps(calm.summary())


def test_a_password_never_gets_into_a_notebook(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="password") as caught:
        api.render("runaway_rules", out=tmp_path, lake=str(lake.root), counters="https://me:secret@prometheus.example")
    assert "secret" not in str(caught.value) and "ANALYTICS_COUNTERS" in (caught.value.hint or "")
