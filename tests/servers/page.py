"""The tables of ``docs/servers.md``: words are written by hand, what was found between their marks by this."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from tests.proof.table import without_folders
from tests.servers.bench import Line

LONGEST = 420
"""Letters of a sentence."""


def tables(parts: Mapping[str, tuple[str, Sequence[Line]]], about: str) -> dict[str, str]:
    """What stands between each pair of marks.

    Args:
        parts: When each ground was tried, and its lines.
        about: The machine and the versions.
    """
    lines = [line for _, found in parts.values() for line in found]
    return {
        "measured": f"{about}\n\nMeasured: {'; '.join(f'{name} {when}' for name, (when, _) in parts.items())}.",
        "total": total(lines),
        "matrix": matrix(lines),
        "words": words(lines),
    }


def total(lines: Sequence[Line]) -> str:
    """One sentence."""
    tried = [line for line in lines if not line.skipped]
    broken = [line for line in tried if line.broken]
    lost, twice = (sum(getattr(line.compared, name) for line in tried) for name in ("lost", "twice"))
    rows = sum(line.compared.rows for line in tried)
    return (
        f"{len(tried) - len(broken)} of {len(tried)} lines held; {rows:,} rows compared column by column, {lost} lost, {twice} "
        f"twice; {len(lines) - len(tried)} could not be tried."
    )


def matrix(lines: Sequence[Line]) -> str:
    """A row per line."""
    rows = [
        "| source | what was done | rows compared | lost | twice | other | how it ended |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for ground, found in groupby(lines, key=lambda line: line.ground):
        for number, line in enumerate(found):
            compared = line.compared
            counts = f"{compared.rows:,} | {compared.lost} | {compared.twice} | {compared.other}"
            rows.append(f"| {ground if number == 0 else ''} | {line.what} | {counts} | {_ended(line)} |")
    return "\n".join(rows)


def words(lines: Sequence[Line]) -> str:
    """What was said, each sentence once."""
    said: dict[str, list[str]] = {}
    for line in lines:
        if line.said:
            said.setdefault(shown(line.said), []).append(f"{line.ground}: {line.what}" if line.what else line.ground)
    return "\n".join(f"- {', '.join(dict.fromkeys(where))}: *{text}*" for text, where in said.items())


def _ended(line: Line) -> str:
    if line.skipped:
        return f"not tried: {shown(line.skipped)}"
    if line.broken:
        return f"**BROKEN**: {shown(line.broken)}"
    return "refused" if " → " in line.said else "equal, with a note" if line.said else "equal"


def shown(text: str) -> str:
    """A sentence without folders, ports and process ids, which are others every time."""
    plain = without_folders(" ".join(text.replace("|", "/").replace("*", "").split()))
    plain = re.sub(r"\b(port|pid|oid) \d+", r"\1 N", re.sub(r"\b\d{16,}\b", "N", plain))
    plain = re.sub(r"PGSQL\.\d+", "PGSQL.N", plain)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
