"""The tour in a real JupyterLab: what it shows, in the styles that it really gets there, and what it completes.

Skipped where there is no Chromium or no JupyterLab; REQUIRE_BROWSER=1 (as in CI) makes the first a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics import sql
from analytics.lake.lake import Lake
from tests.chromium import Shown, chromium
from tests.jupyterlab import PANEL, READY, laboratory, opened, until

pytest.importorskip("jupyterlab", reason="there is no JupyterLab in this environment (extra lab)")


@pytest.fixture(scope="module")
def server(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with laboratory(tmp_path_factory.mktemp("home"), Path(str(lake.root))) as address:
        yield address


@pytest.fixture(scope="module")
def tour(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The notebook of the tour, its cells run, in a window tall enough to hold them."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        shown = opened(browser, server, 1400, 12_000)
        # Every cell is to be there to be looked at, also those that no window would show.
        shown.ask(f"{PANEL}.content.notebookConfig = {{...{PANEL}.content.notebookConfig, windowingMode: 'none'}}; 0")
        shown.ask("void jupyterapp.commands.execute('notebook:run-all-cells')")
        until(shown, f"{PANEL}.content.widgets.at(-1).model.executionCount > 0 && ({READY})")
        yield shown


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
