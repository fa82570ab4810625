"""The rehearsal from the shell: rendered, refused, and the gate of a job that publishes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytics.cli import main
from analytics.errors import UsageError
from analytics.findings.post_mortem.family import find_family
from analytics.findings.rehearsal.drafts import newest_drafts
from analytics.findings.replay.run_evidence import definition
from analytics.lake.lake import Lake
from analytics.program.edits import edit
from analytics.reports.render.notebooks import REPORTS
from analytics.reports.schedule import cards, drafts
from analytics.reports.schedule.definition import read
from analytics.warehouse.warehouse import Warehouse

WINDOW = ["--since", "2026-07-07", "--until", "2026-07-11"]


@pytest.fixture(scope="module")
def program(lake: Lake) -> dict[str, Any]:
    opened = Warehouse(lake)
    family = find_family(opened, realm="acme-cycling", family="Speed bonus")
    [strategy] = {strategy for strategy, number in family.members if number == 2}
    found = definition(opened, strategy, 2)
    assert found is not None
    return dict(found.ast)


def test_a_draft_is_rendered_refused_by_its_gate_and_its_file_is_not_named_where_it_lies(
    lake: Lake,
    program: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where an author stands: the folder of the draft
    draft = Path("next.json")
    draft.write_text(
        json.dumps({"name": "Speed bonus, twenty", "astJson": edit(program, "rule performance-bonus › assign", 20)})
    )
    words = [
        "report",
        "rehearsal",
        "--lake",
        str(lake.root),
        "--family",
        "Speed bonus",
        *WINDOW,
        "--out",
        str(tmp_path / "out"),
    ]
    gate = ["--fail-on", "points>5%", "--fail-on", "failures"]
    assert main([*words, "--draft", str(draft), *gate]) == 1
    out, err = capsys.readouterr()
    assert "exit code 1: points>5%: points beyond what was paid" in err and "failures: " not in err
    page = Path(out.strip())
    html, facts = (
        page.read_text(encoding="utf-8"),
        json.loads(page.with_name("summary.json").read_text(encoding="utf-8")),
    )
    assert "Speed bonus, twenty" in html and re.search(r"literal \d+ → 20", re.sub(r"<[^>]+>", "", html))
    assert facts["relative"]["low"] > 0.2 and [why.partition(":")[0] for why in facts["refused"]] == ["points>5%"]
    for file in page.parent.iterdir():
        assert str(tmp_path) not in file.read_text(encoding="utf-8"), file.name


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--draft", "nowhere.json"], 2, r"nowhere.json"),
        (["--draft", "loop.json"], 2, "loop.json"),
        (["--draft", "bad.json"], 2, "holds a program that the engine would refuse at 1 place $.rules[0].when.type"),
        (["--version", "77"], 2, "holds no program of version 77"),
        (["--version", "2", "--fail-on", "new", "--fail-on", "any"], 2, "'new' is no condition"),
        (["--version", "2", "--set", "most=0"], 2, "at least one run"),
        (["--version", "2", "--set", "most=5", "--quick"], 2, "which number"),
        (["--version", "2", "--against", "latest"], 2, "no version to hold a draft against"),
        (["--version", "2", "--against", "v77"], 2, "holds no program of version 77"),
    ],
)
def test_what_cannot_be_rehearsed_is_a_sentence(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    pay = {"type": "assign_points", "case_name": "A", "value": {"type": "literal", "value": 1}}
    bad = {"type": "program", "rules": [{"type": "rule", "when": {"type": "comparee"}, "then": [pay]}]}
    Path("bad.json").write_text(json.dumps(bad))
    Path("loop.json").symlink_to("loop.json")
    family = ["report", "rehearsal", "--lake", str(lake.root), "--family", "Speed bonus", *WINDOW]
    assert main([*family, *words]) == code
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert not list(tmp_path.rglob("*.html")), "nothing is published"


def test_a_scheduled_rehearsal_is_due_again_when_its_draft_has_changed(
    lake: Lake, program: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft, definition = tmp_path / "next.json", tmp_path / "draft.toml"
    definition.write_text(
        'notebook = "rehearsal"\nrealms = ["acme-cycling"]\nwindow = "last 7 days"\ncatch_up_days = 1\n'
        f'fail_on = "points>5%"\n[parameters]\nfamily = "Speed bonus"\ndraft = {json.dumps(str(draft))}\n'
    )
    words = ["report", "run", str(definition), "--lake", str(lake.root), "--out", str(tmp_path / "out"), "--json"]
    states, alarms = [], []
    for value in (20, 20, 21):
        draft.write_text(json.dumps(edit(program, "rule performance-bonus › assign", value)))
        assert main([*words, "--as-of", "2026-07-11"]) == 1, "what refuses a draft fails the job"
        told = json.loads(capsys.readouterr().out)[-1]
        states.append(told["state"])
        alarms.append(told["alarm"].partition(":")[0])
    assert states == ["rendered", "up to date", "rendered"]
    assert alarms == ["1 finding", "still refused", "1 finding"]


def lacking(read: Any, day: str) -> Any:
    """Cards of pages that were made while a day was not in the lake."""

    def lacks(folder: Path) -> Any:
        card = read(folder)
        return card and replace(card, missing_days=[day])

    return lacks


def test_each_draft_that_has_changed_gets_a_page_and_its_conditions_are_the_commands(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = tmp_path / "drafts.toml"
    definition.write_text(
        'notebook = "rehearsal"\ndrafts = "changed"\nrealms = "each"\nwindow = "last 7 days"\n'
        'fail_on = ["nodes>1", "points>500%"]\n'
    )
    words = ["report", "run", str(definition), "--lake", str(lake.root), "--out", str(tmp_path / "out"), "--json"]

    def run(day: str) -> tuple[int, list[tuple[str, str]]]:
        code = main([*words, "--as-of", day])
        told = json.loads(capsys.readouterr().out)
        return code, [(one["family_name"], one["state"]) for one in told]

    # The demo has one draft: version 4 of Speed bonus. Its program has more than one node.
    assert run("2026-07-11") == (1, [("Speed bonus", "rendered")])
    [summary] = (tmp_path / "out").glob("*/summary.json")
    told = json.loads(summary.read_text(encoding="utf-8"))
    assert [why.partition(":")[0] for why in told["refused"]] == ["nodes>1"] and told["draft"] == "draft 4"
    assert run("2026-07-11") == (1, [("Speed bonus", "up to date")]), (
        "a refused draft is refused when the job is run again"
    )
    assert run("2026-07-12") == (1, [("Speed bonus", "up to date")]), "another week, the same draft"
    text = definition.read_text(encoding="utf-8")
    definition.write_text(text.replace("nodes>1", "nodes>100000"))
    # Its window ends with the 11th, which the lake does not hold.
    assert run("2026-07-12") == (4, [("Speed bonus", "rendered")]), "another condition, which the page does not answer"
    assert run("2026-07-13") == (4, [("Speed bonus", "up to date")])
    with monkeypatch.context() as come:
        come.setattr(cards, "read", lacking(cards.read, "2026-07-10"))
        assert run("2026-07-13")[1] == [("Speed bonus", "rendered")], "a day that it lacked has come"
    definition.write_text(text)
    other = [replace(one, fingerprint="another") for one in newest_drafts(Warehouse(lake))]
    monkeypatch.setattr(drafts, "newest_drafts", lambda _lake: other)
    assert run("2026-07-13") == (1, [("Speed bonus", "rendered")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('drafts = "new"', "says drafts = 'new'"),
        ('families = "each"', "not every strategy has a draft"),
        ('drafts = "each"\n[parameters]\nfamily = "A"', "of one strategy"),
        ('drafts = "each"\n[parameters]\nversion = 2', "which program is tried"),
        ('families = ["A"]\n[parameters]\ndraft = "a.json"', "which program is tried"),
        ('families = ["A"]\nfail_on = "point>5%"', "did you mean 'points'"),
        ('families = ["A"]\nfail_on = "failures"\n[parameters]\nfail_on = "failures"', "fail_on twice"),
        ("", "which strategies the rehearsal is of"),
    ],
)
def test_a_definition_of_rehearsals_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(f'notebook = "rehearsal"\n{text}\n')
    with pytest.raises(UsageError) as caught:
        read(path, REPORTS)
    assert said in str(caught.value)


def test_a_rehearsal_for_each_of_named_strategies_takes_the_version_of_its_parameters(tmp_path: Path) -> None:
    path = tmp_path / "named.toml"
    path.write_text(
        'notebook = "rehearsal"\nfamilies = ["A", "B"]\nfail_on = "points>5%, failures"\n[parameters]\nversion = 2\n'
    )
    [found] = read(path, REPORTS)
    assert found.families == ("A", "B") and found.parameters == {"version": 2, "fail_on": "points>5%, failures"}
    assert found.fail_on == "never" and not found.is_one
