"""The tour in a real JupyterLab: what it shows, in the styles that it really gets there, and what it completes.

Skipped where there is no Chromium or no JupyterLab; REQUIRE_BROWSER=1 (as in CI) makes the first a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics import sql
from analytics.lake.lake import Lake
from tests.chromium import Shown, chromium

pytest.importorskip("jupyterlab", reason="there is no JupyterLab in this environment (extra lab)")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SECONDS = 60
PANEL = "jupyterapp.shell.currentWidget"
READY = f"""window.jupyterapp && {PANEL}?.content?.widgets?.length > 2
    && {PANEL}.sessionContext.session?.kernel?.status === 'idle'"""


@pytest.fixture(scope="module")
def server(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab on this machine alone, with a folder, settings and a home of its own."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(NOTEBOOKS, home / "checkout" / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(home / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    words = [
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=", "--expose-app-in-browser",
        f"--ServerApp.root_dir={home / 'checkout'}", f"--LabApp.workspaces_dir={home / 'workspaces'}", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    log = (home / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *words],
        env=os.environ | own | {"HOME": str(home), "ANALYTICS_LAKE": str(lake.root)},
        stdout=subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,
    )
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()  # noqa: S310  # our own server
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()


@pytest.fixture(scope="module")
def tour(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The notebook of the tour, its cells run, in a window tall enough to hold them."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            browser.call(f"{domain}.enable", session)
        size = {"width": 1400, "height": 12_000, "deviceScaleFactor": 1, "mobile": False}
        browser.call("Emulation.setDeviceMetricsOverride", session, **size)
        browser.call("Page.navigate", session, url=f"{server}/lab/tree/notebooks/explore.ipynb?reset")
        shown = Shown(browser, session)
        until(shown, READY)
        # Every cell is to be there to be looked at, also those that no window would show.
        shown.ask(f"{PANEL}.content.notebookConfig = {{...{PANEL}.content.notebookConfig, windowingMode: 'none'}}; 0")
        shown.ask("void jupyterapp.commands.execute('notebook:run-all-cells')")
        until(shown, f"{PANEL}.content.widgets.at(-1).model.executionCount > 0 && ({READY})")
        yield shown


def until(shown: Shown, script: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not shown.ask(f"(() => {{ try {{ return !!({script}) }} catch (e) {{ return false }} }})()"):
        assert time.monotonic() < deadline, script
        time.sleep(0.1)


def style(shown: Shown, selector: str, name: str) -> list[str]:
    """What the elements of a selector really get; some there must be."""
    until(shown, f"document.querySelector({selector!r})")
    return list(shown.ask(f"[...document.querySelectorAll({selector!r})].map(e => getComputedStyle(e)[{name!r}])"))


def test_every_cell_of_the_tour_runs(tour: Shown) -> None:
    outputs = tour.ask(f"{PANEL}.content.model.toJSON().cells.flatMap(c => c.outputs ?? [])")
    assert len(outputs) > 10
    assert [output for output in outputs if output["output_type"] == "error"] == []


def test_the_calendar_has_a_cell_for_each_day_in_our_own_letters(tour: Shown) -> None:
    assert not [font for font in style(tour, ".sa .sa-cal :is(td,th)", "fontFamily") if "Awesome" in font]
    heads = "[...document.querySelectorAll('.sa-card .sa-cal thead tr:last-child th')]"
    widths = tour.ask(f"{heads}.slice(1).map(e => e.getBoundingClientRect().width)")
    assert len(widths) > 5 and max(widths) - min(widths) < 2  # table-layout: fixed
    assert set(style(tour, ".sa-card .sa-cal td, .sa-card .sa-cal th", "display")) == {"table-cell"}


def test_code_tables_and_stripes_are_those_of_the_page(tour: Shown) -> None:
    assert set(style(tour, ".sa pre", "paddingLeft")) == {"14px"}
    assert set(style(tour, ".sa pre", "fontSize")) == {"12.5px"}
    assert set(style(tour, ".sa td code", "backgroundColor")) == {"rgba(0, 0, 0, 0)"}
    assert set(style(tour, ".sa tbody tr", "backgroundColor")) == {"rgba(0, 0, 0, 0)"}


def test_answers_and_reports_look_like_answers(tour: Shown) -> None:
    tables = tour.ask("[...document.querySelectorAll('.jp-OutputArea .sa table')].map(t => t.innerText)")
    summary = next(text for text in tables if "est_failure_rate" in text)
    assert summary.startswith("family_name\tstrategy_version\trealm_id\t")
    assert "est_runs_low" not in summary and "good" in summary
    assert any("report.changed()" in text for text in tables)
    assert tour.ask(
        "[...document.querySelectorAll('.jp-OutputArea .sa h1')].some(h => h.innerText.includes('Speed bonus'))"
    )


def test_only_names_are_completed(tour: Shown) -> None:
    assert completed(tour, 'analytics.post_mortem(lake, family="Speed b', "Speed bonus") == {"Speed bonus"}
    assert completed(tour, 'lake.run("', "failures") == set(
        sql.names("queries")
    )  # no file, no magic, no word of the notebook


def completed(tour: Shown, typed: str, name: str) -> set[str]:
    """What a list of completions offers, or types by itself where there is but one."""
    count = tour.ask(f"{PANEL}.content.widgets.length")
    tour.ask("void jupyterapp.commands.execute('notebook:insert-cell-below')")
    until(tour, f"{PANEL}.content.widgets.length > {count} && {PANEL}.content.activeCell.editor")
    tour.ask(
        f"""(() => {{ const cell = {PANEL}.content.activeCell; cell.model.sharedModel.setSource({typed!r});
            {PANEL}.content.mode = 'edit'; cell.editor.focus();
            cell.editor.setCursorPosition({{line: 0, column: {len(typed)}}});
            void jupyterapp.commands.execute('completer:invoke-notebook') }})()"""
    )
    found = "[...document.querySelectorAll('.jp-Completer-item .jp-Completer-match')].map(e => e.innerText)"
    source = f"{PANEL}.content.activeCell.model.sharedModel.getSource()"
    until(tour, f"({found}).includes({name!r}) || {source}.includes({name!r})")
    return set(tour.ask(found) or [name])
