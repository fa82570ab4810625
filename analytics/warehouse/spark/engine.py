"""A report whose questions about the runs are asked by Spark: the first half of a query there, the second here."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from analytics import sql
from analytics.errors import LakeError, QueryError
from analytics.lake.lake import Version, versions
from analytics.sql import Parameters
from analytics.warehouse import spark
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


_TRIES = 3


class SparkEngine:
    """Asks a Spark session.

    Args:
        begin: Makes the session when the first question is asked; when not given, the one that Spark's own configuration
            describes (``SPARK_CONF_DIR``, ``PYSPARK_SUBMIT_ARGS``), on this machine where it describes none.
    """

    def __init__(self, begin: Callable[[], SparkSession] | None = None) -> None:
        self._begin = begin or spark.session
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
        refusals = spark.refusals_of_spark()
        half = sql.gathered(sql.text("queries", name)) or ""
        wanted = {key: values[key] for key in sql.parameters(half)}
        for _ in range(_TRIES):
            before = _files(lake)
            refusal: Exception | None = None
            rows: pa.Table | None = None
            try:
                rows = spark.answered(self._session_of(lake, before, session), half, wanted).toArrow()
            except refusals as error:
                refusal = error
            lake.refresh()
            if _files(lake) == before:
                if refusal is not None:
                    raise QueryError(
                        f"Spark: query {name}: {spark.said(refusal)}",
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
            spark.open_warehouse(own, lake)
            self._of[lake] = own, files
        return own


def _files(lake: Warehouse) -> dict[str, Version]:
    return versions(lake.lake, [name for names in lake.files.values() for name in names])
