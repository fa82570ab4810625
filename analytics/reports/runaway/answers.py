"""The one sentence that opens each section of the runaway report, and the few lines that go to a chat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import stop_count
from analytics.findings.runaway.previous_report import OVER
from analytics.findings.runaway.runaway import GROUPS, Burst, Finding, Key, Stop, key_of
from analytics.reports import common
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline
from analytics.reports.runaway.finding_sentences import named, runs
from analytics.reports.runaway.wording import kind_word
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

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
        own = [finding for finding in found if kind_word(finding, is_compared=is_compared) == kind]
        if own:
            more = f"; {len(own) - MOST} more" if len(own) > MOST else ""
            parts.append(f"{len(own)} {word} ({'; '.join(_short(one) for one in own[:MOST])}{more})")
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
    key = finding.key
    if key is None:
        return f"likely a stalled event loop ×{finding.count}"
    name = f"{_name(key.strategy)} v{key.version}"
    if finding.kind == "fixed":
        return name
    times = f" ×{write.count(finding.count)}" if finding.count else ""
    if finding.what == "limit":
        return f"{name} hit cap{times}"
    if finding.what == "canary":
        return f"canary{times} {_name(realm_name(key.realm))}"
    if finding.what == "unknown":
        return f"unknown code{times} {_name(realm_name(key.realm))}"
    if finding.what == "growing" and isinstance(finding.number, Estimate) and math.isfinite(finding.number.value):
        days = finding.number
        ends = write.bounds(days.value, days.low, days.high)
        return f"{name}, cap in {write.number(days.value, days.low, days.high)} d{' ' + ends if ends else ''}"
    words = {
        "close": "close to cap",
        "program": "program near its limit" if finding.facts.get("is_close", True) else "program grows",
        "slow": "slow",
        "timeout": f"timeouts{times}",
        "growing": "growing",
        "versions": "grows by versions",
    }
    return f"{name} {words.get(finding.what, finding.what)}"


def _name(text: str) -> str:
    """An author's text that a chat shows as it is."""
    return common.name(text, LETTERS)


_KINDS = {"limit": "stopped by the cap", "canary": "sandbox canaries", "unknown": "with an unknown code"}


def league_words(rows: Sequence[Mapping[str, Any]]) -> Inline:
    """Who is near a limit, and who costs most."""
    hit = sum(row["group"] == GROUPS[0] for row in rows)
    heading = sum(row["group"] == GROUPS[1] for row in rows)
    families = len({key_of(row["realm_id"], row["strategy"], 0) for row in rows})
    noun = "strategy" if len(rows) == 1 else "strategies" if families == len(rows) else "versions"
    all_of_them = f"of {len(rows)} {noun}"
    verb = f"{'is' if heading == 1 else 'are'} heading for"
    if hit:
        first = f"{hit} {all_of_them} hit the cap" + (f"; {heading} {verb} it" if heading else "")
    else:
        first = (
            f"{heading} {all_of_them} {verb} the cap"
            if heading
            else f"None {all_of_them} hit the cap or is seen heading for it"
        )
    close = sum(row["group"] == GROUPS[2] for row in rows)
    first += f"; {close} {'is' if close == 1 else 'are'} close to it" if close else ""
    full = sum(row["group"] == GROUPS[3] for row in rows)
    first += (
        f"; {full} {'has a program' if full == 1 else 'have programs'} close to what the validator takes"
        if full
        else ""
    )
    return [first, ". ", *time_words(rows)]


def time_words(rows: Sequence[Mapping[str, Any]]) -> list[Inline]:
    """Who takes most time, as far as the sample tells: whoever's interval reaches into that of the largest share may."""
    ranked = sorted(rows, key=lambda row: -float(row["est_time_share"]))
    most = ranked[0]
    if not float(most["est_time_share"]) > 0:
        return ["No run has a duration that tells who takes the time."]
    rivals = [row for row in ranked[1:] if not row["time_share"].high < most["time_share"].low]
    name, share = named(_key(most)), _share_words(most["time_share"])
    if not rivals:
        return ["The largest share of time goes to ", name, f": {share} of it."]
    if len(rivals) == 1:
        other = rivals[0]
        return [
            "The largest share of time goes to ",
            name,
            " or ",
            named(_key(other)),
            f": {share} and {_share_words(other['time_share'])} of it.",
        ]
    return [
        "Who takes most time cannot be told: it may be ", name, f", with {share} of it, or any of {len(rivals)} others."
    ]  # fmt: skip


