"""DuckDB over the lake: a data dictionary without gaps, queries that run, checks that find what they look for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import sql
from analytics.demo import Demo
from analytics.errors import DamagedFileError, QueryError, UnknownNameError, UsageError
from analytics.estimates.sampling_rates import Rates
from analytics.extraction.privacy import tombstones
from analytics.extraction.privacy.policy import PseudonymKey
from analytics.lake import schema
from analytics.lake.lake import Lake
from analytics.model import Partition
from analytics.reports.explore.open_lake import open_lake
from analytics.warehouse import strategy_summary
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract

if TYPE_CHECKING:
    from tests.conftest import Table

Row = dict[str, Any]
DAY = date(2026, 7, 8)
ACME = Partition("acme-cycling", DAY)
HOSTILE = ["'; drop view executions; --", "x' or '1'='1", "%", "{}", "$realm", "\\", "null", "🎈", "a\nb", "*"]


# ---- the data dictionary ---------------------------------------------------------------------------------------------


def test_every_view_has_a_comment(warehouse: Warehouse) -> None:
    found = warehouse.describe()
    assert set(found["view"]) == set(VIEWS) == set(sql.names("views"))
    assert [row.view for row in found.itertuples() if not str(row.meaning or "").endswith((".", "…"))] == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_of_every_view_has_a_comment(warehouse: Warehouse, view: str) -> None:
    found = warehouse.describe(view)
    columns = warehouse.sql(f"from {view} limit 0").columns
    assert list(found["column"]) == columns
    assert [row.column for row in found.itertuples() if not str(row.meaning or "").endswith((".", "…"))] == []


@pytest.mark.parametrize("kind", ["views", "queries", "checks", "source", "files"])
def test_every_sql_file_begins_with_a_comment_that_is_a_sentence(kind: str) -> None:
    assert sql.names(kind)
    for name in sql.names(kind):
        text = sql.text(kind, name)
        assert text.startswith("-- "), name
        assert len(sql.title(text).split()) >= 4, name


def test_the_list_of_queries_says_what_each_answers(warehouse: Warehouse) -> None:
    found = warehouse.queries()
    assert sorted(found["name"]) == sorted(sql.names("queries"))
    assert all(len(words.split()) >= 4 for words in found["answers"])


def test_a_table_without_a_file_has_the_columns_that_its_files_would_have(tmp_path: Path) -> None:
    lake = Warehouse(Lake(tmp_path))
    for table in schema.TABLES:
        lake.connection.register("expected", schema.of_tables()[table].empty_table())
        expected = lake.connection.execute("describe expected").fetchall()
        assert lake.connection.execute(f"describe files.{table}").fetchall()[: len(expected)] == expected
    assert list(schema.TABLES) == list(schema.of_tables())


# ---- queries ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return Warehouse(Lake(tmp_path_factory.mktemp("empty")))


@pytest.mark.parametrize("name", sql.names("queries"))
def test_every_query_runs_on_the_demo_and_on_an_empty_lake_with_the_same_columns(
    warehouse: Warehouse, empty: Warehouse, name: str
) -> None:
    window = {"since": datetime(2026, 7, 7, tzinfo=UTC), "until": datetime(2026, 7, 11, tzinfo=UTC)}
    ends = {key: value for key, value in window.items() if key in sql.parameters(sql.text("queries", name))}
    for values in ({}, ends):
        on_demo, on_empty = warehouse.run(name, **values), empty.run(name, **values)
        assert list(on_demo.columns) == list(on_empty.columns)
        assert len(on_demo.columns) >= 2
        assert len(set(on_demo.columns)) == len(on_demo.columns)


@pytest.mark.parametrize("name", [n for n in sql.names("queries") if "since" in sql.parameters(sql.text("queries", n))])
def test_a_window_before_the_first_run_has_no_rows(warehouse: Warehouse, name: str) -> None:
    values: Row = {"since": datetime(1990, 1, 1, tzinfo=UTC)}
    if "until" in sql.parameters(sql.text("queries", name)):
        values["until"] = datetime(1990, 1, 2, tzinfo=UTC)
        found = warehouse.run(name, **values)
        counts = [column for column in found.columns if column.endswith("logged_count")]
        assert found.empty or (counts and not found[counts].fillna(0).to_numpy().any())


TEXT_PARAMETERS = [
    (name, parameter)
    for name in sql.names("queries")
    for parameter in sql.parameters(sql.text("queries", name))
    if parameter in ("realm", "family", "strategy", "execution")
]


@pytest.mark.parametrize(("name", "parameter"), TEXT_PARAMETERS)
def test_a_hostile_value_is_a_value_and_finds_nothing(warehouse: Warehouse, name: str, parameter: str) -> None:
    # Of all values two for each: how a value is bound does not depend on the question, and every value is asked of several.
    begin = TEXT_PARAMETERS.index((name, parameter))
    for value in (HOSTILE[begin % len(HOSTILE)], HOSTILE[(begin + 1) % len(HOSTILE)]):
        found = warehouse.run(name, **{parameter: value})
        counts = [column for column in found.columns if column.endswith("_count")]
        assert found.empty or (counts and not found[counts].fillna(0).to_numpy().any())
    assert warehouse.sql("select count(*) > 1000 from executions").fetchall() == [(True,)]


@pytest.mark.parametrize("value", HOSTILE)
def test_parameters_of_sql_are_bound_not_formatted(warehouse: Warehouse, value: str) -> None:
    assert warehouse.sql("select $value", value=value).fetchall() == [(value,)]
    question = "select count(*) from executions where strategy_id = $value"
    assert warehouse.sql(question, value=value).fetchall() == [(0,)]


def test_unknown_names_are_refused_with_the_known_ones(warehouse: Warehouse) -> None:
    with pytest.raises(UnknownNameError, match="there is no query named 'nothing'") as raised:
        warehouse.run("nothing")
    assert "failures" in raised.value.hint
    with pytest.raises(UnknownNameError, match="query failures has no parameter relm") as raised:
        warehouse.run("failures", relm="x")
    assert raised.value.hint.startswith("it has: ")
    with pytest.raises(UnknownNameError, match="there is no view 'runs'") as raised:
        warehouse.describe("runs")
    assert "executions" in raised.value.hint
    assert isinstance(raised.value, UsageError)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "question",
    [
        "selec 1",
        "select nothing from executions",
        "from no_such_view",
        "select $value",
        "select 1; select 2 from nowhere",
    ],
)
def test_what_duckdb_refuses_is_a_query_error_that_lists_the_views(warehouse: Warehouse, question: str) -> None:
    with pytest.raises(QueryError, match="DuckDB: ") as raised:
        warehouse.sql(question)
    assert "strategy_days" in raised.value.hint


def test_a_parameter_of_another_type_is_a_query_error(warehouse: Warehouse) -> None:
    name = next(name for name in sql.names("queries") if "since" in sql.parameters(sql.text("queries", name)))
    with pytest.raises(QueryError, match=f"query {name}: "):
        warehouse.run(name, since="not a time")


# ---- numbers of the views, against PostgreSQL --------------------------------------------------------------------------


def test_strategy_days_add_up_to_what_postgresql_counts(database_url: str, warehouse: Warehouse) -> None:
    with psycopg.connect(database_url) as connection:
        expected = connection.execute(
            """select "realmId", (created_at at time zone 'UTC')::date, "strategyId", "strategyVersion", count(*),
                      count(*) filter (where status = 'ok'), count(*) filter (where status <> 'ok'),
                      count(*) filter (where status = 'timeout'), count(*) filter (where status = 'limit'),
                      sum(case when status = 'ok' and sampled then 20 else 1 end)::float8
                 from strategyexecutionlog
                where created_at >= '1900-01-01' and created_at < '2100-01-01' group by 1, 2, 3, 4"""
        ).fetchall()
    found = warehouse.sql(
        """select realm_id, day, strategy_id, strategy_version, logged_count, ok_logged_count, failed_count,
                  timeout_count, limit_count, est_runs
             from strategy_days where day is not null"""
    ).fetchall()
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_strategy_days_name_the_family_and_never_multiply_rows(database_url: str, warehouse: Warehouse) -> None:
    with psycopg.connect(database_url) as connection:
        names = dict(connection.execute("select id::text, name from strategydefinition").fetchall())
        [(total,)] = connection.execute("select count(*) from strategyexecutionlog").fetchall()
    found = warehouse.sql(
        "select strategy_id, family_name, sum(logged_count)::int from strategy_days group by all"
    ).fetchall()
    assert sum(count for _, _, count in found) == total
    named = {strategy: family for strategy, family, _ in found if family is not None}
    assert len(named) > 10
    assert all(names[strategy] == family for strategy, family in named.items())
    assert any(family is None for _, family, _ in found)  # a program whose definition was deleted


def test_estimated_runs_are_near_the_runs_the_engine_really_made(demo: Demo, warehouse: Warehouse) -> None:
    truth = pq.read_table(demo.truth, columns=["realm_id"]).to_pylist()
    runs = sum(row["realm_id"] == "acme-cycling" for row in truth)
    [(estimate, logged)] = warehouse.sql(
        "select sum(est_runs), sum(logged_count)::int from strategy_days where realm_id = 'acme-cycling'"
    ).fetchall()
    assert logged < 0.2 * runs
    assert abs(estimate - runs) < 5 * (19 * runs) ** 0.5  # five standard deviations of a sample of one in twenty


def test_a_summary_in_portions_is_the_summary(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = warehouse.run("strategy_summary", since="2026-07-01")
    assert {None, "acme-cycling"} < set(whole["realm_id"].astype(object).where(whole["realm_id"].notna(), None))
    for rows in (300, 1):
        monkeypatch.setattr(strategy_summary, "PORTION_ROWS", rows)
        found = warehouse.run("strategy_summary", since="2026-07-01")
        pd.testing.assert_frame_equal(found, whole, rtol=1e-12)  # sums depend on the order of the rows
    left = warehouse.sql("select getvariable('realm_above'), getvariable('realm_to'), getvariable('no_realm')")
    assert left.fetchall() == [(None, None, None)]


def test_partitions_show_what_the_ledger_holds(lake: Lake, warehouse: Warehouse) -> None:
    found = warehouse.sql(
        "select realm_id, day, logged_count, is_complete from partitions where logged_count > 0"
    ).fetchall()
    expected = [
        (info.partition.realm, record.day, info.row_count, record.is_complete)
        for day in lake.recorded_days()
        if (record := lake.recorded(day))
        for info in record.partitions.values()
    ]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert len(found) > 30


# ---- checks ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of what the simulated engine wrote, without the odd rows: those live in realms of their own."""
    realms = sorted(set(pq.read_table(demo.truth, columns=["realm_id"])["realm_id"].to_pylist()) - {None})
    made = Lake(tmp_path_factory.mktemp("clean") / "lake")
    extract(demo.url, made, Window.parse("2026-07-08", "2026-07-10"), realms=realms, rates=Rates((), 0.05))
    return made


