"""The post-mortem's sentences about failures: how many runs, since when, what is known of the cause, what to do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from analytics.config import DEPTH_CAP
from analytics.estimates import estimators
from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import reach_beyond
from analytics.findings.failures.timeout_causes import CauseKind, TimeoutCause
from analytics.findings.post_mortem.finding import LIMIT, TIMEOUT, FailuresFinding
from analytics.findings.post_mortem.groups import run_estimate
from analytics.program import error_codes
from analytics.reports import page
from analytics.reports.page import number
from analytics.reports.page.inline import Inline
from analytics.reports.post_mortem.phrases import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.post_mortem.node_changes import Activation

_NEARLY_ALL = 0.995
"""An upper bound above it is written as 100 %, and nobody has seen that no run went well."""


def sentence(finding: FailuresFinding, name: Inline) -> Verdict:
    """The verdict."""
    parts = [
        name,
        " fails in ",
        *share(finding.after.rows, finding.code),
        " of its runs with ",
        page.mono(finding.code),
        f", {episode(finding)}: ",
        page.strong(number.count(_count(finding.after.rows, finding.code))),
        " runs paid nothing.",
    ]
    if finding.is_of_window and finding.before is not None:
        before = "Before" if finding.before.label == "before" else f"In {finding.before.label}"
        parts[-1] = f" runs paid nothing. {before}, it was "
        parts += [*share(finding.before.rows, finding.code, role=page.before), "."]
    text = cause(finding)
    parts += [f" {text}"] if text else []
    if finding.code_until is not None:
        return Verdict.of(parts, [f"Over since {number.when(finding.code_until)}{_at_the_latest(finding)}."], "fixed")
    if finding.is_of_window:
        return Verdict.of(parts, ["No moment of the window stands out beyond chance."])
    return Verdict.of(parts, ["Still going on at the end of the window."])


def _at_the_latest(finding: FailuresFinding) -> str:
    """By when it was over, for the last failure is not yet the end: another one would have been seen at the rate before."""
    if finding.code_since is None or finding.code_until is None:
        return ""
    later = reach_beyond(_count(finding.after.rows, finding.code), finding.code_until - finding.code_since)
    if later is None or number.when(finding.code_until + later) == number.when(finding.code_until):
        return ""
    end = finding.code_until + later
    same_day = end.date() == finding.code_until.date()
    return f", at the latest {number.clock(end) if same_day else number.when(end)} if its rate was steady"


def also(finding: FailuresFinding) -> list[Inline]:
    """A further finding, in a short sentence."""
    when = f", {episode(finding)}"
    if not finding.is_of_window:
        over = finding.code_until
        when = (
            f" since {number.when(finding.code_since)}" if over is None else f" {number.span(finding.code_since, over)}"
        )
    return [
        " Also: ",
        *share(finding.after.rows, finding.code),
        " of runs fail with ",
        page.mono(finding.code),
        f"{when}.",
    ]


def since(finding: FailuresFinding) -> str:
    """The answer to "since when?"."""
    if not finding.is_of_window:
        versions = f"{finding.border.label} came at that time" if finding.border else "no version changed then"
        if finding.only_of is not None:
            versions = _only_of(finding.only_of)
        return f"Failures with {finding.code} {episode(finding).replace('since', 'begin')}; {versions}."
    if finding.before is None:
        return (
            f"Failures with {finding.code} are there all along, at no time denser than chance makes them; "
            "too little is logged before the window to tell since when."
        )
    return (
        f"Failures with {finding.code} are more than {finding.before.label}; at which moment that began cannot be told."
    )


def episode(finding: FailuresFinding) -> str:
    """When the failures of an incident happened, in words."""
    if finding.is_of_window or finding.code_since is None:
        return "steadily, as far as the log tells" if finding.before is None else "in this window as a whole"
    begun = number.when(finding.code_since, long=True)
    if finding.code_until is None:
        return f"since {begun}"
    same_day = finding.code_since.date() == finding.code_until.date()
    end = number.clock(finding.code_until) if same_day else number.when(finding.code_until, long=True)
    return f"between {begun} and {end}"


def cause(finding: FailuresFinding) -> str:
    """What is known of a code's usual cause, and no more than that."""
    code = finding.code
    version = f"It begins with {finding.border.label}." if finding.border else "No version changed at that time."
    if finding.only_of is not None:
        version = f"No version changed at that time, but {_only_of(finding.only_of)}: its program or what clients send may be why."
    if finding.is_of_window:
        labels = {str(name) for side in (finding.before, finding.after) if side for name in side.rows["label"].unique()}
        version = "No version changed in this time." if len(labels) == 1 else ""
    if code == LIMIT and finding.too_deep is not None:
        deep = f"A program of it is nested {finding.too_deep} deep, above the engine's cap of {DEPTH_CAP:g}"
        return f"{version} {deep}: validation should have refused it.".lstrip()
    if code == LIMIT:
        return f"{version} Validation should have refused such a program, or a limit was changed.".lstrip()
    if code == TIMEOUT:
        return timeouts_from(finding.timeouts)
    if error_codes.is_unknown(code):
        return f"This is an unknown code, which a newer engine may have brought. {version}".rstrip()
    if error_codes.is_canary(code):
        return "A validated program cannot do this: validation was bypassed, and someone may be probing the sandbox."
    if code.startswith(("DSL_ARITH", "DSL_COMPARE")) and not (
        finding.is_of_window or finding.border or finding.only_of
    ):
        return "No version changed at that time, so a client may send something else since."
    return version


