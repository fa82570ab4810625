"""The reports that there are to choose from: the package's, definitions, and notebooks of one's own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from analytics.errors import AnalyticsError
from analytics.reports.render.notebooks import REPORTS, declared_parameters, notebook_path
from analytics.reports.schedule import definition

FOLDERS = (Path("reports"), Path("notebooks"))
"""Where notebooks of one's own are found by their name; others are named by their file."""


@dataclass(frozen=True, slots=True)
class Available:
    """A report that can be asked for.

    Attributes:
        name: What to ask for.
        kind: ``report`` of the package, ``definition``, or ``notebook`` of one's own.
        about: Its first heading; of a definition its reports and when they are due.
        file: Where it is; empty for a report of the package.
    """

    name: str
    kind: str
    about: str
    file: str = ""


def own_notebooks() -> dict[str, Path]:
    """Notebooks of one's own by name: those with a report's parameters, in ``reports/`` and ``notebooks/``, then the template."""
    package = Path(str(resources.files("analytics")))
    found: dict[str, Path] = {}
    for folder in (*FOLDERS, package.parent / "notebooks", package / "notebooks"):  # of the checkout, of the wheel
        for path in sorted(folder.glob("*.ipynb")):
            # A notebook without parameters, or one that cannot be read, is none to be found by its name.
            with contextlib.suppress(AnalyticsError, OSError, ValueError, KeyError, SyntaxError):
                declared_parameters(path)
                if path.stem not in REPORTS:
                    found.setdefault(path.stem, path)
    return found


def find_report(name: str) -> definition.Definition:
    """The definition of one report, also of a notebook of one's own by its name.

    Raises:
        UnknownNameError, UsageError: As ``definition.find``.
    """
    # To look into each notebook is for a name that nothing else has.
    may_be_own = name not in REPORTS and not name.endswith((".toml", ".ipynb"))
    return definition.find(name, REPORTS, FOLDERS[0], own_notebooks() if may_be_own else None)


def available(folder: Path = FOLDERS[0]) -> list[Available]:
    """All of them, the package's own first.

    Args:
        folder: Where definitions lie, before those of the package.
    """
    found = [Available(name, "report", heading(notebook_path(name))) for name in REPORTS]
    files = {**definition.shipped(), **{path.name: path for path in sorted(folder.glob("*.toml"))}}
    for name, path in sorted(files.items()):
        try:
            about = "; ".join(_due(one) for one in definition.read(path, REPORTS))
        except AnalyticsError as error:
            about = error.message
        found.append(Available(name.removesuffix(".toml"), "definition", about, str(path)))
    return found + [Available(name, "notebook", heading(path), str(path)) for name, path in own_notebooks().items()]


def _due(one: definition.Definition) -> str:
    when = (
        "every day" if one.every == "day" else "every month" if one.every == "month" else f"every {one.every.title()}"
    )
    return f"{one.name}: {one.window or 'its own window'}, {when}"


def heading(notebook: Path) -> str:
    """The first heading of a notebook; empty where it has none."""
    cells: Sequence[dict[str, object]] = json.loads(notebook.read_text(encoding="utf-8")).get("cells", [])
    for cell in cells:
        if cell.get("cell_type") == "markdown":
            source = cell.get("source", "")
            for line in ("".join(source) if isinstance(source, list) else str(source)).splitlines():
                if line.startswith("#"):
                    return line.lstrip("#").strip()
    return ""