def test_every_check_passes_on_a_log_without_odd_rows(clean: Lake) -> None:
    results = Warehouse(clean).check()
    assert {result.name for result in results} == set(sql.names("checks"))
    assert [(result.name, result.example) for result in results if not result.passed] == []


def test_errors_are_found_nowhere_and_warnings_where_the_odd_rows_are(warehouse: Warehouse) -> None:
    failed = {result.name: result for result in warehouse.check() if not result.passed}
    assert {result.severity for result in failed.values()} == {"warning"}
    assert set(failed) >= {"status_known", "traces_are_entries", "rows_have_a_day", "points_are_numbers"}
    assert failed["status_known"].failures == 1
    assert failed["status_known"].example == {"status": "cancelled?", "logged_count": 1}
    assert failed["rows_have_a_day"].failures == 5


def rewrite(path: Path, change: Callable[[list[Row]], None]) -> None:
    """Tamper with a file: its rows are changed in place and written under the same schema."""
    found = pq.ParquetFile(path).read()
    rows = found.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=found.schema), path)


def first(rows: list[Row], **wanted: Any) -> Row:
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


def ok_with_trace(rows: list[Row]) -> Row:
    return next(row for row in rows if row["status"] == "ok" and row["trace"])


def in_executions(change: Callable[[list[Row]], None]) -> Callable[[Lake], None]:
    return lambda lake: rewrite(lake.path("executions", ACME), change)


