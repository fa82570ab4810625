"""Files of JSON that a person or another program wrote: read as they are, or damaged in one sentence; never another exception."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import analytics
from analytics.cli import main
from analytics.errors import AnalyticsError, DamagedFileError, LakeFormatError, UsageError
from analytics.extraction import duplicates
from analytics.extraction.privacy import policy, tombstones
from analytics.findings.runaway import previous_report
from analytics.lake import definitions, expiry_mark, ledger, schema, source_identity
from analytics.lake.expiry_mark import Expired
from analytics.lake.lake import Lake
from analytics.reports.schedule import definition
from analytics.storage.lock import Owner
from analytics.warehouse import rule_verdicts
from analytics.warehouse.partial_results import _ABOUT, PartialQuery, PartialResults, compute_share
from tests.odd import lakes, log
from tests.odd.lakes import Shape, Strategy
from tests.reports.test_shapes import leaves

DEEP = "[" * 10_000 + "]" * 10_000
HOSTILE = ("10" * 30, "-1", "0", "true", "1.5", "1e400", "-1e400", "NaN", "Infinity", '"x"', '""', "null", "[]", "{}", "[[1]]",
    '{"a": 1}', '"2026-02-30"', '"0001-01-01T00:00:00+14:00"', '"2026-07-08 12:00"', r'"\ud800"', r'"\u0000"',
    '"9' + "9" * 80 + '"', "9" * 5_000, DEEP)  # fmt: skip
NONE = "7b8a1c51-none"


def hostile(told: dict[str, Any]) -> Iterator[str]:
    """The text with each of its things replaced by each hostile value, or left out, or with one more; and what is no such text."""
    for path in leaves(told):
        made = copy.deepcopy(told)
        at = made
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = NONE
        text = json.dumps(made)
        for value in HOSTILE:
            yield text.replace(f'"{NONE}"', value)
        del at[path[-1]]
        yield json.dumps(made)
    good = json.dumps(told)
    yield json.dumps({**told, "of a later version": 1})
    yield good.replace("{", '{"format": 1, "format": 1, ', 1)
    yield from ("", "\x00", "null", "[]", '"x"', "7", DEEP, '{"a":' * 10_000, good[:-1], good + "x", "\ufeff" + good)


def lake_of(folder: Path) -> Lake:
    strategies = tuple(Strategy("plain", realm, "Ride", 1, False) for realm in ("acme", None))
    return lakes.make(Shape(seed=3, rows=12, days=1, strategies=strategies), folder / "lake")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with every kind of file. Shared: put back what you change."""
    made = lake_of(tmp_path_factory.mktemp("hostile"))
    root = Path(str(made.root))
    (root / "people.json").write_text(
        '{"format": 1, "key_id": "0123456789abcdef", "data_fields": ["km"]}', encoding="utf-8"
    )
    mark = Expired(date(2026, 7, 1), date(2026, 6, 1), lakes.FIRST, "0.1.0")
    (root / "expired.json").write_text(json.dumps(mark.to_dict()), encoding="utf-8")
    entry = {
        "realm_id": "acme", "day": "2026-07-06", "rows_erased": 1, "rows_changed": 0,
        "before": {"executions": "a", "node_days": None}, "after": {"executions": None, "node_days": None}, "ledger": {},
        "is_done": True,
    }  # fmt: skip
    about = {"version": "0.1.0", "asked_at": "2026-07-08T00:00:00+00:00", "partitions": [entry], "finished_at": None}
    (root / "erased").mkdir()
    (root / "erased" / "one.json").write_text(
        tombstones.Tombstone("ab", "", ("acme", None), about).to_json(), encoding="utf-8"
    )
    return made


def marked(lake: Lake) -> object:
    return expiry_mark.is_expired(expiry_mark.read(lake.root), date(2026, 7, 5))


def keyed(lake: Lake) -> object:
    found = policy.recorded_policy(lake.root)
    return found.key_id.upper(), sorted(found.keys_before or ())


def buried(lake: Lake) -> object:
    stones = tombstones.read(lake.root)
    return [(stone.name, stone.to_json(), stone.is_finished) for stone in stones]


