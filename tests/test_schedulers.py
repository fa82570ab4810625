"""The proof of ``tests/schedulers`` in small: it notices another page, kills whom it is to kill, and its page is filled by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.scale.page import fill
from tests.schedulers import __main__ as proof
from tests.schedulers import ground
from tests.schedulers.ground import SHARES, VICTIM, Bench, Trial

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "fan_out" / "README.md"


def page(folder: Path, moment: str, gathered: str, runs: int) -> dict[str, bytes]:
    """What a report leaves, in small."""
    home = folder / "runaway_rules_1"
    home.mkdir(parents=True)
    footer = f"Made from the execution log, 2026-07-10 {moment} UTC."
    (home / "report.html").write_text(f"gathered = {gathered}\n{runs} runs\n{footer}\n", encoding="utf-8")
    (home / "card.json").write_text(f'{{\n "made_at": "2026-07-10T{moment}+00:00",\n "new": 1\n}}', encoding="utf-8")
    return ground.contents(folder)


def test_pages_may_differ_in_their_stamps_and_in_nothing_else(tmp_path: Path) -> None:
    alone = page(tmp_path / "alone", "05:30:00", '""', 12)
    assert ground.ensure_same(page(tmp_path / "same", "05:31:10", '"G"  # folder', 12), alone)
    with pytest.raises(AssertionError, match=r"report.html: b'13 runs' where one process says b'12 runs'"):
        ground.ensure_same(page(tmp_path / "other", "05:30:00", '""', 13), alone)
    with pytest.raises(AssertionError, match=r"card\.json"):
        ground.ensure_same({"report.html": alone["report.html"]}, alone)


def test_the_share_that_is_at_work_is_killed_and_no_other(tmp_path: Path) -> None:
    def worker(share: int) -> subprocess.Popen[bytes]:
        words = ["gather", "--share", f"{share}/{SHARES}", "--into", str(tmp_path)]
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)", *words])

    workers = [worker(VICTIM), worker(VICTIM + 1)]
    try:
        with ground.killing(tmp_path) as killer:
            assert not killer.times  # nothing is written yet
            (tmp_path / f"part-{VICTIM:05}-of-{SHARES:05}.parquet").touch()
            assert workers[0].wait(timeout=20) == -9
        assert killer.times == 1
        assert workers[1].poll() is None
        assert ground.shares_in(tmp_path) == {VICTIM}
    finally:
        for one in workers:
            one.kill()
            one.wait()


def test_a_fault_is_a_line_of_its_own_and_said_on_the_page() -> None:
    bench = Bench()

    def broken() -> str:
        raise AssertionError("another page")

    bench.play("ssh", "two hosts", lambda: "the page is the same")
    bench.play("ssh", "a host is gone", broken)
    bench.add(Trial("Airflow", "", skipped="not installed"))
    made = proof.table(bench.trials, "ssh", "parallel 1")
    assert made.splitlines()[2:4] == [
        "| two hosts | the page is the same |",
        "| a host is gone | **BROKEN**: AssertionError: another page |",
    ]
    assert "not installed" not in made


def test_the_page_that_is_kept_has_a_place_for_each_table_and_nothing_broken_in_it() -> None:
    kept = PAGE.read_text(encoding="utf-8")
    assert fill(kept, {"ssh": "", "airflow": ""}) != kept
    assert "BROKEN" not in kept
