"""Ways to answer one question over all trace entries; every function prepares one and returns the work.

Per realm, strategy, version, node, type and branch: how many entries, the mean of the values that are numbers, and the share
of true among those that are booleans. The answer is an Arrow table of ``KEYS`` and n, mean, true_share.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], dict[str, Any]]
KEYS = ("realm_id", "strategy_id", "strategy_version", "node_id", "type", "branch")
_KEYS = ", ".join(KEYS)
_ENTRY = '[{"nodeId":"VARCHAR","type":"VARCHAR","value":"JSON","branch":"VARCHAR"}]'


def _lake(task: dict[str, Any], statement: str) -> Work:
    from analytics import api

    lake = api.open_lake(task["lake"])
    return lambda: {"answer": lake.sql(statement).to_arrow_table()}


def nodes(task: dict[str, Any]) -> Work:
    """Our view ``nodes``: the lists."""
    return _lake(
        task,
        f"select {_KEYS}, count(*) as n, avg(value_number) as mean, "
        f"avg(case when value_boolean then 1.0 when not value_boolean then 0.0 end) as true_share from nodes group by {_KEYS}",
    )


def node_days(task: dict[str, Any]) -> Work:
    """Our daily rollup."""
    return _lake(
        task,
        f"select {_KEYS}, sum(entry_count)::bigint as n, sum(number_sum) / nullif(sum(number_count), 0) as mean, "
        "sum(true_count) / nullif(sum(true_count) + sum(false_count), 0) as true_share "
        f"from node_days group by {_KEYS}",
    )


def duckdb_text(task: dict[str, Any]) -> Work:
    """DuckDB over JSON text, in the fastest of the formulations that were tried: ``unnest(from_json(…))``."""
    import duckdb

    connection = duckdb.connect()
    statement = f"""
        with entries as (
          select realm_id, strategy_id, strategy_version, unnest(from_json(trace, '{_ENTRY}')) as e from read_parquet($1)
        ), read as (
          select realm_id, strategy_id, strategy_version, e.nodeId as node_id, e.type as type, e.branch as branch,
                 e.value::varchar as v
            from entries
        )
        select {_KEYS}, count(*) as n,
               avg(case when ascii(v) < 58 and ascii(v) <> 34 then try_cast(v as double) end) as mean,
               avg(case v when 'true' then 1.0 when 'false' then 0.0 end) as true_share
          from read group by {_KEYS}"""
    return lambda: {"answer": connection.sql(statement, params=[task["text"]]).to_arrow_table()}


def postgres(task: dict[str, Any]) -> Work:
    """PostgreSQL's own ``jsonb_array_elements``, over the table itself."""
    import psycopg
    import pyarrow as pa

    statement = """
        select "realmId", "strategyId", "strategyVersion", e->>'nodeId', e->>'type', e->>'branch', count(*),
               avg((e->>'value')::float8) filter (where jsonb_typeof(e->'value') = 'number'),
               (avg((e->>'value')::boolean::int) filter (where jsonb_typeof(e->'value') = 'boolean'))::float8
          from strategyexecutionlog, jsonb_array_elements(case when jsonb_typeof(trace) = 'array' then trace end) as e
         where created_at >= %s and created_at < %s
         group by 1, 2, 3, 4, 5, 6"""

    def work() -> dict[str, Any]:
        with psycopg.connect(task["url"]) as connection:
            connection.execute("set timezone = 'UTC'; set work_mem = '256MB'")
            rows = connection.execute(statement, [task["since"], task["until"]]).fetchall()
        names = (*KEYS, "n", "mean", "true_share")
        return {"answer": pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))}

    return work


def pandas_json_normalize(task: dict[str, Any]) -> Work:
    """``json.loads``, ``pandas.json_normalize``, ``groupby``."""
    import json

    import pandas as pd
    import pyarrow as pa

    def work() -> dict[str, Any]:
        frame = pd.read_parquet(task["text"])
        frame["trace"] = frame["trace"].map(json.loads)
        keys = ["realm_id", "strategy_id", "strategy_version"]
        flat = pd.json_normalize(frame.to_dict("records"), "trace", keys).rename(columns={"nodeId": "node_id"})
        kinds = flat["value"].map(type)
        flat["number"] = flat["value"].where(kinds.isin([int, float])).astype(float)
        flat["truth"] = flat["value"].where(kinds.isin([bool])).astype(float)
        grouped = flat.groupby(list(KEYS), dropna=False, sort=False)
        answer = grouped.agg(n=("type", "size"), mean=("number", "mean"), true_share=("truth", "mean")).reset_index()
        return {"answer": pa.Table.from_pandas(answer, preserve_index=False)}

    return work


