"""A lake in a bucket: the same lake, written by single requests, by one run at a time, whatever the store does."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest
from botocore.exceptions import ClientError

import analytics
from analytics.cli import main
from analytics.demo import UNTIL
from analytics.errors import ConfigurationError, LakeError, LakeLockedError, UnknownNameError
from analytics.estimates.sampling_rates import Rates
from analytics.extraction.privacy.policy import Policy
from analytics.lake import ledger, small_partitions
from analytics.lake.lake import Lake, realm_directory
from analytics.lake.ledger_columns import ColumnarPartitions
from analytics.model import Partition
from analytics.operations.erase import erase
from analytics.storage import Bucket, ObjectPath, break_lease, bucket, holder, lease, place
from analytics.storage.client import failure
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import RATE, Table
from tests.extracting import extract
from tests.faults import FAULTS, Fault, address, play, rows
from tests.fewer import one_in
from tests.odd import lakes
from tests.odd.lakes import Shape, Strategy
from tests.store import Request, Store, serving_bucket
from tests.stores.ceph import Ceph
from tests.warehouse.test_damaged import pages, short


@pytest.fixture(scope="module")
def store(cluster: Ceph | None) -> Iterator[Store]:
    with serving_bucket("lakes", cluster.upstream if cluster else None) as running:
        yield running


@pytest.fixture(autouse=True)
def _sound(store: Store) -> Iterator[None]:
    store.begin()
    yield
    store.begin()


@pytest.fixture(scope="module")
def whole(store: Store, database_url: str, request: pytest.FixtureRequest) -> Lake:
    """Everything the demo's log holds, as the lake of the other tests does."""
    made = Lake("s3://lakes/day=2026-01-01/whole/of it")
    first = UNTIL - timedelta(days=request.config.getoption("--demo-days") + 1)
    for since, until in (("1969-12-31", "1970-01-02"), (first, UNTIL + timedelta(days=1))):
        extract(database_url, made, Window.parse(since, until), rates=Rates((), RATE))
    return made


@pytest.mark.long
def test_every_view_holds_what_it_holds_on_a_disk(whole: Lake, lake: Lake) -> None:
    there, here = Warehouse(whole), Warehouse(lake)
    for view in VIEWS:
        columns = [name for name in here.describe(view)["column"] if name not in ("extracted_at", "complete_until")]
        text = f"select {', '.join(columns)} from {view}"
        there.connection.register("other", there.sql(text).to_arrow_table())
        assert sorted(map(repr, there.sql(text).fetchall())) == sorted(map(repr, here.sql(text).fetchall()))
    assert [found.name for found in there.check() if not found.passed] == [f.name for f in here.check() if not f.passed]


# ---- what a run asks of the store --------------------------------------------------------------------------------------


@pytest.fixture
def source(table: Table) -> Table:
    """Two tenants on two days."""
    for day in (7, 8):
        for realm in ("acme", "other/../realm"):
            table.insert(realmId=realm, created_at=f"2026-07-0{day} 12:00:00+00")
    return table


def test_what_a_lifecycle_rule_has_taken_away_is_known_from_listings(store: Store, source: Table) -> None:
    source.extract(Lake("s3://lakes/lifecycle"))
    bucket_of = Bucket("lakes", "lifecycle")
    for day in (7, 8):
        bucket_of.remove(f"executions/realm=acme/day=2026-07-0{day}/part.parquet")
    store.begin()
    opened = Warehouse(Lake("s3://lakes/lifecycle"))
    assert [str(loss.partition) for loss in opened.lost()] == ["acme · 2026-07-07", "acme · 2026-07-08"]
    assert coverage(opened, Window.parse("2026-07-08", "2026-07-09")).lost == [date(2026, 7, 8)]
    asked = [one for one in store.requests if "part.parquet" in one.key and one.method == "HEAD"]
    assert (asked, sum(one.is_listing for one in store.requests) < 12) == ([], True)


def test_a_partition_is_one_put_and_the_ledger_comes_last(store: Store, source: Table) -> None:
    source.extract(Lake("s3://lakes/once"))
    puts = store.puts()
    assert len(puts) == len(set(puts)) == 2 * 2 * 2 + 3 + 2  # files; ledgers, the empty day too; whose they are
    for day in (7, 8):
        of_day = [key for key in puts if f"day=2026-07-0{day}" in key]
        assert len(of_day) == 5
        assert of_day[-1] == f"once/ledger/day=2026-07-0{day}.json"
    store.begin()
    source.extract(Lake("s3://lakes/once"))
    assert store.puts() == []


