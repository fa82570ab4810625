"""The notebooks that make reports: where they are, and what parameters they take."""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from analytics.errors import ReportError, UnknownNameError, UsageError
from analytics.reports.parameters import Value, understood

REPORTS = ("post_mortem", "runaway_rules")
"""Notebooks of the package."""
EVERY_REPORT = ("lake", "since", "until")
"""Parameters without which a notebook is no report."""


def skip_iri_grammar() -> None:
    """Keep ``nbformat`` from compiling a grammar of internationalised addresses, which takes a second and which no notebook needs.

    Where JupyterLab is installed, ``jsonschema`` finds the package of that grammar and loads it. For processes of our own only:
    whoever checks such addresses in the same process could not.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # what makes an import fail, and is handled there


def notebook_path(report: str) -> Path:
    """The notebook of a report: a file of the user's, else the checkout's own, else the one shipped with the package.

    Raises:
        UnknownNameError: There is no such report.
    """
    if report.endswith(".ipynb") and Path(report).is_file():
        return Path(report)
    if report not in REPORTS:
        raise UnknownNameError(f"there is no report {report!r}", hint=f"known: {', '.join(REPORTS)}", name=report)
    package = Path(str(resources.files("analytics")))
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if (folder / f"{report}.ipynb").is_file():
            return folder / f"{report}.ipynb"
    raise ReportError(
        f"the notebook {report}.ipynb is missing", hint="install the package from a checkout, with its notebooks/"
    )


def declared_parameters(notebook: Path) -> dict[str, Value]:
    """Names and defaults of a notebook's parameters cell.

    Raises:
        UsageError: It has no such cell, or not the parameters that every report has.
    """
    seen = notebook.stat()
    return dict(_declared(notebook, seen.st_mtime_ns, seen.st_size))


@functools.lru_cache(maxsize=64)
def _declared(notebook: Path, _changed_ns: int, _size: int) -> dict[str, Value]:
    """Read once for the many reports of one run."""
    cells = [source for tags, source in _cells(notebook) if "parameters" in tags]
    if len(cells) != 1:
        raise UsageError(
            f"{notebook} has {len(cells)} cells with the tag parameters",
            hint="a report's notebook has one, see papermill",
        )
    found: dict[str, Value] = {}
    for statement in ast.parse(cells[0]).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = ast.literal_eval(statement.value)
    if missing := [name for name in EVERY_REPORT if name not in found]:
        raise UsageError(
            f"{notebook} has no parameter {', '.join(missing)}", hint="every report is about a window of a lake"
        )
    return found


def _cells(notebook: Path) -> list[tuple[list[str], str]]:
    """Tags and source of each cell. Jupyter's own reader, which imports much, is for notebooks of an older form."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # that reader says what is wrong with it
        book = json.loads(notebook.read_text(encoding="utf-8"))
        if book["nbformat"] == 4:
            return [(cell["metadata"].get("tags", []), "".join(cell["source"])) for cell in book["cells"]]
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    return [(cell.metadata.get("tags", []), str(cell.source)) for cell in cells]


def checked(known: Mapping[str, Value], given: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters with their defaults, in the types of the defaults.

    Raises:
        UsageError: A name is unknown (papermill would only warn) or a value has another type.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(
            f"the report has no parameter {', '.join(unknown)}", hint=f"it has: {', '.join(known)}", names=unknown
        )
    return {**known, **{name: _of_kind(name, value, known[name]) for name, value in given.items()}}


def _of_kind(name: str, value: Value, default: Value) -> Value:
    """A value as the type of its default; lists and the like have to be what they are."""
    if isinstance(default, str | bool | int | float):
        plain: Value = understood(name, value, frozenset({type(default).__name__}))
        return plain
    if default is not None and not isinstance(value, type(default)):
        raise UsageError(
            f"parameter {name} must be {type(default).__name__}, not {type(value).__name__}",
            hint=f"its default is {default!r}",
            name=name,
        )
    return value
