"""``python -m tests.servers.exporter``: a process that counts as the engine does, and writes down beside it what it counted."""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from pathlib import Path

METRIC = "dsl_execution_duration_seconds"
LABELS = ("realm", "strategy_type", "status")
PER_SECOND = 20
BORN_AFTER = 200.0
"""Seconds after which a tenant has its first run."""


def main() -> None:
    """Serve, count, or both, until somebody ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0, help="serve here")
    parser.add_argument("--truth", type=Path, help="count, and write here")
    parser.add_argument("--born", type=float, default=0.0, help="when counting began altogether, Unix time")
    options = parser.parse_args()
    import prometheus_client as prometheus
    from prometheus_client import multiprocess

    shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
    if options.port:
        registry = prometheus.REGISTRY
        if shared:
            registry = prometheus.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        prometheus.start_http_server(options.port, addr="127.0.0.1", registry=registry)
    if options.truth:
        _count(prometheus.Histogram(METRIC, "runs", LABELS), options.truth, options.born)
    threading.Event().wait(900)


def _count(histogram: object, path: Path, born: float) -> None:
    end = time.time() + 900
    with path.open("a", buffering=1, encoding="utf-8") as truth:
        while time.time() < end:
            realms = ["acme", "unknown", *(["newborn"] if time.time() - born > BORN_AFTER else [])]
            labels = (random.choice(realms), "DSL_FULL", random.choices(["ok", "error"], [9, 1])[0])
            histogram.labels(*labels).observe(0.01)  # type: ignore[attr-defined]
            truth.write(f"{time.time()} {' '.join(labels)}\n")
            time.sleep(random.uniform(0.5, 1.5) / PER_SECOND)


if __name__ == "__main__":
    main()
