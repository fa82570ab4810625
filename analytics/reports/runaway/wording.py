"""How the runaway report names things: windows, versions, bounds, numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from analytics.estimates.estimators import Estimate
from analytics.findings.runaway.previous_report import EVENTS
from analytics.findings.runaway.runaway import Finding, Key
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.escape import Markup

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
