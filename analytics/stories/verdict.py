"""The post-mortem's sentences: verdict, status, since, why, what to do. Plain words, no blame, nothing beyond the evidence."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from analytics import estimates, page
from analytics.estimates import Estimate
from analytics.findings.activations import Activation
from analytics.findings.cases import Case, Split
from analytics.findings.family import Family
from analytics.findings.incident import Incident, paid
from analytics.page import number
from analytics.status import Coverage
from analytics.stories import failing, moved, version_story
from analytics.stories.phrases import Verdict, interval, percent

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Verdict", "decide", "mean_points", "since_sentence", "why_sentence"]


def mean_points(rows: pd.DataFrame) -> Estimate:
    """Points per ok run with finite points."""
    usable = paid(rows)
    return estimates.mean(usable["points"], usable["sample_weight"])


def decide(
    found: Incident,
    cases: Sequence[Case],
    parts: Split | None,
    family: Family,
    window: pd.DataFrame,
    held: Coverage,
    hidden: Collection[str] = (),
    nodes: pd.DataFrame | None = None,
) -> Verdict:
    """Choose the sentence that the evidence carries.

    Args:
        found: What stands out.
        cases, parts: Of its two sides.
        family: The strategy.
        window: Logged runs of the window, oldest first.
        held: How much of the window the lake holds.
        hidden: Cases that are not to be named.
        nodes: Nodes that differ, for where no version explains what moved.
    """
    name = page.author(family.name)
    if found.kind == "nothing":
        if held.lost:
            days = f"{len(held.lost)} day{'s' * (len(held.lost) != 1)}"
            return Verdict.of(["Cannot tell: the lake has lost files of ", days, " of this window."], None)
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
    told = _moved(found, cases, parts, name, hidden)
    if told is not None and found.kind == "data" and nodes is not None:
        told = told.with_input(nodes)
    if told is not None:
        return Verdict.of([*told.sentence, *moved.also(found)], told.status, told.status_role)
    return Verdict.of([*_quiet(found, window, name), *_tried(found, hidden)], None)


def _quiet(found: Incident, window: pd.DataFrame, name: Any) -> list[Any]:
    """Nothing stands out: what it pays now, and how that compares."""
    failed = window[(window["status"] != "ok").to_numpy(bool)]
    if len(failed) and len(failed) == len(window):
        return _none_paid(failed, name)
    label, rows = _live(window)
    here = mean_points(rows)
    now = page.strong(number.number(here.value, here.low, here.high))
    who = f" ({label})" if label else ""
    if found.kind == "quiet" and found.points and math.isfinite(found.points.change.low):
        if found.reason:
            return [
                name, " pays ", now, f" points per run now{who}, a change of ", interval(found.points), f". {found.reason}",
            ]  # fmt: skip
        return [
            f"Points per run are as {'in ' + found.baseline if found.baseline else 'before'}, as far as the log tells: ",
            name,
            " pays ",
            now,
            f" now{who}. The change, ",
            interval(found.points),
            ", may be chance.",
        ]
    few = "Too few runs are logged to compare." if found.before else "There is nothing to compare it with."
    if not math.isfinite(here.value):
        return ["What ", name, f" paid per run{who} cannot be told. {found.reason or few}"]
    return [name, " paid ", now, f" points per run{who}. {found.reason or few}"]


def _none_paid(failed: pd.DataFrame, name: Any) -> list[Any]:
    """Every logged run failed, and at no moment more than before: no news, but nobody is to read it as all quiet."""
    codes = failed["error_code"].value_counts()
    count = len(failed)
    with_code = ""
    if len(codes):
        code = "no code" if codes.index[0] == "(no code)" else codes.index[0]
        with_code = f"{'' if codes.iloc[0] == count else f', {int(codes.iloc[0]):,} of them'} with {code}"
    rate = failed["window_rate"].min() if "window_rate" in failed else None
    bound = estimates.upper_bound_of_none(float(rate)) if rate is not None and rate == rate else math.inf
    most = f"; at most {bound:,.0f} ok runs happened beside them" if math.isfinite(bound) else ""
    return [
        "No run of ",
        name,
        " that was paid is logged in this window: ",
        page.finding(f"all {count:,} logged runs failed" if count > 1 else "the one logged run failed"),
        f"{with_code}{most}. No moment is found at which that began.",
    ]


def _live(window: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The version live at the end of the window and its runs; its label is empty where no other one ran."""
    labels = window["label"].astype(str)
    if labels.nunique() < 2:
        return "", window
    last = str(labels.iloc[-20:].mode().iloc[-1])  # stragglers of an earlier one may be the very last
    return last, window[(labels == last).to_numpy(bool)]


