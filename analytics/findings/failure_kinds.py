"""Rows of a log that are alike but for chance, as long as a strategy fails steadily: by sampling rate, hour and day."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.rank_tests import strata

if TYPE_CHECKING:
    from analytics.findings.sides import Bools, Floats, Ints, Runs

_SAME_RATE = math.log(1.25)
"""Weights that differ by less are of one rate: those that counters have corrected differ a little from hour to hour."""
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Kinds:
    """What rows have in common; made once for all codes.

    Attributes:
        rate: Number of the sampling rate at each row.
        quarter: Quarter of the day, UTC.
        day: Day, from the first one.
    """

    rate: Ints
    quarter: Ints
    day: Ints

    @classmethod
    def of(cls, runs: Runs, scope: slice) -> Kinds:
        """Of the rows of a scope."""
        time = runs.time[scope]
        ok = np.flatnonzero(runs.ok[scope])
        weight = np.maximum(np.nan_to_num(runs.weight[scope][ok], nan=1.0), 1.0)
        level = np.round(np.log(weight) / _SAME_RATE).astype(np.int64)
        rate = np.zeros(len(time), dtype=np.int64)
        if len(ok) and level.min() < level.max():
            # A failure weighs one at every rate: it is of the rate of the ok row that is nearest in time.
            middle = (time[ok[1:]] + time[ok[:-1]]) // 2
            rate = level[np.searchsorted(middle, time)]
            rate[ok] = level
        return cls(numbered(rate), strata(time, weekends=False), (time - time[0]) // _DAY if len(time) else time)


def numbered(kinds: Ints) -> Ints:
    """Small whole numbers as 0, 1, 2 … without gaps."""
    first = kinds - (kinds.min() if len(kinds) else 0)
    if not first.any():
        return first
    found: Ints = (np.cumsum(np.bincount(first) > 0) - 1)[first]
    return found


def shared_out(is_failure: Bools, kinds: Ints) -> Floats:
    """Failures that each kind of rows would have before each row, were they shared out evenly; one number more than rows."""
    share = np.bincount(kinds, weights=is_failure) / np.bincount(kinds)
    found: Floats = np.r_[0.0, np.cumsum(share[kinds])]
    return found


def by_group(is_failure: Bools, kinds: Ints, groups: Ints) -> tuple[Floats, Floats, Floats]:
    """Failures of each group of rows, those it would have were they shared out evenly within kinds, and its rows.

    Args:
        is_failure: Of each row.
        kinds: Of each row, ``numbered``.
        groups: Of each row; those without a row are left out.
    """
    many = int(kinds.max()) + 1 if len(kinds) else 1
    table = np.bincount(groups * many + kinds, minlength=(int(groups.max(initial=-1)) + 1) * many).reshape(-1, many)
    failed = np.bincount(groups[is_failure], minlength=len(table)).astype(float)
    held = table.sum(axis=1) > 0
    share = np.bincount(kinds[is_failure], minlength=many) / np.maximum(table.sum(axis=0), 1)
    return failed[held], (table @ share)[held], table.sum(axis=1)[held].astype(float)
