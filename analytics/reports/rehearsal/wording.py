"""Sentences of a rehearsal: none says more than what was tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analytics.estimates.comparisons import Relative
from analytics.estimates.estimate import Estimate
from analytics.program import MAX_NODES
from analytics.reports import page
from analytics.reports.page import number

if TYPE_CHECKING:
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.reports.page.inline import Inline

CALLED = "The draft"
BEHAVIOUR = (
    "The events are those that came: what users would have done under another program is in none of these numbers."
)
_CLOSE_TO_CAP = 0.9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the head of the page says.

    Attributes:
        sentence: The verdict.
        status: What else there is to know before publishing.
        role: Its colour.
    """

    sentence: list[Inline]
    status: list[Inline]
    role: Literal["fixed", "finding", "worse"]


def decide(found: Rehearsal) -> Verdict:
    """The verdict of a rehearsal."""
    if not len(found.tried.rows):
        return Verdict([page.strong("Cannot tell"), f": {nothing_tried(found)}."], [BEHAVIOUR], "finding")
    sentence = _verdict(found)
    failing = sum(failure.logged_count for failure in found.failures)
    doubts = (found.undecided.value, found.recased_count, found.contradicted_count, _left_out_count(found))
    is_open = bool(found.changed.value or any(doubts))
    role: Literal["fixed", "finding", "worse"] = "worse" if failing else "finding" if is_open else "fixed"
    status = [
        *_undecided(found), _contradicted(found), _left_out(found), _failed(found), _failing(found), _recased(found),
        _visits(found), _paid_by(found),
    ]  # fmt: skip
    return Verdict(sentence, status, role)


def nothing_tried(found: Rehearsal) -> str:
    """Why no run was tried, in a clause."""
    if found.logged.empty:
        return "no run of this strategy is logged in this window, so there is nothing to try the draft on"
    reasons = [f"{version.label}: {version.reason}" for version in found.tried.versions if version.reason]
    if reasons:
        return f"no logged run could be tried ({'; '.join(reasons)})"
    return "none of the logged runs was paid, and failed runs leave no input"


def _verdict(found: Rehearsal) -> list[Inline]:
    tried = f"{number.counted(len(found.tried.rows), 'logged run')} tried"
    runs = f"For the same events, {tried}, "
    if found.undecided.value >= 1:
        return [page.strong("Cannot tell"), ": for none of the tried runs does the log hold what the draft reads."]
    if not found.changed.value and found.undecided.value:
        none = page.strong("none that the log decides is paid otherwise")
        return [runs, none, f"; of all such runs up to {_most(found.changed)} may be."]
    if found.undecided.value:
        decided = int(found.tried.rows["is_decided"].sum())
        runs = f"For the same events, on the {decided:,} of {tried} that the log decides, "
    if not found.changed.value:
        which = "runs of the versions that were tried" if _left_out_count(found) else "runs"
        return [runs, page.fixed("no run is paid otherwise"), f"; of all {which} up to {_most(found.changed)} may be."]
    share = found.relative
    if share is None or not math.isfinite(share.low):
        more = number.number(found.difference.value, found.difference.low, found.difference.high, sign=True)
        ends = bracket(found.difference)
        bounds_of = [" ", ends] if ends else [", and nothing tells how far that is off"]
        return [runs, "this draft pays ", page.finding(f"{more} points"), *bounds_of, "."]
    if share.low <= 0 <= share.high:
        return [
            runs, "this draft pays ", page.strong("about as much in all"), " ", _percent_bounds(share), ", and ",
            page.finding(f"{percent(found.changed)} of the runs otherwise"), ".",
        ]  # fmt: skip
    word = "more" if share.value > 0 else "less"
    size = number.percent(abs(share.value), *sorted((abs(share.low), abs(share.high))))
    return [runs, "this draft pays ", page.finding(f"{size} {word}"), " ", _percent_bounds(share), "."]


def _percent_bounds(share: Relative) -> page.Markup:
    return page.ci(100 * share.low, 100 * share.high, value=100 * share.value, unit="%", sign=True)


def bracket(estimate: Estimate) -> page.Markup:
    """The interval of an estimate, as it stands behind a number."""
    return page.ci(estimate.low, estimate.high, value=estimate.value, sign=True)


def share_bracket(share: Estimate) -> page.Markup:
    """The interval of a share of the runs, in percent."""
    return page.ci(100 * share.low, 100 * share.high, value=100 * share.value, unit="%")


def bounds(low: float, high: float) -> str:
    """What undecided runs add to the difference, as far as anything bounds it."""
    least, most = (number.number(end, sign=True) for end in (low, high))
    if math.isfinite(low) and math.isfinite(high):
        return f"The undecided runs add between {least} and {most} points, by estimate."
    if math.isfinite(low):
        return f"The undecided runs add at least {least} points, by estimate; nothing bounds how much more."
    if math.isfinite(high):
        return f"The undecided runs add at most {most} points, by estimate; nothing bounds how much less."
    return "Nothing bounds what the undecided runs add."


def percent(share: Estimate) -> str:
    """A share of the runs."""
    return number.percent(share.value, share.low, share.high)


def _most(share: Estimate) -> str:
    return number.percent(math.ceil(10_000 * share.high) / 10_000)


