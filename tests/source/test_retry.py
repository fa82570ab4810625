"""A source that fails for a moment: what is tried again, how often, and that nothing is done twice or said twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from analytics.demo.population import create_tables
from analytics.demo.server import EmbeddedServer
from analytics.errors import SourceAccessError, SourceError, SourceUnavailableError
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.source import connection as retry
from analytics.source.connection import Retries, pause
from analytics.source.server_errors import explain_server_error
from analytics.source.source import Source
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract

if TYPE_CHECKING:
    from tests.conftest import Table

TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'strategy-analytics'"


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.02)


# ---- which errors pass ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "is_transient", "says"),
    [
        (errors.AdminShutdown("terminating connection due to administrator command"), True, "shut down"),
        (errors.CrashShutdown("terminating connection because of crash"), True, "crashed"),
        (errors.CannotConnectNow("the database system is starting up"), True, "starting"),
        (errors.TooManyConnections("sorry, too many clients already"), True, "no free connection"),
        (errors.ConnectionFailure("x"), True, "was lost"),
        (errors.SerializationFailure("canceling statement due to conflict with recovery"), True, "the standby needed"),
        (errors.QueryCanceled("canceling statement due to conflict with recovery"), True, "the standby needed"),
        (errors.SerializationFailure("could not serialize access"), True, "could not fit"),
        (errors.DeadlockDetected("deadlock detected"), True, "deadlock"),
        (errors.LockNotAvailable("canceling statement due to lock timeout"), True, "is locked"),
        (
            psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"),
            True,
            "was lost",
        ),
        (psycopg.InterfaceError("the connection is closed"), True, "was lost"),
        (errors.QueryCanceled("canceling statement due to statement timeout"), False, "was cancelled"),
        (errors.InsufficientPrivilege("permission denied"), False, "a right is missing"),
        (errors.UndefinedTable("relation does not exist"), False, "PostgreSQL: relation"),
        (errors.IdleInTransactionSessionTimeout("x"), False, "idle"),
        (errors.DiskFull("could not write"), False, "disk is full"),
        (errors.CharacterNotInRepertoire('invalid byte sequence for encoding "UTF8": 0xf6'), False, "takes any bytes"),
        # PgBouncer's own words, from `python -m tests.servers`
        (errors.ProtocolViolation("query_wait_timeout"), True, "no free connection"),
        (errors.ProtocolViolation("transaction blocks not allowed in statement pooling mode"), False, "a snapshot is"),
        (errors.ProtocolViolation("query timeout"), False, "its query_timeout"),
        (errors.ProtocolViolation("idle transaction timeout"), False, "its idle_transaction_timeout"),
        (errors.ProtocolViolation("server conn crashed?"), True, "was lost"),
        (errors.DataCorrupted("missing chunk number 0 for toast value 16546"), False, "cannot read its own data"),
    ],
)
def test_an_error_is_explained(error: psycopg.Error, is_transient: bool, says: str) -> None:
    found = explain_server_error(error)
    assert (found.is_transient, says in found.message) == (is_transient, True)
    assert str(error) in found.message
    assert found.hint or isinstance(error, errors.UndefinedTable)


@pytest.mark.parametrize(
    ("words", "is_transient", "says"),
    [
        ('connection to server on socket "/s" failed: No such file or directory', True, "cannot be reached"),
        ('connection to server at "db", port 5432 failed: Connection refused', True, "cannot be reached"),
        ("connection timeout expired", True, "cannot be reached"),
        ('"db": Temporary failure in name resolution', True, "cannot be reached"),
        ('failed to resolve host "db": [Errno -2] Name or service not known', False, "no such host"),
        ("FATAL: sorry, too many clients already", True, "no free connection"),
        ("FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute", True, "no free"),
        ("FATAL: the database system is starting up", True, "is starting"),
        ("FATAL: the database system is not yet accepting connections", True, "is starting"),
        ('connection to server on socket "/s" failed: session is read-only', True, "none does at the moment"),
        ('connection to server on socket "/s" failed: server is in hot standby mode', True, "none does at the moment"),
        ('connection to server on socket "/s" failed: session is not read-only', False, "of the kind"),
        ('connection to server on socket "/s" failed: server is not in hot standby mode', False, "of the kind"),
        ('FATAL: password authentication failed for user "u"', False, "does not let us in"),
        ('FATAL: database "d" does not exist', False, "does not let us in"),
        ('FATAL: no pg_hba.conf entry for host "h"', False, "does not let us in"),
        ("FATAL: Passwort stimmt nicht", False, "does not let us in"),
        # libpq 18's words, from `python -m tests.servers`
        ('server certificate for "a" does not match host name "b"', False, "is for another host"),
        ("SSL error: certificate verify failed", False, "is not to be trusted"),
        (
            'root certificate file "ca.crt" does not exist Either provide the file',
            False,
            "no certificate of an authority",
        ),
        ("server does not support SSL, but SSL was required", False, "speaks no TLS"),
        ('private key file "k" has group or world access', False, "cannot be used"),
        ("FATAL: connection requires a valid client certificate", False, "asks for a certificate"),
        ('FATAL: certificate authentication failed for user "u"', False, "is another role's"),
        ("SSL error: ssl/tls alert certificate expired", False, "does not take the client's"),
    ],
)
def test_a_refused_connection_is_explained(words: str, is_transient: bool, says: str) -> None:
    found = explain_server_error(psycopg.OperationalError(f"connection failed: {words}"), connecting=True)
    assert type(found) is SourceUnavailableError
    assert (found.is_transient, says in found.message, bool(found.hint)) == (is_transient, True, True)


# ---- how often ------------------------------------------------------------------------------------------------------


def failing(times: int, error: SourceError) -> Callable[[], str]:
    left = [error] * times

    def attempt() -> str:
        if left:
            raise left.pop()
        return "done"

    return attempt


def passing(words: str = "gone for a moment") -> SourceError:
    return SourceError(words, is_transient=True)


def test_five_retries_are_about_a_minute() -> None:
    assert 45 <= sum(pause(number) for number in range(1, 6)) <= 80
    assert pause(30) <= 75
    assert len({pause(3) for _ in range(20)}) > 1  # never all at once


@pytest.mark.usefixtures("hurry")
def test_a_failure_that_passes_is_tried_again_and_said_once() -> None:
    heard: list[str] = []
    again = Retries(5, heard.append)
    assert again.run(failing(4, passing()), lambda: 0) == "done"
    assert heard == ["gone for a moment; trying again"]
    assert again.notes() == ["the source failed 4 times and the run went on by itself: gone for a moment"]
    assert Retries(5).notes() == []


@pytest.mark.usefixtures("hurry")
def test_it_gives_up_after_that_many_in_a_row_without_progress() -> None:
    with pytest.raises(SourceError, match="gone for a moment; given up after 3 retries"):
        Retries(3).run(failing(4, passing()), lambda: 0)
    done = iter(range(100))
    assert Retries(1).run(failing(9, passing()), lambda: next(done)) == "done"  # every attempt settled something


def test_what_will_not_pass_is_not_tried_again() -> None:
    for again, error in ((Retries(5), SourceAccessError("no right")), (Retries(0), passing("off"))):
        with pytest.raises(SourceError, match=r"^(no right|off)$"):
            again.run(failing(1, error), lambda: 0)
        assert again.failures == []


# ---- real failures ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hurry")
def test_a_session_that_is_ended_in_the_middle_is_opened_again_and_what_was_done_is_kept(
    table: Table, fresh: Lake
) -> None:
    for day in ("2026-07-01", "2026-07-04", "2026-07-08"):
        table.insert(created_at=f"{day} 12:00:00+00")
    killed: list[str] = []

    def kill(progress: Any) -> None:
        if progress.written and not killed:
            killed.append(str(progress.written.partition.day))
            table.execute(TERMINATE)

    heard: list[str] = []
    result = table.extract(fresh, "2026-07-01", force=True, progress=kill, notice=heard.append)
    days = [info.partition.day.isoformat() for info in result.written if info.partition.day]
    assert killed == ["2026-07-01"]
    assert sorted(days) == ["2026-07-01", "2026-07-04", "2026-07-08"]
    assert (len(heard), result.unchanged, result.row_count) == (1, 0, 3)
    assert len([note for note in result.notes if "the source failed once" in note]) == 1
    assert Warehouse(fresh).sql("select count(*), count(distinct execution_id) from executions").fetchall() == [(3, 3)]
    assert table.extract(fresh, "2026-07-01").nothing_to_do


@pytest.mark.usefixtures("hurry")
def test_a_standby_that_is_not_promoted_yet_is_waited_for_where_the_url_asks_for_a_primary(
    table: Table, fresh: Lake
) -> None:
    table.insert()
    [(name,)] = table.execute("select quote_ident(current_database())")
    table.execute(f"alter database {name} set default_transaction_read_only = on")  # as a standby's sessions are

    def promote(_: str) -> None:
        with psycopg.connect(table.url, options="-c default_transaction_read_only=off") as connection:
            connection.execute(f"alter database {name} reset default_transaction_read_only")

    url = f"{table.url}&target_session_attrs=read-write"
    result = extract(url, fresh, Window.parse("2026-07-07", "2026-07-10"), rates=Rates((), 0.05), notice=promote)
    assert result.row_count == 1
    assert any("went on by itself: the URL asks for a server that takes writes" in note for note in result.notes)


@pytest.mark.usefixtures("hurry")
def test_with_retries_off_the_first_failure_ends_the_run(table: Table, fresh: Lake) -> None:
    table.insert()
    with pytest.raises(SourceError, match=r"PostgreSQL: ") as raised:
        table.extract(fresh, retries=0, progress=lambda _: table.execute(TERMINATE))
    assert raised.value.is_transient
    assert table.extract(fresh).nothing_to_do or Warehouse(fresh).sql("from executions").fetchall()


def test_a_timeout_is_not_tried_again(table: Table) -> None:
    table.insert()
    with Source(table.url) as source:
        source._connection.execute("set local statement_timeout = 50")
        with pytest.raises(SourceError, match="was cancelled") as raised:
            source._query("select pg_sleep(2)")
    assert not raised.value.is_transient


def test_a_server_that_restarts_meanwhile_is_waited_for(
    server_folders: Callable[[], Path], fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.2)

    with EmbeddedServer(server_folders() / "server") as server:
        url = server.url
        with psycopg.connect(url) as connection:
            create_tables(connection)
        server.stop()
        heard: list[str] = []

        def start(sentence: str) -> None:
            heard.append(sentence)
            server.start()

        window = Window.parse("2026-07-07", "2026-07-10")
        result = extract(url, fresh, window, rates=Rates((), 0.05), notice=start)
        assert "the server cannot be reached" in heard[0]
        assert any("the source failed" in note for note in result.notes)
