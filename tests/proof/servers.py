"""Scenarios: the server dies, cuts the connection or cancels the statement in the middle of COPY."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from . import child, truth
from .origin import Origin
from .steps import Stop
from .truth import BrokenPromiseError
from .world import World

#: Rows enough that they do not all wait in a socket while the run stands still.
MANY, PADDING = 1_500, 8_000
BLOCK_BYTES = 50_000


def _in_copy(world: World, harm: Callable[[Origin], None], *, rounds: int) -> None:
    """Harm comes while a run reads; without retries it fails with a sentence, with them it goes on by itself."""
    origin, lake = world.origin(), world.lake()
    for number in range(rounds):
        for retries in (0, 5):
            origin.add(MANY if world.full else 400, padding=PADDING)
            origin.note()
            # Some rows have arrived then, and more are to come.
            stop = Stop("read COPY data", 2 + number, action="pause")
            options = {"force": True, "retries": retries}
            with child.running(world.job(origin, lake, stop, options=options, block_bytes=BLOCK_BYTES)) as run:
                if not run.paused():
                    raise BrokenPromiseError(f"the run ended before it read: {run.end().message[:300]}")
                harm(origin)
                run.go_on()
                ended = run.end()
            world.ended(ended)
            if retries == 0:
                world.refused(ended, 3, "PostgreSQL")
            elif ended.how != "done":
                raise BrokenPromiseError(f"a run that may try again {ended.how}: {ended.message[:300]}")
            truth.examine(origin, lake)
            if retries:
                world.compare(origin, lake)
        world.settle(origin, lake)


def server_killed(world: World) -> None:
    """SIGKILL to the server's process of the run: the server restarts everything, in the middle of COPY."""

    def harm(origin: Origin) -> None:
        [victim, *_] = world.backends(origin)
        origin.disconnect()
        with world.until_cut_off():
            os.kill(victim, signal.SIGKILL)
        world.wait_for_server()

    _in_copy(world, harm, rounds=2 if world.full else 1)
    if world.full:

        def restart(origin: Origin) -> None:
            origin.disconnect()
            world.server.stop()
            world.server.start()

        _in_copy(world, restart, rounds=1)
        world.tally.notes = ["SIGKILL to the backend, and a stop and start of the whole server"]


def connection_cut(world: World) -> None:
    """The connection is cut in the middle of COPY."""

    def harm(origin: Origin) -> None:
        for pid in world.backends(origin):
            origin.execute("select pg_terminate_backend(%s)", [pid])

    _in_copy(world, harm, rounds=3 if world.full else 1)


def cancelled(world: World) -> None:
    """The server cancels the statement: an administrator, statement_timeout, a conflict with recovery on a standby."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    ways = {
        "a conflict with recovery": Stop("read COPY data", 2, action="fail"),
        "statement_timeout": Stop("start COPY", 1, action="set local statement_timeout = '1ms'"),
        "statement_timeout on the fingerprints": Stop(
            "ask for fingerprints", 1, action="set local statement_timeout = '1ms'"
        ),
    }
    for name, stop in list(ways.items())[: None if world.full else 1]:
        # Enough rows that no server is done within a millisecond.
        origin.add(MANY if world.full else 400, padding=PADDING)
        origin.note()
        ended = world.run(origin, lake, stop, options={"force": True, "retries": 0}, block_bytes=BLOCK_BYTES)
        if ended.how == "done":
            world.tally.notes.append(f"{name}: the server was faster")
        else:
            world.refused(ended, 3, "PostgreSQL: canceling statement due to")
        truth.examine(origin, lake)
        world.settle(origin, lake)

    def harm(origin: Origin) -> None:
        for pid in world.backends(origin):
            origin.execute("select pg_cancel_backend(%s)", [pid])

    if world.full:
        origin.add(MANY, padding=PADDING)
        origin.note()
        stop = Stop("read COPY data", 1, action="pause")
        with child.running(world.job(origin, lake, stop, options={"force": True, "retries": 0})) as run:
            run.paused()
            harm(origin)
            run.go_on()
            ended = run.end()
        world.ended(ended)
        if ended.how != "done":  # what was under way in the socket may have been all of it
            world.refused(ended, 3, "PostgreSQL")
        truth.examine(origin, lake)
        world.settle(origin, lake)
    world.tally.notes.append(", ".join(ways) if world.full else next(iter(ways)))
