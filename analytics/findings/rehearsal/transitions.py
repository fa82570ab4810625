"""From which case to which: every decided run by the case it was paid in and the one the program pays, rare cases together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from analytics.estimates import estimators
from analytics.estimates.estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Array, Floats, Ints

MOST_CASES = 6
"""Of a side that are kept apart; an author may give every run a case of its own."""


class Ending(NamedTuple):
    """How a run ends.

    Attributes:
        kind: ``case``: in the case ``name``. ``none``: in no case. ``others``: in one of the rarer cases. ``fails``: it fails.
            ``unknown``: the log does not tell the case, though it tells the points.
        name: Of the case; empty for the other kinds.
    """

    kind: Literal["case", "none", "others", "fails", "unknown"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """Decided runs with one ending and then another.

    Attributes:
        was: In which they were paid.
        now: In which the program ends them.
        is_changed: They are paid otherwise.
        logged_count: Tried logged runs.
        share: Of the decided runs.
    """

    was: Ending
    now: Ending
    is_changed: bool
    logged_count: int
    share: Estimate


def transitions(rows: pd.DataFrame, *, most: int = MOST_CASES) -> list[Transition]:
    """All decided runs by both of their endings, the most frequent first.

    Args:
        rows: Decided ones of `RehearsedRuns.rows`.
        most: Cases of a side that are kept apart.
    """
    import pandas as pd

    if rows.empty:
        return []
    weight = rows["weight"].to_numpy(float)
    has_failed, knows = rows["code"].notna().to_numpy(bool), rows["knows_case"].to_numpy(bool)
    was, endings = _sides(rows["case_name"].to_numpy(object), weight, most)
    now, later = _sides(rows["would_case"].to_numpy(object), weight, most)
    later += [Ending("fails"), Ending("unknown")]
    now = np.where(has_failed, len(later) - 2, np.where(knows, now, len(later) - 1))
    is_changed = rows["is_changed"].to_numpy(bool)
    codes, kinds = pd.factorize((was * len(later) + now) * 2 + is_changed)
    found = [
        Transition(
            endings[kind // 2 // len(later)],
            later[kind // 2 % len(later)],
            bool(kind % 2),
            int((codes == at).sum()),
            estimators.share_of_runs(codes == at, weight),
        )
        for at, kind in enumerate(kinds.tolist())
    ]
    return sorted(found, key=lambda one: (-one.share.value, one.was, one.now))


def _sides(names: Array, weight: Floats, most: int) -> tuple[Ints, list[Ending]]:
    """Of each run the number of its ending, and the endings."""
    import pandas as pd

    codes, known = pd.factorize(names)  # no case: -1
    runs = np.bincount(codes + 1, weights=weight, minlength=len(known) + 1)[1:]
    order = np.argsort(-runs, kind="stable")
    # One that would be alone among the others keeps its name.
    kept = order if len(order) <= most + 1 else order[:most]
    place = np.full(len(known) + 1, len(kept), dtype=np.int64)
    place[kept + 1] = np.arange(len(kept))
    place[0] = len(kept) + 1
    endings = [Ending("case", str(known[at])) for at in kept]
    return place[codes + 1], [*endings, Ending("others"), Ending("none")]
