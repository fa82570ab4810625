"""The post-mortem against what was planted."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import api
from analytics.errors import UnknownNameError, UsageError
from analytics.estimates import comparisons, estimators
from analytics.findings.post_mortem import groups
from analytics.findings.post_mortem.family import Family, family_runs, find_family, labels_of
from analytics.findings.post_mortem.finding import VersionFinding
from analytics.findings.post_mortem.groups import group_of
from analytics.findings.post_mortem.node_changes import activations
from analytics.findings.post_mortem.post_mortem import find_incident
from analytics.findings.replay.replayed import Counterfactual
from analytics.findings.replay.run_evidence import days_around, pieces
from analytics.program import words
from analytics.reports.post_mortem import comparison_tables, overpaid, report
from analytics.reports.post_mortem import overpaid as affected
from analytics.warehouse.warehouse import Warehouse, records
from tests.fewer import one_in
from tests.planted.stories import story


@pytest.fixture(scope="module")
def speed_bonus(warehouse):
    return api.post_mortem(
        warehouse, realm="acme-cycling", family="Speed bonus", since="2026-07-07", until="2026-07-11"
    )


def frame(rows):
    """Logged runs of one strategy, as ``family_runs`` gives them: (minute, version, points, status, code)."""
    return pd.DataFrame(
        [
            {
                "execution_id": f"id-{i}",
                "created_at": pd.Timestamp("2026-07-01", tz=UTC) + pd.Timedelta(minutes=minute),
                "strategy_id": f"s{version}",
                "strategy_version": version,
                "label": f"v{version}",
                "status": status,
                "error_code": code,
                "points": points,
                "case_name": "Case",
                "duration_ms": 5.0,
                "nodes_executed": 10,
                "sampled": status == "ok",
                "sample_weight": 20.0 if status == "ok" else 1.0,
                "external_user_id": f"u{i % 7}",
            }
            for i, (minute, version, points, status, code) in enumerate(rows)
        ]
    )


def version():
    """A version that paid otherwise, not tried."""
    before, after = group_of("v2", frame([(0, 2, 4.0, "ok", None)])), group_of("v3", frame([(1, 3, 2.0, "ok", None)]))
    return VersionFinding(before=before, after=after, points=comparisons.difference(before.values, after.values))


def day(number):
    return datetime(2026, 7, number, tzinfo=UTC)


def test_the_verdict_names_version_case_amounts_and_rollback(speed_bonus):
    said = speed_bonus.verdict.text
    assert said.startswith("Version 3 of Speed bonus paid ")
    assert "because case PerformanceBonus went from 10 to 15" in said
    assert "the rollback on Friday 10 July 15:0" in said
    facts = speed_bonus.summary()
    assert facts["kind"] == "version"
    assert (facts["before"]["version"], facts["after"]["version"]) == (2, 3)


def test_the_overpaid_points_lie_within_their_interval(speed_bonus, demo):
    # The truth holds every run: each PerformanceBonus of v3 paid 5 points more than v2 would have.
    [(truth,)] = duckdb.execute(
        "select 5 * count(*) from read_parquet($1) where family = 'Speed bonus' and strategy_version = 3 "
        "and case_name = 'PerformanceBonus' and status = 'ok'",
        [str(demo.truth)],
    ).fetchall()
    overpaid = speed_bonus.summary()["overpaid"]
    assert overpaid["low"] <= truth <= overpaid["high"]


def test_the_program_diff_shows_the_one_line_that_changed(speed_bonus):
    text = speed_bonus.changed().text
    assert "1 literal changed; 23 of the 24 nodes say the same" in text
    assert "rule 2 performance-bonus › assign 15 points, case PerformanceBonus: literal 10 → 15" in text
    assert "assign 10 points, case PerformanceBonus" in text
    assert "assign 15 points, case PerformanceBonus" in text


def test_a_client_that_sends_zeros_is_found_without_blaming_a_version(warehouse):
    found = api.post_mortem(
        warehouse, realm="harbor-schools", family="Homework race", since="2026-07-07", until="2026-07-11"
    )
    facts = found.summary()
    assert facts["kind"] == "failures"
    assert facts["error_code"] == "DSL_ARITH_DIV_BY_ZERO"
    assert facts["error_code_since"].startswith(("2026-07-07T08", "2026-07-07T09"))
    assert "No version changed" in found.verdict.text


def test_quiet_strategies_are_left_in_peace(warehouse):
    for realm, family in (("harbor-schools", "Kind words"), ("acme-cycling", "Group ride"), ("sunny-gym", "Warm-up")):
        facts = api.post_mortem(warehouse, realm=realm, family=family, since="2026-07-08", until="2026-07-11").summary()
        assert facts["kind"] in ("quiet", "single"), (family, facts["verdict"])


def test_a_strategy_is_found_by_the_id_of_any_version(warehouse, speed_bonus):
    for strategy, _ in speed_bonus.inquiry.family.members:
        found = api.post_mortem(warehouse, strategy_id=strategy, since="2026-07-07", until="2026-07-11")
        assert found.inquiry.family.name == "Speed bonus"


def test_a_name_in_two_realms_must_be_told_apart(warehouse):
    with pytest.raises(UsageError, match="2 realms"):
        api.post_mortem(warehouse, family="Weekly streak", since="2026-07-07", until="2026-07-11")


def test_an_unknown_strategy_is_refused_with_the_known_ones(warehouse):
    with pytest.raises(UnknownNameError) as caught:
        api.post_mortem(warehouse, family="Sped bonus", since="2026-07-07", until="2026-07-11")
    assert "Speed bonus" in caught.value.hint


def test_an_empty_window_says_how_many_runs_there_may_have_been(warehouse):
    found = api.post_mortem(
        warehouse, realm="acme-cycling", family="Speed bonus", since="2026-07-11", until="2026-07-12"
    )
    assert "At most 58 ok runs" in found.verdict.text
    for section in (
        found.head, found.strip, found.since, found.changed, found.why, found.runs_explained, found.who, found.failures,
        found.actions, found.sure,
    ):  # fmt: skip
        assert section().html


@pytest.mark.parametrize("first", one_in(3, (0, 3, 6)))
def test_every_section_stands_for_every_third_strategy(warehouse, first):
    strategies = warehouse.sql(
        "select realm_id, min(strategy_id) from strategy_days group by realm_id, coalesce(family_name, strategy_id) order by all"
    ).fetchall()
    for realm, strategy in strategies[first::9]:  # all of them take twenty seconds
        found = (
            api.post_mortem(
                warehouse,
                realm=realm or "",
                no_realm=realm is None,
                strategy_id=strategy,
                since="2026-07-07",
                until="2026-07-11",
            )
            if realm != ""
            else None
        )
        if found is None:
            continue
        for section in (
            found.head,
            found.strip,
            found.since,
            found.changed,
            found.why,
            found.who,
            found.failures,
            found.sure,
        ):
            assert section().html
        assert found.summary()["report"] == "post_mortem"


def test_versions_are_dated_from_the_logs_own_rows():
    rows = frame(
        [(m, 2, 7, "ok", None) for m in range(60)]
        + [(m, 3, 7, "ok", None) for m in range(60, 90)]
        + [(m, 2, 7, "ok", None) for m in range(90, 100)]
    )
    spans = [(s.label, s.first.minute + 60 * s.first.hour, s.logged_count) for s in activations(rows)]
    assert spans == [("v2", 0, 60), ("v3", 60, 30), ("v2", 90, 10)]


def test_a_late_straggler_is_no_activation():
    rows = frame(
        [(m, 2, 7, "ok", None) for m in range(30)]
        + [(m, 3, 7, "ok", None) for m in range(30, 50)]
        + [(50, 2, 7, "ok", None)]
        + [(m, 3, 7, "ok", None) for m in range(51, 80)]
    )
    assert [s.label for s in activations(rows)] == ["v2", "v3"]


def test_a_quiet_weekend_is_no_incident():
    rows = frame(
        [(m, 2, 5 + m % 5, "ok", None) for m in range(0, 2880, 5)]
        + [(m, 2, 5 + m % 5, "ok", None) for m in range(2880, 5760, 40)]
    )
    assert find_incident(rows, day(3), day(5)).kind == "quiet"


def test_only_failures_are_told_as_failures():
    rows = frame([(m, 2, None, "error", "DSL_ARITH_DIV_BY_ZERO") for m in range(1440, 1500)])
    found = find_incident(rows, day(2), day(3))
    assert (found.kind, found.code) == ("failures", "DSL_ARITH_DIV_BY_ZERO")


def test_a_burst_that_is_over_has_an_end():
    ok = [(m, 2, 5, "ok", None) for m in range(0, 5760, 10)]
    burst = [(m, 2, None, "limit", "DSL_LIMIT_EXCEEDED") for m in range(2900, 2990, 2)]
    found = find_incident(frame(sorted(ok + burst, key=lambda row: row[0])), day(3), day(5))
    assert found.kind == "failures"
    assert found.code_since == datetime(2026, 7, 3, 0, 20, tzinfo=UTC)
    assert found.code_until == datetime(2026, 7, 3, 1, 48, tzinfo=UTC)


def test_words_show_what_they_cannot_read_as_json():
    program = {
        "rules": [
            {
                "id": "r",
                "when": {
                    "type": "compare",
                    "op": "<",
                    "left": {"type": "field", "path": "data.x"},
                    "right": {"type": "literal", "value": 2},
                },
                "then": [{"type": "assign_points", "value": {"type": "literal", "value": 1}, "case_name": "C"}, 7],
            },
            "nonsense",
        ]
    }
    assert words.lines(program) == [
        "rule 1  r",
        "  when data.x < 2",
        "  then assign 1 point, case C",
        "  then 7",
        'rule 2: "nonsense"',
    ]
    assert words.lines(None) == []


def test_the_runs_of_a_family_are_the_files_rows_oldest_first(warehouse):
    found = family_runs(warehouse, find_family(warehouse, realm="acme-cycling", family="Speed bonus"), day(6), day(11))
    wanted = duckdb.execute(
        "select execution_id, 'v' || strategy_version, status, error_code, external_user_id, case_name, points "
        "from read_parquet($1, hive_partitioning = false) where strategy_id in "
        "(select strategy_id from read_parquet($2, hive_partitioning = false) where name = 'Speed bonus') "
        "and created_at >= '2026-07-06 00:00:00+00' and created_at < '2026-07-11 00:00:00+00' order by created_at",
        [
            str(warehouse.lake.root / "executions" / "realm=acme-cycling" / "*" / "*.parquet"),
            str(warehouse.lake.root / "definitions" / "realm=acme-cycling" / "*.parquet"),
        ],
    ).fetchall()
    names = ["execution_id", "label", "status", "error_code", "external_user_id", "case_name", "points"]
    assert [tuple(row.values()) for row in records(found[names])] == wanted
    assert list(found.groupby("label").groups) == sorted(found["label"].unique())


def test_two_programs_that_share_a_version_number_are_told_apart_by_their_ids():
    rows = pd.DataFrame(
        {"strategy_id": ["aaaaaaaa-1", "bbbbbbbb-2", "aaaaaaaa-1", "c"], "strategy_version": [2, 2, 2, 10]}
    )
    members = (("aaaaaaaa-1", 2), ("bbbbbbbb-2", 2), ("c", 10))
    labels = labels_of(rows.astype({"strategy_id": "category"}), Family("r", "F", True, members, frozenset()))
    assert list(labels) == ["v2 (aaaaaaaa)", "v2 (bbbbbbbb)", "v2 (aaaaaaaa)", "v10"]
    assert (
        len(labels_of(rows.head(0).astype({"strategy_id": "category"}), Family("r", "F", True, (), frozenset()))) == 0
    )


def test_the_nodes_of_a_version_come_in_the_same_order_every_time(warehouse):
    [(strategy, version)] = warehouse.sql(
        "select strategy_id, strategy_version from definitions where family_name = 'Group ride' and strategy_version = 2"
    ).fetchall()
    found = warehouse.run(
        "node_outcomes", realm="acme-cycling", strategy=strategy, version=version, since=day(6), until=day(11)
    )
    keys = list(zip(found["node_id"], found["type"], strict=True))
    assert len(keys) > 100
    assert keys == sorted(keys)


def test_the_users_that_are_shown_are_those_seen_most(speed_bonus):
    after = speed_bonus.inquiry.incident.after.rows
    seen = Counter(after[(after["status"] == "ok") & (after["case_name"] == "PerformanceBonus")]["external_user_id"])
    most = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:5]
    shown = affected.affected_users(after, speed_bonus.inquiry.cases, None, show_users=True).text
    places = [shown.index(user) for user, _ in most]
    assert places == sorted(places)
    assert sum(user in shown for user in seen) == 5


def test_every_complete_trace_of_the_demo_is_reproduced(warehouse):
    ids = warehouse.sql(
        "select execution_id from executions join definitions using (strategy_id, strategy_version) "
        "where executions.status = 'ok' and executions.trace is not null and executions.notes is null order by 1"
    ).fetchall()
    tried = pieces(warehouse, [row[0] for row in ids])
    assert len(tried) == len(ids) > 500
    assert [found.replay.says for found in tried if found.replay.verdict != "reproduced"] == []


def test_what_was_overpaid_is_replayed_and_told_by_case(speed_bonus, demo):
    said = speed_bonus.how_much().text
    assert "How much was overpaid?" in said
    assert "Points on the same inputs: v2 would have paid" in said
    facts = speed_bonus.summary()
    assert facts["overpaid_by"] == "replay"
    tried = facts["counterfactual"]["forward"]
    assert tried["own_count"] == tried["tried_count"] == tried["decided_count"] > 50
    assert tried["difference"] == facts["overpaid"]
    # The truth: each PerformanceBonus of v3 paid 5 points more than v2 would have, every other case the same.
    changed = {case["case_name"]: case["difference"]["value"] for case in tried["cases"]}
    assert [name for name, value in changed.items() if value] == ["PerformanceBonus"]
    assert facts["replay"]["reproduced"] == facts["replay"]["looked_at"] > 50


def test_nodes_are_named_by_their_place_and_the_changed_payment_comes_first(speed_bonus):
    first = speed_bonus.summary()["nodes"][0]
    assert first["place"] == "rule 2 performance-bonus › assign 15 points, case PerformanceBonus"
    assert (first["before_value"], first["after_value"]) == (10, 15)
    assert first["q"] < 1e-6


def test_the_input_that_moved_is_named_when_no_version_explains_the_points(planted):
    found = api.post_mortem(planted.warehouse, **story("metres").ask())
    assert found.inquiry.incident.kind == "data"
    assert "The input that moved most is data.distance: its median went from" in found.verdict.text


def test_a_version_that_pays_less_is_not_said_to_have_overpaid(planted):
    found = api.post_mortem(planted.warehouse, **story("pays_less").ask())
    page = " ".join(section().text for section in (found.head, found.strip, found.how_much, found.actions, found.who))
    assert "underpaid" in found.verdict.text
    assert "How much was underpaid?" in page
    assert "Points underpaid" in page
    assert "overpaid" not in page
    assert "paid too little in those" in page
    assert "too much" not in page


def test_a_run_can_be_asked_for_and_alone_tells_its_strategy(warehouse, speed_bonus):
    rows = speed_bonus.inquiry.incident.after.paid
    asked = rows["execution_id"].iloc[3]
    found = api.post_mortem(warehouse, execution_id=asked[:13], since="2026-07-07", until="2026-07-11")
    assert found.inquiry.family.name == "Speed bonus"
    assert "The run asked for" in found.runs_explained().text
    assert asked in found.runs_explained().text.split("Typical run")[0]
    elsewhere = api.post_mortem(warehouse, execution_id=asked, since="2026-07-20", until="2026-07-21")
    assert asked in elsewhere.runs_explained().text  # also where the window holds no run at all
    with pytest.raises(UsageError, match="is not one of Group ride"):
        api.post_mortem(warehouse, realm="acme-cycling", family="Group ride", execution_id=asked)
    with pytest.raises(UnknownNameError):
        api.post_mortem(warehouse, execution_id="00000000-0000")


def test_an_id_with_a_line_break_stays_within_its_comment_of_the_queries():
    family = Family("acme", "Rides", True, (("a\ndrop table runs; --", 1),), frozenset())
    text = comparison_tables.queries(family, datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC))
    assert not any(line.startswith("drop") for line in text.splitlines())


def test_what_was_underpaid_case_by_case_has_its_own_words():
    less, nothing = (
        estimators.Estimate(-40.0, -50.0, -30.0, 20, "good"),
        estimators.Estimate(0.0, -2.0, 2.0, 20, "rough"),
    )
    parts = groups.Split(less, nothing, less, less)
    blocks = [
        overpaid.section(version(), Counterfactual(reason="no definition"), parts),
        affected.affected_users(
            frame([(i, 3, 4.0, "ok", None) for i in range(20)]),
            [groups.Case("Case", less, less, estimators.mean([10.0] * 20, [20.0] * 20), less, less, less)],
            None,
            show_users=False,
        ),
    ]
    assert "How much was underpaid?" in blocks[0].text
    assert "overpaid" not in " ".join(block.text for block in blocks)


def test_points_that_may_be_none_are_nothing_to_decide_on(speed_bonus):
    found = speed_bonus.inquiry
    nothing = estimators.Estimate(0.0, -5.0, 5.0, 20, "good")
    told = [
        report.actions(found.incident, found.split),
        report.actions(replace(found.incident, total=nothing), found.split),
    ]
    assert [any("Decide on the" in str(todo.text) for todo in todos) for todos in told] == [True, False]


def test_without_definitions_an_unknown_name_says_that_there_are_none(table, fresh):
    table.insert()
    table.extract(fresh)
    with pytest.raises(UnknownNameError, match='strategy_id="ID"'):
        find_family(Warehouse(fresh), realm="acme", family="Rides")


@pytest.mark.parametrize("edited", [2, 3])
def test_a_definition_that_was_edited_in_place_is_said_not_to_fit_and_nothing_is_made_of_it(
    speed_bonus, lake, tmp_path, edited
):
    shutil.copytree(lake.root, tmp_path / "lake")
    side = speed_bonus.inquiry.incident.before if edited == 2 else speed_bonus.inquiry.incident.after
    [path] = (tmp_path / "lake" / "definitions").glob("realm=acme-cycling/*.parquet")
    table = pq.read_table(path)
    texts = [
        re.sub(r'("value": ?)1[05]\b', r"\g<1>77", text) if own == side.strategy_id else text
        for own, text in zip(table["strategy_id"].to_pylist(), table["ast_json"].to_pylist(), strict=True)
    ]
    assert texts != table["ast_json"].to_pylist()
    at = table.schema.get_field_index("ast_json")
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(texts, table.schema.field(at).type)), path)
    found = api.post_mortem(
        tmp_path / "lake", realm="acme-cycling", family="Speed bonus", since="2026-07-07", until="2026-07-11"
    )
    doubt = f"the definition of v{edited} in the lake does not fit"
    assert doubt in found.changed().text
    assert doubt in found.how_much().text
    assert doubt in found.why().text
    assert found.summary()["overpaid_by"] == "cases"
    assert found.summary()["overpaid"]["value"] == pytest.approx(speed_bonus.summary()["overpaid"]["value"], rel=0.05)


def test_a_baseline_that_shares_runs_with_the_window_is_refused(warehouse):
    options = {"realm": "acme-cycling", "family": "Speed bonus", "since": "2026-07-08", "until": "2026-07-11"}
    with pytest.raises(UsageError, match="overlaps the window") as caught:
        api.post_mortem(warehouse, baseline="2026-07-07..2026-07-09", **options)
    assert 'baseline="v2"' in caught.value.hint
    assert api.post_mortem(warehouse, baseline="2026-07-07..2026-07-08", **options)


def test_a_report_asked_for_by_a_run_looks_at_the_days_around_it(warehouse, speed_bonus):
    run = speed_bonus.inquiry.incident.after.paid.iloc[3]
    day = run["created_at"].floor("1D")
    assert days_around(warehouse, run["execution_id"]) == {
        "since": f"{day - pd.Timedelta('1D'):%Y-%m-%d}",
        "until": f"{day + pd.Timedelta('2D'):%Y-%m-%d}",
    }


def test_where_runs_reach_other_cases_an_amount_case_by_case_is_not_given():
    less = estimators.Estimate(-40.0, -50.0, -30.0, 20, "good")
    for parts in (
        groups.Split(less, less, less, less),
        groups.Split(less, less, less, less, is_same_cases=False),
    ):
        block = overpaid.section(version(), Counterfactual(reason="no definition"), parts)
        assert "amounts by cases do not tell it either" in block.text
        assert "40" not in block.text
