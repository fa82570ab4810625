"""Transaction ids that come twice: equal fingerprints prove nothing then, and what they were taken for is read again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analytics.demo.server import EmbeddedServer
from analytics.lake.lake import Lake
from analytics.lake.source_identity import FAR, may_repeat
from analytics.model import TransactionIds
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from tests.conftest import Table

ONE = TransactionIds("7", 1, 0, 1_000, "0f")


@pytest.mark.parametrize(
    ("found", "is_standby", "says"),
    [
        (TransactionIds("7", 1, reached=1_000), False, None),
        (TransactionIds("7", 1, reached=1_000 + FAR - 1), False, None),
        (TransactionIds("7", 1, reached=1_000 + FAR), False, "2^31"),
        (TransactionIds("7", 1, reached=999), False, "went back"),
        (TransactionIds("7", 1, reached=999), True, None),  # a standby that lags behind
        (TransactionIds("7", 2, reached=2_000), False, "timeline 1 to 2"),
        (TransactionIds("7", 2, reached=2_000), True, "timeline 1 to 2"),
        (TransactionIds("8", 1, reached=2_000), False, "server 7 before"),
        (TransactionIds(None, None, reached=2_000), False, None),  # a managed server that tells neither
        (TransactionIds("7", 1, reached=1_000, columns="0a"), False, "dropped and added"),
        (TransactionIds(), False, None),
    ],
)
def test_what_may_repeat_and_what_cannot(found: TransactionIds, is_standby: bool, says: str | None) -> None:
    why = may_repeat(ONE, found.following([ONE, None], is_standby=is_standby))
    assert (says is None and why is None) or (says and why and says in why)
    assert TransactionIds.parse(str(found)) == found


def test_a_counter_that_went_back_once_is_remembered_when_it_has_passed_its_old_place() -> None:
    back = TransactionIds("7", 1, reached=500).following([ONE], is_standby=False)
    later = TransactionIds("7", 1, reached=3_000).following([ONE, back], is_standby=False)
    assert (back.era, later.era) == (1, 1)
    assert may_repeat(ONE, later)
    assert not may_repeat(back, later)


@pytest.mark.parametrize("text", ["", "7/1/0/5", "x/1/0/5/", "7/1//5/", "7/1/0/5/6/", "7/-1/0/5/"])
def test_a_ledger_that_says_something_else_is_damaged(text: str) -> None:
    with pytest.raises(ValueError, match="no transaction ids"):
        TransactionIds.parse(text)


def points(lake: Lake) -> list[tuple[Any, ...]]:
    return Warehouse(lake).sql("select day::varchar, points from executions order by all").fetchall()


def tell(lake: Lake, change: Callable[[dict[str, Any]], object]) -> None:
    for path in (lake.root / "ledger").iterdir():
        told = json.loads(path.read_text(encoding="utf-8"))
        for partition in told["partitions"]:
            change(partition["source"])
        path.write_text(json.dumps(told), encoding="utf-8")


def test_an_update_whose_transaction_has_the_id_of_the_one_before_is_found_where_ids_may_repeat(
    table: Table, fresh: Lake
) -> None:
    """The id cannot be made to repeat here, so the lake is made to remember what it would have read."""
    table.insert(points=1)
    table.extract(fresh)
    [before] = [p for p in (fresh.root / "ledger").iterdir() if '"acme"' in p.read_text()]
    old = json.loads(before.read_text())["partitions"][0]["source"]["transaction_ids"]
    table.execute("update strategyexecutionlog set points = 2")
    hashes = table.execute("select sum(hashtextextended(id::text || xmin::text, 0))::text from strategyexecutionlog")

    def repeated(ids: str) -> None:
        tell(fresh, lambda source: source.update(change_hash=hashes[0][0], transaction_ids=ids))

    repeated(old)
    assert table.extract(fresh).nothing_to_do  # what cannot be seen
    server, timeline, era, reached, columns = old.split("/")
    repeated(f"{server}/{int(timeline) + 1}/{era}/{reached}/{columns}")
    result = table.extract(fresh)
    assert points(fresh) == [("2026-07-08", 2.0)]
    [note] = [note for note in result.notes if "transaction ids" in note]
    assert note.startswith("1 partitions are read again") and "promoted or restored" in note
    assert table.extract(fresh).nothing_to_do

    tell(fresh, lambda source: source.update(transaction_ids=f"{server}/{timeline}/0/{int(reached) + 10**6}/"))
    assert "went back" in " ".join(table.extract(fresh).notes)
    assert table.extract(fresh).nothing_to_do
    table.execute('alter table strategyexecutionlog rename column "caseName" to notes_2')
    table.execute('alter table strategyexecutionlog rename column notes to "caseName"')
    table.execute("alter table strategyexecutionlog rename column notes_2 to notes")
    assert "exchanged" in " ".join(table.extract(fresh).notes)
    assert Warehouse(fresh).sql("select case_name, notes from executions").fetchall() == [(None, "Case")]
    tell(fresh, lambda source: source.pop("transaction_ids"))  # as an older version wrote it
    assert table.extract(fresh).nothing_to_do


def next_id(table: Table) -> int:
    return int(table.execute("select pg_current_xact_id()::text")[0][0])


@pytest.mark.long
@pytest.mark.parametrize(
    ("is_recovered", "says"),
    [(False, "went back"), (True, "timeline 1 to 2")],
    ids=["its disk", "to a point in time, and went on"],
)
def test_a_server_that_was_restored_has_its_days_read_again(
    server_folders: Callable[[], Path], fresh: Lake, is_recovered: bool, says: str
) -> None:
    """The same id twice, really: an update that was lost is made again by a transaction of the same number, otherwise."""
    from tests.conftest import Table

    home = server_folders() / "data"
    copy = home.with_name("copy")
    with EmbeddedServer(home) as server:
        table = Table(server.url)
        table.execute(resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_text(encoding="utf-8"))
        row = table.insert(points=1)
    subprocess.run(["cp", "-a", home, copy], check=True)
    with EmbeddedServer(home) as server:
        table = Table(server.url)
        table.execute("update strategyexecutionlog set points = 2 where id = %s", [row])
        for _ in range(20):
            next_id(table)
        table.extract(fresh)
        [(lost,)] = table.execute("select xmin::text from strategyexecutionlog")
    shutil.rmtree(home)
    copy.rename(home)
    if is_recovered:
        signal = home / "recovery.signal"
        signal.touch()
        shutil.chown(signal, home.owner())
        with (home / "postgresql.conf").open("a") as settings:
            settings.write("restore_command = 'false'\n")
    with EmbeddedServer(home) as server:
        table = Table(server.url)
        table.execute("update strategyexecutionlog set points = 3 where id = %s", [row])
        assert table.execute("select xmin::text from strategyexecutionlog") == [(lost,)]
        for _ in range(30 * is_recovered):
            next_id(table)
        result = table.extract(fresh)
        assert points(fresh) == [("2026-07-08", 3.0)]
        assert any(says in note for note in result.notes)
        assert table.extract(fresh).nothing_to_do
