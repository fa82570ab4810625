"""Findings on runaway rules in a sentence each: plain, without blame, and no surer than the log."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import Ends
from analytics.findings.runaway.previous_report import COUNTED
from analytics.findings.runaway.runaway import Finding, Key
from analytics.findings.timing.time_split import Part
from analytics.program import error_codes
from analytics.reports import page
from analytics.reports.common import masked, realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.post_mortem.failing import timeouts_from
from analytics.reports.runaway.wording import program_words, versions_ahead


def names_of(names: Sequence[str], word: str = "and") -> Markup:
    """Field paths as code: "a, b and c"."""
    told = [page.mono(page.author(name)) for name in names]
    if len(told) < 2:
        return told[0] if told else Markup("")
    return Markup("{} {} {}").format(Markup(", ").join(told[:-1]), word, told[-1])


def part_name(part: Part, *, with_realm: bool = False) -> Markup:
    """A part of the time by its name: "the field all.avg_time"."""
    if part.kind == "walk":
        return Markup("its nodes")
    if part.kind == "cannot tell" or not part.names:
        return Markup("{}").format(
            "what none can tell apart" if part.kind == "cannot tell" else "the rest of every run"
        )
    words = {"field": ("the field", "the fields"), "built-in": ("the built-in", "the built-ins")}[part.kind]
    name = Markup("{} {}").format(words[len(part.names) > 1], names_of(part.names))
    if with_realm and part.in_realm:
        name += Markup(" in {}").format(page.author(realm_name(part.realm)))
    return name


def took(part: Part) -> Markup:
    """Milliseconds of a part with interval and grade."""
    return page.est(part.ms, unit="ms")


def why_slow(facts: Mapping[str, Any]) -> Markup:
    """What makes it slow, as far as the log can tell, and since when.

    Args:
        facts: verdict, blamed, fields, new_fields, earlier_version, earlier_ms_p50, slow_since, since_is_version.
    """
    writers = {"field": _blamed, "built-in": _blamed, "rules": _rules, "unclear": _unclear}
    return page.inline([*writers.get(facts["verdict"], _unknown_time)(facts), *_since(facts)])


def _blamed(facts: Mapping[str, Any]) -> list[Inline]:
    parts: list[Inline] = []
    for part in facts["blamed"]:
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


def _rules(facts: Mapping[str, Any]) -> list[Inline]:
    value, bounds = page_ms(facts["blamed"][0].ms)
    return [f"Its nodes take {value} {bounds} of it: the rules make it slow, no field does."]


def _unclear(facts: Mapping[str, Any]) -> list[Inline]:
    if not facts["blamed"]:
        return ["Nothing tells what its nodes cost, so they may explain it or may not."]
    most = facts["blamed"][0].ms.high
    return [f"Its nodes may take up to {write.ms(math.ceil(most))} and explain it, or may not: the log cannot tell."]


def _unknown_time(facts: Mapping[str, Any]) -> list[Inline]:
    if facts["fields"] is None:
        return ["Its definition is not known, so nobody can tell which fields it reads."]
    suspects = next((part.names for part in facts["blamed"] if part.names), facts["fields"])
    if not suspects:
        return ["It reads no analytics field, so the program has time of its own and the log cannot tell why."]
    few = "the field" if len(suspects) == 1 else "one of the fields"
    told: list[Inline] = [f"Cannot tell why: it may be {few} ", names_of(suspects, "or"), " or the program itself"]
    if facts["new_fields"]:
        told += ["; v", str(int(facts["earlier_version"])), " did not read ", names_of(facts["new_fields"], "or")]
        told.append("" if _known(facts["earlier_ms_p50"]) else ", and no run of it is at hand to compare with")
    return [*told, "."]


def _known(estimate: object) -> bool:
    return isinstance(estimate, Estimate) and math.isfinite(estimate.value)


def _since(facts: Mapping[str, Any]) -> list[Inline]:
    if facts["slow_since"] is None:
        return []
    if not facts["since_is_version"]:
        return [f" So since {write.day(facts['slow_since'])}, without a new version."]
    before, version = facts["earlier_ms_p50"], int(facts["earlier_version"])
    value, bounds = page_ms(before)
    unread = facts["new_fields"] and {name for part in facts["blamed"] for name in part.names} & set(
        facts["new_fields"]
    )
    tail = " and did not read it" if unread else ""
    return [f" So since its first day, {write.day(facts['slow_since'])}: v{version} took {value} {bounds}{tail}."]


_MANY = 5
_MOST_CODES = 3


def sentence(finding: Finding) -> Markup:
    """The finding in words; other people's words in it are made safe."""
    writers: dict[str, Callable[[Finding], list[Inline]]] = {
        "limit": _limit,
        "canary": _canary,
        "unknown": _unknown,
        "growing": _growing,
        "versions": _versions,
        "close": _close,
        "program": _program,
        "stall": _stall,
        "slow": _slow,
        "timeout": _timeout,
    }
    over = {"fixed": _fixed, "waiting": _waiting}
    return page.inline((over.get(finding.kind) or writers[finding.what])(finding))


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


