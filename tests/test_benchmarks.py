"""The benchmarks work end to end on tiny tables, and what they check can fail. How fast anything is, is never asserted."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest

from analytics import open_lake
from analytics.lake.lake import Lake
from benchmarks import (
    child,
    commands,
    data,
    edges,
    explore,
    explore_ways,
    extract,
    flatten,
    flatteners,
    measure,
    morning,
    morning_lake,
    morning_ways,
    post_mortem,
    post_mortem_lake,
    post_mortem_ways,
    report,
    server,
    summary,
    summary_lake,
    tenant_commands,
    tenants,
)
from benchmarks.answers import differing_groups
from benchmarks.measure import Run, Session

ROOT = Path(__file__).parent.parent
TINY = data.Shape(600, realms=3, days=2, strategies=2, structures=6, variants=20)
EXTRACTORS = ["psql_drain", "psycopg_drain", "ours_jobs_1", "ours_jobs_2", "pandas_read_sql"]
WAYS = ["nodes", "node_days", "duckdb_text", "postgres", "pandas_json_normalize"]
PEERS = {"adbc": "adbc_driver_postgresql", "connectorx": "connectorx", "polars_lists": "polars"}


def installed(names: list[str]) -> list[str]:
    """Those of the peers that are quick to run and are here; the tests' own environment has none."""
    return [name for name in names if importlib.util.find_spec(PEERS[name])]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods run without a process of their own, which would take a second each."""

    def run(method: str, task: Mapping[str, Any], *, timeout: float, scratch: Path) -> Run:
        folder = scratch / f"run-{len(list(scratch.glob('*')))}" if scratch.exists() else scratch / "run-0"
        folder.mkdir(parents=True)
        answer = child.measure(method, {**task, "folder": str(folder), "again": False})
        return Run(error=answer["error"]) if "error" in answer else Run(**answer)

    monkeypatch.setattr(measure, "run", run)


@pytest.fixture(scope="module")
def log(database_url: str) -> data.Table:
    return data.prepare(database_url, TINY)


def options(tmp_path: Path, *words: str) -> Any:
    return extract.parse(
        ["--cache", str(tmp_path), "--markdown", str(tmp_path / "table.md"), "--repeat", "2", *words], "test"
    )


def cells(text: str, first: str) -> list[list[str]]:
    """The rows of a page's tables that begin with a cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if row[0] == first]


def test_the_table_has_the_shape_of_an_engines_log(log: data.Table) -> None:
    with psycopg.connect(log.url) as connection:
        [row] = connection.execute(
            """select count(*), count(distinct id), count(distinct "realmId"), count(distinct created_at::date),
                      count(*) filter (where jsonb_typeof(trace) = 'null')::float8 / count(*),
                      count(*) filter (where trace is null), count(*) filter (where status <> 'ok' and points is not null),
                      max(jsonb_array_length(trace)) filter (where jsonb_typeof(trace) = 'array')
                 from strategyexecutionlog"""
        ).fetchall()
        [(correlation,)] = connection.execute(
            "select correlation from pg_stats where tablename = 'strategyexecutionlog' and attname = 'created_at'"
        ).fetchall()
    assert row[:4] == (600, 600, 3, 2)
    assert 0.01 < row[4] < 0.06
    assert row[5:7] == (0, 0)
    assert row[7] <= 200
    assert correlation > 0.95  # a small row may still fit into the page before


