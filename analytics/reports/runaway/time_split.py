"""Rules or fields: the section of the runaway report that says where the time of a run goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from analytics.findings.timing.time_split import TimePart, TimePartKind, TimeSplit, Verdict
from analytics.findings.timing.version_times import ROWS, Times, VersionTime
from analytics.reports import charts, page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import named, names_of, page_ms, part_name, why_slow
from analytics.reports.runaway.ranking import stacked, version_cell
from analytics.reports.runaway.wording import labels

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
    versions = times.versions
    if not versions:
        return page.section("fields", question, how, f"Cannot tell: no strategy has {ROWS} logged ok runs.")
    # Where clocks say 0 for every run there is no time to split, and a picture would have no bar.
    is_timed = any(part.ms.value > 0 for version in versions for part in version.split.parts)
    drawn = _picture(versions) if is_timed else None
    shown = drawn or page.note("No picture: no part of any run's time can be told.")
    body: list[Inline | Block] = [shown, page.fold("Milliseconds per node and per field", costs_table(times)),
            page.fold("Every strategy, and what the time limit covers", split_table(versions, time_limit_ms))]  # fmt: skip
    return page.section("fields", question, how, answer(versions), body)


def answer(versions: Sequence[VersionTime]) -> Inline:
    """Who is slow because of what, in a sentence for each reason."""
    words: list[Inline] = []
    for alike in _by_reason(versions):
        split, is_one = alike[0], len(alike) == 1
        names = _listed([named(one.key) for one in alike[:_NAMED]], len(alike) - _NAMED)
        verb, their = ("is", "its") if is_one else ("are", "their")
        words += [" "] if words else []
        match split.verdict:
            case Verdict.RULES:
                words += [names, f" {verb} slow because of {their} nodes."]
            case Verdict.UNCLEAR:
                take = "takes" if is_one else "take"
                words += [names, f" {take} long, and the log cannot tell whether {their} nodes explain it."]
            case Verdict.CANNOT_TELL:
                words += [names, f" {verb} slow, and the log cannot tell why."]
            case Verdict.FIELD | Verdict.BUILT_IN:
                words += [names, f" {verb} slow because of ", part_name(split.blamed[0], with_realm=True), "."]
            case Verdict.FINE:
                continue
            case _:
                assert_never(split.verdict)
    if not words:
        return "No strategy is slow: none takes much more than the others, or than its nodes explain."
    return words


def _by_reason(versions: Sequence[VersionTime]) -> list[list[TimeSplit]]:
    """Versions that are slow for the same reason, in the order of the first of each."""
    found: dict[tuple[str, ...], list[TimeSplit]] = {}
    for version in versions:
        split = version.split
        if split.verdict is Verdict.FINE:
            continue
        reason: tuple[str, ...] = (split.verdict,)
        if split.verdict in (Verdict.FIELD, Verdict.BUILT_IN):
            part = split.blamed[0]
            reason = (part.kind, *part.names, repr(part.in_realm and part.realm))
        found.setdefault(reason, []).append(split)
    return list(found.values())


def _listed(names: Sequence[Markup], more: int) -> Markup:
    if more > 0:
        return Markup("{} and {} more").format(Markup(", ").join(names), more)
    return names[0] if len(names) == 1 else Markup("{} and {}").format(Markup(", ").join(names[:-1]), names[-1])


def _picture(versions: Sequence[VersionTime]) -> Markup:
    import pandas as pd

    notable = [version for version in versions if version.split.verdict is not Verdict.FINE]
    fine = [version for version in versions if version.split.verdict is Verdict.FINE]
    others = sorted(fine, key=lambda version: -version.time_share)
    shown = [version.split for version in (*notable, *others)][: max(SHOWN, min(len(notable), 2 * SHOWN))]
    names = labels(split.key for split in shown)
    parts = []
    for split in shown:
        note, role = _note(split)
        common = {
            "label": names[split.key], "total": split.ms.value, "total_low": split.ms.low, "total_high": split.ms.high,
            "note": note, "role": role,
        }  # fmt: skip
        for part in split.parts:
            kind = "blamed" if part in split.blamed and part.kind is TimePartKind.FIELD else part.kind.value
            parts.append({**common, "kind": kind, "name": " + ".join(part.names), "ms": part.ms.value})
    frame = pd.DataFrame(parts)
    notes = "; ".join(f"{names[split.key]}: {_note(split)[0]}" for split in shown)
    alt = f"Milliseconds per run split into walk, fields and rest for {len(shown)} strategies. {notes}"
    return charts.responsive(lambda width: charts.time_split(frame, width=width), "fields", alt)


def _note(split: TimeSplit) -> tuple[str, str]:
    """What to know about one strategy's bar: the part that matters most."""
    if split.verdict is Verdict.CANNOT_TELL:
        return "cannot tell why it is slow", "finding"
    if split.verdict is Verdict.UNCLEAR:
        return "cannot tell whether its nodes explain it", ""
    if split.verdict in (Verdict.FIELD, Verdict.BUILT_IN):
        part = split.blamed[0]
        value, bounds = page_ms(part.ms)
        return f"{' + '.join(part.names)} {value} {bounds}", "finding"
    if not split.parts:
        return "no part of it can be told", ""
    part = max(split.parts, key=lambda part: part.ms.value)
    value, bounds = page_ms(part.ms)
    if part.kind is TimePartKind.WALK:
        return f"its {write.number(split.nodes)} nodes {value} {bounds}", ""
    if part.kind is TimePartKind.CANNOT_TELL:
        fields = f"{len(part.names)} {'field' if len(part.names) == 1 else 'fields'}"
        return f"cannot tell {fields} from the program" if part.names else "cannot tell: no field is known", ""
    return f"{' + '.join(part.names) or part.kind} {value} {bounds}", ""


