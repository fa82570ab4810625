"""The files: names that no realm can break, whole partitions only, and a view of one tenant that holds no other."""

from __future__ import annotations

import errno
import itertools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics.cli import main
from analytics.errors import LakeError, LakeLockedError, UnknownNameError
from analytics.lake import foreign_files
from analytics.lake.lake import Lake, day_directory, realm_directory
from analytics.model import Partition
from analytics.reports.explore.open_lake import open_lake
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.warehouse import Warehouse
from tests.fewer import examples, one_in

if TYPE_CHECKING:
    from tests.conftest import Table

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=120)
HOSTILE = st.sampled_from(
    [
        "", ".", "..", "../..", "/", "a/b", "=", "x=y", "%", "%2F", "%2f", "%252F", "~", "a~b", "hive-null~",
        "__HIVE_DEFAULT_PARTITION__", "__hive_default_partition__", "NULL", "null", "None", "nan", "true", "007", "1e3",
        "2026-07-08", "Acme", "acme", "ACME", "İ", "i", "ß", "SS", "caf\u00e9", "cafe\u0301", " ", "a ", " a", "a.", "CON",
        "x" * 249, "x" * 250, "Ω" * 41, "Ω" * 42, "🎈" * 30, "\n", "\\", '"', "'", "*", "?", "[a]", "{a}", "$HOME", "-rf",
    ]
)  # fmt: skip
REALM = st.none() | TEXT | HOSTILE | st.builds(lambda text, n: (text or "x") * n, TEXT, st.integers(1, 60))
DAY = date(2026, 7, 8)


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.more
@settings(max_examples=examples(100), deadline=None)
@given(REALM)
def test_a_realms_folder_is_one_short_plain_name_below_the_lake(realm: str | None) -> None:
    name = realm_directory(realm)
    assert name.startswith("realm=")
    assert len(name.encode()) <= 255
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set("/\\\0 *?[]{}\"'")
    path = Lake("/lake").path("executions", Partition(realm, DAY))
    assert path.parts[:3] == ("/", "lake", "executions")
    assert len(path.parts) == 6
    assert ".." not in path.parts


@pytest.mark.more
@settings(max_examples=examples(100), deadline=None)
@given(REALM, REALM)
@example("Acme", "acme")
@example("ACME", "Acme")
@example("caf\u00e9", "cafe\u0301")
@example(None, "__HIVE_DEFAULT_PARTITION__")
@example("", None)
@example(None, "__hive_default_partition__")
@example("/", "%2F")
@example("%2f", "%2F")
@example("x" * 300, "x" * 301)
@example("Ω" * 100, "ω" * 100)
@example("K", "\u212a")  # the Kelvin sign's lower case is k
def test_two_realms_never_share_a_folder_even_where_names_ignore_case(one: str | None, two: str | None) -> None:
    assert (realm_directory(one).casefold() == realm_directory(two).casefold()) == (one == two)


@pytest.mark.more
@settings(max_examples=examples(100), deadline=None)
@given(REALM)
def test_a_folder_that_is_not_shortened_names_its_realm(realm: str | None) -> None:
    name = realm_directory(realm)
    if "~" not in name:
        value = name.removeprefix("realm=")
        assert (None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)) == realm
    else:  # a shortened name is needed only where no other would do
        assert str(realm).casefold() in ("", "__hive_default_partition__") or len(str(realm).encode()) > 80


