"""Whether two groups of runs are of the same games and tasks, at the same hours; else their points say little of their programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.findings.rank_tests import strata
from analytics.findings.sides import Side

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.sides import Floats

_CHANCE = 0.001
"""Largest chance of shares that are called other ones."""
_MATERIAL = 0.05
"""Share of the runs that must be elsewhere: with many runs every difference is beyond chance."""
_EXPECTED = 5.0
"""Runs that a cell of a chi-square table is to expect (Cochran, *Biometrics* 10, 1954); rarer games are put together."""


@dataclass(frozen=True, slots=True)
class Unlike:
    """A way in which two groups of runs are not alike.

    Attributes:
        what: ``games``, ``tasks`` or ``hours``.
        distance: Share of the runs that would have to be elsewhere for both to be alike (total variation distance).
        name: The game or task with the largest difference; None for hours.
        share, other: Share of its runs in the later and in the earlier group.
        p: How likely chance alone makes shares differ this much.
    """

    what: str
    distance: float
    name: str | None
    share: float
    other: float
    p: float

    @property
    def is_disjoint(self) -> bool:
        """They have nothing in common."""
        return self.distance > 1 - 1e-9


def unlike(before: Side, after: Side) -> tuple[Unlike, ...]:
    """What the ok runs of two groups do not have in common, beyond chance and by enough to matter."""
    rows = [side.rows[(side.rows["status"] == "ok").to_numpy(bool)] for side in (before, after)]
    if min(len(group) for group in rows) == 0:
        return ()
    found = []
    for what, column in (("games", "external_game_id"), ("tasks", "external_task_id")):
        old, new = (group[column].astype(object).fillna("(none)").astype(str) for group in rows)
        found.append(_compared(what, old, new, rows))
    hours = [strata(group["created_at"].dt.as_unit("us").astype("int64").to_numpy()) for group in rows]
    found.append(_compared("hours", hours[0], hours[1], rows))
    return tuple(one for one in found if one.p < _CHANCE and one.distance >= _MATERIAL)


def _compared(what: str, old: Any, new: Any, rows: list[pd.DataFrame]) -> Unlike:
    import pandas as pd
    from scipy import stats

    shares, counts = [], []
    for names, group in zip((old, new), rows, strict=True):
        weights = group["sample_weight"].to_numpy(float, na_value=np.nan)
        weights = np.where(np.isfinite(weights), weights, 1.0)
        held = pd.Series(weights).groupby(np.asarray(names)).sum() / weights.sum()
        shares.append(held)
        # So many runs drawn with equal chances would tell as much (Rao & Scott, JASA 76, 1981, with Kish's design effect).
        counts.append(held * weights.sum() ** 2 / (weights**2).sum())
    table = pd.concat(shares, axis=1).fillna(0.0)
    apart = table.iloc[:, 1] - table.iloc[:, 0]
    most = apart.abs().idxmax()
    cells = _pooled(pd.concat(counts, axis=1).fillna(0.0).to_numpy(float))
    p = float(stats.chi2_contingency(cells, correction=False).pvalue) if len(cells) > 1 else 1.0
    name = None if what == "hours" else str(most)
    return Unlike(
        what, float(apart.abs().sum() / 2), name, float(table.loc[most].iloc[1]), float(table.loc[most].iloc[0]), p
    )


def _pooled(counts: Floats) -> Floats:
    """Rows of which either column expects too few put together."""
    total = counts.sum()
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
    rare = expected.min(axis=1) < _EXPECTED
    rest = counts[rare].sum(axis=0, keepdims=True)
    return np.concatenate([counts[~rare], rest]) if rest.sum() > 0 else counts[~rare]
