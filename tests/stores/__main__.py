"""``python -m tests.stores``: a lake in other stores than moto; fills a page. Exit code 1 when one of them harms a lake."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from benchmarks.report import Section, markdown, progress
from tests.scale import page, suites
from tests.store import Upstream
from tests.stores import ceph, races, s3rver

PACKAGES = ("s3fs", "aiobotocore", "duckdb", "moto")

_UNSIGNED = "not conditions and not replaces"
"""Without the tests in which the layer takes a condition away: it is signed, and the gateway looks."""


def main() -> int:
    """Try them all, and fill the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.stores", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="fill the tables of this page")
    options = parser.parse_args()
    found, absent = _races()
    chosen = {} if ceph.missing() else {"fault": ["-k", _UNSIGNED], "store": []}
    played = {name: suites.run(name, ["--store", "ceph", *words]) for name, words in chosen.items()}
    tables = {"measured": f"{_about()}\n\nMeasured: {page.now()}.", "stores": _stores(found, absent)}
    if played:
        tables |= {"faults": page.faults(played["fault"]), "real": _real(played["store"])}
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if options.markdown:
        options.markdown.write_text(page.fill(options.markdown.read_text(encoding="utf-8"), tables), encoding="utf-8")
    is_safe = all(one.keeps_apart or one.refused for one in found.values())
    return 0 if is_safe and all(one.rows and not one.other for one in played.values()) else 1


def _races() -> tuple[dict[str, races.Races], dict[str, str]]:
    """By store; and what is not here, with what to install."""
    found: dict[str, races.Races] = {}
    absent: dict[str, str] = {}
    for name in ("moto", "ceph", "s3rver"):
        progress(f"{name}: {races.WRITERS} writers at once …")
        try:
            with _store(name) as upstream:
                found[_called(name)] = races.run(upstream)
        except (FileNotFoundError, subprocess.SubprocessError) as error:
            absent[name] = str(error)
    return found, absent


@contextmanager
def _store(name: str) -> Iterator[Upstream | None]:
    if name == "moto":
        yield None
    elif name == "ceph":
        with ceph.running() as cluster:
            yield cluster.upstream
    else:
        with s3rver.running() as upstream:
            yield upstream


def _called(name: str) -> str:
    if name == "moto":
        return f"moto {metadata.version('moto')}"
    return f"Ceph's RADOS Gateway {ceph.version()}" if name == "ceph" else f"S3rver {s3rver.VERSION}"


def _stores(found: dict[str, races.Races], absent: dict[str, str]) -> str:
    rows = [
        [name, _span(one.makes), _span(one.replaces), f"refused: {one.refused}" if one.refused else "yes"]
        for name, one in found.items()
    ]
    rows += [[name, "", "", f"not tried: {why}"] for name, why in absent.items()]
    head = [
        "store",
        f"of {races.WRITERS} that make one object",
        f"of {races.WRITERS} that replace one version",
        "a lake",
    ]
    return _table(head, rows, [f"{races.ROUNDS} rounds of each"])


def _real(suite: suites.Suite) -> str:
    rows = [[str(name), str(ended)] for name, ended in suite.rows]
    return _table(["what happened", "what came of it"], rows, [f"{suite.passed} tests passed, {suite.other} did not"])


def _span(counts: list[int]) -> str:
    return f"{min(counts)}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def _table(head: list[str], rows: list[list[str]], after: list[str]) -> str:
    return markdown(Section("", "", head, rows, after)).partition("## \n\n")[2]


def _about() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return f"{platform.system()}; Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    sys.exit(main())
