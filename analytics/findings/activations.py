"""When was which version live? Known only from the log's own timestamps: a rollback overwrites ``publishedAt``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

STRAGGLERS = 2
"""An island of at most this many rows inside another version's time is a late commit or a process that had not reloaded."""

_MOST_ISLANDS = 12


@dataclass(frozen=True, slots=True)
class Activation:
    """A span in which one version was seen in the log.

    Attributes:
        label: ``v3``.
        strategy_id, strategy_version: The version.
        first, last: Its first and last logged row, UTC.
        logged_count: Rows.
    """

    label: str
    strategy_id: str
    strategy_version: int
    first: datetime
    last: datetime
    logged_count: int


def activations(rows: pd.DataFrame) -> list[Activation]:
    """Spans of versions in time order, from rows in time order.

    Versions that alternate all the time (an experiment, a slow roll-out) are given one span each, from first to last.
    """
    if rows.empty:
        return []
    islands = _islands(rows)
    if len(islands) > _MOST_ISLANDS:
        islands = [group.index.tolist() for _, group in rows.reset_index(drop=True).groupby("label", sort=False)]
    frame = rows.reset_index(drop=True)
    found = []
    for members in islands:
        first, last = frame.loc[members[0]], frame.loc[members[-1]]
        found.append(
            Activation(
                str(first["label"]),
                str(first["strategy_id"]),
                int(first["strategy_version"]),
                first["created_at"].to_pydatetime(),
                last["created_at"].to_pydatetime(),
                len(members),
            )
        )
    return sorted(found, key=lambda a: a.first)


def _islands(rows: pd.DataFrame) -> list[list[int]]:
    """Row numbers of consecutive rows of one version; tiny islands between two of the same version are taken out."""
    labels = rows["label"].tolist()
    islands: list[list[int]] = []
    for number, label in enumerate(labels):
        if islands and labels[islands[-1][-1]] == label:
            islands[-1].append(number)
        else:
            islands.append([number])
    kept: list[list[int]] = []
    for position, island in enumerate(islands):
        label = labels[island[0]]
        before = labels[islands[position - 1][0]] if position else None
        after = labels[islands[position + 1][0]] if position + 1 < len(islands) else None
        if len(island) <= STRAGGLERS and before is not None and before == after:
            continue
        if kept and labels[kept[-1][0]] == label:
            kept[-1] += island
        else:
            kept.append(list(island))
    return kept
