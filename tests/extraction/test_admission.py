"""Extraction under a pseudonym key or with a list of allowed event fields: what the lake holds then, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analytics.cli import main
from analytics.errors import ConfigurationError
from analytics.extraction.privacy.policy import DROPPED, FILE, Policy, PseudonymKey, is_pseudonym
from analytics.lake.lake import Lake
from analytics.operations.erase import Person
from analytics.warehouse.warehouse import Warehouse
from tests.conftest import Table

SECRET = "6f1d0c5be2a94783aa10d2f4c7e85b39"  # noqa: S105  # of these tests
KEY = PseudonymKey.of(SECRET, "a test")
OTHER = PseudonymKey.of(SECRET[::-1], "a test")


def everything_in(lake: Lake) -> str:
    """All that a reader of the lake's files can learn, their names included."""
    parts = []
    for path in sorted(lake.root.rglob("*")):
        parts.append(str(path))
        if path.suffix == ".parquet":
            parts.append(json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str, ensure_ascii=False))
            parts.append(str(pq.read_metadata(path).metadata))
            parts.append(path.read_bytes().decode("latin-1"))  # statistics and dictionaries are not always compressed
        elif path.is_file():
            parts.append(path.read_text(encoding="utf-8"))
    return "\n".join(parts)


def trace(*values: Any) -> str:
    return json.dumps(
        [{"nodeId": f"n{i}", "type": "literal", "value": value} for i, value in enumerate(values)], ensure_ascii=False
    )


