"""Being asked to end: what is held is let go first, as at Ctrl-C, but not for ever."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
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
        number: The signal's, as in ``signal.SIGTERM``.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Handlers:
    """What is done at a signal, while `unwinding`.

    Attributes:
        handled: Signals that raise.
        received: Those that came, in their order.
        began: The main thread was told.
        over: It has let go.
    """

    def __init__(self, handled: Sequence[int]) -> None:
        self.handled = handled
        self.received: list[int] = []
        self.began, self.over = threading.Event(), threading.Event()
        self._hook = sys.unraisablehook

    def stop(self, number: int, _: FrameType | None) -> None:
        """Raise, once."""
        self.received.append(number)
        self.began.set()
        for handled in self.handled:  # a terminal that closes sends both
            signal.signal(handled, signal.SIG_IGN)
        raise Stopped(number)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C, as Python handles it; known also where DuckDB, which asks for signals itself, raises an error of its own."""
        self.received.append(number)
        signal.default_int_handler(number, frame)

    def raise_again(self, unraisable: sys.UnraisableHookArgs) -> None:
        """It fell into a destructor, or what a weak reference calls: what is raised there goes nowhere. Once more, behind it."""
        error = unraisable.exc_value
        if not isinstance(error, KeyboardInterrupt):
            self._hook(unraisable)
            return
        for handled in self.handled:
            signal.signal(handled, self.stop)
        number = error.number if isinstance(error, Stopped) else signal.SIGINT
        later = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
        later.daemon = True
        later.start()

    def watch(self, reader: socket.socket) -> None:
        """End the queries when a signal comes, and the process when the main thread does not; Python's numbers come this way."""
        with reader:
            while byte := reader.recv(1):
                number = byte[0]
                if number not in (*_ASKED, signal.SIGINT):
                    continue
                self.received.append(number)
                for query in list(_QUERIES):
                    query.interrupt()
                if number == signal.SIGINT:
                    continue
                if not self.began.wait(_BLOCKED_SECONDS) or not self.over.wait(LET_GO_SECONDS):
                    scratch.let_go()
                    os._exit(128 + number)
                return


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise `Stopped` in the main thread, once, instead of ending the process where it stands.

    One that is ignored (nohup) stays so, and whoever embeds this package and handles them keeps their way.
    """
    handled = [number for number in _ASKED if signal.getsignal(number) is signal.SIG_DFL]
    hook = sys.unraisablehook
    if threading.current_thread() is not threading.main_thread() or not handled:
        yield
        return
    handlers = _Handlers(handled)
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    # The number is written when the signal comes, also while the main thread is in no Python code.
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in handled:
        signal.signal(number, handlers.stop)
    is_terminal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_terminal:
        signal.signal(signal.SIGINT, handlers.interrupt)
    sys.unraisablehook = handlers.raise_again
    watcher = threading.Thread(target=handlers.watch, args=(reader,), name="signals", daemon=True)
    watcher.start()
    try:
        yield
    except BaseException as error:
        received = handlers.received
        # DuckDB tells of its own what the signal has interrupted.
        if received and not isinstance(error, KeyboardInterrupt):
            raise Stopped(received[0]) if received[0] in handled else KeyboardInterrupt from error
        raise
    finally:
        handlers.over.set()
        sys.unraisablehook = hook
        signal.set_wakeup_fd(before)
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        if is_terminal:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        writer.close()
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
