"""The one sentence that opens each section of the runaway report, and the few lines that go to a chat."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import stop_count
from analytics.findings.runaway.finding import (
    CloseToCap,
    DailyGrowth,
    Finding,
    Fixed,
    LargeProgram,
    LimitHits,
    SandboxCanary,
    SlowVersion,
    StalledLoop,
    Timeouts,
    UnknownCode,
    VersionGrowth,
    Waiting,
)
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.ranking import Group, RankingRow
from analytics.findings.runaway.runaway import Burst, Stop
from analytics.findings.runaway.trend import TrendState
from analytics.reports import common
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline
from analytics.reports.runaway.finding_sentences import named, runs
from analytics.reports.runaway.wording import kind_word

LETTERS = 30
"""Of a name: the line is read on a phone."""
MOST = 3
"""Findings of a kind that are named."""
_DIGEST_KINDS = (("new", "new"), ("worse", "worse"), ("known", "known"), ("finding", "to know"), ("fixed", "fixed"))


def digest(
    found: Sequence[Finding],
    since: datetime,
    until: datetime,
    *,
    versions: int,
    missing_days: int = 0,
    lost_days: int = 0,
    is_compared: bool = False,
) -> str:
    """One line of plain text: what is new, worse, known and fixed, named.

    Args:
        found: The findings.
        since, until: The window, UTC.
        versions: How many versions ran; 0 where nothing is logged.
        missing_days: Days of the window that were not extracted.
        lost_days: Days of the window with partitions whose files are lost.
        is_compared: There is a last report, so what is not new is known.
    """
    parts = []
    for kind, word in _DIGEST_KINDS:
        alike = [finding for finding in found if kind_word(finding, is_compared=is_compared) == kind]
        if alike:
            more = f"; {len(alike) - MOST} more" if len(alike) > MOST else ""
            parts.append(f"{len(alike)} {word} ({'; '.join(_short(one) for one in alike[:MOST])}{more})")
    if not parts:
        held = " in what is held" if missing_days or lost_days else ""
        parts.append(f"nothing new{held}, {write.counted(versions, 'version')} ran" if versions else "nothing logged")
    if lost_days:
        parts.insert(0, f"{lost_days} {'day' if lost_days == 1 else 'days'} with lost files")
    if missing_days:
        parts.insert(0, f"{missing_days} {'day' if missing_days == 1 else 'days'} not extracted")
    return f"runaway {_window(since, until)}: {', '.join(parts)}"


def _window(since: datetime, until: datetime) -> str:
    last = until - timedelta(microseconds=1)
    if since.time() == until.time() == datetime.min.time():
        return f"{since:%Y-%m-%d}" if last.date() == since.date() else f"{since:%Y-%m-%d} – {last:%Y-%m-%d}"
    return f"{since:%Y-%m-%d %H:%M} – {until:%Y-%m-%d %H:%M}"


def _short(finding: Finding) -> str:
    times = f" ×{write.count(finding.count)}" if finding.count else ""
    match finding:
        case StalledLoop():
            return f"likely a stalled event loop ×{finding.count}"
        case Fixed() | Waiting():
            return _version(finding.key)
        case LimitHits():
            return f"{_version(finding.key)} hit cap{times}"
        case SandboxCanary():
            return f"canary{times} {_name(realm_name(finding.key.realm))}"
        case UnknownCode():
            return f"unknown code{times} {_name(realm_name(finding.key.realm))}"
        case DailyGrowth():
            days = finding.days_to_cap
            if not math.isfinite(days.value):
                return f"{_version(finding.key)} growing"
            ends = write.bounds(days.value, days.low, days.high)
            return f"{_version(finding.key)}, cap in {write.number(days.value, days.low, days.high)} d{' ' + ends if ends else ''}"
        case LargeProgram():
            return f"{_version(finding.key)} {'program near its limit' if finding.is_close else 'program grows'}"
        case VersionGrowth():
            return f"{_version(finding.key)} grows by versions"
        case CloseToCap():
            return f"{_version(finding.key)} close to cap"
        case SlowVersion():
            return f"{_version(finding.key)} slow"
        case Timeouts():
            return f"{_version(finding.key)} timeouts{times}"
        case _:
            assert_never(finding)


def _version(key: Key) -> str:
    return f"{_name(key.strategy)} v{key.version}"


def _name(text: str) -> str:
    """An author's text that a chat shows as it is."""
    return common.name(text, LETTERS)


_KINDS = {"limit": "stopped by the cap", "canary": "sandbox canaries", "unknown": "with an unknown code"}