def between(finding: Finding) -> str:
    """The time in which whatever stopped these runs was there, as far as it can be bounded."""
    when: Ends = finding.facts["when"]
    first, last = when.began_after or when.first, when.ended_before or when.last
    if (last - first).total_seconds() < 60:
        return f"around {write.when(first)}"
    return f"between {write.when(first)} and {write.clock(last) if first.date() == last.date() else write.when(last)}"


def ends_words(when: Ends | None) -> str:
    """Between which moments it began and ended; nothing where the stopped runs tell of neither."""
    told: list[str] = []
    if when is None:
        return ""
    if when.began_after is not None:
        told.append(f"began {_bounds(when.began_after, when.first)}")
    if when.ended_before is not None:
        told.append(f"ended {_bounds(when.last, when.ended_before)}")
    elif told:
        told.append("may go on")
    return f" If at a steady rate, it {' and '.join(told)}." if told else ""


def _bounds(low: datetime, high: datetime) -> str:
    if write.when(low) == write.when(high):
        return write.clock(low)
    if low.date() == high.date():
        return f"between {write.clock(low)} and {write.clock(high)}"
    return f"between {write.when(low)} and {write.when(high)}"


def _before(facts: Mapping[str, Any]) -> str:
    """What the days before show of the same version, else of others of its family."""
    if facts["before"]:
        return f" Not the first time: {runs(facts['before'])} in the days before."
    others = facts.get("others_before", 0)
    return (
        f" Of this version it is the first time; of others of it, {runs(others)} in the days before." if others else ""
    )


def _limit(finding: Finding) -> list[Inline]:
    facts = finding.facts
    cap = write.count(facts["node_cap"])
    text = f" was stopped by the engine's cap, {write.span(finding.since, finding.until)}"
    text += f", in {facts['bursts']} bursts." if facts["bursts"] > 1 else "."
    text += ends_words(facts["when"])
    if facts["may_be_lowered"]:
        text += f" At other times it passed with up to {write.count(facts['passed_otherwise'])} of {cap} nodes"
        meanwhile = facts["passed_meanwhile"]
        text += (
            "; no logged run passed meanwhile"
            if meanwhile is None
            else f", meanwhile with no more than {write.count(meanwhile)}"
        )
        text += ": a limit may have been lowered."
    elif facts["depth"] is not None and facts["depth"] > facts["depth_cap"]:
        text += f" Its program is nested {facts['depth']:.0f} deep, above the cap of {facts['depth_cap']:g}: validation should "
        text += "have refused it."
    elif facts["visits_max"] is None:
        text += " Its program cannot be read here: it got past the validation, or a limit was changed."
    elif not facts["fits_the_caps"]:
        text += " Validation should have refused it, or a limit was changed."
    if facts["fits_the_caps"]:
        text += f" Its program as the lake holds it visits {write.count(facts['visits_max'])} nodes at most, so a cap of {cap} "
        text += "cannot stop it."
        text += "" if facts["may_be_lowered"] else " A limit was changed, or the program was."
    return [named(finding.key), text, _before(facts)]


