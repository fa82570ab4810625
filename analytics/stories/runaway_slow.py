"""Why a strategy is slow, in words: its nodes, a field, or nobody can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analytics import page
from analytics.estimates import Estimate
from analytics.findings.time_verdict import Part
from analytics.page import number as write
from analytics.page.text import Inline, Markup
from analytics.stories import realm_name


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
    return page.inline([*writers.get(facts["verdict"], _unknown)(facts), *_since(facts)])


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


def _unknown(facts: Mapping[str, Any]) -> list[Inline]:
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
