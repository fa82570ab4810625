"""Findings on runaway rules in a sentence each: plain, without blame, and no surer than the log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import Ends
from analytics.findings.runaway.finding import (
    CloseToCap,
    DailyGrowth,
    Finding,
    Fixed,
    LargeProgram,
    LimitHits,
    Recurrence,
    SandboxCanary,
    SlowVersion,
    StalledLoop,
    Timeouts,
    UnknownCode,
    VersionGrowth,
    Waiting,
)
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.trend import TrendState
from analytics.findings.timing.time_split import TimePart, TimePartKind, Verdict
from analytics.findings.timing.version_times import VersionTime
from analytics.program import error_codes
from analytics.reports import page
from analytics.reports.common import masked, realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.post_mortem.failing import timeouts_from
from analytics.reports.runaway.wording import program_words, versions_ahead, words_of


def names_of(names: Sequence[str], word: str = "and") -> Markup:
    """Field paths as code: "a, b and c"."""
    shown = [page.mono(page.author(name)) for name in names]
    if len(shown) < 2:
        return shown[0] if shown else Markup("")
    return Markup("{} {} {}").format(Markup(", ").join(shown[:-1]), word, shown[-1])


def part_name(part: TimePart, *, with_realm: bool = False) -> Markup:
    """A part of the time by its name: "the field all.avg_time"."""
    match part.kind:
        case TimePartKind.WALK:
            return Markup("its nodes")
        case TimePartKind.CANNOT_TELL:
            return Markup("what none can tell apart")
        case TimePartKind.REST:
            return Markup("the rest of every run")
        case TimePartKind.FIELD:
            word = "the field" if len(part.names) == 1 else "the fields"
        case TimePartKind.BUILT_IN:
            word = "the built-in" if len(part.names) == 1 else "the built-ins"
        case _:
            assert_never(part.kind)
    name = Markup("{} {}").format(word, names_of(part.names))
    if with_realm and part.in_realm:
        name += Markup(" in {}").format(page.author(realm_name(part.realm)))
    return name


def why_slow(version: VersionTime) -> Markup:
    """What makes it slow, as far as the log can tell, and since when."""
    match version.split.verdict:
        case Verdict.FIELD | Verdict.BUILT_IN:
            reason = _blamed(version)
        case Verdict.RULES:
            reason = _rules(version)
        case Verdict.UNCLEAR:
            reason = _unclear(version)
        case Verdict.CANNOT_TELL | Verdict.FINE:
            reason = _unknown_time(version)
        case _:
            assert_never(version.split.verdict)
    return page.inline([*reason, *_since(version)])


def _blamed(version: VersionTime) -> list[Inline]:
    parts: list[Inline] = []
    for part in version.split.blamed:
        name = part_name(part, with_realm=True)
        value, bounds = page_ms(part.ms)
        start = Markup("{}{}").format(str(name)[:1].upper() if not parts else str(name)[:1], name[1:])
        parts += [
            ", " if parts else "",
            start,
            f" {'takes' if len(part.names) == 1 else 'together take'} {value} {bounds}",
        ]
        if part.in_realm:
            parts.append(", unlike elsewhere")
        if len(part.names) > 1:
            parts.append("; nothing tells them apart")
    return [*parts, "."]


def page_ms(estimate: Estimate) -> tuple[str, str]:
    """A time and its interval as text."""
    value, low, high = estimate.value, estimate.low, estimate.high
    return write.ms(value, low, high), write.bounds(value, low, high)


def _rules(version: VersionTime) -> list[Inline]:
    value, bounds = page_ms(version.split.blamed[0].ms)
    return [f"Its nodes take {value} {bounds} of it: the rules make it slow, no field does."]


def _unclear(version: VersionTime) -> list[Inline]:
    if not version.split.blamed:
        return ["Nothing tells what its nodes cost, so they may explain it or may not."]
    most = version.split.blamed[0].ms.high
    return [f"Its nodes may take up to {write.ms(math.ceil(most))} and explain it, or may not: the log cannot tell."]


def _unknown_time(version: VersionTime) -> list[Inline]:
    if version.fields is None:
        return ["Its definition is not known, so nobody can tell which fields it reads."]
    suspects = next((part.names for part in version.split.blamed if part.names), version.fields)
    if not suspects:
        return ["It reads no analytics field, so the program has time of its own and the log cannot tell why."]
    few = "the field" if len(suspects) == 1 else "one of the fields"
    words: list[Inline] = [f"Cannot tell why: it may be {few} ", names_of(suspects, "or"), " or the program itself"]
    if version.new_fields:
        words += ["; v", str(version.earlier_version), " did not read ", names_of(version.new_fields, "or")]
        words.append("" if _is_known(version.earlier_ms_p50) else ", and no run of it is at hand to compare with")
    return [*words, "."]


def _is_known(estimate: Estimate | None) -> bool:
    return estimate is not None and math.isfinite(estimate.value)


def _since(version: VersionTime) -> list[Inline]:
    if version.slow_since is None:
        return []
    before = version.earlier_ms_p50
    if not version.since_is_version or before is None:
        return [f" So since {write.day(version.slow_since)}, without a new version."]
    value, bounds = page_ms(before)
    blamed = {name for part in version.split.blamed for name in part.names}
    unread = version.new_fields and blamed & set(version.new_fields)
    tail = " and did not read it" if unread else ""
    first_day = write.day(version.slow_since)
    return [f" So since its first day, {first_day}: v{version.earlier_version} took {value} {bounds}{tail}."]


_MANY = 5
_MOST_CODES = 3


def sentence(finding: Finding) -> Markup:
    """The finding in words; other people's words in it are made safe."""
    return page.inline(_sentence_of(finding))