def _undecided(found: Rehearsal) -> list[Inline]:
    if not found.undecided.value:
        return ["The log decides every tried run. "]
    share = found.worst_relative
    least, most = (math.nan, math.nan) if share is None else (share.low, share.high)
    low, high = (number.percent(end, sign=True) if math.isfinite(end) else "" for end in (least, most))
    if low and high:
        worst = f"at worst {low} to {high} in all"
    elif high:
        worst = f"at most {high} in all; nothing bounds how little they are paid"
    elif low:
        worst = f"at least {low} in all; nothing bounds how much they are paid"
    else:
        worst = "nothing bounds what they add"
    return [page.finding(f"{percent(found.undecided)} of the runs cannot be decided"), f" ({worst}). "]


def _left_out_count(found: Rehearsal) -> int:
    return sum(version.logged_count for version in found.tried.versions if version.reason)


def _left_out(found: Rehearsal) -> Inline:
    """Versions whose runs could not be tried: they are in no number."""
    count = _left_out_count(found)
    if not count:
        return ""
    runs = number.counted(count, "logged ok run")
    return page.inline([page.finding(f"{runs} could not be tried"), " and add to no number. "])


def _contradicted(found: Rehearsal) -> Inline:
    """Runs whose own program pays them otherwise: what they read was taken to be what that program reads."""
    count = found.contradicted_count
    if not count:
        return ""
    runs = "1 tried run was" if count == 1 else f"{count:,} tried runs were"
    return page.inline(
        [page.finding(f"{runs} paid otherwise than their version's program pays"), ": it may be another. "]
    )


def _failed(found: Rehearsal) -> str:
    count = found.tried.failed_count
    runs = number.counted(count, "logged failure")
    return f"{runs} left no input to try and {'adds' if count == 1 else 'add'} to no number. " if count else ""


def _recased(found: Rehearsal) -> Inline:
    count = found.recased_count
    runs = "1 tried run is" if count == 1 else f"{count:,} tried runs are"
    return page.inline([page.finding(f"{runs} paid the same in another case"), ". "]) if count else ""


def _failing(found: Rehearsal) -> Inline:
    if not found.failures:
        return none_fails(found) + " "
    count = sum(failure.logged_count for failure in found.failures)
    codes = ", ".join(failure.code for failure in found.failures[:3])
    least = "at least " if found.undecided.value else ""
    return page.inline([page.worse(f"{least}{number.counted(count, 'tried run')} would fail"), f" ({codes}). "])


def none_fails(found: Rehearsal) -> str:
    """That no run fails, of as many as the log tells it."""
    if not len(found.tried.rows) or found.undecided.value >= 1:
        return "The log does not tell whether a run fails."
    return "No run that the log decides fails." if found.undecided.value else "No tried run fails."


def none_changed(found: Rehearsal) -> str:
    """That no run is paid otherwise, of as many as the log tells it."""
    if not len(found.tried.rows) or found.undecided.value >= 1:
        return "The log does not tell which runs are paid otherwise."
    which = "runs that the log decides" if found.undecided.value else "tried runs"
    return f"None of the {which} is paid otherwise."


def _visits(found: Rehearsal) -> Inline:
    if found.most_visits is None:
        return ""
    is_known = found.tried.rows["visits"].notna().all()
    text = f"It visits at most {found.most_visits:,} of {MAX_NODES:,} nodes for a tried run"
    text += ". " if is_known else " that the log tells to its end. "
    return page.finding(text) if found.most_visits > _CLOSE_TO_CAP * MAX_NODES else text


def _paid_by(found: Rehearsal) -> str:
    """The verdict is beside what was paid, and not beside the version that runs now."""
    labels = [version.label for version in found.tried.versions if version.tried_count]
    return f"What was paid is by {', '.join(labels[:-1])} and {labels[-1]}." if len(labels) > 1 else ""


def todo(found: Rehearsal, *, is_refused: bool = False) -> list[page.Todo]:
    """What to do with the draft, the most urgent first."""
    steps = []
    if is_refused:
        steps.append(page.Todo("Do not publish it as it is.", "The conditions that refuse it are on top of the page."))
    if not len(found.tried.rows):
        return [
            *steps,
            page.Todo("Rehearse it on another window.", "It was tried on no run, so nothing is known of it."),
        ]
    if found.failures:
        codes = ", ".join(failure.code for failure in found.failures[:3])
        steps.append(
            page.Todo(f"Change the draft: it fails on recorded inputs ({codes}).", "The runs are named above.")
        )
    if found.most_visits is not None and found.most_visits > _CLOSE_TO_CAP * MAX_NODES:
        steps.append(page.Todo("Make it visit fewer nodes.", f"A run is stopped at {MAX_NODES:,}."))
    if any(unknown.reason.startswith("field ") for unknown in found.unknown):
        steps.append(
            page.Todo(
                "Publish a version that reads the missing fields without paying for them, and rehearse again in a few days.",
                "What a run reads is recorded; what it does not read is not.",
            )
        )
    elif found.undecided.value:
        steps.append(
            page.Todo(
                "Give it an experiment's tag, and compare after a few days.",
                "The log does not hold what the undecided runs would have read or been answered.",
            )
        )
    if not steps:
        steps.append(
            page.Todo(
                "Publish it, or give it an experiment's tag first.",
                "A post-mortem of the days after tells what really came of it.",
            )
        )
    return steps
