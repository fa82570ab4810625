"""What only a store with processes, disks and a clock of its own can do; ``--store ceph``."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from analytics.errors import LakeError
from analytics.lake.lake import Lake
from analytics.storage import Bucket
from analytics.storage.client import Entry
from analytics.warehouse.warehouse import Warehouse
from tests.conftest import Table
from tests.faults import rows
from tests.store import Request, Store, serving_bucket
from tests.stores.ceph import Ceph

Record = Callable[[str, object], None]

_numbers = itertools.count(1)
WRITERS, ROUNDS = 8, 40


@pytest.fixture(scope="module")
def real(cluster: Ceph | None) -> Ceph:
    if cluster is None:
        pytest.skip("moto has neither processes nor a clock: --store ceph")
    return cluster


@pytest.fixture(scope="module")
def store(real: Ceph) -> Iterator[Store]:
    with serving_bucket("real", real.upstream) as running:
        yield running


@pytest.fixture
def prefix(store: Store) -> Iterator[str]:
    store.begin()
    yield f"trial-{next(_numbers)}"
    store.begin()


@pytest.fixture
def source(table: Table) -> Table:
    """Two tenants on two days."""
    for day in (7, 8):
        for realm in ("acme", "other/../realm"):
            table.insert(realmId=realm, created_at=f"2026-07-0{day} 12:00:00+00")
    return table


@pytest.fixture
def wanted(source: Table, tmp_path: Path) -> dict[tuple[object, object], list[object]]:
    """What the lake is to hold."""
    whole = Lake(tmp_path / "whole")
    source.extract(whole)
    return rows(whole)


@pytest.mark.parametrize("is_there", [False, True], ids=["makes", "replaces"])
def test_of_writers_at_once_one_wins(prefix: str, is_there: bool, record_property: Record) -> None:
    buckets = [Bucket("real", prefix) for _ in range(WRITERS)]
    before: Entry | None = None
    if is_there:
        before = buckets[0].put("x", b"before")
        buckets[0].put("x", b"now, and this one knows how")
    winners = []
    with ThreadPoolExecutor(WRITERS) as pool:
        for turn in range(ROUNDS):
            if is_there:
                before = buckets[0].ask("x")
            key = "x" if is_there else f"x{turn}"

            def write(number: int, key: str = key, turn: int = turn, before: Entry | None = before) -> bool:
                return buckets[number].swap(key, f"{turn} {number}".encode(), before) is not None

            won = [number for number, has_won in enumerate(pool.map(write, range(WRITERS))) if has_won]
            winners.append(len(won))
            assert buckets[0].read(key)[0] == f"{turn} {won[0]}".encode()
    assert winners == [1] * ROUNDS
    name = f"{WRITERS} writers {'replace one version' if is_there else 'make one object'} at once, {ROUNDS} times"
    record_property("store", (name, "one of them each time, and it is what is read"))


def test_a_listing_shows_what_has_just_been_written_and_nothing_that_was_removed(
    prefix: str, record_property: Record
) -> None:
    writer, reader, count = Bucket("real", prefix), Bucket("real", prefix), 200

    def listed() -> list[str]:
        reader.refresh()
        return reader.names("folder")

    for number in range(count):
        writer.put(f"folder/{number}", b"1")
        assert f"{number}" in listed()
    for number in range(0, count, 2):
        writer.remove(f"folder/{number}")
        assert f"{number}" not in listed()
    record_property("store", (f"{count} objects written, {count // 2} removed, a listing after each", "none was late"))


def test_more_objects_than_a_listing_gives_at_once_are_all_seen(prefix: str, record_property: Record) -> None:
    writer, names = Bucket("real", prefix), {f"name {number} +&%2F'" for number in range(1_005)}
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda name: writer.put(f"folder/{name}", b"1"), names))
    assert set(Bucket("real", prefix).names("folder")) == names
    record_property(
        "store", ("1,005 objects with spaces, +, &, % and ' in their names in one folder", "all are listed")
    )


@pytest.mark.parametrize("program", ["radosgw", "ceph-osd"])
def test_a_program_that_sleeps_for_a_while_is_waited_for(
    real: Ceph, store: Store, source: Table, prefix: str, wanted: object, program: str, record_property: Record
) -> None:
    began = threading.Event()

    def sleep() -> None:
        began.wait(60)
        real.tell(program, signal.SIGSTOP)
        time.sleep(5)
        real.tell(program, signal.SIGCONT)

    thread = threading.Thread(target=sleep)
    thread.start()
    store.begin(_at_first_partition(began))
    source.extract(Lake(f"s3://real/{prefix}"))
    thread.join()
    assert rows(Lake(f"s3://real/{prefix}")) == wanted
    record_property("store", (f"{program} is stopped for 5 s in the middle of a run", "the run waits and is whole"))


@pytest.mark.parametrize("seconds", [1, 30], ids=["short", "long"])
def test_a_gateway_that_is_killed_in_the_middle_leaves_nothing_half(
    real: Ceph, store: Store, source: Table, prefix: str, wanted: object, seconds: int, record_property: Record
) -> None:
    began = threading.Event()

    def die() -> None:
        began.wait(60)
        real.stop("radosgw")
        time.sleep(seconds)
        real.start_gateway()

    thread = threading.Thread(target=die)
    thread.start()
    store.begin(_at_first_partition(began, pause=0.5))
    lake = f"s3://real/{prefix}"
    if seconds > 10:  # longer than the libraries ask again
        with pytest.raises(LakeError, match="fails, also when asked again"):
            source.extract(Lake(lake))
        thread.join()
        store.begin()
        source.extract(Lake(lake), wait_seconds=150)  # what it held is let go, or runs out
        ended = "refused; the next run is whole"
    else:
        source.extract(Lake(lake))
        thread.join()
        ended = "asked again, and whole"
    assert rows(Lake(lake)) == wanted
    assert all(found.passed for found in Warehouse(Lake(lake)).check() if found.severity == "error")
    record_property("store", (f"the gateway is killed in the middle of a run, for {seconds} s", ended))


@pytest.mark.parametrize("hours", [-1, 1], ids=["slow", "fast"])
def test_a_clock_an_hour_off_is_said(
    source: Table, prefix: str, monkeypatch: pytest.MonkeyPatch, hours: int, record_property: Record
) -> None:
    from botocore import auth, compat

    def off(remove_tzinfo: bool = True) -> datetime:
        return compat.get_current_datetime(remove_tzinfo) + timedelta(hours=hours)

    with monkeypatch.context() as patch:
        patch.setattr(auth, "get_current_datetime", off)
        with pytest.raises(LakeError, match="clocks of this machine and of the store are too far apart"):
            source.extract(Lake(f"s3://real/{prefix}"))
    record_property(
        "store", (f"this machine's clock is an hour {'fast' if hours > 0 else 'slow'}", "refused, and said why")
    )


def _at_first_partition(began: threading.Event, pause: float = 0) -> Callable[[Request], str | None]:
    def spoil(request: Request) -> str | None:
        if request.method == "PUT" and "executions/" in request.key and not began.is_set():
            began.set()
            time.sleep(pause)
        return None

    return spoil
