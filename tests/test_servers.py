"""The proof of ``tests/servers`` in small: its comparison tells what it is to tell, and its page is filled by what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.errors import AnalyticsError
from analytics.lake.lake import Lake
from tests.scale.page import fill
from tests.servers import compare, page
from tests.servers.__main__ import GROUNDS
from tests.servers.bench import Line, Outcome
from tests.servers.compare import Compared

ROOT = Path(__file__).parent.parent


def test_the_comparison_finds_the_demos_lake_equal_and_each_planted_defect(
    database_url: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = compare.source_rows(database_url)
    found = compare.lake_rows(Path(str(lake.root)))
    assert len(source) > 1_000
    monkeypatch.setattr(compare, "lake_rows", lambda _: found)
    assert compare.compare(source, Path()) == Compared(len(source))
    monkeypatch.setattr(compare, "lake_rows", lambda _: [*found[:-3], found[0], (*found[-1][:-1], "another trace")])
    defective = compare.compare(source, Path())
    assert (defective.lost, defective.twice, defective.other, defective.is_equal) == (2, 1, 1, False)


def test_a_refusal_is_told_as_who_typed_a_command_reads_it() -> None:
    error = AnalyticsError("another server", hint="give --accept-source once")
    assert Outcome(error=error).sentence == "another server → give --accept-source once"
    assert error.hint == "give accept_source=True once"  # elsewhere as before


def test_the_page_says_what_held_what_was_refused_and_what_was_not_tried() -> None:
    lines = [
        Line("PgBouncer", "--jobs 2", Compared(790), "", "", "", 1.0),
        Line(
            "PgBouncer", "statement pooling", Compared(0), "no | snapshot /tmp/x/y port 4711 → pool_mode", "", "", 0.1
        ),
        Line("a server", "", Compared(0), "", "", "not installed", 0.0),
        Line("a server", "late rows", Compared(10, lost=2), "", "2 lost", "", 1.0),
    ]
    made = page.tables({"pooled": ("2026-07-11 00:00 UTC", lines)}, "Python")
    assert made["total"].startswith(
        "2 of 3 lines held; 800 rows compared column by column, 2 lost, 0 twice; 1 could not"
    )
    assert made["matrix"].splitlines()[2:] == [
        "| PgBouncer | --jobs 2 | 790 | 0 | 0 | 0 | equal |",
        "|  | statement pooling | 0 | 0 | 0 | 0 | refused |",
        "| a server |  | 0 | 0 | 0 | 0 | not tried: not installed |",
        "|  | late rows | 10 | 2 | 0 | 0 | **BROKEN**: 2 lost |",
    ]
    assert made["words"] == "- PgBouncer: statement pooling: *no / snapshot …/y port N → pool_mode*"


def test_the_page_that_is_kept_has_a_place_for_each_table_and_nothing_broken_in_it() -> None:
    text = (ROOT / "docs" / "servers.md").read_text(encoding="utf-8")
    assert fill(text, page.tables({}, "")) != text
    assert "BROKEN" not in text
    assert all(f"{name} 20" in text for name in GROUNDS)
