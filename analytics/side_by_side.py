"""Several generators at work at once, each in a thread of its own, heard as one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")


def side_by_side(
    tasks: Sequence[Callable[[], Generator[T]]], cancel: Callable[[], None] = lambda: None
) -> Generator[T]:
    """What the tasks yield, as it comes.

    The first error stops the others at their next item and is raised when all have ended, so nothing of theirs is still
    running when the caller hears of it. The same where the caller stops listening.

    Args:
        tasks: To do.
        cancel: Called when the others have to stop: ends what they wait for.
    """
    heard: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=4)
    stop = threading.Event()

    def work(task: Callable[[], Generator[T]]) -> None:
        last: tuple[str, BaseException | None] = ("ended", None)
        try:
            with closing(task()) as items:  # it is told when nobody listens
                for item in items:
                    heard.put(("item", item))
                    if stop.is_set():
                        break
        except BaseException as error:  # raised again where the caller listens
            last = ("failed", error)
        heard.put(last)

    threads = [threading.Thread(target=work, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    running = len(threads)
    failure: BaseException | None = None
    try:
        while running:
            kind, what = heard.get()
            running -= kind != "item"
            if kind == "item" and failure is None:
                yield what  # type: ignore[misc]  # an item of theirs
            elif kind == "failed":
                if failure is None and running:
                    stop.set()
                    cancel()
                failure = failure or what  # type: ignore[assignment]
    finally:
        stop.set()
        if running:
            cancel()
        while running:  # the caller stopped listening: let them end
            running -= heard.get()[0] != "item"
        for thread in threads:
            thread.join()
    if failure is not None:
        raise failure
