"""A person is erased: their rows are gone and stay gone, nobody else's are touched, and the receipt says what was done."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from analytics.cli import main
from analytics.errors import ConfigurationError, LakeError, ReportError, UnknownNameError, UsageError
from analytics.estimates.sampling_rates import RateEntry, Rates
from analytics.extraction import resurfaced
from analytics.extraction.privacy.policy import Policy
from analytics.extraction.privacy.tombstones import MARK
from analytics.extraction.searched_words import NAME
from analytics.lake.lake import Lake
from analytics.model import Partition
from analytics.operations.erase import erase
from analytics.reports.leak_gate.forbidden import Forbidden
from analytics.reports.leak_gate.scan import check
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table
from tests.extraction.test_admission import IDS, KEY, SECRET, everything_in, passes, people_table, rows, trace
from tests.kills import erase as erase_job
from tests.kills import harness
from tests.proof import forking

__all__ = ["people_table"]  # the fixture

ANNA, BOB = IDS[0], IDS[1]


def others(lake: Lake) -> list[tuple[Any, ...]]:
    """Every row that has nothing to do with Anna."""
    hidden = f"'{ANNA}', '{KEY.pseudonym('acme', ANNA)}', '{KEY.pseudonym('other', ANNA)}'"
    names = f"external_user_id not in ({hidden}) and coalesce(case_name, '') not like 'case of%'"
    return rows(lake, f"select * from executions where {names} order by execution_id")


@pytest.mark.parametrize("policy", [Policy(), Policy(KEY)], ids=["ids", "pseudonyms"])
def test_whoever_is_erased_is_gone_and_nobody_else_is_touched(people_table: Table, fresh: Lake, policy: Policy) -> None:
    people_table.insert(created_at=None, updated_at=None, externalUserId=ANNA)
    people_table.insert(oauth_user_id=ANNA, externalUserId="somebody-else")
    people_table.extract(fresh, policy=policy)
    before, count = others(fresh), rows(fresh, "select count(*) from executions")[0][0]
    receipt = erase(fresh, ANNA, policy)
    found = everything_in(fresh)
    assert [name for name in (ANNA, *(KEY.pseudonym(r, ANNA) for r in ("acme", "other"))) if name in found] == []
    assert receipt.rows_erased == 5
    assert receipt.rows_changed == 3  # twice "case of", once as the caller
    assert {(entry["realm_id"], entry["day"]) for entry in receipt.partitions} == {
        *((realm, f"2026-07-0{day}") for realm in ("acme", "other") for day in (7, 8)),
        ("acme", None),
    }
    assert rows(fresh, "select count(*) from executions")[0][0] == count - 5
    after = others(fresh)
    assert [row for row in after if row not in before] == [
        row for row in after if "somebody-else" in map(str, row) or KEY.pseudonym("acme", "somebody-else") in row
    ]
    assert len(after) == len(before)
    assert rows(fresh, "select distinct case_name from executions where case_name like 'case of%'") == [
        (f"case of {MARK}",)
    ]
    assert passes(fresh)
    again = people_table.extract(fresh, policy=policy)
    assert again.nothing_to_do
    people_table.extract(fresh, policy=policy, force=True)
    assert rows(fresh, "select count(*) from executions")[0][0] == count - 5
    assert others(fresh) == after
    assert not rows(fresh, "from executions where oauth_user_id is not null and external_user_id like '%some%'")
    assert passes(fresh)


def test_the_receipt_has_the_hashes_of_the_files_before_and_after(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh)
    path = fresh.path("executions", Partition("acme", None)).parent.parent / "day=2026-07-07" / "part.parquet"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    receipt = erase(fresh, ANNA, Policy())
    [entry] = [e for e in receipt.partitions if (e["realm_id"], e["day"]) == ("acme", "2026-07-07")]
    assert entry["before"]["executions"] == before
    assert entry["after"]["executions"] == hashlib.sha256(path.read_bytes()).hexdigest() != before
    gone = [e for e in receipt.partitions if e["realm_id"] == "other"]
    assert [e["after"] for e in gone] == [{"executions": None, "node_days": None}] * 2
    stone = json.loads(receipt.tombstone.read_text())
    assert stone["finished_at"]
    assert stone["realms"] is None
    assert ANNA not in receipt.tombstone.read_text()
    assert (fresh.root / "erased" / "own-key").stat().st_mode & 0o077 == 0


def test_rows_that_come_later_are_left_out_and_mentions_of_them_are_replaced(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh)
    erase(fresh, ANNA, Policy())
    people_table.insert(created_at="2026-07-09 12:00:00+00", externalUserId=ANNA)
    people_table.insert(created_at="2026-07-09 12:00:00+00", externalUserId=BOB, trace=trace(ANNA, f"with {ANNA}"))
    result = people_table.extract(fresh)
    [info] = result.written
    assert (info.row_count, info.erased_count, info.fingerprint.row_count) == (1, 1, 2)
    assert ANNA not in everything_in(fresh)
    assert rows(fresh, "select value_text from nodes where day = '2026-07-09' order by 1") == [
        (MARK,),
        (f"with {MARK}",),
    ]
    assert passes(fresh)
    assert people_table.extract(fresh).nothing_to_do


def test_in_one_realm_only(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh)
    receipt = erase(fresh, ANNA, Policy(), realms=["acme"])
    assert {entry["realm_id"] for entry in receipt.partitions} == {"acme"}
    assert rows(fresh, f"select distinct realm_id from executions where external_user_id = '{ANNA}'") == [("other",)]
    people_table.extract(fresh, force=True)
    assert rows(fresh, f"select distinct realm_id from executions where external_user_id = '{ANNA}'") == [("other",)]
    with pytest.raises(UnknownNameError):
        erase(fresh, ANNA, Policy(), realms=["acne"])


def test_a_pseudonym_can_be_erased_by_who_has_no_key(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh, policy=Policy(KEY))
    with pytest.raises(ConfigurationError, match=KEY.key_id):
        erase(fresh, ANNA, Policy())
    receipt = erase(fresh, KEY.pseudonym("acme", ANNA), Policy())
    assert receipt.rows_erased == 2
    assert KEY.pseudonym("acme", ANNA) not in everything_in(fresh)
    people_table.extract(fresh, policy=Policy(KEY), force=True)
    assert KEY.pseudonym("acme", ANNA) not in everything_in(fresh)
    assert passes(fresh)


def test_somebody_unknown_leaves_everything_as_it_is_and_is_kept_out(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh)
    before = {path: path.read_bytes() for path in fresh.root.rglob("*.parquet")}
    receipt = erase(fresh, "carl-0815", Policy())
    assert (receipt.partitions, receipt.rows_erased) == ((), 0)
    assert {path: path.read_bytes() for path in fresh.root.rglob("*.parquet")} == before
    people_table.insert(externalUserId="carl-0815")
    people_table.extract(fresh)
    assert not rows(fresh, "from executions where external_user_id = 'carl-0815'")
    with pytest.raises(UsageError):
        erase(fresh, " ", Policy())


def test_a_rewritten_partition_keeps_its_weights_and_rows_kept_at_a_changed_rate(table: Table, fresh: Lake) -> None:
    for n in range(20):
        table.insert(created_at=f"2026-07-08 {n:02d}:30:00+00", externalUserId=f"user-{n:05d}", points=n / 7)
    gone = table.insert(externalUserId="user-99999", status="error", sampled=False, trace="null")

    rates = Rates((RateEntry(0.2, since=datetime(2026, 7, 8, 12, tzinfo=UTC)),), 0.05)
    table.extract(fresh, rates=rates)
    table.execute("delete from strategyexecutionlog where id = %s", [gone])
    table.extract(fresh, rates=rates)
    ask = "select * from executions where external_user_id <> 'user-00003' order by execution_id"
    before = rows(fresh, ask)
    erase(fresh, "user-00003", Policy())
    assert rows(fresh, ask) == before
    record = fresh.recorded(date(2026, 7, 8))
    assert record is not None
    info = record.partitions["acme"]
    assert (info.row_count, info.kept_count, info.erased_count, len(info.sample_rates)) == (20, 1, 1, 2)
    assert table.extract(fresh, rates=rates).nothing_to_do
    assert passes(fresh)


def test_the_command_prints_a_receipt_and_names_reports_that_still_name_the_person(
    people_table: Table,
    fresh: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    people_table.extract(fresh)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.html").write_text(f"<p>{ANNA}</p>")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{ANNA}\n"))
    words = ["--lake", str(fresh.root)]
    assert main(["erase", "--user", "-", "--reports", str(tmp_path / "out"), *words, "--json"]) == 0
    said = capsys.readouterr()
    receipt = json.loads(said.out)
    assert (receipt["rows_erased"], receipt["rows_changed"], len(receipt["partitions"])) == (4, 2, 4)
    assert receipt["files_that_still_name_them"] == [str(tmp_path / "out" / "old.html")]
    assert "still names them" in said.err
    assert "not touched: the log table itself" in said.err
    assert ANNA not in said.err.replace(str(tmp_path), "")
    assert main(["erase", "--user", ANNA, "--realm", "nowhere", *words]) == 2
    assert main(["erase", "--user", ANNA, "--lake", str(tmp_path / "nothing")]) == 3
    assert not (tmp_path / "nothing").exists()


def test_pseudonym_answers_who_asks_what_is_known_of_them(
    people_table: Table,
    fresh: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    people_table.extract(fresh, policy=Policy(KEY))
    words = ["pseudonym", ANNA, "--lake", str(fresh.root)]
    assert main(words) == 2
    assert KEY.key_id in capsys.readouterr().err
    monkeypatch.setenv("ANALYTICS_PSEUDONYM_KEY", SECRET)
    assert main([*words, "--json", "--out", str(tmp_path / "runs.json")]) == 0
    told = {row["realm_id"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(told) == {"acme", "other"}
    assert told["acme"] == {
        "realm_id": "acme",
        "pseudonym": KEY.pseudonym("acme", ANNA),
        "logged_count": 2,
        "as_caller_count": 0,
        "rows_that_may_name_them": 2,
        "first_day": "2026-07-07",
        "last_day": "2026-07-08",
    }
    handed = [json.loads(line) for line in (tmp_path / "runs.json").read_text().splitlines()]
    assert [row["external_user_id"] for row in handed] == [
        *[KEY.pseudonym("acme", ANNA)] * 2,
        *[KEY.pseudonym("other", ANNA)] * 2,
    ]
    assert main(["pseudonym", "nobody-00000", "--lake", str(fresh.root)]) == 0
    assert "holds nothing of them" in capsys.readouterr().err


def test_a_run_that_is_killed_is_finished_by_the_next(database_url: str, table: Table, tmp_path: Path) -> None:
    forking.begin(database_url)
    job = erase_job.build(table.url, tmp_path)
    stops = harness.named_steps(job, tmp_path / "lake", tmp_path / "steps")
    chosen = [
        stop for stop in stops if stop.step in ("rename to executions", "rename to node_days", "rename to ledger")
    ]
    harness.at(job, tmp_path / "lake", chosen[len(chosen) // 2], checks=True)  # make prove has every step


CARL = "carl@example.org"


@pytest.mark.parametrize("policy", [Policy(), Policy(KEY)], ids=["ids", "pseudonyms"])
def test_whoever_is_gone_at_the_source_is_still_known_in_others_texts(
    table: Table, fresh: Lake, policy: Policy
) -> None:
    table.insert(externalUserId=CARL)
    table.insert(externalUserId="0049301234567")
    table.extract(fresh, policy=policy)
    erase(fresh, CARL, policy)
    erase(fresh, "0049301234567", policy)
    table.execute("delete from strategyexecutionlog")
    said = f"see {CARL}, and not x{CARL}"
    table.insert(notes=said, caseName=f"({CARL})", errorCode=CARL, trace=trace(said, [{CARL: "0049301234567"}], CARL))
    table.insert(trace=json.dumps({"odd": f'"{CARL}"'}))
    table.define({"rules": [], "note": f"for {CARL}"}, description=f"for {CARL}")
    table.extract(fresh, policy=policy, allow_shrink=True)
    found = everything_in(fresh).replace(f"x{CARL}", "")
    assert CARL not in found
    assert "0049301234567" not in found
    assert rows(fresh, "select notes, case_name, error_code from executions where notes is not null") == [
        (f"see {MARK}, and not x{CARL}", f"({MARK})", MARK)
    ]
    assert rows(fresh, "select description from definitions") == [(f"for {MARK}",)]


def put_back(lake: Lake, saved: Path, what: str) -> None:
    """A part of a backup."""
    root = Path(str(lake.root))
    for path in sorted(saved.glob(what)):
        target = root / path.relative_to(saved)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (Policy(), "executions/*/day=2026-07-07/part.parquet"),  # of a day that is not extracted again
        (Policy(), "definitions"),
        # all of the tables, not the ledger
        pytest.param(Policy(KEY), "*s", marks=pytest.mark.long),
        (Policy(KEY), "[!e]*"),  # the ledger too
    ],
)
def test_a_backup_that_is_put_back_brings_nobody_back(
    people_table: Table, fresh: Lake, tmp_path: Path, policy: Policy, what: str
) -> None:
    people_table.extract(fresh, policy=policy)
    count = rows(fresh, "select count(*) from executions")[0][0]
    shutil.copytree(fresh.root, tmp_path / "saved")  # type: ignore[arg-type]
    names = {name for one in (ANNA, "author-77x") for name in (one, KEY.pseudonym("acme", one))}
    for one in (ANNA, "author-77x"):
        erase(fresh, one, policy)
    assert passes(fresh)
    put_back(fresh, tmp_path / "saved", what)
    if what == "[!e]*":
        put_back(fresh, tmp_path / "saved", "executions")
    [found] = [check for check in Warehouse(fresh).check(policy.key) if check.name == "erased_stay_erased"]
    assert found.failures
    assert found.example
    assert found.example["path"].split("/")[0] in ("executions", "definitions")
    assert "extract" in found.example["repair"]
    people_table.extract(fresh, "2026-07-08", policy=policy)
    assert not [name for name in names if name in everything_in(fresh)]
    assert rows(fresh, "select count(*) from executions")[0][0] == count - 4
    assert passes(fresh)


def test_what_an_older_version_wrote_is_searched(people_table: Table, fresh: Lake, monkeypatch: Any) -> None:
    people_table.extract(fresh)
    erase(fresh, ANNA, Policy())
    with monkeypatch.context() as older:
        older.setattr("analytics.extraction.privacy.tombstones.read", lambda *_, **__: [])
        older.setattr("analytics.extraction.privacy.tombstones.read_searched", lambda _: ([], {}))
        people_table.extract(fresh, force=True)
    assert ANNA in everything_in(fresh)
    assert not passes(fresh)
    result = people_table.extract(fresh, "2026-07-09")
    assert any("somebody who was erased" in note for note in result.notes)
    assert ANNA not in everything_in(fresh)
    assert passes(fresh)
    assert people_table.extract(fresh).nothing_to_do


def test_a_tombstone_that_is_lost_lets_nobody_back_in(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh)
    stone = Path(str(erase(fresh, ANNA, Policy()).tombstone))
    text = stone.read_text()
    stone.unlink()
    with pytest.raises(LakeError, match="is gone"):
        people_table.extract(fresh, force=True)
    assert not passes(fresh)
    erase(fresh, ANNA, Policy())
    assert json.loads(stone.read_text())["digest"] == json.loads(text)["digest"]
    people_table.extract(fresh, force=True)
    assert ANNA not in everything_in(fresh)
    (fresh.root / "ledger" / "tombstones.json").write_text("[]")  # type: ignore[union-attr]
    with pytest.raises(LakeError, match="is damaged"):
        people_table.extract(fresh)
    assert not passes(fresh)


def test_files_that_were_searched_are_not_read_again(
    people_table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_table.extract(fresh)
    erase(fresh, ANNA, Policy())
    people_table.extract(fresh)
    read: list[str] = []
    real = resurfaced._Search.look
    monkeypatch.setattr(resurfaced._Search, "look", lambda self, name: read.append(name) or real(self, name))
    people_table.insert(created_at="2026-07-09 12:00:00+00")
    people_table.extract(fresh)
    assert read == []
    path = fresh.root / "executions" / "realm=acme" / "day=2026-07-07" / "part.parquet"
    path.write_bytes(path.read_bytes())  # type: ignore[union-attr]
    people_table.extract(fresh, "2026-07-09")
    assert read == []
    path.write_bytes((path.parents[1] / "day=2026-07-08" / "part.parquet").read_bytes())  # type: ignore[union-attr]
    people_table.extract(fresh, "2026-07-09")
    assert read == [str(path)]


def test_a_lake_that_was_copied_is_sound_also_for_who_has_not_its_key(
    people_table: Table, fresh: Lake, tmp_path: Path
) -> None:
    policy = Policy(KEY)
    people_table.extract(fresh, policy=policy)
    erase(fresh, ANNA, policy)
    copy = Lake(shutil.copytree(str(fresh.root), tmp_path / "copy", copy_function=shutil.copyfile))
    assert passes(fresh) and passes(copy)
    place = "executions/realm=acme/day=2026-07-07/part.parquet"
    (copy.root / place).write_bytes((copy.root / place.replace("07-07", "07-08")).read_bytes())
    assert not passes(copy)


def test_a_taking_out_that_is_killed_before_the_ledger_is_written_is_finished_by_the_next(
    people_table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_table.extract(fresh)
    path = fresh.path("executions", Partition("acme", date(2026, 7, 7)))
    before = path.read_bytes()
    erase(fresh, ANNA, Policy())
    Path(str(path)).write_bytes(before)
    with monkeypatch.context() as killed:
        killed.setattr(resurfaced, "_settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            people_table.extract(fresh, "2026-07-09")
    people_table.extract(fresh, "2026-07-09")
    assert ANNA not in everything_in(fresh)
    assert passes(fresh)
    assert not [*fresh.root.rglob("taking-out*")]  # type: ignore[union-attr]


@pytest.mark.parametrize("policy", [Policy(), Policy(KEY)], ids=["ids", "pseudonyms"])
def test_the_gate_refuses_a_report_that_names_somebody_who_was_erased(
    table: Table, fresh: Lake, tmp_path: Path, policy: Policy
) -> None:
    table.insert(externalUserId="somebody")
    table.extract(fresh, policy=policy)
    erase(fresh, CARL, policy)
    name = KEY.pseudonym("acme", CARL) if policy.key else CARL
    window = Window(datetime(2026, 7, 8, tzinfo=UTC), datetime(2026, 7, 9, tzinfo=UTC))
    forbidden = Forbidden.of(fresh.root, window=window, show_users=True, env={"ANALYTICS_PSEUDONYM_KEY": SECRET})
    (tmp_path / "out").mkdir()
    page = tmp_path / "out" / "report.html"
    page.write_text(f"<p>Nothing of x{name} and {name}0.</p>")
    check(tmp_path / "out", forbidden)
    page.write_text(f"<p>It was {name}.</p>")
    with pytest.raises(ReportError, match="somebody who was erased"):
        check(tmp_path / "out", forbidden)


LINDA = "linda-4711"


def looked_at(lake: Lake, user: str, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Files that an erasure opens to search them."""
    read: set[str] = set()
    real = resurfaced._Search.look
    with monkeypatch.context() as watched:
        watched.setattr(
            resurfaced._Search, "look", lambda self, name: read.add(self.relative(name)) or real(self, name)
        )
        erase(lake, user, policy)
    return read


