"""The ranking on the page: who hit a limit, who is heading there, and what each costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from analytics.estimates.estimate import REACH
from analytics.estimates.estimators import Estimate
from analytics.estimates.stalls import TIMES_MEDIAN
from analytics.findings.failures.stops import StopKind
from analytics.findings.runaway.finding import Finding, FindingType, Status
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.ranking import Group, RankingRow
from analytics.findings.runaway.runaway import Burst
from analytics.findings.runaway.trend import TrendState
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import named, runs
from analytics.reports.runaway.wording import TAG_ROLES, beyond, program_cell, share_words, version_name

if TYPE_CHECKING:
    from analytics.findings.runaway.thresholds import Thresholds
    from analytics.reports.page import Block


def version_cell(key: Key, family: str | None = "", tags: Sequence[str] = ()) -> Markup:
    """Name, version, tags, and the realm below; ``family`` is None where no definition gives the id a name."""
    marks = Markup("").join(Markup(" {}").format(page.tag(tag)) for tag in tags)
    realm = page.author(realm_name(key.realm), 40)
    return Markup("{}{}<small>{}</small>").format(version_name(key, family), marks, realm)


def stacked(estimate: Estimate) -> Markup:
    """An estimate over two lines, as narrow columns need it."""
    value = write.number(estimate.value, estimate.low, estimate.high)
    bounds = write.bounds(estimate.value, estimate.low, estimate.high)
    return Markup('{}<br><span class="sa-ci">{}</span>').format(value, bounds)


def burst_table(found: Sequence[Burst]) -> Block:
    """Bursts, each with who and when; strategies named, users only counted."""
    rows = [
        {
            "kind": _burst_kind(burst.kind),
            "what": _burst_name(burst),
            "when": write.span(burst.since, burst.until) if burst.until > burst.since else write.when(burst.since),
            "runs": burst.count,
            "users": burst.users,
        }
        for burst in found
    ]
    columns = [
        Column("what", "Burst", role="name"),
        Column("kind", "kind"),
        Column("when", "when, UTC"),
        Column("runs", "runs, logged", kind="count"),
        Column("users", "users in the log", kind="count"),
    ]
    return page.table(rows, columns, empty="No bursts.")


def _burst_kind(kind: StopKind) -> str:
    match kind:
        case StopKind.UNKNOWN:
            return "unknown code"
        case StopKind.STALL:
            return "stall, likely"
        case StopKind.LIMIT | StopKind.CANARY | StopKind.TIMEOUT:
            return kind.value
        case _:
            assert_never(kind)


def _burst_name(burst: Burst) -> Inline:
    if burst.key is None:
        return Markup("<b>{} strategies</b><small>no rule is named</small>").format(burst.strategies)
    return Markup("{}<small>{}</small>").format(version_name(burst.key), page.author(realm_name(burst.key.realm), 40))


def without_runs_words(keys: Sequence[Key], bound: float) -> Inline:
    """Strategies without a logged run, and how many runs that leaves room for."""
    named = Markup(", ").join(
        Markup("{} ({})").format(version_name(key), page.author(realm_name(key.realm), 40)) for key in keys[:5]
    )
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return [
        "Published, and nothing logged: ",
        named,
        more,
        f". Each at most {runs(bound)} (95 %): of more the sampler had probably drawn one.",
    ]


def cost_table(ranking: Sequence[RankingRow], limits: Thresholds) -> Block:
    """Time and nodes in all and per run, how uneven the runs are, and the room below each limit; in the ranking's order."""
    rows = [
        {
            "rank": rank,
            "strategy": version_cell(row.key, row.family_name),
            "time": _seconds(row.costs.total_ms),
            "time_share": _percent(row.costs.time_share),
            "ms": stacked(row.costs.ms_mean),
            "stalls": _stalls(row.costs.unseen_stalls),
            "spread": _dispersion(row.costs.ms_dispersion),
            "nodes": stacked(row.costs.nodes_mean),
            "node_share": _percent(row.costs.node_share),
            "room": _room(row, limits),
        }
        for rank, row in enumerate(ranking, 1)
    ]
    columns = [
        Column("rank", role="rank"),
        Column("strategy", "Strategy", role="name"),
        Column("time", "seconds in all, est.", align="right"),
        Column("time_share", "share of time, est.", align="right"),
        Column("ms", "ms per run, est.", align="right"),
        Column("stalls", "unseen stalls may add", align="right"),
        Column("spread", "variance / mean, ms", align="right"),
        Column("nodes", "nodes per ok run, est.", align="right"),
        Column("node_share", "share of nodes, est.", align="right"),
        Column("room", "room: nodes · time · depth · program", align="right"),
    ]
    return page.table(rows, columns, empty="No run logged in this window.")