def ranking_words(ranking: Sequence[RankingRow]) -> Inline:
    """Who is near a limit, and who costs most."""
    groups = Counter(row.group for row in ranking)
    hit, heading = groups[Group.HIT], groups[Group.HEADING]
    families = len({row.key.family for row in ranking})
    noun = "strategy" if len(ranking) == 1 else "strategies" if families == len(ranking) else "versions"
    all_of_them = f"of {len(ranking)} {noun}"
    verb = f"{'is' if heading == 1 else 'are'} heading for"
    if hit:
        first = f"{hit} {all_of_them} hit the cap" + (f"; {heading} {verb} it" if heading else "")
    else:
        first = (
            f"{heading} {all_of_them} {verb} the cap"
            if heading
            else f"None {all_of_them} hit the cap or is seen heading for it"
        )
    close = groups[Group.CLOSE]
    first += f"; {close} {'is' if close == 1 else 'are'} close to it" if close else ""
    full = groups[Group.PROGRAM_CLOSE]
    first += (
        f"; {full} {'has a program' if full == 1 else 'have programs'} close to what the validator takes"
        if full
        else ""
    )
    return [first, ". ", *time_words(ranking)]


def time_words(ranking: Sequence[RankingRow]) -> list[Inline]:
    """Who takes most time, as far as the sample tells: whoever's interval reaches into that of the largest share may."""
    most, *others = sorted(ranking, key=lambda row: -row.est_time_share)
    if not most.est_time_share > 0:
        return ["No run has a duration that tells who takes the time."]
    rivals = [row for row in others if not row.costs.time_share.high < most.costs.time_share.low]
    name, share = named(most.key), _share_words(most.costs.time_share)
    if not rivals:
        return ["The largest share of time goes to ", name, f": {share} of it."]
    if len(rivals) == 1:
        other = rivals[0]
        return [
            "The largest share of time goes to ",
            name,
            " or ",
            named(other.key),
            f": {share} and {_share_words(other.costs.time_share)} of it.",
        ]
    return [
        "Who takes most time cannot be told: it may be ", name, f", with {share} of it, or any of {len(rivals)} others."
    ]  # fmt: skip


def _share_words(share: Estimate) -> str:
    bounds = write.bounds(share.value * 100, share.low * 100, share.high * 100)
    return (
        f"{write.percent(share.value, share.low, share.high)} {bounds}"
        if share.low < share.high
        else write.percent(share.value)
    )


def when_how(*, is_thinned: bool, is_shared: bool) -> list[str]:
    """How to read when runs were stopped."""
    how = "Each mark is one logged run that did not finish: all failures are kept, so marks count runs."
    if is_shared:
        how = "All failures are kept, so these are counts of runs. Single ones are left out."
    elif is_thinned:
        how = (
            "All failures are kept, so these are counts of runs. They are too many to mark each: where marks would lie on "
            "each other, few are drawn."
        )
    return [how, "A pause of 30 minutes ends a burst, one of ten minutes a stall."]


def when_words(stops: Sequence[Stop], bursts: Sequence[Burst], one_day: bool) -> Inline:
    """Bursts by kind; scattered timeouts for what they are."""
    clauses = []
    for kind, words in _KINDS.items():
        of_kind = [burst for burst in bursts if burst.kind == kind]
        if of_kind:
            count = sum(burst.count for burst in of_kind)
            one = words.rstrip("s") if kind == "canary" and count == 1 else words
            noun = f"{count} {one}" if kind == "canary" else f"{runs(count)} {one}"
            several = f" in {len(of_kind)} bursts" if len(of_kind) > 1 else ""
            last = max(
                burst.until for burst in of_kind
            )  # of several versions the last to begin need not be the last to end
            clauses.append(f"{noun}{several}, {_span(of_kind[0].since, last, one_day)}")
    stalls = [burst for burst in bursts if burst.kind == "stall"]
    if stalls:
        count = sum(burst.count for burst in stalls)
        loops = "a stalled event loop" if len(stalls) == 1 else f"an event loop that stalled {len(stalls)} times"
        times = _span(stalls[0].since, max(burst.until for burst in stalls), one_day)
        of = f" of {stalls[0].strategies} strategies together" if len(stalls) == 1 else ""
        clauses.append(f"{count} timeouts{of}, likely of {loops}, {times}")
    single = [stop for stop in stops if stop.kind == "timeout" and not stop.stalled]
    if single:
        count = stop_count(single)
        families = len({stop.key.family for stop in single})
        where = f"spread over {families} strategies" if families > 1 else "of one strategy"
        clauses.append(f"{count} {'timeout' if count == 1 else 'timeouts'} {where}")
    text = "; ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}."


