"""Questions asked share by share give the very answers of one process, whatever became of the shares."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import analytics
from analytics import sql
from analytics.cli import main
from analytics.errors import LakeError, UsageError
from analytics.findings.runaway import run_costs
from analytics.lake.lake import Lake, Version
from analytics.reports.render.builders import gather_share, questions
from analytics.storage import disk
from analytics.warehouse import partial_results
from analytics.warehouse.partial_results import PartialQuery, PartialResults, compute_share
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window, midnight
from tests.conftest import UNTIL
from tests.fewer import one_in

HALVED = [name for name in sql.names("queries") if sql.gathered(sql.text("queries", name))]
WINDOW = Window(midnight(UNTIL) - timedelta(days=1), midnight(UNTIL))
ABOUT = b"strategy_analytics.partial"


class Spy:
    """Tells who had to ask the lake itself."""

    def __init__(self, inner: PartialResults) -> None:
        self.inner, self.whole = inner, list[str]()

    def partial(self, lake: Warehouse, name: str, values: Mapping[str, Any]) -> pa.Table | None:
        found = self.inner.partial(lake, name, values)
        if found is None:
            self.whole.append(name)
        return found


@pytest.fixture(scope="module")
def three_shares(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("shares") / "gathered"
    for share in (1, 2, 3):
        gather_share(warehouse, WINDOW, into, share, 3)
    return into


def test_a_share_is_written_where_the_folder_for_temporary_files_is_another_file_system(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    rename = disk.replace

    def on_two_disks(staged: Path, target: Path) -> None:
        if staged.is_relative_to(tmp_path / "elsewhere"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(staged, target)

    monkeypatch.setattr(disk, "replace", on_two_disks)
    made = gather_share(warehouse, WINDOW, tmp_path / "gathered", 1, 1)
    assert made
    assert sorted(path.name for path in (tmp_path / "gathered").iterdir()) == sorted(path.name for path in made)


@pytest.fixture
def shares(three_shares: Path, tmp_path: Path) -> Path:
    """Three shares, to do with as a test likes."""
    return Path(shutil.copytree(three_shares, tmp_path / "gathered"))


def asked(warehouse: Warehouse) -> list[tuple[str, dict[str, Any]]]:
    """Every question of a report, over its window and over its history."""
    found = []
    for question in questions(warehouse, WINDOW):
        spans = [Window(midnight(question.since), midnight(question.until))]
        if question.since < WINDOW.since.date() < question.until:
            spans = [WINDOW, Window(spans[0].since, WINDOW.since)]
        found += [(question.query, {**question.values, "since": one.since, "until": one.until}) for one in spans]
    return found


_ALONE: WeakKeyDictionary[Warehouse, dict[str, pa.Table]] = WeakKeyDictionary()


def alone(warehouse: Warehouse, name: str, values: dict[str, Any]) -> pa.Table:
    """What one process answers: nobody writes to the lake, so it is asked once."""
    answers = _ALONE.setdefault(warehouse, {})
    question = repr((name, values))
    if question not in answers:
        answers[question] = warehouse.table(name, **values)
    return answers[question]


def differing(warehouse: Warehouse, into: Path) -> tuple[list[str], list[str]]:
    """Queries whose answers differ from those of one process, and those that no share could help with."""
    spy = Spy(PartialResults(into))
    merged = warehouse.with_engine(spy)
    other = [
        name
        for name, values in asked(warehouse)
        if not merged.table(name, **values).equals(alone(warehouse, name, values))
    ]
    return other, spy.whole


def test_the_shares_of_a_report_answer_all_its_questions_and_answer_them_the_same(
    warehouse: Warehouse, shares: Path
) -> None:
    assert {name for name, _ in asked(warehouse)} == {
        "arrivals_by_minute", "cost_by_strategy", "dead_rules", "hot_nodes", "limit_runs", "nodes_by_day", "run_costs",
        "sampling_by_hour", "stops_by_minute", "time_by_nodes",
    }  # fmt: skip
    assert differing(warehouse, shares) == ([], [])


def test_the_shares_have_every_file_once(warehouse: Warehouse, shares: Path) -> None:
    for question in questions(warehouse, WINDOW):
        told = [
            name
            for path in shares.glob(f"{question.name}-{question.since}-{question.until}-*")
            for name in json.loads(pq.read_schema(path).metadata[ABOUT])["files"]
        ]
        wanted = [
            name.removeprefix(f"{warehouse.lake.root}/")
            for table in ("executions", "node_days")
            if question.reads(table)
            for name in warehouse.files[table]
            if question.holds(name)
        ]
        assert wanted
        assert sorted(told) == sorted(wanted)


def test_a_whole_report_is_the_same_to_the_letter(lake: Lake, shares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spies: list[Spy] = []

    def spying(folder: Path) -> Spy:
        spies.append(Spy(PartialResults(folder)))
        return spies[-1]

    since, until = WINDOW.since.isoformat(), WINDOW.until.isoformat()
    alone = analytics.runaway_rules(str(lake.root), since=since, until=until, previous="none")
    expected = [alone.summary(), alone.league().html, alone.findings().html]
    monkeypatch.setattr("analytics.warehouse.partial_results.PartialResults", spying)
    merged = analytics.runaway_rules(str(lake.root), since=since, until=until, previous="none", gathered=str(shares))
    assert [merged.summary(), merged.league().html, merged.findings().html] == expected
    # These are asked of what was found.
    assert spies[0].whole == ["passed_runs", "largest_runs"]


def test_a_rounded_question_is_one_of_its_own(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.reports.render.builders.MOST_EXACT", 0)
    for share in (1, 2):
        gather_share(warehouse, WINDOW, tmp_path / "g", share, 2)
    merged = warehouse.with_engine(PartialResults(tmp_path / "g"))
    for most in (0, 10**9):
        ours, alone = (
            run_costs.run_costs(one, WINDOW.since, WINDOW.until, most_exact=most) for one in (merged, warehouse)
        )
        assert ours.together.equals(alone.together)
        assert ours.times.equals(alone.times)
        assert ours.is_rounded is (most == 0)


@pytest.mark.parametrize(
    ("since", "until"),
    one_in(3, [
        (WINDOW.since + timedelta(hours=5), WINDOW.until),
        (WINDOW.since - timedelta(hours=5), WINDOW.until - timedelta(microseconds=1)),
        (WINDOW.since + timedelta(hours=5), WINDOW.since + timedelta(hours=7)),
        (WINDOW.since - timedelta(days=400), WINDOW.until + timedelta(days=3)),
        (None, None),
        (None, WINDOW.until),
        (WINDOW.since.isoformat(), WINDOW.until.isoformat()),
    ]),
)  # fmt: skip
def test_other_windows_take_what_they_can(warehouse: Warehouse, shares: Path, since: Any, until: Any) -> None:
    merged = warehouse.with_engine(PartialResults(shares))
    for name in {name for name, _ in asked(warehouse)}:
        alone = warehouse.table(name, since=since, until=until)
        assert merged.table(name, since=since, until=until).equals(alone), name


def lose(into: Path) -> None:
    for path in into.glob("*-00002-of-00003.parquet"):
        path.unlink()


def lose_all(into: Path) -> None:
    for path in into.iterdir():
        path.unlink()


def deal_anew(into: Path) -> None:
    """Shares of another number are there too."""
    gather_share(Warehouse(_LAKES[-1]), WINDOW, into, 2, 5)


def of_another_version(into: Path) -> None:
    rewritten(into, lambda about: {"files": dict.fromkeys(about["files"], "1-2-3")})


def of_a_file_that_is_gone(into: Path) -> None:
    name = f"executions/realm=gone/day={WINDOW.since.date()}/part-0.parquet"
    rewritten(into, lambda about: {"files": about["files"] | {name: "1-2-3"}}, since=WINDOW.since.date())


def of_one_tenant(into: Path) -> None:
    rewritten(into, lambda about: {"realms": ["acme-cycling"]})


def rewritten(into: Path, change: Callable[[dict[str, Any]], dict[str, Any]], since: date = date.min) -> None:
    """A share that says something else; and lacks its rows from a day on: whoever took it would be wrong."""
    for path in into.glob("*-00001-of-00003.parquet"):
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[ABOUT])
        fewer = table.filter(pc.field("day") < pa.scalar(since))
        pq.write_table(fewer.replace_schema_metadata({ABOUT: json.dumps(about | change(about))}), path)


_LAKES: list[Lake] = []


HARMS = (of_another_version, lose, deal_anew, of_a_file_that_is_gone, lose_all, of_one_tenant)


@pytest.mark.parametrize("harm", one_in(3, HARMS))
def test_what_is_missing_or_does_not_fit_is_asked_again(
    warehouse: Warehouse, shares: Path, harm: Callable[[Path], None]
) -> None:
    _LAKES.append(warehouse.lake)
    harm(shares)
    other, whole = differing(warehouse, shares)
    assert other == []
    assert bool(whole) is (harm is lose_all)


@pytest.mark.parametrize(
    "about", [None, b"{", b"[]", b"null", b'{"realms": null, "files": [], "definitions": {}}', b"{}"]
)
def test_a_part_that_cannot_be_read_is_asked_again(warehouse: Warehouse, shares: Path, about: bytes | None) -> None:
    expected = warehouse.table("cost_by_strategy", since=WINDOW.since, until=WINDOW.until)
    for path in shares.glob("cost_by_strategy-*-of-*"):
        if about is None:
            path.write_bytes(path.read_bytes()[:-9])
        else:
            pq.write_table(pq.read_table(path).slice(1).replace_schema_metadata({ABOUT: about}), path)
    spy = Spy(PartialResults(shares))
    assert warehouse.with_engine(spy).table("cost_by_strategy", since=WINDOW.since, until=WINDOW.until).equals(expected)
    assert spy.whole == ["cost_by_strategy"]


def test_a_time_without_a_zone_is_utc(
    warehouse: Warehouse, shares: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)
    since, until = (moment.replace(tzinfo=None) for moment in (WINDOW.since, WINDOW.until))
    spy = Spy(PartialResults(shares))
    found = warehouse.with_engine(spy).table("cost_by_strategy", since=since, until=until)
    assert found.equals(warehouse.table("cost_by_strategy", since=WINDOW.since, until=WINDOW.until))
    assert spy.whole == []


def test_a_day_that_lies_in_two_files_is_asked_together(table: Any, fresh: Lake, tmp_path: Path) -> None:
    for number in range(12):
        table.insert(realmId=f"r{number % 2}", strategyId="s", durationMs=float(number**2), nodesExecuted=5)
    table.extract(fresh)
    first, second = (next((fresh.root / "executions" / f"realm=r{number}").rglob("*.parquet")) for number in (0, 1))
    window = Window.parse("2026-07-08", "2026-07-09")
    values = {"since": window.since, "until": window.until}
    for is_torn in (False, True):
        if is_torn:  # somebody's slip: realm r0's rows now lie where r1's were, too
            shutil.copyfile(first, second)
        for share in (1, 2):
            gather_share(Warehouse(fresh), window, tmp_path / "g", share, 2)
        spy = Spy(PartialResults(tmp_path / "g"))
        alone = Warehouse(fresh).table("time_by_nodes", **values)
        assert Warehouse(fresh).with_engine(spy).table("time_by_nodes", **values).equals(alone)
        assert bool(spy.whole) is is_torn


@pytest.fixture
def changing(table: Any, fresh: Lake) -> tuple[Any, Lake]:
    for number in range(6):
        table.insert(realmId=f"r{number}", strategyId=f"s{number % 2}", durationMs=number + 0.1, points=number)
    table.extract(fresh)
    return table, fresh


def test_rows_that_came_later_are_in_the_report(changing: tuple[Any, Lake], tmp_path: Path) -> None:
    table, lake = changing
    window = Window.parse("2026-07-08", "2026-07-09")
    gather_share(Warehouse(lake), window, tmp_path / "g", 1, 1)
    values = {"since": window.since, "until": window.until}
    before = Warehouse(lake).table("cost_by_strategy", **values)
    table.insert(realmId="r1", strategyId="s1", status="error", errorCode="E")
    table.insert(realmId="r7", strategyId="s7")
    table.extract(lake)
    alone = Warehouse(lake)
    merged = alone.with_engine(PartialResults(tmp_path / "g"))
    after = alone.table("cost_by_strategy", **values)
    assert not after.equals(before)
    assert merged.table("cost_by_strategy", **values).equals(after)
    shutil.rmtree(lake.root / "executions" / "realm=r2")
    fewer = Warehouse(lake)
    assert (
        fewer.with_engine(PartialResults(tmp_path / "g"))
        .table("cost_by_strategy", **values)
        .equals(fewer.table("cost_by_strategy", **values))
    )
    assert fewer.table("cost_by_strategy", **values).num_rows == after.num_rows - 1


def test_other_weights_and_fewer_versions_are_asked_of_the_lake(warehouse: Warehouse, shares: Path) -> None:
    weights = pa.table(
        {
            "realm_id": pa.array(["acme-cycling"]),
            "hour": pa.array([WINDOW.since + timedelta(hours=12)], pa.timestamp("us", tz="UTC")),
            "factor": [3.0],
            "instead": [60.0],
        }
    )
    spy = Spy(PartialResults(shares))
    values = {"since": WINDOW.since, "until": WINDOW.until}
    alone = warehouse.with_weights(weights).table("cost_by_strategy", **values)
    assert warehouse.with_engine(spy).with_weights(weights).table("cost_by_strategy", **values).equals(alone)
    assert not alone.equals(warehouse.table("cost_by_strategy", **values))
    versions = alone.slice(0, 1).select(["realm_id", "strategy_id", "strategy_version"])
    fewer = warehouse.excluding(versions).table("cost_by_strategy", **values)
    assert warehouse.with_engine(spy).excluding(versions).table("cost_by_strategy", **values).equals(fewer)
    assert spy.whole == ["cost_by_strategy"] * 2
    for changed in (warehouse.with_weights(weights), warehouse.excluding(versions)):
        with pytest.raises(UsageError, match="are not gathered"):
            gather_share(changed, WINDOW, shares, 1, 1)


def test_one_tenants_shares_are_its_own(lake: Lake, shares: Path, tmp_path: Path) -> None:
    own = Warehouse(lake, realms=["acme-cycling"])
    values = {"since": WINDOW.since, "until": WINDOW.until}
    spy = Spy(PartialResults(shares))
    assert own.with_engine(spy).table("cost_by_strategy", **values).equals(own.table("cost_by_strategy", **values))
    assert spy.whole == ["cost_by_strategy"]  # all tenants' shares are not for it
    other = Warehouse(lake, realms=["sunny-gym"])
    for one in (own, other):  # side by side in one folder
        gather_share(one, WINDOW, tmp_path / "own", 1, 1)
    assert differing(own, tmp_path / "own") == ([], [])
    beside = Spy(PartialResults(tmp_path / "own"))
    assert (
        other.with_engine(beside).table("cost_by_strategy", **values).equals(other.table("cost_by_strategy", **values))
    )
    assert beside.whole == []
    everybody = Spy(PartialResults(tmp_path / "own"))
    assert (
        Warehouse(lake)
        .with_engine(everybody)
        .table("hot_nodes", **values)
        .equals(Warehouse(lake).table("hot_nodes", **values))
    )
    assert everybody.whole == ["hot_nodes"]


def test_a_window_without_a_run_can_be_gathered_too(warehouse: Warehouse, tmp_path: Path) -> None:
    window = Window.parse("2030-01-01", "2030-01-02")
    made = [gather_share(warehouse, window, tmp_path / "g", share, 2) for share in (1, 2)]
    assert [len(paths) for paths in made] == [len(questions(warehouse, window)), 0]
    spy = Spy(PartialResults(tmp_path / "g"))
    values = {"since": window.since, "until": window.until}
    assert warehouse.with_engine(spy).table("cost_by_strategy", **values).num_rows == 0


def test_files_are_dealt_by_size() -> None:
    versions = {name: Version(size, "") for name, size in (("a", 9), ("b", 8), ("c", 2), ("d", 1), ("e", 1))}
    assert partial_results._assign_files(versions, 2) == [{"a", "d", "e"}, {"b", "c"}]
    assert partial_results._assign_files(versions, 7)[5:] == [set(), set()]


@pytest.mark.parametrize("name", HALVED)
def test_a_query_in_two_halves_gives_what_the_whole_gives(warehouse: Warehouse, name: str) -> None:
    text = sql.text("queries", name)
    values: dict[str, Any] = dict.fromkeys(sql.parameters(text))
    values |= {"any_realm": True, "family": "Speed bonus"} if name == "family_members" else {}
    rows = warehouse.connection.sql(
        str(sql.gathered(text)), params={key: values[key] for key in sql.parameters(str(sql.gathered(text)))} or None
    ).to_arrow_table()
    half = rows.num_rows // 2
    swapped = pa.concat_tables([rows.slice(half), rows.slice(0, half)])  # merging does not depend on the order
    whole = warehouse.connection.sql(text, params=values or None).to_arrow_table()
    assert warehouse._merged(sql.merging(text), swapped, values).to_arrow_table().equals(whole)


def test_a_query_of_one_piece_is_not_asked_in_parts(warehouse: Warehouse, tmp_path: Path) -> None:
    question = PartialQuery("failures", WINDOW.since.date(), WINDOW.until.date(), {})
    with pytest.raises(LakeError, match="cannot be asked in parts"):
        compute_share(warehouse, question, tmp_path, share=1, shares=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--share", "0/4"], "there is no share 0 of 4"),
        (["--share", "5/4"], "there is no share 5 of 4"),
        (["--share", "one"], "--share one is no share"),
        (["--share", "\u0661/\u0664"], "is no share"),
    ],
)
def test_a_share_that_there_is_not(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["gather", *words, "--into", str(tmp_path / "g"), "--lake", str(lake.root), "--all-realms"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    "words", [["gather", "--share", "1/1", "--into", "g"], ["report", "runaway_rules", "--out", "out"]]
)
def test_a_window_that_nothing_can_be_compared_with(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    at = ["--lake", str(lake.root.absolute()), "--all-realms"]
    monkeypatch.chdir(tmp_path)
    for window in (["--since", "0001-01-01"], ["--until", "9999-12-31"]):
        assert main([*words, *at, *window]) == 2
        assert "give a window between 1970-01-01 and 9000-01-01" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_ends_of_the_calendar(warehouse: Warehouse, shares: Path) -> None:
    first, last = midnight(date.min), midnight(date.max) + timedelta(hours=23)
    found = warehouse.with_engine(PartialResults(shares)).table("cost_by_strategy", since=first, until=last)
    assert found.equals(warehouse.table("cost_by_strategy", since=first, until=last))


@pytest.mark.long
def test_a_report_of_nothing_that_was_gathered_is_made_all_the_same(lake: Lake, tmp_path: Path) -> None:
    words = ["report", "runaway_rules", "--lake", str(lake.root), "--all-realms", "--out", str(tmp_path / "out")]
    assert main([*words, "--gathered", str(tmp_path / "none")]) == 0


def test_nothing_was_gathered(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, none = warehouse.lake, tmp_path / "none"
    values = {"since": WINDOW.since, "until": WINDOW.until}
    spy = Spy(PartialResults(none))
    alone = warehouse.table("cost_by_strategy", **values)
    assert warehouse.with_engine(spy).table("cost_by_strategy", **values).equals(alone)
    assert spy.whole == ["cost_by_strategy"]

    def render(*_: object, **given: object) -> None:
        raise UsageError(f"{given['gathered']}, and no further")

    monkeypatch.setattr("analytics.api.render", render)
    words = ["report", "runaway_rules", "--lake", str(lake.root), "--all-realms"]
    assert main([*words, "--gathered", str(none)]) == 2
    assert f"nothing was gathered in {none}: the report asks everything itself" in capsys.readouterr().err
    assert main(["gather", "--share", "1/1", "--into", "", "--lake", str(lake.root), "--all-realms"]) == 2
    assert "--into is empty" in capsys.readouterr().err
    with pytest.raises(UsageError, match="there is no engine 'flink'"):
        analytics.runaway_rules(str(lake.root), engine="flink")
    with pytest.raises(UsageError, match="Spark asks by itself"):
        analytics.runaway_rules(str(lake.root), engine="spark", gathered=str(tmp_path))
