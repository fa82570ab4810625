"""The tables of the runaway report: bursts and rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics import page
from analytics.estimates import Estimate
from analytics.findings.runaway import Burst, Key, key_of
from analytics.page import Column
from analytics.page import number as write
from analytics.page.text import Inline, Markup
from analytics.stories import realm_name
from analytics.stories.runaway_sentences import runs
from analytics.stories.runaway_words import rounded, version_name
from analytics.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.page import Block

RULES = 8
"""Dead rules before the rest is folded away."""


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
    kinds = {"limit": "limit", "canary": "canary", "stall": "stalled loop", "timeout": "timeout"}
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
        return Markup("<b>{} strategies</b><small>no rule to blame</small>").format(burst.strategies)
    return Markup("{}<small>{}</small>").format(version_name(burst.key), page.author(realm_name(burst.key.realm), 40))


def rule_blocks(rules: pd.DataFrame) -> tuple[list[Block], int]:
    """Rules that never do anything and rules that always match, as blocks; and how many never do."""
    judged = rules[rules["grade"] != "too few"]
    never = judged[judged["reading"].isin(["never matched", "never reached"])]
    always = judged[judged["reading"] == "always matches"]
    hidden = int((rules["reading"] == "cannot tell").sum())
    blocks = []
    if len(never):
        shown, folded = rule_tables(never)
        blocks += [page.subhead("Rules that never do anything"), shown]
        blocks += [page.fold(f"{len(never) - RULES} more", folded)] if folded is not None else []
    if len(always):
        word = "rule that always matches" if len(always) == 1 else "rules that always match"
        blocks.append(page.fold(f"{len(always)} {word}", rule_table(always)))
    notes = _left_out(len(rules) - hidden - len(never) - len(always), hidden)
    blocks += [page.note(notes)] if notes else []
    return blocks, len(never)


def _left_out(few: int, hidden: int) -> str | None:
    told = []
    if few:
        told.append(f"{few} more {'rule' if few == 1 else 'rules'} with fewer than 30 looks, too few to judge")
    if hidden:
        told.append(f"{hidden} behind the cut of every trace, so nobody can tell")
    return f"Left out: {'; '.join(told)}." if told else None


def rule_tables(rules: pd.DataFrame) -> tuple[Block, Block | None]:
    """The rules to read first, and the rest: one program full of dead rules shall not hide those of the others."""
    rank = rules.groupby(["realm_id", "strategy", "strategy_version"], dropna=False).cumcount()
    ordered = rules.assign(rank=rank).sort_values("rank", kind="stable")
    rest = ordered.iloc[RULES:]
    return rule_table(ordered.head(RULES)), rule_table(rest) if len(rest) else None


def rule_table(rules: pd.DataFrame) -> Block:
    """Rules that do nothing, or always the same."""
    rows = []
    for row in records(rules):
        always = row["reading"] == "always matches"
        looks = "runs" if row["reading"] == "never reached" else "looks"
        bound = (
            write.at_least(rounded(row["share_low"] * 100, up=False), unit="%")
            if always
            else write.at_most(rounded(row["share_high"] * 100), unit="%")
        )
        rows.append(
            {
                "rule": Markup("<b>{}</b><small>{} v{} · {}</small>").format(
                    page.author(row["rule_id"] or "(no id)", 40), page.author(row["strategy"], 40), row["strategy_version"],
                    page.author(realm_name(row_key(row).realm), 40),
                ),
                "matched": f"{write.count(row['match_count'])} of {write.count(row['entry_count'])} {looks}",
                "bound": bound,
                "reading": row["reading"] + (f", {row['note']}" if row["note"] else ""),
                "grade": row["grade"],
            }
        )  # fmt: skip
    columns = [
        Column("rule", "Rule", role="name"),
        Column("matched", "matched, logged", align="right"),
        Column("bound", "95 % bound", align="right"),
        Column("reading", "reading"),
        Column("grade", kind="grade"),
    ]
    return page.table(rows, columns, empty="Every rule that was looked at matched in some runs and not in others.")


def hot_table(rules: pd.DataFrame, beyond_cut: Mapping[Key, float]) -> Block:
    """Rules by the entries they leave, with what lies behind the cut of the trace."""
    ranked = records(rules)
    most = max([float(row["est_entry_share"]) for row in ranked], default=1.0) or 1.0
    rows = []
    for row in ranked:
        hidden = beyond_cut.get(row_key(row), 0.0)
        rows.append(
            {
                "rule": Markup("<b>{}</b><small>{} v{} · {}</small>").format(
                    page.author(row["rule_id"], 40) if isinstance(row["rule_id"], str) else "no single rule",
                    page.author(row["strategy"], 40), row["strategy_version"],
                    page.author(realm_name(row_key(row).realm), 40),
                ),
                "share": page.share_bar(row["est_entry_share"], write.percent(round(row["est_entry_share"], 3)), most),
                "part": row["part"],
                "types": row["types"],
                "hidden": page.worse(write.percent(round(hidden, 2))) if hidden >= 0.005 else page.mute("none"),
            }
        )  # fmt: skip
    columns = [
        Column("rule", "Rule", role="name"),
        Column("share", "share of all entries"),
        Column("part", "of its strategy's", kind="percent"),
        Column("types", "mostly"),
        Column("hidden", "nodes after the cut", align="right"),
    ]
    return page.table(rows, columns, empty="No trace entry in this window.")


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
        f". Each at most {runs(bound)}, else the sampler would have drawn one.",
    ]
