"""The lake with Spark, for who has a cluster: the same files, views and named queries as with DuckDB.

>>> from analytics import spark as lake_spark
>>> lake_spark.views(spark, "s3://bucket/lake")                                       # doctest: +SKIP
>>> spark.sql("select realm_id, count(*) from executions group by all").show()        # doctest: +SKIP
>>> lake_spark.query(spark, "failures", since="2026-07-06").show()                    # doctest: +SKIP

Needs the extra ``spark``; on a cluster that brings its own Spark, sqlglot is enough.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analytics import reading, refusals, sql
from analytics.errors import ConfigurationError
from analytics.lake import Lake
from analytics.object_store import LakePath

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["query", "views"]

_GATHERING = ("points_by_hour", "strategy_summary")


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
        LakeError: There is no lake in that place.
        UnknownNameError: The lake holds nothing of a tenant.
    """
    opened = lake if isinstance(lake, Lake) else Lake(lake)
    reading.check(opened, realms)
    try:
        from analytics.spark import tables
    except ImportError as error:
        raise ConfigurationError(
            f"Spark needs the package {error.name}", hint="pip install 'strategy-analytics[spark]'"
        ) from error
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    tables.open_tables(spark, opened, realms)
    tables.open_views(spark)


def query(spark: SparkSession, name: str, **parameters: Any) -> DataFrame:
    """A named query of ``sql/queries`` as a DataFrame, over the session's views.

    Args:
        spark: A session that ``views`` has been called for.
        name: As ``strategy-analytics query --list`` tells them. Of ``points_by_hour`` and ``strategy_summary``, whose statement
            only gathers what an estimate needs, this is what they gather; a report makes the estimates of it.
        **parameters: Values for the query's ``$parameters``, bound and never formatted into the text; those not given are NULL.

    Raises:
        UnknownNameError: No such query or parameter.
    """
    from analytics.spark.dialect import transpiled

    known = refusals.check_parameters(name, parameters)
    return spark.sql(transpiled(sql.text("queries", name)), args={key: parameters.get(key) for key in known})
