"""The kernel of one report: this interpreter, with a place of its own for all that it writes, and gone with the report."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from analytics.config import child_environment, home
from analytics.errors import ReportError
from analytics.reports.parameters import Value
from analytics.storage import scratch

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