def depth_words(ranking: Sequence[RankingRow], depth_cap: float) -> str | None:
    """How deep the deepest program is nested; None where no definition is readable."""
    known = [row.size.depth for row in ranking if row.size is not None and row.size.depth is not None]
    if not known:
        return None
    deepest = max(known)
    if deepest > depth_cap:
        return f"Depth: {sum(depth > depth_cap for depth in known)} nested deeper than the cap of {depth_cap:g}."
    some = "" if len(known) == len(ranking) else f" {len(known)} of {len(ranking)} programs can be read."
    return f"Depth: nobody above {deepest} of {depth_cap:g}.{some}"


def stall_words(stalled: int, ok: int) -> str:
    """What a stall is, how many of the logged ok runs are one, and what the intervals of time allow for."""
    seen = f"none of {write.count(ok)} logged ok runs is one"
    if stalled:
        are = "is one" if stalled == 1 else "are"
        seen = f"{write.count(stalled)} of {write.count(ok)} logged ok runs {are} (one in {write.number(ok / stalled)})"
    return (
        f"A stall is a run of more than {TIMES_MEDIAN:g} times the median of its version; {seen}. A sample holds few or none, and "
        "one weighs much, so intervals of time allow for those that were not drawn: as often and as long as stalls are in the log, "
        f"and one of {REACH:g} times the mean that nobody saw. How much of the time per run that is at most, stands beside it."
    )


def _stalls(part: float) -> str:
    """Up to so much more, as a share of the time per run."""
    return "?" if math.isnan(part) else f"+{write.percent(float(f'{part:.2g}'))}" if part else "0"


def _dispersion(ratio: float) -> str | None:
    return None if math.isnan(ratio) else write.number(float(f"{ratio:.2g}"))


def _seconds(total: Estimate) -> Markup:
    parts = [part / 1000 for part in (total.value, total.low, total.high)]
    return Markup('{}<br><span class="sa-ci">{}</span>').format(write.number(*parts), write.bounds(*parts))


def _percent(share: Estimate) -> Markup:
    bounds = write.bounds(share.value * 100, share.low * 100, share.high * 100)
    return Markup('{}<br><span class="sa-ci">{}</span>').format(
        write.percent(share.value, share.low, share.high), bounds
    )


def _room(row: RankingRow, limits: Thresholds) -> str:
    """What is left below the caps of nodes and time at p99, of depth, and of the program at the validator; in percent of each."""
    depth = row.size.depth if row.size else None
    depth_headroom = math.nan if depth is None else 1 - depth / limits.depth_cap
    parts = (row.headroom, row.time_headroom, depth_headroom, row.program_headroom)
    return " · ".join("?" if math.isnan(part) else write.percent(round(max(part, 0.0), 2)) for part in parts)


MOST = 12
"""Rows of strategies that are neither stopped nor growing before the rest is folded away."""


def _title(group: Group) -> str:
    match group:
        case Group.HIT:
            return "Hit a limit"
        case Group.HEADING:
            return "Heading for the cap"
        case Group.CLOSE:
            return "Close to the cap"
        case Group.PROGRAM_CLOSE:
            return "Runs are far from the cap, the program is close to what the validator takes"
        case Group.NOT_GROWING:
            return "Not growing, by share of total time"
        case _:
            assert_never(group)


