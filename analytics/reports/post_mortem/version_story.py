"""Sentences about a version: how much more it pays for the same runs, because of what, and what of that cannot be told."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from analytics.estimates import estimators
from analytics.estimates.estimators import Estimate
from analytics.findings.post_mortem.finding import Cause, Incident, Step, VersionFinding
from analytics.findings.post_mortem.groups import Case, Split, split_by_case
from analytics.findings.replay.paired import Move, Moved
from analytics.findings.replay.trials import Basis, TrialVerdict, VersionTrial
from analytics.reports import page
from analytics.reports.page import number
from analytics.reports.page.inline import Inline
from analytics.reports.post_mortem.phrases import (
    Verdict,
    case_name,
    interval,
    percent,
    percent_up,
    rest_of,
    share,
    share_bounds,
    signed,
)

_ALL, _MOST = 0.8, 0.5
"""Share of the difference that a cause must explain to follow "because", or "mostly because"."""


def sentence(
    finding: VersionFinding, cases: Sequence[Case], parts: Split | None, name: Inline, hidden: Collection[str] = ()
) -> Verdict:
    """The verdict on a version that pays otherwise, or may.

    Args:
        finding: The version.
        cases: What each case paid on both, for where no program could be tried.
        parts: The change split by cases; split here where it is not at hand.
        name: The strategy's, for the page.
        hidden: Cases that are not to be named.
    """
    trial, parts = finding.trial, parts or split_by_case(finding.before, finding.after)
    if trial is None or trial.verdict is TrialVerdict.CANNOT_TELL:
        pieces = _compared(_without(finding, hidden), cases, parts, name, hidden)
    elif trial.difference is None:
        pieces = _open(finding, trial, name, hidden)
    else:
        pieces = _tried(finding, trial, name, hidden)
    in_all = _in_all(finding, trial) if trial is not None else []
    return Verdict.of(
        [*pieces, *_amount(finding, parts), *in_all], _status(finding), "fixed" if finding.is_over else "finding"
    )


def also(finding: VersionFinding) -> list[Inline]:
    """One short sentence of a further finding."""
    who = _versions(finding).lower() if finding.steps else f"version {finding.after.strategy_version}"
    when, more = _when(finding), finding.relative
    if (
        finding.trial is not None
        and finding.trial.verdict is TrialVerdict.DIFFERS
        and _may_be_nothing(finding.total)
        and not finding.steps
    ):
        much = f"{_differing(finding.trial)} otherwise than {finding.trial.before.label}"
        return [f" Also: {who} paid {much}, {when}; in all that may be nothing."]
    if finding.trial is not None and finding.trial.verdict is TrialVerdict.DIFFERS and more is not None:
        return [
            f" Also: {who} paid ",
            page.finding(share(more)),
            " for the same runs ",
            share_bounds(more),
            f", {when}.",
        ]
    if finding.trial is not None and finding.trial.verdict is TrialVerdict.DIFFERS:
        return [f" Also: {who} pays otherwise, {when}; by how much in all cannot be told."]
    return [f" Also: {percent(finding.points)} points per run ", interval(finding.points), f" with {who}, {when}."]


def paid_the_same(trials: Sequence[VersionTrial]) -> str:
    """What is said of versions that are shown to pay the same; empty for none."""
    pieces = []
    # Of a version that came more than once, the time with most of its runs.
    for trial in {of.after.label: of for of in sorted(trials, key=lambda of: len(of.after.rows))}.values():
        forward = trial.forward
        if forward is None:
            continue
        rest = f"; at most {percent_up(trial.most_differing)} of its runs can differ" if trial.most_differing else ""
        rest += f"; {forward.renamed_count:,} of them end in another case" if forward.renamed_count else ""
        left = forward.undecided_count + forward.untried_count
        out = f" {left:,} of its runs could not be tried." if left else ""
        count = trial.failed_count
        failed = f" {count:,} failed run{'s' * (count != 1)} of it left nothing to try." if count else ""
        failed += _hidden(trial)
        pieces.append(
            f"{trial.after.label} came, but it is not the version: {trial.before.label} would have paid the same in all "
            f"{forward.decided_count:,} of its logged runs that were tried{_beside(trial)}{rest}.{out}{failed}"
        )
    return " ".join(pieces)


def _hidden(trial: VersionTrial) -> str:
    """How much what was left out or failed may hide; empty for nothing."""
    forward, worst = trial.forward, trial.worst
    if forward is None or worst is None or not forward.paid.value > 0 or (worst.low == 0 and worst.high == 0):
        return ""
    ends = [end / forward.paid.value for end in (worst.low, worst.high)]
    return f" Whatever they would have been paid, it is between {number.percent(ends[0], *ends, sign=True)} and " + (
        f"{number.percent(ends[1], *ends, sign=True)} of what it paid."
    )


def _beside(trial: VersionTrial) -> str:
    if not trial.beside_count:
        return ""
    return f", and so in all {trial.beside_count:,} earlier ones of the same hours"


def beside_failures(trial: VersionTrial | None) -> str:
    """What a version whose runs began to fail pays for those that do not; empty where that was not tried or differs."""
    forward = trial.forward if trial is not None else None
    if trial is None or forward is None or trial.verdict is TrialVerdict.DIFFERS or not forward.decided_count:
        return ""
    return (
        f" The runs of {trial.after.label} that do not fail are paid as {trial.before.label} would have paid them, in all "
        f"{forward.decided_count:,} that were tried; what those that fail would have been paid is not in the log."
    )


def reason_of(trial: VersionTrial, hidden: Collection[str] | None = None) -> str:
    """Why it cannot be told, with what cannot be seen written out.

    Args:
        trial: Of the version.
        hidden: Cases that are not to be named; None for no case at all.
    """
    case = trial.open_case
    named = (
        f", all of them paid in case {case}" if hidden is not None and case is not None and case not in hidden else ""
    )
    return page.visible(f"{trial.reason}{named}")


def undecided(trials: Sequence[VersionTrial], hidden: Collection[str] | None = None) -> str:
    """What is said of versions of which it cannot be told whether they pay otherwise; empty for none."""
    return " ".join(
        f"Whether {trial.after.label} pays otherwise than {trial.before.label} cannot be told: "
        f"{reason_of(trial, hidden)}.{_at_worst(trial)}"
        for trial in trials
    )


def _at_worst(trial: VersionTrial) -> str:
    """The least and the most that the runs which were not tried may change."""
    forward, worst = trial.forward, trial.worst
    if forward is None or (worst is not None and worst.low == 0 and worst.high == 0):
        return ""
    if worst is None:
        open_paid = forward.open_paid
        if not forward.decided_count or not math.isfinite(open_paid.low):
            return " Nothing bounds what they would have been paid."
        much = number.number(open_paid.value, open_paid.low, open_paid.high)
        return f" They were paid {much} points in all, and nothing bounds what they would have been paid."
    low, high = (number.number(end, worst.low, worst.high, sign=True) for end in (worst.low, worst.high))
    share, paid = "", estimators.total(*trial.after.values).value  # of all its runs, not only of those that were tried
    if paid > 0:
        ends = (worst.low / paid, worst.high / paid)
        share = f" ({number.percent(ends[0], *ends, sign=True)} to {number.percent(ends[1], *ends, sign=True)} of what it paid)"
    return f" At worst it is {low} to {high} points{share}."


# ---- the same runs ---------------------------------------------------------------------------------------------------


def _tried(finding: VersionFinding, trial: VersionTrial, name: Inline, hidden: Collection[str]) -> list[Inline]:
    """Both programs on the same runs: by how much, why, and what else moved."""
    more, total = finding.relative, finding.total
    before = trial.before.label
    pieces: list[Inline] = [f"{_versions(finding)} of ", name]
    if _may_be_nothing(total):
        pieces += [f" pays {_differing(trial)} otherwise than {before}; in all that may be nothing"]
    elif more is None and _pays_nothing(trial):
        pieces += [f" paid points where {before} would have paid none for the same runs"]
    elif more is None:
        pieces += [f" pays {_differing(trial)} otherwise than {before}, by what share of all cannot be told"]
    else:
        pieces += [" paid ", page.finding(share(more)), " for the same runs ", share_bounds(more)]
    if finding.steps:
        pieces += [": ", *_steps(finding.steps), "."]
    else:
        pieces += [*(_because(trial, hidden) if trial.pays_more is not None else []), "."]
    if trial.basis is Basis.EARLIER_RUNS:
        pieces += [
            f" That is what both programs would pay for {before}'s runs at the same kinds of hours: {reason_of(trial, hidden)}."
        ]
    return pieces


def _may_be_nothing(total: Estimate | None) -> bool:
    """What the programs pay differently may add up to nothing."""
    return total is not None and total.low <= 0 <= total.high and (total.low < 0 or total.high > 0)


def _differing(trial: VersionTrial) -> str:
    """How many runs are paid otherwise, as far as they were tried."""
    earlier, forward, backward = trial.basis is Basis.EARLIER_RUNS, trial.forward, trial.tried.backward
    found = backward if earlier else forward
    if found is None:
        return "some runs"
    return f"{found.differing_count:,} of {found.decided_count:,} logged runs{' of ' + trial.before.label if earlier else ''}"


def _pays_nothing(trial: VersionTrial) -> bool:
    """The earlier program pays no run anything, of those that were tried."""
    if trial.basis is Basis.EARLIER_RUNS:
        return trial.tried.backward is not None and trial.tried.backward.paid.value == 0
    return trial.forward is not None and trial.forward.would_pay.value == 0


def _because(trial: VersionTrial, hidden: Collection[str]) -> list[Inline]:
    """The cause of the largest part, joined only to the amount that it explains."""
    total = trial.difference
    if total is None or not trial.moved or not total.value:
        return []
    first = trial.moved[0]
    scale = sum(group.difference.value for group in trial.moved)
    part = first.difference.value / scale if scale else 0.0
    routed = sum(group.difference.value for group in trial.moved if group.move is Move.ROUTE) / scale if scale else 0.0
    if part < _ALL and first.move is Move.ROUTE and routed >= _ALL:
        return [", because its program ends runs in other cases, most of all ", *_routed(first, trial, hidden)]
    amounts = [group for group in trial.moved if group.move is Move.AMOUNT]
    if part < _ALL and len(amounts) > 1 and sum(group.difference.value for group in amounts) / scale >= _ALL:
        return [f", because {len(amounts)} cases pay other amounts, most of all ", *case_name(first.now, hidden)]
    if part < _MOST or part > 1 / _MOST:
        return [", in several cases at once"]
    because = ", because " if part >= _ALL else ", mostly because "
    if first.move is Move.ROUTE:
        return [because, *_routed(first, trial, hidden)]
    if first.move is Move.FAILS:
        return [because, f"{trial.before.label} would have failed on runs that it pays"]
    case = ["case ", *case_name(first.now, hidden)]
    if math.isfinite(first.amount_was) and math.isfinite(first.amount_now):
        was, now = page.before(number.number(first.amount_was)), page.finding(number.number(first.amount_now))
        return [because, *case, " went from ", was, " to ", now]
    return [because, *case, " pays other amounts"]


def _routed(group: Moved, trial: VersionTrial, hidden: Collection[str]) -> list[Inline]:
    would_have = f"runs that {trial.before.label} would have ended in "
    return [would_have, *case_name(group.was, hidden), " end in ", *case_name(group.now, hidden)]


def _steps(steps: Sequence[Step]) -> list[Inline]:
    """Points per run beyond the version before the series, step by step."""
    pieces: list[Inline] = []
    for number_, step in enumerate(steps):
        per_run = step.trial.per_run
        much = "the same" if per_run is None or step.trial.verdict is TrialVerdict.SAME else signed(per_run)
        if (
            step.before_it is not None
            and step.before_it.verdict is TrialVerdict.SAME
            and step.trial.verdict is not TrialVerdict.SAME
        ):
            much = f"as {step.before_it.before.label} ({much})"
        pieces += [", " if number_ else "", f"{step.span.label} {much}"]
    return [*pieces, f" points per run beyond {steps[0].trial.before.label}"]


def _in_all(finding: VersionFinding, trial: VersionTrial) -> list[Inline]:
    """The raw change where the program is not all of it, split: what that did, and what came with who plays."""
    per_run, change, rest = trial.per_run, finding.points, inputs_part(finding)
    if finding.steps or per_run is None or rest is None:
        return []
    # The section on why has it all the same.
    if not (math.isfinite(rest.low) and math.isfinite(rest.high)) or rest.low <= 0 <= rest.high:
        return []
    return [
        " Points per run moved by ",
        page.strong(signed(change.change)),
        " in all ",
        page.ci(change.change.low, change.change.high, value=change.change.value, sign=True),
        f": the program is {signed(per_run)} of that, who plays and what clients send {signed(rest)}.",
    ]


def inputs_part(finding: Incident) -> Estimate | None:
    """The change of points per run that the program does not explain; None where the program's part is not known."""
    trial, change = finding.trial, finding.points
    per_run = trial.per_run if trial is not None else None
    if per_run is None or change is None or not math.isfinite(change.change.low):
        return None
    return rest_of(change.change, per_run)


