"""The second headroom in words: what the validator counts of a program, what is left, and how many versions that lasts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analytics.findings.runaway.program_sizes import ProgramGrowth
from analytics.findings.runaway.version_growth import Ahead
from analytics.reports import page
from analytics.reports.page import number as write
from analytics.reports.page.escape import Inline, Markup
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
