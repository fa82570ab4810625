"""How the runaway report names things: windows, versions, bounds, numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from analytics.estimates.estimators import Estimate
from analytics.findings.runaway.previous_report import EVENTS
from analytics.findings.runaway.program_sizes import ProgramGrowth
from analytics.findings.runaway.runaway import Finding, Key
from analytics.findings.runaway.version_growth import Ahead
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.runaway.thresholds import Thresholds

_WHY = 160
"""Letters of a reason: an author's word in it has 60 at most."""
_SHOWN = 5
"""Versions whose counts are told one by one."""


def program_words(facts: Mapping[str, Any]) -> list[Inline]:
    """What follows the name of the version in a finding of ``program``."""
    own: ProgramGrowth = facts["program"]
    cap, count, room = write.count(facts["node_cap"]), own.nodes[-1][1], own.room
    if room < 0:
        text = f" has a program of {write.count(count)} nodes as the validator counts them, and {cap} is the most it takes: stored "
        text += f"past the validator or under another limit. A next version with more than {cap} is refused."
        return [text, _runs(facts)]
    what = (
        "is close to the most that the validator takes"
        if facts["is_close"]
        else "grows towards what the validator takes"
    )
    text = f" has a program that {what}: {write.count(count)} of {cap} nodes"
    text += f". A next version that adds more than {write.count(room)} is refused when it is saved, so it cannot be published"
    if own.smallest_rule is not None:
        text += f"; the smallest rule of this program has {write.count(own.smallest_rule)}"
    if own.refusal:
        return [
            text,
            ". As it is stored it is refused already: ",
            page.author(own.refusal, _WHY),
            ".",
            _runs(facts),
            *_grew(own),
        ]
    return [text, ".", _runs(facts), *_grew(own)]


def _runs(facts: Mapping[str, Any]) -> str:
    """What that means for runs: nothing."""
    if facts["stopped"]:
        return " That is another limit than the one that stopped runs."
    if not facts["ok_logged"] or facts["nodes_max"] is None:
        return " It stops no run."
    logged, most = write.count(facts["ok_logged"]), write.count(facts["nodes_max"])
    return f" It stops no run: the largest of its {logged} logged ok runs took {most}."


def _grew(own: ProgramGrowth) -> list[Inline]:
    if not own.ahead.steps:
        return []
    shown = own.nodes[-_SHOWN:]
    told = " → ".join(write.count(count) for _, count in shown)
    text = f" It grew from version to version: {told}, v{shown[0][0]} to v{shown[-1][0]}. "
    return [text, versions_ahead(own.ahead, "is refused")]


def versions_ahead(leads: Ahead, meets: str) -> str:
    """Which of the next versions meets a limit, and when, as far as that can be said.

    Args:
        leads: Where the growth leads.
        meets: What that version does, as "is refused".
    """
    if not leads.steps:
        return ""
    versions, days = leads.versions, leads.days
    if not leads.has_interval:
        after = f"the {_nth(versions.value)} version from now would be the first that {meets}"
        told = f"Were every step like this one, {after}"
        told = f"Another step like this one {meets}" if versions.value == 1 else told
        return f"{told}; two versions give no interval, and cannot tell when."
    first = f"At steps like these the first version that {meets} is"
    if math.isinf(versions.high):
        which = f"the {_nth(versions.low)} from now at the earliest" if versions.low > 1 else "perhaps the next"
        return f"{first} {which}; when it comes cannot be said."
    which = "the next one" if versions.value == 1 else f"the {_nth(versions.value)} from now"
    if versions.high > versions.low:
        which += f" [{write.between(versions.low, versions.high)}]"
    if math.isinf(days.high) or math.isnan(days.value):
        return f"{first} {which}; when it comes cannot be said."
    if days.grade == "too few":  # the ends are all that can be said
        span = write.between(math.floor(days.low), math.ceil(days.high), unit="days")
        return f"{first} {which}, {span} from now if versions come as they did."
    about = write.number(days.value, days.low, days.high, unit="days")
    ends = write.bounds(days.value, days.low, days.high)
    return f"{first} {which}, in about {f'{about} {ends}'.strip()} if versions come as they did."


