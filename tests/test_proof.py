"""The proof of ``tests/proof`` in small: every other scenario, with few kills, and of the planted defects some."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fewer import one_in
from tests.proof.faults import DETECTED_BY
from tests.proof.prover import Prover
from tests.proof.scenarios import SCENARIOS
from tests.proof.world import a_server


@pytest.fixture(scope="module")
def prover(server_folders: Callable[[], Path]) -> Iterator[Prover]:
    # a server of its own: some scenarios kill it; and lakes on a disk
    disk = tempfile.TemporaryDirectory(prefix="strategy-analytics-", ignore_cleanup_errors=True)
    with disk as folder, a_server(server_folders() / "server") as server:
        yield Prover(server, Path(folder), seed=7, full=False, kills=4)


@pytest.mark.parametrize("name", one_in(3, SCENARIOS))
def test_a_promise_holds(prover: Prover, name: str) -> None:
    line = prover.prove(name)
    assert line.broken == ""
    assert line.tally.runs > 1 or name == "read-only lake"


@pytest.mark.parametrize("fault", one_in(6, DETECTED_BY))
def test_a_planted_defect_is_noticed(prover: Prover, fault: str) -> None:
    assert prover.plant(fault) != ""


def test_every_scenario_has_a_planted_defect() -> None:
    assert set(DETECTED_BY.values()) == set(SCENARIOS)
