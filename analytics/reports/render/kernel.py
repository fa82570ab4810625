"""The kernel of one report: this interpreter, with a place of its own for all that it writes, and gone with the report."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from analytics.config import child_environment, home
from analytics.errors import ReportError
from analytics.reports.parameter_values import Value
from analytics.reports.render import steps
from analytics.storage import scratch

_ENGINE = "in-kernel"
_HINT = "its own words are on stderr: a package that is missing, no memory, no loopback network"

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager


def execute(notebook: Path, executed: Path, values: Mapping[str, Value]) -> None:
    """Run a notebook in a kernel that is started for it, and is gone afterwards, whatever happens.

    Args:
        notebook: What is run.
        executed: The copy with its outputs, as far as it came.
        values: Its parameters.

    Raises:
        papermill.exceptions.PapermillExecutionError: A cell failed.
        nbclient.exceptions.DeadKernelError: The kernel did.
        ReportError: It did not start.
    """
    failures: list[BaseException] = []

    def run() -> None:
        from jupyter_core.utils import ensure_event_loop

        try:
            _papermill(notebook, executed, values, _manager(process, private))
        except RuntimeError as error:
            # The client's word for a kernel that ended, or was silent, before the first cell; later ones have a class.
            is_start = type(error) is RuntimeError and str(error).startswith("Kernel ")
            failures.append(ReportError(f"no kernel started: {error}", hint=_HINT) if is_start else error)
        except BaseException as error:  # raised again by whoever waits
            failures.append(error)
        finally:
            ensure_event_loop().close()  # the one that the client has made for this thread

    with contextlib.ExitStack() as opened:
        private = opened.enter_context(scratch.folder(otherwise=executed.parent))
        # The process goes first, then the thread that writes into the folder, then the folder.
        leave = opened.enter_context(contextlib.ExitStack())
        users = int(str(values.get("min_users") or 0))
        process = opened.enter_context(_process(private, {"ANALYTICS_MIN_USERS": str(users)} if users else {}))
        # Not in the main thread: there the client takes the signals that ask the process to end for itself.
        thread = threading.Thread(target=run, name="notebook", daemon=True)
        thread.start()
        leave.callback(thread.join, timeout=5)
        thread.join()
    for failure in failures:
        raise failure


def _papermill(notebook: Path, executed: Path, values: Mapping[str, Value], manager: type[AsyncKernelManager]) -> None:
    import papermill
    from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

    class TellingEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
        """Papermill's own, which says which cell it runs."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **given: Any) -> Any:
            start = nb_man.cell_start

            def tell(cell: Any, number: int | None = None, **more: Any) -> Any:
                steps.cell_step(nb_man.nb.cells, nb_man.nb.cells.index(cell) if number is None else number)
                return start(cell, number, **more)

            nb_man.cell_start = tell
            return super().execute_managed_notebook(nb_man, kernel_name, **given)

    papermill_engines.register(_ENGINE, TellingEngine)
    papermill.execute_notebook(
        str(notebook),
        str(executed),
        parameters=dict(values),
        engine_name=_ENGINE,
        kernel_name="python3",
        language="python",  # another editor may have left it out; the kernel is ours, whatever the notebook says
        progress_bar=False,
        log_output=False,
        kernel_manager_class=manager,
        # The kernel warns about its loopback port on every start; errors still come through.
        extra_arguments=["--IPKernelApp.log_level=40", "--HistoryManager.enabled=False"],
    )


@contextlib.contextmanager
def _process(private: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[subprocess.Popen[str]]:
    """A process that waits to be a kernel; ended afterwards, if it has not ended itself, with all of its group.

    Args:
        private: Folder for all that it writes.
        settings: Of the report, which calls in its cells have without being told.
    """
    package, own = Path(str(resources.files("analytics"))).parent, home()
    process = subprocess.Popen(  # our own words
        # Without the working folder among the places of modules: whoever may write there would be run.
        [sys.executable, "-P", "-m", "analytics.reports.render.kernel_process"],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as the client starts kernels: Ctrl-C is for this process
        env=child_environment(
            package,
            **settings,
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
        # With what its cells have started: that has nobody left to end it, and holds memory until the machine is started anew.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
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
