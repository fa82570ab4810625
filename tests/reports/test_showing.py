"""What a cell and a terminal show of a lake: whole, true, and nobody's text but as text."""

from __future__ import annotations

import ast
import copy
import doctest
import inspect
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pandas as pd
import pytest
from markupsafe import escape
from nbclient import NotebookClient

import analytics
from analytics import errors, sql
from analytics.cli import main
from analytics.errors import ConfigurationError, LakeError, QueryError, UnknownNameError, UsageError, did_you_mean
from analytics.lake.lake import Lake
from analytics.reports.explore import completion, results
from analytics.reports.explore import open_lake as open_lake_module
from analytics.reports.explore.lake_card import card
from analytics.reports.explore.lake_folder import find_lake
from analytics.reports.explore.open_lake import OpenLake
from analytics.warehouse import warehouse as warehouse_module
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from tests.conftest import Table

NOW = datetime(2026, 7, 12, 6, tzinfo=UTC)
EVIL = '<script>alert(1)</script> "x" \u202e'


@pytest.fixture(scope="module")
def opened(lake: Lake) -> OpenLake:
    return analytics.open_lake(lake.root)


def html_of(shown: object) -> str:
    made = shown._repr_mimebundle_()  # type: ignore[attr-defined]
    return str((made[0] if isinstance(made, tuple) else made)["text/html"]).partition("</style>")[2]


# ---- the lake --------------------------------------------------------------------------------------------------------


def test_a_lake_says_what_it_holds_in_a_terminal(opened: OpenLake) -> None:
    said = repr(opened)
    assert "30 realms" in said
    assert "1,423 logged runs" in said
    assert "A sample: 5\u00a0% of the ok runs" in said
    assert re.search(r"^acme-cycling .*●.* logged runs$", said, re.MULTILINE)
    assert "lake.describe()" in said
    assert max(map(len, said.splitlines())) < 200


def test_a_lake_shows_itself_in_a_cell_and_nobodys_name_acts(opened: OpenLake) -> None:
    shown = html_of(opened)
    assert "1,423 logged runs" in shown
    assert 'title="acme-cycling, Wed 8 July: complete.' in shown
    assert "<script" not in shown.lower()
    assert "&lt;script&gt;" in shown


def test_the_numbers_of_the_card_are_those_of_the_views(opened: OpenLake) -> None:
    found = card(opened)
    [(rows, failed, newest)] = opened.sql(
        "select count(*), count(*) filter (where status <> 'ok'), max(created_at) filter (where day is not null) from executions"
    ).fetchall()
    assert (found.rows.total(), found.failed, found.newest) == (rows, failed, newest)
    assert sum(found.rows[realm] for realm in found.realms) == rows
    assert found.undated == opened.sql("select count(*) from executions where day is null").fetchall()[0][0]


def test_what_is_not_complete_is_said_with_the_command_that_mends_it(table: Table, fresh: Lake) -> None:
    for day in ("2026-07-07", "2026-07-10"):
        table.insert(created_at=f"{day} 12:00:00+00", realmId=EVIL)
        table.extract(fresh, day, str(date.fromisoformat(day) + timedelta(days=1)))
    found = card(Warehouse(fresh))
    assert found.gaps == (date(2026, 7, 8), date(2026, 7, 9))
    said = found.text(NOW)
    assert "2 days never extracted (2026-07-08, 2026-07-09)" in said
    assert "strategy-analytics extract --since 2026-07-08 --until 2026-07-10" in said
    assert "The newest run is of Fri 10 July 2026 12:00 UTC, 42 hours ago." in said
    assert "<script" not in found.block(NOW).html
    fresh.path("executions", next(iter(fresh.recorded(date(2026, 7, 7)).partitions.values())).partition).write_bytes(
        b""
    )
    assert "1 day with lost files (2026-07-07)" in card(Warehouse(fresh)).text(NOW)


