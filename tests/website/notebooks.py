"""Notebooks as pages: run over the demo's lake when the site is built, and shown with what they answered.

nbconvert makes a page's part of an executed notebook. It comes with JupyterLab anyway and is kept by Jupyter itself; mkdocs-jupyter
stands on it, too, and adds jupytext and styles of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import papermill
from nbconvert import HTMLExporter
from traitlets.config import Config

from tests.website.nav import ROOT

NAMES = ("explore", "gallery")
MARK = re.compile(r"<p>notebook:(\w+)</p>")


def write(into: Path, lake: Path) -> None:
    """Run the notebooks, and write a page and its HTML for each.

    Args:
        into: The staged pages; a notebook's HTML lies beside them and is set in by ``insert``.
        lake: Folder of the lake.
    """
    for name in NAMES:
        folder = into / "notebooks"
        folder.mkdir(parents=True, exist_ok=True)
        executed = folder / f"{name}.ipynb"
        papermill.execute_notebook(
            str(ROOT / "notebooks" / f"{name}.ipynb"),
            str(executed),
            parameters={"lake": os_path(lake)},
            cwd=str(ROOT),
            progress_bar=False,
            log_output=False,
        )
        (into.parent / f"{name}.part").write_text(part(executed), encoding="utf-8")
        executed.unlink()
        title = f"# {name.capitalize()}" if name != "explore" else "# Tour of a lake"
        words = f"`notebooks/{name}.ipynb` as it ran on the demo's lake; `make lab` opens it in JupyterLab."
        (folder / f"{name}.md").write_text(
            f"---\nhide: [toc]\n---\n{title}\n\n{words}\n\nnotebook:{name}\n", encoding="utf-8"
        )


def os_path(path: Path) -> str:
    """As short as it can be said from the repository's root, so that no page names the machine."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def part(executed: Path) -> str:
    """An executed notebook as HTML that can stand within a page: no styles of its own, no prompts, no injected cell."""
    hidden = {"enabled": True, "remove_cell_tags": ("injected-parameters",)}
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]  # its parent class has no annotations
        template_name="basic",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        config=Config({"TagRemovePreprocessor": hidden}),
    )
    body, _ = exporter.from_filename(str(executed))
    # The page has a title of its own.
    return f'<div class="notebook">{re.sub(r"<h1 .*?</h1>", "", str(body), count=1, flags=re.DOTALL)}</div>'


def insert(html: str, folder: Path) -> str:
    """A page's HTML with the notebook that it names."""
    return MARK.sub(lambda match: (folder / f"{match[1]}.part").read_text(encoding="utf-8"), html)
