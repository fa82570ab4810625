"""Runaway rules: what the report says against the simulated engine's truth, and rows planted by hand."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from analytics.demo import Demo
from analytics.demo.scenarios import CANARY, LOWERED_CAP, SLOW_FIELD, STALL, TIER_LADDER, Scenario
from analytics.estimates.estimators import Estimate
from analytics.findings.runaway import runaway
from analytics.findings.runaway.finding import (
    DailyGrowth,
    Finding,
    Fixed,
    LimitHits,
    Recurrence,
    SandboxCanary,
    SlowVersion,
    Status,
    VersionGrowth,
)
from analytics.findings.runaway.run_costs import cost_shares
from analytics.findings.runaway.runaway import Burst, Key, Stop
from analytics.findings.runaway.thresholds import STANDARD
from analytics.findings.runaway.version_growth import RunsBelowCap
from analytics.lake.lake import Lake
from analytics.program import Size
from analytics.reports.explore.open_lake import open_lake
from analytics.reports.page.inline import plain
from analytics.reports.runaway.finding_sentences import sentence
from analytics.reports.runaway.report import RunawayRules
from analytics.warehouse.warehouse import Warehouse
from tests.runaway.agreement import disagreements, pages

if TYPE_CHECKING:
    from tests.conftest import Table


SINCE, UNTIL = datetime(2026, 7, 10, tzinfo=UTC), datetime(2026, 7, 11, tzinfo=UTC)
FIRST = datetime(2026, 7, 7, tzinfo=UTC)
SECTIONS = ("head", "findings", "league", "when", "close", "growing", "nodes", "fields", "actions", "sure")


@pytest.fixture(scope="session")
def report(warehouse: Warehouse) -> RunawayRules:
    return RunawayRules(warehouse, since=SINCE, until=UNTIL)


@pytest.fixture(scope="session")
def four_days(warehouse: Warehouse) -> RunawayRules:
    """The report on all days of the demo."""
    return RunawayRules(warehouse, since=FIRST, until=UNTIL)


@pytest.fixture(scope="session")
def html(report: RunawayRules) -> str:
    """The page of the last day."""
    return page_of(report)


def truth(demo: Demo, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return duckdb.execute(query.replace("TRUTH", "read_parquet(?)"), [str(demo.truth), *values]).fetchall()


def one(found: list[Finding], what: str, family: str | None = None) -> Finding:
    matching = [f for f in found if f.type == what and (family is None or (f.key and f.key.strategy == family))]
    assert len(matching) == 1, [(f.status, f.type, f.key) for f in found]
    return matching[0]


def within(story: Scenario, found: Finding) -> bool:
    return bool(found.since and found.until) and all(story.covers(t) for t in (found.since, found.until) if t)


def page_of(report: RunawayRules) -> str:
    return "".join(getattr(report, section)().html for section in SECTIONS)


# ---- the planted stories ---------------------------------------------------------------------------------------------


def test_the_lowered_cap_is_found_with_its_exact_count_and_times(demo: Demo, report: RunawayRules) -> None:
    [(count, first, last)] = truth(
        demo,
        "select count(*), epoch_us(min(created_at)), epoch_us(max(created_at)) from TRUTH "
        "where status = 'limit' and logged and created_at >= ?",
        SINCE,
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    found = one(report.found, "limit")

    assert found.status == "new"
    assert found.key == Key("tram-riders", "Checkout ladder", 7)
    assert (found.count, found.since, found.until) == (
        count,
        epoch + timedelta(microseconds=first),
        epoch + timedelta(microseconds=last),
    )
    assert within(LOWERED_CAP, found)
    assert isinstance(found, LimitHits) and found.may_be_lowered
    assert str(count) in report.head().text + report.findings().text


def test_a_program_too_small_to_be_stopped_says_that_a_limit_was_changed(demo: Demo, report: RunawayRules) -> None:
    """No run of the whole population visits more nodes than the program can, and that is fewer than the usual cap."""
    [(most,)] = truth(demo, "select max(visits) from TRUTH where family = 'Checkout ladder' and strategy_version = 7")
    finding = one(report.found, "limit")
    assert isinstance(finding, LimitHits) and finding.visits_max
    assert most <= finding.visits_max < 1000 and finding.fits_the_caps
    assert "so a cap of 1,000 cannot stop it" in report.findings().text


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (Size(300, 300, 40), "nested 40 deep, above the cap of 32: validation should have refused it"),
        (
            Size(300, 300, 9),
            "visits 300 nodes at most, so a cap of 1,000 cannot stop it. A limit was changed",
        ),
        (Size(1300, 1300, 9), "Validation should have refused it, or a limit was changed."),
        (
            None,
            "cannot be read here: it got past the validation, or a limit was changed.",
        ),
    ],
)
def test_which_limit_it_may_have_been_follows_from_the_program(size: Size | None, says: str) -> None:
    nobody = RunsBelowCap(meanwhile=None, otherwise=None, fits_lowered=False)
    stopped = LimitHits(
        status=Status.NEW, key=Key("a", "Ladder", 1), since=SINCE, until=SINCE, count=4, past=Recurrence(), burst_count=1,
        below=nobody, size=size, limits=STANDARD,
    )  # fmt: skip
    assert says in plain(sentence(stopped))


def test_runs_that_passed_under_the_lowered_cap_stayed_below_it(demo: Demo, report: RunawayRules) -> None:
    [(otherwise,)] = truth(
        demo,
        "select max(nodes_executed) from TRUTH where family = 'Checkout ladder' and strategy_version = 7 and status = 'ok' "
        "and logged and story is distinct from 'lowered_cap'",
    )

    found = one(report.found, "limit")
    assert isinstance(found, LimitHits)

    assert found.below.otherwise == otherwise
    assert found.below.meanwhile is None or found.below.meanwhile < 600


def test_the_sandbox_canary_is_one_user_who_is_not_named(demo: Demo, report: RunawayRules, html: str) -> None:
    [(user, count)] = truth(
        demo, "select any_value(external_user_id), count(*) from TRUTH where error_code = ? and created_at >= ?",
        CANARY.facts["error_code"], SINCE,
    )  # fmt: skip

    found = one(report.found, "canary")

    assert isinstance(found, SandboxCanary)
    assert (found.status, found.count, found.users) == ("new", count, CANARY.facts["users"])
    assert found.user == user
    assert within(CANARY, found)
    assert user not in html
    assert user not in json.dumps(report.summary())


def test_the_stall_blames_no_rule(demo: Demo, warehouse: Warehouse) -> None:
    [(planted,)] = truth(demo, "select count(*) from TRUTH where status = 'timeout' and story = 'stall' and logged")
    day = RunawayRules(warehouse, since=datetime(2026, 7, 9, tzinfo=UTC), until=SINCE)

    found = one(day.found, "stall")

    assert found.key is None
    assert found.count == planted
    assert within(STALL, found)
    assert not [other for other in day.found if other.type == "timeout"]
    assert "No rule is named" in day.findings().text


def test_the_tier_ladder_is_named_before_it_hits_the_cap(report: RunawayRules) -> None:
    [row] = [r for r in report.table.to_dict("records") if r["strategy"] == TIER_LADDER.family]

    # Twenty logged runs a day do not prove nine nodes a day, and the report must not say they do.
    assert row["group"] in ("heading for the cap", "close to the cap")
    assert row["trend"] in ("growing", "cannot tell")
    assert any(
        f.key and f.key.strategy == TIER_LADDER.family and f.type in ("growing", "versions", "close")
        for f in report.found
    )


def test_without_a_run_of_the_version_before_the_slow_field_is_only_a_possibility(four_days: RunawayRules) -> None:
    found = one(four_days.found, "slow")

    assert found.key == Key("harbor-schools", SLOW_FIELD.family or "", SLOW_FIELD.facts["version"])
    assert isinstance(found, SlowVersion)
    assert found.time.new_fields == (SLOW_FIELD.facts["field"],)
    assert found.time.split.verdict == "cannot tell"  # the demo's last four days hold version 12 alone
    assert "v11 did not read all.avg_time, and no run of it is at hand" in four_days.findings().text


def test_the_league_agrees_with_the_truth(demo: Demo, four_days: RunawayRules) -> None:
    table = four_days.table.to_dict("records")
    runs = {
        (r, f, v): n
        for r, f, v, n in truth(demo, "select realm_id, family, strategy_version, count(*) from TRUTH group by all")
    }

    compared = [row for row in table if row["ok_logged_count"] >= 30 and row["family_name"] == row["strategy"]]
    missed = 0
    for row in compared:
        key = (row["realm_id"] if isinstance(row["realm_id"], str) else None, row["strategy"], row["strategy_version"])
        missed += not row["est_runs"].low <= runs[key] <= row["est_runs"].high
    assert len(compared) >= 10
    assert missed <= 2  # 95 % intervals: one in twenty may miss
    assert sum(row["est_time_share"] for row in table) == pytest.approx(1)


def test_what_versions_cost_agrees_with_the_truth(demo: Demo, four_days: RunawayRules) -> None:
    """Time and nodes, in all and per run: each interval holds the number of the whole population nineteen times in twenty."""
    rows = truth(
        demo,
        "select realm_id, family, strategy_version, sum(least(duration_ms, 10000)), "
        "       avg(duration_ms) filter (status in ('ok', 'limit', 'timeout')), "
        "       coalesce(sum(nodes_true) filter (status = 'ok'), 0) "
        "from TRUTH group by realm_id, family, strategy_version",
    )
    known = {tuple(row[:3]): row[3:] for row in rows}
    compared = []
    for row in four_days.table.to_dict("records"):
        key = (row["realm_id"] if isinstance(row["realm_id"], str) else None, row["strategy"], row["strategy_version"])
        if row["ok_logged_count"] >= 60 and row["family_name"] == row["strategy"]:
            compared.append((row, known[key]))
    assert len(compared) >= 8
    missed = dict.fromkeys(("est_total_ms", "est_ms_mean", "est_nodes_total"), 0)
    for row, true in compared:
        for name, value in zip(missed, true, strict=True):
            missed[name] += not row[name].low <= value <= row[name].high
    # Shares among these: the lake also holds rows that the population does not have.
    everything = sum(true[0] for _, true in compared)
    of_time = cost_shares([row["est_total_ms"] for row, _ in compared])
    missed["share"] = sum(
        not share.low <= true[0] / everything <= share.high for share, (_, true) in zip(of_time, compared, strict=True)
    )
    assert max(missed.values()) <= 2, missed


def test_one_slow_run_in_ten_is_seen_in_the_dispersion(table: Table, fresh: Lake) -> None:
    """Nine runs of 10 ms and one of 110: mean 20, variance 900, so 45 times the mean; equal runs have none."""
    plant(table, 9, durationMs=10)
    plant(table, 1, durationMs=110)
    plant(table, 10, durationMs=20, strategyVersion=2, at="2026-07-08 13:00:00+00")
    table.extract(fresh)
    uneven, even = sorted(planted_report(fresh).table.to_dict("records"), key=lambda row: row["strategy_version"])
    assert (uneven["ms_dispersion"], even["ms_dispersion"]) == (pytest.approx(45), 0)
    assert uneven["est_ms_mean"].value == even["est_ms_mean"].value == 20
    assert "All of them in numbers" in planted_report(fresh).league().text


# ---- rows planted by hand --------------------------------------------------------------------------------------------


def plant(table: Table, count: int, *, at: str = "2026-07-08 12:00:00+00", **columns: Any) -> None:
    moment = datetime.fromisoformat(at)
    with table.at_once() as rows:
        for i in range(count):
            rows.insert(created_at=(moment + timedelta(seconds=i)).isoformat(), **columns)


def failed(status: str, **columns: Any) -> dict[str, Any]:
    code = {"limit": "DSL_LIMIT_EXCEEDED", "timeout": "DSL_TIMEOUT"}.get(status, "DSL_UNEXPECTED")
    row = {"status": status, "errorCode": code, "points": None, "caseName": None, "trace": "null", "nodesExecuted": 0}
    return {**row, "sampled": False, **columns}


def planted_report(lake: Lake, since: str = "2026-07-08", until: str = "2026-07-09", **limits: Any) -> RunawayRules:
    ends = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in (since, until)]
    return RunawayRules(Warehouse(lake), since=ends[0], until=ends[1], **limits)


def test_the_zero_nodes_of_failed_runs_never_enter_a_quantile(table: Table, fresh: Lake) -> None:
    plant(table, 20, nodesExecuted=100)
    plant(table, 60, **failed("error"))
    plant(table, 60, **failed("timeout"))
    table.extract(fresh)

    [row] = planted_report(fresh).table.to_dict("records")

    assert row["est_nodes_p50"].value == row["est_nodes_p99"].value == 100
    assert row["est_nodes_p99"].is_at_least and not row["est_nodes_p50"].is_at_least  # a timeout was stopped
    assert row["est_nodes_p50"].logged_count == 80  # an error says nothing of its nodes


def test_stopped_runs_count_as_beyond_the_cap(table: Table, fresh: Lake) -> None:
    plant(table, 20, nodesExecuted=100)  # stand for 400 runs
    plant(table, 10, **failed("limit"))  # 10 of 410: more than one in a hundred
    table.extract(fresh)

    [row] = planted_report(fresh).table.to_dict("records")

    assert row["est_nodes_p50"].value == 100
    assert (row["est_nodes_p99"].value, row["est_nodes_p99"].is_at_least) == (100, True)
    assert row["headroom"] == 0
    assert row["est_ms_p99"].is_at_least and math.isnan(
        row["time_headroom"]
    )  # the cap stopped them, not the time limit
    assert row["limit_share"].value == pytest.approx(10 / 410)


def test_cancelled_calls_say_nothing_about_nodes(table: Table, fresh: Lake) -> None:
    plant(table, 10, nodesExecuted=50)
    plant(table, 30, points=None, caseName=None, trace="null", nodesExecuted=0)
    table.extract(fresh)

    [row] = planted_report(fresh).table.to_dict("records")

    assert row["est_nodes_p50"].value == 50


def test_no_stop_is_not_never(table: Table, fresh: Lake) -> None:
    plant(table, 100, nodesExecuted=50)
    table.extract(fresh)

    [row] = planted_report(fresh).table.to_dict("records")

    least = row["est_runs"].low
    assert row["limit_share"].value == 0
    assert row["limit_share"].high == pytest.approx(3 / least, rel=0.01)  # the rule of three


def test_growth_is_told_with_days_to_the_cap(table: Table, fresh: Lake) -> None:
    for day in range(1, 9):
        plant(table, 12, at=f"2026-07-0{day} 12:00:00+00", nodesExecuted=800 + 10 * day)
    table.extract(fresh, "2026-07-01", "2026-07-09")

    report = planted_report(fresh)
    found = one(report.found, "growing")

    assert found.status == "worse"
    assert isinstance(found, DailyGrowth) and found.slope.value == pytest.approx(10)
    assert isinstance(found.number, Estimate)
    assert found.number.value == pytest.approx(12)  # 880 on the last day, 120 left
    assert "10.0 nodes more each day" in report.growing().text


def test_one_odd_day_is_no_growth(table: Table, fresh: Lake) -> None:
    for day in range(1, 9):
        plant(table, 12, at=f"2026-07-0{day} 12:00:00+00", nodesExecuted=890 if day == 8 else 500)
    table.extract(fresh, "2026-07-01", "2026-07-09")

    assert [f for f in planted_report(fresh).found if f.type == "growing"] == []


def test_days_with_few_runs_make_no_trend(table: Table, fresh: Lake) -> None:
    for day in range(1, 9):
        plant(table, 9, at=f"2026-07-0{day} 12:00:00+00", nodesExecuted=100 * day)
    table.extract(fresh, "2026-07-01", "2026-07-09")

    [row] = planted_report(fresh).table.to_dict("records")

    assert row["trend"] == "too few days"


def test_a_cap_hit_yesterday_and_not_today_is_fixed(table: Table, fresh: Lake) -> None:
    plant(table, 10, at="2026-07-07 12:00:00+00", nodesExecuted=500)
    plant(table, 20, at="2026-07-07 13:00:00+00", **failed("limit"))
    plant(table, 10, at="2026-07-08 12:00:00+00", nodesExecuted=500)
    table.extract(fresh)

    found = one(planted_report(fresh).found, "limit")

    assert isinstance(found, Fixed) and found.previous_count == 20


def test_too_few_runs_do_not_prove_a_repair(table: Table, fresh: Lake) -> None:
    plant(table, 100, at="2026-07-07 12:00:00+00", nodesExecuted=500)  # stand for 2,000 runs
    plant(table, 2, at="2026-07-07 13:00:00+00", **failed("limit"))
    plant(table, 10, at="2026-07-08 12:00:00+00", nodesExecuted=500)  # 200 runs: 0.2 stops expected
    table.extract(fresh)

    assert planted_report(fresh).found == []


def test_a_cap_hit_before_is_not_called_new(table: Table, fresh: Lake) -> None:
    plant(table, 3, at="2026-07-07 13:00:00+00", **failed("limit"))
    plant(table, 3, at="2026-07-08 13:00:00+00", **failed("limit"))
    table.extract(fresh)

    found = one(planted_report(fresh).found, "limit")

    assert isinstance(found, LimitHits)
    assert (found.status, found.past.previous_count) == ("finding", 3)


SKIP = '[{"nodeId": "never", "type": "rule", "branch": "skip", "value": false}]'


def test_a_rule_that_was_not_seen_to_match_has_an_exact_bound(table: Table, fresh: Lake) -> None:
    for number in range(2, 9):
        plant(table, 6, at=f"2026-07-{number:02} 12:00:00+00", trace=SKIP)
    table.extract(fresh, "2026-07-01", "2026-07-09")

    until = datetime(2026, 7, 9, tzinfo=UTC)

    [row] = runaway.dead_rules(Warehouse(fresh), until - timedelta(days=7), until).to_dict("records")

    assert (row["rule_id"], row["verdict"], row["reading"]) == ("never", "not seen", "not seen to match")
    assert (row["match_count"], row["entry_count"]) == (0, 42)
    assert (1 - row["share_high"]) ** 42 == pytest.approx(0.05)  # none in 42 is what a share this high gives in 1 of 20
    assert row["est_runs_high"] == math.ceil(row["share_high"] * 42 * 20)  # each stands for twenty
    assert row["grade"] == "rough"


def test_a_rule_that_may_wait_for_the_weekend_is_not_judged_on_weekdays(table: Table, fresh: Lake) -> None:
    for number in range(6, 11):  # Monday to Friday
        plant(table, 100, at=f"2026-07-{number:02} 12:00:00+00", trace=SKIP)
    table.extract(fresh, "2026-07-04", "2026-07-12")

    [row] = Warehouse(fresh).run("dead_rules").to_dict("records")

    assert (row["verdict"], row["look_count"]) == ("not judged: few looks", 500)
    assert row["why"] == "looked at on Mon–Fri only"


def test_rules_are_not_judged_by_a_handful_of_looks(table: Table, fresh: Lake) -> None:
    plant(table, 5, trace='[{"nodeId": "rare", "type": "rule", "branch": "skip", "value": false}]')
    table.extract(fresh)

    text = planted_report(fresh).nodes().text

    assert "never do anything" not in text
    assert "too few to judge" in text


# ---- bursts ----------------------------------------------------------------------------------------------------------


def stop(at: str, *, kind: str = "limit", strategy: str = "a", user: str | None = "u1") -> Stop:
    moment = datetime.fromisoformat(f"2026-07-08 {at}+00:00")
    return Stop(Key("r", strategy, 1), kind, moment, user, None)


def test_a_pause_of_more_than_half_an_hour_ends_a_burst() -> None:
    stops = [stop("12:00:00"), stop("12:30:00"), stop("13:00:01", user="u2"), stop("12:10:00", strategy="b")]

    found = runaway.bursts(sorted(stops, key=lambda s: s.at or SINCE))

    assert [(b.key.strategy if b.key else None, b.count, b.users) for b in found] == [
        ("a", 2, 1),
        ("b", 1, 1),
        ("a", 1, 1),
    ]
    assert all(isinstance(b, Burst) for b in found)


def test_timeouts_of_two_strategies_are_no_stall(table: Table, fresh: Lake) -> None:
    plant(table, 5, strategyId="s1", **failed("timeout"))
    plant(table, 5, strategyId="s2", **failed("timeout"))
    table.extract(fresh)
    stops = runaway.stopped(Warehouse(fresh), datetime(2026, 7, 8, tzinfo=UTC), datetime(2026, 7, 9, tzinfo=UTC))

    assert len(stops) == 10
    assert not any(s.stalled for s in stops)


# ---- little data -----------------------------------------------------------------------------------------------------


def test_an_empty_lake_says_so_and_draws_nothing(tmp_path: Path) -> None:
    report = RunawayRules(Warehouse(Lake(tmp_path)), since=SINCE, until=UNTIL)

    html = page_of(report)

    assert "Cannot tell: no run is logged in what the lake holds of it (1 day not extracted" in report.head().text
    assert "<svg" not in html and "<table" not in html
    assert report.summary()["league"] == []


def test_a_window_without_runs_says_so(warehouse: Warehouse) -> None:
    report = RunawayRules(warehouse, since=datetime(2026, 8, 1, tzinfo=UTC), until=datetime(2026, 8, 2, tzinfo=UTC))

    assert "not extracted" in report.findings().text
    assert "<svg" not in page_of(report)


def test_only_failures_make_marks_and_no_quantiles(table: Table, fresh: Lake) -> None:
    plant(table, 3, **failed("limit"))
    plant(table, 2, **failed("error"))
    table.extract(fresh)
    report = planted_report(fresh)

    html = page_of(report)

    assert "unknown" in report.league().text
    assert html.count("<svg") == 2  # the strip of stops, for pages and for phones
    assert one(report.found, "limit").count == 3


def test_one_row_is_enough_not_to_fail(table: Table, fresh: Lake) -> None:
    table.insert(realmId=None)
    table.extract(fresh)
    report = planted_report(fresh)

    assert "None of 1 strategy hit the cap" in report.league().text
    assert "(no realm)" in page_of(report)
    assert "Nothing new" in report.head().text


@pytest.mark.parametrize("realm", [None, "", "sunny-gym"])
def test_a_scoped_lake_tells_only_of_its_realm(lake: Lake, realm: str | None) -> None:
    report = RunawayRules(open_lake(lake.root, realm=realm), since=FIRST, until=UNTIL)

    html = page_of(report)

    assert "Checkout ladder" not in html
    assert {row["realm"] for row in report.summary()["league"]} <= {realm}


# ---- the page and the summary ----------------------------------------------------------------------------------------


def test_foreign_text_cannot_become_markup(four_days: RunawayRules) -> None:
    html = page_of(four_days)

    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "‮" not in html  # the mark that reverses reading order


def test_every_link_of_the_page_leads_to_a_section(report: RunawayRules, html: str) -> None:
    assert [href for href, _ in report.nav if f'id="{href[1:]}"' not in html] == []
    assert len(re.findall(r' id="([^"]+)"', html)) == len(set(re.findall(r' id="([^"]+)"', html)))


def test_every_number_of_the_page_is_told_the_same_everywhere(report: RunawayRules) -> None:
    assert list(disagreements(pages(report))) == []


def test_the_summary_is_plain_json_and_agrees_with_the_page(report: RunawayRules) -> None:
    facts = json.loads(json.dumps(report.summary(), allow_nan=False))

    assert facts["counts"]["new"] == 2
    assert [f["what"] for f in facts["findings"]][:2] == ["limit", "canary"]
    keys = {"value", "low", "high", "grade", "logged_count", "effective_count", "is_at_least"}
    assert keys == set(facts["league"][0]["est_runs"])
    assert facts["title"] == report.title
    for finding in facts["findings"]:
        assert finding["sentence"].split(",")[0] in report.findings().text


def test_durations_that_cannot_be_one_do_not_spoil_the_shares(table: Table, fresh: Lake) -> None:
    plant(table, 3, strategyId="s1", durationMs=10)
    plant(table, 1, strategyId="s1", durationMs="NaN")
    plant(table, 3, strategyId="s2", durationMs=30)
    plant(table, 1, strategyId="s2", durationMs=-5)
    table.extract(fresh)

    rows = planted_report(fresh).table.to_dict("records")

    assert {row["strategy"]: round(row["est_time_share"], 6) for row in rows} == {"s1": 0.25, "s2": 0.75}


def test_a_window_that_leaves_no_history_is_reported_too(table: Table, fresh: Lake) -> None:
    plant(table, 20)
    table.extract(fresh)
    assert len(planted_report(fresh, since="2026-06-01", until="2026-07-12").table) == 1


# ---- forecasts -------------------------------------------------------------------------------------------------------


def test_versions_that_grow_are_one_finding_and_no_days_are_promised(table: Table, fresh: Lake) -> None:
    for version, (day, nodes) in enumerate([(6, 143), (7, 423), (8, 950)], 1):
        plant(table, 20, at=f"2026-07-0{day} 12:00:00+00", strategyVersion=version, nodesExecuted=nodes)
    table.extract(fresh, "2026-07-01", "2026-07-09")

    report = planted_report(fresh)
    found = one(report.found, "versions")

    assert found.status == "worse"
    assert isinstance(found, VersionGrowth) and found.versions == ((1, 143), (2, 423), (3, 950))
    assert "143 → 423 → 950 nodes" in report.findings().text
    assert "days" not in report.findings().text
    assert [other.type for other in report.found] == ["versions"]  # close to the cap, too: said once


def test_an_end_that_is_open_reads_at_least(table: Table, fresh: Lake) -> None:
    for day, nodes in enumerate((700, 730, 700, 745), 5):
        plant(table, 100, at=f"2026-07-0{day} 12:00:00+00", nodesExecuted=nodes)
    table.extract(fresh, "2026-07-01", "2026-07-09")

    report = planted_report(fresh)
    [row] = report.table.to_dict("records")

    assert row["trend"] == "cannot tell"
    assert row["est_days_to_cap"].high == float("inf") and row["est_days_to_cap"].low > 1
    assert re.search(r"≥\s\d", report.league().text.split("days to cap")[1])
    assert report.found == []


def test_a_program_that_ends_before_the_cap_is_said_to(report: RunawayRules) -> None:
    [row] = [r for r in report.table.to_dict("records") if r["strategy"] == "Badge hunt"]

    assert row["trend"] == "bounded"
    assert row["nodes_max"] <= row["bounded_by"] < 1000
    assert f"at most {row['bounded_by']:.0f} nodes" in report.league().text
    assert "cannot reach it: no run can be longer than its program" in report.growing().text