def costs_table(times: Times) -> Block:
    """What a node and each field cost, with intervals; what cannot be told says so."""
    rows: list[dict[str, object]] = [
        {"what": _cost_name(part), "ms": stacked(part.ms), "grade": part.ms.grade, "note": _scope(part)}
        for part in times.fleet.costs
        if part.kind is not TimePartKind.CANNOT_TELL
    ]
    untold = [name for part in times.fleet.costs if part.kind is TimePartKind.CANNOT_TELL for name in part.names]
    if untold:
        reason = (
            "what reads them reads the same in every version, or would tell nothing if one program had time of its own"
        )
        names = names_of(tuple(dict.fromkeys(untold)))
        rows.append({"what": names, "ms": page.mute("cannot tell"), "note": reason})
    own_slopes = sum(one.own_slope for one in times.fleet.splits)
    node = {
        "what": "one node, typical program",
        "ms": write.number(times.fleet.per_node) if math.isfinite(times.fleet.per_node) else page.mute("cannot tell"),
        "note": f"{own_slopes} of {len(times.fleet.splits)} programs tell it from their own runs; the others lean on these",
    }
    columns = [
        Column("what", "Cost", role="name"),
        Column("ms", "ms per run", align="right"),
        Column("grade", kind="grade"),
        Column("note", "", role="wide"),
    ]
    return page.table([node, *rows], columns)


def _cost_name(part: TimePart) -> Markup:
    if part.kind is TimePartKind.REST:
        return Markup("rest of every run")
    name = names_of(part.names)
    return Markup("{} {}").format("built-in", name) if part.kind is TimePartKind.BUILT_IN else name


def _scope(part: TimePart) -> Inline:
    words: list[Inline] = []
    if part.in_realm:
        words.append(Markup("in {}, unlike elsewhere").format(page.author(realm_name(part.realm), 40)))
    if part.since is not None:
        words.append(f"{', ' if words else ''}since {write.day(part.since)}")
    if len(part.names) > 1:
        words.append(f"{', ' if words else ''}the sum: nothing tells them apart")
    return words


def split_table(versions: Sequence[VersionTime], time_limit_ms: float) -> Block:
    """The whole time and the walk's of every strategy; the time limit is about the walk alone."""
    shown = [
        {
            "strategy": version_cell(version.key),
            "took": stacked(version.split.ms),
            "parts": why_slow(version) if version.is_slow else _parts(version.split),
            "p99": write.number(version.ms_p99.value),
            "walk": stacked(version.walk_ms_p99)
            if math.isfinite(version.walk_ms_p99.value)
            else page.mute("cannot tell"),
        }
        for version in versions
    ]
    columns = [
        Column("strategy", "Strategy", role="name"),
        Column("took", "ms, median", align="right"),
        Column("parts", "of it", role="wide"),
        Column("p99", "ms, p99", align="right"),
        Column("walk", f"walk at p99 of nodes, limit {write.count(time_limit_ms)} ms", align="right"),
    ]
    return page.table(shown, columns)


def _parts(one: TimeSplit) -> Markup:
    shown = []
    for part in one.parts:
        value = write.number(part.ms.value, part.ms.low, part.ms.high)
        words: Inline = (
            [part.kind, " ", names_of(part.names, "or")]
            if part.kind is TimePartKind.CANNOT_TELL
            else names_of(part.names)
        )
        shown.append(Markup("{} {}").format(page.inline(words) if part.names else part.kind, value))
    return page.mute(Markup(" · ").join(shown))


def facts(times: Times) -> dict[str, object]:
    """The split for programs, as plain JSON values: ``time_split`` of summary.json."""
    return {
        "ms_per_node": times.fleet.per_node if math.isfinite(times.fleet.per_node) else None,
        "costs": [_plain(part) for part in times.fleet.costs],
        "strategies": [
            {
                "realm": version.key.realm,
                "family": version.key.strategy,
                "version": version.key.version,
                "verdict": version.split.verdict.value,
                "ms_p50": version.split.ms.to_dict(),
                "ms_per_node": version.split.per_node.to_dict(),
                "walk_ms_p99": version.walk_ms_p99.to_dict(),
                "slow_since": version.slow_since.isoformat() if version.slow_since is not None else None,
                "parts": [_plain(part) for part in version.split.parts],
            }
            for version in times.versions
        ],
    }


def _plain(part: TimePart) -> dict[str, object]:
    return {
        "kind": part.kind.value,
        "names": list(part.names),
        "realm": part.realm if part.in_realm else None,
        "in_one_realm": part.in_realm,
        "since": part.since.isoformat() if part.since is not None else None,
        "ms": part.ms.to_dict(),
    }
