"""Ended in the midst: what was held is let go, and what a killed run has left is cleared by the next one."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import psutil
import pytest

from analytics.cli import main
from analytics.config import Settings
from analytics.errors import ConfigurationError, ReportError, UnknownNameError
from analytics.lake.lake import Lake
from analytics.reports.leak_gate import Forbidden
from analytics.reports.render import kernel, plan, publish_folder, rendering, report_process
from analytics.reports.schedule.definition import Definition
from analytics.storage import scratch, signals

if TYPE_CHECKING:
    from analytics.lake.lake import Lake

pytestmark = pytest.mark.usefixtures("started_reports")

ROOT = Path(__file__).parents[2]
HOLDS = """import sys, time
from pathlib import Path
from analytics.reports.render.publish_folder import staging
with staging(Path(sys.argv[1])) as made:
    (made / "report.html").write_text("half")
    print(made, flush=True)
    time.sleep(60)"""

LOST_SECONDS = 10.0
"""After which a signal that was to be raised again is taken for lost."""


def begun(*words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, env=environment)


def test_what_a_killed_run_has_left_is_cleared_by_the_next_and_what_another_works_in_is_not(tmp_path: Path) -> None:
    killed, alive = (begun("-c", HOLDS, str(tmp_path)) for _ in range(2))
    mask = os.umask(0o022)
    try:
        assert killed.stdout is not None and alive.stdout is not None
        left, held = (Path(child.stdout.readline().strip()) for child in (killed, alive) if child.stdout)
        foreign = tmp_path / "rendering-by-hand"
        foreign.mkdir()
        assert stat.S_IMODE(left.stat().st_mode) == 0o700, "unsearched pages are for nobody else"
        killed.kill()
        killed.wait()
        assert left.is_dir()
        with publish_folder.staging(tmp_path) as made:
            assert not left.exists() and held.is_dir() and foreign.is_dir()
            publish_folder.put_in_place(made, tmp_path / "published")
        assert stat.S_IMODE((tmp_path / "published").stat().st_mode) == 0o755
    finally:
        os.umask(mask)
        for child in (killed, alive):
            child.kill()
            child.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_command_that_is_asked_to_end_in_the_midst_of_a_query_ends_at_once_and_leaves_nothing(
    lake: Lake, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    endless = "select count(*) from range(10000000000000) t(i) where i % 7 = 3"
    words = [sys.executable, "-m", "analytics", "query", "--lake", str(lake.root), "--all-realms", endless]
    child = subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )  # fmt: skip
    try:
        while child.poll() is None and not list(tmp_path.glob(f"{scratch.PREFIX}*")):
            time.sleep(0.05)
        time.sleep(0.5)
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == code, "a process that does not come back is ended the hard way, with 128 and the signal"
    assert "Traceback" not in said
    assert list(tmp_path.glob("*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_asked_to_end_within_a_destructor_is_not_lost(number: signal.Signals) -> None:
    class Held:
        def __del__(self) -> None:
            signal.raise_signal(number)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt), signals.unwinding():
            Held()
            time.sleep(LOST_SECONDS)
            raise AssertionError("the signal went nowhere")
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_known_also_where_what_runs_raises_an_error_of_its_own() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt) as ended, signals.unwinding():
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise RuntimeError("Query interrupted") from None  # DuckDB's word, before any other thread has run
        assert isinstance(ended.value.__cause__, RuntimeError)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_user_without_a_home_and_a_system_without_temporary_files_are_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("analytics.config.os.path.expanduser", lambda said: said)  # as for a number that is no user's
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    known = Forbidden.of(None, tmp_path, env={})
    assert "the home folder" not in known.folders.values()
    with scratch.folder(otherwise=tmp_path) as private:
        assert private.parent == tmp_path
    with pytest.raises(FileNotFoundError), scratch.folder():
        pass


def test_reports_are_not_written_into_a_folder_named_like_an_address() -> None:
    with pytest.raises(ConfigurationError, match="is an address"):
        Settings.from_env({"ANALYTICS_REPORTS": "s3://bucket/reports"})


def test_a_kernel_that_does_not_start_is_a_failure_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def dies(*_: object) -> None:
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(kernel, "_papermill", dies)
    with pytest.raises(ReportError, match="no kernel started: Kernel died"):
        kernel.execute(tmp_path / "a.ipynb", tmp_path / "report.ipynb", {})


@pytest.mark.parametrize("words", [["report"], ["report", "run"]])
def test_a_process_that_dies_while_it_imports_is_a_failure_in_a_sentence_and_no_reader_that_left(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (tmp_path / "papermill.py").write_text("import os; os._exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    is_run = len(words) > 1
    (tmp_path / "nightly.toml").write_text('notebook = "runaway_rules"\nrealms = "all"\ncatch_up_days = 1\n')
    window = ["runaway_rules", "--all-realms", "--since", "2026-07-08", "--until", "2026-07-09"]
    about = [str(tmp_path / "nightly.toml"), "--as-of", "2026-07-09"] if is_run else window
    assert main([*words, *about, "--lake", str(lake.root), "--out", str(tmp_path / "out")]) == 3
    out, err = capfd.readouterr()
    assert is_run or out == ""
    assert "the report's process ended with exit code 7" in err
    [page] = (tmp_path / "out").glob("*.failed/*.html")
    assert "ended with exit code 7" in page.read_text(encoding="utf-8")


def own_notebook(folder: Path, *sources: str) -> Path:
    """A notebook of one's own, with the parameters that every report has."""
    parameters = nbformat.v4.new_code_cell(
        'lake = ""\nrealm = ""\nsince = "7d"\nuntil = "now"', metadata={"tags": ["parameters"]}
    )
    cells = [parameters, *map(nbformat.v4.new_code_cell, sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "mine.ipynb")
    return folder / "mine.ipynb"


def test_a_process_that_is_killed_leaves_its_page_and_its_notebook_as_far_as_it_came(
    lake: Lake, tmp_path: Path
) -> None:
    kills = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    mine = own_notebook(tmp_path, "'as far as this'", "import time; time.sleep(1)", kills)
    planned = plan.plan(
        Definition("mine", str(mine)),
        tmp_path / "out",
        {"lake": str(lake.root), "since": "2026-07-08", "until": "2026-07-09"},
    )
    with pytest.raises(ReportError, match="killed by signal 9") as failed:
        rendering.render(planned)
    page = failed.value.page
    assert isinstance(page, Path) and "killed by signal 9" in page.read_text(encoding="utf-8")
    assert "as far as this" in page.with_name("report.ipynb").read_text(encoding="utf-8")
    assert list(tmp_path.glob("out/.*")) == [], "what it was making is gone"


HANGS = """import sys
if "analytics.reports.render.worker" in sys.orig_argv:
    import pathlib, time
    class Waits:
        def find_spec(self, name, *_):
            if name == "analytics.reports.runaway.report":
                pathlib.Path({runs!r}).touch()
                time.sleep(120)
    sys.meta_path.insert(0, Waits())
"""
"""Begins with every Python of the test: the report's process stands still where it would build the report."""


ALONE = ("runaway_rules", ["report"], 1)
WITH_KERNEL = ("mine.ipynb", ["report"], 2)
OF_MANY = ("mine.ipynb", ["report", "run"], 4)  # what it was forked from, and who waits for it


@pytest.mark.parametrize(
    ("report", "words", "processes", "everybody"),
    [
        (*ALONE, False),
        pytest.param(*WITH_KERNEL, False, marks=pytest.mark.long),
        (*WITH_KERNEL, True),
        (*OF_MANY, True),
        # Of who is asked, and of how many there are, each is above.
        pytest.param(*ALONE, True, marks=pytest.mark.long),
        pytest.param(*OF_MANY, False, marks=pytest.mark.long),
    ],
)
def test_a_report_that_is_asked_to_end_takes_its_processes_with_it_and_leaves_nothing(
    lake: Lake, tmp_path: Path, report: str, words: list[str], processes: int, everybody: bool
) -> None:
    runs = str(tmp_path / "runs")
    (tmp_path / "modules").mkdir()
    if report == "runaway_rules":
        (tmp_path / "modules" / "sitecustomize.py").write_text(HANGS.format(runs=runs))
    own_notebook(tmp_path, f"import pathlib, time; pathlib.Path({runs!r}).touch(); time.sleep(120)")
    (tmp_path / "mine.toml").write_text(f'notebook = "{report}"\nrealms = "all"\nwindow = "yesterday"\n')
    (tmp_path / "tmp").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path / "modules"))),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    places = ["--lake", str(lake.root), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "analytics", *words, str(tmp_path / "mine.toml"), *places]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        while child.poll() is None and not (tmp_path / "runs").exists():
            time.sleep(0.05)
        others = psutil.Process(child.pid).children(recursive=True)
        assert len(others) == processes
        # systemd asks every process of a unit; its own asks a terminal's Ctrl-C, and whoever knows its number.
        for process in [psutil.Process(child.pid), *(others if everybody else [])]:
            with contextlib.suppress(psutil.NoSuchProcess):  # its own has ended it in the meantime
                process.terminate()
        _, said = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGTERM and "Traceback" not in said
        assert psutil.wait_procs(others, timeout=60)[1] == []
    finally:
        child.kill()
    assert list((tmp_path / "tmp").iterdir()) == []
    # Who looks at the reports in the morning sees that this night's was not made.
    pages = [page.read_text(encoding="utf-8") for page in (tmp_path / "out").glob("*.failed/error.html")]
    assert ["the run was interrupted" in page for page in pages] == ([True] if "run" in words else [])


