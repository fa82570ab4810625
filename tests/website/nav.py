"""The table of contents: which page stands in which chapter, and where a file of the repository lies within the site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from analytics.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]

Entry: TypeAlias = tuple[str, "str | list[Entry]"]
"""A title, and a page of the site or the entries of a chapter."""

BENCHMARKS = ("extract", "commands", "explore", "flatten", "summary", "tenants", "post-mortem", "morning")

CHAPTERS: list[Entry] = [
    (
        "Start",
        [
            ("Overview", "index.md"),
            ("The first hour", "first-hour.md"),
            ("Your own database", "own-database.md"),
            ("Every night", "every-night.md"),
            ("Schedulers and containers", "scheduling/index.md"),
        ],
    ),
    (
        "Explore",
        [
            ("From notebooks and Python", "explore.md"),
            ("Tour of a lake", "notebooks/explore.md"),
            ("Gallery of charts", "notebooks/gallery.md"),
        ],
    ),
    (
        "Reports",
        [
            ("What they look like", "reports.md"),
            ("Post-mortem", "post-mortem.md"),
            ("Runaway rules", "runaway.md"),
            ("Headroom", "headroom.md"),
            ("Rehearsal", "rehearsal.md"),
            ("A run's receipt", "receipt.md"),
            ("A report of your own", "own-report.md"),
        ],
    ),
    (
        "Data",
        [
            ("Numbers under sampling", "sampling.md"),
            ("The lake", "lake.md"),
            ("Data dictionary", "dictionary.md"),
            ("Named queries", "queries.md"),
            ("Sources", "sources.md"),
            ("Servers", "servers.md"),
            ("Stores", "stores.md"),
            ("People and tenants", "people.md"),
            ("Security", "security.md"),
            ("Past one machine", "scale.md"),
            ("Many processes", "fan_out/index.md"),
            ("Spark", "spark.md"),
        ],
    ),
    (
        "Commands",
        [("All on one page", "commands.md"), *((name, f"commands/{name.replace(' ', '-')}.md") for name in VERBS)],
    ),
    (
        "Proofs",
        [
            ("Proved and measured", "proofs.md"),
            ("The lake is the log", "proof.md"),
            ("Estimates", "estimates.md"),
            ("Verdicts", "verdicts.md"),
            ("Forecasts", "forecast.md"),
            ("Split of time", "time-split.md"),
            ("Rehearsals", "rehearsal-proof.md"),
            ("Benchmarks", [(name.replace("-", " ").capitalize(), f"benchmarks-{name}.md") for name in BENCHMARKS]),
        ],
    ),
    (
        "The code",
        [
            ("How it works", "how-it-works.md"),
            ("Naming", "naming.md"),
            ("Decisions", "decisions.md"),
            ("Findings", "findings/index.md"),
            ("Changelog", "changelog.md"),
        ],
    ),
]
"""In this order. A page that is not there is left out of it; a page that is there and stands in no chapter fails the build."""

_MOVED = {
    "README.md": "index.md",
    "DECISIONS.md": "decisions.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
}


def place(source: PurePosixPath) -> PurePosixPath | None:
    """Where a file of the repository lies within the site; ``None`` where it is no part of it.

    Args:
        source: Its path below the repository's root.
    """
    if str(source) in _MOVED:
        return PurePosixPath(_MOVED[str(source)])
    match source.parts:
        case ("docs", *rest) if rest and rest != ["mkdocs.yml"]:
            found = PurePosixPath(*rest)
        case ("findings", *_):
            found = source
        case _:
            return None
    return found.with_name("index.md") if found.name == "README.md" else found


def contents(pages: Iterable[str], chapters: Iterable[Entry] = CHAPTERS) -> list[Any]:
    """The navigation as MkDocs takes it, of the pages that are there.

    Raises:
        ValueError: Pages stand in no chapter.
    """
    there = set(pages)
    homeless = sorted(there - set(_listed(chapters)))
    if homeless:
        raise ValueError(f"in no chapter of tests/website/nav.py: {', '.join(homeless)}")
    return _present(chapters, there)


def _listed(chapters: Iterable[Entry]) -> Iterator[str]:
    for _, entry in chapters:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _listed(entry)


def _present(chapters: Iterable[Entry], there: set[str]) -> list[Any]:
    found: list[Any] = []
    for title, entry in chapters:
        if isinstance(entry, str):
            found += [{title: entry}] if entry in there else []
        elif inner := _present(entry, there):
            found.append({title: inner})
    return found
