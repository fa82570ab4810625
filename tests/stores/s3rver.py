"""S3rver, a server for tests of others that keeps objects in a folder; Node's, from npm."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.store import Upstream

VERSION = "3.7.1"


@contextlib.contextmanager
def running() -> Iterator[Upstream]:
    """A server for as long as the block lasts.

    Raises:
        FileNotFoundError: There is no npm.
        subprocess.CalledProcessError: It could not be installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("no S3rver here (npm): apt-get install npm")
    with tempfile.TemporaryDirectory(prefix="s3rver-") as name:
        folder = Path(name)
        (folder / "objects").mkdir()
        subprocess.run([npm, "install", "--prefix", name, "--silent", f"s3rver@{VERSION}"], check=True, timeout=300)
        program = str(folder / "node_modules" / ".bin" / "s3rver")
        words = ["--directory", str(folder / "objects"), "--address", "127.0.0.1", "--port", "0"]
        process = subprocess.Popen([program, *words], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        with process.stdout:
            try:
                port = next(int(line.rpartition(":")[2]) for line in process.stdout if "listening" in line)
                yield Upstream(port, "S3RVER", "S3RVER")
            finally:
                process.kill()
                process.wait()
