"""Being asked to end: what is held is let go first, as at Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_ASKED = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):  # no error: somebody wanted it
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
    changed = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ASKED:
            if signal.getsignal(number) is signal.SIG_DFL:
                changed[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, before in changed.items():
            signal.signal(number, before)


def end(stopped: Stopped) -> int:
    """End as the signal would have ended it, so that whoever waits sees why; the code where that is not possible."""
    signal.signal(stopped.number, signal.SIG_DFL)
    os.kill(os.getpid(), stopped.number)  # does nothing to the first process of a container
    return 128 + stopped.number


def _stop(number: int, _: FrameType | None) -> None:
    for again in _ASKED:  # a terminal that closes sends both
        signal.signal(again, signal.SIG_IGN)
    raise Stopped(number)
