"""The second headroom: what the validator leaves a program, how many versions that lasts, and what is said of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from analytics.demo import dsl
from analytics.estimates.estimate import NOTHING
from analytics.findings.runaway.finding import LargeProgram, Status, VersionGrowth, VersionMedian
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.program_sizes import ProgramGrowth, StoredProgram, program_growth
from analytics.findings.runaway.thresholds import STANDARD
from analytics.findings.runaway.version_growth import NOWHERE, Ahead, ahead, chains, version_nodes, versions_to_cap
from analytics.lake.lake import Lake
from analytics.program import PublishedSize, Size
from analytics.reports import page
from analytics.reports.page.inline import plain
from analytics.reports.runaway.finding_sentences import sentence
from analytics.reports.runaway.ranking import _with_versions
from analytics.reports.runaway.wording import program_words, versions_ahead
from tests.findings.test_forecast import ladder
from tests.findings.test_runaway import plant, planted_report
from tests.forecast.versions import GAPS, STEPS, held
from tests.reports.test_runaway_words import ONE, define

if TYPE_CHECKING:
    from tests.conftest import Table

DAY = timedelta(days=1)
UNTIL = datetime(2026, 7, 15, tzinfo=UTC)


# ---- versions and days -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "steps", "which"),
    [
        (100, (40, 40, 40), 3),  # 120 is the first above 100
        (120, (40, 40, 40), 4),  # the limit itself may be used up
        (119, (40, 40, 40), 3),
        (16, (90, 90, 90), 1),
        (0, (5, 6), 1),
        (100, (0, 60, 0, 60), 4),
    ],
)
def test_the_first_version_above_the_room_is_named(room: float, steps: tuple[float, ...], which: int) -> None:
    found = ahead(room, steps, 20)
    assert found.versions.value == which
    assert found.versions.low <= which <= found.versions.high
    assert found.days.value == pytest.approx(which * 20 / len(steps))


@pytest.mark.parametrize("steps", [(), (0, 0), (-40, 20), (30, -30)])
def test_what_does_not_grow_leads_nowhere(steps: tuple[float, ...]) -> None:
    assert ahead(100, steps, 20) == NOWHERE


def test_one_step_has_no_interval_and_no_days() -> None:
    found = ahead(100, (40,), 20)
    assert (found.versions.value, found.versions.low, found.versions.high) == (3, 1, math.inf)
    assert found.versions.grade == found.days.grade == "too few"
    assert math.isnan(found.days.value)


def test_steps_that_happen_to_be_alike_are_known_to_half_a_rule() -> None:
    sure, rules = ahead(395, (40, 40, 40), 20).versions, ahead(395, (40, 40, 40), 20, grain=12).versions
    assert (sure.low, sure.high) == (10, 10)
    assert rules.low < 10 < rules.high


def test_a_height_that_is_not_known_widens_the_versions() -> None:
    narrow, wide = ahead(395, (39, 40, 41), 20).versions, ahead(395, (39, 40, 41), 20, above=90, below=90).versions
    assert wide.low < narrow.low and wide.high > narrow.high


@pytest.mark.parametrize("name", STEPS)
def test_versions_and_days_that_are_told_hold_what_comes(name: str) -> None:
    """Nominal 95 %; three standard errors of so many logs are left to chance. The table is in docs/headroom.md."""
    logs = 200
    found = held(STEPS[name], GAPS["at random"], 5, logs, np.random.default_rng(20261130))
    assert min(found.versions, found.days) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / found.logs), found


# ---- programs of a family --------------------------------------------------------------------------------------------


def stored(
    nodes: int, *, day: int, rule: int | None = 6, is_draft: bool = False, back: int | None = None
) -> StoredProgram:
    """A version made two days before ``day`` of July, and published then, unless a rollback did so again."""
    made = datetime(2026, 7, 1, tzinfo=UTC) + (day - 1) * DAY
    counted = PublishedSize(nodes, 4, rule, "")
    published = None if is_draft else made if back is None else made + (back - day) * DAY
    return StoredProgram(Size(500, 500, 4), counted, made - 2 * DAY, published, is_draft)


def ran(**days: tuple[int, int]) -> pd.DataFrame:
    """Rows of nodes_by_day: a version's first and last day of July."""
    rows = [
        ("acme", "Ladder", int(version[1:]), pd.Timestamp(2026, 7, day), 500, 20.0, 12)
        for version, span in days.items()
        for day in span
    ]
    names = ["realm_id", "strategy", "strategy_version", "day", "nodes_executed", "sample_weight", "logged_count"]
    return pd.DataFrame(rows, columns=names)


def of_ladder(programs: list[StoredProgram], counts: pd.DataFrame) -> ProgramGrowth:
    known = {Key("acme", "Ladder", number): one for number, one in enumerate(programs, 1)}
    [found] = program_growth(known, counts, UNTIL, 1000).values()
    return found


