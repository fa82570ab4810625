"""Day files: quicker, never different; readers of one tenant do not know them."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from analytics.extraction import day_files
from analytics.extraction.day_files import DayFile
from analytics.lake import ledger, small_partitions
from analytics.lake.lake import Lake, day_directory, realm_directory
from analytics.model import DayRecord, Partition
from analytics.reports.explore.open_lake import open_lake
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from tests.conftest import Prepared, Table

FIRST, DAY = date(2026, 7, 7), date(2026, 7, 8)
MANY = 10
"""Small partitions that are many here; of as many as in production there is the scenario of many small tenants in tests.proof."""
REALMS = 12
COUNTS = "select realm_id, day, count(*)::int from executions group by all order by all"
ROLLED = "select realm_id, day, sum(entry_count)::int from node_days group by all order by all"

MANY_ROWS = """
insert into strategyexecutionlog (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId",
    status, points, "durationMs", "nodesExecuted", trace, sampled)
select md5(realm || '/' || day || '/' || n)::uuid, moment, moment, 's' || n %% 2, 1, 'DSL_FULL',
    case realm when 1 then null when 2 then '' when 3 then 'Großer Mandant' else 'tenant-' || realm end,
    case n when 1 then 'ok' else 'error' end, case n when 1 then 1.5 end, 2, 2,
    case n when 1 then '[{"nodeId": "a", "type": "literal", "value": 1},
        {"nodeId": null, "type": "rule", "branch": "match", "value": "x"}]'::jsonb end,
    n = 1
from generate_series(1, %s) realm, generate_series(7, 8) day, generate_series(1, 3) n,
    lateral (select ('2026-07-0' || day || ' 10:00:00+00')::timestamptz + n * interval '1 minute' as moment) made
"""


LAKE = Path("day=2026-01-01") / "realm=x" / "kind=backup" / "lake"
"""In folders that look like partitions, as backups and buckets have them: they are none of the lake's."""


@pytest.fixture(autouse=True, scope="module")
def _ten_are_many() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for module in (small_partitions, day_files):
            patched.setattr(module, "LEAST", MANY)
        yield


@pytest.fixture(scope="module")
def many_once(prepare: Callable[[Callable[[Table, Path], None]], Prepared]) -> Prepared:
    def fill(source: Table, folder: Path) -> None:
        (folder / LAKE).mkdir(parents=True)
        source.execute(MANY_ROWS, [REALMS])
        source.extract(Lake(folder / LAKE))

    return prepare(fill)


@pytest.fixture
def many_source(many_once: Prepared, tmp_path: Path) -> Iterator[Table]:
    """What the lake of many was extracted from."""
    with many_once.copy(tmp_path / "many") as source:
        yield source


@pytest.fixture
def many(many_source: Table, tmp_path: Path) -> Lake:
    """A lake of two complete days with twelve small partitions each, the NULL and the empty realm among them."""
    return Lake(tmp_path / "many" / LAKE)


def test_folders_above_the_lake_are_no_partitions_of_it(many: Lake) -> None:
    for whole_days in (True, False):
        opened = Warehouse(many, whole_days=whole_days)
        assert opened.sql("select day, count(*)::int from executions group by 1 order by 1").fetchall() == [
            (FIRST, 3 * REALMS),
            (DAY, 3 * REALMS),
        ]
        assert "kind" not in opened.sql("from executions limit 0").columns
    assert [found.name for found in Warehouse(many).check() if not found.passed and found.severity == "error"] == []


@pytest.mark.parametrize("view", ["executions", "node_days"])
def test_a_day_is_read_from_its_own_files_and_no_other_is_opened(many: Lake, view: str) -> None:
    opened = Warehouse(many, whole_days=False)
    [(_, plan)] = opened.connection.execute(
        f"explain analyze select count(distinct strategy_id) from {view} where day = date '{DAY}'"
    ).fetchall()
    assert re.findall(r"Scanning Files: (\d+)/(\d+)", plan) == [(str(REALMS), str(2 * REALMS))]


def found(lake: Lake) -> list[DayFile]:
    return sorted(day_files.everywhere(lake), key=lambda file: (file.table, file.day))


