"""Tables of rules: the hot ones, those not seen to match or seen to match in all looks, and how much of each program nobody saw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics.estimates.looks import together
from analytics.findings.rules.node_profile import Profile
from analytics.findings.rules.rule_findings import (
    ALWAYS,
    CANNOT,
    NEVER,
    PROVEN_ALWAYS,
    PROVEN_NEVER,
    PROVEN_UNREACHED,
    UNREACHED,
)
from analytics.findings.runaway.keys import key_of
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.wording import rounded, version_name
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page import Block

RULES = 8
"""Rules before the rest is folded away."""
_REPEATS = 1.05
"""Entries of one id in a run from which it is said to repeat."""


def _place(row: Mapping[str, Any]) -> Markup:
    """The place in strong letters, its program and realm below."""
    key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
    return Markup("<b>{}</b><small>{} v{} · {}</small>").format(
        page.author(row["place"], 90),
        page.author(key.strategy, 40),
        key.version,
        page.author(realm_name(key.realm), 40),
    )


def hot_table(rules: pd.DataFrame) -> Block:
    """Rules by the entries they leave."""
    ranked = records(rules)
    most = max([float(row["est_entry_share"]) for row in ranked], default=1.0) or 1.0
    rows = []
    for row in ranked:
        share, hidden = float(row["est_entry_share"]), float(row["unseen"])
        rows.append(
            {
                "rule": _place(row),
                "share": page.share_bar(share, write.percent(round(share, 3)), most),
                "part": row["part"],
                "run": _per_run(row),
                "match": page.mute("–") if not _is_number(row["match"]) else write.percent(round(row["match"], 2)),
                "types": _types(row),
                "hidden": page.worse(write.percent(round(hidden, 2))) if hidden >= 0.005 else page.mute("none"),
            }
        )
    columns = [
        Column("rule", "Rule", role="name"),
        Column("share", "share of all entries"),
        Column("part", "of its program's", kind="percent"),
        Column("run", "entries a run, est.", align="right"),
        Column("match", "matches", align="right"),
        Column("types", "mostly"),
        Column("hidden", "after the cut", align="right"),
    ]
    return page.table(rows, columns, empty="No trace entry that can be counted is logged in this window.")


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and value == value


def _per_run(row: Mapping[str, Any]) -> Inline:
    entries = row["per_run"]
    if not hasattr(entries, "value"):
        return page.mute("–")
    value = write.number(entries.value, entries.low, entries.high)
    if entries.low == entries.high:  # every run is logged, and every one was read
        return value
    return Markup('{}<br><span class="ci">{}</span>').format(
        value, write.bounds(entries.value, entries.low, entries.high)
    )


def _types(row: Mapping[str, Any]) -> Inline:
    if not _is_number(row["repeats"]) or row["repeats"] < _REPEATS:
        return str(row["types"])
    return Markup("{}<small>an id comes {} times a run</small>").format(
        row["types"], write.number(round(row["repeats"], 1))
    )


def idle_blocks(rules: pd.DataFrame, asked: int) -> tuple[list[Block], int, int]:
    """What was not seen to do anything, or to do one thing only, as blocks; how many rules were not seen to match, and cannot.

    Args:
        rules: ``idle``.
        asked: Places that were looked at.
    """
    judged = rules[rules["grade"] != "too few"]
    proven = judged["reading"].isin([PROVEN_NEVER, PROVEN_UNREACHED])
    unseen = judged["reading"].isin([NEVER, UNREACHED])
    constant = ~proven & ~unseen & (judged["kind"] != "rule")
    always = judged[judged["reading"].isin([ALWAYS, PROVEN_ALWAYS])]
    lead = judged[proven | unseen | constant]
    hidden = int((rules["reading"] == CANNOT).sum())
    blocks: list[Block] = []
    if len(lead) or len(always):
        blocks.append(page.subhead("Rules and conditions not seen to do anything, or seen to do one thing only"))
    if len(lead):
        shown, folded = _split(lead)
        blocks.append(idle_table(shown))
        blocks += [page.fold(f"{len(folded)} more", idle_table(folded))] if len(folded) else []
    if len(always):
        word = "rule that matched in all its looks" if len(always) == 1 else "rules that matched in all their looks"
        blocks.append(page.fold(f"{len(always)} {word}", idle_table(always)))
    bounded = int((~judged["reading"].str.endswith("(proven)")).sum())
    if bounded:
        blocks.append(page.note(_bounded(max(asked, bounded))))
    few = int(((rules["grade"] == "too few") & (rules["reading"] != CANNOT)).sum())
    notes = _left_out(few, hidden)
    blocks += [page.note(notes)] if notes else []
    is_rule = judged["kind"] == "rule"
    return blocks, int((unseen & is_rule).sum()), int((proven & is_rule).sum())


def _bounded(asked: int) -> str:
    """What the bounds are of, and that of many some do not hold."""
    said = "Not seen is not never: the log is a sample. Bounds are shares of a place's looks, the runs that come by it"
    if asked == 1:
        return f"{said} (exact binomial, 95 %). Only what is proven needs none."
    factor = write.number(math.ceil(together(asked) * 10) / 10)
    return (
        f"{said} (exact binomial, 95 %, each for itself). Of the {write.count(asked)} places that were looked at some may stand "
        f"here with a bound that is too low; taken {factor} times, all of them hold together. Only what is proven needs none."
    )


def _left_out(few: int, hidden: int) -> str | None:
    told = []
    if few:
        told.append(
            f"{few} more {'place' if few == 1 else 'places'} with fewer than 30 looks, or with looks that leave out a day of the "
            "week, too few to judge"
        )
    if hidden:
        told.append(
            f"{hidden} {'rule' if hidden == 1 else 'rules'} of which too much lies behind the cut, so nobody can tell"
        )
    return f"Left out: {'; '.join(told)}." if told else None


def _split(rules: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to read first, and the rest: one program full of such rules shall not hide those of the others."""
    rank = rules.groupby(["realm_id", "strategy", "strategy_version"], dropna=False).cumcount()
    ordered = rules.assign(rank=rank).sort_values("rank", kind="stable")
    return ordered.head(RULES), ordered.iloc[RULES:]


