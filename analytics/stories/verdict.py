"""The post-mortem's sentences: verdict, status, since, why, what to do. Plain words, no blame, nothing beyond the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from analytics import estimates, page
from analytics.differences import Difference
from analytics.estimates import Estimate
from analytics.findings.activations import Activation
from analytics.findings.cases import Case, Split
from analytics.findings.family import Family
from analytics.findings.incident import Incident, paid, run_estimate
from analytics.page import number
from analytics.page.text import plain
from analytics.status import Coverage

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


def mean_points(rows: pd.DataFrame) -> Estimate:
    """Points per ok run with finite points."""
    usable = paid(rows)
    return estimates.mean(usable["points"], usable["sample_weight"])


def decide(
    found: Incident, cases: Sequence[Case], parts: Split | None, family: Family, window: pd.DataFrame, held: Coverage
) -> Verdict:
    """Choose the sentence that the evidence carries."""
    name = page.author(family.name)
    if found.kind == "nothing":
        if held.missing:
            days = f"{len(held.missing)} day{'s' * (len(held.missing) != 1)}"
            return _verdict(["Cannot tell: the log was not extracted for ", days, " of this window."], None)
        rate = held.smallest_rate
        bound = estimates.upper_bound_of_none(rate)
        most = (
            f"At most {bound:.0f} ok runs happened, at a rate of {number.percent(rate)}."
            if bound < float("inf")
            else "How many ok runs happened is not known: at rate 0 none is logged."
        )
        return _verdict(["No run of ", name, f" was logged in this window. {most}"], None)
    if found.kind == "version" and found.points and found.after and found.before and parts:
        return _version(found, found.points, cases, parts, name)
    if found.kind == "failures" and found.after:
        return _failing(found, name)
    if found.kind == "window" and found.points:
        return _verdict(
            [
                name,
                " pays ",
                page.finding(_percent(found.points)),
                " points per run than in the days before, ",
                _interval(found.points),
                ", though no version changed. Look at who plays and at the data clients send.",
            ],
            None,
        )
    here = mean_points(window)
    if found.kind == "quiet" and found.points:
        return _verdict(
            [
                "Points per run are as before: ",
                name,
                " pays ",
                page.strong(number.number(here.value, here.low, here.high)),
                " now. The change, ",
                _interval(found.points),
                ", may be chance.",
            ],
            None,
        )
    return _verdict(
        [
            name,
            " paid ",
            page.strong(number.number(here.value, here.low, here.high)),
            " points per run. There is nothing to compare it with.",
        ],
        None,
    )


def since_sentence(found: Incident, spans: Sequence[Activation]) -> str:
    """The answer to "since when?"."""
    if found.kind == "nothing":
        return "No run is logged in the window; what is shown went before it."
    if found.kind == "version" and found.after:
        ended = (
            f", until {found.rollback.label} was back on {number.when(found.rollback.first)}"
            if found.rollback
            else ", and it is still live"
        )
        return (
            f"Points per run move with the first run of {found.after.label}, {number.when(found.after.since)}{ended}."
        )
    if found.kind == "failures" and found.code_since:
        return f"Failures with {found.code} {episode(found).replace('since', 'begin')}; no version changed then."
    if len(spans) > 1:
        return f"{len(spans)} activations in this time; points per run do not move with any of them beyond chance."
    return "One version all the time; points per run do not move beyond chance."


def why_sentence(parts: Split, found: Incident) -> str:
    """The answer to "why?"."""
    change = found.points.change.value if found.points else parts.effect.value + parts.mix.value
    if found.points is None or not found.points.is_significant:
        return "The change of points per run may be chance, so there is nothing to explain."
    effect = number.number(parts.effect.value, parts.effect.low, parts.effect.high, sign=True)
    whole = number.number(change, found.points.change.low, found.points.change.high, sign=True)
    mix = "may be chance" if parts.mix.low <= 0 <= parts.mix.high else "is a real change in who reaches which case"
    return f"Other amounts in the same cases change points per run by {effect}, of {whole} in all. The rest {mix}."


def _version(found: Incident, change: Difference, cases: Sequence[Case], parts: Split, name: Any) -> Verdict:
    assert found.after is not None and found.before is not None  # noqa: S101  # decided by the caller, for the type checker
    sentence: list[Any] = [
        f"Version {found.after.strategy_version} of ",
        name,
        " paid ",
        page.finding(f"{_percent(change)} points per run"),
        " ",
        _interval(change),
    ]
    moved = [case for case in cases if case.amount_changed]
    explained = abs(parts.effect.value) >= 0.5 * abs(change.change.value)
    if moved and explained:
        case = max(moved, key=lambda c: abs(c.overpaid.value))
        sentence += [
            ", because case ",
            page.author(case.name),
            " went from ",
            page.before(number.number(case.points_before.value, case.points_before.low, case.points_before.high)),
            " to ",
            page.finding(number.number(case.points_after.value, case.points_after.low, case.points_after.high)),
            ".",
        ]
    elif not explained:
        sentence += [", mostly because other shares of runs reach its cases."]
    else:
        sentence += ["."]
    ended = (
        f"and the rollback on {number.when(found.rollback.first, long=True)}"
        if found.rollback
        else f"and {number.when(found.after.until, long=True)}"
    )
    between = f" between {number.when(found.after.since, long=True)} {ended}."
    amount, low, high = parts.overpaid.value, parts.overpaid.low, parts.overpaid.high
    if low > 0 or high < 0:
        low, high = sorted((abs(low), abs(high)))
        sentence += [
            f" It {'overpaid' if amount > 0 else 'underpaid'} ",
            page.finding(f"{number.number(abs(amount), low, high)} points"),
            " ",
            page.ci(low, high, value=abs(amount)),
            between,
        ]
    else:
        sentence += [f" It was seen{between}"]
    if found.rollback:
        status: list[Any] = [
            f"Over since {number.when(found.rollback.first)}: {found.rollback.label} is live again. "
            "Still to decide: do the points stay?"
        ]
        return _verdict(sentence, status, "fixed")
    return _verdict(sentence, [f"{found.after.label} was still live at the end of the window."], "finding")


def _failing(found: Incident, name: Any) -> Verdict:
    assert found.after is not None  # noqa: S101  # decided by the caller, for the type checker
    rows = found.after.rows
    count = int(((rows["status"] != "ok") & (rows["error_code"] == found.code)).sum())
    rate = estimates.failure_rate(count, run_estimate(rows))
    sentence = [
        name,
        " fails in ",
        page.finding(number.percent(rate.value, rate.low, rate.high)),
        " of its runs ",
        page.ci(100 * rate.low, 100 * rate.high, value=100 * rate.value, unit="%"),
        " with ",
        page.mono(str(found.code)),
        f", {episode(found)}: ",
        page.strong(number.count(count)),
        f" runs paid nothing. {cause(found.code)}",
    ]
    over = found.code_until is not None
    status = [f"Over since {number.when(found.code_until)}."] if over else ["Still going on at the end of the window."]
    return _verdict(sentence, status, "fixed" if over else "finding")


def episode(found: Incident) -> str:
    """When the failures of an incident happened, in words."""
    since = number.when(found.code_since, long=True)
    if found.code_since is None or found.code_until is None:
        return f"since {since}"
    same_day = found.code_since.date() == found.code_until.date()
    end = number.clock(found.code_until) if same_day else number.when(found.code_until, long=True)
    return f"between {since} and {end}"


def cause(code: str | None) -> str:
    """What is known of a code's usual cause, and no more than that."""
    if code in ("DSL_LIMIT_EXCEEDED",):
        return "Validation should have refused such a program, or a limit was changed."
    if code in ("DSL_TIMEOUT",):
        return "The time limit wraps only the walk, so this points at a stalled event loop, not at the rules."
    if code in ("DSL_FIELD_NOT_PRECOMPUTED", "DSL_UNKNOWN_STATEMENT"):
        return "A validated program cannot do this: validation was bypassed, and someone may be probing the sandbox."
    if code and code.startswith(("DSL_ARITH", "DSL_COMPARE")):
        return "No version changed at that time; the cause is likely what a client sends."
    return "No version changed at that time."


def _percent(change: Difference) -> str:
    word = "more" if change.change.value > 0 else "fewer"
    if not math.isfinite(change.relative):  # nothing was paid before: there is no share of it
        moved = change.change
        return f"{number.number(abs(moved.value), *sorted((abs(moved.low), abs(moved.high))))} {word}"
    return (
        f"{number.percent(abs(change.relative), *sorted((abs(change.relative_low), abs(change.relative_high))))} {word}"
    )


def _interval(change: Difference) -> Any:
    if not math.isfinite(change.relative):
        return page.ci(change.change.low, change.change.high, value=change.change.value, sign=True)
    return page.ci(
        100 * change.relative_low, 100 * change.relative_high, value=100 * change.relative, unit="%", sign=True
    )


def _verdict(sentence: list[Any], status: list[Any] | None, role: Literal["fixed", "finding"] = "finding") -> Verdict:
    return Verdict(sentence, plain(sentence), status, role)
