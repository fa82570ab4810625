"""What runs in a kernel's process: it imports what its report needs, and becomes the kernel when it is told where to listen."""

from __future__ import annotations

import importlib
import json
import sys
import warnings


def main(modules: list[str]) -> None:
    """Be a kernel.

    Args:
        modules: To import while whoever has started this process does the same with what it needs to talk to a kernel.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in modules:
            importlib.import_module(module)
    line = sys.stdin.readline()
    if not line:
        return  # nobody waits for a kernel any more
    from ipykernel import kernelapp

    sys.argv[1:] = json.loads(line)
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main(sys.argv[1:])
