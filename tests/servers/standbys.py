"""From a real streaming standby: conflicts with recovery, a promotion in the middle, one that lags, one that is cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg

from analytics.lake.lake import Lake
from analytics.source import copy_stream
from tests.servers import compare, rows
from tests.servers.bench import Bench, BrokenError, filled
from tests.servers.compare import Compared
from tests.servers.installed import full
from tests.servers.server import Server, copied, follow, running
from tests.simulated import LOG

GROUND = "standby"
PADDING = f"""
insert into {LOG} (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId", status, points,
                   "caseName", "durationMs", "nodesExecuted", trace, sampled)
select gen_random_uuid(), '2026-07-09 10:00+00'::timestamptz + n * interval '1 second', now(), 's', 1, 'DSL_FULL', 'padded', 'ok',
       n, repeat('c', 2000), 1, 1, '[{{"nodeId": "n", "type": "literal", "value": 1}}]', true
  from generate_series(1, 3000) as n"""
DELAY = "max_standby_streaming_delay = 50ms\nhot_standby_feedback = {}\nwal_receiver_status_interval = 1s\n"


def standbys(bench: Bench) -> None:
    """What a standby's own rules do to a long snapshot, and what becomes of the lake."""
    programs = full()
    if programs is None:
        bench.skip(GROUND, "apt-get install postgresql")
        return
    with running(programs, bench.place() / "data", settings="wal_keep_size = 64MB\nautovacuum = off\n") as primary:
        owner, _ = filled(primary, "game")
        primary.execute(PADDING, database="game")
        for feedback in ("off", "on"):
            with copied(primary, bench.place() / "data", DELAY.format(feedback)) as standby:
                follow(primary, standby)
                for jobs in (1, 2):
                    work = partial(_conflict, bench, primary, standby, owner, jobs)
                    bench.play(
                        f"{GROUND}, hot_standby_feedback {feedback}", f"vacuum in the middle, --jobs {jobs}", work
                    )
        with copied(primary, bench.place() / "data") as standby:
            bench.play(GROUND, "every second run from it", partial(_in_turn, bench, primary, standby, owner))
            bench.play(f"{GROUND} that lags", "rows arrive late", partial(_lagging, bench, primary, standby, owner))
            bench.play(
                f"{GROUND}, its role serializable", "read", partial(_serializable, bench, primary, standby, owner)
            )
            bench.play(f"{GROUND}, its primary gone", "read", partial(_cut_off, bench, primary, standby, owner))
        with copied(primary, bench.place() / "data") as standby:
            follow(primary, standby)
            bench.play(
                f"{GROUND}, promoted in the middle", "then written to", partial(_promoted, bench, primary, standby)
            )
        with copied(primary, bench.place() / "data") as standby:
            what = "promoted, and the old primary started again"
            work = partial(_left_behind, bench, primary, standby, owner)
            bench.play(f"{GROUND} that was not told of all", what, work)


