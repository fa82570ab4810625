"""Programs have a history: what ran is kept when a version is edited in place, and when its tenant gets another name."""

from __future__ import annotations

import json
from typing import Any

from analytics import open_lake
from analytics.estimates.sampling_rates import Rates
from analytics.extraction.privacy.policy import Policy, PseudonymKey
from analytics.findings.replay.replay_run import replay_share
from analytics.findings.runaway.program_sizes import program_sizes
from analytics.lake.lake import Lake
from analytics.operations.erase import erase
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table
from tests.extracting import extract

ID, OTHER = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
WINDOW = Window.parse("2026-07-08", "2026-07-10")


def program(points: Any) -> dict[str, Any]:
    """Pays this much, whatever happens."""
    value = {"id": "v", "type": "literal", "value": points}
    rule = {
        "id": "r",
        "when": {"id": "w", "type": "literal", "value": True},
        "then": [{"id": "a", "type": "assign_points", "value": value, "case_name": "C"}],
    }
    return {"rules": [rule]}


def trace(points: Any) -> str:
    """What it leaves."""
    return json.dumps(
        [
            {"nodeId": "w", "type": "literal", "value": True},
            {"nodeId": "r", "type": "rule", "branch": "match", "value": True},
            {"nodeId": "v", "type": "literal", "value": points},
            {"nodeId": "a", "type": "assign_points", "branch": "match", "value": points},
        ]
    )


def define(table: Table, points: Any, realm: str | None = "acme", strategy: str = ID) -> None:
    table.define(program(points), id=strategy, realmId=realm, name="Fam", createdBy="author-of-it")


def ran(table: Table, points: Any, **columns: Any) -> str:
    return table.insert(
        strategyId=columns.pop("strategyId", ID),
        points=points,
        caseName="C",
        nodesExecuted=4,
        trace=trace(points),
        **columns,
    )


def edit(table: Table, points: Any) -> None:
    table.execute('update strategydefinition set "astJson" = %s', [json.dumps(program(points))])


def test_runs_are_explained_by_the_program_that_gives_them_again(table: Table, fresh: Lake) -> None:
    define(table, 15)
    early = ran(table, 15)
    table.extract(fresh)
    edit(table, 12)
    middle = ran(table, 12, created_at="2026-07-08 13:00+00")
    notes = table.extract(fresh).notes
    assert [note for note in notes if "edited in place" in note] == [
        "1 version of programs (Fam v1) was edited in place at the source since the last extraction; the program before is kept, "
        "and a run is explained by the one that gives it again"
    ]
    edit(table, 11)
    late = ran(table, 11, created_at="2026-07-08 14:00+00")
    table.extract(fresh)
    assert table.extract(fresh).notes == []
    lake = open_lake(fresh.root)
    for run, points, is_past in ((early, 15, True), (middle, 12, True), (late, 11, False)):
        told = lake.explain(run).to_dict()
        assert told["replay"]["verdict"] == "reproduced"
        assert told["run"]["points"] == points
        assert any("edited in place after this run" in note for note in told["notes"]) == is_past
        assert (told["simulate"]["body"] is None) == is_past
    assert lake.sql("select count(*)::int, count(distinct strategy_id)::int from definitions").fetchall() == [(1, 1)]
    assert [
        json.loads(text)["rules"][0]["then"][0]["value"]["value"]
        for text in lake.run("past_programs", strategy=ID, version=1)["ast_json"]
    ] == [12, 15]
    rows = lake.sql("select execution_id, created_at, status from executions order by created_at").df()
    share = replay_share(lake, rows)
    assert (share.looked_at, share.reproduced, share.unfit, share.edited) == (3, 3, 2, 2)
    assert "2 ran before their version was edited in place" in str(share)
    unlike = ran(table, 99, created_at="2026-07-08 15:00+00")
    table.extract(fresh)
    assert "not the program that ran" in str(open_lake(fresh.root).explain(unlike).to_dict()["notes"])


