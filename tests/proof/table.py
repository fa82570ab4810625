"""The proof's table: what was tried, how often, and what was lost, doubled or seen half: nothing."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from importlib.metadata import version

import psycopg

from .world import Tally


@dataclass
class Line:
    """One scenario's outcome.

    Attributes:
        name: Of the scenario.
        says: What it does, one sentence.
        tally: What was done.
        broken: The promise that did not hold; empty when all did.
        faults: Planted defect → what gave it away, or empty when nothing did.
        lost, duplicated, half: Of the broken promise.
        seconds: It took.
    """

    name: str
    says: str
    tally: Tally
    broken: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    duplicated: int = 0
    half: int = 0
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """The promise held, and every planted defect was noticed."""
        return not self.broken and all(self.faults.values())


COLUMNS = ("scenario", "runs", "kills", "rows compared", "lost", "twice", "half seen", "planted defects noticed")


def rows(lines: list[Line]) -> list[tuple[str, ...]]:
    """The table's body, with a line of sums."""
    body: list[tuple[str, ...]] = [
        (
            line.name,
            f"{line.tally.runs:,}",
            f"{line.tally.kills:,}",
            f"{line.tally.rows:,}",
            str(line.lost),
            str(line.duplicated),
            str(line.half),
            f"{sum(map(bool, line.faults.values()))} of {len(line.faults)}" if line.faults else "–",
        )
        for line in lines
    ]
    faults = [found for line in lines for found in line.faults.values()]
    body.append(
        (
            "together",
            f"{sum(line.tally.runs for line in lines):,}",
            f"{sum(line.tally.kills for line in lines):,}",
            f"{sum(line.tally.rows for line in lines):,}",
            str(sum(line.lost for line in lines)),
            str(sum(line.duplicated for line in lines)),
            str(sum(line.half for line in lines)),
            f"{sum(map(bool, faults))} of {len(faults)}",
        )
    )
    return body


def text(lines: list[Line]) -> str:
    """For a terminal."""
    body = [COLUMNS, *rows(lines)]
    widths = [max(len(row[place]) for row in body) for place in range(len(COLUMNS))]
    lines_of_text = []
    for row in body:
        cells = [
            cell.ljust(width) if place in (0, 7) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines_of_text.append("  ".join(cells).rstrip())
    return "\n".join(lines_of_text)


def versions(server_url: str) -> str:
    """What it was proved with."""
    with psycopg.connect(server_url) as connection:
        [(server,)] = connection.execute("select split_part(version(), ' ', 2)").fetchall()
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "psycopg"))
    return (
        f"Python {platform.python_version()}, PostgreSQL {server}, {packages}, {platform.system()} {platform.machine()}"
    )


def markdown(lines: list[Line], *, seed: int, with_versions: str, command: str, seconds: float) -> str:
    """The page ``docs/proof.md``."""
    holds = all(line.holds for line in lines)
    parts = [
        "# The proof",
        "",
        f"Written by `{command}` in {seconds / 60:.0f} min; seed {seed}; {with_versions}.",
        "",
        "Real processes extract from a real PostgreSQL while they are killed, starved, cut off and lied to. After each",
        "harm, before any repair, every partition must be whole (as it was or as it is at the source) and the ledger not",
        "ahead of it; after one more normal run the lake must equal the source, compared with PostgreSQL id by id and trace",
        "by trace, with nothing left over. Each guarantee has planted defects with which the same scenario must fail.",
        "",
        "**"
        + ("Every promise held, and every planted defect was noticed." if holds else "NOT PROVED: see below.")
        + "**",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---" + "|---:" * 6 + "|---|",
        *("| " + " | ".join(row) + " |" for row in rows(lines)),
        "",
        "## What is tried",
        "",
        *(f"- **{line.name}**: {line.says}" + _more(line) for line in lines),
        "",
        "## The planted defects, and what gave each away",
        "",
        "| defect | scenario | noticed by |",
        "|---|---|---|",
        *(
            f"| {fault} | {line.name} | {_short(found) or '**nothing**'} |"
            for line in lines
            for fault, found in line.faults.items()
        ),
        "",
        "A power cut cannot be made here: it is simulated from the log of a run's renames and syncs, by taking away what",
        "was not synced.",
        "",
    ]
    for line in lines:
        if line.broken:
            parts += [f"**Broken: {line.name}**: {without_folders(line.broken)}", ""]
        if line.tally.where and line.name == "kill at random moments":
            parts += ["## Where the random kills hit", "", "| the run's last step | kills |", "|---|---:|"]
            parts += [f"| {step} | {count} |" for step, count in line.tally.where.most_common()] + [""]
    return "\n".join(parts)


def _more(line: Line) -> str:
    notes = [*line.tally.notes, *([f"the reader looked {line.tally.looks:,} times"] if line.tally.looks else [])]
    return f" ({'; '.join(notes)})" if notes else ""


def _short(message: str) -> str:
    words = without_folders(" ".join(message.replace("|", "/").split()))
    return words if len(words) <= 110 else words[:107] + "…"


def without_folders(text: str) -> str:
    """Paths without the folders of the machine they were on."""
    return re.sub(r"(?<![\w.)])/(?:[^\s/'\"`|]+/)+", "…/", text)
