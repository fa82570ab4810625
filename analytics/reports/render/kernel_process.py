"""What runs in a kernel's process: it becomes the kernel when it is told where to listen."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Be a kernel."""
    from ipykernel import kernelapp  # while whoever has started this process gets ready to talk to it

    line = sys.stdin.readline()
    if not line:
        return  # nobody waits for a kernel any more
    sys.argv[1:] = json.loads(line)
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
