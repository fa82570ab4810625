"""Somebody's own question of the runs: read, proved to be one, and gathered by group in DuckDB.

What comes back are counts and sums of each group, and values where a quantile is asked for; ``group_estimates`` makes estimates
of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from analytics import sql
from analytics.errors import QueryError, UsageError
from analytics.estimates.estimate import TAIL
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE
from analytics.estimates.summed import Sums
from analytics.warehouse import expressions
from analytics.warehouse.expressions import Expression
from analytics.warehouse.strategy_summary import LoggedPart, slices
from analytics.window import Window

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from analytics.warehouse.warehouse import Warehouse

ASKED: Final = {
    "runs": ("est_runs",),
    "points": ("est_points_sum", "est_points_mean"),
    "failures": ("est_failure_rate",),
    "duration": ("est_duration_p50_ms", "est_duration_p95_ms", "est_duration_p99_ms"),
    "nodes": ("est_nodes_p50", "est_nodes_p95", "est_nodes_p99"),
}
"""What can be asked, and the estimates that answer it; named as in the query strategy_summary, where both have them."""
_VIEW: Final = "asked_runs"
_PLACED: Final = "placed_runs"
_MOST_KEYS: Final = 8
THIS, OTHER = 0, 1
"""Sides: the window, and what it is compared with."""


@dataclass(frozen=True, slots=True)
class Span:
    """A window whose ends may be open: since ≤ t < until, UTC; with both open the rows without a time are in it, too."""

    since: datetime | None = None
    until: datetime | None = None

    def overlaps(self, other: Span) -> bool:
        """Some moment is in both."""
        starts_before = self.since is None or other.until is None or self.since < other.until
        return starts_before and (other.since is None or self.until is None or other.since < self.until)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        what: Keys of ``ASKED``.
        by: Expressions whose values make the groups; none for one group of all rows.
        where: A condition that rows have to meet.
        window: Of which time.
        versus: Another window to compare each group with.
        base: Instead, the text of the last key's value whose group the others are compared with.
    """

    what: tuple[str, ...]
    by: tuple[str, ...] = ()
    where: str | None = None
    window: Span = field(default_factory=Span)
    versus: Span | None = None
    base: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the estimates that answer it, in the order asked."""
        return tuple(dict.fromkeys(name for one in self.what for name in ASKED[one]))


@dataclass(frozen=True, slots=True)
class UserSums:
    """A row of ``user_sums.sql``: sums over users, of what is measured and of runs, both weighted.

    The squares and products are each divided by the rest, ``1 − the user's share of the runs``.
    """

    users: int
    unit: float
    parts: float
    runs: float
    part_squares: float
    products: float
    freed_run_squares: float
    run_squares: float

    @property
    def error(self) -> float:
        """Standard error of the ratio of both, users being independent, and their runs as alike as they are.

        The variance of a ratio by its linearisation, between clusters (Särndal, Swensson & Wretman, *Model Assisted Survey
        Sampling*, 1992, section 5.6; ultimate clusters: Hansen, Hurwitz & Madow, *Sample Survey Methods and Theory*, 1953). A
        user's residual is too small by its own part in the ratio: each square is divided by one less that part (Bell & McCaffrey,
        *Survey Methodology* 28, 2002, their bias reduced linearisation); of even users that is the usual ``n / (n − 1)``.
        Zero where one user is all that there is: nothing tells how unlike others are.
        """
        if self.users < 2 or not self.runs > 0:
            return 0.0
        ratio = self.parts / self.runs
        squares = self.part_squares - 2 * ratio * self.products + ratio**2 * self.freed_run_squares
        return self.unit * math.sqrt(max(squares, 0.0)) / self.runs

    @property
    def quantile(self) -> float:
        """Standard errors in half of a 95 % interval: Student's t, not for all users but for as many even ones as tell so much.

        That number is ``(Σ runs)² / Σ runs²`` over the users (Kish, *Survey Sampling*, 1965, section 11.7): where few of them have
        most of the runs, the error rests on these few.
        """
        from scipy import special

        even = self.runs**2 / self.run_squares if self.run_squares > 0 else 1.0
        return float(special.stdtrit(max(even - 1, 1), 1 - TAIL))


@dataclass(slots=True)
class Tally:
    """The logged rows of one group on one side, counted and summed up.

    Attributes:
        drawn: Drawn rows by weight; NaN where the rate was 0.
        logged, failed, set_aside: Logged rows; those that failed; ok rows without points that can be added up.
        sums: Points, by weight.
        pivot, unit: Of the sums.
        least: Smallest points; 0 at most.
        rate: Smallest sampling rate of the realms in it, in the window; 1 where the column ``status`` itself is a key and says that
            its runs failed: these are all logged. A condition or another expression that only failed runs meet is not seen through.
        parts: Durations and nodes, where they were asked for.
        by_user: Of ``points`` and ``failures``, where sides are compared.
    """

    drawn: dict[float, int] = field(default_factory=dict)
    logged: int = 0
    failed: int = 0
    set_aside: int = 0
    sums: list[Sums] = field(default_factory=list)
    pivot: float = 0.0
    unit: float = 1.0
    least: float = 0.0
    rate: float = math.inf
    parts: list[LoggedPart] = field(default_factory=list)
    by_user: dict[str, UserSums] = field(default_factory=dict)

    def add(self, row: _SumRow, rate: float) -> None:
        """The rows of one outcome and weight."""
        self.logged += row.logged_count
        self.rate = min(self.rate, rate)
        weight = math.nan if row.sample_weight is None else float(row.sample_weight)
        if row.is_drawn:
            known = weight if weight >= 1 else math.nan  # one object, so that it is one key
            self.drawn[known] = self.drawn.get(known, 0) + row.logged_count
        if not row.is_ok:
            self.failed += row.logged_count
            return
        self.set_aside += row.logged_count - row.paid_count
        if row.paid_count:
            self.pivot, self.unit = row.pivot, row.unit
            self.least = min(self.least, row.least)
            self.sums.append(Sums(weight, row.paid_count, row.least, row.most, row.absolute, row.powers))


@dataclass(frozen=True, slots=True)
class _SumRow:
    """A row of ``sums.sql``."""

    number: int
    key: Any
    side: int
    realm_id: str | None
    is_ok: bool
    is_drawn: bool
    sample_weight: float | None
    logged_count: int
    paid_count: int
    least: float
    most: float
    pivot: float
    unit: float
    absolute: float
    power_1: float
    power_2: float
    power_3: float
    power_4: float
    last_key: str | None

    @property
    def powers(self) -> tuple[float, float, float, float]:
        """Sums of the powers."""
        return self.power_1, self.power_2, self.power_3, self.power_4


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the lake answers.

    Attributes:
        labels: Names of the keys.
        types: Their types in Arrow.
        keys: Values of the keys of each group; groups in the order of these.
        last_keys: Texts of the last one as DuckDB writes them, which a base is named by; only where one is; ``None`` for NULL.
        tallies: Of each group by side; a side without a logged row is missing.
        users: Distinct logged users of each group, of the side with fewer; only where they were asked for.
        shared_users: Users with rows on both sides, and users with any; ``None`` where nothing is compared.
        default_rates: The smallest sampling rate of each side, for groups of which it has no row.
    """

    labels: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    keys: list[tuple[Any, ...]]
    last_keys: list[str | None]
    tallies: list[dict[int, Tally]]
    users: list[int] | None
    shared_users: tuple[int, int] | None
    default_rates: tuple[float, float]


