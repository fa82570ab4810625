"""The post-mortem's sentences: verdict, status, since, why, what to do. Plain words, no blame, nothing beyond the evidence."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, assert_never

from analytics.estimates import estimators
from analytics.estimates.comparisons import Difference
from analytics.estimates.estimators import Estimate
from analytics.findings.post_mortem.family import Family
from analytics.findings.post_mortem.finding import (
    BaselineFinding,
    Cause,
    ComparisonFinding,
    DataFinding,
    DurationFinding,
    FailuresFinding,
    Incident,
    NoFinding,
    NoRuns,
    OneGroup,
    VersionFinding,
)
from analytics.findings.post_mortem.groups import Case, Split, paid, run_estimate
from analytics.findings.post_mortem.node_changes import Activation, NodeChange
from analytics.findings.replay.trials import TrialVerdict
from analytics.reports import missing_days, page
from analytics.reports.page import number
from analytics.reports.page.inline import Inline
from analytics.reports.post_mortem import failing, version_story
from analytics.reports.post_mortem.phrases import Verdict, beyond_words, interval, percent, reason_sentence, signed
from analytics.reports.small_cells import SmallCells
from analytics.warehouse.coverage import Coverage

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page import Block


def data_sentence(finding: DataFinding, name: Inline) -> Verdict:
    """Points per run moved, and no version did it."""
    change = finding.points
    when = (
        f" between {number.when(finding.since, long=True)} and {number.when(finding.until, long=True)}"
        if finding.until
        else f" since {number.when(finding.since, long=True)}"
    )
    innocent = version_story.paid_the_same(finding.innocent)
    if finding.slope is not None:
        share, days = finding.slope.per_day, finding.slope.days
        drift = "more" if share.value > 0 else "fewer"
        sentence: list[Inline] = [
            name,
            " pays ",
            page.finding(
                f"{number.percent(abs(share.value), *sorted((abs(share.low), abs(share.high))))} {drift} points"
            ),
            " a day ",
            page.ci(100 * share.low, 100 * share.high, value=100 * share.value, unit="%", sign=True),
            f", day after day over {days:.0f} days"
            + (": a drift, not a moment. " if finding.slope.is_sure else "; or in one step: the log does not tell. ")
            + "No version explains it. ",
        ]
        return _verdict(finding, [*sentence, innocent + " " * bool(innocent), _where(finding)])
    # Where a version pays otherwise, too, what was paid in all did not move by that.
    lead: list[Inline] = (
        ["By one and the same program, the runs of ", name, " were worth " if finding.until else " are worth "]
        if _hides_a_version(finding)
        else [name, " paid " if finding.until else " pays "]
    )
    sentence = [
        *lead,
        page.finding(f"{percent(change)} points per run"),
        " ",
        interval(change),
        f"{when}{_beside_versions(finding)} {innocent + ' ' if innocent else ''}{began(finding)} ",
    ]
    return _verdict(finding, [*sentence, _where(finding)])


def _hides_a_version(finding: DataFinding) -> bool:
    """What moved are the points that one program pays, and another version pays other points."""
    others = (other.trial for other in finding.also if isinstance(other, VersionFinding))
    return finding.is_one_program and any(
        trial is not None and trial.verdict is TrialVerdict.DIFFERS for trial in others
    )


def _beside_versions(finding: DataFinding) -> str:
    """Why no version explains it."""
    if finding.is_one_program:
        return ". All runs are counted as one and the same program pays them, so no version explains it."
    return "." if finding.innocent else f", {versions_then(finding)}."


def _where(finding: DataFinding) -> str:
    """Where to look for what no version explains."""
    if finding.cause is Cause.BUILT_IN:
        return (
            "What the wrapped built-in answers moved, and no other field that the program reads: the built-in was changed, "
            "or what it alone reads."
        )
    if finding.wraps_built_in:
        return (
            "Look at who plays, at the data clients send, and at the wrapped built-in, which is no part of the program."
        )
    return "Look at who plays and at the data clients send."


def slower_sentence(finding: DurationFinding, name: Inline) -> Verdict:
    """Ok runs take longer."""
    what, change = _slow_part(finding)
    before, after = change.change.value / change.relative, change.change.value / change.relative + change.change.value
    sentence: list[Inline] = [
        name,
        f": {what} ",
        page.finding(number.ms(after, after - change.change.value + change.change.low, before + change.change.high)),
        " instead of ",
        page.before(number.ms(before)),
        " ",
        page.ci(change.change.low, change.change.high, value=change.change.value, unit="ms", sign=True),
        f", since {number.when(finding.since, long=True)}, {versions_then(finding)}. "
        "The time limit wraps only the walk, so look at the fields it reads, not at the rules alone.",
    ]
    return _verdict(finding, sentence)


def also_sentence(finding: Incident) -> list[Inline]:
    """The further findings, one short sentence each."""
    return [part for other in finding.also for part in _also(other)]


def _also(finding: Incident) -> list[Inline]:
    """A further finding, in a short sentence; empty for what is none."""
    match finding:
        case FailuresFinding():
            return failing.also(finding)
        case VersionFinding():
            return version_story.also(finding)
        case DurationFinding():
            _, change = _slow_part(finding)
            what = "median" if change is finding.median else "95th percentile"
            grew = number.percent(change.relative, change.relative_low, change.relative_high)
            return [f" Also: the {what} duration of ok runs went up by {grew}{_since(finding)}."]
        case DataFinding() if finding.slope is not None:
            share = finding.slope.per_day
            much = number.percent(share.value, share.low, share.high, sign=True)
            drift = f"points per run drift by {much} a day over {finding.slope.days:.0f} days"
            return [f" Also: {drift}; no version explains it."]
        case DataFinding():
            beside = "no version explains it" if finding.innocent or finding.is_one_program else versions_then(finding)
            program = " under one and the same program" if finding.is_one_program else ""
            moved = f" Also: {percent(finding.points)} points per run "
            return [moved, interval(finding.points), f"{program}{_since(finding)}, {beside}."]
        case BaselineFinding() | ComparisonFinding() | NoFinding() | OneGroup() | NoRuns():
            return []
        case _:
            assert_never(finding)


def _since(finding: DataFinding | DurationFinding) -> str:
    return (
        f" since {number.when(finding.since)}"
        if finding.until is None
        else f" {number.span(finding.since, finding.until)}"
    )


def began(finding: DataFinding | DurationFinding) -> str:
    """The plausible range of the beginning."""
    if finding.since_low is None or finding.since_high is None:
        return ""
    return f"It began between {number.when(finding.since_low)} and {number.when(finding.since_high)}."


def _slow_part(finding: DurationFinding) -> tuple[str, Difference]:
    """The median where it grew, else the tail."""
    is_known = finding.median.is_significant and math.isfinite(finding.median.relative)
    if is_known and not (finding.tail.is_significant and finding.tail.relative > 4 * finding.median.relative):
        return "half of the ok runs take at least", finding.median
    return "the slowest twentieth of ok runs takes at least", finding.tail


def versions_then(finding: DataFinding | DurationFinding) -> str:
    """Which version came at that time, if one did."""
    return f"with the first run of {finding.border.label}" if finding.border else "though no version changed then"


def versions_within(finding: BaselineFinding) -> str:
    """Where to look, when a window is compared with a baseline: at its versions first, where there were several."""
    sides = (finding.before, finding.after)
    names = list(dict.fromkeys(str(name) for side in sides for name in side.rows["label"].unique()))
    if len(names) < 2:
        return "Look at who plays and at the data clients send."
    return f"Several versions ran ({', '.join(names[:5])}), so look at them first: --baseline takes one, too."


def _verdict(finding: DataFinding | DurationFinding, sentence: list[Inline]) -> Verdict:
    if finding.until is not None:
        return Verdict.of(sentence, [f"Over since {number.when(finding.until)}."], "fixed")
    return Verdict.of(sentence, ["Still going on at the end of the window."])


__all__ = ["Verdict", "decide", "mean_points", "since_sentence", "why_sentence"]


def mean_points(rows: pd.DataFrame) -> Estimate:
    """Points per ok run with finite points."""
    usable = paid(rows)
    return estimators.mean(usable["points"], usable["sample_weight"])


def decide(
    finding: Incident,
    cases: Sequence[Case],
    parts: Split | None,
    family: Family,
    window: pd.DataFrame,
    held: Coverage,
    hidden: Collection[str] = (),
    moved: NodeChange | None = None,
) -> Verdict:
    """Choose the sentence that the evidence carries.

    Args:
        finding: What stands out.
        cases, parts: Of its two sides.
        family: The strategy.
        window: Logged runs of the window, oldest first.
        held: How much of the window the lake holds.
        hidden: Cases that are not to be named.
        moved: The field that moved most, for where no version explains what moved.
    """
    name = page.author(family.name)
    match finding:
        case NoRuns():
            return _no_runs(held, name)
        case NoFinding() | OneGroup() | ComparisonFinding():
            return Verdict.of([*_quiet(finding, window, name), *_trials(finding, hidden)], None)
        case VersionFinding():
            verdict = version_story.sentence(finding, cases, parts, name, hidden)
        case FailuresFinding():
            verdict = failing.sentence(finding, name).with_words(version_story.beside_failures(finding.trial))
        case DataFinding():
            verdict = data_sentence(finding, name)
            verdict = verdict.with_input(moved) if moved is not None else verdict
        case DurationFinding():
            verdict = slower_sentence(finding, name)
        case BaselineFinding():
            verdict = _beside_baseline(finding, name)
        case _:
            assert_never(finding)
    return Verdict.of([*verdict.sentence, *also_sentence(finding)], verdict.status, verdict.status_role)


def _no_runs(held: Coverage, name: Inline) -> Verdict:
    """No run is in the window: of what is not there nothing is said that the lake does not hold."""
    if held.lost:
        days = f"{number.counted(len(held.lost), 'day')} of this window, {missing_days.names(held.lost)}."
        return Verdict.of(["Cannot tell: the lake has lost files of ", days], None)
    if held.is_ahead:
        return Verdict.of([f"Cannot tell: this window is still to come, {missing_days.names(held.to_come)}."], None)
    if held.never:
        days = f"{number.counted(len(held.never), 'day')} of this window{held.of_them_expired}"
        which = f", {missing_days.names(held.never)}."
        return Verdict.of(["Cannot tell: the log was not extracted for ", days, which], None)
    rate = held.smallest_rate
    bound = estimators.upper_bound_of_none(rate)
    most = (
        f"At most {bound:.0f} ok runs happened, at a rate of {number.percent(rate)}."
        if bound < float("inf")
        else "How many ok runs happened is not known: at rate 0 none is logged."
    )
    return Verdict.of(
        ["No run of ", name, f" was logged in this window{' so far' if held.to_come else ''}. {most}"], None
    )


def _beside_baseline(finding: BaselineFinding, name: Inline) -> Verdict:
    """Points differ from those of a baseline that was asked for."""
    more = page.finding(f"{percent(finding.points)} points per run")
    than = f" than in the baseline {finding.baseline}, "
    return Verdict.of([name, " pays ", more, than, interval(finding.points), f". {versions_within(finding)}"], None)


def _quiet(finding: NoFinding | OneGroup | ComparisonFinding, window: pd.DataFrame, name: Inline) -> list[Inline]:
    """Nothing stands out: what it pays now, and how that compares."""
    failed = window[(window["status"] != "ok").to_numpy(bool)]
    if len(failed) and len(failed) == len(window):
        return _none_paid(failed, name)
    label, rows = _live(window)
    here = mean_points(rows)
    now = page.strong(number.number(here.value, here.low, here.high))
    who = f" ({label})" if label else ""
    reason = reason_sentence(finding)
    if isinstance(finding, NoFinding) and math.isfinite(finding.points.change.low):
        if reason:
            return [
                name, " pays ", now, f" points per run now{who}, a change of ", interval(finding.points), f". {reason}",
            ]  # fmt: skip
        return [
            f"Points per run are as {'in ' + finding.baseline if finding.baseline else 'before'}, as far as the log tells: ",
            name,
            " pays ",
            now,
            f" now{who}. The change, ",
            interval(finding.points),
            ", may be chance.",
        ]
    few = "Too few runs are logged to compare." if finding.before else "There is nothing to compare it with."
    if not math.isfinite(here.value):
        return ["What ", name, f" paid per run{who} cannot be told. {reason or few}"]
    return [name, " paid ", now, f" points per run{who}. {reason or few}"]


def _none_paid(failed: pd.DataFrame, name: Inline) -> list[Inline]:
    """Every logged run failed, and at no moment more than before: no news, but nobody is to read it as all quiet."""
    codes = failed["error_code"].value_counts()
    count = len(failed)
    with_code = ""
    if len(codes):
        code = "no code" if codes.index[0] == "(no code)" else codes.index[0]
        with_code = f"{'' if codes.iloc[0] == count else f', {int(codes.iloc[0]):,} of them'} with {code}"
    rate = failed["window_rate"].min() if "window_rate" in failed else None
    bound = estimators.upper_bound_of_none(float(rate)) if rate is not None and rate == rate else math.inf
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


def _trials(finding: NoFinding | OneGroup | ComparisonFinding, hidden: Collection[str]) -> list[Inline]:
    """Of what is quiet: which versions came and are shown to pay the same, and of which that cannot be told."""
    if isinstance(finding, ComparisonFinding):
        return []
    sentences = [version_story.paid_the_same(finding.innocent), version_story.undecided(finding.open_trials, hidden)]
    return [f" {sentence}" for sentence in sentences if sentence]


def since_sentence(finding: Incident, spans: Sequence[Activation]) -> str:
    """The answer to "since when?"."""
    match finding:
        case NoRuns():
            return "No run is logged in the window; what is shown went before it."
        case VersionFinding():
            return version_story.since(finding)
        case FailuresFinding():
            return failing.since(finding)
        case DataFinding():
            return _data_since(finding)
        case DurationFinding():
            version = f"with the first run of {finding.border.label}" if finding.border else "no version changed then"
            return f"Ok runs become slower: {version}. {began(finding)}"
        case BaselineFinding():
            return f"Not looked for: the window as a whole is compared with {finding.baseline}."
        case NoFinding() | OneGroup() | ComparisonFinding():
            reason = reason_sentence(finding)
            if len(spans) > 1:
                return reason or (
                    f"{len(spans)} activations in this time; points per run do not move with any beyond chance."
                )
            return reason or "One version all the time; points per run do not move beyond chance."
        case _:
            assert_never(finding)


def _data_since(finding: DataFinding) -> str:
    if finding.slope is not None:
        how = "day after day" if finding.slope.is_sure else "day after day or in one step, which the log does not tell"
        return f"Points per run move {how}; no version explains it."
    if finding.is_one_program:
        return (
            "Points per run move though all runs are counted as one program pays them: no version explains it. "
            f"{began(finding)}"
        )
    version = f"with the first run of {finding.border.label}" if finding.border else "no version changed then"
    return f"Points per run move: {version}. {began(finding)}"


def why_sentence(parts: Split, finding: Incident) -> str:
    """The answer to "why?": the program's part on the same runs, and what came with the inputs; by cases where none was tried."""
    change = finding.points.change if finding.points else None
    if isinstance(finding, DataFinding) and finding.is_one_program:
        return (
            f"Counted as one program pays all runs, points per run moved by {signed(finding.points.change)}: that came with who "
            "plays and what clients send. What the versions pay otherwise is not in it, and stands below, case by case."
        )
    rest = version_story.inputs_part(finding)
    per_run = (
        finding.trial.per_run if finding.trial is not None and finding.trial.verdict is TrialVerdict.DIFFERS else None
    )
    if per_run is not None and rest is not None and change is not None:
        return (
            f"The program changes points per run by {signed(per_run)}, on the same runs. In all they moved by "
            f"{signed(change)}; the rest, {signed(rest)}, came with who plays and what clients send, {beyond_words(rest)}."
        )
    if finding.points is None or not finding.points.is_significant:
        return "The change of points per run may be chance, so there is nothing to explain."
    mix = "may be chance" if parts.mix.low <= 0 <= parts.mix.high else "is a real change in which cases are reached"
    route = (
        "" if not isinstance(finding, VersionFinding) or parts.mix.low <= 0 <= parts.mix.high
        else " Whether the program sends runs there or other people play is not told by cases alone."
    )  # fmt: skip
    return (
        f"Other amounts in the same cases change points per run by {signed(parts.effect)}, of "
        f"{signed(finding.points.change)} in all. The rest {mix}.{route}"
    )


