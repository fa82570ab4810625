"""Sentences about two strategies side by side: what both pay for the same runs, and what is left to who plays."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

from analytics.estimates.estimators import Estimate
from analytics.findings.post_mortem.comparison import Trait
from analytics.findings.replay.paired import Move
from analytics.findings.replay.trials import TrialVerdict
from analytics.reports import page
from analytics.reports.page import number
from analytics.reports.page.inline import Inline
from analytics.reports.post_mortem import verdict
from analytics.reports.post_mortem.phrases import (
    Verdict,
    beyond_words,
    case_name,
    percent_up,
    rest_of,
    share,
    share_bounds,
    signed,
)
from analytics.reports.post_mortem.version_story import reason_of

if TYPE_CHECKING:
    from analytics.findings.post_mortem.comparison import Comparison, SameRuns, Unlike
    from analytics.findings.replay.trials import VersionTrial


def group_sentences(comparison: Comparison, is_named: bool) -> list[Inline]:
    """Points per run of either group, and what of their difference is not the programs'."""
    finding = comparison.incident
    points, before, after = finding.points, finding.before, finding.after
    if not math.isfinite(points.change.low):
        return [" Too few runs are logged to compare points per run."]
    means = [verdict.mean_points(side.rows) for side in (after, before)]
    here, there = (number.number(mean.value, mean.low, mean.high) for mean in means)
    pieces: list[Inline] = [
        " Points per run are ",
        page.strong(here),
        " in A's own runs and ",
        page.strong(there),
        " in B's",
    ]
    differ = [part for one in comparison.unlike for part in (" ", *unlike_words(one, is_named=is_named))]
    if not comparison.is_at_same_hours:
        return [*pieces, ".", *differ, " So the two groups cannot be compared with each other."]
    ends = page.ci(points.change.low, points.change.high, value=points.change.value, sign=True)
    pieces += ["; at the same kinds of hours A's are ", page.strong(signed(points.change)), " ", ends]
    if comparison.same_runs:
        rest = inputs_part(comparison)
        pieces += [
            f". Of that the programs are {signed(comparison.same_runs[0].per_run)}; {signed(rest)} is left to who plays and what "
            f"clients send, {beyond_words(rest)}."
        ]
    elif comparison.is_same:
        pieces += [f", {beyond_words(points.change)}"]
        pieces += [": that is who plays and what clients send." if points.is_significant else "."]
    elif comparison.unlike:
        pieces += [". Whether that is the programs or who plays cannot be told."]
    else:
        pieces += [f", {beyond_words(points.change)}. Whether that is the programs or who plays cannot be told."]
    return [*pieces, *differ]


def inputs_part(comparison: Comparison) -> Estimate:
    """The difference of points per run that the programs do not make, where their part is known."""
    points = comparison.incident.points
    return rest_of(points.change, comparison.same_runs[0].per_run)


def unlike_words(difference: Unlike, *, is_named: bool = True) -> list[Inline]:
    """One way in which the groups are not alike, in a sentence; without the name of a game that few may play."""
    if difference.what is Trait.HOURS:
        return ["They ran at other kinds of hours (weekdays, weekends, quarters of the day)."]
    where, one = ("games", "the game ") if difference.what is Trait.GAMES else ("tasks", "the task ")
    if difference.is_disjoint:
        return [f"They have none of their {where} in common."]
    if not is_named:
        return [f"Their {where} are others for {number.percent(difference.distance)} of their runs."]
    return [
        f"Their {where} are others: {number.percent(difference.share)} of A's runs and {number.percent(difference.other)} of B's ",
        f"are of {one}",
        page.author(difference.name, 40),
        ".",
    ]


_ALL = 0.8
"""Share of the difference that a cause must explain to follow "because"."""
_OUTSIDE = "who gets which strategy is assigned outside, and the log does not tell whether by chance"


def sentence(comparison: Comparison, hidden: Collection[str] = (), *, is_named: bool = True) -> Verdict:
    """The verdict: the same runs first, then the two groups with what is not the programs'.

    Args:
        comparison: Of A and B.
        hidden: Cases that are not to be named.
        is_named: Games and tasks are named.
    """
    a, b = names(comparison)
    pieces = [*_programs(comparison, a, b, hidden), *group_sentences(comparison, is_named)]
    left = [words for letter in "AB" if (words := _left_out(comparison, letter))]
    return Verdict.of([*pieces, f" Two groups of runs are compared: {_OUTSIDE}."], [" ".join(left)] if left else None)