# ---- without a replay ------------------------------------------------------------------------------------------------


def _open(finding: VersionFinding, trial: VersionTrial, name: Inline, hidden: Collection[str]) -> list[Inline]:
    """It surely pays some runs otherwise; by how much in all is not known."""
    forward, backward = trial.forward, trial.tried.backward
    count = forward.differing_count + forward.surely_count if forward is not None else 0
    pays = "pays"
    if count and forward is not None:
        what = f"{count:,} of its {forward.tried_count:,} replayed runs otherwise than {trial.before.label}"
    elif backward is not None:
        pays = "would pay"
        what = f"{backward.differing_count:,} of {backward.decided_count:,} runs of {trial.before.label} otherwise"
    else:
        what = "some runs otherwise"
    pieces: list[Inline] = [
        f"{_versions(finding)} of ",
        name,
        f" {pays} {what}; by how much in all cannot be told by running both: {reason_of(trial, hidden)}",
    ]
    if forward is not None and math.isfinite(forward.undecided_low) and math.isfinite(forward.undecided_high):
        low, high = forward.difference.low, forward.difference.high
        if math.isfinite(low) and math.isfinite(high):
            ends = (number.number(low, low, high, sign=True), number.number(high, low, high, sign=True))
            pieces += [f". It lies between {ends[0]} and {ends[1]} points"]
    if finding.points.is_significant:
        pieces += [
            ". With who plays, points per run are ",
            page.finding(percent(finding.points)),
            " ",
            interval(finding.points),
        ]
    return [*pieces, "."]


