"""Counters of real processes, scraped by real servers: totals against what the processes themselves wrote down."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from analytics.source.counters import counters
from tests.servers.bench import Bench, BrokenError
from tests.servers.compare import Compared
from tests.servers.counting import KINDS, process
from tests.servers.exporter import PER_SECOND
from tests.servers.server import free_port

SECONDS = 480
SCRAPE = 5
STEP = 60
"""Seconds between the values that the package asks a server for."""
PROCESSES, RESTARTS = 3, 1
"""That count at a time; and ends of one whose counters end with it. What came after its last value nobody sees."""


def counted(bench: Bench) -> None:
    """Restarts, missed scrapes, series that are born meanwhile, several processes behind one address, copies of a copy."""
    kinds = [kind for kind in KINDS if not kind.missing]
    for kind in KINDS:
        if kind.missing:
            bench.skip(kind.name, kind.missing)
    if not kinds:
        return
    place = bench.place("counters")
    apart, together = free_port(), free_port()
    exporters = {"game": apart, "workers": together}
    ways: list[tuple[str, str, str]] = []
    with contextlib.ExitStack() as stack:
        for kind in kinds:
            one, two = (
                stack.enter_context(
                    kind.running(place / f"{kind.package}-{name}", free_port(), _scrapes(exporters, name))
                )
                for name in ("one", "two")
            )
            copies = stack.enter_context(
                kind.running(place / f"{kind.package}-copies", free_port(), _federation(one, two))
            )
            ways += [
                (kind.name, "scraped", one),
                (kind.name, "by another server, which scrapes at other moments", two),
                (kind.name, "two federated copies of it", copies),
            ]
        stack.enter_context(_living(place, apart, together))
        until = datetime.now(UTC) - timedelta(seconds=2 * STEP)
        since = until - timedelta(seconds=SECONDS - 3 * STEP)
        for ground, what, url in ways:
            bench.play(ground, what, partial(_total, place, url, since, until))


def _scrapes(exporters: dict[str, int], name: str) -> str:
    jobs = "".join(
        f"  - job_name: {job}\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        for job, port in exporters.items()
    )
    labels = f"external_labels: {{replica: {name}}}"
    return f"global: {{scrape_interval: {SCRAPE}s, scrape_timeout: 1s, {labels}}}\nscrape_configs:\n{jobs}"


def _federation(*urls: str) -> str:
    targets = ", ".join(f"'{url.removeprefix('http://')}'" for url in urls)
    return (
        f"global: {{scrape_interval: {SCRAPE}s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: federate\n"
        "    honor_labels: true\n    metrics_path: /federate\n"
        "    params: {'match[]': ['{__name__=~\"dsl_.*|process_start.*|up\"}']}\n"
        f"    static_configs: [{{targets: [{targets}]}}]\n"
    )


@contextlib.contextmanager
def _living(place: Path, apart: int, together: int) -> Iterator[None]:
    """What happens to the processes; they live on afterwards, so that they are scraped once more."""
    born, shared = time.time(), place / "shared"
    shared.mkdir()

    def exporter(
        number: int, *words: str, **environment: str
    ) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        ahead = [sys.executable, "-m", "tests.servers.exporter", "--born", str(born)]
        return process([*ahead, *words], place / f"exporter-{number}.log", **environment)

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