def names(comparison: Comparison) -> tuple[list[Inline], list[Inline]]:
    """A and B by name, with the letter that stands for either on the page."""
    return [page.author(comparison.family.name), " (A)"], [page.author(comparison.other.name), " (B)"]


def why(comparison: Comparison) -> str:
    """The answer to "why?": the programs' part on the same runs, and what came with who plays."""
    points = comparison.incident.points
    if not math.isfinite(points.change.low):
        return "Cannot tell: too few runs are logged to compare."
    if comparison.same_runs and comparison.is_at_same_hours:
        same, rest = comparison.same_runs[0], inputs_part(comparison)
        return (
            f"On {same.whose}'s runs the programs make {signed(same.per_run)} points per run of difference. Points per run of "
            f"the two groups differ by {signed(points.change)}; the rest, {signed(rest)}, came with who plays and what "
            f"clients send, {beyond_words(rest)}."
        )
    if comparison.is_same:
        return (
            f"The programs pay the same, so the difference of {signed(points.change)} points per run came with who plays and "
            f"what clients send, {beyond_words(points.change)}."
        )
    return (
        f"Points per run of the two groups differ by {signed(points.change)}. What of that the programs do cannot be told; "
        "cases alone do not tell whether a program sends runs there or other people play."
    )


def todo(comparison: Comparison) -> list[page.Todo]:
    """What to do next."""
    kinds = comparison.verdicts
    if TrialVerdict.DIFFERS in kinds:
        items = [
            page.Todo(
                "Decide which of the two goes on.",
                "What the programs pay is told by the same runs; points per run of the groups also depend on who plays.",
            )
        ]
    elif comparison.is_same:
        items = [
            page.Todo(
                "Compare who plays and what clients send: the programs pay the same.",
                "Look at how games, tasks and users are given A or B.",
            )
        ]
    else:
        reason = next(reason_of(trial) for trial in comparison.trials if trial.verdict is TrialVerdict.CANNOT_TELL)
        items = [
            page.Todo(
                "Whether A pays otherwise than B cannot be told from these runs.",
                f"{reason[:1].upper()}{reason[1:]}. Compare the programs above, and simulate logged runs with both.",
            )
        ]
    if comparison.unlike:
        items.append(
            page.Todo(
                "Give A and B by chance to users of the same games and tasks, at the same time.",
                "Points per run of the two groups then tell what people make of them, too.",
            )
        )
    return items


# ---- the programs ----------------------------------------------------------------------------------------------------


def _programs(comparison: Comparison, a: list[Inline], b: list[Inline], hidden: Collection[str]) -> list[Inline]:
    """Both programs on the same runs."""
    if comparison.same_runs:
        first, *rest = comparison.same_runs
        pieces = _differ(first, a, b, hidden)
        for other in rest:
            if other.relative is not None:
                pieces += [
                    f" For {other.whose}'s runs it is ",
                    share(other.relative),
                    " ",
                    share_bounds(other.relative),
                    ".",
                ]
        if not rest:
            pieces += [f" {_of_one(comparison, 'B' if first.whose == 'A' else 'A')}"]
        return pieces
    kinds = comparison.verdicts
    if comparison.is_same:
        pieces = ["The programs of ", *a, " and ", *b, " pay the same for the same runs: "]
        return [*pieces, _count(comparison.trials[0], "A"), ", and ", _count(comparison.trials[1], "B"), "."]
    if TrialVerdict.DIFFERS in kinds:
        letter = "AB"[kinds.index(TrialVerdict.DIFFERS)]
        return [*a, " pays otherwise than ", *b, f"; by how much cannot be told. {_of_one(comparison, letter)}"]
    pieces = ["Whether ", *a, " pays otherwise than ", *b, " for the same runs cannot be told. "]
    if comparison.trials[0].reason == comparison.trials[1].reason:
        return [*pieces[:-1], f" for the same runs cannot be told: {reason_of(comparison.trials[0])}."]
    return [*pieces, _of_one(comparison, "A"), " ", _of_one(comparison, "B")]


