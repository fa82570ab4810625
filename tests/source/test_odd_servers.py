"""What a full PostgreSQL can do and the embedded one cannot: collations that take two texts for one, partitions elsewhere.

Skipped where no server is installed besides (Debian: postgresql-15).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import psycopg
import pytest

from analytics.config import Settings
from analytics.lake.lake import Lake
from analytics.model import RealmFilter
from analytics.operations.doctor.doctor import check_all
from analytics.source.source import Source
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), default=None)
if PROGRAMS is None:
    pytest.skip("no PostgreSQL is installed besides the embedded one", allow_module_level=True)
TABLES = resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_text(encoding="utf-8")
DAYS = ("2026-07-08", "2026-07-09")


@pytest.fixture(scope="module")
def host(server_folders: Callable[[], Path]) -> Iterator[str]:
    """The folder of the server's socket."""
    assert PROGRAMS is not None
    folder = server_folders()
    folder.chmod(0o755)
    home = folder / "data"
    home.mkdir()
    ahead: list[str] = []
    if os.geteuid() == 0:  # which a server refuses to be
        who = "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"
        shutil.chown(home, who)
        ahead = [shutil.which("runuser") or "runuser", "-u", who, "--"]

    def run(program: str, *words: str) -> None:
        subprocess.run([*ahead, str(PROGRAMS.parent / program), *words], cwd="/", check=True, capture_output=True)  # type: ignore[union-attr]

    run("initdb", "-D", str(home), "-U", "postgres", "--auth=trust", "--no-sync")
    with (home / "postgresql.conf").open("a") as settings:
        settings.write(f"listen_addresses=''\nunix_socket_directories='{home}'\nfsync=off\n")
    run("pg_ctl", "-D", str(home), "-l", str(home / "log"), "-w", "start")
    yield str(home)
    run("pg_ctl", "-D", str(home), "-m", "immediate", "stop")


def database(host: str, name: str) -> Table:
    with psycopg.connect(f"postgresql://postgres@/postgres?host={host}", autocommit=True) as connection:
        connection.execute(f"create database {name}")  # type: ignore[call-overload]
    return Table(f"postgresql://postgres@/{name}?host={host}")


def test_texts_that_a_collation_takes_for_one_are_told_apart_by_their_bytes(host: str, fresh: Lake) -> None:
    table = database(host, "collated")
    table.execute(TABLES)
    table.execute("create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    for column in ("realmId", "externalUserId", "status"):
        table.execute(f'alter table strategyexecutionlog alter column "{column}" type varchar collate ci')
    for realm, user, status in [("Acme", "Ann", "ok"), ("Acme", "ann", "OK"), ("acme", "ann", "ok")]:
        table.insert(realmId=realm, externalUserId=user, status=status)
    assert [info.partition.realm for info in table.extract(fresh, *DAYS, realms=["acme"]).written] == ["acme"]
    table.extract(fresh, *DAYS)
    assert Warehouse(fresh).sql("select realm_id, count(*)::int from executions group by 1 order by 1").fetchall() == [
        ("Acme", 2),
        ("acme", 1),
    ]
    with Source(table.url) as source:
        window = Window.parse(*DAYS)
        assert source.users(window, RealmFilter(), window.until - window.since) == {
            ("Acme", "Ann"),
            ("Acme", "ann"),
            ("acme", "ann"),
        }


@pytest.mark.long
def test_an_update_in_a_partition_that_lies_elsewhere_is_noticed_by_updated_at(host: str, fresh: Lake) -> None:
    far, near = database(host, "far"), database(host, "near")
    for table in (far, near):
        table.execute(TABLES)
    far.insert(id="00000000-0000-0000-0000-000000000001")
    near.execute("create extension postgres_fdw")
    near.execute(f"create server f foreign data wrapper postgres_fdw options (host '{host}', dbname 'far')")
    near.execute("create user mapping for postgres server f options (user 'postgres')")
    near.execute("alter table strategyexecutionlog rename to unpartitioned")
    near.execute("create table strategyexecutionlog (like unpartitioned) partition by range (created_at)")
    near.execute(
        "create foreign table cold partition of strategyexecutionlog for values from ('2026-07-08') to ('2026-07-09') "
        "server f options (table_name 'strategyexecutionlog')"
    )
    near.execute("create table hot partition of strategyexecutionlog default")
    near.insert(created_at="2026-07-09 12:00:00+00")
    wide = ("2026-07-08", "2026-07-10")
    assert near.extract(fresh, *wide).row_count == 2
    assert near.extract(fresh, *wide).nothing_to_do
    far.execute("update strategyexecutionlog set points = 777, updated_at = now()")
    near.execute("update hot set points = 778")  # xmin tells it
    result = near.extract(fresh, *wide)
    assert Warehouse(fresh).sql("select points from executions order by 1").fetchall() == [(777.0,), (778.0,)]
    [note] = [note for note in result.notes if "updated_at" in note]
    assert note.startswith("1 part of strategyexecutionlog (cold)")
    [found] = [one for one in check_all(Settings(database_url=near.url, lake=fresh.root)) if one.name == "updates"]
    assert (found.level, found.sentence in note) == ("advice", True)
