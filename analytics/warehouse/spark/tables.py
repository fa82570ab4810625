"""The lake's files as Spark's tables: the same files that DuckDB opens, chosen by the ledger, each row once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.extraction import day_files
from analytics.lake import ledger, schema
from analytics.lake.lake import Lake
from analytics.program import error_codes
from analytics.warehouse import lake_files
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.spark.dialect import FILES, transpiled

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_BY_DAY = ("executions", "node_days")


def open_lake(
    spark: SparkSession,
    lake: Lake,
    realms: Sequence[str | None] | None,
    counted_weights: pa.Table | None = None,
    left_out_versions: pa.Table | None = None,
) -> None:
    """Register the lake's views in a session.

    Args:
        spark: Where; its time zone becomes UTC.
        lake: Whose.
        realms, counted_weights, left_out_versions: As of a ``Warehouse``.
    """
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    _open_tables(spark, lake, realms)
    if left_out_versions is not None:
        register(spark, "left_out_versions", left_out_versions)
        for table in _BY_DAY:
            spark.table(f"{FILES}{table}").createOrReplaceTempView(f"{FILES}every_{table}")
            _create(spark, f"{FILES}{table}", transpiled(sql.text("people", f"shared_{table}")))
    for name in VIEWS:
        _create(spark, name, sql.text("spark", "nodes") if name == "nodes" else transpiled(sql.text("views", name)))
        if name == "executions" and counted_weights is not None:
            register(spark, "counted_weights", counted_weights)
            _create(spark, name, transpiled(sql.text("audit", name)))


def _create(spark: SparkSession, name: str, statement: str) -> None:
    spark.sql(statement).createOrReplaceTempView(name)


def _open_tables(spark: SparkSession, lake: Lake, realms: Sequence[str | None] | None) -> None:
    """Temporary views of the lake's files, ``files_<table>``."""
    lake.look_again()
    records = [record for day in lake.recorded_days() if (record := lake.recorded(day))]
    names = lake_files.files(lake, records, realms)
    shapes = {"executions": schema.execution_schema(), "node_days": schema.node_day_schema()}
    for table in _BY_DAY:
        base, whole = str(lake.root / table), str(lake.root / day_files.FOLDER / table)
        own = [name for name in names[table] if not name.startswith(f"{whole}/")]
        of_days = [name for name in names[table] if name.startswith(f"{whole}/")]
        found = _read(spark, own, shapes[table], base)
        if of_days:
            found = found.unionByName(_read(spark, of_days, shapes[table], whole))
        _in_sight(found, realms).createOrReplaceTempView(f"{FILES}{table}")
    for table, shape in (
        ("definitions", schema.definition_schema()),
        ("definition_nodes", schema.definition_node_schema()),
        ("program_history", schema.program_history_schema()),
    ):
        found = _read(spark, lake.files(table, realms=realms), shape, None)
        _in_sight(found, realms).createOrReplaceTempView(f"{FILES}{table}")
    register(spark, "error_codes", error_codes.table())
    register(spark, f"{FILES}partitions", ledger.table(records, realms))


def register(spark: SparkSession, name: str, rows: pa.Table) -> None:
    """A table of this process as a temporary view."""
    from pyspark.sql.pandas.types import from_arrow_schema

    found = spark.createDataFrame(rows) if rows.num_rows else spark.createDataFrame([], from_arrow_schema(rows.schema))
    found.createOrReplaceTempView(name)


def _read(spark: SparkSession, names: Sequence[str], shape: pa.Schema, base: str | None) -> DataFrame:
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import DateType, StringType, StructField, StructType

    columns: Any = from_arrow_schema(shape)
    if base is not None:  # the folders' names; Spark would guess that a realm "007" is a number
        columns = StructType([*columns, StructField("realm", StringType()), StructField("day", DateType())])
    if not names:
        return spark.createDataFrame([], columns)
    reader = spark.read.schema(columns).option("datetimeRebaseMode", "CORRECTED").option("mergeSchema", "false")
    if base is not None:
        reader = reader.option("basePath", _uri(base))
    return reader.parquet(*map(address, names))


def address(name: str) -> str:
    """A path as Hadoop's file systems call it, its letters meant as they are."""
    return "".join(f"\\{letter}" if letter in "{}[]*?\\" else letter for letter in _uri(name))


def _uri(name: str) -> str:
    # The cluster's own files may lie elsewhere, so a folder is said to be one.
    return name.replace("s3://", "s3a://", 1) if name.startswith("s3://") else f"file://{Path(name).absolute()}"


def _in_sight(found: DataFrame, realms: Sequence[str | None] | None) -> DataFrame:
    """A tenant's rows: what is inside a file is the truth, wherever it lies."""
    if realms is None:
        return found
    named = [realm for realm in realms if realm is not None]
    is_ours = found.realm_id.isin(named)
    return found.where(is_ours | found.realm_id.isNull() if None in realms else is_ours)
