"""One run that stands twice in the log is refused, and never becomes two runs."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.errors import SourceSchemaError
from analytics.extraction.encode import partition_files
from analytics.lake.lake import Lake
from analytics.model import RealmFilter
from analytics.source.source import Source
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table
from tests.fewer import one_in

LOG = "strategyexecutionlog"
ID = "00000000-0000-0000-0000-00000000000"
COUNTED = "select count(*)::int, count(distinct execution_id)::int from executions"


def test_an_archive_that_holds_a_run_once_more_is_refused_until_the_job_is_done(table: Table, fresh: Lake) -> None:
    for number in (1, 2, 3):
        table.insert(id=f"{ID}{number}", created_at=f"2026-07-0{6 + number} 12:00+00")
    table.execute(f"alter table {LOG} rename to live; create table archive (like live including all)")
    table.execute(f"create view {LOG} as select * from live union all select * from archive")
    table.extract(fresh, until="2026-07-08")
    table.execute("insert into archive select * from live")
    with pytest.raises(
        SourceSchemaError, match=rf"^3 ids stand more than once in {LOG} \({ID}1, {ID}2, {ID}3\)"
    ) as said:
        table.extract(fresh)
    assert "when the job that moves rows is done" in said.value.hint
    assert Warehouse(fresh).sql(COUNTED).fetchall() == [(1, 1)]
    table.execute("delete from live")
    table.extract(fresh)
    assert Warehouse(fresh).sql(COUNTED).fetchall() == [(3, 3)]


OTHERS = {
    "another day": {"created_at": "2026-07-09 12:00+00"},
    "the same partition": {"points": 2},
    "another tenant": {"realmId": "harbor"},
    "no day": {"created_at": None},
}


@pytest.mark.parametrize("other", one_in(3, OTHERS))
def test_a_key_that_is_not_of_the_id_alone_lets_an_id_stand_twice_and_extraction_does_not(
    table: Table, fresh: Lake, other: str
) -> None:
    table.execute(f"alter table {LOG} rename to single")
    table.execute(f"create table {LOG} (like single) partition by range (created_at)")
    table.execute(f"create table part partition of {LOG} default")
    for more in ({}, OTHERS[other]):
        table.insert(id=f"{ID}1", **more)
    with pytest.raises(SourceSchemaError, match=rf"^1 id stands more than once in {LOG} \({ID}1\)"):
        table.extract(fresh)


@pytest.mark.parametrize(
    ("key", "is_asked"),
    one_in(
        3,
        [
            ("", False),  # the engine's own primary key
            ("alter table {log} drop constraint strategyexecutionlog_pkey", True),
            ("alter table {log} drop constraint strategyexecutionlog_pkey, add unique (id, created_at)", True),
            (
                "alter table {log} drop constraint strategyexecutionlog_pkey; create unique index on {log} (id) where sampled",
                True,
            ),
            ("create table child () inherits ({log})", True),
        ],
    ),
)
def test_ids_are_only_looked_at_where_no_key_does(
    table: Table, monkeypatch: pytest.MonkeyPatch, key: str, is_asked: bool
) -> None:
    for statement in filter(None, key.format(log=LOG).split(";")):
        table.execute(statement)
    asked: list[str] = []
    with Source(table.url) as source:
        real = source._rows
        monkeypatch.setattr(source, "_rows", lambda name, *more: asked.append(name) or real(name, *more))
        source.refuse_ids_twice(Window.parse("2026-07-08", "2026-07-09"), RealmFilter())
    assert ("twice" in asked) == is_asked


def test_a_broken_key_is_found_out_when_a_partition_is_written(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "refuse_ids_twice", lambda *ignored: None)
    table.execute(f"alter table {LOG} drop constraint {LOG}_pkey")
    for _ in range(2):
        table.insert(id=f"{ID}1")
    table.insert()
    with pytest.raises(SourceSchemaError, match=rf"^1 id stands more than once in {LOG} \({ID}1\)"):
        table.extract(fresh)


def test_ids_that_share_their_first_half_are_two() -> None:
    halves = np.array([[-5, 1], [-5, 2], [7, -1]], np.int64)
    partition_files._refuse_ids_twice(halves)
    with pytest.raises(SourceSchemaError, match="ffffffff-ffff-fffb-0000-000000000002"):
        partition_files._refuse_ids_twice(np.concatenate([halves, [[-5, 2]]]))
