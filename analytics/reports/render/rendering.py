"""Notebook + parameters → executed notebook, self-contained HTML, ``summary.json``.

Everything is made in a staging folder and renamed at the end: a failing run keeps its half-run notebook and never replaces
the last good report.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import errors
from analytics.errors import AnalyticsError, ReportError, named
from analytics.lake.lake import Lake
from analytics.lake.repair import extraction
from analytics.reports.parameter_values import Value
from analytics.reports.render import report_process
from analytics.reports.render.plan import Plan
from analytics.reports.render.publish_folder import publish, put_in_place, staging
from analytics.reports.render.steps import StepLine, step
from analytics.reports.schedule import cards
from analytics.reports.schedule.cards import Card
from analytics.storage import place, typed_json
from analytics.warehouse.in_sight import LakeInSight
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.reports import leak_gate
    from analytics.warehouse.coverage import Coverage
    from analytics.warehouse.warehouse import Warehouse

_log = logging.getLogger(__name__)

_ENDED = (
    "mostly because memory ran out: the system's log tells (journalctl -k); take a shorter window or one tenant, or give the job "
    "more memory; or because a cell ends its process (os._exit, a crash of compiled code)"
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """Where a report's files are.

    Attributes:
        html: The page.
        notebook: The executed notebook.
        summary: The facts for programs.
        facts: The same, read.
        card: What the index shows of it.
    """

    html: Path
    notebook: Path
    summary: Path
    facts: dict[str, Any] = field(repr=False)
    card: Card


def render(planned: Plan) -> Rendered:
    """Render one report, in a process of its own.

    Args:
        planned: As `plan` gives it.

    Raises:
        UsageError: What is asked for does not exist, and nothing was published.
        ReportError: The notebook failed, or its process did. Its half-run copy is named; the last good report is as it was.
    """
    planned.check()
    out = planned.target.parent
    with report_process.folder(out) as folder:
        line = StepLine()
        ended = report_process.run(planned, folder, tell=line.tell)
        line.clear()
        if ended.error is not None:
            raise ended.error
        if ended.is_asked:
            raise KeyboardInterrupt
        if ended.code != 0:
            error = ended.failure(None)
            raise _kept(error, publish_failure(planned, error, folder / report_process.HALF_RUN))
    return rendered(planned)


def rendered(planned: Plan) -> Rendered:
    """A report that was rendered, read from its folder."""
    target = planned.target
    facts = json.loads((target / "summary.json").read_text(encoding="utf-8"))
    card = cards.read(target)
    if card is None:  # somebody has taken it away in this moment
        raise ReportError(f"the report is not in {target} any more", hint="render it again")
    return Rendered(target / "report.html", target / "report.ipynb", target / "summary.json", facts, card)


def render_here(planned: Plan, folder: Path) -> None:
    """Render one report in this process, which is made for it.

    Args:
        planned: What is rendered.
        folder: For the notebook as far as it came.

    Raises:
        AnalyticsError: It was refused, for what only rows of the lake tell, and nothing was published.
        ReportError: The notebook failed, and that is published.
    """
    from analytics.reports.schedule import archive

    planned.check()
    target = planned.target
    is_new = not target.parent.exists()
    try:
        with staging(target.parent) as made:
            _make(planned, made, folder / report_process.HALF_RUN)
            put_in_place(made, target)
    except _Refused as refused:
        if is_new:
            with contextlib.suppress(OSError):
                target.parent.rmdir()  # made for a report that there is not
        raise refused.error from None
    shutil.rmtree(target.with_name(target.name + cards.FAILED), ignore_errors=True)
    archive.refresh(target.parent, {target.name})


def _make(planned: Plan, made: Path, executed: Path) -> None:
    """All files of a report.

    Args:
        planned: What is rendered.
        made: Where they are made.
        executed: The notebook as it runs.
    """
    from analytics.reports import leak_gate, missing_days
    from analytics.reports.page import csv_tables as tables
    from analytics.reports.schedule import archive

    target = planned.target
    began = time.monotonic()
    step("opening the lake")
    opened = _foresee(planned)
    with ThreadPoolExecutor(1, "forbidden") as beside:
        asked = beside.submit(_forbidden, planned, opened)  # another core may do that while the notebook runs
        failure = _run_notebook(planned, executed)
        forbidden = asked.result()
    _log.info("%s: the notebook ran for %.1f s", target.name, time.monotonic() - began)
    try:
        if executed.is_file():
            leak_gate.clean(executed, forbidden, target, is_own=not planned.builder)
        own = None if planned.builder else planned.card
        held = _held(planned) if own else None
        if failure is not None:
            error = _in_words(failure, forbidden)
            if held is not None and held.obtainable:
                error.add_words(
                    "",
                    f"days of its window are not in the lake, which may be why: {extraction(held.obtainable, held.expired)}",
                )
            elif held is not None and held.to_come:
                error.add_words(
                    "", f"of its window {missing_days.names(held.to_come)} is still to come, which may be why"
                )
            raise error
        title, page, facts = assemble(executed, made_at=planned.card.made_at, own=own, held=held, planned=planned)
        (made / "report.html").write_text(page, encoding="utf-8")
        (made / "summary.json").write_text(
            json.dumps({"title": title, "scope": planned.scope, **facts}, indent=1, ensure_ascii=False, allow_nan=False)
            + "\n",
            encoding="utf-8",
        )
        for name, text in tables(page):
            (made / name).write_text(text, encoding="utf-8")
        shutil.copyfile(executed, made / "report.ipynb")
        card = cards.of_facts(replace(planned.card, folder=target.name), facts)
        cards.write(card, made)
        step("searching the page for what may not be read in it")
        leak_gate.check(made, forbidden.about(leak_gate.tenants(planned.values, facts)))
    except ReportError as error:
        kept = publish(target, planned.card, error, executed, forbidden)
        archive.refresh(target.parent, {target.name})
        raise _kept(error, kept) from None


def _held(planned: Plan) -> Coverage:
    """How much of the window the lake holds, of the tenants that the report is about."""
    from analytics.warehouse.coverage import coverage

    card = planned.card
    seen = LakeInSight(Lake(place(planned.text("lake"))), realms=[card.realm] if card.is_scoped else None)
    return coverage(seen, Window(card.since, card.until))


def _foresee(planned: Plan) -> Warehouse | None:
    """Refuse a report before IPython, papermill and pandas are imported for it, where that can be seen so early.

    Returns:
        The lake with all tenants in sight, where it has been opened.

    Raises:
        _Refused: The report's object cannot be built.
    """
    from analytics.reports.render import builders

    try:
        return builders.foresee(planned.builder, planned.values)
    except AnalyticsError as error:
        raise _Refused(error) from None
    except Exception as error:  # the cell of the notebook meets it again, and its page says so
        _log.debug("%s: %s", planned.target.name, named(error))
        return None


def _kept(error: ReportError, page: Path) -> ReportError:
    """The error, with where its page is."""
    repair = f"{error.hint}. " if error.hint else ""
    hint = f"{repair}What happened: {page}; the last good report was left alone"
    return ReportError(error.message, hint=hint, page=page)


def publish_failure(planned: Plan, error: AnalyticsError, half_run: Path | None = None) -> Path:
    """Publish why a report was not made, where it has not come so far as to do that itself.

    Args:
        planned: The report.
        error: What happened.
        half_run: Its notebook as far as it came, when it was ended.

    Returns:
        The page.
    """
    from analytics.reports import leak_gate
    from analytics.reports.schedule import archive

    try:
        forbidden = _forbidden(planned)
        if half_run is not None and half_run.is_file():
            leak_gate.clean(half_run, forbidden, planned.target, is_own=not planned.builder)
    except (AnalyticsError, OSError, MemoryError, ValueError):
        forbidden = None  # a lake that cannot be read is often what happened
    kept = publish(planned.target, planned.card, error, half_run, forbidden)
    archive.refresh(planned.target.parent, {planned.target.name})
    return kept


def _forbidden(planned: Plan, lake: Warehouse | None = None) -> leak_gate.Forbidden:
    """What may not be read in a report, as far as it is known before that is made.

    Args:
        planned: The report.
        lake: Its lake with all tenants in sight, where it is open and nobody else asks it.
    """
    from analytics.reports import leak_gate

    values = planned.values
    return leak_gate.Forbidden.of(
        lake or planned.text("lake"),
        planned.target.parent,
        window=Window(planned.card.since, planned.card.until),
        realms=leak_gate.tenants(values, {}),
        show_users=bool(values.get("show_users")),
        notebook=planned.notebook,
        said=[planned.card.name, planned.card.title, planned.target.name, *_said(values)],
    )


def _said(values: Mapping[str, Value]) -> list[str]:
    """What whoever asked for the report wrote about its subject."""
    places = ("lake", "previous", "counters", "gathered", "draft")
    return [value for name, value in values.items() if isinstance(value, str) and name not in places]


def assemble(
    notebook: Path,
    *,
    made_at: datetime | None = None,
    own: Card | None = None,
    held: Coverage | None = None,
    planned: Plan | None = None,
) -> tuple[str, str, dict[str, Any]]:
    """An executed notebook as a page.

    Of a notebook of the package only outputs that carry its own mark are taken; one of the user's own renders as itself.

    Args:
        notebook: The executed one.
        made_at: UTC; the page says it in its last line, and nowhere else.
        own: What is known of the report, where the notebook is the user's own.
        held: How much of its window the lake holds.
        planned: What was rendered, where a report is: the last one and the least number of users are known by it.

    Returns:
        Title, HTML, and the facts of the summary cell.

    Raises:
        ReportError: A notebook of the user's own shows nothing.
    """
    import nbformat

    from analytics.reports import page
    from analytics.reports.page.alone import BESIDE_FACTS
    from analytics.reports.schedule import archive

    book = nbformat.read(notebook, as_version=4)
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    when = f", {made_at:%Y-%m-%d %H:%M:%S} UTC" if made_at else ""
    footer = f"Made by strategy-analytics from the execution log{when}.{BESIDE_FACTS}"
    links: Sequence[tuple[str, Any]]
    if own is not None:
        from analytics.reports.render.own_page import own_page

        title, blocks, links, facts = own_page(
            book.cells,
            own,
            held,
            _told_before(planned) if planned else None,
            int(str(planned.values.get("min_users") or 1)) if planned else 1,
        )
    else:
        title, blocks, links, facts = _blocks(book.cells)
    nav = [(archive.HOME, "Reports"), *links]
    files = [name for name, _ in page.csv_tables("".join(blocks))]
    document = page.document(title, blocks, nav=nav, footer=footer, code_cells=code, has_neighbours=True, files=files)
    return title, document, facts


def _told_before(planned: Plan) -> list[dict[str, Any]] | None:
    """Findings of the last report of the same notebook about the same; None where there is none that can be read."""
    from analytics.reports import own_findings

    if not planned.last:
        return None
    try:
        told = typed_json.document(Path(planned.last).read_text(encoding="utf-8"))
        return [own_findings.checked(one) for one in typed_json.listed(told["findings"])]
    except (OSError, *typed_json.WRONG):
        return None


def _blocks(cells: Sequence[Any]) -> tuple[str, list[str], Sequence[tuple[str, Any]], dict[str, Any]]:
    """Title, blocks, links and facts of an executed notebook of the package."""
    blocks: list[str] = []
    facts: dict[str, Any] = {}
    left_out = 0
    for cell in cells:
        for output in cell.get("outputs", []):
            marks = output.get("metadata", {})
            if "analytics" in marks.get("text/html", {}):
                blocks.append(output["data"]["text/html"])
            elif "analytics" in marks.get("application/json", {}):
                facts = output["data"]["application/json"]
            elif output.output_type in ("display_data", "execute_result") or output.get("name") == "stdout":
                left_out += 1
    if left_out or not blocks:
        blocks.append(_left_out(left_out, is_blank=not blocks))
    title = str(facts.get("title") or facts.get("report") or "Report")
    return title, blocks, [(str(href), str(label)) for href, label in facts.pop("nav", [])], facts


def _left_out(count: int, *, is_blank: bool) -> str:
    """What a page says of outputs that it does not take: anybody's HTML, pictures that cannot be searched, printed text."""
    from analytics.reports import page

    are = "1 output of its notebook is" if count == 1 else f"{count} outputs of its notebook are"
    begin = "This report shows nothing" if is_blank else "This is not all"
    why = f": {are} in report.ipynb only" if count else ": no cell of its notebook shows anything"
    return page.note(
        f"{begin}{why}. A page takes answers of lake.sql() and what analytics and its pages make, such as page.table(), not the "
        "HTML, pictures and printed text of others."
    ).in_page


