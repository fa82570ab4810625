"""Every example schedule is read by its own tool, calls commands that exist, and holds no secret; so are printed ones."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cronsim import CronSim

from analytics.cli import main
from analytics.cli.arguments import parse
from analytics.lake.lake import Lake
from analytics.version import __version__

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "scheduling"
UNITS = sorted([*EXAMPLES.glob("*.service"), *EXAMPLES.glob("*.timer")])
COMMANDS = ["extract", "report run reports/nightly.toml"]
MIDNIGHT = datetime(2026, 7, 10, tzinfo=UTC)
EVERY_HOUR = [f"{hour:02}:15" for hour in range(24)]

OLDEST_KUBERNETES = "1.29"
"""The published schema of 1.28 asks for onPodConditions in every rule, which the server never did."""


def text(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


def is_a_command(words: list[str]) -> bool:
    """The command's own parser takes these words."""
    try:
        return parse(words) is not None
    except SystemExit:
        return False


# ---- cron ------------------------------------------------------------------------------------------------------------


def cron_entries(crontab: str) -> list[tuple[str, str]]:
    """Times and command of each line, the command as cron hands it to the shell: crontab(5)."""
    found = []
    for line in crontab.splitlines():
        if re.match(r"\s*(#|$)|\s*\w+\s*=", line):
            continue
        *fields, command = line.split(None, 5)
        # The first percent sign that is not escaped ends the command; what follows is its standard input.
        command = re.split(r"(?<!\\)%", command)[0].replace(r"\%", "%")
        found.append((" ".join(fields), command))
    return found


def hours_of_a_day(times: str) -> list[str]:
    """When a line runs on 2026-07-10, after midnight."""
    return [f"{moment:%H:%M}" for moment in takewhile(lambda moment: moment.day == 10, CronSim(times, MIDNIGHT))]


def test_the_crontab_extracts_every_hour_and_reports_every_morning() -> None:
    extract, report = cron_entries(text("crontab"))
    assert hours_of_a_day(extract[0]) == EVERY_HOUR
    assert hours_of_a_day(report[0]) == ["05:30"]
    assert f"strategy-analytics {COMMANDS[0]}" in extract[1]
    assert f"strategy-analytics {COMMANDS[1]} 2>&1" in report[1]
    for _, command in (extract, report):
        subprocess.run(["/bin/sh", "-n", "-c", command], check=True)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 75])
def test_from_cron_only_a_breakdown_is_mailed(tmp_path: Path, place: int, code: int) -> None:
    is_breakdown = code not in ((0, 75), (0, 1, 75))[place]  # findings of a report are none
    mailed = "the source is away\n" * is_breakdown
    command = tmp_path / ".venv" / "bin" / "strategy-analytics"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\necho the source is away >&2\nexit {code}\n", encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / ".env").touch()
    (_, line) = cron_entries(text("crontab").replace("/opt/strategy-analytics", str(tmp_path)))[place]
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == (mailed, 0)


# ---- systemd ---------------------------------------------------------------------------------------------------------


def systemd_analyze() -> str:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    return tool


_OF_OTHERS = re.compile(r"(?:/usr/lib/systemd/user/)?[\w@-]+\.socket: |/usr/lib/systemd/user/[\w@-]+\.socket:\d+: ")
"""The examples have no socket."""


