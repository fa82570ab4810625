"""Points per run as one program pays them, whichever version was live: what still moves then comes from the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.pairs import Pairs
from analytics.findings.replayed import Replayed
from analytics.findings.sides import Runs, Side

if TYPE_CHECKING:
    import pandas as pd

_FEW = 0.02
"""Share of the runs that may belong to versions which are not tried: stragglers."""
_MOST_VERSIONS = 6


@dataclass(frozen=True, slots=True)
class OneProgram:
    """The runs of a family as one of its programs pays them.

    Attributes:
        label: Of the program.
        runs: All rows; points and case are those of the program. A row for which that is not known has no points.
    """

    label: str
    runs: Runs


def one_program(runs: Runs, scope: slice, pairs: Pairs, candidates: Sequence[str]) -> OneProgram | None:
    """The series under the first of some programs that tells nearly all runs of every version.

    Args:
        runs: All rows of the family.
        scope: The rows that are to be told.
        pairs: What was tried already.
        candidates: Labels of the programs, the best reference first.

    Returns:
        None where one version ran all the time, or where no program tells the others' runs.
    """
    sides = _versions(runs, scope)
    if len(sides) < 2 or len(sides) > _MOST_VERSIONS:
        return None
    for label in dict.fromkeys(candidates):
        if label not in sides:
            continue
        tried = []
        for other, side in sides.items():
            found = pairs.tried(sides[label], side).forward if other != label else None
            if other != label and (found is None or not found.is_telling):
                break
            tried += [found] if found is not None else []
        else:
            return OneProgram(label, _replaced(runs, scope, label, tried))
    return None


def _versions(runs: Runs, scope: slice) -> dict[str, Side]:
    """The versions that ran in the scope, but for stragglers."""
    counts = np.bincount(runs.label[scope], minlength=len(runs.labels))
    return {
        runs.labels[number]: runs.side(runs.labels[number], runs.where(scope, runs.labels[number]))
        for number in np.flatnonzero(counts > _FEW * counts.sum()).tolist()
    }


def _replaced(runs: Runs, scope: slice, label: str, tried: Sequence[Replayed]) -> Runs:
    frame = runs.frame
    inside = np.zeros(len(frame), dtype=bool)
    inside[scope] = True
    is_own = runs.label == runs.labels.index(label)
    points = np.where(is_own, runs.points, np.nan)
    weight = runs.weight.copy()
    cases = frame["case_name"].astype(object).to_numpy(copy=True)
    places = _places(frame["execution_id"].to_numpy(), inside & ~is_own)
    for found in tried:
        rows = found.rows[found.rows["decided"].to_numpy(bool)]
        at = places.loc[rows["execution_id"]].to_numpy()
        points[at], cases[at] = rows["would"].to_numpy(float), rows["would_case"].to_numpy(object)
        weight[at] = rows["weight"].to_numpy(float)
    changed = frame.assign(points=points, case_name=cases, sample_weight=weight, label=label)
    return Runs.of(changed)


def _places(ids: np.ndarray, wanted: np.ndarray) -> pd.Series:
    import pandas as pd

    at = np.flatnonzero(wanted)
    return pd.Series(at, index=ids[at])
