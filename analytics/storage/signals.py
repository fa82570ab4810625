"""Being asked to end: what is held is let go first, as at Ctrl-C, but not for ever."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Protocol
from weakref import WeakSet

from analytics.storage import scratch

_ASKED = (signal.SIGTERM, signal.SIGHUP)
_BLOCKED_SECONDS = 5.0
"""The main thread has not come back by then: it is in the midst of a long query, and Python hands it no signal."""
_AGAIN_SECONDS = 0.05
LET_GO_SECONDS = 20.0
"""For letting go. A container is killed thirty seconds after it was asked to end."""


class Query(Protocol):
    """A connection that may be at work."""

    def interrupt(self) -> None:
        """End what runs."""


_QUERIES: WeakSet[Query] = WeakSet()


class Stopped(KeyboardInterrupt):
    """The process was asked to end.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise `Stopped` in the main thread, once, instead of ending the process where it stands.

    One that is ignored (nohup) stays so, and whoever embeds this package and handles them keeps their way.
    """
    own = [number for number in _ASKED if signal.getsignal(number) is signal.SIG_DFL]
    hook = sys.unraisablehook
    if threading.current_thread() is not threading.main_thread() or not own:
        yield
        return
    asked: list[int] = []
    began, over = threading.Event(), threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        asked.append(number)
        began.set()
        for again in own:  # a terminal that closes sends both
            signal.signal(again, signal.SIG_IGN)
        raise Stopped(number)

    def unraised(told: sys.UnraisableHookArgs) -> None:
        lost = told.exc_value
        if not isinstance(lost, KeyboardInterrupt):
            hook(told)
            return
        # It fell into a destructor, or what a weak reference calls: what is raised there goes nowhere. Once more, behind it.
        for again in own:
            signal.signal(again, stop)
        number = lost.number if isinstance(lost, Stopped) else signal.SIGINT
        later = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
        later.daemon = True
        later.start()

    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    # The number is written when the signal comes, also while the main thread is in no Python code.
    before = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
    for number in own:
        signal.signal(number, stop)
    sys.unraisablehook = unraised
    watcher = threading.Thread(target=_watch, args=(ours, asked, began, over), name="signals", daemon=True)
    watcher.start()
    try:
        yield
    except BaseException as error:
        # DuckDB tells of its own what the signal has interrupted.
        if asked and not isinstance(error, KeyboardInterrupt):
            raise Stopped(asked[0]) if asked[0] in own else KeyboardInterrupt from error
        raise
    finally:
        over.set()
        sys.unraisablehook = hook
        signal.set_wakeup_fd(before)
        for number in own:
            signal.signal(number, signal.SIG_DFL)
        pythons.close()
        watcher.join(1)  # it may not be within DuckDB when the interpreter ends


def end(stopped: Stopped) -> int:
    """End as the signal would have ended it, so that whoever waits sees why; the code where that is not possible."""
    scratch.let_go()
    signal.signal(stopped.number, signal.SIG_DFL)
    os.kill(os.getpid(), stopped.number)  # does nothing to the first process of a container
    return 128 + stopped.number


def interrupt(query: Query) -> None:
    """Have this connection's query end when the process is asked to: Python hands no signal to what runs in C."""
    _QUERIES.add(query)


def _watch(ours: socket.socket, asked: list[int], began: threading.Event, over: threading.Event) -> None:
    with ours:
        while came := ours.recv(1):
            if came[0] not in (*_ASKED, signal.SIGINT):
                continue
            asked.append(came[0])
            for query in list(_QUERIES):
                query.interrupt()
            if came[0] == signal.SIGINT:
                continue
            if not began.wait(_BLOCKED_SECONDS) or not over.wait(LET_GO_SECONDS):
                scratch.let_go()
                os._exit(128 + came[0])
            return
