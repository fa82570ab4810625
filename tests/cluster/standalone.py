"""A Spark standalone cluster on the loopback: a master, and workers of one core and one GB, gone with the block."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.server import free_port

WORKERS = 2
_SECONDS = 60
_CLASS = "org.apache.spark.deploy"


def missing() -> str:
    """What is not installed; empty when nothing."""
    if importlib.util.find_spec("pyspark") is None:
        return "no PySpark here: pip install '.[spark]'"
    return "" if shutil.which("java") else "no Java here: Spark needs Java 17 or later"


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
        folder: Everything of it: logs, and the folders in which workers run executors.
        master: Its address, ``spark://127.0.0.1:…``.
        status: Address of what the master tells about itself.
    """

    folder: Path
    master: str
    status: str
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *words: str) -> None:
        """One of its processes, in a group of its own: executors are children of their worker."""
        import pyspark

        home = Path(pyspark.__file__).parent
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_NO_DAEMONIZE": "1",
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(home / "bin" / "spark-class"), *words],
                env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def start_worker(self, number: int) -> None:
        """And wait until the master knows of it."""
        before = len(self.workers())
        self.start(
            f"worker-{number}", f"{_CLASS}.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g",
            "--webui-port", "0", "--work-dir", str(self.folder / f"work-{number}"), self.master,
        )  # fmt: skip
        wait(lambda: len(self.workers()) > before, f"worker {number} has not come: {self.folder / 'master.log'}")

    def workers(self) -> list[dict[str, Any]]:
        """Those that are alive, as the master tells it."""
        return [one for one in self.told()["workers"] if one["state"] == "ALIVE"]

    def told(self) -> dict[str, Any]:
        """What the master tells about itself."""
        with urllib.request.urlopen(f"{self.status}/json/", timeout=5) as answer:  # noqa: S310  # the loopback
            return dict(json.load(answer))

    def kill(self, name: str) -> None:
        """A process and its children, at once, as a machine goes down."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        """Workers first."""
        for name in reversed(tuple(self._running)):
            self.kill(name)


def wait(is_so: Callable[[], Any], otherwise: str) -> None:
    """Until something is so.

    Raises:
        TimeoutError: It was not, for a minute.
    """
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if is_so():
                return
        time.sleep(0.1)
    raise TimeoutError(otherwise)


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster for as long as the block lasts.

    Raises:
        FileNotFoundError: Spark or Java is not installed; says what to do.
        TimeoutError: It does not start.
    """
    if absent := missing():
        raise FileNotFoundError(absent)
    with tempfile.TemporaryDirectory(prefix="spark-", ignore_cleanup_errors=True) as name:
        port, page = free_port(), free_port()
        cluster = Cluster(Path(name), f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page}")
        try:
            words = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)]
            cluster.start("master", f"{_CLASS}.master.Master", *words)
            wait(cluster.told, "the master does not answer")
            for number in range(WORKERS):
                cluster.start_worker(number)
            yield cluster
        finally:
            cluster.stop_all()
