"""Another server behind the same URL is refused before anything is written, and accepted when a person says so."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from analytics.errors import SourceIdentityError
from analytics.lake import Lake
from analytics.origin import is_same, last_known

if TYPE_CHECKING:
    from conftest import Table

ONE = {"system_identifier": "1", "database": "game", "database_oid": "5", "table_oid": "9", "server_version": "17"}


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
    ],
)
def test_what_counts_as_the_same_source(other: dict[str, str], same: bool) -> None:
    assert is_same(ONE, other) is same
    assert is_same(other, ONE) is same


def tamper(lake: Lake, change: Callable[[dict[str, Any]], None]) -> None:
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
    assert "--accept-source" in raised.value.hint
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
