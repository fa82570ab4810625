"""Whoever sees one tenant sees no other, nor the disk, nor the network, and writes nothing: by construction, not by manners."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import sql
from analytics.cli import main
from analytics.errors import AnalyticsError, QueryError, UnknownNameError
from analytics.extraction.privacy.policy import Policy
from analytics.lake.lake import Lake, realm_directory
from analytics.model import Partition
from analytics.operations.erase import erase
from analytics.reports.explore.open_lake import open_lake
from analytics.reports.render.publish_folder import folder_name
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table

A, B = "acme", "zebra"
_TEXTS = (
    "strategyId", "strategyType", "externalGameId", "externalTaskId", "externalUserId", "oauth_user_id", "errorCode", "caseName",
    "parentStrategyId", "notes",
)  # fmt: skip


def mark(realm: str, place: str) -> str:
    """Letters that stand nowhere else."""
    return f"mk{zlib.crc32(f'{realm} {place}'.encode()):08x}x{realm}"


def _fill(table: Table, realm: str) -> None:
    """Three days of runs of two versions of a strategy, every text a mark of the realm."""
    program = {"rules": [{"id": mark(realm, "rule"), "when": {"type": "literal", "value": True}, "then": []}]}
    strategies = []
    for version in (1, 2):
        [(found,)] = table.execute(
            'insert into strategydefinition (id, "realmId", name, description, "createdBy", "experimentTag", type, "astJson", '
            "version, status) values (gen_random_uuid(), %s, %s, %s, %s, %s, 'DSL_FULL', %s, %s, 'PUBLISHED') returning id::text",
            [realm, *(mark(realm, place) for place in ("family", "about", "author", "tag")), json.dumps(program), version],
        )  # fmt: skip
        strategies.append(found)
    with table.at_once() as rows:
        for number in range(60):
            texts: dict[str, Any] = {
                name: mark(realm, name) for name in _TEXTS if name not in ("errorCode", "strategyType")
            }
            rows.insert(
                **texts
                | {
                    "realmId": realm,
                    "strategyId": strategies[number % 2],
                    "strategyVersion": 1 + number % 2,
                    "created_at": f"2026-07-0{7 + number % 3} {number % 24:02d}:10:00+00",
                    "points": 5 + number % 7,
                    "trace": json.dumps(
                        [
                            {"nodeId": mark(realm, "node"), "type": mark(realm, "type"), "value": mark(realm, "value")},
                            {
                                "nodeId": mark(realm, "rule"),
                                "type": "rule",
                                "value": {mark(realm, "key"): 1},
                                "branch": "match",
                            },
                        ]
                    ),
                }
            )
    table.insert(
        realmId=realm,
        status="error",
        errorCode=mark(realm, "error"),
        trace="null",
        sampled=False,
        strategyId=strategies[0],
    )


class Folder:
    """A lake of two realms, and what a reader of one must not meet."""

    def __init__(self, table: Table, root: Path) -> None:
        self.lake = Lake(root / "lake")
        for realm in (A, B):
            _fill(table, realm)
        table.extract(self.lake)
        erase(self.lake, "nobody-at-all-1", Policy())  # a tombstone and its secret
        places = (*_TEXTS, "family", "about", "author", "tag", "rule", "node", "type", "value", "key", "error")
        self.marks = {mark(B, place) for place in places} | {realm_directory(B)}

    def told(self, said: object) -> list[str]:
        """Marks of B in something that was said, or in what it shows."""
        text = said if isinstance(said, str) else repr(said)
        return sorted(found for found in self.marks if found in text)

    def files(self) -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in self.lake.root.rglob("*")}


@pytest.fixture(scope="module")
def two(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(module_table, tmp_path_factory.mktemp("tenants"))


def attacks(two: Folder, other: str) -> list[str]:
    """What somebody might type who wants more than they were given; ``other`` is a file of B."""
    root, outside = two.lake.root, two.lake.root.parent
    return [
        f"from read_parquet('{other}')",
        f"from '{other}'",
        f"from read_parquet(['{other}'], hive_partitioning = true)",
        f"from read_parquet('{root}/executions/*/*/*.parquet')",
        f"from read_parquet('{root}/executions/{realm_directory(A)}/../{realm_directory(B)}/day=2026-07-07/part.parquet')",
        f"from glob('{root}/**')",
        f"from glob('{root}/executions/*')",
        f"from parquet_metadata('{other}')",
        f"from parquet_schema('{other}')",
        f"from parquet_kv_metadata('{other}')",
        f"from read_text('{root}/ledger/day=2026-07-07.json')",
        f"from read_json('{root}/ledger/*.json')",
        f"from read_blob('{root}/erased/own-key')",
        f"from read_text('{root}/erased/*.json')",
        "from read_text('/etc/passwd')",
        "from read_csv('/etc/passwd')",
        "from sniff_csv('/etc/passwd')",
        "from read_text('/proc/self/environ')",
        "from 'https://example.com/x.parquet'",
        "from read_parquet('s3://bucket/x.parquet')",
        "from query('from read_text(''/etc/passwd'')')",
        f"from query_table('{other}')",
        "select getenv('HOME')",
        "from two", "from attacks", "from os", "from table",
        f"copy (select 1) to '{outside}/stolen.parquet'",
        f"copy executions to '{root}/executions/{realm_directory(A)}/day=2026-07-07/part.parquet'",
        f"explain analyze copy (select 1) to '{root}/executions/{realm_directory(A)}/new.parquet'",
        f"/* x */ explain (analyze) copy (select 1) to '{root}/executions/{realm_directory(A)}/new.parquet'",
        f"EXPLAIN -- x\n ANALYZE\n COPY (select 1) TO '{root}/executions/{realm_directory(A)}/new.parquet'",
        f"select 1; copy (select 1) to '{outside}/stolen.parquet'",
        f"attach '{outside}/stolen.db'",
        f"attach '{other}' as b",
        "install httpfs", "load httpfs", "load postgres",
        "set enable_external_access = true", "set allowed_directories = ['/']", "reset lock_configuration",
        "set variable executions_files = ['x']", "set variable realms_in_sight = null",
        "pragma enable_object_cache", "call pragma_version()", "checkpoint", "vacuum", "export database 'x'",
        "create table x as select 1", "create or replace view executions as select 1", "drop view executions",
        "insert into ledger_rows select 1", "update ledger_rows set realm_id = 'x'", "delete from ledger_rows",
        "create secret (type s3)", "prepare x as select 1", "use files", "begin",
        "with x as (insert into ledger_rows select 1) from x",
        "from duckdb_variables()", "from duckdb_views()", "from duckdb_tables()", "from duckdb_settings()",
        "from duckdb_secrets()", "from duckdb_databases()", "from duckdb_logs()", "from duckdb_temporary_files()",
        "from files.executions", "from files.node_days", "from files.definitions", "from ledger_rows", "show all tables",
        "select current_setting('allowed_directories'), getvariable('executions_files')",
        "summarize executions", "describe executions", "explain from executions", "explain analyze from executions",
    ]  # fmt: skip


@pytest.mark.parametrize("is_scoped", [True, False], ids=["one tenant", "all"])
def test_nothing_that_is_typed_reads_other_tenants_the_disk_or_the_network_or_writes(
    two: Folder, is_scoped: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    other = str(two.lake.path("executions", Partition(B, date(2026, 7, 7))))
    opened = open_lake(two.lake.root, realm=A if is_scoped else ())
    before, answered = two.files(), []
    for attack in attacks(two, other):
        try:
            answer = str(opened.sql(attack).fetchall())
        except (QueryError, duckdb.Error) as error:
            answer = f"{error} {getattr(error, 'hint', '')}"
            for typed in (attack, other, realm_directory(B)):
                answer = answer.replace(typed, "")
        else:
            answered.append(attack)
        assert not any(
            text in answer for text in ("root:x:", "PATH=", (two.lake.root / "erased" / "own-key").read_text().strip())
        )
        if is_scoped:
            assert two.told(answer) == [], attack
    assert two.files() == before
    assert list(tmp_path.iterdir()) == []
    may = (
        "from duckdb_",
        "from files.",
        "from ledger_rows",
        "select current_setting",
        "summarize",
        "describe",
        "explain",
        "show",
    )
    reads = (
        ("from read_parquet", "from 'x", "from parquet_", "from glob", f"from '{other}'", "from query_table")
        if not is_scoped
        else ()
    )
    assert [attack for attack in answered if not attack.startswith((*may, *reads))] == []
    assert opened.sql("select count(*) from executions").fetchall() == [(61 if is_scoped else 122,)]


def test_a_link_into_another_tenants_folder_is_not_followed(two: Folder, tmp_path: Path) -> None:
    copy = Lake(shutil.copytree(two.lake.root, tmp_path / "lake"))
    mine, theirs = (copy.path("executions", Partition(realm, date(2026, 7, 7))) for realm in (A, B))
    mine.unlink()
    mine.symlink_to(theirs)
    with pytest.raises(AnalyticsError) as refused:
        Warehouse(copy, realms=[A]).sql("from executions").fetchall()
    assert not two.told(f"{refused.value.message} {refused.value.hint}")


def test_a_file_in_the_wrong_folder_does_not_show_another_tenants_rows(two: Folder, tmp_path: Path) -> None:
    copy = Lake(shutil.copytree(two.lake.root, tmp_path / "lake"))
    for table in ("executions", "node_days"):
        mine, theirs = (copy.path(table, Partition(realm, date(2026, 7, 7))) for realm in (A, B))
        shutil.copy(theirs, mine)
    shutil.copy(copy.realm_path("definitions", B), copy.realm_path("definitions", A))
    opened = Warehouse(copy, realms=[A])
    assert [view for view in VIEWS if two.told(opened.sql(f"from {view}").fetchall())] == []


def test_the_disk_is_left_as_it_was_when_a_lake_is_closed(
    two: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = Warehouse(two.lake)
    [folder] = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert opened.sql("select current_setting('temp_directory')").fetchall() == [(str(folder),)]
    del opened
    assert list(tmp_path.iterdir()) == []


# ---- canaries ------------------------------------------------------------------------------------------------------


def _asked(opened: Warehouse) -> Iterator[tuple[str, object]]:
    """Everything the library says of what is in sight."""
    yield "repr", repr(opened)
    yield "realms", opened.realms
    yield "describe", opened.describe().to_dict()
    yield "check", opened.check()
    for view in VIEWS:
        yield f"describe {view}", opened.describe(view).to_dict()
        yield view, opened.sql(f"from {view}").fetchall()
    for name in sql.names("queries"):
        values = {"since": "2026-07-07", "until": "2026-07-10", "family": mark(A, "family"), "points": 5, "days": 3}
        chosen = {key: value for key, value in values.items() if key in sql.parameters(sql.text("queries", name))}
        yield name, opened.run(name, **chosen).to_dict()


def _everything_in(folder: Path) -> str:
    texts = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            texts.append(str(pq.ParquetFile(path).read().to_pylist()))
        elif path.is_file():
            texts.append(path.read_bytes().decode("utf-8", "replace"))
        texts.append(str(path.relative_to(folder)))
    return "\n".join(texts)


def test_the_library_for_one_tenant_knows_nothing_of_another(two: Folder) -> None:
    opened = open_lake(two.lake.root, realm=A)
    told = {what: found for what, said in _asked(opened) if (found := two.told(said))}
    assert told == {}
    assert mark(A, "value") in str(opened.sql("from nodes").fetchall())
    # and the same eyes find the marks where the scope is gone
    wide = {what for what, said in _asked(open_lake(two.lake.root)) if two.told(said)}
    assert wide >= {"executions", "nodes", "definitions", "strategy_days", "strategy_summary"}
    with pytest.raises(UnknownNameError) as refused:
        open_lake(two.lake.root, realm="acne")
    assert B not in f"{refused.value.message} {refused.value.hint}"


def _commands(two: Folder, out: Path) -> list[list[str]]:
    lake = ["--lake", str(two.lake.root)]
    window = ["--since", "2026-07-07", "--until", "2026-07-10"]
    [[run]] = (
        Warehouse(two.lake, realms=[A]).sql("select max(execution_id) from executions where status = 'ok'").fetchall()
    )
    realm = ["--realm", A]
    return [
        *(["query", f"from {view}", "--format", "json", *realm, *lake] for view in VIEWS),
        ["query", "from executions", "--format", "csv", "--out", str(out / "rows.csv"), *realm, *lake],
        ["query", "from nodes", "--format", "parquet", "--out", str(out / "rows.parquet"), *realm, *lake],
        ["query", "from nowhere", *realm, *lake],
        ["query", "--name", "strategy_summary", *window, *realm, *lake],
        ["query", "--list", *realm, *lake],
        ["export", "nodes", "--out", str(out / "flat"), *realm, *lake],
        ["check", *realm, *lake],
        ["audit", *window, *realm, *lake],
        ["explain", run, *realm, *lake],
        ["explain", run, "--json", *realm, *lake],
        ["explain", run, "--html", str(out / "run.html"), *realm, *lake],
        ["explain", "ffff0000", *realm, *lake],
        ["report", "runaway_rules", *window, "--out", str(out / "reports"), *realm, *lake],
        ["report", "post_mortem", "--family", mark(A, "family"), *window, "--out", str(out / "reports"), *realm, *lake],
        ["report", "post_mortem", "--family", mark(A, "famil"), *window, "--out", str(out / "reports"), *realm, *lake],
    ]


def test_no_command_for_one_tenant_says_or_writes_anything_of_another(
    two: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "out").mkdir()
    codes = []
    for words in _commands(two, tmp_path / "out"):
        codes.append((words[0], main(words)))
        said = capfd.readouterr()
        assert two.told(said.out) == [], words
        assert two.told(said.err) == [], words
    assert len([code for _, code in codes if code == 0]) >= len(VIEWS) + 9, codes
    found = _everything_in(tmp_path)
    assert two.told(found) == []
    assert mark(A, "value") in found
    assert sum(path.suffix == ".html" for path in (tmp_path / "out").rglob("*")) >= 3


def test_a_report_that_opens_the_whole_lake_is_found_out(
    two: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The planted defect: the scope is forgotten."""
    real = Warehouse.__init__

    def unscoped(self: Warehouse, lake: Lake, **options: Any) -> None:
        real(self, lake, **options | {"realms": None})

    monkeypatch.setattr(Warehouse, "__init__", unscoped)
    (tmp_path / "out").mkdir()
    found = set()
    for words in _commands(two, tmp_path / "out"):
        if words[0] in ("query", "export"):
            with contextlib.suppress(AnalyticsError):
                main(words)
            if two.told(capfd.readouterr().out):
                found.add(words[1])
    assert found >= {"from executions", "from nodes", "from definitions"}
    assert two.told(_everything_in(tmp_path / "out"))


