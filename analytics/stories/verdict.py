"""The post-mortem's sentences: verdict, status, since, why, what to do. Plain words, no blame, nothing beyond the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analytics import estimates, page
from analytics.differences import Difference
from analytics.estimates import Estimate
from analytics.findings.activations import Activation
from analytics.findings.cases import Case, Split
from analytics.findings.family import Family
from analytics.findings.incident import Incident, paid
from analytics.page import number
from analytics.status import Coverage
from analytics.stories import moved
from analytics.stories.moved import Verdict, cause, episode, interval, percent

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Verdict", "decide", "mean_points", "since_sentence", "why_sentence"]


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
            which = f" of this window{held.of_them_expired}."
            return Verdict.of(["Cannot tell: the log was not extracted for ", days, which], None)
        rate = held.smallest_rate
        bound = estimates.upper_bound_of_none(rate)
        most = (
            f"At most {bound:.0f} ok runs happened, at a rate of {number.percent(rate)}."
            if bound < float("inf")
            else "How many ok runs happened is not known: at rate 0 none is logged."
        )
        return Verdict.of(["No run of ", name, f" was logged in this window. {most}"], None)
    told = _moved(found, cases, parts, name)
    if told is not None:
        return Verdict.of([*told.sentence, *moved.also(found)], told.status, told.status_role)
    here = mean_points(window)
    if found.kind == "quiet" and found.points and math.isfinite(found.points.change.low):
        now = page.strong(number.number(here.value, here.low, here.high))
        if found.reason:
            return Verdict.of(
                [name, " pays ", now, " points per run now, a change of ", interval(found.points), f". {found.reason}"],
                None,
            )
        return Verdict.of(
            [
                f"Points per run are as {'in ' + found.baseline if found.baseline else 'before'}: ",
                name,
                " pays ",
                now,
                " now. The change, ",
                interval(found.points),
                ", may be chance.",
            ],
            None,
        )
    few = "Too few runs are logged to compare." if found.before else "There is nothing to compare it with."
    return Verdict.of(
        [
            name,
            " paid ",
            page.strong(number.number(here.value, here.low, here.high)),
            f" points per run. {found.reason or few}",
        ],
        None,
    )


def _moved(found: Incident, cases: Sequence[Case], parts: Split | None, name: Any) -> Verdict | None:
    """The sentence of a finding; ``None`` for none."""
    if found.kind == "version" and found.points and found.after and found.before and parts:
        return _version(found, found.points, cases, parts, name)
    if found.kind == "failures" and found.after:
        return _failing(found, name)
    if found.kind == "data" and found.points:
        return moved.data(found, found.points, name)
    if found.kind == "duration":
        return moved.slower(found, name)
    if found.kind == "window" and found.points:
        return Verdict.of(
            [
                name,
                " pays ",
                page.finding(f"{percent(found.points)} points per run"),
                f" than in the baseline {found.baseline}, ",
                interval(found.points),
                f". {moved.versions_within(found)}",
            ],
            None,
        )
    return None


def since_sentence(found: Incident, spans: Sequence[Activation]) -> str:
    """The answer to "since when?"."""
    if found.kind == "nothing":
        return "No run is logged in the window; what is shown went before it."
    if found.kind == "version" and found.after:
        ended = ", and it is still live"
        if found.rollback:
            ended = f", until {found.rollback.label} was back on {number.when(found.rollback.first)}"
        elif found.successor:
            ended = f", until {found.successor.label} came on {number.when(found.successor.first)}"
        return (
            f"Points per run move with the first run of {found.after.label}, {number.when(found.after.since)}{ended}."
        )
    if found.kind == "failures" and found.code_since:
        versions = f"{found.border.label} came at that time" if found.border else "no version changed then"
        return f"Failures with {found.code} {episode(found).replace('since', 'begin')}; {versions}."
    if found.kind in ("data", "duration") and found.since:
        what = "Points per run move" if found.kind == "data" else "Ok runs become slower"
        version = f"with the first run of {found.border.label}" if found.border else "no version changed then"
        return f"{what}: {version}. {moved.began(found)}"
    if found.kind == "window":
        return f"Not looked for: the window as a whole is compared with {found.baseline}."
    if len(spans) > 1:
        return (
            found.reason or f"{len(spans)} activations in this time; points per run do not move with any beyond chance."
        )
    return found.reason or "One version all the time; points per run do not move beyond chance."


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
        page.finding(f"{percent(change)} points per run"),
        " ",
        interval(change),
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
        return Verdict.of(sentence, status, "fixed")
    if found.successor:
        came = (
            f"{found.successor.label} came on {number.when(found.successor.first)}, and {found.after.label} was gone. "
        )
        return Verdict.of(sentence, [came, "Still to decide: do the points stay?"], "finding")
    return Verdict.of(sentence, [f"{found.after.label} was still live at the end of the window."], "finding")


def _failing(found: Incident, name: Any) -> Verdict:
    assert found.after is not None  # noqa: S101  # decided by the caller, for the type checker
    rows, rate = found.after.rows, moved.failing_rate(found)
    count = int(((rows["status"] != "ok") & (rows["error_code"] == found.code)).sum())
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
        f" runs paid nothing. {cause(found)}",
    ]
    over = found.code_until is not None
    status = [f"Over since {number.when(found.code_until)}."] if over else ["Still going on at the end of the window."]
    return Verdict.of(sentence, status, "fixed" if over else "finding")