def test_a_run_that_moved_to_another_tenant_stands_once_in_a_bucket_too(store: Store, source: Table) -> None:
    lake = Lake("s3://lakes/moved")
    source.extract(lake)
    before = rows(lake)
    source.execute("""update strategyexecutionlog set "realmId" = 'birch' where "realmId" = 'acme'""")
    source.extract(lake, realms=["birch"])
    assert sorted(count for _, count in rows(lake)) == sorted(count for _, count in before)
    assert {realm for realm, _ in rows(lake)} == {realm for realm, _ in before} - {"acme"} | {"birch"}
    assert not list((lake.root / "ledger").glob("taking-out.json"))


def test_whoever_was_erased_is_taken_out_of_a_partition_that_is_put_back_in_a_bucket(source: Table) -> None:
    lake = Lake("s3://lakes/erased")
    source.insert(externalUserId="anna-4711")
    source.extract(lake)
    path = lake.path("executions", Partition("acme", date(2026, 7, 8)))
    assert isinstance(path, ObjectPath)
    before = path.read_bytes()
    erase(lake, "anna-4711", Policy())
    there = "from executions where external_user_id = 'anna-4711'"
    assert not Warehouse(lake).sql(there).fetchall()
    path.bucket.put(path.key, before)
    assert Warehouse(Lake("s3://lakes/erased")).sql(there).fetchall()
    assert [check.name for check in Warehouse(lake).check() if check.name == "erased_stay_erased" and not check.passed]
    source.extract(lake, "2026-07-09", "2026-07-10")
    assert not Warehouse(lake).sql(there).fetchall()
    assert all(check.passed for check in Warehouse(lake).check() if check.severity == "error")


def test_a_partition_without_rows_goes_with_one_delete(store: Store, source: Table) -> None:
    lake = Lake("s3://lakes/gone")
    source.extract(lake)
    source.execute("""delete from strategyexecutionlog where "realmId" = 'acme'""")
    store.begin()
    source.extract(lake, allow_shrink=True)
    gone = [one.key for one in store.requests if one.method == "DELETE" and ".lock" not in one.key]
    assert len(gone) == 4
    assert {realm for realm, _ in rows(lake)} == {"other/../realm"}


def test_a_reader_lists_a_lake_once_whatever_it_holds(store: Store, source: Table) -> None:
    counted = []
    for realms in (2, 20):
        for number in range(realms):
            source.insert(realmId=f"more {number}")
        source.extract(Lake("s3://lakes/listed"))
        store.begin()
        Warehouse(Lake("s3://lakes/listed"))
        counted.append(sum(one.is_listing for one in store.requests))
    assert counted[0] == counted[1] <= 9


# ---- what the store does -----------------------------------------------------------------------------------------------


def twice(source: Table, tmp_path: Path) -> tuple[Lake, Lake]:
    """A lake in the store as it was before a row came to every partition, and how it is to be."""
    before, after = Lake(address()), Lake(tmp_path / "after")
    source.extract(before)
    for day in (7, 8):
        for realm in ("acme", "other/../realm", f"new {day}"):
            source.insert(realmId=realm, created_at=f"2026-07-0{day} 13:00:00+00", points=7)
    source.extract(after)
    return before, after


