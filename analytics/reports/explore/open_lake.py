"""Finding and opening a lake; what ``analytics.open_lake()`` returns shows the lake in one look, and can explain one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.errors import UnknownNameError, did_you_mean
from analytics.lake.lake import Lake
from analytics.reports.common import realm_name
from analytics.reports.explore import results
from analytics.reports.explore.lake_card import card, shown
from analytics.reports.explore.lake_folder import check_engine, find_lake
from analytics.reports.parameter_values import typed
from analytics.storage import LakePath, place
from analytics.warehouse import answer_columns
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.warehouse import QueryEngine, Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.explore.answer_frame import AnswerFrame
    from analytics.reports.explore.estimated import Estimated
    from analytics.reports.explore.lake_program import LakeProgram
    from analytics.reports.receipt.receipt import Explained


class OpenLake(Warehouse):
    """A lake opened for reading. Show it to see what it holds; nothing you ask of it changes it.

    >>> lake = analytics.open_lake()
    >>> lake.describe()                                                     # the views, and every column of one
    >>> lake.sql("from strategy_days order by est_runs desc limit 5")       # anything, in DuckDB's SQL
    >>> lake.run("strategy_summary", since="2026-07-06")                    # a named query; queries() lists them
    >>> lake.estimate("points", by="external_user_id")                      # a question of one's own, with intervals
    >>> lake.explain("3f885dde")                                            # why one run paid what it paid
    >>> lake.program("Speed bonus")                                         # a strategy's rules in words, to be changed and tried
    """

    def describe(self, view: str | None = None) -> pd.DataFrame:
        """The data dictionary: the views; of one view every column, with unit, meaning and what NULL means.

        Args:
            view: A view, or a named query for its parameters and every column of its answer.

        >>> lake.describe("executions")
        >>> lake.describe("failures")

        Raises:
            UnknownNameError: No such view or query.
        """
        from analytics.reports.explore.results import list_names

        if view in sql.names("queries"):
            return list_names(self._described(str(view)))
        if view is not None and view not in VIEWS:
            near = did_you_mean(view, [*VIEWS, *sql.names("queries")])
            raise UnknownNameError(
                f"there is no view or query {view!r}",
                hint=f"{near}views: {', '.join(VIEWS)}; queries() lists the named queries",
            )
        return list_names(super().describe(view))

    def _described(self, query: str) -> pd.DataFrame:
        """A named query: its parameters, then the columns of its answer."""
        import pandas as pd

        told = sql.explained(sql.text("queries", query))
        found = self.named(query, answer_columns.empty_window(query))
        names, types = list(found.columns), list(map(str, found.types))
        views: dict[str, dict[str, str]] = {}

        def view(name: str) -> dict[str, str]:
            if name not in views:
                dictionary = Warehouse.describe(self, name)
                views[name] = dict(zip(dictionary["column"], dictionary["meaning"], strict=True))
            return views[name]

        rows = [("parameter", name, *_type_and_words(words)) for name, words in told.items()]
        rows += [
            ("column", name, kind, answer_columns.meaning(query, name, names, view))
            for name, kind in zip(names, types, strict=True)
        ]
        return pd.DataFrame(rows, columns=["part", "name", "type", "meaning"], dtype=object)

    def run(self, name: str, **parameters: Any) -> AnswerFrame:
        """Run a named query: ``queries()`` lists them, ``describe(name)`` says what each column of the answer means.

        Args:
            name: Of the query.
            **parameters: Values for the query's ``$parameters``; those not given are NULL, which means "all" or the
                query's own default. ``since`` and ``until`` are times, dates, or words: ``7d``, ``12h``, ``yesterday``.

        >>> lake.run("failures", since="2026-07-06", family="Speed bonus")
        >>> lake.run("strategy_summary", since="7d").frame.columns

        Returns:
            A pandas frame that shows itself as a table: names first, ids last, an estimate with interval and grade in one cell.
            All that a frame can it can; ``.frame`` is an ordinary one, with each end of an interval in a column of its own.

        Raises:
            UnknownNameError: No such query or parameter.
            QueryError: DuckDB refused it.
        """
        from analytics.reports.explore.answer_frame import answer_frame

        return answer_frame(super().run(name, **parameters), name)

    def queries(self) -> pd.DataFrame:
        """The named queries, those to ask first, then those of the reports; ``describe(name)`` explains one.

        >>> lake.queries()
        """
        from analytics.reports.explore.results import list_names

        found = super().queries()
        return list_names(found[["for", "name", "parameters", "answers"]])

    @typed
    def explain(
        self,
        execution_id: str,
        *,
        since: str | date | None = None,
        until: str | date | None = None,
        show_users: bool = False,
        versus: int | None = None,
    ) -> Explained:
        """Why one run paid what it paid: its decision path, shown as HTML in a notebook and as text elsewhere.

        Args:
            execution_id: Id of the run, or its first letters where only one run has them.
            since, until: Only look at runs of this time.
            show_users: Show user ids.
            versus: Another version of the strategy, to run on the same inputs.

        >>> lake.explain("3f885dde", versus=2)

        Raises:
            UsageError: Several runs have such an id.
            UnknownNameError: No run has it, or the lake holds no program of that version.
        """
        from analytics.reports.receipt.receipt import explain

        return explain(self, execution_id, since=since, until=until, show_users=show_users, versus=versus)

    @typed
    def program(
        self, family: str, *, version: int = 0, realm: str | None = "", no_realm: bool | None = None
    ) -> LakeProgram:
        """The program of a version: its rules in words, its values by address, and another program with one of them changed.

        Args:
            family: Name of the strategy.
            version: Its number; the version that ran last when not given.
            realm: Tenant; empty to look in all in sight (the strategy must then be in one only), ``None`` for the NULL realm.
            no_realm: The NULL realm, where a parameter cannot be ``None``.

        >>> lake.program("Speed bonus", version=3).edit("rule performance-bonus › assign", 12)

        Raises:
            UsageError: The name is in several realms.
            UnknownNameError: There is no such strategy or version, or nothing of it ran.
        """
        from analytics.reports.explore.lake_program import program_of

        return program_of(self, family, version, realm, no_realm)

    @typed
    def estimate(
        self,
        what: str | Sequence[str],
        *,
        by: str | Sequence[str] | None = None,
        where: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
        realm: str | Sequence[str | None] | None = (),
        versus: str | int | None = None,
        min_users: int = 0,
    ) -> Estimated:
        """A question of one's own with intervals: runs, points, failures, durations or nodes, by whatever a run has.

        Args:
            what: ``runs``, ``points`` (their sum, and per ok run), ``failures`` (the rate), ``duration``, ``nodes`` (median, 95 %
                and 99 % quantile), or several of them.
            by: Columns of the view executions, ``family_name``, or expressions over them: a group for each of their values. One
                group of all rows without it.
            where: A condition over the same.
            since, until: Only runs of this time; all of the lake when not given.
            realm: Only this tenant, or these; those in sight when not given.
            versus: What each group is compared with: another window, ``2026-07-03..2026-07-04``, or a value of the last ``by``,
                whose group the others are compared with.
            min_users: Users that every group must rest on; 0 for ``ANALYTICS_MIN_USERS``, else 1.

        >>> lake.estimate("points", by="external_user_id", since="2026-07-06")
        >>> lake.estimate(["failures", "duration"], by=["family_name", "strategy_version"], versus=2)
        >>> lake.estimate("runs", by="external_game_id", since="2026-07-10", until="2026-07-11", versus="2026-07-03..2026-07-04")

        Returns:
            Shows itself as a table, an estimate in each cell; ``.frame`` has value, interval, grade and logged rows as columns.

        Raises:
            UnknownNameError: Something cannot be estimated, or nothing is of that realm or group.
            QueryError: An expression is none, or does more than compute something of one run.
            UsageError: The window is empty, or overlaps the one that it is compared with.
        """
        from analytics.config import Settings
        from analytics.reports.explore.estimated import answer, read_question
        from analytics.warehouse.asked_runs import read_span

        question = read_question(what, by, where, read_span(since, until), versus)
        settings = Settings.from_env(min_users=min_users, sample_rates="")
        return answer(self._only(realm), question, settings.min_users)

    def _only(self, realm: str | Sequence[str | None] | None) -> OpenLake:
        """The lake with some of the tenants that are in sight."""
        wanted = (realm,) if realm is None or isinstance(realm, str) else tuple(realm)
        hidden = [one for one in wanted if self.is_scoped and one not in self.realms]
        if hidden:
            raise UnknownNameError(
                f"realm {realm_name(hidden[0])!r} is not in sight",
                hint="open the lake again: analytics.open_lake(realm=…)",
            )
        return self.scoped(wanted) if wanted else self

    def _repr_mimebundle_(self, **_asked_for: object) -> dict[str, Any]:
        return shown(self)

    def __repr__(self) -> str:
        return card(self).text(datetime.now(UTC))

    def __dir__(self) -> list[str]:
        # What somebody who explores can use; the rest is for the package.
        return [name for name in super().__dir__() if name.startswith("_") or name in _EXPLORED]


_EXPLORED = (
    "check", "connection", "describe", "estimate", "explain", "program", "queries", "realms", "refresh", "run", "sql", "table",
)  # fmt: skip


def _type_and_words(told: str) -> tuple[str, str]:
    """``timestamptz, start of the window`` in its two parts."""
    kind, _, words = told.partition(", ")
    return kind, f"{words[:1].upper()}{words[1:]}"


@typed
def open_lake(
    path: str | LakePath | Warehouse | None = None, *, realm: str | Sequence[str | None] | None = ()
) -> OpenLake:
    """Open a lake for reading.

    Args:
        path: Its folder, or ``s3://bucket/prefix``; one that is not here is looked for in the folders above, up to the checkout
            (a notebook's kernel stands below it). When not given: ``ANALYTICS_LAKE``, else ``lake``, else the demo's.
            A lake that is open is opened anew, so that a notebook's cell can be run twice.
        realm: Only this tenant, or these; every view then holds nothing else. ``None`` is the NULL realm, the default
            (an empty tuple) means all.

    >>> lake = analytics.open_lake()
    >>> lake = analytics.open_lake("demo/lake", realm="acme-cycling")

    Raises:
        LakeError: There is no lake in that folder.
        UnknownNameError: The lake holds nothing of that realm.
    """
    realms: tuple[str | None, ...] = (realm,) if realm is None or isinstance(realm, str) else tuple(realm)
    return _opened(path.lake.root if isinstance(path, Warehouse) else find_lake(path), realms)


def _opened(root: LakePath, realms: tuple[str | None, ...]) -> OpenLake:
    results.teach_ipython()
    return OpenLake(Lake(root), realms=realms or None)


def warehouse_of(
    lake: Warehouse | str | LakePath | None, realm: str | None, any_realm: bool, engine: str = "", gathered: str = ""
) -> Warehouse:
    """A lake that is open, or is opened, with one tenant in sight or all.

    Args:
        lake: An open lake, or its folder; a text is looked for as ``open_lake`` does.
        realm, any_realm: The tenant, or all.
        engine: ``spark`` for who shall ask the runs; DuckDB when empty.
        gathered: Folder of what other processes have asked already.

    Raises:
        UsageError: There is no such engine.
        ConfigurationError: It is not installed.
    """
    if isinstance(lake, Warehouse):
        opened = lake if any_realm else lake.scoped([realm])
    else:
        root = find_lake(lake or None) if lake is None or isinstance(lake, str) else lake
        opened = _opened(root, () if any_realm else (realm,))
    gatherer = _gatherer(engine, gathered)
    return opened.with_engine(gatherer) if gatherer else opened


def _gatherer(engine: str, gathered: str) -> QueryEngine | None:
    check_engine(engine, gathered)
    if gathered:
        from analytics.warehouse.partial_results import PartialResults

        return PartialResults(place(gathered))
    if engine == "spark":
        from analytics.warehouse.spark import SparkEngine

        return SparkEngine()
    return None
