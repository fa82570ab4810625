"""Rules or fields: the section of the runaway report that says where the time of a run goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics.estimates.estimators import Estimate
from analytics.findings.timing.time_split import ROWS, Part, Split, Times
from analytics.reports import charts, page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import named, names_of, page_ms, part_name, why_slow
from analytics.reports.runaway.ranking import stacked, strategy_cell
from analytics.reports.runaway.wording import labels
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    from analytics.reports.page import Block

SHOWN = 6
"""Strategies in the picture; slow ones first, then those that take most time."""
_NAMED = 3


def section(times: Times, time_limit_ms: float) -> Block:
    """Is it the rules or the fields they read?"""
    how = ["Median milliseconds per run, split by robust regression over programs and versions. Durations include the queries "
           "for analytics fields.",
           "A node's cost: runs of one program. A field's: programs and versions that differ in what they read. What would not "
           "hold if one program had time of its own cannot be told."]  # fmt: skip
    question = "Rules or fields?"
    rows = records(times.table)
    if not rows:
        return page.section("fields", question, how, f"Cannot tell: no strategy has {ROWS} logged ok runs.")
    # Where clocks say 0 for every run there is no time to split, and a picture would have no bar.
    drawn = _picture(rows) if any(part.ms.value > 0 for row in rows for part in row["split"].parts) else None
    shown = drawn or page.note("No picture: no part of any run's time can be told.")
    body: list[Any] = [shown, page.fold("Milliseconds per node and per field", costs_table(times)),
            page.fold("Every strategy, and what the time limit covers", split_table(rows, time_limit_ms))]  # fmt: skip
    return page.section("fields", question, how, answer(rows), body)


def answer(rows: Sequence[Mapping[str, Any]]) -> Inline:
    """Who is slow because of what, in a sentence for each reason."""
    told: list[Inline] = []
    for reason, own in _by_reason(rows).items():
        one = len(own) == 1
        names = _listed([named(row["split"].key) for row in own[:_NAMED]], len(own) - _NAMED)
        verb = "is" if one else "are"
        told += [" "] if told else []
        if reason == ("rules",):
            told += [names, f" {verb} slow because of {'its' if one else 'their'} nodes."]
        elif reason == ("unclear",):
            told += [names, f" {'takes' if one else 'take'} long, and the log cannot tell whether "
                     f"{'its' if one else 'their'} nodes explain it."]  # fmt: skip
        elif reason == ("cannot tell",):
            told += [names, f" {verb} slow, and the log cannot tell why."]
        else:
            told += [names, f" {verb} slow because of ", part_name(own[0]["split"].blamed[0], with_realm=True), "."]
    if not told:
        return "No strategy is slow: none takes much more than the others, or than its nodes explain."
    return told


def _by_reason(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        one: Split = row["split"]
        if one.verdict == "fine":
            continue
        part = one.blamed[0] if one.verdict in ("field", "built-in") else None
        reason = (one.verdict,) if part is None else (part.kind, *part.names, repr(part.in_realm and part.realm))
        found.setdefault(reason, []).append(row)
    return found


def _listed(names: Sequence[Markup], more: int) -> Markup:
    if more > 0:
        return Markup("{} and {} more").format(Markup(", ").join(names), more)
    return names[0] if len(names) == 1 else Markup("{} and {}").format(Markup(", ").join(names[:-1]), names[-1])


def _picture(rows: Sequence[Mapping[str, Any]]) -> Markup:
    import pandas as pd

    notable = [row for row in rows if row["split"].verdict != "fine"]
    others = sorted(
        (row for row in rows if row["split"].verdict == "fine"), key=lambda row: -float(row["est_time_share"])
    )
    shown = [*notable, *others][: max(SHOWN, min(len(notable), 2 * SHOWN))]
    names = labels(row["split"].key for row in shown)
    parts = []
    for row in shown:
        one: Split = row["split"]
        note, role = _note(one)
        common = {
            "label": names[one.key], "total": one.ms.value, "total_low": one.ms.low, "total_high": one.ms.high,
            "note": note, "role": role,
        }  # fmt: skip
        for part in one.parts:
            kind = "blamed" if part in one.blamed and part.kind == "field" else part.kind
            parts.append({**common, "kind": kind, "name": " + ".join(part.names), "ms": part.ms.value})
    frame = pd.DataFrame(parts)
    told = "; ".join(f"{names[row['split'].key]}: {_note(row['split'])[0]}" for row in shown)
    alt = f"Milliseconds per run split into walk, fields and rest for {len(shown)} strategies. {told}"
    return charts.responsive(lambda width: charts.time_split(frame, width=width), "fields", alt)


def _note(one: Split) -> tuple[str, str]:
    """What to know about one strategy's bar: the part that matters most."""
    if one.verdict == "cannot tell":
        return "cannot tell why it is slow", "finding"
    if one.verdict == "unclear":
        return "cannot tell whether its nodes explain it", ""
    if one.verdict in ("field", "built-in"):
        part = one.blamed[0]
        value, bounds = page_ms(part.ms)
        return f"{' + '.join(part.names)} {value} {bounds}", "finding"
    if not one.parts:
        return "no part of it can be told", ""
    part = max(one.parts, key=lambda part: part.ms.value)
    value, bounds = page_ms(part.ms)
    if part.kind == "walk":
        return f"its {write.number(one.nodes)} nodes {value} {bounds}", ""
    if part.kind == "cannot tell":
        fields = f"{len(part.names)} {'field' if len(part.names) == 1 else 'fields'}"
        return f"cannot tell {fields} from the program" if part.names else "cannot tell: no field is known", ""
    return f"{' + '.join(part.names) or part.kind} {value} {bounds}", ""