def test_a_program_that_grows_is_told_with_its_versions_and_the_time_since_the_first() -> None:
    growing = [stored(700, day=-10), stored(790, day=4), stored(880, day=9)]
    found = of_ladder(growing, ran(v1=(1, 3), v2=(4, 8), v3=(9, 14)))
    assert (found.key.version, found.room, found.nodes) == (3, 120, ((1, 700), (2, 790), (3, 880)))
    assert found.ahead.steps == (90, 90)
    # Version 1 was live before the log begins, so its own row says when: 25 days for two versions, and the second from now.
    assert (found.ahead.versions.value, found.ahead.days.value) == (2, 25)


@pytest.mark.parametrize(
    ("why", "programs", "counts"),
    [
        ("it shrank", [stored(990, day=1), stored(700, day=9)], ran(v1=(1, 8), v2=(9, 14))),
        ("it stayed", [stored(880, day=1), stored(880, day=9)], ran(v1=(1, 8), v2=(9, 14))),
        ("it went back", [stored(700, day=1), stored(880, day=9)], ran(v1=(1, 14), v2=(9, 10))),
        ("its last version added nothing", [stored(700, day=1), stored(880, day=5), stored(880, day=9)],
         ran(v1=(1, 4), v2=(5, 8), v3=(9, 14))),
        ("there is one version", [stored(990, day=1)], ran(v1=(1, 14))),
        ("what is larger is a draft", [stored(700, day=1), stored(880, day=9, is_draft=True)], ran(v1=(1, 14))),
    ],
)  # fmt: skip
def test_a_program_that_does_not_grow_has_no_versions_to_go(
    why: str, programs: list[StoredProgram], counts: pd.DataFrame
) -> None:
    assert of_ladder(programs, counts).ahead == NOWHERE, why


def test_a_rollback_does_not_make_a_version_younger_than_the_one_after_it() -> None:
    """Version 1 was published again on 6 July; version 2's draft is of 2 July, so that was not its first time."""
    again = [stored(700, day=-10, back=6), stored(790, day=4), stored(880, day=9)]
    found = of_ladder(again, ran(v1=(1, 6), v2=(4, 8), v3=(9, 14)))
    assert found.ahead.days.value == 27  # since its row was made, on 18 June


def test_runs_that_grow_by_versions_have_versions_and_days_to_go_as_well() -> None:
    [(_, chain)] = chains(version_nodes(ladder(400, 500, 600, 700))).items()
    until = pd.Timestamp(chain[0].first).to_pydatetime().replace(tzinfo=UTC) + 8 * DAY
    found = versions_to_cap(chain, 1000, until)
    assert found.versions.value == 4  # 100 more each: the third would have 1,000, which is allowed
    assert found.versions.low <= 4 <= found.versions.high
    assert found.days.value == pytest.approx(4 * 8 / 3)


# ---- words -----------------------------------------------------------------------------------------------------------


def large(program: ProgramGrowth, limit_count: int = 0) -> LargeProgram:
    return LargeProgram(
        status=Status.OPEN, growth=program, node_cap=1000.0, is_close=program.nodes[-1][1] >= 900, ok_count=12, nodes_max=548,
        limit_count=limit_count,
    )  # fmt: skip


def own(*nodes: int, rule: int | None = 12, refusal: str = "", exposure: float = 20) -> ProgramGrowth:
    steps = [float(later - before) for before, later in pairwise(nodes)]
    leads = ahead(1000 - nodes[-1], steps, exposure, grain=rule or 0)
    return ProgramGrowth(
        Key("acme", "Ladder", len(nodes)), tuple(enumerate(nodes, 1)), 1000 - nodes[-1], rule, refusal, leads
    )


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (own(984), "has a program that is close to the most that the validator takes: 984 of 1,000 nodes. A next version that "
         "adds more than 16 is refused when it is saved, so it cannot be published; the smallest rule of this program has 12. It "
         "stops no run: the largest of its 12 logged ok runs took 548."),
        (own(1212), "has a program of 1,212 nodes as the validator counts them, and 1,000 is the most it takes: stored past the "
         "validator or under another limit. A next version with more than 1,000 is refused. It stops no run: the largest of its "
         "12 logged ok runs took 548."),
        (own(700, 984), "It grew from version to version: 700 → 984, v1 to v2. Another step like this one is refused; two versions "
         "give no interval, and cannot tell when."),
        (own(600, 760), "Were every step like this one, the 2nd version from now would be the first that is refused; two versions "
         "give no interval"),
        (own(600, 605, 760), "At steps like these the first version that is refused is perhaps the next; when it comes cannot be "
         "said."),
        (own(984, refusal="return stands nowhere"), "As it is stored it is refused already: return stands nowhere."),
    ],
)  # fmt: skip
def test_a_sentence_about_a_program_says_what_is_left_and_no_more_than_its_versions_show(
    program: ProgramGrowth, text: str
) -> None:
    assert text in plain(program_words(large(program)))


