"""What one page says of timeouts, caps and versions, the other says too: rows planted by hand, the truth known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from analytics import api
from analytics.findings.runaway.finding import LimitHits
from analytics.lake.lake import Lake
from analytics.reports.post_mortem.failing import timeouts_from
from tests.simulated import run_row

if TYPE_CHECKING:
    from tests.conftest import Table

SINCE, UNTIL = "2026-07-09", "2026-07-10"
LIMIT = {"status": "limit", "errorCode": "DSL_LIMIT_EXCEEDED", "points": None, "caseName": None, "trace": "null"}


def ok_runs(table: Table, strategy: str, *, nodes: int, every: str = "5 minutes", version: int = 1) -> None:
    """Ok runs of the three days to the end of the window."""
    table.execute(
        """insert into strategyexecutionlog (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId",
             "externalUserId", status, points, "caseName", "durationMs", "nodesExecuted", trace, sampled)
           select gen_random_uuid(), at, at, %s, %s, 'DSL_FULL', 'acme', 'u1', 'ok', 5, 'Case', 3, %s, 'null'::jsonb, true
             from generate_series('2026-07-07 00:02+00'::timestamptz, '2026-07-09 23:59+00', %s::interval) as at""",
        (strategy, version, nodes, every),
    )


def timeouts(table: Table, strategy: str) -> None:
    """Eighteen bursts of five timeouts within twenty seconds, one burst every six minutes."""
    late = {
        **LIMIT,
        "status": "timeout",
        "errorCode": "DSL_TIMEOUT",
        "durationMs": 900,
        "nodesExecuted": 0,
        "sampled": False,
    }
    table.insert_all(
        run_row(**late, strategyId=strategy, created_at=at + timedelta(minutes=6 * burst, seconds=4 * run))
        for at in [datetime(2026, 7, 9, 10, tzinfo=UTC)]
        for burst in range(18)
        for run in range(5)
    )


def pages(table: Table, lake: Lake, strategy: str = "s1") -> tuple[Any, Any]:
    """Post-mortem and runaway rules of the same window."""
    table.extract(lake)
    asked = {"since": SINCE, "until": UNTIL}
    return (
        api.post_mortem(str(lake.root), realm="acme", strategy_id=strategy, **asked),
        api.runaway_rules(str(lake.root), previous="none", **asked),
    )


# ---- a stall is a stall on both pages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "others", "says"),
    [
        # Alone in the log: whether the loop or the rules stood still is seen from how long its runs are, if at all.
        (900, [], "its runs are long, so its rules may be the cause; a stalled event loop is not excluded"),
        (12, [], "a stalled event loop or its rules"),
        # Others ran in these minutes, and none of them timed out.
        (12, ["ran"], "others ran meanwhile without timing out, so its rules may be the cause"),
    ],
)
def test_timeouts_of_one_strategy_have_one_cause_on_both_pages(
    nodes: int, others: list[str], says: str, table: Table, fresh: Lake
) -> None:
    ok_runs(table, "s1", nodes=nodes)
    timeouts(table, "s1")
    for other in others:
        ok_runs(table, other, nodes=40, every="1 minute")
    mortem, runaway = pages(table, fresh)
    cause = mortem.inquiry.incident.timeouts
    assert mortem.inquiry.incident.code == "DSL_TIMEOUT"
    assert says in timeouts_from(cause)
    for text in (mortem.verdict.text, mortem.actions().html, runaway.findings().text):
        assert timeouts_from(cause) in text
    assert "outside the rules" not in mortem.actions().text


def test_strategies_that_time_out_together_are_a_stall_on_both_pages(table: Table, fresh: Lake) -> None:
    for strategy in ("s1", "s2", "s3", "s4"):
        ok_runs(table, strategy, nodes=900 if strategy == "s1" else 12)
        timeouts(table, strategy)
    mortem, runaway = pages(table, fresh)
    assert "4 strategies timed out together: likely a stalled event loop, not its rules." in mortem.verdict.text
    assert "Find what held the event loop" in mortem.actions().text
    assert "Likely a stalled event loop" in runaway.findings().text
    for text in (mortem.verdict.text, mortem.actions().text, runaway.findings().text):
        assert "may be the cause" not in text


# ---- caps ------------------------------------------------------------------------------------------------------------


def nested(deep: int) -> dict[str, Any]:
    """A program whose one condition is so many times negated."""
    when: dict[str, Any] = {"type": "literal", "value": True}
    for _ in range(deep):
        when = {"type": "not", "arg": when}
    then = [{"type": "assign_points", "value": {"type": "literal", "value": 5}, "case_name": "Case"}]
    return {"rules": [{"id": "r", "when": when, "then": then}]}


def define(table: Table, strategy: str, version: int, ast: dict[str, Any]) -> None:
    table.define(ast, id=strategy, created_at="now", updated_at="now", name="Ladder", version=version)


def limits(table: Table, strategy: str, version: int, day: int, count: int) -> None:
    with table.at_once() as rows:
        for number in range(count):
            at = f"2026-07-{day:02} 12:{number:02}:00+00"
            rows.insert(
                **LIMIT, strategyId=strategy, strategyVersion=version, created_at=at, nodesExecuted=0, sampled=False
            )


ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


@pytest.mark.parametrize(("deep", "lowered"), [(45, False), (5, True)])
def test_what_is_nested_deeper_than_the_cap_is_no_lowered_limit(
    deep: int, lowered: bool, table: Table, fresh: Lake
) -> None:
    define(table, ONE, 1, nested(deep))
    ok_runs(table, ONE, nodes=6)
    limits(table, ONE, 1, 9, 30)
    # While it was stopped nothing as large passed as at other times: at the nodes alone a lower cap could be thought of.
    table.execute(
        """update strategyexecutionlog set "nodesExecuted" = 2
            where status = 'ok' and created_at between '2026-07-09 12:00+00' and '2026-07-09 12:30+00'"""
    )
    mortem, runaway = pages(table, fresh, ONE)
    told = runaway.findings().text
    assert ("a limit may have been lowered" in told) is lowered
    assert ("validation should have refused it" in told) is not lowered
    assert mortem.inquiry.incident.code == "DSL_LIMIT_EXCEEDED"
    assert (
        "deep, above the engine's cap of 32: validation should have refused it" in mortem.verdict.text
    ) is not lowered


def test_not_the_first_time_counts_the_same_version_only(table: Table, fresh: Lake) -> None:
    define(table, ONE, 1, nested(5))
    define(table, TWO, 2, nested(5))
    for strategy, version in ((ONE, 1), (TWO, 2)):
        ok_runs(table, strategy, nodes=6, version=version)
    limits(table, ONE, 1, 8, 7)
    limits(table, ONE, 1, 9, 4)
    limits(table, TWO, 2, 9, 5)
    _, runaway = pages(table, fresh, ONE)
    told = {finding.key.version: finding.past for finding in runaway.found if isinstance(finding, LimitHits)}
    assert {version: (past.previous_count, past.other_versions_count) for version, past in told.items()} == {
        1: (7, 0),
        2: (0, 7),
    }
    text = runaway.findings().text
    assert text.count("Not the first time: 7 runs in the days before.") == 1
    assert text.count("Of this version it is the first time; of others of it, 7 runs in the days before.") == 1