def recorded(lake: Lake) -> object:
    days = [record for day in lake.recorded_days() if (record := Lake(lake.root).recorded(day))]
    told = [ledger.to_json(record) for record in days], lake.ledger_problems(), source_identity.last_known(lake)
    return ledger.table(days, None), told, [str(record) for record in days]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("expired.json", marked),
        ("people.json", keyed),
        ("erased/one.json", buried),
        ("ledger/day=2026-07-06.json", recorded),
    ],
)
def test_a_file_of_the_lake_is_read_or_damaged(name: str, read: Callable[[Lake], object], small: Lake) -> None:
    path = Path(str(small.root)) / name
    whole = path.read_text(encoding="utf-8")
    told, outcomes = json.loads(whole), {"read": 0, "refused": 0}
    chosen = list(hostile(told))
    if name.startswith("ledger"):  # so many leaves: some of them each time, other ones by another seed
        chosen = random.Random(7).sample(chosen, 300)
    try:
        for text in chosen:
            path.write_text(text, encoding="utf-8")
            outcomes[outcome(lambda: read(small), path)] += 1
        path.write_bytes(whole.encode("utf-16"))
        assert outcome(lambda: read(small), path) == ("read" if name.startswith("ledger") else "refused")
    finally:
        path.write_text(whole, encoding="utf-8")
    assert outcomes["read"] and (outcomes["refused"] or name.startswith("ledger")), outcomes


def outcome(read: Callable[[], object], path: Path) -> str:
    try:
        read()
    except AnalyticsError as error:
        is_named = path.name in error.message or isinstance(error, LakeFormatError)
        assert is_named and error.hint and len(error.message) < 600 and "\n" not in error.message
        assert isinstance(error, DamagedFileError) == ("damaged" in error.message)
        return "refused"
    return "read"


def test_commands_go_on_or_say_which_file_is_damaged(small: Lake, capsys: Any) -> None:
    root = Path(str(small.root))
    for name in ("expired.json", "people.json", "erased/one.json", "ledger/day=2026-07-06.json"):
        whole = (root / name).read_bytes()
        (root / name).write_text(DEEP, encoding="ascii")
        for words in (
            ["status", "--all-realms"],
            ["query", "from partitions", "--all-realms"],
            ["pseudonym", "u"],
            ["doctor"],
        ):
            code = main([*words, "--lake", str(root)])
            err = capsys.readouterr().err
            assert code in (0, 1, 2, 3) and "fault of the program" not in err, (name, words, err)
        (root / name).write_bytes(whole)


ESTIMATE = {"value": 5.0, "low": 1, "high": None, "logged_count": 3, "grade": "good"}
SUMMARY = {
    "report": previous_report.REPORT,
    "since": "2026-07-06T00:00:00+00:00",
    "until": "2026-07-07T00:00:00+00:00",
    "scope": {"realm": "acme", "no_realm": False},
    "league": [{"realm": "acme", "family": "Ride", "version": 1, "est_runs": ESTIMATE}],
    "findings": [
        {"kind": "new", "what": "limit", "realm": "acme", "family": "Ride", "version": 1, "number": ESTIMATE, "unit": "nodes",
         "count": 2, "until": "2026-07-06T10:00:00+00:00",
         "waiting": {"last_seen": "2026-07-06T10:00:00+00:00", "runs": ESTIMATE, "runs_since": 2.5}},
        {"kind": "known", "what": "close", "realm": "acme", "family": "Ride", "version": 2, "number": 5, "unit": "nodes",
         "count": None, "until": None, "waiting": None},
    ],
}  # fmt: skip


def test_the_last_report_is_read_or_refused(tmp_path: Path) -> None:
    path, outcomes = tmp_path / "summary.json", set()
    for text in random.Random(7).sample(list(hostile(SUMMARY)), 400):
        path.write_text(text, encoding="utf-8")
        try:
            found = previous_report.read(path)
        except UsageError as error:
            assert "summary.json" in error.message and len(error.message) < 600
            outcomes.add("refused")
            continue
        realm = "acme" if found.realm == "" else found.realm
        assert (
            sorted((one.type, str(one.key), one.unit, one.count or 0, one.last_seen) for one in found.of([realm]).known)
            is not None
        )
        assert {type(one.key.realm) for one in found.known if one.key} <= {str, type(None)}
        outcomes.add("read")
    assert outcomes == {"read", "refused"}


