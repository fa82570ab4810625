"""Ok rows that the database may have refused are named as a possibility, and not where failures alone explain it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analytics.findings.failures.silences import refused
from analytics.reports import log_notes
from tests.fewer import one_in

MONDAY = pd.Timestamp("2026-07-06", tz="UTC")
SINCE, UNTIL = MONDAY + pd.Timedelta(days=8), MONDAY + pd.Timedelta(days=9)


def log(
    ok_before: float, failed_before: float, ok: float, failed: float, *, seed: int = 1, weekend: float = 1.0
) -> pd.DataFrame:
    """Eight days of v2 and one, a Tuesday, of v3: so many logged rows a day."""
    chance, parts = np.random.default_rng(seed), []
    for day in range(9):
        level = weekend if day in (5, 6) else 1.0
        for status, usual, now in (("ok", ok_before, ok), ("error", failed_before, failed)):
            count = chance.poisson(now if day == 8 else usual * level)
            times = MONDAY + pd.to_timedelta(day + np.sort(chance.random(count)), unit="D").round("us")
            parts.append(pd.DataFrame({"created_at": times, "status": status, "label": "v3" if day == 8 else "v2"}))
    rows = pd.concat(parts).sort_values("created_at", ignore_index=True)
    is_ok = rows["status"] == "ok"
    return rows.assign(sampled=is_ok, sample_weight=np.where(is_ok, 20.0, 1.0), window_rate=0.05)


def test_a_version_whose_ok_rows_vanish_while_its_failures_go_on_is_named() -> None:
    [found] = refused(log(80, 30, 4, 30), SINCE, UNTIL)
    assert (found.label, found.ok_count <= 12) == ("v3", True)
    assert found.ok_usual == pytest.approx(80, rel=0.25)
    assert found.failed_usual == pytest.approx(30, rel=0.4)
    words = log_notes.refused_words([found])
    assert "Possible: the database refused ok rows" in words
    assert "as possible" in words


def test_a_version_of_which_no_ok_row_at_all_is_left_is_named() -> None:
    [found] = refused(log(80, 30, 0, 30), SINCE, UNTIL)
    assert found.ok_count == 0


@pytest.mark.parametrize(
    ("ok", "failed", "weekend"),
    one_in(3, [(80, 30, 1.0), (80, 30, 0.2), (20, 8, 1.0), (76, 120, 1.0), (30, 900, 1.0), (200, 75, 1.0)]),
    ids=["as before", "after a quiet weekend", "less traffic", "more failures", "most runs fail", "more traffic"],
)
def test_what_failures_or_traffic_explain_is_not(ok: float, failed: float, weekend: float) -> None:
    alarms = [bool(refused(log(80, 30, ok, failed, seed=seed, weekend=weekend), SINCE, UNTIL)) for seed in range(60)]
    assert sum(alarms) == 0


def test_without_earlier_days_nearly_nothing_but_failures_is_named() -> None:
    rows = log(80, 30, 1, 60)
    alone = rows[rows["created_at"] >= SINCE]
    [found] = refused(alone, SINCE, UNTIL)
    assert found.ok_usual != found.ok_usual
    assert "are usual" not in log_notes.refused_words([found])
    assert refused(rows[rows["created_at"] < MONDAY + pd.Timedelta(days=1)], MONDAY, SINCE) == []
