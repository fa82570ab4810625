"""A report to be passed on shows nothing that rests on fewer users than it was told to protect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analytics import api
from analytics.cli import main
from analytics.errors import ConfigurationError, UsageError
from analytics.lake.lake import Lake
from analytics.reports.render.builders import post_mortem, runaway_rules
from analytics.reports.small_cells import SmallCells
from tests.conftest import Table

LEAST = 5


@pytest.fixture(scope="module")
def shared(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A strategy of many users, with a case and an error code of two of them, and a strategy of two users."""
    lake = Lake(tmp_path_factory.mktemp("shared") / "lake")
    with module_table.at_once() as rows:
        for number in range(400):
            day, is_new = 5 + number % 5, number % 5 >= 3
            few = number % 100 == 7
            rows.insert(
                created_at=f"2026-07-0{day} {number % 24:02d}:{number % 60:02d}:00+00",
                strategyId="many",
                strategyVersion=2 if is_new else 1,
                externalUserId=f"few-{number % 2}" if few else f"user-{number % 40:03d}",
                points=99 if few else 20 if is_new else 10,
                caseName="CaseOfFew" if few else "CaseOfMany" if number % 3 else "AnotherCase",
            )
        for number in range(12):
            failed = {"status": "error", "sampled": False, "trace": "null", "nodesExecuted": 0, "strategyId": "many"}
            rows.insert(
                created_at=f"2026-07-09 {number:02d}:00:00+00",
                strategyVersion=2,
                externalUserId=f"user-{number:03d}",
                errorCode="CODE_OF_MANY",
                **failed,
            )
            rows.insert(
                created_at=f"2026-07-09 {number:02d}:30:00+00",
                strategyVersion=2,
                externalUserId=f"few-{number % 2}",
                errorCode="CODE_OF_FEW",
                **failed,
            )
        for number in range(60):
            rows.insert(
                created_at=f"2026-07-09 {number % 24:02d}:10:00+00",
                strategyId="strategy-of-two",
                externalUserId=f"few-{number % 2}",
            )
    module_table.extract(lake, "2026-07-05", "2026-07-11", sample_rate=1.0)
    return lake


WINDOW = {"since": "2026-07-07", "until": "2026-07-10"}
FEW = ("CaseOfFew", "CODE_OF_FEW", "strategy-of-two")


POST_MORTEM = (
    "head",
    "strip",
    "key",
    "since",
    "changed",
    "why",
    "runs_explained",
    "how_much",
    "who",
    "failures",
    "sure",
)
RUNAWAY = ("head", "findings", "league", "when", "close", "growing", "nodes", "fields", "actions", "sure")


def texts_of(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*")) if path.is_file())


def whole(report: Any, sections: tuple[str, ...]) -> str:
    """What a report that leaves nobody out shows."""
    return "\n".join([*(getattr(report, section)().html for section in sections), json.dumps(report.summary())])


@pytest.fixture(scope="module")
def words(shared: Lake) -> list[str]:
    """A post-mortem on the strategy of many users, as a command."""
    days = ["--since", WINDOW["since"], "--until", WINDOW["until"]]
    return ["report", "post_mortem", "--strategy", "many", *days, "--lake", str(shared.root)]


@pytest.fixture(scope="module")
def passed_on(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; the environment says how many users are protected."""
    out = tmp_path_factory.mktemp("passed_on")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ANALYTICS_MIN_USERS", str(LEAST))
        assert main([*words, "--out", str(out)]) == 0
    return next(out.glob("*/report.html")).parent


def test_a_post_mortem_to_be_passed_on_leaves_out_what_few_users_did(shared: Lake, passed_on: Path) -> None:
    ids = [row[0] for row in api.open_lake(shared.root).sql("select execution_id from executions").fetchall()]
    report = post_mortem(shared.root, strategy_id="many", **WINDOW)
    open_text, text = whole(report, POST_MORTEM), texts_of(passed_on)
    assert {name for name in FEW if name in open_text} == {"CaseOfFew", "CODE_OF_FEW"}
    where = [
        text[max(0, (at := text.find(name)) - 300) : at + 100] for name in (*FEW, "few-0", "few-1") if name in text
    ]
    assert where == []
    assert any(found in open_text for found in ids)
    assert not [found for found in ids if found in text]
    facts = json.loads((passed_on / "summary.json").read_text())
    assert facts["min_users"] == LEAST
    assert facts["points_per_run_change"] == json.loads(json.dumps(report.summary()))["points_per_run_change"]
    assert f"fewer than {LEAST} logged users did is left out" in text


def test_a_runaway_report_to_be_passed_on_leaves_out_versions_and_stops_of_few(shared: Lake, tmp_path: Path) -> None:
    parameters = {"lake": str(shared.root), "since": "2026-07-09", "until": "2026-07-10"}
    passed_on = api.render("runaway_rules", out=tmp_path, min_users=LEAST, **parameters)
    assert "strategy-of-two" in whole(runaway_rules(**parameters), RUNAWAY)
    text = texts_of(passed_on.html.parent)
    assert [name for name in FEW if name in text] == []
    assert "many" in text


def test_a_report_on_too_few_people_is_not_made(shared: Lake) -> None:
    with pytest.raises(UsageError, match="fewer than 5 users"):
        post_mortem(shared.root, strategy_id="strategy-of-two", min_users=LEAST, since="2026-07-07", until="2026-07-10")
    assert runaway_rules(shared.root, since="2026-07-09", until="2026-07-10", min_users=1000).table.empty


def test_one_group_alone_is_never_left_out_of_a_total() -> None:
    rows = pd.DataFrame(
        {"name": ["a"] * 9 + ["b"] * 7 + ["c"], "user": [*map(str, range(9)), *map(str, range(7)), "x"]}
    )
    assert SmallCells(5).hidden(rows["name"], rows["user"]) == {"c", "b"}
    assert SmallCells(1).hidden(rows["name"], rows["user"]) == frozenset()
    rows.loc[rows["name"] == "b", "user"] = "x"
    assert SmallCells(5).hidden(rows["name"], rows["user"]) == {"c", "b"}


def test_the_command_and_the_environment_say_how_many_and_contradictions_are_refused(
    shared: Lake,
    words: list[str],
    passed_on: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*words, "--out", str(tmp_path)]
    assert main([*words, "--show-users", "--min-users", "5"]) == 2
    assert "cannot be shown" in capsys.readouterr().err
    monkeypatch.setenv("ANALYTICS_MIN_USERS", "5")
    assert main([*words, "--show-users"]) == 2
    assert "CaseOfFew" not in texts_of(passed_on)
    monkeypatch.setenv("ANALYTICS_MIN_USERS", "several")
    assert main(words) == 2
    assert "whole number" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError):
        post_mortem(shared.root, strategy_id="many", min_users=-3)
