"""A notebook of the package, run in this process as a kernel would run it: one process less to start, and no sockets.

For notebooks that we know. Somebody else's may change whatever process it runs in, and gets a kernel of its own
(`analytics.reports.render.kernel`). Imported where a notebook is run, and nowhere else: it takes a third of a second.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import papermill
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_output
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from analytics.reports.parameter_values import Value
from analytics.reports.render import steps

_ENGINE = "in-process"
_SAVE_SECONDS = 2.0
"""How much of a notebook may be lost when its process is killed. Papermill saves before and after each cell, with all that came
before it, which for a large page takes longer than some cells."""


def execute(notebook: Path, executed: Path, values: Mapping[str, Value]) -> None:
    """Run a notebook with papermill, cell after cell.

    Args:
        notebook: What is run.
        executed: The copy with its outputs, as far as it came.
        values: Its parameters.

    Raises:
        papermill.exceptions.PapermillExecutionError: A cell failed; what it has raised is the cause.
        KeyboardInterrupt: The process was asked to end.
    """
    try:
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            parameters=dict(values),
            engine_name=_ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            log_output=False,
        )
    except PapermillExecutionError as error:
        raise error from _Shell.instance().failure


class _Outputs(list[Any]):
    """What one cell has shown so far, as a notebook keeps it."""

    def stream(self, name: str, text: str) -> None:
        """Printed text; what follows text of the same stream belongs to it."""
        if self and self[-1].output_type == "stream" and self[-1].name == name:
            self[-1].text += text
        else:
            self.append(new_output("stream", name=name, text=text))


class _Stream(io.TextIOBase):
    """stdout or stderr of a cell."""

    encoding = "utf-8"

    def __init__(self, name: str, outputs: _Outputs) -> None:
        self._name, self._outputs = name, outputs

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            self._outputs.stream(self._name, text)
        return len(text)


class _Publisher(DisplayPublisher):
    """``display(…)``."""

    def publish(self, data: Any, metadata: Any = None, *_: Any, **__: Any) -> None:
        _Shell.instance().outputs.append(new_output("display_data", data, metadata=metadata or {}))

    def clear_output(self, wait: bool = False) -> None:
        del wait
        _Shell.instance().outputs.clear()


class _Hook(DisplayHook):
    """The value of a cell's last line."""

    def write_output_prompt(self) -> None:
        """There is none: the number is in the output."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        shown = new_output("execute_result", format_dict, metadata=md_dict or {}, execution_count=self.prompt_count)
        _Shell.instance().outputs.append(shown)

    def finish_displayhook(self) -> None:
        self._is_active = False


class _Shell(InteractiveShell):
    """IPython, whose cells leave their outputs in a list."""

    def __init__(self, **given: Any) -> None:
        self.outputs = _Outputs()
        self.failure: BaseException | None = None
        super().__init__(**given)  # type: ignore[no-untyped-call]

    def ask_exit(self) -> None:
        """What ``exit()`` and ``quit()`` call: a report that ends in its midst is none."""
        raise RuntimeError("a cell has called exit(), and a report runs to its end")

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException | None, stb: list[str]) -> None:
        self.outputs.append(new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=stb))


class _Here(Engine):  # type: ignore[misc]  # papermill has no types
    """Papermill's own way to add another place for cells to run."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **_: Any) -> None:
        del kernel_name
        _save_seldom(nb_man)
        shell = _Shell.instance(
            display_pub_class=_Publisher,
            displayhook_class=_Hook,
            config=Config({"HistoryManager": {"enabled": False}}),
        )
        shell.colors = "nocolor"
        for number, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            nb_man.cell_start(cell, number)
            steps.cell_step(nb_man.nb.cells, number)
            is_failed = _run(shell, cell)
            if is_failed:
                nb_man.cell_exception(cell, number)
            nb_man.cell_complete(cell, number)
            if is_failed:
                return


def _run(shell: _Shell, cell: Any) -> bool:
    """Run one cell; whether it failed."""
    cell.outputs = shell.outputs = outputs = _Outputs()
    cell.execution_count = shell.execution_count
    with _streams(outputs):
        result = shell.run_cell(cell.source, store_history=True)  # type: ignore[no-untyped-call]
    shell.failure = result.error_before_exec or result.error_in_exec
    if isinstance(shell.failure, KeyboardInterrupt):
        raise shell.failure  # the shell takes every exception for the cell's own
    return not result.success


@contextlib.contextmanager
def _streams(outputs: _Outputs) -> Iterator[None]:
    out, err = _Stream("stdout", outputs), _Stream("stderr", outputs)
    before, sys.stdin = sys.stdin, io.StringIO()  # nobody is there to answer a question
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        sys.stdin = before


def _save_seldom(notebook: NotebookExecutionManager) -> None:
    save, last = notebook.save, time.monotonic()

    def seldom(**given: Any) -> None:
        nonlocal last
        if time.monotonic() - last > _SAVE_SECONDS or notebook.end_time is not None:
            save(**given)
            last = time.monotonic()

    notebook.save = seldom


papermill_engines.register(_ENGINE, _Here)