def test_the_pool_has_traces_as_long_as_the_engines() -> None:
    drawn = list(data.pool.draw(structures=10, variants=100))
    sizes = sorted(len(one.trace.encode()) for one in drawn)
    assert sizes[len(sizes) // 2] < 900  # about half of the engine's are under 700 bytes
    assert sizes[len(sizes) * 99 // 100] < 25_000
    assert 22 < sum(one.entries for one in drawn) / len(drawn) < 36
    assert drawn == list(data.pool.draw(structures=10, variants=100))


def test_the_same_shape_is_found_again_and_another_is_another_table(log: data.Table, database_url: str) -> None:
    with psycopg.connect(log.url, autocommit=True) as connection:
        connection.execute("create table marked ()")
        assert data.prepare(database_url, TINY) == log
        assert connection.execute("select to_regclass('marked')").fetchone() != (None,)
    assert data.small(TINY).name != TINY.name


def test_a_table_that_a_killed_run_has_touched_is_made_again(database_url: str) -> None:
    shape = data.small(TINY)
    table = data.prepare(database_url, shape)
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute("create table bench_touched ()")
        connection.execute("delete from strategyexecutionlog")
    assert data.prepare(database_url, shape) == table


def test_added_rows_are_gone_afterwards(log: data.Table) -> None:
    count = "select count(*), max(created_at) from strategyexecutionlog"
    with psycopg.connect(log.url, autocommit=True) as connection:
        before = connection.execute(count).fetchall()
        with data.more_rows(log, TINY, 40) as until:
            [(rows, newest)] = connection.execute(count).fetchall()
            assert rows == 640
            assert log.until <= newest.date() < until
        assert connection.execute(count).fetchall() == before


@pytest.mark.long
def test_the_extraction_benchmark_runs_end_to_end(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.costs.NEW_ROWS", (20, 50))
    methods = [f"extract:{name}" for name in [*EXTRACTORS, *installed(["adbc", "connectorx"])]]
    assert extract.run(database_url, TINY, options(tmp_path), methods) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "## The whole table: 600 rows" in text
    assert all(len(cells(text, extract.METHODS[method])) >= 2 for method in methods)
    assert len(cells(text, "60 rows")) == 3  # nothing new; twenty and fifty new rows
    [kept] = cells(text, "kept")
    ours, pandas = (int(cell.split()[0]) for cell in kept[1:3])
    assert ours == len(edges.EDGES)
    assert pandas < len(edges.EDGES)
    assert str(tmp_path) not in text


def test_a_method_that_cannot_run_is_shown_with_its_reason(tmp_path: Path) -> None:
    session = Session(tmp_path / "s.json", {}, tmp_path)
    found = session.interleave(["extract:no_such_peer"], {}, tag="x", repeat=3, budget=5, tell=False)
    assert len(found["extract:no_such_peer"]) == 1  # not tried again
    assert "no_such_peer" in report.failures(found, {})[0]


def test_a_run_that_was_interrupted_goes_on_and_a_finished_one_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run(method: str, *_: Any, **__: Any) -> Run:
        ran.append(method)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return Run(seconds=1.0)

    monkeypatch.setattr(measure, "run", run)

    def go(about: str) -> Session:
        session = Session(tmp_path / "s.json", {"code": about}, tmp_path)
        session.interleave(["a", "b"], {}, tag="x", repeat=2, budget=60, tell=False)
        return session

    with pytest.raises(KeyboardInterrupt):
        go("one")
    again = go("one")
    assert again.resumed
    assert ran == ["a", "b", "a", "a", "b"]  # repeats are interleaved
    again.finish()
    assert not go("one").resumed
    assert not go("two").resumed


def test_a_method_is_measured_in_a_process_of_its_own(
    log: data.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    task = {"url": log.url, "since": str(log.since), "until": str(log.until)}
    found = measure.run("extract:psycopg_drain", task, timeout=60, scratch=tmp_path)
    assert found.error is None
    assert found.facts == {"rows": 600}
    assert found.seconds > 0
    assert found.cpu_seconds > 0
    assert found.peak_mb > 10
    stopped = measure.run("extract:psycopg_drain", task, timeout=0.01, scratch=tmp_path)
    assert stopped.error == "stopped after 0 s"
    assert list(tmp_path.iterdir()) == []


def test_the_flattening_benchmark_runs_end_to_end_and_all_answers_are_the_same(
    database_url: str, tmp_path: Path
) -> None:
    ways = [f"flatten:{name}" for name in [*WAYS, *installed(["polars_lists"])]]
    assert flatten.run(database_url, TINY, options(tmp_path), ways) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    for way in ways:
        assert [row[-1] for row in cells(text, flatten.WAYS[way])] == ["same", "same"]


def test_a_wrong_answer_is_found_by_the_benchmark(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = flatteners.nodes

    def forgetful(task: dict[str, Any]) -> flatteners.Work:
        work = right(task)
        return lambda: {"answer": work()["answer"].slice(1)}

    monkeypatch.setattr(flatteners, "nodes", forgetful)
    ways = ["flatten:nodes", "flatten:postgres"]
    assert flatten.run(database_url, TINY, options(tmp_path), ways) == 1
    assert "1 groups differ" in capsys.readouterr().err
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert [row[-1] for row in cells(text, flatten.WAYS["flatten:nodes"])] == ["1 differ", "1 differ"]


@pytest.fixture
def answer(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "right.parquet"
    duckdb.execute(
        f"""copy (select * from (values
              ('a', 's', 1, 'n1', 'compare', null, 10, null, 0.25), ('a', 's', 1, 'n1', 'rule', 'match', 4, null, 1.0),
              (null, 's', 1, 'n2', 'literal', null, 7, 2.5, null))
            t({", ".join(flatteners.KEYS)}, n, mean, true_share)) to '{path}' (format parquet)"""
    )
    return path


@pytest.mark.parametrize(
    ("planted", "groups"),
    [
        ("*", 0),
        ("* replace (n + (node_id = 'n2')::int as n)", 1),
        ("* replace (mean * 1.00001 as mean)", 1),
        ("* replace (coalesce(mean, 0) as mean)", 2),
        ("* replace (case when branch = 'match' then 0.5 else true_share end as true_share)", 1),
        ("* replace (coalesce(branch, '') as branch)", 4),  # two groups are missing, two are new
        ("* replace (coalesce(realm_id, 'a') as realm_id)", 2),
    ],
)
def test_a_planted_difference_is_counted(answer: Path, tmp_path: Path, planted: str, groups: int) -> None:
    wrong = tmp_path / "wrong.parquet"
    duckdb.execute(f"copy (select {planted} from read_parquet('{answer}')) to '{wrong}' (format parquet)")
    assert differing_groups(wrong, answer) == groups
    assert pq.read_metadata(wrong).num_rows == 3


@pytest.mark.parametrize(
    ("name", "truth", "got", "verdict"),
    [
        ("points NaN", "NaN", {"value": "0.0"}, "changed: 0.0"),
        ("points NaN", "NaN", {"value": "nan"}, "same"),
        ("points 2^53 + 1", "9007199254740993", {"value": "9007199254740992.0"}, "nearest double"),
        ("points NULL", None, {"value": "nan"}, "changed: nan"),
        ("points Infinity", "Infinity", {"error": "RuntimeError: no"}, "refused: RuntimeError"),
        ("created_at infinity", "infinity", {}, "row lost"),
        (
            "created_at infinity",
            "infinity",
            {"value": edges.BARE_TIME + "-9222425352054775809"},
            "changed: no time at all",
        ),
        (
            "created_at in the year 20000",
            "20000-01-01 00:00:00+00",
            {"value": edges.BARE_TIME + "568971820800000000"},
            "same",
        ),
        ("realm the empty string", "", {"value": None}, "lost: NULL"),
        ("1.10 in a trace", "[1.10]", {"value": "[1.1]"}, "respelled"),
        ("1.10 in a trace", "[1.10]", {"value": "[ 1.10 ]"}, "same"),
        ("1.10 in a trace", "[1.10]", {"value": "[1.11]"}, "changed: [1.11]"),
        ("1.10 in a trace", "[1.10]", {"value": "[1.1"}, "changed: [1.1"),
    ],
)
def test_a_changed_value_is_called_so(
    database_url: str, name: str, truth: str | None, got: dict[str, Any], verdict: str
) -> None:
    [edge] = [edge for edge in edges.EDGES if edge.name == name]
    with psycopg.connect(database_url) as connection:
        assert edges.judge(connection, edge, truth, got) == verdict


@pytest.mark.long
def test_the_many_tenants_benchmark_runs_end_to_end(database_url: str, tmp_path: Path) -> None:
    assert tenants.run(database_url, 12, 2, options(tmp_path), structures=6, variants=20) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "## 12 tenants × 2 days: 24 partitions of 5 rows" in text
    assert all(len(cells(text, name)) == 1 for name in tenants.STEPS.values())
    assert len(cells(text, tenant_commands.HOUR)) == len(cells(text, "`status`")) == 1


def test_the_summary_benchmark_runs_end_to_end_and_both_ways_agree(tmp_path: Path) -> None:
    shape = summary_lake.Shape(6_000, realms=10, days=4)
    assert summary.run(shape, options(tmp_path)) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert all(row[1] == "2" for way in summary.WAYS.values() for row in cells(text, way))
    [rate] = cells(text, "failure rate")
    assert float(rate[2]) > 10  # one logged row in nine is a failure, of the runs fewer than one in a hundred
    assert "Server and client" not in text
    assert str(tmp_path) not in text
    marked = summary_lake.prepare(tmp_path, shape) / "marked"
    marked.touch()
    assert (summary_lake.prepare(tmp_path, shape) / "marked").exists()  # found again
    checks = open_lake(marked.parent).check()
    assert [check.name for check in checks if not check.passed and check.severity == "error"] == []


@pytest.mark.parametrize("planted", ["failed_count + 1 as failed_count", "2 * duration_ok_p99 as duration_ok_p99"])
def test_a_summary_that_disagrees_is_found(tmp_path: Path, planted: str) -> None:
    shape = summary_lake.Shape(3_000, realms=3, days=2)
    assert summary.run(shape, options(tmp_path)) == 0
    ours, plain = (tmp_path / "answers" / "summary" / f"{name}.parquet" for name in ("ours", "plain"))
    wrong = tmp_path / "wrong.parquet"
    duckdb.execute(f"copy (select * replace ({planted}) from read_parquet('{plain}')) to '{wrong}' (format parquet)")
    assert summary.disagreements(ours, plain) == 0
    assert summary.disagreements(ours, wrong) > 0


@pytest.mark.long
def test_the_post_mortem_benchmark_runs_end_to_end_and_times_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the kernel, which other tests start.
    monkeypatch.setattr(post_mortem_ways, "command", post_mortem_ways.sections)
    shape = post_mortem_lake.Shape(6_000, played=500)
    assert post_mortem.run(shape, options(tmp_path, "--repeat", "1"), one_in=3) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert {"head", "since", "why", "summary_block"} <= set(post_mortem_ways.cells())
    assert all(len(cells(text, f"`report.{name}()`")) == 1 for name in post_mortem_ways.cells())
    steps = [line.split("|")[3] for line in text.splitlines() if line.startswith(("| `report.", "| `analytics."))]
    assert sum(float(share.strip(" %")) for share in steps) == pytest.approx(100, abs=0.05 * len(steps) + 0.01)
    assert str(tmp_path) not in text
    lake = open_lake(post_mortem_lake.prepare(tmp_path, shape))
    assert [check.name for check in lake.check() if not check.passed] == []
    paid = (
        "select strategy_version, min(points), max(points) from executions where case_name = 'Performance' group by all"
    )
    assert sorted(lake.sql(paid).fetchall()) == [(2, 10.0, 10.0), (3, 15.0, 15.0)]


@pytest.mark.parametrize(
    ("way", "fact", "planted", "said"),
    [
        (post_mortem.SECTIONS, "changed", ["Performance", "Steady"], "the report blames"),
        (post_mortem.SECTIONS, "kind", "quiet", "the report blames"),
        (post_mortem.COMMAND, "verdict", "Nothing happened.", "the command's verdict is another one"),
        (post_mortem.PER_NODE, "entries", 99, "the aggregate saw 99 entries"),
    ],
)
def test_a_post_mortem_that_finds_something_else_is_told(way: str, fact: str, planted: Any, said: str) -> None:
    right: dict[str, dict[str, Any]] = {
        post_mortem.SECTIONS: {
            "kind": "version",
            "after": post_mortem_lake.VERSIONS[3].strategy_id,
            "changed": ["Performance"],
            "verdict": "It was v3.",
        },
        post_mortem.COMMAND: {"verdict": "It was v3."},
        post_mortem.PER_NODE: {"entries": 100},
    }
    assert post_mortem.wrong({name: [Run(facts=facts)] for name, facts in right.items()}, 100) == []
    right[way] = {**right[way], fact: planted}
    [complaint] = post_mortem.wrong({name: [Run(facts=facts)] for name, facts in right.items()}, 100)
    assert complaint.startswith(said)


@pytest.mark.long
def test_the_exploration_benchmark_runs_end_to_end(tmp_path: Path) -> None:
    shape = morning_lake.Shape(3_000, played=40, families=6, realms=2, days=8)
    assert explore.run(shape, options(tmp_path, "--repeat", "1")) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert [row[1] for way in explore.WAYS.values() for row in cells(text, way)] == ["1"] * len(explore.WAYS)
    assert str(tmp_path) not in text
    files = sorted((tmp_path / "lakes" / shape.name).glob("node_days/*/*/*.parquet"))
    files[0].unlink()
    [said] = explore_ways.agree(str(tmp_path / "lakes" / shape.name))
    assert said.startswith("strategy_days says ")


@pytest.mark.long
def test_the_morning_benchmark_runs_end_to_end_and_finds_what_was_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(task: dict[str, Any]) -> morning_ways.Work:  # without the kernel, which other tests start
        return lambda: {"page_kb": 0.0, **morning_ways.sections(task)()}

    monkeypatch.setattr(morning_ways, "command", command)
    shape = morning_lake.Shape(6_000, played=60, families=10, realms=2, days=16)
    assert morning.run(shape, options(tmp_path, "--repeat", "1")) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert all(len(cells(text, f"`report.{name}()`")) == 1 for name in morning_ways.cells("runaway_rules"))
    assert [row[1] for way in morning.WAYS.values() for row in cells(text, way)] == ["1", "1", "1"]
    assert str(tmp_path) not in text
    lake = open_lake(morning_lake.prepare(tmp_path, shape))
    assert [check.name for check in lake.check() if not check.passed] == [
        "points_are_numbers"
    ]  # cancelled calls have none
    [(cut, kept)] = lake.sql(
        "select count(*) filter (where notes is not null), max(len(trace)) from executions where nodes_executed > 200"
    ).fetchall()
    assert cut > 100
    assert kept == 200


@pytest.mark.parametrize(
    ("way", "fact", "planted", "said"),
    [
        (morning.SECTIONS, "found", [["limit", "Checkout ladder", 2, 30]], "the report finds"),
        (morning.COMMAND, "limits", 29, "the report's league has 29 limits, the files 30"),
        (morning.SECTIONS, "rows", 99, "the report's league has 99 rows, the files 100"),
        (morning.AGGREGATE, "rows", 99, "the aggregate saw 99 rows"),
    ],
)
def test_a_morning_report_that_finds_something_else_is_told(way: str, fact: str, planted: Any, said: str) -> None:
    files = {"rows": 100, "versions": 20, "limits": 30}
    found = [[what, family, 2, 30] for what, family in morning.PLANTED.items()]
    right: dict[str, dict[str, Any]] = {
        morning.SECTIONS: {"found": found, **files},
        morning.COMMAND: {"found": found, **files},
        morning.AGGREGATE: {"rows": 100},
    }
    assert morning.wrong({name: [Run(facts=facts)] for name, facts in right.items()}, files) == []
    right[way] = {**right[way], fact: planted}
    assert morning.wrong({name: [Run(facts=facts)] for name, facts in right.items()}, files)[0].startswith(said)


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_a_module_of_the_benchmarks_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_a_slow_peer_is_not_repeated_and_no_folder_reaches_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(measure.time, "monotonic", lambda: next(clock))  # every run takes ten seconds
    monkeypatch.setattr(measure, "run", lambda *_, **__: Run(seconds=1.0))
    session = Session(tmp_path / "s.json", {}, tmp_path)
    found = session.interleave(["peer", "ours"], {}, tag="x", repeat=3, budget=25, tell=False, always={"ours"})
    assert {name: len(runs) for name, runs in found.items()} == {"peer": 2, "ours": 3}
    told = report.failures({"peer": [Run(error="failed: no file /some/where/deep/x.parquet")]}, {})
    assert told == ["peer: failed: no file …/x.parquet"]


def test_commands_are_measured_beside_an_older_build_and_another_answer_is_told(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_lake", lambda *_: lake.root)
    monkeypatch.setattr(commands, "checkout", lambda *_: server.HERE.parent)
    cases = {name: commands.CASES[name] for name in ("`--version`", "`report`, a date that is none")}
    assert commands.run(options(tmp_path, "--repeat", "1"), {"this one": "0" * 40}, cases) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert [row[1] for name in cases for row in cells(text, name)] == ["1", "1"]
    old = tmp_path / "old"
    (old / "analytics").mkdir(parents=True)
    (old / "analytics" / "__init__.py").touch()
    (old / "analytics" / "__main__.py").write_text("print('strategy-analytics 0.0')")
    monkeypatch.setattr(commands, "checkout", lambda *_: old)
    assert (
        commands.run(options(tmp_path, "--repeat", "1", "--fresh"), {"old": "0" * 40}, {"v": cases["`--version`"]}) == 1
    )
