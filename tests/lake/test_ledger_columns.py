"""The ledger's columns say what the ledger says, or nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from analytics.errors import DamagedFileError
from analytics.estimates.sampling_rates import RateStep
from analytics.lake import ledger, ledger_columns, small_partitions
from analytics.lake.lake import Lake
from analytics.lake.ledger_columns import ColumnarPartitions
from analytics.model import (
    DayRecord,
    Fingerprint,
    IgnoredTransaction,
    OpenTransaction,
    Partition,
    PartitionInfo,
    TransactionIds,
)
from analytics.warehouse import coverage
from analytics.warehouse.in_sight import LakeInSight
from analytics.warehouse.warehouse import Warehouse
from tests.conftest import Table

DAY = date(2026, 7, 8)
AT = datetime(2026, 7, 9, 1, 2, 3, tzinfo=UTC)
REALMS = [None, "", 'Großer "Mandant"\n\u2028', "\x1f☃", *(f"tenant-{n}" for n in range(small_partitions.LEAST))]


def info_of(number: int, realm: str | None, day: date | None = DAY) -> PartitionInfo:
    """Every field is another in every partition, and some are absent."""
    return PartitionInfo(
        partition=Partition(realm, day),
        fingerprint=Fingerprint(
            number + 1,
            2**70 + number,
            2**90 - number,
            AT + timedelta(microseconds=number) if number % 3 else None,
            TransactionIds("7", 1, number, 2**40, "ab") if number % 2 else None,
        ),
        row_count=number + (600 if number == 9 else 0),
        kept_count=number % 4,
        id_hash=2**65 + number,
        trace_entries=7 * number,
        irregular_count=number % 5,
        status_counts={"ok": number, "error": 1},
        sample_rates=(RateStep(None, 0.05),) if number % 7 else (RateStep(None, 0.05), RateStep(AT, 0.2)),
        file_bytes=1000 + number,
        node_days_bytes=0 if number % 6 == 0 else 50 + number,
        extracted_at=AT,
        erased_count=number % 2,
        privacy_version="v1" if number % 8 else "",
    )


def record_of(realms: list[str | None] = REALMS, day: date | None = DAY) -> DayRecord:
    infos = {realm: info_of(number, realm, day) for number, realm in enumerate(realms)}
    spans = (IgnoredTransaction(AT, AT, OpenTransaction("writer", AT, pid=3), AT),)
    return DayRecord(day, infos, True, AT, "a lag", {"database": "game"}, AT, spans)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.record(record_of())
    return made


def columns_path(lake: Lake, day: date | None = DAY) -> Path:
    return Path(str(ledger_columns.path_beside(lake.ledger_path(day))))


def is_believed(lake: Lake) -> bool:
    record = Lake(lake.root).recorded(DAY)
    return record is not None and isinstance(record.partitions, ColumnarPartitions)


def test_they_tell_what_the_ledger_tells(lake: Lake) -> None:
    lake.record(record_of(day=None))
    for day in (DAY, None):
        told, from_ledger = lake.recorded(day), ledger.read(lake.ledger_path(day), day)
        assert told
        assert isinstance(told.partitions, ColumnarPartitions)
        assert told == from_ledger == record_of(day=day)
        assert list(told.partitions.items()) == list(from_ledger.partitions.items())
        assert [info.fingerprint.ids for info in told.partitions.values()] == [
            info.fingerprint.ids for info in from_ledger.partitions.values()
        ]
        assert [*ledger_columns.sizes(told)] == [*ledger_columns.sizes(from_ledger)]
        assert ledger_columns.small_digest(told) == ledger_columns.small_digest(from_ledger)
        for realms in (None, ["tenant-3", None], ["nobody"]):
            both = [json.loads(ledger_columns.rows_json([one], realms)) for one in (told, from_ledger)]
            shared = [{name: day_told[name] for name in both[1][0]} for [day_told] in both]
            assert shared[0] == shared[1]
        assert ledger.to_json(told) == ledger.to_json(from_ledger)
    assert "nobody" not in told.partitions
    assert told.partitions.get("nobody") is None


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def forge(path: Path, line: int, change: Callable[[str], str]) -> None:
    """With a hash that is right."""
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    lines[line] = change(lines[line])
    body = "\n".join(lines) + "\n"
    told = json.loads(head) | {"sha256": hashlib.sha256(body.encode()).hexdigest()}
    path.write_text(f"{json.dumps(told)}\n{body}", encoding="utf-8")


UNBELIEVED: dict[str, Callable[[Lake], None]] = {
    "cut short": lambda lake: rewrite(columns_path(lake), lambda text: text[:-10]),
    "empty": lambda lake: rewrite(columns_path(lake), lambda _: ""),
    "one digit another": lambda lake: rewrite(columns_path(lake), lambda text: text.replace("1003", "1004")),
    "of a newer format": lambda lake: rewrite(columns_path(lake), lambda text: text.replace('"format": 1', '"format": 2', 1)),
    "with negative counts": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace("1003", "-103")),
    "with words for counts": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace("1003", '"3"')),
    "with a row less": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace("1003, ", "")),
    "with a tenant twice": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace("tenant-3", "tenant-4")),
    "of a newer ledger": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace('"format": 1', '"format": 2')),
    "of another day": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace('"2026-07-08"', '"2026-07-07"')),
    "of two days": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace('"2026-07-08"', '"2026-07-07"', 1)),
    "no text": lambda lake: forge(columns_path(lake), 0, lambda line: line.replace("tenant-3", "\\ud800")),
    "a folder": lambda lake: (columns_path(lake).unlink(), columns_path(lake).mkdir())[1],
}  # fmt: skip


@pytest.mark.parametrize("spoil", UNBELIEVED.values(), ids=UNBELIEVED)
def test_what_is_damaged_is_as_none_and_the_ledger_is_read(lake: Lake, spoil: Callable[[Lake], None]) -> None:
    assert is_believed(lake)
    spoil(lake)
    assert not is_believed(lake)
    assert Lake(lake.root).recorded(DAY) == record_of()


def test_the_ledger_is_believed_where_the_columns_are_of_another_version_of_it(lake: Lake) -> None:
    other = replace(record_of(), partitions={r: i for r, i in record_of().partitions.items() if r != "tenant-3"})
    path = Path(str(lake.ledger_path(DAY)))
    # As whoever is killed between the two files leaves it; and as an editor does, which writes into the same file.
    for write in (lambda text: lake.write_text(path, text), lambda text: path.write_text(text, encoding="utf-8")):
        lake.record(record_of())
        write(ledger.to_json(other))
        assert not is_believed(lake)
        assert Lake(lake.root).recorded(DAY) == other
    lake.record(record_of())
    size = path.stat().st_size
    rewrite(path, lambda text: text.replace('"a lag"', '"a hag"'))
    assert path.stat().st_size == size
    told = Lake(lake.root).recorded(DAY)
    assert told
    assert told.horizon_reason == "a hag"
    path.unlink()
    assert Lake(lake.root).recorded(DAY) is None


def test_a_day_whose_files_are_of_another_day_is_refused_with_and_without_them(lake: Lake) -> None:
    other = date(2026, 7, 7)
    lake.record(record_of(day=other))
    shutil.copyfile(str(lake.ledger_path(other)), str(lake.ledger_path(DAY)))
    shutil.copyfile(columns_path(lake, other), columns_path(lake))
    for has_columns in (True, False):
        fresh = Lake(lake.root)
        assert fresh.recorded(DAY) is None
        assert fresh.recorded(other) == record_of(day=other)
        days = Warehouse(fresh).sql("select day, count(*) from partitions group by day").fetchall()
        assert days == [(other, len(REALMS))]
        if has_columns:
            columns_path(lake).unlink()


def test_a_copied_lake_has_them_by_content_and_an_extraction_makes_them_its_own(lake: Lake, tmp_path: Path) -> None:
    shutil.copytree(str(lake.root), tmp_path / "copy")
    copied = Lake(tmp_path / "copy")
    assert is_believed(copied)
    before = columns_path(copied).read_bytes()
    copied.complete_columns()
    after = columns_path(copied).read_bytes()
    assert after != before
    copied.complete_columns()
    assert columns_path(copied).read_bytes() == after
    columns_path(copied).unlink()
    Lake(copied.root).complete_columns()
    assert columns_path(copied).read_bytes() == after


def test_they_go_with_the_ledger_and_with_the_tenants(lake: Lake) -> None:
    lake.record(record_of(day=None))
    lake.record(record_of([*REALMS[:4]]))
    assert not columns_path(lake).exists()
    lake.remove(lake.ledger_path(None))
    lake.complete_columns()
    assert not columns_path(lake).parent.exists()
    assert Lake(lake.root).recorded(DAY) == record_of([*REALMS[:4]])


def test_what_others_have_put_beside_them_stays(lake: Lake) -> None:
    folder = columns_path(lake).parent
    lake.record(record_of(day=date(2026, 7, 7)))
    lake.ledger_path(date(2026, 7, 7)).unlink()  # type: ignore[union-attr]
    for name in ("notes.md", "day=x.txt", "day=2026-07-06.txt.bak", "@eaDir/thumb", "day=2026-07-05.txt/notes"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("somebody's", encoding="utf-8")
    (folder.parent / "notes.tmp").write_text("somebody's", encoding="utf-8")
    (folder.parent / "old.json.tmp").mkdir()
    with lake.workspace():
        lake.complete_columns()
    assert {path.name for path in folder.iterdir()} == {
        *("notes.md", "day=x.txt", "day=2026-07-06.txt.bak", "@eaDir", "day=2026-07-05.txt", "day=2026-07-08.txt")
    }  # fmt: skip
    assert {path.name for path in folder.parent.iterdir()} == {
        *("columns", "day=2026-07-08.json", "notes.tmp", "old.json.tmp")
    }  # fmt: skip
    assert is_believed(lake)


def test_an_entry_that_is_none_is_named_with_its_file(lake: Lake) -> None:
    forge(columns_path(lake), 1, lambda line: line.replace('"error": 1', '"error": "1"', 1))
    told = lake.recorded(DAY)
    assert told
    assert len(told.partitions) == len(REALMS)
    with pytest.raises(DamagedFileError, match=r"columns/day=2026-07-08\.txt is damaged: '1' is not a count"):
        [*told.partitions.values()]


def test_readers_find_the_same_with_and_without_them(lake: Lake) -> None:
    def asked() -> list[object]:
        fresh = Lake(lake.root)
        opened, one = Warehouse(fresh), Warehouse(fresh, realms=["tenant-3"])
        seen = LakeInSight(fresh)
        every = "from partitions order by all"
        return [
            *(of.sql(every).fetchall() for of in (opened, one)),
            opened.lost(), one.lost(), opened.realms, coverage.calendar(seen), repr(opened), opened.files,
        ]  # fmt: skip

    with_columns = asked()
    assert is_believed(lake)
    columns_path(lake).unlink()
    assert asked() == with_columns
    rows = with_columns[0]
    assert isinstance(rows, list)
    expected = [
        (
            *(realm, DAY, info.row_count, info.fingerprint.row_count, info.kept_count, info.erased_count),
            *(info.trace_entries, info.irregular_count),
            info.sample_rates[0].rate if len(info.sample_rates) == 1 else None,
            *([step.rate for step in info.sample_rates], info.file_bytes, True, AT, AT),
        )
        for realm, info in record_of().partitions.items()
    ]
    assert sorted(rows, key=str) == sorted(expected, key=str)


def test_the_status_of_a_lake_loads_no_duckdb(module_table: Table, tmp_path: Path) -> None:
    module_table.insert(realmId="acme")
    module_table.extract(Lake(tmp_path / "lake"))
    code = "import sys; from analytics.cli import main; main(['status']); print({'duckdb', 'pyarrow'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"ANALYTICS_LAKE": str(tmp_path / "lake")}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "acme" in done.stdout
    assert done.stdout.endswith("set()\n")