def _compared(
    finding: VersionFinding, cases: Sequence[Case], parts: Split, name: Inline, hidden: Collection[str]
) -> list[Inline]:
    """Two groups of runs, no program tried: what moved with the version, and that this alone does not tell why."""
    pieces: list[Inline] = [
        f"{_versions(finding)} of ",
        name,
        " paid ",
        page.finding(f"{percent(finding.points)} points per run"),
        " ",
        interval(finding.points),
    ]
    if finding.cause is Cause.UNKNOWN:
        why = reason_of(finding.trial, hidden) if finding.trial is not None else "its program was not tried"
        moved = (
            f"; {_listed(finding.alike.moved)} moved, too" if finding.alike is not None and finding.alike.moved else ""
        )
        return [*pieces, f". Whether its program or its inputs did that cannot be told: {why}{moved}."]
    changed = [case for case in cases if case.amount_changed]
    part = parts.effect.value / finding.points.change.value if finding.points.change.value else 0.0
    if changed and part >= _MOST:
        case = max(changed, key=lambda of: abs(of.overpaid.value))
        because = ", because case " if part >= _ALL else ", mostly because case "
        pieces += [
            because,
            page.author(case.name),
            " went from ",
            page.before(number.number(case.points_before.value, case.points_before.low, case.points_before.high)),
            " to ",
            page.finding(number.number(case.points_after.value, case.points_after.low, case.points_after.high)),
        ]
    elif part < _MOST:
        pieces += [", mostly with other shares of runs in its cases"]
    if finding.trial is None:
        return [*pieces, "."]
    alike = finding.alike
    for names, what in ((finding.gone, "is not in its program any more"), (finding.new, "is new in its program")):
        pieces += [f". Case {_listed(names)} {what}"] if names else []
    if alike is not None and alike.are_alike:
        still = f". What all logged runs of both read ({_listed(alike.fields)}) did not move beyond chance, so its program is the "
        return [*pieces, still, f"likely cause; it was not tried: {reason_of(finding.trial, hidden)}."]
    return [*pieces, f". Its program was not tried: {reason_of(finding.trial, hidden)}."]


