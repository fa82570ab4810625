"""One command from the shell, of this build or of an older one, and a mark of all that it answered."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], dict[str, Any]]

_STAMPS = re.compile(
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|made [A-Z][a-z]{2} \d+ [A-Z][a-z]+[^<]*"
    rb"|\(\d+\.\d s\)|\b\d\d:\d\d\b|\"\w*(?:made_at|seconds)\": [^,\n]*"
)
"""What says when something was made, and how long it took."""


def now(task: dict[str, Any]) -> Work:
    """The build that runs the benchmark."""
    return _command(task, Path(__file__).parent.parent)


def before(task: dict[str, Any]) -> Work:
    """An older one, on the same interpreter and libraries."""
    return _command(task, Path(task["build"]))


def _command(task: dict[str, Any], build: Path) -> Work:
    """Run it.

    Args:
        task: Has ``words`` after the command's name (``{out}`` is the folder of reports), the exit code it should have, and whether
            it prints how long it took, which is no answer.
        build: The checkout that is run.
    """
    out = Path(task["folder"]) / "out"
    words = [word.replace("{out}", str(out)) for word in task["words"]]
    # Found before the checkout that is installed: that stands behind the path of modules.
    environment = {**os.environ, "PYTHONPATH": str(build), "ANALYTICS_LAKE": task["lake"]}

    def work() -> dict[str, Any]:
        done = subprocess.run(  # noqa: S603  # our own words
            [sys.executable, "-P", "-m", "analytics", *words],
            capture_output=True,
            env=environment,
            check=False,
        )
        if done.returncode != task["code"]:
            raise RuntimeError(done.stderr.decode("utf-8", "replace").strip() or f"exit {done.returncode}")
        said = done.stderr if task["code"] else b"" if task["tells_seconds"] else done.stdout
        return {"answered": _mark(said, out)}

    return work


def _mark(said: bytes, out: Path) -> str:
    """A hash of what a command said and of the pages, notebooks and summaries that it made, but for their stamps."""
    parts = [said.replace(str(out).encode(), b"")]
    for path in sorted(out.rglob("*")) if out.is_dir() else ():
        if path.suffix in (".html", ".ipynb") or path.name == "summary.json":
            parts += [str(path.relative_to(out)).encode(), path.read_bytes()]
    return hashlib.sha256(b"\0".join(_STAMPS.sub(b"", part) for part in parts)).hexdigest()[:16]