def _only_of(span: Activation) -> str:
    """That one version alone fails so."""
    return f"all of them are runs of {span.label}, live since {number.when(span.first)}, and no run before it failed so"


def timeouts_from(cause: TimeoutCause | None) -> str:
    """Where timeouts come from, no surer than the log; on every page that tells of them."""
    walk = "The time limit covers the walk alone"
    if cause is None:
        return f"{walk}, so this is a stalled event loop or its rules."
    match cause.kind:
        case CauseKind.UNCLEAR:
            others = (
                f"{cause.strategies} strategies timed out in these minutes, too few to tell"
                if cause.strategies > 1
                else "too few runs of others are logged in these minutes to tell by"
            )
            return f"{walk}, so this is a stalled event loop or its rules: {others}."
        case CauseKind.STALL:
            part = "" if cause.stalled_count == cause.count else f" in {cause.stalled_count} of {cause.count} of them"
            return (
                f"{cause.strategies} strategies timed out together{part}: likely a stalled event loop, not its rules."
            )
        case CauseKind.RULES if cause.is_alone:
            return f"{walk}, and others ran meanwhile without timing out, so its rules may be the cause."
        case CauseKind.RULES:
            return (
                f"{walk} and its runs are long, so its rules may be the cause; a stalled event loop is not excluded, for hardly a "
                "run of others is logged in these minutes."
            )
        case _:
            assert_never(cause.kind)


def todo(finding: FailuresFinding) -> list[page.Todo]:
    """What to do next: where the failures begin with a version, at that version; otherwise outside the rules."""
    compare = "A failed run keeps no trace, so compare game and task of the failing runs."
    text = f"{cause(finding)} {compare}".lstrip()
    if finding.code == TIMEOUT and not (finding.border is not None and _kind(finding) is not CauseKind.STALL):
        return [_of_timeouts(finding, text)]
    if finding.is_of_window:
        first = page.Todo(f"Find which inputs end in {finding.code}.", text)
    elif finding.border is not None:
        first = page.Todo(
            f"Compare the program of {finding.border.label} with the one before it, or roll back.",
            f"The failures begin with {finding.border.label}. {compare}",
        )
    elif finding.only_of is not None:
        first = page.Todo(f"Compare the program of {finding.only_of.label} with the one before it.", text)
    else:
        first = page.Todo(f"Find what changed outside the rules {episode(finding)}.", text)
    return [first, page.Todo("Guard the rule in the next version.", "A program that fails pays nothing.")]


def _of_timeouts(finding: FailuresFinding, note: str) -> page.Todo:
    """Where to look, as the cause has it."""
    kind = _kind(finding)
    match kind:
        case CauseKind.STALL:
            return page.Todo(f"Find what held the event loop {episode(finding)}.", note)
        case CauseKind.RULES:
            return page.Todo("Find what its longest runs walk through, and shorten it.", note)
        case CauseKind.UNCLEAR:
            when = "" if finding.is_of_window else f" {episode(finding)}"
            return page.Todo(
                f"Find whether the event loop stood still{when}.",
                f"{note} The metrics of the engine's process tell more.",
            )
        case _:
            assert_never(kind)


def _kind(finding: FailuresFinding) -> CauseKind:
    return finding.timeouts.kind if finding.timeouts is not None else CauseKind.UNCLEAR


def share(rows: pd.DataFrame, code: str | None, *, role: Callable[[Inline], Inline] = page.finding) -> list[Inline]:
    """The share of some runs that fail with a code, with its interval; a bound where no ok run was drawn to tell it by."""
    rate = failing_rate(rows, code)
    if not (math.isfinite(rate.value) and rate.low > 0) and rate.value != 0:
        return ["an unknown share"]
    if run_estimate(rows).high <= _count(rows, code):
        return [role("every one")]  # at rate 1 each run is logged
    if rate.high >= _NEARLY_ALL:
        # Rounded down: a bound must hold.
        low = math.floor(100 * rate.low) if rate.low >= 0.1 else math.floor(10_000 * rate.low) / 100
        return [role(f"at least {low:g}\u00a0%")]
    shown = role(number.percent(rate.value, rate.low, rate.high))
    return [shown, " ", page.ci(100 * rate.low, 100 * rate.high, value=100 * rate.value, unit="%")]


def failing_rate(rows: pd.DataFrame, code: str | None) -> Estimate:
    """Share of some runs that fail with a code."""
    return estimators.failure_rate(_count(rows, code), run_estimate(rows), process=True)


def _count(rows: pd.DataFrame, code: str | None) -> int:
    return int(((rows["status"] != "ok") & (rows["error_code"] == code)).sum())