def test_a_card_an_owner_and_a_journal_are_read_or_none(small: Lake, tmp_path: Path) -> None:
    me = Owner.me()
    owner = {name: getattr(me, name) for name in ("pid", "host", "command", "since", "machine", "started")}
    for text in hostile(owner):
        if found := Owner.read(text):
            assert str(found) and found.is_gone in (True, False) and found.age is not None
    record = next(record for day in small.recorded_days() if (record := small.recorded(day)) and record.partitions)
    info = next(iter(record.partitions.values()))
    journal = json.loads(duplicates._Journal(info, ["a"], were_kept=False).to_json())
    path = duplicates._journal_path(small)
    for text in random.Random(7).sample(
        list(hostile({**journal, "day": "1999-01-01"})), 200
    ):  # of a day that the lake has not
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        duplicates.finish_the_last(small, tmp_path)
    path.unlink(missing_ok=True)


def test_a_definition_of_reports_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "nightly.toml"
    for text in (
        "notebook = " + DEEP,
        "x = " + "9" * 5_000,
        "\ufeffnotebook = 1",
        "\x00",
        "notebook = nan",
        "[[report]]\nname = 1",
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"nightly\.toml"):
            definition.read(path, ["runaway_rules"])
    path.write_bytes("notebook = 'x'".encode("utf-16"))
    with pytest.raises(UsageError, match=r"nightly\.toml"):
        definition.read(path, ["runaway_rules"])


def test_gathered_rows_of_another_type_make_an_answer_slower_and_no_number_another(tmp_path: Path) -> None:
    made, into = analytics.open_lake(str(lake_of(tmp_path).root)), tmp_path / "parts"
    question = PartialQuery("nodes_by_day", date(2026, 7, 6), date(2026, 7, 8), {})
    path = Path(str(compute_share(made, question, into, share=1, shares=1)))
    rows, merged = pq.ParquetFile(path).read(), made.with_engine(PartialResults(into))
    values = {"since": datetime(2026, 7, 6, tzinfo=UTC), "until": datetime(2026, 7, 8, tzinfo=UTC)}
    alone = made.table(question.query, **values).to_pylist()
    for number, name in enumerate(rows.column_names):
        wrong = rows.set_column(number, name, pa.array([["x"]] * rows.num_rows))
        pq.write_table(wrong.replace_schema_metadata(rows.schema.metadata), path)
        assert merged.table(question.query, **values).to_pylist() == alone, name
    about = rows.schema.metadata[_ABOUT].decode()
    for text in random.Random(7).sample(list(hostile(json.loads(about))), 40):
        pq.write_table(rows.replace_schema_metadata({_ABOUT: text.encode("utf-8", "replace")}), path)
        assert merged.table(question.query, **values).to_pylist() == alone, text


def literal(value: int) -> dict[str, Any]:
    return {"type": "literal", "value": value}


ENDING = {"type": "assign_points", "value": literal(1), "case_name": "A"}
BELOW = {"type": "compare", "op": "<", "left": {"type": "field", "path": "data.km"}, "right": literal(2)}
PROGRAM = {
    "rules": [{"id": "first", "type": "rule", "when": BELOW, "then": [ENDING]}, {"type": "rule", "when": literal(0)}]
}


def test_a_program_of_any_shape_is_read_as_far_as_it_is_one() -> None:
    row = dict.fromkeys(schema.definition_schema().names, "x")
    proven = 0
    for text in random.Random(7).sample(list(hostile(PROGRAM)), 500):
        assert isinstance(definitions.flatten_program({**row, "ast_json": text}), list)
        proven += bool(rule_verdicts.proofs_of(text))
    assert proven


def test_a_case_that_is_no_text_is_one_that_no_run_can_have(tmp_path: Path) -> None:
    shape = Shape(seed=3, rows=30, days=1, strategies=(Strategy("plain", "acme", "Ride", 2, False),))
    chance = random.Random(shape.seed)
    rows, known = [lakes._row(shape, chance) for _ in range(shape.rows)], lakes._definitions(shape, chance)
    assert not isinstance(known, str)
    ast = json.loads(known[0]["ast_json"])
    ast["rules"][0]["then"][0]["case_name"] = [[1]]
    known[0]["ast_json"] = json.dumps(ast)
    log.fill(Lake(tmp_path / "lake"), rows, known, date(2026, 7, 5), date(2026, 7, 8), shape.rates)
    report = analytics.post_mortem(
        str(tmp_path / "lake"), realm="acme", family="Ride", since="2026-07-06", until="2026-07-08"
    )
    assert report.summary()["report"] == "post_mortem"
