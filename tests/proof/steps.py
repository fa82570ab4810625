"""What a run does to its disk and its server, step by step, with a name for each step; and a way to stop it at any of them.

The lowest stable functions are wrapped (``os.replace``, ``os.fsync``, ``fcntl.flock``, psycopg's and pyarrow's), not the
package's own, so that the steps are the same whatever the package looks like inside.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import signal
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRESS_BYTES = 4096


@dataclass(frozen=True)
class Stop:
    """Where a run is stopped, and how.

    Attributes:
        step: Name of the step.
        number: Which occurrence, from 1; the last one there is where it is 0 (then ``at`` cannot be used).
        after: After it rather than before.
        action: ``kill``, ``pause`` (until told to go on), ``fail`` (as the server does on a standby), or SQL to run first.
    """

    step: str
    number: int = 1
    after: bool = False
    action: str = "kill"

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.step} #{self.number}"


class Steps:
    """The steps of this process.

    Args:
        root: Of the lake.
        stop: Where to stop.
        progress: A file that says at any moment what was done last; read by whoever kills this process.
        log: A file that gets a line per step.
        pause: Called at a stop whose action is ``pause``.
    """

    def __init__(
        self, root: Path, stop: Stop | None, progress: Path | None, log: Path | None, pause: Callable[[str], None]
    ) -> None:
        self.root, self.stop, self._pause = root, stop, pause
        self._counts: dict[str, int] = {}
        self._mutex = threading.RLock()
        self._progress: mmap.mmap | None = None
        if progress:
            descriptor = os.open(progress, os.O_RDWR)
            self._progress = mmap.mmap(descriptor, PROGRESS_BYTES)
            os.close(descriptor)
        self._log = log.open("a", encoding="utf-8", buffering=1) if log else None
        self._stopped = False

    def around(self, name: str, work: Callable[[], Any], connection: Any = None, **facts: object) -> Any:
        """Do one step."""
        with self._mutex:
            number = self._counts[name] = self._counts.get(name, 0) + 1
        self._reach(name, number, False, connection, facts)
        result = work()
        self._reach(name, number, True, connection, facts)
        return result

    def _reach(self, name: str, number: int, after: bool, connection: Any, facts: dict[str, object]) -> None:
        if self._progress:
            text = f"{'after' if after else 'before'} {name}".encode()[: PROGRESS_BYTES - 1]
            self._progress[: len(text) + 1] = text + b"\0"
        if self._log:
            with self._mutex:
                told = "\t".join(f"{key}={value}" for key, value in facts.items())
                self._log.write(f"{name}\t{number}\t{'after' if after else 'before'}\t{told}\n")
        stop = self.stop
        if stop is None or self._stopped or (stop.step, stop.number, stop.after) != (name, number, after):
            return
        self._stopped = True
        if stop.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif stop.action == "pause":
            self._pause(str(stop))
        elif stop.action == "fail":
            from psycopg import errors

            raise errors.SerializationFailure("canceling statement due to conflict with recovery")
        else:
            connection.execute(stop.action)

    # ---- names -----------------------------------------------------------------------------------------------------

    def of(self, path: object) -> str | None:
        """The part of the lake that a path belongs to; ``None`` outside of it."""
        try:
            parts = Path(os.fspath(path)).relative_to(self.root).parts  # type: ignore[arg-type]
        except (ValueError, TypeError):
            return None
        if not parts:
            return "lake"
        # A file that is being written has its process's number in its name; a step has the same name in every process.
        part = re.sub(r"\.\d+\.tmp$", ".tmp", parts[0])
        return {".tmp": "workspace", ".set-aside": "set-aside folder"}.get(part, part)


def install(steps: Steps) -> None:
    """Wrap what touches the disk and the server."""
    _install_disk(steps)
    _install_server(steps)
    _install_files(steps)


def _install_disk(steps: Steps) -> None:
    def by_path(name: str, verb: str, which: int = 0) -> None:
        real = getattr(os, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            part = steps.of(args[which])
            if part is None:
                return real(*args, **options)
            facts = {f"path{number}": arg for number, arg in enumerate(args[: which + 1])}
            return steps.around(f"{verb} {part}", lambda: real(*args, **options), **facts)

        setattr(os, name, wrapped)

    by_path("replace", "rename to", 1)
    by_path("rename", "rename to", 1)
    by_path("mkdir", "make folder in")
    by_path("unlink", "remove file of")
    by_path("remove", "remove file of")
    by_path("rmdir", "remove folder of")
    real_sync = os.fsync

    def sync(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        if (part := steps.of(path)) is None:
            real_sync(descriptor)
        else:
            steps.around(f"sync {kind} of {part}", lambda: real_sync(descriptor), path0=path)

    os.fsync = sync
    real_lock = fcntl.flock

    def lock(handle: Any, how: int) -> None:
        descriptor = handle if isinstance(handle, int) else handle.fileno()
        if steps.of(Path(f"/proc/self/fd/{descriptor}").readlink()) is None:  # a folder for temporary files, or many
            real_lock(handle, how)
        else:
            steps.around("take the lock", lambda: real_lock(handle, how))

    fcntl.flock = lock


def _install_server(steps: Steps) -> None:
    import psycopg

    real_connect = psycopg.connect
    psycopg.connect = lambda *args, **options: steps.around("connect", lambda: real_connect(*args, **options))
    real_execute, real_copy, real_read = psycopg.Cursor.execute, psycopg.Cursor.copy, psycopg.Copy.read

    def execute(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        text = query if isinstance(query, str) else repr(query)
        name = (
            "ask for fingerprints" if "change_hash" in text
            else "ask for definitions" if '"astJson"' in text
            else "ask for what still exists" if "any(%(ids)" in text
            else "ask the server"
        )  # fmt: skip
        return steps.around(name, lambda: real_execute(self, query, *args, **options), self.connection)

    def copy(self: Any, *args: Any, **options: Any) -> Any:
        return steps.around("start COPY", lambda: real_copy(self, *args, **options), self.connection)

    def read(self: Any) -> Any:
        return steps.around("read COPY data", lambda: real_read(self))

    psycopg.Cursor.execute = execute  # type: ignore[method-assign]
    psycopg.Cursor.copy = copy  # type: ignore[method-assign]
    psycopg.Copy.read = read  # type: ignore[method-assign]


def _install_files(steps: Steps) -> None:
    import duckdb
    import pyarrow.parquet as pq

    real_duckdb = duckdb.connect
    duckdb.connect = lambda *args, **options: steps.around("open DuckDB", lambda: real_duckdb(*args, **options))
    real_write, real_close = pq.ParquetWriter.write_table, pq.ParquetWriter.close

    def write(self: Any, *args: Any, **options: Any) -> Any:
        return steps.around("write rows to a file", lambda: real_write(self, *args, **options))

    def close(self: Any) -> Any:
        return steps.around("finish a file", lambda: real_close(self))

    pq.ParquetWriter.write_table = write
    pq.ParquetWriter.close = close
