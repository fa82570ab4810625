"""Ceph's RADOS Gateway on the loopback: one monitor, one OSD in memory, one gateway, gone with the block."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.store import Upstream

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw", "ceph-common")
"""Debian's: ``apt-get install --no-install-recommends``."""

_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "ceph", "ceph-authtool", "monmaptool", "radosgw-admin")
_SECONDS = 60

_CONFIGURATION = """[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {folder}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 0
mon max pg per osd = 1000
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd

[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw data = {folder}/rgw
"""


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in _PROGRAMS if shutil.which(name) is None]


def version() -> str:
    """As the gateway says it: ``16.2.15``."""
    said = subprocess.run(["radosgw", "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2].partition("+")[0]


@dataclass
class Ceph:
    """A running cluster.

    Attributes:
        folder: Everything of it.
        upstream: Its gateway.
    """

    folder: Path
    upstream: Upstream
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *words: str) -> None:
        """One of its programs, which stays this process's child."""
        command = [*words, "--foreground", "--conf", str(self.folder / "ceph.conf")]
        output = (self.folder / f"{words[0]}.out").open("ab")
        with output:
            self._running[words[0]] = subprocess.Popen(command, stdout=output, stderr=output)

    def stop(self, name: str) -> None:
        """Kill one of its programs, as a machine does that goes down."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def tell(self, name: str, signal_number: int) -> None:
        """Send one of its programs a signal."""
        self._running[name].send_signal(signal_number)

    def stop_all(self) -> None:
        """The gateway first: it would wait for the others."""
        for name in reversed(tuple(self._running)):
            self.stop(name)

    def start_gateway(self) -> None:
        """And wait until it answers."""
        self.start("radosgw", "--name", "client.rgw")
        _wait(lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.upstream.port}/", timeout=5).close())


@contextlib.contextmanager
def running() -> Iterator[Ceph]:
    """A cluster for as long as the block lasts.

    Raises:
        FileNotFoundError: It is not installed; says the packages.
    """
    if missing():
        raise FileNotFoundError(
            f"no Ceph here ({', '.join(missing())}): apt-get install --no-install-recommends {' '.join(PACKAGES)}"
        )
    # Names of sockets are short, and those of a temporary folder may not be.
    with tempfile.TemporaryDirectory(prefix="ceph-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        ports = _ports(3)
        ceph = Ceph(folder, Upstream(ports[2], "test", uuid.uuid4().hex))
        try:
            _begin(ceph, ports)
            yield ceph
        finally:
            ceph.stop_all()


def _begin(ceph: Ceph, ports: list[int]) -> None:
    folder, fsid = ceph.folder, str(uuid.uuid4())
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    configuration = folder / "ceph.conf"
    configuration.write_text(
        _CONFIGURATION.format(fsid=fsid, folder=folder, mon=ports[0], mon1=ports[1], gateway=ports[2]), encoding="utf-8"
    )
    _keyring(folder / "keyring")
    monmap, addresses = folder / "monmap", f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]"
    conf = ("--conf", str(configuration))
    _do("monmaptool", "--create", "--fsid", fsid, "--addv", "a", addresses, str(monmap))
    _do("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap), "--keyring", str(folder / "keyring"), *conf)
    ceph.start("ceph-mon", "-i", "a")
    _do("ceph", *conf, "--connect-timeout", str(_SECONDS), "osd", "create")
    _do("ceph-osd", "-i", "0", "--mkfs", *conf)
    ceph.start("ceph-osd", "-i", "0")
    ceph.start_gateway()
    user = (
        "--uid=test",
        "--display-name=test",
        f"--access-key={ceph.upstream.key}",
        f"--secret={ceph.upstream.secret}",
    )
    _do("radosgw-admin", "--name", "client.rgw", *conf, "user", "create", *user)


def _keyring(path: Path) -> None:
    everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
    _do("ceph-authtool", "--create-keyring", str(path), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    for name in ("client.admin", "client.rgw"):
        _do("ceph-authtool", str(path), "--gen-key", "-n", name, *everything)
    _do("ceph-authtool", str(path), "--gen-key", "-n", "osd.0", "--cap", "mon", "allow profile osd", *everything[3:])


def _do(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_SECONDS)


def _ports(count: int) -> list[int]:
    """Free ones; another program may take them before they are used, and then the start fails."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


def _wait(ask: Callable[[], None]) -> None:
    until = time.monotonic() + _SECONDS
    while True:
        try:
            return ask()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