def used(warehouse: Warehouse, table: str = "executions") -> list[str]:
    """The files that a view reads."""
    [(names,)] = warehouse.connection.execute("select getvariable($1)", [f"{table}_files"]).fetchall()
    return list(names)


def answers(warehouse: Warehouse) -> dict[str, list[Any]]:
    return {view: sorted(warehouse.sql(f"from {view}").fetchall(), key=repr) for view in VIEWS}


def failed(lake: Lake) -> dict[str, Any]:
    return {
        result.name: result for result in Warehouse(lake).check() if result.severity == "error" and not result.passed
    }


# ---- the same answers ------------------------------------------------------------------------------------------------


def test_every_view_says_the_same_with_and_without_them(many: Lake) -> None:
    quick, exact = Warehouse(many), Warehouse(many, whole_days=False)
    assert [(file.table, file.day) for file in found(many)] == [
        ("executions", FIRST), ("executions", DAY), ("node_days", FIRST), ("node_days", DAY),
    ]  # fmt: skip
    for table in ("executions", "node_days"):
        assert used(quick, table) == [str(file.path) for file in found(many) if file.table == table]
        assert len(used(exact, table)) == 2 * REALMS
    assert len(exact.sql(COUNTS).fetchall()) == 2 * REALMS
    assert answers(quick) == answers(exact)
    for view in VIEWS:
        assert quick.describe(view).to_dict("list") == exact.describe(view).to_dict("list")
    one_day = "select count(*)::int from executions where day = '2026-07-08' and realm_id is null"
    assert quick.sql(one_day).fetchall() == exact.sql(one_day).fetchall() == [(3,)]
    assert failed(many) == {}


def test_rows_lie_in_the_order_of_their_realms_and_of_the_partitions(many: Lake) -> None:
    record = many.recorded(DAY)
    for table in ("executions", "node_days"):
        [file] = [file for file in found(many) if (file.table, file.day) == (table, DAY)]
        names = [many.name(table, info.partition) for info in day_files.small(record)]
        expected = [row for name in names for row in pq.ParquetFile(name).read().to_pylist()]
        assert pq.ParquetFile(file.path).read().to_pylist() == expected


def test_what_lies_in_the_place_of_a_derived_file_is_named_and_stays_and_the_extraction_goes_on(
    many_source: Table, many: Lake
) -> None:
    many_source.define({"rules": []}, realmId="tenant-9")
    ledger_folder = Path(str(many.root / "ledger"))
    columns = ledger_folder / "columns"
    of_day, settled = columns / f"{day_directory(DAY)}.txt", ledger_folder / "settled-programs.json"
    days = Path(str(many.root / "days"))
    of_day.unlink()
    shutil.rmtree(days)
    for path in (of_day, settled, columns / "@eaDir"):
        (path / "x").mkdir(parents=True)
    days.write_text("somebody's", encoding="utf-8")

    def said() -> list[str]:
        notes = many_source.extract(many, force=True).notes
        return [place for note in notes for place in re.findall(r"is in the way at (\S+):", note)]

    assert sorted(said()) == sorted(map(str, (of_day, settled, days)))
    assert all((path / "x").is_dir() for path in (of_day, settled, columns / "@eaDir"))
    shutil.rmtree(columns)
    columns.write_text("somebody's", encoding="utf-8")
    assert sorted(said()) == sorted(map(str, (columns, settled, days)))
    assert columns.read_text(encoding="utf-8") == days.read_text(encoding="utf-8") == "somebody's"
    blocked = answers(Warehouse(many))
    assert len(blocked["executions"]) == 2 * 3 * REALMS
    assert failed(many) == {}
    for path in (columns, days):
        path.unlink()
    shutil.rmtree(settled)
    assert many_source.extract(many).notes == []
    assert settled.is_file()
    assert len([*columns.iterdir()]) == 2
    assert len(found(many)) == 4
    assert answers(Warehouse(many)) == blocked


def test_large_partitions_stay_out(table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_partitions, "SMALL_ROWS", 4)
    table.execute(MANY_ROWS, [REALMS])
    table.insert(realmId="tenant-9")
    table.extract(fresh)
    large = fresh.name("executions", Partition("tenant-9", DAY))
    assert used(Warehouse(fresh)) == sorted(
        [large, *(str(file.path) for file in found(fresh) if file.table == "executions")]
    )
    assert answers(Warehouse(fresh)) == answers(Warehouse(fresh, whole_days=False))
    assert failed(fresh) == {}


