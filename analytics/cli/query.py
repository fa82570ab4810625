"""``query``, with estimates of one's own, and ``explain``."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from analytics.cli import options as opt
from analytics.cli.output import (
    MOST_ROWS,
    ensure_ours,
    iso,
    plain_value,
    put,
    put_json,
    put_table,
    say,
    utf8,
    warn_of_losses,
    write_parquet,
)
from analytics.errors import QueryError, UsageError, did_you_mean

if TYPE_CHECKING:
    import duckdb

    from analytics.warehouse.warehouse import Warehouse
    from analytics.window import Window

_WIDEST = 120


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(opt.RealmOptions):
    """Options of ``explain``."""

    execution: str = opt.argument("id of the run, or its first letters (four or more)", "EXECUTION_ID")
    versus: int | None = opt.value("what this version pays on the same inputs", "--versus", "VERSION", None, int)
    since: str | None = opt.since("default: all of the lake; a window is faster in a large one")
    until: str | None = opt.until()
    show_users: bool = opt.flag("show user ids; masked otherwise", "--show-users")
    json: bool = opt.as_json("everything, values in full")
    html: Path | None = opt.path("write a page instead; prints its path", "--html", "FILE", None)
    overwrite: bool = opt.overwrite()


def run_explain(options: ExplainOptions) -> int:
    """Explain one run."""
    from analytics import api

    if options.json and options.html:
        raise UsageError(
            "argument --html: not allowed with argument --json", hint="see strategy-analytics explain --help"
        )
    options.realms()  # refuses --realm together with --no-realm
    lake = api.open_lake(options.lake, realm=options.realms())
    warn_of_losses(lake.lost())
    found = api.explain(
        lake,
        options.execution,
        since=options.since,
        until=options.until,
        show_users=options.show_users,
        versus=options.versus,
    )
    if options.json:
        put_json(found.to_dict())
    elif options.html:
        ensure_ours(options.html, (), overwrite=options.overwrite)
        options.html.write_text(found.document(), encoding="utf-8")
        put(str(options.html))
    else:
        put(found.text(min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)))
    return 0


_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_INSIDE = re.compile(r"(?<=[;\t\r\n])(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def put_csv(columns: Sequence[str], rows: Iterable[Sequence[object]], target: TextIO, *, raw: bool = False) -> int:
    r"""Comma-separated values: NULL is empty, times ISO 8601, lists and structs JSON, numbers as they are.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP advises ("CSV Injection"); numbers
    written as text stay. The apostrophe can be taken off again without loss, for a text that began with apostrophes
    and such a sign has one more: ``re.sub(r"(^|(?<=[;\t\r\n]))'(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])", "", text)``.

    Args:
        columns: Their names.
        rows: Their values.
        target: Where to. On a terminal, control characters are written out.
        raw: Write texts as they are.

    Returns:
        How many texts got an apostrophe.
    """
    from analytics.reports.page.inline import visible

    # Python quotes a carriage return only where it may end a line; without quotes it would end one for every reader.
    line = io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="\r\n")
    changed, shown = 0, target.isatty()
    for row in itertools.chain([columns], rows):
        written = []
        for value in row:
            cell = json.dumps(plain_value(value), ensure_ascii=False) if isinstance(value, list | dict) else iso(value)
            if isinstance(cell, str):
                safe = cell if raw else text_only(cell)
                changed += safe is not cell
                cell = visible(safe, lines=True) if shown else safe
            written.append(cell)
        writer.writerow(written)
        target.write(line.getvalue()[:-2] + "\n")
        line.seek(line.truncate(0))
    return changed


def text_only(text: str) -> str:
    """A text that no spreadsheet takes for a formula, nor a part of it where cells end at a semicolon, a tab or a line's end."""
    if _NUMBER.fullmatch(text):
        return text
    whole = _INSIDE.sub("'", text) if _INSIDE.search(text) else text
    return f"'{whole}" if _FORMULA.match(whole) else whole


AUDITED = ("strategy_summary", "points_by_hour")
"""Named queries of estimates: whoever asks them hears when the sampling rate is contradicted."""