def idle_table(rules: pd.DataFrame) -> Block:
    """Places that were not seen to do anything, or seen to do one thing only: how often they were looked at comes first."""
    rows = []
    for row in records(rules):
        looks = "runs" if row["reading"] == UNREACHED else "looks"
        note = Markup("<small>{}</small>").format(page.author(row["note"], 200)) if row["note"] else ""
        rows.append(
            {
                "rule": _place(row),
                "looks": f"{write.count(row['entry_count'])} {looks}",
                "matched": write.count(row["match_count"]),
                "reading": Markup("{}{}").format(page.author(row["reading"], 60), note),
                "bound": _bound(row),
                "grade": row["grade"],
            }
        )
    columns = [
        Column("rule", "Rule", role="name"),
        Column("looks", "looked at, logged", align="right"),
        Column("matched", "of them so", align="right"),
        Column("reading", "reading"),
        Column("bound", "may be otherwise in", align="right"),
        Column("grade", kind="grade"),
    ]
    return page.table(rows, columns, empty="Every rule that was looked at matched in some runs and not in others.")


def _bound(row: Mapping[str, Any]) -> Inline:
    """How often it may be otherwise: of looks, and in runs."""
    if str(row["reading"]).endswith("(proven)"):
        return page.mute("none")
    share = row["share_high"] if row["share_high"] < 1 else 1 - row["share_low"]
    said = write.at_most(rounded(share * 100), unit="%")
    runs = row["est_runs_high"]
    if runs is None or not math.isfinite(runs):
        return said
    return Markup("{}<small>{} runs</small>").format(said, write.at_most(runs))


def unseen_table(found: Sequence[Profile]) -> Block:
    """How much of each program lies behind the cut, and how much of that could be worked out."""
    rows = []
    for one in found:
        sample = one.sample
        open_ = sample.followed_count - sample.complete_count
        rows.append(
            {
                "program": Markup("{}<small>{}</small>").format(
                    version_name(one.key), page.author(realm_name(one.key.realm), 40)
                ),
                "share": page.worse(write.percent(round(one.unseen, 3)) if one.unseen >= 0.0005 else "< 0.1\u00a0%"),
                "cut": f"{write.count(sample.cut_count)} of {write.count(sample.read_count)}",
                "followed": sample.followed_count,
                "complete": sample.complete_count,
                "open": write.count(open_) if open_ else page.mute("none"),
            }
        )
    columns = [
        Column("program", "Program", role="name"),
        Column("share", "entries after the cut", align="right"),
        Column("cut", "cut runs, of those read", align="right"),
        Column("followed", "followed behind it", kind="count"),
        Column("complete", "one way fits", kind="count"),
        Column("open", "left open", align="right"),
    ]
    return page.table(rows, columns)
