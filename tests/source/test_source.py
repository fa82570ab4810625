"""The way to PostgreSQL: every form of URL, read-only, and errors that name their repair."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from socket import AF_UNIX, MSG_WAITALL, SHUT_WR
from socket import socket as Socket  # noqa: N812
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pyarrow.parquet as pq
import pytest

from analytics.errors import (
    AnalyticsError,
    SourceAccessError,
    SourceError,
    SourceSchemaError,
    SourceUnavailableError,
)
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.model import RealmFilter, Span
from analytics.source.connection import connect
from analytics.source.server_errors import explain_server_error
from analytics.source.source import Source
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract

if TYPE_CHECKING:
    from tests.conftest import Table

LOG = "strategyexecutionlog"


def refused(url: str) -> AnalyticsError:
    """The error of opening this source."""
    with pytest.raises(AnalyticsError) as raised, Source(url):
        pass
    return raised.value


def socket(table: Table) -> str:
    return parse_qs(urlsplit(table.url).query)["host"][0]


def database(table: Table) -> str:
    return urlsplit(table.url).path.lstrip("/")


# ---- getting in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg", "postgresql+psycopg2"]
)
def test_urls_of_every_common_driver_are_understood(table: Table, scheme: str) -> None:
    with Source(table.url.replace("postgresql", scheme, 1)) as source:
        assert source.identity()["database"] == database(table)


def test_a_libpq_string_is_understood(table: Table) -> None:
    with Source(f"host={socket(table)} dbname={database(table)} user=postgres") as source:
        assert source.identity()["database"] == database(table)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@{host}/{database}",
        "postgresql://postgres@127.0.0.1:1,{host}/{database}?target_session_attrs=read-write",
        "postgresql+psycopg://postgres@127.0.0.1:1,{host}/{database}",
        "postgres://postgres@{host},[::1]:1/{database}?options=-csearch_path%3Dpublic",
        "postgresql://postgres@/{database}?host=%2Fnowhere,{host}",
    ],
)
def test_urls_of_several_hosts_and_of_a_socket_in_the_hosts_place_are_read_as_libpq_reads_them(
    table: Table, url: str
) -> None:
    with Source(url.format(host=quote(socket(table), safe=""), database=database(table))) as source:
        assert source.identity()["database"] == database(table)


def test_a_kind_of_server_that_is_not_there_is_told_from_a_server_that_cannot_be_reached(table: Table) -> None:
    error = refused(f"{table.url}&target_session_attrs=standby")
    assert type(error) is SourceUnavailableError
    assert error.message.startswith("no server of the URL is of the kind that it asks for")
    assert "target_session_attrs=any" in error.hint


# ---- behind a pooler -------------------------------------------------------------------------------------------------


class Pooler(socketserver.BaseRequestHandler):
    """Takes no ``options`` with a connection, as PgBouncer does not; the rest it hands on to the server."""

    socket_file = ""

    def handle(self) -> None:
        while True:
            size, code = struct.unpack(">ii", self.request.recv(8, MSG_WAITALL))
            start = self.request.recv(size - 8, MSG_WAITALL)
            if code == 196_608:  # version 3.0; before it somebody may ask for encryption
                break
            self.request.sendall(b"N")
        if dict(zip(start.split(b"\0")[::2], start.split(b"\0")[1::2], strict=False)).get(b"options"):
            said = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
            self.request.sendall(b"E" + struct.pack(">i", len(said) + 4) + said)
            return
        with Socket(AF_UNIX) as server:
            server.connect(self.socket_file)
            server.sendall(struct.pack(">ii", size, code) + start)
            back = threading.Thread(target=self.pump, args=(server, self.request))
            back.start()
            self.pump(self.request, server)
            back.join()

    @staticmethod
    def pump(source: Socket, target: Socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(SHUT_WR)


@pytest.fixture
def pooled(table: Table) -> Iterator[str]:
    """The URL of the table behind a pooler."""
    [file] = (name for name in Path(socket(table)).glob(".s.PGSQL.*") if name.suffix != ".lock")
    handler = type("Here", (Pooler,), {"socket_file": str(file)})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"postgresql://postgres@127.0.0.1:{server.server_address[1]}/{database(table)}"
        server.shutdown()


def test_options_that_a_pooler_refuses_are_set_in_each_transaction(
    table: Table, pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.execute("create schema game")
    table.execute(f"alter table {LOG} set schema game")
    shown = "select current_setting('search_path') as path, current_setting('work_mem') as memory"
    with Source(f"{pooled}?options=-csearch_path%3Dgame%20-c%20work_mem%3D3MB") as source:
        assert source._query(shown) == [{"path": "game", "memory": "3MB"}]
        with source.sibling() as sibling:
            assert sibling._query(shown) == [{"path": "game", "memory": "3MB"}]
        source._connection.rollback()
        assert (
            source._query(shown)[0]["path"] != "game"
        )  # the next client of the pooler's connection finds it as it was
    monkeypatch.setenv("PGOPTIONS", "--search-path=public,\\ game")
    with Source(pooled) as source:
        assert source._query(shown)[0]["path"] == "public, game"
    error = refused(f"{pooled}?options=-csearch_path%3Dgame%20-B%2012")
    assert "'-B 12' is not to be set later" in error.message
    assert error.hint.startswith("leave it out of the URL's options")


# ---- libpq's own variables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "postgresql://"])
def test_an_empty_url_means_libpqs_own_variables(table: Table, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in {"PGHOST": socket(table), "PGDATABASE": database(table), "PGUSER": "postgres"}.items():
        monkeypatch.setenv(name, value)
    with Source(url) as source:
        assert source.identity()["database"] == database(table)


def test_the_session_names_itself_and_runs_in_utc(table: Table) -> None:
    with Source(table.url) as source:
        [row] = source._query("select current_setting('application_name') as name, current_setting('timezone') as zone")
        assert row == {"name": "strategy-analytics", "zone": "UTC"}
        assert table.execute("select count(*) from pg_stat_activity where application_name = 'strategy-analytics'")


@pytest.mark.parametrize(
    "statement",
    [
        f"delete from {LOG}",
        f"insert into {LOG} (id) values (gen_random_uuid())",
        "create table t (a int)",
        f"truncate {LOG}",
        "select nextval('s')",
    ],
)
def test_nothing_can_be_written_through_the_connection(table: Table, statement: str) -> None:
    table.insert()
    table.execute("create sequence s")
    with Source(table.url) as source, pytest.raises(SourceError, match="read-only transaction"):
        source._query(statement)
    assert table.execute(f"select count(*) from {LOG}") == [(1,)]


def test_timeouts_of_the_role_do_not_end_a_long_snapshot(table: Table) -> None:
    [(version,)] = table.execute("select current_setting('server_version_num')::int")
    names = ["statement_timeout", "idle_in_transaction_session_timeout"]
    names += ["transaction_timeout"] if version >= 170_000 else []
    for name in names:
        table.execute(f"alter database {database(table)} set {name} = '300ms'")
    with Source(table.url) as source, source.sibling() as sibling:
        for opened in (source, sibling):
            time.sleep(0.2)
            assert opened._query("select pg_sleep(0.4)")


def test_one_snapshot_answers_everything(table: Table) -> None:
    table.insert()
    with Source(table.url) as source:
        [before] = source._query(f"select count(*) as rows from {LOG}")
        table.insert()
        assert source._query(f"select count(*) as rows from {LOG}") == [before]
        with source.executions(Span(date(2026, 7, 8), date(2026, 7, 8), RealmFilter())) as blocks:
            one = sum(block.size for block in blocks)
        with source.executions(Span(None, None, RealmFilter(), undated=True)) as blocks:
            assert sum(block.size for block in blocks) == 2  # COPY's trailer alone
        table.insert()
        with source.executions(Span(date(2026, 7, 8), date(2026, 7, 8), RealmFilter())) as blocks:
            assert sum(block.size for block in blocks) == one


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://postgres@127.0.0.1:1/game", "127.0.0.1"),
        ("postgresql://postgres@no-such-host.invalid/game", "no-such-host.invalid"),
        ("host=/nowhere dbname=game", "/nowhere"),
    ],
)
def test_an_unreachable_server_is_named(url: str, says: str) -> None:
    error = refused(url)
    assert type(error) is SourceUnavailableError
    assert says in error.message
    assert error.hint == "check host, port, user and password: psql with the same URL must connect"
    assert error.exit_code == 3


def test_a_wrong_database_or_user_is_named(table: Table) -> None:
    error = refused(table.url.replace(database(table), "no_such_database"))
    assert type(error) is SourceUnavailableError
    assert 'database "no_such_database" does not exist' in error.message
    error = refused(table.as_role("nobody_here"))
    assert type(error) is SourceUnavailableError
    assert 'role "nobody_here" does not exist' in error.message


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite:///x.db", "nonsense://", "postgresql:/x://"])
def test_a_url_that_is_not_postgresqls_is_refused(url: str) -> None:
    error = refused(url)
    assert type(error) is SourceUnavailableError
    assert "postgresql://user@host" in error.hint


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:xyzzyplugh@127.0.0.1:1/game",
        "postgresql://u:xyzzy@plugh@127.0.0.1:1/game",  # should have been percent-encoded
        "postgresql://u:pre@xyzzy:plugh@127.0.0.1:1/game",
        "postgresql://u:xyzzy/plugh@127.0.0.1:1/game",
        "postgresql://u:xyzzy#plugh?@127.0.0.1:1/game",
        "postgresql://u:xyzzyplugh@127.0.0.1:port/game",
        "postgresql://u:xyzzyplugh@[::1/game",
        "postgresql://127.0.0.1:1/game?user=u&password=xyzzyplugh",
        "postgresql://127.0.0.1:1/game?passwort=xyzzyplugh",
        "mysql://u:xyzzyplugh@h/d",
        "host=127.0.0.1 port=1 user=u password=xyzzyplugh",
        "host=127.0.0.1 port=1 user=u password=pre xyzzyplugh",
        "host=127.0.0.1 port=1 user=u password='xyzzyplugh",
        "u:xyzzyplugh@127.0.0.1:1/game",
    ],
)
def test_a_password_is_in_no_error_and_no_traceback(url: str) -> None:
    error = refused(url)
    said = "".join(traceback.format_exception(error)) + repr(error) + str(error.facts)
    assert isinstance(error, SourceError)
    for word in ("xyzzy", "plugh"):
        assert word not in said.replace(url, "")
    assert error.hint


# ---- the log table ---------------------------------------------------------------------------------------------------


def test_a_missing_table_is_named_with_its_database(table: Table) -> None:
    table.execute(f"drop table {LOG}")
    error = refused(table.url)
    assert type(error) is SourceSchemaError
    assert error.message == f"there is no table {LOG} in database {database(table)}"
    assert "is this the engine's database?" in error.hint
    assert error.table == LOG


def test_a_table_off_the_search_path_is_found_and_the_hint_opens_it(table: Table) -> None:
    table.execute("create schema game")
    table.execute(f"alter table {LOG} set schema game")
    error = refused(table.url)
    assert type(error) is SourceSchemaError
    assert "is in schema game, off the search path" in error.message
    option = error.hint.removeprefix("add ?").removesuffix(" to the URL")
    with Source(f"{table.url}&{option}") as source:
        assert source.unread_columns == []


def test_a_schema_without_usage_is_named_with_the_grant(table: Table, role: str) -> None:
    table.execute("create schema game")
    table.execute(f"alter table {LOG} set schema game")
    error = refused(table.as_role(role))
    assert type(error) is SourceAccessError
    assert error.message == f"role {role} may not use schema game, which holds {LOG}"
    assert error.hint == f'grant usage on schema "game" to "{role}";'
    table.execute(error.hint)
    table.execute(f"grant select on game.{LOG} to {role}")
    with Source(table.as_role(role) + "&options=-csearch_path%3Dgame"):
        pass


def test_a_role_without_select_gets_the_grant_that_helps(table: Table, role: str) -> None:
    error = refused(table.as_role(role))
    assert type(error) is SourceAccessError
    assert f"role {role} may not read 21 columns (id, " in error.message
    assert error.hint.startswith('grant select (id, created_at, updated_at, oauth_user_id, "strategyId"')
    assert error.hint.endswith(f'notes) on {LOG} to "{role}";')
    assert "apiKey_used" not in error.hint
    table.execute(error.hint)
    with Source(table.as_role(role)):
        pass


def test_a_role_that_may_read_all_but_the_credential_column_is_enough(table: Table, role: str, fresh: Lake) -> None:
    names = [
        row[0]
        for row in table.execute(f"select attname from pg_attribute where attrelid = '{LOG}'::regclass and attnum > 0")
    ]
    granted = ", ".join(f'"{name}"' for name in names if name != "apiKey_used")
    table.execute(f"grant select ({granted}) on {LOG} to {role}")
    table.insert(apiKey_used="secret-key")
    result = extract(table.as_role(role), fresh, Window.parse("2026-07-08", "2026-07-09"), rates=Rates((), 0.05))
    assert result.row_count == 1
    with Source(table.as_role(role)) as source:
        assert source.changes.columns == ("updated_at",)  # xmin was not granted
    table.execute(f"grant select (xmin) on {LOG} to {role}")
    with Source(table.as_role(role)) as source:
        assert source.changes.columns == ("xmin",)


def test_missing_columns_are_all_named(table: Table) -> None:
    table.execute(f"alter table {LOG} drop column notes")
    assert refused(table.url).message == f"table {LOG} lacks the column notes"
    table.execute(f'alter table {LOG} rename column "durationMs" to duration')
    error = refused(table.url)
    assert type(error) is SourceSchemaError
    assert error.message == f"table {LOG} lacks the columns durationMs, notes"
    assert error.columns == ["durationMs", "notes"]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("created_at", "timestamp without time zone"),
        ("trace", "json"),
        ("trace", "text"),
        ("strategyVersion", "text"),
        ("id", "text"),
        ("sampled", "text"),
    ],
)
def test_a_column_of_another_type_is_refused_rather_than_guessed(table: Table, column: str, kind: str) -> None:
    table.execute(f'alter table {LOG} alter column "{column}" type {kind} using "{column}"::text::{kind}')
    error = refused(table.url)
    assert type(error) is SourceSchemaError
    assert error.message.startswith(f"column {column} of {LOG} has type {kind}, and only ")
    assert (error.column, error.column_type) == (column, kind)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("created_at", "timestamptz(3)"),
        ("points", "double precision"),
        ("points", "numeric(20,4)"),
        ("points", "integer"),
        ("durationMs", "real"),
        ("caseName", "varchar(40)"),
        ("status", "text"),
        ("strategyVersion", "smallint"),
    ],
)
def test_a_column_of_a_type_that_loses_nothing_is_read(table: Table, fresh: Lake, column: str, kind: str) -> None:
    table.insert(points=2, durationMs=2.5, status="ok", caseName="Case")
    table.execute(f'alter table {LOG} alter column "{column}" type {kind}')
    table.extract(fresh)
    question = "select points, duration_ms, status, case_name, strategy_version from executions"
    assert Warehouse(fresh).sql(question).fetchall() == [(2.0, 2.5, "ok", "Case", 1)]


def test_a_view_whose_rows_lack_their_id_is_refused(table: Table, fresh: Lake) -> None:
    table.insert()
    without = table.insert()
    table.execute(f"create schema behind; alter table {LOG} set schema behind")
    columns = ", ".join(
        f"nullif(id, '{without}') as id" if name == "id" else f'"{name}"'
        for (name,) in table.execute(
            f"select attname::text from pg_attribute where attrelid = 'behind.{LOG}'::regclass and attnum > 0 order by attnum"
        )
    )
    table.execute(f"create view {LOG} as select {columns} from behind.{LOG}")
    with pytest.raises(SourceSchemaError, match=f"1 rows of {LOG} have no id"):
        table.extract(fresh)
    assert not list(fresh.root.rglob("*.parquet"))


def test_a_view_in_the_tables_place_works_and_shows_changes_of_updated_at(table: Table, fresh: Lake) -> None:
    table.execute("create schema behind")
    table.execute(f"alter table {LOG} set schema behind")
    table.execute(f"create view {LOG} as select * from behind.{LOG}")
    row = table.insert(notes="old")
    assert table.extract(fresh).row_count == 1
    assert table.extract(fresh).nothing_to_do
    table.execute(f"update behind.{LOG} set notes = 'new', updated_at = now() where id = %s", [row])
    table.extract(fresh)
    assert Warehouse(fresh).sql("select notes from executions").fetchall() == [("new",)]


def test_a_partitioned_table_works(table: Table, fresh: Lake) -> None:
    table.execute(f"alter table {LOG} rename to old")
    table.execute(f"create table {LOG} (like old) partition by range (created_at)")
    table.execute(f"create table a partition of {LOG} for values from ('2026-01-01') to ('2027-01-01')")
    table.execute(f"create table b partition of {LOG} default")
    rows = {table.insert(), table.insert(created_at=None)}
    table.extract(fresh)
    assert {row[0] for row in Warehouse(fresh).sql("select execution_id from executions").fetchall()} == rows
    assert table.extract(fresh).nothing_to_do


def test_a_new_column_of_the_engine_is_said_and_does_no_harm(table: Table, fresh: Lake) -> None:
    table.execute(f'alter table {LOG} add "sampleRate" numeric default 0.05')
    table.insert()
    result = table.extract(fresh)
    assert result.unread_columns == ["sampleRate"]
    assert result.row_count == 1


# ---- the definitions, which may be missing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("drop table strategydefinition", "table strategydefinition is not there or not visible"),
        ("alter table strategydefinition drop column version cascade", "table strategydefinition lacks version"),
        ("alter table strategydefinition alter version type text", "strategydefinition has version as text"),
    ],
)
def test_definitions_that_cannot_be_read_are_a_note_and_the_work_goes_on(
    table: Table, fresh: Lake, change: str, says: str
) -> None:
    table.insert()
    table.define({}, realmId=None, status="DRAFT")
    table.execute(change)
    result = table.extract(fresh)
    assert result.definitions is None
    assert len(result.notes) == 1
    assert says in result.notes[0]
    assert "families and programs are unknown" in result.notes[0]
    assert result.row_count == 1
    assert Warehouse(fresh).sql("select count(*) from definitions").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            'alter table strategydefinition drop column "experimentTag"',
            "table strategydefinition lacks experimentTag",
        ),
        (
            'alter table strategydefinition alter "experimentTag" type int using 1',
            "table strategydefinition has experimentTag as integer",
        ),
        (
            'alter table strategydefinition drop column "realmId" cascade, drop column "publishedAt", '
            "drop column status, drop column type, drop column description",
            "table strategydefinition lacks realmId, description, type, status, publishedAt",
        ),
    ],
)
def test_a_column_that_is_missing_costs_no_program_and_what_was_known_of_it_stays(
    table: Table, fresh: Lake, change: str, says: str
) -> None:
    table.insert()
    table.define({}, status="DRAFT", experimentTag="spring")
    table.extract(fresh)
    table.execute("update strategydefinition set name = 'Malus'")
    table.execute(change)
    table.execute(
        """insert into strategydefinition (id, name, "astJson", version) values (gen_random_uuid(), 'New', '{}', 1)"""
        if "status" in change
        else """insert into strategydefinition (id, name, type, "astJson", version, status)
                values (gen_random_uuid(), 'New', 'DSL_FULL', '{}', 1, 'DRAFT')"""
    )
    result = table.extract(fresh)
    assert result.definitions == 2
    [note] = [note for note in result.notes if says in note]
    assert "as it was known before" in note
    assert Warehouse(fresh).sql(
        "select family_name, realm_id, experiment_tag, is_deleted from definitions order by 1"
    ).fetchall() == [
        ("Malus", "acme", "spring", False),
        ("New", None, None, False),
    ]


def test_definitions_without_a_right_to_read_them_are_a_note(table: Table, role: str) -> None:
    table.execute(f"grant select on {LOG} to {role}")
    with Source(table.as_role(role)) as source:
        said = source.definitions()
        assert isinstance(said, str)
        assert said.startswith(
            'no right to read 14 columns (id, realmId, name, …) of strategydefinition (grant select (id, "realmId"'
        )
        assert said.endswith(f') on strategydefinition to "{role}";): families and programs are unknown')


def test_definitions_once_seen_stay_when_the_table_goes(table: Table, fresh: Lake) -> None:
    table.define({}, name="Bonus", status="DRAFT")
    table.define({}, name="Malus", status="DRAFT")
    assert table.extract(fresh).definitions == 2
    table.execute("delete from strategydefinition where name = 'Malus'")
    table.extract(fresh)
    question = "select family_name, is_deleted from definitions order by 1"
    assert Warehouse(fresh).sql(question).fetchall() == [("Bonus", False), ("Malus", True)]
    table.execute("drop table strategydefinition")
    table.extract(fresh)
    assert Warehouse(fresh).sql(question).fetchall() == [("Bonus", False), ("Malus", True)]


def test_a_definition_that_moved_to_another_realm_is_there_once(table: Table, fresh: Lake) -> None:
    table.define({}, status="DRAFT")
    table.extract(fresh)
    table.execute("update strategydefinition set \"realmId\" = 'birch'")
    table.extract(fresh)
    assert Warehouse(fresh).sql("select realm_id, is_deleted from definitions").fetchall() == [("birch", False)]


# ---- what must not be in the lake ------------------------------------------------------------------------------------


def test_the_api_key_is_nowhere_in_the_lake(table: Table, fresh: Lake) -> None:
    key = "k3y-that-opens-the-door"
    table.insert(apiKey_used=key, oauth_user_id="auth0|author")
    table.define({}, realmId=None, status="DRAFT", apiKey_used=key)
    table.extract(fresh)
    parquet = list(fresh.root.rglob("*.parquet"))
    assert {path.relative_to(fresh.root).parts[0] for path in parquet} == {
        "executions", "node_days", "definitions", "definition_nodes",
    }  # fmt: skip
    for path in parquet:
        found = pq.ParquetFile(path).read()
        assert not [name for name in found.column_names if "key" in name.lower() and name != "key"]
        assert key not in repr(found.to_pylist())
    for path in fresh.root.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


def test_the_server_dying_in_the_middle_is_a_source_error(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    table.insert()
    with Source(table.url) as source:
        table.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'strategy-analytics'"
        )
        with (
            pytest.raises(SourceError, match="an administrator ended this session") as raised,
            source.executions(Span(None, None, RealmFilter(), undated=True)) as blocks,
        ):
            list(blocks)
    assert raised.value.is_transient
    assert caplog.records == []  # no traceback of a library that wanted to roll back


def test_a_standby_that_cuts_the_rows_off_without_a_word_is_told_with_its_repair(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def cut(*_: object) -> Iterator[Iterator[object]]:
        raise explain_server_error(psycopg.OperationalError("server closed the connection unexpectedly"))
        yield iter(())

    monkeypatch.setattr("analytics.source.source.copy_blocks", cut)
    with Source(table.url) as source:
        for is_standby in (False, True):
            source.watermark = replace(source.watermark, is_standby=is_standby)
            with (
                pytest.raises(SourceError, match="was lost") as raised,
                source.executions(Span(None, None, RealmFilter(), undated=True)),
            ):
                raise AssertionError("nothing is read")
            assert ("hot_standby_feedback = on" in raised.value.hint) is is_standby


def test_a_second_connection_that_a_pool_of_one_cannot_give_is_not_asked_for_again(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> None:
        raise psycopg.errors.ProtocolViolation("query_wait_timeout")

    with Source(table.url) as source:
        sibling = source.sibling()
        monkeypatch.setattr(Source, "_take_over", wait)
        with pytest.raises(SourceError, match="no free connection") as raised, sibling:
            raise AssertionError("there is none")
    assert not raised.value.is_transient
    assert "jobs=1" in raised.value.hint


def test_a_connection_is_closed_after_use(table: Table) -> None:
    with connect(table.url) as session:
        connection = session.connection
        assert connection.info.dbname == database(table)
    assert connection.closed
    count = "select count(*) from pg_stat_activity where application_name = 'strategy-analytics'"
    until = time.monotonic() + 30
    while table.execute(count) != [(0,)]:  # the server notices by and by
        assert time.monotonic() < until


@pytest.mark.parametrize("statement", ["select 1", "select no_column"])
def test_a_transaction_has_ended_when_its_connection_is_closed(
    table: Table, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    look = (
        "select count(*) from pg_stat_activity where application_name = 'strategy-analytics' and xact_start is not null"
    )
    close = psycopg.Connection.close

    def closed(self: psycopg.Connection[Any]) -> None:
        monkeypatch.undo()
        seen.extend(table.execute(look))
        close(self)

    with contextlib.suppress(psycopg.errors.UndefinedColumn), connect(table.url) as session:
        session.connection.execute("select 1")
        assert table.execute(look) == [(1,)]
        monkeypatch.setattr(psycopg.Connection, "close", closed)
        session.connection.execute(statement)
    assert seen == [(0,)]


# ---- a second connection ---------------------------------------------------------------------------------------------


def test_a_sibling_sees_what_the_first_connection_sees(table: Table) -> None:
    first = table.insert()
    count = f"select count(*) as rows, pg_current_snapshot()::text as snapshot, pg_backend_pid() as pid from {LOG}"
    with Source(table.url) as source:
        table.insert()
        with source.sibling() as sibling:
            [ours], [theirs] = source._query(count), sibling._query(count)
            assert (ours["rows"], ours["snapshot"]) == (theirs["rows"], theirs["snapshot"]) == (1, ours["snapshot"])
            assert ours["pid"] != theirs["pid"]
            assert sibling.watermark == source.watermark
            settings = "select name, setting from pg_settings where source = 'session' order by name"
            assert sibling._query(settings) == source._query(settings)
            assert sibling.existing([first]) == {first}
            with pytest.raises(SourceError, match="read-only transaction"):
                sibling._query(f"delete from {LOG}")
        assert source._query(count)[0]["rows"] == 1


def test_a_sibling_that_cannot_see_the_same_is_refused_with_the_way_out(table: Table) -> None:
    with Source(table.url) as source:
        sibling = source.sibling()
    with pytest.raises(SourceError, match="a second connection cannot see what the first one sees") as raised, sibling:
        pass
    assert "jobs=1" in raised.value.hint