@dataclass(frozen=True, kw_only=True)
class QueryOptions(opt.RealmOptions):
    """Options of ``query``."""

    sql: str | None = opt.optional_argument("one statement over the views; `query --list` names them", "SQL")
    name: str | None = opt.word("a named query instead", "--name", "NAME")
    listing: bool = opt.flag("views and named queries", "--list")
    parameters: list[str] = opt.words("a $parameter (may be repeated)", "--param", "name=value")
    estimate: list[str] = opt.words(
        "estimates with intervals instead: runs, points, failures, duration or nodes (may be repeated)",
        "--estimate",
        "WHAT",
    )
    by: list[str] = opt.words(
        "with --estimate: a group for each value of a column of executions, of family_name, or of an expression over them (may be "
        "repeated)",
        "--by",
        "EXPR",
    )
    where: str | None = opt.word(
        "with --estimate: only runs that meet a condition, \"status = 'ok'\"", "--where", "EXPR", opt.ROWS
    )
    versus: str | None = opt.word(
        "with --estimate: compare with another window, 2026-07-03..2026-07-04, or with the group of a value of the last --by",
        "--versus",
        "WHAT",
    )
    min_users: int | None = opt.value(
        "with --estimate: users that every group must rest on (default: $ANALYTICS_MIN_USERS, else 1)",
        "--min-users",
        "N",
        None,
        int,
    )
    since: str | None = opt.since("default: the last three days, for queries that take a window")
    until: str | None = opt.until()
    counters: str | None = opt.counters("for queries of estimates $ANALYTICS_COUNTERS")
    format: str = opt.choice("default: table", "--format", ("table", "csv", "json", "parquet"), "table")
    raw: bool = opt.flag("csv: texts as they are, also those a spreadsheet would run as a formula", "--raw", opt.ANSWER)
    out: Path | None = opt.path("write there instead of stdout (csv, parquet)", "--out", "FILE", None)
    overwrite: bool = opt.overwrite()


def run_query(options: QueryOptions) -> int:
    """Ask, and write the answer."""
    if sum((options.sql is not None, options.name is not None, options.listing, bool(options.estimate))) != 1:
        raise UsageError(
            "either a statement, or --name, or --estimate, or --list",
            hint="strategy-analytics query --all-realms 'from strategy_days limit 5'",
        )
    own = {"--by": options.by, "--where": options.where, "--versus": options.versus, "--min-users": options.min_users}
    if not options.estimate and (given := [name for name, value in own.items() if value]):
        raise UsageError(f"{given[0]} is for --estimate", hint="in a statement write group by and where yourself")
    if options.listing:
        _list_names(options)
    elif options.estimate:
        _estimate(options)
    else:
        from analytics import sql

        _write(_answered(options), options, sql.text("queries", options.name) if options.name else options.sql or "")
    return 0


def _list_names(options: QueryOptions) -> None:
    """What there is to ask: no row of anybody, so no tenant has to be chosen."""
    from analytics.reports.explore.open_lake import open_lake

    lake = open_lake(options.lake, realm=options.realms())
    put_table(["view", "what it holds"], lake.describe().values.tolist())
    put_table(["for", "query", "parameters", "answers"], lake.queries().values.tolist())


def _answered(options: QueryOptions) -> duckdb.DuckDBPyRelation | None:
    """What the lake answers; ``None`` where a statement has no rows to give."""
    from analytics import sql
    from analytics.window import Window

    statement = sql.text("queries", options.name) if options.name else options.sql or ""
    window = Window.parse(options.since, options.until)
    given = _parse_parameters(options.parameters)
    wanted = sql.parameters(statement)
    if unknown := sorted(set(given) - set(wanted)):
        near = did_you_mean(unknown[0], wanted)
        raise UsageError(
            f"the query has no parameter {', '.join(unknown)}", hint=f"{near}it has: {', '.join(wanted) or 'none'}"
        )
    values = _with_window(window, given, wanted)
    if options.name:
        # A named query takes NULL for what is not given: all, or its own default.
        values = {name: values.get(name) for name in wanted}
    lake: Warehouse = options.open_lake()
    _check_out(options)
    audited, in_doubt = options.name in AUDITED, False
    if options.counters or audited:
        window = Window.parse(values.get("since") or window.since, values.get("until") or window.until)
        lake, in_doubt = _weighed(lake, window, options.counters)
    answer = lake.named(options.name, values) if options.name else lake.sql(statement, tables=None, **values)
    # Whoever reads the file has not seen what was said here.
    return answer.project("*, true as is_in_doubt") if in_doubt and audited else answer