def test_a_report_is_started_where_none_can_be_forked(lake: Lake, tmp_path: Path) -> None:
    planned = plan.plan(
        Definition("mine", str(own_notebook(tmp_path, "'done'"))), tmp_path / "out", {"lake": str(lake.root)}
    )
    with report_process.Warm() as warm:
        first = warm.fork()
        assert first is not None
        first.stdin.close()  # nobody gives it a task
        assert first.wait(60) == 1 and "started by `strategy-analytics report`" in first.stderr.read()
        first.stderr.close()
        assert warm._process is not None
        warm._process.kill()
        warm._process.wait()
        assert warm.fork() is None
        assert report_process.run(planned, tmp_path, warm=warm).code == 0


def test_a_report_whose_watcher_is_killed_is_ended_and_publishes_nothing(lake: Lake, tmp_path: Path) -> None:
    """Else it would be told as failed, and lie there finished a moment later."""
    waits = own_notebook(tmp_path, "import time; time.sleep(60)")
    planned = plan.plan(Definition("mine", str(waits)), tmp_path / "out", {"lake": str(lake.root)})
    found: list[psutil.Process] = []

    def kills() -> bool:
        others = psutil.Process(warm._process.pid).children(recursive=True) if warm._process else []
        if not found and len(others) == 3:  # who watches, the report, its kernel
            found[:] = others
            others[0].kill()
        return False

    with report_process.Warm() as warm:
        ended = report_process.run(planned, tmp_path, warm=warm, is_stopped=kills)
        assert (ended.code, ended.error) == (-signal.SIGKILL, None)
        left = psutil.wait_procs(found, timeout=60)[1]
        # The first process of a container may not clear away what others have left.
        assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []


