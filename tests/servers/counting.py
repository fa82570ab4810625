"""Servers of counters: Prometheus and VictoriaMetrics, which scrape, or are given what others are said to have scraped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from tests.servers.server import PATIENCE

Shown = list[tuple[float, float]]
Labels = dict[str, str]
Told = Sequence[tuple[str, Labels, Shown]]
"""Name and labels with times and values."""


@dataclass(frozen=True)
class Kind(ABC):
    """A product.

    Attributes:
        name: In words.
        programs: That it needs; the first is the server.
        package: Debian's.
        limits: Words of its command line with which a day is too much for one answer.
    """

    name: str
    programs: tuple[str, ...]
    package: str
    limits: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """How to have it; empty where it is there."""
        is_there = all(shutil.which(program) for program in self.programs)
        return "" if is_there else f"apt-get install {self.package}"

    @property
    def version(self) -> str:
        """As its package says it: Debian's VictoriaMetrics does not know its own."""
        asked = ["dpkg-query", "--show", "--showformat=${Version}", self.package]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\d+)+", done.stdout)
        return found[0] if found else "?"

    @contextlib.contextmanager
    def running(self, home: Path, port: int, scrapes: str = "scrape_configs: []\n", *more: str) -> Iterator[str]:
        """One that answers at the URL given back, ended at the end.

        Args:
            home, port: Where its files are, where it listens.
            scrapes: What it scrapes, in Prometheus' words.
            more: Words of its command line.
        """
        home.mkdir(exist_ok=True)
        (home / "prometheus.yml").write_text(scrapes, encoding="utf-8")
        words = [shutil.which(self.programs[0]) or "", *self._words(home, port), *more]
        with process(words, home / "log"):
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
                    break
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"

    @abstractmethod
    def holding(self, told: Told, home: Path, port: int, *more: str) -> AbstractContextManager[str]:
        """One that has scraped what it is told, however long ago; arguments as for `running`."""

    @abstractmethod
    def _words(self, home: Path, port: int) -> list[str]:
        """Its command line, but for the program."""


class Prometheus(Kind):
    """Of blocks that promtool makes."""

    def _words(self, home: Path, port: int) -> list[str]:
        return [
            f"--config.file={home}/prometheus.yml",
            f"--storage.tsdb.path={home}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    @contextlib.contextmanager
    def holding(self, told: Told, home: Path, port: int, *more: str) -> Iterator[str]:
        home.mkdir(exist_ok=True)
        (home / "counters.txt").write_text(exposition(told, per_second=1) + "# EOF\n", encoding="utf-8")
        made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "counters.txt", "data"]
        subprocess.run(made, cwd=home, check=True, capture_output=True)
        with self.running(home, port, "scrape_configs: []\n", "--storage.tsdb.retention.time=20y", *more) as url:
            yield url


class VictoriaMetrics(Kind):
    """Of what is imported; by itself it forgets what is older than a month."""

    def _words(self, home: Path, port: int) -> list[str]:
        return [
            f"-promscrape.config={home}/prometheus.yml",
            f"-storageDataPath={home}/data",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=20y",
            "-memory.allowedBytes=256MB",
        ]

    @contextlib.contextmanager
    def holding(self, told: Told, home: Path, port: int, *more: str) -> Iterator[str]:
        with self.running(home, port, "scrape_configs: []\n", *more) as url:
            text = exposition(told, per_second=1000).encode()
            for path, data in (("/api/v1/import/prometheus", text), ("/internal/force_flush", None)):
                with urlopen(Request(url + path, data), timeout=PATIENCE) as answer:  # noqa: S310  # the loopback
                    answer.read()
            yield url


PROMETHEUS = Prometheus("Prometheus", ("prometheus", "promtool"), "prometheus", ("--query.max-samples=20000",))
VICTORIA = VictoriaMetrics(
    "VictoriaMetrics",
    ("victoria-metrics",),
    "victoria-metrics",
    ("-search.maxSamplesPerSeries=1000", "-search.maxPointsPerTimeseries=400"),
)
KINDS = (PROMETHEUS, VICTORIA)


@contextlib.contextmanager
def process(words: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """One that is ended at the end."""
    with log.open("ab") as stream:
        made = subprocess.Popen(words, stdout=stream, stderr=stream, env={**os.environ, **environment})
    try:
        yield made
    finally:
        made.kill()
        made.wait()


def exposition(told: Told, *, per_second: int) -> str:
    """One metric after another, each series' samples in order: what OpenMetrics asks for.

    Args:
        told: Series.
        per_second: Of the timestamps: OpenMetrics counts seconds, the older format milliseconds.
    """
    by: dict[str, list[str]] = defaultdict(list)
    for name, labels, points in told:
        quoted = ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in labels.items())
        digits = 3 if per_second == 1 else 0
        by[name] += [f"{name}{{{quoted}}} {value} {moment * per_second:.{digits}f}" for moment, value in points]
    return "".join(f"# TYPE {name} gauge\n" + "\n".join(lines) + "\n" for name, lines in by.items())
