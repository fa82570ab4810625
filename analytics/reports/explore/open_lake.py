"""Finding and opening a lake; what ``analytics.open_lake()`` returns shows the lake in one look, and can explain one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from analytics import sql
from analytics.errors import UnknownNameError
from analytics.lake import losses
from analytics.lake.lake import Lake
from analytics.lake.losses import Loss
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.explore import results
from analytics.reports.explore.lake_folder import check_engine, find_lake
from analytics.reports.page import number
from analytics.reports.page.calendar import Kind
from analytics.reports.parameter_values import typed
from analytics.storage import LakePath, place
from analytics.warehouse.coverage import Cell, cells, days_of
from analytics.warehouse.warehouse import QueryEngine, Warehouse
from analytics.window import ONE_DAY

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.explore.estimated import Estimated
    from analytics.reports.explore.lake_program import LakeProgram
    from analytics.reports.receipt.receipt import Explained

_MOST_REALMS: Final = 12
_MOST_DAYS: Final = 31
KINDS: Final[dict[str, Kind]] = {
    "complete": "complete",
    "empty": "empty",
    "partial": "partial",
    "missing": "not extracted",
    "stale": "stale",
    "expired": "expired",
}


@dataclass(frozen=True, slots=True)
class Card:
    """What the ledger says of a lake; nothing but the sizes of its files is looked at besides.

    Attributes:
        root: The lake's folder.
        realms: The tenants in sight, those with most rows first.
        days: Days that were extracted, oldest first.
        rows: Logged runs of each realm.
        failed: Logged runs that did not end ok.
        undated: Logged runs without a usable day.
        rates: Sampling rates in force, smallest first.
        newest: Time of the newest logged run.
        extracted: When the lake was written last.
        shown: The days of the calendar: the last ones, without a gap.
        cells: The calendar, of the first realms.
        gaps: Days of the calendar that were never extracted, for one of the realms at least.
        partial: Days whose rows may still arrive.
        lost: Partitions whose files are gone or not the ledger's.
    """

    root: str
    realms: tuple[str | None, ...]
    days: tuple[date, ...]
    rows: Counter[str | None]
    failed: int
    undated: int
    rates: tuple[float, ...]
    newest: datetime | None
    extracted: datetime | None
    shown: tuple[date, ...]
    cells: tuple[Cell, ...]
    gaps: tuple[date, ...]
    partial: tuple[date, ...]
    lost: tuple[Loss, ...]

    # ---- in a terminal ---------------------------------------------------------------------------------------------

    def text(self, now: datetime) -> str:
        """Some lines: facts, a calendar of marks, what to try."""
        told = [f"Lake {page.visible(self.root)}: {self._title()}", *self._sentences(now)]
        if self.cells:
            told += ["", *results.calendar_lines(self.cells, self.shown), results.calendar_key()]
            told += [more] if (more := self._more()) else []
        return "\n".join([*told, "", "Try", *(f"  {line}" for line in self._try())])

    # ---- in a cell -------------------------------------------------------------------------------------------------

    def block(self, now: datetime) -> page.Block:
        """The same with a calendar that is coloured."""
        parts: list[page.Block] = [
            page.note(["Lake ", page.mono(self.root)]),
            page.subhead(self._title()),
            *[page.note(sentence) for sentence in self._sentences(now)],
        ]
        if self.cells:
            found = {(cell.realm, cell.day): cell for cell in self.cells}
            rows = [
                page.Row(page.author(realm_name(realm)), [_day(found[realm, day]) for day in self.shown])
                for realm in self._shown_realms
            ]
            parts += [
                page.calendar(self.shown, rows),
                page.calendar_key([cell.kind for row in rows for cell in row.days]),
            ]
            parts += [page.note(more)] if (more := self._more()) else []
        parts.append(page.code("\n".join(self._try())))
        html = page.Markup('<div class="sa-card">{}</div>').format(page.Markup("").join(part.html for part in parts))
        return page.Block(html, self.text(now), "head")  # a head brings the style sheet

    # ---- words -----------------------------------------------------------------------------------------------------

    @property
    def _shown_realms(self) -> tuple[str | None, ...]:
        return self.realms[:_MOST_REALMS]

    def _title(self) -> str:
        if not self.rows.total():
            return "no runs yet"
        span = f", {number.day(self.days[0], year=True)} to {number.day(self.days[-1], year=True)}" if self.days else ""
        return (
            f"{_many(len(self.realms), 'realm')}, {_many(len(self.days), 'day')}{span}, "
            f"{_many(self.rows.total(), 'logged run')}"
        )

    def _sentences(self, now: datetime) -> list[str]:
        told = []
        if self.rates:
            rates = " to ".join(number.percent(rate) for rate in dict.fromkeys((self.rates[0], self.rates[-1])))
            told.append(
                f"A sample: {rates} of the ok runs, and all {_many(self.failed, 'failure')}. "
                "sample_weight says how many runs a row stands for."
            )
        if self.newest:
            told.append(f"The newest run is of {number.when(self.newest, year=True)} UTC, {_ago(now - self.newest)}.")
        if self.extracted:
            told.append(f"Extracted {number.when(self.extracted, year=True)} UTC, {_ago(now - self.extracted)}.")
        told += [self._completeness()] if self.days else []
        if self.lost:
            said = losses.words(self.lost)
            told.append(f"{said[0].upper()}{said[1:]}: {losses.repair(self.lost)}.")
        if self.undated:
            told.append(f"{_many(self.undated, 'row')} without a usable created_at: they belong to no day.")
        return told

    def _completeness(self) -> str:
        lost = losses.days_of(self.lost)
        wrong = [
            f"{_many(len(self.partial), 'day')} not complete yet ({_listed(self.partial)})" if self.partial else "",
            f"{_many(len(self.gaps), 'day')} never extracted ({_listed(self.gaps)})" if self.gaps else "",
            f"{_many(len(lost), 'day')} with lost files ({_listed(tuple(lost))})" if lost else "",
        ]
        if not any(wrong):
            return "Every day is complete." if not self.lost else "Rows without a day have lost their files."
        first = min((*self.partial, *self.gaps, *lost))
        last = max((*self.partial, *self.gaps, *lost)) + ONE_DAY
        said = "; ".join(filter(None, wrong))
        return f"{said[0].upper()}{said[1:]}: strategy-analytics extract --since {first} --until {last}"

    def _more(self) -> str:
        told = []
        if hidden := self.realms[_MOST_REALMS:]:
            rows = sum(self.rows[realm] for realm in hidden)
            share = number.percent(rows / (self.rows.total() or 1))
            told.append(f"{_many(len(hidden), 'more realm')} with {share} of the rows")
        if earlier := sum(day < self.shown[0] for day in self.days):
            told.append(f"{_many(earlier, 'earlier day')}")
        return f"And {' and '.join(told)}; the view partitions has them all." if told else ""

    def _try(self) -> list[str]:
        if not self.days:
            return ["strategy-analytics extract   # in a terminal: fills the lake"]
        since, until = max(self.shown[0], self.shown[-1] - 6 * ONE_DAY), self.shown[-1] + ONE_DAY
        return [
            "lake.describe()                    # the views; describe('executions') has every column",
            "lake.sql('from strategy_days order by est_runs desc')",
            f"lake.run('strategy_summary', since='{since}', until='{until}')",
            "lake.queries()                     # what else can be run by name",
        ]


def card(lake: Warehouse) -> Card:
    """The card of a lake, of the realms in sight."""
    records = lake.records()
    realms = lake.realms
    shown = days_of(records)[-_MOST_DAYS:]
    rows: Counter[str | None] = Counter(dict.fromkeys(realms, 0))
    failed, rates, newest, extracted = 0, set(), [], []
    for record in records:
        for info in (info for realm in realms if (info := record.partitions.get(realm))):
            rows[info.partition.realm] += info.row_count
            failed += info.row_count - info.status_counts.get("ok", 0)
            rates |= {step.rate for step in info.sample_rates}
            newest += [at] if (at := info.fingerprint.max_created_at) else []
            extracted.append(info.extracted_at)
    order = sorted(realms, key=lambda realm: (-rows[realm], realm is None, realm or ""))
    covered = {record.day for record in records if record.covers_all_realms or rows.keys() <= record.partitions.keys()}
    return Card(
        root=str(lake.lake.root),
        realms=tuple(order),
        days=tuple(record.day for record in records if record.day),
        rows=rows,
        failed=failed,
        undated=sum(
            info.row_count
            for record in records
            if record.day is None
            for realm, info in record.partitions.items()
            if realm in rows
        ),
        rates=tuple(sorted(rates)),
        newest=max(newest, default=None),
        extracted=max(extracted, default=None),
        shown=tuple(shown),
        cells=tuple(cells(lake, order[:_MOST_REALMS], shown, records)),
        gaps=tuple(day for day in shown if day not in covered),
        partial=tuple(r.day for r in records if r.day and r.day in covered and not r.is_complete),
        lost=tuple(lake.lost()),
    )


def _day(cell: Cell) -> page.Day:
    return page.Day(KINDS[cell.state], more=f"{cell.logged_count:,} logged runs")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _listed(days: tuple[date, ...]) -> str:
    """The first and the last are enough where there are many."""
    return ", ".join(map(str, days)) if len(days) < 4 else f"{days[0]} … {days[-1]}"


def _ago(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 0:
        return "in the future by this machine's clock"
    if hours < 1:
        return f"{_many(int(hours * 60), 'minute')} ago"
    return f"{_many(int(hours), 'hour')} ago" if hours < 48 else f"{_many(int(hours / 24), 'day')} ago"


def shown(lake: Warehouse, now: datetime | None = None) -> dict[str, Any]:
    """What a notebook shows of a lake."""
    block = card(lake).block(now or datetime.now(UTC))
    return block._repr_mimebundle_()[0]


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


def _frame(**columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)


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