def test_duckdb_and_pyarrow_read_the_folder_names_back_as_the_same_strings(tmp_path: Path) -> None:
    realms = [
        None,
        "007",
        "a/b",
        "x=y",
        "%2F",
        "..",
        "Acme",
        "acme",
        "2025-01-01",
        "1e3",
        "true",
        "nan",
        "null",
        "NULL",
    ]
    realms += [
        "Null",
        "",
        "__HIVE_DEFAULT_PARTITION__",
        'it\'s "quoted"',
        "two\nlines",
        "🎈🎉",
        " padded ",
        "back\\slash",
    ]
    realms += ["caf\u00e9", "cafe\u0301", "~", "+", "a+b", "&", "100%", "x" * 300]
    for realm in realms:
        path = tmp_path / realm_directory(realm) / day_directory(DAY) / "part.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"realm_id": pa.array([realm], pa.string())}), path)
    files = sorted(str(path) for path in tmp_path.rglob("*.parquet"))
    assert len(files) == len(realms)
    by_duckdb = duckdb.execute(
        "select realm_id, realm, day from read_parquet($1, hive_partitioning = true, "
        "hive_types = {'realm': varchar, 'day': date})",
        [files],
    ).fetchall()
    layout = ds.partitioning(pa.schema([("realm", pa.string()), ("day", pa.date32())]), flavor="hive")
    by_arrow = [
        (row["realm_id"], row["realm"], row["day"])
        for row in ds.dataset(tmp_path, partitioning=layout).to_table().to_pylist()
    ]
    for found in (by_duckdb, by_arrow):
        assert sorted((row[0] for row in found), key=repr) == sorted(realms, key=repr)
        for inside, outside, day in found:
            assert day == DAY
            if "~" in realm_directory(inside):
                assert "~" in outside  # stands for it by a hash, and is nobody's name
            else:
                assert outside == inside


def test_the_rows_of_no_day_lie_in_hives_null_folder() -> None:
    assert day_directory(None) == "day=__HIVE_DEFAULT_PARTITION__"
    assert day_directory(date(1, 1, 1)) == "day=0001-01-01"


# ---- what other tools see --------------------------------------------------------------------------------------------


def test_a_bare_glob_by_duckdb_sees_every_row_once(database_url: str, lake: Lake) -> None:
    found = duckdb.execute(
        "select count(*), count(distinct execution_id) from read_parquet($1, hive_partitioning = false)",
        [f"{lake.root}/executions/**/*.parquet"],
    ).fetchall()
    with psycopg.connect(database_url) as connection:
        [(count,)] = connection.execute("select count(*) from strategyexecutionlog").fetchall()
    assert found == [(count, count)]


