"""The lake's files as Spark's tables: the same files that DuckDB opens, chosen by the ledger, each row once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from analytics import sql
from analytics.extraction import day_files
from analytics.lake import ledger, schema
from analytics.lake.lake import Lake
from analytics.program import error_codes
from analytics.warehouse import lake_files
from analytics.warehouse.catalog import VIEWS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

FILES = "files_"
"""Spark's temporary views have no schemas: ``files.executions`` is ``files_executions``."""


@functools.lru_cache(maxsize=256)
def transpiled(statement: str) -> str:
    """A query of DuckDB's as one of Spark's; of ``create view … as`` what is behind the ``as``.

    Args:
        statement: Of several the last query, or view, counts. ``$name`` becomes ``:name``.

    Raises:
        sqlglot.errors.SqlglotError: It is no SQL, or there is no such thing in Spark.
    """
    trees = [one for one in sqlglot.parse(statement, read="duckdb") if isinstance(one, exp.Create | exp.Query)]
    if not trees:
        raise sqlglot.errors.ParseError("there is no query in it")
    tree = trees[-1].expression if isinstance(trees[-1], exp.Create) else trees[-1]
    for node in reversed(list(tree.walk())):  # what is inside comes first
        if (handle := _HANDLED.get(type(node))) and (instead := handle(node)) is not node:
            node.replace(instead)
    return tree.sql(dialect="spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)


def _select(node: exp.Expression) -> exp.Expression:
    _unnest_together(node)
    _order_by_all(node)
    return node


def _table(node: exp.Expression) -> exp.Expression:
    if node.args.get("db") and node.text("db") == "files":
        node.set("this", exp.to_identifier(f"{FILES}{node.name}"))
        node.set("db", None)
    return node


def _cte(node: exp.Expression) -> exp.Expression:
    node.set("materialized", None)
    return node


def _function(node: exp.Expression) -> exp.Expression:
    if node.name.lower() == "isfinite":
        return _is_finite(node.expressions[0])
    if node.name.lower() == "getvariable":  # of the portions in which DuckDB gathers; Spark makes its own
        return exp.null()
    if node.name.lower() == "epoch_us":
        return exp.Anonymous(this="unix_micros", expressions=node.expressions)
    return node


def _is_finite(value: exp.Expression) -> exp.Expression:
    """NULL of NULL, as DuckDB has it."""
    text = value.sql(dialect="spark")
    return exp.maybe_parse(f"(abs({text}) < double('infinity'))", dialect="spark")


def _list(node: exp.Expression) -> exp.Expression:
    """A list of nothing is NULL."""
    if isinstance(node.parent, exp.Filter):
        return node
    return exp.Anonymous(this="nullif", expressions=[node.copy(), exp.Array(expressions=[])])


def _filter(node: exp.Expression) -> exp.Expression:
    if isinstance(node.this, exp.ArrayAgg):
        return _list(node)
    return node


def _quantiles(node: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this="percentile", expressions=[node.this.copy(), node.expression.copy()])


def _round(node: exp.Expression) -> exp.Expression:
    """To a number of digits that differs from row to row, by the arithmetic that DuckDB does."""
    digits = node.args.get("decimals")
    if digits is None or isinstance(digits, exp.Literal):
        return node
    value, places = node.this.sql(dialect="spark"), digits.sql(dialect="spark")
    up, down = f"power(10.0D, ({places}))", f"power(10.0D, -({places}))"
    rounded = (
        f"case when ({places}) < 0 then round(({value}) / {down}) * {down} else round(({value}) * {up}) / {up} end"
    )
    # Where that leaves what a double can hold, DuckDB leaves the value as it is. To Spark, NaN is larger than infinity.
    text = f"case when abs({rounded}) >= double('infinity') then {value} else {rounded} end"
    return exp.maybe_parse(f"({text})", dialect="spark")


def _order_by_all(select: exp.Expression) -> None:
    order = select.args.get("order")
    if order and len(order.expressions) == 1 and order.expressions[0].this.sql().upper() == "ALL":
        if any(one.is_star for one in select.expressions):
            raise sqlglot.errors.UnsupportedError("order by all needs the columns by name")
        places = range(1, len(select.expressions) + 1)
        order.set("expressions", [exp.Ordered(this=exp.Literal.number(n), nulls_first=False) for n in places])


def _unnest_together(select: exp.Expression) -> None:
    """Several lists side by side: Spark takes one generator only."""
    lists = [one.this for one in select.expressions if isinstance(one, exp.Alias) and _is_unnest(one.this)]
    if len(lists) < 2:
        return
    zipped = exp.Anonymous(
        this="inline", expressions=[exp.Anonymous(this="arrays_zip", expressions=[_unnested(one) for one in lists])]
    )
    names = [exp.to_identifier(one.alias) for one in select.expressions]
    select.set("expressions", [exp.Aliases(this=zipped, expressions=names)])


def _is_unnest(node: exp.Expression) -> bool:
    return isinstance(node, exp.Explode | exp.Unnest)


def _unnested(node: exp.Expression) -> exp.Expression:
    inner: exp.Expression = node.this if isinstance(node, exp.Explode) else node.expressions[0]
    return inner.copy()


_HANDLED: dict[type, Callable[[Any], exp.Expression]] = {
    exp.Table: _table,
    exp.CTE: _cte,
    exp.Anonymous: _function,
    exp.PercentileCont: _quantiles,
    exp.Round: _round,
    exp.ArrayAgg: _list,
    exp.Filter: _filter,
    exp.Select: _select,
}

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
        _of_realms(found, realms).createOrReplaceTempView(f"{FILES}{table}")
    for table, shape in (
        ("definitions", schema.definition_schema()),
        ("definition_nodes", schema.definition_node_schema()),
        ("program_history", schema.program_history_schema()),
    ):
        found = _read(spark, lake.files(table, realms=realms), shape, None)
        _of_realms(found, realms).createOrReplaceTempView(f"{FILES}{table}")
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


def _of_realms(found: DataFrame, realms: Sequence[str | None] | None) -> DataFrame:
    """A tenant's rows: what is inside a file is the truth, wherever it lies."""
    if realms is None:
        return found
    named = [realm for realm in realms if realm is not None]
    is_ours = found.realm_id.isin(named)
    return found.where(is_ours | found.realm_id.isNull() if None in realms else is_ours)
