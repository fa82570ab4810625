"""Of very many runs a post-mortem reads an even part: what it says then holds what it says of all of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from analytics import api
from analytics.estimates import estimators
from analytics.findings.post_mortem.family import family_runs, find_family, part_to_read
from analytics.reports.page.blocks import html_of
from analytics.reports.post_mortem.report import PostMortem
from analytics.warehouse.warehouse import Warehouse

REALM, FAMILY = "acme-cycling", "Speed bonus"
SINCE, UNTIL = datetime(2026, 7, 7, tzinfo=UTC), datetime(2026, 7, 11, tzinfo=UTC)
RATE, PART, RUNS, SEEDS = 0.05, 0.1, 40_000, 200


def report(lake: Warehouse, part: float) -> PostMortem:
    """The post-mortem as it is told of a part of the runs."""
    found = api.post_mortem(lake, realm=REALM, family=FAMILY, since="2026-07-07", until="2026-07-11")
    assert found.inquiry.part == 1
    found.inquiry.part = part
    return found


def test_a_part_is_read_where_there_are_more_runs_than_may_be(warehouse: Warehouse) -> None:
    family = find_family(warehouse, realm=REALM, family=FAMILY)
    whole = family_runs(warehouse, family, SINCE, UNTIL)
    drawn = int(whole["sampled"].sum())
    assert part_to_read(warehouse, family, SINCE, UNTIL, most=drawn) == 1
    part = part_to_read(warehouse, family, SINCE, UNTIL, most=drawn // 4)
    assert part == pytest.approx(0.25, rel=0.02)

    rows = family_runs(warehouse, family, SINCE, UNTIL, part=part)
    is_ok = (rows["status"] == "ok").to_numpy()
    assert 0.15 * drawn < is_ok.sum() < 0.35 * drawn
    same = whole.set_index("execution_id").loc[rows["execution_id"]]
    factor = np.where(is_ok, 1 / part, 1.0)
    assert rows["sample_weight"].to_numpy() == pytest.approx(same["sample_weight"].to_numpy() * factor)
    assert rows["created_at"].tolist() == same["created_at"].tolist()
    assert (rows["status"] != "ok").sum() == (whole["status"] != "ok").sum()
    assert rows["window_rate"].iloc[0] == pytest.approx(whole["window_rate"].iloc[0] * part)


def test_what_is_said_of_a_part_holds_what_is_said_of_all(warehouse: Warehouse) -> None:
    whole, some = report(warehouse, 1.0), report(warehouse, 0.5)
    all_told, told = whole.summary(), some.summary()
    assert "part_read" not in all_told
    assert told["part_read"] == 0.5
    assert told["kind"] == all_told["kind"] == "version"
    runs = some.inquiry.incident.after
    assert runs is not None
    for key in ("est_runs", "overpaid"):
        assert told[key]["low"] <= all_told[key]["value"] <= told[key]["high"], key
        assert told[key]["high"] - told[key]["low"] > all_told[key]["high"] - all_told[key]["low"], key
    forward, every = some.inquiry.counterfactual.forward, whole.inquiry.counterfactual.forward
    assert forward is not None
    assert every is not None
    assert 0 < forward.tried_count < every.tried_count
    assert forward.difference.low <= every.difference.value <= forward.difference.high
    assert forward.rows["weight"].max() == pytest.approx(2 * every.rows["weight"].max())


def test_the_page_says_so_and_names_the_samplers_own_rate(warehouse: Warehouse) -> None:
    whole, some = report(warehouse, 1.0), report(warehouse, 0.5)
    assert "of a sample of" not in html_of(whole.head())
    assert "of a sample of" in html_of(some.head())
    box, every = (html_of(one.sure()) for one in (some, whole))
    assert "an even part of 50 % was read" in box
    assert "an even part" not in every
    rates = [re.search(r"([^<>]*) of ok runs, as configured", text) for text in (box, every)]
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[0][1] == rates[1][1]


def test_a_drawn_part_of_a_drawn_sample_is_a_sample() -> None:
    """Of 200 logs, each drawn at one rate and a part of it by lot: so many intervals hold what there was."""
    held = {"runs": 0, "total": 0, "mean": 0}
    for seed in range(SEEDS):
        chance = np.random.default_rng(seed)
        points = np.where(chance.random(RUNS) < 0.4, 15.0, chance.gamma(2, 3, RUNS))
        taken = points[(chance.random(RUNS) < RATE) & (chance.random(RUNS) < PART)]
        weights = np.full(len(taken), 1 / RATE / PART)
        truths = {
            "runs": (estimators.runs_of_rows(weights, kept=0, rate=RATE * PART), float(RUNS)),
            "total": (estimators.total(taken, weights), float(points.sum())),
            "mean": (estimators.mean(taken, weights), float(points.mean())),
        }
        for name, (found, truth) in truths.items():
            held[name] += found.low <= truth <= found.high
    assert all(0.9 * SEEDS <= count <= 0.99 * SEEDS for count in held.values()), held
