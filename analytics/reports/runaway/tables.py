"""The tables of the runaway report: bursts and rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics.estimates.estimators import Estimate
from analytics.findings.runaway.runaway import Burst, Key, key_of
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.escape import Inline, Markup
from analytics.reports.runaway.finding_sentences import runs
from analytics.reports.runaway.wording import version_name
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page import Block


def row_key(row: Mapping[str, Any]) -> Key:
    """The version a row speaks of."""
    return key_of(row["realm_id"], row["strategy"], row["strategy_version"])


def of_versions(frame: pd.DataFrame, keys: Collection[Key]) -> pd.DataFrame:
    """The rows of versions that ran in the window: retired ones are nobody's work any more."""
    return frame.loc[[index for index, row in zip(frame.index, records(frame), strict=True) if row_key(row) in keys]]


def strategy_cell(row: Mapping[str, Any], tags: Sequence[str] = ()) -> Markup:
    """Name, version, tags, and the realm below."""
    marks = Markup("").join(Markup(" {}").format(page.tag(tag)) for tag in tags)
    family = row.get("family_name", row["strategy"])
    realm = page.author(realm_name(row_key(row).realm), 40)
    return Markup("{}{}<small>{}</small>").format(version_name(row_key(row), family), marks, realm)


def stacked(estimate: Estimate) -> Markup:
    """An estimate over two lines, as narrow columns need it."""
    value = write.number(estimate.value, estimate.low, estimate.high)
    bounds = write.bounds(estimate.value, estimate.low, estimate.high)
    return Markup('{}<br><span class="ci">{}</span>').format(value, bounds)


def burst_table(found: Sequence[Burst]) -> Block:
    """Bursts, each with who and when; strategies named, users only counted."""
    kinds = {
        "limit": "limit",
        "canary": "canary",
        "unknown": "unknown code",
        "stall": "stall, likely",
        "timeout": "timeout",
    }
    rows = [
        {
            "kind": kinds[burst.kind],
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


def _burst_name(burst: Burst) -> Inline:
    if burst.key is None:
        return Markup("<b>{} strategies</b><small>no rule is named</small>").format(burst.strategies)
    return Markup("{}<small>{}</small>").format(version_name(burst.key), page.author(realm_name(burst.key.realm), 40))


def silent_words(keys: Sequence[Key], bound: float) -> Inline:
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