@pytest.mark.parametrize("fault", one_in(10, FAULTS), ids=[fault.name for fault in FAULTS])
def test_no_fault_leaves_anything_half(
    fault: Fault, store: Store, source: Table, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    played = play(fault, store, source.extract, twice(source, tmp_path))
    record_property("fault", (fault.name, played.ended, played.requests))


def test_a_store_that_compares_an_etag_with_its_quotes_is_asked_without_them_from_then_on(store: Store) -> None:
    root = place(address())
    assert isinstance(root, ObjectPath)
    mine, theirs = root.bucket, Bucket(root.bucket.name, root.bucket.prefix)
    mine.put("x", b"1")
    store.begin(Fault("", "quotes compared", "PUT", "").spoil())
    for content in (b"2", b"3"):
        mine.put("x", content)
    assert (mine.read("x")[0], len(store.puts())) == (b"3", 3)
    theirs.put("x", b"4")  # asks what is there first
    with pytest.raises(LakeLockedError, match="written by another run"):
        mine.put("x", b"5")
    assert theirs.read("x")[0] == b"4"


def test_a_store_that_replaces_any_version_is_refused_before_anything_is_written(store: Store, source: Table) -> None:
    store.begin(Fault("", "blind to versions", "PUT", "").spoil())
    with pytest.raises(LakeError, match="ignores conditional writes"):
        source.extract(Lake(address()))
    assert store.puts() == []


RUN = """
import sys
from datetime import timedelta
from tests.extracting import extract
from analytics.lake.lake import Lake
from analytics.storage import lease
from analytics.estimates.sampling_rates import Rates
from analytics.window import Window

lease.LEASE, lease.HEARTBEAT = timedelta(seconds=float(sys.argv[3])), timedelta(seconds=0.2)
extract(sys.argv[1], Lake(sys.argv[2]), Window.parse("2026-07-07", "2026-07-10"), rates=Rates((), 0.05))
"""


class Held:
    """The first PUT of a run that fits is held back until it is let go."""

    def __init__(self, part: str) -> None:
        self._part, self.reached, self.go = part, threading.Event(), threading.Event()

    def __call__(self, request: Request) -> str | None:
        if request.method == "PUT" and self._part in request.key and not self.reached.is_set():
            self.reached.set()
            self.go.wait(60)
        return None

    def begin(self, source: Table, lake: Lake, lease_seconds: float) -> subprocess.Popen[str]:
        """A run in a process of its own that is now at that PUT."""
        arguments = [sys.executable, "-c", RUN, source.url, str(lake.root), str(lease_seconds)]
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        assert self.reached.wait(60)
        return process


@pytest.mark.parametrize("part", one_in(3, ["ledger/", "executions/", "node_days/"]))
def test_a_killed_runs_lock_is_taken_over_and_its_work_finished(
    part: str, store: Store, source: Table, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before, after = twice(source, tmp_path)
    held = Held(part)
    store.begin(held)
    process = held.begin(source, before, 120)
    with pytest.raises(LakeLockedError, match=f"pid {process.pid}"):
        source.extract(before)
    process.kill()
    process.communicate()
    held.go.set()
    seen, wanted = rows(before), rows(after)
    assert all(found == wanted.get(key) or len(found) == 1 for key, found in seen.items())
    source.extract(before)
    assert rows(before) == wanted
    record_property(
        "fault", (f"SIGKILL at a PUT below {part}", "the next run takes the lock over", len(store.requests))
    )


@pytest.mark.long
def test_a_run_that_slept_through_its_lease_writes_nothing_over_its_successors(
    store: Store,
    source: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    before, after = twice(source, tmp_path)
    held = Held("executions/")
    store.begin(held)
    process = held.begin(source, before, 1)
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=1))
    monkeypatch.setattr(lease, "HEARTBEAT", timedelta(seconds=0.2))  # its own lease is as short, and it may take longer
    with pytest.raises(LakeLockedError, match="last sign of life"):
        source.extract(before)
    source.extract(before, wait_seconds=60)  # its owner is alive, but silent
    held.go.set()  # and now the PUT that was under way reaches the store
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "analytics.errors.LakeLockedError" in said
    assert rows(before) == rows(after)
    assert isinstance(before.root, ObjectPath)
    assert holder(before.root.bucket) is None
    ended = "its late PUT is refused, it stops; the successor's lake stays"
    record_property("fault", ("SIGSTOP longer than the lease, then SIGCONT", ended, len(store.requests)))


def test_a_run_whose_lock_cannot_be_renewed_stops(
    store: Store, source: Table, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=0.5))
    lake = Lake(address())
    held = threading.Event()

    def spoil(request: Request) -> str | None:
        if request.method == "PUT" and "executions/" in request.key and not held.is_set():
            held.set()
            time.sleep(1)
        return None

    store.begin(spoil)
    with pytest.raises(LakeLockedError, match="not renewed in time"):
        source.extract(lake)
    store.begin()
    monkeypatch.undo()
    source.extract(lake)
    record_property("fault", ("the lock is not renewed in time", "LakeLockedError", len(store.requests)))