def test_a_bare_glob_sees_whole_partitions_only_while_files_are_replaced(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for realm in ("acme", "birch", "cedar"):
        for _ in range(3):
            table.insert(realmId=realm)
    table.extract(fresh)
    for realm in ("acme", "birch", "cedar"):
        table.insert(realmId=realm)
    seen: list[list[tuple[Any, ...]]] = []
    question = "select realm_id, count(*) from read_parquet($1, hive_partitioning = false) group by 1"
    real = Lake.replace

    one_at_a_time = threading.Lock()  # partitions may be replaced by several threads; a DuckDB connection serves one

    def look_and_replace(self: Lake, staged: Path, target: Path) -> None:
        with one_at_a_time, duckdb.connect() as reader:
            for moment in (0, 1):
                if moment:
                    real(self, staged, target)
                seen.extend(
                    reader.execute(question, [f"{fresh.root}/{pattern}"]).fetchall()
                    for pattern in ("executions/**/*.parquet", "executions/*/*/*.parquet")
                )
                every_file = reader.execute("select count(*) from glob($1)", [f"{fresh.root}/**/*.parquet"]).fetchall()
                assert every_file == [(6,)]

    monkeypatch.setattr(Lake, "replace", look_and_replace)
    table.extract(fresh)
    assert len(seen) > 12
    assert {count for rows in seen for _, count in rows} == {3, 4}
    assert all(len(rows) == 3 for rows in seen)


def test_the_lake_holds_nothing_but_tables_the_ledger_whose_it_is_and_the_lock(lake: Lake) -> None:
    names = {path.name for path in lake.root.iterdir()}
    assert names == {
        "executions",
        "node_days",
        "definitions",
        "definition_nodes",
        "ledger",
        "people.json",
        "source.json",
        ".lock",
    }
    assert {path.name for path in lake.root.rglob("*.parquet")} == {"part.parquet"}


def test_a_lake_can_be_moved(lake: Lake, tmp_path: Path) -> None:
    shutil.copytree(lake.root, tmp_path / "elsewhere")
    question = "select count(*) from executions"
    moved = Warehouse(Lake(tmp_path / "elsewhere"))
    assert moved.sql(question).fetchall() == Warehouse(lake).sql(question).fetchall()
    assert [result.name for result in moved.check() if not result.passed and result.severity == "error"] == []


def test_spark_could_read_every_column(lake: Lake) -> None:
    # no unsigned integers, no nanoseconds, no views, no dictionaries, no zones but UTC
    allowed = {"string", "int32", "int64", "double", "bool", "timestamp[us, tz=UTC]"}
    for name in lake.files("executions")[:1] + lake.files("node_days")[:1] + lake.files("definitions")[:1]:
        for field in pq.read_schema(name):
            kinds = [field.type]
            if pa.types.is_list(field.type):
                kinds = [field.type.value_type.field(number).type for number in range(field.type.value_type.num_fields)]
            assert {str(kind) for kind in kinds} <= allowed, field


# ---- one tenant's view -----------------------------------------------------------------------------------------------


def test_a_realms_warehouse_holds_no_row_of_another_in_any_view(database_url: str, lake: Lake) -> None:
    with psycopg.connect(database_url) as connection:
        expected = dict(
            connection.execute('select "realmId", count(*)::int from strategyexecutionlog group by 1').fetchall()
        )
    assert len(expected) > 25
    for realm, count in expected.items():
        scoped = open_lake(lake.root, realm=realm)
        assert scoped.realms == [realm]
        assert scoped.sql("select count(*)::int from executions").fetchall() == [(count,)]
        for view in VIEWS:
            found = scoped.sql(f"select distinct realm_id from {view}").fetchall()
            assert {row[0] for row in found} <= {realm}, view
    acme = open_lake(lake.root, realm="acme-cycling")
    assert [view for view in VIEWS if acme.sql(f"select count(*) from {view}").fetchall() == [(0,)]] == []


def test_several_realms_can_be_opened_together(lake: Lake) -> None:
    both = open_lake(lake.root, realm=["Acme", None])
    assert set(both.sql("select distinct realm_id from executions").fetchall()) == {("Acme",), (None,)}
    assert open_lake(lake.root).sql("select count(distinct realm_id) > 25 from executions").fetchall() == [(True,)]


@pytest.mark.parametrize("realm", ["nobody", "ACME", "acme' or 1=1 --", "../acme", "*", "acme/**"])
def test_an_unknown_realm_is_refused_by_name(lake: Lake, realm: str) -> None:
    with pytest.raises(UnknownNameError) as raised:
        open_lake(lake.root, realm=realm)
    assert raised.value.message == f"the lake holds nothing of realm {realm!r}"
    assert "acme-cycling" not in raised.value.hint  # whoever names one tenant is not told the others
    assert raised.value.realm == realm


def test_the_empty_realm_is_not_all_realms(lake: Lake) -> None:
    assert open_lake(lake.root, realm="").sql("select distinct realm_id from executions").fetchall() == [("",)]


# ---- no lake, empty lake ---------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_no_lake(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake in") as raised:
        open_lake(tmp_path / "nowhere")
    assert "strategy-analytics demo" in raised.value.hint
    assert not (tmp_path / "nowhere").exists()  # looking makes none


def test_an_empty_lake_has_every_view_with_the_same_columns_and_types(lake: Lake, tmp_path: Path) -> None:
    empty, full = Warehouse(Lake(tmp_path)), Warehouse(lake)
    for view in VIEWS:
        assert empty.sql(f"from {view}").fetchall() == []
        assert empty.describe(view).to_dict("list") == full.describe(view).to_dict("list")
    assert empty.realms == []
    assert empty.check() != []
    assert "no days yet" in repr(empty)


def test_looking_at_a_lake_changes_nothing_in_it(lake: Lake) -> None:
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")}
    opened = open_lake(lake.root)
    opened.check()
    opened.describe()
    repr(opened)
    assert {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")} == before


# ---- the ledger ------------------------------------------------------------------------------------------------------


def test_the_ledger_is_read_back_as_it_was_written(lake: Lake, tmp_path: Path) -> None:
    copy = Lake(tmp_path)
    for day in lake.recorded_days():
        entry = lake.recorded(day)
        assert entry is not None
        copy.record(entry)
        assert copy.recorded(day) == entry
        name = f"ledger/{day_directory(day)}.json"
        assert (copy.root / name).read_bytes() == (lake.root / name).read_bytes()
    assert copy.recorded_days() == lake.recorded_days()
    assert lake.recorded_days()[-1] is None


def test_the_ledger_keeps_hashes_as_text_because_json_numbers_end_at_2_to_the_53(lake: Lake) -> None:
    told = json.loads((lake.root / "ledger/day=2026-07-08.json").read_text(encoding="utf-8"))
    assert all(isinstance(item["id_hash"], str) for item in told["partitions"])
    assert max(int(item["id_hash"]) for item in told["partitions"]) > 2**53


def test_files_in_the_ledgers_folder_that_are_no_ledger_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir()
    for name in ("day=2026-02-30.json", "day=x.json", "day=2026-07-08.json.tmp", "notes.txt"):
        (folder / name).write_text("{}", encoding="utf-8")
    assert Lake(tmp_path).recorded_days() == []


# ---- the lock --------------------------------------------------------------------------------------------------------


TRIES_THE_LOCK = """import sys
from analytics.errors import LakeLockedError
from analytics.lake.lake import Lake
try:
    with Lake(sys.argv[1]).lock():
        print("got it")
except LakeLockedError as error:
    print(error.exit_code)"""


def test_the_lock_keeps_other_processes_out_and_is_free_afterwards(tmp_path: Path) -> None:
    def ask() -> str:
        words = [sys.executable, "-c", TRIES_THE_LOCK, str(tmp_path)]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    with Lake(tmp_path).lock():
        assert ask() == "75"
    assert ask() == "got it"


def test_waiting_for_the_lock_ends_when_it_is_free(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    entered, leave = threading.Event(), threading.Event()

    def owner() -> None:
        with lake.lock():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=owner)
    thread.start()
    assert entered.wait(10)
    threading.Timer(0.1, leave.set).start()
    with lake.lock(wait_seconds=10):
        pass
    thread.join()


def test_a_refusal_says_who_has_the_lock_since_when_and_that_it_lives(tmp_path: Path) -> None:
    with Lake(tmp_path).lock(), pytest.raises(LakeLockedError) as raised, Lake(tmp_path).lock():
        pass
    assert f"(pid {os.getpid()}, since " in raised.value.message
    assert f" on {platform.node()}; last sign of life 0 s ago)" in raised.value.message
    assert raised.value.hint == "wait for it, or give wait_seconds=SECONDS"
    assert raised.value.owner.pid == os.getpid()  # type: ignore[attr-defined]


def test_what_a_killed_owner_left_in_the_file_keeps_nobody_out(tmp_path: Path) -> None:
    told = {"pid": 1, "host": platform.node(), "command": "x", "since": "2020-01-01T00:00:00+00:00"}
    for text in ("", "{", "pid 1", json.dumps(told), "null", "[]", "\x00" * 100):
        (tmp_path / ".lock").write_text(text, encoding="utf-8")
        assert Lake(tmp_path).break_lock() is None
        with Lake(tmp_path).lock():
            pass
    assert (tmp_path / ".lock").read_text(encoding="utf-8") == ""


ORPHAN = """
import os, signal, subprocess, sys
from analytics.lake.lake import Lake
lake = Lake(sys.argv[1])
with lake.lock():
    heir = subprocess.Popen(["sleep", "60"], pass_fds=[lake.storage._held._handle.fileno()], stdout=subprocess.DEVNULL)
    print(os.getpid(), heir.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def orphaned(tmp_path: Path) -> Iterator[int]:
    """A lock that outlived its owner: a child has inherited it, as a network server may keep it. The owner's pid."""
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    owner, heir = map(int, done.stdout.split())
    yield owner
    os.kill(heir, signal.SIGKILL)


def test_a_lock_whose_owner_is_gone_is_broken_on_request_only(tmp_path: Path, orphaned: int) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeLockedError, match=f"pid {orphaned}") as raised, lake.lock():
        pass
    assert "break_lock=True" in raised.value.hint
    broken = lake.break_lock()
    assert broken is not None
    assert broken.pid == orphaned
    with lake.lock():
        pass
    assert lake.break_lock() is None


def test_the_command_breaks_a_stale_lock_when_told_to_and_says_so(
    database_url: str, tmp_path: Path, orphaned: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["extract", "--since", "2026-07-08", "--until", "2026-07-09", "--realm", "acme-cycling"]
    words += ["--lake", str(tmp_path), "--database-url", database_url]
    assert main(words) == 75
    assert "--break-lock" in capsys.readouterr().err
    assert main([*words, "--break-lock"]) == 0
    assert f"the stale lock of pid {orphaned}, since " in capsys.readouterr().err
    assert main(words) == 0


def test_the_lock_of_a_living_owner_is_not_broken(tmp_path: Path) -> None:
    with Lake(tmp_path).lock():
        with pytest.raises(LakeLockedError, match="another run is writing") as raised:
            Lake(tmp_path).break_lock()
        assert raised.value.exit_code == 75
        assert "is alive" in raised.value.hint
        with pytest.raises(LakeLockedError), Lake(tmp_path).lock():
            pass


def elsewhere(root: Path, **changed: object) -> None:
    """Rewrite the owner in the lock's file."""
    path = root / ".lock"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changed}), encoding="utf-8")


