"""Notebooks are stripped, thin and run; reports are safe, self-contained, and a failing one replaces nothing."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import nbformat
import papermill
import pytest

from analytics import api
from analytics.errors import ReportError, UnknownNameError, UsageError
from analytics.findings.runaway.thresholds import Thresholds
from analytics.reports import charts
from analytics.reports.render import plan as plans
from analytics.reports.render import rendering
from analytics.reports.render.notebooks import PARAMETERS, declared_parameters
from analytics.window import Window

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
WINDOW = {"since": "2026-07-07", "until": "2026-07-11"}


def test_the_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "explore",
        "gallery",
        "own_report",
        "post_mortem",
        "rehearsal",
        "runaway_rules",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stripped_and_thin(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
            tree = ast.parse(cell.source)
            assert not any(
                isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While) for node in ast.walk(tree)
            )
            is_declaring = "parameters" in cell.metadata.get("tags", [])  # one line per parameter, and nothing else
            assert len(cell.source.splitlines()) <= (20 if is_declaring else 15)
            assert not is_declaring or all(isinstance(node, ast.Assign) for node in tree.body)


def executed(name, tmp_path, **parameters):
    """The cells of a notebook that was run, and what they showed."""
    [source] = [path for path in NOTEBOOKS if path.stem == name]
    book = papermill.execute_notebook(
        str(source), str(tmp_path / "out.ipynb"), parameters, progress_bar=False, kernel_name="python3"
    )
    return [(cell.source, cell.outputs) for cell in book.cells if cell.cell_type == "code"]


def test_the_tour_leads_from_a_lake_to_the_rule_that_changed(lake, tmp_path):
    shown = {
        source.splitlines()[-1]: outputs[-1].data["text/plain"]
        for source, outputs in executed("explore", tmp_path, lake=str(lake.root))
        if outputs
    }
    assert "logged runs" in shown["lake"]
    assert "Version 3 of Speed bonus" in shown["report"]
    assert "literal 10 → 15" in shown["report.changed()"]
    assert shown["lake.explain(run)"].startswith("Why did this run get ")


DRAWN = {name for name in charts.__all__ if inspect.isfunction(getattr(charts, name))} - {"inline_svg", "responsive"}
"""Charts that a caller can draw."""


def chart_of(source):
    """The chart that a cell of the gallery shows, if any."""
    match = re.match(r"charts\.(\w+)\(", source.splitlines()[-1]) if source else None
    return match and match[1]


def test_the_gallery_has_a_cell_for_every_chart():
    [source] = [path for path in NOTEBOOKS if path.stem == "gallery"]
    cells = [cell.source for cell in nbformat.read(source, as_version=4).cells if cell.cell_type == "code"]
    assert {chart_of(cell) for cell in cells} - {None} == DRAWN
    # A new file of pictures wants a place in the gallery.
    files = {path.stem for path in Path(charts.__file__).parent.glob("*.py")} - {"__init__"}
    of_pictures = {getattr(charts, name).__module__.rpartition(".")[2] for name in DRAWN}
    assert files - of_pictures == {"columns", "theme"}, "parts of pictures"


@pytest.mark.long
def test_the_gallery_shows_every_chart(lake, tmp_path):
    shown = {
        name: outputs[-1].data["image/svg+xml"]
        for source, outputs in executed("gallery", tmp_path, lake=str(lake.root))
        if (name := chart_of(source))
    }
    assert shown.keys() == DRAWN
    said = {name: re.findall(r"<text[^>]*>([^<]*)<", svg) for name, svg in shown.items()}
    assert [name for name, texts in said.items() if len(texts) < 4] == [], "a picture of nothing has one sentence"


def test_the_notebooks_have_parameters_of_the_same_names():
    for path in NOTEBOOKS:
        [cell] = [c for c in nbformat.read(path, as_version=4).cells if "parameters" in c.metadata.get("tags", [])]
        assert cell.source.startswith('lake = ""'), path.stem


@pytest.mark.parametrize("name", ["post_mortem", "runaway_rules"])
def test_a_notebook_and_the_librarys_call_have_the_parameters_that_are_declared_for_their_report(name):
    [source] = [path for path in NOTEBOOKS if path.stem == name]
    declared = PARAMETERS[name].defaults()
    assert declared_parameters(source) == declared
    call = inspect.signature(getattr(api, name)).parameters
    keywords = {word: one.default for word, one in call.items() if word not in ("lake", "no_realm", "thresholds")}
    thresholds = {one.name for one in fields(Thresholds)} if "thresholds" in call else set()
    assert keywords == {word: declared[word] for word in declared.keys() - {"lake", "no_realm"} - thresholds}
    assert call["lake"].default is None and call["no_realm"].default is None, (
        "not said, which a notebook cannot leave open"
    )


@pytest.mark.long
def test_a_post_mortem_renders_under_plain_papermill_too(lake, tmp_path):
    [notebook] = [path for path in NOTEBOOKS if path.stem == "post_mortem"]
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        str(notebook), str(out), {"lake": str(lake.root), "realm": "acme-cycling", "family": "Speed bonus", **WINDOW},
        progress_bar=False, kernel_name="python3",
    )  # fmt: skip
    _, page, facts = rendering.assemble(out)
    assert facts["after"]["version"] == 3
    assert "because case" in page


@pytest.fixture(scope="module")
def rendered(lake, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    return api.render("post_mortem", out=out, lake=str(lake.root), realm="acme-cycling", family="Speed bonus", **WINDOW)


def test_the_page_is_self_contained(rendered):
    page = rendered.html.read_text(encoding="utf-8")
    assert "<script" not in page.lower()
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!#)[a-z]*:?//""", page, re.IGNORECASE)
    assert "default-src 'none'" in page
    assert rendered.html.stat().st_size < 5 << 20


