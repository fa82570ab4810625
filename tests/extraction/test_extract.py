"""Extraction makes the lake equal to the source: late rows, changes, losses, damage, kills, locks."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.demo import Demo
from analytics.errors import LakeLockedError, UnknownNameError, UsageError, VerificationError
from analytics.estimates.sampling_rates import Rates, RateStep
from analytics.extraction.encode import partition_files
from analytics.extraction.encode.coded_rows import CodedChunk, CopyDecoder
from analytics.extraction.encode.dictionaries import Dictionary
from analytics.lake.lake import Lake
from analytics.model import Partition, RealmFilter, Span
from analytics.source import copy_stream
from analytics.source.source import Source
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.fewer import one_in
from tests.simulated import run_row

if TYPE_CHECKING:
    from tests.conftest import Table

DAY = date(2026, 7, 8)
NOON = "2026-07-08 12:00:00+00"
DAMAGES = {
    "gone": lambda path: path.unlink(),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "no Parquet": lambda path: path.write_bytes(b"not a table\n" * 20),
    "another table": lambda path: pq.write_table(pa.table({"a": [1, 2, 3]}), path),
}


def ids(lake: Lake) -> list[tuple[Any, ...]]:
    """(id, realm, day) of every row in the lake."""
    return sorted(Warehouse(lake).sql("select execution_id, realm_id, day::varchar from executions").fetchall())


def files(lake: Lake) -> dict[str, int]:
    """Every file of the lake but the lock, with the time it was written."""
    found = (path for path in lake.root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(lake.root)): path.stat().st_mtime_ns for path in found}


def tables(lake: Lake) -> set[str]:
    return {str(path.relative_to(lake.root)) for path in lake.root.rglob("*.parquet")}


# ---- equal, and equal again ------------------------------------------------------------------------------------------


def test_a_second_run_in_a_row_has_nothing_to_do_and_touches_no_partition(table: Table, fresh: Lake) -> None:
    for realm in ("acme", "birch", None):
        table.insert(realmId=realm)
    first = table.extract(fresh)
    before = files(fresh)
    second = table.extract(fresh)
    after = files(fresh)
    assert (first.nothing_to_do, len(first.written), first.row_count) == (False, 3, 3)
    assert (second.nothing_to_do, second.unchanged, second.row_count) == (True, 3, 0)
    assert after == before


def test_a_window_without_a_row_is_told_where_the_rows_are(table: Table, fresh: Lake) -> None:
    table.insert(created_at="2026-07-08 13:45:10+00")
    result = table.extract(fresh, "2026-07-20", "2026-07-22")
    [said] = [note for note in result.notes if "no row in" in note]
    assert "2026-07-20 to 2026-07-22" in said and "2026-07-08 13:45 UTC" in said
    assert [note for note in table.extract(fresh).notes if "no row in" in note] == []


def test_a_late_row_is_picked_up_by_the_next_run_which_rewrites_only_its_partition(table: Table, fresh: Lake) -> None:
    table.insert(created_at="2026-07-08 23:00:00+00")
    table.insert(realmId="birch")
    table.insert(created_at="2026-07-09 10:00:00+00")
    table.extract(fresh)
    before = files(fresh)
    late = table.insert(created_at="2026-07-08 01:00:00+00")  # committed after newer rows were extracted
    result = table.extract(fresh)
    after = files(fresh)
    assert [info.partition for info in result.written] == [Partition("acme", DAY)]
    assert {name for name in after if after[name] != before.get(name)} == {
        "executions/realm=acme/day=2026-07-08/part.parquet",
        "node_days/realm=acme/day=2026-07-08/part.parquet",
        "ledger/day=2026-07-08.json",
    }
    assert late in {row[0] for row in ids(fresh)}
    assert len(ids(fresh)) == 4


@pytest.mark.parametrize(
    ("column", "value", "lake_column"),
    [("points", 99, "points"), ("caseName", "Changed", "case_name"), ("notes", "seen by hand", "notes")],
)
def test_an_updated_row_is_seen_whatever_column_changed(
    table: Table, fresh: Lake, column: str, value: object, lake_column: str
) -> None:
    changed, other = table.insert(), table.insert()
    table.extract(fresh)
    table.execute(f'update strategyexecutionlog set "{column}" = %s where id = %s', [value, changed])
    result = table.extract(fresh)
    rows = Warehouse(fresh).sql(f"select execution_id, {lake_column} = $value from executions", value=value).fetchall()
    assert len(result.written) == 1
    assert {key for key, is_new in rows if is_new} == {changed}
    assert {key for key, _ in rows} == {changed, other}


def test_force_replaces_partitions_that_do_not_differ(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    again = table.extract(fresh, force=True, sample_rate=0.5)
    assert (len(again.written), again.unchanged) == (1, 0)
    assert Warehouse(fresh).sql("select sample_weight from executions").fetchall() == [(2.0,)]


def test_another_sampling_rate_alone_changes_nothing_and_is_said(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    again = table.extract(fresh, sample_rate=0.5)
    assert again.nothing_to_do
    assert again.notes[-1:] == [
        "1 unchanged partitions were weighted with another sampling rate than 0.5; --force weighs them again"
    ]
    assert Warehouse(fresh).sql("select sample_weight from executions").fetchall() == [(20.0,)]


# ---- what the source lost --------------------------------------------------------------------------------------------


def test_rows_deleted_at_the_source_are_kept_and_said(table: Table, fresh: Lake) -> None:
    gone, stays = table.insert(trace='[{"nodeId": "gone", "type": "rule", "value": true}]'), table.insert()
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog where id = %s", [gone])
    result = table.extract(fresh)
    assert result.kept == {Partition("acme", DAY): 1}
    assert result.dropped == {}
    assert {row[0] for row in ids(fresh)} == {gone, stays}
    assert Warehouse(fresh).sql("select count(*) from node_days where node_id = 'gone'").fetchall() == [(1,)]
    assert table.extract(fresh).nothing_to_do
    assert {result.name for result in Warehouse(fresh).check() if not result.passed} == set()


def test_all_rows_of_a_partition_deleted_at_the_source_are_kept_too(table: Table, fresh: Lake) -> None:
    gone = table.insert()
    table.extract(fresh)
    table.execute("truncate strategyexecutionlog")
    result = table.extract(fresh)
    assert result.kept == {Partition("acme", DAY): 1}
    assert ids(fresh) == [(gone, "acme", "2026-07-08")]
    assert table.extract(fresh).nothing_to_do


def test_a_kept_row_survives_the_next_change_of_its_partition(table: Table, fresh: Lake) -> None:
    gone = table.insert()
    table.extract(fresh)
    table.execute("truncate strategyexecutionlog")
    table.extract(fresh)
    late = table.insert()
    result = table.extract(fresh)
    assert {row[0] for row in ids(fresh)} == {gone, late}
    assert result.kept == {Partition("acme", DAY): 1}
    assert fresh.recorded(DAY).partitions["acme"].kept_count == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("kept_before", [False, True], ids=["at once", "after a run that kept them"])
def test_allow_shrink_follows_the_source(table: Table, fresh: Lake, kept_before: bool) -> None:
    gone, stays = table.insert(), table.insert()
    table.insert(realmId="closed")
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog where id = %s or \"realmId\" = 'closed'", [gone])
    if kept_before:
        assert sum(table.extract(fresh).kept.values()) == 2
    result = table.extract(fresh, allow_shrink=True)
    assert result.dropped == {Partition("acme", DAY): 1, Partition("closed", DAY): 1}
    assert result.kept == {}
    assert not result.nothing_to_do
    assert ids(fresh) == [(stays, "acme", "2026-07-08")]
    assert not (fresh.root / "executions/realm=closed").exists()
    assert not (fresh.root / "node_days/realm=closed").exists()
    assert table.extract(fresh, allow_shrink=True).nothing_to_do


@pytest.mark.parametrize(
    ("change", "realm", "day"),
    [
        ("\"realmId\" = 'birch'", "birch", "2026-07-08"),
        ('"realmId" = null', None, "2026-07-08"),
        ("created_at = '2026-07-09 00:00:00+00'", "acme", "2026-07-09"),
        ("created_at = null", "acme", None),
    ],
)
def test_a_row_that_moved_is_in_its_new_place_only(
    table: Table, fresh: Lake, change: str, realm: str | None, day: str | None
) -> None:
    moved, stays = table.insert(), table.insert()
    table.extract(fresh)
    table.execute(f"update strategyexecutionlog set {change} where id = %s", [moved])
    result = table.extract(fresh)
    assert ids(fresh) == sorted([(moved, realm, day), (stays, "acme", "2026-07-08")])
    assert result.kept == {}
    assert Warehouse(fresh).sql("select sum(entry_count)::int from node_days").fetchall() == [(2,)]


def test_a_partition_whose_only_row_moved_leaves_no_folder(table: Table, fresh: Lake) -> None:
    moved = table.insert()
    table.extract(fresh)
    table.execute("update strategyexecutionlog set \"realmId\" = 'birch'")
    table.extract(fresh)
    assert ids(fresh) == [(moved, "birch", "2026-07-08")]
    assert sorted(path.name for path in (fresh.root / "executions").iterdir()) == ["realm=birch"]
    assert fresh.realms() == ["birch"]
    assert table.extract(fresh).nothing_to_do


def test_a_row_that_moved_out_of_the_window_leaves_its_old_place_and_that_counts_as_work(
    table: Table, fresh: Lake
) -> None:
    moved = table.insert()
    table.extract(fresh)
    table.execute("update strategyexecutionlog set created_at = '2026-06-01 12:00:00+00'")
    result = table.extract(fresh)
    assert ids(fresh) == []
    assert (result.kept, result.dropped) == ({}, {})
    assert not result.nothing_to_do
    table.extract(fresh, "2026-06-01", "2026-06-02")
    assert ids(fresh) == [(moved, "acme", "2026-06-01")]


@pytest.mark.parametrize(
    ("realm", "created_at"), [("acme", "2026-07-09 08:00:00+00"), ("birch", NOON), (None, NOON), ("acme", None)]
)
def test_a_kept_row_that_comes_back_elsewhere_is_in_its_new_place_only(
    table: Table, fresh: Lake, realm: str | None, created_at: str | None
) -> None:
    lost, gone = table.insert(), table.insert()
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog")
    assert table.extract(fresh).kept == {Partition("acme", DAY): 2}
    table.insert(id=lost, realmId=realm, created_at=created_at)
    result = table.extract(fresh)
    day = created_at[:10] if created_at else None
    assert ids(fresh) == sorted([(lost, realm, day), (gone, "acme", "2026-07-08")])
    assert result.kept == {Partition("acme", DAY): 1}
    assert table.extract(fresh).nothing_to_do
    assert {check.name for check in Warehouse(fresh).check() if not check.passed and check.severity == "error"} == set()


@pytest.mark.parametrize("harm", ["nothing", "a new row", "a lost file"])
def test_a_run_over_one_realm_leaves_what_another_keeps_alone(table: Table, fresh: Lake, harm: str) -> None:
    lost, gone = table.insert(), table.insert()
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog")
    table.extract(fresh)
    table.insert(id=lost, realmId="birch")
    if harm == "a new row":
        table.insert()
    elif harm == "a lost file":
        fresh.path("executions", Partition("acme", DAY)).unlink()
    result = table.extract(fresh, realms=["birch"], allow_shrink=True)
    assert result.dropped == {}
    assert (lost, "birch", "2026-07-08") in ids(fresh)
    if harm != "a lost file":
        assert (gone, "acme", "2026-07-08") in ids(fresh)
        table.extract(fresh, force=True)
        assert [row[1] for row in ids(fresh) if row[0] == lost] == ["birch"]


def test_a_run_killed_before_it_looked_for_kept_rows_elsewhere_does_so_the_next_time(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = table.insert()
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog")
    table.extract(fresh)
    table.insert(id=lost, realmId="birch")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("analytics.extraction.job.Duplicates.settle", killed)
        table.extract(fresh)
    assert len(ids(fresh)) == 2  # the new one is there already
    table.extract(fresh)
    assert ids(fresh) == [(lost, "birch", "2026-07-08")]


# ---- what cannot be asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [{"wait_seconds": float("nan")}, {"wait_seconds": -1}, {"wait_seconds": float("inf")}]
)
def test_a_time_to_wait_that_is_none_is_refused(table: Table, fresh: Lake, words: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="no time to wait"):
        table.extract(fresh, **words)


@pytest.mark.parametrize("jobs", [0, -1, 17, 1_000_000])
def test_a_number_of_connections_that_makes_no_sense_is_refused(table: Table, fresh: Lake, jobs: int) -> None:
    with pytest.raises(UsageError, match="connections"):
        table.extract(fresh, jobs=jobs)


# ---- large values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 40_000, 1 << 30])
def test_row_groups_are_bounded_by_bytes_and_hold_the_same_rows(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("analytics.extraction.encode.partition_files.ROW_GROUP_BYTES", most)
    made = {}
    for number in range(20):
        text = f"{number:02}" * 5_000
        trace = f'[{{"nodeId": "n", "type": "literal", "value": "{text}"}}]'
        made[table.insert(trace=trace, realmId=("acme", "birch")[number % 2])] = text
    table.extract(fresh)
    rows = Warehouse(fresh).sql("select execution_id, trace[1].value from executions").fetchall()
    assert dict(rows) == {key: f'"{text}"' for key, text in made.items()}
    groups = pq.ParquetFile(fresh.path("executions", Partition("acme", DAY))).num_row_groups
    assert groups == {1: 10, 40_000: 4, 1 << 30: 1}[most]
    assert table.extract(fresh).nothing_to_do
    table.execute("delete from strategyexecutionlog")  # the kept rows go the same way
    assert sum(table.extract(fresh).kept.values()) == 20
    assert Warehouse(fresh).sql("select sum(length(trace[1].value)) from executions").fetchall() == [(20 * 10_002,)]


# ---- parts of the source ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("realm", ["birch", "", None, 'it\'s "quoted" {}', "%s", "a/b"])
def test_only_the_chosen_realm_is_written_and_the_day_is_not_called_complete(
    table: Table, fresh: Lake, realm: str | None
) -> None:
    wanted = table.insert(realmId=realm)
    table.insert(realmId="acme")
    table.insert(realmId="other" if realm is None else None)
    result = table.extract(fresh, realms=[realm])
    assert ids(fresh) == [(wanted, realm, "2026-07-08")]
    assert fresh.recorded(DAY).is_complete is False  # type: ignore[union-attr]
    assert DAY in result.incomplete_days
    assert table.extract(fresh, realms=[realm]).nothing_to_do
    everything = table.extract(fresh)
    assert (len(everything.written), everything.unchanged) == (2, 1)
    assert fresh.recorded(DAY).is_complete is True  # type: ignore[union-attr]


def test_a_run_over_one_realm_leaves_what_is_known_of_the_others_alone(table: Table, fresh: Lake) -> None:
    table.insert(realmId="acme")
    table.insert(realmId="birch")
    table.extract(fresh)
    before = fresh.recorded(DAY)
    table.insert(realmId="acme")
    table.execute("delete from strategyexecutionlog where \"realmId\" = 'birch'")
    result = table.extract(fresh, realms=["acme"], allow_shrink=True)
    after = fresh.recorded(DAY)
    assert before is not None
    assert after is not None
    assert after.partitions["birch"] == before.partitions["birch"]
    assert after.complete_until == before.complete_until
    assert result.dropped == {}


def test_an_empty_table_gives_an_empty_lake_that_knows_its_days(table: Table, fresh: Lake) -> None:
    result = table.extract(fresh)
    assert result.nothing_to_do
    assert result.row_count == 0
    assert tables(fresh) == set()
    assert fresh.recorded_days() == [date(2026, 7, day) for day in (7, 8, 9)]
    assert Warehouse(fresh).sql("select count(*) from executions").fetchall() == [(0,)]


def test_a_window_without_rows_writes_none_and_a_backwards_one_is_refused(table: Table, fresh: Lake) -> None:
    table.insert()
    assert table.extract(fresh, "2026-06-01", "2026-06-03").nothing_to_do
    assert tables(fresh) == set()
    with pytest.raises(UsageError, match="the window is empty"):
        table.extract(fresh, "2026-07-09", "2026-07-08")
    with pytest.raises(UsageError, match="whole UTC days"):
        table.extract(fresh, "2026-07-08 01:00", "2026-07-09")


def test_a_window_is_half_open_to_the_microsecond(table: Table, fresh: Lake) -> None:
    table.insert(created_at="2026-07-07 23:59:59.999999+00")
    first = table.insert(created_at="2026-07-08 00:00:00+00")
    last = table.insert(created_at="2026-07-08 23:59:59.999999+00")
    table.insert(created_at="2026-07-09 00:00:00+00")
    elsewhere = table.insert(created_at="2026-07-08 20:30:00-05")  # the 9th in UTC
    table.extract(fresh, "2026-07-08", "2026-07-09")
    assert {row[0] for row in ids(fresh)} == {first, last}
    table.extract(fresh, "2026-07-09", "2026-07-10")
    assert (elsewhere, "acme", "2026-07-09") in ids(fresh)


def test_days_that_are_not_asked_for_are_not_read_between_two_that_differ(table: Table, fresh: Lake) -> None:
    for day in ("07", "08", "09"):
        table.insert(created_at=f"2026-07-{day} 12:00:00+00")
    table.extract(fresh, "2026-07-08", "2026-07-09")
    result = table.extract(fresh)
    assert [info.partition.day for info in result.written] == [date(2026, 7, 7), date(2026, 7, 9)]
    assert len(ids(fresh)) == 3


def test_rows_without_a_day_come_along_in_every_window(table: Table, fresh: Lake) -> None:
    odd = {
        table.insert(created_at=text, updated_at=None): text
        for text in (None, "infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "20000-01-01 00:00:00+00")
    }
    result = table.extract(fresh, "2026-01-01", "2026-01-02")
    rows = Warehouse(fresh).sql("select execution_id, day, created_at, created_at_irregular from executions").fetchall()
    assert {row[0]: row[3] for row in rows} == odd
    assert {row[1:3] for row in rows} == {(None, None)}
    assert [info.partition for info in result.written] == [Partition("acme", None)]
    assert table.extract(fresh, "2026-02-01", "2026-02-02").nothing_to_do


def test_the_first_and_the_last_day_of_the_calendar_can_be_read(table: Table, fresh: Lake) -> None:
    first = table.insert(created_at="0001-01-01 00:00:00+00")
    table.extract(fresh, "0001-01-01", "0001-01-02")
    last = table.insert(created_at="9999-12-30 23:59:59.999999+00")
    table.extract(fresh, "9999-12-30", "9999-12-31")
    assert ids(fresh) == sorted([(first, "acme", "0001-01-01"), (last, "acme", "9999-12-30")])


# ---- damage ----------------------------------------------------------------------------------------------------------


def test_a_lost_ledger_costs_a_re_extraction_and_nothing_else(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    before = ids(fresh)
    shutil.rmtree(fresh.root / "ledger")
    assert len(table.extract(fresh).written) == 1
    assert ids(fresh) == before
    assert table.extract(fresh).nothing_to_do


def test_a_damaged_ledger_file_is_read_as_none_and_repaired(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    path = fresh.root / "ledger/day=2026-07-08.json"
    whole = fresh.recorded(DAY)
    assert whole is not None
    for text in (
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"format": 0}',
        '{"format": 1, "day": "2026-07-08"}',
        '{"format": 1, "day": "2026-07-08", "partitions": {"a": 1}}',
        '{"format": 1, "day": "2026-07-08", "partitions": [], "covers_all_realms": true, "complete_until": null, '
        '"horizon_reason": "", "source": [], "recorded_at": "2026-07-08"}',
        "\udcff\udcfe",
    ):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert len(table.extract(fresh).written) == 1, text
        repaired = fresh.recorded(DAY)
        assert repaired is not None, text
        assert repaired.partitions["acme"].fingerprint == whole.partitions["acme"].fingerprint, text
        assert len(ids(fresh)) == 1, text


@pytest.mark.parametrize("folder", ["executions", "node_days"])
def test_a_damaged_partition_file_is_replaced_by_the_next_run(table: Table, fresh: Lake, folder: str) -> None:
    row = table.insert()
    table.insert(realmId="birch")
    table.extract(fresh)
    for how, damage in DAMAGES.items():
        damage(fresh.path(folder, Partition("acme", DAY)))
        result = table.extract(fresh)
        assert [info.partition.realm for info in result.written] == ["acme"], how
        found = ids(fresh)
        assert (row, "acme", "2026-07-08") in found, how
        assert len(found) == 2, how
        assert Warehouse(fresh).sql("select sum(entry_count)::int from node_days").fetchall() == [(2,)], how
        assert result.kept == {}, how


def test_a_file_copied_from_another_realm_is_replaced_and_its_rows_are_not_kept(table: Table, fresh: Lake) -> None:
    table.insert()
    for _ in range(20):
        table.insert(realmId="birch")
    table.extract(fresh)
    before = ids(fresh)
    shutil.copy(fresh.path("executions", Partition("birch", DAY)), fresh.path("executions", Partition("acme", DAY)))
    result = table.extract(fresh)
    assert ids(fresh) == before
    assert result.kept == {}


@pytest.mark.parametrize("folder", ["definitions", "definition_nodes"])
def test_a_damaged_file_of_definitions_is_replaced_by_the_next_run(table: Table, fresh: Lake, folder: str) -> None:
    table.define(PROGRAM, name="v1")
    table.extract(fresh)
    question = "select d.family_name, n.position, n.type from definitions d join definition_nodes n using (strategy_id) order by 2"
    whole = Warehouse(fresh).sql(question).fetchall()
    assert whole[0][0] == "v1"
    for how, damage in DAMAGES.items():
        [path] = fresh.files(folder)
        damage(Path(path))
        table.extract(fresh)
        assert Warehouse(fresh).sql(question).fetchall() == whole, how


PROGRAM = {
    "type": "program",
    "rules": [{"id": "r1", "type": "rule", "when": {"type": "literal", "value": True}, "then": []}],
}


def test_leftovers_of_a_killed_run_are_removed_and_never_seen(table: Table, fresh: Lake) -> None:
    table.insert()
    leftover = fresh.root / ".tmp/run-1/executions-0.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half a file")
    table.extract(fresh)
    assert not (fresh.root / ".tmp").exists()
    assert len(ids(fresh)) == 1


@pytest.mark.parametrize("what", ["row_count", "id_hash"])
def test_a_run_whose_files_do_not_add_up_replaces_nothing(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    table.insert()
    table.extract(fresh)
    before = files(fresh)
    table.insert()
    real = Source.fingerprints
    monkeypatch.setattr(
        Source,
        "fingerprints",
        lambda *args: {key: replace(mark, **{what: getattr(mark, what) + 1}) for key, mark in real(*args).items()},
    )
    with pytest.raises(VerificationError, match="nothing was replaced") as raised:
        table.extract(fresh)
    assert raised.value.partition == Partition("acme", DAY)
    assert files(fresh) == before
    monkeypatch.undo()
    table.extract(fresh)
    assert len(ids(fresh)) == 2


def test_rows_lost_between_the_stream_and_the_file_are_noticed(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.insert()
    table.insert()
    real = CopyDecoder._numbered

    def losing(self: CopyDecoder, first: int) -> Any:
        numbers = real(self, first)
        numbers[0] = -1  # as if the row were of no planned partition
        return numbers

    monkeypatch.setattr(CopyDecoder, "_numbered", losing)
    with pytest.raises(VerificationError):
        table.extract(fresh)
    assert tables(fresh) == set()


# ---- size ------------------------------------------------------------------------------------------------------------


def test_a_row_larger_than_a_block_of_the_stream_is_read(table: Table, fresh: Lake) -> None:
    for version, size in enumerate((12_000_000, 9_000_000, 9_000_000, 12), 1):
        entry = {"nodeId": "n1", "type": "literal", "value": "0123456789ab" * (size // 12)}
        table.insert(strategyVersion=version, trace=json.dumps([entry]))
    table.extract(fresh)
    found = Warehouse(fresh).sql("select strategy_version, length(value_text) from nodes order by 1").fetchall()
    assert found == [(1, 12_000_000), (2, 9_000_000), (3, 9_000_000), (4, 12)]


def test_the_snapshot_survives_a_reader_that_gives_up_while_the_server_is_still_sending(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_stream, "BLOCK_BYTES", 50_000)
    table.execute(
        """insert into strategyexecutionlog (id, created_at, "realmId", "strategyId", "strategyVersion", "strategyType",
                                             status, "durationMs", "nodesExecuted", sampled, notes)
           select gen_random_uuid(), '2026-07-08', 'acme', 's', n, 'DSL_FULL', 'ok', 1, 0, true, repeat('n', 1000)
             from generate_series(1, 8000) n"""
    )
    window = Window.parse("2026-07-08", "2026-07-09")
    with Source(table.url) as source:
        before = source.fingerprints(window, RealmFilter())
        with source.executions(Span(DAY, DAY, RealmFilter())) as blocks:
            assert len(next(blocks)) <= 50_000
        table.insert()
        assert source.fingerprints(window, RealmFilter()) == before
        with source.executions(Span(DAY, DAY, RealmFilter())) as blocks:
            assert sum(len(block) for block in blocks) > 8_000_000


def test_many_long_traces_need_no_more_memory_than_short_ones(table: Table, fresh: Lake) -> None:
    # 60 MB in traces of 200 entries, 100 kB each: a few hundred rows of them once exceeded DuckDB's limit
    table.execute(
        """insert into strategyexecutionlog (id, created_at, "realmId", "strategyId", "strategyVersion", "strategyType",
                                             status, "durationMs", "nodesExecuted", sampled, trace)
           select gen_random_uuid(), '2026-07-08', 'acme', 's', n, 'DSL_FULL', 'ok', 1, 1, true, trace
             from generate_series(1, 600) n,
                  (select jsonb_agg(jsonb_build_object('nodeId', 'n' || i, 'type', 'literal', 'value', repeat('x', 450)))
                     from generate_series(1, 200) i) as long(trace)"""
    )
    table.extract(fresh)
    question = "select count(*), sum(length(value_text))::int from nodes"
    assert Warehouse(fresh).sql(question).fetchall() == [(600 * 200, 600 * 200 * 450)]


def test_rows_larger_than_what_a_pipe_holds_need_no_larger_block(table: Table, fresh: Lake) -> None:
    table.insert(trace=json.dumps([{"nodeId": "n1", "type": "literal", "value": "x" * 300_000}]))
    table.insert(notes="y" * 300_000)
    table.extract(fresh)
    [(value, notes)] = (
        Warehouse(fresh).sql("select max(length(trace[1].value)), max(length(notes)) from executions").fetchall()
    )
    assert (value, notes) == (300_002, 300_000)


@pytest.mark.parametrize(("rows", "jobs"), one_in(4, [(50, 1), (50, 2), (1_000, 1), (1_000, 2)]))
def test_many_runs_on_disk_of_many_dictionaries_give_the_same_lake_as_one_in_memory(
    demo: Demo, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, jobs: int
) -> None:
    spilled: list[Path] = []
    dictionaries: list[Dictionary] = []
    real_spill, real_init = CodedChunk.move_to, Dictionary.__init__

    def spill(self: CodedChunk, path: Path) -> None:
        spilled.append(path)
        real_spill(self, path)

    def start(self: Dictionary, row_bytes: int = 0) -> None:
        dictionaries.append(self)
        real_init(self, row_bytes)

    monkeypatch.setattr(CodedChunk, "move_to", spill)
    monkeypatch.setattr(Dictionary, "__init__", start)
    monkeypatch.setattr("analytics.extraction.transfer.HELD_BYTES", 0)
    monkeypatch.setattr("analytics.extraction.encode.coded_rows.ROWS", rows)
    for name in ("TEXTS", "VALUES", "TEMPLATES"):
        monkeypatch.setattr(f"analytics.extraction.encode.dictionaries.{name}", 100_000)
    monkeypatch.setattr("analytics.extraction.encode.dictionaries.TEMPLATE_BYTES", 60_000)
    monkeypatch.setattr(copy_stream, "BLOCK_BYTES", 100_000)
    other = Lake(tmp_path / "lake")
    extract(demo.url, other, Window.parse("2026-07-06", "2026-07-12"), rates=Rates((), 0.05), jobs=jobs)
    assert len(spilled) > 3
    assert len(dictionaries) > 3
    ours = set(other.files("executions", days=[date(2026, 7, day) for day in range(6, 12)]))
    assert len(ours) > 30
    for name in other.files("executions") + other.files("node_days"):
        relative = Path(name).relative_to(other.root)
        keys = (
            ["execution_id"]
            if relative.parts[0] == "executions"
            else ["strategy_id", "strategy_version", "node_id", "type", "branch"]
        )
        mine, theirs = pq.ParquetFile(name).read(), pq.ParquetFile(lake.root / relative).read()
        order = [(key, "ascending") for key in keys]
        assert same(mine.sort_by(order), theirs.sort_by(order)), relative
        if keys == ["execution_id"]:
            units = list(
                zip(*(mine[column].to_pylist() for column in ("strategy_id", "strategy_version")), strict=True)
            )
            assert units == sorted(units)


def same(left: pa.Table, right: pa.Table) -> bool:
    """Equal, where NaN equals NaN and sums may differ in the last bits."""
    if left.schema != right.schema or left.num_rows != right.num_rows:
        return False
    for name in left.column_names:
        one, two = left[name].to_pylist(), right[name].to_pylist()
        if pa.types.is_floating(left.schema.field(name).type):
            one, two = ([None if x is None else pytest.approx(x, rel=1e-12, nan_ok=True) for x in one], two)
        if name == "trace":
            one, two = map(repr, one), map(repr, two)
            one, two = list(one), list(two)
        if one != two:
            return False
    return True


def test_files_are_sorted_by_strategy_version_and_time(lake: Lake) -> None:
    columns = ("strategy_id", "strategy_version", "created_at", "execution_id")
    longest = 0
    for name in lake.files("executions"):
        found = pq.ParquetFile(name).read(list(columns))
        keys = list(zip(*(found[column].to_pylist() for column in columns), strict=True))
        if found["created_at"].null_count == 0:
            assert keys == sorted(keys)
            longest = max(longest, len(keys))
    assert longest > 100


# ---- completeness ----------------------------------------------------------------------------------------------------


def today(table: Table) -> tuple[str, str]:
    [(now,)] = table.execute("select now()")
    return f"{now.astimezone(UTC):%Y-%m-%d}", f"{now.astimezone(UTC) + timedelta(days=1):%Y-%m-%d}"


def test_an_open_transaction_holds_completeness_back_and_is_named(table: Table, fresh: Lake) -> None:
    table.execute("create role slow_writer superuser login")
    try:
        with psycopg.connect(table.as_role("slow_writer")) as writer:
            [(pid, began)] = writer.execute("select pg_backend_pid(), now()").fetchall()
            held = table.extract(fresh, *today(table), lag=timedelta(0))
            assert held.horizon.until == began
            assert (held.horizon.pid, held.horizon.role) == (pid, "slow_writer")
            assert f"role slow_writer (pid {pid})" in held.horizon.reason
        free = table.extract(fresh, *today(table), lag=timedelta(0))
        assert free.horizon.pid is None
        assert free.horizon.until > began
    finally:
        table.execute("drop role slow_writer")


def test_the_lag_is_taken_off_the_servers_clock(table: Table, fresh: Lake) -> None:
    [(before,)] = table.execute("select now()")
    horizon = table.extract(fresh, lag=timedelta(hours=5)).horizon
    [(after,)] = table.execute("select now()")
    assert before <= horizon.until + timedelta(hours=5) <= after
    assert horizon.reason == "300 min behind the server's clock"


def test_a_day_is_complete_only_when_it_ended_before_the_horizon(table: Table, fresh: Lake) -> None:
    since, until = today(table)
    # without a lag: with one, yesterday is not complete yet in the first minutes after midnight
    result = table.extract(fresh, "2026-07-08", until, lag=timedelta(0))
    day = date.fromisoformat(since)
    assert result.incomplete_days == ([day] if day > DAY else [])
    assert fresh.recorded(DAY).is_complete  # type: ignore[union-attr]


def test_a_day_that_ended_while_a_transaction_is_still_open_becomes_complete_later(table: Table, fresh: Lake) -> None:
    [(now,)] = table.execute("select now()")
    ended = now.astimezone(UTC).date() - timedelta(days=1)
    window = (ended.isoformat(), (ended + timedelta(days=1)).isoformat())
    held = table.extract(fresh, *window, lag=timedelta(days=2))
    assert held.incomplete_days == [ended]
    later = table.extract(fresh, *window, lag=timedelta(0))
    assert later.incomplete_days == []
    assert fresh.recorded(ended).is_complete  # type: ignore[union-attr]


def test_a_role_that_cannot_see_other_sessions_says_so(table: Table, role: str, fresh: Lake) -> None:
    table.execute(f"grant select on strategyexecutionlog to {role}")
    table.insert()
    with psycopg.connect(table.url) as other:
        other.execute("select 1")
        result = extract(table.as_role(role), fresh, Window.parse("2026-07-08", "2026-07-09"), rates=Rates((), 0.05))
    assert "cannot see other sessions" in result.horizon.reason
    assert "pg_read_all_stats" in result.horizon.reason
    assert result.row_count == 1
    table.execute(f"grant pg_read_all_stats to {role}")
    with psycopg.connect(table.url) as other:
        other.execute("select 1")
        result = extract(table.as_role(role), fresh, Window.parse("2026-07-08", "2026-07-09"), rates=Rates((), 0.05))
    assert "cannot see" not in result.horizon.reason
    assert result.horizon.role == "postgres"


# ---- two runs, and half a run ----------------------------------------------------------------------------------------


def hold(root: str, told: Any, release: Any) -> None:
    with Lake(root).lock():
        told.set()
        release.wait(30)


@contextmanager
def held_lock(lake: Lake) -> Iterator[int]:
    """Another process that holds the lake's lock; its pid."""
    context = multiprocessing.get_context("spawn")
    told, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(str(lake.root), told, release))
    process.start()
    try:
        assert told.wait(30)
        yield process.pid or 0
    finally:
        release.set()
        process.join(30)