def _sentence_of(finding: Finding) -> list[Inline]:
    match finding:
        case LimitHits():
            return _limit_hits(finding)
        case SandboxCanary():
            return _sandbox_canary(finding)
        case UnknownCode():
            return _unknown_code(finding)
        case DailyGrowth():
            return _daily_growth(finding)
        case VersionGrowth():
            return _version_growth(finding)
        case CloseToCap():
            return _close_to_cap(finding)
        case LargeProgram():
            return [named(finding.key), *program_words(finding)]
        case StalledLoop():
            return _stalled_loop(finding)
        case SlowVersion():
            return _slow_version(finding)
        case Timeouts():
            return _timeouts(finding)
        case Fixed():
            return _fixed(finding)
        case Waiting():
            return _waiting(finding)
        case _:
            assert_never(finding)


def named(key: Key | None) -> Markup:
    """A version and its realm: "Tier ladder v5 (sunny-gym)"."""
    if key is None:
        return Markup("")
    realm = realm_name(key.realm)
    # "(no realm)" brings its own parentheses.
    form = Markup("<b>{} v{}</b> {}") if realm.startswith("(") and realm.endswith(")") else Markup("<b>{} v{}</b> ({})")
    return form.format(page.author(key.strategy), key.version, page.author(realm))


def runs(count: float) -> str:
    """A counted number of runs."""
    return f"{write.count(count)} {'run' if count == 1 else 'runs'}"


def between(ends: Ends) -> str:
    """The time in which whatever stopped some runs was there, as far as it can be bounded."""
    first, last = ends.began_after or ends.first, ends.ended_before or ends.last
    if (last - first).total_seconds() < 60:
        return f"around {write.when(first)}"
    return f"between {write.when(first)} and {write.clock(last) if first.date() == last.date() else write.when(last)}"


def ends_words(ends: Ends | None) -> str:
    """Between which moments it began and ended; nothing where the stopped runs tell of neither."""
    words: list[str] = []
    if ends is None:
        return ""
    if ends.began_after is not None:
        words.append(f"began {_bounds(ends.began_after, ends.first)}")
    if ends.ended_before is not None:
        words.append(f"ended {_bounds(ends.last, ends.ended_before)}")
    elif words:
        words.append("may go on")
    return f" If at a steady rate, it {' and '.join(words)}." if words else ""


def _bounds(low: datetime, high: datetime) -> str:
    if write.when(low) == write.when(high):
        return write.clock(low)
    if low.date() == high.date():
        return f"between {write.clock(low)} and {write.clock(high)}"
    return f"between {write.when(low)} and {write.when(high)}"


def _before(past: Recurrence) -> str:
    """What the days before show of the same version, else of others of its family."""
    if past.previous_count:
        return f" Not the first time: {runs(past.previous_count)} in the days before."
    others = past.other_versions_count
    return (
        f" Of this version it is the first time; of others of it, {runs(others)} in the days before." if others else ""
    )


def _limit_hits(finding: LimitHits) -> list[Inline]:
    text = f" was stopped by the engine's cap, {write.span(finding.since, finding.until)}"
    text += f", in {finding.burst_count} bursts." if finding.burst_count > 1 else "."
    text += ends_words(finding.past.ends)
    return [named(finding.key), text, _which_limit(finding), _before(finding.past)]