def in_the_middle(happen: Callable[[], object], number: int = 3) -> Any:
    """Have something happen when so many blocks of a COPY have been filled, once."""
    real, calls = copy_stream._next, [0]

    def watched(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            happen()
        return real(*args)

    return mock.patch.multiple(copy_stream, _next=watched, BLOCK_BYTES=20_000)


def _conflict(bench: Bench, primary: Server, standby: Server, owner: str, jobs: int) -> tuple[Compared, str]:
    """Rows that the snapshot still sees are removed at the primary, and the standby replays that while they are read."""
    lake = bench.lake()

    def vacuum() -> None:
        primary.execute(
            f"update {LOG} set points = points + 1, updated_at = now() where \"realmId\" = 'padded'",
            f"vacuum {LOG}",
            database="game",
        )
        time.sleep(1.0)

    with in_the_middle(vacuum):
        outcome = bench.run(standby.url("game"), lake, jobs=jobs)
    if outcome.error is not None:
        raise BrokenError(f"did not go on by itself: {outcome.sentence}")
    follow(primary, standby)
    bench.done(standby.url("game"), lake)
    said = [note for note in (outcome.result.notes if outcome.result else []) if "failed" in note]
    return bench.equal(owner, lake), " ".join(said) or "no conflict came"


def _in_turn(bench: Bench, primary: Server, standby: Server, owner: str) -> tuple[Compared, str]:
    lake = bench.lake()
    follow(primary, standby)
    _, said = bench.once(owner, standby.url("game"), lake)
    if not all(one.nothing_to_do for one in bench.done(owner, lake)):
        raise BrokenError("the primary's rows are taken for others than the standby's")
    primary.execute(
        f"update {LOG} set points = 7, updated_at = now() where \"realmId\" = 'padded' and points < 9", database="game"
    )
    bench.done(owner, lake)
    follow(primary, standby)
    if not all(one.nothing_to_do for one in bench.done(standby.url("game"), lake)):
        raise BrokenError("the standby's rows are taken for others than the primary's")
    return bench.equal(owner, lake), said


def _lagging(bench: Bench, primary: Server, standby: Server, owner: str) -> tuple[Compared, str]:
    """What it has not replayed is not there yet, no day is called complete past it, and nothing that the lake has is lost."""
    lake = bench.lake()
    standby.execute("select pg_wal_replay_pause()")
    try:
        late = rows.late()
        with psycopg.connect(owner, client_encoding="utf8") as connection:
            rows.write(connection, late)
        bench.done(owner, lake)  # a run from the primary goes ahead of the standby
        kept = bench.equal(owner, lake)
        behind = bench.done(standby.url("game"), lake)
        if bench.equal(owner, lake) != kept:
            raise BrokenError("a standby that is behind took rows from the lake")
        said = "; ".join(dict.fromkeys(note for one in behind for note in one.notes))
        until = behind[-1].horizon
    finally:
        standby.execute("select pg_wal_replay_resume()")
    if "behind what the standby has replayed" not in until.reason:
        raise BrokenError(f"complete until {until.until}: {until.reason}")
    follow(primary, standby)
    bench.done(standby.url("game"), lake)
    return bench.equal(owner, lake), said


def _serializable(bench: Bench, primary: Server, standby: Server, owner: str) -> tuple[Compared, str]:
    primary.execute(
        "create role strict login superuser", "alter role strict set default_transaction_isolation = serializable"
    )
    follow(primary, standby)
    return bench.once(owner, standby.url("game", "strict"), bench.lake())


def _cut_off(bench: Bench, primary: Server, standby: Server, owner: str) -> tuple[Compared, str]:
    lake = bench.lake()
    follow(primary, standby)
    expected = bench.done(standby.url("game"), lake)
    compared = bench.equal(owner, lake)
    primary.stop("fast")
    try:
        time.sleep(1.0)
        found = bench.done(standby.url("game"), lake)
    finally:
        primary.start()
    if not all(one.nothing_to_do for one in found):
        raise BrokenError(f"rows are taken for others: {found[-1].notes}")
    if "behind what the standby has replayed" not in found[-1].horizon.reason:
        raise BrokenError(f"complete until {found[-1].horizon.until}: {found[-1].horizon.reason}")
    return compared, expected[-1].horizon.reason and found[-1].horizon.reason


def _promoted(bench: Bench, primary: Server, standby: Server) -> tuple[Compared, str]:
    """The standby becomes the primary while it is read; what is written to it afterwards comes in with the next run."""
    lake = Lake(bench.lake().root)
    url = standby.url("game")
    promoting = threading.Thread(target=standby.promote, daemon=True)

    def promote() -> None:
        promoting.start()
        time.sleep(1.0)

    with in_the_middle(promote):
        outcome = bench.run(url, lake)
    promoting.join(60)
    if outcome.error is not None:
        raise BrokenError(f"did not go on by itself: {outcome.sentence}")
    bench.done(url, lake)
    before = bench.equal(url, lake)
    # A row's transaction id may come again on the new timeline: the old primary has used it for something else.
    standby.execute(
        f"update {LOG} set points = 8, updated_at = now() where \"realmId\" = 'padded' and points < 50", database="game"
    )
    found = bench.done(url, lake)
    after = bench.equal(url, lake)
    primary.stop("fast")
    primary.start()
    return Compared(before.rows + after.rows), "; ".join(dict.fromkeys(note for one in found for note in one.notes))


def _left_behind(bench: Bench, primary: Server, standby: Server, owner: str) -> tuple[Compared, str]:
    """The lake has rows, updates and programs that the promoted server never had; then there are two primaries."""
    lake, url = bench.lake(), standby.url("game")
    follow(primary, standby)
    standby.execute("alter system set primary_conninfo = ''", "select pg_reload_conf()")
    while primary.execute("select 1 from pg_stat_replication"):
        time.sleep(0.05)
    update = f'update {LOG} set points = {{}}, updated_at = now() where "realmId" = \'padded\' and "durationMs" = 1'
    primary.execute(update.format(9), PADDING, database="game")
    bench.done(owner, lake)
    newer = compare.source_rows(owner)
    primary.stop("immediate")
    standby.promote()
    older = compare.source_rows(url)
    results = bench.done(url, lake)
    lost = {key: row for key, row in newer.items() if key not in older}
    found = compare.compare({**lost, **older}, Path(str(lake.root)))
    said = [note for one in results for note in one.notes if "lost on the way" in note]
    if not found.is_equal or not lost or not any(f"{len(lost):,} rows" in note for note in said):
        raise BrokenError(f"{found}; {len(lost)} rows were lost, and it says {said}")
    primary.start()
    primary.execute(update.format(10), database="game")
    _, refused = bench.refused(owner, lake, "--accept-source", "on timeline", at_once=True)
    return found, "; ".join([*dict.fromkeys(said), f"then refused: {refused.partition(' → ')[0]}"])
