"""A ledger, a card: whatever a person or another program wrote into one is read as it is, or is damaged; never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from analytics.cli import main
from analytics.errors import LakeFormatError
from analytics.lake import ledger
from analytics.lake.lake import Lake
from analytics.reports.schedule import archive, cards
from analytics.reports.schedule.cards import Card
from analytics.storage import typed_json
from tests.conftest import Table

WRONG = (
    10**30,
    -1,
    True,
    1.5,
    "x",
    "",
    None,
    [],
    {},
    [1],
    "2026-02-30",
    "0001-01-01T00:00:00+14:00",
    "2026-07-08 12:00",
    "\ud800",
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything that a file says."""
    if path:
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(item, (*path, key))


def damaged(told: Any) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """The same with one thing of another type, for each of its things."""
    for path in leaves(told):
        for wrong in WRONG:
            made = copy.deepcopy(told)
            at = made
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = wrong
            yield path, wrong, made


@pytest.fixture(scope="module")
def small(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    module_table.insert(externalUserId="someone")
    made = Lake(tmp_path_factory.mktemp("shapes") / "lake")
    module_table.extract(made)
    return made


def test_a_ledger_is_read_as_it_is_or_is_damaged(small: Lake) -> None:
    [path] = (small.root / "ledger").glob("day=2026-07-08.json")
    read = 0
    for way, wrong, told in damaged(json.loads(path.read_text(encoding="utf-8"))):
        try:
            record = ledger.from_json(json.dumps(told))
        except LakeFormatError:
            assert told["format"] > ledger.FORMAT, (way, wrong)
            continue
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        ledger.table([record], None)
        assert json.loads(ledger.to_json(record)), (way, wrong)
        read += 1
    assert read > 0


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("row_count", 10**30),
        ("realm_id", 7),
        ("extracted_at", "yesterday"),
        ("file_bytes", 1e400),
        ("status_counts", {"ok": "x"}),
    ],
)
def test_commands_say_which_file_of_the_ledger_is_damaged(small: Lake, name: str, wrong: Any, capsys: Any) -> None:
    [path] = (small.root / "ledger").glob("day=2026-07-08.json")
    whole = path.read_text(encoding="utf-8")
    told = json.loads(whole)
    told["partitions"][0][name] = wrong
    path.write_text(json.dumps(told), encoding="utf-8")
    try:
        for words in (["status"], ["query", "from partitions"], ["check"]):
            code = main([*words, "--all-realms", "--lake", str(small.root)])
            err = capsys.readouterr().err
            assert code in (0, 1, 2, 3) and "fault of the program" not in err, (words, err)
        assert list(Lake(small.root).ledger_problems()) == ["day=2026-07-08.json"]
    finally:
        path.write_text(whole, encoding="utf-8")


def test_a_card_is_shown_as_it_is_or_is_none(tmp_path: Any) -> None:
    at = datetime(2026, 7, 8, tzinfo=UTC)
    size = {"value": 5.0, "low": None, "high": 7, "logged_count": 3, "grade": "good"}
    cards.write(
        Card("n", "n", "r", True, "f", at, at.replace(day=9), at, "new", {"new": 1}, ["2026-07-08"], size=size),
        tmp_path,
    )
    path = tmp_path / cards.CARD
    good = json.loads(path.read_text(encoding="utf-8"))
    assert cards.read(tmp_path) is not None
    for way, wrong, told in damaged(good):
        path.write_text(json.dumps(told), encoding="utf-8")
        card = cards.read(tmp_path)
        if card is not None:
            assert archive.index_document([card], made_at=at), (way, wrong)
            cards.alarm(card, "any")


@pytest.mark.parametrize("wrong", [10**30, -1, True, 1.5, "5", None, float("nan")])
def test_what_is_no_count_is_named(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is not a count"):
        typed_json.whole(wrong)
