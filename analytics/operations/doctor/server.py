"""Can the source be read unattended? What the doctor finds at the server, each finding with its repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from analytics.errors import SourceError
from analytics.lake import source_identity
from analytics.lake.lake import Lake
from analytics.model import RealmFilter
from analytics.operations.doctor import Check, advice, ok, problem
from analytics.operations.doctor.volume import check_volume
from analytics.source.source import UNKNOWN_BYTES, Source
from analytics.source.table_check import (
    DEFINITION_TABLE,
    LEAST_CORRELATION,
    LOG_TABLE,
    plan_nodes,
    quoted_role,
    scans_whole_table,
)
from analytics.sql import Row
from analytics.window import Window

OLDEST_SERVER = 130_000
LARGE_TABLE = 512 << 20
"""Bytes, without what is stored out of line: smaller ones are read whole in a few seconds."""

LONG = timedelta(hours=1)

SKEW = timedelta(minutes=1)
"""Clocks that differ by more are told: "yesterday" is of this machine's clock, what is complete of the server's."""


def check_server(source: Source, lake: Lake) -> Iterator[Check]:
    """Findings of an open source.

    Args:
        source: Entered: connection, table, columns and rights were found to be right.
        lake: To compare its origin.
    """
    [session] = source.ask("session")
    yield from _connection(source, session)
    yield from _rights(source, session)
    yield from _clock(source)
    yield from _table(source, session)
    yield from _horizon(source, session)
    yield from _standby(session, source.watermark.is_standby)
    yield from _index(source)
    yield from check_volume(source, small=LARGE_TABLE)
    yield from _origin(source, lake)


def _connection(source: Source, session: Row) -> Iterator[Check]:
    version = session["server_version"]
    if session["version_number"] < OLDEST_SERVER:
        yield problem("server", f"PostgreSQL {version} is older than 13", "upgrade the server")
    else:
        yield ok("server", f"connected to PostgreSQL {version} as role {session['role']}")
    try:
        with source.sibling():
            yield ok("second connection", "a second connection sees the same snapshot: --jobs 2 works")
    except SourceError as error:
        yield advice("second connection", f"--jobs 2 will not work: {error.message}", error.hint or "give --jobs 1")
    taken = source.ask_if_told("connections")
    free = session["max_connections"] - taken[0]["connections"] if taken else None
    if free is not None and free < 5:
        yield advice("connections", f"the server has {free} free connections", "raise max_connections, or use a pooler")


def _rights(source: Source, session: Row) -> Iterator[Check]:
    [rights] = source.ask("rights")
    more = list(rights["more_rights"])
    if rights["can_write"]:
        more.insert(0, "change what it should only read")
    repair = (
        "connect as a role that can only read what is needed: `strategy-analytics doctor --role-sql` prints its SQL"
    )
    if rights["is_superuser"]:
        yield advice("rights", f"role {session['role']} is a superuser: it can do everything", repair)
    elif more:
        yield advice("rights", f"role {session['role']} can {', '.join(more)}; reading is all it needs", repair)
    else:
        yield ok("rights", f"role {session['role']} can read, and change nothing; this session is read-only besides")


def _clock(source: Source) -> Iterator[Check]:
    def server_time() -> datetime:
        [row] = source.ask("clock")
        found: datetime = row["server_time"]
        return found.replace(tzinfo=UTC)

    ahead, uncertainty = clock_offset(server_time)
    said = (
        f"the server's clock is {_short(abs(ahead))} {'ahead of' if ahead > timedelta(0) else 'behind'} this machine's, "
        f"give or take {_short(uncertainty)}"
    )
    if abs(ahead) - uncertainty > SKEW:
        yield advice(
            "clock",
            f"{said}: around midnight UTC the two mean different days by yesterday",
            "have both follow a time server: timedatectl, at both",
        )
    else:
        yield ok("clock", said)


def _short(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1000:,.1f} ms"


def clock_offset(
    server_time: Callable[[], datetime], now: Callable[[], datetime] = lambda: datetime.now(UTC), tries: int = 5
) -> tuple[timedelta, timedelta]:
    """How far the server's clock is ahead of this machine's, as NTP reckons it.

    The server looked at its clock at some moment between question and answer: the middle is taken, and half the time between
    them is the most that this can be wrong by. The quickest of several tries counts.

    Args:
        server_time: Asks the server, UTC.
        now: This machine's clock.
        tries: How often.

    Returns:
        The offset, and the most it can be wrong by.
    """
    found = []
    for _ in range(tries):
        asked = now()
        there = server_time()
        answered = now()
        half = (answered - asked) / 2
        found.append((half, there - (asked + half)))
    half, offset = min(found)
    return offset, abs(half)


def _table(source: Source, session: Row) -> Iterator[Check]:
    yield ok("log table", f"{LOG_TABLE} has every column, in types that lose nothing, and may be read")
    if source.unread_columns:
        yield advice(
            "columns",
            f"columns of {LOG_TABLE} that are not carried into the lake: {', '.join(source.unread_columns)}",
            "see whether a newer version of this package carries them",
        )
    if blind := source.changes.blind_spot(session["role"]):
        yield advice("updates", *blind)
    else:
        yield ok("updates", "xmin can be read: every update of a row is noticed")
    found = {name: source.ask("columns", {"table": name})[:1] for name in (LOG_TABLE, DEFINITION_TABLE)}
    schemas = {name: rows[0]["schema_name"] for name, rows in found.items() if rows}
    if len(set(schemas.values())) > 1:
        yield advice(
            "schemas",
            f"the search path finds {' and '.join(f'{name} in schema {schema}' for name, schema in schemas.items())}: are these "
            "the programs of this log?",
            f"alter role {quoted_role(session['role'])} set search_path = the schema of the deployment that is meant",
        )
    definitions = source.definitions()
    if isinstance(definitions, str):
        yield advice("definitions", definitions, "extraction works without them; grant select if the table is there")
    elif unread := source.unread_of_programs.why:
        yield advice(
            "definitions",
            f"{len(definitions):,} versions of programs can be read, but not all of them: {unread}",
            "the rest of the programs is read all the same; grant select where a right is missing",
        )
    else:
        yield ok("definitions", f"{len(definitions):,} versions of programs can be read")


def _horizon(source: Source, session: Row) -> Iterator[Check]:
    watermark = source.watermark
    said = f"rows are complete until {watermark.until:%Y-%m-%d %H:%M:%S} UTC: {watermark.reason}"
    if watermark.age_seconds is not None and watermark.age_seconds >= LONG.total_seconds():
        yield advice("horizon", said, _ending(watermark.pid, watermark.gid))
    else:
        yield ok("horizon", said)
    for span in watermark.ignored_transactions:
        yield advice(
            "patience",
            f"{span.transaction} has been open for {span.age_seconds / 3600:.1f} h and is not waited for: rows created since "
            f"{span.since:%Y-%m-%d %H:%M} UTC may still arrive with it",
            _ending(span.transaction.pid, span.transaction.gid),
        )
    if watermark.sees_all:
        yield ok("other sessions", "the transactions of every other session can be seen")
    elif watermark.not_told:
        yield advice(
            "other sessions",
            f"this server does not tell {', '.join(watermark.not_told)}: only the lag protects against late commits",
            "a server of your own tells; else extract the last days again, as extract without --since does",
        )
    elif not watermark.is_standby:
        yield advice(
            "other sessions",
            "other sessions' transactions are hidden from this role, so only the lag protects against late commits",
            f"grant pg_read_all_stats to {quoted_role(session['role'])};",
        )


def _ending(pid: int | None, gid: str | None) -> str:
    if gid is not None:
        name = "'" + gid.replace("'", "''") + "'"
        return f"commit prepared {name}; or rollback prepared {name}; whichever its owner says"
    return f"ask its owner; select pg_terminate_backend({pid}); ends it"


def _standby(session: Row, is_standby: bool) -> Iterator[Check]:
    if not is_standby:
        yield ok("primary", "this is the primary; a standby would do as well, and spares it the load")
        return
    if session["hot_standby_feedback"] or session["standby_delay"] == "-1":
        yield ok("standby", "this is a standby, and it lets long snapshots live")
    else:
        yield advice(
            "standby",
            f"this is a standby that cancels snapshots after {session['standby_delay']} (max_standby_streaming_delay)",
            "alter system set hot_standby_feedback = on; select pg_reload_conf(); at the standby",
        )


def _index(source: Source) -> Iterator[Check]:
    window = Window.parse(None, None)
    parameters = {"since": window.since, "until": window.until, "undated": True, **RealmFilter().parameters()}
    layout = source.layout()
    source.choose_scan(parameters)
    whole = any(scans_whole_table(node) for node in plan_nodes(source.plan_of("scan", parameters)))
    size = f"{layout['table_bytes'] / (1 << 20):,.0f} MB"
    if not whole:
        yield ok("index", f"the last three days are found through an index ({LOG_TABLE} has {size})")
    elif layout["table_bytes"] == UNKNOWN_BYTES:
        yield advice(
            "index",
            f"this server does not tell how large {LOG_TABLE} is, and no index helps to find a window",
            f"if it is large: create index concurrently on {LOG_TABLE} using brin (created_at) with (autosummarize = on);",
        )
    elif layout["table_bytes"] < LARGE_TABLE:
        yield ok("index", f"no index helps to find a window, and at {size} none is needed")
    elif layout["correlation"] >= LEAST_CORRELATION:
        yield advice(
            "index",
            f"every run scans all of {LOG_TABLE} ({size}): no index helps to find a window",
            f"create index concurrently on {LOG_TABLE} using brin (created_at) with (autosummarize = on); (tiny: the rows lie "
            "in the order of time)",
        )
    else:
        yield advice(
            "index",
            f"every run scans all of {LOG_TABLE} ({size}): no index helps to find a window, and the rows do not lie in the "
            "order of time",
            f"create index concurrently on {LOG_TABLE} (created_at);",
        )


def _origin(source: Source, lake: Lake) -> Iterator[Check]:
    if source_identity.last_known(lake) is None:
        yield ok("origin", "the lake has no ledger yet: any source will do")
        return
    try:
        identity = source.identity()
        source_identity.check(lake, identity, accept=False)
        timeline = None if source.watermark.is_standby else source.timeline()
        source_identity.check_timeline(lake, identity, timeline, accept=False)
        yield ok("origin", "this is the server and database the lake was made from")
    except SourceError as error:
        yield problem("origin", error.message.removesuffix("; nothing was written"), error.hint)
