"""Sentences of the post-mortem that say what moved, by how much and since when: for the verdict and the advice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from analytics import estimates, page
from analytics.differences import Difference
from analytics.findings.counterfactual import Replayed
from analytics.findings.incident import Incident, run_estimate
from analytics.page import number
from analytics.page.text import plain

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Verdict:
    """The top of the page.

    Attributes:
        sentence: Parts for ``page.head``.
        text: The same without colours.
        status: What holds now; ``None`` when there is nothing to say.
        status_role: Its colour.
    """

    sentence: list[Any]
    text: str
    status: list[Any] | None
    status_role: Literal["fixed", "finding", "worse"]

    @classmethod
    def of(
        cls,
        sentence: list[Any],
        status: list[Any] | None = None,
        role: Literal["fixed", "finding", "worse"] = "finding",
    ) -> Verdict:
        """The sentence with its plain text."""
        return cls(sentence, plain(sentence), status, role)

    def with_input(self, nodes: pd.DataFrame) -> Verdict:
        """Name the field whose values moved most, if one did."""
        moved = nodes[(nodes["type"] == "field") & (nodes["q"] < 0.01)]
        if moved.empty:
            return self
        row = moved.iloc[0]
        was, now = (_amount(row[f"{side}_value"], row["what"] != "median") for side in ("before", "after"))
        what = "its median went" if row["what"] == "median" else f"the share that {row['what']} went"
        sentence = [
            *self.sentence,
            " The input that moved most is ",
            page.mono(str(row["path"])),
            f": {what} from ",
            page.before(was),
            " to ",
            page.finding(now),
            ".",
        ]
        return Verdict.of(sentence, self.status, self.status_role)

    def with_replay(self, forward: Replayed) -> Verdict:
        """Say of a quiet strategy what the replay sees and the comparison does not."""
        is_more = forward.difference.value > 0
        amount = forward.difference if is_more else forward.difference.negated()
        sentence = [
            *self.sentence,
            f" But {forward.inputs_label} does pay {'more' if is_more else 'less'} than {forward.program_label} "
            "on the same inputs: ",
            page.finding(number.number(amount.value, amount.low, amount.high)),
            " points ",
            page.ci(amount.low, amount.high, value=amount.value),
            f" {'more' if is_more else 'less'} in all.",
        ]
        return Verdict.of(sentence, self.status, self.status_role)


def _amount(value: float, is_share: bool) -> str:
    return number.percent(value) if is_share else f"{value:,.6g}"


def episode(found: Incident) -> str:
    """When the failures of an incident happened, in words."""
    since = number.when(found.code_since, long=True)
    if found.code_since is None or found.code_until is None:
        return f"since {since}"
    same_day = found.code_since.date() == found.code_until.date()
    end = number.clock(found.code_until) if same_day else number.when(found.code_until, long=True)
    return f"between {since} and {end}"


def cause(found: Incident) -> str:
    """What is known of a code's usual cause, and no more than that."""
    code = found.code
    version = (
        f"It begins with {found.border.label}."
        if found.border
        else "No version changed at that time."
    )  # fmt: skip
    if code in ("DSL_LIMIT_EXCEEDED",):
        return f"{version} Validation should have refused such a program, or a limit was changed."
    if code in ("DSL_TIMEOUT",):
        return "The time limit wraps only the walk, so this points at a stalled event loop, not at the rules."
    if code in ("DSL_FIELD_NOT_PRECOMPUTED", "DSL_UNKNOWN_STATEMENT"):
        return "A validated program cannot do this: validation was bypassed, and someone may be probing the sandbox."
    if code and code.startswith(("DSL_ARITH", "DSL_COMPARE")) and not found.border:
        return "No version changed at that time; the cause is likely what a client sends."
    return version


def data(found: Incident, change: Difference, name: Any) -> Verdict:
    """Points per run moved, and no version did it."""
    assert found.since is not None  # noqa: S101  # decided by the caller, for the type checker
    when = (
        f" between {number.when(found.since, long=True)} and {number.when(found.until, long=True)}"
        if found.until
        else f" since {number.when(found.since, long=True)}"
    )
    sentence: list[Any] = [
        name,
        " paid " if found.until else " pays ",
        page.finding(f"{percent(change)} points per run"),
        " ",
        interval(change),
        f"{when}, {_versions_then(found)}. {began(found)} Look at who plays and at the data clients send.",
    ]
    return _told(found, sentence)


