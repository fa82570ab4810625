"""Managed servers refuse what a server of one's own answers: each such question has a fallback, and says so."""

from __future__ import annotations

import pytest

from analytics.config import Settings
from analytics.errors import SourceError
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.model import ExtractResult, RealmFilter
from analytics.operations.doctor.doctor import check_all
from analytics.source.source import Source
from analytics.window import Window
from tests.conftest import Table
from tests.extracting import extract
from tests.fewer import one_in

REFUSED = {
    "pg_export_snapshot()": "text",
    "pg_control_system()": "table (system_identifier bigint)",
    "pg_last_wal_receive_lsn()": "pg_lsn",
    "pg_last_wal_replay_lsn()": "pg_lsn",
    "pg_last_xact_replay_timestamp()": "timestamptz",
    "pg_table_size(regclass)": "bigint",
    "pg_relation_size(regclass)": "bigint",
}


def managed(table: Table, role: str, **instead: str) -> str:
    """The URL of a role for whom functions of the server are refused, as Aurora's readers refuse them (0A000)."""
    table.execute("create schema managed")
    for name, kind in REFUSED.items():
        table.execute(
            f"create function managed.{name} returns {kind} language plpgsql as "
            f"$$ begin raise feature_not_supported using message = 'Function {name} is currently not supported'; end $$"
        )
    for name, body in instead.items():
        table.execute(body.format(name=f"managed.{name}"))
    table.execute(f"grant usage on schema managed to {role}")
    table.execute(f"grant select on all tables in schema public, managed to {role}")
    table.execute(f"alter role {role} set search_path = managed, pg_catalog, public")
    return table.as_role(role)


STANDBY = "create function {name}() returns bool language sql as 'select true'"
NEITHER = (
    "create function {name}() returns bool language plpgsql as "
    "$$ begin raise feature_not_supported using message = 'not here'; end $$"
)


def run(url: str, lake: Lake) -> ExtractResult:
    return extract(url, lake, Window.parse("2026-07-08", "2026-07-09"), rates=Rates((), 0.05))


@pytest.mark.parametrize(
    ("instead", "not_told"),
    one_in(
        2,
        [
            ({}, ()),  # a primary, which nobody asks how far it has replayed
            ({"pg_is_in_recovery": NEITHER}, ("whether it is a standby",)),
            ({"pg_is_in_recovery": STANDBY}, ("how far it has replayed",)),
            ({"pg_stat_activity": "create table {name} (a int)"}, ("the transactions of other sessions",)),
            ({"pg_prepared_xacts": "create table {name} (a int)"}, ("prepared transactions",)),
        ],
    ),
)
def test_what_a_managed_server_refuses_is_done_without_and_said(
    table: Table, role: str, fresh: Lake, instead: dict[str, str], not_told: tuple[str, ...]
) -> None:
    table.insert()
    url = managed(table, role, **instead)
    result = run(url, fresh)
    assert result.row_count == 1
    assert result.horizon.not_told == not_told
    assert [note for note in result.notes if "does not tell" in note] == [
        f"this server does not tell {words}: only the lag protects against late commits" for words in not_told
    ]
    assert run(url, fresh).nothing_to_do
    found = {one.name: one for one in check_all(Settings(database_url=url, lake=fresh.root))}
    assert [one for one in found.values() if one.level == "problem"] == []
    assert "does not tell how large" in found["index"].sentence
    assert "jobs=1" in found["second connection"].repair


def test_a_snapshot_that_cannot_be_shared_leaves_the_connection_as_it_was(table: Table, role: str) -> None:
    table.insert()
    with Source(managed(table, role)) as source:
        with pytest.raises(SourceError, match="shares no snapshot") as refused:
            source.sibling()
        assert refused.value.hint == "read with one connection (jobs=1)"
        assert len(source.fingerprints(Window.parse("2026-07-08", "2026-07-09"), RealmFilter())) == 1
