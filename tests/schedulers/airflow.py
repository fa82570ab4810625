"""The examples' DAGs in a real Airflow (standalone, SQLite, LocalExecutor): what becomes of exit codes, kills and dates."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from analytics import demo
from analytics.demo import EmbeddedServer
from analytics.lake.lake import Lake
from analytics.window import ONE_DAY
from benchmarks.server import CACHE
from tests.schedulers.ground import (
    SHARES,
    VICTIM,
    Bench,
    Case,
    Trial,
    clear,
    contents,
    ensure_same,
    killing,
    run,
    shares_in,
    wait,
)
from tests.servers.server import free_port

GROUND = "Airflow"
VERSION = "3.3.2"
ROOT = Path(__file__).parents[2]
EXAMPLES = {"fan_out": "strategy_analytics_fan_out", "scheduling": "strategy_analytics_reports"}
EXTRACT, REPORTS, FAN_OUT = "strategy_analytics_extract", "strategy_analytics_reports", "strategy_analytics_fan_out"
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")


def installed() -> Path | str:
    """Where its programs are, in an environment of their own; or why there are none."""
    home = CACHE / f"airflow-{VERSION}"
    done_mark = home / "installed"
    if not done_mark.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        words = ["install", "--quiet", "--disable-pip-version-check", f"apache-airflow=={VERSION}"]
        done = subprocess.run([home / "bin/pip", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"pip does not give apache-airflow {VERSION}: {' '.join(done.stderr.split())[-160:]}"
        done_mark.touch()
    return home / "bin"


@dataclass
class Airflow:
    """A running one.

    Attributes:
        folder: Of everything: its home, the checkout, lake and pages.
        bin: Its programs.
        port: Of its pages and of its workers' interface.
        env: Of all its processes.
    """

    folder: Path
    bin: Path
    port: int
    env: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        """As a worker has it: the environment, and definitions of reports."""
        return self.folder / "checkout"

    def prepare(self, source: str) -> None:
        """Write what is there before it starts: the examples but for the place of the checkout and the minutes between tries."""
        home = self.folder / "airflow"
        for path in (home / "dags", self.checkout / "reports"):
            path.mkdir(parents=True)
        (self.checkout / ".venv").symlink_to(Path(sys.executable).parent.parent)
        for name in EXAMPLES:
            text = (ROOT / "docs" / name / "airflow_dag.py").read_text(encoding="utf-8")
            assert "/opt/strategy-analytics" in text and "minutes=5" in text
            text = text.replace("/opt/strategy-analytics", str(self.checkout)).replace("minutes=5", "seconds=3")
            (home / "dags" / f"{name}.py").write_text(text, encoding="utf-8")
        url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ANALYTICS_", "AIRFLOW_"))},
            "PATH": f"{self.bin}:{os.environ.get('PATH', '')}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "3",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "ANALYTICS_DATABASE_URL": source,
            "ANALYTICS_LAKE": str(self.lake),
            "ANALYTICS_SAMPLE_RATE": "0.05",
            "ANALYTICS_RETRIES": "0",
            "ANALYTICS_REPORTS": str(self.pages),
            "GATHERED": str(self.gathered),
        }

    lake = property(lambda self: self.folder / "lake")
    pages = property(lambda self: self.folder / "pages")
    gathered = property(lambda self: self.folder / "gathered")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Everything in one group of processes, which ends with the block."""
        migrated = run(self.bin / "airflow", "db", "migrate", env=self.env, cwd=self.folder)
        assert migrated.returncode == 0, migrated.stderr[-400:]
        with (self.folder / "airflow.log").open("wb") as log:
            words = [self.bin / "airflow", "standalone"]
            server = subprocess.Popen(
                words, env=self.env, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait(lambda: len(self.rows("select dag_id from dag")) >= 3, "the DAGs are not there")
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()

    def rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        """What its database says."""
        path = self.folder / "airflow" / "airflow.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            try:
                return database.execute(query, values).fetchall()
            except sqlite3.OperationalError:  # not made yet, or somebody writes
                return []

    def said(self, *words: str) -> str:
        """What the command says."""
        done = run(self.bin / "airflow", *words, env=self.env, cwd=self.folder)
        assert done.returncode == 0, done.stdout[-300:] + done.stderr[-300:]
        return done.stdout

    def go(self, dag: str) -> str:
        """Let a DAG run by its schedule; the run that it gets at once, by the last moment that has passed."""
        self.said("dags", "unpause", "--yes", dag)
        found = wait(
            lambda: self.rows("select run_id from dag_run where dag_id = ? and run_type = 'scheduled'", dag),
            f"{dag} is not scheduled",
        )
        return str(found[0][0])

    def trigger(self, dag: str, name: str, *more: str) -> str:
        """Start a run by hand."""
        self.said("dags", "trigger", dag, "--run-id", name, *more)
        return name

    def tasks(self, dag: str, name: str) -> dict[str, tuple[str, int]]:
        """Once a run has ended: state and tries of each task, and its own state."""
        ended = "select state from dag_run where dag_id = ? and run_id = ? and state in ('success', 'failed')"
        [[state]] = wait(lambda: self.rows(ended, dag, name), f"run {name} of {dag} does not end")
        query = "select task_id, map_index, state, try_number from task_instance where dag_id = ? and run_id = ? order by 1, 2"
        found = {
            task if int(at) < 0 else f"{task} {int(at) + 1}": (how, int(tries))
            for task, at, how, tries in self.rows(query, dag, name)
        }
        return {**found, "run": (state, 1)}

    def codes(self, dag: str, name: str, task: str, at: int = -1) -> list[int]:
        """What the command's exit codes were, try after try."""
        place = self.folder / "airflow" / "logs" / f"dag_id={dag}" / f"run_id={name}" / f"task_id={task}"
        place = place if at < 0 else place / f"map_index={at}"
        texts = [path.read_text(encoding="utf-8") for path in sorted(place.glob("attempt=*.log"))]
        return [int(code) for text in texts for code in re.findall(r"exited with return code (-?\d+)", text)]

    def define(self, **values: object) -> None:
        """What is rendered in the morning."""
        lines = ["[[report]]", 'name = "runaway-rules"', 'notebook = "runaway_rules"', 'realms = "all"']
        lines += [f'{key} = "{value}"' for key, value in values.items()]
        (self.checkout / "reports" / "nightly.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def trials(bench: Bench, folder: Path) -> None:
    """All of them, one after the other: each finds what the one before has left."""
    found = installed()
    if isinstance(found, str):
        bench.add(Trial(GROUND, "", skipped=found))
        return
    folder.mkdir()
    today = datetime.now(UTC).date()
    population = demo.simulate(runs=6_000, days=4, until=today, directory=folder / "population")
    server = EmbeddedServer(folder / "pg")
    flow = Airflow(folder, found, free_port())
    try:
        demo.load(population, server.start(), with_quirks=False)
        flow.prepare(server.url)
        server.stop()
        with flow.running():
            played = Played(flow, server)
            for what, work in {
                "the examples are read": played.read,
                "extract, scheduled: the source is away at first": played.away,
                "reports: another run holds the lake's lock": played.locked,
                'reports: findings, and fail_on = "any"': played.findings,
                "reports: days of the window are not in the lake": played.missing_days,
                "reports: a definition with a wrong word": played.wrong,
                "extract: the source is away, and stays so": played.gone,
                "fan-out, scheduled: a worker is killed once": played.killed,
                "fan-out, triggered without a date: a worker is killed at each try": played.lost,
                "fan-out, triggered for an earlier day": played.dated,
            }.items():
                bench.play(GROUND, what, work)
    finally:
        server.stop()
        shutil.rmtree(population.truth_path.parent, ignore_errors=True)


@dataclass
class Played:
    """What is done there.

    Attributes:
        flow: Airflow.
        server: The source.
    """

    flow: Airflow
    server: EmbeddedServer

    def read(self) -> str:
        said = self.flow.said("dags", "list-import-errors")
        assert "No data found" in said, said
        return ", ".join(sorted(dag for (dag,) in self.flow.rows("select dag_id from dag")))

    def away(self) -> str:
        name = self.flow.go(EXTRACT)
        wait(lambda: self.flow.codes(EXTRACT, name, "extract"), "no first try")
        self.server.start()
        tasks, codes = self.flow.tasks(EXTRACT, name), self.flow.codes(EXTRACT, name, "extract")
        # A busy machine may cost a try that Airflow itself does not get to start.
        assert codes[0] == 3 and codes[-1] == 0 and tasks["extract"][0] == "success", (tasks, codes)
        return f"exit codes {_list(codes)}: {_told(tasks)}"

    def locked(self) -> str:
        self.flow.define(window="yesterday", fail_on="never")
        self.flow.said("dags", "unpause", "--yes", REPORTS)
        with Lake(self.flow.lake).lock():
            return self.reports("locked", extract=("skipped", [75]), reports=("success", [0]))

    def findings(self) -> str:
        clear(self.flow.pages)  # a page that is up to date alarms nobody a second time
        self.flow.define(window="yesterday", fail_on="any")
        return self.reports("findings", extract=("success", [0]), reports=("failed", [1]))

    def missing_days(self) -> str:
        self.flow.define(window="last month", fail_on="new")
        return self.reports("missing", extract=("success", [0]), reports=("failed", [4]))

    def wrong(self) -> str:
        self.flow.define(window="yesterdy", fail_on="new")
        return self.reports("wrong", extract=("success", [0]), reports=("failed", [2]))

    def gone(self) -> str:
        self.server.stop()
        try:
            self.flow.define(window="yesterday", fail_on="never")
            return self.reports("gone", extract=("failed", [3, 3, 3]), reports=("upstream_failed", []))
        finally:
            self.server.start()

    def reports(self, name: str, **expected: tuple[str, list[int]]) -> str:
        """A morning's run, and what its tasks have to be."""
        self.flow.trigger(REPORTS, name)
        tasks = self.flow.tasks(REPORTS, name)
        codes = {task: self.flow.codes(REPORTS, name, task) for task in expected}
        found = {task: (tasks[task][0], codes[task]) for task in expected}
        assert found == expected, (found, expected)
        return (
            f"{'; '.join(f'{task}: exit code {_list(codes[task])}' for task in codes if codes[task])}: {_told(tasks)}"
        )

    def killed(self) -> str:
        self.clear()
        with killing(self.flow.gathered) as killer:
            name = self.flow.go(FAN_OUT)
            tasks = self.flow.tasks(FAN_OUT, name)
        codes = self.flow.codes(FAN_OUT, name, "gather", VICTIM - 1)
        assert killer.times == 1 and tasks[f"gather {VICTIM}"] == ("success", 2), (killer, tasks, codes)
        assert all(state == "success" for state, _ in tasks.values()), tasks
        return f"exit codes of that share {_list(codes)}: {_told(tasks)}; {self.same()}"

    def lost(self) -> str:
        self.clear()
        with killing(self.flow.gathered, most=99) as killer:
            tasks = self.flow.tasks(FAN_OUT, self.flow.trigger(FAN_OUT, "dateless"))
        assert tasks[f"gather {VICTIM}"] == ("failed", 3) and killer.times == 3, (killer, tasks)
        assert tasks["report"] == ("success", 1) and tasks["run"][0] == "success", tasks
        return f"{_told(tasks)}; {self.same()}"

    def dated(self) -> str:
        self.clear()
        day = datetime.now(UTC).date() - ONE_DAY
        moment = f"{day}T00:00:00+00:00"
        tasks = self.flow.tasks(FAN_OUT, self.flow.trigger(FAN_OUT, "dated", "--logical-date", moment))
        assert all(state == "success" for state, _ in tasks.values()), tasks
        assert shares_in(self.flow.gathered / f"{day}") == set(range(1, SHARES + 1))
        assert [*self.flow.pages.glob(f"runaway_rules_{day - ONE_DAY}_{day}_*")], "the page is of another day"
        return f"{_told(tasks)}; {self.same()}"

    def clear(self) -> None:
        """No shares, no pages."""
        for folder in (self.flow.gathered, self.flow.pages):
            clear(folder)

    def same(self) -> str:
        """The only page that was made is that of one process."""
        [page] = self.flow.pages.glob("runaway_rules_*/report.html")
        since, until = re.findall(r"\d{4}-\d\d-\d\d", page.parent.name)
        alone = Case(self.flow.lake, since, until, self.flow.folder).page()
        return ensure_same(contents(self.flow.pages), alone)


def _told(tasks: dict[str, tuple[str, int]]) -> str:
    """States, those of shares together."""
    states = dict.fromkeys(
        f"{name.partition(' ')[0]} {state}{f' at try {tries}' if tries > 1 else ''}"
        for name, (state, tries) in tasks.items()
        if name != "run"
    )
    return f"{', '.join(states)} (run: {tasks['run'][0]})"


def _list(codes: list[int]) -> str:
    return ", ".join(map(str, codes))