def polars_lists(task: dict[str, Any]) -> Work:
    """Polars over our lake's lists: what another tool makes of the same files."""
    import polars as pl

    paths = sorted(str(path) for path in Path(task["lake"]).glob("executions/*/*/*.parquet"))

    def work() -> dict[str, Any]:
        lists = pl.scan_parquet(paths, hive_partitioning=False).select(*KEYS[:3], "trace")
        entries = lists.explode("trace").filter(pl.col("trace").is_not_null()).unnest("trace")
        return {"answer": _polars_answer(pl, entries, pl.col("value_number"))}

    return work


def polars_text(task: dict[str, Any]) -> Work:
    """Polars over JSON text. It has no type for "any JSON": value becomes text, quoted or not."""
    import polars as pl

    fields = {"nodeId": pl.String, "type": pl.String, "value": pl.String, "branch": pl.String}

    def work() -> dict[str, Any]:
        parsed = pl.col("trace").str.json_decode(pl.List(pl.Struct(fields)))
        lists = pl.scan_parquet(task["text"]).select(*KEYS[:3], parsed)
        entries = (
            lists.explode("trace").filter(pl.col("trace").is_not_null()).unnest("trace").rename({"nodeId": "node_id"})
        )
        return {"answer": _polars_answer(pl, entries, pl.col("value").cast(pl.Float64, strict=False))}

    return work


def _polars_answer(pl: Any, entries: Any, number: Any) -> Any:
    truth = pl.when(pl.col("value") == "true").then(1.0).when(pl.col("value") == "false").then(0.0)
    asked = entries.group_by(*KEYS).agg(
        pl.len().alias("n"), number.mean().alias("mean"), truth.mean().alias("true_share")
    )
    return asked.collect(engine="streaming").to_arrow()


def spark_lists(task: dict[str, Any]) -> Work:
    """PySpark ``local[2]`` over our lake's lists, warm."""
    path = str(Path(task["lake"]) / "executions")
    statement = f"""
        select {_KEYS}, count(*) as n, avg(e.value_number) as mean,
               avg(case e.value when 'true' then 1.0D when 'false' then 0.0D end) as true_share
          from (select realm_id, strategy_id, strategy_version, e, e.node_id, e.type, e.branch
                  from log lateral view explode(trace) as e)
         group by {_KEYS}"""
    return _spark(task, path, statement)


def spark_text(task: dict[str, Any]) -> Work:
    """PySpark ``local[2]`` over JSON text, warm; value as VARIANT, its only type that keeps "1" apart from 1."""
    statement = f"""
        select {_KEYS}, count(*) as n,
               avg(case when kind not in ('STRING', 'BOOLEAN', 'VOID') then try_variant_get(v, '$', 'double') end) as mean,
               avg(case when kind = 'BOOLEAN' then cast(try_variant_get(v, '$', 'boolean') as double) end) as true_share
          from (select realm_id, strategy_id, strategy_version, e.nodeId as node_id, e.type as type, e.branch as branch,
                       e.value as v, schema_of_variant(e.value) as kind
                  from log lateral view explode(
                    from_json(trace, 'array<struct<nodeId:string,type:string,value:variant,branch:string>>')) as e)
         group by {_KEYS}"""
    return _spark(task, task["text"], statement)


def _spark(task: dict[str, Any], path: str, statement: str) -> Work:
    folder = Path(task["folder"])
    # Arrow of today reaches into the JVM's memory
    os.environ["JDK_JAVA_OPTIONS"] = "--add-opens=java.base/java.nio=ALL-UNNAMED -Xlog:disable"
    os.environ["SPARK_LOCAL_DIRS"] = str(folder)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("bench")
    for name, value in {
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.driver.host": "localhost",
        "spark.log.level": "OFF",
    }.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.read.parquet(path).createOrReplaceTempView("log")

    def work() -> dict[str, Any]:
        return {"answer": spark.sql(statement).toArrow()}

    work()  # warm: the first query pays for the JVM's start
    return work