def test_a_second_run_at_the_same_time_is_refused_with_the_owners_pid(table: Table, fresh: Lake) -> None:
    with held_lock(fresh) as pid:
        with pytest.raises(LakeLockedError, match=rf"\(pid {pid}, since ") as raised:
            table.extract(fresh)
        assert raised.value.exit_code == 75
        with pytest.raises(LakeLockedError):
            table.extract(fresh, wait_seconds=0.3)
    table.extract(fresh)  # the lock went with its owner


def test_a_failed_run_releases_the_lock(table: Table, fresh: Lake) -> None:
    table.execute("alter table strategyexecutionlog rename to elsewhere")
    with pytest.raises(Exception, match="no table"):
        table.extract(fresh)
    table.execute("alter table elsewhere rename to strategyexecutionlog")
    table.extract(fresh)


KILL = {
    "after the first of three partitions": """
        from analytics.lake.lake import Lake
        real, done = Lake.replace, []
        def replace(self, staged, target):
            real(self, staged, target)
            done.append(target)
            if sum("executions" in str(path) for path in done) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        Lake.replace = replace
        """,
    "before the ledger is written": """
        from analytics.lake.lake import Lake
        Lake.record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        """,
    "while files are written": """
        from analytics.extraction.encode import partition_files
        partition_files._read_back = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        """,
}


