"""Do the definitions in the lake give the logged runs again, entry by entry? Whatever else is told of them rests on that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.findings.evidence import Evidence, pieces
from analytics.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MOST = 200
"""Runs that are replayed with every entry."""


@dataclass(frozen=True, slots=True)
class ReplayShare:
    """Logged ok runs replayed with all their entries, evenly spread over the time.

    Attributes:
        looked_at: Runs that have a trace and a definition.
        reproduced: Of them, those with every recorded entry, the points and the case the same.
        undecided: Those whose cut trace lacks what the rest of the run read; what is recorded is the same.
        unfit: Those whose definition is not the program that ran.
        edited: Of these, those that fit the program which their version had before it was edited in place; that one was replayed.
        example: A run that differs or does not fit, and why; empty when there is none.
    """

    looked_at: int
    reproduced: int
    undecided: int
    unfit: int
    example: str = ""
    edited: int = 0

    def __str__(self) -> str:
        if not self.looked_at:
            return "none could be replayed: no trace, or no definition in the lake"
        said = f"replay reproduced every entry of {self.reproduced:,} of {self.looked_at:,} runs looked at"
        if self.undecided:
            said += f"; {self.undecided:,} cut ones as far as they are stored"
        if self.edited:
            said += f"; {self.edited:,} ran before their version was edited in place, and were replayed with the program it had"
        if self.unfit > self.edited:
            said += f"; {self.unfit - self.edited:,} do not fit their definition"
        return f"{said}; {self.example}" if self.example else said


def replay_share(lake: Warehouse, rows: pd.DataFrame, *, most: int = MOST) -> ReplayShare:
    """Replay some of the ok runs.

    Args:
        lake: Where their traces and definitions are.
        rows: As ``family_runs`` gives them.
        most: How many; of more, every so-manieth is taken.
    """
    ids = rows["execution_id"][(rows["status"] == "ok").to_numpy()]
    chosen = ids.iloc[:: max(1, -(-len(ids) // most))].tolist()
    tried = [found for found in pieces(lake, chosen) if found.alignment is not None]
    verdicts = [found.replay.verdict if found.replay else "unfit" for found in tried]
    edited = sum(found.definition is not None and found.definition.replaced_at is not None for found in tried)
    unfit = edited + sum(not found.fits for found in tried)
    wrong = next(
        (found for found in tried if not found.fits or (found.replay and found.replay.verdict == "differs")), None
    )
    return ReplayShare(
        len(tried),
        verdicts.count("reproduced"),
        verdicts.count("undecided"),
        unfit,
        _told(wrong) if wrong is not None else "",
        edited,
    )


def _told(found: Evidence) -> str:
    why = found.replay.says if found.replay else found.alignment.misfit if found.alignment else ""
    return f"for example {found.run['execution_id']} {why}"