def move(lake: Lake, target: Partition) -> None:
    path = lake.path("executions", target)
    path.parent.mkdir(parents=True, exist_ok=True)
    lake.path("executions", ACME).replace(path)


def lose_time(lake: Lake) -> None:
    path = lake.path("executions", ACME)
    rewrite(path, lambda rows: [row.update(created_at=None) for row in rows] and None)
    pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata({"strategy_analytics.day": ""}), path)
    move(lake, Partition(ACME.realm, None))


def cut_day_file(lake: Lake) -> None:
    path = lake.root / f"days/executions/realm=~many/day={DAY}/{'0' * 32}-100.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1")


def bury(lake: Lake) -> None:
    """Somebody whose rows are in the lake is in a tombstone as well: what a backup put back looks like."""
    user = pq.read_table(lake.path("executions", ACME), columns=["external_user_id"])[0].drop_null()[0].as_py()
    name, secret = tombstones.new_secret()
    key = PseudonymKey(bytes.fromhex(secret.strip()))
    stone = tombstones.Tombstone(tombstones.digest_of(key, user), "", None, {"partitions": [], "length": len(user)})
    for file, text in ((name, secret), (stone.name, stone.to_json())):
        (lake.root / tombstones.FOLDER).mkdir(exist_ok=True)
        (lake.root / tombstones.FOLDER / file).write_text(text, encoding="utf-8")


