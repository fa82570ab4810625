"""Another server behind the same URL is refused before anything is written, and accepted when a person says so."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from analytics.config import Settings
from analytics.errors import SourceIdentityError
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.lake.source_identity import NAME, is_same, last_known
from analytics.model import ExtractResult
from analytics.operations.doctor.doctor import check_all
from analytics.window import Window
from tests.extracting import extract

if TYPE_CHECKING:
    from tests.conftest import Table

ONE = {
    "system_identifier": "1",
    "database": "game",
    "database_oid": "5",
    "table_oid": "9",
    "schema": "prod",
    "schema_oid": "20",
    "server_version": "17",
}
VIEW = {**ONE, "reads": '{"31": "prod.live", "32": "prod.archive"}'}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True),
        ({**ONE, "server_version": "18"}, True),
        ({**ONE, "table_oid": "10"}, True),  # rewritten or restored within the database
        ({**ONE, "database": "renamed"}, True),
        ({**ONE, "system_identifier": "2"}, False),
        ({**ONE, "database_oid": "6"}, False),
        ({"database": "game", "database_oid": "5"}, True),  # a managed server that hides its identifier
        ({"database": "other", "database_oid": "5"}, False),
        ({key: ONE[key] for key in ONE if "schema" not in key}, True),  # a ledger of an older version
        ({**ONE, "schema": "staging", "schema_oid": "21"}, False),
        ({**ONE, "schema": "renamed"}, True),
        ({**ONE, "schema_oid": "22"}, True),  # dropped and restored under its name
        (VIEW, True),  # the table has become a view over what it was
        ({**VIEW, "schema": "staging", "schema_oid": "21"}, False),
    ],
)
def test_what_counts_as_the_same_source(other: dict[str, str], same: bool) -> None:
    assert is_same(ONE, other) is same
    assert is_same(other, ONE) is same


@pytest.mark.parametrize(
    ("reads", "same"),
    [
        ('{"31": "prod.live"}', True),
        ('{"31": "prod.renamed"}', True),
        ('{"99": "prod.live"}', True),  # exchanged for a partitioned one
        ('{"41": "staging.live", "42": "staging.archive"}', False),
        ("{}", True),
        ("no json", True),
    ],
)
def test_a_view_is_the_same_source_as_long_as_it_reads_one_of_its_tables(reads: str, same: bool) -> None:
    assert is_same(VIEW, {**VIEW, "reads": reads}) is same


def test_the_same_table_in_another_schema_is_another_source_unless_the_schema_was_renamed(
    table: Table, fresh: Lake
) -> None:
    for schema in ("prod", "staging"):
        table.execute(f"create schema {schema}; create table {schema}.strategyexecutionlog (like strategyexecutionlog)")
    table.execute("drop table strategyexecutionlog")

    def extracted(schema: str) -> ExtractResult:
        url = f"{table.url}&options=-csearch_path%3D{schema}"
        return extract(url, fresh, Window.parse("2026-07-08", "2026-07-09"), rates=Rates((), 0.05))

    table.execute("drop table strategydefinition cascade; create table staging.strategydefinition (id uuid)")
    url = f"{table.url}&options=-csearch_path%3Dprod,staging"
    [found] = [one for one in check_all(Settings(database_url=url, lake=fresh.root)) if one.name == "schemas"]
    assert "strategyexecutionlog in schema prod and strategydefinition in schema staging" in found.sentence
    extracted("prod")
    tamper(fresh, lambda source: [source.pop(key) for key in ("schema", "schema_oid")])  # as an older version wrote it
    extracted("prod")
    with pytest.raises(SourceIdentityError, match=r"schema prod, and this is .* schema staging"):
        extracted("staging")
    table.execute("alter schema prod rename to prod_2")
    assert extracted("prod_2").nothing_to_do
    table.execute("alter schema prod_2 rename to prod")
    table.execute("alter table prod.strategyexecutionlog rename to live")
    table.execute("create view prod.strategyexecutionlog as select * from prod.live")
    assert extracted("prod").nothing_to_do
    table.execute("create or replace view prod.strategyexecutionlog as select * from staging.strategyexecutionlog")
    with pytest.raises(SourceIdentityError, match=r"a view of staging\.strategyexecutionlog"):
        extracted("prod")


def tamper(lake: Lake, change: Callable[[dict[str, Any]], object]) -> None:
    for path in (lake.root / "ledger").iterdir():
        told = json.loads(path.read_text(encoding="utf-8"))
        change(told["source"])
        path.write_text(json.dumps(told), encoding="utf-8")


def contents(lake: Lake) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in lake.root.rglob("*") if path.is_file() and path.name != ".lock"}


def test_another_server_is_refused_before_anything_is_written_and_accepted_once(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    tamper(fresh, lambda source: source.update(system_identifier="4711"))
    table.insert()
    before = contents(fresh)
    with pytest.raises(SourceIdentityError, match="of server 4711") as raised:
        table.extract(fresh)
    assert "accept_source=True" in raised.value.hint
    assert contents(fresh) == before
    accepted = table.extract(fresh, accept_source=True)
    assert accepted.row_count == 2
    assert any("accepted as the lake's source" in note for note in accepted.notes)
    assert table.extract(fresh).nothing_to_do


def test_an_accepted_source_is_remembered_even_when_no_row_differs(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    tamper(fresh, lambda source: source.update(system_identifier="4711"))
    assert table.extract(fresh, accept_source=True).nothing_to_do
    assert table.extract(fresh).nothing_to_do


def test_a_database_of_the_same_server_is_another_source(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    tamper(fresh, lambda source: source.update(database_oid="1"))
    with pytest.raises(SourceIdentityError, match=r"\(oid 1 of server"):
        table.extract(fresh)


def test_the_ledger_file_written_last_counts_and_a_damaged_one_does_not(table: Table, fresh: Lake) -> None:
    assert last_known(fresh) is None
    table.insert()
    table.extract(fresh)
    known = last_known(fresh)
    newest = fresh.root / "ledger/day=2026-07-09.json"
    newest.write_text("{", encoding="utf-8")
    os.utime(newest, (4e9, 4e9))
    assert last_known(fresh) == known


def test_a_lake_that_lost_its_ledger_still_knows_its_source(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    known = last_known(fresh)
    shutil.rmtree(fresh.root / "ledger")
    assert last_known(fresh) == known
    assert known is not None
    (fresh.root / NAME).write_text((fresh.root / NAME).read_text().replace(known["database_oid"], "1"))
    with pytest.raises(SourceIdentityError, match="nothing was written"):
        table.extract(fresh)
    assert not (fresh.root / "ledger").exists()