def _which_limit(finding: LimitHits) -> str:
    """Which limit it may have been, by its program and by the runs that passed."""
    limits, visits, cap = finding.limits, finding.visits_max, write.count(finding.limits.node_cap)
    text = ""
    if finding.may_be_lowered:
        text += f" At other times it passed with up to {write.count(finding.below.otherwise)} of {cap} nodes"
        meanwhile = finding.below.meanwhile
        text += (
            "; no logged run passed meanwhile"
            if meanwhile is None
            else f", meanwhile with no more than {write.count(meanwhile)}"
        )
        text += ": a limit may have been lowered."
    elif finding.is_too_deep:
        text += (
            f" Its program is nested {finding.depth} deep, above the cap of {limits.depth_cap:g}: validation should "
        )
        text += "have refused it."
    elif visits is None:
        text += " Its program cannot be read here: it got past the validation, or a limit was changed."
    elif not finding.fits_the_caps:
        text += " Validation should have refused it, or a limit was changed."
    if finding.fits_the_caps:
        text += f" Its program as the lake holds it visits {write.count(visits)} nodes at most, so a cap of {cap} "
        text += "cannot stop it."
        text += "" if finding.may_be_lowered else " A limit was changed, or the program was."
    return text


def _fixed(finding: Fixed) -> list[Inline]:
    over = words_of(finding.type).over
    if not finding.type.counts_runs:
        # Seen in a sample of ok runs: that it was over as soon as the last report ended is more than anybody knows.
        return [named(finding.key), f": {over}; last seen {write.when(finding.until)}."]
    text = f": {over} since {write.when(finding.until)}"
    if finding.runs_since:
        of = "" if finding.is_live else "; no run of it is logged, these are others of the strategy"
        text += f", in at least {write.count(round(finding.runs_since))} runs{of}"
    before = finding.previous_count
    return [named(finding.key), f"{text}. {_capital(runs(before))} shortly before." if before else f"{text}."]


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _waiting(finding: Waiting) -> list[Inline]:
    # Not seen is not gone: neither sentence says that it is over.
    left = finding.left
    why = (
        f"{left} {'timeout' if left == 1 else 'timeouts'} since, too few to blame it and too many to call it fixed."
        if left
        else "Too little was logged since to call it fixed."
        if finding.type.counts_runs
        else "The log since cannot tell whether it is over."
    )
    return [named(finding.key), f": {words_of(finding.type).last} {write.when(finding.last_seen)}. {why}"]


def _sandbox_canary(finding: SandboxCanary) -> list[Inline]:
    refused = " and ".join(dict.fromkeys(error_codes.meaning(code) for code in finding.codes))
    # A prober is one or a few; a program with a fault meets whoever runs it.
    why = (
        "May be probing."
        if finding.users < _MANY
        else "So many users hardly are a probe: the program may hold a fault."
    )
    more = [ends_words(finding.past.ends).lstrip(), why, _before(finding.past).lstrip()]
    return [
        page.strong("Sandbox canary"),
        f": {_who(finding)} met {refused} in ",
        named(finding.key),
        f", {write.span(finding.since, finding.until)}. ",
        " ".join(filter(None, more)),
    ]


def _unknown_code(finding: UnknownCode) -> list[Inline]:
    """What a code that is not known here says, nobody can tell: neither that it is harmless nor that somebody probes."""
    shown, more = finding.codes[:_MOST_CODES], len(finding.codes) - _MOST_CODES
    title = "An unknown code" if len(finding.codes) == 1 else "Unknown codes"
    codes = Markup(", ").join(page.author(code) for code in shown)
    within = f"{f' and {more} more' if more > 0 else ''} in "
    why = f", {write.span(finding.since, finding.until)}. A newer engine may have brought it; what it says is not known here."
    return [
        page.strong(title), f": {_who(finding)} met ", codes, within, named(finding.key), why, _before(finding.past)
    ]  # fmt: skip


def _who(finding: SandboxCanary | UnknownCode) -> str:
    if finding.user is not None:
        return f"one user ({masked(finding.user)})"
    return f"{finding.users} users" if finding.users else "a user who was not logged"