def gather(lake: Warehouse, question: Question, *, count_users: bool = False) -> Gathered:
    """Ask the lake.

    Args:
        lake: Whose rows.
        question: What.
        count_users: How many people each group rests on, too.

    Raises:
        QueryError: An expression is none, or cannot be computed of a row.
    """
    import duckdb

    connection = lake.connection
    if len(question.by) > _MOST_KEYS:
        raise UsageError(f"by has {len(question.by)} expressions", hint=f"{_MOST_KEYS} at most")
    by = [expressions.read_expression(connection, text, "by") for text in question.by]
    where = None if question.where is None else expressions.read_expression(connection, question.where, "where")
    try:
        return lake.ask(lambda: _gather(lake, question, by, where, count_users))
    except duckdb.Error as error:  # a value that cannot be cast, met when the rows are read
        raise expressions.refusal(error, connection.view(expressions.VIEW).columns, "by or where") from error


def _gather(
    lake: Warehouse, question: Question, by: list[Expression], where: Expression | None, count_users: bool
) -> Gathered:
    connection = lake.connection
    rows = _relation(connection, question)
    _check_types(rows, by, where)
    keys = [one.parsed().alias(f"key_{place}") for place, one in enumerate(by)]
    schema = rows.select(*keys).limit(0).to_arrow_table().schema if keys else ()
    rates = tuple(_rates(connection, span) for span in (question.window, question.versus or question.window))

    def asked(name: str) -> duckdb.DuckDBPyRelation:
        return connection.sql(sql.text("estimate", name))

    with _view(connection, _projected(rows, question, by, where)):
        found = [_SumRow(*row) for row in asked("sums").fetchall()]
        groups: list[tuple[Any, ...]] = []
        last_keys: list[str | None] = []
        tallies: list[dict[int, Tally]] = []
        for row in found:
            if row.number > len(groups):
                groups.append(() if not by else (row.key,) if len(by) == 1 else tuple(row.key))
                last_keys.append(row.last_key)
                tallies.append({})
            rate = rates[row.side if question.versus else THIS].get(row.realm_id, DEFAULT_SAMPLE_RATE)
            rate = 1.0 if _is_kept(by, groups[-1]) else rate
            tallies[row.number - 1].setdefault(row.side, Tally()).add(row, rate)
        if {"duration", "nodes"} & set(question.what):
            for number, side, part in _parts(asked("lists").to_arrow_table()):
                tallies[number - 1][side].parts.append(part)
        users = _least(asked("users").fetchall(), len(groups)) if count_users else None
        is_compared = question.versus is not None or question.base is not None
        needs_users = is_compared and {"points", "failures"} & set(question.what)
        for number, side, measure, *sums in asked("user_sums").fetchall() if needs_users else ():
            tallies[number - 1][side].by_user[measure] = UserSums(*sums)
        [shared] = asked("shared_users").fetchall() if is_compared else [None]
    return Gathered(
        tuple(one.text for one in by),
        tuple(column.type for column in schema),
        groups,
        last_keys,
        tallies,
        users,
        shared,
        (min(rates[0].values(), default=DEFAULT_SAMPLE_RATE), min(rates[1].values(), default=DEFAULT_SAMPLE_RATE)),
    )


