"""Spark and DuckDB over one lake: every view and every named query, row for row, on a cluster of two worker processes."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import analytics
from analytics import sql
from analytics.errors import ConfigurationError, LakeError, QueryError, UnknownNameError
from analytics.lake.lake import Lake
from analytics.reports.explore.open_lake import OpenLake
from analytics.warehouse import spark as lake_spark
from analytics.warehouse import strategy_summary
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.spark import SparkEngine
from analytics.warehouse.warehouse import Warehouse
from analytics.window import midnight
from tests.conftest import UNTIL
from tests.extraction.test_day_files import MANY_ROWS, REALMS
from tests.fewer import one_in
from tests.parity import differences, same
from tests.store import serving
from tests.test_readme import blocks

pytest.importorskip("pyspark.sql", reason="the extra [spark] is not installed; make prove-scale has it")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java, and there is none", allow_module_level=True)

SINCE, TILL = midnight(UNTIL) - timedelta(days=2, hours=-5), midnight(UNTIL) - timedelta(hours=3)
LISTS = {"strategy_summary": ("points", "durations", "nodes"), "points_by_hour": ("points", "weights", "drawn")}
"""Columns of lists whose order says nothing: estimates are made of them."""
NOTHING = ("past_programs", "tagged_members")
"""Nobody edits a version of the demo's in place, or tags one: of these the statement is tried, and no row."""
FINISH: dict[str, Callable[[pa.Table], pa.Table]] = {
    "strategy_summary": strategy_summary.finish,
    "points_by_hour": strategy_summary.finish_hours,
}


