"""Finding and opening a lake; what ``analytics.open_lake()`` returns can also explain one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.config import Settings
from analytics.errors import UsageError
from analytics.lake.lake import Lake
from analytics.reports.explore import results
from analytics.reports.parameter_values import typed
from analytics.storage import LakePath, local_path, place
from analytics.warehouse.warehouse import QueryEngine, Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.receipt.receipt import Explained


class OpenLake(Warehouse):
    """A lake opened for reading. Show it to see what it holds; nothing you ask of it changes it.

    >>> lake = analytics.open_lake()
    >>> lake.describe()                                                     # the views, and every column of one
    >>> lake.sql("from strategy_days order by est_runs desc limit 5")       # anything, in DuckDB's SQL
    >>> lake.run("strategy_summary", since="2026-07-06")                    # a named query; queries() lists them
    >>> lake.explain("3f885dde")                                            # why one run paid what it paid
    """

    def describe(self, view: str | None = None) -> pd.DataFrame:
        """The data dictionary: the views; of one view every column, with unit, meaning and what NULL means.

        Args:
            view: A view, or a named query for its parameters.

        >>> lake.describe("executions")
        >>> lake.describe("failures")

        Raises:
            UnknownNameError: No such view or query.
        """
        from analytics.reports.explore.results import list_names

        if view in sql.names("queries"):
            told = sql.explained(sql.text("queries", str(view)))
            return list_names(_frame(parameter=list(told), meaning=list(told.values())))
        return list_names(super().describe(view))

    def queries(self) -> pd.DataFrame:
        """The named queries: what each answers, and its parameters; ``describe(name)`` explains those.

        >>> lake.queries()
        """
        from analytics.reports.explore.results import list_names

        found = super().queries()
        return list_names(found[["name", "parameters", "answers"]])

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

    def _repr_mimebundle_(self, **_asked_for: object) -> dict[str, Any]:
        from analytics.reports.explore.lake_card import shown

        return shown(self)

    def __repr__(self) -> str:
        from analytics.reports.explore.lake_card import card

        return card(self).text(datetime.now(UTC))

    def __dir__(self) -> list[str]:
        # What somebody who explores can use; the rest is for the package.
        return [name for name in super().__dir__() if name.startswith("_") or name in _EXPLORED]


_EXPLORED = ("check", "connection", "describe", "explain", "queries", "realms", "refresh", "run", "sql", "table")


def _frame(**columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)


ENGINES = ("duckdb", "spark")

_LAKES = tuple(Path(place) for place in ("lake", "demo/lake", "../lake", "../demo/lake"))


@typed
def open_lake(
    path: str | LakePath | Warehouse | None = None, *, realm: str | Sequence[str | None] | None = ()
) -> OpenLake:
    """Open a lake for reading.

    Args:
        path: Its folder, or ``s3://bucket/prefix``. When not given: ``ANALYTICS_LAKE``, else ``lake``, else the demo's, here or
            one folder up (where a notebook's kernel stands).
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


def find_lake(path: str | LakePath | None = None, settings: Settings | None = None) -> LakePath:
    """The folder of the lake to read, as ``open_lake`` looks for it.

    Args:
        path: What somebody named, if anything.
        settings: Made with it, where they have been read already.
    """
    settings = settings or Settings.from_env(lake=path, sample_rates="")  # the rates of a lake are in its ledger
    if not settings.lake_is_default:
        folder = local_path(settings.lake)
        if folder is None:
            return settings.lake
        above = Path("..", folder)
        # What the environment names is meant from where the command runs, a notebook's kernel stands one folder below.
        return above if path is None and not folder.is_dir() and above.is_dir() else folder
    return next((place for place in _LAKES if place.is_dir()), settings.lake)


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


def check_engine(engine: str, gathered: str) -> None:
    """Refuse an engine that there is not, or one that does not go with what was gathered.

    Raises:
        UsageError: It is so.
    """
    if engine not in ("", *ENGINES):
        raise UsageError(f"there is no engine {engine!r}", hint=f"{' or '.join(ENGINES)}")
    if gathered and engine == "spark":
        raise UsageError("Spark asks by itself", hint="leave out --gathered, or --engine")


def _gatherer(engine: str, gathered: str) -> QueryEngine | None:
    check_engine(engine, gathered)
    if gathered:
        from analytics.warehouse.partial_results import PartialResults

        return PartialResults(place(gathered))
    if engine == "spark":
        from analytics.warehouse.spark.engine import SparkEngine

        return SparkEngine()
    return None


def tenant_of(realm: str | None, no_realm: bool | None) -> tuple[str | None, bool]:
    """The realm, and whether any will do.

    Raises:
        UsageError: A realm and none were asked for, or it is ``None`` though the NULL realm was said not to be meant.
    """
    if realm is None and no_realm is False:
        # A tenant called None, which papermill's -p made into Python's None.
        raise UsageError(
            "the realm is None, and no_realm is False",
            hint="the rows without a realm are no_realm = True; a tenant of that name is a text: -r realm None",
        )
    if realm is None or no_realm:
        if realm:
            raise UsageError("either a realm or none", hint="leave out --no-realm, or --realm")
        return None, False
    return (realm, False) if realm else (None, True)
