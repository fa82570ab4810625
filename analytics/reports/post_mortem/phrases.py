"""Phrases of the post-mortem that more than one sentence uses: the top of the page, changes and shares with their intervals."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never

from analytics.estimates.comparisons import Difference, Relative
from analytics.estimates.estimate import Estimate
from analytics.findings.post_mortem.finding import ComparisonFinding, NoFinding, OneGroup, Why
from analytics.findings.post_mortem.groups import NO_CASE
from analytics.reports import page
from analytics.reports.page import number
from analytics.reports.page.inline import plain

if TYPE_CHECKING:
    from analytics.findings.post_mortem.node_changes import NodeChange
    from analytics.reports.page.inline import Inline


@dataclass(frozen=True, slots=True)
class Verdict:
    """The top of the page.

    Attributes:
        sentence: Parts for ``page.head``.
        text: The same without colours.
        status: What holds now; ``None`` when there is nothing to say.
        status_role: Its colour.
    """

    sentence: list[Inline]
    text: str
    status: list[Inline] | None
    status_role: Literal["fixed", "finding", "worse"]

    @classmethod
    def of(
        cls,
        sentence: list[Inline],
        status: list[Inline] | None = None,
        role: Literal["fixed", "finding", "worse"] = "finding",
    ) -> Verdict:
        """The sentence with its plain text."""
        return cls(sentence, plain(sentence), status, role)

    def with_words(self, more: str) -> Verdict:
        """With one more sentence; empty for none."""
        return Verdict.of([*self.sentence, more], self.status, self.status_role)

    def with_input(self, moved: NodeChange) -> Verdict:
        """Name the field whose values moved most."""
        values = moved.values
        before, after = (_amount(value, values.is_share) for value in (values.before, values.after))
        what = f"the share that {values.what} went" if values.is_share else "its median went"
        sentence = [
            *self.sentence,
            " The input that moved most is ",
            page.mono(str(moved.path)),
            f": {what} from ",
            page.before(before),
            " to ",
            page.finding(after),
            ".",
        ]
        return Verdict.of(sentence, self.status, self.status_role)


def _amount(value: float, is_share: bool) -> str:
    return number.percent(value) if is_share else f"{value:,.6g}"


def reason_sentence(finding: NoFinding | OneGroup | ComparisonFinding) -> str:
    """Why nothing is made of a window; empty where there is no more to say."""
    if isinstance(finding, ComparisonFinding) or finding.reason is None:
        return ""
    match finding.reason.why:
        case Why.FEW_DAYS:
            days = finding.reason.logged_days
            held = f"Only {days} day{'s' * (days != 1)} of runs {'are' if days != 1 else 'is'} logged"
            return f"{held}, with no earlier hours of the same kind: a weekend or a night cannot be told from a change."
        case Why.SINGLE_RUNS:
            return "Single runs are paid otherwise, beyond chance; whether points per run moved in all cannot be told."
        case Why.SAME_HOURS:
            return "At the same hours of the day and week, points per run are as before."
        case Why.NO_MOMENT:
            return "At no moment do points per run change more than chance makes them change at some moment."
        case Why.HARDLY:
            return "That is hardly beyond chance."
        case Why.TOO_FEW:
            return "Too few runs are logged to compare."
        case Why.NO_BASELINE:
            return f"The baseline {finding.baseline} has no logged run to compare with."
        case _:
            assert_never(finding.reason.why)


def percent(change: Difference) -> str:
    """“50 % more”; the amount itself where nothing was paid before."""
    word = "more" if change.change.value > 0 else "fewer"
    if not math.isfinite(change.relative):  # nothing was paid before: there is no share of it
        moved = change.change
        return f"{number.number(abs(moved.value), *sorted((abs(moved.low), abs(moved.high))))} {word}"
    return (
        f"{number.percent(abs(change.relative), *sorted((abs(change.relative_low), abs(change.relative_high))))} {word}"
    )


def interval(change: Difference) -> Inline:
    """The interval of that."""
    if not math.isfinite(change.relative):
        return page.ci(change.change.low, change.change.high, value=change.change.value, sign=True)
    return page.ci(
        100 * change.relative_low, 100 * change.relative_high, value=100 * change.relative, unit="%", sign=True
    )


def share(change: Relative) -> str:
    """“49 % more” or “12 % less”."""
    word = "more" if change.value > 0 else "less"
    return f"{number.percent(abs(change.value), *sorted((abs(change.low), abs(change.high))))} {word}"


def share_bounds(change: Relative) -> Inline:
    """The interval of that."""
    return page.ci(100 * change.low, 100 * change.high, value=100 * change.value, unit="%", sign=True)


def percent_up(part: float) -> str:
    """An upper bound of a share, rounded up."""
    return f"{math.ceil(1000 * part) / 10:g} %"


def signed(estimate: Estimate) -> str:
    """A difference with its sign."""
    return number.number(estimate.value, estimate.low, estimate.high, sign=True)


def beyond_words(estimate: Estimate) -> str:
    """Whether chance may explain it."""
    return "which may be chance" if estimate.low <= 0 <= estimate.high else "beyond chance"


def case_name(name: str | None, hidden: Collection[str]) -> list[Inline]:
    """A case in a sentence; without its name where that is not to be told."""
    if name is not None and name in hidden:
        return ["another case"]
    return [page.author(name)] if name is not None else [NO_CASE]


def rest_of(whole: Estimate, part: Estimate) -> Estimate:
    """What is left of a difference besides a part of it that is independent of the whole: their half-widths add up in squares."""
    value = whole.value - part.value
    low = math.hypot(whole.value - whole.low, part.high - part.value)
    high = math.hypot(whole.high - whole.value, part.value - part.low)
    return Estimate(value, value - low, value + high, whole.logged_count, whole.grade).as_difference()
