"""``python -m tests.servers``: the extraction against servers that people have; exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.server import CACHE
from tests.conftest import MEMORY, _has_room
from tests.scale.page import fill, now
from tests.servers import page
from tests.servers.backups import backups
from tests.servers.bench import Bench, Line
from tests.servers.compare import Compared
from tests.servers.counted import counted
from tests.servers.pooled import pooled
from tests.servers.settings import settings
from tests.servers.shapes import replicas, shapes
from tests.servers.standbys import standbys
from tests.servers.tls import tls
from tests.servers.versions import versions

GROUNDS = {one.__name__: one for one in (versions, tls, pooled, standbys, replicas, shapes, settings, backups, counted)}
PACKAGES = ("psycopg", "duckdb", "pyarrow")


def main() -> int:
    """Try what is asked for, keep it, and fill the page with all that was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="fill the tables of this page")
    parser.add_argument(
        "--only", action="append", choices=[*GROUNDS, "page"], help="the others as they were tried last"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are stopped on the way out
    path, began = CACHE / "results" / "servers.json", time.monotonic()
    kept = _kept(path)
    tried: list[Line] = []
    for name in (one for one in GROUNDS if one in (options.only or GROUNDS)):
        found = _try(name)
        tried += found
        kept = _kept(path)  # another may have tried others meanwhile
        kept[name] = {"when": now(), "lines": [asdict(line) for line in found]}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept), encoding="utf-8")
    if missing := [name for name in GROUNDS if name not in kept]:
        sys.stderr.write(f"not tried yet: {', '.join(missing)}\n")
    parts = {
        name: (kept[name]["when"], [_line(one) for one in kept[name]["lines"]]) for name in GROUNDS if name in kept
    }
    print(f"{page.total(tried)} {time.monotonic() - began:.0f} s")
    if options.markdown:
        filled = fill(options.markdown.read_text(encoding="utf-8"), page.tables(parts, _about()))
        options.markdown.write_text(filled, encoding="utf-8")
    return 1 if any(line.broken for line in tried) else 0


def _kept(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _try(name: str) -> list[Line]:
    place = MEMORY if _has_room() else None
    with tempfile.TemporaryDirectory(prefix="servers-", dir=place, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder), tell=tell)
        bench.enter(GROUNDS[name])
        return bench.lines


def tell(line: Line) -> None:
    """A line as it comes."""
    how = f"BROKEN {line.broken}" if line.broken else f"not tried: {line.skipped}" if line.skipped else line.said
    print(f"{line.ground} | {line.what} | {line.compared.rows:,} rows | {line.seconds:.1f} s | {how}", flush=True)


def _line(told: Mapping[str, Any]) -> Line:
    return Line(**{**told, "compared": Compared(**told["compared"])})


def _about() -> str:
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    machine = f"{platform.system()} {platform.machine()}"
    return f"Python {platform.python_version()}, {packages}, libpq {psycopg.pq.version()}, {machine}."


if __name__ == "__main__":
    sys.exit(main())