def test_what_is_imported_for_many_reports_leaves_nothing_and_each_writes_into_its_own_folder(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matplotlib makes itself a folder for temporary files where there is no home, when it is imported."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("MPLCONFIGDIR", "/proc/none")
    (tmp_path / "own").mkdir()
    planned = plan.plan(
        Definition("runaway_rules", "runaway_rules"),
        tmp_path / "out",
        {"lake": str(lake.root), "since": "2026-07-08", "until": "2026-07-09"},
    )
    left: list[list[str]] = []

    def looks() -> bool:
        left.append(sorted(path.name for path in (tmp_path / "tmp").iterdir()))
        return False

    with report_process.Warm() as warm:
        assert report_process.run(planned, tmp_path / "own", warm=warm, is_stopped=looks).code == 0
    assert {name for names in left for name in names} == {name for name in left[-1] if name.startswith(scratch.PREFIX)}
    assert len(left[-1]) == 1, "that of what was imported"
    assert list((tmp_path / "tmp").iterdir()) == []


IMPORTS = """import sys
if "analytics.reports.render.{module}" in sys.orig_argv:
    import pathlib, time
    pathlib.Path({runs!r}).touch()
    time.sleep(120)
"""
"""Begins with every Python of the test: this process stands still while it imports."""


@pytest.mark.parametrize(
    ("words", "module", "number"),
    [
        (["report"], "worker", signal.SIGINT),
        (["report", "run"], "warm", signal.SIGTERM),
        # Of each way to begin and each signal one is above.
        pytest.param(["report"], "worker", signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(["report", "run"], "warm", signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_a_report_that_is_asked_to_end_while_it_imports_ends_and_says_no_more_than_that(
    lake: Lake, tmp_path: Path, words: list[str], module: str, number: signal.Signals
) -> None:
    runs = tmp_path / "runs"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(IMPORTS.format(module=module, runs=str(runs)))
    (tmp_path / "nightly.toml").write_text('notebook = "runaway_rules"\nrealms = "all"\nwindow = "yesterday"\n')
    places = os.pathsep.join((str(ROOT), str(tmp_path / "modules")))
    about = str(tmp_path / "nightly.toml") if len(words) > 1 else "runaway_rules"
    command = [
        sys.executable,
        "-m",
        "analytics",
        *words,
        about,
        "--lake",
        str(lake.root),
        "--out",
        str(tmp_path / "out"),
    ]
    child = subprocess.Popen(
        [*command, *([] if len(words) > 1 else ["--all-realms"])], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": places}, process_group=0,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )  # fmt: skip
    try:
        while child.poll() is None and not runs.exists():
            time.sleep(0.05)
        others = psutil.Process(child.pid).children(recursive=True)
        os.killpg(child.pid, number)
        _, said = child.communicate(timeout=report_process.LET_GO_SECONDS + 10)
    finally:
        child.kill()
    assert child.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in said
    assert psutil.wait_procs(others, timeout=60)[1] == []
    pages = [page.read_text(encoding="utf-8") for page in (tmp_path / "out").glob("*.failed/error.html")]
    assert ["the run was interrupted" in page for page in pages] == ([True] if len(words) > 1 else [])


def test_a_kernels_process_whom_nobody_tells_where_to_listen_ends() -> None:
    words = [sys.executable, "-P", "-m", "analytics.reports.render.kernel_process"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(words, input="", text=True, capture_output=True, env=environment, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_facts_of_an_error_come_back_as_far_as_json_has_them(tmp_path: Path) -> None:
    facts = {"names": ["a", 1], "page": tmp_path / "error.html", "places": [object()], "row": {"a": 1}}
    report_process.answer(tmp_path, UnknownNameError("no such name", hint="look again", **facts))
    error = report_process._answer(tmp_path)
    assert type(error) is UnknownNameError and (error.message, error.hint) == ("no such name", "look again")
    assert error.facts == {"names": ["a", 1], "page": tmp_path / "error.html"}
