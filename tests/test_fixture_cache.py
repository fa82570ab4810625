"""What the workers of a test run share is made once, stays whole, and is made again when what makes it changes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import fixture_cache
from tests.fixture_cache import FixtureCache, of_version


def test_it_is_made_by_the_first_and_a_copy_can_be_written_to(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("as it was made", encoding="utf-8")

    def take(number: int) -> str:
        # every worker has a cache object of its own
        FixtureCache(tmp_path / "cache").copy("thing", make, tmp_path / f"copy-{number}")
        file = tmp_path / f"copy-{number}" / "file"
        content = file.read_text(encoding="utf-8")
        file.write_text("damaged", encoding="utf-8")
        return content

    with ThreadPoolExecutor(4) as workers:
        assert list(workers.map(take, range(8))) == ["as it was made"] * 8
    assert len(made) == 1


def test_what_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    cache = FixtureCache(tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        cache.copy("thing", fail, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    cache.copy("thing", lambda folder: (folder / "whole").touch(), tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["whole"]


@pytest.mark.parametrize("name", ["analytics/makes.py", "analytics/room/deep/makes.sql", "tests/conftest.py"])
def test_the_key_is_another_when_a_source_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(fixture_cache, "ROOT", tmp_path)
    for room in ("room/deep", "reports"):
        (tmp_path / "analytics" / room).mkdir(parents=True)
    for maker in fixture_cache.TEST_MAKERS:
        (tmp_path / "tests" / maker).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / maker).touch()
    file, page = tmp_path / name, tmp_path / "analytics" / "reports" / "page.py"
    file.write_text("1", encoding="utf-8")
    before = fixture_cache.key()
    page.write_text("a page makes no lake", encoding="utf-8")
    assert fixture_cache.key() == before
    file.write_text("2", encoding="utf-8")
    assert fixture_cache.key() != before


def test_the_states_that_were_not_used_for_longest_go(tmp_path: Path) -> None:
    for number, version in enumerate(["a", "b", "c"]):
        os.utime(of_version(tmp_path, version), (number, number))
    of_version(tmp_path, "b")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"b", "c"}
    of_version(tmp_path, "d")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"b", "d"}