def _nth(number: float) -> str:
    whole = int(number)
    ending = "th" if 10 <= whole % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{write.count(whole)}{ending}"


def programs_words(table: pd.DataFrame, limits: Thresholds) -> str | None:
    """How large the largest live program is as the validator counts it; None where no definition is readable."""
    rows = [row for row in records(table) if row["is_live"] and row["ast_nodes"] is not None]
    if not rows:
        return None
    cap, over = write.count(limits.node_cap), [row for row in rows if row["ast_nodes"] > limits.node_cap]
    text = f"Programs: the validator counts the whole program, read by a run or not, against the same {cap} when a version is saved"
    if not over:
        return f"{text}; the largest has {write.count(max(row['ast_nodes'] for row in rows))}."
    many = "stored past the validator or under another limit"
    if 2 * len(over) > len(rows):
        many += "; so many of them say that the report was given another limit than the engine has"
    return f"{text}; {len(over)} of {len(rows)} {'has' if len(over) == 1 else 'have'} more: {many}."


def program_cell(row: Mapping[str, Any], limits: Thresholds) -> Markup:
    """What the validator counts of a program, beside what it takes, and what is left."""
    count = row["ast_nodes"]
    if count is None or count != count:
        return page.mute("unknown")
    left = limits.node_cap - float(count)
    below = f"{write.count(left)} left" if left >= 0 else f"{write.count(-left)} too many"
    shown = page.finding(write.count(count)) if left < 0 else _coloured(row, count, limits)
    versions = row["est_ast_versions_to_cap"]
    if row["is_live"] and left >= 0 and math.isfinite(versions.value) and versions.high < math.inf:
        ends = f" [{write.between(versions.low, versions.high)}]" if versions.high > versions.low else ""
        below += f" · {write.count(versions.value)} {'version' if versions.value == 1 else 'versions'}{ends}"
    return Markup('{}<br><span class="ci">{}</span>').format(shown, below)


def _coloured(row: Mapping[str, Any], count: float, limits: Thresholds) -> Inline:
    is_near = row["is_live"] and count >= limits.close * limits.node_cap
    return page.worse(write.count(count)) if is_near else write.count(count)


ROLE_WORDS = {"finding": page.finding, "worse": page.worse, "fixed": page.fixed}
TAG_ROLES = {"new": "finding", "worse": "worse", "fixed": "fixed"}


def window_words(since: datetime, until: datetime, *, long: bool = True) -> str:
    """The window for a headline: a day by its name, otherwise from when to when."""
    last = until - timedelta(microseconds=1)
    whole = since.astimezone(UTC).time() == until.astimezone(UTC).time() == time()
    if whole and until - since == timedelta(days=1):
        return write.day(since, long=long, year=True)
    if whole:
        return f"{write.day(since)} – {write.day(last, year=True)}"
    return write.span(since, until, year=True)


def version_name(key: Key, family: str | None = "") -> Markup:
    """Name and version in strong letters; an id, where no definition gives a name, in short."""
    if family is None:
        return Markup("<b>{}</b> v{}").format(page.mono(page.author(key.strategy, 12)), key.version)
    return Markup("<b>{}</b> v{}").format(page.author(key.strategy), key.version)


def labels(keys: Iterable[Key], *, versions: bool = True) -> dict[Key, str]:
    """A label for each version that no other one has: the realm is added where names repeat."""
    wanted = list(dict.fromkeys(keys))
    plain = {key: _label(key, versions) for key in wanted}
    twins = {label for label in plain.values() if list(plain.values()).count(label) > 1}
    return {key: f"{label} · {realm_name(key.realm)}" if label in twins else label for key, label in plain.items()}


def _label(key: Key, versions: bool) -> str:
    name = key.strategy if len(key.strategy) <= 30 else f"{key.strategy[:12]}…"
    return f"{name} v{key.version}" if versions else name


