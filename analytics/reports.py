"""Notebook + parameters → executed notebook, self-contained HTML, ``summary.json``.

Everything is made in a staging folder and renamed at the end: a failing run keeps its half-run notebook and never replaces
the last good report.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from analytics import leak_gate
from analytics.config import Settings
from analytics.errors import ReportError, UnknownNameError, UsageError
from analytics.last_report import ELSEWHERE, find_last, scope
from analytics.opening import find_lake
from analytics.report_definitions import Definition
from analytics.window import Window

REPORTS = ("post_mortem", "runaway_rules")


@dataclass(frozen=True, slots=True)
class Rendered:
    """Where a report's files are.

    Attributes:
        html: The page.
        notebook: The executed notebook.
        summary: The facts for programs.
        facts: The same, read.
    """

    html: Path
    notebook: Path
    summary: Path
    facts: dict[str, Any]


def render(
    definition: Definition, out: Path, parameters: Mapping[str, Any], *, build: Callable[..., object] | None = None
) -> Rendered:
    """Render one report.

    Args:
        definition: Which notebook, and the parameters it always has.
        out: Folder of rendered reports; the report gets a folder of its own in it, and finds the last one there.
        parameters: As in the notebook's parameters cell, before those of the definition; what neither says keeps its default.
        build: What the notebook itself will call with the parameters. Called here first, so that a strategy or realm that
            does not exist is refused before a kernel starts.

    Raises:
        UsageError: A parameter is unknown or has another type; nothing was run.
        ReportError: The notebook failed. Its half-run copy is named; the last good report is as it was.
    """
    source = notebook_path(definition.notebook)
    known = declared_parameters(source)
    values = checked(known, {**definition.parameters, **parameters})
    # The window is fixed here: "yesterday" must mean the same day in every cell and in the name of the folder.
    window = Window.parse(values["since"], values["until"])
    values |= {"since": window.since.isoformat(), "until": window.until.isoformat()}
    # The kernel may stand in another folder.
    values["lake"] = str(find_lake(values["lake"] or None).resolve())
    values["counters"] = _counters(str(values["counters"]))
    about, prefix = scope(definition.name, values), _slug(definition.name)
    if "previous" in known:
        values["previous"] = _previous(str(values["previous"]), out, prefix, about, window)
    if build is not None:
        build(**values)
    target = out / folder_name(definition.name, values, window)
    forbidden = leak_gate.Forbidden.of(
        values["lake"], out, window=window, show_users=bool(values.get("show_users", False))
    )
    out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".rendering-", dir=out))
    try:
        executed = _execute(source, staging / "report.ipynb", values, target, forbidden)
        title, page, facts = assemble(executed)
        (staging / "report.html").write_text(page, encoding="utf-8")
        (staging / "summary.json").write_text(
            json.dumps({"title": title, "scope": about, **facts}, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        leak_gate.check(staging, forbidden.about(leak_gate.tenants(values, facts)))
        _put_in_place(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Rendered(target / "report.html", target / "report.ipynb", target / "summary.json", facts)


def _counters(where: str) -> str:
    """Where the kernel finds the engine's counters; never with a password, which the notebook would keep.

    Raises:
        UsageError: The address has one.
    """
    if "://" in where:
        if "@" in where.partition("://")[2].partition("/")[0]:
            raise UsageError(
                "an address with a password would be kept in the notebook",
                hint="put it into ANALYTICS_COUNTERS instead",
            )
        return where
    where = where or Settings.from_env(sample_rates="").counters
    return "" if "://" in where or not where else str(Path(where).resolve())


def _previous(said: str, out: Path, prefix: str, about: Mapping[str, Any], window: Window) -> str:
    """The last report's ``summary.json`` as the notebook is told: the one that was named, else the last in the folder."""
    if said == "none":
        return said
    found = Path(said) if said else find_last(out, prefix, about, window)
    return str(found.resolve()) if found else ""


def notebook_path(report: str) -> Path:
    """The notebook of a report: the checkout's own, else the one shipped with the package.

    Raises:
        UnknownNameError: There is no such report.
    """
    if report not in REPORTS:
        raise UnknownNameError(f"there is no report {report!r}", hint=f"known: {', '.join(REPORTS)}", name=report)
    package = Path(str(resources.files("analytics")))
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if (folder / f"{report}.ipynb").is_file():
            return folder / f"{report}.ipynb"
    raise ReportError(
        f"the notebook {report}.ipynb is missing", hint="install the package from a checkout, with its notebooks/"
    )