def _key(row: Mapping[str, Any]) -> Key:
    return key_of(row["realm_id"], row["strategy"], row["strategy_version"])


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
    told = []
    for kind, words in _KINDS.items():
        own = [burst for burst in bursts if burst.kind == kind]
        if own:
            count = sum(burst.count for burst in own)
            one = words.rstrip("s") if kind == "canary" and count == 1 else words
            noun = f"{count} {one}" if kind == "canary" else f"{runs(count)} {one}"
            several = f" in {len(own)} bursts" if len(own) > 1 else ""
            last = max(
                burst.until for burst in own
            )  # of several versions the last to begin need not be the last to end
            told.append(f"{noun}{several}, {_span(own[0].since, last, one_day)}")
    stalls = [burst for burst in bursts if burst.kind == "stall"]
    if stalls:
        count = sum(burst.count for burst in stalls)
        loops = "a stalled event loop" if len(stalls) == 1 else f"an event loop that stalled {len(stalls)} times"
        times = _span(stalls[0].since, max(burst.until for burst in stalls), one_day)
        of = f" of {stalls[0].strategies} strategies together" if len(stalls) == 1 else ""
        told.append(f"{count} timeouts{of}, likely of {loops}, {times}")
    single = [stop for stop in stops if stop.kind == "timeout" and not stop.stalled]
    if single:
        count = stop_count(single)
        families = len({stop.key.family for stop in single})
        where = f"spread over {families} strategies" if families > 1 else "of one strategy"
        told.append(f"{count} {'timeout' if count == 1 else 'timeouts'} {where}")
    text = "; ".join(told)
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


def close_words(table: pd.DataFrame, node_cap: float) -> Inline:
    """Who comes closest among the runs that passed."""
    rows = [row for row in records(table) if row["nodes_max"] == row["nodes_max"] and row["ok_logged_count"]]
    if not rows:
        return None
    most = max(rows, key=lambda row: float(row["nodes_max"]))
    key = key_of(most["realm_id"], most["strategy"], most["strategy_version"])
    stopped = int(table["limit_count"].sum())
    if float(most["nodes_max"]) > node_cap:
        return [
            "Of the logged runs that passed, ", named(key), f" has the largest, with {write.count(most['nodes_max'])} nodes: more "
            f"than the cap of {write.count(node_cap)} that the report was given, so that is not the engine's.",
        ]  # fmt: skip
    parts: list[Inline] = [
        "Of the logged runs that passed, ", named(key),
        f" came closest, with {write.count(most['nodes_max'])} of {write.count(node_cap)} nodes",
    ]  # fmt: skip
    return [
        *parts,
        f"; {runs(stopped)} {'was' if stopped == 1 else 'were'} stopped by a cap."
        if stopped
        else "; none was stopped by a cap.",
    ]


def status_words(found: Sequence[Finding], table: pd.DataFrame) -> str | None:
    """How things stand at the end of the window: whether those that were stopped ran on unharmed."""
    hits = [finding for finding in found if finding.what == "limit" and finding.kind not in OVER and finding.until]
    seen = {
        key_of(row["realm_id"], row["strategy"], row["strategy_version"]): row["last_logged_at"]
        for row in records(table)
    }
    if not hits or any(finding.key not in seen or seen[finding.key] <= finding.until for finding in hits):
        return None
    last = max(finding.until for finding in hits if finding.until)
    told = f"No run was stopped by a cap after {write.when(last)}, though runs were logged since"
    ends = [finding.facts["when"].ended_before for finding in hits]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return f"{told}: too few to say that it is over."
    return f"{told}: at the rate before, it was over by {write.when(max(known))}."


_IS = ("are", "is")


def growing_words(table: pd.DataFrame, found: Sequence[Finding], horizon_days: float) -> Inline:
    """Who grows towards the cap, who grows without danger, and for whom nobody can tell."""
    growing = [finding for finding in found if finding.what == "growing" and finding.kind not in OVER]
    versions = records(table)
    grow = [row for row in versions if row["trend"] == "growing"]
    stopped = sum(row["group"] == GROUPS[0] for row in grow)
    slowly = sum(row["group"] not in GROUPS[:2] for row in grow)
    unknown = sum(row["trend"] == "too few days" for row in versions)
    unsure = sum(row["trend"] == "cannot tell" for row in versions)
    jumped = sum(row["trend"] == "step" for row in versions)
    levelled = sum(row["trend"] == "levelled off" for row in versions)
    bounded = sum(row["trend"] == "bounded" and row["group"] != GROUPS[0] for row in versions)
    parts: list[Inline] = []
    for finding in growing[:3]:
        slope = finding.facts["slope"]
        each = f"{write.number(slope.value, slope.low, slope.high)} nodes more each day"
        parts += [", " if parts else "Only " if len(growing) == len(grow) == 1 else "", named(finding.key), f": {each}"]
    more = f", and {len(growing) - 3} more" if len(growing) > 3 else ""
    parts.append(f"{more}." if growing else "Day by day no strategy is seen heading for the cap.")
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
        parts.append(f" {unknown} of {len(versions)} {'has' if unknown == 1 else 'have'} too few days to tell.")
    return parts