@pytest.fixture(scope="module")
def spark(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A cluster with two executors, each a process of its own; ``--spark-master`` names another."""
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master(request.config.getoption("--spark-master"))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.log.level", "OFF")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def opened(spark: Any, lake: Lake) -> Any:
    session = spark.newSession()
    lake_spark.views(session, lake)
    return session


@pytest.fixture(scope="module")
def values(warehouse: Warehouse) -> dict[str, Any]:
    """Something for every parameter, that finds rows."""
    most = warehouse.sql(
        "select realm_id, strategy_id, strategy_version, family_name from strategy_days where family_name is not null "
        "group by all order by sum(limit_count) desc, sum(logged_count) desc, 1, 2, 3 limit 1"
    ).fetchall()[0]
    runs = warehouse.sql(
        "select execution_id, created_at from executions where strategy_id = $id and len(trace) > 3 order by all limit 3",
        id=most[1],
    ).fetchall()
    ids = [row[0] for row in runs]
    return {
        "since": SINCE, "until": TILL, "realm": most[0], "strategy": most[1], "version": most[2], "family": most[3],
        "strategy_ids": [most[1]], "execution": ids[0], "executions": ids, "prefix": ids[0][:2], "digits": 2,
        "any_realm": False, "starts": [SINCE, TILL - timedelta(hours=9)], "ends": [SINCE + timedelta(hours=9), TILL],
        "asked": SINCE + timedelta(hours=12), "moments": [row[1] for row in runs], "tag": "spring",
    }  # fmt: skip


def asked_of_duckdb(warehouse: Warehouse, name: str, given: dict[str, Any]) -> pa.Table:
    """Before an estimate is made of it."""
    return warehouse.connection.sql(sql.text("queries", name), params=given or None).to_arrow_table()


@pytest.mark.parametrize("view", one_in(4, VIEWS))
def test_a_view_holds_the_same_rows(
    view: str, opened: Any, warehouse: Warehouse, record_property: Callable[[str, object], None]
) -> None:
    expected = warehouse.sql(f"from {view}").to_arrow_table()
    found = opened.table(view).toArrow()
    other = differences(expected, found, is_ordered=False)
    record_property("parity", (view, "view", found.num_rows, found.num_columns, len(other)))
    assert other[:10] == []
    assert found.num_rows > 0


@pytest.mark.parametrize("name", one_in(8, sql.names("queries")))
def test_a_query_answers_the_same(
    name: str,
    opened: Any,
    warehouse: Warehouse,
    values: dict[str, Any],
    record_property: Callable[[str, object], None],
) -> None:
    wanted = sql.parameters(sql.text("queries", name))
    everything = {key: values[key] for key in wanted}
    if name == "passed_runs":  # by family name where the definition tells one
        everything["strategy"] = values["family"]
    windowless = everything | {key: None for key in ("since", "until", "family", "digits") if key in everything}
    other = everything | {key: None for key in ("realm", "strategy", "strategy_ids", "execution") if key in everything}
    rows, columns, differing = 0, 0, list[str]()
    for given in (everything, windowless, dict.fromkeys(wanted), other):
        expected = asked_of_duckdb(warehouse, name, given)
        found = lake_spark.query(opened, name, **given).toArrow()
        other = differences(expected, found, is_ordered=True, unordered=LISTS.get(name, ()))
        if name in FINISH and found.num_rows:
            other += differences(FINISH[name](expected), FINISH[name](found), is_ordered=True)
        rows, columns = rows + found.num_rows, found.num_columns
        differing += [f"{given}: {one}" for one in other]
    record_property("parity", (name, "query", rows, columns, len(differing)))
    assert differing[:10] == []
    assert rows > 0 or name in NOTHING


@pytest.mark.long
def test_what_the_page_on_the_lake_shows_runs(
    spark: Any, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "lake").symlink_to(lake.root)
    [text] = blocks("py", "docs/lake.md")
    exec(compile(text, "lake.md", "exec"), {"spark": spark.newSession()})  # noqa: S102  # our own text
    shown = capsys.readouterr().out
    assert "acme-cycling" in shown
    assert "example_execution_id" in shown


@pytest.mark.long
@pytest.mark.parametrize("realms", [["acme-cycling"], [None], [""], ["a/b", None], ["007"]])
def test_of_a_tenant_nothing_else_is_in_sight(spark: Any, lake: Lake, realms: list[str | None]) -> None:
    if any(realm not in lake.realms() for realm in realms):
        pytest.fail(f"the demo's odd rows should have {realms}: {lake.realms()}")
    session = spark.newSession()
    lake_spark.views(session, lake, realms)
    own = Warehouse(lake, realms=realms)
    for view in ("executions", "node_days", "strategy_days", "definitions", "partitions"):
        found = session.table(view).toArrow()
        assert set(found["realm_id"].to_pylist()) <= {*realms}
        assert differences(own.sql(f"from {view}").to_arrow_table(), found, is_ordered=False) == []


@pytest.mark.long
def test_days_of_small_partitions_are_read_from_their_day_files(spark: Any, table: Any, tmp_path: Path) -> None:
    fresh = Lake(tmp_path / "day=2026-01-01" / "realm=x" / "kind=backup" / "lake")  # no partitions of the lake
    fresh.root.mkdir(parents=True)
    table.execute(MANY_ROWS, [REALMS])
    hostile = "tenant 3/*{[?\\"
    for _ in range(2):
        table.insert(realmId=hostile)
    table.extract(fresh)
    assert any("realm=~many" in name for name in Warehouse(fresh).files["executions"])
    session = spark.newSession()
    lake_spark.views(session, str(fresh.root))
    expected = Warehouse(fresh, whole_days=False).sql("from executions").to_arrow_table()
    assert differences(expected, session.table("executions").toArrow(), is_ordered=False) == []
    own = spark.newSession()
    lake_spark.views(own, fresh, [hostile])
    assert own.table("executions").count() == 2


@pytest.mark.long
def test_a_folder_may_be_called_anything(spark: Any, table: Any, tmp_path: Path) -> None:
    for day in ("2026-07-08T10:00:00Z", "2026-07-07T10:00:00Z"):
        table.insert(realmId="a", created_at=day)
    for name in ("{2026,2027}", "[lake]", "lake?*", "back\\slash", "two words", "ünïcode %20"):
        lake = Lake(tmp_path / name)
        table.extract(lake)
        session = spark.newSession()
        lake_spark.views(session, lake)
        expected = Warehouse(lake).sql("from executions").to_arrow_table()
        assert expected.num_rows == 2
        assert differences(expected, session.table("executions").toArrow(), is_ordered=False) == []


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Lima"])
def test_a_time_without_a_zone_is_utc_on_every_machine(
    zone: str, opened: Any, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)
    since, until = (moment.replace(tzinfo=None) for moment in (SINCE, TILL))
    expected = asked_of_duckdb(warehouse, "families_run", {"since": SINCE, "until": TILL})
    found = lake_spark.query(opened, "families_run", since=since, until=until).toArrow()
    assert differences(expected, found, is_ordered=True) == []


@pytest.mark.long
def test_a_bucket_that_spark_cannot_reach_is_said(spark: Any, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table.insert()
    with serving() as store:
        for name, value in store.env.items():
            monkeypatch.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("lakes")
        table.extract(Lake("s3://lakes/one"))
        with pytest.raises(
            LakeError, match=r"^Spark cannot open the lake in s3://lakes/one: .*S3AFileSystem"
        ) as caught:
            lake_spark.views(spark, "s3://lakes/one")
    assert "\n" not in caught.value.message
    assert "needs Hadoop's s3a" in caught.value.hint


@pytest.mark.long
def test_rounding_at_the_ends_of_a_double_is_duckdbs(spark: Any, warehouse: Warehouse) -> None:
    statement = (
        "select round(v, d) as rounded from (select unnest($values::double[]) as v, unnest($digits::integer[]) as d)"
    )
    pairs = [(1e-310, 311), (1e-310, 308), (1.79e308, -306), (5e300, 20), (1e308, 1), (0.0, 400), (12345.678, -2)]
    given = {"values": [value for value, _ in pairs], "digits": [digits for _, digits in pairs]}
    expected = warehouse.connection.sql(statement, params=given).to_arrow_table()
    assert (
        lake_spark.answered(spark, statement, given)
        .toArrow()
        .equals(expected.cast(pa.schema([("rounded", pa.float64())])))
    )


@pytest.mark.long
def test_a_lake_without_rows_has_all_its_views(spark: Any, table: Any, fresh: Lake) -> None:
    table.extract(fresh)
    session = spark.newSession()
    lake_spark.views(session, fresh)
    empty = Warehouse(fresh)
    for view in VIEWS:
        expected = empty.sql(f"from {view}").to_arrow_table()
        assert differences(expected, session.table(view).toArrow(), is_ordered=False) == []


@pytest.mark.long
def test_other_weights_and_fewer_versions_are_seen_by_spark_too(spark: Any, warehouse: Warehouse) -> None:
    engine = SparkEngine(lambda: spark)
    window = {"since": SINCE, "until": TILL}
    weights = pa.table(
        {
            "realm_id": pa.array(["acme-cycling"] * 24),
            "hour": pa.array([midnight(UNTIL) - timedelta(hours=n) for n in range(24)], pa.timestamp("us", tz="UTC")),
            "factor": [3.0] * 24,
            "instead": [60.0] * 24,
        }
    )
    plain = warehouse.table("cost_by_strategy", **window)
    versions = plain.slice(0, 3).select(["realm_id", "strategy_id", "strategy_version"])
    for changed in (
        warehouse.with_weights(weights),
        warehouse.excluding(versions),
        warehouse.with_weights(weights).excluding(versions),
    ):
        for name in ("cost_by_strategy", "hot_nodes"):
            expected = changed.table(name, **window)
            assert differences(expected, changed.with_engine(engine).table(name, **window), is_ordered=True) == []
        assert not changed.table("cost_by_strategy", **window).equals(plain)


@pytest.mark.long
def test_both_reports_say_the_same(spark: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_spark, "session", lambda: spark)
    asked: list[str] = []
    inner = SparkEngine.partial

    def told(self: SparkEngine, warehouse: Warehouse, name: str, given: Any) -> pa.Table:
        asked.append(name)
        return inner(self, warehouse, name, given)

    monkeypatch.setattr(SparkEngine, "partial", told)
    window = {"since": (midnight(UNTIL) - timedelta(days=1)).isoformat(), "until": midnight(UNTIL).isoformat()}
    runaway = [
        analytics.runaway_rules(str(lake.root), previous="none", engine=engine, **window) for engine in ("", "spark")
    ]
    assert same(runaway[0].summary(), runaway[1].summary())
    assert {"cost_by_strategy", "run_costs", "nodes_by_day", "stops_by_minute", "time_by_nodes"} <= set(asked)
    asked.clear()
    family = {"realm": "acme-cycling", "family": "Speed bonus"}
    mortem = [analytics.post_mortem(str(lake.root), engine=engine, **family, **window) for engine in ("", "spark")]
    assert same(mortem[0].summary(), mortem[1].summary())
    assert {"strategy_runs", "family_members", "sampling_by_hour"} <= set(asked)


def test_a_file_that_was_replaced_meanwhile_is_read_as_it_is_now(spark: Any, table: Any, fresh: Lake) -> None:
    table.insert(realmId="r1")
    table.extract(fresh)
    by_spark = OpenLake(fresh).with_engine(SparkEngine(lambda: spark))
    window = {"since": "2026-07-08", "until": "2026-07-09"}
    assert by_spark.table("families_run", **window)["logged_count"].to_pylist() == [1]
    table.insert(realmId="r1")
    table.extract(fresh)
    by_spark.refresh()
    assert by_spark.table("families_run", **window)["logged_count"].to_pylist() == [2]


def test_what_spark_refuses_is_said_in_a_sentence(spark: Any, warehouse: Warehouse) -> None:
    by_spark = warehouse.with_engine(SparkEngine(lambda: spark))
    with pytest.raises(QueryError, match=r"^Spark: query cost_by_strategy: .*CAST_INVALID_INPUT") as caught:
        by_spark.table("cost_by_strategy", since="yesterday?", until=TILL)
    assert "\n" not in caught.value.message
    assert caught.value.hint == "leave out engine= to ask with DuckDB"


def test_names_that_are_not_there(opened: Any, spark: Any, lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake in"):
        lake_spark.views(spark, tmp_path / "none")
    with pytest.raises(UnknownNameError, match="nothing of realm 'nobody'"):
        lake_spark.views(spark, lake, ["nobody"])
    with pytest.raises(UnknownNameError, match="did you mean 'failures'"):
        lake_spark.query(opened, "failure")
    with pytest.raises(UnknownNameError, match="has no parameter sinse"):
        lake_spark.query(opened, "failures", sinse=SINCE)


@pytest.mark.parametrize("package", ["sqlglot", "pyspark"])
def test_a_package_that_is_missing_is_named(package: str, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.split(".")[0] == package or name.startswith("analytics.warehouse.spark.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("tables", "dialect"):
        monkeypatch.delattr(lake_spark, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=f"Spark needs the package {package}") as caught:
        lake_spark.session() if package == "pyspark" else lake_spark.views(None, lake)  # type: ignore[arg-type]
    assert caught.value.hint == "pip install 'pyspark>=4.3' 'sqlglot>=30'"


def test_a_master_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from py4j.protocol import Py4JError
    from pyspark.sql import SparkSession

    def fails(_: object) -> None:  # as Spark 4.3 does after a minute; `make prove-cluster` has it from Spark itself
        raise Py4JError(
            "An error occurred while calling None.org.apache.spark.sql.classic.SparkSession.\n"
            ": java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.\nThis stopped SparkContext was"
        )

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", fails)
    with pytest.raises(
        ConfigurationError, match=r"^Spark does not start: java\.lang\.IllegalStateException: Cannot call"
    ) as caught:
        lake_spark.session()
    assert "a master that can be reached" in caught.value.hint
