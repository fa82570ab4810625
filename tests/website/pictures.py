"""Pictures of the reports: rendered from the demo's lake and photographed by Chromium, when the site is built."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from analytics.cli import main
from tests import chromium as browser
from tests import jupyterlab

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-dev-shm-usage", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
WIDTH, HEIGHT = 1180, 1500
SECONDS = 60
_FIRST_CELLS = 6
_OUTER = ".jp-WindowedPanel-outer"
_SETTLED_SECONDS = 1.0
"""For letters and pictures to stand where they belong."""
FROM, UNTIL = "2026-07-06", "2026-07-11"
"""The demo's last days."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A page to be shown.

    Attributes:
        name: Of its file.
        title: Above it.
        words: What there is to see.
        command: What renders it, without the program's name, the lake and the folder.
    """

    name: str
    title: str
    words: str
    command: tuple[str, ...]


_SPEED = ("--realm", "acme-cycling", "--family", "Speed bonus")
REPORTS = (
    Picture(
        "post_mortem",
        "Post-mortem",
        "A version paid half as much again for the same runs: which rule, how much, since when, and how far to trust that.",
        ("report", "post_mortem", *_SPEED, "--since", FROM, "--until", UNTIL),
    ),
    Picture(
        "runaway_rules",
        "Runaway rules",
        "The morning's page: what is new, what grows, what each strategy costs.",
        ("report", "runaway_rules", "--all-realms", "--since", "2026-07-10", "--until", UNTIL),
    ),
    Picture(
        "rehearsal",
        "Rehearsal",
        "What last week's events would have paid under version 2.",
        ("report", "rehearsal", *_SPEED, "--version", "2", "--since", "2026-07-04", "--until", UNTIL),
    ),
)
CALENDAR = Picture("index", "The calendar", "Three weeks of every report, with gaps and failures.", ())
_PAGES = {"post_mortem": "post-mortem", "runaway_rules": "runaway", "rehearsal": "rehearsal", "index": "every-night"}


def render(lake: Path, into: Path) -> dict[str, Path]:
    """Render the reports of the demo's lake.

    Returns:
        The page of each by its picture's name, the calendar of them included.

    Raises:
        RuntimeError: A report could not be rendered; its command has said why.
    """
    shutil.rmtree(into, ignore_errors=True)
    for picture in REPORTS:
        if code := main([*picture.command, "--lake", str(lake), "--out", str(into)]):
            raise RuntimeError(f"{' '.join(picture.command)} ended with {code}")
    found = {
        picture.name: next(page for page in into.rglob("report.html") if page.parent.name.startswith(picture.name))
        for picture in REPORTS
    }
    return found | {CALENDAR.name: into / "index.html"}


def chromium() -> str | None:
    """The browser, where there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def photograph(program: str, page: Path, target: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    """The upper part of a page as a browser shows it, as PNG."""
    with tempfile.TemporaryDirectory() as profile:
        words = (
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            f"--screenshot={target}",
            page.as_uri(),
        )
        subprocess.run([program, *FLAGS, *words], check=True, timeout=SECONDS, capture_output=True)


def _checkout_with(lake: Path, home: Path) -> Path:
    """A folder in which ``checkout/demo/lake`` is the lake."""
    (home / "checkout" / "demo").mkdir(parents=True)
    (home / "checkout" / "demo" / "lake").symlink_to(lake.resolve())
    return home


def photograph_tour(lake: Path, target: Path) -> bool:
    """The first answers of the tour in JupyterLab, as PNG; False where there is no JupyterLab.

    Raises:
        RuntimeError: A cell has failed, which is no picture for the documentation.
    """
    if find_spec("jupyterlab") is None:
        return False
    with (
        tempfile.TemporaryDirectory() as home,
        tempfile.TemporaryDirectory() as profile,
        # By a name that is the same wherever the site is built.
        jupyterlab.laboratory(_checkout_with(lake, Path(home)), Path("demo/lake")) as address,
        browser.chromium(Path(profile)) as program,
    ):
        shown = jupyterlab.opened(program, address, WIDTH, HEIGHT)
        panel, first = jupyterlab.PANEL, f"{jupyterlab.PANEL}.content.widgets[{_FIRST_CELLS}]"
        shown.ask("void jupyterapp.commands.execute('application:toggle-left-area')")
        shown.ask(f"{panel}.content.activeCellIndex = {_FIRST_CELLS}; 0")
        shown.ask("void jupyterapp.commands.execute('notebook:run-all-above')")
        code = f"{panel}.content.widgets.slice(0, {_FIRST_CELLS}).filter(c => c.model.type === 'code')"
        ran = f"{code}.every(c => c.model.executionCount > 0)"
        errors = f"{code}.flatMap(c => c.model.outputs.toJSON()).filter(o => o.output_type === 'error')"
        # After an error JupyterLab runs no cell more.
        jupyterlab.until(shown, f"{first} && ({ran} || {errors}.length) && ({jupyterlab.READY})")
        if failed := shown.ask(f"{errors}.map(o => o.evalue).join('; ')"):
            raise RuntimeError(f"the tour in JupyterLab failed: {failed}")
        shown.ask(
            f"{panel}.content.activeCellIndex = 0; {panel}.content.node.querySelector('.jp-WindowedPanel-outer').scrollTop = 0; 0"
        )
        time.sleep(_SETTLED_SECONDS)
        picture = program.call("Page.captureScreenshot", shown.session)["data"]
    target.write_bytes(base64.b64decode(picture))
    return True


def write(into: Path, pages: dict[str, Path], lake: Path | None = None) -> None:
    """The page that shows them all; pictures where there is a browser, links to the pages in any case.

    Args:
        into: The staged pages.
        pages: As ``render`` returns them.
        lake: What the tour shows in JupyterLab; without it there is no such picture.
    """
    program = chromium()
    lines = ["# What the reports look like", "", "Rendered from the demo's lake when this site was built.", ""]
    if program is None:
        lines += ["No Chromium was found by the build: there are no pictures, but the pages themselves.", ""]
    folder = into / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (*REPORTS, CALENDAR):
        lines += [f"## {picture.title}", "", f"{picture.words} [About it]({_PAGES[picture.name]}.md).", ""]
        if picture is not CALENDAR:  # its links lead to the folder of reports, which is no part of the site
            shutil.copyfile(pages[picture.name], folder / f"{picture.name}.html")
            lines += [f"[The whole page](pages/{picture.name}.html)", ""]
        if program:
            photograph(
                program,
                pages[picture.name],
                folder / f"{picture.name}.png",
                height=HEIGHT if picture is not CALENDAR else 700,
            )
            lines += [f"![{picture.title}](pages/{picture.name}.png){{ .page }}", ""]
    if program and lake is not None and photograph_tour(lake, folder / "jupyterlab.png"):
        lines += ["## The tour in JupyterLab", "", "`make lab`: its first answers. [About it](explore.md).", ""]
        lines += ["![The tour in JupyterLab](pages/jupyterlab.png){ .page }", ""]
    (into / "reports.md").write_text("\n".join(lines), encoding="utf-8")
