"""Pages that are written from what the package says of itself: data dictionary, named queries, one page per command."""

from __future__ import annotations

import re
from collections.abc import Iterable

from analytics import sql
from analytics.cli.verbs import VERBS
from analytics.reports.explore.open_lake import OpenLake
from tests import commands

_UNITS = (
    (r"_ms(_|$)", "ms"),
    (r"_seconds(_|$)", "s"),
    (r"_bytes(_|$)", "bytes"),
    (r"^(day|\w+_day)$", "UTC date"),
    (r"_(at|since|until|hour|minute)$", "UTC time"),
    (r"^est_runs|^est_entries", "runs, estimated"),
    (r"^est_points", "points, estimated"),
    (r"^points$|^points_", "points"),
    (r"^logged_", "logged rows"),
    (r"_count$", "count"),
    (r"_(rate|share)(_|$)", "fraction"),
)
"""Units that a column's name says (docs/naming.md), the first that fits; where none does, the meaning says what is counted."""

EXIT_CODES = """## Exit codes

| code | means |
|---:|---|
| 0 | done, or nothing to do |
| 1 | a check or the doctor found something, or a report has findings under `--fail-on` |
| 2 | usage or configuration |
| 3 | source, lake or report failed, or a fault of the program |
| 75 | another run holds the lock |
| 130 | interrupted by Ctrl-C; finished partitions stay |
"""


def unit(column: str) -> str:
    """The unit a column's name says; empty where it says none."""
    return next((told for pattern, told in _UNITS if re.search(pattern, column)), "")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """A table of Markdown; whatever a cell holds stays in it."""
    titles = list(head)
    lines = [" | ".join(titles), " | ".join("---" for _ in titles)]
    lines += [" | ".join(_cell(value) for value in row) for row in rows]
    return [f"| {line} |" for line in lines]


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    return text.replace("|", "\\|").replace("<", "&lt;")


def grain(statement: str) -> str:
    """What one row is, as the comment of a view or a query says it; empty where it does not."""
    words = " ".join(line[2:].strip() for line in statement.splitlines() if line.startswith("--"))
    found = re.search(r"Grain: (.+?)(?:\. |\.$|$)", words)
    return found[1] if found else ""


def dictionary(lake: OpenLake) -> str:
    """Every view with every column: type, unit, meaning."""
    lines = [
        "# Data dictionary",
        "",
        "Every view of a lake and every column, as `lake.describe()` says it in a notebook. Views are asked in SQL; the",
        "[named queries](queries.md) and the [files behind the views](lake.md) have pages of their own. Columns named `est_`",
        "estimate runs; `logged_` and `_count` count what stands in the log, which is a sample.",
        "",
    ]
    for view, meaning in lake.describe().itertuples(index=False):
        columns = lake.describe(view)
        lines += [f"## {view}", "", meaning, ""]
        if one := grain(sql.text("views", view)):
            lines += [f"Grain: {one}.", ""]
        rows = ((f"`{column}`", kind, unit(column), text) for column, kind, text in columns.itertuples(index=False))
        lines += [*table(("column", "type", "unit", "meaning"), rows), ""]
    return "\n".join(lines)


def queries(lake: OpenLake) -> str:
    """Every named query: what it answers, its parameters and its columns."""
    lines = [
        "# Named queries",
        "",
        'Each is run by name: `lake.run("failures", since="2026-07-06")`, or in a shell',
        "`strategy-analytics query --name failures --since 2026-07-06`.",
        "A parameter that is not given is NULL, which means all. Columns are those of the answer. Those to ask first stand",
        "first; the reports' own, with sums and parts that nobody reads by eye, are marked.",
        "",
    ]
    for asked_by, name, _, answers in lake.queries().itertuples(index=False):
        lines += [f"## {name}", "", f"{answers}.{' For reports.' if asked_by == 'reports' else ''}", ""]
        if one := grain(sql.text("queries", name)):
            lines += [f"Grain: {one}.", ""]
        told = [*lake.describe(name).itertuples(index=False)]
        parameters = [(f"`{given}`", kind, words) for part, given, kind, words in told if part == "parameter"]
        if parameters:
            lines += [*table(("parameter", "type", "meaning"), parameters), ""]
        columns = [(f"`{column}`", kind, unit(column), words) for part, column, kind, words in told if part == "column"]
        lines += [*table(("column", "type", "unit", "meaning"), columns), ""]
    return "\n".join(lines)


def command(name: str) -> str:
    """One command's page: what it does, examples, options with their defaults, exit codes."""
    listed = [f"# {name}" if line.startswith("### ") else line for line in commands.lines(VERBS[name])]
    options = "- `-h`, `--help`: all of this, in the terminal\n- `-v`, `--verbose`: the steps on stderr; `-vv`: each question\n"
    return "\n".join(listed).rstrip() + f"\n\nOf every command:\n\n{options}\n{EXIT_CODES}"