def declared_parameters(notebook: Path) -> dict[str, Any]:
    """Names and defaults of a notebook's parameters cell."""
    import ast

    import nbformat

    book = nbformat.read(notebook, as_version=4)
    [cell] = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    found: dict[str, Any] = {}
    for statement in ast.parse(cell.source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = ast.literal_eval(statement.value)
    return found


def checked(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with their defaults, in the types of the defaults.

    Raises:
        UsageError: A name is unknown (papermill would only warn) or a value has another type.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(
            f"the report has no parameter {', '.join(unknown)}", hint=f"it has: {', '.join(known)}", names=unknown
        )
    values = dict(known)
    for name, value in given.items():
        wanted = type(known[name])
        is_number = wanted is float and isinstance(value, int) and not isinstance(value, bool)
        if not (isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))) and not is_number:
            raise UsageError(
                f"parameter {name} must be {wanted.__name__}, not {type(value).__name__} ({value!r})",
                hint=f"its default is {known[name]!r}",
                name=name,
            )
        try:
            values[name] = wanted(value)
        except OverflowError:
            raise UsageError(
                f"parameter {name} is too large a number", hint=f"its default is {known[name]!r}"
            ) from None
    return values


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:40]


def folder_name(report: str, values: Mapping[str, Any], window: Window) -> str:
    """A name for the report's folder that people can read and no author's text can leave."""
    subject = [str(values.get(name) or "") for name in ("realm", "family", "strategy_id")]
    if values.get("no_realm"):
        subject[0] = "no-realm"
    words = "-".join(part for text in subject if (part := _slug(text)))
    days = f"{window.since:%Y-%m-%d}_{window.until:%Y-%m-%d}"
    # Two names may read the same once odd letters are out: the hash keeps them apart.
    relevant = {key: value for key, value in values.items() if key not in ELSEWHERE}
    prefix = _slug(report)
    named = [relevant, str(window)] + ([report] if prefix != report else [])
    mark = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]
    return "_".join(part for part in (prefix, words, days, mark) if part)


def assemble(notebook: Path) -> tuple[str, str, dict[str, Any]]:
    """An executed notebook as a page.

    Only outputs that carry the package's own mark are taken: what else a notebook shows stays in the notebook.

    Returns:
        Title, HTML, and the facts of the summary cell.
    """
    import nbformat

    from analytics import page

    book = nbformat.read(notebook, as_version=4)
    blocks: list[str] = []
    facts: dict[str, Any] = {}
    for cell in book.cells:
        for output in cell.get("outputs", []):
            marks = output.get("metadata", {})
            if "analytics" in marks.get("text/html", {}):
                blocks.append(output["data"]["text/html"])
            if "analytics" in marks.get("application/json", {}):
                facts = output["data"]["application/json"]
    title = str(facts.get("title") or facts.get("report") or "Report")
    nav = [(str(href), str(label)) for href, label in facts.pop("nav", [])]
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    footer = "Made by strategy-analytics from the execution log. Same facts for programs: summary.json"
    return title, page.document(title, blocks, nav=nav, footer=footer, code_cells=code), facts


def _execute(
    source: Path, executed: Path, values: Mapping[str, Any], target: Path, forbidden: leak_gate.Forbidden
) -> Path:
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    try:
        papermill.execute_notebook(
            str(source),
            str(executed),
            parameters=dict(values),
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            # The kernel warns about its loopback port on every start; errors still come through.
            extra_arguments=["--IPKernelApp.log_level=40"],
        )
    except (PapermillExecutionError, DeadKernelError) as error:
        kept = target.with_name(target.name + ".failed.ipynb")
        if executed.is_file():
            leak_gate.clean(executed, forbidden, kept.parent)
            shutil.copyfile(executed, kept)
        said = error.evalue if isinstance(error, PapermillExecutionError) else str(error)
        said = leak_gate.clean_text(said, forbidden)
        where = f"cell {error.exec_count}" if isinstance(error, PapermillExecutionError) else "the kernel"
        raise ReportError(
            f"the notebook failed in {where}: {said}",
            hint=f"the half-run notebook is {kept}; the last good report was left alone",
            notebook=kept,
        ) from None
    leak_gate.clean(executed, forbidden, target)
    return executed


def _put_in_place(staging: Path, target: Path) -> None:
    """Swap the finished folder in; the old one stays until the new one is there."""
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    finished = staging.with_name(f"{staging.name}-done")
    staging.replace(finished)
    if target.exists():
        target.replace(old)
    finished.replace(target)
    shutil.rmtree(old, ignore_errors=True)
    target.with_name(target.name + ".failed.ipynb").unlink(missing_ok=True)
