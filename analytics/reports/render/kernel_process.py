"""What runs in a kernel's process: it becomes the kernel when it is told where to listen."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Be a kernel."""
    # While whoever has started this process gets ready to talk to it.
    from ipykernel import kernelapp

    from analytics.reports.render import own_outputs, script_cells

    line = sys.stdin.readline()
    if not line:
        return  # nobody waits for a kernel any more
    app = kernelapp.IPKernelApp.instance()
    app.initialize(json.loads(line))  # type: ignore[no-untyped-call]
    own_outputs.prepare(app.shell)
    script_cells.prepare(app.shell)
    app.start()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
