"""The lake with Spark, for who has a cluster: the same files, views and named queries as with DuckDB.

>>> from analytics import spark as lake_spark
>>> lake_spark.views(spark, "s3://bucket/lake")                                       # doctest: +SKIP
>>> spark.sql("select realm_id, count(*) from executions group by all").show()        # doctest: +SKIP
>>> lake_spark.query(spark, "failures", since="2026-07-06").show()                    # doctest: +SKIP

Needs the extra ``spark``; on a cluster that brings its own Spark, sqlglot is enough.
"""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.errors import ConfigurationError, LakeError, QueryError
from analytics.lake.lake import Lake, Version, versions
from analytics.sql import Parameters
from analytics.storage import LakePath
from analytics.warehouse import catalog, in_sight
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["query", "views"]


def views(
    spark: SparkSession, lake: Lake | str | os.PathLike[str] | LakePath, realms: Sequence[str | None] | None = None
) -> None:
    """Register the lake's views as temporary views of a Spark session; names, columns and types as with DuckDB.

    ``executions``, ``nodes``, ``node_days``, ``definitions``, ``definition_nodes``, ``strategy_days`` and ``partitions`` show
    the files that the lake's ledger tells of now; call it again after an extraction. The session's time zone is set to UTC, as
    the lake's days are.

    Args:
        spark: A session, classic or of a cluster.
        lake: The lake, its folder, or ``s3://bucket/prefix``. The driver reads the ledger as every command does; executors read
            the files with Hadoop's own file systems and their credentials (``s3a`` for a bucket).
        realms: Only these tenants (``None`` is the NULL realm): every view then holds nothing else. All when not given.

    Raises:
        ConfigurationError: sqlglot or PySpark is not installed.
        LakeError: There is no lake in that place, or Spark cannot open its files.
        UnknownNameError: The lake holds nothing of a tenant.
    """
    opened = lake if isinstance(lake, Lake) else Lake(lake)
    in_sight.check(opened, realms)
    tables = _tables()
    try:
        tables.open_lake(spark, opened, realms)
    except refusals_of_spark() as error:
        raise LakeError(
            f"Spark cannot open the lake in {opened.root}: {said(error)}",
            hint="the driver and every executor must reach these files; a bucket needs Hadoop's s3a (docs/spark.md)",
            path=str(opened.root),
        ) from error


def open_warehouse(spark: SparkSession, lake: Warehouse) -> None:
    """``views`` of an open lake: its tenants, its weights, its versions."""
    _tables().open_lake(spark, lake.lake, lake.visible_realms, lake.counted_weights, lake.left_out_versions)


def session() -> SparkSession:
    """The session that Spark's own configuration describes; on this machine where it describes none.

    Raises:
        ConfigurationError: Spark is not installed, or does not start.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise _missing(error) from error
    if running := SparkSession.getActiveSession():
        return running
    # Java's own too: a master that does not answer is no PySparkException.
    refusals: tuple[type[Exception], ...] = (*refusals_of_spark(), OSError)
    try:
        made = SparkSession.builder.appName("strategy-analytics").config("spark.ui.showConsoleProgress", "false")
        begun = made.getOrCreate()
    except refusals as error:
        raise ConfigurationError(
            f"Spark does not start: {said(error)}",
            hint="it needs Java 17 or later (JAVA_HOME), and a master that can be reached (spark-defaults.conf)",
        ) from error
    atexit.register(begun.stop)  # or its executors are told off, at length, when this process ends
    return begun


def query(spark: SparkSession, name: str, **parameters: Any) -> DataFrame:
    """A named query of ``sql/queries`` as a DataFrame, over the session's views.

    Args:
        spark: A session that ``views`` has been called for.
        name: As ``strategy-analytics query --list`` tells them. Of ``points_by_hour``, ``strategy_summary`` and
            ``dead_rules``, whose statement only gathers what an estimate or a verdict needs, this is what they gather.
        **parameters: Values for the query's ``$parameters``, bound and never formatted into the text; those not given are NULL.
            A time without a zone is UTC.

    Raises:
        UnknownNameError: No such query or parameter.
    """
    known = catalog.check_parameters(name, parameters)
    return answered(spark, sql.text("queries", name), {key: parameters.get(key) for key in known})


def answered(spark: SparkSession, statement: str, values: Parameters) -> DataFrame:
    """A statement in DuckDB's SQL as a DataFrame, over the session's views.

    Args:
        spark: A session that ``views`` has been called for.
        statement: One that only reads.
        values: Of its parameters.
    """
    try:
        from analytics.warehouse.spark.tables import transpiled
    except ImportError as error:
        raise _missing(error) from error
    return spark.sql(transpiled(statement), args={key: _bound(value) for key, value in values.items()})


def refusals_of_spark() -> tuple[type[Exception], ...]:
    """What Spark raises: its own errors, and Java's where it does not translate them."""
    from pyspark.errors import PySparkException

    try:
        from py4j.protocol import Py4JError
    except ImportError:  # a client of Spark Connect has no Java of its own
        return (PySparkException,)
    return PySparkException, Py4JError


