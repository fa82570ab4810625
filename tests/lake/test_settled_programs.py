"""Programs that are as they were are left alone, and whoever compares them all finds the same."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analytics.lake import definitions, foreign_files, schema, settled_programs
from analytics.lake.lake import Lake

REALMS = (None, "acme", "other", "third")


def row(realm: str | None, number: int, points: int = 1) -> dict[str, Any]:
    program = {"rules": [{"id": "r", "when": {"id": "w", "type": "literal", "value": points}, "then": []}]}
    return dict.fromkeys(column.lake for column in schema.DEFINITION_COLUMNS) | {
        "strategy_id": f"s-{number}",
        "realm_id": realm,
        "name": f"Family {number}",
        "strategy_type": "DSL_FULL",
        "ast_json": json.dumps(program),
        "strategy_version": 1,
        "status": "PUBLISHED",
        "published_at": "2026-06-01T00:00:00+00:00",
    }


class Written:
    """A lake of programs, and how often a file was read for it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, remembers: bool = True) -> None:
        self.lake, self._workspace, self._remembers = Lake(folder / "lake"), folder / "work", remembers
        self._workspace.mkdir(parents=True)
        self._monkeypatch = monkeypatch

    def write(self, rows: list[dict[str, Any]], **options: Any) -> tuple[int, Any]:
        """How many files were read, and what is said."""
        if not self._remembers:
            (Path(str(self.lake.root)) / "ledger" / settled_programs.NAME).unlink(missing_ok=True)
        read: list[object] = []
        real = definitions.present
        with self._monkeypatch.context() as patched:
            patched.setattr(definitions, "present", lambda *args: read.append(args) or real(*args))  # type: ignore[func-returns-value]
            said = definitions.write(self.lake, rows, self._workspace, **options)
        definitions.remember_files(self.lake)
        return len(read), said

    def path(self, table: str, realm: str | None) -> Path:
        return Path(str(self.lake.realm_path(table, realm)))

    def content(self) -> dict[str, list[str]]:
        """Rows of every file; the time at which a version was replaced is the clock's."""
        found = {}
        for table in ("definitions", "definition_nodes", "program_history"):
            for name in self.lake.files(table):
                rows = [
                    {k: v for k, v in r.items() if k != "replaced_at"} for r in pq.ParquetFile(name).read().to_pylist()
                ]
                found[name.removeprefix(str(self.lake.root))] = sorted(map(repr, rows))
        return found


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(tmp_path / "a", monkeypatch)


ROWS = [row(realm, number) for number, realm in enumerate(REALMS * 2)]


def test_only_the_programs_of_tenants_that_differ_are_compared(written: Written) -> None:
    written.write(ROWS)
    assert written.write(ROWS)[0] == 0
    read, said = written.write([*ROWS[:1], row("acme", 1, points=2), *ROWS[2:]])
    assert said.edited == ("Family 1 v1",)
    assert 0 < read <= 4  # the tenant's two files, before and to see whether they differ, and its history
    assert len({*written.lake.files("definitions")}) == len(REALMS)


def test_deleted_and_kept_versions_are_not_compared_each_time_either(written: Written) -> None:
    edited = [row("acme", 1, points=2), *(one for one in ROWS if one["strategy_id"] not in ("s-0", "s-1"))]
    written.write(ROWS)
    _, said = written.write(edited)
    assert said.edited == ("Family 1 v1",)
    before = written.content()
    assert written.write(edited)[0] == 0
    assert written.content() == before
    # who is found in what only the lake has may be known since the last time
    assert written.write(edited, protect=dict)[0] > 0
    # a deleted version that is another tenant's now has moved
    taken = row(REALMS[1], 0)
    assert written.write([*edited, taken])[1].moved == ("Family 0 v1",)


def lose(path: Path) -> None:
    path.unlink()


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("table", ["definitions", "definition_nodes"])
@pytest.mark.parametrize("do", [lose, spoil])
def test_a_file_that_is_gone_or_another_is_made_again(written: Written, table: str, do: Any) -> None:
    written.write(ROWS)
    before = written.content()
    do(written.path(table, "acme"))
    assert written.write(ROWS)[0] > 0
    assert written.content() == before
    assert written.write(ROWS)[0] == 0


