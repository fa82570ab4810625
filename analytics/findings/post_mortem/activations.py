"""When was which version live? Known only from the log's own timestamps: a rollback overwrites ``publishedAt``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

STRAGGLERS = 2
"""So few rows inside another version's time come from a process that had not reloaded."""

_NEIGHBOURS = 50
"""Rows of the version on either side that say how densely it is seen there."""
_SURPRISE = 0.01
"""Gaps as long as this one, expected by chance alone among all of the version's rows, for it to have been away."""
_MOST_SPLITS = 200
"""Gaps that are looked into, the longest first."""


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
    """Spans of versions, the earliest first, from rows in time order.

    Each version is looked at alone. It was away where none of its rows is among more rows of others than its own share
    of the rows on either side explains. So a rollback ends a version; two versions that alternate (an experiment, a slow
    roll-out, a process that has not reloaded) overlap, with one span each; and the rows that one process still writes under
    the old version do not bring it back.
    """
    if rows.empty:
        return []
    import pandas as pd

    codes, labels = pd.factorize(rows["label"])
    found: list[tuple[int, NDArray[np.int64]]] = []
    for code in range(len(labels)):
        islands = _islands(np.flatnonzero(codes == code))
        kept = [island for island in islands if len(island) > STRAGGLERS or _is_at_an_end(island, len(codes))]
        # A version seen twice all in all was still seen.
        found += [(code, island) for island in kept or islands]
    found.sort(key=lambda item: int(item[1][0]))
    spans = []
    for code, island in found:
        first, last = rows.iloc[int(island[0])], rows.iloc[int(island[-1])]
        spans.append(
            Activation(
                str(labels[code]),
                str(first["strategy_id"]),
                int(first["strategy_version"]),
                first["created_at"].to_pydatetime(),
                last["created_at"].to_pydatetime(),
                len(island),
            )
        )
    return spans


def _is_at_an_end(island: NDArray[np.int64], count: int) -> bool:
    """What is seen last may be a version that has just come, not a straggler; so too at the start."""
    return bool(island[0] == 0 or island[-1] == count - 1)


def _islands(places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """One version's row numbers, cut where it was away; the longest gap is looked at first, then what is left on its sides."""
    gaps = np.diff(places) - 1
    long_gaps = np.flatnonzero(gaps > STRAGGLERS)
    long_gaps = long_gaps[np.argsort(-gaps[long_gaps], kind="stable")][:_MOST_SPLITS]
    cuts: list[int] = []
    for gap in long_gaps.tolist():
        start = max((cut + 1 for cut in cuts if cut < gap), default=0)
        stop = min((cut + 1 for cut in cuts if cut > gap), default=len(places))
        if _was_away(places, gap, start, stop, int(gaps[gap])):
            cuts.append(gap)
    return np.split(places, [cut + 1 for cut in sorted(cuts)])


def is_gone(own: int, among: int, later: int) -> bool:
    """Whether a version that none of the later rows is of would have been seen among them, were it still live.

    Args:
        own: Its rows.
        among: Rows of all versions from its first to its last.
        later: Rows of others since.
    """
    return own * _chance_of_gap(own, among, later) < _SURPRISE


def _was_away(places: NDArray[np.int64], gap: int, start: int, stop: int, length: int) -> bool:
    left = places[max(start, gap + 1 - _NEIGHBOURS) : gap + 1]
    right = places[gap + 1 : min(stop, gap + 1 + _NEIGHBOURS)]
    # A side of stragglers says nothing of how densely the version is seen when it is live.
    sides = [side for side in (left, right) if len(side) > STRAGGLERS] or [left, right]
    expected = max(len(places) * _chance_of_gap(len(side), int(side[-1] - side[0]) + 1, length) for side in sides)
    return expected < _SURPRISE


def _chance_of_gap(own: int, among: int, length: int) -> float:
    """Chance that none of the next rows is the version's, its share being known from ``own`` of ``among`` rows.

    Beta-binomial: ``B(own, others + 1 + length) / B(own, others + 1)``, the share's posterior being Beta(own, others + 1).
    """
    from scipy import special

    others = among - own + 1
    return float(np.exp(special.betaln(own, others + length) - special.betaln(own, others)))