def _tried(found: Incident, hidden: Collection[str]) -> list[Any]:
    """Of what is quiet: which versions came and are shown to pay the same, and of which that cannot be told."""
    if found.kind not in ("quiet", "single"):
        return []
    said = [version_story.paid_the_same(found.innocent), version_story.undecided(found.open_trials, hidden)]
    return [f" {sentence}" for sentence in said if sentence]


def _moved(
    found: Incident, cases: Sequence[Case], parts: Split | None, name: Any, hidden: Collection[str]
) -> Verdict | None:
    """The sentence of a finding; ``None`` for none."""
    if found.kind == "version" and found.points and found.after and found.before and parts:
        return version_story.sentence(found, cases, parts, name, hidden)
    if found.kind == "failures" and found.after:
        sentence, status, role = failing.told(found, name)
        return Verdict.of([*sentence, version_story.beside_failures(found.trial)], status, role)
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
    if found.kind == "version" and found.steps:
        came = ", ".join(f"{step.span.label} on {number.when(step.span.first)}" for step in found.steps)
        back = (
            f", until {found.rollback.label} was back on {number.when(found.rollback.first)}" if found.rollback else ""
        )
        return f"Points per run move with the first runs of the series: {came}{back}."
    if found.kind == "version" and found.after:
        ended = ", and it is still live"
        if found.again:
            came = " and ".join(number.when(step.span.first) for step in found.again)
            ended = f", and again {came}" + (f", until {found.rollback.label} was back" if found.rollback else "")
        elif found.rollback:
            ended = f", until {found.rollback.label} was back on {number.when(found.rollback.first)}"
        elif found.successor:
            ended = f", until {found.successor.label} came on {number.when(found.successor.first)}"
        return (
            f"Points per run move with the first run of {found.after.label}, {number.when(found.after.since)}{ended}."
        )
    if found.kind == "failures":
        return failing.since(found)
    if found.kind in ("data", "duration") and found.since:
        what = "Points per run move" if found.kind == "data" else "Ok runs become slower"
        version = f"with the first run of {found.border.label}" if found.border else "no version changed then"
        if found.slope is not None and found.kind == "data":
            how = (
                "day after day" if found.slope.is_sure else "day after day or in one step, which the log does not tell"
            )
            return f"{what} {how}; no version explains it."
        if found.is_one_program:
            return f"{what} though all runs are counted as one program pays them: no version explains it. {moved.began(found)}"
        return f"{what}: {version}. {moved.began(found)}"
    if found.kind == "window":
        return f"Not looked for: the window as a whole is compared with {found.baseline}."
    if len(spans) > 1:
        return (
            found.reason or f"{len(spans)} activations in this time; points per run do not move with any beyond chance."
        )
    return found.reason or "One version all the time; points per run do not move beyond chance."


def why_sentence(parts: Split, found: Incident) -> str:
    """The answer to "why?": the program's part on the same runs, and what came with the inputs; by cases where none was tried."""
    change = found.points.change if found.points else None
    if found.is_one_program and change is not None:
        whole = number.number(change.value, change.low, change.high, sign=True)
        return (
            f"Counted as one program pays all runs, points per run moved by {whole}: that came with who plays and what clients "
            "send. What the versions pay otherwise is not in it, and stands below, case by case."
        )
    rest = version_story.inputs_part(found)
    per_run = found.trial.per_run if found.trial is not None and found.trial.verdict == "differs" else None
    if per_run is not None and rest is not None and change is not None:
        program = number.number(per_run.value, per_run.low, per_run.high, sign=True)
        whole = number.number(change.value, change.low, change.high, sign=True)
        inputs = number.number(rest.value, rest.low, rest.high, sign=True)
        beyond = "which may be chance" if rest.low <= 0 <= rest.high else "beyond chance"
        return (
            f"The program changes points per run by {program}, on the same runs. In all they moved by {whole}; the rest, "
            f"{inputs}, came with who plays and what clients send, {beyond}."
        )
    if found.points is None or not found.points.is_significant:
        return "The change of points per run may be chance, so there is nothing to explain."
    effect = number.number(parts.effect.value, parts.effect.low, parts.effect.high, sign=True)
    whole = number.number(found.points.change.value, found.points.change.low, found.points.change.high, sign=True)
    mix = "may be chance" if parts.mix.low <= 0 <= parts.mix.high else "is a real change in which cases are reached"
    route = (
        "" if found.kind != "version" or parts.mix.low <= 0 <= parts.mix.high
        else " Whether the program sends runs there or other people play is not told by cases alone."
    )  # fmt: skip
    return (
        f"Other amounts in the same cases change points per run by {effect}, of {whole} in all. The rest {mix}.{route}"
    )
