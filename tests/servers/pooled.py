"""Through PgBouncer, as users have it: transaction and session pooling, a reset query, one connection for all, statements."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg

from tests.servers.bench import Bench, BrokenError, filled
from tests.servers.compare import Compared
from tests.servers.installed import full
from tests.servers.server import PATIENCE, Server, as_user, folder_of_users, free_port, running

GROUND = "PgBouncer"
USUAL = "extra_float_digits,options"
KNOWN = (
    "application_name", "bytea_output", "client_encoding", "datestyle", "default_transaction_read_only", "enable_seqscan",
    "extra_float_digits", "idle_in_transaction_session_timeout", "lock_timeout", "quote_all_identifiers", "row_security",
    "search_path", "statement_timeout", "timezone", "transaction_isolation",
)  # fmt: skip
"""Settings that a run may touch, and that the next client of a pooled connection must not inherit."""


def pooled(bench: Bench) -> None:
    """Prepared statements, settings and snapshots over connections that somebody else had before and has afterwards."""
    programs = full()
    if programs is None or not _program():
        bench.skip(GROUND, "apt-get install postgresql pgbouncer")
        return
    with running(programs, bench.place() / "data") as server:
        owner, _ = filled(server, "game")
        server.execute("create schema away", database="game")
        for mode in ("session", "transaction"):
            with _pooler(
                server, bench.place("pooler"), f"pool_mode = {mode}\nignore_startup_parameters = {USUAL}"
            ) as url:
                bench.play(f"{GROUND}, {mode}", "options= ignored", partial(_and_settings, bench, owner, url, jobs=1))
                bench.play(f"{GROUND}, {mode}", "--jobs 2", partial(_and_settings, bench, owner, url, jobs=2))
            with _pooler(server, bench.place("pooler"), f"pool_mode = {mode}") as url:
                more = f"{url}&options={quote('-c search_path=away,public -c work_mem=8MB')}"
                bench.play(
                    f"{GROUND}, {mode}", "options= not taken", partial(_and_settings, bench, owner, more, jobs=1)
                )
            reset = (
                f"pool_mode = {mode}\nserver_reset_query = DISCARD ALL\nserver_reset_query_always = 1\npool_size_limit"
            )
            reset = reset.rpartition("\n")[0] + f"\nignore_startup_parameters = {USUAL}"
            with _pooler(server, bench.place("pooler"), reset) as url:
                bench.play(
                    f"{GROUND}, {mode}", "DISCARD ALL after each", partial(_and_settings, bench, owner, url, jobs=2)
                )
        _narrow(bench, server, owner)
        database = filled(server, "late")[0]
        with _pooler(server, bench.place("pooler"), "pool_mode = transaction", database="late") as url:
            bench.play(
                f"{GROUND}, transaction", "late and changed rows", partial(bench.ordinary, database, url, bench.lake())
            )


def _narrow(bench: Bench, server: Server, owner: str) -> None:
    one = "pool_mode = transaction\ndefault_pool_size = 1\nreserve_pool_size = 0\nquery_wait_timeout = 3"
    with _pooler(server, bench.place("pooler"), one) as url:
        bench.play(f"{GROUND}, one connection", "--jobs 1", partial(_and_settings, bench, owner, url, jobs=1))
        bench.play(f"{GROUND}, one connection", "--jobs 2", partial(_narrowed, bench, owner, url))
        bench.play(f"{GROUND}, one connection", "taken by somebody", partial(_taken, bench, url))
    with _pooler(server, bench.place("pooler"), "pool_mode = transaction\nmax_client_conn = 1") as url:
        bench.play(f"{GROUND}, one client", "taken by somebody", partial(_taken, bench, url))
    with _pooler(server, bench.place("pooler"), "pool_mode = statement") as url:
        work = partial(bench.refused, url, bench.lake(), "pool_mode", at_once=True)
        bench.play(f"{GROUND}, statement", "a transaction", work)
    with _pooler(server, bench.place("pooler"), "pool_mode = transaction", database="other") as url:
        other = url.replace("/other?", "/game?")
        bench.play(
            f"{GROUND}",
            "a database it does not know",
            partial(bench.refused, other, bench.lake(), "database", at_once=True),
        )
    with _pooler(server, bench.place("pooler"), "pool_mode = transaction\nquery_timeout = 1\n") as url:
        bench.play(f"{GROUND}, query_timeout", "COPY takes longer", partial(_slow, bench, server, url))
    with _pooler(server, bench.place("pooler"), "pool_mode = session\nidle_transaction_timeout = 1\n") as url:
        bench.play(f"{GROUND}, idle_transaction_timeout", "files are written", partial(_idle, bench, owner, url))


def _program() -> str | None:
    return shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")


@contextlib.contextmanager
def _pooler(server: Server, place: Path, settings: str, database: str = "game") -> Iterator[str]:
    """One on a socket; the URL through it."""
    home, port = folder_of_users(place / "home"), free_port()
    users, ini, pid = place / "users.txt", place / "pgbouncer.ini", home / "pid"
    users.write_text('"postgres" ""\n', encoding="utf-8")
    ini.write_text(
        f"[databases]\n{database} = host={server.sockets} port={server.port} dbname={database}\n[pgbouncer]\n"
        f"listen_addr =\nunix_socket_dir = {home}\nlisten_port = {port}\nauth_type = trust\nauth_file = {users}\n"
        f"logfile = {home}/log\npidfile = {pid}\n{settings}\n",
        encoding="utf-8",
    )
    as_user([str(_program()), "-d", ini])
    end = time.monotonic() + PATIENCE
    while not pid.exists() or not list(home.glob(".s.PGSQL.*")):
        if time.monotonic() > end:
            raise RuntimeError("PgBouncer does not start")
        time.sleep(0.05)
    try:
        yield f"postgresql://postgres@/{database}?host={home}&port={port}"
    finally:
        as_user(["kill", "-INT", pid.read_text(encoding="utf-8").strip()])
        while pid.exists() and time.monotonic() < end:
            time.sleep(0.02)


def _settings(url: str) -> dict[str, str]:
    """Of whatever connection the pooler gives, without having set any."""
    with psycopg.connect(
        url.partition("&options=")[0], autocommit=True, application_name="neighbour", prepare_threshold=None
    ) as one:
        found = one.execute(
            f"select name, setting from pg_settings where name = any('{{{','.join(KNOWN)}}}')"
        ).fetchall()  # type: ignore[call-overload]
        [(prepared,)] = one.execute("select count(*) from pg_prepared_statements").fetchall()
        [(temporary,)] = one.execute("select count(*) from pg_class where relpersistence = 't'").fetchall()
    return {**dict(found), "prepared statements": str(prepared), "temporary tables": str(temporary)}


def _and_settings(bench: Bench, owner: str, url: str, *, jobs: int) -> tuple[Compared, str]:
    before = _settings(url)
    found = bench.once(owner, url, bench.lake(), jobs=jobs)
    if (after := _settings(url)) != before:
        changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
        raise BrokenError(f"the pooler's connection is left as {changed}")
    return found


def _narrowed(bench: Bench, owner: str, url: str) -> tuple[Compared, str]:
    """Whoever asks for two connections of a pool of one is told, or reads with one; nobody waits for ever."""
    lake = bench.lake()
    began = time.monotonic()
    outcome = bench.run(url, lake, jobs=2, retries=1)
    if time.monotonic() - began > 30:
        raise BrokenError(f"waited {time.monotonic() - began:.0f} s: {outcome.sentence}")
    if outcome.error is not None:
        if "--jobs 1" not in outcome.sentence:
            raise BrokenError(f"no helpful words: {outcome.sentence}")
        return bench.equal_at_last(owner, url, lake, outcome)
    return bench.equal_at_last(owner, url, lake, outcome)


def _taken(bench: Bench, url: str) -> tuple[Compared, str]:
    with psycopg.connect(url) as somebody:
        somebody.execute("select 1")
        return bench.refused(url, bench.lake(), "connection", retries=1)


def _slow(bench: Bench, server: Server, url: str) -> tuple[Compared, str]:
    server.execute(
        "create schema slow", "alter table strategyexecutionlog set schema slow",
        "create function slow.wait() returns bool language sql volatile as 'select pg_sleep(2) is not null'",
        "create view strategyexecutionlog as select * from slow.strategyexecutionlog where (select slow.wait())",
        database="game",
    )  # fmt: skip
    try:
        return bench.refused(url, bench.lake(), "query_timeout", retries=1)
    finally:
        server.execute(
            "drop view strategyexecutionlog", "alter table slow.strategyexecutionlog set schema public", database="game"
        )


def _idle(bench: Bench, owner: str, url: str) -> tuple[Compared, str]:
    lake = bench.lake()
    with bench.paused(2.5):
        outcome = bench.run(url, lake, retries=1)
    if outcome.error is not None and "idle_transaction_timeout" not in outcome.sentence:
        raise BrokenError(f"no helpful words: {outcome.sentence}")
    return bench.equal_at_last(owner, url, lake, outcome)
