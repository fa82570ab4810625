"""What stands in the place of the engine's table: partitions, a view, a foreign table, a logical replica, row security."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial

import psycopg

from tests.servers import rows
from tests.servers.bench import Bench, BrokenError, filled
from tests.servers.compare import Compared
from tests.servers.installed import full
from tests.servers.server import PATIENCE, Server, running
from tests.servers.standbys import PADDING, in_the_middle
from tests.simulated import DEFINITIONS, LOG, insert, run_row

BY_MONTH = (
    f"alter table {LOG} rename to flat",
    f"create table {LOG} (like flat including defaults) partition by range (created_at)",
    f"create table june partition of {LOG} for values from ('2026-06-01') to ('2026-07-01')",
    f"create table july partition of {LOG} for values from ('2026-07-01') to ('2026-08-01')",
    f"create table rest partition of {LOG} default",
    f"insert into {LOG} select * from flat",
    "drop table flat",
    f"alter table {LOG} add unique (id, created_at)",
)
AWAY = (
    "create schema live",
    f"alter table {LOG} set schema live",
    f"create view {LOG} as select * from live.{LOG}",
)


def shapes(bench: Bench) -> None:
    """Late and changed rows in each of them."""
    programs = full()
    if programs is None:
        bench.skip("other shapes", "apt-get install postgresql")
        return
    with running(programs, bench.place() / "data", settings="autovacuum = off\n") as server:
        owner, _ = filled(server, "by_month")
        server.execute(*BY_MONTH, database="by_month")
        bench.play(
            "partitions by month, a default one",
            "late and changed rows",
            partial(bench.ordinary, owner, owner, bench.lake()),
        )
        for jobs in (1, 2):
            work = partial(_detached, bench, server, owner, jobs)
            bench.play("partitions by month", f"one detached CONCURRENTLY while it is read, --jobs {jobs}", work)
        owner, _ = filled(server, "with_view")
        server.execute(*AWAY, database="with_view")
        bench.play("a view", "late and changed rows", partial(bench.ordinary, owner, owner, bench.lake()))
        bench.play("a foreign table (postgres_fdw)", "late and changed rows", partial(_foreign, bench, server))
        _row_security(bench, server)


def _detached(bench: Bench, server: Server, owner: str, jobs: int) -> tuple[Compared, str]:
    """The lake keeps what it has; what the run that was under way read is of one instant; attached again, all is there."""
    lake = bench.lake()
    with psycopg.connect(owner) as connection:
        connection.execute(PADDING.replace("'padded'", f"'padded {jobs}'"))  # type: ignore[call-overload]
    failed: list[str] = []

    def detach() -> None:
        try:
            server.execute(f"alter table {LOG} detach partition july concurrently", database="by_month")
        except psycopg.Error as error:
            failed.append(str(error))

    # A default partition stands in the way of it (PostgreSQL: ALTER TABLE, DETACH PARTITION).
    server.execute(f"alter table {LOG} detach partition rest", database="by_month")
    worker = threading.Thread(target=detach, daemon=True)

    def begin() -> None:
        worker.start()
        time.sleep(1.0)

    with in_the_middle(begin):
        outcome = bench.run(owner, lake, jobs=jobs)
    worker.join(PATIENCE)
    if worker.is_alive() or failed:
        raise BrokenError(f"the partition cannot be detached: {failed or 'it waits for a run that has ended'}")
    if outcome.error is not None:
        raise BrokenError(f"refused: {outcome.sentence}")
    read = outcome.result.row_count if outcome.result else 0
    kept = bench.run(owner, lake)
    if kept.error is not None:
        raise BrokenError(f"refused when it is detached: {kept.sentence}")
    server.execute(
        f"alter table {LOG} attach partition july for values from ('2026-07-01') to ('2026-08-01')",
        f"alter table {LOG} attach partition rest default",
        database="by_month",
    )
    bench.done(owner, lake)
    count = sum(kept.result.kept.values()) if kept.result else 0
    return bench.equal(
        owner, lake
    ), f"{read:,} rows read by the run that was under way; {count:,} rows kept while it was away"


def _foreign(bench: Bench, server: Server) -> tuple[Compared, str]:
    owner, _ = filled(server, "far")
    server.execute("create database near")
    server.execute(
        "create extension postgres_fdw",
        "create server far foreign data wrapper postgres_fdw "
        f"options (host '{server.sockets}', port '{server.port}', dbname 'far')",
        "create user mapping for postgres server far options (user 'postgres')",
        f"import foreign schema public limit to ({LOG}, {DEFINITIONS}) from server far into public",
        database="near",
    )
    return bench.ordinary(owner, server.url("near"), bench.lake())


def _row_security(bench: Bench, server: Server) -> None:
    owner, _ = filled(server, "guarded")
    server.execute(
        "create role some_rows login", "create role all_rows login",
        f"grant select on {LOG}, {DEFINITIONS} to some_rows, all_rows",
        f"alter table {LOG} enable row level security",
        f"create policy a_part on {LOG} for select to some_rows using (\"realmId\" = 'acme-cycling')",
        f"create policy all_of_it on {LOG} for select to all_rows using (true)",
        "grant pg_read_all_stats to all_rows, some_rows",
        database="guarded",
    )  # fmt: skip
    for setting in ("on", "off"):
        server.execute(f"alter role some_rows set row_security = {setting}")
        reader = server.url("guarded", "some_rows")
        work = partial(bench.refused, reader, bench.lake(), "row security hides", "some_rows", at_once=True)
        bench.play(f"row security, row_security = {setting}", "a role that sees a part", work)
    reader = server.url("guarded", "all_rows")
    bench.play("row security", "a role that sees all", partial(bench.ordinary, owner, reader, bench.lake()))


# ---- a logical replica ------------------------------------------------------------------------------------------------


def replicas(bench: Bench) -> None:
    """A publication and its subscription: late rows, a worker that waits, and the lake of the publisher read on."""
    programs = full()
    if programs is None:
        bench.skip("a logical replica", "apt-get install postgresql")
        return
    with running(programs, bench.place() / "data") as origin, _subscribed(bench, origin) as replica:
        owner, reader = origin.url("game"), replica.url("game")
        settle = partial(_caught_up, origin, replica)
        work = partial(bench.ordinary, owner, reader, bench.lake(), settle=settle)
        bench.play("a logical replica", "late and changed rows", work)
        lake = bench.lake()
        bench.play(
            "a logical replica", "a lake that the publisher filled", partial(_exchanged, bench, owner, reader, lake)
        )
        bench.play("a logical replica", "its worker waits for a lock", partial(_waits, bench, origin, replica))
        bench.play("a logical replica", "its subscription disabled", partial(_disabled, bench, origin, replica))


@contextlib.contextmanager
def _subscribed(bench: Bench, origin: Server) -> Iterator[Server]:
    filled(origin, "game")
    origin.execute(f"create publication p for table {LOG}, {DEFINITIONS}", database="game")
    with running(origin.programs, bench.place() / "data", settings="wal_receiver_status_interval = 1s\n") as replica:
        replica.execute("create database game")
        with psycopg.connect(replica.url("game")) as connection:
            rows.create(connection)
            connection.execute(f"truncate {LOG}, {DEFINITIONS}")  # type: ignore[call-overload]
        words = f"host={origin.sockets} port={origin.port} dbname=game user=postgres"
        replica.execute(f"create subscription s connection '{words}' publication p", database="game")
        _caught_up(origin, replica)
        yield replica
        replica.execute(
            "alter subscription s disable",
            "alter subscription s set (slot_name = none)",
            "drop subscription s",
            database="game",
        )


def _caught_up(origin: Server, replica: Server) -> None:
    end = time.monotonic() + PATIENCE
    state = f"select count(*), sum(hashtext(t::text)::bigint) from {LOG} t"
    while origin.execute(state, database="game") != replica.execute(state, database="game"):
        if time.monotonic() > end:
            raise BrokenError("the replica does not follow")
        time.sleep(0.1)


def _exchanged(bench: Bench, owner: str, reader: str, lake: object) -> tuple[Compared, str]:
    lake = bench.lake()
    bench.done(owner, lake)
    refused = bench.refused(reader, lake, "--accept-source", at_once=True)
    bench.done(reader, lake, accept_source=True)
    return bench.equal(owner, lake), refused[1]


def _add(origin: Server) -> None:
    with psycopg.connect(origin.url("game")) as connection:
        insert(connection, LOG, [run_row(realmId="late", created_at="2026-07-09 12:00+00")])


def _waits(bench: Bench, origin: Server, replica: Server) -> tuple[Compared, str]:
    """What the worker has not applied is not there yet; its open transaction holds completeness back as any writer's does."""
    lake = bench.lake()
    with psycopg.connect(replica.url("game"), autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(1)")
        # a trigger that the worker runs, too: it stands still in the middle of its transaction
        replica.execute(
            "create function wait() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(1); return new; end'",
            f"create trigger wait before insert on {LOG} for each row execute function wait()",
            f"alter table {LOG} enable replica trigger wait",
            database="game",
        )
        _add(origin)
        time.sleep(4)
        [*_, last] = bench.done(replica.url("game"), lake)
        now = replica.execute("select now()")[0][0]
    _caught_up(origin, replica)
    replica.execute(f"drop trigger wait on {LOG}", database="game")
    behind = (now - last.horizon.until).total_seconds() - 300
    bench.done(replica.url("game"), lake)
    compared = bench.equal(origin.url("game"), lake)
    if behind < 2:
        raise BrokenError(f"complete until {behind:.1f} s before now, less the lag: {last.horizon.reason}")
    return compared, "; ".join([*last.notes, last.horizon.reason])


def _disabled(bench: Bench, origin: Server, replica: Server) -> tuple[Compared, str]:
    lake = bench.lake()
    replica.execute("alter subscription s disable", database="game")
    _add(origin)
    time.sleep(1)
    [*_, last] = bench.done(replica.url("game"), lake)
    replica.execute("alter subscription s enable", database="game")
    _caught_up(origin, replica)
    bench.done(replica.url("game"), lake)
    compared = bench.equal(origin.url("game"), lake)
    if "subscription" not in " ".join([last.horizon.reason, *last.notes]):
        raise BrokenError(f"nothing is said of it: {last.horizon.reason}")
    return compared, "; ".join(last.notes)
