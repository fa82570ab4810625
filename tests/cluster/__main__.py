"""``python -m tests.cluster``: the lake on a Spark standalone cluster; fills a page. Exit code 1 when an answer was wrong."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from analytics.lake.lake import Lake
from benchmarks.report import Section, markdown, number, progress
from tests.cluster import standalone, trials
from tests.fixture_cache import copy_folder
from tests.scale import page, suites

_COMPARED = "holds_the_same_rows or answers_the_same"
PACKAGES = ("pyspark", "sqlglot", "duckdb", "pyarrow", "pandas")


def main() -> int:
    """Try it all, and fill the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="fill the tables of this page")
    parser.add_argument("--lake", type=Path, default=Path("demo/lake"), help="of the trials (demo/lake); it is copied")
    parser.add_argument("--only", choices=("parity", "trials"), help="the table of the other stays as it is")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # processes are stopped on the way out
    if absent := standalone.missing():
        sys.stderr.write(f"skipped: {absent}\n")
        return 0
    if not options.lake.is_dir():
        parser.error(f"there is no lake in {options.lake}: make demo")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # the driver's: on the loopback as well
    tables, is_right = {}, True
    if options.only != "trials":
        with standalone.running() as cluster:
            found = suites.run("parity", ["--spark-master", cluster.master, "-k", _COMPARED])
        tables |= {"parity": f"{page.parity(found)}\n\nMeasured: {_about()}"}
        is_right = bool(found.rows) and not found.other and not any(row[4] for row in found.rows)
    if options.only != "parity":
        tried = _trials(options.lake)
        tables |= {"trials": f"{_table(tried)}\n\nMeasured: {_about()}"}
        is_right = is_right and all(one.held for one in tried)
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if options.markdown:
        options.markdown.write_text(page.fill(options.markdown.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return 0 if is_right else 1


def _trials(lake: Path) -> list[trials.Trial]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        copy_folder(lake, Path(folder, "lake"))
        with standalone.running() as cluster, trials.begun(cluster.master) as session:
            for one in trials.run(cluster, session, Lake(Path(folder, "lake"))):
                progress(f"{one.what}: {one.ended}")
                found.append(one)
        progress("a master that is gone …")
        found.append(trials.without_master(cluster.master))
    return found


def _table(tried: list[trials.Trial]) -> str:
    rows = [[one.what, one.ended, number(one.seconds)] for one in tried]
    return markdown(Section("", "", ["what happened", "what came of it", "s"], rows)).partition("## \n\n")[2].rstrip()


def _about() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    machine = f"{platform.system()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f} at the end"
    return f"{page.now()}, {machine}; Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    sys.exit(main())
