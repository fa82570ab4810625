"""GNU parallel starts shares over ssh: two hosts on the loopback, each an sshd of its own, and one that is not there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.schedulers.ground import (
    COMMAND,
    SHARES,
    VICTIM,
    Bench,
    Case,
    Trial,
    clear,
    ensure_same,
    killing,
    run,
    shares_in,
)
from tests.servers.server import free_port

GROUND = "GNU parallel over ssh"
PROGRAMS = {"parallel": "parallel", "sshd": "openssh-server", "ssh-keygen": "openssh-client"}
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


def missing() -> str:
    """What is not installed; empty when nothing."""
    lacking = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=_PATH)]
    return f"apt-get install {' '.join(lacking)}" if lacking else ""


def version() -> str:
    """Of both."""
    said = run("parallel", "--version").stdout.split("\n")[0]
    return f"{said}, {run('ssh', '-V').stderr.split(',')[0]}"


@dataclass
class Hosts:
    """Running servers, by name; ``gone`` has none.

    Attributes:
        folder: Keys and settings, thrown away.
        servers: Their processes.
    """

    folder: Path
    servers: dict[str, subprocess.Popen[bytes]]

    def start(self, name: str, port: int) -> None:
        """One that lets in the key of this folder, and nobody else."""
        settings = {
            "Port": port, "ListenAddress": "127.0.0.1", "HostKey": self.folder / "host",
            "AuthorizedKeysFile": self.folder / "key.pub", "PidFile": "none", "StrictModes": "no",
            "UsePAM": "no", "PasswordAuthentication": "no", "MaxStartups": "100",
        }  # fmt: skip
        path = self.folder / f"sshd-{name}"
        path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
        with (self.folder / f"{name}.log").open("wb") as log:
            self.servers[name] = subprocess.Popen(
                [shutil.which("sshd", path=_PATH) or "sshd", "-D", "-e", "-f", path],
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """The server and every session of it, at once, as a machine goes down; what it ran may run on."""
        server = self.servers.pop(name)
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii").split()
        for pid in (server.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait()


@contextlib.contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """Two, until the block ends.

    Raises:
        AssertionError: One does not let us in.
    """
    folder.mkdir(mode=0o700)
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it goes to with what it does not trust
    found = Hosts(folder, {})
    ports = {name: free_port() for name in ("one", "two", "gone")}
    entries = [f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n" for name, port in ports.items()]
    common = (
        f"Host *\n  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  BatchMode yes\n"
        f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
    )
    (folder / "config").write_text("".join([*entries, common]), encoding="utf-8")
    try:
        for name in ("one", "two"):
            found.start(name, ports[name])
        for name in ("one", "two"):
            for _ in range(50):
                if run("ssh", "-F", folder / "config", name, "true").returncode == 0:
                    break
            else:
                raise AssertionError((folder / f"{name}.log").read_text(encoding="utf-8")[-400:])
        yield found
    finally:
        for name in tuple(found.servers):
            found.kill(name)


def trials(bench: Bench, case: Case) -> None:
    """All of them."""
    if absent := missing():
        bench.add(Trial(GROUND, "", skipped=absent))
        return
    with hosts(case.folder / "ssh") as there:
        over = Over(case, there, case.folder / "gathered", case.page())
        for what, work in {
            "two hosts": over.plain,
            "a number changed in a share (the control: shares are what the page is made of)": over.changed,
            "a worker killed at its work, --retries 3": over.killed,
            "a worker killed at its work, no retry; then --resume-failed": over.failed,
            "one of three hosts cannot be reached, --retries 3": over.unreachable,
            "one of two hosts cannot be reached, no retry": over.unreachable_once,
            "a share started twice at the same time": over.twice,
            "a share missing at the end": over.lost,
            "a share cut off in the middle of a file": over.cut,
            "shares of eight and of three in one folder": over.mixed,
            "a host goes down at its work, --retries 3": over.down,
        }.items():
            bench.play(GROUND, what, work)


@dataclass
class Over:
    """What is done over ssh.

    Attributes:
        case: The report.
        hosts: Where.
        gathered: The folder that all of them reach.
        alone: The page of one process.
    """

    case: Case
    hosts: Hosts
    gathered: Path
    alone: dict[str, bytes]

    def parallel(
        self, logins: str, shares: list[int], *more: str, of: int = SHARES
    ) -> subprocess.CompletedProcess[str]:
        """Start shares."""
        words = [COMMAND, "gather", *self.case.window, "--share", f"{{}}/{of}", "--into", self.gathered]
        return run(
            "parallel", "--sshlogin", logins, "--joblog", self.gathered.with_suffix(".log"), *more, *words, ":::", *shares,
            env={"PARALLEL_SSH": f"ssh -F {self.hosts.folder}/config"},
        )  # fmt: skip

    def fresh(self, logins: str, *more: str, shares: list[int] | None = None) -> subprocess.CompletedProcess[str]:
        """The same, from nothing."""
        clear(self.gathered)
        self.gathered.with_suffix(".log").unlink(missing_ok=True)
        return self.parallel(logins, shares or list(range(1, SHARES + 1)), *more)

    def log(self) -> list[list[str]]:
        """What parallel has written down: number, host, …, exit code, signal."""
        lines = self.gathered.with_suffix(".log").read_text(encoding="utf-8").splitlines()[1:]
        return [line.split("\t") for line in lines]

    def same(self) -> str:
        """The page of what was gathered."""
        return ensure_same(self.case.page(self.gathered), self.alone)

    def plain(self) -> str:
        done = self.fresh("1/one,1/two")
        assert done.returncode == 0, done.stderr
        assert shares_in(self.gathered) == set(range(1, SHARES + 1))
        assert {line[1] for line in self.log()} == {"one", "two"}
        return f"exit code 0, {SHARES} shares by two hosts; {self.same()}"

    def changed(self) -> str:
        self.fresh("1/one,1/two")
        changed = 0
        for path in self.gathered.glob("cost_by_strategy-*.parquet"):
            table = pq.read_table(path)
            at = table.schema.get_field_index("nodes_max")
            column = table.schema.field(at)
            table = table.set_column(at, column, pc.add(table.column(at), pa.scalar(1, column.type)))
            pq.write_table(table, path)
            changed += table.num_rows
        assert changed, "nothing could be changed"
        made = self.case.page(self.gathered)
        differ = [name for name, text in self.alone.items() if made.get(name) != text]
        assert differ, "the report does not read what was gathered"
        return "the page is another"

    def killed(self) -> str:
        with killing(self.gathered) as killer:
            done = self.fresh("1/one,1/two", "--retries", "3")
        assert (killer.times, done.returncode) == (1, 0), (killer, done.stderr)
        assert shares_in(self.gathered) == set(range(1, SHARES + 1))
        [line] = [one for one in self.log() if one[0] == str(VICTIM)]
        return f"tried again on host {line[1]}, exit code 0; {self.same()}"

    def failed(self) -> str:
        with killing(self.gathered) as killer:
            done = self.fresh("1/one,1/two")
        assert (killer.times, done.returncode) == (1, 1), (killer, done.returncode, done.stderr)
        [line] = [one for one in self.log() if one[6] != "0" or one[7] != "0"]
        said = f"exit code 1 (so many failed), {line[6]} in the job log"
        first = self.same()
        again = self.parallel("1/one,1/two", list(range(1, SHARES + 1)), "--resume-failed")
        assert again.returncode == 0, again.stderr
        assert again.stderr.count("share ") == 1, again.stderr
        return f"{said}; {first}, the report asks that share; then one share runs again, exit code 0; {self.same()}"

    def unreachable(self) -> str:
        done = self.fresh("1/gone,1/one,1/two", "--retries", "3")
        assert done.returncode == 0, done.stderr
        assert shares_in(self.gathered) == set(range(1, SHARES + 1))
        return f"exit code 0, all shares by the others; {self.same()}"

    def unreachable_once(self) -> str:
        done = self.fresh("1/gone,1/one")
        lost = [line[0] for line in self.log() if line[6] == "255"]
        assert done.returncode == len(lost) > 0, (done.returncode, done.stderr)
        assert shares_in(self.gathered) == set(range(1, SHARES + 1)) - set(map(int, lost))
        return f"exit code {done.returncode}: so many shares were sent there and are lost; {self.same()}"

    def twice(self) -> str:
        done = self.fresh("2/one,2/two", shares=[VICTIM, VICTIM, *range(1, SHARES + 1)])
        assert done.returncode == 0, done.stderr
        return f"exit code 0; {self.same()}"

    def lost(self) -> str:
        self.fresh("1/one,1/two")
        for path in self.gathered.glob(f"*-{VICTIM:05}-of-*"):
            path.unlink()
        assert len(shares_in(self.gathered)) == SHARES - 1
        return f"the report asks that share itself; {self.same()}"

    def cut(self) -> str:
        self.fresh("1/one,1/two")
        cut = list(self.gathered.glob(f"*-{VICTIM:05}-of-*"))
        for path in cut:
            os.truncate(path, path.stat().st_size // 2)
        assert cut
        return f"the report asks that share itself; {self.same()}"

    def mixed(self) -> str:
        self.fresh("1/one,1/two")
        self.gathered.with_suffix(".log").unlink()
        done = self.parallel("1/one,1/two", [1, 2, 3], of=3)
        assert done.returncode == 0, done.stderr
        return f"nothing is counted twice; {self.same()}"

    def down(self) -> str:
        """Last: the host does not come back."""
        timer = threading.Timer(4.0, self.hosts.kill, ["two"])
        timer.start()
        done = self.fresh("1/one,1/two", "--retries", "3")
        timer.join()
        assert done.returncode == 0, done.stderr
        assert shares_in(self.gathered) == set(range(1, SHARES + 1))
        return f"exit code 0, its shares by the other; {self.same()}"