def test_a_day_of_few_partitions_has_none(table: Table, fresh: Lake) -> None:
    table.execute(MANY_ROWS, [MANY - 1])
    table.extract(fresh)
    assert found(fresh) == []
    table.insert(realmId="one more")
    table.extract(fresh)
    assert [(file.table, file.day) for file in found(fresh)] == [("executions", DAY), ("node_days", DAY)]
    assert answers(Warehouse(fresh)) == answers(Warehouse(fresh, whole_days=False))
    assert failed(fresh) == {}


def test_a_day_that_is_not_complete_has_none(table: Table, fresh: Lake) -> None:
    table.execute(MANY_ROWS, [REALMS])
    table.extract(fresh, realms=["", *(f"tenant-{number}" for number in range(4, REALMS + 1))])
    record = fresh.recorded(DAY)
    assert record
    assert (len(record.partitions), record.is_complete) == (REALMS - 2, False)
    assert found(fresh) == []
    table.extract(fresh)
    assert len(used(Warehouse(fresh))) == 2
    assert failed(fresh) == {}


def test_a_bare_glob_over_the_tables_does_not_see_them(many: Lake) -> None:
    for table in ("executions", "node_days"):
        assert {path.name for path in (many.root / table).rglob("*.parquet")} == {"part.parquet"}


# ---- one tenant ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("realm", ["tenant-9", "", None])
def test_a_tenants_reader_opens_its_own_files_only(many: Lake, realm: str | None) -> None:
    mine = open_lake(many.root, realm=realm)
    for table in ("executions", "node_days"):
        assert used(mine, table) == [many.name(table, Partition(realm, day)) for day in (FIRST, DAY)]
    # nothing else needs to be there
    for other in (many.root / "executions").iterdir():
        if other.name != realm_directory(realm):
            shutil.rmtree(other)
    shutil.rmtree(many.root / "days")
    assert open_lake(many.root, realm=realm).sql(COUNTS).fetchall() == [(realm, FIRST, 3), (realm, DAY, 3)]


def test_a_tenant_whose_folder_was_taken_away_is_in_no_answer(many: Lake) -> None:
    for table in ("executions", "node_days"):
        shutil.rmtree(many.root / table / realm_directory("tenant-9"))
    seen = {realm for realm, _, _ in Warehouse(many).sql(COUNTS).fetchall()}
    assert len(seen) == REALMS - 1
    assert "tenant-9" not in seen


# ---- a late row ------------------------------------------------------------------------------------------------------