def test_an_owner_on_another_machine_is_never_taken_for_gone_while_it_shows_signs_of_life(tmp_path: Path) -> None:
    with Lake(tmp_path).lock():
        for strange in ({"host": "elsewhere"}, {"machine": "another boot"}, {"machine": ""}):
            elsewhere(tmp_path, pid=2**22 + 1, **strange)
            with pytest.raises(LakeLockedError):
                Lake(tmp_path).break_lock()
            elsewhere(tmp_path, host=platform.node())


def test_a_process_number_that_came_again_is_not_the_owner(tmp_path: Path) -> None:
    with Lake(tmp_path).lock():
        elsewhere(tmp_path, started=1)
        broken = Lake(tmp_path).break_lock()
        assert broken is not None
        assert broken.started == 1


def test_a_silent_owner_loses_its_lock_and_stops_when_it_wakes(tmp_path: Path) -> None:
    asleep, staged = Lake(tmp_path), tmp_path / "staged.tmp"
    with asleep.lock():
        staged.write_bytes(b"new")
        an_hour_ago = time.time() - 3_610
        os.utime(tmp_path / ".lock", (an_hour_ago, an_hour_ago))
        with pytest.raises(LakeLockedError, match="last sign of life 60 min ago") as raised, Lake(tmp_path).lock():
            pass
        assert "break_lock=True" in raised.value.hint
        assert Lake(tmp_path).break_lock() is not None
        with Lake(tmp_path).lock():
            for write in (
                lambda: asleep.replace(staged, tmp_path / "executions/part.parquet"),
                lambda: asleep.remove(staged),
            ):
                with pytest.raises(LakeLockedError, match="was broken or removed while this run held it"):
                    write()
    assert staged.exists()
    assert not (tmp_path / "executions").exists()