def test_a_lock_is_broken_only_when_its_owner_is_gone_or_silent(store: Store) -> None:
    root = place(address())
    assert isinstance(root, ObjectPath)
    with lease.hold_lease(root.bucket):
        with pytest.raises(LakeLockedError, match="its owner is alive"):
            break_lease(root.bucket, stale_after=timedelta(hours=1))
        found = holder(root.bucket)
        assert found
        assert found[0]
        assert found[0].pid == os.getpid()
        time.sleep(1.1)
        assert break_lease(root.bucket, stale_after=timedelta(seconds=1)) == found[0]
    assert holder(root.bucket) is None
    assert break_lease(root.bucket, stale_after=timedelta(0)) is None


def test_two_runs_at_once_wait_for_each_other(source: Table, tmp_path: Path) -> None:
    before, after = twice(source, tmp_path)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            source.extract(Lake(str(before.root)), wait_seconds=60)
        except BaseException as error:  # to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert rows(before) == rows(after)


# ---- readers -----------------------------------------------------------------------------------------------------------


def test_a_reader_of_replaced_files_asks_again(source: Table, tmp_path: Path) -> None:
    """Same size or not: no piece of an old version is put together with one of a new."""
    before, after = twice(source, tmp_path)
    query = "select realm_id, day, execution_id, points, nodes_executed from executions order by all"
    reader = Warehouse(Lake(str(before.root)))
    assert len(reader.sql(query).fetchall()) == 4
    source.extract(before)
    wanted = Warehouse(after).sql(query).fetchall()
    # Partitions that were not there when it looked are not missed by this one: it reads the version it was told of.
    known = {row[2] for row in reader.sql(query).fetchall()}
    assert known <= {row[2] for row in wanted}
    assert len(known) in (8, 10)
    reader.refresh()
    assert reader.sql(query).fetchall() == wanted
    source.execute("update strategyexecutionlog set points = points + 1, updated_at = updated_at + interval '1 second'")
    source.extract(before, force=True)
    assert {row[3] for row in reader.sql(query).fetchall()} == {2, 8}


def test_a_version_is_read_as_one(store: Store) -> None:
    root = place(address())
    assert isinstance(root, ObjectPath)
    mine, theirs = root.bucket, Bucket(root.bucket.name, root.bucket.prefix)
    mine.put("x", b"a" * (3 << 20))
    with ObjectPath(mine, "x").open() as file:
        assert file.read(10) == b"a" * 10
        theirs.put("x", b"b" * (3 << 20))
        file.seek(2 << 20)
        with pytest.raises(FileNotFoundError, match="replaced while it was read"):
            file.read(10)
    with pytest.raises(FileNotFoundError):
        mine.read("nothing")
    with pytest.raises(LakeLockedError, match="written by another run"):
        stale = Bucket(root.bucket.name, root.bucket.prefix)
        stale.names("")
        theirs.put("x", b"c")
        stale.put("x", b"d")
    with pytest.raises(LakeLockedError, match="written by another run"):
        stale = Bucket(root.bucket.name, root.bucket.prefix)
        stale.names("")
        theirs.put("x", b"e")
        stale.remove("x")
    assert theirs.read("x")[0] == b"e"


def test_a_bucket_goes_to_other_processes(store: Store) -> None:
    root = place(address())
    assert isinstance(root, ObjectPath)
    root.bucket.put("folder/x", b"1")
    again = pickle.loads(pickle.dumps(root))  # noqa: S301
    assert again == root
    assert (again / "folder/x").read_text() == "1"
    assert [path.name for path in (again / "folder").glob("*")] == ["x"]


def test_an_object_of_more_than_one_requests_size_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bucket, "MOST_BYTES", 10)
    root = place(address())
    assert isinstance(root, ObjectPath)
    with pytest.raises(LakeError, match="would have 11 bytes"):
        root.bucket.put("x", b"x" * 11)
    assert root.bucket.names("") == []


