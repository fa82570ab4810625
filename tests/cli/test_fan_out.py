"""The examples of docs/fan_out: they run, or the one who would run them knows every word."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import kubernetes_validate
import pytest
import yaml

import analytics
from analytics.cli.arguments import parse
from analytics.demo import UNTIL
from analytics.lake.lake import Lake

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "fan_out"
SINCE = UNTIL - timedelta(days=1)


def text(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


def takes(words: list[str]) -> bool:
    """The command's own parser takes these words."""
    return parse(words) is not None


@pytest.mark.long
def test_make_gathers_side_by_side_and_the_report_says_the_very_same(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kept = out / ".gathered" / "of somebody else"
    kept.parent.mkdir(parents=True)
    kept.touch()
    values = {
        "LAKE": lake.root, "SINCE": SINCE, "UNTIL": UNTIL, "OUT": out, "SHARES": 3,
        "COMMAND": f"{sys.executable} -m analytics",
    }  # fmt: skip
    # The make that runs these tests would give its own jobs to this one.
    free = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", "-j2", "-f", EXAMPLES / "Makefile", *(f"{key}={value}" for key, value in values.items())],
        capture_output=True,
        text=True,
        env=free,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"share [123] of 3: 10 files", done.stderr)) == 3
    [path] = out.glob("*/summary.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    window = {"since": SINCE.isoformat(), "until": UNTIL.isoformat()}
    alone = analytics.runaway_rules(str(lake.root), previous="none", **window).summary()
    del alone["nav"]  # of the page, not of the facts
    assert {key: found[key] for key in alone} == json.loads(json.dumps(alone))
    assert list((out / ".gathered").iterdir()) == [kept]


def test_make_wants_a_window() -> None:
    done = subprocess.run(["make", "-f", EXAMPLES / "Makefile"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "SINCE=YYYY-MM-DD is missing" in done.stderr


@pytest.fixture
def jobs() -> dict[str, Any]:
    return {job["metadata"]["name"].rpartition("-")[2]: job for job in yaml.safe_load_all(text("kubernetes.yaml"))}


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_kubernetes_knows_every_field(jobs: dict[str, Any], version: str) -> None:
    assert set(jobs) == {"gather", "report"}
    for job in jobs.values():
        kubernetes_validate.validate(job, version, strict=True)
        assert job["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_every_pod_has_a_share_and_the_report_looks_where_they_are(jobs: dict[str, Any]) -> None:
    spec = jobs["gather"]["spec"]
    [line] = spec["template"]["spec"]["containers"][0]["args"]
    said = []
    for index in range(spec["completions"]):
        shell = ["sh", "-c", line.replace("exec strategy-analytics", "printf '%s\\n'")]
        done = subprocess.run(
            shell, capture_output=True, text=True, env={"JOB_COMPLETION_INDEX": str(index)}, check=True
        )
        said.append(done.stdout.split())
        assert takes(said[-1])
    shares = [words[words.index("--share") + 1] for words in said]
    assert shares == [f"{share}/8" for share in range(1, 9)]
    report = jobs["report"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert takes(report)
    assert report[report.index("--gathered") + 1] == said[0][said[0].index("--into") + 1]
    for name in ("--lake", "--since", "--until"):
        assert report[report.index(name) + 1] == said[0][said[0].index(name) + 1]


def test_the_tasks_of_airflow_are_commands() -> None:
    values = {
        "YESTERDAY": "--all-realms --since 2026-07-09 --until 2026-07-10",
        "GATHERED": "G",
        "share": "1",
        "SHARES": "8",
    }
    commands = re.findall(r'f"\.venv/bin/strategy-analytics ([^"]+)"', text("airflow_dag.py"))
    assert [command.split()[0] for command in commands] == ["gather", "report"]
    for command in commands:
        assert takes(re.sub(r"\{(\w+)\}", lambda match: values[match[1]], command).split())


@pytest.mark.parametrize(
    ("kind", "logical", "after", "days"),
    [
        ("scheduled", "2026-07-10T05:30", "2026-07-10T05:30", "2026-07-09 2026-07-10"),
        ("scheduled", "2026-07-09T05:30", "2026-07-10T05:30", "2026-07-09 2026-07-10"),  # Airflow counts in intervals
        ("manual", None, "2026-07-10T11:00", "2026-07-09 2026-07-10"),
        ("manual", "2026-07-03T05:30", "2026-07-10T11:00", "2026-07-02 2026-07-03"),
    ],
)
def test_a_run_of_airflow_finds_its_day_with_and_without_a_date(
    kind: str, logical: str | None, after: str, days: str
) -> None:
    names: dict[str, str] = {}
    written = ast.parse(text("airflow_dag.py"))
    wanted = ("MOMENT", "YESTERDAY", "GATHERED")
    chosen = [one for one in written.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) in wanted]
    exec(compile(ast.Module(chosen, []), "airflow_dag.py", "exec"), names)  # noqa: S102  # ours; Airflow is not installed
    rendering = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    rendering.filters["ds"] = lambda moment: moment.date().isoformat()

    def ds_add(day: str, more: int) -> str:
        return (date.fromisoformat(day) + timedelta(days=more)).isoformat()

    run = SimpleNamespace(
        run_type=kind,
        logical_date=datetime.fromisoformat(logical) if logical else None,
        run_after=datetime.fromisoformat(after),
    )
    said = [
        rendering.from_string(names[name]).render(dag_run=run, macros=SimpleNamespace(ds_add=ds_add))
        for name in wanted[1:]
    ]
    since, until = days.split()
    assert said[0] == f"--all-realms --since {since} --until {until}"
    assert said[1].endswith(f'/{until}"')


def test_airflow_loads_the_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    loading = pytest.importorskip("airflow.dag_processing.dagbag", reason="Airflow is not installed")
    bag = loading.DagBag(str(EXAMPLES / "airflow_dag.py"))
    assert bag.import_errors == {}
    assert bag.dags["strategy_analytics_fan_out"].get_task("gather").downstream_task_ids == {"report"}
