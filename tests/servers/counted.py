"""Counters of real processes, scraped by a real Prometheus: totals against what the processes themselves wrote down."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.request import urlopen

from analytics.source.counters import counters
from tests.servers.bench import Bench, BrokenError
from tests.servers.compare import Compared
from tests.servers.exporter import PER_SECOND
from tests.servers.server import PATIENCE, free_port

GROUND = "Prometheus"
SECONDS = 480
SCRAPE = 5
STEP = 60
"""Seconds between the values that the package asks a server for."""
PROCESSES, RESTARTS = 3, 1
"""That count at a time; and ends of one whose counters end with it. What came after its last value nobody sees."""


def counted(bench: Bench) -> None:
    """Restarts, missed scrapes, series that are born meanwhile, several processes behind one address, copies of a copy."""
    program = shutil.which("prometheus")
    if program is None:
        bench.skip(GROUND, "apt-get install prometheus")
        return
    place = bench.place("counters")
    one, two, copies, apart, together = (free_port() for _ in range(5))
    exporters = {"game": apart, "workers": together}
    with contextlib.ExitStack() as stack:
        for name, port in (("one", one), ("two", two)):
            stack.enter_context(prometheus(program, place / name, port, _scrapes(exporters, name)))
        stack.enter_context(prometheus(program, place / "copies", copies, _federation(one, two)))
        stack.enter_context(_living(place, apart, together))
        until = datetime.now(UTC) - timedelta(seconds=2 * STEP)
        since = until - timedelta(seconds=SECONDS - 3 * STEP)
        for what, port in (
            ("scraped", one),
            ("by another server, which scrapes at other moments", two),
            ("two federated copies of it", copies),
        ):
            bench.play(GROUND, what, partial(_total, place, f"http://127.0.0.1:{port}", since, until))


def _scrapes(exporters: dict[str, int], name: str) -> str:
    jobs = "".join(
        f"  - job_name: {job}\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        for job, port in exporters.items()
    )
    labels = f"external_labels: {{replica: {name}}}"
    return f"global: {{scrape_interval: {SCRAPE}s, scrape_timeout: 1s, {labels}}}\nscrape_configs:\n{jobs}"


def _federation(*ports: int) -> str:
    targets = ", ".join(f"'127.0.0.1:{port}'" for port in ports)
    return (
        f"global: {{scrape_interval: {SCRAPE}s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: federate\n"
        "    honor_labels: true\n    metrics_path: /federate\n"
        "    params: {'match[]': ['{__name__=~\"dsl_.*|process_start.*|up\"}']}\n"
        f"    static_configs: [{{targets: [{targets}]}}]\n"
    )


@contextlib.contextmanager
def prometheus(program: str, home: Path, port: int, configuration: str, *more: str) -> Iterator[None]:
    """A server that answers, ended at the end.

    Args:
        program, home, port: Which, where its files are, where it listens.
        configuration: Its file.
        more: Words of its command line.
    """
    home.mkdir(exist_ok=True)
    (home / "prometheus.yml").write_text(configuration, encoding="utf-8")
    words = [
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        *more,
    ]
    with _process([program, *words], home / "log"):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
                break
            time.sleep(0.2)
        yield


@contextlib.contextmanager
def _process(words: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as stream:
        made = subprocess.Popen(words, stdout=stream, stderr=stream, env={**os.environ, **environment})
    try:
        yield made
    finally:
        made.kill()
        made.wait()


@contextlib.contextmanager
def _living(place: Path, apart: int, together: int) -> Iterator[None]:
    """What happens to the processes; they live on afterwards, so that they are scraped once more."""
    born, shared = time.time(), place / "shared"
    shared.mkdir()

    def exporter(
        number: int, *words: str, **environment: str
    ) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        ahead = [sys.executable, "-m", "tests.servers.exporter", "--born", str(born)]
        return _process([*ahead, *words], place / f"exporter-{number}.log", **environment)

    def alone(number: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return exporter(number, "--port", str(apart), "--truth", str(place / f"game-{number}.txt"))

    def worker(number: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return exporter(number, "--truth", str(place / f"workers-{number}.txt"), PROMETHEUS_MULTIPROC_DIR=str(shared))

    with contextlib.ExitStack() as stack:
        stack.enter_context(exporter(9, "--port", str(together), PROMETHEUS_MULTIPROC_DIR=str(shared)))
        stack.enter_context(worker(5))
        with alone(1), worker(6):
            time.sleep(SECONDS / 3)
        stack.enter_context(worker(7))
        second = stack.enter_context(alone(2))
        time.sleep(SECONDS / 6)
        second.send_signal(signal.SIGSTOP)  # nobody answers a scrape
        time.sleep(40)
        second.send_signal(signal.SIGCONT)
        time.sleep(SECONDS / 2 - 40)
        yield


def _total(place: Path, url: str, since: datetime, until: datetime) -> tuple[Compared, str]:
    """What is counted is never more than was, and less by no more than what came between a last scrape and an end."""
    truth = Counter[str]()
    for path in place.glob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            at, realm, _, status = line.split()
            if since.timestamp() <= float(at) < until.timestamp():
                truth[f"{realm} {status}"] += 1
    found = counters.read(url, since, until)
    by = found.runs.groupby(["realm_label", "status"])["runs"].sum()
    counted_runs = {" ".join(map(str, key)): float(value) for key, value in by.items()}  # type: ignore[arg-type]
    total, known = sum(truth.values()), sum(counted_runs.values())
    at_edges, lost = 2 * SCRAPE * PROCESSES * PER_SECOND, RESTARTS * (STEP + SCRAPE) * PER_SECOND
    if not total - at_edges - lost <= known <= total + at_edges or truth.keys() - counted_runs.keys():
        raise BrokenError(f"{known:.0f} counted where {total} were; {truth} / {counted_runs}; {found.missing}")
    return Compared(total), f"{known:.0f} counted of {total} runs; {'; '.join(found.missing)}"
