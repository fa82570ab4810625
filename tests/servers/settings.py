"""Settings that a role, a database or a server may have: the lake is the same, or the run is refused in words."""

from __future__ import annotations

import time
from functools import partial

import psycopg

from tests.servers import rows
from tests.servers.bench import Bench, BrokenError, fill
from tests.servers.compare import Compared
from tests.servers.installed import full
from tests.servers.server import Server, running
from tests.simulated import LOG

OF_THE_ROLE = (
    ("datestyle", "'SQL, DMY'"),
    ("datestyle", "'German'"),
    ("timezone", "'America/St_Johns'"),
    ("timezone", "'Pacific/Kiritimati'"),
    ("timezone_abbreviations", "'Australia'"),
    ("intervalstyle", "'sql_standard'"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "'escape'"),
    ("xmloption", "'document'"),
    ("standard_conforming_strings", "off"),
    ("escape_string_warning", "off"),
    ("backslash_quote", "off"),
    ("quote_all_identifiers", "on"),
    ("transform_null_equals", "on"),
    ("array_nulls", "off"),
    ("client_encoding", "'LATIN1'"),
    ("client_encoding", "'SQL_ASCII'"),
    ("search_path", "public, pg_catalog"),
    ("search_path", "'$user', public"),
    ("statement_timeout", "'1ms'"),
    ("lock_timeout", "'1ms'"),
    ("idle_in_transaction_session_timeout", "'100ms'"),
    ("idle_session_timeout", "'50ms'"),
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_isolation", "'read uncommitted'"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("row_security", "off"),
    ("jit", "on"),
    ("jit_above_cost", "0"),
    ("force_parallel_mode", "on"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("work_mem", "'64kB'"),
    ("temp_file_limit", "'0'"),
    ("max_parallel_workers_per_gather", "8"),
    ("default_statistics_target", "1"),
    ("check_function_bodies", "off"),
    ("lc_messages", "'C'"),
    ("session_replication_role", "'replica'"),
    ("exit_on_error", "on"),
)
OF_THE_SERVER = (
    "statement_timeout = 5ms\nidle_in_transaction_session_timeout = 200ms\nlock_timeout = 5ms\nidle_session_timeout = 200ms",
    "default_transaction_isolation = serializable\ndefault_transaction_read_only = on\ndefault_transaction_deferrable = on",
    "password_encryption = md5\nlog_statement = all\nlog_min_duration_statement = 0",
    "tcp_keepalives_idle = 1\ntcp_user_timeout = 5s\nclient_connection_check_interval = 100ms",
)


def settings(bench: Bench) -> None:
    """Each by itself, for a role that may only read, over the same rows."""
    programs = full()
    if programs is None:
        bench.skip("settings", "apt-get install postgresql")
        return
    with running(programs, bench.place() / "data", settings="autovacuum = off\n") as server:
        server.execute("create database game")
        owner = server.url("game")
        fill(owner)
        for number, (name, value) in enumerate(OF_THE_ROLE):
            role = f"reader_{number}"
            try:
                server.execute(
                    f"create role {role} login", f"grant pg_read_all_data, pg_read_all_stats to {role}",
                    f"alter role {role} set {name} = {value}",
                )  # fmt: skip
            except psycopg.Error as error:
                bench.skip(f"{name} = {value}", str(error).partition("\n")[0])
                continue
            bench.play(
                f"{name} = {value}",
                "a role that reads",
                partial(bench.once, owner, server.url("game", role), bench.lake()),
            )
        for lines in OF_THE_SERVER:
            names = [line.partition(" = ")[0] for line in lines.splitlines()]
            usual = {
                name: server.execute(f"select boot_val from pg_settings where name = '{name}'")[0][0] for name in names
            }
            _told(server, lines)
            bench.play(lines.replace("\n", ", "), "the whole server", partial(bench.once, owner, owner, bench.lake()))
            _told(server, "\n".join(f"{name} = '{value}'" for name, value in usual.items()))
    _encodings(bench)


def _told(server: Server, lines: str) -> None:
    server.configure(lines + "\n")
    server.execute("select pg_reload_conf()")
    time.sleep(0.3)  # the reload is a signal


def _encodings(bench: Bench) -> None:
    programs = full()
    assert programs is not None
    for encoding in ("LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII"):
        with running(programs, bench.place() / "data", encoding=encoding) as server:
            server.execute("create database game")
            bench.play(f"database in {encoding}", "what it can hold", partial(_encoded, bench, server))
            if encoding == "SQL_ASCII":
                bench.play(f"database in {encoding}", "a text that is no UTF-8", partial(_bytes, bench, server))


def _encoded(bench: Bench, server: Server) -> tuple[Compared, str]:
    """What the encoding can hold, and of the rest nothing."""
    owner = server.url("game")
    with psycopg.connect(owner, client_encoding="utf8") as connection:
        refused = rows.write_what_fits(connection, [*rows.early().usual, *rows.early().odd])
    compared, said = bench.once(owner, owner, bench.lake())
    return compared, "; ".join(filter(None, [said, f"{refused} rows and programs this encoding cannot hold"]))


def _bytes(bench: Bench, server: Server) -> tuple[Compared, str]:
    """A text that is no UTF-8 is refused by what it is and where; once it is mended there, all is read."""
    owner, lake = server.url("game"), bench.lake()
    bench.done(owner, lake)
    server.execute(
        f"update {LOG} set notes = E'caf\\351' "
        f"where id = (select id from {LOG} where created_at >= '2026-07-09' order by id limit 1)",
        database="game",
    )
    _, said = bench.refused(owner, lake, "encoding", at_once=True)
    server.execute(f"update {LOG} set notes = 'cafe' where notes ~ 'caf'", database="game")
    bench.done(owner, lake)
    compared = bench.equal(owner, lake)
    if not compared.rows:
        raise BrokenError("there was nothing to compare")
    return compared, said