_OVER = {
    "limit": "not stopped by a cap",
    "canary": "no sandbox canary",
    "unknown": "no unknown code",
    "timeout": "no timeout of its own",
    "growing": "no longer growing towards the cap",
    "versions": "its versions no longer grow towards the cap",
    "close": "no longer close to the cap",
    "program": "its program is no longer close to what the validator takes",
    "slow": "no longer slower than its nodes explain",
}


def _fixed(finding: Finding) -> list[Inline]:
    facts = finding.facts
    if finding.what not in COUNTED:
        # Seen in a sample of ok runs: that it was over as soon as the last report ended is more than anybody knows.
        return [named(finding.key), f": {_OVER[finding.what]}; last seen {write.when(finding.until)}."]
    text = f": {_OVER[finding.what]} since {write.when(finding.until)}"
    before, since = facts["before"], facts.get("runs_since")
    if since:
        of = "" if facts.get("is_live", True) else "; no run of it is logged, these are others of the strategy"
        text += f", in at least {write.count(round(since))} runs{of}"
    return [named(finding.key), f"{text}. {_sentence(runs(before))} shortly before." if before else f"{text}."]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


_LAST = {
    "limit": "last stopped by a cap",
    "canary": "last sandbox canary",
    "unknown": "an unknown code last seen",
    "timeout": "timeouts too many for chance last seen",
    "growing": "growth towards the cap last seen",
    "versions": "growth from version to version last seen",
    "close": "last close to the cap",
    "program": "program last close to what the validator takes",
    "slow": "last slower than its nodes explain",
}


def _waiting(finding: Finding) -> list[Inline]:
    # Not seen is not gone: neither sentence says that it is over.
    left = finding.facts["left"]
    why = (
        f"{left} {'timeout' if left == 1 else 'timeouts'} since, too few to blame it and too many to call it fixed."
        if left
        else "Too little was logged since to call it fixed."
        if finding.what in COUNTED
        else "The log since cannot tell whether it is over."
    )
    return [named(finding.key), f": {_LAST[finding.what]} {write.when(finding.until)}. {why}"]


def _canary(finding: Finding) -> list[Inline]:
    facts = finding.facts
    who = _who(facts)
    asked = " and ".join(dict.fromkeys(error_codes.meaning(code) for code in facts["codes"]))
    when = f", {write.span(finding.since, finding.until)}. "
    # A prober is one or a few; a program with a fault meets whoever runs it.
    why = (
        "May be probing."
        if facts["users"] < _MANY
        else "So many users hardly are a probe: the program may hold a fault."
    )
    said = [ends_words(facts["when"]).lstrip(), why, _before(facts).lstrip()]
    return [
        page.strong("Sandbox canary"),
        f": {who} met {asked} in ",
        named(finding.key),
        when,
        " ".join(filter(None, said)),
    ]


def _unknown(finding: Finding) -> list[Inline]:
    """What a code that is not known here says, nobody can tell: neither that it is harmless nor that somebody probes."""
    facts = finding.facts
    shown, more = facts["codes"][:_MOST_CODES], len(facts["codes"]) - _MOST_CODES
    title = "An unknown code" if len(facts["codes"]) == 1 else "Unknown codes"
    met = Markup(", ").join(page.author(code) for code in shown)
    within = f"{f' and {more} more' if more > 0 else ''} in "
    why = f", {write.span(finding.since, finding.until)}. A newer engine may have brought it; what it says is not known here."
    return [page.strong(title), f": {_who(facts)} met ", met, within, named(finding.key), why, _before(facts)]


def _who(facts: Mapping[str, Any]) -> str:
    if facts["user"] is not None:
        return f"one user ({masked(facts['user'])})"
    return f"{facts['users']} users" if facts["users"] else "a user who was not logged"