def _without(finding: VersionFinding, hidden: Collection[str]) -> VersionFinding:
    """Without the names of cases that are not to be named."""
    gone, new = (tuple(name for name in names if name not in hidden) for names in (finding.gone, finding.new))
    return replace(finding, gone=gone, new=new)


def _listed(names: Sequence[str]) -> str:
    """A few names; hostile ones are escaped like all text of the page."""
    shown = page.visible(", ".join(names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


# ---- when ------------------------------------------------------------------------------------------------------------


def _versions(finding: VersionFinding) -> str:
    """``Version 3``, or ``Versions 2 to 5``."""
    if not finding.steps:
        return f"Version {finding.after.strategy_version}"
    numbers = [step.span.strategy_version for step in finding.steps]
    return f"Versions {numbers[0]} {'and' if len(numbers) == 2 else 'to'} {numbers[-1]}"


def since(finding: VersionFinding) -> str:
    """The answer to "since when?"."""
    if finding.steps:
        came = ", ".join(f"{step.span.label} on {number.when(step.span.first)}" for step in finding.steps)
        back = (
            f", until {finding.rollback.label} was back on {number.when(finding.rollback.first)}"
            if finding.rollback
            else ""
        )
        return f"Points per run move with the first runs of the series: {came}{back}."
    ended = ", and it is still live"
    if finding.again:
        came = " and ".join(number.when(step.span.first) for step in finding.again)
        ended = f", and again {came}" + (f", until {finding.rollback.label} was back" if finding.rollback else "")
    elif finding.rollback:
        ended = f", until {finding.rollback.label} was back on {number.when(finding.rollback.first)}"
    elif finding.successor:
        ended = f", until {finding.successor.label} came on {number.when(finding.successor.first)}"
    return (
        f"Points per run move with the first run of {finding.after.label}, {number.when(finding.after.since)}{ended}."
    )


def _when(finding: VersionFinding) -> str:
    if finding.is_over or finding.since is None:
        end = finding.rollback.first if finding.rollback else finding.after.until if finding.after else finding.until
        return f"from {number.when(finding.since)} to {number.when(end)}"
    return f"since {number.when(finding.since)}"


def _amount(finding: VersionFinding, parts: Split) -> list[Inline]:
    """How many points in all, and between which times."""
    total = overpaid(finding, parts)
    times = [step.span for step in (*finding.steps, *finding.again)]
    end = max((span.last for span in times), default=finding.after.until)
    ended = f"and the rollback on {number.when(finding.rollback.first, long=True)}" if finding.rollback else ""
    between = f" between {number.when(finding.after.since, long=True)} {ended or f'and {number.when(end, long=True)}'}"
    between += f", in the {len(finding.again) + 1} times that it was live." if finding.again else "."
    if total is None or not (total.low > 0 or total.high < 0):
        return [f" It was seen{between}"]
    beyond = total if total.value > 0 else total.negated()
    # Where the replay does not tell it, it is said where the amount comes from.
    is_by_case = finding.trial is not None and finding.trial.verdict is TrialVerdict.DIFFERS and not is_tried(finding)
    who = "Compared case by case, it" if is_by_case else "They" if finding.steps else "It"
    return [
        f" {who} {'overpaid' if total.value > 0 else 'underpaid'} ",
        page.finding(f"{number.number(beyond.value, beyond.low, beyond.high)} points"),
        " ",
        page.ci(beyond.low, beyond.high, value=beyond.value),
        between,
    ]


def is_tried(finding: VersionFinding) -> bool:
    """The amount comes from both programs on the same runs."""
    return finding.trial is not None and finding.trial.difference is not None


def overpaid(finding: VersionFinding, parts: Split | None) -> Estimate | None:
    """Points paid beyond the earlier program; negative for too few; None where that cannot be told.

    Without a replay the amounts are compared case by case, which says nothing of runs whose case came or went, or that were sent
    to another one.
    """
    if is_tried(finding):
        return finding.total
    is_whole = parts is not None and parts.is_same_cases and parts.mix.low <= 0 <= parts.mix.high
    return parts.overpaid if parts is not None and is_whole else None


def _status(finding: VersionFinding) -> list[Inline]:
    if finding.rollback:
        back = f"Over since {number.when(finding.rollback.first)}: {finding.rollback.label} is live again. "
        return [back, "Still to decide: do the points stay?"]
    if finding.steps:
        last = max(finding.steps, key=lambda step: step.span.last)
        if last.trial.verdict is not TrialVerdict.DIFFERS:
            return [
                f"{last.span.label} is live and pays as {finding.before.label} does. Still to decide: do the points stay?"
            ]
        more = last.trial.relative
        much = (
            [share(more), f" than {finding.before.label} for the same runs ", share_bounds(more)]
            if more
            else ["otherwise"]
        )
        return [f"{last.span.label} is live at the end of the window and pays ", *much, "."]
    if finding.successor:
        came = f"{finding.successor.label} came on {number.when(finding.successor.first)}, and {finding.after.label} was gone. "
        beside = (
            f"What {finding.successor.label} pays beside {finding.before.label} cannot be told here; still to decide: "
        )
        return [came, beside, "do the points stay?"]
    return [f"{finding.after.label} was still live at the end of the window."]
