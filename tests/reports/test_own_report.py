"""A notebook of one's own renders as itself: whatever its cells show stands on the page, and nothing in it acts."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from analytics import api
from analytics.cli import main
from analytics.errors import ReportError, UnknownNameError, UsageError
from analytics.lake.lake import Lake
from analytics.reports import own_findings
from analytics.reports.leak_gate import Forbidden, clean
from analytics.reports.render import kernel, own_outputs, rendering
from analytics.reports.schedule.available import available, find_report
from analytics.reports.schedule.cards import Card, alarm, of_facts
from tests.reports.test_report_run import at, notebook

TEMPLATE = Path(__file__).parents[2] / "notebooks" / "own_report.ipynb"
WINDOW = {"since": "2026-07-08", "until": "2026-07-11"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n rest").decode()


def made(tmp_path: Path, *cells: Any) -> tuple[str, str, dict[str, Any]]:
    """Title, page and facts of an executed notebook: texts are Markdown, dictionaries outputs of one cell each."""
    book = nbformat.v4.new_notebook()
    for cell in cells:
        if isinstance(cell, str):
            book.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            kind = cell.pop("output_type", "display_data")
            code = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output(kind, **cell)])
            book.cells.append(code)
    nbformat.write(book, tmp_path / "own.ipynb")
    card = Card("mine", "mine", "acme", True, "", at(8), at(11), at(12), "failed")
    return rendering.assemble(tmp_path / "own.ipynb", own=card)


def shown(bundle: own_outputs.Bundle) -> dict[str, Any]:
    data, marks = bundle
    return {"data": data, "metadata": marks}


def test_words_frames_pictures_and_prints_stand_on_the_page_in_their_order(tmp_path: Path) -> None:
    frame = pd.DataFrame({"who": ["ann<b>", None], "share": [1 / 3, 2.0]})
    title, page, _ = made(
        tmp_path,
        "# Who earns\n\nBefore *all*.",
        "## A table",
        shown(own_outputs.frame(frame)),
        {"data": {"image/png": PNG, "text/plain": "<Figure size 640x480>"}},
        {"output_type": "stream", "name": "stdout", "text": "printed <i>\n"},
        {"data": {"text/plain": "42"}},
    )
    assert title == "Who earns" and "<h1>Who earns</h1>" in page and "Wed 8 July – Fri 10 July 2026" in page
    places = [
        page.index(part)
        for part in (
            "Before <em>all</em>.", "<h2>A table</h2>", "ann&lt;b&gt;", "0.333333", f'src="data:image/png;base64,{PNG}"',
            "printed &lt;i&gt;", "<code>42</code>",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert 'href="#part-2">A table</a>' in page
    assert "1 picture of this page was not searched" in page


@pytest.mark.parametrize(
    ("hostile", "stands"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;"),
        ("[here](javascript:alert(1))", "javascript:alert(1)"),
        ("[there](https://elsewhere.example/x)", "there (https://elsewhere.example/x)"),
        ("![seen](https://elsewhere.example/p.png)", "[picture: seen]"),
        ("a \u202e b", "a \\u202e b"),
        ("| a <i> |\n|---|\n| <b>x</b> |", 'data-l="a &lt;i&gt;"'),
    ],
)
def test_markdown_reaches_for_nothing_and_holds_no_html(tmp_path: Path, hostile: str, stands: str) -> None:
    for page in (made(tmp_path, hostile)[1], made(tmp_path, {"data": {"text/markdown": hostile}})[1]):
        body = page.partition('class="sa-own"')[2].partition("</main>")[0]
        assert stands in body
        assert not re.search(r"<(script|i|b)>|(href|src)=.?(https?|javascript):", body)


def test_numbers_of_a_frame_keep_the_digits_that_make_them_ids(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [2**62, -(2**62)], "of_numpy": pd.Series([np.int64(7), np.float32(0.5)], dtype=object)})
    _, page, _ = made(tmp_path, shown(own_outputs.frame(frame)))
    for number in ("4,611,686,018,427,387,904", "−4,611,686,018,427,387,904", "0.5"):
        assert f'class="sa-r" data-l="{"id" if "," in number else "of_numpy"}">{number}<' in page


def test_a_password_in_an_address_is_taken_out_of_ones_own_code_and_values(tmp_path: Path) -> None:
    address = "postgresql://bob:hunter2@db.example/game"
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(f'at = "{address}"\nf"https://{{user}}:{{word}}@x"'),
            nbformat.v4.new_markdown_cell(address),
        ]
    )
    book.cells[0].outputs = [nbformat.v4.new_output("display_data", {"text/plain": repr(address)})]
    nbformat.write(book, tmp_path / "own.ipynb")
    clean(tmp_path / "own.ipynb", Forbidden({}, frozenset(), {}, frozenset()), is_own=True)
    kept = (tmp_path / "own.ipynb").read_text(encoding="utf-8")
    assert "hunter2" not in kept and kept.count("://•••@db.example/game") == 3 and "{user}:{word}@x" in kept


def test_html_of_others_and_what_is_no_picture_stay_in_the_notebook_and_that_is_said(tmp_path: Path) -> None:
    _, page, _ = made(
        tmp_path,
        {"data": {"text/html": "<script>alert(1)</script>", "text/plain": "<IPython.core.display.HTML object>"}},
        {"data": {"image/png": base64.b64encode(b"<svg onload=alert(1)>").decode()}},
        {"data": {"image/svg+xml": "<svg onload='alert(1)'/>"}},
        {"data": {"text/latex": "$x$", "text/plain": "<IPython.core.display.Latex object>"}},
    )
    body = page.partition("<main>")[2].partition("</main>")[0]
    assert body.count("in report.ipynb only") == 3
    assert "alert(1)" not in body and "data:image/svg+xml;base64," in body, "as a picture, in which nothing runs"


def test_a_notebook_that_shows_nothing_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="shows nothing"):
        made(tmp_path, {"output_type": "stream", "name": "stderr", "text": "a warning"})


def told(*findings: tuple[str, str]) -> dict[str, Any]:
    return own_findings.facts_of([{"severity": severity, "text": text} for text, severity in findings], {})


def test_findings_of_ones_own_colour_the_index_and_fail_the_job_as_those_of_the_package_do(tmp_path: Path) -> None:
    block = own_findings.FindingBlock(
        {"severity": "worse", "text": "<b>slower</b>", "realm_id": None, "family_name": "Ladder"}
    )
    _, page, facts = made(tmp_path, "# T", shown(block._repr_mimebundle_()))
    assert "&lt;b&gt;slower&lt;/b&gt;" in page and "(no realm)" in page and "1 worse" in page
    assert facts["state"] == "worse" and facts["counts"] == {"worse": 1} and facts["verdict"] == "<b>slower</b>"
    empty = Card("mine", "mine", None, False, "", at(8), at(11), at(12), "failed")
    for findings, state, fails in (
        ([], "quiet", ("", "")),
        ([("x", "fixed")], "fixed", ("", "")),
        ([("x", "known")], "known", ("", "1 finding")),
        ([("x", "new"), ("y", "worse")], "new", ("1 finding", "2 findings")),
    ):
        card = of_facts(empty, told(*findings))
        assert (card.state, (alarm(card, "new"), alarm(card, "any"))) == (state, fails)


def finding(text: str, number: float | None = None, **about: Any) -> dict[str, Any]:
    """As ``add_finding`` tells one whose severity is left to the page."""
    told = {"severity": "new", "is_compared": True, "text": text, **about}
    return told if number is None else {**told, "number": number}


def test_a_finding_is_new_known_worse_or_fixed_by_what_the_last_report_told() -> None:
    before = [
        finding("12 users reached 1,000 points"), finding("slow", 100.0), finding("dear", 100.0), finding("gone"),
        finding("elsewhere", realm_id="a"), {"severity": "new", "text": "said by the notebook"}, finding("over", severity="fixed"),
    ]  # fmt: skip
    told = [
        finding("15 users reached 2,500 points"), finding("slow", 109.0), finding("dear", 111.0), finding("over"),
        finding("elsewhere", realm_id="b"), {"severity": "known", "text": "dear"},
    ]  # fmt: skip
    found = own_findings.compared(told, before, is_whole=True)
    assert [one["severity"] for one in found] == ["known", "known", "worse", "new", "new", "known", "fixed", "fixed"]
    assert [one["text"] for one in found[6:]] == ["gone", "elsewhere"]
    again = own_findings.compared([], found, is_whole=True)
    assert not {"gone", "said by the notebook"} & {one["text"] for one in again}, "what is over is told once"
    blind = own_findings.compared([], before, is_whole=False)
    assert {one["severity"] for one in blind} == {"known"} and "lacks days" in own_findings.listed(blind).text
    assert [one["severity"] for one in own_findings.compared(told, None, is_whole=True)][:4] == ["new"] * 4


def test_the_next_days_report_is_compared_with_the_last_ones_findings(tmp_path: Path, lake: Lake) -> None:
    cell = """import analytics
