"""The tables of ``docs/scale.md``: words are written by hand, numbers between their marks by this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.report import Section, markdown, number
from tests.scale import model
from tests.scale.curve import EXECUTORS, WORKERS
from tests.scale.suites import Suite


def fill(text: str, tables: Mapping[str, str]) -> str:
    """Put each table between its marks.

    Raises:
        KeyError: There is no place for one.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise KeyError(name)
        text = f"{text.partition(begin)[0]}{begin}\n{table}\n\n{end}{text.partition(end)[2]}"
    return text


def faults(found: Suite) -> str:
    """A row per fault."""
    rows = [[str(name), str(ended), f"{requests:,}"] for name, ended, requests in found.rows]
    after = [f"{found.passed} tests passed, {found.other} did not"]
    return _table(["what the store, or somebody else, did", "how the run ended", "requests"], rows, after)


def parity(found: Suite) -> str:
    """A row per view and query."""
    rows = [
        [f"`{name}`", kind, f"{count:,}", str(columns), f"{other:,}"]
        for name, kind, count, columns, other in found.rows
    ]
    compared = sum(row[2] for row in found.rows)
    after = [f"{compared:,} rows compared; {found.passed} tests passed, {found.other} did not"]
    return _table(["name", "kind", "rows", "columns", "values that differ"], rows, after)


def curve(sheets: Sequence[Mapping[str, Any]]) -> str:
    """A row per size."""
    header = ["logged rows", *(f"{count} worker{'s' * (count > 1)}: s" for count in WORKERS), "1 / 2", "1 / 4"]
    header += [f"Spark, {EXECUTORS} executors: s", "largest worker MB", "shares MB"]
    rows = []
    for one in sheets:
        seconds = [one["gather"][str(count)]["seconds"] for count in WORKERS]
        rows.append(
            [
                f"{one['logged']:,}", *(number(value) for value in seconds), number(seconds[0] / seconds[1]),
                number(seconds[0] / seconds[2]), number(one["spark"]["seconds"]),
                number(max(one["gather"][str(count)]["peak_mb"] for count in WORKERS), 0), number(one["gathered_mb"], 1),
            ]
        )  # fmt: skip
    starts = " to ".join(number(one["spark"]["start"], 0) for one in (sheets[0], sheets[-1]))
    return _table(header, rows, [f"Spark starts in {starts} s before that; its time includes making its views"])


def reports(sheets: Sequence[Mapping[str, Any]]) -> str:
    """A row per size: the page, shell to file."""
    header = ["logged rows", "entries", "lake MB", "alone: s", "MB", "of shares: s", "MB", "the very same"]
    rows = [
        [
            f"{one['logged']:,}", f"{one['entries']:,}", number(one["lake_mb"], 0), number(one["alone"]["seconds"]),
            number(one["alone"]["peak_mb"], 0), number(one["merged"]["seconds"]), number(one["merged"]["peak_mb"], 0),
            "yes" if one["same"] else "NO",
        ]
        for one in sheets
    ]  # fmt: skip
    return _table(header, rows)


def sizes(sheets: Sequence[Mapping[str, Any]]) -> str:
    """A row per extraction."""
    header = [
        "logged rows",
        "entries",
        "PostgreSQL MB",
        "lake MB",
        "bytes a row",
        "files",
        "extract: s",
        "rows/s",
        "MB",
    ]
    header += ["entries/s read back"]
    rows = [
        [
            f"{one['rows']:,}", f"{one['entries']:,}", number(one["source_mb"], 0), number(one["lake_mb"], 1),
            number(1e6 * one["lake_mb"] / one["rows"], 0), f"{one['files']:,}", number(one["seconds"]),
            f"{one['rows'] / one['seconds']:,.0f}", number(one["peak_mb"], 0),
            model.amount(one["entries"] / one["flatten_seconds"]),
        ]
        for one in sheets
    ]  # fmt: skip
    return _table(header, rows)


def requests(sheets: Sequence[Mapping[str, Any]]) -> str:
    """A row per step and number of partitions."""
    names = {
        "extract": "extract all",
        "again": "extract again: nothing new",
        "query": "a query over all",
        "tenant": "one tenant's",
    }
    kinds = ("PUT", "GET", "HEAD", "LIST", "lock")
    rows = [
        [f"{words}, {one['partitions']:,} partitions", *(f"{one[name].get(kind, 0):,}" for kind in kinds)]
        for name, words in names.items()
        for one in sheets
    ]
    return _table(["step", *kinds], rows)


def lines(found: Mapping[str, model.Line]) -> str:
    """A row per line of the model."""
    rows = [
        [name, f"{one.base:,.3g}", f"{one.slope * 1e6:,.3g}", f"{100 * one.off:.0f} %"] for name, one in found.items()
    ]
    return _table(["what", "at none", "per million logged rows", "farthest point off"], rows)


def drawn_out(found: Mapping[str, model.Line]) -> str:
    """A row per number of runs."""
    header = ["runs a month", "logged rows", "trace entries", "lake", "extract a day", "daily report alone"]
    return _table([*header, f"by {model.CORES} cores", "enough"], model.drawn_out(found))


def measured(about: str, parts: Mapping[str, str]) -> str:
    """Machine, versions, and when each part was measured."""
    told = "; ".join(f"{name} {when}" for name, when in parts.items())
    return f"{about}\n\nMeasured: {told}."


def now() -> str:
    """The date and minute, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], after: Sequence[str] = ()) -> str:
    return markdown(Section("", "", header, rows, after)).partition("## \n\n")[2]