def _is_kept(by: Sequence[Expression], keys: tuple[Any, ...]) -> bool:
    """No ok run, which may not have been drawn, can be of the group."""
    return any(
        one.is_column and one.columns == {"status"} and key not in (None, "ok")
        for one, key in zip(by, keys, strict=True)
    )


def _relation(connection: duckdb.DuckDBPyConnection, question: Question) -> duckdb.DuckDBPyRelation:
    """The runs of the windows."""
    rows = connection.view(expressions.VIEW).set_alias(expressions.VIEW)
    spans = [question.window, *([question.versus] if question.versus else [])]
    wanted = [condition for span in spans if (condition := _within(span)) is not None]
    if len(wanted) < len(spans):
        return rows
    return rows.filter(wanted[0] if len(wanted) == 1 else wanted[0] | wanted[1])


def _within(span: Span) -> duckdb.Expression | None:
    """The condition of a window; days tell which files need not be read."""
    from duckdb import ColumnExpression as Column
    from duckdb import ConstantExpression as Constant

    parts = []
    if span.since is not None:
        parts += [Column("day") >= Constant(span.since.date()), Column("created_at") >= Constant(span.since)]
    if span.until is not None:
        last = (span.until - timedelta(microseconds=1)).date()
        parts += [Column("day") <= Constant(last), Column("created_at") < Constant(span.until)]
    found = None
    for part in parts:
        found = part if found is None else found & part
    return found