def ranking_table(
    ranking: Sequence[RankingRow], found: Sequence[Finding], limits: Thresholds
) -> tuple[Block, Block | None]:
    """The ranking, and what of it is folded away."""
    tags: dict[Key, list[Status]] = {}
    for finding in found:
        # A canary says something about a caller, not about how near the rules are to a limit; an unknown code nothing of it.
        is_tagged = finding.status in TAG_ROLES and finding.type not in (FindingType.CANARY, FindingType.UNKNOWN)
        if finding.key is not None and is_tagged and finding.status not in tags.get(finding.key, []):
            tags.setdefault(finding.key, []).append(finding.status)
    most = max([row.est_time_share for row in ranking], default=1.0) or 1.0
    rows = [
        (row.group, _ranking_row(rank, row, tags.get(row.key, []), most, limits)) for rank, row in enumerate(ranking, 1)
    ]
    ahead = [cells for group, cells in rows if group.is_urgent]
    rest = [cells for group, cells in rows if not group.is_urgent]
    columns = [
        Column("rank", role="rank"),
        Column("strategy", "Strategy", role="name"),
        Column("time", "share of time, est."),
        Column("runs", "runs, estimated", align="right"),
        Column("nodes", f"nodes, est. p50 – p99, cap {write.count(limits.node_cap)}"),
        Column("ms", f"ms, est. p50 – p99, limit {write.count(limits.time_limit_ms)}"),
        Column("program", f"program, of {write.count(limits.node_cap)}", align="right"),
        Column(
            "stopped", page.explained("P(limit)", "share of its runs that a limit stopped, or may stop"), align="right"
        ),
        Column("days", "days to cap", align="right"),
    ]
    first = page.table([*ahead, *rest[:MOST]], columns, group="group", empty="No run logged in this window.")
    return first, page.table(rest[MOST:], columns) if len(rest) > MOST else None


def _ranking_row(
    rank: int, row: RankingRow, tags: Sequence[Status], most: float, limits: Thresholds
) -> dict[str, object]:
    hit, heading = row.group is Group.HIT, row.group is Group.HEADING
    role = "finding" if hit else "worse" if row.group in (Group.HEADING, Group.CLOSE) else None
    share = row.est_time_share
    days = page.finding("at the cap") if hit else _with_versions(_days(row, heading), row.runs_ahead.versions)
    return {
        "rank": Markup('<span class="sa-nb">{}</span>').format(rank),
        "group": _title(row.group),
        "strategy": version_cell(row.key, row.family_name, tags),
        "time": page.share_bar(share, write.percent(round(share, 2)) if share >= 0.005 else "< 1\u00a0%", most),
        "runs": stacked(row.est_runs),
        "nodes": _bar(row.nodes_p50, row.nodes_p99, limits.node_cap, role),
        "ms": _bar(row.ms_p50, row.ms_p99, limits.time_limit_ms, None),
        "program": program_cell(row, limits),
        "stopped": share_words(row.limit_share),
        "days": days,
    }


def _bar(p50: Estimate, p99: Estimate, limit: float, role: str | None) -> Markup:
    if math.isnan(p50.value):
        return page.mute("unknown")
    # A bar that ends at the limit: what was stopped there needed at least as much.
    ends = [limit if part.is_at_least else part.value for part in (p50, p99)]
    return page.headroom(ends[0], ends[1], limit, role, beyond(p50, p99))


def _with_versions(days: Markup, versions: Estimate) -> Markup:
    """Days to the cap, and below them versions to it, where runs grow by versions and an end can be told."""
    if not versions.high < math.inf:
        return days
    ends = f" [{write.between(versions.low, versions.high)}]" if versions.high > versions.low else ""
    words = f"{write.count(versions.value)} {'version' if versions.value == 1 else 'versions'}{ends}"
    return Markup('{}<br><span class="sa-ci">{}</span>').format(days, words)


def _days(row: RankingRow, heading: bool) -> Markup:
    days, state = row.trend.days_to_cap, row.trend.state
    if state is TrendState.BOUNDED:
        return Markup('{}<br><span class="sa-ci">at most {} nodes</span>').format(
            page.mute("cannot reach it"), write.count(row.trend.entries_max)
        )
    is_growing = state is TrendState.GROWING
    if not is_growing and state is not TrendState.CANNOT_TELL:
        return page.mute(state)
    if days.high < math.inf:
        value = write.number(days.value, days.low, days.high, unit="days")
        below = write.bounds(days.value, days.low, days.high)
    elif days.low >= 0.5:
        value, below = write.at_least(days.low, unit="days"), "" if is_growing else state
    else:
        return page.worse(state) if heading else page.mute(state)
    shown = page.worse(value) if heading else page.inline(value) if is_growing else page.mute(value)
    return Markup('{}<br><span class="sa-ci">{}</span>').format(shown, below) if below else shown


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
