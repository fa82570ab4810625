"""What the library's calls take and give, for a type checker: ``make types`` reads this file and nobody runs it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import assert_type

import duckdb
import pandas as pd

import analytics
from analytics.model import ExtractResult
from analytics.reports.explore.answer_frame import AnswerFrame
from analytics.reports.explore.estimated import Estimated
from analytics.reports.explore.lake_program import LakeProgram
from analytics.reports.explore.open_lake import OpenLake
from analytics.reports.post_mortem.report import PostMortem
from analytics.reports.receipt.receipt import Explained
from analytics.reports.rehearsal.report import RehearsalReport
from analytics.reports.rehearsal.sweep_table import SweepTable
from analytics.reports.render.rendering import Rendered
from analytics.reports.runaway.report import RunawayRules


def explore(folder: Path) -> None:
    lake = analytics.open_lake(folder, realm="acme")
    assert_type(lake, OpenLake)
    assert_type(lake.sql("from executions where day = $day", day=date(2026, 7, 1)), duckdb.DuckDBPyRelation)
    assert_type(lake.explain("3f885dde", versus=2), Explained)
    assert_type(analytics.explain(folder, "3f885dde"), Explained)
    assert_type(lake.sql("from mine", tables={"mine": pd.DataFrame()}), duckdb.DuckDBPyRelation)
    assert_type(lake.run("failures"), AnswerFrame)
    assert_type(lake.estimate(["runs", "points"], by="external_user_id", versus="2026-07-03..2026-07-04"), Estimated)
    _: pd.DataFrame = lake.run("failures", since="2026-07-06")


def work(folder: Path) -> None:
    assert_type(analytics.extract(folder, since="2026-07-01", until="2026-07-08"), ExtractResult)
    assert_type(analytics.runaway_rules(str(folder), since="7d"), RunawayRules)
    assert_type(analytics.render("runaway_rules", lake=str(folder), since="7d"), Rendered)


def look(folder: Path) -> None:
    report = analytics.post_mortem(str(folder), realm="acme", family="Bonus", since="7d")
    assert_type(report, PostMortem)


def try_out(folder: Path) -> None:
    lake = analytics.open_lake(folder, realm="acme")
    program = lake.program("Bonus", version=2)
    assert_type(program, LakeProgram)
    assert_type(analytics.rehearsal(lake, program.edit("rule far › assign", 3), since="7d"), RehearsalReport)
    answer = analytics.sweep(lake, program, "rule far › assign", range(3), since="7d")
    assert_type(answer, SweepTable)
    assert_type(answer.within(50_000).value, float | None)
