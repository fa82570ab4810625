"""DuckDB over the lake: views, named queries, checks. What ``analytics.open_lake()`` returns.

The connection reads the folders of the tenants in sight and nothing else, see ``restricted_connection``.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from analytics import sql
from analytics.errors import UsageError
from analytics.extraction import day_files
from analytics.extraction.privacy.policy import PseudonymKey
from analytics.lake import ledger_columns, losses
from analytics.lake.lake import Lake
from analytics.program import error_codes
from analytics.sql import Parameters, Row
from analytics.warehouse import (
    catalog,
    checks,
    damage,
    lake_files,
    own_tables,
    restricted_connection,
)
from analytics.warehouse.catalog import VIEWS, answer
from analytics.warehouse.checks import CheckResult
from analytics.warehouse.damage import DamagedFile
from analytics.warehouse.in_sight import LakeInSight

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

_log = logging.getLogger(__name__)

T = TypeVar("T")


class QueryEngine(Protocol):
    """Who asks the first half of a query in two halves elsewhere."""

    def partial(self, lake: Warehouse, name: str, values: Parameters) -> pa.Table | None:
        """The rows; ``None`` where DuckDB shall ask the whole query itself."""


# DuckDB's own use of pandas, which its users can do nothing about.
warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame.drop")


def _estimate(name: str) -> Callable[[duckdb.DuckDBPyConnection, str, Parameters], pa.Table] | None:
    """Of a named query whose statement only gathers what an estimate needs. Imported for who asks one."""
    if name not in ("strategy_summary", "points_by_hour"):
        return None
    from analytics.warehouse import strategy_summary

    return strategy_summary.answer if name == "strategy_summary" else strategy_summary.answer_hours


def _finish(name: str) -> Callable[[duckdb.DuckDBPyConnection, pa.Table], pa.Table] | None:
    """Of a named query to whose rows something is added that no statement can know."""
    if name != "dead_rules":
        return None
    from analytics.warehouse import rule_verdicts

    return rule_verdicts.finish


class Warehouse(LakeInSight):
    """A lake opened for reading. Nothing it does changes the lake.

    Args:
        lake: The files.
        realms: Only these tenants: every view then holds nothing else. All when not given.
        whole_days: Days of many small partitions may be read from their day files, which hold the same.
        counted_weights: See ``with_weights``.
        left_out_versions: See ``excluding``.
        writes_into: Folders besides the lake's that the package's own statements write to.
        engine: Answers the first half of queries in two halves; DuckDB where it is not given.
        left_out_files: See ``sound``.

    Raises:
        LakeError: There is no lake in that folder.
        UnknownNameError: The lake holds nothing of a tenant; whoever sees one tenant is not told the others.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        realms: Sequence[str | None] | None = None,
        whole_days: bool = True,
        counted_weights: pa.Table | None = None,
        writes_into: Sequence[Path] = (),
        left_out_versions: pa.Table | None = None,
        engine: QueryEngine | None = None,
        left_out_files: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(lake, realms=realms)
        self.engine = engine
        self.files: dict[str, list[str]] = {}
        self._whole_days, self._writes_into, self._left_out_files = whole_days, tuple(writes_into), left_out_files
        self.counted_weights, self.left_out_versions = counted_weights, left_out_versions
        self.connection = restricted_connection.connect_restricted(
            [*lake_files.folders(lake, self.visible_realms), *writes_into]
        )
        self._whole(self.refresh)

    # ---- asking ----------------------------------------------------------------------------------------------------

    def sql(self, query: str, *, tables: Mapping[str, Any] | None = None, **parameters: Any) -> duckdb.DuckDBPyRelation:
        """Ask anything in DuckDB's SQL over the views; ``describe()`` lists them.

        Args:
            query: One statement; values as ``$name``.
            tables: Frames of one's own (pandas, polars, Arrow, or another answer), by the names that the statement has for them.
            **parameters: Their values. They are bound, never formatted into the text; ``since`` and ``until`` may be ``7d``,
                ``12h``, ``yesterday`` and the like.

        >>> lake.sql("from strategy_days where realm_id = $realm", realm="acme-cycling").df()
        >>> lake.sql("select count(*) from executions where created_at >= $since", since="7d")

        Returns:
            A relation: shows itself as a table, and gives ``.df()``, ``.pl()``, ``.arrow()``, ``.fetchall()``.

        Raises:
            QueryError: DuckDB refused it.
        """
        import duckdb

        if not isinstance(query, str):
            raise UsageError(
                f"a question is a text of SQL, not {query!r}", hint='lake.sql("from strategy_days limit 5")'
            )
        try:
            if not restricted_connection.is_read_only(self.connection, query):
                raise catalog.refusal_of_writing(restricted_connection.kinds_of(self.connection, query))
            values = catalog.with_moments(parameters, only_words=True)
            if tables is not None:
                return own_tables.answer_with(self.connection, self.ask, query, values, tables)
            return answer(self.ask(lambda: self.connection.sql(query, params=values or None)), self.ask)
        except (duckdb.Error, ValueError) as error:
            raise catalog.refusal_of_statement(
                error, query, VIEWS, lambda view: list(self.describe(view)["column"])
            ) from error

    def run(self, name: str, **parameters: Any) -> pd.DataFrame:
        """Run a named query of ``sql/queries``.

        Args:
            name: As ``queries()`` lists them.
            **parameters: Values for the query's ``$parameters``; those not given are NULL, which means "all" or the
                query's own default. ``since`` and ``until`` are times, dates, or words: ``7d``, ``12h``, ``yesterday``.

        >>> lake.run("failures", since="2026-07-06", family="Speed bonus")

        Raises:
            UnknownNameError: No such query or parameter.
            QueryError: DuckDB refused it.
        """
        return self._fetched(name, parameters, lambda found: found.df())

    def table(self, name: str, **parameters: Any) -> pa.Table:
        """``run`` without pandas: a million rows of text come in a fraction of the time."""
        return self._fetched(name, parameters, lambda found: found.to_arrow_table())

    def rows(self, name: str, **parameters: Any) -> list[Row]:
        """``run`` for a few rows: neither pandas nor Arrow is imported for them."""

        def fetch(found: duckdb.DuckDBPyRelation) -> list[Row]:
            return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]

        return self._fetched(name, parameters, fetch)

    def _fetched(self, name: str, parameters: Parameters, fetch: Callable[[Any], T]) -> T:
        import duckdb

        given = catalog.with_moments(parameters)
        values = {key: given.get(key) for key in catalog.check_parameters(name, given)}
        began = time.perf_counter()
        try:
            answer = self.ask(lambda: fetch(self._named(name, values)))
            _log.debug("the query %s took %.3f s", name, time.perf_counter() - began)
            return answer
        except duckdb.Error as error:
            raise catalog.refusal_of_query(error, name) from error

    def named(self, name: str, values: Parameters) -> duckdb.DuckDBPyRelation:
        """A named query as a relation; ``run`` is the comfortable call.

        Args:
            name: As ``queries()`` lists them.
            values: Of all its parameters.

        Raises:
            UnknownNameError: No such query.
            QueryError: DuckDB refused it.
        """
        import duckdb

        try:
            asked = catalog.with_moments(values)
            return answer(self.ask(lambda: self._named(name, asked)), self.ask)
        except duckdb.Error as error:
            raise catalog.refusal_of_query(error, name) from error

    def _named(self, name: str, values: Parameters) -> duckdb.DuckDBPyRelation:
        text = sql.text("queries", name)

        def plain() -> duckdb.DuckDBPyRelation:
            if estimated := _estimate(name):
                return self.connection.from_arrow(estimated(self.connection, text, values))
            if self.engine and sql.gathered(text) and (rows := self.engine.partial(self, name, values)) is not None:
                return self._merged(sql.merging(text), rows, values)
            return self.connection.sql(sql.whole(text), params=dict(values) or None)

        if finish := _finish(name):
            return self.connection.from_arrow(finish(self.connection, plain().to_arrow_table()))
        return plain()

    def _merged(self, statement: str, rows: pa.Table, values: Parameters) -> duckdb.DuckDBPyRelation:
        wanted = {key: values[key] for key in sql.parameters(statement)}
        self.connection.register("gathered_rows", rows)
        try:
            return self.connection.from_arrow(self.connection.sql(statement, params=wanted or None).to_arrow_table())
        finally:
            self.connection.unregister("gathered_rows")

    def queries(self) -> pd.DataFrame:
        """The named queries: name, what each answers, its parameters."""
        return catalog.queries()

    def describe(self, view: str | None = None) -> pd.DataFrame:
        """The data dictionary: every view, or every column of one, with unit, meaning and what NULL means.

        Raises:
            UnknownNameError: No such view.
        """
        return catalog.views(self.connection) if view is None else catalog.columns(self.connection, view)

    def check(self, key: PseudonymKey | None = None) -> list[CheckResult]:
        """Run every check of ``sql/checks``; those that failed with severity ``error`` first.

        Args:
            key: Of the lake's pseudonyms: erased people are recognised by it in files that were put back.
        """
        if self.visible_realms is None and self._whole_days and any(day_files.everywhere(self.lake)):
            exact, quick = Warehouse(self.lake, whole_days=False), Warehouse(self.lake)
            return checks.run(exact.connection, self.lake, quick=quick.connection, key=key, told=exact.damage_behind)
        return checks.run(self.connection, self.lake, self.visible_realms, key=key, told=self.damage_behind)

    def damage_behind(self, error: duckdb.Error) -> str:
        """What kept DuckDB from reading, in words: the file where one is damaged, else what it said."""
        return str(damage.files_behind(error, self.connection, self.lake, self.files) or error)

    # ---- what is here ----------------------------------------------------------------------------------------------

    @property
    def is_changed(self) -> bool:
        """The views show other weights, or fewer versions, than the files hold."""
        return self.counted_weights is not None or self.left_out_versions is not None

    def refresh(self) -> None:
        """Look at the lake's files again, after an extraction."""
        connection = self.connection
        self.look_again()
        records = self.records()
        found = lake_files.tables(self.lake, records, self.visible_realms, whole_days=self._whole_days)
        self.files = {table: [name for name in of if name not in self._left_out_files] for table, of in found.items()}
        lake_files.open_tables(connection, self.files, self.visible_realms)
        if self.left_out_versions is not None:
            connection.register("left_out_versions", self.left_out_versions)
            for table in ("executions", "node_days"):
                connection.execute(sql.text("people", f"shared_{table}"))
        connection.execute(sql.text("files", "error_codes"), error_codes.columns())
        connection.execute(sql.text("files", "ledger_rows"), [ledger_columns.rows_json(records, self.visible_realms)])
        connection.execute("create or replace view files.partitions as from ledger_rows")
        for view in VIEWS:
            catalog.make(connection, view)
            if view == "executions" and self.counted_weights is not None:
                connection.register("counted_weights", self.counted_weights)
                connection.execute(sql.text("audit", "executions"))
        for table, names in self.files.items():
            connection.execute(f"set variable {table}_files = $1", [names])
        _log.debug("the lake is open: %d files of %d days", sum(map(len, self.files.values())), len(records))

    def with_weights(self, weights: pa.Table) -> Self:
        """The same lake, whose view executions, and what builds on it, weighs drawn rows by the engine's counters.

        node_days stays as it is: it was summed up with the weights of the extraction.

        Args:
            weights: ``realm_id``, ``hour`` (UTC), ``factor``, ``instead``, as ``audit.Audit.weights``. Other rows keep theirs.
        """
        return self._with(counted_weights=weights)

    def excluding(self, versions: pa.Table) -> Self:
        """The same lake without some versions: none of their runs, entries and rollups is in any view.

        Args:
            versions: ``realm_id``, ``strategy_id``, ``strategy_version``.
        """
        return self._with(left_out_versions=versions)

    def scoped(self, realms: Sequence[str | None]) -> Self:
        """The same lake with only these tenants in sight."""
        return self._with(realms=realms)

    def with_engine(self, engine: QueryEngine) -> Self:
        """The same lake with somebody else to ask."""
        return self._with(engine=engine)

    def sound(self) -> tuple[Self, list[DamagedFile]]:
        """The same lake without those files of its runs that cannot be read, and which these are: it does not hold all then."""
        every = self._with(whole_days=False)
        found = damage.find(self.lake, {"executions": every.files["executions"]})
        return every.without_files(frozenset(f"{self.lake.root}/{one.name}" for one in found)), found

    def without_files(self, names: frozenset[str]) -> Self:
        """The same lake without some files of its runs, by their whole names."""
        return self._with(left_out_files=names)

    def _with(self, **other: Any) -> Self:
        same = {
            "realms": self.visible_realms,
            "whole_days": self._whole_days,
            "counted_weights": self.counted_weights,
            "left_out_versions": self.left_out_versions,
            "engine": self.engine,
            "writes_into": self._writes_into,
            "left_out_files": self._left_out_files,
        }
        return type(self)(self.lake, **{**same, **other})

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question of the package's own; asked again where a file was replaced in between.

        Args:
            question: From its beginning.

        Raises:
            DamagedFileError: A file cannot be read.
            duckdb.Error: The statement is at fault.
        """
        return self._whole(lambda: lake_files.retry_on_replaced_file(question, self.refresh, self.lake.refused))

    def _whole(self, read: Callable[[], T]) -> T:
        import duckdb

        try:
            return read()
        except duckdb.Error as error:
            if damaged := damage.files_behind(error, self.connection, self.lake, self.files):
                raise damaged from error
            raise

    def __repr__(self) -> str:
        records = self.records()
        days = [record.day for record in records if record.day]
        rows = sum(
            row_count
            for record in records
            for realm, row_count, *_ in ledger_columns.sizes(record)
            if self.visible_realms is None or realm in self.visible_realms
        )
        span = f"{min(days)} to {max(days)}" if days else "no days yet"
        missing = sum(not record.is_complete for record in records if record.day)
        gone = len(losses.days_of(self.lost()))
        told = [f"{missing} not complete yet"] * bool(missing) + [f"{gone} with lost files"] * bool(gone)
        complete = ", ".join(told) or "all complete"
        realms = len(self.realms)
        return (
            f"<lake {self.lake.root}: {realms} realm{'s' * (realms != 1)}, {span} ({complete}), {rows:,} logged runs; "
            "try .describe(), .queries(), .sql('from strategy_days')>"
        )


def records(frame: pd.DataFrame) -> list[Row]:
    """Rows of an answer as dictionaries, NULL as ``None`` (a frame says NaN)."""
    rows: list[dict[Any, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows
