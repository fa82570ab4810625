"""Which runs are paid otherwise: from which case to which, as a picture and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analytics.reports import charts, page
from analytics.reports.page import Column, number
from analytics.reports.rehearsal import wording

if TYPE_CHECKING:
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.findings.rehearsal.transitions import Ending
    from analytics.reports.page import Block
    from analytics.reports.page.blocks import Body
    from analytics.reports.page.inline import Inline, Markup
    from analytics.reports.small_cells import SmallCells

NO_CASE = "no case"
_QUESTION = "Which runs change?"
_WORDS = {"none": NO_CASE, "others": "other cases", "fails": "fails", "unknown": "case not known"}


def section(found: Rehearsal, small: SmallCells) -> Block:
    """By the case of either program."""
    how = [f"By {wording.base_case(found)}, and the one in which the draft pays it."]
    if not found.moved:
        return page.section("changed", _QUESTION, how, wording.none_changed(found))
    of = "the runs that the log decides" if found.undecided.value else "the runs"
    text: list[Inline] = [
        f"{wording.percent(found.changed)} ", wording.share_bracket(found.changed), f" of {of} are paid otherwise.",
    ]  # fmt: skip
    if small:  # a move may be one user's
        return page.section("changed", _QUESTION, [*how, small.note], text)
    body: list[Body] = [_picture(found), _table(found)]
    return page.section("changed", _QUESTION, how, text, body)


def _picture(found: Rehearsal) -> Markup:
    import pandas as pd

    rows = [
        {
            "was": _named(move.was),
            "now": _named(move.now),
            "share": move.share.value,
            "role": "worse" if move.now.kind == "fails" else "finding" if move.is_changed else "",
        }
        for move in found.transitions
    ]
    frame = pd.DataFrame(rows)
    moved = sum(move.is_changed for move in found.transitions)
    to = f"the one that the draft pays; {moved} of {len(rows)} bands are paid otherwise"
    alt = f"Runs from {wording.base_case(found)} to {to}"
    return charts.responsive(
        lambda width: charts.flow(frame, width=width, before=f"{wording.base(found)} in", after="Draft pays in"),
        "moves",
        alt,
        "Height: share of the runs. With an edge: paid otherwise. Grey: paid the same.",
    )


def _named(ending: Ending) -> str:
    return ending.name if ending.kind == "case" else _WORDS[ending.kind]


def _table(found: Rehearsal) -> Block:
    rows = [
        {
            "was": move.was or NO_CASE,
            "now": "fails" if move.move.value == "fails" else move.now or NO_CASE,
            "rows": move.logged_count,
            "from": number.exact(move.amount_was) if np.isfinite(move.amount_was) else "varies",
            "to": number.exact(move.amount_now) if np.isfinite(move.amount_now) else "varies",
            "more": move.difference,
        }
        for move in found.moved
    ]
    columns = [
        Column("was", f"{wording.base(found)} in", kind="author", role="name"),
        Column("now", "Draft pays in", kind="author"),
        Column("rows", "Logged rows", kind="count"),
        Column("from", "Each", align="right"),
        Column("to", "Then each", align="right"),
        Column("more", "Difference", kind="estimate", sign=True),
    ]
    return page.table(rows, columns)
