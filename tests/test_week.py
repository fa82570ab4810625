"""An hour of the week that ``make prove-week`` lives through."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics import demo
from analytics.demo import EmbeddedServer
from tests.week.failovers import Failovers
from tests.week.servers import Servers
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


@pytest.mark.long
def test_a_failover_an_old_primary_and_a_restored_backup_hold(
    tmp_path: Path, server_folders: Callable[[], Path]
) -> None:
    population = demo.simulate(runs=40_000, days=2, directory=tmp_path / "population")
    folder = server_folders()
    folder.chmod(0o755)
    servers = Servers(folder)
    try:
        source = Source(servers.url)
        source.begin(population)
        servers.begin()
        week = Week(source, tmp_path, utc("2026-07-09"), random.Random(3), servers)
        week.run(3)
        befalls = Failovers(week, servers, WeekError)
        hours = [utc(f"2026-07-09T{number:02}:00") for number in range(3, 8)]
        events = befalls.fail_over, befalls.come_back, befalls.back_up, befalls.restore
        for hour, happen in zip(hours, events, strict=False):
            source.arrive(hour)
            happen(hour)
            week.extract(hour, is_killed=False)
    finally:
        servers.end()
    assert week.counts["failovers under a run"] == 1
    assert week.counts["rows held that the source has lost"] > 0
