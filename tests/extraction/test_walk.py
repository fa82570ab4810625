"""A lake that follows a random walk of its source holds every run once, whatever moved, came back or was killed."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analytics.extraction.duplicates import Duplicates
from analytics.lake.lake import Lake
from analytics.warehouse.warehouse import Warehouse
from tests.fewer import one_in
from tests.walk.walk import WalkError, walk

if TYPE_CHECKING:
    from tests.conftest import Table


@pytest.mark.parametrize("seed", one_in(20, range(20)))
def test_a_lake_that_follows_a_random_walk_holds_every_run_once(table: Table, tmp_path: Path, seed: int) -> None:
    walk(table.url, tmp_path / "lake", seed, 12 if seed == 0 else 40)


@pytest.mark.long
def test_the_walk_notices_runs_that_stand_twice(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Duplicates, "settle", lambda *_: [])
    with pytest.raises(WalkError, match="stand twice"):
        walk(table.url, tmp_path / "lake", 0, 25)


def rows(lake: Lake) -> list[tuple[object, ...]]:
    return sorted(Warehouse(lake).sql("select execution_id, realm_id, day::varchar from executions").fetchall())


@pytest.mark.parametrize("is_deleted", [False, True], ids=["and stays", "and is deleted then"])
def test_a_row_that_moved_into_a_day_that_alone_is_extracted_stands_there_only(
    table: Table, fresh: Lake, is_deleted: bool
) -> None:
    moved, stays = table.insert(), table.insert()
    table.extract(fresh, "2026-07-08", "2026-07-09")
    table.execute("update strategyexecutionlog set created_at = '2026-07-09 01:00:00+00' where id = %s", [moved])
    result = table.extract(fresh, "2026-07-09", "2026-07-10")
    assert "1 runs stood in another realm or day too, and were taken out there: acme · 2026-07-08" in result.notes
    if is_deleted:
        table.execute("delete from strategyexecutionlog where id = %s", [moved])
        table.extract(fresh)
        table.extract(fresh, force=True)
    assert rows(fresh) == sorted([(moved, "acme", "2026-07-09"), (stays, "acme", "2026-07-08")])


def test_a_kept_row_that_comes_back_on_a_day_that_alone_is_extracted_stands_there_only(
    table: Table, fresh: Lake
) -> None:
    lost = table.insert()
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog")
    table.extract(fresh)
    table.insert(id=lost, created_at="2026-07-09 01:00:00+00")
    table.extract(fresh, "2026-07-09", "2026-07-10")
    assert rows(fresh) == [(lost, "acme", "2026-07-09")]
    assert table.extract(fresh).nothing_to_do


def test_rows_that_an_older_version_left_twice_are_mended_by_force(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = table.insert()
    table.extract(fresh)
    table.execute("update strategyexecutionlog set created_at = '2026-07-09 01:00:00+00', updated_at = now()")
    with monkeypatch.context() as older:
        older.setattr(Duplicates, "settle", lambda *_: [])
        table.extract(fresh, "2026-07-09", "2026-07-10")
        table.execute("delete from strategyexecutionlog")
        table.extract(fresh)
    assert len(rows(fresh)) == 2
    table.extract(fresh, force=True)
    assert rows(fresh) == [(moved, "acme", "2026-07-09")]


@pytest.mark.parametrize(
    ("day", "is_first", "places"),
    [("2026-07-09", True, 1), ("2026-08-20", False, 1), ("2026-08-20", True, 2)],
    ids=["near the window", "a day that was complete", "far off, and its day is new"],
)
def test_in_a_large_lake_a_run_is_looked_for_where_it_may_be(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch, day: str, is_first: bool, places: int
) -> None:
    """The last case is the price of not reading a large lake at every run, and `check` names it."""
    monkeypatch.setattr("analytics.extraction.duplicates.MOST_ROWS", 0)
    moved = table.insert()
    table.extract(fresh)
    after = str(date.fromisoformat(day) + timedelta(days=1))
    if not is_first:
        table.extract(fresh, day, after)
    table.execute("update strategyexecutionlog set created_at = %s", [f"{day} 01:00:00+00"])
    table.extract(fresh, day, after)
    assert (moved, "acme", day) in rows(fresh)
    assert len(rows(fresh)) == places
    failed = {check.name for check in Warehouse(fresh).check() if not check.passed and check.severity == "error"}
    assert ("execution_ids_unique" in failed) == (places == 2)
