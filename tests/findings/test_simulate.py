"""The request that runs a logged run again, and the call that rolls back: what the engine takes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analytics.demo import dsl
from analytics.findings.receipt.simulate_request import Simulation, simulate
from analytics.program import compile_program
from analytics.reports.commands import roll_back
from tests.findings.test_receipt import lit, logged, pay

Json = dict[str, Any]
PATHS = {
    "rules": [
        dsl.rule(dsl.compare("user.measurements_count", "<", 2), dsl.assign(1, "New")),
        dsl.rule(dsl.compare("user.avg_time", "<", dsl.field("all.avg_time")), dsl.assign(5, "Fast")),
        dsl.rule(dsl.compare("data.km", ">", 1), dsl.assign(2, "Far")),
    ]
}
BY_TASK = {"rules": [dsl.rule(dsl.compare("externalTaskId", "==", None), dsl.assign(7, "No task"))]}


def asked(program: Json, fields: Json, **columns: Any) -> Simulation:
    return simulate(logged(program, fields, **columns))


def test_every_analytics_path_is_mocked_so_that_the_endpoint_queries_no_database() -> None:
    found = asked(PATHS, {"user.measurements_count": 1})
    assert found.request is not None
    assert found.request.mock_state == {"user.measurements_count": 1, "all.avg_time": 0, "user.avg_time": 0}
    assert found.is_reproduced
    assert found.notes == [
        "In mockState all.avg_time, user.avg_time only hold places, so that the endpoint queries no database: "
        "this run did not read them.",
        "Not in it, because this run did not read them: data.km.",
    ]
    # What is answered does not depend on what only holds a place.
    for value in (0, 10**9, -1.5):
        mocked = {**found.request.mock_state, "all.avg_time": value, "user.avg_time": value}
        assert compile_program(PATHS).run(replace(found.request, mock_state=mocked).fields).points == 1


def test_what_only_holds_a_place_is_not_taken_for_what_a_cut_trace_may_have_read() -> None:
    fields = {"user.measurements_count": 5, "user.avg_time": 3, "all.avg_time": 9}
    found = asked(PATHS, fields, kept=4)
    assert found.is_reproduced is None
    assert "stops at field 'user.avg_time', which the stored trace does not hold" in found.verdict
    assert found.notes[0] == (
        "In mockState all.avg_time, user.avg_time only hold places, so that the endpoint queries no database: "
        "the stored trace does not hold them; where the run read one behind the cut, the answer is another."
    )


@pytest.mark.parametrize(
    ("logged_id", "refused"),
    [(None, "the logged NULL"), ("", "the logged empty text"), ("x" * 201, "the logged 201 characters, more than 200")],
)
def test_an_id_that_the_endpoint_refuses_is_replaced_and_said(logged_id: str | None, refused: str) -> None:
    found = asked({"rules": [dsl.rule(lit(True), pay(3))]}, {}, external_game_id=logged_id)
    assert found.body is not None
    assert found.body["externalGameId"] == "placeholder"
    assert found.body["externalTaskId"] == "leg"
    assert found.notes == [
        f"externalGameId is “placeholder”, for the endpoint refuses {refused} (422); no rule reads it."
    ]
    assert found.is_reproduced


def test_a_rule_that_reads_a_replaced_id_sees_the_logged_one() -> None:
    found = asked(BY_TASK, {"externalTaskId": None}, external_task_id=None)
    assert found.body is not None
    assert (found.body["externalTaskId"], found.body["mockState"]) == ("placeholder", {"externalTaskId": None})
    assert found.is_reproduced
    assert found.notes[0].endswith("(422); the rules see the logged one, from mockState.")


@pytest.mark.parametrize("length", [1, 200])
def test_ids_that_the_endpoint_takes_stay_as_they_are(length: int) -> None:
    found = asked({"rules": [dsl.rule(lit(True), pay(3))]}, {}, external_user_id="y" * length)
    assert found.body is not None
    assert (found.body["externalUserId"], found.notes) == ("y" * length, [])


def many(rules: int) -> Json:
    """The program itself, and five for each rule: it, its bare condition twice, the statement and its literal."""
    return {"rules": [dsl.rule(lit(False), pay(1)) for _ in range(rules)]}


def test_a_stored_program_that_the_endpoint_refuses_is_said_before_all_else() -> None:
    found = asked(
        many(150) | {"rules": [*many(150)["rules"], *[dsl.rule(lit(True), dsl.note("x", 1)) for _ in range(60)]]}, {}
    )
    assert found.notes[0] == (
        "The endpoint refuses the stored program (400), whatever the body: it has 1,051 nodes, and 1,000 is the most."
    )


def test_a_roll_back_is_asked_for_by_family_and_version_and_never_by_publishing_again() -> None:
    assert roll_back("s-2", 2).split(" # ")[0].strip() == "POST …/v1/strategies/custom/s-2/rollback/2"
    assert roll_back(None, None).startswith("POST …/v1/strategies/custom/<id of any version>/rollback/<version>")