@pytest.mark.long  # the scenario of many small tenants in tests.proof has a small one
def test_a_late_row_is_never_half_seen(many_source: Table, many: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Warehouse(many)
    before = Warehouse(many).sql(COUNTS).fetchall()
    after = sorted(((r, d, n + (r == "tenant-9" and d == DAY)) for r, d, n in before), key=repr)
    seen: list[Any] = []
    one_at_a_time = threading.Lock()

    def looked_around(write: Callable[..., None]) -> Callable[..., None]:
        def look_and_write(*given: Any) -> None:
            with one_at_a_time:
                seen.append(sorted(Warehouse(Lake(many.root)).sql(COUNTS).fetchall(), key=repr))
                write(*given)
                seen.append(sorted(Warehouse(Lake(many.root)).sql(COUNTS).fetchall(), key=repr))

        return look_and_write

    monkeypatch.setattr(Lake, "replace", looked_around(Lake.replace))
    monkeypatch.setattr(Lake, "record", looked_around(Lake.record))
    many_source.insert(realmId="tenant-9")
    many_source.extract(many)
    assert len(seen) >= 10  # two partition files, the ledger, two day files
    switch = seen.index(after)
    assert seen == [sorted(before, key=repr)] * switch + [after] * (len(seen) - switch)
    assert answers(Warehouse(many)) == answers(Warehouse(many, whole_days=False))
    assert opened.sql(COUNTS).fetchall() in (before, Warehouse(many).sql(COUNTS).fetchall())
    assert failed(many) == {}


def test_a_superseded_file_stays_for_its_readers_until_the_next_run(many_source: Table, many: Lake) -> None:
    opened = Warehouse(many)
    old = [file.path for file in found(many) if file.day == DAY]
    many_source.insert(realmId="tenant-9")
    many_source.extract(many)
    assert all(path.exists() for path in old)
    assert len(found(many)) == 6
    assert opened.sql("select count(*)::int from executions").fetchall() == [(6 * REALMS,)]
    assert many_source.extract(many).nothing_to_do
    assert not any(path.exists() for path in old)
    assert opened.sql("select count(*)::int from executions").fetchall() == [(6 * REALMS + 1,)]
    assert len(Warehouse(many).run("failures")) == len(opened.run("failures"))


def test_a_late_row_costs_a_read_of_its_own_partition_only(
    many_source: Table, many: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    real = day_files._read
    monkeypatch.setattr(day_files, "_read", lambda path, size: read.append(path) or real(path, size))  # type: ignore[func-returns-value]
    many_source.insert(realmId="tenant-9")
    many_source.insert(realmId="aaa-new")
    many_source.extract(many)
    assert sorted(read) == sorted(
        many.path(name, Partition(realm, DAY))
        for name in ("executions", "node_days")
        for realm in ("aaa-new", "tenant-9")
    )
    assert answers(Warehouse(many)) == answers(Warehouse(many, whole_days=False))
    assert failed(many) == {}


def test_rows_that_left_the_source_leave_the_day_file(many_source: Table, many: Lake) -> None:
    many_source.execute("""delete from strategyexecutionlog where "realmId" = 'tenant-9'""")
    many_source.extract(many, allow_shrink=True)
    assert len(Warehouse(many).sql(COUNTS).fetchall()) == 2 * (REALMS - 1)
    assert all(str(file.path) in used(Warehouse(many), file.table) for file in newest(many))
    assert failed(many) == {}


def newest(lake: Lake) -> list[DayFile]:
    return [
        file
        for day in (FIRST, DAY)
        if (record := lake.recorded(day))
        for file in day_files.current(lake, record).values()
    ]


# ---- killed, deleted, damaged ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_run_killed_between_ledger_and_day_file_leaves_right_answers(
    many_source: Table, many: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_source.insert(realmId="tenant-9")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(day_files, "write", interrupt)
        many_source.extract(many)
    opened = Warehouse(many)
    assert ("tenant-9", DAY, 4) in opened.sql(COUNTS).fetchall()
    assert answers(opened) == answers(Warehouse(many, whole_days=False))
    assert len(used(opened)) == REALMS + 1  # the other day is as it was
    assert failed(many) == {}
    assert many_source.extract(many).nothing_to_do
    assert len(used(Warehouse(many))) == 2
    assert answers(Warehouse(many)) == answers(opened)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_deleting_them_loses_nothing_and_the_next_run_makes_them_again(many_source: Table, many: Lake) -> None:
    before = answers(Warehouse(many))
    contents = [pq.ParquetFile(file.path).read() for file in found(many)]
    shutil.rmtree(many.root / "days")
    assert answers(Warehouse(many)) == before
    assert many_source.extract(many).nothing_to_do
    assert [pq.ParquetFile(file.path).read() for file in found(many)] == contents
    assert len(used(Warehouse(many))) == 2
    assert failed(many) == {}


def test_a_truncated_one_is_not_read_is_named_and_mended(many_source: Table, many: Lake) -> None:
    before = answers(Warehouse(many))
    path = found(many)[1].path
    path.write_bytes(path.read_bytes()[:-10])
    assert answers(Warehouse(many)) == before
    assert str(path) not in used(Warehouse(many))
    assert failed(many)["day_files_agree_with_partitions"].example["path"] == str(path.relative_to(many.root))
    assert many_source.extract(many).nothing_to_do
    assert failed(many) == {}
    assert len(used(Warehouse(many))) == 2


def lose(rows: list[Any]) -> None:
    rows.pop()


def alter(rows: list[Any]) -> None:
    rows[0]["strategy_id"] = "another"


def move(rows: list[Any]) -> None:
    rows[0]["realm_id"] = "tenant-9"


@pytest.mark.parametrize("number", [0, 3], ids=["executions", "node_days"])
@pytest.mark.parametrize("defect", [lose, alter, move])
def test_one_that_says_something_else_than_the_partitions_is_found(
    many: Lake, defect: Callable[[list[Any]], None], number: int
) -> None:
    file = found(many)[number]
    table = pq.ParquetFile(file.path).read()
    rows = table.to_pylist()
    defect(rows)
    staged = many.root / "staged.tmp"
    pq.write_table(table.from_pylist(rows, schema=table.schema), staged)
    file.path.unlink()
    staged.rename(file.path.with_name(f"{file.digest}-{staged.stat().st_size}.parquet"))
    assert list(failed(many)) == ["day_files_agree_with_partitions"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"sample_weight": 0.5}, "sample_weights_valid"),
        ({"realm_id": "tenant-10"}, "rows_lie_where_they_belong"),
    ],
)
def test_a_defect_of_a_partition_is_found_though_its_day_file_hides_it(
    many: Lake, change: dict[str, Any], check: str
) -> None:
    path = many.path("executions", Partition("tenant-9", DAY))
    table = pq.ParquetFile(path).read()
    rows = table.to_pylist()
    rows[0].update(change)
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    assert set(failed(many)) >= {check, "day_files_agree_with_partitions"}


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_partitions_that_are_not_as_the_ledger_tells_are_not_copied(many: Lake, damage: str, tmp_path: Path) -> None:
    shutil.rmtree(many.root / "days")
    path = many.path("executions", Partition("tenant-9", DAY))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        path.unlink()
    with many.lock(), many.workspace() as workspace:
        day_files.write(many, [DAY], {}, day_files.DayCompactor(workspace, []), workspace)
    assert [file.table for file in found(many)] == ["node_days"]


