"""A server that was promoted or restored: what it lost on the way is said, and the one it took the place of is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analytics.cli.extract import report
from analytics.config import Settings
from analytics.errors import SourceIdentityError
from analytics.lake.lake import Lake
from analytics.lake.source_identity import NAME
from analytics.operations.doctor.doctor import check_all
from analytics.source import source
from analytics.source.source import Source
from analytics.source.watermark import read_watermark
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from tests.conftest import Table

DELETE = "delete from strategyexecutionlog where id = %s"


def contents(lake: Lake) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in lake.root.rglob("*") if path.is_file() and path.name != ".lock"}


def on(monkeypatch: pytest.MonkeyPatch, timeline: int | None) -> None:
    monkeypatch.setattr(Source, "timeline", lambda _: timeline)


def known(lake: Lake) -> object:
    return json.loads((lake.root / NAME).read_text(encoding="utf-8")).get("timeline")


def lost(notes: list[str]) -> list[str]:
    return [note for note in notes if "lost on the way" in note]


def test_a_primary_that_another_was_promoted_in_place_of_is_refused(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.insert(points=1)
    on(monkeypatch, 2)
    table.extract(fresh)
    on(monkeypatch, 1)
    table.execute("update strategyexecutionlog set points = 2")  # what is written to it now, nobody else has
    before = contents(fresh)
    with pytest.raises(SourceIdentityError, match="on timeline 2, and this is one on timeline 1") as raised:
        table.extract(fresh)
    assert contents(fresh) == before
    assert "accept_source=True" in raised.value.hint
    [found] = [one for one in check_all(Settings(database_url=table.url, lake=fresh.root)) if one.name == "origin"]
    assert "on timeline 2" in found.sentence and "written" not in found.sentence

    accepted = table.extract(fresh, accept_source=True)
    assert any("this server on timeline 1; before, it was on 2" in note for note in accepted.notes)
    assert Warehouse(fresh).sql("select points from executions").fetchall() == [(2.0,)]
    assert table.extract(fresh).nothing_to_do and known(fresh) == 1


def test_rows_that_a_promoted_server_never_had_are_told_once_and_apart_from_those_deleted_before(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted, gone, *_ = [table.insert(points=number) for number in range(4)]
    on(monkeypatch, 1)
    table.extract(fresh)
    table.execute(DELETE, [deleted])
    assert not lost(table.extract(fresh).notes)
    on(monkeypatch, 2)
    table.execute(DELETE, [gone])
    [note] = lost(table.extract(fresh).notes)
    assert "from timeline 1 to 2: 1 rows that the lake had" in note and note.endswith(
        "were kept (--allow-shrink follows the source)"
    )
    again = table.extract(fresh)
    assert again.nothing_to_do and not lost(again.notes)
    on(monkeypatch, 3)
    table.execute(DELETE, [table.execute("select id::text from strategyexecutionlog limit 1")[0][0]])
    [note] = lost(table.extract(fresh, allow_shrink=True).notes)
    assert "from timeline 2 to 3: 1 rows" in note and note.endswith("they were dropped")
    assert Warehouse(fresh).sql("select count(*) from executions").fetchall() == [(1,)]


def test_a_row_that_is_delivered_again_after_it_was_lost_is_there_once_as_it_is_now(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = table.insert(points=1, created_at="2026-07-08 10:00+00")
    on(monkeypatch, 1)
    table.extract(fresh)
    table.execute(DELETE, [row])
    on(monkeypatch, 2)
    table.extract(fresh)
    table.insert(id=row, points=5, created_at="2026-07-09 00:10+00")
    table.extract(fresh, since="2026-07-09", until="2026-07-10")
    found = Warehouse(fresh).sql("select day::varchar, points from executions").fetchall()
    assert found == [("2026-07-09", 5.0)]


@pytest.mark.parametrize("told", [None, "2", -1, True])
def test_what_is_not_told_or_makes_no_sense_refuses_nobody(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch, told: object
) -> None:
    table.insert()
    on(monkeypatch, 3)
    table.extract(fresh)
    on(monkeypatch, None)  # a managed server that does not tell
    table.extract(fresh)
    assert known(fresh) == 3
    on(monkeypatch, 1)
    path = fresh.root / NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "timeline": told}), encoding="utf-8")
    table.extract(fresh)
    assert known(fresh) == 1


def test_a_standby_may_be_behind_in_its_timeline_and_its_rows(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row, _ = table.insert(), table.insert()
    on(monkeypatch, 2)
    table.extract(fresh)
    table.execute(DELETE, [row])
    monkeypatch.setattr(source, "read_watermark", lambda *given: replace(read_watermark(*given), is_standby=True))
    on(monkeypatch, 1)  # its control file has it so
    behind = table.extract(fresh, force=True)
    report(behind)
    assert "1 rows are not at the standby, yet or any more, and were kept" in capsys.readouterr().err
    assert known(fresh) == 2 and not lost(behind.notes)
    on(monkeypatch, 3)
    table.execute("delete from strategyexecutionlog")
    [note] = lost(table.extract(fresh).notes)
    assert "or this standby has not replayed them yet" in note
    assert known(fresh) == 3
