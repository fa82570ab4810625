"""Sentences of the post-mortem that say what moved, by how much and since when: for the verdict and the advice."""

from __future__ import annotations

import math
from typing import Any

from analytics import page
from analytics.differences import Difference
from analytics.findings.incident import Incident
from analytics.page import number
from analytics.stories import failing, version_story
from analytics.stories.phrases import Verdict, interval, percent


def data(found: Incident, change: Difference, name: Any) -> Verdict:
    """Points per run moved, and no version did it."""
    assert found.since is not None  # noqa: S101  # decided by the caller, for the type checker
    when = (
        f" between {number.when(found.since, long=True)} and {number.when(found.until, long=True)}"
        if found.until
        else f" since {number.when(found.since, long=True)}"
    )
    innocent = version_story.paid_the_same(found.innocent)
    if found.slope is not None:
        share, days = found.slope.per_day, found.slope.days
        drift = "more" if share.value > 0 else "fewer"
        sentence: list[Any] = [
            name,
            " pays ",
            page.finding(
                f"{number.percent(abs(share.value), *sorted((abs(share.low), abs(share.high))))} {drift} points"
            ),
            " a day ",
            page.ci(100 * share.low, 100 * share.high, value=100 * share.value, unit="%", sign=True),
            f", day after day over {days:.0f} days"
            + (": a drift, not a moment. " if found.slope.is_sure else "; or in one step: the log does not tell. ")
            + "No version explains it. ",
        ]
        return _told(found, [*sentence, innocent + " " * bool(innocent), _where(found)])
    # Where a version pays otherwise, too, what was paid in all did not move by that.
    lead: list[Any] = (
        ["By one and the same program, the runs of ", name, " were worth " if found.until else " are worth "]
        if _hides_a_version(found)
        else [name, " paid " if found.until else " pays "]
    )
    sentence = [
        *lead,
        page.finding(f"{percent(change)} points per run"),
        " ",
        interval(change),
        f"{when}{_beside_versions(found)} {innocent + ' ' if innocent else ''}{began(found)} ",
    ]
    return _told(found, [*sentence, _where(found)])


def _hides_a_version(found: Incident) -> bool:
    """What moved are the points that one program pays, and another version pays other points."""
    others = (other.trial for other in found.also if other.kind == "version")
    return found.is_one_program and any(trial is not None and trial.verdict == "differs" for trial in others)


def _beside_versions(found: Incident) -> str:
    """Why no version explains it."""
    if found.is_one_program:
        return ". All runs are counted as one and the same program pays them, so no version explains it."
    return "." if found.innocent else f", {versions_then(found)}."


def _where(found: Incident) -> str:
    """Where to look for what no version explains."""
    if found.cause == "built-in":
        return (
            "What the wrapped built-in answers moved, and no other field that the program reads: the built-in was changed, "
            "or what it alone reads."
        )
    if found.wraps_built_in:
        return (
            "Look at who plays, at the data clients send, and at the wrapped built-in, which is no part of the program."
        )
    return "Look at who plays and at the data clients send."


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
        f", since {number.when(found.since, long=True)}, {versions_then(found)}. "
        "The time limit wraps only the walk, so look at the fields it reads, not at the rules alone.",
    ]
    return _told(found, sentence)


def also(found: Incident) -> list[Any]:
    """The further findings, one short sentence each."""
    said: list[Any] = []
    for other in found.also:
        if other.kind == "failures" and other.after is not None:
            said += failing.also(other)
            continue
        since = (
            f" since {number.when(other.since)}" if other.until is None else f" {number.span(other.since, other.until)}"
        )
        if other.kind == "duration":
            _, change = _slow_part(other)
            what = "median" if change is other.median else "95th percentile"
            grew = number.percent(change.relative, change.relative_low, change.relative_high)
            said += [f" Also: the {what} duration of ok runs went up by {grew}{since}."]
        elif other.kind == "version" and other.after is not None:
            said += version_story.also(other)
        elif other.kind == "data" and other.slope is not None:
            share, days = other.slope.per_day, other.slope.days
            much = number.percent(share.value, share.low, share.high, sign=True)
            said += [f" Also: points per run drift by {much} a day over {days:.0f} days; no version explains it."]
        elif other.kind == "data" and other.points is not None:
            beside = "no version explains it" if other.innocent or other.is_one_program else versions_then(other)
            program = " under one and the same program" if other.is_one_program else ""
            moved = f" Also: {percent(other.points)} points per run "
            said += [moved, interval(other.points), f"{program}{since}, {beside}."]
    return said


def began(found: Incident) -> str:
    """The plausible range of the beginning."""
    if found.since_low is None or found.since_high is None:
        return ""
    return f"It began between {number.when(found.since_low)} and {number.when(found.since_high)}."


def _slow_part(found: Incident) -> tuple[str, Difference]:
    """The median where it grew, else the tail."""
    assert found.median is not None and found.tail is not None  # noqa: S101  # of this kind, both are there
    is_known = found.median.is_significant and math.isfinite(found.median.relative)
    if is_known and not (found.tail.is_significant and found.tail.relative > 4 * found.median.relative):
        return "half of the ok runs take at least", found.median
    return "the slowest twentieth of ok runs takes at least", found.tail


def versions_then(found: Incident) -> str:
    """Which version came at that time, if one did."""
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