def test_a_file_of_a_backup_brings_its_versions_back(written: Written, tmp_path: Path) -> None:
    written.write([*ROWS, row("acme", 90)])
    shutil.copy2(written.path("definitions", "acme"), tmp_path / "backup")
    shutil.rmtree(written.lake.root / "definitions")  # type: ignore[arg-type]
    written.write(ROWS)
    assert written.write(ROWS)[0] == 0
    shutil.copy2(tmp_path / "backup", written.path("definitions", "acme"))
    written.write(ROWS)
    kept = pq.ParquetFile(written.path("definitions", "acme")).read(["strategy_id", "is_deleted"]).to_pylist()
    assert {"strategy_id": "s-90", "is_deleted": True} in kept


def test_what_is_not_known_of_all_columns_is_compared(written: Written) -> None:
    written.write(ROWS)
    without = [one | {"description": None} for one in ROWS]
    assert written.write(without, unread=["description"])[0] > 0
    assert written.write(ROWS)[0] == 0


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1, "tenants": {"realm=acme": ["a"]}}', '{"format": 2, "tenants": 3}']
)
def test_what_was_remembered_may_be_lost(written: Written, text: str) -> None:
    written.write(ROWS)
    before = written.content()
    (Path(str(written.lake.root)) / "ledger" / settled_programs.NAME).write_text(text, encoding="utf-8")
    assert written.write(ROWS)[0] > 0
    assert written.content() == before


def test_known_files_are_not_looked_into_and_others_are(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    written.write(ROWS)
    written.path("definitions", "other").write_text("somebody's notes", encoding="utf-8")
    lake, looked = written.lake, []
    real = foreign_files._is_ours
    monkeypatch.setattr(foreign_files, "_is_ours", lambda *args: looked.append(str(args[1])) or real(*args))  # type: ignore[func-returns-value]
    own = settled_programs.SettledPrograms(lake).own_files()
    [said] = foreign_files.quarantine(lake, {}, foreign_files.list_files(lake, [date(2026, 7, 8)]), own)
    assert "definitions/realm=other/part.parquet" in said
    # all of a tenant are looked into where one of them is another
    assert sorted(looked) == sorted(str(written.path(t, "other")) for t in ("definitions", "definition_nodes"))
    assert len(own) == 2 * (len(REALMS) - 1)


def die_within(
    written: Written,
    rows: list[dict[str, Any]],
    used: dict[str | None, list[str]],
    files: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that is killed after so many files, if it comes so far."""
    real, left = Lake.replace, [files]

    def replace(lake: Lake, staged: Path, target: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(lake, staged, target)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(Lake, "replace", replace)
        patched.setattr(settled_programs.SettledPrograms, "remember", lambda *_: die())
        written.write(rows, used=used)


def die() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("seed", range(3))
def test_a_lake_that_remembers_holds_what_one_that_compares_everything_holds(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    both = [
        Written(tmp_path / name, monkeypatch, remembers=remembers) for name, remembers in (("a", True), ("b", False))
    ]
    rows = {number: row(chance.choice(REALMS), number) for number in range(6)}
    skipped = 0
    for step in range(14):
        number, realm = chance.randrange(7), chance.choice(REALMS)
        used: dict[str | None, list[str]] = {}
        match chance.randrange(6):
            case 0:
                rows[number] = row(realm, number, points=step)  # edited, moved, new, or back again
            case 1:
                rows.pop(number, None)
            case 2:
                used = {realm: [f"s-{number}", "built-in"]}
            case 3:
                table = chance.choice(["definitions", "definition_nodes", "program_history"])
                for each in both:
                    each.path(table, realm).unlink(missing_ok=True)
            case _:
                pass
        is_killed = chance.random() < 0.4
        if is_killed:
            die_within(both[0], [*rows.values()], used, chance.randrange(5), monkeypatch)
        (quick, told), (slow, same) = [each.write([*rows.values()], used=used) for each in both]
        skipped += slow - quick
        # what a killed run has noticed it has kept, and nobody was told
        assert is_killed or (told.edited, told.moved) == (same.edited, same.moved)
        assert both[0].content() == both[1].content(), (seed, step)
    assert skipped
