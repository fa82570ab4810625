"""A tenant who means harm: what the log can hold must neither stop the report and `explain` nor reach a page as markup."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from analytics import api
from analytics.findings.evidence import definition, pieces
from analytics.stories.explained import of_evidence
from analytics.warehouse import Warehouse

if TYPE_CHECKING:
    from conftest import Table

    from analytics.lake import Lake

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
NASTY = MARKUP + "\u202e\x07\x1b[31m\n-- \n;" + "é" * 20
LONG = MARKUP + "x" * 5_000
HUGE = "9" * 300
INVISIBLE = re.compile("[\u202e\x07\x1b]")
FORBIDDEN = re.compile(f"<script>alert|<img src=x|{INVISIBLE.pattern}")
SECTIONS = (
    "head", "strip", "key", "since", "changed", "why", "runs_explained", "how_much", "who", "failures", "actions", "sure",
)  # fmt: skip


def ladder(amount: Any, identifier: Any = MARKUP) -> dict[str, Any]:
    """A rule that pays what a client sent, times a literal."""
    path, seen = f"data.{NASTY}", {"type": "literal", "value": amount}
    paid = {"type": "arith", "op": "*", "left": {"type": "field", "path": path, "id": identifier}, "right": seen}
    pay = {"type": "assign_points", "value": paid, "case_name": NASTY, "id": identifier}
    call = {"type": "set_callback_data", "key": LONG, "value": {"type": "literal", "value": LONG}, "id": None}
    always = {"type": "literal", "value": LONG, "id": identifier}
    return {"rules": [{"id": identifier, "when": always, "then": [call, pay]}]}


def trace(amount: Any, value: str, points: str, identifier: Any = MARKUP) -> str:
    """What that program leaves, as JSON text; numbers of any length."""

    def entry(node: Any, kind: str, found: str, branch: str | None = None) -> str:
        at = "" if branch is None else f', "branch": {json.dumps(branch)}'
        return f'{{"nodeId": {json.dumps(node)}, "type": "{kind}", "value": {found}{at}}}'

    entries = (
        entry(identifier, "literal", json.dumps(LONG)),
        entry(identifier, "rule", "true", "match"),
        entry("X", "literal", json.dumps(LONG)),
        entry(None, "set_callback_data", json.dumps(LONG)),
        entry(identifier, "field", value),
        entry("X", "literal", json.dumps(amount)),
        entry("X", "arith", points),
        entry(identifier, "assign_points", points, "match"),
    )
    return f"[{', '.join(entries)}]"


ODD_PROGRAMS: list[Any] = [
    {"rules": {"a": 1}},
    {"rules": [None, 3, "x", {"when": [], "then": 5, "else_if": 7, "else": "no"}]},
    {"rules": [{"when": {"type": "compare", "op": ["<"], "left": [], "right": None}, "then": [{"type": ["veto"]}]}]},
    {"pre_rules": 3, "post_rules": [{"when": {"type": "and", "args": 3}, "then": []}], "default": [[[]]]},
    {"rules": [{"when": {"type": "func_call", "name": {}, "args": [[]]}, "then": [{"type": "assign_points"}]}]},
    {
        "rules": [{"when": {"type": "field", "path": {"a": []}}, "then": []}],
        "default": {"type": "assign_points", "value": 5},
    },
    [1, 2, 3],
    "text",
]
ODD_TRACES = [
    "null", "[]", "{}", "3", '"text"', "[null, 3, []]", '[{"nodeId": [1], "type": {"a": 1}, "value": {"nodeId": "x"}}]',
    '[{"type": "rule", "branch": "elseif:99999999999999999999"}]', f'[{{"nodeId": "a", "type": "field", "value": {HUGE}}}]',
    '[{"nodeId": "a", "type": "assign_points", "value": [[[]]], "branch": "match", "extra": 1}]',
]  # fmt: skip
ODD_POINTS = ("NaN", "Infinity", "-Infinity", "1e300", "-9007199254740993", None, "0.1")


def test_nothing_a_log_can_hold_stops_the_report_or_explain_or_reaches_a_page_as_markup(
    table: Table, fresh: Lake
) -> None:
    ids: list[str] = []
    versions = [ladder(2), ladder(20), *ODD_PROGRAMS]
    for number, program in enumerate(versions, 1):
        table.execute(
            'insert into strategydefinition (id, "realmId", name, type, "astJson", version, status) '
            "values (gen_random_uuid(), %s, %s, 'DSL_FULL', %s, %s, 'PUBLISHED')",
            (NASTY, NASTY, json.dumps(program), number),
        )
    of = dict(table.execute("select version, id::text from strategydefinition"))
    minute = itertools.count()

    def add(version: int, **columns: Any) -> None:
        at = next(minute)
        known = {
            "strategyId": of[version],
            "strategyVersion": version,
            "realmId": NASTY,
            "externalUserId": f"{NASTY}{at % 7}",
            "externalGameId": LONG,
            "externalTaskId": NASTY,
            "created_at": f"2026-07-0{7 + at // 1440} {at // 60 % 24:02}:{at % 60:02}:00+00",
        }
        ids.append(table.insert(**{**known, **columns}))

    for number in range(60):
        version, value = (1, 2) if number < 30 else (2, 20), number % 5 + 1
        paid = str(version[1] * value)
        add(version[0], points=paid, caseName=NASTY, trace=trace(version[1], str(value), paid), nodesExecuted=8)
    for version in range(3, len(versions) + 1):
        for text, points in zip(ODD_TRACES, itertools.cycle(ODD_POINTS), strict=False):
            add(version, trace=text, points=points, caseName=LONG)
    for status, text in itertools.product(("error", "timeout", "limit", MARKUP), ("null", trace(20, "1", "3"))):
        add(2, status=status, errorCode=NASTY, trace=text, points=None, caseName=None, sampled=False, nodesExecuted=0)
    for value in (HUGE, "-" + HUGE, '"' + "y" * 5_000 + '"', "[1, [2]]", '{"nodeId": "n"}', "null", "1e308", "true"):
        add(2, trace=trace(20, value, value), points="NaN", caseName=None, notes="trace truncated: 512 -> 8 entries")
    add(2, trace=None, points=None, caseName=None)  # a cancelled run
    for number in range(5):
        add(2, trace=trace(20, HUGE, HUGE), points="1e299" if number else "-1e299", caseName=NASTY, nodesExecuted=8)
    table.extract(fresh, "2026-07-07", "2026-07-09")

    lake = Warehouse(fresh)
    kinds = set()
    for until, baseline in (("2026-07-09", ""), ("2026-07-09", "v1"), ("2026-07-07 01:00", "v1")):
        report = api.post_mortem(lake, realm=NASTY, family=NASTY, since="2026-07-07", until=until, baseline=baseline)
        kinds.add(report.summary()["kind"])
        assert len(json.dumps(report.summary(), allow_nan=False)) < 200_000
        assert not INVISIBLE.search(report.verdict.text)
        for name in SECTIONS:
            assert not FORBIDDEN.search(str(getattr(report, name)().html)), name
    assert "version" in kinds, kinds
    other = definition(lake, of[1], 1)
    found = pieces(lake, ids)
    assert len(found) == len(ids)
    for one in found:
        told = of_evidence(one, other=other, label="Version 1")
        assert not FORBIDDEN.search(told.document())
        assert not INVISIBLE.search(told.text())
        json.dumps(told.to_dict(), allow_nan=False)
