"""The kernel of one report: this interpreter, with a place of its own for all that it writes, and gone with the report."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from analytics.config import child_environment, home
from analytics.errors import ReportError
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
    """

    def __init__(self, notebook: Path, executed: Path, values: Mapping[str, Any]) -> None:
        self._notebook, self._executed, self._values = notebook, executed, values
        self._kernels: list[AsyncKernelManager] = []
        self._failures: list[BaseException] = []
        self._left = contextlib.ExitStack()
        # Not in the main thread: there the client takes the signals that ask the process to end for itself.
        self._thread = threading.Thread(target=self._run, name="notebook", daemon=True)

    def __enter__(self) -> Self:
        self._private = self._left.enter_context(scratch.folder(otherwise=self._executed.parents[1]))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._left:
            if self._thread.is_alive():
                for kernel in self._kernels:
                    _kill(kernel)
                self._thread.join(timeout=5)

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

    def _run(self) -> None:
        from jupyter_core.utils import ensure_event_loop

        try:
            _papermill(self._notebook, self._executed, self._values, _manager(self._private, self._kernels))
        except RuntimeError as error:
            # The client's word for a kernel that ended, or was silent, before the first cell; later ones have a class.
            is_start = type(error) is RuntimeError and str(error).startswith("Kernel ")
            self._failures.append(ReportError(f"no kernel started: {error}", hint=_HINT) if is_start else error)
        except BaseException as error:  # raised again by whoever waits
            self._failures.append(error)
        finally:
            ensure_event_loop().close()  # the one that the client has made for this thread


def _papermill(notebook: Path, executed: Path, values: Mapping[str, Any], manager: type[AsyncKernelManager]) -> None:
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


def _manager(private: Path, kernels: list[AsyncKernelManager]) -> type[AsyncKernelManager]:
    """Who starts it: what "python3" stands for in somebody's home folder may be another Python."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager as Manager

    package, own = Path(str(resources.files("analytics"))).parent, home()
    spec = KernelSpec(
        # Without the working folder among the places of modules: whoever may write there would be run.
        argv=[sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        # Files of settings and of starts in somebody's home folder are for their own sessions.
        # That folder may not be there at all, nor be writable: a container's user has none.
        env={
            **{name: str(private / "jupyter") for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")},
            **({} if own is not None and own.is_dir() else {"HOME": str(private)}),
            "TMPDIR": str(private),
            "PYTHONPATH": child_environment(package)["PYTHONPATH"],
        },
        display_name="Python 3",
        language="python",
    )

    class Own(Manager):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.connection_file = str(private / "kernel.json")
            kernels.append(self)

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

    return Own


def _kill(kernel: AsyncKernelManager) -> None:
    process = getattr(kernel.provisioner, "process", None)
    if process is not None:
        process.kill()
