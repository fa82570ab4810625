"""What is installed: the wheel holds all that the commands need, and every line that says how to install something is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from analytics.cli import main
from analytics.version import __version__
from tests.house import PACKAGE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, somewhere else than the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "PYTHONSAFEPATH": "1",
        "ANALYTICS_REPORTS": "reports/out",
    }
    command = [sys.executable, "-m", "analytics", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_wheel_has_every_file_of_the_package_its_notebooks_and_definitions(installed: Path) -> None:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    ours = {path.relative_to(PACKAGE) for path in files}
    ours |= {Path("notebooks") / path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    ours |= {Path("definitions") / name for name in ("env.example", "nightly.toml", "runaway_rules.toml")}
    package = installed / "analytics"
    assert {path.relative_to(package) for path in package.rglob("*") if path.is_file()} == ours


def test_outside_of_a_checkout_a_report_and_a_schedule_are_made(installed: Path, lake, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "report", "nightly", "--lake", str(lake.root), "--all-realms", "--fail-on", "never")
    assert (done.returncode, "not extracted is" in done.stderr) == (4, True)  # the demo's lake ends before yesterday
    assert [path.name for path in (tmp_path / "reports" / "out").rglob("report.html")] == ["report.html"]
    done = run(installed, tmp_path, "schedule", "--lake", str(lake.root))
    assert done.returncode == 0, done.stderr
    assert f"report run {installed / 'analytics' / 'definitions' / 'nightly.toml'}" in done.stdout
    [copied] = re.findall(r"cp (\S*env\.example) ", done.stderr)
    assert Path(copied).is_file()


def test_a_line_that_says_how_to_install_names_this_checkout_or_what_the_project_asks_for() -> None:
    asked = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    known = {requirement.name: str(requirement.specifier) for requirement in map(Requirement, asked)}
    files = [
        *PACKAGE.rglob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
        *ROOT.glob("*.txt"),
        ROOT / "Makefile",
    ]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines() if "pip install " in line]
    assert len(lines) > 5
    for line in lines:
        for word in re.findall(
            r"'([^']+)'|(?<=install )([a-z][\w.-]*)", line.split("pip install", 1)[1].join(["install", ""])
        ):
            name = next(filter(None, word))
            if name.startswith(".$("):  # a test of its own asks make what it becomes
                continue
            if name.startswith(".["):
                assert set(name[2:-1].split(",")) <= set(PROJECT["optional-dependencies"]), line
            else:
                requirement = Requirement(name)
                assert requirement.name in known, line
                assert str(requirement.specifier) in ("", known[requirement.name]), line


def test_the_changelog_has_a_section_of_this_version_and_the_command_says_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^\]]+)\](?: - (\S+))?$", text, re.MULTILINE)
    assert headings[0] == ("Unreleased", "") and headings[1][0] == __version__
    assert date.fromisoformat(headings[1][1])
    kinds = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    with suppress(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


def test_each_extra_is_pinned_and_so_is_what_the_package_needs() -> None:
    pinned = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    asked = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    names = {canonicalize_name(Requirement(each).name) for each in asked} - {PROJECT["name"]}
    assert sorted(names - pinned) == []


@pytest.mark.parametrize(("words", "asked"), [([], "-e '.'"), (["EXTRAS=s3"], "-e '.[s3]'")])
def test_a_server_installs_the_package_with_and_without_extras(words: list[str], asked: str) -> None:
    done = subprocess.run(
        ["make", "-n", "install-server", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [line for line in done.stdout.splitlines() if line.endswith(f"requirements.txt {asked}")]
