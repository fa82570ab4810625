"""``python -m tests.schedulers``: the examples for schedulers, run by real ones; exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

from analytics.demo import UNTIL
from analytics.window import ONE_DAY
from tests.fixture_cache import copy_folder
from tests.scale.page import fill, now
from tests.schedulers import airflow, ssh
from tests.schedulers.ground import Bench, Case, Trial


def main() -> int:
    """Try them, and fill the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.schedulers", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="fill the tables of this page")
    parser.add_argument("--lake", type=Path, default=Path("demo/lake"), help="of the demo (demo/lake); it is copied")
    parser.add_argument("--only", choices=("ssh", "airflow"), help="the table of the other stays as it is")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are stopped on the way out
    if not options.lake.is_dir():
        parser.error(f"there is no lake in {options.lake}: make demo")
    bench, tables = Bench(tell), {}
    with tempfile.TemporaryDirectory(prefix="schedulers-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if options.only != "airflow":
            copy_folder(options.lake, folder / "lake")
            ssh.trials(bench, Case(folder / "lake", f"{UNTIL - ONE_DAY}", f"{UNTIL}", folder))
            if not ssh.missing():
                tables["ssh"] = table(bench.trials, ssh.GROUND, ssh.version())
        if options.only != "ssh":
            airflow.trials(bench, folder / "airflow")
            if not any(one.skipped for one in bench.trials if one.ground == airflow.GROUND):
                tables["airflow"] = table(bench.trials, airflow.GROUND, f"Airflow {airflow.VERSION}")
    if options.markdown:
        options.markdown.write_text(fill(options.markdown.read_text(encoding="utf-8"), tables), encoding="utf-8")
    held = sum(not one.broken and not one.skipped for one in bench.trials)
    sys.stdout.write(f"{held} of {sum(not one.skipped for one in bench.trials)} held\n")
    return 1 if any(one.broken for one in bench.trials) else 0


def tell(trial: Trial) -> None:
    """A trial as it ends."""
    how = f"BROKEN {trial.broken}" if trial.broken else f"not tried: {trial.skipped}" if trial.skipped else trial.ended
    sys.stdout.write(f"{trial.ground} | {trial.what} | {trial.seconds:.1f} s | {how}\n")
    sys.stdout.flush()


def table(trials: list[Trial], ground: str, versions: str) -> str:
    """A row per trial of a ground, and what it was tried with."""
    rows = [
        f"| {one.what} | {f'**BROKEN**: {one.broken}' if one.broken else one.ended} |"
        for one in trials
        if one.ground == ground
    ]
    made = "\n".join(["| what happened | what came of it |", "|---|---|", *rows])
    machine = f"{platform.system()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f} at the end"
    return f"{made}\n\nMeasured: {now()}, {machine}; {versions}, Python {platform.python_version()}."


if __name__ == "__main__":
    sys.exit(main())