def test_an_empty_lake_says_how_to_fill_it(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    assert "strategy-analytics extract" in repr(analytics.open_lake(tmp_path / "lake"))
    assert "no runs yet" in html_of(analytics.open_lake(tmp_path / "lake"))


def test_a_lake_can_be_opened_anew_from_an_open_one(opened: OpenLake) -> None:
    assert analytics.open_lake(opened, realm="acme-cycling").realms == ["acme-cycling"]


def test_a_lake_of_the_environment_is_found_from_a_notebooks_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setenv("ANALYTICS_LAKE", "mine")
    assert find_lake() == Path("../mine")
    assert find_lake("mine") == Path("../mine")
    (tmp_path / "notebooks" / "mine").mkdir()
    assert find_lake("mine") == Path("mine")  # what is here is meant


def test_a_lake_is_found_up_to_the_checkout_and_not_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "checkout" / "notebooks" / "mine"
    for folder in (deep, tmp_path / "checkout" / "demo" / "lake", tmp_path / "above" / "lake"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_lake("demo/lake") == Path("demo/lake")  # in no checkout: one folder up at most
    (tmp_path / "checkout" / "pyproject.toml").touch()
    assert find_lake("demo/lake") == Path("../../demo/lake")
    assert find_lake("above/lake") == Path("above/lake")
    with pytest.raises(LakeError) as raised:
        analytics.open_lake("above/lake")
    assert str(deep / "above" / "lake") in raised.value.message


def test_the_lake_comes_first_in_every_call_of_the_library(opened: OpenLake) -> None:
    calls = ["explain", "extract", "gather", "post_mortem", "rehearsal", "runaway_rules", "sampling_audit", "sweep"]
    for name in calls:
        assert next(iter(inspect.signature(getattr(analytics, name)).parameters)) == "lake", name
    with pytest.raises(UsageError, match="the lake comes first"):
        analytics.extract("2026-07-01")
    with pytest.raises(UsageError, match="execution_id must be a text"):
        analytics.explain("3f885dde", opened)  # type: ignore[arg-type]  # as it once was


def test_a_report_takes_no_text_for_a_truth(opened: OpenLake) -> None:
    """Plain papermill makes the text "false" of -p show_users false, which Python takes for true."""
    asked = 0
    for name in (
        "explain",
        "extract",
        "gather",
        "post_mortem",
        "rehearsal",
        "runaway_rules",
        "sampling_audit",
        "sweep",
    ):
        call = getattr(analytics, name)
        for parameter, declared in inspect.signature(call).parameters.items():
            if "bool" in str(declared.annotation):
                asked += 1
                needed = {
                    one: opened if one == "lake" else "x"
                    for one, wanted in inspect.signature(call).parameters.items()
                    if wanted.default is inspect.Parameter.empty and wanted.kind is not inspect.Parameter.VAR_KEYWORD
                }
                with pytest.raises(UsageError, match=f"parameter {parameter} must be true or false"):
                    call(**{**needed, parameter: "no"})
    assert asked >= 12


def test_public_names_are_those_one_explores_with(opened: OpenLake) -> None:
    names = [name for name in dir(opened) if not name.startswith("_")]
    assert {"describe", "sql", "run", "queries", "explain"} <= set(names) <= set(dir(OpenLake)) | {"connection"}
    for name in ("describe", "sql", "run", "queries", "explain"):
        assert ">>> lake." in (getattr(opened, name).__doc__ or ""), name
    assert not {"with_weights", "named", "records"} & set(names)


# ---- the dictionary --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_the_dictionary_shows_every_column_whole(opened: OpenLake, view: str) -> None:
    found = opened.describe(view)
    shown, said = html_of(found), " ".join(repr(found).split())
    for name, meaning in zip(found["column"], found["meaning"], strict=True):
        assert name in shown and name in said
        assert str(escape(meaning)) in shown
        assert " ".join(meaning.split()) in said


def test_a_query_is_described_by_its_parameters(opened: OpenLake) -> None:
    told = opened.describe("failures")
    assert list(told[told.part == "parameter"]["name"]) == ["since", "until", "family"]
    for name in sql.names("queries"):
        told = sql.explained(sql.text("queries", name))
        assert [parameter for parameter, words in told.items() if not words] == [], name
    assert "strategy_summary" in html_of(opened.queries())
    assert type(opened.queries()[["name"]]).__name__ == "DataFrame"


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_values_are_shown_as_they_are(opened: OpenLake) -> None:
    block = results.shown(
        opened.sql(
            """select null as missing, 1234567 as whole, 0.05::double as share, 'nan'::double as nan, true as yes,
                      timestamptz '2026-07-08 02:00:00.5+02' as moment, date '2026-07-08' as day, $evil as text, '' as empty,
                      interval 1 day as length, [{'a': 1}, {'a': 2}] as entries""",
            evil=EVIL,
        )
    )
    cells = re.findall(r"<td([^>]*)>(.*?)</td>", block.html)
    assert [bool('class="sa-r"' in attributes) for attributes, _ in cells] == [
        "missing" not in name and name in ("whole", "share", "nan") for name in
        ("missing", "whole", "share", "nan", "yes", "moment", "day", "text", "empty", "length", "entries")
    ]  # fmt: skip
    texts = [re.sub("<[^>]+>", "", cell) for _, cell in cells]
    assert texts[:7] == ["NULL", "1,234,567", "0.05", "NaN", "true", "2026-07-08 00:00:00.5", "2026-07-08"]
    assert "&lt;script&gt;" in texts[7] and "\\u202e" in texts[7]
    assert texts[10].startswith("2 × {")
    assert "moment (UTC)" in block.html


@pytest.mark.parametrize(
    ("rows", "said"), [(1, "1 row."), (20, "20 rows."), (21, "The first 20 rows; there are more.")]
)
def test_it_is_said_whether_there_are_more_rows(opened: OpenLake, rows: int, said: str) -> None:
    block = results.shown(opened.sql(f"from range({rows})"))
    assert said in block.html
    assert block.html.count("<tr>") == min(rows, 20) + 1


def cells_of(html: str) -> list[list[str]]:
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html)
    return [
        [unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in rows
    ]


def test_an_answer_has_names_first_ids_last_and_an_estimate_in_one_cell(opened: OpenLake) -> None:
    found = opened.run("strategy_summary", since="2026-07-06", until="2026-07-11")
    heads, *rows = cells_of(html_of(found))
    assert heads[:3] == ["family_name", "strategy_version", "realm_id"]
    assert heads[-1] == "strategy_id"
    assert not [name for name in heads if name.endswith(("_low", "_high", "_grade", "_is_at_least"))]
    first = found.iloc[0]
    shown = rows[0][heads.index("est_runs")]
    assert first.est_runs_grade in shown and "[" in shown
    unnamed, named = found[found.realm_id.isna()], found[found.realm_id == "NULL"]  # somebody calls a tenant so
    assert '<span class="sa-mute">NULL</span></td>' in html_of(unnamed)
    assert "<bdi>NULL</bdi>" in html_of(named) and "'NULL'" in repr(named)
    said = repr(found).splitlines()
    assert said[0].split()[:3] == heads[:3]
    assert said[1].split()[0] == rows[0][0].split()[0]


def test_an_answer_is_a_frame_for_whoever_used_it_as_one(opened: OpenLake) -> None:
    found = opened.run("failures")
    plain = opened.named("failures", dict.fromkeys(["since", "until", "family"])).df()
    assert type(found.frame).__name__ == "DataFrame"
    pd.testing.assert_frame_equal(found.frame, plain)
    assert found.failed_count.sum() == plain.failed_count.sum()
    assert copy.deepcopy(found).equals(plain)
    assert "family_name" in html_of(found.sort_values("failed_count").head(2))
    counted = found.groupby("realm_id")[["failed_count"]].sum()
    assert "acme-cycling" in counted._repr_html_()  # its index is no column: pandas shows it
    assert opened.run("failures", family="nobody's")._repr_html_().count("No rows. Columns: ") == 1
    estimates = opened.run("strategy_summary", since="2026-07-08")
    for no_estimates in (estimates.isna(), estimates == estimates):  # the same names, and no estimate with an interval
        assert "est_runs_low" in repr(no_estimates) and "≥" not in repr(no_estimates)


@pytest.mark.parametrize(
    "statement",
    [
        "from strategy_days order by trace_entries desc",
        "select * from strategy_days order by 14",
        "from strategy_days s order by s.trace_entries",
    ],
)
def test_what_an_answer_is_sorted_by_is_in_sight(opened: OpenLake, statement: str) -> None:
    heads = cells_of(results.shown(opened.sql(statement)).html)[0]
    wanted = "trace_entries" if "14" not in statement else list(opened.sql(statement).columns)[13]
    assert heads[:4] == ["family_name", "strategy_version", "realm_id", wanted]
    own = cells_of(
        results.shown(opened.sql("select strategy_id, day, est_runs from strategy_days order by est_runs")).html
    )[0]
    assert own == ["strategy_id", "day", "est_runs"]  # few columns are as they were asked for


def test_runs_entries_and_their_days_know_the_name_of_their_strategy(opened: OpenLake) -> None:
    for view in ("executions", "nodes", "node_days"):
        named = dict(opened.sql(f"select strategy_id, any_value(family_name) from {view} group by all").fetchall())
        known = dict(opened.sql("select strategy_id, family_name from definitions").fetchall())
        assert named and named == {strategy: known.get(strategy) for strategy in named}
        doubled = opened.sql(
            f"select count(*) - (select count(*) from files.{view.replace('nodes', 'executions')}) from {view}"
        )
        assert view == "nodes" or doubled.fetchall() == [(0,)]


@pytest.mark.parametrize("name", sql.names("queries"))
def test_every_column_of_an_answer_is_described(opened: OpenLake, name: str) -> None:
    told = opened.describe(name)
    columns = told[told.part == "column"]
    assert list(columns["name"]) == list(
        opened.named(name, dict.fromkeys(sql.parameters(sql.text("queries", name)))).columns
    )
    assert [one for one, meaning in zip(told["name"], told.meaning, strict=True) if not meaning] == []
    assert set(sql.told_columns(sql.text("queries", name))) <= set(columns["name"])


def test_what_to_ask_stands_before_what_reports_ask(opened: OpenLake) -> None:
    found = opened.queries()
    assert list(found["for"]) == sorted(found["for"], key=["you", "reports"].index)
    mine = set(found[found["for"] == "you"].name)
    assert {"strategy_summary", "failures", "dead_rules", "limit_runs"} <= mine
    assert not mine & {"time_by_nodes", "sampling_by_hour", "arrivals_by_minute"}


def test_a_window_may_be_words(opened: OpenLake) -> None:
    days = (datetime.now(UTC) - datetime(2026, 7, 8, tzinfo=UTC)).days  # the demo's runs stay where they are
    by_words, by_dates = opened.run("failures", since=f"{days}d"), opened.run("failures", since="2026-07-08")
    assert len(by_words) and by_words.equals(by_dates)
    count = "select count(*) from executions where created_at >= $since"
    assert opened.sql(count, since=f"{days}d").fetchall() == opened.sql(count, since="2026-07-08").fetchall()


def test_frames_of_ones_own_stand_beside_the_views(opened: OpenLake) -> None:
    users = pd.DataFrame({"realm_id": ["acme-cycling"], "frame": ["a team"]})
    statement = "select frame, count(*) as n from executions join users using (realm_id) group by all"
    [(team, count)] = opened.sql(statement, tables={"users": users}).fetchall()
    counted = opened.sql("select count(*) from executions where realm_id = 'acme-cycling'").fetchall()[0][0]
    assert (team, count) == ("a team", counted)
    answer = opened.sql("select 2 as a")
    assert opened.sql("select a + $more from mine", tables={"mine": answer}, more=1).fetchall() == [(3,)]
    with pytest.raises(QueryError):
        opened.sql("from mine")  # gone with its question
    unusable = ({"executions": users}, {"a b": users}, {"users": object()}, {1: users}, {"t": users, "T": users}, users)
    for tables in unusable:
        with pytest.raises(UsageError):
            opened.sql("select 1", tables=tables)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["post_mortem", "against", "runaway_rules", "rehearsal"])
def test_a_report_and_its_facts_show_the_verdict_and_what_to_ask_next(opened: OpenLake, kind: str) -> None:
    window = {"since": "2026-07-07", "until": "2026-07-11"}
    strategy = {"realm": "acme-cycling", "family": "Speed bonus"}
    match kind:
        case "post_mortem":
            report: Any = analytics.post_mortem(opened, **strategy, **window)
        case "against":
            report = analytics.post_mortem(opened, **strategy, against="Group ride", **window)
        case "runaway_rules":
            report = analytics.runaway_rules(opened, since="2026-07-10", until="2026-07-11")
        case _:
            report = analytics.rehearsal(opened, **strategy, version=3, **window)
    verdict = report.head()
    assert repr(verdict) == verdict.text  # at Python's own prompt
    notebook = "post_mortem" if kind == "against" else kind
    cells = nbformat.read(Path(analytics.__file__).parents[1] / "notebooks" / f"{notebook}.ipynb", 4).cells
    sections = [name for cell in cells for name in re.findall(r"^report\.(\w+)\(\)$", cell.source)]
    for section in set(sections) - {"summary_block"}:
        assert f"report.{section}()" in repr(report) and f"report.{section}()" in report._repr_html_()
    shown = [report] if kind == "runaway_rules" else [report, report.inquiry]
    for one in shown:
        assert str(verdict.html) in one._repr_html_()
        assert verdict.text in repr(one) and "<b" not in repr(one)
    if kind != "runaway_rules":
        asked = re.findall(r"report\.inquiry\.(\w+)", repr(report.inquiry))
        assert len(asked) > 5 and all(hasattr(type(report.inquiry), name) for name in asked)


def test_polars_is_given_or_its_extra_named(opened: OpenLake, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [opened.sql("select 1 as a"), opened.run("failures"), opened.estimate("runs")]
    monkeypatch.setitem(sys.modules, "polars", None)
    for answer in answers:
        with pytest.raises(ConfigurationError) as raised:
            answer.pl()
        assert "strategy-log-analytics[polars]" in raised.value.hint
    monkeypatch.undo()
    polars = pytest.importorskip("polars")
    assert [type(answer.pl()) for answer in answers] == [polars.DataFrame] * 3


def test_no_rows_and_a_refusal_while_reading_are_said_too(opened: OpenLake) -> None:
    assert "No rows. Columns: a." in results.shown(opened.sql("select 1 as a where false")).html
    assert "DuckDB: Conversion Error" in results.shown(opened.sql("select 'x'::int as a")).html


# ---- IPython ---------------------------------------------------------------------------------------------------------


def test_the_examples_of_the_docstrings_run(
    lake: Lake, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "lake").symlink_to(lake.root)
    monkeypatch.chdir(tmp_path)
    [(run,)] = warehouse.sql(
        "select execution_id::text from executions "
        "where family_name = 'Speed bonus' and status = 'ok' and strategy_version <> 2 order by 1 limit 1"
    ).fetchall()
    found = [
        example
        for module in (analytics, warehouse_module, open_lake_module)
        for test in doctest.DocTestFinder(exclude_empty=True).find(module)
        for example in test.examples
    ]
    assert len(found) > 12
    names: dict[str, Any] = {"analytics": analytics, "lake": analytics.open_lake()}
    for example in found:
        exec(example.source.replace("3f885dde", run), names)  # noqa: S102  # our own text


def test_an_answer_can_and_completes_what_duckdbs_relation_can(lake: Lake) -> None:
    answer = analytics.open_lake(lake.root).sql("select 1 as a, 2 as b")
    assert {"df", "filter", "join", "columns"} <= set(dir(answer))
    assert answer.join(other_rel=answer.set_alias("other"), condition="a").fetchall() == [(1, 2, 2)]


@pytest.mark.parametrize(
    ("text", "begun", "names"),
    [
        ('lake.run("fail', "fail", ["failures"]),
        ("x = lake.describe('strat", "strat", ["strategy_days", "strategy_summary", "strategy_runs"]),
        ('lake.run("failures", si', "si", ["since="]),
        ('lake.run("failures", since="2026-07-01", fam', "fam", ["family="]),
        ('analytics.post_mortem(\n    lake, family="Speed b', "Speed b", ["Speed bonus"]),
        ("analytics.rehearsal(lake, realm='acme-c", "acme-c", ["acme-cycling"]),
        ('lake.program("Speed bonus", version=', "", ["4", "3", "2", "1"]),
    ],
)
def test_names_are_completed(opened: OpenLake, text: str, begun: str, names: list[str]) -> None:
    found = completion.complete(text, {"lake": opened})
    assert found is not None
    assert (found.begun, list(found.found)) == (begun, names)


@pytest.mark.parametrize("text", ["print(1", 'lake.run("nothing", si', 'open("fail', 'name = "Speed b', "realm = 7"])
def test_other_places_are_left_to_others(opened: OpenLake, text: str) -> None:
    assert completion.complete(text, {"lake": opened}) is None


def test_a_hostile_name_is_completed_as_the_text_that_it_is(opened: OpenLake) -> None:
    found = completion.complete('analytics.runaway_rules(lake, realm="', {"lake": opened})
    assert found is not None
    read = [ast.literal_eval(f'"{name}"') for name in found.found]
    assert read == [realm for realm in opened.realms if realm is not None]
    assert all(name.isprintable() for name in found.found)


def test_a_kernel_shows_tables_completes_names_and_errors_are_a_paragraph(lake: Lake) -> None:
    cells = [
        f"import analytics\nlake = analytics.open_lake({str(lake.root)!r})\nlake",
        "lake.sql(\"select '<b>' as a\")",
        'x = 1\nlake.sql("select famly_name from strategy_days")',
        "lake.run('failure')",
        "open('failures.txt', 'w').close()\nget_ipython().Completer.complete(line_buffer='lake.run(\"', cursor_pos=10)[1]",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(book, kernel_name="python3", allow_errors=True, timeout=60).execute()
    first, table, column, query, completed = (cell.outputs[-1] for cell in book.cells)
    assert "1,423 logged runs" in first.data["text/html"]
    assert 'class="sa-rows"' in table.data["text/html"] and "&lt;b&gt;" in table.data["text/html"]
    assert (column.ename, query.ename) == ("QueryError", "UnknownNameError")
    assert column.evalue.startswith('DuckDB: Binder Error: Referenced column "famly_name" not found')
    shown = "\n".join(column.traceback).splitlines()
    assert len(shown) < 8
    assert "did you mean 'family_name'?" in shown[1]
    assert shown[-1].strip().startswith('line 2 of the cell: lake.sql("select famly_name')
    assert "\n".join(query.traceback).count("\n") < 4
    assert set(ast.literal_eval(completed.data["text/plain"])) == set(sql.names("queries"))  # no file, no magic


# ---- what was meant --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("acme", ["acme-cycling", "sunny-gym", None], "did you mean 'acme-cycling'? "),
        ("Exections", ["executions", "nodes"], "did you mean 'executions'? "),
        ("zzz", ["executions"], ""),
        ("", ["executions"], ""),
        ("evil", ["evil\u202e"], "did you mean 'evil\\u202e'? "),
    ],
)
def test_a_near_name_is_suggested(name: str, known: list[str | None], said: str) -> None:
    assert did_you_mean(name, known) == said


@pytest.mark.parametrize(
    ("ask", "kind", "hint"),
    [
        (lambda lake: lake.sql("from strategy_day"), QueryError, "did you mean 'strategy_days'?"),
        (lambda lake: lake.sql("select e.ponts from executions e"), QueryError, "did you mean 'points'?"),
        (lambda lake: lake.sql("from executions where realm_id = acme"), QueryError, "in single quotes: 'acme'"),
        (lambda lake: lake.sql("select $valu"), QueryError, 'lake.sql("…", valu=…)'),
        (lambda lake: lake.run("failure"), UnknownNameError, "did you mean 'failures'?"),
        (lambda lake: lake.run("failures", sinc=1), UnknownNameError, "did you mean 'since'?"),
        (lambda lake: lake.run("failures", family=5), UsageError, 'family="5"'),
        (lambda lake: lake.run("failures", since=7), UsageError, 'since="2026-07-08"'),
        (lambda lake: lake.run("failures", since="x"), QueryError, "since: timestamptz"),
        (lambda lake: lake.run("failures", since="x"), QueryError, "7d or 12h"),
        (lambda lake: lake.sql("copy (select 1) to 'x.csv'"), QueryError, 'lake.sql("…").df().to_parquet('),
        (lambda lake: lake.sql("select 1 as a").write_csv("x.csv"), QueryError, "query --format parquet --out FILE"),
        (lambda lake: lake.sql("create table mine as select 1"), QueryError, 'tables={"found": found}'),
        (lambda lake: lake.sql("select 1; select 2"), QueryError, "one after the other"),
        (lambda lake: lake.sql("select family_name from executions join definitions using (strategy_id)"), QueryError,
         "leave out the join"),
        (lambda lake: lake.describe("strategy_day"), UnknownNameError, "did you mean 'strategy_days'"),
        (lambda lake: lake.describe("failure"), UnknownNameError, "did you mean 'failures'?"),
        (lambda lake: lake.sql("select $1"), QueryError, 'lake.sql("select $size", size=5)'),
        (lambda lake: lake.sql(None), UsageError, "from strategy_days"),
        (lambda lake: analytics.open_lake("/"), LakeError, "name its folder, or set ANALYTICS_LAKE"),
        (lambda lake: analytics.open_lake(lake, realm="acme-cyclin"), UnknownNameError, ".realms lists them"),
        (lambda lake: analytics.post_mortem(lake, family="Sped bonus"), UnknownNameError, "did you mean 'Speed bonus'?"),
    ],
)  # fmt: skip
def test_an_error_says_what_was_meant(opened: OpenLake, ask: object, kind: type[UsageError], hint: str) -> None:
    with pytest.raises(kind) as raised:
        ask(opened)  # type: ignore[operator]
    assert hint in raised.value.hint


def test_opening_a_lake_loads_neither_compilers_nor_a_databases_client(lake: Lake) -> None:
    code = "import sys, analytics; analytics.open_lake(sys.argv[1]); print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code, str(lake.root)], capture_output=True, text=True, check=True)
    assert not {"numba", "sqlalchemy", "psycopg", "scipy", "matplotlib", "papermill"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("flags", "python"),
    [
        ("give --family NAME or --strategy ID", 'give family="NAME" or strategy_id="ID"'),
        ("say which: --realm NAME, or --no-realm", 'say which: realm="NAME", or no_realm=True'),
        ("leave out --no-realm, or --realm", "leave out no_realm=True, or realm="),
        ("give --since 2026-07-08 --until 2026-07-09", 'give since="2026-07-08" until="2026-07-09"'),
        ("name a version: --baseline v2", 'name a version: baseline="v2"'),
        ("--min-users 5 or ANALYTICS_MIN_USERS=5", "min_users=5 or ANALYTICS_MIN_USERS=5"),
        ("leave out --set most, or name more", "leave out most, or name more"),
        ("--share 1/4 … --share 4/4", "share=1, shares=4 … share=4, shares=4"),
        ("--family 'Ten' --against 'Five'", 'family="Ten" against="Five"'),
        ("now: strategy-analytics extract --since 7d", "now: strategy-analytics extract --since 7d"),
        ("`strategy-analytics query --list`; or --realm NAME", '`strategy-analytics query --list`; or realm="NAME"'),
    ],
)
def test_who_reads_an_error_in_python_reads_python(flags: str, python: str) -> None:
    error = UsageError("no", hint=flags)
    assert (error.hint, str(error)) == (python, f"no\n  {python}")
    with errors.read_by_command():
        assert (error.hint, str(error)) == (flags, f"no\n  {flags}")
    assert error.hint == python


def test_the_names_that_an_error_speaks_of_are_parameters() -> None:
    calls = [getattr(analytics, name) for name in analytics.__all__ if inspect.isfunction(getattr(analytics, name))]
    known = {name for call in (*calls, OpenLake.estimate) for name in inspect.signature(call).parameters}
    options = errors._TRUTHS | errors._NUMBERS | errors._TEXTS
    said = {errors._OTHERWISE.get(option, option.replace("-", "_")) for option in options}
    assert said <= known


def test_an_error_of_a_command_speaks_of_its_options(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--lake", str(lake.root), "--since", "2026-07-09", "--until", "2026-07-08"]
    assert main(["report", "post_mortem", "--realm", "acme-cycling", "--family", "Speed bonus", *words]) == 2
    assert "--since 2026-07-08 --until 2026-07-09" in capsys.readouterr().err
    assert main(["query", "select $a", "--all-realms", "--lake", str(lake.root)]) == 3
    told = capsys.readouterr().err
    assert "--param a=…" in told and "lake.sql" not in told
    with pytest.raises(UsageError, match='since="2026-07-08"'):
        analytics.post_mortem(lake.root, family="Speed bonus", since="2026-07-09", until="2026-07-08")
