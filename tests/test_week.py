"""An hour of the week that ``make prove-week`` lives through."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from analytics import demo
from analytics.demo import EmbeddedServer
from tests.week.source import Source
from tests.week.week import Week, WeekError, utc


def test_an_hour_of_a_week_holds_and_a_row_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    population = demo.simulate(runs=40_000, days=2, directory=tmp_path / "population")
    with EmbeddedServer(tmp_path / "pg") as server:
        source = Source(server.url)
        source.begin(population)
        week = Week(source, tmp_path, utc("2026-07-09"), random.Random(3))
        week.run(1)
        assert week.counts["rows compared"] > 0
        source.do("update strategyexecutionlog set points = points + 1 where created_at < '2026-07-09 01:00+00'")
        with pytest.raises(WeekError, match="other ones"):
            week.check(utc("2026-07-09T01:00"), is_whole=True)  # the reader itself is tried