def _growing(finding: Finding) -> list[Inline]:
    slope, level, days = finding.facts["slope"], finding.facts["level"], finding.number
    text = f" keeps growing: p99 now about {write.number(level.value, level.low, level.high)} nodes, "
    text += f"{write.number(slope.value, slope.low, slope.high)} more a day"
    if slope.high > slope.low:
        text += f" {write.bounds(slope.value, slope.low, slope.high)}"
    text += f". {_when(days)}" if isinstance(days, Estimate) else "."
    steps = finding.facts["versions"]
    if len(steps) > 1:
        told = [f"{write.number(median)} in v{version}" for version, median in steps]
        text += f" Median of nodes: {', '.join(told[:-1])} and {told[-1]}."
    if finding.facts["next_passes"]:
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


def _versions(finding: Finding) -> list[Inline]:
    facts = finding.facts
    steps, cap = facts["versions"], write.count(facts["node_cap"])
    told = " → ".join(write.number(median) for _, median in steps)
    text = f" grew from version to version: {told} nodes at the median, v{steps[0][0]} to v{steps[-1][0]}. "
    leads = facts["ahead"]
    if not facts["next_passes"]:
        return [named(finding.key), text, versions_ahead(leads, f"passes the cap of {cap}")]
    text += f"One more such step passes the cap of {cap}. "
    text += (
        versions_ahead(leads, "passes it") if leads.has_interval else "When it comes cannot be said of two versions."
    )
    return [named(finding.key), text.rstrip()]


def _program(finding: Finding) -> list[Inline]:
    return [named(finding.key), *program_words(finding.facts)]


def _close(finding: Finding) -> list[Inline]:
    facts = finding.facts
    seen = {
        "not growing": "no growth is seen",
        "growing": "it grows slowly",
        "levelled off": "it grew and has levelled off",
        "step": "it jumped there on one day and did not grow since",
        "bounded": f"its program has at most {write.count(facts['bounded_by'])}, so growth cannot take it there",
    }.get(facts["trend"], "the log cannot tell if it grows")
    needs = f"{write.number(facts['p99'].value)} of {write.count(facts['node_cap'])} nodes at p99"
    return [named(finding.key), f" is close to the cap: {needs}; {seen}."]


def _stall(finding: Finding) -> list[Inline]:
    facts = finding.facts
    text = f": {runs(finding.count or 0)} of {facts['strategies']} strategies timed out within {_lasting(facts['seconds'])}, "
    when = write.when(finding.since) if facts["seconds"] < 60 else write.span(finding.since, finding.until)
    return [
        page.strong("Likely a stalled event loop"),
        f"{text}{when}: closer together than unrelated ones would.{ends_words(facts['when'])} No rule is named.",
    ]


def _lasting(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _slow(finding: Finding) -> list[Inline]:
    facts = finding.facts
    took = facts["est_ms_p50"]
    text = f" takes {write.ms(took.value, took.low, took.high)} at the median; its "
    text += f"{write.number(facts['est_nodes_p50'].value)} nodes explain {_explained(facts)}. "
    return [named(finding.key), text, why_slow(facts)]


def _explained(facts: Mapping[str, Any]) -> str:
    """Of rules about how much; otherwise the most, for the finding rests on that."""
    explained: Estimate = facts["explained_ms"]
    if facts["verdict"] == "rules":
        return f"about {write.ms(max(round(explained.value), 1))}"
    if math.isinf(explained.high):
        return "nobody knows how much"
    return f"at most {write.ms(max(math.ceil(explained.high), 1))}"


def _timeout(finding: Finding) -> list[Inline]:
    facts = finding.facts
    share = facts["share"]
    text = f" timed out in {write.percent(share.value, share.low, share.high)} of its runs"
    if facts["of"] > (finding.count or 0):
        text += f"; it met {finding.count} of {write.count(facts['of'])} timeouts"
        # Where others time out as well, the share of the runs is no evidence.
        if (finding.count or 0) > facts["of"] * facts["run_share_high"]:
            text += f" with at most {write.percent(facts['run_share_high'])} of the runs"
    return [named(finding.key), text, f". {timeouts_from(facts['cause'])}"]