def costs_table(times: Times) -> Block:
    """What a node and each field cost, with intervals; what cannot be told says so."""
    rows: list[dict[str, Any]] = [
        {"what": _cost_name(part), "ms": stacked(part.ms), "grade": part.ms.grade, "note": _scope(part)}
        for part in times.fleet.costs
        if part.kind != "cannot tell"
    ]
    untold = [name for part in times.fleet.costs if part.kind == "cannot tell" for name in part.names]
    if untold:
        reason = (
            "what reads them reads the same in every version, or would tell nothing if one program had time of its own"
        )
        names = names_of(tuple(dict.fromkeys(untold)))
        rows.append({"what": names, "ms": page.mute("cannot tell"), "note": reason})
    own = sum(one.own_slope for one in times.fleet.splits)
    node = {
        "what": "one node, typical program",
        "ms": write.number(times.fleet.per_node) if math.isfinite(times.fleet.per_node) else page.mute("cannot tell"),
        "note": f"{own} of {len(times.fleet.splits)} programs tell it from their own runs; the others lean on these",
    }
    columns = [
        Column("what", "Cost", role="name"),
        Column("ms", "ms per run", align="right"),
        Column("grade", kind="grade"),
        Column("note", "", role="wide"),
    ]
    return page.table([node, *rows], columns)


def _cost_name(part: Part) -> Markup:
    if part.kind == "rest":
        return Markup("rest of every run")
    name = names_of(part.names)
    return Markup("{} {}").format("built-in", name) if part.kind == "built-in" else name


def _scope(part: Part) -> Inline:
    told: list[Inline] = []
    if part.in_realm:
        told.append(Markup("in {}, unlike elsewhere").format(page.author(realm_name(part.realm), 40)))
    if part.since is not None:
        told.append(f"{', ' if told else ''}since {write.day(part.since)}")
    if len(part.names) > 1:
        told.append(f"{', ' if told else ''}the sum: nothing tells them apart")
    return told


def split_table(rows: Sequence[Mapping[str, Any]], time_limit_ms: float) -> Block:
    """The whole time and the walk's of every strategy; the time limit is about the walk alone."""
    shown = []
    for row in rows:
        one: Split = row["split"]
        walk: Estimate = row["est_walk_ms_p99"]
        reason = why_slow({**row, "blamed": one.blamed}) if row["is_slow"] else None
        shown.append(
            {
                "strategy": strategy_cell({**row, "family_name": row["strategy"]}),
                "took": stacked(one.ms),
                "parts": reason or _parts(one),
                "p99": write.number(row["est_ms_p99"].value),
                "walk": stacked(walk) if math.isfinite(walk.value) else page.mute("cannot tell"),
            }
        )
    columns = [
        Column("strategy", "Strategy", role="name"),
        Column("took", "ms, median", align="right"),
        Column("parts", "of it", role="wide"),
        Column("p99", "ms, p99", align="right"),
        Column("walk", f"walk at p99 of nodes, limit {write.count(time_limit_ms)} ms", align="right"),
    ]
    return page.table(shown, columns)


def _parts(one: Split) -> Markup:
    told = []
    for part in one.parts:
        value = write.number(part.ms.value, part.ms.low, part.ms.high)
        words: Inline = (
            [part.kind, " ", names_of(part.names, "or")] if part.kind == "cannot tell" else names_of(part.names)
        )
        told.append(Markup("{} {}").format(page.inline(words) if part.names else part.kind, value))
    return page.mute(Markup(" · ").join(told))


def facts(times: Times) -> dict[str, Any]:
    """The split for programs, as plain JSON values: ``time_split`` of summary.json."""
    return {
        "ms_per_node": times.fleet.per_node if math.isfinite(times.fleet.per_node) else None,
        "costs": [_plain(part) for part in times.fleet.costs],
        "strategies": [
            {
                "realm": one.key.realm,
                "family": one.key.strategy,
                "version": one.key.version,
                "verdict": one.verdict,
                "ms_p50": one.ms.to_dict(),
                "ms_per_node": one.per_node.to_dict(),
                "walk_ms_p99": row["est_walk_ms_p99"].to_dict(),
                "slow_since": row["slow_since"].isoformat() if row["slow_since"] is not None else None,
                "parts": [_plain(part) for part in one.parts],
            }
            for row in records(times.table)
            if (one := row["split"])
        ],
    }


def _plain(part: Part) -> dict[str, Any]:
    return {
        "kind": part.kind,
        "names": list(part.names),
        "realm": part.realm if part.in_realm else None,
        "in_one_realm": part.in_realm,
        "since": part.since.isoformat() if part.since is not None else None,
        "ms": part.ms.to_dict(),
    }