def test_a_holder_shows_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.storage.lock.HEARTBEAT", timedelta(milliseconds=1))
    path = tmp_path / ".lock"
    with Lake(tmp_path).lock():
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 30
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def test_a_run_whose_lock_file_was_deleted_stops(tmp_path: Path) -> None:
    lake, staged = Lake(tmp_path), tmp_path / "staged.tmp"
    with lake.lock():
        staged.write_bytes(b"new")
        (tmp_path / ".lock").unlink()
        with pytest.raises(LakeLockedError, match="was broken or removed"):
            lake.replace(staged, tmp_path / "executions/part.parquet")
    with lake.lock():
        lake.replace(staged, tmp_path / "executions/part.parquet")


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(LakeError, match=r"has no locks \(No locks available\)"), Lake(tmp_path).lock():
        pass


# ---- the disk --------------------------------------------------------------------------------------------------------


def test_a_lake_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(LakeError, match="cannot be written") as raised, Lake(tmp_path / "file/lake").lock():
        pass
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("number", "repair"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "mount it for writing"),
        (errno.EACCES, "chown"),
        (errno.EIO, "dmesg"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOENT, "let nothing but this command"),
        (errno.EINVAL, "check the folder"),
    ],
)
def test_an_error_in_the_workspace_is_a_lake_error_with_its_repair_and_leaves_nothing(
    tmp_path: Path, number: int, repair: str
) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match=os.strerror(number)) as raised, lake.workspace() as folder:
        (folder / "half.tmp").write_bytes(b"half")
        raise OSError(number, os.strerror(number))
    assert repair in raised.value.hint
    assert raised.value.errno == number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["expired.json", "people.json", "erased/erased.json", "ledger/day=2026-07-08.json"])
