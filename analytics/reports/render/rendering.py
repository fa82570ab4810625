"""Notebook + parameters → executed notebook, self-contained HTML, ``summary.json``.

Everything is made in a staging folder and renamed at the end: a failing run keeps its half-run notebook and never replaces
the last good report. The kernel is this interpreter, with a place of its own for all that it writes, and gone with the report.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from analytics import errors
from analytics.config import child_environment, home
from analytics.errors import AnalyticsError, ReportError, named
from analytics.reports import leak_gate
from analytics.reports.parameter_values import Value
from analytics.reports.render.plan import Plan
from analytics.reports.render.publish_folder import publish, put_in_place, staging
from analytics.reports.schedule import archive, cards
from analytics.reports.schedule.cards import Card
from analytics.storage import scratch
from analytics.window import Window

_HINT = "its own words are on stderr: a package that is missing, no memory, no loopback network"

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager


class Running:
    """A notebook that runs, in a kernel of its own, while something else is done.

    Leaving the block before the end ends the kernel.

    Args:
        notebook: What is run.
        executed: The copy with its outputs, as far as it came.
        values: Its parameters.
        modules: What it will import: the kernel does so while this process gets ready to talk to it.
    """

    def __init__(
        self, notebook: Path, executed: Path, values: Mapping[str, Value], modules: Sequence[str] = ()
    ) -> None:
        self._notebook, self._executed, self._values, self._modules = notebook, executed, values, modules
        self._failures: list[BaseException] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            private = opened.enter_context(scratch.folder(otherwise=self._executed.parents[1]))
            # The process goes first, then the thread that writes into the folder, then the folder.
            leave = opened.enter_context(contextlib.ExitStack())
            process = opened.enter_context(_process(private, self._modules))
            # Not in the main thread: there the client takes the signals that ask the process to end for itself.
            self._thread = threading.Thread(target=self._run, args=(process, private), name="notebook", daemon=True)
            self._thread.start()
            leave.callback(self._thread.join, timeout=5)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def wait(self) -> None:
        """Until the notebook is done.

        Raises:
            papermill.exceptions.PapermillExecutionError: A cell failed.
            nbclient.exceptions.DeadKernelError: The kernel did.
            ReportError: It did not start.
        """
        self._thread.join()
        for failure in self._failures:
            raise failure

    def _run(self, process: subprocess.Popen[str], private: Path) -> None:
        from jupyter_core.utils import ensure_event_loop

        try:
            _papermill(self._notebook, self._executed, self._values, _manager(process, private))
        except RuntimeError as error:
            # The client's word for a kernel that ended, or was silent, before the first cell; later ones have a class.
            is_start = type(error) is RuntimeError and str(error).startswith("Kernel ")
            self._failures.append(ReportError(f"no kernel started: {error}", hint=_HINT) if is_start else error)
        except BaseException as error:  # raised again by whoever waits
            self._failures.append(error)
        finally:
            ensure_event_loop().close()  # the one that the client has made for this thread


def _papermill(notebook: Path, executed: Path, values: Mapping[str, Value], manager: type[AsyncKernelManager]) -> None:
    import papermill

    papermill.execute_notebook(
        str(notebook),
        str(executed),
        parameters=dict(values),
        kernel_name="python3",
        language="python",  # another editor may have left it out; the kernel is ours, whatever the notebook says
        progress_bar=False,
        log_output=False,
        kernel_manager_class=manager,
        # The kernel warns about its loopback port on every start; errors still come through.
        extra_arguments=["--IPKernelApp.log_level=40", "--HistoryManager.enabled=False"],
    )


@contextlib.contextmanager
def _process(private: Path, modules: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that waits to be a kernel; ended afterwards, if it has not ended itself.

    Args:
        private: Folder for all that it writes.
        modules: What it imports.
    """
    package, own = Path(str(resources.files("analytics"))).parent, home()
    process = subprocess.Popen(  # noqa: S603  # of names of modules that are ours
        # Without the working folder among the places of modules: whoever may write there would be run.
        [sys.executable, "-P", "-m", "analytics.reports.render.kernel_process", *modules],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as the client starts kernels: Ctrl-C is for this process
        env=child_environment(
            package,
            # Files of settings and of starts in somebody's home folder are for their own sessions.
            # That folder may not be there at all, nor be writable: a container's user has none.
            **{name: str(private / "jupyter") for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")},
            **({} if own is not None and own.is_dir() else {"HOME": str(private)}),
            TMPDIR=str(private),
            JPY_PARENT_PID=str(os.getpid()),  # it ends with this one
        ),
    )
    try:
        yield process
    finally:
        if process.stdin is not None and not process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        process.kill()
        process.wait()


def _manager(process: subprocess.Popen[str], private: Path) -> type[AsyncKernelManager]:
    """Who starts the kernel: what "python3" stands for in somebody's home folder may be another Python."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager as Manager
    from jupyter_client.provisioning.local_provisioner import LocalProvisioner

    spec = KernelSpec(argv=["-f", "{connection_file}"], display_name="Python 3", language="python")

    class Own(Manager):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.connection_file = str(private / "kernel.json")

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

        async def _async_launch_kernel(self, kernel_cmd: list[str], **_: Any) -> None:
            # The client's own place for another way to start one: here it runs already, and is told where to listen.
            provisioner = self.provisioner
            if process.stdin is None or not isinstance(provisioner, LocalProvisioner):
                raise RuntimeError("Kernel processes are started here, and by nobody else")
            try:
                with process.stdin as pipe:
                    pipe.write(json.dumps(kernel_cmd) + "\n")
            except BrokenPipeError:
                raise RuntimeError("Kernel died before it was told where to listen") from None
            provisioner.process, provisioner.pid, provisioner.pgid = process, process.pid, process.pid
            self._reconcile_connection_info(provisioner.connection_info)

    return Own


_log = logging.getLogger(__name__)

_ENDED = (
    "mostly because memory ran out: the system's log tells (journalctl -k); take a shorter window or one tenant, or give the job "
    "more memory"
)
_MODULES: Mapping[str, Sequence[str]] = {
    "analytics.post_mortem": (
        "analytics.api",
        "pandas",
        "duckdb",
        "analytics.reports.post_mortem.report",
        "scipy.stats",
    ),
    "analytics.runaway_rules": ("analytics.api", "pandas", "duckdb", "analytics.reports.runaway.report", "scipy.stats"),
}
"""What a report's kernel will import, by its builder. Not matplotlib: the kernel says first how it is to show pictures."""


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
    """Render one report.

    Args:
        planned: As `plan` gives it.

    Raises:
        UsageError: What is asked for does not exist, and nothing was published. What only rows of the lake tell is refused by the
            kernel: such an error has its sentence and repair, and no facts.
        ReportError: The notebook failed. Its half-run copy is named; the last good report is as it was.
    """
    planned.check()
    is_new = not planned.target.parent.exists()
    try:
        return _render(planned)
    except _Refused as refused:
        if is_new:
            with contextlib.suppress(OSError):
                planned.target.parent.rmdir()  # made for a report that there is not
        raise refused.error from None


def _render(planned: Plan) -> Rendered:
    target, values = planned.target, planned.values
    began = time.monotonic()
    with (
        staging(target.parent) as made,
        Running(planned.notebook, made / "report.ipynb", values, _MODULES.get(planned.builder, ())) as running,
    ):
        forbidden = _forbidden(planned)  # while the kernel starts
        try:
            executed = _executed(running, made / "report.ipynb", planned, forbidden)
            _log.info("%s: the notebook ran for %.1f s", target.name, time.monotonic() - began)
            title, page, facts = assemble(executed, made_at=planned.card.made_at)
            (made / "report.html").write_text(page, encoding="utf-8")
            (made / "summary.json").write_text(
                json.dumps(
                    {"title": title, "scope": planned.scope, **facts}, indent=1, ensure_ascii=False, allow_nan=False
                )
                + "\n",
                encoding="utf-8",
            )
            card = cards.of_facts(replace(planned.card, folder=target.name), facts)
            cards.write(card, made)
            leak_gate.check(made, forbidden.about(leak_gate.tenants(values, facts)))
        except ReportError as error:
            kept = publish(target, planned.card, error, made / "report.ipynb", forbidden)
            archive.refresh(target.parent, {target.name})
            repair = f"{error.hint}. " if error.hint else ""
            raise ReportError(
                error.message, hint=f"{repair}What happened: {kept}; the last good report was left alone", page=kept
            ) from None
        put_in_place(made, target)
    shutil.rmtree(target.with_name(target.name + cards.FAILED), ignore_errors=True)
    archive.refresh(target.parent, {target.name})
    return Rendered(target / "report.html", target / "report.ipynb", target / "summary.json", facts, card)


def publish_failure(planned: Plan, error: AnalyticsError) -> Path:
    """Publish why a report was not made, where it has not come so far as to do that itself.

    Returns:
        The page.
    """
    try:
        forbidden = _forbidden(planned)
    except (AnalyticsError, OSError, MemoryError):
        forbidden = None  # a lake that cannot be read is often what happened
    kept = publish(planned.target, planned.card, error, None, forbidden)
    archive.refresh(planned.target.parent, {planned.target.name})
    return kept


def _forbidden(planned: Plan) -> leak_gate.Forbidden:
    """What may not be read in a report, as far as it is known before that is made."""
    values = planned.values
    return leak_gate.Forbidden.of(
        planned.lake or planned.text("lake"),
        planned.target.parent,
        window=Window(planned.card.since, planned.card.until),
        realms=leak_gate.tenants(values, {}),
        show_users=bool(values.get("show_users")),
        notebook=planned.notebook,
        said=[planned.card.name, planned.card.title, planned.target.name, *_said(values)],
    )


def _said(values: Mapping[str, Value]) -> list[str]:
    """What whoever asked for the report wrote about its subject."""
    places = ("lake", "previous", "counters", "gathered")
    return [value for name, value in values.items() if isinstance(value, str) and name not in places]


def assemble(notebook: Path, *, made_at: datetime | None = None) -> tuple[str, str, dict[str, Any]]:
    """An executed notebook as a page.

    Only outputs that carry the package's own mark are taken: what else a notebook shows stays in the notebook.

    Args:
        notebook: The executed one.
        made_at: UTC; the page says it in its last line, and nowhere else.

    Returns:
        Title, HTML, and the facts of the summary cell.
    """
    import nbformat

    from analytics.reports import page

    book = nbformat.read(notebook, as_version=4)
    blocks: list[str] = []
    facts: dict[str, Any] = {}
    left_out = 0
    for cell in book.cells:
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
    nav = [(str(href), str(label)) for href, label in facts.pop("nav", [])]
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    when = f", {made_at:%Y-%m-%d %H:%M:%S} UTC" if made_at else ""
    footer = f"Made by strategy-analytics from the execution log{when}. Same facts for programs: summary.json"
    nav = [(archive.HOME, "Reports"), *nav]
    return title, page.document(title, blocks, nav=nav, footer=footer, code_cells=code, has_neighbours=True), facts


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
    """What was asked for does not exist, or cannot be: the kernel's own error, which is raised in its place."""

    def __init__(self, error: AnalyticsError) -> None:
        super().__init__(str(error))
        self.error = error


def _executed(running: Running, executed: Path, planned: Plan, forbidden: leak_gate.Forbidden) -> Path:
    """The notebook when it is done, cleaned.

    Raises:
        _Refused: The report's object could not be built, for a reason of ours: nothing of the report was made.
        ReportError: Another cell failed.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    def clean() -> None:
        if executed.is_file():
            leak_gate.clean(executed, forbidden, planned.target)

    try:
        running.wait()
    except DeadKernelError as error:
        clean()
        raise ReportError(f"the notebook's kernel was ended from outside ({named(error)})", hint=_ENDED) from None
    except PapermillExecutionError as error:
        # Our own errors are sentences that say their repair; of others ("3", "'points'") the class says more than the words.
        kind = errors.class_of(error.ename) if error.evalue else None
        if kind and planned.builder and f"{planned.builder}(" in error.source:
            message, _, hint = error.evalue.partition(errors.REPAIR)
            raise _Refused(kind(message, hint=hint)) from None
        clean()
        said = error.evalue if kind else ": ".join(filter(None, (error.ename, error.evalue)))
        said, repair = leak_gate.clean_text(said, forbidden), ""
        if kind:
            said, _, repair = said.partition(errors.REPAIR)
        raise ReportError(f"the notebook failed in cell {error.exec_count}: {said}", hint=repair) from None
    clean()
    return executed