def slower(found: Incident, name: Any) -> Verdict:
    """Ok runs take longer."""
    what, change = _slow_part(found)
    before, after = change.change.value / change.relative, change.change.value / change.relative + change.change.value
    sentence: list[Any] = [
        name,
        f": {what} ",
        page.finding(number.ms(after, after - change.change.value + change.change.low, before + change.change.high)),
        " instead of ",
        page.before(number.ms(before)),
        " ",
        page.ci(change.change.low, change.change.high, value=change.change.value, unit="ms", sign=True),
        f", since {number.when(found.since, long=True)}, {_versions_then(found)}. "
        "The time limit wraps only the walk, so look at the fields it reads, not at the rules alone.",
    ]
    return _told(found, sentence)


def also(found: Incident) -> list[Any]:
    """The further findings, one short sentence each."""
    said: list[Any] = []
    for other in found.also:
        since = (
            f" since {number.when(other.since)}" if other.until is None else f" {number.span(other.since, other.until)}"
        )
        if other.kind == "failures" and other.after is not None:
            rate = failing_rate(other)
            said += [
                " Also: ",
                page.finding(number.percent(rate.value, rate.low, rate.high)),
                " of runs fail with ",
                page.mono(str(other.code)),
                f"{since}.",
            ]
        elif other.kind == "duration":
            _, change = _slow_part(other)
            what = "median" if change is other.median else "95th percentile"
            grew = number.percent(change.relative, change.relative_low, change.relative_high)
            said += [f" Also: the {what} duration of ok runs went up by {grew}{since}."]
        elif other.points is not None:
            said += [f" Also: {percent(other.points)} points per run{since}", f", {_versions_then(other)}."]
    return said


def began(found: Incident) -> str:
    """The plausible range of the beginning."""
    if found.since_low is None or found.since_high is None:
        return ""
    return f"It began between {number.when(found.since_low)} and {number.when(found.since_high)}."


def failing_rate(found: Incident) -> estimates.Estimate:
    """Share of the runs of the episode that fail with the code."""
    assert found.after is not None  # noqa: S101  # decided by the caller, for the type checker
    rows = found.after.rows
    count = int(((rows["status"] != "ok") & (rows["error_code"] == found.code)).sum())
    return estimates.failure_rate(count, run_estimate(rows))


def _slow_part(found: Incident) -> tuple[str, Difference]:
    """The median where it grew, else the tail."""
    assert found.median is not None and found.tail is not None  # noqa: S101  # of this kind, both are there
    if found.median.is_significant and not (
        found.tail.is_significant and found.tail.relative > 4 * found.median.relative
    ):
        return "half of the ok runs take at least", found.median
    return "the slowest twentieth of ok runs takes at least", found.tail


def _versions_then(found: Incident) -> str:
    if found.reason:
        return found.reason
    return f"with the first run of {found.border.label}" if found.border else "though no version changed then"


def versions_within(found: Incident) -> str:
    """Where to look, when a window is compared with a baseline: at its versions first, where there were several."""
    sides = [side for side in (found.before, found.after) if side is not None]
    names = list(dict.fromkeys(str(name) for side in sides for name in side.rows["label"].unique()))
    if len(names) < 2:
        return "Look at who plays and at the data clients send."
    return f"Several versions ran ({', '.join(names[:5])}), so look at them first: --baseline takes one, too."


def _told(found: Incident, sentence: list[Any]) -> Verdict:
    if found.until is not None:
        return Verdict.of(sentence, [f"Over since {number.when(found.until)}."], "fixed")
    return Verdict.of(sentence, ["Still going on at the end of the window."])


def percent(change: Difference) -> str:
    """“50 % more”; the amount itself where nothing was paid before."""
    word = "more" if change.change.value > 0 else "fewer"
    if not math.isfinite(change.relative):  # nothing was paid before: there is no share of it
        moved = change.change
        return f"{number.number(abs(moved.value), *sorted((abs(moved.low), abs(moved.high))))} {word}"
    return (
        f"{number.percent(abs(change.relative), *sorted((abs(change.relative_low), abs(change.relative_high))))} {word}"
    )


def interval(change: Difference) -> Any:
    """The interval of that."""
    if not math.isfinite(change.relative):
        return page.ci(change.change.low, change.change.high, value=change.change.value, sign=True)
    return page.ci(
        100 * change.relative_low, 100 * change.relative_high, value=100 * change.relative, unit="%", sign=True
    )