def test_a_small_file_that_a_killed_run_was_writing_is_cleared_by_the_next_wherever_it_was_to_lie(
    tmp_path: Path, name: str
) -> None:
    killed = os.fork()
    if killed == 0:
        os.replace = lambda *_, **__: os._exit(9)
        Lake(tmp_path).write_text(tmp_path / name, "{}")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == 9
    assert [path.name for path in tmp_path.rglob("*.tmp") if path.is_file()] == [f"{Path(name).name}.{killed}.tmp"]
    # Versions before this one wrote them beside their place.
    (tmp_path / f"expired.json.{killed}.tmp").write_text("{")
    with Lake(tmp_path).workspace():
        pass
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_files_are_synced_before_they_get_their_name_and_folders_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_rename = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().relative_to(tmp_path)}")
        real_sync(descriptor)

    def note_rename(source: Any, target: Any, **options: Any) -> None:
        done.append(f"rename {Path(target).relative_to(tmp_path)}")
        real_rename(source, target, **options)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    (tmp_path / "staged.tmp").write_bytes(b"new")
    Lake(tmp_path).replace(tmp_path / "staged.tmp", tmp_path / "a/b/part.parquet")
    assert done == ["sync staged.tmp", "sync .", "sync a", "rename a/b/part.parquet", "sync a/b"]


def test_partitions_can_be_replaced_and_removed_by_several_threads(tmp_path: Path) -> None:
    lake = Lake(tmp_path)

    def work(day: int) -> None:
        target = lake.path("executions", Partition("acme", date(2026, 7, day)))
        for number in range(30):
            staged = tmp_path / f"{day}-{number}.tmp"
            staged.write_bytes(b"x")
            lake.replace(staged, target)
            assert target.read_bytes() == b"x"
            lake.remove(target)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(1, 5)))
    assert list(tmp_path.iterdir()) == []


# ---- strangers -------------------------------------------------------------------------------------------------------

CUT = b"PAR1 and then nothing"
STRANGERS = (
    "executions/export.parquet",
    "executions/realm=acme/copy.parquet",
    "executions/realm=acme/day=2026-07-08/part-1.parquet",
    "executions/realm=acme/day=2026-07-08/.hidden.parquet",
    "executions/realm=acme/day=2026-07-08/deeper/below/part.parquet",
    "executions/realm=acme/backup/part.parquet",
    "executions/realm=nobody/day=2026-07-08/part.parquet",
    "executions/realm=Unencoded/day=2026-07-08/part.parquet",
    "executions/backup/realm=acme/day=2026-07-08/part.parquet",
    "executions/realm=acme/day=2026-02-30/part.parquet",
    "node_days/realm=nobody/day=2026-07-08/part.parquet",
    "node_days/realm=acme/day=2026-07-08/Part.PARQUET",
    "definitions/realm=acme/day=2026-07-08/part.parquet",
    "definition_nodes/part.parquet",
)


