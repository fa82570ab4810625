"""A report whose questions about the runs are asked by Spark: the first half of a query there, the second here."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from analytics import spark, sql
from analytics.errors import QueryError
from analytics.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


class SparkEngine:
    """Asks a Spark session.

    Args:
        begin: Makes the session when the first question is asked; when not given, the one that Spark's own configuration
            describes (``SPARK_CONF_DIR``, ``PYSPARK_SUBMIT_ARGS``), on this machine where it describes none.
    """

    def __init__(self, begin: Callable[[], SparkSession] | None = None) -> None:
        self._begin = begin or spark.session
        self._session: SparkSession | None = None
        self._of: weakref.WeakKeyDictionary[Warehouse, SparkSession] = weakref.WeakKeyDictionary()

    def gathered(self, lake: Warehouse, name: str, values: Mapping[str, Any]) -> pa.Table:
        """Rows of a query's first half.

        Args:
            lake: The warehouse that asks: its files, tenants, weights and versions.
            name: A query in two halves.
            values: Of all its parameters.

        Raises:
            ConfigurationError: Spark is not installed, or does not start.
            QueryError: Spark refused.
        """
        from pyspark.errors import PySparkException

        half = sql.gathered(sql.text("queries", name)) or ""
        wanted = {key: values[key] for key in sql.parameters(half)}
        is_known = lake in self._of
        try:
            return spark.answered(self._of_lake(lake), half, wanted).toArrow()
        except PySparkException as error:
            if not is_known:
                raise _refused(name, error) from error
        # An extraction may have replaced a file since the views were made.
        lake.refresh()
        del self._of[lake]
        try:
            return spark.answered(self._of_lake(lake), half, wanted).toArrow()
        except PySparkException as error:
            raise _refused(name, error) from error

    def _of_lake(self, lake: Warehouse) -> SparkSession:
        if lake not in self._of:
            self._session = self._session or self._begin()
            own = self._session.newSession()  # views of its own: another warehouse has other tenants in sight
            spark.open_warehouse(own, lake)
            self._of[lake] = own
        return self._of[lake]


def _refused(name: str, error: Exception) -> QueryError:
    said = str(error).strip().split("\n")[0]
    return QueryError(f"Spark: query {name}: {said}", hint="leave out --engine to ask with DuckDB", query=name)
