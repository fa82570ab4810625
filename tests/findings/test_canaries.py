"""Codes of failed runs: those no validated program can give are canaries, and those nobody knows are shown as what they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from analytics.findings.post_mortem.finding import FailuresFinding
from analytics.lake.lake import Lake
from analytics.program import error_codes
from analytics.reports.page.inline import plain
from analytics.reports.post_mortem.comparison_tables import failures
from analytics.reports.runaway.finding_sentences import sentence
from analytics.warehouse.warehouse import Warehouse
from tests.conftest import Table
from tests.findings.test_failing import group_of, rows, said
from tests.findings.test_runaway import failed, plant, planted_report

# By the engine's own checks: what its validator refuses, and what values alone can bring about.
CANARIES = (
    "DSL_FIELD_NOT_PRECOMPUTED", "DSL_UNKNOWN_STATEMENT", "DslValidationError", "DSL_COMPARE_OP_NOT_ALLOWED",
    "DSL_ARITH_OP_NOT_ALLOWED", "DSL_FUNC_NAME_NOT_ALLOWED", "DSL_FUNC_ARITY_MISMATCH", "DSL_FIELD_PATH_NOT_ALLOWED",
    "DSL_PARENT_FIELD_OUTSIDE_POST",
)  # fmt: skip
OTHERS = (
    "DSL_TIMEOUT", "DSL_LIMIT_EXCEEDED", "DSL_ARITH_DIV_BY_ZERO", "DSL_ARITH_TYPE_MISMATCH", "DSL_COMPARE_TYPE_MISMATCH",
    "DSL_ASSIGN_POINTS_NOT_NUMBER", "DSL_SET_POINTS_NOT_NUMBER", "DSL_SET_CASE_NAME_NOT_STRING", "DslExecutionError",
    "DSL_UNEXPECTED",
)  # fmt: skip
HOSTILE = "DSL_<script>alert(1)</script>"


@pytest.mark.parametrize("name", CANARIES)
def test_what_no_validated_program_can_give_is_a_canary(name: str) -> None:
    assert error_codes.is_canary(name) and not error_codes.is_unknown(name) and error_codes.meaning(name)


@pytest.mark.parametrize("name", [*OTHERS, "ValueError", "", None])
def test_what_values_can_bring_about_is_no_canary(name: str | None) -> None:
    assert not error_codes.is_canary(name) and not error_codes.is_unknown(name)


def test_every_code_of_the_engine_is_spelled_in_one_place_only() -> None:
    root = Path(error_codes.__file__).parents[1]
    found = subprocess.run(["grep", "-rlE", "|".join(CANARIES), root, "--include=*.py", "--include=*.sql"],
                           capture_output=True, text=True, check=True).stdout  # fmt: skip
    # The language's own evaluator gives them, and the demo plants them; nobody else lists any.
    elsewhere = {str(Path(line).relative_to(root)) for line in found.split()}
    assert {name for name in elsewhere if not name.startswith(("program/", "demo/"))} == {
        "findings/receipt/simulate_request.py",
    }


def test_canaries_are_counted_and_shown_and_so_is_a_code_that_nobody_knows(table: Table, fresh: Lake) -> None:
    plant(table, 20, nodesExecuted=10)
    for minute, (code, count) in enumerate(
        [("DslValidationError", 3), ("DSL_FUNC_NAME_NOT_ALLOWED", 2), ("DSL_FIELD_NOT_PRECOMPUTED", 1),
         ("DSL_NEW_THING", 4), (HOSTILE, 1), ("DSL_ARITH_DIV_BY_ZERO", 5), ("DslExecutionError", 2)]
    ):  # fmt: skip
        plant(
            table, count, at=f"2026-07-08 12:{minute:02}:00+00", **failed("error", errorCode=code, externalUserId="u1")
        )
    # A run that the cap stopped is that, whatever its code; one of a status that nobody knows has failed.
    plant(table, 1, at="2026-07-08 13:00:00+00", **failed("limit", errorCode="DslLimitExceededError"))
    plant(table, 1, at="2026-07-08 13:01:00+00", **failed("aborted", errorCode=None))
    table.extract(fresh)

    report = planted_report(fresh)
    [row] = report.table.to_dict("records")
    assert {name: row[name] for name in ("failed_count", "limit_count", "canary_count", "unknown_code_count")} == {
        "failed_count": 20, "limit_count": 1, "canary_count": 6, "unknown_code_count": 5,
    }  # fmt: skip
    told = {finding.type.value: (finding.count, plain(sentence(finding))) for finding in report.found}
    assert {what: count for what, (count, _) in told.items()} == {"limit": 1, "canary": 6, "unknown": 5}
    for words in ("Sandbox canary: one user", "a node the engine does not know", "a function the engine does not know",
                  "a field that was not precomputed"):  # fmt: skip
        assert words in told["canary"][1]
    assert told["unknown"][1].startswith("Unknown codes: one user") and "DSL_NEW_THING" in told["unknown"][1]
    assert "probing" not in told["unknown"][1]
    when, html = report.when(), report.findings().html
    assert "6 sandbox canaries" in when.text and "5 runs with an unknown code" in when.text
    assert "1 limit, 6 canary, 0 timeout, 5 unknown code, 8 other" in report.sure().text
    assert "DSL_NEW_THING" in html and "<script>alert" not in html

    listed = Warehouse(fresh).run("limit_runs")
    assert listed.groupby("kind").size().to_dict() == {"canary": 6, "limit": 1, "unknown": 5}
    by_minute = Warehouse(fresh).run("stops_by_minute")
    assert by_minute.groupby("kind")["logged_count"].sum().to_dict() == {"canary": 6, "limit": 1, "unknown": 5}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("DslValidationError", "validation was bypassed"),
        ("DSL_ARITH_OP_NOT_ALLOWED", "validation was bypassed"),
        ("DSL_NEW_THING", "This is an unknown code"),
    ],
)
def test_the_post_mortem_says_what_such_a_code_means(code: str, words: str) -> None:
    frame = rows([*[None] * 200, *[code] * 40, *[None] * 200])
    before, after = group_of("before", frame.iloc[:200]), group_of("this window", frame.iloc[200:])
    text = said(FailuresFinding(before=before, after=after, code=code))
    assert code in text and words in text
    table = failures(
        frame.assign(external_user_id="u1", execution_id="e", external_game_id="g", external_task_id="t"), None
    )
    assert code in table.text and ("unknown code" if error_codes.is_unknown(code) else "sandbox canary") in table.text
