"""What the ledger tells of and the lake has lost: every reader says so, and nothing of it is called complete or quiet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

import analytics
from analytics.cli import main
from analytics.extraction.privacy.policy import Policy, PseudonymKey
from analytics.lake.lake import Lake
from analytics.model import Partition
from analytics.operations.doctor.doctor import check_lake
from analytics.warehouse import checks
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table

DAY = date(2026, 7, 8)
ACME = Partition("acme", DAY)
WINDOW = Window.parse("2026-07-07", "2026-07-10")
ASKED = ("--since", "2026-07-07", "--until", "2026-07-10")


LOST: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink,
    "of zero bytes": lambda path: path.write_bytes(b""),
    "gone with its day's folder": lambda path: shutil.rmtree(path.parent),
}


@pytest.fixture(scope="module")
def sound(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two tenants, two runs each on one of three days, and one on the last."""
    module_table.insert(created_at="2026-07-09 12:00:00+00")
    for realm in ("acme", "other"):
        for _ in range(2):
            module_table.insert(realmId=realm)
    made = Lake(tmp_path_factory.mktemp("sound") / "lake")
    module_table.extract(made)
    return made


@pytest.fixture
def lake(sound: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(str(sound.root), tmp_path / "lake")
    return Lake(tmp_path / "lake")


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_partition_whose_file_is_lost_is_neither_complete_nor_quiet(
    lake: Lake, lose: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    lose(Path(lake.name("executions", ACME)))
    here = ("--lake", str(lake.root), "--all-realms")
    lost = "the file of a partition is gone or empty: acme · 2026-07-08, with 2 logged runs by the ledger"
    repair = f"strategy-analytics extract --lake {lake.root} --since 2026-07-08 --until 2026-07-09"

    held = coverage(Warehouse(lake), WINDOW)
    assert (held.missing, held.lost) == ([DAY], [DAY])
    # another tenant's window is what it was
    assert coverage(Warehouse(lake, realms=["other"]), WINDOW).missing == []

    assert main(["status", *here, "--json"]) == 0
    out, err = capsys.readouterr()
    assert [(c["realm_id"], c["state"]) for c in json.loads(out) if c["day"] == "2026-07-08"] == [
        ("acme", "stale"),
        ("other", "complete"),
    ]
    assert lost in err
    assert repair in err
    assert main(["query", *here, "select 1"]) == 0
    assert lost in capsys.readouterr().err
    assert main(["check", *here]) == 1
    assert lost in capsys.readouterr().err
    assert (lost, "problem") in [(found.sentence, found.level) for found in check_lake(lake)]

    card = repr(analytics.open_lake(lake.root))
    assert lost.replace("the file", "The file", 1) in card
    assert "Every day is complete" not in card
    assert "1 day with lost files (2026-07-08)" in card
    assert "1 with lost files" in Warehouse.__repr__(Warehouse(lake))


def test_the_reports_say_what_is_lost_and_never_that_nothing_else_was_seen(lake: Lake) -> None:
    lake.remove(lake.path("executions", ACME))
    runaway = analytics.runaway_rules(lake.root, since=ASKED[1], until=ASKED[3])
    facts = runaway.summary()
    assert (facts["state"], facts["missing_days"], facts["lost_days"]) == ("no data", ["2026-07-08"], ["2026-07-08"])
    held = "Nothing new in what the lake holds of this window (1 day with lost files, Wed 8 July 2026)"
    assert facts["verdict"].startswith(held)
    assert facts["title"].startswith("nothing new in what is held")
    assert "1 day with lost files, nothing new in what is held, 2 versions ran" in facts["digest"]
    head = runaway.head().text
    assert "log lost in the lake for 1 of 3 days" in head
    assert "The file of a partition is gone or empty: acme · 2026-07-08" in head
    assert "1 day with lost files (the file of a partition is gone or empty: acme" in runaway.sure().text
    incident = analytics.post_mortem(lake.root, realm="other", strategy_id="s1", since=ASKED[1], until=ASKED[3])
    assert incident.summary()["lost_days"] == []
    assert "is gone" not in incident.head().text
    # a week before its window is what it is compared with
    later = analytics.post_mortem(lake.root, realm="acme", strategy_id="s1", since="2026-07-09", until="2026-07-10")
    assert later.summary()["lost_days"] == []
    assert "The file of a partition is gone or empty: acme · 2026-07-08" in later.head().text


@pytest.mark.parametrize("left_at_the_source", [1, 2], ids=["the source has half of it", "the source has all of it"])
def test_what_source_and_lake_have_lost_is_not_forgotten_by_the_next_extraction(
    table: Table, fresh: Lake, left_at_the_source: int
) -> None:
    for _ in range(2):
        table.insert()
    table.insert(realmId="other")
    table.extract(fresh)
    whole = fresh.recorded(DAY)
    part = Path(fresh.name("executions", ACME))
    backup = part.read_bytes()
    part.unlink()
    table.execute(
        'delete from strategyexecutionlog where "realmId" = %s and id <> all (array(select id from strategyexecutionlog '
        'where "realmId" = %s limit %s))',
        ["acme", "acme", left_at_the_source],
    )
    table.insert(realmId="other")
    result = table.extract(fresh)
    assert [info.partition.realm for info in result.written] == (["acme"] * (left_at_the_source == 2) + ["other"])
    said = "the file of a partition is gone, and the source has fewer than the 2 rows that the ledger tells of"
    if left_at_the_source == 2:
        assert any("(acme · 2026-07-08), and were made again" in note for note in result.notes)
        assert Warehouse(fresh).lost() == []
        return
    assert [note for note in result.notes if note.startswith(said)]
    assert [loss.partition for loss in Warehouse(fresh).lost()] == [ACME]
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(backup)  # it is put back: nothing was forgotten
    assert whole is not None
    told = fresh.recorded(DAY)
    assert told is not None and told.partitions["acme"] == whole.partitions["acme"]
    assert sum(table.extract(fresh).kept.values()) == 1
    assert len(Warehouse(fresh).sql("from executions where realm_id = 'acme'").fetchall()) == 2
    part.unlink()
    assert [info.row_count for info in table.extract(fresh, allow_shrink=True).written] == [1]
    assert Warehouse(fresh).lost() == []


def test_programs_that_are_lost_are_said_and_merged_when_they_are_put_back(
    table: Table, fresh: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    table.insert()
    for name in ("Stays", "Deleted at the source"):
        table.define({"rules": []}, name=name)
    table.extract(fresh)
    assert list(checks.problems(fresh)) == []
    table.execute("delete from strategydefinition where name like 'Deleted%%'")
    file = Path(str(fresh.realm_path("definitions", "acme")))
    backup = file.read_bytes()
    file.unlink()
    said = "1 file of programs is lost, definitions/realm=acme/part.parquet the first"
    assert main(["query", "--lake", str(fresh.root), "--all-realms", "select 1"]) == 0
    assert said in capsys.readouterr().err
    assert [one.says for one in checks.problems(fresh) if one.says.startswith(said)]
    [failed] = [one for one in Warehouse(fresh).check() if one.name == "files_agree_with_each_other"]
    assert (failed.passed, failed.failures) == (False, 1)
    assert said in analytics.runaway_rules(fresh.root, since=ASKED[1], until=ASKED[3]).sure().text
    assert any(note.startswith(said) for note in table.extract(fresh).notes)
    assert list(checks.problems(fresh)) == []
    file.write_bytes(backup)
    table.extract(fresh)
    known = Warehouse(fresh).sql("select family_name, is_deleted from definitions order by 1").fetchall()
    assert known == [("Deleted at the source", True), ("Stays", False)]


def test_the_doctor_and_check_name_files_that_do_not_agree(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh, policy=Policy(PseudonymKey.of("0123456789abcdef" * 4, "a test")))
    assert list(checks.problems(fresh)) == []
    (fresh.root / "people.json").unlink()
    assert [one.file for one in checks.problems(fresh)] == ["people.json"]
    assert [found.name for found in check_lake(fresh) if found.level == "problem"] == ["files"]
    shutil.rmtree(fresh.root / "ledger")
    assert [one.file for one in checks.problems(Lake(fresh.root))] == ["people.json", "ledger"]
    [failed] = [one for one in Warehouse(fresh).check() if one.name == "files_agree_with_each_other"]
    assert failed.failures == 2
