"""Points per run as one program pays them, whichever version was live: what still moves then comes from the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.post_mortem.groups import Runs, Side
from analytics.findings.replay.replayed import Replayed
from analytics.findings.replay.version_pairs import Pairs

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
        runs: All rows; points and case are those of the program, which is the only label. A row for which that is not known has
            no points. The frame is that of the runs as they were.
    """

    label: str
    runs: Runs


def one_program(runs: Runs, scope: slice, pairs: Pairs, candidates: Mapping[str, Side]) -> OneProgram | None:
    """The series under the first of some programs that tells nearly all runs of every version.

    Args:
        runs: All rows of the family.
        scope: The rows that are to be told.
        pairs: What was tried already.
        candidates: Label and some runs of each program, the best reference first.

    Returns:
        None where one version ran all the time, or where no program tells the others' runs.
    """
    sides = _versions(runs, scope)
    if len(sides) < 2 or len(sides) > _MOST_VERSIONS:
        return None
    for label, program in candidates.items():
        if label not in sides:
            continue
        tried = []
        for other, side in sides.items():
            found = pairs.tried(program, side).forward if other != label else None
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
    """All rows with that program's points and cases, and the weights of the rows that were taken of other versions."""
    import pandas as pd

    inside = np.zeros(len(runs.time), dtype=bool)
    inside[scope] = True
    is_own = runs.label == runs.labels.index(label)
    points, weight = np.where(is_own, runs.points, np.nan), runs.weight.copy()
    # Cases by number, those of the other programs behind the known ones: a million names as objects would take much memory.
    numbers, names = pd.factorize(runs.frame["case_name"])
    cases, known = numbers.astype(np.int64), {name: number for number, name in enumerate(names)}
    places = _places(runs.frame["execution_id"].to_numpy(), inside & ~is_own)
    for found in tried:
        rows = found.rows[found.rows["decided"].to_numpy(bool)]
        at = places.loc[rows["execution_id"]].to_numpy()
        points[at], weight[at] = rows["would"].to_numpy(float), rows["weight"].to_numpy(float)
        told = [name if isinstance(name, str) else None for name in rows["would_case"]]
        cases[at] = [-1 if name is None else known.setdefault(name, len(known)) for name in told]
    return replace(
        runs,
        points=points,
        weight=weight,
        paid=runs.ok & np.isfinite(points),
        case=cases,
        label=np.zeros(len(points), dtype=np.int64),
        labels=(label,),
    )


def _places(ids: np.ndarray, wanted: np.ndarray) -> pd.Series:
    import pandas as pd

    at = np.flatnonzero(wanted)
    return pd.Series(at, index=ids[at])