def test_a_tenants_connection_reads_nothing_else(source: Table, tmp_path: Path) -> None:
    whole, on_disk = Lake("s3://lakes/few/of it"), tmp_path / "secret.txt"
    source.extract(whole)
    on_disk.write_text("secret", encoding="utf-8")
    neighbour = Lake("s3://lakes/few/of it and more")
    assert isinstance(neighbour.root, ObjectPath)
    neighbour.root.bucket.put("executions/part.parquet", b"secret")
    assert isinstance(whole.root, ObjectPath)
    realm = "acme"
    tenant = Warehouse(whole, realms=[realm]).connection
    folder = f"{whole.root}/executions/"
    mine = whole.files("executions", realms=[realm])[0]
    assert tenant.execute("select count(*) from read_parquet($1)", [mine]).fetchall()[0][0] > 0
    theirs = next(path for path in whole.files("executions") if realm_directory(realm) not in path)
    for path in (
        theirs,
        f"{neighbour.root}/executions/part.parquet",
        f"{whole.root}/ledger/day=2026-07-08.json",
        "s3://lakes/few/of it/executions/../ledger/day=2026-07-08.json",
        "s3://other/executions/part.parquet",
        str(on_disk),
    ):
        with pytest.raises(duckdb.PermissionException):
            tenant.execute("select * from read_text($1)", [path]).fetchall()
    # A store knows no way back: this is the name of an object that is not there.
    detour = f"{folder}{realm_directory(realm)}/../{theirs.removeprefix(folder)}"
    assert tenant.execute("select * from read_text($1)", [detour]).fetchall() == []
    with pytest.raises(duckdb.Error):
        tenant.execute(f"copy (select 1) to '{mine}'")
    with pytest.raises(UnknownNameError):
        Warehouse(whole, realms=["nobody"])


# ---- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "root", "words"),
    [
        ({}, "s3://no-such-bucket/x", "there is no such bucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}, "s3://lakes/x", "cannot be reached"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "s3://lakes/x", "nobody is signed in"),
        ({}, "gs://lakes/x", "is no place for a lake"),
        ({}, "s3:///x", "is no place for a lake"),
        ({}, "s3://lakes/x//y", "is no place for a lake"),
        ({}, "s3://lakes/nothing-here", "there is no lake in s3://lakes/nothing-here"),
    ],
)
def test_what_the_store_refuses_is_said_in_words(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str | None],
    root: str,
    words: str,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in changed.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    assert main(["status", "--lake", root, "--all-realms"]) != 0
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert len(said.splitlines()) >= 2  # what to do


@pytest.mark.parametrize("code", ["InvalidArgument", "XAmzContentSHA256Mismatch", "NotImplemented"])
def test_a_store_that_does_not_know_the_newer_checksums_is_told_how_to_do_without(code: str) -> None:
    said = failure(ClientError({"Error": {"Code": code, "Message": "as planned"}}, "PutObject"), "s3://lakes/x")
    assert "AWS_REQUEST_CHECKSUM_CALCULATION=when_required" in said.hint


def test_a_wrong_clock_is_not_called_a_lack_of_rights() -> None:
    told = ClientError({"Error": {"Code": "RequestTimeTooSkewed", "Message": "as planned"}}, "PutObject")
    as_the_library_raises_it = PermissionError("as planned")
    as_the_library_raises_it.__cause__ = told
    said = failure(as_the_library_raises_it, "s3://lakes/x")
    assert ("clocks of this machine and of the store" in said.message, "timedatectl" in said.hint) == (True, True)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigurationError, match="needs the package s3fs") as raised:
        Lake("s3://lakes/x").root.is_dir()
    assert "s3fs" in (raised.value.hint or "")


# ---- commands ----------------------------------------------------------------------------------------------------------