for text, number in {"8": [("seen", 1), ("over", 1)], "9": [("seen", 5)]}[since[9]]:
    analytics.add_finding(f"{text} {number} times", number=number)
import os
os.environ.get("ANALYTICS_MIN_USERS")"""
    own = notebook(tmp_path, cell)
    book = nbformat.read(own, as_version=4)
    book.cells[0].source += "\nmin_users = 1"
    book.cells.append(nbformat.v4.new_code_cell("%%bash\nsleep 120 &\necho begun"))
    nbformat.write(book, own)
    out = {"out": tmp_path / "out", "lake": str(lake.root), "min_users": 5}
    began = time.monotonic()
    first = api.render(str(own), since="2026-07-08", until="2026-07-09", **out)
    second = api.render(str(own), since="2026-07-09", until="2026-07-10", **out)
    assert "begun" in first.html.read_text(encoding="utf-8") and time.monotonic() - began < 60, (
        "nobody waits for its child"
    )
    assert first.card.counts == {"new": 2}
    assert second.card.counts == {"worse": 1, "fixed": 1} and second.card.state == "worse"
    page = second.html.read_text(encoding="utf-8")
    assert "told by the last report, and not by this one" in page and "&#39;5&#39;" in page
    assert "fewer than 5 logged users" in page


def test_a_notebook_that_knows_no_least_number_of_users_is_refused_where_there_is_one(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, given = notebook(tmp_path, "1"), {"out": tmp_path / "out", "lake": str(lake.root), **WINDOW}
    with pytest.raises(UsageError, match="no parameter min_users") as refused:
        api.render(str(own), min_users=5, **given)
    assert "min_users = 1" in refused.value.hint
    monkeypatch.setenv("ANALYTICS_MIN_USERS", "5")
    with pytest.raises(UsageError, match="fewer than 5 users"):
        api.render(str(own), **given)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('x = float("nan")', "parameter x of"),
        ("x = 50 * 1000", "50 \\* 1000"),
        ('x: str = f"{1}"', "parameter x of"),
        ("x = {[]: 1}", "parameter x of"),
        ("x = = 3", "in line 5"),
        ("%matplotlib inline", "in line 5"),
    ],
)
def test_a_parameters_cell_that_is_no_list_of_plain_values_is_refused_by_its_line(
    line: str, told: str, tmp_path: Path, lake: Lake
) -> None:
    own = notebook(tmp_path, "1")
    book = nbformat.read(own, as_version=4)
    cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = "\n".join([*cell.source.split("\n")[:4], line, *cell.source.split("\n")[4:]])
    nbformat.write(book, own)
    with pytest.raises(UsageError, match=told) as refused:
        api.render(str(own), out=tmp_path / "out", lake=str(lake.root), **WINDOW)
    assert str(own) in refused.value.message and refused.value.hint


@pytest.mark.parametrize(
    "given", [{"text": "x", "severity": "wrose"}, {"text": " "}, {"text": 5}, {"text": "x", "realm": 7}]
)
def test_a_finding_without_words_or_of_no_severity_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        api.add_finding(**given)


def test_what_an_object_says_of_its_folder_is_written_out_and_names_of_users_are_left_for_the_gate(
    tmp_path: Path,
) -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("lake")])
    said = {"text/plain": "Lake /srv/lake/x of user-17", "text/html": "<b>/srv/lake</b>"}
    book.cells[0].outputs = [nbformat.v4.new_output("display_data", dict(said))]
    for is_own, wanted in ((False, said["text/html"]), (True, "<b>‹lake's folder›</b>")):
        nbformat.write(book, tmp_path / "own.ipynb")
        known = Forbidden({}, frozenset(), {"/srv/lake": "the lake's folder"}, frozenset({"user-17"}))
        clean(tmp_path / "own.ipynb", known, is_own=is_own)
        [output] = nbformat.read(tmp_path / "own.ipynb", as_version=4).cells[0].outputs
        assert output.data["text/html"] == wanted and "user-17" in output.data["text/plain"]


def is_running(pid: int) -> bool:
    """Neither gone, nor waiting for its new parent to notice."""
    seen = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(seen.strip()) and not seen.startswith("Z")


def test_what_a_cell_has_started_ends_with_its_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/made && mv {tmp_path}/made {tmp_path}/pid\nwait\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with kernel._process(tmp_path):
        for _ in range(500):
            if (tmp_path / "pid").is_file():
                break
            time.sleep(0.02)
        left = int((tmp_path / "pid").read_text(encoding="utf-8"))
        assert is_running(left)
    for _ in range(100):  # its end is sent, and comes when it comes
        if not is_running(left):
            break
        time.sleep(0.02)
    assert not is_running(left)


def test_a_cell_that_ends_the_notebook_has_not_made_a_report(lake: Lake, tmp_path: Path) -> None:
    own = notebook(tmp_path, "print('before')", "import sys; sys.exit(0)", "print('after')")
    with pytest.raises(ReportError, match=r"ended itself in cell 4"):
        api.render(str(own), out=tmp_path / "out", lake=str(lake.root), **WINDOW)
    assert not list((tmp_path / "out").glob("*/report.html"))
    shell = SimpleNamespace(
        display_formatter=SimpleNamespace(mimebundle_formatter=SimpleNamespace(for_type_by_name=lambda *_: None))
    )
    own_outputs.prepare(shell)
    with pytest.raises(RuntimeError, match="runs to its end"):
        shell.ask_exit()  # what exit() and quit() call


def test_the_template_renders_with_its_table_picture_and_findings(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = [cell.source for cell in nbformat.read(TEMPLATE, as_version=4).cells if cell.cell_type == "code"]
    assert sum(len(source.splitlines()) for source in code) <= 22, "to be read at a glance"
    words = [
        "report",
        str(TEMPLATE),
        "--lake",
        str(lake.root),
        "--out",
        str(tmp_path),
        "--all-realms",
        "--fail-on",
        "any",
    ]
    assert main([*words, "--since", WINDOW["since"], "--until", WINDOW["until"], "--set", "most=1"]) == 1
    page = Path(capsys.readouterr().out.strip())
    html, facts = (
        page.read_text(encoding="utf-8"),
        json.loads(page.with_name("summary.json").read_text(encoding="utf-8")),
    )
    assert facts["state"] == "new" and len(facts["findings"]) == facts["counts"]["new"] > 3
    assert {"Speed bonus", "Tier ladder"} <= {one.get("family_name") for one in facts["findings"]}
    assert 'src="data:image/png;base64,' in html and "points (est.)" in html and "How to read" not in html


def test_reports_are_listed_and_ones_own_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    own = notebook(tmp_path / "reports", "1")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "reports" / "sketch.ipynb")
    (tmp_path / "reports" / "weekly.toml").write_text(
        'notebook = "mine.ipynb"\nwindow = "last week"\nevery = "monday"\n'
    )
    (tmp_path / "reports" / "broken.toml").write_text('notebook = "nobody"\n')
    kinds = {one.name: (one.kind, one.about) for one in available()}
    assert kinds["weekly"] == ("definition", "weekly: last week, every Monday") and "nobody" in kinds["broken"][1]
    assert kinds["mine"][0] == "notebook" and kinds["runaway_rules"] and "sketch" not in kinds
    assert find_report("mine").notebook == str(own.relative_to(tmp_path))
    with pytest.raises(UnknownNameError, match="mien"):
        find_report("mien")
    assert main(["report", "--list"]) == 0
    told = capsys.readouterr()
    assert "weekly: last week" in told.out
    # Outside a checkout, too, a template is at hand.
    subprocess.run(["sh", "-c", told.err.partition("begins as a copy: ")[2]], check=True)
    assert find_report("earners").notebook == "reports/earners.ipynb"
    assert main(["report"]) == 2