def _estimate(options: QueryOptions) -> None:
    """Estimates of one's own: a table for a person, the columns of their frame for a program."""
    import pyarrow as pa

    from analytics.config import Settings
    from analytics.reports.explore.estimated import answer, read_question
    from analytics.warehouse.asked_runs import Span
    from analytics.window import Window

    if options.parameters:
        raise UsageError(
            "--param is for a statement or a named query", hint="write the value into --where, in single quotes"
        )
    window = Window.parse(options.since, options.until)
    span = Span(window.since, window.until)
    question = read_question(options.estimate, options.by, options.where, span, options.versus)
    opened = options.open_lake()
    _check_out(options)
    lake, in_doubt = _weighed(opened, window, options.counters)
    settings = Settings.from_env(min_users=options.min_users, sample_rates="")
    found = answer(lake, question, settings.min_users)
    for sentence in found.notes:
        say(sentence)
    if options.format == "table":
        most = MOST_ROWS // (len(question.names) if found.is_compared else 1)
        columns, rows = found.shown(most)
        put_table(columns, [[cell.text for cell in row] for row in rows])
        if (more := len(found.groups) - most) > 0:
            say(f"… {more:,} more groups; --format csv shows all")
        return
    table = found.table()
    if in_doubt:  # as with named queries of estimates
        table = table.append_column("is_in_doubt", pa.array([True] * len(table), pa.bool_()))
    _write(lake.connection.from_arrow(table), options)


def _check_out(options: QueryOptions) -> None:
    if options.out and options.format not in ("csv", "parquet"):
        raise UsageError(f"--out is for csv and parquet, not {options.format}", hint="redirect stdout instead")


def _weighed(lake: Warehouse, window: Window, counters: str | None) -> tuple[Warehouse, bool]:
    """The lake with ok runs weighed by the engine's counters, and whether those or the log contradict the sampling rate.

    A statement of one's own does not wait for Prometheus unless asked to; a named query of estimates does.
    """
    from analytics.config import Settings
    from analytics.reports.render import builders

    lake, audit = builders.audited(lake, window, Settings.from_env(sample_rates="", counters=counters).counters)
    for sentence in [*audit.contradictions, *audit.losses]:
        say(f"the sampling is in doubt: {sentence}")
    if audit.source:
        say(
            f"ok runs are weighed by {audit.source} from {window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC"
        )
    return lake, audit.is_contradicted


def _write(answer: duckdb.DuckDBPyRelation | None, options: QueryOptions, statement: str = "") -> None:
    import duckdb

    if answer is None:
        say("done: the statement returned no rows")
        return
    try:
        if options.out:
            ensure_ours(options.out, answer.columns, overwrite=options.overwrite)
        if options.format == "parquet":
            write_parquet(answer.to_arrow_table(), options.out or sys.stdout.buffer)
            return
        columns, rows = answer.columns, answer.fetchall()
    except duckdb.Error as error:
        raise QueryError(f"DuckDB: {error}") from error
    if options.format == "csv":
        with (
            options.out.open("w", newline="", encoding="utf-8")
            if options.out
            else nullcontext(utf8(sys.stdout)) as target
        ):
            changed = put_csv(columns, rows, target, raw=options.raw)
        if changed:
            are = "text begins" if changed == 1 else "texts begin"
            say(
                f"{changed:,} {are} like a formula of a spreadsheet: an apostrophe stands in front (--raw leaves it out)"
            )
    elif options.format == "json":
        put_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        _put_answer(columns, rows, statement)


def _put_answer(columns: Sequence[str], rows: Sequence[Sequence[object]], statement: str) -> None:
    """The table of a notebook's cell, in a terminal."""
    from analytics.reports.explore.answer_table import EstimateCell, arranged, folded, order_of

    names, told = folded(columns, rows[: MOST_ROWS + 1])
    order = arranged(names, order_of(statement, columns))
    places = [names.index(name) for name in order] if len(set(names)) == len(names) else range(len(names))

    def cell(value: object) -> object:
        if isinstance(value, EstimateCell):
            return str(value)
        return "NULL" if value is None else "'NULL'" if value == "NULL" else value

    shown = [[cell(row[at]) for at in places] for row in told]
    put_table([names[at] for at in places], shown, total=len(rows))


def _parse_parameters(pairs: Sequence[str]) -> dict[str, str]:
    """``name=value`` words as a dictionary.

    Raises:
        UsageError: A word has no ``=`` or a strange name.
    """
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
            raise UsageError(f"{pair!r} is no parameter", hint="write --param name=value")
        values[name] = value
    return values


def _with_window(window: Window, given: Mapping[str, str], wanted: Sequence[str]) -> dict[str, str | datetime | None]:
    """Add the window to a query's parameters where it has them and they were not given."""
    ends = {"since": window.since, "until": window.until}
    return {**{name: value for name, value in ends.items() if name in wanted}, **given}
