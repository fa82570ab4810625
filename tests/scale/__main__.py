"""``python -m tests.scale``: past one machine, measured; fills the tables of a page. Exit code 1 when a claim does not hold."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.server import CACHE
from tests.scale import curve, model, page, sizes, suites

PARTS = ("faults", "parity", "curve", "sizes")
PACKAGES = ("duckdb", "pyarrow", "pyspark", "sqlglot", "s3fs", "moto", "pandas")


def main() -> int:
    """Measure what is asked for, keep it, and fill the page with all that was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="fill the tables of this page")
    parser.add_argument(
        "--only",
        choices=(*PARTS, "page"),
        action="append",
        help="the others as they were measured last; page: all of them",
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=CACHE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = options.cache / "results" / "scale.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in (one for one in PARTS if one in (options.only or PARTS)):
        kept[name] = {"found": _measure(name, options), "when": page.now()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept), encoding="utf-8")
    missing = [name for name in PARTS if name not in kept]
    if missing:
        sys.stderr.write(f"not measured yet: {', '.join(missing)}\n")
        return 1
    found = {name: kept[name]["found"] for name in PARTS}
    faults, parity = (suites.Suite(**found[name]) for name in ("faults", "parity"))
    tables = _tables(found, faults, parity)
    tables["measured"] = page.measured(_about(), {name: kept[name]["when"] for name in PARTS})
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if options.markdown:
        options.markdown.write_text(page.fill(options.markdown.read_text(encoding="utf-8"), tables), encoding="utf-8")
    same = all(one["same"] for one in found["curve"])
    return 0 if same and not faults.other and not parity.other and faults.rows and parity.rows else 1


def _measure(name: str, options: argparse.Namespace) -> Any:
    if name == "curve":
        return curve.measure(options.cache, repeat=options.repeat)
    if name == "sizes":
        return sizes.measure(options.cache)
    return asdict(suites.run({"faults": "fault"}.get(name, name)))


def _tables(found: dict[str, Any], faults: suites.Suite, parity: suites.Suite) -> dict[str, str]:
    lines = model.lines(found["curve"], found["sizes"]["extractions"])
    return {
        "faults": page.faults(faults),
        "parity": page.parity(parity),
        "curve": page.curve(found["curve"]),
        "reports": page.reports(found["curve"]),
        "sizes": page.sizes(found["sizes"]["extractions"]),
        "requests": page.requests(found["sizes"]["buckets"]),
        "lines": page.lines(lines),
        "drawn-out": page.drawn_out(lines),
    }


def _about() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}; Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    sys.exit(main())