@pytest.mark.parametrize("policy", [Policy(), Policy(KEY)], ids=["ids", "pseudonyms"])
def test_another_erasure_opens_only_files_that_may_hold_the_person(
    people_table: Table, fresh: Lake, tmp_path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = json.dumps({"odd": f'to "{LINDA}"'})
    people_table.insert(created_at="2026-07-05 12:00:00+00", realmId="third", trace=odd)
    people_table.extract(fresh, "2026-07-05", policy=policy)
    people_table.extract(fresh, policy=policy)
    every = {str(path.relative_to(fresh.root)) for path in fresh.root.glob("[edp]*/**/part.parquet")}  # type: ignore[arg-type]
    assert looked_at(fresh, "nobody-0815", policy, monkeypatch) >= {n for n in every if n.startswith("executions")}
    assert looked_at(fresh, "nobody-0816", policy, monkeypatch) == set()
    other = "executions/realm=other/day=2026-07-07/part.parquet"
    third = "executions/realm=third/day=2026-07-05/part.parquet"
    shutil.copy2(str(fresh.root / other), tmp_path / "saved")
    # theirs are made anew before they are searched; of the third tenant nobody but this row names the other person
    assert third not in looked_at(fresh, ANNA, policy, monkeypatch)
    assert third in looked_at(fresh, LINDA, policy, monkeypatch)
    assert LINDA not in everything_in(fresh)
    Path(str(fresh.root / other)).parent.mkdir(parents=True)  # the file was emptied, and comes back from a backup
    shutil.copy2(tmp_path / "saved", str(fresh.root / other))
    assert other in looked_at(fresh, "nobody-0817", policy, monkeypatch)
    assert ANNA not in everything_in(fresh)
    assert passes(fresh)


def test_no_words_are_left_where_files_cannot_be_searched(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh, policy=Policy(KEY))
    erase(fresh, "nobody-0815", Policy(KEY))
    assert (fresh.root / NAME).is_file()
    erase(fresh, KEY.pseudonym("acme", ANNA), Policy())
    assert not (fresh.root / NAME).exists()
