"""Every PostgreSQL that can be had here."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.servers.bench import Bench, filled
from tests.servers.compare import Compared
from tests.servers.installed import NPM_VERSIONS, OLDEST, Missing, debians, from_npm, wheels
from tests.servers.server import Server, running


def versions(bench: Bench) -> None:
    """All rows, then late and changed ones, with one connection and with two, over a socket."""
    for found in [*debians(), *wheels()]:
        with running(found, bench.place() / "data") as server:
            _both(bench, server)
    if not debians():
        bench.skip("Debian's PostgreSQL", "apt-get install postgresql")
    for version in NPM_VERSIONS:
        place = bench.place("npm")
        programs = from_npm(version, place)
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
        bench.play(f"PostgreSQL {programs.name}{promised}", f"--jobs {jobs}", partial(_all, bench, server, jobs))


def _all(bench: Bench, server: Server, jobs: int) -> tuple[Compared, str]:
    owner, refused = filled(server, f"game{jobs}")
    compared, said = bench.ordinary(owner, owner, bench.lake(), jobs=jobs)
    odd = f"{refused} odd rows this server cannot hold" if refused else ""
    return compared, "; ".join(filter(None, [said, odd]))


def _gone(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