PLANTED: dict[str, Callable[[Lake], None]] = {
    "day_files_agree_with_partitions": cut_day_file,
    "erased_stay_erased": bury,
    "execution_ids_unique": in_executions(lambda rows: rows.append(rows[0])),
    "failures_carry_no_trace": in_executions(lambda rows: ok_with_trace(rows).update(status="error")),
    "files_agree_with_each_other": lambda lake: shutil.rmtree(lake.root / "ledger"),
    "files_have_their_size": lambda lake: lake.path("node_days", ACME).unlink(),
    "ledger_agrees_with_files": in_executions(lambda rows: rows.pop() and None),
    "ledger_can_be_read": lambda lake: (
        (lake.root / f"ledger/day={DAY}.json").write_text("{", encoding="utf-8") and None
    ),
    "no_strangers_in_the_lake": lambda lake: (
        shutil.copy(lake.path("executions", ACME), lake.path("executions", ACME).with_name("copy.parquet")) and None
    ),
    "node_days_agree_with_traces": lambda lake: rewrite(
        lake.path("node_days", ACME), lambda rows: rows[0].update(entry_count=rows[0]["entry_count"] + 1)
    ),
    "nodes_executed_agrees_with_trace": in_executions(
        lambda rows: ok_with_trace(rows).update(nodes_executed=len(ok_with_trace(rows)["trace"]) + 1, notes=None)
    ),
    "points_are_numbers": in_executions(lambda rows: first(rows, status="ok").update(points=float("nan"))),
    "rows_have_a_day": lose_time,
    "rows_lie_where_they_belong": in_executions(lambda rows: rows[0].update(realm_id="elsewhere")),
    "sample_weights_valid": in_executions(lambda rows: rows[0].update(sample_weight=0.5)),
    "sampled_agrees_with_status": in_executions(lambda rows: first(rows, status="ok").update(sampled=False)),
    "status_known": in_executions(lambda rows: rows[0].update(status="paused")),
    "traces_are_entries": in_executions(lambda rows: rows[0].update(trace_irregular="[1]")),
}


def test_there_is_a_planted_defect_for_every_check() -> None:
    assert set(PLANTED) == set(sql.names("checks"))


@pytest.mark.parametrize("name", PLANTED)
def test_a_check_fails_when_its_defect_is_planted(clean: Lake, tmp_path: Path, name: str) -> None:
    tampered = Lake(tmp_path / "lake")
    shutil.copytree(clean.root, tampered.root)
    PLANTED[name](tampered)
    result = next(result for result in Warehouse(tampered).check() if result.name == name)
    assert not result.passed
    assert result.failures >= 1
    assert result.example
    assert result.says == sql.title(sql.text("checks", name))


