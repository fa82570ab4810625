"""The site: built whole from a lake, its links lead somewhere, it asks nobody for anything, and its search works from a disk."""

from __future__ import annotations

import os
import re
import shutil
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.request import urlopen

import nbformat
import pytest

import analytics
from analytics import sql
from analytics.cli.arguments import parse
from analytics.cli.options import options_of
from analytics.cli.verbs import VERBS
from analytics.lake.lake import Lake
from tests import jupyterlab
from tests.reports.test_browser import Browser, opened
from tests.website import notebooks, pictures, reference
from tests.website.__main__ import build, generate, serving
from tests.website.nav import ROOT, contents
from tests.website.stage import sources, stage, turned

LOADED = re.compile(r'<(?:script|img|iframe|source)\b[^>]*\ssrc="([^"]*)"|<link\b[^>]*\shref="([^"]*)"')


@pytest.fixture(scope="module")
def site(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it but for notebooks and pictures, which take long; one notebook that is executed already stands for them."""
    folder = tmp_path_factory.mktemp("site")
    pages = folder / "docs"
    stage(pages)
    generate(pages, Path(str(lake.root)))
    html = nbformat.v4.new_output(
        "display_data", {"text/html": "<table><tr>\n\n<td>a *cell* of a frame</td></tr></table>"}
    )
    chart = '<figure><svg viewBox="0 0 880 400"><path d="M0 0h880v400z"/></svg></figure>'
    drawn = nbformat.v4.new_output("display_data", {"text/html": chart})
    cells = [
        nbformat.v4.new_markdown_cell("# Tour"),
        nbformat.v4.new_code_cell("lake = 'elsewhere'", metadata={"tags": ["injected-parameters"]}),
        nbformat.v4.new_code_cell("lake.describe()", outputs=[html]),
        nbformat.v4.new_code_cell("report.since()", outputs=[drawn]),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "explore.ipynb")
    (folder / "explore.part").write_text(notebooks.part(folder / "explore.ipynb"), encoding="utf-8")
    (pages / "notebooks").mkdir()
    (pages / "notebooks" / "explore.md").write_text("# Tour of a lake\n\nnotebook:explore\n", encoding="utf-8")
    build(pages, folder / "built")
    return folder / "built"


def test_every_page_of_the_repository_is_a_page_of_the_site(site: Path) -> None:
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    written = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {str(path).replace("README", "index") for path in written} <= pages
    assert {"index.html", "decisions.html", "changelog.html", "security.html", "findings/index.html"} <= pages
    assert {f"commands/{name.replace(' ', '-')}.html" for name in VERBS} <= pages


def test_nothing_of_a_page_comes_from_elsewhere_and_no_page_names_the_machine(site: Path) -> None:
    found = {
        (page.name, url)
        for page in site.rglob("*.html")
        for match in LOADED.finditer(page.read_text(encoding="utf-8"))
        for url in match.groups()
        if url
    }
    assert len(found) > 100
    assert sorted(url for _, url in found if re.match(r"(?:[a-z]+:)?//", url)) == []
    assert [page.name for page in site.rglob("*.html") if str(ROOT) in page.read_text(encoding="utf-8")] == []


def test_the_dictionary_has_every_view_and_column_and_the_queries_their_columns(site: Path, lake: Lake) -> None:
    opened_lake = analytics.open_lake(lake.root)
    pages = {name: (site / f"{name}.html").read_text(encoding="utf-8") for name in ("dictionary", "queries")}
    for view in sql.names("views"):
        part = pages["dictionary"].partition(f'<h2 id="{view}">')[2].partition("<h2")[0]
        columns = [row[0] for row in opened_lake.sql(f"describe {view}").fetchall()]
        assert columns and [name for name in columns if f"<code>{name}</code>" not in part] == [], view
    failures = pages["queries"].partition('<h2 id="failures">')[2].partition("<h2")[0]
    assert "Grain: realm, strategy, version, status, error code." in failures
    assert [name for name in opened_lake.run("failures").columns if f"<code>{name}</code>" not in failures] == []


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("duration_ms", "ms"),
        ("created_at", "UTC time"),
        ("day", "UTC date"),
        ("est_runs_low", "runs, estimated"),
        ("status", ""),
    ],
)
def test_a_unit_is_what_the_name_says(column: str, unit: str) -> None:
    assert reference.unit(column) == unit


def test_a_commands_page_has_its_options_examples_and_exit_codes() -> None:
    for name, verb in VERBS.items():
        text = reference.command(name)
        assert text.startswith(f"# {name}\n") and "| 75 |" in text
        assert all(f"strategy-analytics {example}" in text for example in verb.examples)
        assert all(option.text in text for _, option in options_of(verb.options()))


def test_a_notebook_stands_in_its_page_without_the_cell_that_papermill_adds(site: Path) -> None:
    html = (site / "notebooks" / "explore.html").read_text(encoding="utf-8")
    assert "<td>a *cell* of a frame</td>" in html  # not read as Markdown
    assert "elsewhere" not in html and html.count("<h1") == 1


def test_a_link_to_nowhere_and_a_page_in_no_chapter_end_the_build(tmp_path: Path) -> None:
    known = set(sources())
    page = PurePosixPath("docs/naming.md")
    assert (
        turned("[a](../README.md#try-it)\n```\n[b](none.md)\n```", page, known)
        == "[a](index.md#try-it)\n```\n[b](none.md)\n```"
    )
    with pytest.raises(ValueError, match=r"docs/naming.md links to none.md"):
        turned("[b](none.md)", page, known)
    with pytest.raises(ValueError, match=r"in no chapter of tests/website/nav.py: new.md"):
        contents(["index.md", "new.md"])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A page\n\n[to no heading](#none)\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="1 warnings in strict mode"):
        build(tmp_path / "docs", tmp_path / "built")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(
            "there is no chromium on this machine"
        )
    found = Browser(str(program), tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.mark.parametrize("name", ["index", "dictionary", "commands/query", "scale"])
def test_a_page_fits_a_phone_and_asks_nobody(browser: Browser, site: Path, name: str) -> None:
    shown = opened(browser, site / f"{name}.html", 400, "dark")
    assert shown.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0
    asked = {request["request"]["url"] for request in shown.of("Network.requestWillBeSent")}
    assert len(asked) > 3
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert shown.of("Runtime.exceptionThrown") == []


def test_a_chart_of_a_notebook_is_as_wide_as_its_place(browser: Browser, site: Path) -> None:
    shown = opened(browser, site / "notebooks" / "explore.html", 1180, "light")
    wide, place = shown.ask(
        "['figure svg', 'figure'].map(q => document.querySelector(q).getBoundingClientRect().width)"
    )
    assert round(wide) == round(place) > 600


def test_the_search_finds_a_word_though_the_site_lies_on_a_disk(browser: Browser, site: Path) -> None:
    shown = opened(browser, site / "index.html", 1280, "light")
    deadline = time.monotonic() + 60
    query = "document.querySelector('[data-md-component=search-query]')"
    while not shown.ask("document.querySelectorAll('.md-search-result__item').length"):
        assert time.monotonic() < deadline, "nothing was found"
        shown.ask(f"{query}.focus(), {query}.value = 'watermark', {query}.dispatchEvent(new Event('keyup')), 1")
        time.sleep(0.2)
    assert "watermark" in shown.ask("document.querySelector('.md-search-result__list').innerText").lower()


def test_without_a_browser_the_page_of_reports_says_so_and_links_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "chromium", lambda: None)
    report = tmp_path / "report.html"
    report.write_text("<h1>a report</h1>", encoding="utf-8")
    pictures.write(tmp_path, {picture.name: report for picture in (*pictures.REPORTS, pictures.CALENDAR)})
    text = (tmp_path / "reports.md").read_text(encoding="utf-8")
    assert "No Chromium was found" in text and "](pages/post_mortem.html)" in text and ".png" not in text
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == [
        "post_mortem.html",
        "rehearsal.html",
        "runaway_rules.html",
    ]


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.long  # two JupyterLabs and two browsers; make docs takes the picture, too
@pytest.mark.usefixtures("browser")  # skipped where there is none
def test_the_tour_is_photographed_with_its_answers_and_never_with_an_error(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "jupyterlab.png"
    assert pictures.photograph_tour(Path(str(lake.root)), picture)
    assert size_of(picture.read_bytes()) == (pictures.WIDTH, pictures.HEIGHT)
    # An empty page of that size has a tenth of it.
    assert picture.stat().st_size > 60_000

    broken = nbformat.read(ROOT / "notebooks" / "explore.ipynb", as_version=4)
    next(cell for cell in broken.cells if cell.cell_type == "code").source = "raise ValueError('planted')"
    (tmp_path / "notebooks").mkdir()
    nbformat.write(broken, tmp_path / "notebooks" / "explore.ipynb")
    monkeypatch.setattr(jupyterlab, "NOTEBOOKS", tmp_path / "notebooks")
    with pytest.raises(RuntimeError, match="the tour in JupyterLab failed: planted"):
        pictures.photograph_tour(Path(str(lake.root)), tmp_path / "failed.png")
    assert not (tmp_path / "failed.png").exists()


def test_the_reports_in_the_pictures_are_asked_for_as_the_command_takes_them() -> None:
    assert [
        invocation and invocation.verb for invocation in (parse(list(one.command)) for one in pictures.REPORTS)
    ] == ["report"] * 3


def test_the_site_is_shown_on_loopback_only(site: Path) -> None:
    with serving(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            host, port = server.server_address[:2]
            assert host == "127.0.0.1"
            with urlopen(f"http://127.0.0.1:{port}/index.html", timeout=60) as answer:
                assert b"strategy-analytics" in answer.read()
        finally:
            server.shutdown()
            thread.join(10)
