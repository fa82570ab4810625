"""The measurement of docs/scale.md: lines through points, tables into their places, and a suite's rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.scale import __main__ as scale
from tests.scale import curve, model, page, suites

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"


def test_a_line_through_its_own_points_is_that_line() -> None:
    found = model.line([(x, 3 + 0.25 * x) for x in (1, 10, 100)])
    assert (found.base, found.slope) == (pytest.approx(3), pytest.approx(0.25))
    assert found.off == pytest.approx(0)
    assert found(1000) == pytest.approx(253)


def test_a_point_beside_the_line_is_told() -> None:
    assert model.line([(1, 4), (10, 13), (100, 50)]).off > 0.1


def test_the_log_holds_the_drawn_runs_and_every_failure() -> None:
    assert model.logged(1_000_000) == pytest.approx(49_675 + 6_500)


def sheets() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """As measured, in round numbers."""
    of = [
        {
            "logged": n, "entries": 30 * n, "lake_mb": n / 1e4, "gathered_mb": n / 1e6, "same": True,
            "gather": {str(count): {"seconds": 1 + n / 1e6 / count, "peak_mb": 200 + n / 1e5} for count in curve.WORKERS},
            "alone": {"seconds": 10 + n / 1e6, "peak_mb": 1000 + n / 1e4},
            "merged": {"seconds": 10 + n / 1e7, "peak_mb": 1000 + n / 1e5},
            "spark": {"start": 10.0, "seconds": 40 + n / 1e6, "rows": n},
        }
        for n in (10_000, 100_000, 1_000_000)
    ]  # fmt: skip
    extractions = [
        {
            "rows": n, "entries": 28 * n, "source_mb": n / 1e3, "lake_mb": n / 1e4, "rollup_mb": 1.0, "files": 200,
            "seconds": 1 + n / 1e5, "peak_mb": 300 + n / 1e5, "flatten_seconds": 0.1 + n / 1e7,
        }
        for n in (10_000, 100_000, 1_000_000)
    ]  # fmt: skip
    return of, extractions


def test_more_runs_ask_for_a_later_step() -> None:
    rows = model.drawn_out(model.lines(*sheets()))
    assert [row[0] for row in rows] == [f"10^{power}" for power in range(5, 12)]
    assert rows[0][-1] == "one machine"
    assert rows[-1][-1].startswith("bucket, fan-out or Spark")
    assert rows[0][1] == "5.62 thousand"


def test_every_table_has_its_place_in_the_page_and_no_place_is_empty() -> None:
    text = PAGE.read_text(encoding="utf-8")
    kept = {
        "faults": suites.Suite([["a fault", None, 7]], 1, 0), "parity": suites.Suite([["executions", "view", 9, 3, 0]], 1, 0)
    }  # fmt: skip
    of, extractions = sheets()
    bucket = {"partitions": 56, **{name: {"PUT": 3, "GET": 4} for name in ("extract", "again", "query", "tenant")}}
    found = {"curve": of, "sizes": {"extractions": extractions, "buckets": [bucket]}}
    tables = scale._tables(found, kept["faults"], kept["parity"])
    tables["measured"] = page.measured("2 cores, and every package", {"curve": "today"})
    assert set(re.findall(r"<!-- ([a-z-]+) -->", text)) == set(tables)
    for name in tables:
        assert re.search(rf"<!-- {name} -->\n\n.*\S.*\n\n<!-- /{name} -->", text, re.DOTALL), name
    filled = page.fill(text, tables)
    assert "| a fault " in filled
    assert page.fill(filled, tables) == filled
    with pytest.raises(KeyError):
        page.fill(text, {"another": "table"})


def test_a_suite_tells_what_its_tests_have_recorded(tmp_path: Path) -> None:
    path = tmp_path / "found.xml"
    told = "<properties><property name='fault' value=\"('the store sleeps', None, 12)\"/></properties>"
    cases = f"<testcase name='a'>{told}</testcase><testcase name='b'><skipped/></testcase><testcase name='c'><failure/></testcase>"
    path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
    assert suites.read(path, "fault") == suites.Suite([["the store sleeps", None, 12]], 1, 2)


def test_processes_side_by_side_are_waited_for_and_a_failure_is_told() -> None:
    done = curve.side_by_side([["sh", "-c", "echo one"], ["sh", "-c", "sleep 0.2; echo two"]])
    assert done.output == "two\n"
    assert done.seconds >= 0.2
    with pytest.raises(RuntimeError, match="exit 3: no luck"):
        curve.side_by_side([["sh", "-c", "echo no luck >&2; exit 3"]])