# ---- one tenant or all, which has to be said -----------------------------------------------------------------------

_WINDOW = ("--since", "2026-07-07", "--until", "2026-07-10")
_SHOWING = {
    "query": ("query", "select count(*) from executions"),
    "named query": ("query", "--name", "strategy_summary", *_WINDOW),
    "status": ("status",),
    "check": ("check",),
    "audit": ("audit", *_WINDOW),
    "export": ("export", "nodes", "--out", "flat"),
    "report": ("report", "runaway_rules", *_WINDOW, "--out", "reports"),
}


@pytest.mark.parametrize("words", _SHOWING.values(), ids=_SHOWING)
def test_several_tenants_are_shown_side_by_side_only_when_that_is_said(
    two: Folder,
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = ("--lake", str(two.lake.root))
    assert main([*words, *lake]) == 2
    said = capsys.readouterr()
    assert "2 realms" in said.err
    assert "--all-realms" in said.err
    assert not {A, B} & set(said.err.split())
    assert main([*words, *lake, "--realm", A, "--all-realms"]) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("choice", [("--realm", A), ("--all-realms",)], ids=["one", "all"])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=name, marks=[pytest.mark.long] if name == "report" else [])
        for name, words in _SHOWING.items()
    ],
)
def test_one_tenant_or_all_of_them_are_shown_when_that_is_said(
    two: Folder, words: tuple[str, ...], choice: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--lake", str(two.lake.root), *choice]) == 0


def test_a_lake_of_one_tenant_needs_no_word_and_a_definition_gives_its_own(
    two: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    one = Lake(shutil.copytree(two.lake.root, tmp_path / "one"))
    for record in [one.recorded(day) for day in one.recorded_days()]:
        assert record is not None
        one.record(replace(record, partitions={A: record.partitions[A]}))
    for table in ("executions", "node_days", "definitions", "definition_nodes"):
        shutil.rmtree(one.root / table / realm_directory(B))
    assert main(["query", "from executions", "--lake", str(one.root)]) == 0
    assert main(["status", "--lake", str(one.root)]) == 0
    definition = tmp_path / "mine.toml"
    definition.write_text('notebook = "runaway_rules"\nwindow = "yesterday"\n')
    words = ["report", "run", str(definition), "--lake", str(two.lake.root), "--as-of", "2026-07-10"]
    capsys.readouterr()
    assert main(words) == 2
    assert 'realms = "all"' in capsys.readouterr().err


# ---- names ---------------------------------------------------------------------------------------------------------

_PARTS = [
    "..", ".", "/", "\\", "=", "%", "~", "*", "?", "[", "'", '"', ";", "--", "<script>", "&amp;", "\n", "\r", "\t", "\x1b[2J",
    "\x7f", "\u202e", "\u200b", "é", "e\u0301", "İ", "ß", "ſ", "K", "k", "realm=", "day=2026-07-07", "null", "NULL", "007", "7",
    "__HIVE_DEFAULT_PARTITION__", "__hive_default_partition__", "part.parquet", "1e3", "true", " ", "CON", "~many", "%2F", "$1",
    "{}", "\ufeff", "😀", "a" * 300, "x" * 10_000,
]  # fmt: skip
_NAMES = st.one_of(
    st.lists(st.sampled_from(_PARTS), min_size=0, max_size=4).map("".join),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
)
_ROUND = 25


@pytest.mark.long
def test_a_thousand_names_of_tenants_stay_in_their_folders(tmp_path: Path, module_table: Table) -> None:
    _names_round_trip(tmp_path, module_table, 1000 // _ROUND)


def test_names_of_tenants_stay_in_their_folders(tmp_path: Path, module_table: Table) -> None:
    _names_round_trip(tmp_path, module_table, 2)


def _names_round_trip(folder: Path, table: Table, rounds: int) -> None:
    """From the log table through the lake to DuckDB, pyarrow and the folders of reports."""
    numbers = itertools.count()

    @settings(max_examples=rounds, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(_NAMES, min_size=_ROUND, max_size=_ROUND, unique=True))
    def one_round(names: list[str]) -> None:
        root = folder / str(next(numbers))
        lake = Lake(root / "lake")
        table.execute("delete from strategyexecutionlog")
        with table.at_once() as rows:
            for number, name in enumerate(names):
                rows.insert(realmId=name, externalUserId=f"u{number}")
        table.extract(lake)
        assert {path.name for path in root.iterdir()} == {"lake"}
        opened = Warehouse(lake)
        assert set(opened.sql("select realm_id, external_user_id from executions").fetchall()) == {
            (name, f"u{number}") for number, name in enumerate(names)
        }
        found = ds.dataset(lake.root / "executions", partitioning="hive", exclude_invalid_files=False).to_table(
            ["realm_id"]
        )
        assert sorted(found["realm_id"].to_pylist()) == sorted(names)
        for table_name in ("executions", "node_days"):
            folders = [path.name for path in (lake.root / table_name).iterdir()]
            assert len({name.casefold() for name in folders}) == len(folders) == len(names)
        for number, name in enumerate(names[:3]):
            assert Warehouse(lake, realms=[name]).sql("select external_user_id from executions").fetchall() == [
                (f"u{number}",)
            ]
        window = Window.parse("2026-07-07", "2026-07-09")
        reports = {folder_name("post_mortem", {"realm": name, "family": name}, window) for name in names}
        assert len(reports) == len(names)
        assert all(name == os.path.basename(name) and len(name) < 255 and name[0] not in ".-" for name in reports)  # noqa: PTH119
        shutil.rmtree(root)

    one_round()