def test_every_command_works_over_a_bucket(
    source: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake = address()
    for name, value in {"DATABASE_URL": source.url, "ANALYTICS_LAKE": lake, "ANALYTICS_SAMPLE_RATE": "0.05"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def say(*arguments: str) -> str:
        assert main([*arguments]) == 0, capsys.readouterr().err
        return "".join(capsys.readouterr())

    assert "4 partitions written" in say("extract", "--since", "2026-07-07", "--until", "2026-07-09")
    assert "2026-07" in say("status", "--all-realms")
    assert "ok" in say("check", "--all-realms")
    assert "4" in say("query", "--all-realms", "select count(*) from executions")
    assert "2" in say("query", "--realm", "acme", "select count(*) from executions")
    say("expire", "--before", "2026-07-08", "--yes", "--unverified")
    assert "1" in say("query", "--realm", "acme", "select count(*) from executions")
    assert not [path for path in Lake(lake).files("executions") if "2026-07-07" in path]
    say("erase", "--realm", "acme", "--user", "u1")
    assert "0" in say("query", "--realm", "acme", "select count(*) from executions")
    say("check", "--all-realms")
    foreign = Lake(lake).root / "executions" / realm_directory("acme") / "day=2026-07-08/foreign.parquet"
    assert isinstance(foreign, ObjectPath)
    foreign.bucket.put(foreign.key, b"not ours")
    assert main(["check", "--all-realms"]) == 1
    assert "foreign.parquet" in "".join(capsys.readouterr())
    assert "set aside" in say("extract", "--since", "2026-07-08", "--until", "2026-07-09")
    say("check", "--all-realms")
    assert b"not ours" in [(foreign.bucket.read(key)[0]) for key, _ in foreign.bucket.below(".set-aside")]
    with psycopg.connect(source.url) as connection:
        assert connection.execute("select count(*) from strategyexecutionlog").fetchone() == (4,)


@pytest.mark.long
def test_shares_are_gathered_in_the_bucket_by_who_can_reach_it(store: Store, whole: Lake) -> None:
    since, until = UNTIL - timedelta(days=1), UNTIL
    window = {"since": since.isoformat(), "until": until.isoformat()}
    into = address()
    assert len(analytics.gather(str(whole.root), into, 1, 2, **window)) == 11
    store.begin(Fault("a part cannot be written", "denied", "PUT", "hot_nodes").spoil())
    with pytest.raises(LakeError):
        analytics.gather(str(whole.root), into, 2, 2, **window)
    store.begin()
    pages = [
        analytics.runaway_rules(str(whole.root), previous="none", gathered=gathered, **window).summary()
        for gathered in ("", into)
    ]
    assert pages[0] == pages[1]
    parts = [one.key for one in store.requests if one.method == "GET" and "-of-00002" in one.key]
    assert {key.rpartition("/")[2].partition("-")[0] for key in parts} >= {"cost_by_strategy", "hot_nodes", "run_costs"}


@pytest.mark.long
def test_a_damaged_object_is_named_and_nobody_is_told_that_nothing_is_theirs(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strategies = tuple(Strategy("plain", realm, "Ride", 1, False) for realm in ("acme", "other"))
    made = Path(str(lakes.make(Shape(seed=3, rows=20, days=1, strategies=strategies), tmp_path / "lake").root))
    root, broken = place("s3://lakes/damaged"), "executions/realm=acme/day=2026-07-06/part.parquet"
    assert isinstance(root, ObjectPath)
    for damage in (pages, short):
        for path in (path for path in made.rglob("*") if path.is_file() and path.stat().st_size):
            key = str(path.relative_to(made))
            copy = Path(shutil.copy(path, tmp_path / "object"))
            if key == broken:
                damage(copy)
            root.bucket.put(key, copy)
        for words in (["pseudonym", "nobody"], ["query", "from executions", "--all-realms"]):
            code = main([*words, "--lake", "s3://lakes/damaged"])
            err = capsys.readouterr().err
            assert code == 3 and f"s3://lakes/damaged/{broken} is damaged" in err and "--force" in err, err
        assert main(["query", "from executions", "--realm", "other", "--lake", "s3://lakes/damaged"]) == 0
        capsys.readouterr()


def test_the_ledgers_columns_are_believed_by_the_version_of_the_object(store: Store, table: Table) -> None:
    for number in range(small_partitions.LEAST):
        table.insert(realmId=f"tenant-{number}")
    table.extract(Lake("s3://lakes/columns"))
    fresh = Lake("s3://lakes/columns")
    record = fresh.recorded(date(2026, 7, 8))
    assert record
    assert isinstance(record.partitions, ColumnarPartitions)
    assert record.partitions.is_exact
    path = fresh.ledger_path(record.day)
    assert record == ledger.read(path, record.day)
    fresh.write_text(path, path.read_text().replace('"tenant-7"', '"tenant-x"'))  # of the same size
    other = Lake("s3://lakes/columns").recorded(record.day)
    assert other
    assert not isinstance(other.partitions, ColumnarPartitions)
    assert "tenant-x" in other.partitions
