"""Everything the package says of a lake: both reports in all their ways, single runs, every named query."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from analytics import api, sql
from analytics.errors import UnknownNameError, UsageError
from analytics.findings.evidence import pieces
from analytics.page.text import as_json
from analytics.report_notebooks import notebook_path
from analytics.stories.explained import of_evidence
from analytics.warehouse import Warehouse
from tests.odd import judge
from tests.odd.lakes import Shape, make

REFUSED = (UsageError, UnknownNameError)
"""What may be answered instead of a report: there is no such strategy, or no run of it."""


def sections(report: str) -> list[str]:
    """Methods that a report's notebook calls, in its order."""
    cells = json.loads(notebook_path(report).read_text(encoding="utf-8"))["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [name for name in re.findall(r"^report\.(\w+)\(\)", source, re.MULTILINE) if name != "summary_block"]


SECTIONS = {report: sections(report) for report in ("runaway_rules", "post_mortem")}


def faults(shape: Shape, *, is_whole: bool = True) -> Iterator[str]:
    """What is wrong with all that is said of a lake of this shape.

    Args:
        shape: Of the lake.
        is_whole: All ways to ask; without it the two reports once each.
    """
    with tempfile.TemporaryDirectory() as folder:
        lake = Warehouse(make(shape, Path(folder) / "lake"))
        for where, found in _said(lake, shape, Path(folder), is_whole):
            yield from (f"{where}: {fault}" for fault in found)
        lake.connection.close()


def _said(lake: Warehouse, shape: Shape, folder: Path, is_whole: bool) -> Iterator[tuple[str, list[str]]]:
    since, until = shape.asked
    window: dict[str, Any] = {"since": since, "until": until}
    yield from _runaway(lake, "all realms", window, folder / "last.json")
    if is_whole:
        before = {"since": since - (until - since), "until": since}
        yield from _runaway(lake, "the window before", before, folder / "before.json")
        for name in ("last", "before"):
            yield from _runaway(lake, f"after {name}", {**window, "previous": folder / f"{name}.json"}, folder / "x.json")
        for realm in lake.realms[:2]:
            yield from _runaway(lake.scoped([realm]), f"realm {realm!a}", window, folder / "x.json")
        yield from _runaway(lake, "to be passed on", {**window, "min_users": 3}, folder / "x.json")
    yield from _post_mortems(lake, shape, window, is_whole)
    if is_whole:
        yield from _single_runs(lake)
        yield from _queries(lake, shape, window)


def _runaway(lake: Warehouse, where: str, asked: dict[str, Any], summary: Path) -> Iterator[tuple[str, list[str]]]:
    report = api.runaway_rules(lake, **asked)
    yield from _report(f"runaway_rules, {where}", "runaway_rules", report)
    summary.write_text(as_json(report.summary()), encoding="utf-8")


def _report(where: str, name: str, report: Any) -> Iterator[tuple[str, list[str]]]:
    for section in SECTIONS[name]:
        block = getattr(report, section)()
        yield f"{where}, {section}", judge.faults(str(block.html), block.text)
    yield f"{where}, summary", judge.facts_faults(report.summary())
    yield f"{where}, title", judge.said(report.title)


def _post_mortems(
    lake: Warehouse, shape: Shape, window: dict[str, Any], is_whole: bool
) -> Iterator[tuple[str, list[str]]]:
    strategies = list(shape.strategies) if is_whole else list(shape.strategies)[:1]
    realms = set(lake.realms)
    for number, one in enumerate(strategies):
        if one.realm not in realms:
            continue  # not one run of it
        scoped = lake.scoped([one.realm])
        asked = {"strategy_id": one.strategy_id(1), **window}
        ways: list[dict[str, Any]] = [{}]
        if is_whole:
            others = [other for other in shape.strategies if other.realm == one.realm and other != one]
            more = [{"baseline": "v1"}, {"baseline": "2026-07-05..2026-07-06"}, {"show_users": True, "min_users": 1}]
            more += [{"against": others[0].strategy_id(1)}] if others else []
            ways += [{}, more[number % len(more)], *more[3:]][1:]
        for way in ways:
            report = _or_refused(lambda scoped=scoped, asked=asked, way=way: api.post_mortem(scoped, **asked, **way))
            if isinstance(report, str):
                yield f"post_mortem {number} {way} refused", judge.said(report)
            else:
                yield from _report(f"post_mortem {number} {way}", "post_mortem", report)
    told = _or_refused(lambda: api.post_mortem(lake, family="Nobody knows this", **window))
    assert isinstance(told, str), "an unknown family is reported on"
    yield "post_mortem of nobody", judge.said(told)


def _or_refused(build: Callable[[], Any]) -> Any:
    try:
        return build()
    except REFUSED as error:
        return f"{error} {error.hint or ''}"


def _single_runs(lake: Warehouse) -> Iterator[tuple[str, list[str]]]:
    ids = [row[0] for row in lake.sql("select execution_id from executions order by 1 limit 6").fetchall()]
    for one in pieces(lake, ids):
        told = of_evidence(one)
        yield "explain", [fault for fault in judge.faults(told.document()) if "no number" not in fault]
        json.loads(as_json(told.to_dict()))


def _queries(lake: Warehouse, shape: Shape, window: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    one = shape.strategies[0]
    known = {
        **window, "strategy": one.strategy_id(1), "version": 1, "realm": one.realm, "any_realm": True, "family": one.name,
        "strategy_ids": [one.strategy_id(1)], "tag": "arm", "digits": 3, "executions": [], "prefix": "a",
    }  # fmt: skip
    for name in sql.names("queries"):
        wanted = sql.parameters(sql.text("queries", name))
        for given in ({}, {key: known[key] for key in wanted if key in known}):
            lake.run(name, **given)
    yield "check", [str(one) for one in lake.check() if one.name == "ledger_agrees_with_files" and not one.passed]
