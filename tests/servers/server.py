"""A server of one's own, made in a temporary folder, on a socket or on loopback, stopped at the end whatever happens."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.servers.installed import Programs

PATIENCE = 60.0
"""Seconds that a server may take to start, stop or follow."""

SETTINGS = """
listen_addresses = ''
unix_socket_permissions = 0777
fsync = off
full_page_writes = off
shared_buffers = 64MB
max_prepared_transactions = 5
wal_level = logical
max_wal_size = 512MB
timezone = 'UTC'
"""


def user() -> str | None:
    """Whom servers run as: somebody else where we are root, which they refuse to be."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(one.pw_name == "postgres" for one in pwd.getpwall()) else "nobody"


def as_user(words: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program as that user.

    Raises:
        RuntimeError: It failed, with what it said.
    """
    who = user()
    ahead = [] if who is None else [shutil.which("runuser") or "runuser", "-u", who, "--"]
    done = subprocess.run(
        [*ahead, *map(str, words)], cwd="/", capture_output=True, text=True, check=False, timeout=PATIENCE, **options
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed: {' '.join((done.stderr or done.stdout).split())[:400]}")
    return done


def folder_of_users(path: Path) -> Path:
    """Make a folder that belongs to the user of the servers."""
    path.mkdir(parents=True, exist_ok=True)
    if who := user():
        shutil.chown(path, who)
    return path


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """One server.

    Args:
        programs: Which.
        home: Its folder, made here; its socket lies beside it.
        settings: More lines of postgresql.conf.
        access: Lines of pg_hba.conf in place of those that trust everybody.
        encoding: Of its databases.

    Attributes:
        home, port: Where it is.
    """

    def __init__(
        self, programs: Programs, home: Path, *, settings: str = "", access: str = "", encoding: str = "UTF8"
    ) -> None:
        self.programs, self.home, self.port = programs, home, free_port()
        self._settings, self._access, self._encoding = settings, access, encoding
        self.sockets = folder_of_users(home.parent / f"s{self.port}")

    def url(self, database: str = "postgres", role: str = "postgres", more: str = "") -> str:
        """Over the socket."""
        return f"postgresql://{role}@/{database}?host={self.sockets}&port={self.port}{more}"

    def tcp(self, host: str = "localhost", database: str = "postgres", role: str = "postgres", more: str = "") -> str:
        """Over loopback, where the settings let it listen."""
        return f"postgresql://{role}@{host}:{self.port}/{database}?{more}"

    def make(self) -> Server:
        """initdb and its files."""
        folder_of_users(self.home)
        words = ["-D", self.home, "-U", "postgres", "--auth=trust", "-E", self._encoding, "--locale=C"]
        as_user([self.programs.bin / "initdb", *words, "--no-sync"])
        self.configure(SETTINGS + self._settings)
        if self._access:
            (self.home / "pg_hba.conf").write_text(self._access, encoding="utf-8")
        return self

    def configure(self, lines: str) -> None:
        """Add lines to its configuration, which later ones overrule."""
        own = f"port = {self.port}\nunix_socket_directories = '{self.sockets}'\n"
        with (self.home / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write(lines + own)

    def start(self) -> Server:
        """Start it and wait until it answers."""
        log = self.home / "log"
        as_user([self.programs.bin / "pg_ctl", "-D", self.home, "-l", log, "-w", "-t", PATIENCE, "start"])
        return self

    def stop(self, how: str = "immediate") -> None:
        """Stop it, where it runs."""
        with contextlib.suppress(RuntimeError):
            as_user([self.programs.bin / "pg_ctl", "-D", self.home, "-m", how, "-w", "stop"])

    def promote(self) -> None:
        """Make a standby a primary."""
        as_user([self.programs.bin / "pg_ctl", "-D", self.home, "-w", "promote"])

    def __enter__(self) -> Server:
        if not (self.home / "PG_VERSION").exists():
            self.make()
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Each statement in a transaction of its own, as the owner; the rows of the last."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[call-overload]
                found = cursor.fetchall() if cursor.description else []
            return found


@contextlib.contextmanager
def running(programs: Programs, home: Path, **options: Any) -> Iterator[Server]:
    """A fresh server, gone at the end."""
    with Server(programs, home, **options) as server:
        yield server
    shutil.rmtree(home, ignore_errors=True)


def copied(primary: Server, home: Path, settings: str = "") -> Server:
    """A standby of a server, by ``pg_basebackup -R``; not started."""
    made = Server(primary.programs, home)
    folder_of_users(home.parent)
    words = [
        "-h",
        primary.sockets,
        "-p",
        primary.port,
        "-U",
        "postgres",
        "-D",
        home,
        "-R",
        "-X",
        "stream",
        "-c",
        "fast",
    ]
    as_user([primary.programs.bin / "pg_basebackup", *words])
    made.configure(settings)
    return made


def follow(primary: Server, standby: Server) -> None:
    """Wait until a standby has replayed all that there is.

    Raises:
        RuntimeError: It does not.
    """
    [(sent,)] = primary.execute("select pg_current_wal_insert_lsn()::text")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if standby.execute(f"select pg_last_wal_replay_lsn() >= '{sent}'::pg_lsn") == [(True,)]:
            return
        time.sleep(0.05)
    raise RuntimeError("the standby does not follow")