def _check_types(rows: duckdb.DuckDBPyRelation, by: Sequence[Expression], where: Expression | None) -> None:
    for one in by:
        expressions.bind(rows, one, "by")
    if where is not None and (kind := expressions.bind(rows, where, "where")) != "BOOLEAN":
        raise QueryError(
            f"where {where.text!r} is {kind}, not true or false",
            hint="""a condition compares: "status = 'ok'" """.strip(),
        )


def _projected(
    rows: duckdb.DuckDBPyRelation, question: Question, by: Sequence[Expression], where: Expression | None
) -> duckdb.DuckDBPyRelation:
    """The columns that the statements ask for: the group, the side, and of a run what is estimated."""
    from duckdb import CaseExpression, FunctionExpression
    from duckdb import ColumnExpression as Column
    from duckdb import ConstantExpression as Constant

    if where is not None:
        rows = rows.filter(where.parsed())
    values = [one.parsed() for one in by]
    group = values[0] if len(values) == 1 else FunctionExpression("row", *values) if values else Constant(True)
    side, last_key = Constant(THIS), Constant(None).cast("VARCHAR")
    if question.versus is not None:
        within = _within(question.window)
        side = CaseExpression(within, Constant(THIS)).otherwise(Constant(OTHER)) if within is not None else side
    elif question.base is not None:
        last_key = values[-1].cast("VARCHAR")
        side = CaseExpression(last_key == Constant(question.base), Constant(OTHER)).otherwise(Constant(THIS))

    def only_for(name: str, what: str, kind: str) -> duckdb.Expression:
        return Column(name) if what in question.what else Constant(None).cast(kind)

    return rows.select(
        group.alias("grp"),
        side.alias("side"),
        last_key.alias("last_key"),
        *map(Column, ("realm_id", "external_user_id", "status", "sampled", "sample_weight", "points")),
        only_for("points", "points", "DOUBLE").alias("paid_points"),
        only_for("duration_ms", "duration", "DOUBLE").alias("duration_ms"),
        only_for("nodes_executed", "nodes", "INTEGER").alias("nodes_executed"),
    )


def _least(counts: Sequence[tuple[int, int]], groups: int) -> list[int]:
    """The count of each group, on the side where it is smaller."""
    found: dict[int, int] = {}
    for number, count in counts:
        found[number] = min(found.get(number, count), count)
    return [found[number] for number in range(1, groups + 1)]


@contextmanager
def _view(connection: duckdb.DuckDBPyConnection, rows: duckdb.DuckDBPyRelation) -> Iterator[None]:
    """While the statements are asked, the rows have names; in one transaction, so that ``now()`` is one moment."""
    connection.begin()
    try:
        rows.create_view(_VIEW)
        connection.sql(sql.text("estimate", _PLACED)).create_view(_PLACED)
        yield
    finally:
        connection.rollback()  # nothing is to be kept, the views neither


def _rates(connection: duckdb.DuckDBPyConnection, span: Span) -> dict[str | None, float]:
    values = {"since": span.since, "until": span.until}
    found = connection.execute(sql.text("estimate", "rates"), values).fetchall()
    return {realm: DEFAULT_SAMPLE_RATE if rate is None else float(rate) for realm, rate in found}


def _parts(gathered: pa.Table) -> Iterator[tuple[int, int, LoggedPart]]:
    import numpy as np

    durations, nodes = slices(gathered["durations"]), slices(gathered["nodes"])
    weights = gathered["sample_weight"].to_numpy().astype(np.float64)  # NULL becomes NaN
    plain = [gathered[name].to_pylist() for name in ("number", "side", "status", "is_drawn", "logged_count")]
    for place, (number, side, status, is_drawn, count) in enumerate(zip(*plain, strict=True)):
        found = LoggedPart(
            status, bool(is_drawn), float(weights[place]), count, np.empty(0), durations[place], nodes[place]
        )
        yield number, side, found


def read_span(since: str | date | None, until: str | date | None) -> Span:
    """A window as people write one; where nothing is given it has no end on that side, but with a beginning it ends with today.

    Raises:
        UsageError: A word is not understood or the window is empty.
    """
    if since is None and until is None:
        return Span()
    window = Window.parse(since, until)
    return Span(None if since is None else window.since, window.until)
