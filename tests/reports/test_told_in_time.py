"""What a person is told while a report is made, and what a scheduler is told when it could not tell."""

from __future__ import annotations

import io
import logging
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from analytics import api
from analytics.lake.expiry_mark import Expired
from analytics.lake.lake import Lake
from analytics.lake.repair import extraction
from analytics.reports import missing_days
from analytics.reports.render import steps
from analytics.reports.schedule import cards
from analytics.reports.schedule.run import Outcome, RunResult, run
from tests.reports.test_report_run import at, card, nightly, notebook


class Screen(io.StringIO):
    """stderr of a terminal."""

    def isatty(self) -> bool:
        return True


STEPS = [f"{steps.MARK}1 of 2 · Verdict", f"{steps.MARK}2 of 2 · League", "a warning"]


@pytest.mark.parametrize(
    ("screen", "level", "shown"),
    [
        (Screen(), logging.WARNING, "\r\x1b[K1 of 2 · Verdict\r\x1b[K2 of 2 · League\r\x1b[Ka warning\n"),
        (io.StringIO(), logging.WARNING, "a warning\n"),  # cron
        (io.StringIO(), logging.INFO, "1 of 2 · Verdict\n2 of 2 · League\na warning\n"),  # -v
    ],
)
def test_steps_overwrite_each_other_on_a_terminal_and_are_no_ones_business_elsewhere(
    monkeypatch: pytest.MonkeyPatch, screen: io.StringIO, level: int, shown: str
) -> None:
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(logging.getLogger("analytics"), "level", level)
    logging.getLogger("analytics").manager._clear_cache()  # type: ignore[attr-defined]  # levels are remembered
    line = steps.StepLine()
    assert steps.are_wanted() is (shown != "a warning\n")
    for told in STEPS:
        line.tell(told)
    line.clear()
    assert screen.getvalue() == shown
    monkeypatch.undo()
    logging.getLogger("analytics").manager._clear_cache()  # type: ignore[attr-defined]


def test_a_cells_step_is_its_place_and_the_heading_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(steps, "_told", [said.append])
    made = nbformat.v4
    cells = [made.new_code_cell("1"), made.new_markdown_cell("words\n## Who \u202e"), made.new_code_cell("2")]
    for number in range(3):
        steps.cell_step(cells, number)
    assert said == ["1 of 2 · the notebook", "2 of 2 · Who \\u202e"]


def days(*numbers: int) -> list[date]:
    return [date(2026, 7, number) for number in numbers]


def test_missing_days_are_named_in_stretches_with_the_one_command_that_brings_them() -> None:
    assert missing_days.names(days(8)) == "Wed 8 July 2026"
    assert missing_days.names(days(9, 8, 13)) == "Wed 8 – Thu 9 July and Mon 13 July 2026"
    assert missing_days.names([date(2026, 6, 30), *days(1)]) == "Tue 30 June – Wed 1 July 2026"
    assert missing_days.names(days(1, 3, 5, 7, 9, 11)).endswith("and 2 more stretches")
    assert extraction(days(8, 13)) == "strategy-analytics extract --since 2026-07-08 --until 2026-07-14"
    assert extraction(days(8), days(8)).endswith("--until 2026-07-09 --also-expired")


def test_findings_breakdowns_and_days_that_are_not_there_have_exit_codes_of_their_own() -> None:
    quiet = card(8)
    blind = replace(quiet, state="no data", missing_days=["2026-07-08"])
    known = replace(quiet, state="known", counts={"finding": 1}, missing_days=["2026-07-08"])
    command = "strategy-analytics extract --since 2026-07-08 --until 2026-07-09"
    words = f"cannot tell: not extracted is Wed 8 July 2026; to mend it: {command}"
    assert [cards.unseen(one, "new") for one in (quiet, blind, known)] == ["", words, words]
    assert [cards.unseen(one, "never") for one in (quiet, blind, known)] == ["", words, ""]
    # Days that were expired since the report was made.
    mark = Expired(date(2026, 7, 9), None, at(9), "1")
    assert cards.unseen(cards.with_expired(blind, mark), "new") == (
        f"cannot tell: expired is Wed 8 July 2026; to mend it: {command} --also-expired"
    )

    def code(*outcomes: dict[str, str]) -> int:
        job = SimpleNamespace(label="")
        made = [Outcome(job, **{"state": "rendered", "card": quiet, "seconds": 0.0, **one}) for one in outcomes]  # type: ignore[arg-type]
        return RunResult(outcomes=made).exit_code

    found, broken, unseen = {"alarm": "1 finding"}, {"state": "failed"}, {"unseen": words}
    assert [code({}), code(found), code(broken), code(unseen)] == [0, 1, 3, 4]
    assert [code(unseen, found), code(found, broken, unseen)] == [1, 3]


def test_a_report_on_days_that_were_not_extracted_is_no_success_until_they_are_there(
    lake: Lake, tmp_path: Path
) -> None:
    own = notebook(tmp_path, "'shown'")
    definition = nightly(own, realms="all", window="last 2 days", catch_up_days=1)
    for state in ("rendered", "up to date"):
        result = run([definition], lake=lake.root, out=tmp_path / "out", today=date(2026, 7, 21))
        [outcome] = result.outcomes
        assert (outcome.state, outcome.card.state, result.exit_code) == (state, "no data", 4)
    page = (tmp_path / "out" / outcome.card.page).read_text(encoding="utf-8")
    assert "Sun 19 – Mon 20 July 2026" in page and "extract --since 2026-07-19 --until 2026-07-21" in page
    report = api.post_mortem(
        str(lake.root), realm="acme-cycling", family="Speed bonus", since="2026-07-19", until="2026-07-21"
    )
    said = "Cannot tell: the log was not extracted for 2 days of this window, Sun 19 – Mon 20 July 2026."
    assert report.verdict.text == said
    assert "strategy-analytics extract --since 2026-07-19 --until 2026-07-21" in report.actions().html