def number(finding: Finding) -> Markup:
    """The figure at the end of a finding."""
    value = finding.number
    if finding.kind in ("fixed", "waiting"):
        left = finding.facts.get("left", 0)
        words = (
            f"{left} {'run' if left == 1 else 'runs'}" if finding.count is not None and finding.unit == "runs" else ""
        )
        return Markup("{} {}").format(page.strong(words), page.grade("logged")) if words else Markup("")
    if isinstance(value, Estimate) and finding.what == "program":
        told = f"{write.count(value.value)} of {write.count(finding.facts['node_cap'])} nodes"
        return Markup("<b>{}</b>").format(told)  # of a definition: counted, and not in the log
    if isinstance(value, Estimate) and finding.unit == "nodes":
        told = write.at_least(value.value) if value.is_at_least else write.number(value.value)
        return Markup("{} {}").format(page.strong(f"{told} nodes"), page.grade(value.grade))
    if isinstance(value, Estimate) and value.high == math.inf:
        # Growth that may end: the first day that is not ruled out, and no last one.
        text = write.at_least(value.low, unit=finding.unit) if value.low >= 0.5 else "cannot tell when"
        return Markup("{} {}").format(page.strong(text), page.grade(value.grade))
    if isinstance(value, Estimate):
        return page.est(value, TAG_ROLES.get(finding.kind), unit=finding.unit)
    if finding.unit == "of time":
        return Markup("<b>{}</b> of time").format(write.percent(round(float(value), 2)))
    words = f"{write.count(value)} {'run' if value == 1 else 'runs'}"
    return Markup("{} {}").format(page.strong(words), page.grade("logged"))


def headline(found: list[Finding], *, is_compared: bool = False) -> list[tuple[str, str | None]]:
    """How many findings of each kind, as text and colour; see `kind_word`."""
    parts: list[tuple[str, str | None]] = []
    words = Counter(kind_word(finding, is_compared=is_compared) for finding in found)
    for word, role in (("new", "finding"), ("worse", "worse"), ("fixed", "fixed"), ("known", None), ("finding", None)):
        told = word if word != "finding" else "more to know" if parts else "to know"
        if words[word]:
            parts.append((f"{words[word]} {told}", role))
    return parts


def kind_word(finding: Finding, *, is_compared: bool) -> str:
    """What a finding is called: where there is a last report, what is not new in it is known, but for what happens once."""
    return "known" if finding.kind == "finding" and is_compared and finding.what not in EVENTS else finding.kind


def share_words(share: Estimate) -> Markup:
    """The share of runs that a cap stopped; its upper bound where none was."""
    if share.value > 0:
        value = write.percent(share.value, share.low, share.high)
        bounds = write.bounds(share.value * 100, share.low * 100, share.high * 100)
        return Markup('{}<br><span class="ci">{}</span>').format(page.finding(value), bounds)
    if not math.isfinite(share.high):
        return page.mute("–")
    return page.mute(write.at_most(rounded(share.high * 100), unit="%"))


def rounded(percent: float, *, up: bool = True) -> float:
    """A bound with two digits, upper ones rounded up and lower ones down: a bound never says more than it can.

    Lower bounds near 100 % keep the digits that matter, those of the rest.
    """
    part = percent if up else 100 - percent
    step = 10.0 ** (math.floor(math.log10(part)) - 1) if part > 0 else 1.0
    part = round(math.ceil(part / step - 1e-9) * step, 12)
    return part if up else 100 - part


def beyond(p50: Estimate, p99: Estimate) -> str:
    """Median and p99 as text; what lies among stopped runs is "at least"."""
    words = [write.at_least(part.value) if part.is_at_least else write.number(part.value) for part in (p50, p99)]
    return words[0] if words[0] == words[1] else f"{words[0]} – {words[1]}"


def plain_number(value: Any) -> Any:
    """A number of a frame as JSON holds it; None for what is not finite."""
    if isinstance(value, Estimate):
        return value.to_dict()
    if isinstance(value, bool | str) or value is None:
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None  # NaT differs from itself
    return (int(value) if float(value).is_integer() else float(value)) if math.isfinite(float(value)) else None