class _Refused(Exception):  # noqa: N818  # it never leaves this module
    """What was asked for does not exist, or cannot be: the builder's own error, which is raised in its place."""

    def __init__(self, error: AnalyticsError) -> None:
        super().__init__(str(error))
        self.error = error


def _run_notebook(planned: Plan, executed: Path) -> Exception | None:
    """Run it, in this process where it is the package's, else in a kernel.

    Returns:
        Why it failed.

    Raises:
        _Refused: The report's object could not be built, for a reason of ours: nothing of the report was made.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    failure: Exception | None = None
    try:
        if planned.builder:
            from analytics.reports.render import cells

            cells.execute(planned.notebook, executed, planned.values)
        else:
            from analytics.reports.render import kernel

            kernel.execute(planned.notebook, executed, planned.values)
        failure = _left_early(executed)
    except PapermillExecutionError as error:
        if isinstance(error.__cause__, AnalyticsError) and f"{planned.builder}(" in error.source:
            raise _Refused(error.__cause__) from None
        failure = error
    except (DeadKernelError, ReportError) as error:
        failure = error
    return failure


def _left_early(executed: Path) -> ReportError | None:
    """What papermill takes for a notebook's good end: a cell that called ``sys.exit()``."""
    import nbformat

    for cell in nbformat.read(executed, as_version=4).cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error" and output.ename == "SystemExit":
                return ReportError(
                    f"the notebook ended itself in cell {cell.execution_count} (SystemExit): a report runs to its end",
                    hint="leave the cells after it out with an if; raise an error where the report shall fail",
                )
    return None


def _in_words(failure: Exception, forbidden: leak_gate.Forbidden) -> ReportError:
    """Why a notebook failed, for its page."""
    from papermill.exceptions import PapermillExecutionError

    from analytics.reports import leak_gate

    match failure:
        case ReportError():
            return failure
        case PapermillExecutionError():
            # Our own errors are sentences that say their repair; of others ("3", "'points'") the class says more than the words.
            is_ours = bool(failure.evalue) and errors.class_of(failure.ename) is not None
            said = failure.evalue if is_ours else ": ".join(filter(None, (failure.ename, failure.evalue)))
            said, repair = leak_gate.clean_text(said, forbidden), ""
            if is_ours:
                said, _, repair = said.partition(errors.REPAIR)
            return ReportError(f"the notebook failed in cell {failure.exec_count}: {said}", hint=repair)
        case _:
            return ReportError(f"the notebook's kernel ended in its midst ({named(failure)})", hint=_ENDED)
