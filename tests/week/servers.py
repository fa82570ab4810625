"""The week's servers: a primary, a standby that follows it, an archive of what they wrote and a backup, under one URL all along."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from tests.servers.installed import wheels
from tests.servers.server import PATIENCE, Server, as_user, folder_of_users, follow, user

SETTINGS = """
autovacuum = off
jit = off
shared_buffers = 128MB
wal_keep_size = 256MB
archive_mode = on
archive_command = 'true'
"""
ARCHIVE = "alter system set archive_command = 'cp %p {archive}/%f'"
RESTORE = """
restore_command = 'cp {archive}/%f %p'
recovery_target_name = '{point}'
recovery_target_action = 'promote'
"""
POINT = "twenty past"


class Servers:
    """Two servers of the embedded server's wheel; which of them takes writes changes.

    Args:
        folder: Which every user may enter.

    Attributes:
        url: Of whichever takes writes; the first primary is asked first, whatever has become of it.
    """

    def __init__(self, folder: Path) -> None:
        self._archive = folder_of_users(folder / "archive")
        self._backup = folder / "backup" / "data"
        for name in ("one", "two"):
            folder_of_users(folder / name)
        programs = wheels()[-1]
        self._primary = Server(programs, folder / "one" / "data", settings=SETTINGS)
        self._other = Server(programs, folder / "two" / "data")
        self._primary.make().start()
        hosts = ",".join(f"{quote(str(one.sockets), safe='')}:{one.port}" for one in (self._primary, self._other))
        self.url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    def begin(self) -> None:
        """From now on what is written is archived, and the other one follows."""
        self._primary.execute(ARCHIVE.format(archive=self._archive), "select pg_reload_conf()")
        self._copy(self._other.home, "-R")
        self._other.configure("")
        self._other.start()

    def end(self) -> None:
        """Stop both."""
        for one in (self._primary, self._other):
            one.stop()

    @property
    def timeline(self) -> int:
        """Of the one that takes writes."""
        found = self._primary.execute("select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
        return int(found[0][0], 16)

    # ---- a failover ------------------------------------------------------------------------------------------------------

    def cut_off(self) -> None:
        """What is written from now on does not reach the standby, and nobody waits for it: replication is asynchronous."""
        follow(self._primary, self._other)
        self._other.execute("alter system set primary_conninfo = ''", "select pg_reload_conf()")
        end = time.monotonic() + PATIENCE
        while self._primary.execute("select 1 from pg_stat_replication"):
            if time.monotonic() > end:
                raise RuntimeError("the standby does not let go of its primary")
            time.sleep(0.05)

    def fail_over(self, wait: float) -> None:
        """The primary is gone at once, all of its processes; some seconds later the standby takes its place."""
        _kill(self._primary)
        time.sleep(wait)
        self._other.promote()
        self._primary, self._other = self._other, self._primary

    def come_back(self) -> None:
        """The one that was killed is started again by its machine, and takes writes: now there are two."""
        self._other.start()

    def rejoin(self) -> None:
        """It is made anew, as a standby of the other one."""
        self._other.stop()
        shutil.rmtree(self._other.home)
        self._copy(self._other.home, "-R")
        self._other.configure("")
        self._other.start()
        follow(self._primary, self._other)

    # ---- a restored backup -----------------------------------------------------------------------------------------------

    def back_up(self) -> None:
        """Copy the disk of the one that takes writes."""
        folder_of_users(self._backup.parent)
        self._copy(self._backup)

    def mark(self) -> None:
        """This is the moment to which it will be restored."""
        self._primary.execute(f"select pg_create_restore_point('{POINT}')")

    def restore(self) -> None:
        """The backup is put in the place of the one that takes writes, and goes on from the mark; the standby is made anew."""
        self._other.stop("fast")
        self._primary.execute("select pg_switch_wal()")
        self._primary.stop("fast")
        home = self._primary.home
        shutil.rmtree(home)
        shutil.copytree(self._backup, home)
        (home / "recovery.signal").touch()
        if who := user():
            for path in [home, *home.rglob("*")]:
                shutil.chown(path, who)
        self._primary.configure(RESTORE.format(archive=self._archive, point=POINT))
        self._primary.start()
        end = time.monotonic() + PATIENCE
        while self._primary.execute("select pg_is_in_recovery()") == [(True,)]:
            if time.monotonic() > end:
                raise RuntimeError("the backup does not end its recovery")
            time.sleep(0.1)
        self.rejoin()

    def _copy(self, home: Path, *words: str) -> None:
        there = ["-h", self._primary.sockets, "-p", self._primary.port, "-U", "postgres", "-D", home]
        as_user([self._primary.programs.bin / "pg_basebackup", *there, *words, "-X", "stream", "-c", "fast"])


def serves(url: str, patience: float) -> bool:
    """Whether a run begins to read from a server within some seconds."""
    end = time.monotonic() + patience
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < end:
            if connection.execute(
                "select 1 from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend' "
                "and backend_xmin is not null"
            ).fetchone():
                return True
            time.sleep(0.002)
    return False


def _kill(server: Server) -> None:
    """SIGKILL for the postmaster and each of its children, by their numbers."""
    postmaster = int((server.home / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended since it was listed
            number, _, rest = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
            if int(rest.split()[1]) == postmaster:
                children.append(int(number.split()[0]))
    for number in [postmaster, *children]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    while Path(f"/proc/{postmaster}").exists() and _is_alive(postmaster):
        time.sleep(0.02)


def _is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
