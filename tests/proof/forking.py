"""The process that all runs of the proof, and all jobs that are killed, are forked from: there is one for each process of tests."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import threading
from multiprocessing import forkserver
from pathlib import Path

from . import warm
from .origin import Origin

#: A fork of a process that has imported everything takes 20 ms where a new interpreter takes a second.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [*(f"{__package__}.{name}" for name in ("scenarios", "warm")), "tests.kills.erase", "tests.kills.expire"]
)
_is_warm = threading.Event()


def begin(server: str) -> None:
    """Start it, and have it warm before anything is forked from it: whoever comes first would else leave all others a cold one.

    Args:
        server: URL of a server's database ``postgres``, for the source that it warms itself with; it is dropped afterwards.
    """
    if _is_warm.is_set():
        return
    small = Origin(server, random.Random(1), 40)
    small.disconnect()
    top = Path(__file__).parents[len(__name__.split(".")) - 1]
    variables = {warm.VARIABLE: small.url, "PYTHONPATH": os.pathsep.join([str(top), *sys.path])}
    before = {key: os.environ.get(key) for key in variables}
    os.environ.update(variables)
    try:
        forkserver.ensure_running()
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
    first = CONTEXT.Process(target=os.getpid)  # forked when all is imported
    first.start()
    first.join()
    small.drop()
    _is_warm.set()
