"""What ``analytics.sweep`` answers: a table and a picture of what is paid at each value, and which value keeps a budget."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import Column, number
from analytics.reports.rehearsal import wording

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.rehearsal.sweep import Kept, Sweep, Tried
    from analytics.reports.page import Block
    from analytics.storage.typed_json import Json

_MOST_LISTED: Final = 8


class Budget:
    """Which of the tried values keep a budget, in a sentence.

    Args:
        found: The facts.
        sentence: In words.
    """

    def __init__(self, found: Kept, sentence: str) -> None:
        self.found, self.sentence = found, sentence

    @property
    def value(self) -> float | None:
        """The largest value that surely keeps it; None where none does."""
        return self.found.value

    def __repr__(self) -> str:
        return page.visible(self.sentence)

    def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, str], dict[str, Any]]:
        return page.Block(page.note(self.sentence).html, repr(self), "answer")._repr_mimebundle_()


class SweepTable:
    """The answer of a sweep. Show it to see a table and a picture.

    Args:
        found: The facts; a notebook may ask for any of them.
        budget: Points a day that may be paid; None for no such question.

    >>> answer = analytics.sweep(lake, program, "rule performance-bonus › assign", range(10, 16), since="7d")
    >>> answer.frame                                    # one row a value
    >>> answer.chart()                                  # points a day over the values
    >>> answer.within(points_per_day=50_000)            # which value keeps a budget
    """

    def __init__(self, found: Sweep, *, budget: float | None = None) -> None:
        self.inquiry, self._budget = found, budget
        self.kept = None if budget is None else self.within(budget)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a value: what it pays a day, how far beyond what was paid, with intervals, and what would fail."""
        return self.inquiry.frame

    def chart(self) -> Block:
        """Points a day over the values, with intervals; lightly what is not decided; what was paid as a line."""
        from analytics.reports import charts

        frame, budget = self.frame, self._budget
        alt = f"Points a day at {number.counted(len(frame), 'value')} of {self.inquiry.where}"
        drawn = charts.responsive(lambda width: charts.sweep(frame, budget=budget, width=width), "sweep", alt)
        return page.Block(drawn, alt, "answer")

    def within(self, points_per_day: float) -> Budget:
        """The largest tried value that keeps a budget even at the cautious end: the interval's, and undecided runs at their worst.

        Args:
            points_per_day: The budget.

        Raises:
            UsageError: The values are no numbers, or the budget is none.
        """
        found = self.inquiry.within(points_per_day)
        return Budget(found, self._sentence(found))

    def _sentence(self, found: Kept) -> str:
        budget = f"{number.exact(found.budget)} points a day"
        not_between = "Between the tried values nothing was tried."
        if found.value is None:
            smallest = min(self.inquiry.tried, key=lambda one: one.worst[1])
            why = number.exact(math.ceil(smallest.worst[1])) if math.isfinite(smallest.worst[1]) else ""
            name = number.exact(smallest.value)
            least = f"; the nearest, {name}, may pay up to {why}" if why else "; nothing bounds what they pay"
            return f"None of the tried values surely keeps {budget}{least}. {not_between} {self._rest()}".strip()
        at = next(one for one in self.inquiry.tried if one.value == found.value)
        top = f"at {number.exact(found.value)} it pays {_written(at)}, at worst {number.exact(math.ceil(at.worst[1]))}"
        if not found.breaking:
            said = (
                f"Every tried value keeps {budget}, up to the largest: {top}; whether a larger one does was not tried."
            )
            return f"{said} {not_between} {self._rest()}".strip()
        said = f"The largest tried value that surely keeps {budget} is {number.exact(found.value)}: {top}."
        if smaller := [one for one in found.breaking if one < found.value]:
            said += f" Not every smaller one does: {', '.join(map(number.exact, smaller[:_MOST_LISTED]))}."
        return f"{said} {not_between} {self._rest()}".strip()

    def _rest(self) -> str:
        """What is in no number."""
        failed = self.inquiry.first.tried.failed_count
        count = number.counted(failed, "logged failure")
        return f"{count} left no input to try and {'adds' if failed == 1 else 'add'} to no number." if failed else ""

    # ---- shown -----------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """Which value of which program."""
        family = self.inquiry.program.family
        return f"{family.name}, {self.inquiry.program.name} · {realm_name(family.realm)}: {self.inquiry.where}"

    def _sentences(self) -> list[str]:
        found = self.inquiry
        tried = found.first.tried
        if not len(tried.rows):
            return [f"Nothing can be told: {wording.nothing_tried(found.first)}."]
        said = (
            f"{number.counted(len(tried.rows), 'logged run')} of {tried.logged_count:,} tried, "
            f"{number.span(found.since, found.until)}, UTC; the value is {_value(found.now)} now"
        )
        return [
            f"{said}. Points are estimates for a day.",
            self.kept.sentence if self.kept is not None else self._rest(),
        ]

    def _table(self) -> Block:
        rows = [
            {
                "value": _value(one.value),
                "points": one.points,
                "more": one.difference,
                "changed": one.changed,
                "undecided": one.undecided,
                "worst": number.between(*one.worst) or "no limit",
                "failed": one.failed_count,
            }
            for one in self.inquiry.tried
        ]
        columns = [
            Column("value", "Value", kind="author", role="name", align="right"),
            Column("points", "Points a day", kind="estimate"),
            Column("more", "Difference", kind="estimate", sign=True),
            Column("changed", "Paid otherwise", kind="estimate", unit="%"),
            Column("undecided", "Undecided", kind="estimate", unit="%"),
            Column("worst", "At worst", align="right"),
            Column("failed", "Tried rows that fail", kind="count"),
        ]
        return page.table(rows, columns)

    def _block(self) -> Block:
        told = [page.subhead(page.author(self.title, 200)), *(page.note(one) for one in self._sentences() if one)]
        table = self._table()
        html = [*(one.html for one in told), page.Markup('<div class="sa-rows">{}</div>').format(table.html)]
        text = "\n".join([*(one.text for one in told), table.text])
        return page.Block(page.Markup("").join([*html, self.chart().html]), text, "answer")

    def __repr__(self) -> str:
        return self._block().text

    def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, str], dict[str, Any]]:
        return self._block()._repr_mimebundle_()


def _value(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool) else number.exact(value)


def _written(one: Tried) -> str:
    return number.number(one.points.value, one.points.low, one.points.high)
