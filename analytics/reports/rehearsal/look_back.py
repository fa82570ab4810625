"""The table that looks back: what rehearsals of the last versions would have said, beside what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analytics.findings.rehearsal.look_back import Held
from analytics.reports import page
from analytics.reports.page import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analytics.findings.rehearsal.look_back import LookBack
    from analytics.reports.page import Block

_WORDS: Final[Mapping[Held, str]] = {
    Held.INSIDE: "within what was said",
    Held.NEAR: "beside it, the intervals meet",
    Held.OUTSIDE: "outside of it",
    Held.OPEN: "cannot tell",
}
_OTHER_DAYS: Final = (
    "It compares other days: who played and what was sent may differ, which no rehearsal tells; and the program is the one that "
    "the lake has of the version now."
)


def looked_back(found: Sequence[LookBack]) -> list[Block]:
    """What can be said of the rehearsals of the last versions.

    Args:
        found: The changes, the newest first.
    """
    title = page.subhead("Would a rehearsal have told the last versions?")
    if not found:
        return [
            title,
            page.note("The lake's days hold no runs of a second version of it: there is no change to look back on."),
        ]
    rows = [
        {
            "label": one.label,
            "came_at": one.came_at,
            "before": one.before,
            "said": one.said,
            "came": one.came,
            "held": f"{_WORDS[one.held]}: {one.reason}" if one.reason else _WORDS[one.held],
        }
        for one in found
    ]
    columns = [
        Column("label", "Version", role="name"),
        Column("came_at", "Came", kind="time"),
        Column("before", "Was paid before", kind="estimate"),
        Column("said", "Rehearsed on those runs", kind="estimate"),
        Column("came", "Its own runs", kind="estimate"),
        Column("held", "What came is", kind="author"),
    ]
    how = "Points per run that does not fail. Each version was tried on the logged runs of the days before it came."
    return [title, page.note(f"{_said(found)} {how} {_OTHER_DAYS}"), page.table(rows, columns)]


def _said(found: Sequence[LookBack]) -> str:
    told = [one for one in found if one.held is not Held.OPEN]
    inside = sum(one.held is Held.INSIDE for one in told)
    if not told:
        return f"The last {_changes(len(found))} cannot be told."
    if len(told) == len(found) == 1:
        return f"The one change of version {'came as said' if inside else 'did not come as said'}."
    left = f"; {_changes(len(found) - len(told))} cannot be told" if len(told) < len(found) else ""
    return f"Of the last {_changes(len(told))} that a rehearsal tells, {inside} came as said{left}."


def _changes(count: int) -> str:
    return f"{count} change{'s' * (count != 1)} of version"


def plain(one: LookBack) -> dict[str, object]:
    """One change for programs."""
    return {
        "version": one.label,
        "came_at": one.came_at.isoformat(),
        "before": one.before.to_dict(),
        "said": one.said.to_dict(),
        "came": one.came.to_dict(),
        "held": one.held.value,
        "reason": one.reason or None,
    }