def test_a_last_one_that_cannot_be_read_is_not_built_upon(many_source: Table, many: Lake) -> None:
    for file in found(many):
        file.path.write_bytes(b"x" * file.bytes_on_disk)
    many_source.insert(realmId="tenant-9")
    many_source.extract(many)
    shutil.rmtree(many.root / "days/executions/realm=~many" / day_directory(FIRST))
    shutil.rmtree(many.root / "days/node_days/realm=~many" / day_directory(FIRST))
    assert ("tenant-9", DAY, 4) in Warehouse(many).sql(COUNTS).fetchall()
    assert sum(file.path.read_bytes()[:1] == b"x" for file in newest(many)) == 0


def test_foreign_files_among_them_are_not_read(many: Lake) -> None:
    before = answers(Warehouse(many))
    folder = found(many)[0].path.parent
    shutil.copy(found(many)[0].path, folder / "copy.parquet")
    shutil.copy(found(many)[0].path, folder / f"{'0' * 32}-{found(many)[0].bytes_on_disk}.parquet")
    assert answers(Warehouse(many)) == before


# ---- what it costs ---------------------------------------------------------------------------------------------------


def test_opening_reads_each_file_of_the_ledger_once(many: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    record = many.recorded(DAY)
    assert record
    read: list[date | None] = []
    real = ledger.of_facts

    def of_facts(data: Any, day: date | None, partitions: Any) -> DayRecord:
        read.append(day)
        return real(data, day, partitions)

    monkeypatch.setattr(ledger, "of_facts", of_facts)  # of a day's columns, or of its ledger file
    opened = Warehouse(Lake(many.root), realms=["tenant-9"])
    assert len(read) == len(set(read)) == len(many.recorded_days())
    assert (repr(opened), opened.realms) == (repr(opened), ["tenant-9"])
    opened.refresh()
    assert len(read) == len(many.recorded_days())
    many.record(record)
    opened.refresh()
    assert len(read) == len(many.recorded_days()) + 1


def test_rows_gathered_out_of_order_are_given_up_and_read_again(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path | None] = []
    real = day_files.DayCompactor.take

    def take(self: day_files.DayCompactor, name: str, infos: Any) -> Path | None:
        taken.append(real(self, name, infos))
        return taken[-1]

    monkeypatch.setattr(day_files.DayCompactor, "take", take)
    monkeypatch.setattr(day_files, "order", lambda realm: (realm is not None, realm or ""))
    table.execute(MANY_ROWS, [REALMS])
    table.extract(fresh)
    assert taken == [None] * 4
    assert len(found(fresh)) == 4
    assert failed(fresh) == {}
