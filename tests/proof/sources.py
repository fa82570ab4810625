"""Scenarios: rows that commit late, days that are said to be complete, rows that are deleted, changed or moved."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from analytics.lake.lake import Lake

from . import child, truth
from .origin import DAYS, FIRST
from .steps import Stop
from .truth import BrokenPromiseError
from .world import World


def late_commits(world: World) -> None:
    """Writers hold transactions open and commit in another order than their rows were created; runs go on meanwhile."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    for _ in range(6 if world.full else 1):
        with contextlib.ExitStack() as stack:
            writers = [stack.enter_context(origin.transaction()) for _ in range(4)]
            for writer in writers:
                origin.add(3, into=writer)
            origin.add(5)  # newer rows, committed first
            world.settle(origin, lake)
            world.random.shuffle(writers)
            for number, writer in enumerate(writers):
                if number == 1:
                    # A commit between the fingerprints and the rows: the snapshot must keep them together.
                    stop = Stop("ask for fingerprints", 1, True, "pause")
                    with child.running(world.job(origin, lake, stop, options={"force": True})) as run:
                        run.paused()
                        writer.commit()
                        run.go_on()
                        world.ended(run.end())
                else:
                    writer.commit()
                world.settle(origin, lake, checks=number == 3)


def completeness(world: World) -> None:
    """What a run calls complete is complete: no row from before that moment appears later, whoever held it back."""
    origin, lake = world.origin(0), world.lake()
    for _ in range(5 if world.full else 1):
        now = datetime.now(UTC)
        window: dict[str, Any] = {
            "since": f"{now - timedelta(days=1):%Y-%m-%d}",
            "until": f"{now + timedelta(days=1):%Y-%m-%d}",
        }
        with origin.transaction() as slow:
            slow.execute("select 1")
            slow.execute(
                """insert into strategyexecutionlog (id, created_at, "realmId", "strategyId", "strategyVersion", "strategyType",
                          status, "durationMs", "nodesExecuted", sampled)
                   select gen_random_uuid(), clock_timestamp(), 'acme', 's', 1, 'DSL_FULL', 'ok', 1, 0, true"""
            )
            time.sleep(0.05)
            ended = world.run(origin, lake, options={"lag": timedelta(0)}, **window)
            if ended.how != "done":
                raise BrokenPromiseError(f"a run beside a slow writer {ended.how}: {ended.message[:300]}")
            records = [Lake(lake).recorded(day) for day in Lake(lake).recorded_days()]
            told = max(record.complete_until for record in records if record and record.complete_until)
            slow.commit()
        before = origin.execute("select count(*) from strategyexecutionlog where created_at < %s", [told])
        seen = sum(info.row_count for record in records if record for info in record.partitions.values())
        if before[0][0] > seen:
            raise BrokenPromiseError(
                f"complete until {told} was said with {seen} rows; {before[0][0]} are from before",
                lost=before[0][0] - seen,
            )
        world.run(origin, lake, **window)
        found = {row[0] for row in truth._lake_rows(lake)}
        if found != set(truth.rows_of(origin)):
            raise BrokenPromiseError("rows of a slow writer are missing after the next run")
        world.tally.rows += len(found)


def rows_deleted(world: World) -> None:
    """Rows the source has lost are kept, and said; only --allow-shrink follows it, and a row that comes back is there once."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    for _ in range(5 if world.full else 1):
        before = truth.rows_of(origin)
        deleted = origin.delete(4)
        ended = world.normal(origin, lake)
        gone = {key: before[key] for key in deleted}
        world.compare(origin, lake, also=gone)
        kept = sum(item["rows"] for item in ended.result["rows_kept_though_gone"])
        if kept != len(deleted):
            raise BrokenPromiseError(f"{len(deleted)} rows were deleted at the source, the run says {kept}")
        origin.add(3)
        world.normal(origin, lake)
        world.compare(origin, lake, also=gone)
        # One of them is written once more, at another place: it is in the lake once, where the source has it now.
        back = deleted[0]
        origin.add(1, realm="back", key=back)
        gone.pop(back)
        world.run(origin, lake, Stop("rename to executions", 1, world.random.random() < 0.5))
        world.normal(origin, lake)
        world.compare(origin, lake, also=gone)
        # Killed while it follows: what was dropped stays dropped, what was not is dropped by the next.
        world.run(origin, lake, Stop("rename to executions", 1), options={"allow_shrink": True})
        world.settle(origin, lake, options={"allow_shrink": True})
    for realm in ("acme", None):
        origin.execute('delete from strategyexecutionlog where "realmId" is not distinct from %s', [realm])
        world.settle(origin, lake, options={"allow_shrink": True})


def rows_changed(world: World) -> None:
    """Rows that are updated, or get another realm or day, are seen; a run killed in the middle of it changes nothing of that."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    for number in range(8 if world.full else 2):
        origin.update(5)
        if number % 2:
            origin.move(3)
        if number % 4 == 3:
            origin.note()
            world.run(origin, lake, Stop("rename to executions", 2), options={})
            truth.examine(origin, lake)
        world.settle(origin, lake)
    origin.execute(
        'update strategyexecutionlog set created_at = %s, "strategyVersion" = 9 where "realmId" = \'acme\'',
        [datetime(FIRST.year, FIRST.month, FIRST.day + DAYS - 1, 12, tzinfo=UTC)],
    )
    world.settle(origin, lake)