def test_a_program_whose_json_is_only_spelled_otherwise_or_whose_status_changes_was_not_edited(
    table: Table, fresh: Lake
) -> None:
    table.execute('alter table strategydefinition alter "astJson" type json')
    define(table, 15)
    table.extract(fresh)
    table.execute(
        "update strategydefinition set \"astJson\" = %s, status = 'ARCHIVED'",
        [json.dumps(program(15), indent=2)],
    )
    assert table.extract(fresh).notes == []
    assert fresh.files("program_history") == []


def test_a_renamed_tenant_keeps_the_programs_of_its_old_runs(table: Table, fresh: Lake) -> None:
    define(table, 15, realm="old")
    run = ran(table, 15, realmId="old")
    table.extract(fresh)
    table.execute("update strategydefinition set \"realmId\" = 'new'")
    assert any("moved to another realm" in note for note in table.extract(fresh).notes)
    ran(table, 15, realmId="new", created_at="2026-07-08 13:00+00")
    assert table.extract(fresh).notes == []
    old, everything = open_lake(fresh.root, realm="old"), Warehouse(fresh)
    assert {key.realm for key in program_sizes(everything)} == {"old", "new"}
    question = "select realm_id, family_name, is_deleted from definitions"
    assert old.sql(question).fetchall() == [("old", "Fam", True)]
    assert open_lake(fresh.root, realm="new").sql(question).fetchall() == [("new", "Fam", False)]
    assert everything.sql(question).fetchall() == [("new", "Fam", False)]
    for lake in (old, everything):
        assert lake.sql("select count(*)::int from definition_nodes").fetchall() == [(4,)]
        assert lake.sql("select distinct family_name from strategy_days").fetchall() == [("Fam",)]
    assert old.explain(run).to_dict()["replay"]["verdict"] == "reproduced"
    assert [one.name for one in everything.check() if not one.passed and one.severity == "error"] == []


def test_runs_of_a_tenant_whose_programs_were_never_seen_under_its_name_have_them_all_the_same(
    table: Table, fresh: Lake
) -> None:
    define(table, 15, realm="new")
    define(table, 15, realm="stranger", strategy=OTHER)
    run = ran(table, 15, realmId="old")
    table.extract(fresh)
    old = open_lake(fresh.root, realm="old")
    asked = "select strategy_id, family_name, created_by from definitions"
    assert old.sql(asked).fetchall() == [(ID, "Fam", None)]  # and nothing of the stranger's
    assert old.explain(run).to_dict()["replay"]["verdict"] == "reproduced"
    edit(table, 12)
    table.extract(fresh, force=True)
    old = open_lake(fresh.root, realm="old")
    assert "12" in old.sql("select ast_json from definitions").fetchall()[0][0]
    assert old.explain(run).to_dict()["replay"]["verdict"] == "reproduced"


def test_what_is_kept_holds_no_id_that_the_lake_may_not_hold(table: Table, fresh: Lake) -> None:
    key = Policy(PseudonymKey.of("0123456789abcdef" * 4, "a test"))
    define(table, "ann-of-acme")
    ran(table, 15, externalUserId="ann-of-acme")

    def run() -> None:
        extract(table.url, fresh, WINDOW, rates=Rates((), 0.05), policy=key)

    run()
    edit(table, 12)
    run()
    table.execute("update strategydefinition set \"realmId\" = 'new'")
    run()
    kept = str(Warehouse(fresh).sql("from files.program_history").fetchall())
    assert "rules" in kept
    assert "ann-of-acme" not in kept
    assert "author-of-it" not in kept


def test_erasure_reaches_the_programs_that_are_kept(table: Table, fresh: Lake) -> None:
    define(table, "ann-of-acme")
    ran(table, 15, externalUserId="ann-of-acme")
    table.extract(fresh)
    edit(table, 12)
    table.extract(fresh)
    assert "ann-of-acme" in str(Warehouse(fresh).sql("from files.program_history").fetchall())
    erase(fresh, "ann-of-acme", Policy())
    assert "ann-of-acme" not in str(Warehouse(fresh).sql("from files.program_history").fetchall())
    table.extract(fresh)
    assert "ann-of-acme" not in str(Warehouse(fresh).sql("from files.program_history").fetchall())
