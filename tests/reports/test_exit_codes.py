"""One state of a lake has one exit code, whichever report is asked."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pytest

from analytics import api
from analytics.cli import main
from analytics.errors import AnalyticsError
from analytics.operations.expire import expire
from analytics.reports.render import rendering
from analytics.reports.render.own_page import own_page
from analytics.reports.render.plan import plan
from analytics.reports.schedule import cards
from analytics.reports.schedule.definition import Definition
from analytics.reports.schedule.run import run
from analytics.window import ONE_DAY
from tests.conftest import Table
from tests.rehearsals.tiny import DAYS, build
from tests.reports.test_report_run import nightly, notebook

OWN = [nbformat.v4.new_markdown_cell("Words.")]
OF_FAMILY = {"post_mortem": {}, "rehearsal": {"version": 1}}
KINDS = ("runaway_rules", *OF_FAMILY, "own")
HELD, EXPIRED, BEFORE = ("07", "09"), ("06", "07"), ("01", "03")


def code(kind: str, lake: Path, folder: Path, days: tuple[str, str], **given: Any) -> int:
    """What `report` ends with, by what its process is told and makes, without that process."""
    asked = {"lake": str(lake), "realm": "acme", "since": f"2026-07-{days[0]}", "until": f"2026-07-{days[1]}"}
    definition = Definition(kind, str(notebook(folder)) if kind == "own" else kind)
    if kind in OF_FAMILY:
        asked |= {"family": "Rides", **OF_FAMILY[kind]}
    else:
        given.pop("family", None)
    try:
        planned = plan(definition, folder / "out", asked | given)
        planned.check()
        if kind == "own":
            facts = own_page(OWN, planned.card, rendering._held(planned))[-1]
        else:
            facts = getattr(api, kind)(**planned.values).summary()
    except AnalyticsError as error:
        return error.exit_code
    return cards.CANNOT_TELL if cards.unseen(cards.of_facts(planned.card, facts), "never") else 0


@pytest.fixture(scope="module")
def lakes(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four days of one tenant, of which the first is expired; and a lake that nobody has filled."""
    folder = tmp_path_factory.mktemp("lakes")
    lake = build(module_table, folder)
    expire(lake, date.fromisoformat(DAYS[0]) + ONE_DAY)
    (folder / "empty").mkdir()
    return {"filled": Path(str(lake.root)), "empty": folder / "empty", "none": folder / "none"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_of_the_lake_has_one_code_whichever_report_is_asked(
    kind: str, lakes: dict[str, Path], tmp_path: Path
) -> None:
    found = {
        state: code(kind, lakes[lake], tmp_path, days, **given)
        for state, lake, days, given in (
            ("held", "filled", HELD, {}),
            ("no lake", "none", HELD, {}),
            ("empty lake", "empty", HELD, {}),
            ("no such realm", "filled", HELD, {"realm": "acne"}),
            ("window without days", "filled", BEFORE, {}),
            ("days expired", "filled", EXPIRED, {}),
            ("no such strategy", "filled", HELD, {"family": "Rider"}),
        )
    }
    assert found == {
        "held": 0,
        "no lake": 3,
        "empty lake": 4,
        "no such realm": 2,
        "window without days": 4,
        "days expired": 4,
        "no such strategy": 2 if kind in OF_FAMILY else 0,
    }


def test_an_empty_lake_ends_a_run_as_it_ends_a_report_and_says_what_fills_it(
    lakes: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], in_this_process: None
) -> None:
    own = notebook(tmp_path, "'shown'")
    words = ["--lake", str(lakes["empty"]), "--out", str(tmp_path / "out")]
    asked = ["--realm", "acme", "--since", "2026-07-06", "--until", "2026-07-08"]
    assert main(["report", str(own), *asked, *words]) == 4
    command = f"strategy-analytics extract --lake {lakes['empty']} --since 2026-07-06 --until 2026-07-08"
    assert command in capsys.readouterr().err
    definition = nightly(own, realms=("acme",), window="yesterday", catch_up_days=1)
    result = run([definition], lake=lakes["empty"], out=tmp_path / "out", today=date(2026, 7, 8))
    [outcome] = result.outcomes
    assert (outcome.state, result.exit_code) == ("failed", 4)
    assert "extract --since 2026-07-07 --until 2026-07-08" in outcome.unseen