def test_what_an_author_called_a_node_cannot_attack_the_page() -> None:
    named = "it holds a node of the unknown type “<script>alert(1)</script>\u202e”"
    html = str(page.inline(program_words(large(own(984, refusal=named)))))
    assert "<script" not in html and "\u202e" not in html
    assert "refused already: <bdi>it holds a node of the unknown type" in html


def test_a_program_of_runs_that_were_stopped_is_not_said_to_stop_none() -> None:
    text = plain(program_words(large(own(984), limit_count=3)))
    assert "That is another limit than the one that stopped runs." in text
    assert "stops no run" not in text


def test_days_too_few_to_be_known_are_a_range_and_others_a_number() -> None:
    few = ahead(16, (90.0, 90.0, 90.0), 20)
    assert versions_ahead(few, "is refused").endswith("days from now if versions come as they did.")
    assert "in about" not in versions_ahead(few, "is refused")
    sure = Ahead(few.steps, few.versions, replace(few.days, value=7.0, low=6.5, high=7.5, grade="good"))
    assert "is the next one, in about 7" in versions_ahead(sure, "is refused")


def test_versions_of_runs_say_what_two_of_them_cannot() -> None:
    [(key, chain)] = chains(version_nodes(ladder(450, 730))).items()
    grown = VersionGrowth(
        status=Status.WORSE, key=key, versions=tuple(VersionMedian(one.key.version, one.median.value) for one in chain),
        median=chain[-1].median, node_cap=1000, next_passes=True, ahead=versions_to_cap(chain, 1000, UNTIL),
    )  # fmt: skip
    told = sentence(grown).striptags()
    assert "One more such step passes the cap of 1,000. When it comes cannot be said of two versions." in told


def test_versions_to_the_cap_stand_below_the_days_where_an_end_can_be_told() -> None:
    days = page.mute("not growing")
    ended = ahead(395, (39.0, 40.0, 41.0), 20).versions
    assert plain(_with_versions(days, ended)) == "not growing10 versions [9 – 11]"
    assert _with_versions(days, ahead(395, (40.0,), 20).versions) == days
    assert _with_versions(days, NOTHING) == days


# ---- the report ------------------------------------------------------------------------------------------------------


def rules(count: int) -> dict[str, Any]:
    """One and six nodes for each rule: it, a comparison of two, a statement and its value."""
    one = dsl.rule(dsl.compare("data.km", ">", 1), dsl.assign(1, "Far"))
    return {"type": "program", "rules": [one] * count}


def test_a_version_close_to_the_validators_count_is_a_finding_of_its_own(table: Table, fresh: Lake) -> None:
    define(table, rules(164), name="Ladder")
    plant(table, 20, strategyId=ONE, nodesExecuted=548)
    table.extract(fresh)
    report = planted_report(fresh)
    [row] = report.table.to_dict("records")
    [found] = report.found
    assert (row["ast_nodes"], row["smallest_rule"], row["ast_refusal"]) == (985, 6, "")
    assert row["ast_headroom"] == pytest.approx(0.015)
    # Its longest run visits the program itself beside what it leaves: 4 entries a rule, and 2 more of the last one.
    assert (row["entries_max"], row["visits_max"]) == (658, 659)
    assert (row["group"], row["headroom"]) == ("program close to the cap", pytest.approx(1 - 548 / (1000 * 658 / 659)))
    assert (found.type, found.number.value) == ("program", 985)
    assert row["est_ast_versions_to_cap"] is NOTHING  # one version says nothing of the next
    assert "985" in report.league().text and "15 left" in report.league().text
    told = report.summary()
    assert told["league"][0]["ast_nodes"] == 985
    assert "985 of 1,000 nodes" in told["findings"][0]["sentence"]
    assert "program near its limit" in report.digest
    json.dumps(told)


def test_the_reports_cap_moves_both_headrooms_and_many_above_it_say_so(table: Table, fresh: Lake) -> None:
    define(table, rules(60), name="Ladder")
    plant(table, 20, strategyId=ONE, nodesExecuted=100)
    table.extract(fresh)
    report = planted_report(fresh, thresholds=replace(STANDARD, node_cap=300))
    [row] = report.table.to_dict("records")
    assert (row["headroom"], row["ast_headroom"]) == (pytest.approx(1 - 100 / (300 * 242 / 243)), 0)
    assert row["ast_refusal"] == "it has 361 nodes, and 300 is the most"
    assert "stored past the validator or under another limit" in report.findings().text
    assert "a program larger than the validator takes" in report.actions().text
    assert "that the report was given another limit than the engine has" in report.league().html
