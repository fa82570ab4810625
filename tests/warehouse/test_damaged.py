"""One damaged file of a lake: every command says which file it is and what repairs it, and none takes it for nothing."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import analytics
from analytics.cli import main
from analytics.errors import AnalyticsError, DamagedFileError
from analytics.lake import schema
from analytics.lake.lake import Lake
from tests.fewer import one_in
from tests.odd import lakes, log
from tests.odd.lakes import Shape, Strategy

SHAPE = Shape(
    seed=3, rows=40, days=2, strategies=tuple(Strategy("plain", realm, "Ride", 1, False) for realm in ("acme", "other"))
)
FILE = "executions/realm=acme/day=2026-07-06/part.parquet"
WINDOW = ["--since", "2026-07-06", "--until", "2026-07-08"]
ALL = "--all-realms"


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def footer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[-8:-4], "little")
    data[-8 - length : -8] = random.Random(7).randbytes(length)
    path.write_bytes(data)


def pages(path: Path) -> None:
    """The footer is sound: only whoever reads a page meets the damage."""
    data, group = bytearray(path.read_bytes()), pq.ParquetFile(path).metadata.row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        start = column.dictionary_page_offset or column.data_page_offset
        for place in range(start, start + column.total_compressed_size):
            data[place] ^= 0x55
    path.write_bytes(data)


def another(path: Path) -> None:
    path.unlink()
    pq.write_table(pa.table({"a": [1, 2]}), path)


def retyped(path: Path) -> None:
    rows = pq.ParquetFile(path).read()
    for name in {"points", "strategy_version"} & set(rows.column_names):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(["x"] * rows.num_rows))
    pq.write_table(rows, path)


def text(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>", encoding="ascii")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = (pages, empty, another, folder, zeros, short, footer, retyped, text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound lake. Shared: copy it."""
    return Path(str(lakes.make(SHAPE, tmp_path_factory.mktemp("damaged") / "lake").root))


@pytest.fixture
def lake(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "lake"))


def user(whole: Path, file: str = FILE) -> str:
    """Somebody who ran on the damaged day."""
    found = pq.ParquetFile(whole / file).read(columns=["external_user_id"])["external_user_id"].drop_null()
    return str(found[0].as_py())


def run_of(whole: Path) -> str:
    return str(pq.ParquetFile(whole / FILE).read(columns=["execution_id"])["execution_id"][0].as_py())


def said(words: list[str], lake: Path, capsys: Any) -> tuple[int, str, str]:
    code = main([*words, "--lake", str(lake)])
    told = capsys.readouterr()
    assert "Traceback" not in told.err and "fault of the program" not in told.err, (words, told.err)
    return code, told.out, told.err


@pytest.mark.parametrize("damage", one_in(5, DAMAGE))
def test_every_command_names_the_damaged_file_and_its_repair(
    damage: Callable[[Path], None], whole: Path, lake: Path, tmp_path: Path, capsys: Any
) -> None:
    damage(lake / FILE)
    gather = ["gather", "--share", "1/1", "--into", str(tmp_path / "parts"), *WINDOW, ALL]
    for words in (
        ["query", "select * from executions", ALL],
        ["query", "--name", "failures", *WINDOW, ALL],
        ["explain", run_of(whole)],
        gather,
        ["export", "nodes", "--out", str(tmp_path / "flat"), ALL],
        ["audit", *WINDOW, ALL],
        ["check", ALL],
    ):
        code, out, err = said(words, lake, capsys)
        if damage is folder and words[0] not in ("check",):
            continue  # nothing is there to be read: check tells
        # where a view cannot even be made of the files' columns, nothing can be checked
        assert code == (1 if words[0] == "check" and damage is not retyped else 3), (words, err)
        assert FILE in out + err, words
        assert words[0] == "check" or "--since 2026-07-06 --until 2026-07-07 --force" in err, words
    for words in (
        ["status", ALL],
        ["query", "select count(*) from executions", "--realm", "other"],
        ["query", "--list"],
    ):
        code, _, err = said(words, lake, capsys)
        assert code == 0 or damage is retyped, (words, err)


@pytest.mark.parametrize("damage", one_in(5, DAMAGE))
def test_nobody_is_told_that_a_lake_holds_nothing_of_them_while_a_file_of_it_cannot_be_read(
    damage: Callable[[Path], None], whole: Path, lake: Path, tmp_path: Path, capsys: Any
) -> None:
    damage(lake / FILE)
    for words in (
        ["pseudonym", "nobody-at-all"],
        ["pseudonym", user(whole), "--json", "--out", str(tmp_path / "theirs.json")],
        ["erase", "--user", user(whole)],
    ):
        code, _, err = said(words, lake, capsys)
        assert code == 3 and FILE in err and "nothing of them" not in err, (words, err)
    assert said(["pseudonym", "nobody-at-all", "--realm", "other"], lake, capsys)[0] == 0


