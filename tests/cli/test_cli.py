"""The command as a user types it: what comes on stdout, what on stderr, and the exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from analytics.cli import main
from analytics.cli import status as cli_status
from analytics.cli.extract import _line
from analytics.model import Partition

DAYS = ["--since", "2026-07-07", "--until", "2026-07-12"]


@pytest.fixture
def run(capsys):
    def call(*words):
        code = 0
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_without_words_it_shows_its_commands(run):
    code, out, _ = run()
    assert code == 0
    for verb in ("extract", "export", "status", "check", "query", "report", "demo"):
        assert verb in out


@pytest.mark.parametrize(
    ("words", "not_loaded"),
    [
        (["--version"], {"duckdb", "pandas", "pyarrow", "numpy", "rich", "analytics.config", "analytics.storage"}),
        (["--help"], {"duckdb", "pandas", "pyarrow", "numpy", "rich", "analytics.config", "analytics.cli.extract"}),
        (
            ["extract", "--help"],
            {"duckdb", "pandas", "pyarrow", "numpy", "rich", "analytics.config", "analytics.cli.query"},
        ),
        (["status", "--all-realms"], {"pandas", "pyarrow", "numpy", "scipy", "rich"}),
        (["query", "--all-realms", "from strategy_days limit 3"], {"pandas", "pyarrow", "numpy", "scipy"}),
        (["explain", "--all-realms", "A RUN"], {"pandas", "pyarrow", "numpy", "scipy", "rich"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_waits_for_no_library_that_it_does_not_need(lake, warehouse, words, not_loaded):
    [(run_id,)] = warehouse.sql("select max(execution_id) from executions where status = 'ok'").fetchall()
    words = [run_id if word == "A RUN" else word for word in words]
    code = (
        "import sys; from analytics.cli import main\n"
        f"try: main({words!r})\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ANALYTICS_LAKE": str(lake.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout
    assert not_loaded & set(done.stderr.split()) == set()


def test_a_process_that_renders_compiles_no_grammar_of_addresses():
    code = (
        "import sys; from analytics.reports.render.notebooks import skip_iri_grammar\n"
        "skip_iri_grammar()\n"
        "import nbformat\n"
        "assert not {'lark', 'rfc3987_syntax.syntax_helpers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_report_imports_no_client_of_a_store_for_its_notebook_and_no_formats_of_texts():
    code = (
        "import sys; from analytics.reports.render.notebooks import skip_unused\n"
        "skip_unused()\n"
        "import papermill, nbformat\n"
        "names = {'boto3', 'botocore', 'isoduration', 'arrow', 'webcolors'}\n"
        "assert not {name for name in names if sys.modules.get(name)}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_demo_is_not_made_where_a_lake_is(run, lake, tmp_path, monkeypatch):
    words = ["demo", "--lake-only", "--if-missing", "--out", tmp_path / "demo"]
    monkeypatch.setenv("ANALYTICS_LAKE", str(lake.root))
    assert run(*words) == (0, f"{lake.root}\n", f"lake: {lake.root}\n")
    monkeypatch.setenv("ANALYTICS_LAKE", str(tmp_path / "nowhere"))
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "ANALYTICS_LAKE names" in err
    assert not (tmp_path / "demo").exists()


def test_a_demo_is_made_for_the_lab_where_no_lake_is(run, server_folders, monkeypatch):
    folder = server_folders()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ANALYTICS_LAKE", raising=False)
    code, out, err = run("demo", "--lake-only", "--if-missing", "--runs", "2000", "--days", "2")
    assert (code, out) == (0, "demo/lake\n")
    assert "no lake yet: making one with invented data in demo/lake" in err
    assert not (folder / "reports").exists()
    assert run("demo", "--lake-only", "--if-missing")[2] == "lake: demo/lake\n"


def test_a_second_extraction_says_nothing_to_do(run, database_url, tmp_path):
    words = ["extract", *DAYS, "--lake", tmp_path / "lake", "--database-url", database_url, "--realm", "acme-cycling"]
    code, out, err = run(*words)
    assert (code, out) == (0, "")
    assert "acme-cycling · 2026-07-08" in err
    assert "sampling rate 0.05, the engine's default" in err
    code, _, err = run(*words, "--sample-rate", "0.05")
    assert code == 0
    assert "nothing to do" in err
    assert "sampling rate" not in err
    assert "partitions differ" not in err
    for said, much in (("-v", False), ("-vv", True)):
        code, out, err = run(*words, "--sample-rate", "0.05", said)
        assert (code, out) == (0, "")
        assert "extraction.job: 2026-07-0" in err and ": 0 partitions differ" in err
        assert ("source.source: the server gave 1 rows to identity in " in err) == much
    assert "partitions differ" not in run(*words, "--sample-rate", "0.05")[2]


def test_an_extraction_tells_the_journal_line_by_line_without_a_bar(database_url, tmp_path, monkeypatch):
    log = tmp_path / "stderr"
    with log.open("w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{log.stat().st_dev}:{log.stat().st_ino}")
        words = ["extract", *DAYS, "--lake", str(tmp_path / "lake"), "--database-url", database_url, "--no-realm"]
        assert main(words) == 0
    lines = log.read_text(encoding="utf-8").splitlines()
    assert {line[:3] for line in lines} == {"<5>", "<6>"}
    assert next(line for line in lines if "sampling rate 0.05, the engine's default" in line).startswith("<5>")
    # The days are over, and not called complete: who watches the lake must know why.
    assert any("not complete yet: 2026-07-07" in line for line in lines)
    assert any(line.startswith("<5>only the named realms were read") for line in lines)
    assert next(line for line in lines if "logged runs, " in line).startswith("<6>")
    assert not any("\x1b" in line or "\r" in line for line in lines)


def test_extract_gives_json_to_programs(run, database_url, tmp_path):
    code, out, _ = run(
        "extract", *DAYS, "--lake", tmp_path / "lake", "--database-url", database_url, "--no-realm", "--json"
    )
    facts = json.loads(out)
    assert code == 0
    assert {part["realm_id"] for part in facts["partitions_written"]} == {None}
    assert facts["sample_rates"] == [0.05]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["extract", "--since", "soon"], 2, "is no date"),
        (["extract", "--since", "2026-07-08", "--until", "2026-07-08"], 2, "the window is empty"),
        (["extract", "--since", "2026-07-08 09:30"], 2, "whole UTC days"),
        (["extract", "--sample-rate", "5"], 2, "from 0 to 1"),
        (
            ["extract", "--database-url", "postgresql://nobody@127.0.0.1:1/none", "--retries", "0"],
            3,
            "check host, port",
        ),
        (["extract", "--retries", "-1"], 2, "--retries 5"),
        (["report", "runaway_rules", "--realm", "", "--since", "2026-07-08"], 2, "the realm is empty"),
        (["report", "runaway_rules", "--set", "realm=", "--since", "2026-07-08"], 2, "the realm is empty"),
        (["extract", "--patience", "long"], 2, "--patience 24h"),
        (["extract", "--database-url", "mysql://x/y"], 3, "PostgreSQL"),
        (["status", "--lake", "no-such-folder"], 3, "strategy-analytics demo"),
        (["query"], 2, "either a statement"),
        (["query", "--name", "nope"], 2, "there is no query named"),
        (["frobnicate"], 2, "invalid choice"),
        (["report", "post_mortem", "--realm", "a", "--no-realm"], 2, "either --realm or --no-realm"),
    ],
)
def test_errors_say_what_to_do_and_have_their_code(run, warehouse, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    if words[0] == "query":
        monkeypatch.setenv("ANALYTICS_LAKE", str(warehouse.lake.root))
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_a_bad_statement_is_one_readable_error(run, lake):
    code, _, err = run("query", "--all-realms", "--lake", lake.root, "select nothing from nowhere")
    assert code == 3
    assert "nowhere" in err
    assert "Traceback" not in err


def test_every_format_holds_the_same_rows(run, lake, warehouse, tmp_path):
    query = "select realm_id, count(*) as n from executions group by all order by realm_id nulls last"
    expected = warehouse.connection.execute(query).fetchall()
    _, out, _ = run("query", "--all-realms", "--lake", lake.root, query, "--format", "json")
    assert [(row["realm_id"], row["n"]) for row in json.loads(out)] == expected
    _, out, _ = run("query", "--all-realms", "--lake", lake.root, query, "--format", "csv", "--raw")
    rows = list(csv.reader(io.StringIO(out)))
    assert [(realm or None, int(n)) for realm, n in rows[1:]] == [(realm or None, n) for realm, n in expected]
    run("query", "--all-realms", "--lake", lake.root, query, "--format", "parquet", "--out", tmp_path / "out.parquet")
    assert [tuple(row.values()) for row in pq.read_table(tmp_path / "out.parquet").to_pylist()] == expected
    _, out, _ = run("query", "--all-realms", "--lake", lake.root, query)
    assert "acme-cycling" in out


def test_realm_scopes_every_view(run, lake):
    _, out, _ = run(
        "query",
        "--lake",
        lake.root,
        "--realm",
        "acme-cycling",
        "select distinct realm_id from nodes",
        "--format",
        "json",
    )
    assert json.loads(out) == [{"realm_id": "acme-cycling"}]


def test_parameters_are_bound_as_values(run, lake):
    hostile = "x'; drop view executions; --"
    words = [
        "query",
        "--all-realms",
        "--lake",
        lake.root,
        "--name",
        "failures",
        *DAYS,
        "--param",
        f"family={hostile}",
        "--format",
        "json",
    ]
    code, out, _ = run(*words)
    assert (code, json.loads(out)) == (0, [])


def test_a_table_cannot_move_the_cursor(run, lake):
    _, out, _ = run("query", "--all-realms", "--lake", lake.root, r"select 'a' || chr(27) || '[2J' || chr(8238) as x")
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_status_knows_complete_and_missing_days_and_how_old_the_lake_is(run, database_url, tmp_path, monkeypatch):
    lake = tmp_path / "lake"
    for since, until in (("2026-07-07", "2026-07-08"), ("2026-07-09", "2026-07-10")):
        run("extract", "--since", since, "--until", until, "--lake", lake, "--database-url", database_url)
    code, out, _ = run("status", "--all-realms", "--lake", lake, "--json")
    cells = json.loads(out)
    states = {(cell["realm_id"], cell["day"]): cell["state"] for cell in cells}
    assert code == 0
    # A heartbeat: 9 July is complete, whenever that was extracted.
    assert run("status", "--all-realms", "--lake", lake, "--max-age", "1h")[0] == 1
    now = datetime(2026, 7, 11, 3, tzinfo=UTC)
    monkeypatch.setattr(cli_status, "datetime", SimpleNamespace(now=lambda _: now))
    assert run("status", "--all-realms", "--lake", lake, "--max-age", "27h")[0] == 0
    code, _, err = run("status", "--all-realms", "--lake", lake, "--max-age", "26h", "--json")
    assert code == 1 and "older than --max-age allows" in err and "doctor" in err
    assert run("status", "--all-realms", "--lake", lake, "--max-age", "26")[0] == 2
    assert states["acme-cycling", "2026-07-07"] == "complete"
    assert states["acme-cycling", "2026-07-08"] == "missing"
    [part] = lake.glob("executions/realm=acme-cycling/day=2026-07-09/part.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    _, out, _ = run("status", "--all-realms", "--lake", lake, "--json")
    states = {(cell["realm_id"], cell["day"]): cell["state"] for cell in json.loads(out)}
    assert states["acme-cycling", "2026-07-09"] == "stale"
    _, out, _ = run("status", "--all-realms", "--lake", lake)
    assert "● complete" in out


def test_check_passes_on_the_demo_and_names_its_odd_rows(run, lake):
    code, out, _ = run("check", "--all-realms", "--lake", lake.root)
    assert code == 0
    assert "ok       execution_ids_unique" in out
    assert "warning  status_known" in out


def test_export_writes_every_trace_entry_as_a_row(run, lake, warehouse, tmp_path):
    code, out, _ = run("export", "nodes", "--all-realms", "--lake", lake.root, "--out", tmp_path / "flat")
    assert code == 0
    assert out.strip() == str(tmp_path / "flat")
    # pandas and pyarrow read nothing of a folder whose key is also a column of another type.
    read = ds.dataset(tmp_path / "flat" / "nodes", partitioning="hive").to_table(columns=["day", "realm"]).to_pandas()
    days = warehouse.connection.execute("select distinct day::varchar from nodes where day is not null").fetchall()
    assert {(day,) for day in read["day"].dropna()} == set(days)
    of_one = pd.read_parquet(tmp_path / "flat" / "nodes" / "realm=acme-cycling")
    assert len(of_one) == (read["realm"] == "acme-cycling").sum() > 0
    rows = len(read)
    assert [(rows,)] == warehouse.connection.execute("select sum(len(trace)) from executions").fetchall()
    assert run("export", "nodes", "--all-realms", "--lake", lake.root, "--out", tmp_path / "flat")[0] == 3


def test_reading_finds_the_demos_lake_when_none_is_named(run, lake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANALYTICS_LAKE", raising=False)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/lake").symlink_to(lake.root)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")  # where a notebook's kernel stands
    code, out, _ = run("query", "--all-realms", "select count(*) > 0 as found from executions", "--format", "json")
    assert (code, json.loads(out)) == (0, [{"found": True}])


@pytest.mark.parametrize(
    "words",
    [
        ("check", "--all-realms"),
        ("pseudonym", "u1"),
        ("erase", "--user", "u1"),
        ("expire", "--older-than", "30d"),
        ("status", "--all-realms"),
        ("query", "from executions", "--all-realms"),
    ],
    ids=lambda words: words[0],
)
def test_a_folder_that_is_no_lake_is_not_an_empty_one(run, tmp_path, words):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"\xff\xd8")
    code, out, err = run(*words, "--lake", folder)
    assert (code, out) == (3, "")
    assert f"there is no lake in {folder}: the folder is there, and holds neither ledger nor executions" in err
    assert [path.name for path in folder.iterdir()] == ["holiday.jpg"]


def test_a_lake_that_lost_its_ledger_is_not_called_empty(run, lake, tmp_path):
    shutil.copytree(lake.root / "executions", tmp_path / "lake" / "executions")
    code, _, err = run("status", "--all-realms", "--lake", tmp_path / "lake")
    assert code == 0
    assert "the ledger is lost: " in err


@pytest.mark.parametrize(
    "words", [["report", "run", "reports/nightly.toml"], ["report", "runaway_rules", "--all-realms"]]
)
def test_a_report_that_may_reserve_too_few_addresses_is_refused_before_the_c_library_ends_it(words):
    script = f'ulimit -v 900000; exec "{sys.executable}" -m analytics {" ".join(words)}'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "may reserve 0.9 GB of addresses here (ulimit -v), and a report needs 2.5 GB" in done.stderr
    assert "ulimit -v unlimited" in done.stderr
    assert done.stdout == ""


def test_a_line_of_progress_counts_one_as_one_and_a_long_name_does_not_fill_lines(capsys):
    info = SimpleNamespace(
        partition=Partition("x" * 300, date(2026, 7, 8)), row_count=1, trace_entries=1, file_bytes=4096
    )
    _line(SimpleNamespace(written=info))
    said = capsys.readouterr().err
    assert said.endswith("x · 2026-07-08: 1 logged run, 1 trace entry, 4 kB\n") and len(said) < 140