@pytest.mark.parametrize(
    ("name", "content"), one_in(4, itertools.product(STRANGERS, ("cut short", "a copy of ours", "another table")))
)
def test_a_foreign_file_is_named_by_check_and_set_aside_by_the_next_run(
    table: Table, fresh: Lake, name: str, content: str
) -> None:
    table.insert()
    table.extract(fresh)
    before = {path: path.read_bytes() for path in fresh.root.rglob("*.parquet")}
    path = fresh.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if content == "a copy of ours":
        source = "node_days" if name.startswith("node_days") else "executions"
        shutil.copy(fresh.path(source, Partition("acme", DAY)), path)
    elif content == "another table":
        pq.write_table(pa.table({"execution_id": ["x"]}), path)
    else:
        path.write_bytes(CUT)
    planted = path.read_bytes()
    failed = {result.name: result for result in Warehouse(fresh).check() if not result.passed}
    assert failed["no_strangers_in_the_lake"].example == {"path": name, "bytes_on_disk": len(planted)}
    [note] = table.extract(fresh).notes[:1]
    assert note.startswith("1 file that the lake did not write was set aside in ")
    assert name in note
    assert {path: path.read_bytes() for path in fresh.root.rglob("*.parquet")} == before
    [aside] = (path for path in (fresh.root / ".set-aside").rglob("*") if path.is_file())
    assert aside.read_bytes() == planted
    assert duckdb.execute("select count(*) from glob($1)", [f"{fresh.root}/**/*.parquet"]).fetchall() == [(2,)]
    assert [result.name for result in Warehouse(fresh).check() if not result.passed] == []
    assert not any("set aside" in note for note in table.extract(fresh).notes)


def test_a_damaged_file_in_a_partitions_place_is_kept_aside_and_the_partition_read_again(
    table: Table, fresh: Lake
) -> None:
    table.insert()
    table.extract(fresh)
    path = fresh.path("executions", Partition("acme", DAY))
    path.write_bytes(CUT)
    result = table.extract(fresh)
    assert "executions/realm=acme/day=2026-07-08/part.parquet" in result.notes[0]
    assert [info.partition for info in result.written] == [Partition("acme", DAY)]
    assert pq.ParquetFile(path).metadata.num_rows == 1


def test_a_file_that_cannot_be_read_just_now_is_not_taken_for_foreign(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.insert()
    table.extract(fresh)
    shutil.rmtree(fresh.root / "ledger")
    opened = pq.ParquetFile

    def refuse(path: Any, **options: Any) -> Any:
        if "executions" in str(path):
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, **options)

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(LakeError, match="Input/output error"):
        table.extract(fresh)
    assert not (fresh.root / ".set-aside").exists()


def test_files_of_a_lake_that_lost_its_ledger_are_its_own(table: Table, fresh: Lake) -> None:
    for realm in ("acme", "", None, "Ω" * 100):
        table.insert(realmId=realm)
        table.insert(realmId=realm, created_at=None)
    table.extract(fresh)
    shutil.rmtree(fresh.root / "ledger")
    found = list(foreign_files.find(fresh, {DAY: None, None: None}, foreign_files.list_files(fresh)))
    assert len(found) == 16
    assert [one for one in found if one.is_stranger] == []


def test_a_ledger_that_lies_about_sizes_costs_a_re_extraction(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    path = fresh.root / "ledger/day=2026-07-08.json"
    for name, size in (("file_bytes", 1), ("file_bytes", 0), ("node_days_bytes", 1), ("node_days_bytes", 0)):
        told = json.loads(path.read_text(encoding="utf-8"))
        told["partitions"][0][name] = size
        path.write_text(json.dumps(told), encoding="utf-8")
        assert "files_have_their_size" in {result.name for result in Warehouse(fresh).check() if not result.passed}
        assert len(table.extract(fresh).written) == 1
        assert [result.name for result in Warehouse(fresh).check() if not result.passed] == []


def test_half_a_ledger_file_of_a_killed_run_is_removed(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    (fresh.root / "ledger/day=2026-07-08.json.tmp").write_text("{", encoding="utf-8")
    assert table.extract(fresh).nothing_to_do
    assert [path.name for path in (fresh.root / "ledger").iterdir() if path.suffix != ".json"] == []


def test_moments_of_the_ledger_are_utc(lake: Lake) -> None:
    entry = lake.recorded(DAY)
    assert entry is not None
    assert entry.recorded_at.tzinfo is not None
    assert entry.recorded_at <= datetime.now(UTC)