def _differ(same: SameRuns, a: list[Inline], b: list[Inline], hidden: Collection[str]) -> list[Inline]:
    if same.pays_more is None:
        count = f"{same.differing_count:,} of {same.decided_count:,} logged runs"
        return [*a, f" pays {count} of {same.whose} otherwise than ", *b, "; in all that may be nothing."]
    if same.relative is None:
        pieces: list[Inline] = [*a, " pays points where ", *b, f" pays none for the same runs ({same.whose}'s)"]
    else:
        pieces = [
            *a,
            " pays ",
            page.finding(share(same.relative)),
            " than ",
            *b,
            f" for the same runs ({same.whose}'s) ",
            share_bounds(same.relative),
        ]
    return [*pieces, *_because(same, hidden), "."]


def _because(same: SameRuns, hidden: Collection[str]) -> list[Inline]:
    """The cause of the largest part, joined only to what it explains."""
    scale = sum(group.difference.value for group in same.moved)
    if not scale:
        return []
    first = same.moved[0]
    part = first.difference.value / scale
    if not _ALL <= part <= 1 / _ALL:
        return [", in several cases at once"]
    if first.move is Move.FAILS:
        return [f", because {'B' if same.whose == 'A' else 'A'} fails on runs that {same.whose} pays"]
    if first.move is Move.ROUTE:
        return [
            ", because runs that B ends in ",
            *case_name(first.was, hidden),
            " end in ",
            *case_name(first.now, hidden),
        ]
    is_hidden = first.now is not None and first.now in hidden
    case = [", because one case"] if is_hidden else [", because case ", *case_name(first.now, hidden)]
    if math.isfinite(first.amount_was) and math.isfinite(first.amount_now):
        now, was = page.finding(number.number(first.amount_now)), page.before(number.number(first.amount_was))
        return [*case, " pays ", now, " instead of ", was]
    return [*case, " pays other amounts"]


def _of_one(comparison: Comparison, letter: str) -> str:
    """What the trial on the runs of one of them says, where it gives no amount."""
    trial, other = comparison.trials["AB".index(letter)], "B" if letter == "A" else "A"
    if trial.verdict is TrialVerdict.SAME:
        return f"For {letter}'s runs both pay the same: {_count(trial, letter)}."
    if trial.verdict is TrialVerdict.DIFFERS:
        forward = trial.forward
        count = f"{forward.differing_count + forward.surely_count:,} of {forward.tried_count:,}" if forward else "Some"
        return (
            f"{count} replayed runs of {letter} are paid otherwise by {other}; by how much in all is not known: {reason_of(trial)}."
            f"{_bounds(trial, letter)}"
        )
    return f"For {letter}'s runs it is not known: {reason_of(trial)}."


def _bounds(trial: VersionTrial, letter: str) -> str:
    """Between what the difference of the replayed runs lies, A less B."""
    forward = trial.forward
    if forward is None or not all(map(math.isfinite, (forward.undecided_low, forward.undecided_high))):
        return ""
    low, high = forward.difference.low, forward.difference.high
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    low, high = (low, high) if letter == "A" else (-high, -low)
    ends = (number.number(low, low, high, sign=True), number.number(high, low, high, sign=True))
    return f" In {letter}'s runs A pays between {ends[0]} and {ends[1]} points beyond B."


def _count(trial: VersionTrial, letter: str) -> str:
    """How much was tried, what was not, and what may hide."""
    forward = trial.forward
    other = "B" if letter == "A" else "A"
    if forward is None:
        return f"{other} was not tried on {letter}'s runs"
    rest = f" (at most {percent_up(trial.most_differing)} of its runs can differ)" if trial.most_differing else ""
    left = forward.undecided_count + forward.untried_count
    out = f"; {left:,} could not be tried" if left else ""
    failed = f"; its {trial.failed_count:,} failed runs left nothing to try" if trial.failed_count else ""
    all_runs = f"all {forward.decided_count:,} logged runs of {letter} that were tried"
    return f"{other} would have paid {all_runs} the same{rest}{out}{failed}"


def _left_out(comparison: Comparison, letter: str) -> str:
    first, *rest = comparison.labels[letter].items()
    if not rest:
        return ""
    names = ", ".join(label for label, _ in rest[:4]) + (f" and {len(rest) - 4} more" if len(rest) > 4 else "")
    return f"Of {letter}, {first[0]} is compared, with {number.percent(first[1])} of its runs in the window; {names} left out."