def test_what_can_be_read_is_erased_and_the_same_words_finish_it_once_the_file_is_back(
    whole: Path, lake: Path, capsys: Any
) -> None:
    who = user(whole)
    everywhere = sum(
        pq.ParquetFile(path).read(columns=["external_user_id"])["external_user_id"].to_pylist().count(who)
        for path in (whole / "executions").rglob("*.parquet")
    )
    here = pq.ParquetFile(whole / FILE).read(columns=["external_user_id"])["external_user_id"].to_pylist().count(who)
    assert everywhere > here > 0
    pages(lake / FILE)
    code, _, err = said(["erase", "--user", who], lake, capsys)
    assert code == 3 and err.startswith(f"{everywhere - here} logged runs erased") and "erase again" in err
    shutil.copy(whole / FILE, lake / FILE)
    code, _, err = said(["erase", "--user", who], lake, capsys)
    assert code == 0 and err.startswith(f"{everywhere} logged runs erased")
    assert said(["pseudonym", who], lake, capsys)[0] == 0


@pytest.mark.parametrize("table", ["definitions", "program_history"])
def test_programs_that_cannot_be_read_may_name_a_person(table: str, whole: Path, lake: Path, capsys: Any) -> None:
    path = lake / table / "realm=acme" / "part.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True)
        pq.write_table(schema.of_tables()[table].empty_table(), path)
    short(path)
    code, _, err = said(["erase", "--user", user(whole)], lake, capsys)
    assert code == 3 and f"{table}/realm=acme/part.parquet" in err
    tombstones = [path.read_text(encoding="utf-8") for path in (lake / "erased").glob("*.json")]
    assert ['"finished_at": null' in told for told in tombstones] == [True]


def test_an_export_goes_on_with_what_can_be_read(lake: Path, tmp_path: Path, capsys: Any) -> None:
    footer(lake / FILE)
    code, _, err = said(["export", "nodes", "--out", str(tmp_path / "flat"), ALL], lake, capsys)
    made = {
        str(path.parent.relative_to(tmp_path / "flat" / "nodes")) for path in (tmp_path / "flat").rglob("*.parquet")
    }
    assert code == 3 and "all else was exported" in err
    assert made == {"realm=acme/day=2026-07-07", "realm=other/day=2026-07-06", "realm=other/day=2026-07-07"}


def test_a_forced_extraction_mends_it(lake: Path) -> None:
    pages(lake / FILE)
    chance = random.Random(SHAPE.seed)
    rows = [lakes._row(SHAPE, chance) for _ in range(SHAPE.rows)]
    definitions = lakes._definitions(SHAPE, chance)
    log.fill(Lake(lake), rows, definitions, date(2026, 7, 6), date(2026, 7, 7), SHAPE.rates, force=True)
    opened = analytics.open_lake(lake)
    assert opened.sql("select count(*) from nodes").fetchall() and all(check.passed for check in opened.check())


def test_a_damaged_ledger_does_not_make_nothing_of_a_person(whole: Path, lake: Path, capsys: Any) -> None:
    (lake / "ledger" / "day=2026-07-06.json").write_text("{", encoding="utf-8")
    code, out, err = said(["pseudonym", user(whole)], lake, capsys)
    assert code == 3 and user(whole) in out and "ledger/day=2026-07-06.json" in err
    short(lake / FILE)  # now nothing tells that the file should be there
    code, _, err = said(["pseudonym", "nobody-at-all"], lake, capsys)
    assert code == 3 and FILE in err


def test_reports_and_answers_name_the_file_however_late_their_rows_are_asked_for(lake: Path) -> None:
    answer = analytics.open_lake(lake).sql("from executions")
    pages(lake / FILE)
    for ask in (answer.fetchall, answer.df, lambda: answer.limit(5).fetchall(), lambda: str(answer)):
        with pytest.raises(DamagedFileError, match=r"realm=acme/day=2026-07-06/part\.parquet is damaged"):
            ask()
    window = {"since": "2026-07-06", "until": "2026-07-08"}
    for report in (
        lambda: analytics.runaway_rules(str(lake), **window).head(),
        lambda: analytics.post_mortem(str(lake), realm="acme", family="Ride", **window).head(),
    ):
        with pytest.raises(AnalyticsError, match=r"part\.parquet is damaged"):
            report()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_file_that_may_not_be_read_is_no_fault_of_the_program(whole: Path, capsys: Any) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        lake = Path(shutil.copytree(whole, Path(place, "lake")))
        for path in (Path(place), lake, *lake.rglob("*")):
            os.chown(path, 65534, 65534)
        (lake / FILE).chmod(0)
        os.seteuid(65534)
        try:
            told = [said(words, lake, capsys) for words in (["pseudonym", "nobody"], ["query", "from nodes", ALL])]
        finally:
            os.seteuid(0)
    for code, _, err in told:
        assert code == 3 and "Permission denied" in err and "chown" in err, err