def verify(folder: Path, *options: str) -> str:
    """What systemd-analyze has against the units of a folder. It exits 0 for an unknown key, but names it."""
    units = sorted(str(path) for path in folder.iterdir() if path.suffix in (".service", ".timer"))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}  # a user's own systemd asks for one
    words = [systemd_analyze(), *options, "verify", "--man=no", *units]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    # It loads what is installed beside them, too: of an agent's socket that has no folder here ours know nothing.
    said = [line for line in (done.stdout + done.stderr).splitlines() if not _OF_OTHERS.match(line)]
    return "".join(f"{line}\n" for line in said) + (f"exit code {done.returncode}" if done.returncode else "")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The example units, for a checkout that is there."""
    command = tmp_path / "checkout" / ".venv" / "bin" / "strategy-analytics"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n", encoding="utf-8")
    command.chmod(0o755)
    folder = tmp_path / "units"
    folder.mkdir()
    for path in UNITS:
        told = path.read_text(encoding="utf-8").replace("/opt/strategy-analytics", str(tmp_path / "checkout"))
        (folder / path.name).write_text(told, encoding="utf-8")
    return folder


def test_systemd_has_nothing_against_the_units(units: Path) -> None:
    assert len(UNITS) == 5
    assert verify(units) == ""
    service = units / "strategy-analytics-reports.service"
    service.write_text(service.read_text(encoding="utf-8").replace("ProtectSystem", "ProtectSytem"), encoding="utf-8")
    assert "Unknown key" in verify(units)


@pytest.mark.parametrize("name", ["extract", "reports"])
def test_the_services_can_reach_little(units: Path, name: str) -> None:
    unit = units / f"strategy-analytics-{name}.service"
    words = [systemd_analyze(), "security", "--offline=yes", "--threshold=20", "--no-pager", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, [*done.stdout.splitlines()[-1:], done.stderr]


def test_the_units_run_the_commands_skip_a_held_lock_and_try_again_only_what_may_pass() -> None:
    codes = (
        {"SuccessExitStatus=75", "RestartPreventExitStatus=1 2"},
        {"SuccessExitStatus=1 75", "RestartPreventExitStatus=2 4"},
    )
    for name, command, own in (("extract", COMMANDS[0], codes[0]), ("reports", COMMANDS[1], codes[1])):
        lines = text(f"strategy-analytics-{name}.service").splitlines()
        assert f"ExecStart=/opt/strategy-analytics/.venv/bin/strategy-analytics {command}" in lines
        assert {*own, "Restart=on-failure"} <= set(lines)
        assert "OnFailure=strategy-analytics-alert@%N.service" in lines
        timer = text(f"strategy-analytics-{name}.timer").splitlines()
        assert {"Persistent=true", "WantedBy=timers.target"} <= set(timer)


def test_only_the_extraction_is_handed_a_password_and_no_unit_holds_one() -> None:
    assert "LoadCredential=pgpass:" in text("strategy-analytics-extract.service")
    assert "LoadCredential" not in text("strategy-analytics-reports.service")
    for path in UNITS:
        assert not re.search(r"postgres(ql)?://|password=", path.read_text(encoding="utf-8"), re.IGNORECASE)


# ---- Kubernetes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def objects() -> dict[str, dict[str, Any]]:
    found = list(yaml.safe_load_all(text("cronjob.yaml")))
    return {f"{thing['kind']} {thing['metadata']['name']}": thing for thing in found}


def pod(cron_job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
def test_kubernetes_knows_every_field_of_the_manifest(objects: dict[str, dict[str, Any]], version: str) -> None:
    assert len(objects) == 3
    for thing in objects.values():
        kubernetes_validate.validate(thing, version, strict=True)
    pod(objects["CronJob strategy-analytics-extract"])["restartPolice"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError, match="restartPolice"):
        kubernetes_validate.validate(objects["CronJob strategy-analytics-extract"], version, strict=True)


@pytest.mark.parametrize(("name", "hours"), [("extract", EVERY_HOUR), ("reports", ["05:30"])])
def test_the_cron_jobs_never_overlap_and_run_at_their_hours_in_utc(
    objects: dict[str, dict[str, Any]], name: str, hours: list[str]
) -> None:
    spec = objects[f"CronJob strategy-analytics-{name}"]["spec"]
    assert (spec["concurrencyPolicy"], spec["timeZone"]) == ("Forbid", "Etc/UTC")
    assert hours_of_a_day(spec["schedule"]) == hours
    [container] = pod(objects[f"CronJob strategy-analytics-{name}"])["containers"]
    assert is_a_command(container["args"])
    rules = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    codes = {code: rule["action"] for rule in rules for code in rule.get("onExitCodes", {"values": []})["values"]}
    cannot_tell = {4: "FailJob"} if name == "reports" else {}
    assert codes == {1: "FailJob", 2: "FailJob", 75: "Ignore", **cannot_tell}  # 3 counts towards backoffLimit
    assert {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule} == {container["name"]}


def test_the_pods_run_as_nobody_in_particular_with_a_read_only_root(objects: dict[str, dict[str, Any]]) -> None:
    jobs = [thing for thing in objects.values() if thing["kind"] == "CronJob"]
    assert len(jobs) == 2
    for job in jobs:
        [container] = pod(job)["containers"]
        assert pod(job)["securityContext"]["runAsNonRoot"] is True
        assert pod(job)["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert re.search(r":\d+\.\d+\.\d+$", container["image"])
        assert container["resources"]["limits"]["memory"]
        for variable in container.get("env", []):
            assert "URL" not in variable["name"] or "secretKeyRef" in variable["valueFrom"]


def test_the_container_installs_the_wheel_in_the_tested_versions_and_is_not_run_as_root() -> None:
    lines = text("Containerfile").replace("\\\n", " ").splitlines()
    [base] = [line.partition("=")[2] for line in lines if line.startswith("ARG BASE=")]
    assert ":" in base and not base.endswith(":latest")
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"${BASE}"}  # a digest may be named
    installs = [line for line in lines if "pip install" in line]
    assert len(installs) == 2 and all("--constraint requirements.txt" in line for line in installs)
    assert "hatchling build --target wheel --directory /wheels" in installs[0] and installs[1].endswith(
        " /wheels/*.whl"
    )
    user = [line.split()[1] for line in lines if line.startswith("USER ")][-1]
    assert int(user.split(":")[0]) > 0
    copied = [word for line in lines if re.match(r"COPY (?!--from)", line) for word in line.split()[1:-1]]
    assert [name for name in copied if not list(ROOT.glob(name.removeprefix("./")))] == []
    assert lines[-1] == 'ENTRYPOINT ["strategy-analytics"]'


def test_the_containers_health_is_that_of_the_lake() -> None:
    [health] = re.findall(r"^HEALTHCHECK .*?CMD (\[[^]]*\])$", text("Containerfile"), re.MULTILINE | re.DOTALL)
    program, *words = json.loads(health)
    assert program == "strategy-analytics"
    invocation = parse(words)
    assert invocation is not None and invocation.verb == "status" and "--max-age" in words


def test_examples_name_the_image_of_this_version() -> None:
    named = [
        version
        for path in (ROOT / "docs").rglob("*")
        if path.is_file()
        for version in re.findall(r"/strategy-analytics:([\d.]+)", path.read_text(encoding="utf-8"))
    ]
    assert len(named) >= 5 and set(named) == {__version__}


# ---- Airflow ---------------------------------------------------------------------------------------------------------


def test_airflow_loads_the_dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    loading = pytest.importorskip("airflow.dag_processing.dagbag", reason="Airflow is not installed")
    bag = loading.DagBag(str(EXAMPLES / "airflow_dag.py"))
    assert bag.import_errors == {}
    extract, reports = (bag.dags[f"strategy_analytics_{name}"] for name in ("extract", "reports"))
    assert [(dag.catchup, dag.max_active_runs) for dag in (extract, reports)] == [(False, 1), (False, 1)]
    assert reports.get_task("extract").downstream_task_ids == {"reports"}
    assert {tuple(task.skip_on_exit_code) for dag in (extract, reports) for task in dag.tasks} == {(75,)}
    assert {task.bash_command.split(None, 1)[1] for task in reports.tasks} == set(COMMANDS)


def test_the_dags_run_at_their_hours() -> None:
    schedules = re.findall(r'\bschedule="([^"]+)"', text("airflow_dag.py"))
    assert [hours_of_a_day(times) for times in schedules] == [EVERY_HOUR, ["05:30"]]


# ---- the command schedule --------------------------------------------------------------------------------------------

HARD = "100% O'Brien's \"own\" $HOME"
"""A folder's name with all that means something to the shell, to cron or to systemd."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a hard name, whose command writes down how it was called."""
    here = tmp_path / HARD
    command = here / ".venv" / "bin" / "strategy-analytics"
    command.parent.mkdir(parents=True)
    told = '"$PWD" "$ANALYTICS_LAKE" "$ANALYTICS_REPORTS" "$ANALYTICS_DATABASE_URL" "$@"'
    command.write_text(f"#!/bin/sh\nprintf '%s\\n' {told} > {shlex.quote(str(tmp_path))}/called\n", encoding="utf-8")
    command.chmod(0o755)
    (here / "reports").mkdir()
    for name in ("nightly", "weekly"):
        (here / "reports" / f"{name}.toml").write_text('notebook = "runaway_rules"\n', encoding="utf-8")
    (here / ".env").write_text("ANALYTICS_DATABASE_URL=host=db.example\nANALYTICS_LAKE=elsewhere\n", encoding="utf-8")
    (here / ".env").chmod(0o600)
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "executable", str(command.with_name("python")))
    for name in ("ANALYTICS_LAKE", "ANALYTICS_REPORTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", "postgresql://reader:s3cret@db.example/game")
    return here


