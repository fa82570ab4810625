"""What a cell and a terminal show of a lake: whole, true, and nobody's text but as text."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from markupsafe import escape
from nbclient import NotebookClient

import analytics
from analytics import sql
from analytics.errors import QueryError, UnknownNameError, UsageError, did_you_mean
from analytics.lake.lake import Lake
from analytics.reports.explore import open_lake as open_lake_module
from analytics.reports.explore import results
from analytics.reports.explore.lake_folder import find_lake
from analytics.reports.explore.open_lake import OpenLake, card
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
    assert find_lake("mine") == Path("mine")  # what a caller names is meant as it is


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
    assert list(opened.describe("failures")["parameter"]) == ["since", "until", "family"]
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
        "select execution_id::text from executions join definitions using (strategy_id, strategy_version) "
        "where family_name = 'Speed bonus' and executions.status = 'ok' and strategy_version <> 2 order by 1 limit 1"
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
    ("line", "names"),
    [
        ('lake.run("fail', ["failures"]),
        ("x = lake.describe('strat", ["strategy_days"]),
        ('lake.run("failures", si', ["since="]),
        ('lake.run("failures", since="2026-07-01", fam', ["family="]),
        ('lake.run("nothing", si', []),
        ("print(1", []),
    ],
)
def test_names_are_completed(line: str, names: list[str]) -> None:
    assert results.complete_names(line) == names


def test_a_kernel_shows_tables_completes_names_and_errors_are_a_paragraph(lake: Lake) -> None:
    cells = [
        f"import analytics\nlake = analytics.open_lake({str(lake.root)!r})\nlake",
        "lake.sql(\"select '<b>' as a\")",
        'x = 1\nlake.sql("select famly_name from strategy_days")',
        "lake.run('failure')",
        "get_ipython().Completer.complete(line_buffer='lake.run(\"failu', cursor_pos=15)[1]",
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
    assert "failures" in completed.data["text/plain"]


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
        (lambda lake: lake.run("failures", since="x"), QueryError, "since: timestamptz"),
        (lambda lake: lake.describe("strategy"), UnknownNameError, "did you mean 'strategy_days'?"),
        (lambda lake: analytics.open_lake(lake, realm="acme-cyclin"), UnknownNameError, "status --all-realms` lists them"),
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
