"""Does the difference hold day by day: a sentence, and a small picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analytics.reports import charts, page
from analytics.reports.page import number
from analytics.reports.rehearsal import wording

if TYPE_CHECKING:
    from analytics.findings.rehearsal.drift import DayDifference, Drift
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.reports.page.blocks import Body
    from analytics.reports.page.inline import Markup

_MOST_NAMED = 3


def parts(found: Rehearsal, drift: Drift | None) -> list[Body]:
    """What the section of how sure we are says of days; nothing of a single day, or where no run is paid otherwise."""
    if drift is None or len(drift.days) < 2 or not found.changed.value:
        return []
    return [page.subhead("Day by day"), page.note(sentence(found, drift)), _picture(found, drift)]


def sentence(found: Rehearsal, drift: Drift) -> str:
    """Whether it holds on each day, and whether days differ beyond chance."""
    sign = math.copysign(1.0, found.per_run.value)
    word, count = ("more" if sign > 0 else "less"), len(drift.days)
    held = drift.holds(sign)
    if held == count:
        said = f"It pays {word} on each of {count} days"
    elif held:
        said = f"It surely pays {word} on {held} of {count} days"
    else:
        said = f"On none of {count} days by itself is it sure to pay {word}"
    if math.isnan(drift.p):
        return f"{said}; days have too few runs to be compared, or every run differs by the same."
    chance = "p < 0.001" if drift.p < 0.001 else f"p = {number.number(drift.p)}"
    if not drift.differs:
        return f"{said}; days differ by no more than chance would have it (Cochran's Q, {chance})."
    labels = {version.label for version in found.tried.versions if version.tried_count}
    versions = " Not each day was paid by the same version, which may be why." if len(labels) > 1 else ""
    return f"{said}; days differ beyond chance (Cochran's Q, {chance}){_apart(found, drift)}.{versions}"


def _apart(found: Rehearsal, drift: Drift) -> str:
    """The days that are apart, the farthest first."""
    middle = found.per_run.value
    listed = sorted(drift.apart, key=lambda day: -abs(day.per_run.value - middle))[:_MOST_NAMED]
    said = [_day(day, middle) for day in listed]
    more = len(drift.apart) - len(listed)
    return f": {', '.join(said)}{f' and {more:,} more' if more else ''}" if said else ""


def _day(day: DayDifference, middle: float) -> str:
    than = "larger" if abs(day.per_run.value) > abs(middle) and day.per_run.value * middle > 0 else "smaller"
    value = number.number(day.per_run.value, day.per_run.low, day.per_run.high, sign=True)
    return f"{than} on {number.day(day.day)} ({value} a run)"


def _picture(found: Rehearsal, drift: Drift) -> Markup:
    import pandas as pd

    apart = {day.day for day in drift.apart}
    rows = [
        {
            "day": day.day,
            "value": day.per_run.value,
            "value_low": day.per_run.low,
            "value_high": day.per_run.high,
            "role": "finding" if day.day in apart else "",
        }
        for day in drift.days
    ]
    frame = pd.DataFrame(rows)
    alt = f"Points beyond {wording.base_pay(found)}, per run, on {len(rows)} days. {sentence(found, drift)}"
    return charts.responsive(
        lambda width: charts.day_differences(frame, middle=found.per_run.value, width=width),
        "days",
        alt,
        f"Points per run beyond {wording.base_pay(found)}, by UTC day, with 95 % interval; an open one ends at the edge.",
    )