def rows(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    return Warehouse(lake).sql(query).fetchall()


def passes(lake: Lake) -> bool:
    return all(check.passed for check in Warehouse(lake).check() if check.severity == "error")


IDS = ("anna-4711", "bob.smith@example.org", "ćevap#99 x", "900712345678", "oauth|abc123def", "author-77x", "q7")


@pytest.fixture
def people_table(table: Table) -> Table:
    """Users who are named by their own runs, by others', in texts and in programs."""
    anna, bob, odd, number, oauth, author, short = IDS
    for day in ("2026-07-07", "2026-07-08"):
        at = f"{day} 12:00:00+00"
        table.insert(created_at=at, externalUserId=anna, trace=trace(anna, f"from {bob}: hi", [{anna: odd}], 12.5))
        table.insert(created_at=at, externalUserId=bob, notes=f"{bob} again", caseName=f"case of {anna}")
        table.insert(created_at=at, externalUserId=odd, oauth_user_id=oauth, trace=trace(f"dear {odd}", oauth))
        table.insert(created_at=at, externalUserId=number, trace=trace(int(number), "plain"))
        table.insert(created_at=at, externalUserId=short, trace=trace(short, "word"))
        table.insert(created_at=at, realmId="other", externalUserId=anna, trace=trace(anna))
    table.define({"rules": [], "note": f"not for {bob}"}, description=f"asked for by {author}", createdBy=author)
    return table


def test_with_a_key_no_id_is_in_the_lake_and_a_user_stays_one_user(people_table: Table, fresh: Lake) -> None:
    result = people_table.extract(fresh, policy=Policy(KEY))
    found = everything_in(fresh)
    assert [name for name in IDS[:-1] if name in found or json.dumps(name)[1:-1] in found] == []
    anna = KEY.pseudonym("acme", IDS[0])
    told = rows(fresh, "select distinct external_user_id from executions where realm_id = 'acme'")
    assert {name for (name,) in told} == {KEY.pseudonym("acme", name) for name in (*IDS[:4], IDS[6])}
    assert rows(fresh, f"select count(*) from executions where external_user_id = '{anna}'") == [(2,)]
    bob, odd = KEY.pseudonym("acme", IDS[1]), KEY.pseudonym("acme", IDS[2])
    values = rows(
        fresh,
        "select distinct n.value_text from nodes n join executions using (execution_id) "
        f"where external_user_id = '{anna}' and n.value_text is not null",
    )
    assert {value for (value,) in values} >= {anna, f"from {bob}: hi"}
    [(nested,)] = rows(fresh, f"select distinct value from nodes where value like '[%' and value like '%{anna}%'")
    assert json.loads(nested) == [{anna: odd}]
    assert rows(fresh, "select distinct external_user_id from executions where realm_id = 'other'") == [
        (KEY.pseudonym("other", IDS[0]),)
    ]
    [(by, about, program)] = rows(fresh, "select created_by, description, ast_json from definitions")
    author = KEY.pseudonym("acme", IDS[5])
    assert (by, about) == (author, f"asked for by {author}")
    assert json.loads(program) == {"rules": [], "note": f"not for {bob}"}
    assert SECRET not in found
    assert passes(fresh)
    assert not result.nothing_to_do
    assert people_table.extract(fresh, policy=Policy(KEY)).nothing_to_do


def test_without_a_key_ids_stay_as_they_are(people_table: Table, fresh: Lake) -> None:
    people_table.extract(fresh)
    assert rows(fresh, "select count(*) from executions where external_user_id = 'anna-4711'") == [(4,)]
    assert json.loads((fresh.root / "people.json").read_text())["key_id"] == ""


def test_rows_that_only_the_lake_has_get_pseudonyms_too(table: Table, fresh: Lake) -> None:
    gone = table.insert(externalUserId="anna-4711", trace=trace("anna-4711"))
    table.insert(externalUserId="bob-4711")
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog where id = %s", [gone])
    result = table.extract(fresh, policy=Policy(KEY))
    assert sum(result.kept.values()) == 1
    anna = KEY.pseudonym("acme", "anna-4711")
    assert rows(fresh, "select count(*) from executions where external_user_id = '" + anna + "'") == [(1,)]
    assert "anna-4711" not in everything_in(fresh)
    assert table.extract(fresh, policy=Policy(KEY)).nothing_to_do


def test_the_first_days_under_a_key_are_read_again_and_the_others_are_named(table: Table, fresh: Lake) -> None:
    for day in ("2026-07-07", "2026-07-08", "2026-07-09"):
        table.insert(created_at=f"{day} 12:00:00+00", externalUserId="anna-4711")
    table.extract(fresh)
    result = table.extract(fresh, "2026-07-08", policy=Policy(KEY))
    assert len(result.written) == 2
    assert any("another policy" in note and "3 days" in note for note in result.notes)
    assert sum(is_pseudonym(user) for (user,) in rows(fresh, "select external_user_id from executions")) == 2


def test_the_command_takes_the_key_from_a_file_and_refuses_to_go_on_without_it(
    table: Table, fresh: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table.insert(externalUserId="anna-4711")
    words = ["extract", "--since", "2026-07-07", "--until", "2026-07-10", "--lake", str(fresh.root)]
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", table.url)
    monkeypatch.setenv("ANALYTICS_SAMPLE_RATE", "0.05")
    file = tmp_path / "key"
    file.write_text("too short\n")
    monkeypatch.setenv("ANALYTICS_PSEUDONYM_KEY_FILE", str(file))
    assert main(words) != 0
    assert "openssl rand -hex 32" in capsys.readouterr().err
    file.write_text(f"{SECRET}\n")
    assert main(words) == 0
    assert rows(fresh, "select external_user_id from executions") == [(KEY.pseudonym("acme", "anna-4711"),)]
    monkeypatch.delenv("ANALYTICS_PSEUDONYM_KEY_FILE")
    assert main(words) != 0
    told = capsys.readouterr().err
    assert "none is configured" in told and "--accept-key" in told and SECRET not in told
    assert main([*words, "--accept-key"]) == 0
    assert rows(fresh, "select external_user_id from executions") == [("anna-4711",)]


def test_another_key_is_refused_before_anything_is_written(table: Table, fresh: Lake) -> None:
    table.insert(externalUserId="anna-4711")
    table.extract(fresh, policy=Policy(KEY))
    before = everything_in(fresh)
    table.insert(externalUserId="bob-4711")
    with pytest.raises(ConfigurationError, match=OTHER.key_id):
        table.extract(fresh, policy=Policy(OTHER))
    assert everything_in(fresh) == before
    table.extract(fresh, policy=Policy(OTHER), accept_key=True)
    assert {user for (user,) in rows(fresh, "select external_user_id from executions")} == {
        OTHER.pseudonym("acme", name) for name in ("anna-4711", "bob-4711")
    }


def _key_of_another(root: Path) -> None:
    (root / FILE).write_text(Policy(OTHER).to_json())


def _no_key(root: Path) -> None:
    (root / FILE).write_text(Policy(data_fields=frozenset({"level"})).to_json())


def _no_ledger_either(root: Path) -> None:
    (root / FILE).unlink()
    shutil.rmtree(root / "ledger")


@pytest.mark.parametrize(
    ("harm", "configured"),
    [
        (lambda root: (root / FILE).unlink(), None),
        (lambda root: (root / FILE).unlink(), OTHER),
        (_no_ledger_either, None),
        (_key_of_another, OTHER),
        (_no_key, None),
    ],
    ids=["lost, no key", "lost, another key", "lost with the ledger", "that of another lake", "of before the key"],
)
def test_a_lake_that_lost_its_memory_of_the_key_asks_its_partitions(
    table: Table, fresh: Lake, harm: Callable[[Path], None], configured: PseudonymKey | None
) -> None:
    table.insert(externalUserId="anna-4711")
    table.extract(fresh, policy=Policy(KEY))
    root = Path(str(fresh.root))
    harm(root)
    before = everything_in(fresh)
    table.insert(externalUserId="bob-4711")
    with pytest.raises(ConfigurationError, match=f"made with the key {KEY.key_id}.*nothing was written") as refused:
        table.extract(fresh, policy=Policy(configured))
    assert f"put {FILE} back from a backup" in refused.value.hint
    assert everything_in(fresh) == before
    if configured is None:
        with pytest.raises(ConfigurationError, match="nobody can say which is theirs"):
            Person(fresh, "anna-4711", Policy())
    # with the right key a lost file is written again
    (root / FILE).unlink(missing_ok=True)
    result = table.extract(fresh, policy=Policy(KEY))
    assert any(note.startswith(f"{FILE} was lost; ") for note in result.notes)
    assert (root / FILE).read_text() == Policy(KEY).to_json()
    # and whoever wants another one says so once
    table.extract(fresh, policy=Policy(OTHER), accept_key=True)
    table.insert(externalUserId="cleo-4711")
    assert len(table.extract(fresh, policy=Policy(OTHER)).written) == 1


def test_only_allowed_event_fields_reach_the_lake(table: Table, fresh: Lake) -> None:
    fields = [("data.level", "f1"), ("data.mail", "f2")]
    rules = [
        {
            "id": f"r{i}",
            "when": {"type": "exists", "id": f"e{i}", "value": {"type": "field", "path": path, "id": name}},
            "then": [{"type": "assign_points", "id": f"p{i}", "value": {"type": "literal", "value": 1}}],
        }
        for i, (path, name) in enumerate(fields)
    ]
    strategy = table.define({"rules": rules})
    entries = [{"nodeId": name, "type": "field", "value": f"secret-{name}"} for _, name in fields]
    table.insert(strategyId=strategy, trace=json.dumps(entries))
    policy = Policy(data_fields=frozenset({"level"}))
    table.extract(fresh, policy=policy)
    assert rows(fresh, "select node_id, value_text from nodes order by 1") == [("f1", "secret-f1"), ("f2", DROPPED)]
    assert "secret-f2" not in everything_in(fresh)
    assert table.extract(fresh, policy=policy).nothing_to_do
    # no program, no proof: nothing is kept
    table.execute("delete from strategydefinition")
    result = table.extract(fresh, policy=policy, force=True)
    assert any("no program can be read" in note for note in result.notes)
    assert "secret-" not in everything_in(fresh)


def test_with_several_connections_the_lake_is_the_same(people_table: Table, fresh: Lake, tmp_path: Path) -> None:
    people_table.extract(fresh, policy=Policy(KEY))
    second = Lake(tmp_path / "second")
    people_table.extract(second, policy=Policy(KEY), jobs=2)
    ask = "select * from executions order by execution_id"
    assert rows(fresh, ask) == rows(second, ask)
