"""Sentences of a rehearsal: none says more than what was tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from analytics.estimates.comparisons import Relative
from analytics.estimates.estimate import Estimate
from analytics.findings.rehearsal.same_program import same_as_running
from analytics.program import MAX_NODES
from analytics.reports import missing_days, page
from analytics.reports.page import number

if TYPE_CHECKING:
    from analytics.findings.rehearsal.parts import Unknown
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.reports.page.inline import Inline
    from analytics.reports.rehearsal.visible_facts import VisibleFacts

CALLED = "The draft"
BEHAVIOUR = (
    "The events are those that came: what users would have done under another program is in none of these numbers."
)
CLOSE_TO_CAP = 0.9
_REASON_LETTERS = 200


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


def decide(shown: VisibleFacts) -> Verdict:
    """The verdict of a rehearsal."""
    found = shown.found
    if not len(found.tried.rows):
        return Verdict([page.strong("Cannot tell"), f": {nothing_tried(found)}."], [BEHAVIOUR], "finding")
    sentence = _verdict(found)
    failing = sum(failure.logged_count for failure in found.failures)
    doubts = (
        found.undecided.value, found.may_fail.value, found.recased_count, found.contradicted_count, _left_out_count(found),
    )  # fmt: skip
    is_open = bool(found.changed.value or any(doubts))
    role: Literal["fixed", "finding", "worse"] = "worse" if failing else "finding" if is_open else "fixed"
    status = [
        *_held_against(found), *_undecided(found), _failing(shown), _visits(found), _tried(found), _contradicted(shown),
        _left_out(found), _failed(shown), _unpaid(found), _recased(shown), _paid_by(found),
    ]  # fmt: skip
    return Verdict(sentence, status, role)


def base(found: Rehearsal) -> str:
    """What the draft is held against, as a heading."""
    return "Was paid" if found.beside is None else f"{found.beside[0]} pays"


def base_pay(found: Rehearsal) -> str:
    """The same within a sentence."""
    return "what was paid" if found.beside is None else f"what {found.beside[0]} pays"


def base_case(found: Rehearsal) -> str:
    """The case of what the draft is held against, within a sentence."""
    return "the case that was paid" if found.beside is None else f"the case that {found.beside[0]} pays"


def _held_against(found: Rehearsal) -> list[Inline]:
    """That it is no other program than the one that runs, or is held against another version than those that paid."""
    said: list[Inline] = []
    label = same_as_running(found)
    is_said = found.is_same and (found.beside is None or found.beside[0] == label)  # by the verdict
    if label and not is_said:
        said.append(page.inline([page.finding(f"It says the same as {label}, which ran last"), ". "]))
    if found.beside is not None:
        said.append(
            f"Held against what {found.beside[0]} pays for the same runs, and not against what they were paid. "
        )
    return said


def nothing_tried(found: Rehearsal) -> str:
    """Why no run was tried, in a clause."""
    if found.logged.empty and found.coverage.missing:
        return f"no run of this strategy is logged in what the lake holds of the window ({missing_days.counted(found.coverage)})"
    if found.logged.empty:
        return "no run of this strategy is logged in this window, so there is nothing to try the draft on"
    reasons = [f"{version.label}: {version.reason}" for version in found.tried.versions if version.reason]
    if reasons:
        return f"no logged run could be tried ({'; '.join(reasons)})"
    return "none of the logged runs was paid, and failed runs leave no input"


def _same_as_paid(found: Rehearsal) -> str:
    """What paid the tried runs, by its name where one version did; the one that runs now is said with it, and no second time."""
    label = same_as_running(found)
    paid_by = {version.label for version in found.tried.versions if version.tried_count}
    if label and paid_by == {label}:
        return f"{label}, which paid them"
    return f"what paid them, and so does {label}, which ran last" if label else "what paid them"


def _verdict(found: Rehearsal) -> list[Inline]:
    if found.is_same:
        what = _same_as_paid(found) if found.beside is None else found.beside[0]
        return [
            f"For the same events, {number.counted(len(found.tried.rows), 'logged run')} tried, ",
            page.fixed("no run is paid otherwise"), f": it says the same as {what}.",
        ]  # fmt: skip
    if found.undecided.value >= 1:
        return [page.strong("Cannot tell"), ": for none of the tried runs does the log hold what the draft reads."]
    tried = f"For the same events, {number.counted(len(found.tried.rows), 'logged run')} tried, "
    if not found.changed.value and found.undecided.value:
        none = page.strong("none that the log decides is paid otherwise")
        return [tried, none, f"; of all such runs up to {_most(found.changed)} may be."]
    if not found.changed.value:
        which = "runs of the versions that were tried" if _left_out_count(found) else "runs"
        return [tried, page.fixed("no run is paid otherwise"), f"; of all {which} up to {_most(found.changed)} may be."]
    runs: list[Inline] = [_runs(found), " this draft pays "]
    share = found.relative
    if share is None or not math.isfinite(share.low):
        more = number.number(found.difference.value, found.difference.low, found.difference.high, sign=True)
        ends = bracket(found.difference)
        bounds_of = [" ", ends] if ends else [", and nothing tells how far that is off"]
        return [*runs, page.finding(f"{more} points"), " for the same events", *bounds_of, "."]
    if share.low <= 0 <= share.high:
        return [
            *runs, page.strong("about as much in all"), " ", _percent_bounds(share), " for the same events, and ",
            page.finding(f"{percent(found.changed)} of the runs otherwise"), ".",
        ]  # fmt: skip
    word = "more" if share.value > 0 else "less"
    size = number.percent(abs(share.value), *sorted((abs(share.low), abs(share.high))))
    said = [page.finding(f"{size} {word}"), " ", _percent_bounds(share), " for the same events: "]
    return [*runs, *said, *_a_day(found), "."]


def _runs(found: Rehearsal) -> str:
    """Which runs the verdict is about, logged or not."""
    runs = found.tried_runs
    said = f"{number.number(runs.value, runs.low, runs.high)} runs of {_window(found)}"
    if found.undecided.value:
        decided = 1 - found.undecided.value
        return f"On the {number.percent(decided)} that the log decides of the {said}"
    return f"On the {said}"


def _window(found: Rehearsal) -> str:
    days = (found.until - found.since) / timedelta(days=1)
    return f"these {round(days)} days" if days >= 2 and days == round(days) else "this window"


def _a_day(found: Rehearsal) -> list[Inline]:
    """Points beyond what was paid."""
    days = (found.until - found.since) / timedelta(days=1)
    points = found.difference.times(1 / days) if days >= 1 else found.difference
    more = number.number(points.value, points.low, points.high, sign=True)
    return [page.strong(f"{more} points{' a day' if days >= 1 else ''}"), " ", bracket(points)]


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


def left_open(found: Rehearsal) -> str:
    """What comes of all that the log does not tell."""
    return bounds(*found.bounds) if found.undecided.value else decides_all(found)


def percent(share: Estimate) -> str:
    """A share of the runs."""
    return number.percent(share.value, share.low, share.high)


def _most(share: Estimate) -> str:
    return number.percent(math.ceil(10_000 * share.high) / 10_000)


def _undecided(found: Rehearsal) -> list[Inline]:
    if not found.undecided.value:
        return [decides_all(found), " "]
    share = found.worst_relative
    least, most = (math.nan, math.nan) if share is None else (share.low, share.high)
    low, high = (number.percent(end, sign=True) if math.isfinite(end) else "" for end in (least, most))
    if low and high:
        worst = f"at worst {low} to {high} in all"
    elif high:
        worst = f"at most {high} in all; nothing bounds how little they are paid"
    elif low:
        worst = f"at least {low} in all; nothing bounds how much they are paid"
    elif share is None:  # what was paid may be nothing, so there is no share of it
        worst = (
            bounds(*found.bounds).removesuffix(".").replace("The undecided runs", "they").replace("Nothing", "nothing")
        )
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


def _contradicted(shown: VisibleFacts) -> Inline:
    """Runs whose own program pays them otherwise: what they read was taken to be what that program reads."""
    if not shown.found.contradicted_count:
        return ""
    count = shown.count(shown.found.tried.rows["is_contradicted"].to_numpy(bool))
    were = "was" if count == "1" else "were"
    said = f"{runs(count, 'tried run')} {were} paid otherwise than their version's program pays"
    return page.inline([page.finding(said), ": it may be another. "])


def _tried(found: Rehearsal) -> str:
    """What all that is said rests on."""
    tried = len(found.tried.rows)
    share = number.percent(found.tried.share)
    part = f", {share} of those that are logged: the intervals are wider than of all" if found.is_part else ""
    return f"{number.counted(tried, 'logged run')} {'was' if tried == 1 else 'were'} tried{part}. "


def _failed(shown: VisibleFacts) -> str:
    if not shown.found.tried.failed_count:
        return ""
    is_one = shown.failed == "1"
    return (
        f"{runs(shown.failed, 'logged failure')} left no input to try and {'adds' if is_one else 'add'} to no number. "
    )


def _unpaid(found: Rehearsal) -> Inline:
    """Ok runs whose points cannot be added up; nobody is told by how many there are."""
    count = found.tried.unpaid_count
    are = "has" if count == 1 else "have"
    said = f"{number.counted(count, 'logged ok run')} {are} no finite points"
    return page.inline([page.finding(said), f" and {'adds' if count == 1 else 'add'} to no number. "]) if count else ""


def _recased(shown: VisibleFacts) -> Inline:
    if not shown.found.recased_count:
        return ""
    count = shown.count(shown.found.recased)
    are = "is" if count == "1" else "are"
    return page.inline([page.finding(f"{runs(count, 'tried run')} {are} paid the same in another case"), ". "])


def _failing(shown: VisibleFacts) -> Inline:
    found = shown.found
    if not found.failures:
        return none_fails(found) + " "
    least = "at least " if found.may_fail.value else ""
    said = page.worse(f"{least}{runs(shown.failing, 'tried run')} would fail")
    return page.inline([said, f" ({named})" if (named := codes(shown)) else "", ". "])


def runs(count: str, noun: str) -> str:
    """So many runs, where the count may be a word."""
    return f"{count} {noun}{'' if count == '1' else 's'}"


def codes(shown: VisibleFacts) -> str:
    """The most frequent codes that it fails with; empty where none may be named."""
    return ", ".join(failure.code for failure in shown.failures[:3])


def none_fails(found: Rehearsal) -> str:
    """That no run fails, of as many as the log tells it: also one that is paid the same whatever it does not tell may fail."""
    if not len(found.tried.rows) or found.may_fail.value >= 1:
        return "The log does not tell whether a run fails."
    return "No run that the log decides fails." if found.may_fail.value else "No tried run fails."


def decides_all(found: Rehearsal) -> str:
    """That no run is undecided, and what the log does not tell of them all the same."""
    if found.may_fail.value >= 1:
        return "The log decides what every tried run is paid, failing or not."
    if found.may_fail.value:
        share = percent(found.may_fail)
        return f"The log decides what every tried run is paid; of {share} of them it does not tell whether they fail."
    if found.unknown:
        return "The log decides what every tried run is paid, and not each one's way there."
    return "The log decides every tried run."


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
    return page.finding(text) if found.most_visits > CLOSE_TO_CAP * MAX_NODES else text


def _paid_by(found: Rehearsal) -> str:
    """The verdict is beside what was paid, and not beside the version that runs now."""
    labels = [version.label for version in found.tried.versions if version.tried_count and found.beside is None]
    return f"What was paid is by {', '.join(labels[:-1])} and {labels[-1]}." if len(labels) > 1 else ""


def reason(unknown: Unknown) -> page.Markup:
    """What undecided runs lack."""
    if unknown.path is not None:
        return page.inline([page.author(unknown.path), ", which these runs did not read"])
    return page.author(unknown.reason, _REASON_LETTERS)