@pytest.mark.parametrize("point", one_in(2, KILL.values()), ids=KILL.keys())
def test_a_kill_in_the_middle_leaves_whole_files_and_the_next_run_completes_them(
    table: Table, fresh: Lake, point: str
) -> None:
    expected = sorted((table.insert(realmId=realm), realm, "2026-07-08") for realm in ("acme", "birch", "cedar"))
    program = (
        "import os, signal\n"
        + textwrap.dedent(point)
        + "from tests.extracting import extract\nfrom analytics.lake.lake import Lake\n"
        "from analytics.model import Window\nfrom analytics.estimates.sampling_rates import Rates\n"
        + f"extract({table.url!r}, Lake({str(fresh.root)!r}), Window.parse('2026-07-08', '2026-07-09'), rates=Rates((), 0.05))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=False, capture_output=True, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    for path in fresh.root.rglob("*.parquet"):
        assert pq.ParquetFile(path).metadata.num_rows == 1  # what a bare glob sees is whole
    result = table.extract(fresh)
    assert ids(fresh) == expected
    assert result.kept == {}
    assert not (fresh.root / ".tmp").exists()
    assert [check.name for check in Warehouse(fresh).check() if not check.passed] == []
    assert table.extract(fresh).nothing_to_do


# ---- what is remembered ----------------------------------------------------------------------------------------------


def test_footers_and_ledger_say_what_postgresql_counted(database_url: str, lake: Lake) -> None:
    with psycopg.connect(database_url) as connection:
        expected = {
            row[:2]: row[2:]
            for row in connection.execute(
                """select "realmId", (created_at at time zone 'UTC')::date, count(*),
                          sum(('x' || lpad(substr(replace(id::text, '-', ''), 1, 15), 16, '0'))::bit(64)::bigint)
                     from strategyexecutionlog
                    where created_at >= '2026-07-06' and created_at < '2026-07-12' group by 1, 2"""
            )
        }
    assert len(expected) > 30
    for (realm, day), (count, id_hash) in expected.items():
        info = lake.recorded(day).partitions[realm]  # type: ignore[union-attr]
        path = lake.path("executions", Partition(realm, day))
        footer = pq.read_metadata(path).metadata
        assert (info.row_count, info.id_hash, info.kept_count) == (count, id_hash, 0)
        assert (info.fingerprint.row_count, info.fingerprint.id_hash) == (count, id_hash)
        assert sum(info.status_counts.values()) == count
        assert info.file_bytes == path.stat().st_size
        assert footer[b"strategy_analytics.day"].decode() == day.isoformat()
        assert int(footer[b"strategy_analytics.source_row_count"]) == count == pq.read_metadata(path).num_rows
        assert int(footer[b"strategy_analytics.source_id_hash"]) == id_hash
        assert int(footer[b"strategy_analytics.source_change_hash"]) == info.fingerprint.change_hash
        assert info.sample_rates == (RateStep(None, 0.05),)
        assert footer[b"strategy_analytics.sample_rate"] == b"0.05"


def test_the_ledger_names_its_source(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    [(database, oid)] = table.execute("select datname, oid::text from pg_database where datname = current_database()")
    known = json.loads((fresh.root / "ledger/day=2026-07-08.json").read_text(encoding="utf-8"))["source"]
    assert (known["database"], known["database_oid"]) == (database, oid)
    assert int(known["system_identifier"]) > 0


def test_the_result_is_plain_json(table: Table, fresh: Lake) -> None:
    table.insert(realmId=None, created_at=None)
    gone = table.insert()
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog where id = %s", [gone])
    told = json.loads(json.dumps(table.extract(fresh).to_dict()))
    assert told["rows_kept_though_gone"] == [{"realm_id": "acme", "day": "2026-07-08", "rows": 1}]
    assert told["since"] == "2026-07-07"
    assert told["until"] == "2026-07-10"


@pytest.mark.parametrize("jobs", [2, 3])
def test_a_day_that_several_connections_read_is_in_the_ledger_whole(table: Table, fresh: Lake, jobs: int) -> None:
    for realm in ("acme", "birch", "cedar", "dill", None):
        for created_at in (NOON, None):
            table.insert(realmId=realm, created_at=created_at)
    first = table.extract(fresh, "2026-07-08", "2026-07-09", jobs=jobs)
    assert len(first.written) == 10
    assert [len(fresh.recorded(day).partitions) for day in (DAY, None)] == [5, 5]  # type: ignore[union-attr]
    assert table.extract(fresh, "2026-07-08", "2026-07-09", jobs=jobs).nothing_to_do


def test_the_first_days_of_the_calendar_are_a_window_too(table: Table, fresh: Lake) -> None:
    assert table.extract(fresh, "0001-01-01", "0001-01-05").nothing_to_do


def test_progress_is_told_once_at_the_start_and_after_each_partition(table: Table, fresh: Lake) -> None:
    for realm in ("acme", "birch"):
        table.insert(realmId=realm)
    heard: list[Any] = []
    table.extract(fresh, progress=heard.append)
    assert [(p.partitions_done, p.partitions_total, p.rows_total) for p in heard] == [(0, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert [p.written and p.written.partition.realm for p in heard] == [None, "acme", "birch"]


def test_the_row_group_is_small_enough_for_all_cores(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_files, "ROW_GROUP_ROWS", 10)
    table.insert_all(run_row() for _ in range(35))
    table.extract(fresh)
    metadata = pq.read_metadata(fresh.path("executions", Partition("acme", DAY)))
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(sizes) == 35
    assert max(sizes) == 10


def test_extraction_times_are_utc_and_recent(table: Table, fresh: Lake) -> None:
    table.insert()
    before = datetime.now(UTC) - timedelta(seconds=2)
    [info] = table.extract(fresh).written
    assert before <= info.extracted_at <= datetime.now(UTC)


def test_a_realm_that_nobody_knows_is_refused_and_one_that_was_quiet_is_not(table: Table, fresh: Lake) -> None:
    table.insert(realmId="acme")
    table.insert(realmId="birch", created_at="2020-01-01 12:00:00+00")
    table.extract(fresh)
    with pytest.raises(UnknownNameError, match="a run of the realm 'acne'") as refused:
        table.extract(fresh, realms=["acne"])
    assert "did you mean 'acme'" in refused.value.hint
    assert table.extract(fresh, realms=["acme", "birch"]).nothing_to_do
    table.execute("delete from strategyexecutionlog")
    table.extract(fresh, realms=["acme"])  # the lake knows it