@pytest.mark.parametrize(
    "defect",
    [
        lambda lake: move(lake, Partition(ACME.realm, date(2026, 7, 9))),
        lambda lake: move(lake, Partition(None, DAY)),
        lambda lake: move(lake, Partition(ACME.realm, None)),
    ],
    ids=["another day", "the NULL realm", "no day"],
)
def test_rows_in_another_folder_are_found_wherever_they_went(clean: Lake, tmp_path: Path, defect: Any) -> None:
    tampered = Lake(tmp_path / "lake")
    shutil.copytree(clean.root, tampered.root)
    shutil.rmtree(tampered.root / "executions/realm=acme-cycling/day=2026-07-09", ignore_errors=True)
    defect(tampered)
    failed = {result.name for result in Warehouse(tampered).check() if not result.passed}
    # where the ledger knows the place its rows are read and found; elsewhere it is a stranger's file, and not read at all
    assert failed & {"rows_lie_where_they_belong", "no_strangers_in_the_lake"}


@pytest.mark.parametrize("name", ["executions", "node_days"])
def test_a_lost_file_is_found(clean: Lake, tmp_path: Path, name: str) -> None:
    tampered = Lake(tmp_path / "lake")
    shutil.copytree(clean.root, tampered.root)
    tampered.path(name, ACME).unlink()
    failed = {result.name for result in Warehouse(tampered).check() if not result.passed}
    assert failed & {"ledger_agrees_with_files", "node_days_agree_with_traces"}


def test_failed_errors_come_before_warnings_and_passes_last(clean: Lake, tmp_path: Path) -> None:
    tampered = Lake(tmp_path / "lake")
    shutil.copytree(clean.root, tampered.root)
    for name in ("status_known", "sample_weights_valid"):
        PLANTED[name](tampered)
    results = Warehouse(tampered).check()
    ranks = [(result.passed, result.severity) for result in results]
    assert ranks == sorted(ranks)
    assert results[0].severity == "error"
    assert {"sample_weights_valid", "status_known"} <= {result.name for result in results if not result.passed}


# ---- odds and ends ---------------------------------------------------------------------------------------------------


@pytest.fixture
def growing(table: Table, fresh: Lake) -> tuple[Table, Warehouse]:
    table.insert()
    table.extract(fresh)
    return table, Warehouse(fresh)


def test_a_refresh_shows_what_an_extraction_added(growing: tuple[Table, Warehouse]) -> None:
    table, opened = growing
    table.insert(realmId="birch")
    table.extract(opened.lake)
    opened.refresh()
    assert opened.sql("select count(*) from executions").fetchall() == [(2,)]
    assert opened.realms == ["acme", "birch"]


def test_two_warehouses_do_not_see_each_others_scope(lake: Lake) -> None:
    one, two = open_lake(lake.root, realm="Acme"), open_lake(lake.root, realm="acme")
    assert one.sql("select distinct realm_id from executions").fetchall() == [("Acme",)]
    assert two.sql("select distinct realm_id from executions").fetchall() == [("acme",)]


def test_a_warehouse_says_what_it_is(warehouse: Warehouse) -> None:
    assert repr(warehouse).startswith("<lake ")
    assert "30 realms" in repr(warehouse)
    assert "1,423 logged runs" in repr(warehouse)


# ---- while an extraction replaces files ------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [1, 2])
def test_a_file_replaced_while_it_was_read_is_read_again(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    table.insert()
    table.extract(fresh)
    opened = Warehouse(fresh)
    path = Path(fresh.files("executions")[0])
    whole, torn = path.read_bytes(), path.read_bytes()[:-20] + bytes(20)
    path.write_bytes(torn)  # as a reader that saw half of one file and half of another
    tries: list[int] = []
    real = Warehouse.refresh

    def refresh(self: Warehouse) -> None:
        tries.append(1)
        path.write_bytes(whole if len(tries) >= failures else torn)
        real(self)

    monkeypatch.setattr(Warehouse, "refresh", refresh)
    assert opened.run("failures")["status"].tolist() == []
    assert len(tries) == failures


def test_a_damaged_file_is_an_error_however_often_it_is_read(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    opened = Warehouse(fresh)
    path = Path(fresh.files("executions")[0])
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    with pytest.raises(DamagedFileError, match=r"part\.parquet is damaged"):
        opened.run("failures")


def test_a_window_that_ends_before_it_begins_is_refused_and_not_answered_with_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(UsageError, match="ends before it begins: since 2026-07-11, until 2026-07-06"):
        warehouse.run("strategy_summary", since="2026-07-11", until="2026-07-06")
    assert warehouse.run("strategy_summary", since="2026-07-06", until="2026-07-06").empty