def said(error: BaseException) -> str:
    """The line of an error that tells what happened; the rest is Java's stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    told = next((line for line in lines[1:] if lines[0].startswith("An error occurred while calling")), lines[0])
    return told.removeprefix(": ")  # py4j's, before the name of Java's class


def _bound(value: Any) -> Any:
    """As DuckDB binds it: PySpark would read a time without a zone on the clock of this machine."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return [_bound(one) for one in value] if isinstance(value, list | tuple) else value


def _tables() -> Any:
    try:
        from analytics.warehouse.spark import tables
    except ImportError as error:
        raise _missing(error) from error
    return tables


def _missing(error: ImportError) -> ConfigurationError:
    return ConfigurationError(f"Spark needs the package {error.name}", hint="pip install 'pyspark>=4.3' 'sqlglot>=30'")


_TRIES = 3


class SparkEngine:
    """Asks a Spark session.

    Args:
        begin: Makes the session when the first question is asked; when not given, the one that Spark's own configuration
            describes (``SPARK_CONF_DIR``, ``PYSPARK_SUBMIT_ARGS``), on this machine where it describes none.
    """

    def __init__(self, begin: Callable[[], SparkSession] | None = None) -> None:
        self._begin = begin or session
        self._session: SparkSession | None = None
        self._of: weakref.WeakKeyDictionary[Warehouse, tuple[SparkSession, dict[str, Version]]] = (
            weakref.WeakKeyDictionary()
        )

    def partial(self, lake: Warehouse, name: str, values: Parameters) -> pa.Table:
        """Rows of a query's first half.

        Spark plans by the files' sizes when it is told of them, and would read what has replaced one by the plan of the old;
        so the files must be the same before and after, or the question is asked again.

        Args:
            lake: The warehouse that asks: its files, tenants, weights and versions.
            name: A query in two halves.
            values: Of all its parameters.

        Raises:
            ConfigurationError: Spark is not installed, or does not start.
            QueryError: Spark refused.
            LakeError: The files were replaced each time.
        """
        session = self._session = self._session or self._begin()
        refusals = refusals_of_spark()
        half = sql.gathered(sql.text("queries", name)) or ""
        wanted = {key: values[key] for key in sql.parameters(half)}
        for _ in range(_TRIES):
            before = _files(lake)
            refusal: Exception | None = None
            rows: pa.Table | None = None
            try:
                rows = answered(self._session_of(lake, before, session), half, wanted).toArrow()
            except refusals as error:
                refusal = error
            lake.refresh()
            if _files(lake) == before:
                if refusal is not None:
                    raise QueryError(
                        f"Spark: query {name}: {said(refusal)}",
                        hint="leave out --engine to ask with DuckDB",
                        query=name,
                    ) from refusal
                return rows
        raise LakeError(
            f"the lake's files were replaced {_TRIES} times while Spark read them",
            hint="wait for the extraction to end",
        ) from refusal

    def _session_of(self, lake: Warehouse, files: dict[str, Version], session: SparkSession) -> SparkSession:
        own, known = self._of.get(lake, (None, None))
        if own is None or known != files:
            own = session.newSession()  # views of its own: another warehouse has other tenants in sight
            open_warehouse(own, lake)
            self._of[lake] = own, files
        return own


def _files(lake: Warehouse) -> dict[str, Version]:
    return versions(lake.lake, [name for names in lake.files.values() for name in names])