def test_the_printed_crontab_runs_this_checkout_whatever_its_name(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedule", "--lake", "my lake"]) == 0
    out, err = capsys.readouterr()
    extract, report = cron_entries(out)
    assert hours_of_a_day(extract[0]) == EVERY_HOUR
    for command, words in ((extract[1], ["extract"]), (report[1], COMMANDS[1].split())):
        subprocess.run(["/bin/sh", "-c", command], env={}, cwd="/", check=True)
        called = (checkout.parent / "called").read_text(encoding="utf-8").splitlines()
        places = [str(checkout), str(checkout / "my lake"), str(checkout / "reports" / "out")]
        assert called == [*places, "host=db.example", *words]
        assert is_a_command(words)
    assert str(checkout / ".env") in err
    assert "s3cret" not in out + err


def test_installing_the_lines_twice_leaves_them_once(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["schedule"])
    out, err = capsys.readouterr()
    others = "5 4 * * *  backup\n"
    [removal] = re.findall(r"sed '[^']+'", err)
    kept = subprocess.run(["/bin/sh", "-c", removal], input=others + out, capture_output=True, text=True, check=True)
    assert kept.stdout == others
    assert f"{shlex.quote(str(checkout / '.venv/bin/strategy-analytics'))} schedule)" in err


@pytest.mark.parametrize(("zone", "hour"), [("UTC", "05:30"), ("IST-5:30", "11:00"), ("PST8", "21:30")])
def test_half_past_five_utc_is_said_in_the_time_zone_of_the_machine(
    checkout: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, zone: str, hour: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        main(["schedule"])
    time.tzset()
    [_, (times, _)] = cron_entries(capsys.readouterr().out)
    assert hours_of_a_day(times) == [hour]


def test_definitions_that_are_named_run_instead_of_the_nightly_one(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def scheduled(*words: str) -> list[str]:
        assert main(["schedule", *words]) == 0
        [_, *reports] = [command for _, command in cron_entries(capsys.readouterr().out)]
        return [command.partition(" report run ")[2].partition(" 2>&1")[0] for command in reports]

    assert scheduled("reports/weekly.toml", "reports/nightly.toml") == ["reports/weekly.toml reports/nightly.toml"]
    (checkout / "reports" / "nightly.toml").unlink()
    assert scheduled() == ["reports/weekly.toml"]
    (checkout / "reports" / "weekly.toml").unlink()
    assert scheduled() == []


def test_systemd_has_nothing_against_the_printed_units_whatever_the_name_of_the_checkout(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = checkout.parent / "units"
    assert main(["schedule", "--format", "systemd", "--into", str(into)]) == 0
    out, err = capsys.readouterr()
    assert sorted(Path(line).name for line in out.splitlines()) == sorted(path.name for path in into.iterdir())
    service = (into / "strategy-analytics-extract.service").read_text(encoding="utf-8")
    [directory] = re.findall(r"^WorkingDirectory=(.*)$", service, re.MULTILINE)
    assert directory.replace("%%", "%") == str(checkout)
    [start] = re.findall(r"^ExecStart=/usr/bin/env (.*)$", service, re.MULTILINE)
    # In systemd's quotation marks %% and $$ stand for one of each: systemd.service(5).
    words = shlex.split(start.replace("%%", "%").replace("$$", "$"))
    subprocess.run(["/usr/bin/env", *words], cwd=checkout, env={}, check=True)
    called = (checkout.parent / "called").read_text(encoding="utf-8").splitlines()
    assert called == [str(checkout), str(checkout / "lake"), str(checkout / "reports/out"), "", "extract"]
    assert "s3cret" not in service + out + err
    assert "SuccessExitStatus=75" in service
    assert verify(into, "--user") == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lake", "a\\b"], "backslash"),
        (["--lake", "a\nb"], "control character"),
        (["--into", "units"], "--into is for systemd"),
        (["reports/none.toml"], "there is no report definition reports/none.toml"),
    ],
)
def test_what_cron_would_read_otherwise_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["schedule", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True)


def test_settings_that_others_can_read_are_warned_of(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / ".env").chmod(0o644)
    main(["schedule"])
    assert "chmod 600" in capsys.readouterr().err.splitlines()[-1]
    (checkout / ".env").unlink()
    main(["schedule"])
    assert "it is not there yet" in capsys.readouterr().err


# ---- the journal -----------------------------------------------------------------------------------------------------


def said_to(stream: Path, journal: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Exit code and stderr of a command whose stderr is one file, where systemd says that the journal is another."""
    journal.touch()
    with stream.open("w", encoding="utf-8") as target, monkeypatch.context() as patched:
        found = journal.stat()
        patched.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        patched.setattr(sys, "stderr", target)
        code = main(words)
    return code, stream.read_text(encoding="utf-8").splitlines()


def test_in_the_journal_every_line_carries_its_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "stderr"
    words = ["status", "--lake", str(tmp_path / "none\n<0>forged")]
    code, lines = said_to(out, out, words, monkeypatch)
    assert code == 3
    assert len(lines) > 1
    assert {line[:3] for line in lines} == {"<3>"}
    with Lake(tmp_path / "lake").lock():
        words = ["extract", "--lake", str(tmp_path / "lake"), "--database-url", "postgresql://x@127.0.0.1:1/none"]
        code, lines = said_to(out, out, words, monkeypatch)
    assert (code, {line[:3] for line in lines}) == (75, {"<5>"})
    assert "\x1b" not in "".join(lines)


def test_elsewhere_lines_are_plain_even_where_the_journal_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["status", "--lake", str(tmp_path / "none")]
    code, lines = said_to(tmp_path / "stderr", tmp_path / "journal", words, monkeypatch)
    assert (code, lines[0].startswith("strategy-analytics: ")) == (3, True)


# ---- what they call --------------------------------------------------------------------------------------------------


def test_every_command_of_every_example_is_one() -> None:
    called: set[str] = set()
    for path in sorted(EXAMPLES.iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines():
            for match in re.finditer(r"(?:bin/|^[# ]*|`)strategy-analytics ([a-z][^\n\"`|;<>)#]*)", line):
                called.add(re.sub(r"\s+2$", "", match[1]).strip())
    assert set(COMMANDS) <= called
    assert [words for words in called if not is_a_command(shlex.split(words))] == []
    assert not is_a_command(["extract", "--hourly"])


def test_a_url_with_options_written_into_the_example_of_settings_reaches_the_command_whole(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    url = "postgresql://reader@db.example/game?sslmode=require&connect_timeout=5"
    (tmp_path / ".env").write_text(example.replace("postgresql://reader@db.example/game", url), encoding="utf-8")
    # As the printed lines of a crontab read it.
    script = 'set -a && . ./.env && printf %s "$ANALYTICS_DATABASE_URL"'
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, check=True
    )
    assert (done.stdout.decode(), done.stderr) == (url, b"")