def headline_figures(finding: Incident, window: pd.DataFrame, parts: Split | None, small: SmallCells) -> Block:
    """Points beyond, runs, users, failures."""
    rows = finding.after.rows if finding.after else window
    where = "in the window"
    if isinstance(finding, VersionFinding):
        rows = _runs_of_series(finding)
        where = f"under {finding.after.label}" + (f" to {finding.steps[-1].span.label}" if finding.steps else "")
    elif isinstance(finding, FailuresFinding | DataFinding | DurationFinding) and finding.since is not None:
        where = "in that time" if finding.is_over else "since then"
    users = int(rows["external_user_id"].nunique())
    failed = int((rows["status"] != "ok").sum())
    return page.strip(
        [
            _points(finding, rows, parts),
            page.Cell(f"Runs {where}", run_estimate(rows), f"estimated from {number.counted(len(rows), 'logged row')}"),
            page.Cell(
                f"Users {where}",
                small.count(users) if users else "–",
                "distinct users in the log, at least" if users else "no user is named in the log",
                "logged",
            ),
            page.Cell(f"Failed runs {where}", number.count(failed), "every failure is meant to be kept", "logged"),
        ]
    )


def _runs_of_series(finding: VersionFinding) -> pd.DataFrame:
    """Its logged runs; of a series those of each version, of a version that came again those of each time."""
    rows = [step.trial.after.rows for step in (*finding.steps, *finding.again)]
    if not rows:
        return finding.after.rows
    import pandas as pd

    return pd.concat(rows if finding.steps else [finding.after.rows, *rows])


def _points(finding: Incident, rows: pd.DataFrame, parts: Split | None) -> page.Cell:
    beyond = version_story.overpaid(finding, parts) if isinstance(finding, VersionFinding) else None
    if beyond is None or finding.before is None:
        return page.Cell("Points per run", mean_points(rows), "ok runs, estimated")
    how = (
        f"beyond what {finding.before.label} pays on the same inputs"
        if isinstance(finding, VersionFinding) and version_story.is_tried(finding)
        else "beyond the earlier amounts, case by case"
    )
    if beyond.high < 0:
        return page.Cell("Points underpaid", beyond.negated(), how.replace("beyond", "short of"), role="finding")
    return page.Cell("Points overpaid", beyond, how, role="finding")