def test_the_summary_holds_the_same_facts(rendered):
    facts = json.loads(rendered.summary.read_text(encoding="utf-8"))
    assert facts["verdict"].startswith("Version 3 of Speed bonus")
    assert facts["overpaid"]["low"] < facts["overpaid"]["value"] < facts["overpaid"]["high"]


@pytest.mark.long
def test_rendering_again_gives_the_same_bytes_but_for_the_stamp_and_leaves_nothing_else(rendered, lake):
    out = rendered.html.parent.parent
    stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
    first, facts = rendered.html.read_text(encoding="utf-8"), rendered.summary.read_bytes()
    again = api.render(
        "post_mortem", out=out, lake=str(lake.root), realm="acme-cycling", family="Speed bonus", **WINDOW
    )
    assert again.html == rendered.html
    assert sorted(path.name for path in out.iterdir()) == sorted(["index.html", rendered.html.parent.name])
    second = again.html.read_text(encoding="utf-8")
    assert len(stamp.findall(second)) == 1
    assert stamp.sub("", second) == stamp.sub("", first)
    assert again.summary.read_bytes() == facts


def test_no_name_leaves_the_folder_of_reports():
    window = Window.parse("2026-07-07", "2026-07-11")
    values = {"realm": "../../etc/<script>", "family": "\u202e..\\x\n", "no_realm": False}
    assert re.fullmatch(r"[a-z0-9_-]+", plans.folder_name("../night", values, window))


@pytest.mark.parametrize(
    ("given", "said"),
    [({"famly": "x"}, "no parameter famly"), ({"family": 3}, "must be a text"), ({"no_realm": "yes"}, "must be true or false"),
     ({"since": "soon"}, "is no date"), ({"family": "no such"}, "no strategy"), ({"realm": ""}, "the realm is empty")],
)  # fmt: skip
def test_wrong_parameters_are_refused_before_anything_runs(lake, tmp_path, given, said):
    with pytest.raises(UsageError, match=said):
        api.render("post_mortem", out=tmp_path / "out", **{"lake": str(lake.root), "family": "Speed bonus", **given})
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_what_the_kernel_cannot_build_is_refused_in_its_own_words_and_leaves_the_last_report_alone(rendered, lake):
    out = rendered.html.parent.parent
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    known = {"out": out, "lake": str(lake.root), "realm": "acme-cycling", **WINDOW}
    with pytest.raises(UnknownNameError) as unknown:
        api.render("post_mortem", family="Sped bonus", **known)
    with pytest.raises(UnknownNameError) as said:
        api.post_mortem(str(lake.root), realm="acme-cycling", family="Sped bonus", **WINDOW)
    assert (unknown.value.message, unknown.value.hint) == (said.value.message, said.value.hint)
    with pytest.raises(UsageError, match="has no version v9") as refused:
        api.render("post_mortem", family="Speed bonus", baseline="v9", **known)
    assert type(refused.value) is UsageError and refused.value.hint.startswith("known: v1")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_unknown_report_is_refused():
    with pytest.raises(UnknownNameError, match="no report"):
        api.render("weekly")


def test_a_failing_run_keeps_the_half_run_notebook_and_the_last_good_report(rendered, lake, monkeypatch):
    before = rendered.html.read_bytes()
    source = plans.notebook_path("post_mortem")
    book = nbformat.read(source, as_version=4)
    book.cells.insert(4, nbformat.v4.new_code_cell("raise RuntimeError('planted')"))
    broken = rendered.html.parent.parent / "broken-source.ipynb"
    nbformat.write(book, broken)
    monkeypatch.setattr(plans, "notebook_path", lambda report: broken)
    with pytest.raises(ReportError, match="planted") as caught:
        api.render(
            "post_mortem",
            out=rendered.html.parent.parent,
            lake=str(lake.root),
            realm="acme-cycling",
            family="Speed bonus",
            **WINDOW,
        )
    page = caught.value.page
    assert "planted" in page.read_text(encoding="utf-8")
    assert "planted" in page.with_name("report.ipynb").read_text(encoding="utf-8")
    assert rendered.html.read_bytes() == before
    index = (rendered.html.parent.parent / "index.html").read_text(encoding="utf-8")
    assert f"{page.parent.name}/error.html" in index
    assert f"{rendered.html.parent.name}/report.html" in index
    shutil.rmtree(page.parent)
    broken.unlink()
