"""Who a program pays more: users in quarters, by how many of their runs the log holds.

By runs and not by points: who was paid much in the very runs that are compared would be told to gain much by their choice alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates.comparisons import Relative
from analytics.estimates.estimate import Estimate
from analytics.findings.rehearsal.beyond import NEEDED, beyond_per_run
from analytics.findings.replay.paired import relative

if TYPE_CHECKING:
    import pandas as pd

_GROUPS = 4


@dataclass(frozen=True, slots=True)
class UserGroup:
    """Users of about as many logged runs.

    Attributes:
        least, most: Tried logged runs of one of them.
        user_count: Logged users.
        logged_count: Their tried logged runs.
        per_run: What the program pays beyond, per run.
        relative: The same as a share of what was paid; None where that may be nothing, and where none of these runs is paid
            otherwise.
    """

    least: int
    most: int
    user_count: int
    logged_count: int
    per_run: Estimate
    relative: Relative | None


def user_groups(rows: pd.DataFrame, reach: tuple[float, float]) -> list[UserGroup]:
    """At most four groups of about as many users, those with the fewest runs first; fewer where most users have one run.

    Args:
        rows: Decided ones of `RehearsedRuns.rows`; runs without a user are of no group.
        reach: The least and the most that the program may pay beyond what a run was paid.
    """
    import pandas as pd

    codes, users = pd.factorize(rows["external_user_id"])
    if not len(users):
        return []
    runs = np.bincount(codes[codes >= 0], minlength=len(users))
    # Users with as many runs are of one group, wherever a quarter ends.
    ends = np.unique(np.quantile(runs, np.arange(1, _GROUPS + 1) / _GROUPS, method="inverted_cdf"))
    group = np.searchsorted(ends, runs)
    of_row = np.where(codes >= 0, group[codes], -1)
    rows = rows[NEEDED]
    found = []
    for at in range(len(ends)):
        part, own = rows[of_row == at], runs[group == at]
        share = relative(part["low"], part["points"], part["weight"]) if part["is_changed"].any() else None
        per_run = beyond_per_run(part, reach)
        found.append(UserGroup(int(own.min()), int(own.max()), len(own), len(part), per_run, share))
    return found