def _daily_growth(finding: DailyGrowth) -> list[Inline]:
    slope, level = finding.slope, finding.level
    text = f" keeps growing: p99 now about {write.number(level.value, level.low, level.high)} nodes, "
    text += f"{write.number(slope.value, slope.low, slope.high)} more a day"
    if slope.high > slope.low:
        text += f" {write.bounds(slope.value, slope.low, slope.high)}"
    text += f". {_when(finding.days_to_cap)}"
    if len(finding.versions) > 1:
        steps = [f"{write.number(one.nodes)} in v{one.version}" for one in finding.versions]
        text += f" Median of nodes: {', '.join(steps[:-1])} and {steps[-1]}."
    if finding.next_passes:
        text += " Another version with such a step passes the cap."
    return [named(finding.key), text]


def _when(days: Estimate) -> str:
    """When a growing version meets the cap, as far as that can be said."""
    if days.high <= 0:
        return "That is above the cap already."
    if days.high < math.inf:
        return f"It reaches the cap in about {write.number(days.value, days.low, days.high)} days."
    if days.low >= 0.5:
        return f"It reaches the cap in {write.at_least(days.low)} days, if it goes on: the growth may be slowing down."
    return "When it reaches the cap cannot be said."


def _version_growth(finding: VersionGrowth) -> list[Inline]:
    steps, cap, leads = finding.versions, write.count(finding.node_cap), finding.ahead
    medians = " → ".join(write.number(one.nodes) for one in steps)
    text = (
        f" grew from version to version: {medians} nodes at the median, v{steps[0].version} to v{steps[-1].version}. "
    )
    if not finding.next_passes:
        return [named(finding.key), text, versions_ahead(leads, f"passes the cap of {cap}")]
    text += f"One more such step passes the cap of {cap}. "
    text += (
        versions_ahead(leads, "passes it") if leads.has_interval else "When it comes cannot be said of two versions."
    )
    return [named(finding.key), text.rstrip()]


def _close_to_cap(finding: CloseToCap) -> list[Inline]:
    needs = f"{write.number(finding.p99.value)} of {write.count(finding.node_cap)} nodes at p99"
    return [named(finding.key), f" is close to the cap: {needs}; {_growth_of(finding)}."]


def _growth_of(finding: CloseToCap) -> str:
    """Whether what is close to the cap grows."""
    match finding.trend:
        case TrendState.NOT_GROWING:
            return "no growth is seen"
        case TrendState.GROWING:
            return "it grows slowly"
        case TrendState.LEVELLED_OFF:
            return "it grew and has levelled off"
        case TrendState.STEP:
            return "it jumped there on one day and did not grow since"
        case TrendState.BOUNDED:
            return f"its program has at most {write.count(finding.entries_max)}, so growth cannot take it there"
        case TrendState.CANNOT_TELL | TrendState.AT_THE_CAP | TrendState.TOO_FEW_DAYS:
            return "the log cannot tell if it grows"
        case _:
            assert_never(finding.trend)


def _stalled_loop(finding: StalledLoop) -> list[Inline]:
    seconds = finding.seconds
    text = f": {runs(finding.count)} of {finding.strategies} strategies timed out within {_lasting(seconds)}, "
    when = write.when(finding.since) if seconds < 60 else write.span(finding.since, finding.until)
    return [
        page.strong("Likely a stalled event loop"),
        f"{text}{when}: closer together than unrelated ones would.{ends_words(finding.ends)} No rule is named.",
    ]


def _lasting(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _slow_version(finding: SlowVersion) -> list[Inline]:
    version = finding.time
    took = version.split.ms
    text = f" takes {write.ms(took.value, took.low, took.high)} at the median; its "
    text += f"{write.number(version.nodes_p50.value)} nodes explain {_explained(version)}. "
    return [named(finding.key), text, why_slow(version)]


def _explained(version: VersionTime) -> str:
    """Of rules about how much; otherwise the most, for the finding rests on that."""
    explained = version.split.explained
    if version.split.verdict is Verdict.RULES:
        return f"about {write.ms(max(round(explained.value), 1))}"
    if math.isinf(explained.high):
        return "nobody knows how much"
    return f"at most {write.ms(max(math.ceil(explained.high), 1))}"


def _timeouts(finding: Timeouts) -> list[Inline]:
    share, count, all_count = finding.share, finding.count, finding.all_count
    text = f" timed out in {write.percent(share.value, share.low, share.high)} of its runs"
    if all_count > count:
        text += f"; it met {count} of {write.count(all_count)} timeouts"
        # Where others time out as well, the share of the runs is no evidence.
        if count > all_count * finding.run_share_high:
            text += f" with at most {write.percent(finding.run_share_high)} of the runs"
    return [named(finding.key), text, f". {timeouts_from(finding.cause)}"]