def _span(first: datetime, last: datetime, one_day: bool) -> str:
    """From when to when; the day is left out where the window is one."""
    if one_day:
        return (
            write.clock(first)
            if write.clock(first) == write.clock(last)
            else f"{write.clock(first)} – {write.clock(last)}"
        )
    return write.when(first) if first == last else write.span(first, last)


def close_words(ranking: Sequence[RankingRow], node_cap: float) -> Inline:
    """Who comes closest among the runs that passed."""
    largest = [(float(row.nodes_max), row.key) for row in ranking if row.nodes_max is not None and row.counts.ok]
    if not largest:
        return None
    nodes, key = max(largest, key=lambda pair: pair[0])
    stopped = sum(row.counts.limit for row in ranking)
    if nodes > node_cap:
        return [
            "Of the logged runs that passed, ", named(key), f" has the largest, with {write.count(nodes)} nodes: more "
            f"than the cap of {write.count(node_cap)} that the report was given, so that is not the engine's.",
        ]  # fmt: skip
    parts: list[Inline] = [
        "Of the logged runs that passed, ", named(key),
        f" came closest, with {write.count(nodes)} of {write.count(node_cap)} nodes",
    ]  # fmt: skip
    return [
        *parts,
        f"; {runs(stopped)} {'was' if stopped == 1 else 'were'} stopped by a cap."
        if stopped
        else "; none was stopped by a cap.",
    ]


def status_words(found: Sequence[Finding], ranking: Sequence[RankingRow]) -> str | None:
    """How things stand at the end of the window: whether those that were stopped ran on unharmed."""
    hits = [(finding, finding.until) for finding in found if isinstance(finding, LimitHits) and finding.until]
    seen = {row.key: row.last_logged_at for row in ranking}
    if not hits or any((last := seen.get(finding.key)) is None or last <= until for finding, until in hits):
        return None
    words = f"No run was stopped by a cap after {write.when(max(until for _, until in hits))}, though runs were logged since"
    ends = [finding.past.ends.ended_before if finding.past.ends else None for finding, _ in hits]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return f"{words}: too few to say that it is over."
    return f"{words}: at the rate before, it was over by {write.when(max(known))}."


_IS = ("are", "is")


def growing_words(ranking: Sequence[RankingRow], found: Sequence[Finding], horizon_days: float) -> Inline:
    """Who grows towards the cap, who grows without danger, and for whom nobody can tell."""
    findings = [finding for finding in found if isinstance(finding, DailyGrowth)]
    growing = [row for row in ranking if row.trend.state is TrendState.GROWING]
    parts: list[Inline] = []
    for finding in findings[:3]:
        slope = finding.slope
        each = f"{write.number(slope.value, slope.low, slope.high)} nodes more each day"
        first = "Only " if len(findings) == len(growing) == 1 else ""
        parts += [", " if parts else first, named(finding.key), f": {each}"]
    more = f", and {len(findings) - 3} more" if len(findings) > 3 else ""
    parts.append(f"{more}." if findings else "Day by day no strategy is seen heading for the cap.")
    return [*parts, *_other_trends(ranking, growing, horizon_days)]


def _other_trends(ranking: Sequence[RankingRow], growing: Sequence[RankingRow], horizon_days: float) -> list[Inline]:
    """Of whom growth is no finding: how many, and why."""
    stopped = sum(row.group is Group.HIT for row in growing)
    slowly = sum(row.group not in (Group.HIT, Group.HEADING) for row in growing)
    states = Counter(row.trend.state for row in ranking)
    bounded = sum(row.trend.state is TrendState.BOUNDED and row.group is not Group.HIT for row in ranking)
    jumped, levelled = states[TrendState.STEP], states[TrendState.LEVELLED_OFF]
    unsure, unknown = states[TrendState.CANNOT_TELL], states[TrendState.TOO_FEW_DAYS]
    parts: list[Inline] = []
    if slowly:
        when = f"not likely to meet the cap within {horizon_days:g} days"
        parts.append(f" {slowly} {'grows' if slowly == 1 else 'grow'}, {when}.")
    if stopped:
        parts.append(
            f" {stopped} {'grows' if stopped == 1 else 'grow'} and {_IS[stopped == 1]} stopped by the cap already."
        )
    if jumped:
        parts.append(f" {jumped} jumped on one day and did not grow since.")
    if levelled:
        parts.append(f" {levelled} grew and {'has' if levelled == 1 else 'have'} levelled off.")
    if bounded:
        parts.append(f" {bounded} cannot reach it: no run can be longer than its program.")
    if unsure:
        parts.append(f" For {unsure} the days differ too much to tell.")
    if unknown:
        parts.append(f" {unknown} of {len(ranking)} {'has' if unknown == 1 else 'have'} too few days to tell.")
    return parts
