"""Everything the package says of a lake: both reports in all their ways, single runs, every named query."""

from __future__ import annotations

import functools
import json
import random
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from analytics import api, sql
from analytics.errors import UnknownNameError, UsageError
from analytics.findings.replay.run_evidence import pieces
from analytics.reports.page.inline import as_json
from analytics.reports.receipt.receipt import of_evidence
from analytics.reports.render.notebooks import notebook_path
from analytics.warehouse.warehouse import Warehouse
from tests.odd import judge
from tests.odd.lakes import Shape, make

Said: TypeAlias = tuple[str, list[str]]
"""Where, and what is wrong there."""
REFUSED = (UsageError, UnknownNameError)
"""What may be answered instead of a report: there is no such strategy, or no run of it."""


def sections(report: str) -> list[str]:
    """Methods that a report's notebook calls, in its order."""
    cells = json.loads(notebook_path(report).read_text(encoding="utf-8"))["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [name for name in re.findall(r"^report\.(\w+)\(\)", source, re.MULTILINE) if name != "summary_block"]


SECTIONS = {report: sections(report) for report in ("runaway_rules", "post_mortem")}


def faults(shape: Shape, *, more: int = 1) -> Iterator[str]:
    """What is wrong with all that is said of a lake of this shape.

    Args:
        shape: Of the lake.
        more: Both reports are asked once; in so many ways more, which the shape's seed chooses.
    """
    with tempfile.TemporaryDirectory() as folder:
        lake = Warehouse(make(shape, Path(folder) / "lake"))
        for where, found in _said(lake, shape, Path(folder), more):
            yield from (f"{where}: {fault}" for fault in found)
        lake.connection.close()


def _said(lake: Warehouse, shape: Shape, folder: Path, more: int) -> Iterator[Said]:
    since, until = shape.asked
    window: dict[str, Any] = {"since": since, "until": until}
    yield from _runaway(lake, "all realms", window, folder / "last.json")
    ways = [
        lambda: _runaway(lake, "once more", {**window, "previous": folder / "last.json"}, folder / "x.json"),
        lambda: _after_another(lake, window, folder),
        lambda: _runaway(lake.scoped(lake.realms[:1]), "one realm", window, folder / "x.json"),
        lambda: _runaway(lake, "to be passed on", {**window, "min_users": 3}, folder / "x.json"),
        lambda: _single_runs(lake),
        lambda: _queries(lake, shape, window),
    ]
    ways += [functools.partial(_post_mortem, lake, shape, number, window) for number in range(len(shape.strategies))]
    chance = random.Random(shape.seed)
    yield from ways.pop(chance.randrange(6, len(ways)))()
    for way in chance.sample(ways, min(more, len(ways))):
        yield from way()


def _after_another(lake: Warehouse, window: dict[str, Any], folder: Path) -> Iterator[Said]:
    """The window before, and then the window itself."""
    since, until = window["since"], window["until"]
    before = {"since": since - (until - since), "until": since}
    yield from _runaway(lake, "the window before", before, folder / "before.json")
    yield from _runaway(lake, "after another", {**window, "previous": folder / "before.json"}, folder / "x.json")


def _runaway(lake: Warehouse, where: str, asked: dict[str, Any], summary: Path) -> Iterator[Said]:
    report = api.runaway_rules(lake, **asked)
    yield from _report(f"runaway_rules, {where}", "runaway_rules", report)
    summary.write_text(as_json(report.summary()), encoding="utf-8")


def _report(where: str, name: str, report: Any) -> Iterator[Said]:
    for section in SECTIONS[name]:
        block = getattr(report, section)()
        yield f"{where}, {section}", judge.faults(str(block.html), block.text)
    yield f"{where}, summary", judge.facts_faults(report.summary())
    yield f"{where}, title", judge.said(report.title)


def _post_mortem(lake: Warehouse, shape: Shape, number: int, window: dict[str, Any]) -> Iterator[Said]:
    """Of one of the strategies, in a way that differs from one to the next."""
    one = shape.strategies[number]
    others = [other for other in shape.strategies if other.realm == one.realm and other != one]
    ways: list[dict[str, Any]] = [
        {},
        {"baseline": "v1"},
        {"baseline": "2026-07-05..2026-07-06"},
        {"min_users": 2},
        {"show_users": True},
        {"against": others[0].strategy_id(1)} if others else {"family": "Nobody knows this", "strategy_id": ""},
    ]
    way = ways[(shape.seed + number) % len(ways)]
    where = f"post_mortem {way}"
    asked = {"strategy_id": one.strategy_id(1), **window, **way}
    try:
        report = api.post_mortem(lake.scoped([one.realm]) if one.realm in lake.realms else lake, **asked)
    except REFUSED as error:
        yield f"{where} refused", judge.said(f"{error} {error.hint or ''}")
    else:
        assert "family" not in way, "an unknown family is reported on"
        yield from _report(where, "post_mortem", report)


def _single_runs(lake: Warehouse) -> Iterator[Said]:
    ids = [row[0] for row in lake.sql("select execution_id from executions order by 1 limit 6").fetchall()]
    for one in pieces(lake, ids):
        told = of_evidence(one)
        yield "explain", [fault for fault in judge.faults(told.document()) if "no number" not in fault]
        json.loads(as_json(told.to_dict()))


def _queries(lake: Warehouse, shape: Shape, window: dict[str, Any]) -> Iterator[Said]:
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
